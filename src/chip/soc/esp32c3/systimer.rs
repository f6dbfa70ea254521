//! SYSTIMER: two 52-bit counters at 16 MHz and three comparators. Register facts: ESP32-C3 TRM, chapter "System Timer",
//! and the PAC.
//!
//! Not here: stalling with the core (there is no debugger) and the ETM.

use super::super::Peripheral;
use super::super::register_bank::RegisterBank;
use crate::chip::cpu::{NEVER, Ticks};

/// Reference ticks (160 MHz) in one of its own (16 MHz).
const DIVIDER: u64 = 10;
const MASK: u64 = (1 << 52) - 1;

const CONF: u32 = 0x00;
const UNIT_OP: u32 = 0x04;
const UNIT_LOAD_VALUES: u32 = 0x0c;
const TARGETS: u32 = 0x1c;
const TARGET_CONF: u32 = 0x34;
const UNIT_VALUES: u32 = 0x40;
const COMP_LOAD: u32 = 0x50;
const UNIT_LOAD: u32 = 0x5c;
const INT_ENA: u32 = 0x64;
const INT_RAW: u32 = 0x68;
const INT_CLR: u32 = 0x6c;
const INT_ST: u32 = 0x70;
const DATE: u32 = 0xfc;
const BLOCK_BYTES: u32 = 0x100;

const OP_VALID: u32 = 1 << 29;
const OP_UPDATE: u32 = 1 << 30;
const PERIOD_MODE: u32 = 1 << 30;
const PERIOD_MASK: u32 = (1 << 26) - 1;

#[derive(Clone, Copy, Debug)]
struct Unit {
    /// Value at the moment `since`.
    base: u64,
    since: u64,
    running: bool,
    latched: u64,
}

impl Unit {
    /// The counter, where `clock` counts 16 MHz periods since reset.
    fn value(&self, clock: u64) -> u64 {
        if self.running { (self.base + (clock - self.since)) & MASK } else { self.base }
    }

    fn rebase(&mut self, clock: u64, value: u64, running: bool) {
        *self = Self { base: value, since: clock, running, ..*self };
    }
}

/// The system timer.
#[derive(Debug)]
pub struct Systimer {
    registers: RegisterBank,
    units: [Unit; 2],
    /// Counter value at which each comparator fires next.
    alarms: [Option<u64>; 3],
    raw: u32,
}

impl Systimer {
    /// In reset state: unit 0 counts.
    pub fn new() -> Self {
        let unit = Unit { base: 0, since: 0, running: false, latched: 0 };
        Self {
            registers: RegisterBank::new(BLOCK_BYTES, &[(CONF, 0x4600_0000)]),
            units: [Unit { running: true, ..unit }, unit],
            alarms: [None; 3],
            raw: 0,
        }
    }

    /// The level of comparator `index`'s interrupt.
    pub fn interrupt(&self, index: usize) -> bool {
        self.raw & self.registers.get(INT_ENA) & 1 << index != 0
    }

    /// Fires what is due by `now`.
    pub fn advance(&mut self, now: Ticks) {
        for index in 0..self.alarms.len() {
            let clock = now / DIVIDER;
            let value = self.unit_of(index).value(clock);
            let period = u64::from(self.target_conf(index) & PERIOD_MASK);
            let periodic = self.target_conf(index) & PERIOD_MODE != 0 && period != 0;
            let Some(alarm) = self.alarms.get_mut(index) else { continue };
            let Some(due) = alarm.filter(|due| *due <= value) else { continue };
            self.raw |= 1 << index;
            *alarm = periodic.then(|| due + ((value - due) / period + 1) * period);
        }
    }

    /// When a comparator fires next, later than `now`.
    pub fn next_event(&self, now: Ticks) -> Ticks {
        let clock = now / DIVIDER;
        let mut next = NEVER;
        for (index, alarm) in self.alarms.iter().enumerate() {
            let unit = self.unit_of(index);
            if let (Some(due), true) = (alarm, unit.running) {
                let left = due.saturating_sub(unit.value(clock));
                next = next.min((clock + left) * DIVIDER);
            }
        }
        if next <= now { now + 1 } else { next }
    }

    fn target_conf(&self, index: usize) -> u32 {
        self.registers.get(TARGET_CONF + 4 * index as u32)
    }

    fn unit_of(&self, index: usize) -> &Unit {
        let [first, second] = &self.units;
        if self.target_conf(index) >> 31 == 0 { first } else { second }
    }

    fn enabled(&self, index: usize) -> bool {
        // target0_work_en is bit 24, target1 23, target2 22.
        self.registers.get(CONF) >> (24 - index) & 1 != 0
    }

    /// Arms comparator `index` from its registers.
    fn arm(&mut self, now: Ticks, index: usize) {
        let value = self.unit_of(index).value(now / DIVIDER);
        let conf = self.target_conf(index);
        let due = if conf & PERIOD_MODE != 0 {
            value + u64::from(conf & PERIOD_MASK)
        } else {
            let high = u64::from(self.registers.get(TARGETS + 8 * index as u32) & 0xf_ffff);
            high << 32 | u64::from(self.registers.get(TARGETS + 8 * index as u32 + 4))
        };
        let armed = self.enabled(index).then_some(due);
        if let Some(alarm) = self.alarms.get_mut(index) {
            *alarm = armed;
        }
    }

    fn configure(&mut self, now: Ticks, value: u32) {
        let before = self.registers.get(CONF);
        self.registers.set(CONF, value);
        let clock = now / DIVIDER;
        for (index, unit) in self.units.iter_mut().enumerate() {
            // timer_unit0_work_en is bit 30, unit1 29.
            let running = value >> (30 - index) & 1 != 0;
            if running != unit.running {
                let value = unit.value(clock);
                unit.rebase(clock, value, running);
            }
        }
        for index in 0..self.alarms.len() {
            if (before ^ value) >> (24 - index) & 1 != 0 {
                self.arm(now, index);
            }
        }
    }
}

impl Peripheral for Systimer {
    fn read(&mut self, now: Ticks, offset: u32) -> Option<u32> {
        self.advance(now);
        let unit = |base: u32| self.units.get(((offset - base) / 8) as usize);
        Some(match offset {
            UNIT_OP..UNIT_LOAD_VALUES => OP_VALID,
            UNIT_VALUES..COMP_LOAD => {
                let value = unit(UNIT_VALUES)?.latched;
                if offset.is_multiple_of(8) { (value >> 32) as u32 } else { value as u32 }
            }
            INT_RAW => self.raw,
            INT_ST => self.raw & self.registers.get(INT_ENA),
            COMP_LOAD..INT_ENA | INT_CLR => 0,
            ..=INT_ST | DATE => self.registers.read(now, offset)?,
            _ => return None,
        })
    }

    fn write(&mut self, now: Ticks, offset: u32, value: u32) -> Option<()> {
        self.advance(now);
        match offset {
            CONF => self.configure(now, value),
            UNIT_OP..UNIT_LOAD_VALUES => {
                if value & OP_UPDATE != 0 {
                    let unit = self.units.get_mut(((offset - UNIT_OP) / 4) as usize)?;
                    unit.latched = unit.value(now / DIVIDER);
                }
            }
            COMP_LOAD..UNIT_LOAD => self.arm(now, ((offset - COMP_LOAD) / 4) as usize),
            UNIT_LOAD..INT_ENA => {
                let index = (offset - UNIT_LOAD) / 4;
                let at = UNIT_LOAD_VALUES + 8 * index;
                let load = u64::from(self.registers.get(at) & 0xf_ffff) << 32 | u64::from(self.registers.get(at + 4));
                let unit = self.units.get_mut(index as usize)?;
                unit.rebase(now / DIVIDER, load, unit.running);
            }
            INT_CLR => self.raw &= !value,
            UNIT_VALUES..COMP_LOAD | INT_RAW | INT_ST => {}
            ..=INT_ENA | DATE => self.registers.write(now, offset, value)?,
            _ => return None,
        }
        self.advance(now);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_alarm_fires_once_at_its_exact_tick_and_a_period_again_and_again() {
        let mut timer = Systimer::new();
        let write = |timer: &mut Systimer, offset, value| timer.write(7, offset, value).expect("a SYSTIMER register");
        write(&mut timer, INT_ENA, 0b11);
        write(&mut timer, TARGETS + 4, 1_000);
        write(&mut timer, COMP_LOAD, 1);
        write(&mut timer, TARGET_CONF + 4, PERIOD_MODE | 16_000);
        write(&mut timer, COMP_LOAD + 4, 1);
        write(&mut timer, CONF, 0x4600_0000 | 1 << 24 | 1 << 23);
        assert_eq!(timer.next_event(7), 10_000);
        timer.advance(9_999);
        assert!(!timer.interrupt(0));
        timer.advance(10_000);
        assert!(timer.interrupt(0) && !timer.interrupt(1));
        timer.write(10_000, INT_CLR, 1).expect("INT_CLR");
        for period in 1..4 {
            assert_eq!(
                timer.next_event((period - 1) * 160_000 + 10_000),
                period * 160_000,
                "16 000 periods of 16 MHz are 1 ms"
            );
            timer.advance(period * 160_000);
            assert!(timer.interrupt(1) && !timer.interrupt(0));
            timer.write(period * 160_000, INT_CLR, 2).expect("INT_CLR");
        }
    }

    #[test]
    fn the_counter_is_read_through_its_latch() {
        let mut timer = Systimer::new();
        timer.write(1_234_567, UNIT_OP, OP_UPDATE).expect("UNIT0_OP");
        assert_eq!(timer.read(2_000_000, UNIT_OP), Some(OP_VALID));
        assert_eq!(timer.read(2_000_000, UNIT_VALUES + 4), Some(123_456));
    }
}
