//! Parallel copies in sequence: each slot receives its value although the copies happen one after the other.
//!
//! Must never hold: virtual registers.

use super::machine::Const;
use espb_format::instruction::Instruction;
use espb_format::opcode::Opcode;

/// What a slot receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// What another slot holds.
    Slot(u8),
    /// A constant.
    Const(Const),
    /// A word of the linear frame.
    Memory(u32),
}

/// A step of the sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An instruction with slots.
    Op(Instruction),
    /// A constant into a slot.
    Const { slot: u8, value: Const },
    /// A word of the linear frame into a slot.
    Load { slot: u8, offset: u32 },
    /// Two words in a row into two slots in a row.
    Load64 { slot: u8, offset: u32 },
}

fn op(opcode: Opcode, operands: &[i64]) -> Step {
    Step::Op(Instruction::new(opcode, operands))
}

/// Two words as a signed number.
fn joined(low: u32, high: u32) -> i64 {
    (u64::from(high) << 32 | u64::from(low)) as i64
}

/// Makes readers of `lanes` slots from `slot` on read those from `saved` on.
fn redirect(pending: &mut [(u8, u8)], slot: u8, lanes: u8, saved: u8) {
    for (_, from) in pending {
        if *from >= slot && *from < slot + lanes {
            *from = saved + (*from - slot);
        }
    }
}

/// Orders the copies. Targets are distinct; `scratch` and the slot behind it belong to nobody. Without it, exchanges go through exclusive or.
pub fn sequence(copies: &[(u8, From)], scratch: Option<u8>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut pending: Vec<(u8, u8)> = Vec::new();
    let mut rest = Vec::new();
    for (to, from) in copies {
        match from {
            From::Slot(from) if from == to => {}
            From::Slot(from) => pending.push((*to, *from)),
            other => rest.push((*to, *other)),
        }
    }
    pending.sort_unstable();
    let mut readers = [0u8; 256];
    pending.iter().for_each(|(_, from)| readers[usize::from(*from)] += 1);
    while !pending.is_empty() {
        // A copy is ready when nobody else still reads its target; both halves of a pair go at once where they can.
        let blocked = |to: u8, own: &[u8]| {
            let own = own.iter().filter(|from| **from == to).count() as u8;
            readers[usize::from(to)] > own
        };
        let pair = pending.iter().find_map(|(to, from)| {
            let high = (to.checked_add(1)?, from.checked_add(1)?);
            let own = [*from, high.1];
            (pending.contains(&high) && !blocked(*to, &own) && !blocked(high.0, &own)).then_some((*to, *from))
        });
        if let Some((to, from)) = pair {
            steps.push(op(Opcode::Move64, &[to.into(), from.into()]));
            for lane in 0..2 {
                readers[usize::from(from + lane)] -= 1;
                pending.retain(|copy| *copy != (to + lane, from + lane));
            }
            continue;
        }
        if let Some(at) = pending.iter().position(|(to, _)| readers[usize::from(*to)] == 0) {
            let (to, from) = pending.swap_remove(at);
            readers[usize::from(from)] -= 1;
            steps.push(op(Opcode::Move, &[to.into(), from.into()]));
            continue;
        }
        // Only cycles are left: one target is saved, and its readers read the saved value. A pair is saved at once.
        let Some((to, from)) = pending.first().copied() else { break };
        let pair = scratch.filter(|_| to < u8::MAX && from < u8::MAX && pending.contains(&(to + 1, from + 1)));
        let lanes = if pair.is_some() { 2 } else { 1 };
        match scratch {
            Some(scratch) => {
                steps.push(op(if lanes == 2 { Opcode::Move64 } else { Opcode::Move }, &[scratch.into(), to.into()]));
                redirect(&mut pending, to, lanes, scratch);
            }
            None => {
                for (d, a, b) in [(to, to, from), (from, to, from), (to, to, from)] {
                    steps.push(op(Opcode::Xor, &[d.into(), a.into(), b.into()]));
                }
                pending.remove(0);
                for copy in &mut pending {
                    copy.1 = if copy.1 == to {
                        from
                    } else if copy.1 == from {
                        to
                    } else {
                        copy.1
                    };
                }
                pending.retain(|(to, from)| to != from);
            }
        }
        readers = [0; 256];
        pending.iter().for_each(|(_, from)| readers[usize::from(*from)] += 1);
    }
    rest.sort_unstable_by_key(|(to, _)| *to);
    let mut at = 0;
    while let Some((slot, from)) = rest.get(at).copied() {
        let next = rest.get(at + 1).filter(|(to, _)| *to == slot + 1).map(|(_, from)| *from);
        at += 2;
        match (from, next) {
            (From::Const(Const::Int(low)), Some(From::Const(Const::Int(high))))
                if i16::try_from(joined(low, high)).is_ok() =>
            {
                steps.push(op(Opcode::LoadImmediate64, &[slot.into(), joined(low, high)]));
            }
            (From::Memory(offset), Some(From::Memory(high))) if high == offset + 4 && offset % 8 == 0 => {
                steps.push(Step::Load64 { slot, offset });
            }
            (from, _) => {
                at -= 1;
                steps.push(match from {
                    From::Const(value) => Step::Const { slot, value },
                    From::Memory(offset) => Step::Load { slot, offset },
                    From::Slot(_) => continue,
                });
            }
        }
    }
    steps
}
