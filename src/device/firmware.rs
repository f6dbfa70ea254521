//! The firmware that this binary carries: made by `make firmware`, embedded by the build script.

include!(concat!(env!("OUT_DIR"), "/firmware.rs"));

use espb_image::Chip;

/// A firmware image and the program it was made from.
#[derive(Clone, Copy, Debug)]
pub struct Firmware {
    /// The flash image, from offset 0.
    pub image: &'static [u8],
    /// The ELF file: symbols for counting and for backtraces.
    pub elf: &'static [u8],
}

/// The firmware of a chip; `None` where this binary was built without it.
pub fn of(chip: Chip) -> Option<Firmware> {
    match chip {
        Chip::Esp32c3 => ESP32C3,
    }
}
