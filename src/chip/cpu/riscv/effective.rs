//! What a RISC-V load or store does, from its bits: Unicorn does not say which access failed, and `mtval` must hold its
//! exact address.
//!
//! Covers RV32IMC and nothing else.

/// Whether an instruction loads or stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It loads.
    Load,
    /// It stores.
    Store,
}

/// A load or store: what it does, its base register and its displacement.
pub type Operand = (Access, u8, i32);

/// Decodes the load or store `instruction` (RV32I or RV32C encoding); `None` for any other instruction. Encodings: the
/// unprivileged specification, chapters "RV32I" and "C" extension.
pub fn operand(instruction: u32) -> Option<Operand> {
    use Access::{Load, Store};
    if instruction & 3 == 3 {
        let base = (instruction >> 15 & 31) as u8;
        return match instruction & 0x7f {
            0x03 => Some((Load, base, instruction as i32 >> 20)),
            0x23 => Some((Store, base, (instruction as i32 >> 25 << 5) | (instruction >> 7 & 31) as i32)),
            _ => None,
        };
    }
    let narrow_base = 8 + (instruction >> 7 & 7) as u8;
    const SP: u8 = 2;
    let access = if instruction >> 15 & 1 == 0 { Load } else { Store };
    match (instruction & 3, instruction >> 13 & 7) {
        // c.lw, c.sw: uimm[5:3] at 12..10, [2] at 6, [6] at 5
        (0, 2 | 6) => {
            let offset = (instruction >> 10 & 7) << 3 | (instruction >> 6 & 1) << 2 | (instruction >> 5 & 1) << 6;
            Some((access, narrow_base, offset as i32))
        }
        // c.lwsp: uimm[5] at 12, [4:2] at 6..4, [7:6] at 3..2
        (2, 2) => {
            let offset = (instruction >> 12 & 1) << 5 | (instruction >> 4 & 7) << 2 | (instruction >> 2 & 3) << 6;
            Some((access, SP, offset as i32))
        }
        // c.swsp: uimm[5:2] at 12..9, [7:6] at 8..7
        (2, 6) => Some((access, SP, ((instruction >> 9 & 15) << 2 | (instruction >> 7 & 3) << 6) as i32)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_follow_the_assembler() {
        use Access::{Load, Store};
        assert_eq!(operand(0xff87_2783), Some((Load, 14, -8)), "lw a5,-8(a4)");
        assert_eq!(operand(0xfef7_2c23), Some((Store, 14, -8)), "sw a5,-8(a4)");
        assert_eq!(operand(0x439c), Some((Load, 15, 0)), "c.lw a5,0(a5)");
        assert_eq!(operand(0xcbb8), Some((Store, 15, 80)), "c.sw a4,80(a5)");
        assert_eq!(operand(0x40b2), Some((Load, 2, 12)), "c.lwsp ra,12(sp)");
        assert_eq!(operand(0xce06), Some((Store, 2, 28)), "c.swsp ra,28(sp)");
        assert_eq!(operand(0x0000_0013), None, "nop");
    }
}
