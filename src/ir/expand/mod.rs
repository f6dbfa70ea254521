//! Operations on vectors and on integers wider than 64 bits, written with scalars.
//!
//! Values of these types stay whole: a vector is an aggregate of its elements, a wide integer the struct of its parts of 64 bits and the rest.
//! Moving such a value (phi, select, load, store, argument) needs nothing; what computes with it is expanded here, part by part.
//! Must never hold: LLVM, or anything of the target machine beyond "a scalar has at most 64 bits".

mod bits;
mod build;
mod float;
mod intrinsic;
mod narrow;
mod vector;
mod wide;
mod wide_float;
mod wide_intrinsic;

use super::debug::DebugLocation;
use super::function::ValueId;
use super::instruction::{Callee, Instruction, InstructionKind, Operand};
use super::types::{Layout, Type, TypeId, TypeTable};

/// What could not be expanded, in words for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unexpandable {
    /// The construct.
    pub what: String,
    /// The remedy.
    pub help: &'static str,
}

/// An instruction that moves an element of a vector.
pub(super) enum Rearrangement {
    /// The element at `index`; past the end, any.
    Extract { vector: Operand, index: u32 },
    /// The vector with the element at `index` replaced; past the end, none.
    Insert { vector: Operand, element: Operand, index: u32 },
}

pub(super) type Expanded<T> = Result<T, Unexpandable>;

/// Most bits of a wide integer. Clang makes those beyond 128 for bit-fields that follow each other without a gap.
pub(super) const MAX_BITS: u32 = 4096;
/// Bits of a wide integer's parts but the last.
const LOW_BITS: u32 = 64;

/// How a type is computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// At once.
    Scalar,
    /// Element by element.
    Vector { element: TypeId, count: u32 },
    /// In parts; the width of the whole.
    Wide { bits: u32 },
}

/// Appends the expansion of one instruction after the other to a block.
pub(super) struct Expander<'a> {
    /// Types of the module.
    pub types: &'a mut TypeTable,
    /// Types of the function's values; grows by those in between.
    pub value_types: &'a mut Vec<TypeId>,
    /// The code of the block.
    pub out: &'a mut Vec<Instruction>,
    /// Place of the instruction in the source.
    pub location: Option<DebugLocation>,
}

/// Widths of the parts of an integer.
fn wide_parts(bits: u32) -> Vec<u32> {
    (0..bits).step_by(LOW_BITS as usize).map(|start| (bits - start).min(LOW_BITS)).collect()
}

/// The type of an integer of more than 64 bits. `layout` is that of the integer.
pub(super) fn wide_type(types: &mut TypeTable, bits: u32, layout: Layout) -> TypeId {
    let fields: Vec<TypeId> = wide_parts(bits).into_iter().map(|width| build::int_type(types, width)).collect();
    let offsets = (0..).step_by(LOW_BITS as usize / 8).take(fields.len()).collect();
    types.intern(Type::Struct { fields, offsets }, layout)
}

impl Expander<'_> {
    /// Appends an instruction, expanded if it computes with a vector or a wide integer.
    ///
    /// # Errors
    /// Operations that have no expansion.
    pub fn instruction(&mut self, result: Option<ValueId>, kind: InstructionKind) -> Expanded<()> {
        if let InstructionKind::Store { .. } = kind {
            return self.store(kind);
        }
        let ty = result.and_then(|value| self.value_types.get(value.0 as usize).copied());
        let (Some(result), Some(ty)) = (result, ty) else {
            self.refuse_parts(&kind)?;
            self.append(result, kind);
            return Ok(());
        };
        if !self.concerns(ty, &kind) {
            self.append(Some(result), kind);
            return Ok(());
        }
        let value = self.operation(ty, kind)?;
        self.define(result, value);
        Ok(())
    }

    /// Whether an operation needs a look.
    fn concerns(&self, ty: TypeId, kind: &InstructionKind) -> bool {
        let mut parts = self.types.is_aggregate(ty);
        kind.for_each_operand(|operand| parts |= self.types.is_aggregate(self.type_of(operand)));
        parts || self.is_odd(kind)
    }

    /// The result of an operation, whose type is `ty`.
    fn operation(&mut self, ty: TypeId, kind: InstructionKind) -> Expanded<Operand> {
        use InstructionKind as K;
        match kind {
            K::Binary { op, lhs, rhs } => match self.shape(ty) {
                Shape::Scalar => Ok(self.emit(ty, K::Binary { op, lhs, rhs })),
                Shape::Vector { element, count } => self.lanes(ty, count, |this, lane| {
                    let (lhs, rhs) = (this.part(&lhs, lane), this.part(&rhs, lane));
                    this.operation(element, K::Binary { op, lhs, rhs })
                }),
                Shape::Wide { bits } => self.wide_binary(bits, ty, op, &lhs, &rhs),
            },
            K::FloatNegate { operand } => match self.shape(ty) {
                Shape::Vector { element, count } => self.lanes(ty, count, |this, lane| {
                    let operand = this.part(&operand, lane);
                    this.operation(element, K::FloatNegate { operand })
                }),
                _ => Ok(self.emit(ty, K::FloatNegate { operand })),
            },
            K::Compare { predicate, lhs, rhs } => match self.shape(self.type_of(&lhs)) {
                Shape::Scalar => Ok(self.emit(ty, K::Compare { predicate, lhs, rhs })),
                Shape::Vector { count, .. } => {
                    let element = self.element(ty);
                    self.lanes(ty, count, |this, lane| {
                        let (lhs, rhs) = (this.part(&lhs, lane), this.part(&rhs, lane));
                        this.operation(element, K::Compare { predicate, lhs, rhs })
                    })
                }
                Shape::Wide { .. } => Ok(self.wide_compare(predicate, &lhs, &rhs)),
            },
            K::FloatCompare { predicate, lhs, rhs } => match self.shape(self.type_of(&lhs)) {
                Shape::Vector { count, .. } => {
                    let element = self.element(ty);
                    self.lanes(ty, count, |this, lane| {
                        let (lhs, rhs) = (this.part(&lhs, lane), this.part(&rhs, lane));
                        this.operation(element, K::FloatCompare { predicate, lhs, rhs })
                    })
                }
                _ => Ok(self.emit(ty, K::FloatCompare { predicate, lhs, rhs })),
            },
            K::Select { condition, if_true, if_false } => match self.shape(self.type_of(&condition)) {
                Shape::Vector { count, .. } => {
                    let element = self.element(ty);
                    self.lanes(ty, count, |this, lane| {
                        let condition = this.part(&condition, lane);
                        let (if_true, if_false) = (this.part(&if_true, lane), this.part(&if_false, lane));
                        this.operation(element, K::Select { condition, if_true, if_false })
                    })
                }
                _ => Ok(self.emit(ty, K::Select { condition, if_true, if_false })),
            },
            K::Cast { op, operand } => self.cast(ty, op, operand),
            K::Load { .. } => self.load(ty, kind),
            K::Call(call) if matches!(call.callee, Callee::Intrinsic { .. }) => self.intrinsic(ty, *call),
            // What only moves a value; an aggregate is moved part by part by whoever comes next.
            K::Freeze { .. } | K::ExtractValue { .. } | K::InsertValue { .. } | K::Call(_) | K::Alloca { .. } => {
                Ok(self.emit(ty, kind))
            }
            other => {
                self.refuse_parts(&other)?;
                Ok(self.emit(ty, other))
            }
        }
    }

    /// Refuses an operation that takes a vector or a wide integer.
    fn refuse_parts(&self, kind: &InstructionKind) -> Expanded<()> {
        if matches!(kind, InstructionKind::Call(call) if !matches!(call.callee, Callee::Intrinsic { .. })) {
            return Ok(());
        }
        let mut refused = Ok(());
        kind.for_each_operand(|operand| {
            if self.shape(self.type_of(operand)) != Shape::Scalar {
                let atomic =
                    matches!(kind, InstructionKind::AtomicRmw { .. } | InstructionKind::CompareExchange { .. });
                let (what, help) = if atomic {
                    ("an atomic operation on more than 64 bits", "guard the value with a mutex")
                } else {
                    (
                        "an address or a jump by a vector or an integer of more than 64 bits",
                        "do it with each element, or with an integer of at most 64 bits",
                    )
                };
                refused = Err(Unexpandable { what: what.to_owned(), help });
            }
        });
        refused
    }
}

/// A refusal of something with wide integers.
fn wide(what: &str, bits: u32) -> Unexpandable {
    Unexpandable { what: format!("{what} of {bits} bits is not supported"), help: "use integers of at most 64 bits" }
}
