//! What an import means that no hint describes.
//!
//! One file a kind of evidence (`access`: attributes, `declared`: C types, `passed` and `lifetime`: the calls, `names`: the
//! conventions of public headers); `parameter` and `result` weigh it. Everything here is a pure function of the plain IR.
//! Must never hold: a guess that lets native code touch more than the evidence shows; such a decision is uncertain.

mod access;
mod declared;
mod finding;
mod lifetime;
mod names;
mod parameter;
mod passed;
mod pointer;
mod result;
#[cfg(test)]
mod tests;

pub use finding::{Certainty, Finding};
pub use passed::{Passed, PassedArguments};

use crate::ir::{FuncId, FunctionType, Module, Type};
use access::Access;
use declared::Declared;
use espb_format::contract::{Contract, Flags, Param, ResultMeaning};
use espb_format::signature::Signature;

/// What was found out about an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inferred {
    /// One finding for each fixed parameter of the signature.
    pub params: Vec<Finding<Param>>,
    /// What comes back.
    pub result: Finding<ResultMeaning>,
    /// Properties of the function.
    pub flags: Flags,
    /// What the calls pass.
    pub passed: PassedArguments,
}

/// Everything that is known about an import before it is weighed.
struct Evidence<'a> {
    name: &'a str,
    signature: &'a Signature,
    /// Whether each parameter is a pointer in the IR.
    pointers: Vec<bool>,
    access: Vec<Access>,
    declared: Declared,
    passed: PassedArguments,
    returned: result::Returned,
}

/// Infers what `import`, called with `signature`, means. `None` if its types in the IR do not correspond to the
/// signature one by one, because structures are passed in parts.
pub fn infer(
    module: &Module,
    import: FuncId,
    signature: &Signature,
    signature_of: &dyn Fn(&FunctionType) -> Option<Signature>,
) -> Option<Inferred> {
    let function = module.function(import)?;
    let count = signature.param_count();
    if function.parameters.len() != count {
        return None;
    }
    let access: Vec<Access> = (0..count).map(|index| Access::of(&module.types, function, index)).collect();
    let in_memory = access.first().is_some_and(|access| access.struct_return.is_some());
    let pointer = |ty| *module.types.get(ty) == Type::Pointer;
    let evidence = Evidence {
        name: &function.name,
        signature,
        pointers: function.parameters.iter().map(|parameter| pointer(parameter.ty)).collect(),
        access,
        declared: Declared::of(module, function, in_memory),
        passed: PassedArguments::gather(module, import, signature_of),
        returned: result::Returned { pointer: pointer(function.ty.result), fresh: function.result_attributes.no_alias },
    };
    Some(Inferred {
        params: parameter::weigh(&evidence),
        result: result::weigh(&evidence),
        flags: if function.attributes.no_return { Flags::NO_RETURN } else { Flags::NONE },
        passed: evidence.passed,
    })
}

impl Inferred {
    /// The contract as far as it is known, and the best guess where it is not.
    #[must_use]
    pub fn contract(&self) -> Contract {
        let params = self.params.iter().map(|finding| finding.meaning.clone()).collect();
        Contract { params, result: self.result.meaning, flags: self.flags }
    }
}
