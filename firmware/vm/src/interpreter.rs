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
macro_rules! undefined {
    () => {
        0x0f
            | 0x43 | 0x44 | 0x45 | 0x46 | 0x47
            | 0x65 | 0x66 | 0x67
            | 0x8c | 0x8d | 0x8e | 0x8f
            | 0xb6 | 0xb7 | 0xb8 | 0xb9 | 0xba | 0xbb | 0xbc | 0xbd | 0xbe | 0xbf
            | 0xcf | 0xd0 | 0xd1 | 0xd2
            | 0xdf
            | 0xe8 | 0xe9 | 0xea | 0xeb | 0xec | 0xed | 0xee | 0xef | 0xf0 | 0xf1 | 0xf2 | 0xf3
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
            ($kind:ident) => { trap!($kind, 0) };
            ($kind:ident, $value:expr) => { break 'run (TrapKind::$kind, $value) };
        }
        // The end of an arm: a comment to the assembler, another one in each arm. Without it LLVM joins arms that end alike, and a jump
        // to the common end costs more than the few bytes are worth.
        macro_rules! end {
            () => {{
                #[cfg(target_arch = "riscv32")]
                // SAFETY: no instruction.
                unsafe { core::arch::asm!(concat!("/* line ", line!(), " */"), options(nomem, nostack, preserves_flags)) }
            }};
        }
        // The next instruction to run is so many words away.
        macro_rules! next { ($words:expr) => {{ at.go($words); end!() }}; }
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
                continue
            }};
        }
        macro_rules! set { ($value:expr) => {{ at.write($value); next!(1) }}; }
        macro_rules! set64 { ($value:expr) => {{ at.write64($value); next!(1) }}; }
        // The operators: two registers, a register and an immediate, one register.
        macro_rules! binary { (|$a:ident, $b:ident| $value:expr) => {{ let ($a, $b) = (at.read::<2>(), at.read::<3>()); set!($value) }}; }
        macro_rules! signed { (|$a:ident, $b:ident| $value:expr) => {{ let ($a, $b) = (at.read::<2>() as i32, at.read::<3>() as i32); set!($value) }}; }
        macro_rules! with_i8 { (|$a:ident, $i:ident| $value:expr) => {{ let ($a, $i) = (at.read::<2>(), at.byte::<3>() as i8 as u32); set!($value) }}; }
        macro_rules! with_shift { (|$a:ident, $i:ident| $value:expr) => {{ let ($a, $i) = (at.read::<2>(), u32::from(at.byte::<3>())); set!($value) }}; }
        macro_rules! with_i32 { (|$a:ident, $i:ident| $value:expr) => {{ let ($a, $i) = (at.read::<2>(), at.wide()); at.write($value); next!(2) }}; }
        macro_rules! unary { (|$a:ident| $value:expr) => {{ let $a = at.read::<2>(); set!($value) }}; }
        macro_rules! unary64 { (|$a:ident| $value:expr) => {{ let $a = at.read64::<2>(); set64!($value) }}; }
        macro_rules! binary64 { (|$a:ident, $b:ident| $value:expr) => {{ let ($a, $b) = (at.read64::<2>(), at.read64::<3>()); set64!($value) }}; }
        macro_rules! compare64 { (|$a:ident, $b:ident| $value:expr) => {{ let ($a, $b) = (at.read64::<2>(), at.read64::<3>()); set!(u32::from($value)) }}; }
        macro_rules! shift64 { (|$a:ident, $b:ident| $value:expr) => {{ let ($a, $b) = (at.read64::<2>(), at.read::<3>()); set64!($value) }}; }
        macro_rules! with_shift64 { (|$a:ident, $i:ident| $value:expr) => {{ let ($a, $i) = (at.read64::<2>(), u32::from(at.byte::<3>())); set64!($value) }}; }
        macro_rules! float { (|$a:ident, $b:ident| $value:expr) => {{ let ($a, $b) = (f32::from_bits(at.read::<2>()), f32::from_bits(at.read::<3>())); set!($value) }}; }
        macro_rules! double { (|$a:ident, $b:ident| $value:expr) => {{ let ($a, $b) = (f64::from_bits(at.read64::<2>()), f64::from_bits(at.read64::<3>())); $value }}; }
        // Branches: on two registers, on a register and an immediate; near and wide.
        macro_rules! branch {
            (|$a:ident, $b:ident| $taken:expr) => {{
                let ($a, $b) = (at.read::<1>(), at.read::<2>());
                if $taken { jump!(i32::from(at.byte::<3>() as i8)) }
                next!(1)
            }};
        }
        macro_rules! branch_i {
            (|$a:ident, $i:ident| $taken:expr) => {{
                let ($a, $i) = (at.read::<1>(), at.byte::<2>() as i8 as u32);
                if $taken { jump!(i32::from(at.byte::<3>() as i8)) }
                next!(1)
            }};
        }
        macro_rules! branch_w {
            (|$a:ident, $b:ident| $taken:expr) => {{
                let ($a, $b) = (at.read::<1>(), at.read::<2>());
                if $taken { jump!(at.wide() as i32) }
                next!(2)
            }};
        }
        macro_rules! branch_iw {
            (|$a:ident, $i:ident| $taken:expr) => {{
                let ($a, $i) = (at.read::<1>(), at.byte::<2>() as i8 as u32);
                if $taken { jump!(at.wide() as i32) }
                next!(2)
            }};
        }
        // Addresses: base register and displacement, base and index register.
        macro_rules! displaced { ($scale:literal) => { at.read::<2>().wrapping_add(u32::from(at.byte::<3>()) << $scale) }; }
        macro_rules! indexed { ($scale:literal) => { at.read::<2>().wrapping_add(at.read::<3>() << $scale) }; }
        macro_rules! load {
            ($type:ty, $address:expr, |$v:ident| $value:expr) => {{
                let address = $address;
                let Some($v) = access::load::<$type>(context, linear, address) else { trap!(Load, address) };
                set!($value)
            }};
        }
        macro_rules! load64 {
            ($address:expr) => {{
                let address = $address;
                let Some(value) = access::load::<u64>(context, linear, address) else { trap!(Load, address) };
                set64!(value)
            }};
        }
        macro_rules! store {
            ($type:ty, $address:expr, $value:expr) => {{
                let address = $address;
                if !access::store::<$type>(linear, address, $value) { trap!(Store, address) }
                next!(1)
            }};
        }
        macro_rules! stack { ($scale:literal) => { sp.wrapping_add(u32::from(at.half()) << $scale) }; }
        macro_rules! statics { ($scale:literal) => { linear.start().wrapping_add(u32::from(at.half()) << $scale) }; }
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
                if let Err(trap) = slow::call_host(context, at, at.half(), $variadic) {
                    return Err(trap);
                }
                fuel = context.fuel.get();
                next!($words)
            }};
        }

        match at.byte::<0>() {
            code::Unreachable => trap!(Unreachable),
            code::Trap => trap!(Explicit, at.byte::<1>().into()),
            undefined!() => trap!(IllegalInstruction),

            code::Move => set!(at.read::<2>()),
            code::Move64 => set64!(at.read64::<2>()),
            code::LoadImmediate => set!(at.half() as i16 as u32),
            code::LoadImmediateWide => {
                at.write(at.wide());
                next!(2);
            }
            code::LoadImmediate64 => set64!(at.half() as i16 as u64),
            code::ConstantAddress => set!(context.constant().start().wrapping_add(at.half().into())),
            code::StaticAddress => set!(linear.start().wrapping_add(at.half().into())),
            code::StackAddress => set!(sp.wrapping_add(at.half().into())),
            code::CallbackAddress => set!(context.instance().thunks().address(at.half())),
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

            code::Add => binary!(|a, b| a.wrapping_add(b)),
            code::Sub => binary!(|a, b| a.wrapping_sub(b)),
            code::Mul => binary!(|a, b| a.wrapping_mul(b)),
            code::MulHighSigned => signed!(|a, b| (i64::from(a).wrapping_mul(b.into()) >> 32) as u32),
            code::MulHighUnsigned => binary!(|a, b| (u64::from(a).wrapping_mul(b.into()) >> 32) as u32),
            code::DivSigned => signed!(|a, b| if b == 0 { trap!(DivisionByZero) } else { a.wrapping_div(b) as u32 }),
            code::DivUnsigned => binary!(|a, b| if b == 0 { trap!(DivisionByZero) } else { a / b }),
            code::RemSigned => signed!(|a, b| if b == 0 { trap!(DivisionByZero) } else { a.wrapping_rem(b) as u32 }),
            code::RemUnsigned => binary!(|a, b| if b == 0 { trap!(DivisionByZero) } else { a % b }),
            code::And => binary!(|a, b| a & b),
            code::Or => binary!(|a, b| a | b),
            code::Xor => binary!(|a, b| a ^ b),
            code::ShiftLeft => binary!(|a, b| a.wrapping_shl(b)),
            code::ShiftRightSigned => binary!(|a, b| (a as i32).wrapping_shr(b) as u32),
            code::ShiftRightUnsigned => binary!(|a, b| a.wrapping_shr(b)),
            code::RotateLeft => binary!(|a, b| a.rotate_left(b & 31)),
            code::SetEqual => binary!(|a, b| u32::from(a == b)),
            code::SetNotEqual => binary!(|a, b| u32::from(a != b)),
            code::SetLessSigned => signed!(|a, b| u32::from(a < b)),
            code::SetLessUnsigned => binary!(|a, b| u32::from(a < b)),
            code::MinSigned => signed!(|a, b| a.min(b) as u32),
            code::MaxSigned => signed!(|a, b| a.max(b) as u32),
            code::MinUnsigned => binary!(|a, b| a.min(b)),
            code::MaxUnsigned => binary!(|a, b| a.max(b)),
            code::SignExtend8 => unary!(|a| a as i8 as u32),
            code::SignExtend16 => unary!(|a| a as i16 as u32),
            code::ZeroExtend16 => unary!(|a| a & 0xffff),
            code::CountLeadingZeros => unary!(|a| a.leading_zeros()),
            code::CountTrailingZeros => unary!(|a| a.trailing_zeros()),
            code::PopCount => unary!(|a| a.count_ones()),
            code::ByteSwap => unary!(|a| a.swap_bytes()),
            code::Absolute => unary!(|a| (a as i32).wrapping_abs() as u32),

            code::AddImmediate => with_i8!(|a, i| a.wrapping_add(i)),
            code::ReverseSubImmediate => with_i8!(|a, i| i.wrapping_sub(a)),
            code::MulImmediate => with_i8!(|a, i| a.wrapping_mul(i)),
            code::AndImmediate => with_i8!(|a, i| a & i),
            code::OrImmediate => with_i8!(|a, i| a | i),
            code::XorImmediate => with_i8!(|a, i| a ^ i),
            code::ShiftLeftImmediate => with_shift!(|a, i| a.wrapping_shl(i)),
            code::ShiftRightSignedImmediate => with_shift!(|a, i| (a as i32).wrapping_shr(i) as u32),
            code::ShiftRightUnsignedImmediate => with_shift!(|a, i| a.wrapping_shr(i)),
            code::AndByte => with_shift!(|a, i| a & i),
            code::SetEqualImmediate => with_i8!(|a, i| u32::from(a == i)),
            code::SetNotEqualImmediate => with_i8!(|a, i| u32::from(a != i)),
            code::SetLessSignedImmediate => with_i8!(|a, i| u32::from((a as i32) < i as i32)),
            code::SetLessUnsignedImmediate => with_i8!(|a, i| u32::from(a < i)),
            code::AddImmediateWide => with_i32!(|a, i| a.wrapping_add(i)),
            code::MulImmediateWide => with_i32!(|a, i| a.wrapping_mul(i)),
            code::AndImmediateWide => with_i32!(|a, i| a & i),
            code::OrImmediateWide => with_i32!(|a, i| a | i),
            code::XorImmediateWide => with_i32!(|a, i| a ^ i),

            code::Add64 => binary64!(|a, b| a.wrapping_add(b)),
            code::Sub64 => binary64!(|a, b| a.wrapping_sub(b)),
            code::Mul64 => binary64!(|a, b| a.wrapping_mul(b)),
            code::DivSigned64 | code::DivUnsigned64 | code::RemSigned64 | code::RemUnsigned64 => {
                let Some(value) = slow::divide64(at.byte::<0>(), at.read64::<2>(), at.read64::<3>()) else { trap!(DivisionByZero) };
                set64!(value)
            }
            code::And64 => binary64!(|a, b| a & b),
            code::Or64 => binary64!(|a, b| a | b),
            code::Xor64 => binary64!(|a, b| a ^ b),
            code::ShiftLeft64 => shift64!(|a, b| a.wrapping_shl(b)),
            code::ShiftRightSigned64 => shift64!(|a, b| (a as i64).wrapping_shr(b) as u64),
            code::ShiftRightUnsigned64 => shift64!(|a, b| a.wrapping_shr(b)),
            code::SetEqual64 => compare64!(|a, b| a == b),
            code::SetNotEqual64 => compare64!(|a, b| a != b),
            code::SetLessSigned64 => compare64!(|a, b| (a as i64) < b as i64),
            code::SetLessUnsigned64 => compare64!(|a, b| a < b),
            code::AddImmediate64 => {
                let (a, i) = (at.read64::<2>(), at.byte::<3>() as i8 as u64);
                set64!(a.wrapping_add(i))
            }
            code::ShiftLeftImmediate64 => with_shift64!(|a, i| a.wrapping_shl(i)),
            code::ShiftRightSignedImmediate64 => with_shift64!(|a, i| (a as i64).wrapping_shr(i) as u64),
            code::ShiftRightUnsignedImmediate64 => with_shift64!(|a, i| a.wrapping_shr(i)),
            code::SignExtend64 => set64!(at.read::<2>() as i32 as u64),
            code::ZeroExtend64 => set64!(at.read::<2>().into()),
            code::MulWideSigned => {
                let (a, b) = (at.read::<2>() as i32, at.read::<3>() as i32);
                set64!(i64::from(a).wrapping_mul(b.into()) as u64)
            }
            code::MulWideUnsigned => {
                let (a, b) = (at.read::<2>(), at.read::<3>());
                set64!(u64::from(a).wrapping_mul(b.into()))
            }
            code::CountLeadingZeros64 => unary64!(|a| a.leading_zeros().into()),
            code::CountTrailingZeros64 => unary64!(|a| a.trailing_zeros().into()),
            code::PopCount64 => unary64!(|a| a.count_ones().into()),
            code::ByteSwap64 => unary64!(|a| a.swap_bytes()),

            code::AddF32 => float!(|a, b| (a + b).to_bits()),
            code::SubF32 => float!(|a, b| (a - b).to_bits()),
            code::MulF32 => float!(|a, b| (a * b).to_bits()),
            code::DivF32 => float!(|a, b| (a / b).to_bits()),
            code::SetEqualF32 => float!(|a, b| u32::from(a == b)),
            code::SetLessF32 => float!(|a, b| u32::from(a < b)),
            code::SetLessEqualF32 => float!(|a, b| u32::from(a <= b)),
            code::SetNotEqualF32 => float!(|a, b| u32::from(a < b || a > b)),
            code::SetOrderedF32 => float!(|a, b| u32::from(!a.is_nan() && !b.is_nan())),
            code::AddF64 => double!(|a, b| set64!((a + b).to_bits())),
            code::SubF64 => double!(|a, b| set64!((a - b).to_bits())),
            code::MulF64 => double!(|a, b| set64!((a * b).to_bits())),
            code::DivF64 => double!(|a, b| set64!((a / b).to_bits())),
            code::SetEqualF64 => double!(|a, b| set!(u32::from(a == b))),
            code::SetLessF64 => double!(|a, b| set!(u32::from(a < b))),
            code::SetLessEqualF64 => double!(|a, b| set!(u32::from(a <= b))),
            code::SetNotEqualF64 => double!(|a, b| set!(u32::from(a < b || a > b))),
            code::SetOrderedF64 => double!(|a, b| set!(u32::from(!a.is_nan() && !b.is_nan()))),
            code::F32ToI32 => set!(f32::from_bits(at.read::<2>()) as i32 as u32),
            code::F32ToU32 => set!(f32::from_bits(at.read::<2>()) as u32),
            code::F32ToI64 => set64!(f32::from_bits(at.read::<2>()) as i64 as u64),
            code::F32ToU64 => set64!(f32::from_bits(at.read::<2>()) as u64),
            code::F64ToI32 => set!(f64::from_bits(at.read64::<2>()) as i32 as u32),
            code::F64ToU32 => set!(f64::from_bits(at.read64::<2>()) as u32),
            code::F64ToI64 => set64!(f64::from_bits(at.read64::<2>()) as i64 as u64),
            code::F64ToU64 => set64!(f64::from_bits(at.read64::<2>()) as u64),
            code::I32ToF32 => set!((at.read::<2>() as i32 as f32).to_bits()),
            code::U32ToF32 => set!((at.read::<2>() as f32).to_bits()),
            code::I64ToF32 => set!((at.read64::<2>() as i64 as f32).to_bits()),
            code::U64ToF32 => set!((at.read64::<2>() as f32).to_bits()),
            code::I32ToF64 => set64!(f64::from(at.read::<2>() as i32).to_bits()),
            code::U32ToF64 => set64!(f64::from(at.read::<2>()).to_bits()),
            code::I64ToF64 => set64!((at.read64::<2>() as i64 as f64).to_bits()),
            code::U64ToF64 => set64!((at.read64::<2>() as f64).to_bits()),
            code::F32ToF64 => set64!(f64::from(f32::from_bits(at.read::<2>())).to_bits()),
            code::F64ToF32 => set!((f64::from_bits(at.read64::<2>()) as f32).to_bits()),

            code::Load8Signed => load!(u8, displaced!(0), |v| v as i8 as u32),
            code::Load8 => load!(u8, displaced!(0), |v| v.into()),
            code::Load16Signed => load!(u16, displaced!(1), |v| v as i16 as u32),
            code::Load16 => load!(u16, displaced!(1), |v| v.into()),
            code::Load32 => load!(u32, displaced!(2), |v| v),
            code::Load64 => load64!(displaced!(3)),
            code::Store8 => store!(u8, displaced!(0), at.read::<1>() as u8),
            code::Store16 => store!(u16, displaced!(1), at.read::<1>() as u16),
            code::Store32 => store!(u32, displaced!(2), at.read::<1>()),
            code::Store64 => store!(u64, displaced!(3), at.read64::<1>()),
            code::LoadIndexed8Signed => load!(u8, indexed!(0), |v| v as i8 as u32),
            code::LoadIndexed8 => load!(u8, indexed!(0), |v| v.into()),
            code::LoadIndexed16Signed => load!(u16, indexed!(1), |v| v as i16 as u32),
            code::LoadIndexed16 => load!(u16, indexed!(1), |v| v.into()),
            code::LoadIndexed32 => load!(u32, indexed!(2), |v| v),
            code::LoadIndexed64 => load64!(indexed!(3)),
            code::StoreIndexed8 => store!(u8, indexed!(0), at.read::<1>() as u8),
            code::StoreIndexed16 => store!(u16, indexed!(1), at.read::<1>() as u16),
            code::StoreIndexed32 => store!(u32, indexed!(2), at.read::<1>()),
            code::StoreIndexed64 => store!(u64, indexed!(3), at.read64::<1>()),

            code::LoadStack32 => set!(access::load_static(linear, stack!(2))),
            code::LoadStack64 => set64!(access::load_static(linear, stack!(3))),
            code::StoreStack32 => {
                access::store_static(linear, stack!(2), at.read::<1>());
                next!(1);
            }
            code::StoreStack64 => {
                access::store_static(linear, stack!(3), at.read64::<1>());
                next!(1);
            }
            code::LoadStatic8Signed => set!(access::load_static::<u8>(linear, statics!(0)) as i8 as u32),
            code::LoadStatic8 => set!(access::load_static::<u8>(linear, statics!(0)).into()),
            code::LoadStatic16Signed => set!(access::load_static::<u16>(linear, statics!(1)) as i16 as u32),
            code::LoadStatic16 => set!(access::load_static::<u16>(linear, statics!(1)).into()),
            code::LoadStatic32 => set!(access::load_static::<u32>(linear, statics!(2))),
            code::LoadStatic64 => set64!(access::load_static::<u64>(linear, statics!(3))),
            code::StoreStatic8 => {
                access::store_static(linear, statics!(0), at.read::<1>() as u8);
                next!(1);
            }
            code::StoreStatic16 => {
                access::store_static(linear, statics!(1), at.read::<1>() as u16);
                next!(1);
            }
            code::StoreStatic32 => {
                access::store_static(linear, statics!(2), at.read::<1>());
                next!(1);
            }
            code::StoreStatic64 => {
                access::store_static(linear, statics!(3), at.read64::<1>());
                next!(1);
            }
            code::MemoryMove => {
                checked!(slow::memory_move(context, at));
                next!(1);
            }
            code::MemorySet => {
                checked!(slow::memory_set(context, at));
                next!(1);
            }
            code::StackAllocate => {
                sp = checked!(slow::stack_allocate(context, sp, at.read::<2>()));
                set!(sp)
            }
            code::StackRestore => {
                sp = checked!(slow::stack_restore(context, at));
                next!(1);
            }

            code::Jump => jump!(at.whole()),
            code::BranchNonZero => {
                if at.read::<1>() != 0 { jump!(i32::from(at.half() as i16)) }
                next!(1)
            }
            code::BranchZero => {
                if at.read::<1>() == 0 { jump!(i32::from(at.half() as i16)) }
                next!(1)
            }
            code::BranchEqual => branch!(|a, b| a == b),
            code::BranchNotEqual => branch!(|a, b| a != b),
            code::BranchLessSigned => branch!(|a, b| (a as i32) < b as i32),
            code::BranchGreaterEqualSigned => branch!(|a, b| a as i32 >= b as i32),
            code::BranchLessUnsigned => branch!(|a, b| a < b),
            code::BranchGreaterEqualUnsigned => branch!(|a, b| a >= b),
            code::BranchEqualImmediate => branch_i!(|a, i| a == i),
            code::BranchNotEqualImmediate => branch_i!(|a, i| a != i),
            code::BranchLessSignedImmediate => branch_i!(|a, i| (a as i32) < i as i32),
            code::BranchGreaterEqualSignedImmediate => branch_i!(|a, i| a as i32 >= i as i32),
            code::BranchLessUnsignedImmediate => branch_i!(|a, i| a < i),
            code::BranchGreaterEqualUnsignedImmediate => branch_i!(|a, i| a >= i),
            code::BranchEqualWide => branch_w!(|a, b| a == b),
            code::BranchNotEqualWide => branch_w!(|a, b| a != b),
            code::BranchLessSignedWide => branch_w!(|a, b| (a as i32) < b as i32),
            code::BranchGreaterEqualSignedWide => branch_w!(|a, b| a as i32 >= b as i32),
            code::BranchLessUnsignedWide => branch_w!(|a, b| a < b),
            code::BranchGreaterEqualUnsignedWide => branch_w!(|a, b| a >= b),
            code::BranchEqualImmediateWide => branch_iw!(|a, i| a == i),
            code::BranchNotEqualImmediateWide => branch_iw!(|a, i| a != i),
            code::BranchLessSignedImmediateWide => branch_iw!(|a, i| (a as i32) < i as i32),
            code::BranchGreaterEqualSignedImmediateWide => branch_iw!(|a, i| a as i32 >= i as i32),
            code::BranchLessUnsignedImmediateWide => branch_iw!(|a, i| a < i),
            code::BranchGreaterEqualUnsignedImmediateWide => branch_iw!(|a, i| a >= i),
            code::Switch => {
                let (value, entries) = (at.read::<1>(), u32::from(at.half()));
                if value < entries {
                    jump!(at.extension(value as usize + 1))
                }
                next!(entries.wrapping_add(1) as i32)
            }

            code::Call => enter!(program.function(at.half()), 1),
            code::CallIndirect => {
                let function = checked!(slow::indirect_target(context, at.read::<2>(), at.extension(1)));
                enter!(program.function(function), 2)
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
        }
    };
    context.park(at, sp, fuel);
    Err(Trap::new(trap.0, trap.1))
}
