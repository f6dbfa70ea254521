//! Weighs the evidence about parameters that are no plain memory: numbers, handles, functions, user data, formats.
//!
//! Memory is weighed in `pointer`.

use super::declared::Shape;
use super::finding::Finding;
use super::passed::Passed;
use super::{Evidence, names, pointer};
use espb_format::contract::{
    Callback, Direction, Extent, Fate, Format, FormatArgs, FormatStyle, Handle, Param, Pointer, Slot,
};
use espb_format::signature::Signature;

/// What each parameter means.
pub(super) fn weigh(evidence: &Evidence<'_>) -> Vec<Finding<Param>> {
    let user = user_data(evidence);
    let mut findings: Vec<Finding<Param>> =
        (0..evidence.pointers.len()).map(|index| one(evidence, index, user)).collect();
    // What a format refers to is said with the format.
    let lists: Vec<Slot> = findings
        .iter()
        .filter_map(|finding| match finding.meaning {
            Param::Format(Format { args: FormatArgs::VaList(list), .. }) => Some(list),
            _ => None,
        })
        .collect();
    for list in lists {
        if let Some(finding) = findings.get_mut(usize::from(list)) {
            *finding = Finding::likely(Param::Value, "the arguments of the format string before it");
        }
    }
    findings
}

fn one(evidence: &Evidence<'_>, index: usize, user: Option<(Slot, Slot)>) -> Finding<Param> {
    let shape = evidence.shape(index);
    let nullable = evidence.passed.null(index);
    let callback = |seen: &Passed| matches!(seen, Passed::Function(_));
    let slot = Slot::try_from(index).unwrap_or(Slot::MAX);
    match shape {
        Shape::Handle(kind) => {
            let released = names::releases(evidence.name);
            let fate = if released { Fate::Released } else { Fate::Used };
            let found = Finding::likely(
                Param::Handle(Handle { kind: *kind, nullable, fate }),
                format!("its type is that of handles of the kind {kind}"),
            );
            return match (released, nullable) {
                (true, _) => found.and("the function's name says that the object ends"),
                (false, true) => found.and("some call passes null"),
                (false, false) => found,
            };
        }
        Shape::Number { .. } if !evidence.is_pointer(index) => {
            return Finding::certain(Param::Value, "it is declared as a number");
        }
        _ if !evidence.is_pointer(index) => {
            return Finding::likely(Param::Value, "it is a number in the IR, and nothing says that it is a handle");
        }
        _ => {}
    }
    if user.is_some_and(|(_, data)| data == slot) {
        let why = "the only untyped pointer beside a callback: what comes back to the callback";
        return Finding::likely(Param::UserData, why);
    }
    match shape {
        Shape::HandlePlace(kind) => {
            let found = Param::HandleOut { kind: *kind, nullable };
            return Finding::likely(
                found,
                format!("the address of a handle of the kind {kind}: a new object is stored there"),
            );
        }
        Shape::VaList => {
            return Finding::uncertain(Param::Value, "it is a `va_list`, but no format string stands before it");
        }
        Shape::Opaque if !evidence.passed.all(index, callback) => {
            let meaning = Param::Pointer(Pointer::new(Direction::In, Extent::Region));
            return Finding::uncertain(
                meaning,
                "the header does not say what is behind it; it may be a handle of an unknown kind",
            );
        }
        _ => {}
    }
    if matches!(shape, Shape::Function(_)) || evidence.passed.of(index).any(callback) {
        return function(evidence, index, user.filter(|(of, _)| *of == slot).map(|(_, data)| data));
    }
    format(evidence, index).unwrap_or_else(|| pointer::weigh(evidence, index))
}

/// The signature of a callback, from its type or from what is passed; `Err` with a guess if they do not agree.
fn callback_signature(evidence: &Evidence<'_>, index: usize) -> Option<Result<Signature, Signature>> {
    let declared = match evidence.shape(index) {
        Shape::Function(signature) => *signature,
        _ => None,
    };
    let mut seen = evidence.passed.of(index).filter_map(|passed| match passed {
        Passed::Function(signature) => Some(*signature),
        _ => None,
    });
    let first = declared.or_else(|| seen.next().flatten())?;
    Some(if seen.all(|signature| signature == Some(first)) { Ok(first) } else { Err(first) })
}

fn function(evidence: &Evidence<'_>, index: usize, user: Option<Slot>) -> Finding<Param> {
    let nullable = evidence.passed.null(index);
    let callback = |signature| Param::Callback(Callback { signature, user, nullable });
    let typed = matches!(evidence.shape(index), Shape::Function(Some(_)));
    let passes = evidence.passed.all(index, |passed| matches!(passed, Passed::Function(_)));
    let untyped = evidence.declared.params.iter().any(|shape| matches!(shape, Shape::Untyped { .. } | Shape::Unknown));
    match callback_signature(evidence, index) {
        None => {
            let plain = Signature::new(&[], None, false).map_or(Param::Value, callback);
            Finding::uncertain(plain, "it is a function, but its signature is not known")
        }
        Some(Err(signature)) => Finding::uncertain(callback(signature), "functions of different signatures are passed"),
        Some(Ok(signature)) => {
            let why = match (typed, passes) {
                (true, true) => "it is declared as a function, and functions of that signature are passed",
                (true, false) => "it is declared as a function",
                _ => "functions of one signature are passed",
            };
            match user {
                Some(data) => Finding::likely(callback(signature), why)
                    .and(format!("argument {data} is the only untyped pointer, so it is what comes back to it")),
                None if typed && !untyped => {
                    Finding::certain(callback(signature), why).and("no argument could be its user data")
                }
                None if signature.param_count() == 0 => Finding::certain(callback(signature), why)
                    .and("it has no parameter in which user data could come back"),
                None => Finding::likely(callback(signature), why).and("which argument comes back to it is not known"),
            }
        }
    }
}

/// The callback and the parameter that comes back to it, if there is one of each that can be.
fn user_data(evidence: &Evidence<'_>) -> Option<(Slot, Slot)> {
    let shapes = &evidence.declared.params;
    let mut callbacks = (0..shapes.len()).filter(|index| {
        let passed = evidence.passed.of(*index).any(|passed| matches!(passed, Passed::Function(_)));
        let takes_something = callback_signature(evidence, *index)
            .and_then(Result::ok)
            .is_some_and(|signature| signature.param_count() > 0);
        (passed || matches!(evidence.shape(*index), Shape::Function(_))) && takes_something
    });
    let mut untyped = (0..shapes.len()).filter(|index| {
        let counted = *evidence.shape(index + 1) == Shape::Number { length: true };
        *evidence.shape(*index) == Shape::Untyped { constant: false } && !counted
    });
    let pair = (callbacks.next()?, untyped.next()?);
    if callbacks.next().is_some() || untyped.next().is_some() {
        return None;
    }
    Some((Slot::try_from(pair.0).ok()?, Slot::try_from(pair.1).ok()?))
}

/// A format string: the last fixed parameter of a variadic function, or the one before a `va_list`.
fn format(evidence: &Evidence<'_>, index: usize) -> Option<Finding<Param>> {
    let text = match evidence.shape(index) {
        Shape::Text { constant } => *constant,
        Shape::Unknown => evidence.passed.all(index, |passed| matches!(passed, Passed::Literal(_))),
        _ => false,
    };
    let last = index + 1 == evidence.pointers.len();
    let style = if names::scans(evidence.name) { FormatStyle::Scan } else { FormatStyle::Print };
    let meaning = |args| Param::Format(Format { style, args });
    if !text {
        return None;
    }
    if last && evidence.signature.is_variadic() {
        let fits = evidence.passed.calls.iter().all(|call| match call.get(index) {
            Some(Passed::Literal(text)) => conversions(text) == Some(call.len() - index - 1),
            _ => false,
        });
        let shown = evidence.passed.calls.iter().any(|call| call.len() > index + 1);
        let why = "a string before variable arguments";
        return Some(if fits && shown {
            Finding::certain(meaning(FormatArgs::Variadic), why)
                .and("the conversions in it are as many as the arguments")
        } else {
            Finding::likely(meaning(FormatArgs::Variadic), why)
        });
    }
    let list = Slot::try_from(index + 1).ok()?;
    (*evidence.shape(index + 1) == Shape::VaList)
        .then(|| Finding::likely(meaning(FormatArgs::VaList(list)), "a string before a `va_list`"))
}

/// How many arguments a printf string takes; `None` if it ends inside a conversion.
fn conversions(text: &[u8]) -> Option<usize> {
    let mut count = 0;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'%' {
            continue;
        }
        loop {
            match bytes.next()? {
                b'%' => break,
                b'*' => count += 1,
                c if c.is_ascii_alphabetic() && !b"hljztL".contains(c) => {
                    count += 1;
                    break;
                }
                _ => {}
            }
        }
    }
    Some(count)
}
