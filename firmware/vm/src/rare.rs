//! Operations that are seldom executed, or so long that a call more does not matter: out of the interpreter's loop, in one function.
//!
//! Which opcodes these are is decided here and nowhere else: the loop sends every opcode here that it has no code for. Never here: what
//! moves the position, the frame or the linear stack pointer.

use espb_format::opcode::Opcode;

use crate::context::Context;
use crate::cursor::Cursor;
use crate::jump;
use crate::slow::{Failure, failure};
use crate::trap::TrapKind;

/// Carries out the instruction, but for going on to the next one. `sp` is the linear stack pointer.
#[inline(never)]
pub(crate) fn operate(context: &Context<'_>, at: Cursor, sp: u32) -> Result<(), Failure> {
    use Opcode::*;
    match Opcode::from_byte(at.byte::<0>()) {
        Some(CountLeadingZeros) => at.word(u32::leading_zeros),
        Some(CountTrailingZeros) => at.word(u32::trailing_zeros),
        Some(PopCount) => at.word(u32::count_ones),
        Some(CountLeadingZeros64) => at.pair(|a| a.leading_zeros().into()),
        Some(CountTrailingZeros64) => at.pair(|a| a.trailing_zeros().into()),
        Some(PopCount64) => at.pair(|a| a.count_ones().into()),
        Some(ByteSwap64) => at.pair(u64::swap_bytes),
        Some(DivSigned64) => return divide(at, |a, b| (a as i64).wrapping_div(b as i64) as u64),
        Some(DivUnsigned64) => return divide(at, |a, b| a / b),
        Some(RemSigned64) => return divide(at, |a, b| (a as i64).wrapping_rem(b as i64) as u64),
        Some(RemUnsigned64) => return divide(at, |a, b| a % b),
        // a ≠ b would be true for NaNs.
        Some(SetNotEqualF32) => at.compare_floats(|a, b| !a.is_nan() && !b.is_nan() && a != b),
        Some(SetOrderedF32) => at.compare_floats(|a, b| !a.is_nan() && !b.is_nan()),
        Some(SetNotEqualF64) => at.compare_doubles(|a, b| !a.is_nan() && !b.is_nan() && a != b),
        Some(SetOrderedF64) => at.compare_doubles(|a, b| !a.is_nan() && !b.is_nan()),
        Some(F32ToI32) => at.word(|a| f32::from_bits(a) as i32 as u32),
        Some(F32ToU32) => at.word(|a| f32::from_bits(a) as u32),
        Some(F32ToI64) => at.widen(|a| f32::from_bits(a) as i64 as u64),
        Some(F32ToU64) => at.widen(|a| f32::from_bits(a) as u64),
        Some(F64ToI32) => at.narrow(|a| f64::from_bits(a) as i32 as u32),
        Some(F64ToU32) => at.narrow(|a| f64::from_bits(a) as u32),
        Some(F64ToI64) => at.pair(|a| f64::from_bits(a) as i64 as u64),
        Some(F64ToU64) => at.pair(|a| f64::from_bits(a) as u64),
        Some(I32ToF32) => at.word(|a| (a as i32 as f32).to_bits()),
        Some(U32ToF32) => at.word(|a| (a as f32).to_bits()),
        Some(I64ToF32) => at.narrow(|a| (a as i64 as f32).to_bits()),
        Some(U64ToF32) => at.narrow(|a| (a as f32).to_bits()),
        Some(I32ToF64) => at.widen(|a| f64::from(a as i32).to_bits()),
        Some(U32ToF64) => at.widen(|a| f64::from(a).to_bits()),
        Some(I64ToF64) => at.pair(|a| (a as i64 as f64).to_bits()),
        Some(U64ToF64) => at.pair(|a| (a as f64).to_bits()),
        Some(F32ToF64) => at.widen(|a| f64::from(f32::from_bits(a)).to_bits()),
        Some(F64ToF32) => at.narrow(|a| (f64::from_bits(a) as f32).to_bits()),
        Some(MemoryMove) => {
            context.charge(at.read::<3>()).map_err(|kind| (kind, 0))?;
            return context.instance().memory().copy(at.read::<1>(), at.read::<2>(), at.read::<3>()).map_err(failure);
        }
        Some(MemorySet) => {
            context.charge(at.read::<3>()).map_err(|kind| (kind, 0))?;
            let value = at.read::<2>() as u8;
            return context.instance().memory().fill(at.read::<1>(), value, at.read::<3>()).map_err(failure);
        }
        Some(ThreadLocalAddress) => {
            let block = context.thread_block().map_err(failure)?;
            at.write(block.wrapping_add(at.half().into()));
        }
        Some(SetJump) => return jump::set(context, at, sp),
        _ => return Err((TrapKind::IllegalInstruction, 0)),
    }
    Ok(())
}

/// 64-bit division and remainder.
fn divide(at: Cursor, operator: impl FnOnce(u64, u64) -> u64) -> Result<(), Failure> {
    let (dividend, divisor) = (at.read64::<2>(), at.read64::<3>());
    if divisor == 0 {
        return Err((TrapKind::DivisionByZero, 0));
    }
    at.write64(operator(dividend, divisor));
    Ok(())
}
