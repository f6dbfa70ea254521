//! The end of the firmware itself, recognised in its console text, with the names of the functions behind the addresses in it.

use espb_image::Chip;
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

use super::firmware;
use crate::diagnostic::{Diagnostic, Place};

/// What the firmware's panic handler writes (firmware/device, `panic`), and before the words of its stack.
const PANIC: &str = "espb firmware stopped: ";
const STACK: &str = "espb firmware stack:";
/// What the ROM and the bootloader write after a reset that nobody asked for.
const RESETS: [&str; 3] = ["rst:0x", "Guru Meditation", "Brownout"];

/// The crash that a line of text tells of, if it does.
pub fn recognise(line: &str, chip: Chip) -> Option<Diagnostic> {
    if let Some(reason) = line.split(PANIC).nth(1) {
        let message = format!("the firmware crashed: {}{}", reason.trim(), functions(line, chip, false));
        let help =
            "this is a fault of the firmware, not of the module: please report it with the module that caused it";
        return Some(Diagnostic::error("espb::monitor::crash", message, Place::None, help));
    }
    if let Some(words) = line.split(STACK).nth(1) {
        let calls = functions(words, chip, true);
        let message = format!("the firmware was here, innermost first:{calls}");
        let help = "some may be left from calls that had returned";
        return (!calls.is_empty())
            .then(|| Diagnostic::warning("espb::monitor::crash_stack", message, Place::None, help));
    }
    let reset = RESETS.iter().any(|sign| line.contains(sign)) && !line.contains("POWERON");
    reset.then(|| {
        let message = format!("the chip was reset: {}{}", line.trim(), functions(line, chip, false));
        let help = "check the power supply and the cable; a module on trial is rolled back";
        Diagnostic::warning("espb::monitor::reset", message, Place::None, help)
    })
}

/// The functions of the firmware at the addresses in `line`, a line each; of a stack only what follows a call.
fn functions(line: &str, chip: Chip, of_stack: bool) -> String {
    let Some(elf) = firmware::of(chip).and_then(|firmware| object::File::parse(firmware.elf).ok()) else {
        return String::new();
    };
    let words = line.split(|letter: char| !letter.is_ascii_alphanumeric());
    let addresses = words.filter_map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok());
    let addresses = addresses.filter(|address| !of_stack || follows_call(&elf, *address));
    addresses.filter_map(|address| Some(format!("\n{address:#010x} {}", function_at(&elf, address)?))).collect()
}

fn function_at(elf: &object::File<'_>, address: u64) -> Option<String> {
    let functions = elf.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
    let found = functions.filter(|symbol| (symbol.address()..symbol.address() + symbol.size()).contains(&address));
    found.filter_map(|symbol| symbol.name().ok().map(|name| format!("{:#}", rustc_demangle::demangle(name)))).next()
}

/// Whether the instruction before `address` is a call (The RISC-V Instruction Set Manual: JAL and JALR with the link register,
/// C.JAL, C.JALR).
fn follows_call(elf: &object::File<'_>, address: u64) -> bool {
    let code = |address: u64, length| {
        let sections = elf.sections().filter(|section| section.address() <= address);
        sections.filter_map(|section| section.data_range(address, length).ok().flatten()).next()
    };
    let long = code(address.wrapping_sub(4), 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let short = code(address.wrapping_sub(2), 2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_le_bytes);
    const LINKED_JUMPS: [u32; 2] = [0x0000_00ef, 0x0000_00e7];
    let is_long = long.is_some_and(|word| LINKED_JUMPS.contains(&(word & 0xfff)));
    let is_short = short.is_some_and(|half| {
        let (jal, jalr) = (half & 0xe003 == 0x2001, half & 0xf07f == 0x9002);
        jal || jalr && half & 0x0f80 != 0
    });
    is_long || is_short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_and_a_reset_are_told_from_other_text() {
        let panic = recognise("espb firmware stopped: no, at src/x.rs:1:2", Chip::Esp32c3).expect("a crash");
        assert!(panic.message.contains("src/x.rs:1:2"), "{}", panic.message);
        assert!(recognise("rst:0x7 (TG0WDT_SYS_RST),boot:0xc", Chip::Esp32c3).is_some());
        assert!(recognise("rst:0x1 (POWERON),boot:0xc", Chip::Esp32c3).is_none());
        // The entry of a function follows no call.
        let entry = format!("espb firmware stack: {:#x}", u64::MAX);
        assert!(recognise(&entry, Chip::Esp32c3).is_none());
        assert!(recognise("Hello from dynamic code!", Chip::Esp32c3).is_none());
    }
}
