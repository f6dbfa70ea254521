//! The control registers that the ESP32-C3's core has and Unicorn's has not: performance counter, PMP and triggers.
//!
//! A pure decoder and register file; the core feeds it trapped instructions.

use std::collections::BTreeMap;

/// A decoded `csrrw`/`csrrs`/`csrrc` (or immediate form).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsrAccess {
    /// Control register number.
    pub number: u16,
    /// Destination register.
    pub destination: u8,
    /// Where the operand comes from.
    pub source: Source,
    /// What happens to the register.
    pub operation: Operation,
}

/// The operand of a CSR instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A general register.
    Register(u8),
    /// A 5-bit immediate.
    Immediate(u32),
}

/// What a CSR instruction does with its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Replace.
    Write,
    /// Set bits.
    Set,
    /// Clear bits.
    Clear,
}

impl CsrAccess {
    /// Decodes a SYSTEM instruction; `None` if it is no CSR access (Zicsr chapter of the unprivileged specification).
    pub fn decode(instruction: u32) -> Option<Self> {
        if instruction & 0x7f != 0x73 {
            return None;
        }
        let operation = match instruction >> 12 & 3 {
            1 => Operation::Write,
            2 => Operation::Set,
            3 => Operation::Clear,
            _ => return None,
        };
        let field = instruction >> 15 & 31;
        let source = if instruction >> 14 & 1 == 1 { Source::Immediate(field) } else { Source::Register(field as u8) };
        Some(Self { number: (instruction >> 20) as u16, destination: (instruction >> 7 & 31) as u8, source, operation })
    }

    /// The register's new value for operand `operand`, or `None` if the instruction does not write (set or clear with x0
    /// or immediate 0).
    pub fn updated(&self, old: u32, operand: u32) -> Option<u32> {
        match (self.operation, self.source) {
            (Operation::Write, _) => Some(operand),
            (_, Source::Register(0) | Source::Immediate(0)) => None,
            (Operation::Set, _) => Some(old | operand),
            (Operation::Clear, _) => Some(old & !operand),
        }
    }
}

/// Event selection: cycles (bit 0 of mpcer; ESP32-C3 TRM, "Performance Counter" CSRs).
const EVENT_CYCLES: u32 = 1 << 0;
/// Event selection: instructions (bit 1 of mpcer).
const EVENT_INSTRUCTIONS: u32 = 1 << 1;
/// Counting enabled (bit 0 of mpcmr).
const COUNT_ENABLE: u32 = 1 << 0;

/// The counters of the core at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Core cycles since reset.
    pub cycles: u64,
    /// Instructions since reset.
    pub instructions: u64,
}

/// The register file.
#[derive(Debug)]
pub struct CustomCsrs {
    events: u32,
    mode: u32,
    /// Counter value when counting last started or the counter was last written.
    base: u32,
    /// What the selected event stood at then.
    since: u64,
    stored: BTreeMap<u16, u32>,
}

impl Default for CustomCsrs {
    /// The counter counts cycles, as the mask ROM's start-up code leaves it.
    fn default() -> Self {
        Self { events: EVENT_CYCLES, mode: COUNT_ENABLE, base: 0, since: 0, stored: BTreeMap::new() }
    }
}

/// PMP configuration and addresses, and the trigger module, hold what is written; neither takes effect.
fn is_stored(number: u16) -> bool {
    matches!(number, 0x3a0..=0x3a3 | 0x3b0..=0x3bf | 0x7a0..=0x7a5)
}

impl CustomCsrs {
    /// The register's value, or `None` if the core has no such register.
    pub fn read(&self, number: u16, counts: Counts) -> Option<u32> {
        match number {
            0x7e0 => Some(self.events),
            0x7e1 => Some(self.mode),
            // 0x802 is the same counter for user mode; the mask ROM's ets_delay_us reads it.
            0x7e2 | 0x802 => Some(self.counter(counts)),
            _ if is_stored(number) => Some(self.stored.get(&number).copied().unwrap_or(0)),
            _ => None,
        }
    }

    /// Writes the register. `false` if the core has no such register.
    pub fn write(&mut self, number: u16, value: u32, counts: Counts) -> bool {
        match number {
            0x7e0..=0x7e2 | 0x802 => {
                self.base = self.counter(counts);
                match number {
                    0x7e0 => self.events = value,
                    0x7e1 => self.mode = value,
                    _ => self.base = value,
                }
                self.since = self.selected(counts);
            }
            _ if is_stored(number) => {
                // Triggers that do not exist must not read back as existing: tselect stays 0.
                if number != 0x7a0 {
                    self.stored.insert(number, value);
                }
            }
            _ => return false,
        }
        true
    }

    fn selected(&self, counts: Counts) -> u64 {
        if self.events & EVENT_CYCLES != 0 {
            counts.cycles
        } else if self.events & EVENT_INSTRUCTIONS != 0 {
            counts.instructions
        } else {
            0
        }
    }

    fn counter(&self, counts: Counts) -> u32 {
        if self.mode & COUNT_ENABLE == 0 {
            return self.base;
        }
        self.base.wrapping_add(self.selected(counts).wrapping_sub(self.since) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_counts_what_is_selected_while_enabled() {
        let at = |n: u64| Counts { cycles: 2 * n, instructions: n };
        let mut csrs = CustomCsrs::default();
        assert!(csrs.write(0x7e0, EVENT_INSTRUCTIONS, at(10)));
        assert!(csrs.write(0x7e1, COUNT_ENABLE, at(20)));
        assert!(csrs.write(0x7e2, 0, at(30)));
        assert_eq!(csrs.read(0x7e2, at(45)), Some(15));
        assert!(csrs.write(0x7e1, 0, at(50)));
        assert_eq!(csrs.read(0x802, at(99)), Some(20), "stopped");
        assert_eq!(csrs.read(0x7ff, at(0)), None);
    }

    #[test]
    fn csr_instructions_are_decoded() {
        // csrrs a4, 0x802, x0
        let access = CsrAccess::decode(0x8020_2773).expect("a CSR read");
        assert_eq!((access.number, access.destination), (0x802, 14));
        assert_eq!(access.updated(7, 0), None);
        // csrrwi x0, 0x7e1, 1
        let access = CsrAccess::decode(0x7e10_d073).expect("a CSR write");
        assert_eq!((access.source, access.updated(0, 1)), (Source::Immediate(1), Some(1)));
        assert_eq!(CsrAccess::decode(0x0000_0073), None, "ecall");
    }
}
