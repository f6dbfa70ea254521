//! What a contract demands of an argument, in words: for the report of a call that broke it.
//!
//! Decides nothing; the checks are `marshal`'s.

use core::fmt::{self, Write};

use espb_format::{
    contract::{self, CbmetaEntries, Direction, Extent, ImmetaEntries, ImmetaEntry, Members, Param},
    signature::{Signature, ValType},
};

use super::HOST_CONTRACTS;

/// Says of argument `position` of the function `name` what it must be. Behind the parameters stand a format's arguments.
pub fn describe(name: &str, position: u8, text: &mut dyn Write) -> fmt::Result {
    let Some(host) = contract::find(HOST_CONTRACTS, name) else { return Ok(()) };
    if Signature::decode(host.signature).is_some_and(|signature| usize::from(position) >= signature.param_count()) {
        return text.write_str(", which must fit its conversion in the format");
    }
    let in_immeta = ImmetaEntries::new(host.immeta).flatten().find_map(|entry| match entry {
        ImmetaEntry::Param(slot, param) if slot == position => Some(param),
        _ => None,
    });
    let callback = || {
        let mut callbacks = CbmetaEntries::new(host.cbmeta).flatten();
        callbacks.find(|(slot, _)| *slot == position).map(|(_, callback)| Param::Callback(callback))
    };
    match in_immeta.or_else(callback) {
        // The function's own rules, such as the range of a number, or the arguments behind a `va_list`.
        None | Some(Param::Value | Param::UserData) => text.write_str(", which the function does not take"),
        Some(param) => {
            text.write_str(", which must be ")?;
            demand(param, text)
        }
    }
}

fn demand(param: Param<Members<'_>>, text: &mut dyn Write) -> fmt::Result {
    let or_null = |nullable: bool| if nullable { ", or null" } else { "" };
    match param {
        Param::Value | Param::UserData => Ok(()),
        Param::Pointer(pointer) => {
            extent(pointer.extent, text)?;
            let access = match pointer.direction {
                Direction::In => " that the module may read",
                Direction::Out | Direction::InOut => " that the module may write",
            };
            text.write_str(access)?;
            for (offset, meaning) in pointer.members {
                write!(text, ", at offset {offset} ")?;
                demand(meaning, text)?;
            }
            text.write_str(or_null(pointer.nullable))
        }
        Param::Callback(callback) => {
            text.write_str("a function of the module of type ")?;
            signature(&callback.signature, text)?;
            text.write_str(or_null(callback.nullable))
        }
        Param::Handle(handle) => {
            write!(text, "a handle of kind {} that the module owns{}", handle.kind, or_null(handle.nullable))
        }
        Param::HandleOut { nullable, .. } => {
            write!(text, "the address of 4 bytes that the module may write{}", or_null(nullable))
        }
        Param::Format(_) => {
            text.write_str("a terminated format string without %n and other conversions it cannot have")
        }
    }
}

fn extent(extent: Extent, text: &mut dyn Write) -> fmt::Result {
    match extent {
        Extent::Const(bytes) => write!(text, "the address of {bytes} bytes"),
        Extent::Arg { param, scale: 1 } => write!(text, "the address of as many bytes as argument {param} says"),
        Extent::Arg { param, scale } => write!(text, "the address of argument {param} times {scale} bytes"),
        Extent::Product(left, right) => write!(text, "the address of argument {left} times argument {right} bytes"),
        Extent::CString => text.write_str("a terminated string"),
        Extent::CStringMax(limit) => write!(text, "a string of at most as many bytes as argument {limit} says"),
        Extent::Element(queue) => write!(text, "the address of one element of the queue in argument {queue}"),
        Extent::StoredAt(place) => write!(text, "the address of as many bytes as argument {place} points to"),
        Extent::Region => text.write_str("an address"),
    }
}

/// As in hints files.
fn signature(signature: &Signature, text: &mut dyn Write) -> fmt::Result {
    for (position, param) in signature.params().enumerate() {
        write!(text, "{}{}", if position == 0 { "(" } else { ", " }, param.name())?;
    }
    text.write_str(if signature.param_count() == 0 { "()" } else { ")" })?;
    signature.result().map_or(Ok(()), |result: ValType| write!(text, " -> {}", result.name()))
}
