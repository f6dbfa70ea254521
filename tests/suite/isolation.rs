//! The theorem of specs/format.md names checks and tests that exist; the fuzzing's inputs are tried again; the firmware's memory is protected.

use std::fs;
use std::path::Path;
use std::time::Duration;

use espb::chip::{Machine, MachineOptions, Until};
use espb::device::client::{Client, Heard, Message};
use espb::device::emulated::{Attached, Count, EmulatedDevice};
use espb_fuzz::{TARGETS, corpus};
use espb_image::Chip;

use crate::compile::root;

/// Inputs for each target beside those of its corpus, and the bytes of each.
const NOISE: u64 = 1_500;
const LENGTH: usize = 2_048;

/// The text of all Rust sources below a folder.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "target") {
                sources(&path, text);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *text += &fs::read_to_string(&path).expect("a source file");
        }
    }
}

#[test]
fn the_theorem_names_checks_and_tests_that_exist() {
    let specification = fs::read_to_string(root().join("specs/format.md")).expect("the specification");
    let (_, table) = specification.split_once("<!-- theorem").expect("the theorem's table");
    let (table, _) = table.split_once("<!-- end of theorem").expect("its end");
    let (mut code, mut tests) = (String::new(), String::new());
    sources(&root().join("firmware"), &mut code);
    sources(&root().join("tests/suite"), &mut tests);
    let rows: Vec<Vec<&str>> =
        table.lines().filter(|line| line.starts_with("| ")).skip(1).map(|row| row.split(" | ").collect()).collect();
    assert!(rows.len() > 15, "the table is gone");
    for row in &rows {
        let [_, _, checks, attacks] = row[..] else { panic!("not four columns: {row:?}") };
        let named = |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
        for check in named(checks) {
            let name = check.rsplit("::").next().unwrap_or_default();
            let known = code.contains(&format!("fn {name}")) || code.contains(&format!("{name} = "));
            assert!(known, "no check {check} in the firmware's code");
        }
        for test in named(attacks) {
            let head = format!("fn {test}()");
            assert!(code.contains(&head) || tests.contains(&head), "no test {test}");
        }
    }
}

#[test]
fn the_inputs_of_the_fuzzing_do_no_harm() {
    for (target, attack) in TARGETS {
        let known = corpus::inputs(target);
        let noise = (0..NOISE).map(|number| corpus::noise(number).take(LENGTH).collect());
        let accepted = known.into_iter().chain(noise).filter(|input| attack(input)).count();
        // The targets that make their input from noise must get it past the verifier.
        if matches!(target, "verifier" | "interpreter") {
            assert!(accepted > NOISE as usize / 10, "{target}: {accepted} accepted");
        }
    }
}

/// A chip with something in its slot that is no module.
fn boot() -> EmulatedDevice {
    EmulatedDevice::boot(Chip::Esp32c3, b"none", None, Count::Nothing, Attached::default()).expect("it boots")
}

/// Has the running firmware's heartbeat task go to `address` with these arguments instead of waiting; gives what the firmware says then.
fn divert(address: u32, arguments: [u32; 3]) -> String {
    let mut device = boot();
    let waits = device.symbol("xTaskDelayUntil").expect("the kernel's wait").start;
    let mut client = Client::new(&mut device);
    assert!(matches!(client.receive(&mut |_| {}), Ok(Heard::Message(Message::Hello { .. }, _))));
    let end = client.transport().now() + Duration::from_millis(100);
    let mut done = false;
    device.watch(
        &[waits],
        Box::new(move |machine| {
            if !std::mem::replace(&mut done, true) {
                machine.divert(address, &arguments);
            }
        }),
    );
    let (mut text, mut client) = (Vec::new(), Client::new(&mut device));
    client.transport().set_deadline(Some(end));
    while let Ok(Heard::Message(..)) = client.receive(&mut |bytes| text.extend_from_slice(bytes)) {}
    String::from_utf8_lossy(&text).into_owned()
}

/// What a firmware that has lost its way may try is tried: each ends the firmware with a report and does nothing.
#[test]
fn stores_to_code_and_jumps_to_data_are_faults() {
    const STORE: &str = "CPU exception 7 ";
    const JUMP: &str = "CPU exception 1 ";
    let device = boot();
    let place = |name: &str| device.symbol(name).unwrap_or_else(|| panic!("no {name} in the firmware")).start;
    let (code, store) = (place("espb_interpret"), place("memset"));
    // The same RAM has another address on the data bus.
    let code_as_data = code - 0x4038_0000 + 0x3fc8_0000;
    for address in [code, code_as_data, 0x4200_0000, 0x3c00_0000, 0x4000_0000, 0x3ff0_0000] {
        let words = divert(store, [address, 0, 16]);
        let (_, value) = words.split_once("value 0x").unwrap_or_else(|| panic!("{address:#x}: {words}"));
        let value = u32::from_str_radix(&value[..8], 16).expect("eight digits");
        assert!(words.contains(STORE) && (address..address + 16).contains(&value), "{address:#x}: {words}");
    }
    // Data RAM by its own address and by that on the instruction bus, constants in flash, RTC memory, registers.
    for address in [0x3fca_0000, 0x403a_0000, 0x3c00_0020, 0x5000_0000, 0x6000_0000] {
        let words = divert(address, [0; 3]);
        assert!(words.contains(JUMP), "{address:#x}: {words}");
    }
    // What is allowed does not stop it.
    let words = divert(store, [0x3fcd_f000, 0, 0]);
    assert!(!words.contains("CPU exception"), "{words}");
}

/// Nothing feeds a watchdog, so none may be on: no module's endless loop makes one bite. The protection of the boot itself, which the
/// bootloader turns off, is not looked at.
#[test]
fn every_watchdog_is_off() {
    // `WDTCONFIG0` of both timer groups and of RTC_CNTL with the enabling bit; `SWD_CONF` with the bit that has the hardware feed it.
    const CONFIGURATIONS: [u32; 3] = [0x6001_f048, 0x6002_0048, 0x6000_8090];
    const ENABLED: u32 = 1 << 31;
    const SUPER_WATCHDOG: u32 = 0x6000_80ac;
    const OFF: u32 = 1 << 31;
    let firmware = espb::device::firmware::of(Chip::Esp32c3).expect("this binary carries a firmware");
    let mut machine = Machine::esp32c3(firmware.image.to_vec(), MachineOptions::default()).expect("a chip");
    let super_watchdog = |machine: &mut Machine| machine.peripheral_register(SUPER_WATCHDOG).expect("it is modelled");
    assert_eq!(super_watchdog(&mut machine) & OFF, 0, "after reset it is on");
    let deadline = Duration::from_millis(50).as_nanos() as u64 * Machine::TICKS_PER_SECOND / 1_000_000_000;
    machine.run(Until { deadline: Some(deadline), ..Until::default() });
    assert_ne!(super_watchdog(&mut machine) & OFF, 0, "the super watchdog is on");
    for address in CONFIGURATIONS {
        let configuration = machine.peripheral_register(address).expect("it is modelled");
        assert_eq!(configuration & ENABLED, 0, "the watchdog at {address:#x} is on");
    }
}

#[test]
fn no_memory_of_the_running_firmware_can_be_written_and_executed() {
    let firmware = espb::device::firmware::of(Chip::Esp32c3).expect("this binary carries a firmware");
    let mut machine = Machine::esp32c3(firmware.image.to_vec(), MachineOptions::default()).expect("a chip");
    let allowed = |machine: &Machine, address| machine.writable_executable(address);
    assert_eq!(allowed(&machine, 0x4038_0000), (true, true), "everything is open after reset");
    let deadline = Duration::from_millis(50).as_nanos() as u64 * Machine::TICKS_PER_SECOND / 1_000_000_000;
    machine.run(Until { deadline: Some(deadline), ..Until::default() });
    let (mut code, mut data) = (0, 0);
    // SRAM1 has an address on each bus.
    for offset in (0..0x6_0000).step_by(0x100) {
        let (writable, executable) = allowed(&machine, 0x4038_0000 + offset);
        let (writable_as_data, executable_as_data) = allowed(&machine, 0x3fc8_0000 + offset);
        assert!(!writable && !executable_as_data, "{offset:#x}");
        assert!(executable != writable_as_data, "{offset:#x} is {}", if executable { "both" } else { "neither" });
        code += u32::from(executable);
        data += u32::from(writable_as_data);
    }
    assert!(code > 0 && data > 0);
    for address in [0x4200_0000, 0x3c00_0000, 0x4000_0000, 0x3ff0_0000] {
        assert!(!allowed(&machine, address).0, "{address:#x} can be written");
    }
    assert_eq!(allowed(&machine, 0x5000_0000), (true, false), "RTC fast memory");
}
