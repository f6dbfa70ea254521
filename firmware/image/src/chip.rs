//! The chips that images are made for, and what an image has to know of each.

use espflash::target::XtalFrequency;
use std::{fmt, str::FromStr};

/// A chip that the firmware is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chip {
    /// ESP32-C3.
    Esp32c3,
}

/// A chip's name that is none of `Chip::ALL`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no chip `{0}`; firmware exists for: esp32c3")]
pub struct UnknownChip(String);

impl Chip {
    /// Every chip.
    pub const ALL: [Self; 1] = [Self::Esp32c3];

    /// The name in file names and on command lines, e.g. `esp32c3`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Esp32c3 => "esp32c3",
        }
    }

    pub(crate) fn target(self) -> espflash::target::Chip {
        match self {
            Self::Esp32c3 => espflash::target::Chip::Esp32c3,
        }
    }

    /// Crystal on the board. The C3 exists with 40 MHz only (ESP32-C3 datasheet, "Clocks").
    pub(crate) fn crystal(self) -> XtalFrequency {
        match self {
            Self::Esp32c3 => XtalFrequency::_40Mhz,
        }
    }
}

impl fmt::Display for Chip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Chip {
    type Err = UnknownChip;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|chip| chip.name() == name).ok_or_else(|| UnknownChip(name.into()))
    }
}
