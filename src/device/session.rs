//! One run of a module over the link: greet, start, follow until the end, ask for figures.

use std::time::Duration;

use espb_link::PROTOCOL;
use espb_link::event::{Event, Refusal, Stats, Value};
use espb_link::frame::{self, MAX_FRAME};
use espb_link::request::{Argument, Call, MAX_ARGUMENTS, Request, Start};
use espb_link::splitter::{Piece, Splitter};

use super::transport::{Counters, DeviceError, Received, Transport};

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The export to call; `None` for the entry.
    pub call: Option<String>,
    /// Arguments, as the user wrote them.
    pub arguments: Vec<PlannedArgument>,
    /// Units of fuel; `None` without limit.
    pub fuel: Option<u64>,
    /// When to stop, on the device's clock.
    pub until: Option<Duration>,
    /// Whether to ask for figures at the end.
    pub stats: bool,
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
    Refused(RefusedStart),
    /// The time of [`Plan::until`] came.
    TimeReached,
    /// The wall-clock limit came.
    Timeout,
}

/// A trap report, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// The trap's number.
    pub code: u8,
    /// The trap in words.
    pub reason: String,
    /// The value that caused it.
    pub value: Option<u32>,
    /// Task that ran the code.
    pub task: String,
    /// Function and code word, innermost first.
    pub backtrace: Vec<(u16, u32)>,
}

/// Why the device did not start the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedStart {
    /// What kind of refusal.
    pub kind: Refusal,
    /// Byte offset in the module, where there is one.
    pub offset: Option<u32>,
    /// The reason in words.
    pub reason: String,
}

/// Figures of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
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
    /// Its figures; `firmware` only if they were asked for.
    pub figures: Figures,
}

/// How long, on the device's clock, a running device may take to answer a request.
const ANSWER: Duration = Duration::from_secs(2);

/// Runs a module that lies in the device's slot. Console text goes to `console` as it comes.
pub fn run(transport: &mut dyn Transport, plan: &Plan, console: &mut dyn FnMut(&[u8])) -> Result<Outcome, DeviceError> {
    let mut session = Session { transport, splitter: Splitter::new(), figures: Figures::default() };
    let end = session.follow(plan, console)?;
    if plan.stats && end != End::Timeout {
        session.figures.firmware = session.ask_for_stats()?;
    }
    Ok(Outcome { end, figures: session.figures })
}

struct Session<'a> {
    transport: &'a mut dyn Transport,
    splitter: Splitter,
    figures: Figures,
}

/// What a message means for the course of the run.
enum Step {
    Greeted,
    Ended(End),
    Stats(Stats),
    Other,
}

impl Session<'_> {
    fn follow(&mut self, plan: &Plan, console: &mut dyn FnMut(&[u8])) -> Result<End, DeviceError> {
        self.transport.set_deadline(plan.until);
        let mut started = false;
        loop {
            let limit = match self.transport.receive()? {
                Received::Bytes(bytes) => {
                    for step in self.take(&bytes, console)? {
                        match step {
                            Step::Greeted if !started => {
                                started = true;
                                self.start(plan)?;
                            }
                            Step::Ended(end) => return Ok(end),
                            Step::Greeted | Step::Stats(_) | Step::Other => {}
                        }
                    }
                    continue;
                }
                Received::Deadline => End::TimeReached,
                Received::Timeout => End::Timeout,
            };
            self.figures.at_end = self.transport.counters();
            return Ok(limit);
        }
    }

    fn start(&mut self, plan: &Plan) -> Result<(), DeviceError> {
        let mut arguments = heapless::Vec::<_, MAX_ARGUMENTS>::new();
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
        let call = plan.call.as_deref().map_or(Call::Entry, Call::Export);
        self.send(&Request::Start(Start { call, arguments, fuel: plan.fuel, detached: false }))
    }

    fn send(&mut self, request: &Request<'_>) -> Result<(), DeviceError> {
        let mut buffer = [0; MAX_FRAME];
        let framed = frame::encode(request, &mut buffer).map_err(|error| DeviceError {
            message: error.to_string(),
            help: "shorten the name and the arguments of the call".into(),
        })?;
        self.transport.send(framed)
    }

    /// What the module prints meanwhile is behind the end of the run and is not shown. `None` if the wall clock's limit came first.
    fn ask_for_stats(&mut self) -> Result<Option<Stats>, DeviceError> {
        self.transport.set_deadline(Some(self.transport.now() + ANSWER));
        self.send(&Request::Stats)?;
        loop {
            match self.transport.receive()? {
                Received::Timeout => return Ok(None),
                Received::Deadline => {
                    return Err(DeviceError {
                        message: "the firmware no longer answers over the link".into(),
                        help: "this is a fault of the firmware: please report it with the module that caused it".into(),
                    });
                }
                Received::Bytes(bytes) => {
                    let ended = self.figures;
                    let steps = self.take(&bytes, &mut |_| {})?;
                    self.figures = ended;
                    for step in steps {
                        if let Step::Stats(stats) = step {
                            return Ok(Some(stats));
                        }
                    }
                }
            }
        }
    }

    fn take(&mut self, bytes: &[u8], console: &mut dyn FnMut(&[u8])) -> Result<Vec<Step>, DeviceError> {
        let mut steps = Vec::new();
        for byte in bytes {
            match self.splitter.push(*byte) {
                Piece::Nothing => {}
                Piece::Text(text) => console(text),
                Piece::Message(message) => {
                    let event = frame::decode(message).map_err(|error| DeviceError {
                        message: error.to_string(),
                        help: "the firmware speaks another protocol version: flash the one of this espb".into(),
                    })?;
                    steps.push(step(event, &mut self.figures, self.transport.counters())?);
                }
            }
        }
        Ok(steps)
    }
}

fn step(event: Event<'_>, figures: &mut Figures, counters: Option<Counters>) -> Result<Step, DeviceError> {
    let end = match event {
        Event::Hello(hello) if hello.protocol != PROTOCOL => {
            return Err(DeviceError {
                message: format!("the firmware speaks link protocol {}, this espb speaks {PROTOCOL}", hello.protocol),
                help: "flash the firmware of this espb".into(),
            });
        }
        Event::Hello(hello) => {
            figures.boot = hello.boot_instructions;
            return Ok(Step::Greeted);
        }
        Event::Loaded(loaded) => {
            figures.load = loaded.load_instructions;
            figures.linear_memory = loaded.linear_memory;
            figures.overhead = loaded.overhead;
            return Ok(Step::Other);
        }
        Event::Stats(stats) => return Ok(Step::Stats(stats)),
        Event::Started | Event::Stopped | Event::Pong { .. } => return Ok(Step::Other),
        Event::Refused(refused) => {
            End::Refused(RefusedStart { kind: refused.kind, offset: refused.offset, reason: refused.reason.into() })
        }
        Event::Exited(exited) => {
            figures.call = Some(exited.instructions);
            End::Exited(exited.result)
        }
        Event::Trapped(trapped) => {
            figures.call = Some(trapped.instructions);
            End::Trapped(Trap {
                code: trapped.code,
                reason: trapped.reason.into(),
                value: trapped.value,
                task: trapped.task.into(),
                backtrace: trapped.backtrace.iter().map(|frame| (frame.function, frame.word)).collect(),
            })
        }
    };
    figures.at_end = counters;
    Ok(Step::Ended(end))
}
