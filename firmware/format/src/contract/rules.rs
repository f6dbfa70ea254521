//! Which contracts make sense for a signature: the one statement of the rules, for encoder and decoder alike.
//!
//! Knows no bytes.

use super::{
    Callback, Contract, Direction, Extent, Fate, FormatArgs, HandleKind, Member, Param, Pointer, ResultMeaning, Slot,
};
use crate::signature::{Signature, ValType};
use core::fmt;

/// Why a contract does not fit its signature or itself; parameters count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// The meanings are not as many as the signature's parameters.
    Count,
    /// The parameter has a meaning that its type or direction does not allow.
    Meaning(Slot),
    /// The parameter names another one, or a member, that does not exist or cannot serve.
    Reference(Slot),
    /// The members of the parameter's structure are not ascending, not aligned, outside it or of a meaning that cannot be there.
    Members(Slot),
    /// Native code writes the parameter's memory after the call, but no object is named whose end would end that.
    Deferred(Slot),
    /// The result has a meaning that its type does not allow, or names a parameter that cannot serve.
    Result,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuleError::Count => f.write_str("the contract and the signature have different numbers of parameters"),
            RuleError::Meaning(param) => write!(f, "parameter {param} cannot have this meaning"),
            RuleError::Reference(param) => write!(f, "parameter {param} names another parameter that cannot serve"),
            RuleError::Members(param) => write!(f, "the structure of parameter {param} cannot have these members"),
            RuleError::Deferred(param) => {
                write!(f, "the memory of parameter {param} is written after the call, but nothing says until when")
            }
            RuleError::Result => f.write_str("the result cannot have this meaning"),
        }
    }
}

/// What a reference needs of its target.
#[derive(Clone, Copy)]
enum Need {
    /// A plain number.
    Number,
    /// Memory that native code reads, at least one word.
    Word,
    /// The handle of a queue.
    Queue,
    /// User data.
    UserData,
}

impl Contract {
    /// Checks the contract against a signature and itself.
    ///
    /// # Errors
    /// The first parameter that breaks a rule, else the result.
    pub fn check(&self, signature: &Signature) -> Result<(), RuleError> {
        if self.params.len() != signature.param_count() {
            return Err(RuleError::Count);
        }
        for (slot, (param, ty)) in (0..=u8::MAX).zip(self.params.iter().zip(signature.params())) {
            if !param.fits(ty) {
                return Err(RuleError::Meaning(slot));
            }
            check_param(slot, param, signature.is_variadic(), &|target, need| self.provides(signature, target, need))?;
        }
        if let Some(slot) = self.written_later().filter(|_| !self.names_an_object()) {
            return Err(RuleError::Deferred(slot));
        }
        let provides = |target, need| self.provides(signature, target, need);
        let result_is_word = signature.result() == Some(ValType::I32);
        let good = match self.result {
            ResultMeaning::Value => true,
            ResultMeaning::Copied { extent, .. } | ResultMeaning::Own { extent } => {
                result_is_word && extent_refers_well(extent, &provides)
            }
            ResultMeaning::Handle { .. } | ResultMeaning::UserData => result_is_word,
        };
        if good { Ok(()) } else { Err(RuleError::Result) }
    }

    /// The first parameter behind which native code writes after the call.
    fn written_later(&self) -> Option<Slot> {
        let later = |pointer: &Pointer| pointer.deferred && pointer.direction != Direction::In;
        let inside = |member: &Member| matches!(&member.meaning, Param::Pointer(inner) if later(inner));
        let behind = |param: &Param| match param {
            Param::Pointer(pointer) => later(pointer) || pointer.members.iter().any(inside),
            _ => false,
        };
        self.params.iter().position(behind).and_then(|index| Slot::try_from(index).ok())
    }

    fn names_an_object(&self) -> bool {
        let created = matches!(self.result, ResultMeaning::Handle { created: true, .. });
        created || self.params.iter().any(|param| matches!(param, Param::Handle(_) | Param::HandleOut { .. }))
    }

    fn provides(&self, signature: &Signature, target: Slot, need: Need) -> bool {
        let index = usize::from(target);
        if signature.params().nth(index) != Some(ValType::I32) {
            return false;
        }
        match (need, self.params.get(index)) {
            (Need::Number, Some(Param::Value)) | (Need::UserData, Some(Param::UserData)) => true,
            (Need::Queue, Some(Param::Handle(handle))) => handle.kind == HandleKind::Queue,
            (Need::Word, Some(Param::Pointer(pointer))) => {
                pointer.direction != Direction::Out && matches!(pointer.extent, Extent::Const(4..))
            }
            _ => false,
        }
    }
}

fn check_param(
    slot: Slot,
    param: &Param,
    variadic: bool,
    provides: &dyn Fn(Slot, Need) -> bool,
) -> Result<(), RuleError> {
    let reference = |good: bool| if good { Ok(()) } else { Err(RuleError::Reference(slot)) };
    match param {
        Param::Value | Param::UserData | Param::HandleOut { .. } => Ok(()),
        Param::Pointer(pointer) => {
            reference(extent_refers_well(pointer.extent, provides))?;
            if !direction_fits(pointer) {
                return Err(RuleError::Meaning(slot));
            }
            check_members(slot, pointer)
        }
        Param::Handle(handle) => match handle.fate {
            Fate::ReleasedWhen { param, .. } => reference(provides(param, Need::Number)),
            Fate::Used | Fate::Released => Ok(()),
        },
        Param::Callback(Callback { user, .. }) => user.map_or(Ok(()), |user| reference(provides(user, Need::UserData))),
        Param::Format(format) => match format.args {
            FormatArgs::Variadic if variadic => Ok(()),
            FormatArgs::Variadic => Err(RuleError::Meaning(slot)),
            FormatArgs::VaList(list) => reference(provides(list, Need::Number)),
        },
    }
}

/// A terminated string must be there before the call, so native code cannot only write it.
fn direction_fits(pointer: &Pointer) -> bool {
    pointer.direction != Direction::Out || !matches!(pointer.extent, Extent::CString | Extent::CStringMax(_))
}

fn extent_refers_well(extent: Extent, provides: &dyn Fn(Slot, Need) -> bool) -> bool {
    match extent {
        Extent::Const(_) | Extent::CString | Extent::Region => true,
        Extent::Arg { param, scale } => scale > 0 && provides(param, Need::Number),
        Extent::Product(a, b) => provides(a, Need::Number) && provides(b, Need::Number),
        Extent::CStringMax(param) => provides(param, Need::Number),
        Extent::Element(param) => provides(param, Need::Queue),
        Extent::StoredAt(param) => provides(param, Need::Word),
    }
}

fn check_members(slot: Slot, pointer: &Pointer) -> Result<(), RuleError> {
    let bad = Err(RuleError::Members(slot));
    let size = match pointer.extent {
        Extent::Const(size) => size,
        _ if pointer.members.is_empty() => return Ok(()),
        _ => return bad,
    };
    let inside = |offset: Slot| offset.is_multiple_of(4) && u32::from(offset) + 4 <= size;
    let listed = |offset: Slot| pointer.members.iter().any(|member| member.offset == offset);
    // Members that nothing lists are plain words: they serve as numbers and as user data.
    let provides =
        |offset: Slot, need: Need| matches!(need, Need::Number | Need::UserData) && inside(offset) && !listed(offset);
    let mut least = 0_u16;
    for Member { offset, meaning } in &pointer.members {
        let nested = match meaning {
            Param::Value | Param::UserData | Param::Format(_) => return bad,
            Param::Pointer(inner) => !inner.members.is_empty(),
            Param::Callback(_) | Param::Handle(_) | Param::HandleOut { .. } => false,
        };
        if nested || u16::from(*offset) < least || !inside(*offset) {
            return bad;
        }
        least = u16::from(*offset) + 1;
        if check_param(slot, meaning, false, &provides).is_err() {
            return bad;
        }
    }
    Ok(())
}
