//! Integer intrinsics and bit tricks at every width up to 64.
//!
//! Must never hold: names of intrinsics (`intrinsic`).

use super::Lower;
use super::emit::{imm, int, reg};
use super::float::SIGN;
use super::intrinsic::IntOp;
use super::operand::mask;
use crate::codegen::abi::{self, Kind};
use crate::codegen::machine::{InstKind, Reg, Source, VReg};
use crate::codegen::refusal::{Lowered, Refusal};
use crate::ir::{BinaryOp, Operand, ValueId};
use espb_format::opcode::Opcode;

impl Lower<'_, '_> {
    /// `dest = op(arguments)`.
    pub fn int_intrinsic(&mut self, dest: VReg, kind: Kind, op: IntOp, arguments: &[&Operand]) -> Lowered<()> {
        let [first, rest @ ..] = arguments else { return Ok(()) };
        let second = rest.first().copied().unwrap_or(first);
        let argument_bits = self.kind_of(first)?.bits();
        let bits = match kind {
            Kind::Int(bits) if argument_bits <= 64 => bits,
            _ => return Err(abi::wide(argument_bits)),
        };
        use IntOp::*;
        match op {
            MinSigned | MaxSigned | MinUnsigned | MaxUnsigned => self.extreme(dest, bits, op, first, second),
            Absolute => self.absolute(dest, bits, first),
            CountOnes | CountLeading | CountTrailing => self.count(dest, bits, op, first),
            SwapBytes => self.swap_bytes(dest, bits, first),
            ReverseBits => self.reverse_bits(dest, bits, first),
            FunnelLeft | FunnelRight => {
                let [_, low, distance] = arguments else { return Ok(()) };
                self.funnel(dest, bits, op == FunnelLeft, (first, low), distance)
            }
            CompareSigned | CompareUnsigned => self.three_way(dest, argument_bits, op == CompareSigned, first, second),
            SaturatingAddSigned | SaturatingSubSigned | SaturatingAddUnsigned | SaturatingSubUnsigned => {
                self.saturating(dest, bits, op, first, second)
            }
            SaturatingShiftSigned | SaturatingShiftUnsigned => {
                Err(Refusal::unsupported("a saturating shift", "compare before shifting"))
            }
        }
    }

    /// Operands extended as the operation needs, of the class of `bits`.
    fn pair_of(&mut self, bits: u32, signed: bool, a: &Operand, b: &Operand) -> Lowered<(Reg, Reg)> {
        Ok(match (bits > 32, signed) {
            (true, _) => (self.get_as_64(a, signed)?, self.get_as_64(b, signed)?),
            (false, true) => (self.get_sign_extended(a)?, self.get_sign_extended(b)?),
            (false, false) => (self.get_zero_extended(a)?, self.get_zero_extended(b)?),
        })
    }

    /// `dest = flag ? yes : no`, 64 bits.
    fn choose64(&mut self, dest: VReg, flag: Reg, yes: Reg, no: Reg) {
        self.set_pair(dest, Source::Lane(no.vreg.lane(0)), Source::Lane(no.vreg.lane(1)));
        self.op(Opcode::MoveIfNonZero64, &[reg(dest.whole()), reg(yes), reg(flag)]);
    }

    fn extreme(&mut self, dest: VReg, bits: u32, op: IntOp, a: &Operand, b: &Operand) -> Lowered<()> {
        let signed = matches!(op, IntOp::MinSigned | IntOp::MaxSigned);
        let least = matches!(op, IntOp::MinSigned | IntOp::MinUnsigned);
        let (a, b) = self.pair_of(bits, signed, a, b)?;
        if bits > 32 {
            let opcode = if signed { Opcode::SetLessSigned64 } else { Opcode::SetLessUnsigned64 };
            let less = self.binary_op(opcode, a, b);
            let (yes, no) = if least { (a, b) } else { (b, a) };
            self.choose64(dest, less, yes, no);
            return Ok(());
        }
        let opcode = match op {
            IntOp::MinSigned => Opcode::MinSigned,
            IntOp::MaxSigned => Opcode::MaxSigned,
            IntOp::MinUnsigned => Opcode::MinUnsigned,
            _ => Opcode::MaxUnsigned,
        };
        if bits == 1 && signed {
            let wide = self.binary_op(opcode, a, b);
            self.op(Opcode::AndImmediate, &[reg(dest.whole()), reg(wide), imm(1)]);
        } else {
            self.op(opcode, &[reg(dest.whole()), reg(a), reg(b)]);
        }
        Ok(())
    }

    fn absolute(&mut self, dest: VReg, bits: u32, a: &Operand) -> Lowered<()> {
        match bits {
            1 => {
                let source = self.source(a, 0, 0)?;
                self.set_lane(dest.whole(), source);
            }
            2..=32 => {
                let a = self.get_sign_extended(a)?;
                self.op(Opcode::Absolute, &[reg(dest.whole()), reg(a)]);
            }
            _ => {
                let a = self.get_as_64(a, true)?;
                let sign = self.with_imm(Opcode::ShiftRightSignedImmediate, a.vreg.lane(1), 31);
                let mask = self.temp64();
                self.set_pair(mask, Source::Lane(sign), Source::Lane(sign));
                let flipped = self.binary_op64(Opcode::Xor64, a, mask.whole());
                self.op(Opcode::Sub64, &[reg(dest.whole()), reg(flipped.whole()), reg(mask.whole())]);
            }
        }
        Ok(())
    }

    fn count(&mut self, dest: VReg, bits: u32, op: IntOp, a: &Operand) -> Lowered<()> {
        if bits > 32 {
            let a = match op {
                // A one above the width bounds the count.
                IntOp::CountTrailing if bits < 64 => {
                    let raw = self.get64(a)?.vreg;
                    let bounded = self.temp64();
                    self.or_number(bounded.lane(1), raw.lane(1), 1 << (bits - 32));
                    self.set_lane(bounded.lane(0), Source::Lane(raw.lane(0)));
                    bounded.whole()
                }
                _ => self.get_zero_extended64(a)?,
            };
            match op {
                IntOp::CountOnes => self.op(Opcode::PopCount64, &[reg(dest.whole()), reg(a)]),
                IntOp::CountTrailing => self.op(Opcode::CountTrailingZeros64, &[reg(dest.whole()), reg(a)]),
                _ if bits == 64 => self.op(Opcode::CountLeadingZeros64, &[reg(dest.whole()), reg(a)]),
                _ => {
                    let count = self.temp64();
                    self.op(Opcode::CountLeadingZeros64, &[reg(count.whole()), reg(a)]);
                    self.op(
                        Opcode::AddImmediate64,
                        &[reg(dest.whole()), reg(count.whole()), imm(i64::from(bits) - 64)],
                    );
                }
            }
            return Ok(());
        }
        match op {
            IntOp::CountOnes => {
                let a = self.get_zero_extended(a)?;
                self.op(Opcode::PopCount, &[reg(dest.whole()), reg(a)]);
            }
            IntOp::CountTrailing => {
                let mut a = self.get(a)?;
                if bits < 32 {
                    let bounded = self.temp();
                    self.or_number(bounded, a, 1 << bits);
                    a = bounded;
                }
                self.op(Opcode::CountTrailingZeros, &[reg(dest.whole()), reg(a)]);
            }
            _ => {
                let a = self.get_zero_extended(a)?;
                if bits == 32 {
                    self.op(Opcode::CountLeadingZeros, &[reg(dest.whole()), reg(a)]);
                } else {
                    let count = self.unary(Opcode::CountLeadingZeros, a);
                    self.add_number(dest.whole(), count, bits as i32 - 32);
                }
            }
        }
        if bits == 1 {
            self.op(Opcode::AndImmediate, &[reg(dest.whole()), reg(dest.whole()), imm(1)]);
        }
        Ok(())
    }

    /// The value shifted to the top of its class.
    fn at_top(&mut self, bits: u32, a: &Operand) -> Lowered<Reg> {
        if bits > 32 {
            let raw = self.get64(a)?;
            if bits == 64 {
                return Ok(raw);
            }
            let shifted = self.temp64();
            self.op(Opcode::ShiftLeftImmediate64, &[reg(shifted.whole()), reg(raw), imm(i64::from(64 - bits))]);
            return Ok(shifted.whole());
        }
        let raw = self.get(a)?;
        if bits == 32 { Ok(raw) } else { Ok(self.with_imm(Opcode::ShiftLeftImmediate, raw, i64::from(32 - bits))) }
    }

    fn swap_bytes(&mut self, dest: VReg, bits: u32, a: &Operand) -> Lowered<()> {
        let top = self.at_top(bits, a)?;
        // The bytes of a value at the top end up at the bottom.
        self.op(if bits > 32 { Opcode::ByteSwap64 } else { Opcode::ByteSwap }, &[reg(dest.whole()), reg(top)]);
        Ok(())
    }

    fn reverse_bits(&mut self, dest: VReg, bits: u32, a: &Operand) -> Lowered<()> {
        let top = self.at_top(bits, a)?;
        if bits > 32 {
            let (low, high) = (self.reversed(top.vreg.lane(1)), self.reversed(top.vreg.lane(0)));
            self.set_pair(dest, Source::Lane(low), Source::Lane(high));
        } else {
            let reversed = self.reversed(top);
            self.set_lane(dest.whole(), Source::Lane(reversed));
        }
        Ok(())
    }

    /// All 32 bits in reverse order (Warren, "Hacker's Delight", section 7-1).
    fn reversed(&mut self, a: Reg) -> Reg {
        let mut word = self.unary(Opcode::ByteSwap, a);
        for (distance, mask) in [(4, 0x0f0f_0f0fu32), (2, 0x3333_3333), (1, 0x5555_5555)] {
            let right = self.with_imm(Opcode::ShiftRightUnsignedImmediate, word, distance);
            let low = self.with_imm(Opcode::AndImmediateWide, right, mask.into());
            let kept = self.with_imm(Opcode::AndImmediateWide, word, mask.into());
            let high = self.with_imm(Opcode::ShiftLeftImmediate, kept, distance);
            word = self.binary_op(Opcode::Or, low, high);
        }
        word
    }

    /// The high (left) or low (right) half of the operands side by side, shifted; the distance counts modulo the width.
    fn funnel(
        &mut self,
        dest: VReg,
        bits: u32,
        left: bool,
        operands: (&Operand, &Operand),
        distance: &Operand,
    ) -> Lowered<()> {
        let (high, low) = operands;
        let rotation = high == low;
        if let Some(distance) = self.number_of(distance)? {
            let distance = (distance % u64::from(bits)) as u32;
            let left_distance = if left { distance } else { (bits - distance) % bits };
            return self.funnel_number(dest, bits, left, left_distance, (high, low), rotation);
        }
        if bits == 32 && rotation {
            let (a, mut distance) = (self.get(high)?, self.get(distance)?);
            if !left {
                distance = self.with_imm(Opcode::ReverseSubImmediate, distance, 0);
            }
            self.op(Opcode::RotateLeft, &[reg(dest.whole()), reg(a), reg(distance)]);
            return Ok(());
        }
        if !matches!(bits, 32 | 64) {
            return self.narrow_funnel(dest, bits, left, (high, low), distance);
        }
        // high << d | low >> 1 >> (n − 1 − d), and its mirror image: no distance ever reaches the width.
        let wide = bits == 64;
        let (high, low) = if wide { (self.get64(high)?, self.get64(low)?) } else { (self.get(high)?, self.get(low)?) };
        let raw = if wide { self.get64(distance)? } else { self.get(distance)? };
        let inverse = self.with_imm(Opcode::XorImmediate, raw, -1);
        let (by_high, by_low) = if left { (raw, inverse) } else { (inverse, raw) };
        let result = |lower: &mut Self| lower.out.vreg(if wide { 2 } else { 1 });
        let (shl, shr) = if wide {
            (Opcode::ShiftLeft64, Opcode::ShiftRightUnsigned64)
        } else {
            (Opcode::ShiftLeft, Opcode::ShiftRightUnsigned)
        };
        let (shli, shri) = if wide {
            (Opcode::ShiftLeftImmediate64, Opcode::ShiftRightUnsignedImmediate64)
        } else {
            (Opcode::ShiftLeftImmediate, Opcode::ShiftRightUnsignedImmediate)
        };
        let (mut upper, mut lower) = (high, low);
        if left {
            let once = result(self);
            self.op(shri, &[reg(once.whole()), reg(low), imm(1)]);
            lower = once.whole();
        } else {
            let once = result(self);
            self.op(shli, &[reg(once.whole()), reg(high), imm(1)]);
            upper = once.whole();
        }
        let (a, b) = (result(self), result(self));
        self.op(shl, &[reg(a.whole()), reg(upper), reg(by_high)]);
        self.op(shr, &[reg(b.whole()), reg(lower), reg(by_low)]);
        self.op(if wide { Opcode::Or64 } else { Opcode::Or }, &[reg(dest.whole()), reg(a.whole()), reg(b.whole())]);
        Ok(())
    }

    fn funnel_number(
        &mut self,
        dest: VReg,
        bits: u32,
        left: bool,
        by: u32,
        operands: (&Operand, &Operand),
        rotation: bool,
    ) -> Lowered<()> {
        let (high, low) = operands;
        if by == 0 {
            let whole = if left { high } else { low };
            for lane in 0..dest_lanes(bits) {
                let source = self.source(whole, 0, lane)?;
                self.set_lane(dest.lane(lane), source);
            }
            return Ok(());
        }
        let rest = bits - by;
        if bits == 64 && rotation {
            let a = self.get64(high)?;
            self.op(Opcode::RotateLeftImmediate64, &[reg(dest.whole()), reg(a), imm(by.into())]);
        } else if bits > 32 {
            let (high, low) = (self.get64(high)?, self.get_zero_extended64(low)?);
            let (a, b) = (self.temp64(), self.temp64());
            self.op(Opcode::ShiftLeftImmediate64, &[reg(a.whole()), reg(high), imm(by.into())]);
            self.op(Opcode::ShiftRightUnsignedImmediate64, &[reg(b.whole()), reg(low), imm(rest.into())]);
            self.op(Opcode::Or64, &[reg(dest.whole()), reg(a.whole()), reg(b.whole())]);
        } else if bits == 32 && rotation {
            let a = self.get(high)?;
            self.op(Opcode::RotateLeftImmediate, &[reg(dest.whole()), reg(a), imm(by.into())]);
        } else {
            let (high, low) = (self.get(high)?, self.get_zero_extended(low)?);
            let a = self.with_imm(Opcode::ShiftLeftImmediate, high, by.into());
            let b = self.with_imm(Opcode::ShiftRightUnsignedImmediate, low, rest.into());
            self.op(Opcode::Or, &[reg(dest.whole()), reg(a), reg(b)]);
            if bits == 1 {
                self.op(Opcode::AndImmediate, &[reg(dest.whole()), reg(dest.whole()), imm(1)]);
            }
        }
        Ok(())
    }

    /// Widths below 32 shift both operands as one 64-bit value; other odd widths are refused.
    fn narrow_funnel(
        &mut self,
        dest: VReg,
        bits: u32,
        left: bool,
        operands: (&Operand, &Operand),
        distance: &Operand,
    ) -> Lowered<()> {
        if bits > 32 || bits == 1 {
            return Err(Refusal::unsupported(
                format!("a rotation of {bits} bits by a variable distance"),
                "use a type of 8, 16, 32 or 64 bits",
            ));
        }
        let (high, low) = (self.get_zero_extended(operands.0)?, self.get_zero_extended(operands.1)?);
        let distance = self.get_zero_extended(distance)?;
        let width = self.number(bits);
        let by = self.binary_op(Opcode::RemUnsigned, distance, width);
        let wide = self.temp64();
        self.set_pair(wide, Source::Lane(high), int(0));
        let above = self.temp64();
        self.op(Opcode::ShiftLeftImmediate64, &[reg(above.whole()), reg(wide.whole()), imm(bits.into())]);
        let below = self.temp64();
        self.set_pair(below, Source::Lane(low), int(0));
        let both = self.binary_op64(Opcode::Or64, above.whole(), below.whole());
        let right = if left { self.binary_op(Opcode::Sub, width, by) } else { by };
        let shifted = self.binary_op64(Opcode::ShiftRightUnsigned64, both.whole(), right);
        self.set_lane(dest.whole(), Source::Lane(shifted.lane(0)));
        Ok(())
    }

    /// −1, 0 or 1 as `a` is less than, equal to or greater than `b`; the result has two bits or more.
    fn three_way(&mut self, dest: VReg, bits: u32, signed: bool, a: &Operand, b: &Operand) -> Lowered<()> {
        let (a, b) = self.pair_of(bits, signed, a, b)?;
        let result = if bits > 32 {
            let opcode = if signed { Opcode::SetLessSigned64 } else { Opcode::SetLessUnsigned64 };
            let (less, greater) = (self.binary_op(opcode, a, b), self.binary_op(opcode, b, a));
            self.binary_op(Opcode::Sub, greater, less)
        } else {
            let opcode = if signed { Opcode::CompareSigned } else { Opcode::CompareUnsigned };
            self.binary_op(opcode, a, b)
        };
        if self.out.widths.get(dest.0 as usize) == Some(&2) {
            self.op(Opcode::SignExtend64, &[reg(dest.whole()), reg(result)]);
        } else {
            self.set_lane(dest.whole(), Source::Lane(result));
        }
        Ok(())
    }

    fn saturating(&mut self, dest: VReg, bits: u32, op: IntOp, a: &Operand, b: &Operand) -> Lowered<()> {
        let signed = matches!(op, IntOp::SaturatingAddSigned | IntOp::SaturatingSubSigned);
        let add = matches!(op, IntOp::SaturatingAddSigned | IntOp::SaturatingAddUnsigned);
        if !matches!(bits, 2..=32 | 64) {
            return Err(Refusal::unsupported(
                format!("saturating arithmetic of {bits} bits"),
                "use a type of 8, 16, 32 or 64 bits",
            ));
        }
        let op = if add { BinaryOp::Add } else { BinaryOp::Sub };
        let value = self.out.vreg(dest_lanes(bits));
        let overflow = self.temp();
        self.checked(value, overflow, bits, signed, op, a, b)?;
        // Where it overflowed: all ones or zero; signed, the end that the first operand's sign points to.
        let limit = self.out.vreg(dest_lanes(bits));
        match (signed, bits) {
            (false, 64) => {
                self.set_pair(limit, int(if add { u32::MAX } else { 0 }), int(if add { u32::MAX } else { 0 }))
            }
            (false, _) => self.set_lane(limit.whole(), int(if add { mask(bits) as u32 } else { 0 })),
            (true, 64) => {
                let sign = self.get64(a)?.vreg.lane(1);
                let spread = self.with_imm(Opcode::ShiftRightSignedImmediate, sign, 31);
                self.xor_number(limit.lane(1), spread, !SIGN);
                self.xor_number(limit.lane(0), spread, u32::MAX);
            }
            (true, _) => {
                let a = self.get_sign_extended(a)?;
                let spread = self.with_imm(Opcode::ShiftRightSignedImmediate, a, 31);
                self.xor_number(limit.whole(), spread, mask(bits - 1) as u32);
            }
        }
        let moves = (0..dest_lanes(bits)).map(|lane| (dest.lane(lane), Source::Lane(value.lane(lane)))).collect();
        self.push(InstKind::Copy(moves));
        let opcode = if bits == 64 { Opcode::MoveIfNonZero64 } else { Opcode::MoveIfNonZero };
        self.op(opcode, &[reg(dest.whole()), reg(limit.whole()), reg(overflow)]);
        Ok(())
    }

    /// `{ value, overflow }` of an addition, subtraction or multiplication.
    pub fn with_overflow(&mut self, result: ValueId, operation: &str, arguments: &[&Operand]) -> Lowered<()> {
        let [a, b] = arguments else { return Ok(()) };
        let Kind::Int(bits) = self.leaf_kind(result, 0) else { return Ok(()) };
        let (signed, op) = match operation {
            "sadd" => (true, BinaryOp::Add),
            "uadd" => (false, BinaryOp::Add),
            "ssub" => (true, BinaryOp::Sub),
            "usub" => (false, BinaryOp::Sub),
            "smul" => (true, BinaryOp::Mul),
            _ => (false, BinaryOp::Mul),
        };
        if !matches!(bits, 2..=32 | 64) {
            return Err(Refusal::unsupported(
                format!("checked arithmetic of {bits} bits"),
                "use a type of 8, 16, 32 or 64 bits",
            ));
        }
        let value = self.want(result, 0);
        let overflow = self.want(result, 1);
        self.checked(value, overflow.whole(), bits, signed, op, a, b)
    }
}

/// Lanes of an integer of this width.
pub fn dest_lanes(bits: u32) -> u8 {
    Kind::Int(bits).lanes()
}
