//! `espb monitor` against recorded lines: each event, traps with the lines of modules that it finds, crashes of the firmware.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use espb::device::emulated::EmulatedDevice;
use espb::device::firmware;
use espb::device::transport::{Received, Transport};
use espb_format::checksum::crc32;
use espb_image::{Chip, Placement, flash_image};
use espb_link::event::{Event, Exited, Frame, Hello, Loaded, Refusal, Refused, Slot, SlotInfo, Slots, Trapped, Value};
use espb_link::frame::{self, MAX_FRAME};
use espb_link::tag::Tag;
use espb_link::{InstanceId, PROTOCOL};
use object::{Object, ObjectSection, ObjectSymbol};

use crate::compile::to_ir;
use crate::messages;
use crate::program::{Finished, espb, finish};

/// What the monitor, started in `folder`, makes of these bytes.
fn monitor(folder: &Path, bytes: &[u8]) -> Finished {
    let link = folder.join("line");
    let listener = UnixListener::bind(&link).expect("a socket");
    let bytes = [bytes, b"\nthe end\n"].concat();
    let device = thread::spawn(move || {
        let (mut line, _) = listener.accept().expect("the monitor comes");
        line.write_all(&bytes).expect("it listens");
        line
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_espb"));
    command.args(["monitor", "--expect", "the end", "--timeout", "60s", "--message-format", "json", "--port"]);
    let finished = finish(command.arg(&link).current_dir(folder));
    drop(device.join().expect("the line held"));
    messages::check(&finished);
    assert_eq!(finished.code, 0, "{}", finished.transcript());
    finished
}

fn framed(event: &Event<'_>) -> Vec<u8> {
    frame::encode(event, Tag::UNASKED, &mut [0; MAX_FRAME]).expect("it fits").to_vec()
}

fn trapped(module_crc32: u32) -> Event<'static> {
    Event::Trapped(Trapped {
        instance: InstanceId(1),
        code: 1,
        reason: "load outside of the module's memory",
        value: Some(16),
        task: "main",
        backtrace: [Frame { function: 0, word: 0 }].into_iter().collect(),
        module_crc32,
        instructions: 9,
    })
}

#[test]
fn each_event_is_an_object_as_documented() {
    let instance = InstanceId(1);
    let hello = Hello {
        protocol: PROTOCOL,
        chip: "esp32c3",
        firmware: "0",
        free_heap: 1,
        boot_instructions: 2,
        slot: Slot::Empty,
    };
    let slot = SlotInfo { state: 3, newest: true, autostart: true, length: 8, capacity: 9, version: 1, name: "app" };
    let events = [
        Event::Hello(hello),
        Event::Loaded(Loaded { instance, load_instructions: 1, linear_memory: 2, overhead: 3, free_heap: 4 }),
        Event::Started { instance },
        Event::Exited(Exited { instance, result: Value::F64(0.5), instructions: 1 }),
        Event::Exited(Exited { instance, result: Value::Void, instructions: 1 }),
        trapped(0),
        Event::Refused(Refused { kind: Refusal::Memory, code: 0, offset: None, reason: "there is no room" }),
        Event::Stopped { instance },
        Event::Slots(Slots { floor: 0, signed: false, slots: [slot].into_iter().collect() }),
    ];
    let mut bytes = b"text before\n".to_vec();
    for event in &events {
        bytes.extend(framed(event));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let finished = monitor(folder.path(), &bytes);
    let reasons: Vec<String> = finished
        .stdout
        .lines()
        .map(|line| {
            let object: serde_json::Value = serde_json::from_str(line).expect("an object");
            object["reason"].as_str().expect("a text").to_owned()
        })
        .collect();
    let expected = "output hello loaded started exited exited trapped refused stopped slot output output";
    assert_eq!(reasons.join(" "), expected, "{}", finished.transcript());
    assert_eq!(finished.objects("exited")[0]["value"], 0.5);
    assert_eq!(finished.objects("refused")[0]["kind"], "memory");
}

#[test]
fn the_module_of_a_trap_is_found_by_its_checksum() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("trap.c");
    fs::write(&source, "int app_main(void) { return *(volatile int *)16; }\n").expect("a temporary file");
    fs::create_dir(folder.path().join("build")).expect("a folder");
    let ir = to_ir(&source, folder.path());
    for (name, option) in [("build/trap.espb", "--strict"), ("build/other.espb", "--strip")] {
        let output = folder.path().join(name).display().to_string();
        let built = espb(["build", &ir.display().to_string(), option, "-o", &output]);
        assert_eq!(built.code, 0, "{}", built.transcript());
    }
    let module = fs::read(folder.path().join("build/trap.espb")).expect("it was built");
    let finished = monitor(folder.path(), &framed(&trapped(crc32(&module))));
    let [diagnostic] = &finished.objects("diagnostic")[..] else { panic!("{}", finished.transcript()) };
    assert_eq!((&diagnostic["code"], &diagnostic["line"]), (&"espb::run::trap".into(), &1.into()));
}

/// What a firmware prints whose function `broken` begins with an instruction that there is not.
fn last_words(broken: &str, module: &[u8]) -> Vec<u8> {
    let mut elf = firmware::of(Chip::Esp32c3).expect("`make firmware` was run").elf.to_vec();
    let file = object::File::parse(&*elf).expect("an ELF file");
    let address = file.symbols().find(|symbol| symbol.name() == Ok(broken)).expect("the function").address();
    let mut sections = file.sections().filter(|section| section.size() > 0 && section.file_range().is_some());
    let section = sections
        .find(|section| (section.address()..section.address() + section.size()).contains(&address))
        .expect("its code");
    let at = (section.file_range().expect("bytes").0 + address - section.address()) as usize;
    elf[at..at + 4].fill(0);
    let mut image = flash_image(&elf, Chip::Esp32c3).expect("an image");
    let placement = Placement { file: module, name: "app", autostart: true, slot: None, key: None };
    image.place_module(&placement).expect("it fits");
    let mut device = EmulatedDevice::with_flash(Chip::Esp32c3, image.merged()).expect("it boots");
    let mut text = Vec::new();
    device.set_deadline(Some(Duration::from_secs(5)));
    loop {
        match device.receive() {
            Ok(Received::Bytes(bytes)) => text.extend(bytes),
            Ok(other) => panic!("{other:?} instead of a crash: {}", String::from_utf8_lossy(&text)),
            Err(error) => {
                assert!(error.message.contains("reset the chip"), "{error}");
                return text;
            }
        }
    }
}

#[test]
fn a_crash_of_the_firmware_is_told_with_the_functions_it_was_in() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("app.c");
    fs::write(&source, "int app_main(void) { return 0; }\n").expect("a temporary file");
    let output = folder.path().join("app.espb").display().to_string();
    let built = espb(["build", &to_ir(&source, folder.path()).display().to_string(), "-o", &output]);
    assert_eq!(built.code, 0, "{}", built.transcript());
    let text = last_words("espb_interpret", &fs::read(&output).expect("it was built"));
    let finished = monitor(folder.path(), &text);
    let diagnostics = finished.objects("diagnostic");
    let message = |code: &str| {
        let found = diagnostics.iter().find(|diagnostic| diagnostic["code"] == code);
        found.unwrap_or_else(|| panic!("no {code}: {}", finished.transcript()))["message"].to_string()
    };
    let crash = message("espb::monitor::crash");
    assert!(crash.contains("CPU exception 2") && crash.contains(" espb_interpret"), "{crash}");
    let stack = message("espb::monitor::crash_stack");
    assert!(stack.contains("espb_device::instance::task"), "{stack}");
}
