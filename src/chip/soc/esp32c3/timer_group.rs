//! TIMG0 and TIMG1: the 54-bit general timer, the calibration of the slow clock, the main watchdog's registers. Register
//! facts: ESP32-C3 TRM, chapters "Timer Group" and "Watchdog Timers", and the PAC.
//!
//! The watchdog never bites: its registers hold what is written.

use super::super::Peripheral;
use super::super::register_bank::RegisterBank;
use crate::chip::cpu::{NEVER, Ticks};

const CONFIG: u32 = 0x00;
const LOW: u32 = 0x04;
const HIGH: u32 = 0x08;
const UPDATE: u32 = 0x0c;
const ALARM_LOW: u32 = 0x10;
const ALARM_HIGH: u32 = 0x14;
const LOAD_LOW: u32 = 0x18;
const LOAD_HIGH: u32 = 0x1c;
const LOAD: u32 = 0x20;
const CALIBRATION: u32 = 0x68;
const CALIBRATION_VALUE: u32 = 0x6c;
const INT_ENA: u32 = 0x70;
const INT_RAW: u32 = 0x74;
const INT_ST: u32 = 0x78;
const INT_CLR: u32 = 0x7c;
const BLOCK_BYTES: u32 = 0x100;

const USE_XTAL: u32 = 1 << 9;
const ALARM_ENABLE: u32 = 1 << 10;
const AUTORELOAD: u32 = 1 << 29;
const INCREASE: u32 = 1 << 30;
const ENABLE: u32 = 1 << 31;
const MASK: u64 = (1 << 54) - 1;

const CALIBRATION_CYCLING: u32 = 1 << 12;
const CALIBRATION_READY: u32 = 1 << 15;
const CALIBRATION_START: u32 = 1 << 31;
/// The crystal, in which calibration results are counted. Hz.
const XTAL_HZ: u64 = 40_000_000;
/// Reference ticks in a crystal period.
const XTAL_TICKS: u64 = 4;

/// One timer group.
#[derive(Debug)]
pub struct TimerGroup {
    registers: RegisterBank,
    /// Counter value at the moment `since`.
    base: u64,
    since: Ticks,
    latched: u64,
    raw: u32,
    calibration_done_at: Ticks,
}

impl TimerGroup {
    /// In reset state.
    pub fn new() -> Self {
        Self {
            registers: RegisterBank::new(
                BLOCK_BYTES,
                &[
                    (CONFIG, INCREASE | AUTORELOAD | 1 << 13),
                    (0x48, 0x0004_c000),
                    (0x4c, 0x0001_0000),
                    (0x50, 0x018c_ba80),
                    (0x54, 0x07ff_ffff),
                    (0x58, 0x000f_ffff),
                    (0x5c, 0x000f_ffff),
                    (0x64, 0x50d8_3aa1),
                    (CALIBRATION, 0x0001_3000),
                    (0x80, 0xffff_ff98),
                    (0xfc, 0x6000_0000),
                ],
            ),
            base: 0,
            since: 0,
            latched: 0,
            raw: 0,
            calibration_done_at: 0,
        }
    }

    /// The timer interrupt's level.
    pub fn interrupt(&self) -> bool {
        self.raw & self.registers.get(INT_ENA) & 1 != 0
    }

    /// Fires the alarm if it is due by `now`.
    pub fn advance(&mut self, now: Ticks) {
        if self.alarm_at().is_none_or(|due| due > now) {
            return;
        }
        self.raw |= 1;
        let config = self.registers.get(CONFIG);
        self.registers.set(CONFIG, config & !ALARM_ENABLE);
        if config & AUTORELOAD != 0 {
            let due = self.alarm_at_value();
            let fired = self.moment_of(due).unwrap_or(now);
            self.base = self.pair(LOAD_LOW, LOAD_HIGH);
            self.since = fired;
        }
    }

    /// When the alarm fires, later than `now`.
    pub fn next_event(&self, now: Ticks) -> Ticks {
        self.alarm_at().map_or(NEVER, |due| due.max(now + 1))
    }

    /// Reference ticks in one count: APB clock 80 MHz or crystal 40 MHz, divided.
    fn count_ticks(&self) -> u64 {
        let config = self.registers.get(CONFIG);
        let source = if config & USE_XTAL != 0 { XTAL_TICKS } else { 2 };
        // Divider 0 means 65536, and 1 acts as 2 (TRM).
        let divider = match u64::from(config >> 13 & 0xffff) {
            0 => 65536,
            1 => 2,
            other => other,
        };
        source * divider
    }

    fn value(&self, now: Ticks) -> u64 {
        let config = self.registers.get(CONFIG);
        if config & ENABLE == 0 {
            return self.base;
        }
        let counts = (now - self.since) / self.count_ticks();
        let value =
            if config & INCREASE != 0 { self.base.wrapping_add(counts) } else { self.base.wrapping_sub(counts) };
        value & MASK
    }

    fn pair(&self, low: u32, high: u32) -> u64 {
        u64::from(self.registers.get(high) & 0x3f_ffff) << 32 | u64::from(self.registers.get(low))
    }

    fn alarm_at_value(&self) -> u64 {
        self.pair(ALARM_LOW, ALARM_HIGH)
    }

    /// When the counter reaches `value` (at once if it is past it).
    fn moment_of(&self, value: u64) -> Option<Ticks> {
        let config = self.registers.get(CONFIG);
        if config & ENABLE == 0 {
            return None;
        }
        let counts =
            if config & INCREASE != 0 { value.saturating_sub(self.base) } else { self.base.saturating_sub(value) };
        Some(self.since.saturating_add(counts.saturating_mul(self.count_ticks())))
    }

    fn alarm_at(&self) -> Option<Ticks> {
        if self.registers.get(CONFIG) & ALARM_ENABLE == 0 {
            return None;
        }
        self.moment_of(self.alarm_at_value())
    }

    fn start_calibration(&mut self, now: Ticks, value: u32) {
        // Slow RC 136 kHz, fast RC 17.5 MHz / 256, 32 kHz crystal (TRM, "Reset and Clock").
        let hertz = match value >> 13 & 3 {
            0 => 136_000,
            1 => 68_359,
            _ => 32_768,
        };
        let crystal_periods = u64::from(value >> 16 & 0x7fff) * XTAL_HZ / hertz;
        self.registers.set(CALIBRATION_VALUE, (crystal_periods as u32) << 7 | 1);
        self.calibration_done_at = now + crystal_periods * XTAL_TICKS;
    }
}

impl Peripheral for TimerGroup {
    fn read(&mut self, now: Ticks, offset: u32) -> Option<u32> {
        self.advance(now);
        Some(match offset {
            LOW => self.latched as u32,
            HIGH => (self.latched >> 32) as u32,
            // The latch is filled at once.
            UPDATE | LOAD | INT_CLR => 0,
            CALIBRATION => {
                let value = self.registers.get(CALIBRATION) & !CALIBRATION_READY;
                let measured =
                    value & (CALIBRATION_START | CALIBRATION_CYCLING) != 0 && now >= self.calibration_done_at;
                value | if measured { CALIBRATION_READY } else { 0 }
            }
            INT_RAW => self.raw,
            INT_ST => self.raw & self.registers.get(INT_ENA),
            _ => self.registers.read(now, offset)?,
        })
    }

    fn write(&mut self, now: Ticks, offset: u32, value: u32) -> Option<()> {
        self.advance(now);
        match offset {
            CONFIG => {
                self.base = self.value(now);
                self.since = now;
                self.registers.set(CONFIG, value);
            }
            UPDATE => self.latched = self.value(now),
            LOAD => {
                self.base = self.pair(LOAD_LOW, LOAD_HIGH);
                self.since = now;
            }
            CALIBRATION => {
                if value & !self.registers.get(CALIBRATION) & CALIBRATION_START != 0 {
                    self.start_calibration(now, value);
                }
                self.registers.set(CALIBRATION, value);
            }
            INT_CLR => self.raw &= !value,
            LOW | HIGH | CALIBRATION_VALUE | INT_RAW | INT_ST => {}
            _ => self.registers.write(now, offset, value)?,
        }
        self.advance(now);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_fires_at_its_count_and_reloads() {
        let mut timer = TimerGroup::new();
        timer.write(0, INT_ENA, 1).expect("INT_ENA");
        timer.write(0, ALARM_LOW, 1000).expect("ALARMLO");
        // APB 80 MHz / 80 = 1 MHz
        let config = ENABLE | INCREASE | AUTORELOAD | ALARM_ENABLE | 80 << 13;
        timer.write(0, CONFIG, config).expect("CONFIG");
        assert_eq!(timer.next_event(0), 160_000, "1000 µs");
        timer.advance(159_999);
        assert!(!timer.interrupt());
        timer.advance(160_000);
        assert!(timer.interrupt());
        timer.write(160_160, UPDATE, 0).expect("UPDATE");
        assert_eq!(timer.read(160_160, LOW), Some(1), "counts from its load value again");
        assert_eq!(timer.read(160_160, CONFIG).map(|config| config & ALARM_ENABLE), Some(0), "must be armed again");
    }

    #[test]
    fn calibration_measures_the_slow_clock_in_crystal_periods() {
        let mut timer = TimerGroup::new();
        timer.write(0, CALIBRATION, CALIBRATION_START | 1024 << 16).expect("RTCCALICFG");
        assert_eq!(timer.read(1000, CALIBRATION).map(|value| value & CALIBRATION_READY), Some(0));
        let done = 1024 * 160_000_000 / 136_000;
        assert_eq!(timer.read(done, CALIBRATION).map(|value| value & CALIBRATION_READY), Some(CALIBRATION_READY));
        assert_eq!(timer.read(done, CALIBRATION_VALUE).map(|value| value >> 7), Some(1024 * 40_000 / 136));
    }
}
