//! Weighs the evidence about what comes back.

use super::declared::Shape;
use super::finding::Finding;
use super::{Evidence, names};
use espb_format::contract::{Extent, ResultMeaning, Slot};

/// What the IR says about the result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Returned {
    /// It is a pointer.
    pub pointer: bool,
    /// It is memory that nothing else refers to (`noalias`).
    pub fresh: bool,
}

/// What the result means. As a mere value it gives the module access to nothing, so that is what an uncertain one is.
pub(super) fn weigh(evidence: &Evidence<'_>) -> Finding<ResultMeaning> {
    let (shape, returned) = (&evidence.declared.result, evidence.returned);
    if let Shape::Handle(kind) = shape {
        let created = names::creates(evidence.name);
        let found = Finding::likely(
            ResultMeaning::Handle { kind: *kind, created, nullable: created },
            format!("its type is that of handles of the kind {kind}"),
        );
        return if created { found.and("the function's name says that it makes the object") } else { found };
    }
    if !returned.pointer {
        return match shape {
            Shape::Number { .. } => Finding::certain(ResultMeaning::Value, "it is declared as a number or nothing"),
            _ => Finding::likely(ResultMeaning::Value, "it is no address in the IR"),
        };
    }
    if let Some(index) = evidence.access.iter().position(|access| access.returned) {
        return Finding::certain(ResultMeaning::Value, format!("the function returns argument {index} (returned)"));
    }
    let memory = |shape: &Shape| matches!(shape, Shape::Text { .. } | Shape::Untyped { .. });
    let takes_memory = evidence.declared.params.iter().any(memory);
    let takes_handle = evidence.declared.params.iter().any(|shape| matches!(shape, Shape::Handle(_)));
    match shape {
        _ if returned.fresh => fresh(evidence),
        Shape::Text { constant } if *constant || !takes_memory => {
            let meaning = ResultMeaning::Copied { extent: Extent::CString, nullable: false };
            Finding::likely(meaning, "a string that the module has not passed: it gets a copy")
        }
        Shape::Text { .. } | Shape::Untyped { .. } if takes_memory => {
            Finding::likely(ResultMeaning::Value, "an address in one of the arguments")
        }
        Shape::Untyped { constant: false } if takes_handle => {
            Finding::likely(ResultMeaning::UserData, "an untyped pointer that an object keeps: its user data")
        }
        _ => Finding::uncertain(ResultMeaning::Value, "what is behind the address that comes back is not known"),
    }
}

/// Memory of the heap.
fn fresh(evidence: &Evidence<'_>) -> Finding<ResultMeaning> {
    let sizes: Vec<Slot> = (0..=Slot::MAX)
        .zip(&evidence.declared.params)
        .filter(|(_, shape)| **shape == Shape::Number { length: true })
        .map(|(slot, _)| slot)
        .collect();
    let why = "new memory to which nothing else refers (noalias)";
    match sizes[..] {
        [size] => Finding::likely(ResultMeaning::Own { extent: Extent::Arg { param: size, scale: 1 } }, why),
        [count, size] => Finding::likely(ResultMeaning::Own { extent: Extent::Product(count, size) }, why),
        _ => Finding::uncertain(ResultMeaning::Value, why).and("its size is not known"),
    }
}
