//! The high half of a 64-bit product.
//!
//! Must never hold: values of more than 64 bits; the reader has split them.

use super::Lower;
use super::emit::{imm, int, reg};
use crate::codegen::machine::{Reg, Source, VReg};
use espb_format::opcode::Opcode;

impl Lower<'_, '_> {
    /// `dest` = high 64 bits of `a × b`, from four 32-bit products (Warren, "Hacker's Delight", section 8-2).
    pub fn multiply_high(&mut self, dest: VReg, a: Reg, b: Reg, signed: bool) {
        let (a_low, a_high) = (a.vreg.lane(0), a.vreg.lane(1));
        let (b_low, b_high) = (b.vreg.lane(0), b.vreg.lane(1));
        let product = |lower: &mut Self, x, y| lower.binary_op64(Opcode::MulWideUnsigned, x, y);
        let plus_word = |lower: &mut Self, sum: VReg, word: Reg| {
            let wide = lower.temp64();
            lower.set_pair(wide, Source::Lane(word), int(0));
            lower.binary_op64(Opcode::Add64, sum.whole(), wide.whole())
        };
        let low = product(self, a_low, b_low);
        let middle = product(self, a_high, b_low);
        let middle = plus_word(self, middle, low.lane(1));
        let other = product(self, a_low, b_high);
        let other = plus_word(self, other, middle.lane(0));
        let high = product(self, a_high, b_high);
        let high = plus_word(self, high, middle.lane(1));
        let mut high = plus_word(self, high, other.lane(1));
        if signed {
            for (sign, factor) in [(a, b), (b, a)] {
                let mask = self.temp64();
                self.op(Opcode::ShiftRightSignedImmediate64, &[reg(mask.whole()), reg(sign), imm(63)]);
                let part = self.binary_op64(Opcode::And64, mask.whole(), factor);
                high = self.binary_op64(Opcode::Sub64, high.whole(), part.whole());
            }
        }
        self.set_pair(dest, Source::Lane(high.lane(0)), Source::Lane(high.lane(1)));
    }
}
