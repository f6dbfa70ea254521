//! The interpreter: one loop over one `match` of the opcode byte.
//!
//! The match has an arm for each opcode of the table and names the undefined bytes instead of having a wildcard: an opcode without an
//! arm does not compile. What is rare or long lives out of line in [`crate::slow`], so that the loop's state stays in registers.
//! Nothing is checked here that the verifier has checked. Never here: how registers and memory are reached
//! ([`crate::cursor`], [`crate::access`]).

use espb_format::for_each_opcode;
use espb_format::opcode::Opcode;

use crate::access;
use crate::context::Context;
use crate::cursor::Cursor;
use crate::jump;
use crate::link::Link;
use crate::slow;
use crate::trap::{Trap, TrapKind};

/// The opcodes as bytes, for patterns.
#[allow(non_upper_case_globals, reason = "named as in the table")]
mod code {
    macro_rules! bytes {
        ($($doc:literal $name:ident $code:literal $mnemonic:literal [$($operand:ident)*] $flow:ident;)+) => {
            $(pub(super) const $name: u8 = $code;)+
        };
    }
    super::for_each_opcode!(bytes);
}

/// The bytes that are no opcode. One by one: ranges would become comparisons in front of the jump table.
#[rustfmt::skip]
macro_rules! undefined {
    () => {
        0x43 | 0x44 | 0x45 | 0x46 | 0x47
            | 0x65 | 0x66 | 0x67
            | 0x8c | 0x8d | 0x8e | 0x8f
            | 0xb6 | 0xb7 | 0xb8 | 0xb9 | 0xba | 0xbb | 0xbc | 0xbd | 0xbe | 0xbf
            | 0xcf | 0xd0 | 0xd1 | 0xd2
            | 0xdf
            | 0xec | 0xed | 0xee | 0xef | 0xf0 | 0xf1 | 0xf2 | 0xf3
            | 0xf4 | 0xf5 | 0xf6 | 0xf7 | 0xf8 | 0xf9 | 0xfa | 0xfb | 0xfc | 0xfd | 0xfe | 0xff
    };
}

// With this and without a wildcard, the loop below handles each opcode of the table.
const _: () = {
    let mut index = 0;
    while index < Opcode::ALL.len() {
        assert!(!matches!(Opcode::ALL[index] as u8, undefined!()), "an opcode is listed as undefined");
        index += 1;
    }
};

/// Runs from the context's present position until its entry frame returns; the result is then in that frame's first slots.
///
/// A trap leaves the context at the instruction that trapped.
#[allow(clippy::double_comparisons, reason = "a ≠ b would be true for NaNs")]
#[inline(never)]
#[unsafe(export_name = "espb_interpret")]
#[cfg_attr(feature = "interpreter-in-ram", unsafe(link_section = ".rwtext.espb_interpreter"))]
pub(crate) fn interpret(context: &Context<'_>) -> Result<(), Trap> {
    let linear = context.linear();
    let program = context.program();
    // SAFETY: `Context::call` has laid the frame and put the position at a function's entry.
    let mut at = unsafe { Cursor::new(context.pc.get(), context.fp.get()) };
    let mut sp = context.sp.get();
    let mut fuel = context.fuel.get();

    let trap = 'run: loop {
        macro_rules! trap {
            ($kind:ident) => {
                trap!($kind, 0)
            };
            ($kind:ident, $value:expr) => {
                break 'run (TrapKind::$kind, $value)
            };
        }
        // The end of an arm: a comment to the assembler, another one in each arm. Without it LLVM joins arms that end alike, and a jump
        // to the common end costs more than the few bytes are worth.
        macro_rules! end {
            () => {{
                #[cfg(target_arch = "riscv32")]
                // SAFETY: no instruction.
                unsafe {
                    core::arch::asm!(concat!("/* line ", line!(), " */"), options(nomem, nostack, preserves_flags))
                }
            }};
        }
        // The next instruction to run is so many words away.
        macro_rules! next {
            ($words:expr) => {{
                at.go($words);
                end!()
            }};
        }
        // Pays for a backward branch or a call.
        macro_rules! pay {
            () => {{
                if fuel == 0 {
                    match context.refill() {
                        Ok(taken) => fuel = taken,
                        Err(kind) => break 'run (kind, 0),
                    }
                }
                fuel = fuel.wrapping_sub(1);
            }};
        }
        macro_rules! jump {
            ($words:expr) => {{
                let words = $words;
                if words <= 0 {
                    pay!();
                }
                next!(words);
                continue;
            }};
        }
        // An arm that does something and goes on.
        macro_rules! step {
            ($action:expr) => {
                step!($action, 1)
            };
            ($action:expr, $words:literal) => {{
                $action;
                next!($words)
            }};
        }
        macro_rules! branch {
            ($taken:expr) => {{
                if $taken {
                    jump!(i32::from(at.byte::<3>() as i8))
                }
                next!(1)
            }};
        }
        macro_rules! branch_wide {
            ($taken:expr) => {{
                if $taken {
                    jump!(at.wide() as i32)
                }
                next!(2)
            }};
        }
        macro_rules! divide {
            ($operator:expr) => {{
                if !at.words_checked($operator) {
                    trap!(DivisionByZero)
                }
                next!(1)
            }};
        }
        macro_rules! load {
            ($type:ty, $address:expr, $extend:expr) => {{
                let address = $address;
                let Some(value) = access::load::<$type>(context, linear, address) else { trap!(Load, address) };
                at.write($extend(value));
                next!(1)
            }};
        }
        macro_rules! load64 {
            ($address:expr) => {{
                let address = $address;
                let Some(value) = access::load::<u64>(context, linear, address) else { trap!(Load, address) };
                at.write64(value);
                next!(1)
            }};
        }
        macro_rules! store {
            ($type:ty, $address:expr, $value:expr) => {{
                let address = $address;
                if !access::store::<$type>(linear, address, $value) {
                    trap!(Store, address)
                }
                next!(1)
            }};
        }
        // What runs out of line and may trap.
        macro_rules! checked {
            ($outcome:expr) => {{
                match $outcome {
                    Ok(value) => value,
                    Err(trap) => break 'run trap,
                }
            }};
        }
        macro_rules! enter {
            ($record:expr, $words:literal) => {{
                let record = $record;
                let window = at.byte::<1>();
                pay!();
                let (slots, frame) = (record.frame(), record.linear_frame());
                let fp = at.fp().wrapping_add(window.into());
                // The frame so far fits, so the difference is not negative.
                if context.shadow_limit().addr().wrapping_sub(fp.addr()) < slots {
                    trap!(ShadowStackOverflow)
                }
                if sp.wrapping_sub(context.stack_limit()) < frame {
                    trap!(LinearStackOverflow, frame)
                }
                let link = Link::new(program.offset_of(at.pc()).wrapping_add(4 * $words), window);
                // SAFETY: verified code calls functions of its module only, and the frame was just found to fit.
                unsafe { at.enter(program.code(record.start()), window, link, sp) };
                sp = sp.wrapping_sub(frame);
                end!()
            }};
        }
        // Enters a function in the place of the one that runs: frame and link stay, the linear stack pointer is the caller's again first.
        macro_rules! replace {
            ($record:expr) => {{
                let record = $record;
                pay!();
                let (slots, frame) = (record.frame(), record.linear_frame());
                let (_, caller_sp) = at.link();
                if context.shadow_limit().addr().wrapping_sub(at.fp().addr()) < slots {
                    trap!(ShadowStackOverflow)
                }
                if caller_sp.wrapping_sub(context.stack_limit()) < frame {
                    trap!(LinearStackOverflow, frame)
                }
                // SAFETY: verified code enters functions of its module only, and the frame was just found to fit.
                unsafe { at.replace(program.code(record.start())) };
                sp = caller_sp.wrapping_sub(frame);
                end!()
            }};
        }
        macro_rules! leave {
            () => {{
                let (link, caller_sp) = at.link();
                if link.is_entry() {
                    context.park(at, sp, fuel);
                    return Ok(());
                }
                at.leave(program.at(link.offset()), link.window());
                sp = caller_sp;
                end!()
            }};
        }
        macro_rules! host {
            ($variadic:expr, $words:literal) => {{
                context.park(at, sp, fuel);
                slow::call_host(context, at, at.half(), $variadic)?;
                fuel = context.fuel.get();
                next!($words)
            }};
        }

        match at.byte::<0>() {
            code::Unreachable => trap!(Unreachable),
            code::Trap => trap!(Explicit, at.byte::<1>().into()),
            undefined!() => trap!(IllegalInstruction),

            code::Move => step!(at.word(|a| a)),
            code::Move64 => step!(at.pair(|a| a)),
            code::LoadImmediate => step!(at.write(at.half() as i16 as u32)),
            code::LoadImmediateWide => step!(at.write(at.wide()), 2),
            code::LoadImmediate64 => step!(at.write64(at.half() as i16 as u64)),
            code::ConstantAddress => step!(at.write(context.constant().start().wrapping_add(at.half().into()))),
            code::StaticAddress => step!(at.write(linear.start().wrapping_add(at.half().into()))),
            code::StackAddress => step!(at.write(sp.wrapping_add(at.half().into()))),
            code::CallbackAddress => step!(at.write(context.instance().thunks().address(at.half()))),
            code::MoveIfNonZero => {
                if at.read::<3>() != 0 {
                    at.write(at.read::<2>());
                }
                next!(1);
            }
            code::MoveIfZero => {
                if at.read::<3>() == 0 {
                    at.write(at.read::<2>());
                }
                next!(1);
            }
            code::MoveIfNonZero64 => {
                if at.read::<3>() != 0 {
                    at.write64(at.read64::<2>());
                }
                next!(1);
            }
            code::MoveIfZero64 => {
                if at.read::<3>() == 0 {
                    at.write64(at.read64::<2>());
                }
                next!(1);
            }
            code::ThreadLocalAddress => step!(at.write(checked!(slow::thread_local(context, at)))),

            code::Add => step!(at.words(|a, b| a.wrapping_add(b))),
            code::Sub => step!(at.words(|a, b| a.wrapping_sub(b))),
            code::Mul => step!(at.words(|a, b| a.wrapping_mul(b))),
            code::MulHighSigned => {
                step!(at.words(|a, b| (i64::from(a as i32).wrapping_mul((b as i32).into()) >> 32) as u32))
            }
            code::MulHighUnsigned => step!(at.words(|a, b| (u64::from(a).wrapping_mul(b.into()) >> 32) as u32)),
            code::DivSigned => divide!(|a, b| (b != 0).then(|| (a as i32).wrapping_div(b as i32) as u32)),
            code::DivUnsigned => divide!(u32::checked_div),
            code::RemSigned => divide!(|a, b| (b != 0).then(|| (a as i32).wrapping_rem(b as i32) as u32)),
            code::RemUnsigned => divide!(u32::checked_rem),
            code::And => step!(at.words(|a, b| a & b)),
            code::Or => step!(at.words(|a, b| a | b)),
            code::Xor => step!(at.words(|a, b| a ^ b)),
            code::ShiftLeft => step!(at.words(|a, b| a.wrapping_shl(b))),
            code::ShiftRightSigned => step!(at.words(|a, b| (a as i32).wrapping_shr(b) as u32)),
            code::ShiftRightUnsigned => step!(at.words(|a, b| a.wrapping_shr(b))),
            code::RotateLeft => step!(at.words(|a, b| a.rotate_left(b & 31))),
            code::SetEqual => step!(at.words(|a, b| u32::from(a == b))),
            code::SetNotEqual => step!(at.words(|a, b| u32::from(a != b))),
            code::SetLessSigned => step!(at.words(|a, b| u32::from((a as i32) < b as i32))),
            code::SetLessUnsigned => step!(at.words(|a, b| u32::from(a < b))),
            code::MinSigned => step!(at.words(|a, b| (a as i32).min(b as i32) as u32)),
            code::MaxSigned => step!(at.words(|a, b| (a as i32).max(b as i32) as u32)),
            code::MinUnsigned => step!(at.words(|a, b| a.min(b))),
            code::MaxUnsigned => step!(at.words(|a, b| a.max(b))),
            code::SignExtend8 => step!(at.word(|a| a as i8 as u32)),
            code::SignExtend16 => step!(at.word(|a| a as i16 as u32)),
            code::ZeroExtend16 => step!(at.word(|a| a & 0xffff)),
            code::CountLeadingZeros => step!(at.word(|a| a.leading_zeros())),
            code::CountTrailingZeros => step!(at.word(|a| a.trailing_zeros())),
            code::PopCount => step!(at.word(|a| a.count_ones())),
            code::ByteSwap => step!(at.word(|a| a.swap_bytes())),
            code::Absolute => step!(at.word(|a| (a as i32).wrapping_abs() as u32)),

            code::AddImmediate => step!(at.word_i8(|a, i| a.wrapping_add(i))),
            code::ReverseSubImmediate => step!(at.word_i8(|a, i| i.wrapping_sub(a))),
            code::MulImmediate => step!(at.word_i8(|a, i| a.wrapping_mul(i))),
            code::AndImmediate => step!(at.word_i8(|a, i| a & i)),
            code::OrImmediate => step!(at.word_i8(|a, i| a | i)),
            code::XorImmediate => step!(at.word_i8(|a, i| a ^ i)),
            code::ShiftLeftImmediate => step!(at.word_u8(|a, i| a.wrapping_shl(i))),
            code::ShiftRightSignedImmediate => step!(at.word_u8(|a, i| (a as i32).wrapping_shr(i) as u32)),
            code::ShiftRightUnsignedImmediate => step!(at.word_u8(|a, i| a.wrapping_shr(i))),
            code::AndByte => step!(at.word_u8(|a, i| a & i)),
            code::SetEqualImmediate => step!(at.word_i8(|a, i| u32::from(a == i))),
            code::SetNotEqualImmediate => step!(at.word_i8(|a, i| u32::from(a != i))),
            code::SetLessSignedImmediate => step!(at.word_i8(|a, i| u32::from((a as i32) < i as i32))),
            code::SetLessUnsignedImmediate => step!(at.word_i8(|a, i| u32::from(a < i))),
            code::AddImmediateWide => step!(at.word_i32(|a, i| a.wrapping_add(i)), 2),
            code::MulImmediateWide => step!(at.word_i32(|a, i| a.wrapping_mul(i)), 2),
            code::AndImmediateWide => step!(at.word_i32(|a, i| a & i), 2),
            code::OrImmediateWide => step!(at.word_i32(|a, i| a | i), 2),
            code::XorImmediateWide => step!(at.word_i32(|a, i| a ^ i), 2),

            code::Add64 => step!(at.pairs(|a, b| a.wrapping_add(b))),
            code::Sub64 => step!(at.pairs(|a, b| a.wrapping_sub(b))),
            code::Mul64 => step!(at.pairs(|a, b| a.wrapping_mul(b))),
            code::DivSigned64 | code::DivUnsigned64 | code::RemSigned64 | code::RemUnsigned64 => {
                let Some(value) = slow::divide64(at.byte::<0>(), at.read64::<2>(), at.read64::<3>()) else {
                    trap!(DivisionByZero)
                };
                at.write64(value);
                next!(1)
            }
            code::And64 => step!(at.pairs(|a, b| a & b)),
            code::Or64 => step!(at.pairs(|a, b| a | b)),
            code::Xor64 => step!(at.pairs(|a, b| a ^ b)),
            code::ShiftLeft64 => step!(at.pair_word(|a, b| a.wrapping_shl(b))),
            code::ShiftRightSigned64 => step!(at.pair_word(|a, b| (a as i64).wrapping_shr(b) as u64)),
            code::ShiftRightUnsigned64 => step!(at.pair_word(|a, b| a.wrapping_shr(b))),
            code::SetEqual64 => step!(at.compare(|a, b| a == b)),
            code::SetNotEqual64 => step!(at.compare(|a, b| a != b)),
            code::SetLessSigned64 => step!(at.compare(|a, b| (a as i64) < b as i64)),
            code::SetLessUnsigned64 => step!(at.compare(|a, b| a < b)),
            code::AddImmediate64 => step!(at.pair_u8(|a, i| a.wrapping_add(i as i8 as u64))),
            code::ShiftLeftImmediate64 => step!(at.pair_u8(|a, i| a.wrapping_shl(i))),
            code::ShiftRightSignedImmediate64 => step!(at.pair_u8(|a, i| (a as i64).wrapping_shr(i) as u64)),
            code::ShiftRightUnsignedImmediate64 => step!(at.pair_u8(|a, i| a.wrapping_shr(i))),
            code::SignExtend64 => step!(at.widen(|a| a as i32 as u64)),
            code::ZeroExtend64 => step!(at.widen(|a| a.into())),
            code::MulWideSigned => {
                step!(at.widen_two(|a, b| i64::from(a as i32).wrapping_mul((b as i32).into()) as u64))
            }
            code::MulWideUnsigned => step!(at.widen_two(|a, b| u64::from(a).wrapping_mul(b.into()))),
            code::CountLeadingZeros64 => step!(at.pair(|a| a.leading_zeros().into())),
            code::CountTrailingZeros64 => step!(at.pair(|a| a.trailing_zeros().into())),
            code::PopCount64 => step!(at.pair(|a| a.count_ones().into())),
            code::ByteSwap64 => step!(at.pair(|a| a.swap_bytes())),

            code::AddF32 => step!(at.floats(|a, b| a + b)),
            code::SubF32 => step!(at.floats(|a, b| a - b)),
            code::MulF32 => step!(at.floats(|a, b| a * b)),
            code::DivF32 => step!(at.floats(|a, b| a / b)),
            code::SetEqualF32 => step!(at.compare_floats(|a, b| a == b)),
            code::SetLessF32 => step!(at.compare_floats(|a, b| a < b)),
            code::SetLessEqualF32 => step!(at.compare_floats(|a, b| a <= b)),
            code::SetNotEqualF32 => step!(at.compare_floats(|a, b| a < b || a > b)),
            code::SetOrderedF32 => step!(at.compare_floats(|a, b| !a.is_nan() && !b.is_nan())),
            code::AddF64 => step!(at.doubles(|a, b| a + b)),
            code::SubF64 => step!(at.doubles(|a, b| a - b)),
            code::MulF64 => step!(at.doubles(|a, b| a * b)),
            code::DivF64 => step!(at.doubles(|a, b| a / b)),
            code::SetEqualF64 => step!(at.compare_doubles(|a, b| a == b)),
            code::SetLessF64 => step!(at.compare_doubles(|a, b| a < b)),
            code::SetLessEqualF64 => step!(at.compare_doubles(|a, b| a <= b)),
            code::SetNotEqualF64 => step!(at.compare_doubles(|a, b| a < b || a > b)),
            code::SetOrderedF64 => step!(at.compare_doubles(|a, b| !a.is_nan() && !b.is_nan())),
            code::F32ToI32 => step!(at.word(|a| f32::from_bits(a) as i32 as u32)),
            code::F32ToU32 => step!(at.word(|a| f32::from_bits(a) as u32)),
            code::F32ToI64 => step!(at.widen(|a| f32::from_bits(a) as i64 as u64)),
            code::F32ToU64 => step!(at.widen(|a| f32::from_bits(a) as u64)),
            code::F64ToI32 => step!(at.narrow(|a| f64::from_bits(a) as i32 as u32)),
            code::F64ToU32 => step!(at.narrow(|a| f64::from_bits(a) as u32)),
            code::F64ToI64 => step!(at.pair(|a| f64::from_bits(a) as i64 as u64)),
            code::F64ToU64 => step!(at.pair(|a| f64::from_bits(a) as u64)),
            code::I32ToF32 => step!(at.word(|a| (a as i32 as f32).to_bits())),
            code::U32ToF32 => step!(at.word(|a| (a as f32).to_bits())),
            code::I64ToF32 => step!(at.narrow(|a| (a as i64 as f32).to_bits())),
            code::U64ToF32 => step!(at.narrow(|a| (a as f32).to_bits())),
            code::I32ToF64 => step!(at.widen(|a| f64::from(a as i32).to_bits())),
            code::U32ToF64 => step!(at.widen(|a| f64::from(a).to_bits())),
            code::I64ToF64 => step!(at.pair(|a| (a as i64 as f64).to_bits())),
            code::U64ToF64 => step!(at.pair(|a| (a as f64).to_bits())),
            code::F32ToF64 => step!(at.widen(|a| f64::from(f32::from_bits(a)).to_bits())),
            code::F64ToF32 => step!(at.narrow(|a| (f64::from_bits(a) as f32).to_bits())),

            code::Load8Signed => load!(u8, at.displaced::<0>(), |v| v as i8 as u32),
            code::Load8 => load!(u8, at.displaced::<0>(), u32::from),
            code::Load16Signed => load!(u16, at.displaced::<1>(), |v| v as i16 as u32),
            code::Load16 => load!(u16, at.displaced::<1>(), u32::from),
            code::Load32 => load!(u32, at.displaced::<2>(), u32::from),
            code::Load64 => load64!(at.displaced::<3>()),
            code::Store8 => store!(u8, at.displaced::<0>(), at.read::<1>() as u8),
            code::Store16 => store!(u16, at.displaced::<1>(), at.read::<1>() as u16),
            code::Store32 => store!(u32, at.displaced::<2>(), at.read::<1>()),
            code::Store64 => store!(u64, at.displaced::<3>(), at.read64::<1>()),
            code::LoadIndexed8Signed => load!(u8, at.indexed::<0>(), |v| v as i8 as u32),
            code::LoadIndexed8 => load!(u8, at.indexed::<0>(), u32::from),
            code::LoadIndexed16Signed => load!(u16, at.indexed::<1>(), |v| v as i16 as u32),
            code::LoadIndexed16 => load!(u16, at.indexed::<1>(), u32::from),
            code::LoadIndexed32 => load!(u32, at.indexed::<2>(), u32::from),
            code::LoadIndexed64 => load64!(at.indexed::<3>()),
            code::StoreIndexed8 => store!(u8, at.indexed::<0>(), at.read::<1>() as u8),
            code::StoreIndexed16 => store!(u16, at.indexed::<1>(), at.read::<1>() as u16),
            code::StoreIndexed32 => store!(u32, at.indexed::<2>(), at.read::<1>()),
            code::StoreIndexed64 => store!(u64, at.indexed::<3>(), at.read64::<1>()),

            code::LoadStack32 => step!(at.write(access::load_static(linear, at.beyond::<2>(sp)))),
            code::LoadStack64 => step!(at.write64(access::load_static(linear, at.beyond::<3>(sp)))),
            code::StoreStack32 => step!(access::store_static(linear, at.beyond::<2>(sp), at.read::<1>())),
            code::StoreStack64 => step!(access::store_static(linear, at.beyond::<3>(sp), at.read64::<1>())),
            code::LoadStatic8Signed => {
                step!(at.write(access::load_static::<u8>(linear, at.beyond::<0>(linear.start())) as i8 as u32))
            }
            code::LoadStatic8 => {
                step!(at.write(access::load_static::<u8>(linear, at.beyond::<0>(linear.start())).into()))
            }
            code::LoadStatic16Signed => {
                step!(at.write(access::load_static::<u16>(linear, at.beyond::<1>(linear.start())) as i16 as u32))
            }
            code::LoadStatic16 => {
                step!(at.write(access::load_static::<u16>(linear, at.beyond::<1>(linear.start())).into()))
            }
            code::LoadStatic32 => step!(at.write(access::load_static::<u32>(linear, at.beyond::<2>(linear.start())))),
            code::LoadStatic64 => step!(at.write64(access::load_static::<u64>(linear, at.beyond::<3>(linear.start())))),
            code::StoreStatic8 => {
                step!(access::store_static(linear, at.beyond::<0>(linear.start()), at.read::<1>() as u8))
            }
            code::StoreStatic16 => {
                step!(access::store_static(linear, at.beyond::<1>(linear.start()), at.read::<1>() as u16))
            }
            code::StoreStatic32 => step!(access::store_static(linear, at.beyond::<2>(linear.start()), at.read::<1>())),
            code::StoreStatic64 => {
                step!(access::store_static(linear, at.beyond::<3>(linear.start()), at.read64::<1>()))
            }
            code::MemoryMove => step!(checked!(slow::memory_move(context, at))),
            code::MemorySet => step!(checked!(slow::memory_set(context, at))),
            code::StackAllocate => {
                sp = checked!(slow::stack_allocate(context, sp, at.read::<2>()));
                at.write(sp);
                next!(1)
            }
            code::StackRestore => {
                sp = checked!(slow::stack_restore(context, at));
                next!(1);
            }

            code::Jump => jump!(at.whole()),
            code::BranchNonZero => {
                if at.read::<1>() != 0 {
                    jump!(i32::from(at.half() as i16))
                }
                next!(1)
            }
            code::BranchZero => {
                if at.read::<1>() == 0 {
                    jump!(i32::from(at.half() as i16))
                }
                next!(1)
            }
            code::BranchEqual => branch!(at.if_words(|a, b| a == b)),
            code::BranchNotEqual => branch!(at.if_words(|a, b| a != b)),
            code::BranchLessSigned => branch!(at.if_words(|a, b| (a as i32) < b as i32)),
            code::BranchGreaterEqualSigned => branch!(at.if_words(|a, b| a as i32 >= b as i32)),
            code::BranchLessUnsigned => branch!(at.if_words(|a, b| a < b)),
            code::BranchGreaterEqualUnsigned => branch!(at.if_words(|a, b| a >= b)),
            code::BranchEqualImmediate => branch!(at.if_i8(|a, i| a == i)),
            code::BranchNotEqualImmediate => branch!(at.if_i8(|a, i| a != i)),
            code::BranchLessSignedImmediate => branch!(at.if_i8(|a, i| (a as i32) < i as i32)),
            code::BranchGreaterEqualSignedImmediate => branch!(at.if_i8(|a, i| a as i32 >= i as i32)),
            code::BranchLessUnsignedImmediate => branch!(at.if_i8(|a, i| a < i)),
            code::BranchGreaterEqualUnsignedImmediate => branch!(at.if_i8(|a, i| a >= i)),
            code::BranchEqualWide => branch_wide!(at.if_words(|a, b| a == b)),
            code::BranchNotEqualWide => branch_wide!(at.if_words(|a, b| a != b)),
            code::BranchLessSignedWide => branch_wide!(at.if_words(|a, b| (a as i32) < b as i32)),
            code::BranchGreaterEqualSignedWide => branch_wide!(at.if_words(|a, b| a as i32 >= b as i32)),
            code::BranchLessUnsignedWide => branch_wide!(at.if_words(|a, b| a < b)),
            code::BranchGreaterEqualUnsignedWide => branch_wide!(at.if_words(|a, b| a >= b)),
            code::BranchEqualImmediateWide => branch_wide!(at.if_i8(|a, i| a == i)),
            code::BranchNotEqualImmediateWide => branch_wide!(at.if_i8(|a, i| a != i)),
            code::BranchLessSignedImmediateWide => branch_wide!(at.if_i8(|a, i| (a as i32) < i as i32)),
            code::BranchGreaterEqualSignedImmediateWide => branch_wide!(at.if_i8(|a, i| a as i32 >= i as i32)),
            code::BranchLessUnsignedImmediateWide => branch_wide!(at.if_i8(|a, i| a < i)),
            code::BranchGreaterEqualUnsignedImmediateWide => branch_wide!(at.if_i8(|a, i| a >= i)),
            code::Switch => {
                let (value, entries) = (at.read::<1>(), u32::from(at.half()));
                if value < entries {
                    jump!(at.extension(value as usize + 1))
                }
                next!(entries.wrapping_add(1) as i32)
            }

            code::Call => enter!(program.function(at.half()), 1),
            code::CallIndirect => {
                let (address, signature) = (at.read::<2>(), at.extension(1) as u16);
                let record = match context.callee(address) {
                    Some(record) if record.signature() == signature => record,
                    _ => program.function(checked!(slow::indirect_target(context, address, signature))),
                };
                enter!(record, 2)
            }
            code::CallImport => host!(None, 1),
            code::CallImportVariadic => host!(Some(at.extension(1) as u16), 2),
            code::Return => leave!(),
            code::ReturnValue => {
                at.write_slot(0, at.read::<1>());
                leave!()
            }
            code::ReturnValue64 => {
                at.write_pair(0, at.read64::<1>());
                leave!()
            }
            code::SetJump => step!(checked!(jump::set(context, at, sp))),
            code::LongJump => {
                pay!();
                (at, sp) = checked!(jump::long(context, at));
                end!()
            }
            code::TailCall => replace!(program.function(at.half())),
            code::TailCallIndirect => {
                let function = checked!(slow::indirect_target(context, at.read::<1>(), at.extension(1) as u16));
                replace!(program.function(function))
            }
        }
    };
    context.park(at, sp, fuel);
    Err(Trap::new(trap.0, trap.1))
}
