//! The interpreter: one loop over one `match` of the opcode byte.
//!
//! The match has an arm for each opcode of the table and for each pair, and no wildcard: its arms come from the tables, what they do from
//! one rule for each operation. A pair's arm is the two operations one behind the other. What is rare or
//! long lives out of line in [`crate::rare`] and [`crate::slow`], so that the loop's state stays in registers.
//! Nothing is checked here that the verifier has checked. Never here: how registers and memory are reached
//! ([`crate::cursor`], [`crate::access`]).

use espb_format::opcode::EXTENSION;
use espb_format::{for_each_opcode, for_each_pair};

use crate::access;
use crate::context::{Context, Trapped};
use crate::cursor::Cursor;
use crate::jump;
use crate::rare;
use crate::slow::{self, Failure};
use crate::trap::TrapKind;

/// The opcodes as bytes, for patterns.
#[allow(non_upper_case_globals, reason = "named as in the table")]
pub(crate) mod code {
    macro_rules! opcodes {
        ($($doc:literal $name:ident $code:literal $mnemonic:literal [$($operand:ident)*] $flow:ident;)+) => {
            $(pub(crate) const $name: u8 = $code;)+
        };
    }
    macro_rules! pairs {
        ([$($name:ident $code:literal $first:ident $second:ident $field:literal;)+]) => {
            $(pub(crate) const $name: u8 = $code;)+
        };
    }
    super::for_each_opcode!(opcodes);
    super::for_each_pair!(pairs);
}

/// Why the loop was left.
enum Event {
    /// A trap.
    Trap(Failure),
    /// An operation that is out of line.
    Rare,
    /// There is no fuel to go on with.
    Refill,
}

/// Runs from here, with this linear stack pointer, until the entry frame returns; the result is then in that frame's first slots.
///
/// A trap leaves the context at the instruction that trapped, and the trap in it.
#[allow(unreachable_code, reason = "operations that jump or leave do not come to the end of their arm")]
#[inline(never)]
#[unsafe(export_name = "espb_interpret")]
#[cfg_attr(feature = "interpreter-in-ram", unsafe(link_section = ".rwtext.espb_interpreter"))]
pub(crate) fn interpret(context: &Context<'_>, mut at: Cursor, mut sp: u32) -> Result<(), Trapped> {
    let mut linear = context.linear();
    let program = context.program();
    let mut fuel = context.fuel.get();

    let trap = loop {
        let event = 'run: loop {
            macro_rules! trap {
                ($kind:ident) => {
                    trap!($kind, 0)
                };
                ($kind:ident, $value:expr) => {
                    break 'run Event::Trap((TrapKind::$kind, $value))
                };
            }
            // The end of a way through an arm: a comment to the assembler, another one for each. Without it LLVM joins arms that end alike, and
            // a jump to the common end costs more than the few bytes are worth.
            macro_rules! end {
                ($arm:literal $($way:ident)?) => {{
                    #[cfg(target_arch = "riscv32")]
                    // SAFETY: no instruction.
                    unsafe {
                        core::arch::asm!(
                            concat!("/* arm ", $arm, $(stringify!($way),)? " */"),
                            options(nomem, nostack, preserves_flags)
                        )
                    }
                }};
            }
            // Pays for a backward branch or a call, before the instruction does anything.
            macro_rules! pay {
                () => {{
                    if fuel == 0 {
                        break 'run Event::Refill;
                    }
                    fuel = fuel.wrapping_sub(1);
                }};
            }
            macro_rules! jump {
                ($arm:literal, $words:expr) => {{
                    let words = $words;
                    if words <= 0 {
                        pay!();
                    }
                    at.go(words);
                    end!($arm taken);
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
                    at.go($words)
                }};
            }
            macro_rules! branch {
                ($arm:literal, $taken:expr) => {{
                    if $taken {
                        jump!($arm, i32::from(at.byte::<3>() as i8))
                    }
                    at.go(1)
                }};
            }
            // A branch that counts first. Until it has paid it changes nothing.
            macro_rules! count {
                ($arm:literal, $by:expr, $taken:expr) => {{
                    let sum = at.read::<1>().wrapping_add($by);
                    if $taken(sum) {
                        let words = i32::from(at.byte::<3>() as i8);
                        if words <= 0 {
                            pay!();
                        }
                        at.write(sum);
                        at.go(words);
                        end!($arm taken);
                        continue;
                    }
                    at.write(sum);
                    at.go(1)
                }};
            }
            macro_rules! divide {
                ($operator:expr) => {{
                    if !at.words_checked($operator) {
                        trap!(DivisionByZero)
                    }
                    at.go(1)
                }};
            }
            macro_rules! load {
                ($type:ty, $address:expr, $extend:expr) => {
                    load!($type, $address, $extend, 1)
                };
                ($type:ty, $address:expr, $extend:expr, $words:literal) => {{
                    let address = $address;
                    let Some(value) = access::load::<$type>(context, linear, address) else { trap!(Load, address) };
                    at.write($extend(value));
                    at.go($words)
                }};
            }
            // A load or store that also moves its base register.
            macro_rules! load_moving {
                ($type:ty, $before:literal, $extend:expr) => {{
                    let (base, before, after) = at.moved_base();
                    let address = if $before { before } else { after };
                    let Some(value) = access::load::<$type>(context, linear, address) else { trap!(Load, address) };
                    at.write_slot(base, after);
                    at.write($extend(value));
                    at.go(1)
                }};
            }
            macro_rules! store_moving {
                ($type:ty) => {{
                    let value = at.read::<1>();
                    let (base, address, after) = at.moved_base();
                    if !access::store::<$type>(linear, address, value as $type) {
                        trap!(Store, address)
                    }
                    at.write_slot(base, after);
                    at.go(1)
                }};
            }
            macro_rules! load64 {
                ($address:expr) => {{
                    let address = $address;
                    let Some(value) = access::load::<u64>(context, linear, address) else { trap!(Load, address) };
                    at.write64(value);
                    at.go(1)
                }};
            }
            macro_rules! store {
                ($type:ty, $address:expr, $value:expr) => {
                    store!($type, $address, $value, 1)
                };
                ($type:ty, $address:expr, $value:expr, $words:literal) => {{
                    let address = $address;
                    if !access::store::<$type>(linear, address, $value) {
                        trap!(Store, address)
                    }
                    at.go($words)
                }};
            }
            // What runs out of line and may trap.
            macro_rules! checked {
                ($outcome:expr) => {{
                    match $outcome {
                        Ok(value) => value,
                        Err(failure) => break 'run Event::Trap(failure),
                    }
                }};
            }
            // Room for a frame at `$fp` and a linear frame below `$sp`; what the linear stack pointer then is.
            macro_rules! room {
                ($record:expr, $fp:expr, $sp:expr) => {{
                    // The frame so far fits, so the difference is not negative.
                    if context.shadow_limit().addr().wrapping_sub($fp.addr()) < $record.frame() {
                        trap!(ShadowStackOverflow)
                    }
                    let frame = $record.linear_frame();
                    if frame == 0 {
                        $sp
                    } else if $sp.wrapping_sub(context.stack_limit()) < frame {
                        trap!(LinearStackOverflow, frame)
                    } else {
                        $sp.wrapping_sub(frame)
                    }
                }};
            }
            macro_rules! enter {
                ($record:expr, $words:literal) => {{
                    let record = $record;
                    let window = at.byte::<1>();
                    pay!();
                    let lowered = room!(record, at.fp().wrapping_add(window.into()), sp);
                    let link = program.link(at.pc().wrapping_add(4 * $words));
                    // SAFETY: verified code calls functions of its module only, and the frame was just found to fit.
                    unsafe { at.enter(program.code(record.start()), window, link, sp) };
                    sp = lowered;
                }};
            }
            // Enters a function in the place of the one that runs: frame and link stay, the linear stack pointer is the caller's again first.
            macro_rules! replace {
                ($record:expr) => {{
                    let record = $record;
                    pay!();
                    let (_, caller_sp) = at.link();
                    sp = room!(record, at.fp(), caller_sp);
                    // SAFETY: verified code enters functions of its module only, and the frame was just found to fit.
                    unsafe { at.replace(program.code(record.start())) };
                }};
            }
            macro_rules! leave {
                () => {{
                    let (link, caller_sp) = at.link();
                    if link.is_entry() {
                        context.park(at, sp, fuel);
                        return Ok(());
                    }
                    // SAFETY: the link is that of this frame and no entry.
                    unsafe { at.leave(program.position(link)) };
                    sp = caller_sp;
                }};
            }
            macro_rules! host {
                ($slots:expr, $words:literal) => {{
                    context.park(at, sp, fuel);
                    slow::call_host(context, $slots)?;
                    fuel = context.fuel.get();
                    at.go($words)
                }};
            }

            // What each opcode does; `at` then stands at the next instruction. `$arm` is the code of the arm it becomes part of.
            #[rustfmt::skip]
            macro_rules! operation {
                ($arm:literal Unreachable) => { trap!(Unreachable) };
                ($arm:literal Trap) => { trap!(Explicit, at.byte::<1>().into()) };
                ($arm:literal Move) => { step!(at.word(|a| a)) };
                ($arm:literal Move64) => { step!(at.pair(|a| a)) };
                ($arm:literal LoadImmediate) => { step!(at.write(at.half() as i16 as u32)) };
                ($arm:literal LoadImmediateWide) => { step!(at.write(at.wide()), 2) };
                ($arm:literal LoadImmediate64) => { step!(at.write64(at.half() as i16 as u64)) };
                ($arm:literal ConstantAddress) => { step!(at.write(context.constant().start().wrapping_add(at.half().into()))) };
                ($arm:literal StaticAddress) => { step!(at.write(linear.start().wrapping_add(at.half().into()))) };
                ($arm:literal StackAddress) => { step!(at.write(sp.wrapping_add(at.half().into()))) };
                ($arm:literal CallbackAddress) => { step!(at.write(context.instance().thunks().address(at.half()))) };
                ($arm:literal MoveIfNonZero) => {{
                    if at.read::<3>() != 0 {
                        at.write(at.read::<2>());
                    }
                    at.go(1)
                }};
                ($arm:literal MoveIfZero) => {{
                    if at.read::<3>() == 0 {
                        at.write(at.read::<2>());
                    }
                    at.go(1)
                }};
                ($arm:literal MoveIfNonZero64) => {{
                    if at.read::<3>() != 0 {
                        at.write64(at.read64::<2>());
                    }
                    at.go(1)
                }};
                ($arm:literal MoveIfZero64) => {{
                    if at.read::<3>() == 0 {
                        at.write64(at.read64::<2>());
                    }
                    at.go(1)
                }};
                ($arm:literal Add) => { step!(at.words(|a, b| a.wrapping_add(b))) };
                ($arm:literal Sub) => { step!(at.words(|a, b| a.wrapping_sub(b))) };
                ($arm:literal Mul) => { step!(at.words(|a, b| a.wrapping_mul(b))) };
                ($arm:literal MulHighSigned) => {{ step!(at.words(|a, b| (i64::from(a as i32).wrapping_mul((b as i32).into()) >> 32) as u32)) }};
                ($arm:literal MulHighUnsigned) => { step!(at.words(|a, b| (u64::from(a).wrapping_mul(b.into()) >> 32) as u32)) };
                ($arm:literal DivSigned) => { divide!(|a, b| (b != 0).then(|| (a as i32).wrapping_div(b as i32) as u32)) };
                ($arm:literal DivUnsigned) => { divide!(u32::checked_div) };
                ($arm:literal RemSigned) => { divide!(|a, b| (b != 0).then(|| (a as i32).wrapping_rem(b as i32) as u32)) };
                ($arm:literal RemUnsigned) => { divide!(u32::checked_rem) };
                ($arm:literal And) => { step!(at.words(|a, b| a & b)) };
                ($arm:literal Or) => { step!(at.words(|a, b| a | b)) };
                ($arm:literal Xor) => { step!(at.words(|a, b| a ^ b)) };
                ($arm:literal ShiftLeft) => { step!(at.words(|a, b| a.wrapping_shl(b))) };
                ($arm:literal ShiftRightSigned) => { step!(at.words(|a, b| (a as i32).wrapping_shr(b) as u32)) };
                ($arm:literal ShiftRightUnsigned) => { step!(at.words(|a, b| a.wrapping_shr(b))) };
                ($arm:literal RotateLeft) => { step!(at.words(|a, b| a.rotate_left(b & 31))) };
                ($arm:literal SetEqual) => { step!(at.words(|a, b| u32::from(a == b))) };
                ($arm:literal SetNotEqual) => { step!(at.words(|a, b| u32::from(a != b))) };
                ($arm:literal SetLessSigned) => { step!(at.words(|a, b| u32::from((a as i32) < b as i32))) };
                ($arm:literal SetLessUnsigned) => { step!(at.words(|a, b| u32::from(a < b))) };
                ($arm:literal MinSigned) => { step!(at.words(|a, b| (a as i32).min(b as i32) as u32)) };
                ($arm:literal MaxSigned) => { step!(at.words(|a, b| (a as i32).max(b as i32) as u32)) };
                ($arm:literal MinUnsigned) => { step!(at.words(|a, b| a.min(b))) };
                ($arm:literal MaxUnsigned) => { step!(at.words(|a, b| a.max(b))) };
                ($arm:literal SignExtend8) => { step!(at.word(|a| a as i8 as u32)) };
                ($arm:literal SignExtend16) => { step!(at.word(|a| a as i16 as u32)) };
                ($arm:literal ZeroExtend16) => { step!(at.word(|a| a & 0xffff)) };
                ($arm:literal ByteSwap) => { step!(at.word(|a| a.swap_bytes())) };
                ($arm:literal Absolute) => { step!(at.word(|a| (a as i32).wrapping_abs() as u32)) };
                ($arm:literal AddImmediate) => { step!(at.word_i8(|a, i| a.wrapping_add(i))) };
                ($arm:literal ReverseSubImmediate) => { step!(at.word_i8(|a, i| i.wrapping_sub(a))) };
                ($arm:literal MulImmediate) => { step!(at.word_i8(|a, i| a.wrapping_mul(i))) };
                ($arm:literal AndImmediate) => { step!(at.word_i8(|a, i| a & i)) };
                ($arm:literal OrImmediate) => { step!(at.word_i8(|a, i| a | i)) };
                ($arm:literal XorImmediate) => { step!(at.word_i8(|a, i| a ^ i)) };
                ($arm:literal ShiftLeftImmediate) => { step!(at.word_u8(|a, i| a.wrapping_shl(i))) };
                ($arm:literal ShiftRightSignedImmediate) => { step!(at.word_u8(|a, i| (a as i32).wrapping_shr(i) as u32)) };
                ($arm:literal ShiftRightUnsignedImmediate) => { step!(at.word_u8(|a, i| a.wrapping_shr(i))) };
                ($arm:literal AndByte) => { step!(at.word_u8(|a, i| a & i)) };
                ($arm:literal SetEqualImmediate) => { step!(at.word_i8(|a, i| u32::from(a == i))) };
                ($arm:literal SetNotEqualImmediate) => { step!(at.word_i8(|a, i| u32::from(a != i))) };
                ($arm:literal SetLessSignedImmediate) => { step!(at.word_i8(|a, i| u32::from((a as i32) < i as i32))) };
                ($arm:literal SetLessUnsignedImmediate) => { step!(at.word_i8(|a, i| u32::from(a < i))) };
                ($arm:literal AddImmediateWide) => { step!(at.word_i32(|a, i| a.wrapping_add(i)), 2) };
                ($arm:literal MulImmediateWide) => { step!(at.word_i32(|a, i| a.wrapping_mul(i)), 2) };
                ($arm:literal AndImmediateWide) => { step!(at.word_i32(|a, i| a & i), 2) };
                ($arm:literal OrImmediateWide) => { step!(at.word_i32(|a, i| a | i), 2) };
                ($arm:literal XorImmediateWide) => { step!(at.word_i32(|a, i| a ^ i), 2) };
                ($arm:literal MulAdd) => { step!(at.write(at.read::<1>().wrapping_add(at.read::<2>().wrapping_mul(at.read::<3>())))) };
                ($arm:literal RotateLeftImmediate) => { step!(at.word_u8(|a, i| a.rotate_left(i))) };
                ($arm:literal AddImmediateByte) => { step!(at.word_i8(|a, i| a.wrapping_add(i) & 0xff)) };
                ($arm:literal ExtractByte) => { step!(at.word_u8(|a, i| a.wrapping_shr(i) & 0xff)) };
                ($arm:literal ExtractBit) => { step!(at.word_u8(|a, i| a.wrapping_shr(i) & 1)) };
                ($arm:literal CompareSigned) => {
                    step!(at.words(|a, b| {
                        let (a, b) = (a as i32, b as i32);
                        u32::from(a > b).wrapping_sub(u32::from(a < b))
                    }))
                };
                ($arm:literal CompareUnsigned) => { step!(at.words(|a, b| u32::from(a > b).wrapping_sub(u32::from(a < b)))) };
                ($arm:literal AddShifted1) => { step!(at.words(|a, b| a.wrapping_add(b << 1))) };
                ($arm:literal AddShifted2) => { step!(at.words(|a, b| a.wrapping_add(b << 2))) };
                ($arm:literal AddShifted3) => { step!(at.words(|a, b| a.wrapping_add(b << 3))) };
                ($arm:literal SelectNonZero) => { step!(at.words(|a, b| a & u32::from(b != 0).wrapping_neg())) };
                ($arm:literal SelectZero) => { step!(at.words(|a, b| a & u32::from(b != 0).wrapping_sub(1))) };
                ($arm:literal AddShifted4) => { step!(at.words(|a, b| a.wrapping_add(b << 4))) };
                ($arm:literal Add64) => { step!(at.pairs(|a, b| a.wrapping_add(b))) };
                ($arm:literal Sub64) => { step!(at.pairs(|a, b| a.wrapping_sub(b))) };
                ($arm:literal Mul64) => { step!(at.pairs(|a, b| a.wrapping_mul(b))) };
                ($arm:literal And64) => { step!(at.pairs(|a, b| a & b)) };
                ($arm:literal Or64) => { step!(at.pairs(|a, b| a | b)) };
                ($arm:literal Xor64) => { step!(at.pairs(|a, b| a ^ b)) };
                ($arm:literal ShiftLeft64) => { step!(at.pair_word(|a, b| a.wrapping_shl(b))) };
                ($arm:literal ShiftRightSigned64) => { step!(at.pair_word(|a, b| (a as i64).wrapping_shr(b) as u64)) };
                ($arm:literal ShiftRightUnsigned64) => { step!(at.pair_word(|a, b| a.wrapping_shr(b))) };
                ($arm:literal SetEqual64) => { step!(at.compare(|a, b| a == b)) };
                ($arm:literal SetNotEqual64) => { step!(at.compare(|a, b| a != b)) };
                ($arm:literal SetLessSigned64) => { step!(at.compare(|a, b| (a as i64) < b as i64)) };
                ($arm:literal SetLessUnsigned64) => { step!(at.compare(|a, b| a < b)) };
                ($arm:literal AddImmediate64) => { step!(at.pair_u8(|a, i| a.wrapping_add(i as i8 as u64))) };
                ($arm:literal ShiftLeftImmediate64) => { step!(at.pair_u8(|a, i| a.wrapping_shl(i))) };
                ($arm:literal ShiftRightSignedImmediate64) => { step!(at.pair_u8(|a, i| (a as i64).wrapping_shr(i) as u64)) };
                ($arm:literal ShiftRightUnsignedImmediate64) => { step!(at.pair_u8(|a, i| a.wrapping_shr(i))) };
                ($arm:literal RotateLeftImmediate64) => { step!(at.pair_u8(|a, i| a.rotate_left(i))) };
                ($arm:literal SignExtend64) => { step!(at.widen(|a| a as i32 as u64)) };
                ($arm:literal ZeroExtend64) => { step!(at.widen(|a| a.into())) };
                ($arm:literal MulWideSigned) => {{ step!(at.widen_two(|a, b| i64::from(a as i32).wrapping_mul((b as i32).into()) as u64)) }};
                ($arm:literal MulWideUnsigned) => { step!(at.widen_two(|a, b| u64::from(a).wrapping_mul(b.into()))) };
                ($arm:literal AddF32) => { step!(at.floats(|a, b| a + b)) };
                ($arm:literal SubF32) => { step!(at.floats(|a, b| a - b)) };
                ($arm:literal MulF32) => { step!(at.floats(|a, b| a * b)) };
                ($arm:literal DivF32) => { step!(at.floats(|a, b| a / b)) };
                ($arm:literal SetEqualF32) => { step!(at.compare_floats(|a, b| a == b)) };
                ($arm:literal SetLessF32) => { step!(at.compare_floats(|a, b| a < b)) };
                ($arm:literal SetLessEqualF32) => { step!(at.compare_floats(|a, b| a <= b)) };
                ($arm:literal AddF64) => { step!(at.doubles(|a, b| a + b)) };
                ($arm:literal SubF64) => { step!(at.doubles(|a, b| a - b)) };
                ($arm:literal MulF64) => { step!(at.doubles(|a, b| a * b)) };
                ($arm:literal DivF64) => { step!(at.doubles(|a, b| a / b)) };
                ($arm:literal SetEqualF64) => { step!(at.compare_doubles(|a, b| a == b)) };
                ($arm:literal SetLessF64) => { step!(at.compare_doubles(|a, b| a < b)) };
                ($arm:literal SetLessEqualF64) => { step!(at.compare_doubles(|a, b| a <= b)) };
                ($arm:literal Load8Signed) => { load!(u8, at.displaced::<0>(), |v| v as i8 as u32) };
                ($arm:literal Load8) => { load!(u8, at.displaced::<0>(), u32::from) };
                ($arm:literal Load16Signed) => { load!(u16, at.displaced::<0>(), |v| v as i16 as u32) };
                ($arm:literal Load16) => { load!(u16, at.displaced::<0>(), u32::from) };
                ($arm:literal Load32) => { load!(u32, at.displaced::<0>(), u32::from) };
                ($arm:literal Load64) => { load64!(at.displaced::<3>()) };
                ($arm:literal Store8) => { store!(u8, at.displaced::<0>(), at.read::<1>() as u8) };
                ($arm:literal Store16) => { store!(u16, at.displaced::<0>(), at.read::<1>() as u16) };
                ($arm:literal Store32) => { store!(u32, at.displaced::<0>(), at.read::<1>()) };
                ($arm:literal Store64) => { store!(u64, at.displaced::<3>(), at.read64::<1>()) };
                ($arm:literal LoadIndexed8Signed) => { load!(u8, at.indexed::<0>(), |v| v as i8 as u32) };
                ($arm:literal LoadIndexed8) => { load!(u8, at.indexed::<0>(), u32::from) };
                ($arm:literal LoadIndexed16Signed) => { load!(u16, at.indexed::<1>(), |v| v as i16 as u32) };
                ($arm:literal LoadIndexed16) => { load!(u16, at.indexed::<1>(), u32::from) };
                ($arm:literal LoadIndexed32) => { load!(u32, at.indexed::<2>(), u32::from) };
                ($arm:literal LoadIndexed64) => { load64!(at.indexed::<3>()) };
                ($arm:literal StoreIndexed8) => { store!(u8, at.indexed::<0>(), at.read::<1>() as u8) };
                ($arm:literal StoreIndexed16) => { store!(u16, at.indexed::<1>(), at.read::<1>() as u16) };
                ($arm:literal StoreIndexed32) => { store!(u32, at.indexed::<2>(), at.read::<1>()) };
                ($arm:literal StoreIndexed64) => { store!(u64, at.indexed::<3>(), at.read64::<1>()) };
                ($arm:literal LoadStack32) => { step!(at.write(access::load_static(linear, at.beyond::<2>(sp)))) };
                ($arm:literal LoadStack64) => { step!(at.write64(access::load_static(linear, at.beyond::<3>(sp)))) };
                ($arm:literal StoreStack32) => { step!(access::store_static(linear, at.beyond::<2>(sp), at.read::<1>())) };
                ($arm:literal StoreStack64) => { step!(access::store_static(linear, at.beyond::<3>(sp), at.read64::<1>())) };
                ($arm:literal LoadStatic8Signed) => {{ step!(at.write(access::load_static::<u8>(linear, at.beyond::<0>(linear.start())) as i8 as u32)) }};
                ($arm:literal LoadStatic8) => {{ step!(at.write(access::load_static::<u8>(linear, at.beyond::<0>(linear.start())).into())) }};
                ($arm:literal LoadStatic16Signed) => {{ step!(at.write(access::load_static::<u16>(linear, at.beyond::<1>(linear.start())) as i16 as u32)) }};
                ($arm:literal LoadStatic16) => {{ step!(at.write(access::load_static::<u16>(linear, at.beyond::<1>(linear.start())).into())) }};
                ($arm:literal LoadStatic32) => { step!(at.write(access::load_static::<u32>(linear, at.beyond::<2>(linear.start())))) };
                ($arm:literal LoadStatic64) => { step!(at.write64(access::load_static::<u64>(linear, at.beyond::<3>(linear.start())))) };
                ($arm:literal StoreStatic8) => {{ step!(access::store_static(linear, at.beyond::<0>(linear.start()), at.read::<1>() as u8)) }};
                ($arm:literal StoreStatic16) => {{ step!(access::store_static(linear, at.beyond::<1>(linear.start()), at.read::<1>() as u16)) }};
                ($arm:literal StoreStatic32) => { step!(access::store_static(linear, at.beyond::<2>(linear.start()), at.read::<1>())) };
                ($arm:literal StoreStatic64) => {{ step!(access::store_static(linear, at.beyond::<3>(linear.start()), at.read64::<1>())) }};
                ($arm:literal Load8Post) => { load_moving!(u8, true, u32::from) };
                ($arm:literal Load16Post) => { load_moving!(u16, true, u32::from) };
                ($arm:literal Load16SignedPost) => { load_moving!(u16, true, |v| v as i16 as u32) };
                ($arm:literal Load32Post) => { load_moving!(u32, true, u32::from) };
                ($arm:literal Store8Post) => { store_moving!(u8) };
                ($arm:literal Store16Post) => { store_moving!(u16) };
                ($arm:literal Store32Post) => { store_moving!(u32) };
                ($arm:literal Load8Pre) => { load_moving!(u8, false, u32::from) };
                ($arm:literal Load32Pre) => { load_moving!(u32, false, u32::from) };
                ($arm:literal Load8SignedWide) => { load!(u8, at.displaced_wide(), |v| v as i8 as u32, 2) };
                ($arm:literal Load8Wide) => { load!(u8, at.displaced_wide(), u32::from, 2) };
                ($arm:literal Load16SignedWide) => { load!(u16, at.displaced_wide(), |v| v as i16 as u32, 2) };
                ($arm:literal Load16Wide) => { load!(u16, at.displaced_wide(), u32::from, 2) };
                ($arm:literal Load32Wide) => { load!(u32, at.displaced_wide(), u32::from, 2) };
                ($arm:literal Store8Wide) => { store!(u8, at.displaced_wide(), at.read::<1>() as u8, 2) };
                ($arm:literal Store16Wide) => { store!(u16, at.displaced_wide(), at.read::<1>() as u16, 2) };
                ($arm:literal Store32Wide) => { store!(u32, at.displaced_wide(), at.read::<1>(), 2) };
                ($arm:literal StackAllocate) => {{
                    sp = checked!(slow::stack_allocate(context, sp, at.read::<2>()));
                    at.write(sp);
                    at.go(1)
                }};
                ($arm:literal StackRestore) => {{
                    sp = checked!(slow::stack_restore(context, at));
                    at.go(1)
                }};
                ($arm:literal Jump) => { jump!($arm, at.whole()) };
                ($arm:literal BranchNonZero) => {{
                    if at.read::<1>() != 0 {
                        jump!($arm, i32::from(at.half() as i16))
                    }
                    at.go(1)
                }};
                ($arm:literal BranchZero) => {{
                    if at.read::<1>() == 0 {
                        jump!($arm, i32::from(at.half() as i16))
                    }
                    at.go(1)
                }};
                ($arm:literal BranchEqual) => { branch!($arm, at.if_words(|a, b| a == b)) };
                ($arm:literal BranchNotEqual) => { branch!($arm, at.if_words(|a, b| a != b)) };
                ($arm:literal BranchLessSigned) => { branch!($arm, at.if_words(|a, b| (a as i32) < b as i32)) };
                ($arm:literal BranchGreaterEqualSigned) => { branch!($arm, at.if_words(|a, b| a as i32 >= b as i32)) };
                ($arm:literal BranchLessUnsigned) => { branch!($arm, at.if_words(|a, b| a < b)) };
                ($arm:literal BranchGreaterEqualUnsigned) => { branch!($arm, at.if_words(|a, b| a >= b)) };
                ($arm:literal BranchEqualImmediate) => { branch!($arm, at.if_i8(|a, i| a == i)) };
                ($arm:literal BranchNotEqualImmediate) => { branch!($arm, at.if_i8(|a, i| a != i)) };
                ($arm:literal BranchLessSignedImmediate) => { branch!($arm, at.if_i8(|a, i| (a as i32) < i as i32)) };
                ($arm:literal BranchGreaterEqualSignedImmediate) => { branch!($arm, at.if_i8(|a, i| a as i32 >= i as i32)) };
                ($arm:literal BranchLessUnsignedImmediate) => { branch!($arm, at.if_i8(|a, i| a < i)) };
                ($arm:literal BranchGreaterEqualUnsignedImmediate) => { branch!($arm, at.if_i8(|a, i| a >= i)) };
                ($arm:literal AddBranchNonZero) => { count!($arm, at.byte::<2>() as i8 as u32, |sum| sum != 0) };
                ($arm:literal AddBranchZero) => { count!($arm, at.byte::<2>() as i8 as u32, |sum| sum == 0) };
                ($arm:literal IncrementBranchNotEqual) => { count!($arm, 1, |sum| sum != at.read::<2>()) };
                ($arm:literal IncrementBranchEqual) => { count!($arm, 1, |sum| sum == at.read::<2>()) };
                ($arm:literal Switch) => {{
                    let (value, entries) = (at.read::<1>(), u32::from(at.half()));
                    if value < entries {
                        jump!($arm, at.extension(value as usize + 1))
                    }
                    at.go(entries.wrapping_add(1) as i32)
                }};
                ($arm:literal Call) => { enter!(program.function(at.half()), 1) };
                ($arm:literal CallIndirect) => {{
                    let (address, signature) = (at.read::<2>(), at.signature());
                    let record = match context.last_callee(address, signature) {
                        Some(record) => record,
                        None => match context.callee(address) {
                            Some(record) if record.signature() == signature => {
                                context.remember_callee(address, signature, record);
                                record
                            }
                            _ => program.function(checked!(slow::indirect_target(context, address, signature))),
                        },
                    };
                    enter!(record, 2)
                }};
                ($arm:literal CallImport) => { host!(None, 1) };
                ($arm:literal CallImportVariadic) => { host!(Some(slow::variadic_slots(context, at.signature())), 2) };
                ($arm:literal Return) => { leave!() };
                ($arm:literal ReturnValue) => {{
                    at.write_slot(0, at.read::<1>());
                    leave!()
                }};
                ($arm:literal ReturnValue64) => {{
                    at.write_pair(0, at.read64::<1>());
                    leave!()
                }};
                ($arm:literal LongJump) => {{
                    pay!();
                    (at, sp) = checked!(jump::long(context, at));
                }};
                ($arm:literal TailCall) => { replace!(program.function(at.half())) };
                ($arm:literal TailCallIndirect) => {{
                    let function = checked!(slow::indirect_target(context, at.read::<1>(), at.signature()));
                    replace!(program.function(function))
                }};
                // The rest runs out of line.
                ($arm:literal $rare:ident) => { break 'run Event::Rare };
            }
            macro_rules! dispatch {
                (
                    $($doc:literal $name:ident $code:literal $mnemonic:literal [$($operand:ident)*] $flow:ident;)+
                    [$($pair:ident $pair_code:literal $first:ident $second:ident $field:literal;)+]
                ) => {
                    match at.byte::<0>() {
                        $(code::$name => {
                            operation!($code $name);
                            end!($code)
                        })+
                        $(code::$pair => {
                            let written = at.byte::<1>();
                            operation!($pair_code $first);
                            // SAFETY: verified code: this instruction and the one before are that pair.
                            unsafe { at.assume::<$field>(written) };
                            operation!($pair_code $second);
                            end!($pair_code)
                        })+
                        // With an end of its own: else each dispatch would make the trap's value, in case it led there.
                        EXTENSION => {
                            end!(0xff);
                            trap!(IllegalInstruction)
                        }
                    }
                };
            }
            macro_rules! with_pairs {
                ($($opcodes:tt)*) => { for_each_pair!(dispatch $($opcodes)*) };
            }
            for_each_opcode!(with_pairs);
        };
        match event {
            // The address may lie in memory that was committed meanwhile. The instruction has done nothing yet and is run again.
            Event::Trap((TrapKind::Load | TrapKind::Store, _)) if context.see_committed() => linear = context.linear(),
            Event::Trap(failure) => break failure,
            Event::Rare => match rare::operate(context, at, sp) {
                Ok(()) => at.go(1),
                Err(failure) => break failure,
            },
            // The instruction that could not pay has done nothing yet and is run again.
            Event::Refill => match context.refill() {
                Ok(taken) => fuel = taken,
                Err(kind) => break (kind, 0),
            },
        }
    };
    context.park(at, sp, fuel);
    Err(context.fail(trap.0, trap.1))
}
