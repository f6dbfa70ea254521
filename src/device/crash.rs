//! The end of the firmware itself, recognised in its console text, with the names of the functions behind the addresses in it.

use espb_image::Chip;
use object::{Object, ObjectSymbol, SymbolKind};

use super::firmware;
use crate::diagnostic::{Diagnostic, Place};

/// What the firmware's panic handler writes (firmware/device, `panic`).
const PANIC: &str = "espb firmware stopped: ";
/// What the ROM and the bootloader write after a reset that nobody asked for.
const RESETS: [&str; 3] = ["rst:0x", "Guru Meditation", "Brownout"];

/// The crash that a line of text tells of, if it does.
pub fn recognise(line: &str, chip: Chip) -> Option<Diagnostic> {
    if let Some(reason) = line.split(PANIC).nth(1) {
        let message = format!("the firmware crashed: {}{}", reason.trim(), symbols(line, chip));
        let help =
            "this is a fault of the firmware, not of the module: please report it with the module that caused it";
        return Some(Diagnostic::error("espb::monitor::crash", message, Place::None, help));
    }
    let reset = RESETS.iter().any(|sign| line.contains(sign)) && !line.contains("POWERON");
    reset.then(|| {
        let message = format!("the chip was reset: {}{}", line.trim(), symbols(line, chip));
        let help = "check the power supply and the cable; a module on trial is rolled back";
        Diagnostic::warning("espb::monitor::reset", message, Place::None, help)
    })
}

/// The functions of the firmware at the addresses in `line`, a line each.
fn symbols(line: &str, chip: Chip) -> String {
    let words = line.split(|letter: char| !letter.is_ascii_alphanumeric());
    let addresses = words.filter_map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok());
    addresses.filter_map(|address| Some(format!("\n{address:#010x} {}", function_at(address, chip)?))).collect()
}

fn function_at(address: u64, chip: Chip) -> Option<String> {
    let elf = firmware::of(chip)?.elf;
    let file = object::File::parse(elf).ok()?;
    let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
    let found = functions.filter(|symbol| (symbol.address()..symbol.address() + symbol.size()).contains(&address));
    found.filter_map(|symbol| symbol.name().ok().map(str::to_owned)).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_and_a_reset_are_told_from_other_text() {
        let panic = recognise("espb firmware stopped: panicked at src/x.rs:1:2: no", Chip::Esp32c3).expect("a crash");
        assert!(panic.message.contains("src/x.rs:1:2"), "{}", panic.message);
        assert!(recognise("rst:0x7 (TG0WDT_SYS_RST),boot:0xc", Chip::Esp32c3).is_some());
        assert!(recognise("rst:0x1 (POWERON),boot:0xc", Chip::Esp32c3).is_none());
        assert!(recognise("Hello from dynamic code!", Chip::Esp32c3).is_none());
    }
}
