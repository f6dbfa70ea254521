//! What a straight-line block of RISC-V code costs: its instruction count, and whether it ends in a dispatch.
//!
//! Looks at bytes only; never at the state of the core.

/// Facts about one block, found once and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Cost {
    /// Number of instructions.
    pub instructions: u32,
    /// The last instruction is an indirect jump that neither links nor returns (`jr` through other than `ra`/`t0`).
    pub ends_in_dispatch: bool,
    /// Bytes before the last instruction.
    pub last_offset: u32,
}

/// Whether an instruction starting with this halfword takes 4 bytes (the unprivileged specification, section 1.5).
pub fn is_long(halfword: u16) -> bool {
    halfword & 3 == 3
}

/// Counts the instructions in `code`.
pub fn cost(code: &[u8]) -> Cost {
    let mut cost = Cost::default();
    let mut offset = 0;
    while let Some(&[low, high]) = code.get(offset..offset + 2) {
        let halfword = u16::from_le_bytes([low, high]);
        cost.instructions += 1;
        cost.last_offset = offset as u32;
        let length = if is_long(halfword) { 4 } else { 2 };
        cost.ends_in_dispatch = match code.get(offset..offset + length) {
            Some(&[a, b, c, d]) => is_dispatch(u32::from_le_bytes([a, b, c, d])),
            Some(&[a, b]) => is_dispatch(u32::from(u16::from_le_bytes([a, b]))),
            _ => false,
        };
        offset += length;
    }
    cost
}

/// How many instructions of `code` begin before `offset`.
pub fn instructions_before(code: &[u8], offset: u32) -> u32 {
    let mut at = 0;
    let mut count = 0;
    while at < offset {
        let Some(&[low, high]) = code.get(at as usize..at as usize + 2) else { break };
        at += if is_long(u16::from_le_bytes([low, high])) { 4 } else { 2 };
        count += 1;
    }
    count
}

fn is_dispatch(instruction: u32) -> bool {
    const RA: u32 = 1;
    const T0: u32 = 5;
    let target = if instruction & 3 == 3 {
        // jalr x0, 0..(rs1)
        if instruction & 0x7fff != 0x67 {
            return false;
        }
        instruction >> 15 & 31
    } else {
        // c.jr rs1
        if instruction & 0xf07f != 0x8002 {
            return false;
        }
        instruction >> 7 & 31
    };
    target != 0 && target != RA && target != T0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_lengths_are_counted_and_only_plain_indirect_jumps_dispatch() {
        // addi a0,a0,1 (long); c.addi a0,1; c.jr a5
        let code = [0x13, 0x05, 0x15, 0x00, 0x05, 0x05, 0x82, 0x87];
        assert_eq!(cost(&code), Cost { instructions: 3, ends_in_dispatch: true, last_offset: 6 });
        assert_eq!([0, 1, 4, 5, 6, 7].map(|offset| instructions_before(&code, offset)), [0, 1, 1, 2, 2, 3]);
        assert!(!cost(&[0x82, 0x80]).ends_in_dispatch, "ret");
        assert!(!cost(&[0x82, 0x97]).ends_in_dispatch, "c.jalr a5");
        assert!(cost(&0x0007_8067_u32.to_le_bytes()).ends_in_dispatch, "jalr x0, 0(a5)");
        assert!(!cost(&0x0007_80e7_u32.to_le_bytes()).ends_in_dispatch, "jalr ra, 0(a5)");
    }
}
