//! Takes away masks that change nothing: of values that are small whichever way they came.
//!
//! Lowering looks at the definition of a value; here the values of loops are seen too, which are small because all that flows into them is.
//! Must never hold: what depends on the source language's types.

use super::machine::{Access, Arg, Block, Const, Function, Inst, InstKind, Reg, Source};
use espb_format::opcode::Opcode;

/// Bits of a register.
const WIDTH: u32 = 32;

/// Replaces masks by copies in the blocks in `order`.
pub fn narrow(function: &mut Function, order: &[Block]) {
    let bits = significant_bits(function, order);
    for block in order {
        for inst in &mut function.blocks[block.index()].insts {
            let InstKind::Op { opcode, args: [Arg::Reg(to), Arg::Reg(from), mask] } = inst.kind else { continue };
            let kept = match (opcode, mask) {
                (Opcode::AndByte | Opcode::AndImmediateWide, Arg::Imm(mask)) => (mask as u32).trailing_ones(),
                (Opcode::ZeroExtend16, _) => 16,
                _ => continue,
            };
            if of(&bits, from) <= kept {
                inst.kind = InstKind::Copy(vec![(to, Source::Lane(from))]);
            }
        }
    }
}

/// For each register how many low bits can be other than 0. Begins with none and goes through the code until nothing grows.
fn significant_bits(function: &Function, order: &[Block]) -> Vec<u32> {
    let mut bits: Vec<u32> = function.widths.iter().map(|lanes| if *lanes == 1 { 0 } else { WIDTH }).collect();
    loop {
        let before = bits.clone();
        for inst in order.iter().flat_map(|block| &function.blocks[block.index()].insts) {
            grow(&mut bits, inst);
        }
        if bits == before {
            return bits;
        }
    }
}

fn of(bits: &[u32], reg: Reg) -> u32 {
    bits.get(reg.vreg.0 as usize).copied().unwrap_or(WIDTH)
}

fn raise(bits: &mut [u32], reg: Reg, to: u32) {
    if let Some(known) = bits.get_mut(reg.vreg.0 as usize) {
        *known = to.max(*known);
    }
}

fn grow(bits: &mut [u32], inst: &Inst) {
    let operand = |bits: &[u32], arg: Arg| match arg {
        Arg::Reg(reg) => of(bits, reg),
        Arg::Imm(value) => WIDTH - (value as u32).leading_zeros(),
    };
    match &inst.kind {
        InstKind::Op { opcode, args } => {
            let result = match opcode {
                Opcode::Load8 | Opcode::LoadIndexed8 | Opcode::LoadStatic8 => 8,
                Opcode::Load16 | Opcode::LoadIndexed16 | Opcode::LoadStatic16 => 16,
                Opcode::SetEqual
                | Opcode::SetNotEqual
                | Opcode::SetLessSigned
                | Opcode::SetLessUnsigned
                | Opcode::SetEqualImmediate
                | Opcode::SetNotEqualImmediate
                | Opcode::SetLessSignedImmediate
                | Opcode::SetLessUnsignedImmediate => 1,
                Opcode::And | Opcode::AndByte | Opcode::AndImmediate | Opcode::AndImmediateWide => {
                    operand(bits, args[1]).min(operand(bits, args[2]))
                }
                Opcode::Or | Opcode::Xor => operand(bits, args[1]).max(operand(bits, args[2])),
                Opcode::MoveIfNonZero | Opcode::MoveIfZero => operand(bits, args[1]),
                Opcode::ZeroExtend16 => operand(bits, args[1]).min(16),
                Opcode::ShiftRightUnsignedImmediate => match args[2] {
                    Arg::Imm(by) => operand(bits, args[1]).saturating_sub(by as u32),
                    Arg::Reg(_) => WIDTH,
                },
                _ => WIDTH,
            };
            // What an instruction writes and reads keeps what it had.
            inst.for_each_lane(|reg, access| {
                if access == Access::Def {
                    raise(bits, reg, result);
                }
            });
        }
        InstKind::Copy(moves) => {
            for (to, from) in moves {
                let result = match from {
                    Source::Lane(from) => of(bits, *from),
                    Source::Const(Const::Int(value)) => WIDTH - value.leading_zeros(),
                    _ => WIDTH,
                };
                raise(bits, *to, result);
            }
        }
        InstKind::Parameters(lanes) => lanes.iter().for_each(|lane| raise(bits, *lane, WIDTH)),
        InstKind::Call(call) => call.results.iter().for_each(|lane| raise(bits, *lane, WIDTH)),
    }
}
