//! One run of a module over the link: greet, load, start, follow until the end, ask for figures.

use std::cell::Cell;
use std::time::Duration;

use espb_link::event::{Loaded, Stats, Value};
use espb_link::request::{Argument, Call, MAX_ARGUMENTS, Start};
use espb_link::{InstanceId, Source};
use espb_slots::Seal;

use super::client::{Message, RefusedRequest, Trap};
use super::dialogue::{Dialogue, Goal, Trouble};
use super::transport::{Counters, DeviceError, Transport};

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The module, where it does not lie in the device's newest slot: the device is up already, and gets it into RAM.
    pub module: Option<Vec<u8>>,
    /// The export to call; `None` for the entry.
    pub call: Option<String>,
    /// Arguments, as the user wrote them.
    pub arguments: Vec<PlannedArgument>,
    /// Units of fuel; `None` without limit.
    pub fuel: Option<u64>,
    /// The restricted functions that the module may call.
    pub allowed: Vec<String>,
    /// What is typed on the console once the call has begun.
    pub input: Vec<u8>,
    /// Modules that run beside this one, from before its start: each with the first argument of its entry.
    pub companions: Vec<Companion>,
    /// Number of the first upload, unlike those that the device knows.
    pub token: u32,
    /// When to stop, on the device's clock.
    pub until: Option<Duration>,
    /// Whether to ask for figures at the end.
    pub stats: bool,
}

/// A module that is loaded into the device's RAM and whose entry is called.
#[derive(Clone, Debug, Default)]
pub struct Companion {
    /// Its bytes.
    pub module: Vec<u8>,
    /// The entry's `argv[0]`.
    pub name: String,
}

/// An argument of the call.
#[derive(Clone, Debug, PartialEq)]
pub enum PlannedArgument {
    /// A string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A number with a fraction or exponent.
    Number(f64),
}

/// How the run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// The call returned, or the module called `exit`.
    Exited(Value),
    /// The module was stopped by an error of its own.
    Trapped(Trap),
    /// The device did not start the module.
    Refused(RefusedRequest),
    /// The device has restarted, and the module with it.
    Restarted,
    /// The time of [`Plan::until`] came.
    TimeReached,
    /// The wall-clock limit came.
    Timeout,
}

/// Figures of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// The instance, once it was loaded.
    pub instance: Option<InstanceId>,
    /// Machine instructions from reset to the first task.
    pub boot: u64,
    /// Machine instructions for verifying and instantiating.
    pub load: u64,
    /// Machine instructions of the whole chip from the start of the call to its end, where it ended.
    pub call: Option<u64>,
    /// Linear memory of the instance in bytes.
    pub linear_memory: u32,
    /// RAM of the instance beside linear memory in bytes.
    pub overhead: u32,
    /// Counts at the end of the run, where the device is emulated.
    pub at_end: Option<Counters>,
    /// What the firmware counted.
    pub firmware: Option<Stats>,
}

/// A finished run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// How companions ended meanwhile: position in the plan, and why.
    pub companions: Vec<(usize, End)>,
    /// Its figures; `firmware` only if they were asked for.
    pub figures: Figures,
}

/// Runs the plan's module, or the one in the device's newest slot. Console text goes to `console` as it comes, until the run is
/// over.
pub fn run(transport: &mut dyn Transport, plan: &Plan, console: &mut dyn FnMut(&[u8])) -> Result<Outcome, DeviceError> {
    let over = Cell::new(false);
    let mut until_over = |text: &[u8]| {
        if !over.get() {
            console(text);
        }
    };
    let mut figures = Figures::default();
    let mut ended = Vec::new();
    let mut session = match greet(transport, plan, &mut until_over) {
        Ok(dialogue) => {
            Session { dialogue, figures: &mut figures, companions: Vec::new(), token: plan.token, ended: &mut ended }
        }
        Err(trouble) => return Ok(Outcome { end: end_by(trouble)?, companions: ended, figures }),
    };
    let end = match session.follow(plan) {
        Ok(end) => end,
        Err(trouble) => {
            let news = session.dialogue.take_news();
            news.iter().for_each(|message| session.note_companion(message));
            session.figures.at_end = session.dialogue.counters();
            match trouble {
                Trouble::Device(_) if session.dialogue.transport().has_reset() => End::Restarted,
                trouble => end_by(trouble)?,
            }
        }
    };
    over.set(true);
    if plan.stats && !matches!(end, End::Timeout | End::Restarted) {
        session.dialogue.end_at(None);
        session.figures.firmware = match session.dialogue.stats(session.figures.instance) {
            Ok(stats) => Some(stats),
            Err(Trouble::Device(error)) => return Err(error),
            Err(_) => None,
        };
    }
    Ok(Outcome { end, companions: ended, figures })
}

/// A device that runs already is greeted, over a line that may lose something. One that is emulated for this run boots.
fn greet<'t, 'c>(
    transport: &'t mut dyn Transport,
    plan: &Plan,
    console: &'c mut dyn FnMut(&[u8]),
) -> Result<Dialogue<'t, 'c>, Trouble> {
    if plan.module.is_none() {
        return Dialogue::at_boot(transport, console, plan.until);
    }
    let mut dialogue = Dialogue::begin(transport, console)?;
    dialogue.end_at(plan.until);
    Ok(dialogue)
}

/// How a run ends for want of an answer.
fn end_by(trouble: Trouble) -> Result<End, DeviceError> {
    match trouble {
        Trouble::Device(error) => Err(error),
        Trouble::Refused(refused) => Ok(End::Refused(refused)),
        Trouble::Timeout => Ok(End::Timeout),
        Trouble::TimeReached => Ok(End::TimeReached),
    }
}

struct Session<'a, 't, 'c> {
    dialogue: Dialogue<'t, 'c>,
    figures: &'a mut Figures,
    companions: Vec<InstanceId>,
    /// Of the next upload.
    token: u32,
    ended: &'a mut Vec<(usize, End)>,
}

impl Session<'_, '_, '_> {
    fn follow(&mut self, plan: &Plan) -> Result<End, Trouble> {
        self.figures.boot = self.dialogue.boot_instructions();
        for companion in &plan.companions {
            let (instance, _) = self.bring(&companion.module, &[])?;
            self.companions.push(instance);
            self.dialogue.start(instance, &[&companion.name])?;
        }
        let (instance, loaded) = match &plan.module {
            Some(module) => self.bring(module, &plan.allowed)?,
            None => self.dialogue.load_measured(Source::Newest, &plan.allowed)?,
        };
        self.figures.instance = Some(instance);
        if let Some(loaded) = loaded {
            self.figures.load = loaded.load_instructions;
            self.figures.linear_memory = loaded.linear_memory;
            self.figures.overhead = loaded.overhead;
        }
        self.dialogue.call(Start {
            instance,
            call: plan.call.as_deref().map_or(Call::Entry, Call::Export),
            arguments: arguments(plan)?,
            fuel: plan.fuel,
            detached: false,
        })?;
        if !plan.input.is_empty() {
            self.dialogue.transport().send(&plan.input)?;
        }
        let (end, instructions) = self.wait(|message| match message {
            Message::Hello { .. } => Some((End::Restarted, None)),
            _ => end_of(message, instance),
        })?;
        self.figures.call = instructions;
        self.figures.at_end = self.dialogue.counters();
        Ok(end)
    }

    /// Loads a module into RAM.
    fn bring(&mut self, module: &[u8], allowed: &[String]) -> Result<(InstanceId, Option<Loaded>), Trouble> {
        let token = self.token;
        self.token = token.wrapping_add(1);
        let (module, seal) = Seal::split(module);
        self.dialogue.upload(token, module, &seal, Goal::Ram, &mut |_| {})?;
        self.dialogue.load_measured(Source::Upload { token }, allowed)
    }

    /// Waits for something that is told unasked. Ends of companions are noted; a refusal or a limit ends the run.
    fn wait<T>(&mut self, wanted: impl Fn(&Message) -> Option<T>) -> Result<T, Trouble> {
        loop {
            let Some(message) = self.dialogue.next(None)? else { continue };
            if let Some(found) = wanted(&message) {
                return Ok(found);
            }
            if let Message::Refused(refused) = message {
                return Err(Trouble::Refused(refused));
            }
            self.note_companion(&message);
        }
    }

    fn note_companion(&mut self, message: &Message) {
        let ends = (0..).zip(&self.companions);
        self.ended.extend(ends.filter_map(|(index, companion)| Some((index, end_of(message, *companion)?.0))));
    }
}

/// How the call of an instance ended, if this message says so, and its machine instructions.
fn end_of(message: &Message, of: InstanceId) -> Option<(End, Option<u64>)> {
    match message {
        Message::Exited(exited) if exited.instance == of => {
            Some((End::Exited(exited.result), Some(exited.instructions)))
        }
        Message::Trapped { instance, trap, instructions } if *instance == of => {
            Some((End::Trapped(trap.clone()), Some(*instructions)))
        }
        _ => None,
    }
}

fn arguments(plan: &Plan) -> Result<heapless::Vec<Argument<'_>, MAX_ARGUMENTS>, DeviceError> {
    let mut arguments = heapless::Vec::new();
    for argument in &plan.arguments {
        let argument = match argument {
            PlannedArgument::Text(text) => Argument::Text(text),
            PlannedArgument::Integer(integer) => Argument::Integer(*integer),
            PlannedArgument::Number(number) => Argument::Number(*number),
        };
        arguments.push(argument).map_err(|_| DeviceError {
            message: format!("a call takes at most {MAX_ARGUMENTS} arguments"),
            help: "leave some out, or pass them in one string".into(),
        })?;
    }
    Ok(arguments)
}
