//! INTERRUPT_CORE0: which of the 62 sources drives which of the 31 lines, and which line the core takes. Register facts:
//! ESP32-C3 TRM, chapter "Interrupt Matrix", and the PAC.

use super::super::Peripheral;
use super::super::register_bank::RegisterBank;
use crate::chip::cpu::Ticks;

/// Peripheral interrupt sources, one bit each (TRM, table "CPU Peripheral Interrupt Source Configuration").
pub type Sources = u64;

const SOURCE_COUNT: u32 = 62;
const STATUS_LOW: u32 = 0xf8;
const STATUS_HIGH: u32 = 0xfc;
const ENABLE: u32 = 0x104;
const TYPE: u32 = 0x108;
const CLEAR: u32 = 0x10c;
const EIP_STATUS: u32 = 0x110;
/// Priority of line 0; line n follows at 4 n.
const PRIORITY: u32 = 0x114;
const THRESHOLD: u32 = 0x194;
const BLOCK_BYTES: u32 = 0x800;

/// The interrupt matrix.
#[derive(Debug)]
pub struct InterruptMatrix {
    registers: RegisterBank,
    sources: Sources,
    /// Lines driven high by some source.
    levels: u32,
    /// Rising edges not yet cleared, for lines of edge type.
    edges: u32,
}

impl InterruptMatrix {
    /// In reset state.
    pub fn new() -> Self {
        Self { registers: RegisterBank::new(BLOCK_BYTES, &[(0x100, 1)]), sources: 0, levels: 0, edges: 0 }
    }

    /// Takes the present levels of all sources.
    pub fn drive(&mut self, sources: Sources) {
        if sources != self.sources {
            self.sources = sources;
            self.route();
        }
    }

    fn route(&mut self) {
        let mut levels = 0;
        let mut left = self.sources;
        while left != 0 {
            let source = left.trailing_zeros();
            left &= left - 1;
            levels |= 1 << (self.registers.get(4 * source) & 31);
        }
        // Line 0 does not exist: mapping a source there disconnects it.
        levels &= !1;
        self.edges |= levels & !self.levels;
        self.levels = levels;
    }

    fn pending(&self) -> u32 {
        let edge_type = self.registers.get(TYPE);
        (self.levels & !edge_type | self.edges & edge_type) & self.registers.get(ENABLE)
    }

    /// The line to take: highest priority at or above the threshold, then lowest number. Priority 0 never interrupts.
    pub fn line(&self) -> Option<u8> {
        let mut left = self.pending();
        let threshold = self.registers.get(THRESHOLD) & 15;
        let mut best: Option<(u32, u8)> = None;
        while left != 0 {
            let line = left.trailing_zeros();
            left &= left - 1;
            let priority = self.registers.get(PRIORITY + 4 * line) & 15;
            if priority != 0 && priority >= threshold && best.is_none_or(|(highest, _)| priority > highest) {
                best = Some((priority, line as u8));
            }
        }
        best.map(|(_, line)| line)
    }
}

impl Peripheral for InterruptMatrix {
    fn read(&mut self, now: Ticks, offset: u32) -> Option<u32> {
        Some(match offset {
            STATUS_LOW => self.sources as u32,
            STATUS_HIGH => (self.sources >> 32) as u32,
            EIP_STATUS => self.pending(),
            _ => self.registers.read(now, offset)?,
        })
    }

    fn write(&mut self, now: Ticks, offset: u32, value: u32) -> Option<()> {
        match offset {
            STATUS_LOW | STATUS_HIGH | EIP_STATUS => {}
            CLEAR => {
                self.edges &= !value;
                self.registers.set(CLEAR, value);
            }
            _ => {
                self.registers.write(now, offset, value)?;
                if offset < 4 * SOURCE_COUNT {
                    self.route();
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(lines: &[(u32, u32, u32)]) -> InterruptMatrix {
        let mut matrix = InterruptMatrix::new();
        let mut enable = 0;
        for &(source, line, priority) in lines {
            matrix.write(0, 4 * source, line).expect("a mapping register");
            matrix.write(0, PRIORITY + 4 * line, priority).expect("a priority register");
            enable |= 1 << line;
        }
        matrix.write(0, ENABLE, enable).expect("ENABLE");
        matrix
    }

    #[test]
    fn the_highest_priority_at_or_above_the_threshold_wins_then_the_lowest_line() {
        let mut matrix = matrix(&[(37, 7, 3), (32, 5, 3), (50, 1, 1), (21, 9, 0)]);
        matrix.drive(1 << 37 | 1 << 32 | 1 << 50 | 1 << 21);
        assert_eq!(matrix.line(), Some(5));
        matrix.drive(1 << 50 | 1 << 21);
        assert_eq!(matrix.line(), Some(1));
        matrix.write(0, THRESHOLD, 2).expect("THRESH");
        assert_eq!(matrix.line(), None);
        matrix.write(0, THRESHOLD, 1).expect("THRESH");
        assert_eq!(matrix.line(), Some(1), "a priority equal to the threshold passes");
    }

    #[test]
    fn an_edge_stays_until_cleared_and_a_level_does_not() {
        let mut matrix = matrix(&[(16, 3, 1)]);
        matrix.drive(1 << 16);
        matrix.drive(0);
        assert_eq!(matrix.line(), None);
        matrix.write(0, TYPE, 1 << 3).expect("TYPE");
        matrix.write(0, CLEAR, 1 << 3).expect("CLEAR");
        matrix.drive(1 << 16);
        matrix.drive(0);
        assert_eq!(matrix.line(), Some(3));
        matrix.write(0, CLEAR, 1 << 3).expect("CLEAR");
        assert_eq!(matrix.line(), None);
    }
}
