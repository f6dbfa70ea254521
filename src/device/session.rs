//! One run of a module over the link: greet, load, start, follow until the end, ask for figures.

use std::time::Duration;

use espb_format::checksum::crc32;
use espb_link::event::{Loaded, Stats, Value};
use espb_link::request::{Argument, Call, Destination, MAX_ALLOWED, MAX_ARGUMENTS, MAX_CHUNK, Request, Start, Upload};
use espb_link::{InstanceId, PROTOCOL, Source};
use espb_slots::Seal;

use super::client::{Client, Heard, Message, RefusedRequest, Trap};
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

/// How long, on the device's clock, a running device may take to answer a request.
const ANSWER: Duration = Duration::from_secs(2);

/// Runs the plan's module, or the one in the device's newest slot. Console text goes to `console` as it comes.
pub fn run(transport: &mut dyn Transport, plan: &Plan, console: &mut dyn FnMut(&[u8])) -> Result<Outcome, DeviceError> {
    transport.set_deadline(plan.until);
    let mut session = Session {
        client: Client::new(transport),
        console,
        figures: Figures::default(),
        companions: Vec::new(),
        uploads: 0,
        ended: Vec::new(),
    };
    let (instance, end) = match session.follow(plan) {
        Ok((instance, end)) => (Some(instance), end),
        Err(Halt::Ended(end)) => {
            session.figures.at_end = session.client.counters();
            (session.figures.instance, end)
        }
        Err(Halt::Failed(_)) if session.client.transport().has_reset() => {
            session.figures.at_end = session.client.counters();
            (session.figures.instance, End::Restarted)
        }
        Err(Halt::Failed(error)) => return Err(error),
    };
    if plan.stats && !matches!(end, End::Timeout | End::Restarted) {
        session.figures.firmware = session.ask_for_stats(instance)?;
    }
    Ok(Outcome { end, companions: session.ended, figures: session.figures })
}

struct Session<'a> {
    client: Client<'a>,
    console: &'a mut dyn FnMut(&[u8]),
    figures: Figures,
    companions: Vec<InstanceId>,
    /// How many modules were brought: the number of the last upload.
    uploads: u32,
    ended: Vec<(usize, End)>,
}

/// Why a run does not go on.
enum Halt {
    Ended(End),
    Failed(DeviceError),
}

impl From<DeviceError> for Halt {
    fn from(error: DeviceError) -> Self {
        Self::Failed(error)
    }
}

impl Session<'_> {
    fn follow(&mut self, plan: &Plan) -> Result<(InstanceId, End), Halt> {
        if plan.module.is_some() {
            self.client.send(&Request::Hello { protocol: PROTOCOL })?;
        }
        self.figures.boot = self.wait(|message| match message {
            Message::Hello { boot_instructions, .. } => Some(*boot_instructions),
            _ => None,
        })?;
        for companion in &plan.companions {
            let instance = self.bring(&companion.module, &[])?.instance;
            self.companions.push(instance);
            self.start(Start {
                instance,
                call: Call::Entry,
                arguments: [Argument::Text(&companion.name)].into_iter().collect(),
                fuel: None,
                detached: true,
            })?;
        }
        let loaded = match &plan.module {
            Some(module) => self.bring(module, &plan.allowed)?,
            None => self.load(Source::Newest, &plan.allowed)?,
        };
        self.figures.instance = Some(loaded.instance);
        self.figures.load = loaded.load_instructions;
        self.figures.linear_memory = loaded.linear_memory;
        self.figures.overhead = loaded.overhead;
        self.start(Start {
            instance: loaded.instance,
            call: plan.call.as_deref().map_or(Call::Entry, Call::Export),
            arguments: arguments(plan)?,
            fuel: plan.fuel,
            detached: false,
        })?;
        if !plan.input.is_empty() {
            self.client.transport().send(&plan.input)?;
        }
        let (end, instructions) = self.wait(|message| end_of(message, loaded.instance))?;
        self.figures.call = instructions;
        self.figures.at_end = self.client.counters();
        Ok((loaded.instance, end))
    }

    /// Loads a module into RAM.
    fn bring(&mut self, module: &[u8], allowed: &[String]) -> Result<Loaded, Halt> {
        self.uploads += 1;
        let token = self.uploads;
        let (module, seal) = Seal::split(module);
        let length = u32::try_from(module.len()).map_err(|_| DeviceError {
            message: "the module is longer than any device's memory".into(),
            help: "build it with -Os and --strip".into(),
        })?;
        self.client.send(&Request::Upload(Upload {
            token,
            length,
            crc32: crc32(module),
            version: seal.version,
            floor: seal.floor,
            signature: seal.signature.as_ref().map_or(&[], |signature| signature.as_slice()),
            destination: Destination::Ram,
        }))?;
        let mut received = self.received(token)?;
        while let Some(rest) = module.get(received as usize..).filter(|rest| !rest.is_empty()) {
            let bytes = rest.get(..MAX_CHUNK).unwrap_or(rest);
            self.client.send(&Request::Chunk { token, offset: received, bytes })?;
            received = self.received(token)?;
        }
        self.load(Source::Upload { token }, allowed)
    }

    fn received(&mut self, of: u32) -> Result<u32, Halt> {
        self.wait(|message| match message {
            Message::Received { token, bytes, .. } if *token == of => Some(*bytes),
            _ => None,
        })
    }

    fn load(&mut self, source: Source, allowed: &[String]) -> Result<Loaded, Halt> {
        // Those beyond what the link takes are refused by name.
        let allowed = allowed.iter().map(String::as_str).take(MAX_ALLOWED).collect();
        self.client.send(&Request::Load { source, allowed })?;
        self.wait(|message| match message {
            Message::Loaded(loaded) => Some(*loaded),
            _ => None,
        })
    }

    fn start(&mut self, start: Start<'_>) -> Result<(), Halt> {
        let instance = start.instance;
        self.client.send(&Request::Start(start))?;
        self.wait(|message| (*message == Message::Started(instance)).then_some(()))
    }

    /// Waits for a message. Ends of companions are noted; a refusal or a limit ends the run.
    fn wait<T>(&mut self, wanted: impl Fn(&Message) -> Option<T>) -> Result<T, Halt> {
        loop {
            let message = match self.client.receive(self.console)? {
                Heard::Message(message) => message,
                Heard::Deadline => return Err(Halt::Ended(End::TimeReached)),
                Heard::Timeout => return Err(Halt::Ended(End::Timeout)),
            };
            if let Some(found) = wanted(&message) {
                return Ok(found);
            }
            if matches!(message, Message::Hello { .. }) && self.figures.instance.is_some() {
                return Err(Halt::Ended(End::Restarted));
            }
            if let Message::Refused(refused) = message {
                return Err(Halt::Ended(End::Refused(refused)));
            }
            let ends = (0..).zip(&self.companions);
            let ended = ends.filter_map(|(index, companion)| Some((index, end_of(&message, *companion)?.0)));
            self.ended.extend(ended);
        }
    }

    /// What the module prints meanwhile is behind the end of the run and is not shown. `None` if the wall clock's limit came first.
    fn ask_for_stats(&mut self, instance: Option<InstanceId>) -> Result<Option<Stats>, DeviceError> {
        let deadline = self.client.transport().now() + ANSWER;
        self.client.transport().set_deadline(Some(deadline));
        self.client.send(&Request::Stats { instance })?;
        loop {
            match self.client.receive(&mut |_| {})? {
                Heard::Message(Message::Stats(stats)) => return Ok(Some(stats)),
                Heard::Message(_) => {}
                Heard::Timeout => return Ok(None),
                Heard::Deadline => {
                    return Err(DeviceError {
                        message: "the firmware no longer answers over the link".into(),
                        help: "this is a fault of the firmware: please report it with the module that caused it".into(),
                    });
                }
            }
        }
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
