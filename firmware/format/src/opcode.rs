//! The opcode table: the one place where an instruction is defined.
//!
//! Encoder, decoder, disassembler, verifier, the interpreter's dispatch and the table in `specs/isa.md` follow from it.
//! A row is: meaning (one line, in the words of specs/isa.md), name, code, mnemonic, operands in field order, where control goes next.
//! In the meanings, `d` is the written register, `a` and `b` the read ones, `i` the immediate, in operand order; arithmetic wraps.
//!
//! The naming grammar: *operation*\[`i` immediate\]\[64 | f32 | f64\]\[`.w` wide immediate\].

use crate::operand::Operand;

/// Where control goes after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// To the next instruction.
    Next,
    /// To the target or to the next instruction.
    Branch,
    /// To the target only.
    Jump,
    /// To an entry of the jump table behind it or past the table.
    Switch,
    /// Into a function and back to the next instruction.
    Call,
    /// Out of the function.
    Leave,
}

/// The opcode byte of an extension word. Not an instruction.
pub const EXTENSION: u8 = 0xff;

/// Passes the whole table to a macro: `$callback! { $(doc name code mnemonic [operands] flow;)+ }`.
#[macro_export]
macro_rules! for_each_opcode {
    ($callback:ident) => {
        $callback! {
            "Stops the instance: control must not come here (an all-zero word is this)." Unreachable 0x00 "unreachable" [] Leave;
            "Stops the instance with trap code i." Trap 0x01 "trap" [TrapCode] Leave;

            "d = a" Move 0x02 "mov" [W32 R32] Next;
            "d = a" Move64 0x03 "mov64" [W64 R64] Next;
            "d = i" LoadImmediate 0x04 "ldi" [W32 I16] Next;
            "d = i" LoadImmediateWide 0x05 "ldi.w" [W32 I32] Next;
            "d = i, sign-extended to 64 bits" LoadImmediate64 0x06 "ldi64" [W64 I16] Next;
            "d = start of constant data + i" ConstantAddress 0x07 "adro" [W32 ConstantAddress] Next;
            "d = start of linear memory + i" StaticAddress 0x08 "adram" [W32 StaticAddress] Next;
            "d = linear stack pointer + i" StackAddress 0x09 "adsp" [W32 StackAddress] Next;
            "d = address of the thunk bound to address-taken function i" CallbackAddress 0x0a "adfn" [W32 Callback] Next;
            "if b ≠ 0 then d = a" MoveIfNonZero 0x0b "movnz" [X32 R32 R32] Next;
            "if b = 0 then d = a" MoveIfZero 0x0c "movz" [X32 R32 R32] Next;
            "if b ≠ 0 then d = a" MoveIfNonZero64 0x0d "movnz64" [X64 R64 R32] Next;
            "if b = 0 then d = a" MoveIfZero64 0x0e "movz64" [X64 R64 R32] Next;
            "d = start of the task's block of thread-local variables + i; the first in a task makes the block, and traps where the heap has no room" ThreadLocalAddress 0x0f "adtls" [W32 ThreadLocalAddress] Next;

            "d = a + b" Add 0x10 "add" [W32 R32 R32] Next;
            "d = a − b" Sub 0x11 "sub" [W32 R32 R32] Next;
            "d = a × b" Mul 0x12 "mul" [W32 R32 R32] Next;
            "d = high word of a × b, signed" MulHighSigned 0x13 "mulhs" [W32 R32 R32] Next;
            "d = high word of a × b, unsigned" MulHighUnsigned 0x14 "mulhu" [W32 R32 R32] Next;
            "d = a / b, signed, towards zero; traps on b = 0; −2³¹ / −1 = −2³¹" DivSigned 0x15 "divs" [W32 R32 R32] Next;
            "d = a / b, unsigned; traps on b = 0" DivUnsigned 0x16 "divu" [W32 R32 R32] Next;
            "d = remainder of divs; traps on b = 0; −2³¹ rem −1 = 0" RemSigned 0x17 "rems" [W32 R32 R32] Next;
            "d = remainder of divu; traps on b = 0" RemUnsigned 0x18 "remu" [W32 R32 R32] Next;
            "d = a and b" And 0x19 "and" [W32 R32 R32] Next;
            "d = a or b" Or 0x1a "or" [W32 R32 R32] Next;
            "d = a xor b" Xor 0x1b "xor" [W32 R32 R32] Next;
            "d = a << (b mod 32)" ShiftLeft 0x1c "shl" [W32 R32 R32] Next;
            "d = a >> (b mod 32), arithmetic" ShiftRightSigned 0x1d "shrs" [W32 R32 R32] Next;
            "d = a >> (b mod 32), logical" ShiftRightUnsigned 0x1e "shru" [W32 R32 R32] Next;
            "d = a rotated left by b mod 32" RotateLeft 0x1f "rotl" [W32 R32 R32] Next;
            "d = 1 if a = b else 0" SetEqual 0x20 "seq" [W32 R32 R32] Next;
            "d = 1 if a ≠ b else 0" SetNotEqual 0x21 "sne" [W32 R32 R32] Next;
            "d = 1 if a < b, signed, else 0" SetLessSigned 0x22 "slts" [W32 R32 R32] Next;
            "d = 1 if a < b, unsigned, else 0" SetLessUnsigned 0x23 "sltu" [W32 R32 R32] Next;
            "d = smaller of a and b, signed" MinSigned 0x24 "mins" [W32 R32 R32] Next;
            "d = larger of a and b, signed" MaxSigned 0x25 "maxs" [W32 R32 R32] Next;
            "d = smaller of a and b, unsigned" MinUnsigned 0x26 "minu" [W32 R32 R32] Next;
            "d = larger of a and b, unsigned" MaxUnsigned 0x27 "maxu" [W32 R32 R32] Next;
            "d = low 8 bits of a, sign-extended" SignExtend8 0x28 "sext8" [W32 R32] Next;
            "d = low 16 bits of a, sign-extended" SignExtend16 0x29 "sext16" [W32 R32] Next;
            "d = low 16 bits of a" ZeroExtend16 0x2a "zext16" [W32 R32] Next;
            "d = number of leading zero bits of a, 32 for 0" CountLeadingZeros 0x2b "clz" [W32 R32] Next;
            "d = number of trailing zero bits of a, 32 for 0" CountTrailingZeros 0x2c "ctz" [W32 R32] Next;
            "d = number of one bits of a" PopCount 0x2d "popcnt" [W32 R32] Next;
            "d = a with its bytes reversed" ByteSwap 0x2e "bswap" [W32 R32] Next;
            "d = |a|; −2³¹ stays" Absolute 0x2f "abs" [W32 R32] Next;

            "d = a + i" AddImmediate 0x30 "addi" [W32 R32 I8] Next;
            "d = i − a" ReverseSubImmediate 0x31 "rsubi" [W32 R32 I8] Next;
            "d = a × i" MulImmediate 0x32 "muli" [W32 R32 I8] Next;
            "d = a and i (i sign-extended)" AndImmediate 0x33 "andi" [W32 R32 I8] Next;
            "d = a or i (i sign-extended)" OrImmediate 0x34 "ori" [W32 R32 I8] Next;
            "d = a xor i (i sign-extended)" XorImmediate 0x35 "xori" [W32 R32 I8] Next;
            "d = a << i" ShiftLeftImmediate 0x36 "shli" [W32 R32 Shift32] Next;
            "d = a >> i, arithmetic" ShiftRightSignedImmediate 0x37 "shrsi" [W32 R32 Shift32] Next;
            "d = a >> i, logical" ShiftRightUnsignedImmediate 0x38 "shrui" [W32 R32 Shift32] Next;
            "d = a and i (i zero-extended)" AndByte 0x39 "andb" [W32 R32 U8] Next;
            "d = 1 if a = i else 0" SetEqualImmediate 0x3a "seqi" [W32 R32 I8] Next;
            "d = 1 if a ≠ i else 0" SetNotEqualImmediate 0x3b "snei" [W32 R32 I8] Next;
            "d = 1 if a < i, signed, else 0" SetLessSignedImmediate 0x3c "sltsi" [W32 R32 I8] Next;
            "d = 1 if a < i (i sign-extended), unsigned, else 0" SetLessUnsignedImmediate 0x3d "sltui" [W32 R32 I8] Next;
            "d = a + i" AddImmediateWide 0x3e "addi.w" [W32 R32 I32] Next;
            "d = a × i" MulImmediateWide 0x3f "muli.w" [W32 R32 I32] Next;
            "d = a and i" AndImmediateWide 0x40 "andi.w" [W32 R32 I32] Next;
            "d = a or i" OrImmediateWide 0x41 "ori.w" [W32 R32 I32] Next;
            "d = a xor i" XorImmediateWide 0x42 "xori.w" [W32 R32 I32] Next;
            "d += a × b" MulAdd 0x43 "muladd" [X32 R32 R32] Next;
            "d = a rotated left by i" RotateLeftImmediate 0x44 "rotli" [W32 R32 Shift32] Next;
            "d = low 8 bits of a + i" AddImmediateByte 0x45 "addib" [W32 R32 I8] Next;
            "d = low 8 bits of a >> i" ExtractByte 0x46 "shruib" [W32 R32 Shift32] Next;
            "d = lowest bit of a >> i" ExtractBit 0x47 "shrui1" [W32 R32 Shift32] Next;

            "d = a + b" Add64 0x48 "add64" [W64 R64 R64] Next;
            "d = a − b" Sub64 0x49 "sub64" [W64 R64 R64] Next;
            "d = a × b" Mul64 0x4a "mul64" [W64 R64 R64] Next;
            "d = a / b, signed, towards zero; traps on b = 0; −2⁶³ / −1 = −2⁶³" DivSigned64 0x4b "divs64" [W64 R64 R64] Next;
            "d = a / b, unsigned; traps on b = 0" DivUnsigned64 0x4c "divu64" [W64 R64 R64] Next;
            "d = remainder of divs64; traps on b = 0; −2⁶³ rem −1 = 0" RemSigned64 0x4d "rems64" [W64 R64 R64] Next;
            "d = remainder of divu64; traps on b = 0" RemUnsigned64 0x4e "remu64" [W64 R64 R64] Next;
            "d = a and b" And64 0x4f "and64" [W64 R64 R64] Next;
            "d = a or b" Or64 0x50 "or64" [W64 R64 R64] Next;
            "d = a xor b" Xor64 0x51 "xor64" [W64 R64 R64] Next;
            "d = a << (b mod 64)" ShiftLeft64 0x52 "shl64" [W64 R64 R32] Next;
            "d = a >> (b mod 64), arithmetic" ShiftRightSigned64 0x53 "shrs64" [W64 R64 R32] Next;
            "d = a >> (b mod 64), logical" ShiftRightUnsigned64 0x54 "shru64" [W64 R64 R32] Next;
            "d = 1 if a = b else 0" SetEqual64 0x55 "seq64" [W32 R64 R64] Next;
            "d = 1 if a ≠ b else 0" SetNotEqual64 0x56 "sne64" [W32 R64 R64] Next;
            "d = 1 if a < b, signed, else 0" SetLessSigned64 0x57 "slts64" [W32 R64 R64] Next;
            "d = 1 if a < b, unsigned, else 0" SetLessUnsigned64 0x58 "sltu64" [W32 R64 R64] Next;
            "d = a + i" AddImmediate64 0x59 "addi64" [W64 R64 I8] Next;
            "d = a << i" ShiftLeftImmediate64 0x5a "shli64" [W64 R64 Shift64] Next;
            "d = a >> i, arithmetic" ShiftRightSignedImmediate64 0x5b "shrsi64" [W64 R64 Shift64] Next;
            "d = a >> i, logical" ShiftRightUnsignedImmediate64 0x5c "shrui64" [W64 R64 Shift64] Next;
            "d = a, sign-extended to 64 bits" SignExtend64 0x5d "sext64" [W64 R32] Next;
            "d = a, zero-extended to 64 bits" ZeroExtend64 0x5e "zext64" [W64 R32] Next;
            "d = a × b, both sign-extended to 64 bits" MulWideSigned 0x5f "mulws" [W64 R32 R32] Next;
            "d = a × b, both zero-extended to 64 bits" MulWideUnsigned 0x60 "mulwu" [W64 R32 R32] Next;
            "d = number of leading zero bits of a, 64 for 0 (a 64-bit result)" CountLeadingZeros64 0x61 "clz64" [W64 R64] Next;
            "d = number of trailing zero bits of a, 64 for 0 (a 64-bit result)" CountTrailingZeros64 0x62 "ctz64" [W64 R64] Next;
            "d = number of one bits of a (a 64-bit result)" PopCount64 0x63 "popcnt64" [W64 R64] Next;
            "d = a with its bytes reversed" ByteSwap64 0x64 "bswap64" [W64 R64] Next;
            "d = a rotated left by i" RotateLeftImmediate64 0x65 "rotli64" [W64 R64 Shift64] Next;
            "d = 1 if a > b, −1 if a < b, else 0, signed" CompareSigned 0x66 "cmps" [W32 R32 R32] Next;
            "d = 1 if a > b, −1 if a < b, else 0, unsigned" CompareUnsigned 0x67 "cmpu" [W32 R32 R32] Next;

            "d = a + b" AddF32 0x68 "addf32" [W32 R32 R32] Next;
            "d = a − b" SubF32 0x69 "subf32" [W32 R32 R32] Next;
            "d = a × b" MulF32 0x6a "mulf32" [W32 R32 R32] Next;
            "d = a / b" DivF32 0x6b "divf32" [W32 R32 R32] Next;
            "d = 1 if a = b, else 0 (0 with a NaN)" SetEqualF32 0x6c "seqf32" [W32 R32 R32] Next;
            "d = 1 if a < b, else 0 (0 with a NaN)" SetLessF32 0x6d "sltf32" [W32 R32 R32] Next;
            "d = 1 if a ≤ b, else 0 (0 with a NaN)" SetLessEqualF32 0x6e "slef32" [W32 R32 R32] Next;
            "d = 1 if a < b or a > b, else 0 (0 with a NaN)" SetNotEqualF32 0x6f "snef32" [W32 R32 R32] Next;
            "d = 1 if neither a nor b is a NaN, else 0" SetOrderedF32 0x70 "sordf32" [W32 R32 R32] Next;
            "d = a + b" AddF64 0x71 "addf64" [W64 R64 R64] Next;
            "d = a − b" SubF64 0x72 "subf64" [W64 R64 R64] Next;
            "d = a × b" MulF64 0x73 "mulf64" [W64 R64 R64] Next;
            "d = a / b" DivF64 0x74 "divf64" [W64 R64 R64] Next;
            "d = 1 if a = b, else 0 (0 with a NaN)" SetEqualF64 0x75 "seqf64" [W32 R64 R64] Next;
            "d = 1 if a < b, else 0 (0 with a NaN)" SetLessF64 0x76 "sltf64" [W32 R64 R64] Next;
            "d = 1 if a ≤ b, else 0 (0 with a NaN)" SetLessEqualF64 0x77 "slef64" [W32 R64 R64] Next;
            "d = 1 if a < b or a > b, else 0 (0 with a NaN)" SetNotEqualF64 0x78 "snef64" [W32 R64 R64] Next;
            "d = 1 if neither a nor b is a NaN, else 0" SetOrderedF64 0x79 "sordf64" [W32 R64 R64] Next;
            "d = a truncated to a signed 32-bit integer, saturating, NaN to 0" F32ToI32 0x7a "f32.i32" [W32 R32] Next;
            "d = a truncated to an unsigned 32-bit integer, saturating, NaN to 0" F32ToU32 0x7b "f32.u32" [W32 R32] Next;
            "d = a truncated to a signed 64-bit integer, saturating, NaN to 0" F32ToI64 0x7c "f32.i64" [W64 R32] Next;
            "d = a truncated to an unsigned 64-bit integer, saturating, NaN to 0" F32ToU64 0x7d "f32.u64" [W64 R32] Next;
            "d = a truncated to a signed 32-bit integer, saturating, NaN to 0" F64ToI32 0x7e "f64.i32" [W32 R64] Next;
            "d = a truncated to an unsigned 32-bit integer, saturating, NaN to 0" F64ToU32 0x7f "f64.u32" [W32 R64] Next;
            "d = a truncated to a signed 64-bit integer, saturating, NaN to 0" F64ToI64 0x80 "f64.i64" [W64 R64] Next;
            "d = a truncated to an unsigned 64-bit integer, saturating, NaN to 0" F64ToU64 0x81 "f64.u64" [W64 R64] Next;
            "d = signed a, rounded to nearest, ties to even" I32ToF32 0x82 "i32.f32" [W32 R32] Next;
            "d = unsigned a, rounded to nearest, ties to even" U32ToF32 0x83 "u32.f32" [W32 R32] Next;
            "d = signed a, rounded to nearest, ties to even" I64ToF32 0x84 "i64.f32" [W32 R64] Next;
            "d = unsigned a, rounded to nearest, ties to even" U64ToF32 0x85 "u64.f32" [W32 R64] Next;
            "d = signed a" I32ToF64 0x86 "i32.f64" [W64 R32] Next;
            "d = unsigned a" U32ToF64 0x87 "u32.f64" [W64 R32] Next;
            "d = signed a, rounded to nearest, ties to even" I64ToF64 0x88 "i64.f64" [W64 R64] Next;
            "d = unsigned a, rounded to nearest, ties to even" U64ToF64 0x89 "u64.f64" [W64 R64] Next;
            "d = a" F32ToF64 0x8a "f32.f64" [W64 R32] Next;
            "d = a, rounded to nearest, ties to even" F64ToF32 0x8b "f64.f32" [W32 R64] Next;
            "d = a + 2 × b" AddShifted1 0x8c "addsl1" [W32 R32 R32] Next;
            "d = a + 4 × b" AddShifted2 0x8d "addsl2" [W32 R32 R32] Next;
            "d = a + 8 × b" AddShifted3 0x8e "addsl3" [W32 R32 R32] Next;
            "d = a + 16 × b" AddShifted4 0x8f "addsl4" [W32 R32 R32] Next;
            "d = a if b is odd, else 0" SelectOdd 0xde "selodd" [W32 R32 R32] Next;

            "d = byte at a + i, sign-extended" Load8Signed 0x90 "ld8s" [W32 R32 Displacement1] Next;
            "d = byte at a + i" Load8 0x91 "ld8" [W32 R32 Displacement1] Next;
            "d = 16 bits at a + i, sign-extended" Load16Signed 0x92 "ld16s" [W32 R32 Displacement2] Next;
            "d = 16 bits at a + i" Load16 0x93 "ld16" [W32 R32 Displacement2] Next;
            "d = 32 bits at a + i" Load32 0x94 "ld32" [W32 R32 Displacement4] Next;
            "d = 64 bits at a + i" Load64 0x95 "ld64" [W64 R32 Displacement8] Next;
            "byte at b + i = a" Store8 0x96 "st8" [R32 R32 Displacement1] Next;
            "16 bits at b + i = a" Store16 0x97 "st16" [R32 R32 Displacement2] Next;
            "32 bits at b + i = a" Store32 0x98 "st32" [R32 R32 Displacement4] Next;
            "64 bits at b + i = a" Store64 0x99 "st64" [R64 R32 Displacement8] Next;
            "d = byte at a + b, sign-extended" LoadIndexed8Signed 0x9a "ldx8s" [W32 R32 R32] Next;
            "d = byte at a + b" LoadIndexed8 0x9b "ldx8" [W32 R32 R32] Next;
            "d = 16 bits at a + 2 × b, sign-extended" LoadIndexed16Signed 0x9c "ldx16s" [W32 R32 R32] Next;
            "d = 16 bits at a + 2 × b" LoadIndexed16 0x9d "ldx16" [W32 R32 R32] Next;
            "d = 32 bits at a + 4 × b" LoadIndexed32 0x9e "ldx32" [W32 R32 R32] Next;
            "d = 64 bits at a + 8 × b" LoadIndexed64 0x9f "ldx64" [W64 R32 R32] Next;
            "byte at b + c = a" StoreIndexed8 0xa0 "stx8" [R32 R32 R32] Next;
            "16 bits at b + 2 × c = a" StoreIndexed16 0xa1 "stx16" [R32 R32 R32] Next;
            "32 bits at b + 4 × c = a" StoreIndexed32 0xa2 "stx32" [R32 R32 R32] Next;
            "64 bits at b + 8 × c = a" StoreIndexed64 0xa3 "stx64" [R64 R32 R32] Next;
            "d = 32 bits at linear stack pointer + i" LoadStack32 0xa4 "ldsp32" [W32 Stack4] Next;
            "d = 64 bits at linear stack pointer + i" LoadStack64 0xa5 "ldsp64" [W64 Stack8] Next;
            "32 bits at linear stack pointer + i = a" StoreStack32 0xa6 "stsp32" [R32 Stack4] Next;
            "64 bits at linear stack pointer + i = a" StoreStack64 0xa7 "stsp64" [R64 Stack8] Next;
            "d = byte at start of linear memory + i, sign-extended" LoadStatic8Signed 0xa8 "ldg8s" [W32 Static1] Next;
            "d = byte at start of linear memory + i" LoadStatic8 0xa9 "ldg8" [W32 Static1] Next;
            "d = 16 bits at start of linear memory + i, sign-extended" LoadStatic16Signed 0xaa "ldg16s" [W32 Static2] Next;
            "d = 16 bits at start of linear memory + i" LoadStatic16 0xab "ldg16" [W32 Static2] Next;
            "d = 32 bits at start of linear memory + i" LoadStatic32 0xac "ldg32" [W32 Static4] Next;
            "d = 64 bits at start of linear memory + i" LoadStatic64 0xad "ldg64" [W64 Static8] Next;
            "byte at start of linear memory + i = a" StoreStatic8 0xae "stg8" [R32 Static1] Next;
            "16 bits at start of linear memory + i = a" StoreStatic16 0xaf "stg16" [R32 Static2] Next;
            "32 bits at start of linear memory + i = a" StoreStatic32 0xb0 "stg32" [R32 Static4] Next;
            "64 bits at start of linear memory + i = a" StoreStatic64 0xb1 "stg64" [R64 Static8] Next;
            "copies c bytes from b to a; the ranges may overlap" MemoryMove 0xb2 "memmove" [R32 R32 R32] Next;
            "sets c bytes at a to the low byte of b" MemorySet 0xb3 "memset" [R32 R32 R32] Next;
            "linear stack pointer −= a rounded up to 16; d = linear stack pointer; traps when the stack is exhausted" StackAllocate 0xb4 "alloca" [W32 R32] Next;
            "linear stack pointer = a, which must be a value it had in this call" StackRestore 0xb5 "spset" [R32] Next;
            "d = byte at a, then a += i (where both are one register, d stays)" Load8Post 0xb6 "ld8.post" [W32 X32 I8] Next;
            "d = 16 bits at a, then a += i, as ld8.post" Load16Post 0xb7 "ld16.post" [W32 X32 I8] Next;
            "d = 16 bits at a, sign-extended, then a += i, as ld8.post" Load16SignedPost 0xb8 "ld16s.post" [W32 X32 I8] Next;
            "d = 32 bits at a, then a += i, as ld8.post" Load32Post 0xb9 "ld32.post" [W32 X32 I8] Next;
            "byte at b = a, then b += i" Store8Post 0xba "st8.post" [R32 X32 I8] Next;
            "16 bits at b = a, then b += i" Store16Post 0xbb "st16.post" [R32 X32 I8] Next;
            "32 bits at b = a, then b += i" Store32Post 0xbc "st32.post" [R32 X32 I8] Next;
            "a += i, then d = byte at a" Load8Pre 0xbd "ld8.pre" [W32 X32 I8] Next;
            "a += i, then d = 32 bits at a" Load32Pre 0xbe "ld32.pre" [W32 X32 I8] Next;
            "d = byte at a + i, sign-extended" Load8SignedWide 0xf3 "ld8s.w" [W32 R32 I32] Next;
            "d = byte at a + i" Load8Wide 0xf4 "ld8.w" [W32 R32 I32] Next;
            "d = 16 bits at a + i, sign-extended" Load16SignedWide 0xf5 "ld16s.w" [W32 R32 I32] Next;
            "d = 16 bits at a + i" Load16Wide 0xf6 "ld16.w" [W32 R32 I32] Next;
            "d = 32 bits at a + i" Load32Wide 0xf7 "ld32.w" [W32 R32 I32] Next;
            "byte at b + i = a" Store8Wide 0xf8 "st8.w" [R32 R32 I32] Next;
            "16 bits at b + i = a" Store16Wide 0xf9 "st16.w" [R32 R32 I32] Next;
            "32 bits at b + i = a" Store32Wide 0xfa "st32.w" [R32 R32 I32] Next;

            "goes to i" Jump 0xc0 "jmp" [Target24] Jump;
            "if a ≠ 0 goes to i" BranchNonZero 0xc1 "bnez" [R32 Target16] Branch;
            "if a = 0 goes to i" BranchZero 0xc2 "beqz" [R32 Target16] Branch;
            "if a = b goes to i" BranchEqual 0xc3 "beq" [R32 R32 Target8] Branch;
            "if a ≠ b goes to i" BranchNotEqual 0xc4 "bne" [R32 R32 Target8] Branch;
            "if a < b, signed, goes to i" BranchLessSigned 0xc5 "blts" [R32 R32 Target8] Branch;
            "if a ≥ b, signed, goes to i" BranchGreaterEqualSigned 0xc6 "bges" [R32 R32 Target8] Branch;
            "if a < b, unsigned, goes to i" BranchLessUnsigned 0xc7 "bltu" [R32 R32 Target8] Branch;
            "if a ≥ b, unsigned, goes to i" BranchGreaterEqualUnsigned 0xc8 "bgeu" [R32 R32 Target8] Branch;
            "if a = i goes to the target" BranchEqualImmediate 0xc9 "beqi" [R32 I8 Target8] Branch;
            "if a ≠ i goes to the target" BranchNotEqualImmediate 0xca "bnei" [R32 I8 Target8] Branch;
            "if a < i, signed, goes to the target" BranchLessSignedImmediate 0xcb "bltsi" [R32 I8 Target8] Branch;
            "if a ≥ i, signed, goes to the target" BranchGreaterEqualSignedImmediate 0xcc "bgesi" [R32 I8 Target8] Branch;
            "if a < i (i sign-extended), unsigned, goes to the target" BranchLessUnsignedImmediate 0xcd "bltui" [R32 I8 Target8] Branch;
            "if a ≥ i (i sign-extended), unsigned, goes to the target" BranchGreaterEqualUnsignedImmediate 0xce "bgeui" [R32 I8 Target8] Branch;
            "a += i; if a ≠ 0 goes to the target" AddBranchNonZero 0xcf "addbnez" [X32 I8 Target8] Branch;
            "a += i; if a = 0 goes to the target" AddBranchZero 0xd0 "addbeqz" [X32 I8 Target8] Branch;
            "if a + 1 ≠ b goes to the target; either way a += 1" IncrementBranchNotEqual 0xd1 "incbne" [X32 R32 Target8] Branch;
            "if a + 1 = b goes to the target; either way a += 1" IncrementBranchEqual 0xd2 "incbeq" [X32 R32 Target8] Branch;
            "if a (unsigned) < i goes to the target in extension word a of the i that follow, else past them" Switch 0xe0 "switch" [R32 TableLength] Switch;
            "calls function i: arguments in the window from its first register on, the result in the same place" Call 0xe1 "call" [Window Function] Call;
            "calls the module function whose thunk address is a; traps unless it is one of signature i" CallIndirect 0xe2 "calli" [Window R32 Signature] Call;
            "calls import i" CallImport 0xe3 "callh" [Window Import] Call;
            "calls variadic import i with the arguments of the signature" CallImportVariadic 0xe4 "callhv" [Window Import Signature] Call;
            "returns nothing" Return 0xe5 "ret" [] Leave;
            "returns a" ReturnValue 0xe6 "ret32" [R32] Leave;
            "returns a" ReturnValue64 0xe7 "ret64" [R64] Leave;
            "writes three words about this place to a; d = 0, and again when longjmp comes back here" SetJump 0xe8 "setjmp" [W32 R32] Next;
            "goes back to the setjmp that wrote the words at a, whose d becomes b, or 1 if b = 0; traps where that place is gone" LongJump 0xe9 "longjmp" [R32 R32] Leave;
            "leaves this function and enters function i in its place: arguments in the registers from the first on, the result goes to this function's caller" TailCall 0xea "tcall" [Function] Leave;
            "the same for the module function whose thunk address is a; traps unless it is one of signature i" TailCallIndirect 0xeb "tcalli" [R32 Signature] Leave;
        }
    };
}

macro_rules! operand {
    (Displacement1) => {
        Operand::Displacement(1)
    };
    (Displacement2) => {
        Operand::Displacement(2)
    };
    (Displacement4) => {
        Operand::Displacement(4)
    };
    (Displacement8) => {
        Operand::Displacement(8)
    };
    (Stack4) => {
        Operand::Stack(4)
    };
    (Stack8) => {
        Operand::Stack(8)
    };
    (Static1) => {
        Operand::Static(1)
    };
    (Static2) => {
        Operand::Static(2)
    };
    (Static4) => {
        Operand::Static(4)
    };
    (Static8) => {
        Operand::Static(8)
    };
    ($simple:ident) => {
        Operand::$simple
    };
}

macro_rules! define {
    ($($doc:literal $name:ident $code:literal $mnemonic:literal [$($operand:ident)*] $flow:ident;)+) => {
        /// An opcode. Its number is the first byte of the instruction.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Opcode { $(#[doc = $doc] $name = $code,)+ }

        impl Opcode {
            /// Every opcode, in the order of the table.
            pub const ALL: &'static [Opcode] = &[$(Opcode::$name,)+];

            /// The opcode with this byte.
            pub const fn from_byte(byte: u8) -> Option<Opcode> {
                match byte { $($code => Some(Opcode::$name),)+ _ => None }
            }

            /// Its name in listings.
            pub const fn mnemonic(self) -> &'static str {
                match self { $(Opcode::$name => $mnemonic,)+ }
            }

            /// Its meaning, as specs/isa.md states it.
            pub const fn meaning(self) -> &'static str {
                match self { $(Opcode::$name => $doc,)+ }
            }

            /// Its operands in field order.
            pub const fn operands(self) -> &'static [Operand] {
                match self { $(Opcode::$name => &[$(operand!($operand)),*],)+ }
            }

            /// Where control goes next.
            pub const fn flow(self) -> Flow {
                match self { $(Opcode::$name => Flow::$flow,)+ }
            }
        }
    };
}

for_each_opcode!(define);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operand::Field;

    #[test]
    fn every_row_fits_the_instruction_word() {
        for opcode in Opcode::ALL {
            assert_ne!(*opcode as u8, EXTENSION, "{}", opcode.mnemonic());
            let mut bytes = 0;
            for operand in opcode.operands() {
                match operand.field() {
                    Field::Byte => bytes += 1,
                    Field::Half => {
                        assert!(bytes <= 1);
                        bytes = 3
                    }
                    Field::Whole => {
                        assert_eq!(bytes, 0);
                        bytes = 3
                    }
                    Field::Wide => {
                        assert!(bytes <= 2);
                        bytes = 3
                    }
                    Field::Extension => {}
                }
            }
            assert!(bytes <= 3, "{}", opcode.mnemonic());
        }
    }

    #[test]
    fn mnemonics_are_unique() {
        let mut names: std::vec::Vec<_> = Opcode::ALL.iter().map(|opcode| opcode.mnemonic()).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
