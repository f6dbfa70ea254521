//! RTC_CNTL: reset cause, software resets, the slow-clock counter. Register facts: ESP32-C3 TRM, chapter "Low-power
//! Management", and the PAC.
//!
//! Power domains, sleep, brown-out and the RTC watchdogs hold what is written and have no effect.

use super::super::Peripheral;
use super::super::register_bank::RegisterBank;
use crate::chip::cpu::Ticks;

const OPTIONS0: u32 = 0x00;
const TIME_UPDATE: u32 = 0x0c;
const TIME_LOW: u32 = 0x10;
const TIME_HIGH: u32 = 0x14;
const RESET_STATE: u32 = 0x38;
const INT_RAW: u32 = 0x44;
const INT_ST: u32 = 0x48;
const INT_CLR: u32 = 0x4c;
const BLOCK_BYTES: u32 = 0x200;

const SOFTWARE_CORE_RESET: u32 = 1 << 5;
const SOFTWARE_SYSTEM_RESET: u32 = 1 << 31;
const UPDATE: u32 = 1 << 31;
/// Reset cause: power-on.
const CAUSE_POWER_ON: u32 = 1;
/// Reference ticks in ten periods of the slow RC clock (136 kHz nominal): 160 MHz / 13.6 kHz.
const TEN_SLOW_PERIODS: u64 = 11_765;

/// The RTC_CNTL block.
#[derive(Debug)]
pub struct RtcCntl {
    registers: RegisterBank,
    reset: Option<&'static str>,
}

impl RtcCntl {
    /// In reset state after power-on.
    pub fn new() -> Self {
        Self {
            registers: RegisterBank::new(
                BLOCK_BYTES,
                &[
                    (OPTIONS0, 0x1c00_a000),
                    (0x1c, 0x2814_0403),
                    (0x20, 0x0100_0000),
                    (0x24, 0x0a08_0a08),
                    (0x28, 0x1020_0a08),
                    (0x2c, 0x8000),
                    (0x30, 0x0a08_0000),
                    (0x34, 0x00c4_0000),
                    (RESET_STATE, 0x3000 | CAUSE_POWER_ON | CAUSE_POWER_ON << 6),
                    (0x3c, 0x0006_0000),
                    (0x60, 0x0006_6c80),
                    (0x70, 0x1158_3218),
                    (0x74, 0x0040_0000),
                    (0x78, 0x0ab0_be0a),
                    (0x7c, 0x0001_0800),
                    (0x80, 0xa000_0000),
                    (0x88, 0x0055_5010),
                    (0x8c, 0xaa80_5080),
                    (0x90, 0x0001_3214),
                    (0x94, 0x0003_0d40),
                    (0xac, 0x04b0_0000),
                    (0xd8, 0x43ff_0010),
                    (0xe8, 0x0ff0_0000),
                    (0xfc, 0xc800),
                    (0x108, 0xa0d0_0000),
                    (0x10c, 0x07),
                ],
            ),
            reset: None,
        }
    }

    /// The cause of a reset that software asked for since the last call.
    pub fn take_reset(&mut self) -> Option<&'static str> {
        self.reset.take()
    }

    /// Whether [`RtcCntl::take_reset`] has something.
    pub fn wants_reset(&self) -> bool {
        self.reset.is_some()
    }
}

impl Peripheral for RtcCntl {
    fn read(&mut self, now: Ticks, offset: u32) -> Option<u32> {
        match offset {
            INT_RAW | INT_ST | INT_CLR => Some(0),
            _ => self.registers.read(now, offset),
        }
    }

    fn write(&mut self, now: Ticks, offset: u32, value: u32) -> Option<()> {
        match offset {
            OPTIONS0 => {
                if value & SOFTWARE_SYSTEM_RESET != 0 {
                    self.reset = Some("software reset of the system");
                } else if value & SOFTWARE_CORE_RESET != 0 {
                    self.reset = Some("software reset of the core");
                }
                self.registers.set(OPTIONS0, value & !(SOFTWARE_SYSTEM_RESET | SOFTWARE_CORE_RESET));
            }
            TIME_UPDATE => {
                if value & UPDATE != 0 {
                    let periods = now * 10 / TEN_SLOW_PERIODS;
                    self.registers.set(TIME_LOW, periods as u32);
                    self.registers.set(TIME_HIGH, (periods >> 32) as u32);
                }
                self.registers.set(TIME_UPDATE, value & !UPDATE);
            }
            TIME_LOW | TIME_HIGH | INT_RAW | INT_ST | INT_CLR => {}
            // The reset causes themselves are read-only.
            RESET_STATE => self.registers.modify(RESET_STATE, !0xfff, value & !0xfff),
            _ => self.registers.write(now, offset, value)?,
        }
        Some(())
    }
}
