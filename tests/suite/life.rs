//! Instances come, live side by side and go, in the emulated chip, over the link: nothing of one is left, and none disturbs another.

use std::path::{Path, PathBuf};
use std::time::Duration;

use espb::device::client::{Client, Heard, Message};
use espb::device::emulated::{Attached, Count, EmulatedDevice};
use espb_format::checksum::crc32;
use espb_image::Chip;
use espb_link::event::{Refusal, Resident, State, Stats, Value};
use espb_link::request::{Argument, Call, Destination, MAX_CHUNK, Request, Start, Upload};
use espb_link::{InstanceId, Source};

use crate::compile::to_ir;
use crate::program::espb;

/// Virtual time in which a device must have answered. A callback without end is stopped after about two seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// The module that all of these tests use, with its functions as exports.
fn module(folder: &Path) -> PathBuf {
    let module = folder.join("rounds.espb");
    let exports = [
        "leave",
        "trap",
        "linger",
        "hang_in_callback",
        "hang",
        "give_queue",
        "give_function",
        "give_memory",
        "count",
        "use_queue",
        "use_function",
        "use_memory",
        "use_uart",
        "write_later",
        "write_later_and_trap",
        "guard",
        "damage",
    ];
    let mut arguments =
        vec![String::from("build"), to_ir(Path::new("fixtures/life/rounds.c"), folder).display().to_string()];
    arguments.extend(exports.iter().flat_map(|name| [String::from("--export"), (*name).into()]));
    arguments.extend(["--heap", "16K:16K", "-o"].map(String::from));
    arguments.push(module.display().to_string());
    let built = espb(arguments);
    assert_eq!(built.code, 0, "{}", built.transcript());
    module
}

fn boot(module: &Path) -> EmulatedDevice {
    let bytes = std::fs::read(module).expect("just built");
    EmulatedDevice::boot(Chip::Esp32c3, &bytes, None, Count::Nothing, Attached::default()).expect("it boots")
}

/// A conversation with the firmware that gives up when it stops or is silent.
struct Device<'t> {
    client: Client<'t>,
    console: Vec<u8>,
    uploads: u32,
}

impl<'t> Device<'t> {
    fn greet(device: &'t mut EmulatedDevice) -> Self {
        let mut greeted = Self { client: Client::new(device), console: Vec::new(), uploads: 0 };
        greeted.hear(|message| matches!(message, Message::Hello { .. }).then_some(()));
        greeted
    }

    fn hear<T>(&mut self, wanted: impl Fn(&Message) -> Option<T>) -> T {
        let deadline = self.client.transport().now() + PATIENCE;
        self.client.transport().set_deadline(Some(deadline));
        loop {
            let console = &mut self.console;
            let heard = self.client.receive(&mut |text| console.extend_from_slice(text)).expect("the chip goes on");
            let text = || String::from_utf8_lossy(&self.console).into_owned();
            let Heard::Message(message, _) = heard else { panic!("no answer; the console says: {}", text()) };
            if let Some(found) = wanted(&message) {
                assert!(!text().contains("firmware stopped"), "{}", text());
                return found;
            }
        }
    }

    fn ask<T>(&mut self, request: &Request<'_>, wanted: impl Fn(&Message) -> Option<T>) -> T {
        self.client.send(request).expect("the chip takes bytes");
        self.hear(wanted)
    }

    fn stats(&mut self) -> Stats {
        self.ask(&Request::Stats { instance: None }, |message| match message {
            Message::Stats(stats) => Some(*stats),
            _ => None,
        })
    }

    fn list(&mut self) -> Vec<Resident> {
        self.ask(&Request::List, |message| match message {
            Message::Instances(residents) => Some(residents.clone()),
            _ => None,
        })
    }

    /// Makes an instance of the module in the slot, of which there can be one.
    fn load(&mut self) -> Result<InstanceId, Refusal> {
        self.load_from(Source::Newest)
    }

    /// Makes an instance of a module that is sent into RAM.
    fn load_sent(&mut self, module: &[u8]) -> Result<InstanceId, Refusal> {
        self.uploads += 1;
        let token = self.uploads;
        let (length, crc32) = (module.len() as u32, crc32(module));
        let destination = Destination::Ram;
        let offer = Upload { token, length, crc32, version: 0, floor: 0, signature: &[], destination };
        self.ask(&Request::Upload(offer), |message| matches!(message, Message::Received { .. }).then_some(()));
        for (index, bytes) in module.chunks(MAX_CHUNK).enumerate() {
            let offset = (index * MAX_CHUNK) as u32;
            let end = offset + bytes.len() as u32;
            self.ask(&Request::Chunk { token, offset, bytes }, |message| {
                matches!(message, Message::Received { bytes, .. } if *bytes == end).then_some(())
            });
        }
        self.load_from(Source::Upload { token })
    }

    fn load_from(&mut self, source: Source) -> Result<InstanceId, Refusal> {
        self.ask(&Request::Load { source, allowed: heapless::Vec::new() }, |message| match message {
            Message::Loaded(loaded) => Some(Ok(loaded.instance)),
            Message::Refused(refused) => Some(Err(refused.kind)),
            _ => None,
        })
    }

    fn start(&mut self, instance: InstanceId, function: &str, arguments: &[i64], detached: bool) {
        let arguments = arguments.iter().map(|value| Argument::Integer(*value)).collect();
        let start = Start { instance, call: Call::Export(function), arguments, fuel: None, detached };
        self.client.send(&Request::Start(start)).expect("the chip takes bytes");
    }

    /// How the call of an instance ends.
    fn end(&mut self, of: InstanceId) -> End {
        self.hear(|message| match message {
            Message::Exited(exited) if exited.instance == of => Some(End::Exited(exited.result)),
            Message::Trapped { instance, trap, .. } if *instance == of => Some(End::Trapped(trap.reason.clone())),
            Message::Refused(refused) => Some(End::Refused(refused.kind)),
            _ => None,
        })
    }

    fn call(&mut self, instance: InstanceId, function: &str, arguments: &[i64]) -> End {
        self.start(instance, function, arguments, true);
        self.end(instance)
    }

    fn word(&mut self, instance: InstanceId, function: &str) -> u32 {
        match self.call(instance, function, &[]) {
            End::Exited(Value::I32(word)) => word as u32,
            other => panic!("{function} gives {other:?}"),
        }
    }

    fn stop(&mut self, instance: InstanceId) {
        self.ask(&Request::Stop { instance }, |message| (*message == Message::Stopped(instance)).then_some(()));
    }

    /// Goes on for so long.
    fn wait(&mut self, time: Duration) {
        let deadline = self.client.transport().now() + time;
        self.client.transport().set_deadline(Some(deadline));
        let console = &mut self.console;
        while self.client.receive(&mut |text| console.extend_from_slice(text)).expect("the chip goes on")
            != Heard::Deadline
        {}
    }
}

#[derive(Debug, PartialEq)]
enum End {
    Exited(Value),
    Trapped(String),
    Refused(Refusal),
}

/// What must be as before when instances are gone.
fn resources(stats: Stats) -> [u32; 3] {
    [stats.free_heap, stats.largest_free_block, stats.free_thunks]
}

#[test]
fn a_thousand_rounds_leave_nothing_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut device = boot(&module(folder.path()));
    let mut device = Device::greet(&mut device);
    let before = resources(device.stats());
    for round in 0..1000 {
        let instance = device.load().expect("there is room");
        // Callbacks without end take long: every hundredth round.
        match (round % 4, round % 100) {
            (_, 99) => {
                device.start(instance, "hang_in_callback", &[], false);
                device.wait(Duration::from_millis(20));
                device.stop(instance);
            }
            (0, _) => {
                device.start(instance, "leave", &[], false);
                assert_eq!(device.end(instance), End::Exited(Value::I32(0)), "round {round}");
            }
            (1, _) => {
                device.start(instance, "trap", &[], false);
                assert!(matches!(device.end(instance), End::Trapped(_)), "round {round}");
            }
            (2, _) => {
                device.start(instance, "linger", &[], false);
                // Into the middle of its preparations, or behind them.
                device.wait(Duration::from_micros(4000 + 37 * round));
                device.stop(instance);
            }
            _ => {
                device.start(instance, "hang", &[], false);
                device.wait(Duration::from_micros(100 + 53 * round));
                device.stop(instance);
            }
        }
        assert_eq!(resources(device.stats()), before, "after round {round}");
    }
    let stats = device.stats();
    assert!(stats.heartbeats.abs_diff(stats.ticks / 10) <= 1, "{} heartbeats in {} ms", stats.heartbeats, stats.ticks);
}

/// `ESP_ERR_NOT_ALLOWED`.
const NOT_ALLOWED: u32 = 0x10d;

#[test]
fn two_instances_share_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let module = module(folder.path());
    let bytes = std::fs::read(&module).expect("just built");
    let mut device = boot(&module);
    let mut device = Device::greet(&mut device);
    let before = resources(device.stats());
    let giver = device.load().expect("there is room");
    let queue = device.word(giver, "give_queue");
    assert_ne!(queue, 0);
    for (give, take) in [("give_queue", "use_queue"), ("give_function", "use_function"), ("give_memory", "use_memory")]
    {
        // What makes the queue was called already, and everything is in use.
        let given = if give == "give_queue" { queue } else { device.word(giver, give) };
        let taker = device.load_sent(&bytes).expect("there is room for two");
        let states: Vec<State> = device.list().iter().map(|resident| resident.state).collect();
        assert_eq!(states, [State::Idle, State::Loaded]);
        device.start(taker, take, &[given.into()], true);
        let end = device.end(taker);
        assert!(matches!(end, End::Trapped(_)), "{take} with what is another's: {end:?}");
        assert_eq!(device.list().len(), 1, "the one that trapped is gone, the other is not");
    }
    let taker = device.load_sent(&bytes).expect("there is room for two");
    assert_eq!(device.word(taker, "use_uart"), NOT_ALLOWED, "it is the giver's");
    device.stop(taker);
    // The giver's own timers fire all the while, and its handle is good in its own hands.
    let earlier = device.word(giver, "count");
    device.wait(Duration::from_millis(100));
    assert!(device.word(giver, "count") > earlier + 100, "two timers of a millisecond each go on");
    assert_eq!(device.call(giver, "use_queue", &[queue.into()]), End::Exited(Value::I32(1)));
    device.stop(giver);
    assert_eq!(resources(device.stats()), before);
}

#[test]
fn there_is_a_limit_to_instances_and_each_has_its_own_number() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let module = module(folder.path());
    let bytes = std::fs::read(&module).expect("just built");
    let mut device = boot(&module);
    let mut device = Device::greet(&mut device);
    let before = resources(device.stats());
    let instances: Vec<InstanceId> =
        (0..4).map(|_| device.load_sent(&bytes).expect("there is room for four")).collect();
    assert_eq!(instances, [1, 2, 3, 4].map(InstanceId));
    assert_eq!(device.load_sent(&bytes), Err(Refusal::Request));
    device.stop(InstanceId(2));
    assert_eq!(device.load_sent(&bytes), Ok(InstanceId(5)));
    assert_eq!(device.call(InstanceId(2), "count", &[]), End::Refused(Refusal::Request));
    for instance in [1, 3, 4, 5] {
        device.stop(InstanceId(instance));
    }
    assert_eq!(resources(device.stats()), before);
}

/// What an instance has asked to be written, a line, bytes, results, its own tasks' stacks, is not written when it has ended.
#[test]
fn nothing_is_written_after_an_instance_has_ended() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let module = module(folder.path());
    let mut device = boot(&module);
    let mut device = Device::greet(&mut device);
    for way in ["write_later", "write_later_and_trap"] {
        let first = device.load().expect("there is room");
        device.start(first, way, &[], true);
        if way == "write_later" {
            device.wait(Duration::from_millis(30));
            device.stop(first);
        } else {
            assert!(matches!(device.end(first), End::Trapped(_)));
        }
        // The next one gets the same memory.
        let second = device.load().expect("there is room");
        assert_ne!(device.word(second, "guard"), 0, "there is a heap to fill");
        device.client.transport().send(b"a line for the one before\n").expect("it is typed");
        device.wait(Duration::from_millis(50));
        assert_eq!(device.word(second, "damage"), 0, "{way}");
        device.stop(second);
    }
}

/// However long the texts are that a module passes, the firmware's own tasks run in time while they are checked.
#[test]
fn long_texts_hold_nobody_up() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let module = folder.path().join("long_text.espb");
    let ir = to_ir(Path::new("fixtures/life/long_text.c"), folder.path()).display().to_string();
    let output = module.display().to_string();
    let built = espb(["build", &ir, "--export", "read_for_long", "--heap", "4K:4K", "-o", &output]);
    assert_eq!(built.code, 0, "{}", built.transcript());
    let mut device = boot(&module);
    let mut device = Device::greet(&mut device);
    let instance = device.load().expect("there is room");
    assert_eq!(device.word(instance, "read_for_long"), 20);
    let delay = device.stats().heartbeat_delay;
    assert!(delay < 500, "a heartbeat came {delay} microseconds late");
    device.stop(instance);
}

/// The n-th allocation of a load and a run fails, for all n: whoever needed it is told, and nothing is lost.
#[test]
fn every_allocation_may_fail() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut chip = boot(&module(folder.path()));
    let allocator = chip.symbol("pvPortMalloc").expect("the kernel's allocator").start;
    // How many allocations still succeed before one fails.
    let countdown = std::rc::Rc::new(std::cell::Cell::new(None::<u32>));
    let left = countdown.clone();
    chip.watch(
        &[allocator],
        Box::new(move |machine| match left.get() {
            Some(0) => {
                machine.return_early(0);
                left.set(None);
            }
            Some(count) => left.set(Some(count - 1)),
            None => {}
        }),
    );
    let mut device = Device::greet(&mut chip);
    let before = resources(device.stats());
    let mut failed = 0;
    for allowed in 0.. {
        countdown.set(Some(allowed));
        match device.load() {
            Err(kind) => assert_eq!(kind, Refusal::Memory, "allocation {allowed}"),
            Ok(instance) => {
                device.start(instance, "leave", &[], false);
                let end = device.end(instance);
                if matches!(end, End::Refused(_)) {
                    // The main task could not be made; the instance is still there.
                    assert_eq!(end, End::Refused(Refusal::Memory), "allocation {allowed}");
                    device.stop(instance);
                }
            }
        }
        assert_eq!(resources(device.stats()), before, "when allocation {allowed} failed");
        if countdown.replace(None).is_some() {
            break;
        }
        failed += 1;
    }
    assert!(failed > 20, "only {failed} allocations were made to fail");
}

/// What `espb run --with` shows: a module beside another, whose trap is told and disturbs nobody.
#[test]
fn a_module_beside_another_may_trap() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = |source: &str| to_ir(Path::new(source), folder.path()).display().to_string();
    let (timers, trap) = (program("fixtures/tasks/timers.c"), program("fixtures/bad/trap_in_task.c"));
    let alone = espb(["run", "--timeout", "120s", &timers]);
    let beside = espb(["run", "--timeout", "120s", "--with", &trap, &timers]);
    assert_eq!((alone.code, beside.code), (0, 0), "{}", beside.transcript());
    assert!(beside.stderr.contains("espb::run::trap"), "{}", beside.transcript());
    let (other, own): (Vec<&str>, Vec<&str>) = beside.stdout.lines().partition(|line| line.starts_with("main at"));
    assert_eq!(other.len(), 3, "the other ran until it trapped after 100 ms: {}", beside.transcript());
    assert_eq!(own, alone.stdout.lines().collect::<Vec<_>>(), "{}", beside.transcript());
}
