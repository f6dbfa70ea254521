//! Operations that are seldom executed, or so long that a call more does not matter: out of the interpreter's loop, in one function.
//!
//! Which opcodes these are is decided here and nowhere else: the loop sends every opcode here that it has no code for. Never here: what
//! moves the position, the frame or the linear stack pointer.

use crate::context::Context;
use crate::cursor::Cursor;
use crate::interpreter::code::*;
use crate::jump;
use crate::slow::{Failure, failure};
use crate::trap::TrapKind;

/// Carries out the instruction, but for going on to the next one. `sp` is the linear stack pointer.
#[allow(non_upper_case_globals, reason = "opcodes are named as in the table")]
#[inline(never)]
pub(crate) fn operate(context: &Context<'_>, at: Cursor, sp: u32) -> Result<(), Failure> {
    match at.byte::<0>() {
        CountLeadingZeros => at.word(leading_zeros),
        CountTrailingZeros => at.word(trailing_zeros),
        PopCount => at.word(ones),
        CountLeadingZeros64 => at.pair(|a| first_of(a >> 32, a, leading_zeros)),
        CountTrailingZeros64 => at.pair(|a| first_of(a, a >> 32, trailing_zeros)),
        PopCount64 => at.pair(|a| u64::from(ones(a as u32) + ones((a >> 32) as u32))),
        ByteSwap64 => at.pair(|a| u64::from(swap_bytes(a as u32)) << 32 | u64::from(swap_bytes((a >> 32) as u32))),
        DivSigned64 => return divide(at, |a, b| (a as i64).wrapping_div(b as i64) as u64),
        DivUnsigned64 => return divide(at, |a, b| a / b),
        RemSigned64 => return divide(at, |a, b| (a as i64).wrapping_rem(b as i64) as u64),
        RemUnsigned64 => return divide(at, |a, b| a % b),
        SetNotEqualF32 => at.words(|a, b| are_unequal(double(a), double(b)).into()),
        SetOrderedF32 => at.words(|a, b| are_ordered(double(a), double(b)).into()),
        SetNotEqualF64 => at.compare_doubles(are_unequal),
        SetOrderedF64 => at.compare_doubles(are_ordered),
        F32ToI32 => at.word(|a| signed_word(double(a))),
        F32ToU32 => at.word(|a| unsigned_word(double(a))),
        F32ToI64 => at.widen(|a| signed(double(a)) as u64),
        F32ToU64 => at.widen(|a| unsigned(double(a))),
        F64ToI32 => at.narrow(|a| signed_word(f64::from_bits(a))),
        F64ToU32 => at.narrow(|a| unsigned_word(f64::from_bits(a))),
        F64ToI64 => at.pair(|a| signed(f64::from_bits(a)) as u64),
        F64ToU64 => at.pair(|a| unsigned(f64::from_bits(a))),
        I32ToF32 => at.word(|a| (a as i32 as f32).to_bits()),
        U32ToF32 => at.word(|a| (a as f32).to_bits()),
        I64ToF32 => at.narrow(|a| (a as i64 as f32).to_bits()),
        U64ToF32 => at.narrow(|a| (a as f32).to_bits()),
        I32ToF64 => at.widen(|a| f64::from(a as i32).to_bits()),
        U32ToF64 => at.widen(|a| f64::from(a).to_bits()),
        I64ToF64 => at.pair(|a| (a as i64 as f64).to_bits()),
        U64ToF64 => at.pair(|a| (a as f64).to_bits()),
        F32ToF64 => at.widen(|a| double(a).to_bits()),
        F64ToF32 => at.narrow(|a| (f64::from_bits(a) as f32).to_bits()),
        MemoryMove => {
            context.charge(at.read::<3>()).map_err(|kind| (kind, 0))?;
            return context.instance().memory().copy(at.read::<1>(), at.read::<2>(), at.read::<3>()).map_err(failure);
        }
        MemorySet => {
            context.charge(at.read::<3>()).map_err(|kind| (kind, 0))?;
            let value = at.read::<2>() as u8;
            return context.instance().memory().fill(at.read::<1>(), value, at.read::<3>()).map_err(failure);
        }
        ThreadLocalAddress => {
            let block = context.thread_block().map_err(failure)?;
            at.write(block.wrapping_add(at.half().into()));
        }
        SetJump => return jump::set(context, at, sp),
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

// The chip has no instructions for these, so each is code of some length. There is one copy of it, which words and pairs, floats and doubles
// share.

#[inline(never)]
fn ones(a: u32) -> u32 {
    a.count_ones()
}

#[inline(never)]
fn leading_zeros(a: u32) -> u32 {
    a.leading_zeros()
}

#[inline(never)]
fn trailing_zeros(a: u32) -> u32 {
    a.trailing_zeros()
}

#[inline(never)]
fn swap_bytes(a: u32) -> u32 {
    a.swap_bytes()
}

/// Zeros of a pair, of which `first` is the word where counting starts and `second` the other, each in the low bits.
fn first_of(first: u64, second: u64, zeros: impl Fn(u32) -> u32) -> u64 {
    let (first, second) = (first as u32, second as u32);
    (if first == 0 { u32::BITS + zeros(second) } else { zeros(first) }).into()
}

/// A float as the double that it is as well.
#[inline(never)]
fn double(bits: u32) -> f64 {
    f32::from_bits(bits).into()
}

#[inline(never)]
fn are_ordered(a: f64, b: f64) -> bool {
    !a.is_nan() && !b.is_nan()
}

/// `a != b` would be true for NaNs.
fn are_unequal(a: f64, b: f64) -> bool {
    are_ordered(a, b) && a != b
}

/// Towards zero, saturating, and 0 for NaN, as `as` is; so are the others.
#[inline(never)]
fn signed(a: f64) -> i64 {
    a as i64
}

#[inline(never)]
fn unsigned(a: f64) -> u64 {
    a as u64
}

fn signed_word(a: f64) -> u32 {
    signed(a).clamp(i32::MIN.into(), i32::MAX.into()) as u32
}

fn unsigned_word(a: f64) -> u32 {
    signed(a).clamp(0, u32::MAX.into()) as u32
}
