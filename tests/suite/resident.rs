//! Instances over the link of an emulated chip, one request at a time: what tests of loading, running and ending share. Knows no module.

use std::path::Path;
use std::time::Duration;

use espb::device::client::{Client, Heard, Message, RefusedRequest, SlotRow};
use espb::device::emulated::{Attached, Count, EmulatedDevice};
use espb_format::checksum::crc32;
use espb_image::Chip;
use espb_link::event::{Refusal, Resident, Stats, Value};
use espb_link::request::{Argument, Call, Destination, MAX_CHUNK, Request, Start, Upload};
use espb_link::{InstanceId, Source};

use crate::compile::to_ir;
use crate::program::espb;

/// Virtual time in which a device must have answered. A callback without end is stopped after about two seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Microseconds that a heartbeat may come late: a tick of the kernel.
const MOST_DELAY: u32 = 1000;

/// A fixture as a module, with these of its functions as exports.
pub fn build(source: &str, exports: &[&str], options: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (ir, module) = (to_ir(Path::new(source), folder.path()), folder.path().join("built.espb"));
    let [ir, output] = [&ir, &module].map(|path| path.display().to_string());
    let mut arguments = vec!["build", &ir, "-o", &output];
    arguments.extend(exports.iter().flat_map(|name| ["--export", name]));
    arguments.extend(options);
    let built = espb(arguments);
    assert_eq!(built.code, 0, "{}", built.transcript());
    std::fs::read(module).expect("just built")
}

/// A chip with the module in its first slot.
pub fn boot(module: &[u8]) -> EmulatedDevice {
    EmulatedDevice::boot(Chip::Esp32c3, module, None, Count::Nothing, Attached::default()).expect("it boots")
}

/// Speaks with a chip that has the module in its first slot. Afterwards no instance is left, nothing of any, and the firmware has gone
/// on all the while, without a heartbeat that came late.
pub fn with_device(module: &[u8], body: impl FnOnce(&mut Device<'_>)) {
    let mut chip = boot(module);
    let mut device = Device::greet(&mut chip);
    let before = resources(device.stats());
    body(&mut device);
    assert_eq!(device.list().len(), 0, "every instance has ended");
    let stats = device.stats();
    assert_eq!(resources(stats), before, "nothing of an instance is left");
    assert!(stats.heartbeats.abs_diff(stats.ticks / 10) <= 1, "{} heartbeats in {} ms", stats.heartbeats, stats.ticks);
    let late = stats.heartbeat_delay;
    assert!(late <= MOST_DELAY, "the firmware's own tasks waited for {late} microseconds");
}

/// A conversation with the firmware that gives up when it stops or is silent.
pub struct Device<'t> {
    client: Client<'t>,
    console: Vec<u8>,
    uploads: u32,
}

impl<'t> Device<'t> {
    pub fn greet(device: &'t mut EmulatedDevice) -> Self {
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

    /// What was asked for, or the refusal.
    fn demand<T>(
        &mut self,
        request: &Request<'_>,
        wanted: impl Fn(&Message) -> Option<T>,
    ) -> Result<T, RefusedRequest> {
        self.ask(request, |message| match message {
            Message::Refused(refused) => Some(Err(refused.clone())),
            other => wanted(other).map(Ok),
        })
    }

    pub fn stats(&mut self) -> Stats {
        self.ask(&Request::Stats { instance: None }, |message| match message {
            Message::Stats(stats) => Some(*stats),
            _ => None,
        })
    }

    pub fn list(&mut self) -> Vec<Resident> {
        self.ask(&Request::List, |message| match message {
            Message::Instances(residents) => Some(residents.clone()),
            _ => None,
        })
    }

    pub fn slots(&mut self) -> Vec<SlotRow> {
        self.ask(&Request::Slots, |message| match message {
            Message::Slots(table) => Some(table.slots.clone()),
            _ => None,
        })
    }

    /// Makes an instance of the module in the slot, of which there can be one.
    pub fn load(&mut self) -> Result<InstanceId, RefusedRequest> {
        self.load_from(Source::Newest)
    }

    /// Makes an instance of a module that is sent into RAM.
    pub fn load_sent(&mut self, module: &[u8]) -> Result<InstanceId, RefusedRequest> {
        let token = self.send(module, Destination::Ram)?;
        self.load_from(Source::Upload { token })
    }

    /// Puts a module into this slot, or into the one that the device chooses, and says which.
    pub fn install(&mut self, module: &[u8], slot: Option<u8>) -> Result<u8, RefusedRequest> {
        let token = self.send(module, Destination::Slot { slot, autostart: false, name: "" })?;
        self.demand(&Request::Store { token }, |message| match message {
            Message::Stored { slot, .. } => Some(*slot),
            _ => None,
        })
    }

    /// The module on trial in this slot is a success.
    pub fn confirm(&mut self, slot: u8) {
        self.ask(&Request::Confirm { slot }, |message| matches!(message, Message::Slots(_)).then_some(()));
    }

    fn send(&mut self, module: &[u8], destination: Destination<'_>) -> Result<u32, RefusedRequest> {
        self.uploads += 1;
        let token = self.uploads;
        let (length, crc32) = (module.len() as u32, crc32(module));
        let offer = Upload { token, length, crc32, version: 0, floor: 0, signature: &[], destination };
        self.demand(&Request::Upload(offer), |message| matches!(message, Message::Received { .. }).then_some(()))?;
        for (index, bytes) in module.chunks(MAX_CHUNK).enumerate() {
            let offset = (index * MAX_CHUNK) as u32;
            let end = offset + bytes.len() as u32;
            self.demand(&Request::Chunk { token, offset, bytes }, |message| {
                matches!(message, Message::Received { bytes, .. } if *bytes == end).then_some(())
            })?;
        }
        Ok(token)
    }

    pub fn load_from(&mut self, source: Source) -> Result<InstanceId, RefusedRequest> {
        self.demand(&Request::Load { source, allowed: heapless::Vec::new() }, |message| match message {
            Message::Loaded(loaded) => Some(loaded.instance),
            _ => None,
        })
    }

    pub fn start(&mut self, instance: InstanceId, function: &str, arguments: &[i64], detached: bool) {
        let arguments = arguments.iter().map(|value| Argument::Integer(*value)).collect();
        let start = Start { instance, call: Call::Export(function), arguments, fuel: None, detached };
        self.client.send(&Request::Start(start)).expect("the chip takes bytes");
    }

    /// How the call of an instance ends.
    pub fn end(&mut self, of: InstanceId) -> End {
        self.hear(|message| match message {
            Message::Exited(exited) if exited.instance == of => Some(End::Exited(exited.result)),
            Message::Trapped { instance, trap, .. } if *instance == of => Some(End::Trapped(trap.reason.clone())),
            Message::Refused(refused) => Some(End::Refused(refused.kind)),
            _ => None,
        })
    }

    /// A call of an instance that stays.
    pub fn call(&mut self, instance: InstanceId, function: &str, arguments: &[i64]) -> End {
        self.start(instance, function, arguments, true);
        self.end(instance)
    }

    /// A call of an instance that goes with it.
    pub fn call_last(&mut self, instance: InstanceId, function: &str, arguments: &[i64]) -> End {
        self.start(instance, function, arguments, false);
        self.end(instance)
    }

    pub fn word(&mut self, instance: InstanceId, function: &str) -> u32 {
        match self.call(instance, function, &[]) {
            End::Exited(Value::I32(word)) => word as u32,
            other => panic!("{function} gives {other:?}"),
        }
    }

    pub fn stop(&mut self, instance: InstanceId) {
        self.ask(&Request::Stop { instance }, |message| (*message == Message::Stopped(instance)).then_some(()));
    }

    /// Types a text at the console.
    pub fn type_text(&mut self, text: &str) {
        self.client.transport().send(text.as_bytes()).expect("it is typed");
    }

    /// Goes on for so long.
    pub fn wait(&mut self, time: Duration) {
        let deadline = self.client.transport().now() + time;
        self.client.transport().set_deadline(Some(deadline));
        let console = &mut self.console;
        while self.client.receive(&mut |text| console.extend_from_slice(text)).expect("the chip goes on")
            != Heard::Deadline
        {}
    }
}

#[derive(Debug, PartialEq)]
pub enum End {
    Exited(Value),
    Trapped(String),
    Refused(Refusal),
}

/// What must be as before when instances are gone: bytes of the heap, its largest block, thunks.
pub fn resources(stats: Stats) -> [u32; 3] {
    [stats.free_heap, stats.largest_free_block, stats.free_thunks]
}
