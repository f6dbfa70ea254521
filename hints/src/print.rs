//! Contracts as hints lines: what a person reads in `espb inspect`, and could put into a hints file as it is.
//!
//! The inverse of `parse` and `lower`, up to names of parameters.

use espb_format::contract::{
    Contract, Direction, Extent, Fate, Flags, FormatArgs, FormatStyle, Param, Pointer, ResultMeaning,
};
use espb_format::signature::{Signature, ValType};
use std::fmt::Write;

/// The line that says of the function `name` what `signature` and `contract` say. Parameters are named by position.
#[must_use]
pub fn hint_line(name: &str, signature: &Signature, contract: &Contract) -> String {
    let mut types: Vec<&str> = signature
        .params()
        .zip(contract.params.iter().chain(std::iter::repeat(&Param::Value)))
        .map(|(ty, meaning)| if *meaning == Param::Value { ty.name() } else { "ptr" })
        .collect();
    if signature.is_variadic() {
        types.push("...");
    }
    let mut line = format!("{name}({})", types.join(", "));
    if let Some(result) = signature.result() {
        let pointer = contract.result != ResultMeaning::Value && result == ValType::I32;
        let _ = write!(line, " -> {}", if pointer { "ptr" } else { result.name() });
    }
    let mut items: Vec<String> =
        contract.params.iter().enumerate().filter_map(|(index, param)| item(&index.to_string(), param)).collect();
    // User data of a callback is said with the callback.
    for param in &contract.params {
        if let Param::Callback(callback) = param
            && let Some(user) = callback.user
        {
            items.retain(|item| *item != format!("user {user}"));
        }
    }
    items.extend(result_item(&contract.result));
    items.extend(flag_items(contract.flags));
    if !items.is_empty() {
        let _ = write!(line, ": {}", items.join(", "));
    }
    line
}

/// What is said of one parameter, as an item of a hints line; nothing of a mere value.
#[must_use]
pub fn param_item(index: usize, param: &Param) -> Option<String> {
    item(&index.to_string(), param)
}

fn item(target: &str, param: &Param) -> Option<String> {
    let null = |nullable: bool| if nullable { " null" } else { "" };
    Some(match param {
        Param::Value => return None,
        Param::UserData => format!("user {target}"),
        Param::Pointer(pointer) => pointer_item(target, pointer),
        Param::HandleOut { kind, nullable } => format!("out {target} handle {kind}{}", null(*nullable)),
        Param::Handle(handle) => {
            let fate = match handle.fate {
                Fate::Used => String::new(),
                Fate::Released => " released".into(),
                Fate::ReleasedWhen { param, value } => format!(" released when {param} = {value}"),
            };
            format!("handle {target} {}{}{fate}", handle.kind, null(handle.nullable))
        }
        Param::Callback(callback) => {
            let user = callback.user.map_or(String::new(), |user| format!(" user {user}"));
            format!("cb {target} {}{user}{}", prototype(&callback.signature), null(callback.nullable))
        }
        Param::Format(format) => {
            let word = match format.style {
                FormatStyle::Print => "format",
                FormatStyle::Scan => "scan",
            };
            match format.args {
                FormatArgs::Variadic => format!("{word} {target}"),
                FormatArgs::VaList(list) => format!("{word} {target} va {list}"),
            }
        }
    })
}

fn prototype(signature: &Signature) -> String {
    let params: Vec<&str> = signature.params().map(ValType::name).collect();
    let result = signature.result().map_or(String::new(), |result| format!(" -> {}", result.name()));
    format!("({}){result}", params.join(", "))
}

fn pointer_item(target: &str, pointer: &Pointer) -> String {
    let direction = match pointer.direction {
        Direction::In => "in",
        Direction::Out => "out",
        Direction::InOut => "inout",
    };
    let mut text = format!("{direction} {target} {}", extent(&pointer.extent));
    if pointer.nullable {
        text += " null";
    }
    if pointer.deferred {
        text += " deferred";
    }
    let members: Vec<String> =
        pointer.members.iter().filter_map(|member| item(&member.offset.to_string(), &member.meaning)).collect();
    if !members.is_empty() {
        let _ = write!(text, " {{ {} }}", members.join(", "));
    }
    text
}

fn extent(extent: &Extent) -> String {
    match extent {
        Extent::Const(bytes) => format!("size {bytes}"),
        Extent::Arg { param, scale: 1 } => format!("size arg {param}"),
        Extent::Arg { param, scale } => format!("size arg {param} * {scale}"),
        Extent::Product(first, second) => format!("size arg {first} * arg {second}"),
        Extent::CString => "cstr".into(),
        Extent::CStringMax(limit) => format!("cstr max {limit}"),
        Extent::Element(queue) => format!("element {queue}"),
        Extent::StoredAt(length) => format!("size at {length}"),
        Extent::Region => "region".into(),
    }
}

/// What is said of the result, as an item of a hints line; nothing of a mere value.
#[must_use]
pub fn result_item(result: &ResultMeaning) -> Option<String> {
    let null = |nullable: bool| if nullable { " null" } else { "" };
    Some(match result {
        ResultMeaning::Value => return None,
        ResultMeaning::UserData => "returns user".into(),
        ResultMeaning::Handle { kind, created, nullable } => {
            format!("returns handle {kind}{}{}", if *created { "" } else { " borrowed" }, null(*nullable))
        }
        ResultMeaning::Copied { extent: bytes, nullable } => {
            format!("returns copy {}{}", extent(bytes), null(*nullable))
        }
        ResultMeaning::Own { extent: bytes } => format!("returns own {}", extent(bytes)),
    })
}

fn flag_items(flags: Flags) -> impl Iterator<Item = String> {
    let from = if flags.contains(Flags::FROM_ISR) {
        Some("from isr")
    } else if flags.contains(Flags::FROM_CALLBACK) {
        Some("from callback")
    } else {
        None
    };
    let no_return = flags.contains(Flags::NO_RETURN).then_some("noreturn");
    let restricted = flags.contains(Flags::RESTRICTED).then_some("restricted");
    [from, no_return, restricted].into_iter().flatten().map(str::to_owned)
}
