//! GPIO: output, enable and input registers of 22 pins, the signal matrix, pin interrupts. Register facts: ESP32-C3 TRM,
//! chapter "IO MUX and GPIO Matrix", and the PAC.
//!
//! Says what the block drives and notices what arrives; what a pad's level is, with its pulls and with what is connected to it
//! outside, is decided in `pads`. Not here: input filters and synchronisers, wake-up; their registers hold what is written.

use super::super::Peripheral;
use super::super::register_bank::RegisterBank;
use super::pads::{PINS, PinMask};
use crate::chip::cpu::Ticks;

const OUT: u32 = 0x04;
const OUT_SET: u32 = 0x08;
const OUT_CLEAR: u32 = 0x0c;
const ENABLE: u32 = 0x20;
const ENABLE_SET: u32 = 0x24;
const ENABLE_CLEAR: u32 = 0x28;
const STRAP: u32 = 0x38;
const IN: u32 = 0x3c;
const STATUS: u32 = 0x44;
const STATUS_SET: u32 = 0x48;
const STATUS_CLEAR: u32 = 0x4c;
const CPU_INTERRUPT: u32 = 0x5c;
const CPU_NMI: u32 = 0x60;
/// PIN0; the register of pin n follows at 4 n.
const PIN: u32 = 0x74;
/// FUNC0_IN_SEL_CFG; the register of input signal n follows at 4 n.
const INPUT_SELECT: u32 = 0x154;
/// FUNC0_OUT_SEL_CFG; the register of pin n follows at 4 n.
const OUTPUT_SELECT: u32 = 0x554;
const BLOCK_BYTES: u32 = 0x700;

const ALL: PinMask = (1 << PINS) - 1;
/// Strapping pins as at a normal boot from flash: GPIO8 and GPIO9 high (bits 2 and 3).
const BOOT_FROM_FLASH: u32 = 0b1100;

const PIN_OPEN_DRAIN: u32 = 1 << 2;
const PIN_INTERRUPT: u32 = 1 << 13;
const PIN_NMI: u32 = 1 << 14;

const SELECT_INVERT: u32 = 1 << 8;
const SELECT_ENABLE_BY_GPIO: u32 = 1 << 9;
const SELECT_ENABLE_INVERT: u32 = 1 << 10;
/// The matrix' output signal that stands for the pin's own bit in OUT.
const SIGNAL_OUT: u32 = 128;
const INPUT_THROUGH_MATRIX: u32 = 1 << 6;

/// What triggers a pin's interrupt (PINn_INT_TYPE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trigger {
    Never,
    Rising,
    Falling,
    AnyEdge,
    Low,
    High,
}

/// What the block does to a pad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drive {
    /// The level, or the peripheral's signal whose level it is.
    pub source: Source,
    /// The level is turned around.
    pub invert: bool,
    /// The output is on. A peripheral's signal may have its own say: `None`.
    pub enabled: Option<bool>,
    /// Only low is driven.
    pub open_drain: bool,
}

/// Where a pad's output comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A level.
    Level(bool),
    /// An output signal of the matrix by number (TRM, table "Peripheral Signals via GPIO Matrix").
    Signal(u32),
}

/// The GPIO block.
#[derive(Debug)]
pub struct Gpio {
    registers: RegisterBank,
    /// Levels of the pads whose input is on.
    input: PinMask,
}

impl Gpio {
    /// In reset state.
    pub fn new() -> Self {
        let mut registers = RegisterBank::new(BLOCK_BYTES, &[(STRAP, BOOT_FROM_FLASH), (0x62c, 1)]);
        for pin in 0..26 {
            registers.set(OUTPUT_SELECT + 4 * pin, SIGNAL_OUT);
        }
        Self { registers, input: 0 }
    }

    /// What the matrix does to pad `pin`.
    pub fn drive(&self, pin: u32) -> Drive {
        let select = self.registers.get(OUTPUT_SELECT + 4 * pin);
        let bit = |register| self.registers.get(register) >> pin & 1 != 0;
        let enable = bit(ENABLE) != (select & SELECT_ENABLE_INVERT != 0);
        let signal = select & 0xff;
        let own = signal == SIGNAL_OUT;
        Drive {
            source: if own { Source::Level(bit(OUT)) } else { Source::Signal(signal) },
            invert: select & SELECT_INVERT != 0,
            enabled: (own || select & SELECT_ENABLE_BY_GPIO != 0).then_some(enable),
            open_drain: self.registers.get(PIN + 4 * pin) & PIN_OPEN_DRAIN != 0,
        }
    }

    /// The pad that feeds input signal `signal`; `None` if the matrix is bypassed or the signal is constant.
    pub fn input_pad(&self, signal: u32) -> Option<u32> {
        let select = self.registers.get(INPUT_SELECT + 4 * signal);
        (select & INPUT_THROUGH_MATRIX != 0 && select & 0x1f < PINS).then_some(select & 0x1f)
    }

    /// Takes the levels of the pads; those whose input is off read low.
    pub fn sample(&mut self, input: PinMask) {
        let changed = input ^ self.input;
        self.input = input;
        let mut found = 0;
        for pin in 0..PINS {
            let high = input >> pin & 1 != 0;
            let edge = changed >> pin & 1 != 0;
            let hit = match self.trigger(pin) {
                Trigger::Never => false,
                Trigger::Rising => edge && high,
                Trigger::Falling => edge && !high,
                Trigger::AnyEdge => edge,
                Trigger::Low => !high,
                Trigger::High => high,
            };
            found |= u32::from(hit) << pin;
        }
        self.registers.modify(STATUS, 0, found);
    }

    fn trigger(&self, pin: u32) -> Trigger {
        match self.registers.get(PIN + 4 * pin) >> 7 & 7 {
            1 => Trigger::Rising,
            2 => Trigger::Falling,
            3 => Trigger::AnyEdge,
            4 => Trigger::Low,
            5 => Trigger::High,
            _ => Trigger::Never,
        }
    }

    fn pending(&self, enable: u32) -> PinMask {
        let enabled = (0..PINS).filter(|pin| self.registers.get(PIN + 4 * pin) & enable != 0);
        self.registers.get(STATUS) & enabled.fold(0, |mask, pin| mask | 1 << pin)
    }

    /// The interrupt line's level.
    pub fn interrupt(&self) -> bool {
        self.registers.get(STATUS) != 0 && self.pending(PIN_INTERRUPT) != 0
    }

    /// The level of the line for interrupts that the core cannot mask.
    pub fn nmi(&self) -> bool {
        self.registers.get(STATUS) != 0 && self.pending(PIN_NMI) != 0
    }
}

impl Peripheral for Gpio {
    fn read(&mut self, now: Ticks, offset: u32) -> Option<u32> {
        Some(match offset {
            OUT_SET | OUT_CLEAR | ENABLE_SET | ENABLE_CLEAR | STATUS_SET | STATUS_CLEAR => 0,
            IN => self.input,
            CPU_INTERRUPT => self.pending(PIN_INTERRUPT),
            CPU_NMI => self.pending(PIN_NMI),
            _ => self.registers.read(now, offset)?,
        })
    }

    fn write(&mut self, now: Ticks, offset: u32, value: u32) -> Option<()> {
        match offset {
            OUT_SET => self.registers.modify(OUT, 0, value & ALL),
            OUT_CLEAR => self.registers.modify(OUT, value, 0),
            ENABLE_SET => self.registers.modify(ENABLE, 0, value & ALL),
            ENABLE_CLEAR => self.registers.modify(ENABLE, value, 0),
            STATUS_SET => self.registers.modify(STATUS, 0, value & ALL),
            STATUS_CLEAR => self.registers.modify(STATUS, value, 0),
            STRAP | IN | CPU_INTERRUPT | CPU_NMI => {}
            _ => self.registers.write(now, offset, value)?,
        }
        // A level that lasts, or a new kind of trigger, shows at once.
        self.sample(self.input);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_trigger(kind: u32) -> Gpio {
        let mut gpio = Gpio::new();
        gpio.write(0, PIN + 4 * 3, kind << 7 | PIN_INTERRUPT).expect("PIN3");
        gpio
    }

    #[test]
    fn an_edge_interrupts_once_and_a_level_as_long_as_it_lasts() {
        for (kind, rising, falling) in [(1, true, false), (2, false, true), (3, true, true)] {
            let mut gpio = with_trigger(kind);
            for (input, expected) in [(1 << 3, rising), (0, falling)] {
                gpio.sample(input);
                assert_eq!(gpio.interrupt(), expected, "type {kind}, input {input:#x}");
                gpio.write(0, STATUS_CLEAR, 1 << 3).expect("STATUS_W1TC");
                assert!(!gpio.interrupt());
            }
        }
        let mut gpio = with_trigger(5);
        gpio.sample(1 << 3);
        gpio.write(0, STATUS_CLEAR, 1 << 3).expect("STATUS_W1TC");
        assert!(gpio.interrupt(), "still high");
        gpio.sample(0);
        gpio.write(0, STATUS_CLEAR, 1 << 3).expect("STATUS_W1TC");
        assert!(!gpio.interrupt());
    }

    #[test]
    fn status_is_kept_while_the_pin_does_not_interrupt() {
        let mut gpio = Gpio::new();
        gpio.write(0, PIN, 3 << 7).expect("PIN0");
        gpio.sample(1);
        assert!(!gpio.interrupt());
        assert_eq!((gpio.read(0, STATUS), gpio.read(0, CPU_INTERRUPT)), (Some(1), Some(0)));
        gpio.write(0, PIN, 3 << 7 | PIN_INTERRUPT).expect("PIN0");
        assert!(gpio.interrupt());
    }
}
