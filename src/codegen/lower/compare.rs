//! Comparisons, and what uses them: branches, selects, 0-or-1 results.
//!
//! Must never hold: control flow between blocks (`terminator`).

use super::Lower;
use super::emit::{fits_i8, imm, reg};
use super::operand::sign_extend;
use crate::codegen::abi::{self, Kind};
use crate::codegen::machine::{Arg, Const, Reg, Source, VReg};
use crate::codegen::refusal::Lowered;
use crate::ir::{BinaryOp, FloatPredicate, InstructionKind, IntPredicate, Operand};
use espb_format::opcode::Opcode;

/// The relations that the machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Equal,
    NotEqual,
    LessSigned,
    GreaterEqualSigned,
    LessUnsigned,
    GreaterEqualUnsigned,
}

/// A condition whose operands are in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// `a relation b`; `b` is a register or a signed byte.
    Relation { relation: Relation, a: Reg, b: Arg },
    /// `reg ≠ 0`, or `reg = 0` if inverted. `reg` is 0 or 1 if `boolean`.
    NonZero { reg: Reg, inverted: bool, boolean: bool },
    /// Known.
    Known(bool),
}

impl Relation {
    /// The branch with a register or an immediate on the right.
    pub fn branch(self, immediate: bool) -> Opcode {
        use Relation::*;
        match (self, immediate) {
            (Equal, false) => Opcode::BranchEqual,
            (NotEqual, false) => Opcode::BranchNotEqual,
            (LessSigned, false) => Opcode::BranchLessSigned,
            (GreaterEqualSigned, false) => Opcode::BranchGreaterEqualSigned,
            (LessUnsigned, false) => Opcode::BranchLessUnsigned,
            (GreaterEqualUnsigned, false) => Opcode::BranchGreaterEqualUnsigned,
            (Equal, true) => Opcode::BranchEqualImmediate,
            (NotEqual, true) => Opcode::BranchNotEqualImmediate,
            (LessSigned, true) => Opcode::BranchLessSignedImmediate,
            (GreaterEqualSigned, true) => Opcode::BranchGreaterEqualSignedImmediate,
            (LessUnsigned, true) => Opcode::BranchLessUnsignedImmediate,
            (GreaterEqualUnsigned, true) => Opcode::BranchGreaterEqualUnsignedImmediate,
        }
    }

    /// The 0-or-1 form, and whether its result must be inverted.
    fn set(self, immediate: bool) -> (Opcode, bool) {
        use Relation::*;
        match (self, immediate) {
            (Equal, false) => (Opcode::SetEqual, false),
            (NotEqual, false) => (Opcode::SetNotEqual, false),
            (LessSigned, false) => (Opcode::SetLessSigned, false),
            (LessUnsigned, false) => (Opcode::SetLessUnsigned, false),
            (Equal, true) => (Opcode::SetEqualImmediate, false),
            (NotEqual, true) => (Opcode::SetNotEqualImmediate, false),
            (LessSigned, true) => (Opcode::SetLessSignedImmediate, false),
            (LessUnsigned, true) => (Opcode::SetLessUnsignedImmediate, false),
            (GreaterEqualSigned, false) => (Opcode::SetLessSigned, true),
            (GreaterEqualUnsigned, false) => (Opcode::SetLessUnsigned, true),
            (GreaterEqualSigned, true) => (Opcode::SetLessSignedImmediate, true),
            (GreaterEqualUnsigned, true) => (Opcode::SetLessUnsignedImmediate, true),
        }
    }
}

/// A predicate as a relation, with a flag for exchanged operands.
fn relation(predicate: IntPredicate) -> (Relation, bool) {
    match predicate {
        IntPredicate::Eq => (Relation::Equal, false),
        IntPredicate::Ne => (Relation::NotEqual, false),
        IntPredicate::Ugt => (Relation::LessUnsigned, true),
        IntPredicate::Uge => (Relation::GreaterEqualUnsigned, false),
        IntPredicate::Ult => (Relation::LessUnsigned, false),
        IntPredicate::Ule => (Relation::GreaterEqualUnsigned, true),
        IntPredicate::Sgt => (Relation::LessSigned, true),
        IntPredicate::Sge => (Relation::GreaterEqualSigned, false),
        IntPredicate::Slt => (Relation::LessSigned, false),
        IntPredicate::Sle => (Relation::GreaterEqualSigned, true),
    }
}

fn is_signed(predicate: IntPredicate) -> bool {
    matches!(predicate, IntPredicate::Sgt | IntPredicate::Sge | IntPredicate::Slt | IntPredicate::Sle)
}

fn mirrored(predicate: IntPredicate) -> IntPredicate {
    use IntPredicate::*;
    match predicate {
        Eq => Eq,
        Ne => Ne,
        Ugt => Ult,
        Uge => Ule,
        Ult => Ugt,
        Ule => Uge,
        Sgt => Slt,
        Sge => Sle,
        Slt => Sgt,
        Sle => Sge,
    }
}

impl Lower<'_, '_> {
    /// The condition behind an `i1` operand; a comparison that only conditions use is made where it is used.
    pub fn test(&mut self, condition: &Operand) -> Lowered<Test> {
        if let Some(value) = self.number_of(condition)? {
            return Ok(Test::Known(value & 1 != 0));
        }
        if let Operand::Value(value) = condition
            && let Some(inst) = self.inst_of(*value)
        {
            let uses = self.facts.uses(*value);
            match &inst.kind {
                InstructionKind::Compare { predicate, lhs, rhs } if uses.total == uses.condition => {
                    return self.int_test(*predicate, lhs, rhs);
                }
                InstructionKind::FloatCompare { predicate, lhs, rhs } if uses.total == 1 => {
                    return self.float_test(*predicate, lhs, rhs);
                }
                InstructionKind::Binary { op: BinaryOp::Xor, lhs, rhs } if self.number_of(rhs)? == Some(1) => {
                    let inner = self.get(lhs)?;
                    return Ok(Test::NonZero { reg: inner, inverted: true, boolean: true });
                }
                _ => {}
            }
        }
        Ok(Test::NonZero { reg: self.get(condition)?, inverted: false, boolean: true })
    }

    /// An integer or pointer comparison.
    pub fn int_test(&mut self, predicate: IntPredicate, lhs: &Operand, rhs: &Operand) -> Lowered<Test> {
        let bits = match self.kind_of(lhs)? {
            Kind::Int(bits @ 1..=64) => bits,
            Kind::Int(bits) => return Err(abi::wide(bits)),
            Kind::F32 => 32,
            Kind::F64 => 64,
        };
        let (predicate, lhs, rhs) = if self.number_of(lhs)?.is_some() && self.number_of(rhs)?.is_none() {
            (mirrored(predicate), rhs, lhs)
        } else {
            (predicate, lhs, rhs)
        };
        if bits > 32 { self.int_test64(predicate, lhs, rhs) } else { self.int_test32(predicate, bits, lhs, rhs) }
    }

    fn int_test32(&mut self, predicate: IntPredicate, bits: u32, lhs: &Operand, rhs: &Operand) -> Lowered<Test> {
        let equality = matches!(predicate, IntPredicate::Eq | IntPredicate::Ne);
        let signed = is_signed(predicate) || equality && !self.is_zero_extended(lhs)? && self.is_sign_extended(lhs)?;
        let extended = |lower: &mut Self, operand: &Operand| {
            if signed { lower.get_sign_extended(operand) } else { lower.get_zero_extended(operand) }
        };
        if let Some(value) = self.number_of(rhs)? {
            let value = if signed { sign_extend(value, bits) as i32 } else { value as u32 as i32 };
            // x > c is x ≥ c + 1 unless that overflows.
            let (predicate, value) = match predicate {
                IntPredicate::Sgt if value != i32::MAX => (IntPredicate::Sge, value + 1),
                IntPredicate::Sle if value != i32::MAX => (IntPredicate::Slt, value + 1),
                IntPredicate::Ugt if value != -1 => (IntPredicate::Uge, value.wrapping_add(1)),
                IntPredicate::Ule if value != -1 => (IntPredicate::Ult, value.wrapping_add(1)),
                other => (other, value),
            };
            let a = extended(self, lhs)?;
            let (relation, swapped) = relation(predicate);
            let equal = matches!(relation, Relation::Equal | Relation::NotEqual);
            if equal && value == 0 {
                return Ok(Test::NonZero { reg: a, inverted: relation == Relation::Equal, boolean: bits == 1 });
            }
            if !swapped && fits_i8(value.into()) {
                return Ok(Test::Relation { relation, a, b: imm(value.into()) });
            }
            let b = self.number(value as u32);
            let (a, b) = if swapped { (b, a) } else { (a, b) };
            return Ok(Test::Relation { relation, a, b: reg(b) });
        }
        let (a, b) = (extended(self, lhs)?, extended(self, rhs)?);
        let (relation, swapped) = relation(predicate);
        let (a, b) = if swapped { (b, a) } else { (a, b) };
        Ok(Test::Relation { relation, a, b: reg(b) })
    }

    fn int_test64(&mut self, predicate: IntPredicate, lhs: &Operand, rhs: &Operand) -> Lowered<Test> {
        let signed = is_signed(predicate);
        let number = self.number_of(rhs)?;
        let a = self.get_as_64(lhs, signed)?;
        match (predicate, number) {
            (IntPredicate::Eq | IntPredicate::Ne, Some(0)) => {
                let both = self.binary_op(Opcode::Or, a.vreg.lane(0), a.vreg.lane(1));
                return Ok(Test::NonZero { reg: both, inverted: predicate == IntPredicate::Eq, boolean: false });
            }
            (IntPredicate::Slt, Some(0)) => {
                return Ok(Test::Relation { relation: Relation::LessSigned, a: a.vreg.lane(1), b: imm(0) });
            }
            (IntPredicate::Sge, Some(0)) => {
                return Ok(Test::Relation { relation: Relation::GreaterEqualSigned, a: a.vreg.lane(1), b: imm(0) });
            }
            (IntPredicate::Sgt, Some(value)) if self.signed_number_of(rhs)? == Some(-1) && value != 0 => {
                return Ok(Test::Relation { relation: Relation::GreaterEqualSigned, a: a.vreg.lane(1), b: imm(0) });
            }
            (IntPredicate::Ult | IntPredicate::Ugt, Some(value))
                if value == if predicate == IntPredicate::Ult { 1 << 32 } else { u64::from(u32::MAX) } =>
            {
                let inverted = predicate == IntPredicate::Ult;
                return Ok(Test::NonZero { reg: a.vreg.lane(1), inverted, boolean: false });
            }
            _ => {}
        }
        let b = self.get_as_64(rhs, signed)?;
        let (relation, swapped) = relation(predicate);
        let (a, b) = if swapped { (b, a) } else { (a, b) };
        let (opcode, inverted) = match relation {
            Relation::Equal => (Opcode::SetEqual64, false),
            Relation::NotEqual => (Opcode::SetNotEqual64, false),
            Relation::LessSigned => (Opcode::SetLessSigned64, false),
            Relation::GreaterEqualSigned => (Opcode::SetLessSigned64, true),
            Relation::LessUnsigned => (Opcode::SetLessUnsigned64, false),
            Relation::GreaterEqualUnsigned => (Opcode::SetLessUnsigned64, true),
        };
        Ok(Test::NonZero { reg: self.binary_op(opcode, a, b), inverted, boolean: true })
    }

    /// A floating-point comparison: unordered predicates are the inversion of the opposite ordered one.
    pub fn float_test(&mut self, predicate: FloatPredicate, lhs: &Operand, rhs: &Operand) -> Lowered<Test> {
        use FloatPredicate as P;
        #[derive(Clone, Copy)]
        enum Form {
            Equal,
            NotEqual,
            Less,
            LessEqual,
            Ordered,
        }
        let (form, swapped, inverted) = match predicate {
            P::False => return Ok(Test::Known(false)),
            P::True => return Ok(Test::Known(true)),
            P::Oeq => (Form::Equal, false, false),
            P::Une => (Form::Equal, false, true),
            P::One => (Form::NotEqual, false, false),
            P::Ueq => (Form::NotEqual, false, true),
            P::Olt => (Form::Less, false, false),
            P::Uge => (Form::Less, false, true),
            P::Ogt => (Form::Less, true, false),
            P::Ule => (Form::Less, true, true),
            P::Ole => (Form::LessEqual, false, false),
            P::Ugt => (Form::LessEqual, false, true),
            P::Oge => (Form::LessEqual, true, false),
            P::Ult => (Form::LessEqual, true, true),
            P::Ord => (Form::Ordered, false, false),
            P::Uno => (Form::Ordered, false, true),
        };
        let double = self.kind_of(lhs)? == Kind::F64;
        let (a, b) = if double { (self.get64(lhs)?, self.get64(rhs)?) } else { (self.get(lhs)?, self.get(rhs)?) };
        let (a, b) = if swapped { (b, a) } else { (a, b) };
        let opcode = match (form, double) {
            (Form::Equal, false) => Opcode::SetEqualF32,
            (Form::NotEqual, false) => Opcode::SetNotEqualF32,
            (Form::Less, false) => Opcode::SetLessF32,
            (Form::LessEqual, false) => Opcode::SetLessEqualF32,
            (Form::Ordered, false) => Opcode::SetOrderedF32,
            (Form::Equal, true) => Opcode::SetEqualF64,
            (Form::NotEqual, true) => Opcode::SetNotEqualF64,
            (Form::Less, true) => Opcode::SetLessF64,
            (Form::LessEqual, true) => Opcode::SetLessEqualF64,
            (Form::Ordered, true) => Opcode::SetOrderedF64,
        };
        Ok(Test::NonZero { reg: self.binary_op(opcode, a, b), inverted, boolean: true })
    }

    /// `dest` = 1 if the test holds, else 0.
    pub fn set(&mut self, dest: VReg, test: Test) {
        let to = dest.whole();
        match test {
            Test::Known(value) => self.set_lane(to, super::emit::int(value.into())),
            Test::NonZero { reg: a, inverted: false, boolean: true } => self.set_lane(to, Source::Lane(a)),
            Test::NonZero { reg: a, inverted: true, boolean: true } => {
                self.op(Opcode::XorImmediate, &[reg(to), reg(a), imm(1)])
            }
            Test::NonZero { reg: a, inverted: false, .. } => {
                self.op(Opcode::SetNotEqualImmediate, &[reg(to), reg(a), imm(0)])
            }
            Test::NonZero { reg: a, inverted: true, .. } => {
                self.op(Opcode::SetEqualImmediate, &[reg(to), reg(a), imm(0)])
            }
            Test::Relation { relation, a, b } => {
                let (opcode, inverted) = relation.set(matches!(b, Arg::Imm(_)));
                if inverted {
                    let opposite = self.temp();
                    self.op(opcode, &[reg(opposite), reg(a), b]);
                    self.op(Opcode::XorImmediate, &[reg(to), reg(opposite), imm(1)]);
                } else {
                    self.op(opcode, &[reg(to), reg(a), b]);
                }
            }
        }
    }

    /// A register that is zero exactly if the test fails, or with the flag exactly if it holds.
    pub fn flag(&mut self, test: Test) -> (Reg, bool) {
        match test {
            Test::NonZero { reg, inverted, .. } => (reg, inverted),
            Test::Relation { relation, a, b } => {
                let (opcode, inverted) = relation.set(matches!(b, Arg::Imm(_)));
                let flag = self.temp();
                self.op(opcode, &[reg(flag), reg(a), b]);
                (flag, inverted)
            }
            Test::Known(value) => (self.number(value.into()), false),
        }
    }

    /// `dest = condition ? if_true : if_false` for one leaf.
    pub fn select(
        &mut self,
        dest: VReg,
        kind: Kind,
        condition: &Operand,
        if_true: &Operand,
        if_false: &Operand,
        leaf: usize,
    ) -> Lowered<()> {
        if kind.bits() > 64 {
            return Err(abi::wide(kind.bits()));
        }
        let test = self.test(condition)?;
        let (flag, inverted) = self.flag(test);
        self.choose(dest, kind, flag, inverted, (if_true, leaf), (if_false, leaf))
    }

    /// `dest` = the first operand if `flag` ≠ 0 (if `inverted`, = 0), else the second.
    fn choose(
        &mut self,
        dest: VReg,
        kind: Kind,
        flag: Reg,
        inverted: bool,
        yes: (&Operand, usize),
        no: (&Operand, usize),
    ) -> Lowered<()> {
        // A constant goes into the unconditional part, which needs no register for it.
        // Of two constants 0 does: `fuse` may then need neither.
        let no_is_zero = kind.lanes() == 1 && self.source(no.0, no.1, 0)? == Source::Const(Const::Int(0));
        let yes_is_constant = !matches!(self.source(yes.0, yes.1, 0)?, Source::Lane(_));
        let (first, second, inverted) =
            if yes_is_constant && !no_is_zero { (yes, no, !inverted) } else { (no, yes, inverted) };
        let moved =
            if kind.lanes() == 2 { self.get64_leaf(second.0, second.1)? } else { self.get_leaf(second.0, second.1)? };
        let mut base = Vec::new();
        for lane in 0..kind.lanes() {
            base.push((dest.lane(lane), self.source(first.0, first.1, lane)?));
        }
        self.push(crate::codegen::machine::InstKind::Copy(base));
        let opcode = match (kind.lanes(), inverted) {
            (1, false) => Opcode::MoveIfNonZero,
            (1, true) => Opcode::MoveIfZero,
            (_, false) => Opcode::MoveIfNonZero64,
            (_, true) => Opcode::MoveIfZero64,
        };
        self.op(opcode, &[reg(dest.whole()), reg(moved), reg(flag)]);
        Ok(())
    }
}
