//! The address that a RISC-V load, store or jump means, from its bits and the registers: Unicorn reports a failed access
//! by page only, and `mtval` must hold the exact address.
//!
//! Covers RV32IMC and nothing else.

/// The base register and displacement of the load or store `instruction` (RV32I or RV32C encoding), or `None` for any
/// other instruction. Encodings: the unprivileged specification, chapters 2 and "C" extension.
pub fn operand(instruction: u32) -> Option<(u8, i32)> {
    if instruction & 3 == 3 {
        let base = (instruction >> 15 & 31) as u8;
        return match instruction & 0x7f {
            0x03 | 0x67 => Some((base, instruction as i32 >> 20)),
            0x23 => Some((base, (instruction as i32 >> 25 << 5) | (instruction >> 7 & 31) as i32)),
            _ => None,
        };
    }
    let narrow_base = 8 + (instruction >> 7 & 7) as u8;
    const SP: u8 = 2;
    match (instruction & 3, instruction >> 13 & 7) {
        // c.lw, c.sw: uimm[5:3] at 12..10, [2] at 6, [6] at 5
        (0, 2 | 6) => {
            let offset = (instruction >> 10 & 7) << 3 | (instruction >> 6 & 1) << 2 | (instruction >> 5 & 1) << 6;
            Some((narrow_base, offset as i32))
        }
        // c.lwsp: uimm[5] at 12, [4:2] at 6..4, [7:6] at 3..2
        (2, 2) => {
            let offset = (instruction >> 12 & 1) << 5 | (instruction >> 4 & 7) << 2 | (instruction >> 2 & 3) << 6;
            Some((SP, offset as i32))
        }
        // c.swsp: uimm[5:2] at 12..9, [7:6] at 8..7
        (2, 6) => Some((SP, ((instruction >> 9 & 15) << 2 | (instruction >> 7 & 3) << 6) as i32)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_follow_the_assembler() {
        assert_eq!(operand(0xff87_2783), Some((14, -8)), "lw a5,-8(a4)");
        assert_eq!(operand(0xfef7_2c23), Some((14, -8)), "sw a5,-8(a4)");
        assert_eq!(operand(0x439c), Some((15, 0)), "c.lw a5,0(a5)");
        assert_eq!(operand(0xcbb8), Some((15, 80)), "c.sw a4,80(a5)");
        assert_eq!(operand(0x40b2), Some((2, 12)), "c.lwsp ra,12(sp)");
        assert_eq!(operand(0xce06), Some((2, 28)), "c.swsp ra,28(sp)");
        assert_eq!(operand(0x0000_0013), None, "nop");
    }
}
