//! One import at a time: from hint and calls to a contract with its evidence, or to the diagnostic that asks for a hint.

use super::calls::Calls;
use super::hints::place;
use super::infer::{Certainty, Finding, Inferred};
use crate::diagnostic::Diagnostic;
use espb_format::contract::{Contract, Flags, Slot};
use espb_format::signature::{Signature, ValType};
use espb_hints::{Facts, Hint, HintSet, hint_line};
use std::cell::RefCell;
use std::fmt;

/// Stable code of an import that nothing describes.
const UNKNOWN: &str = "espb::contracts::unknown_import";
/// Stable code of an inferred result that may be more than a number.
const UNCERTAIN: &str = "espb::contracts::uncertain_result";
/// Stable code of a call with other types than the hint's prototype.
const MISMATCH: &str = "espb::contracts::signature_mismatch";
/// Stable code of a hint that makes no sense for the function, or leaves open what the calls do not show.
const UNFIT: &str = "espb::contracts::unfit_hint";

/// Stable code of an import that affects the whole device and that nobody has allowed.
const RESTRICTED: &str = "espb::contracts::restricted";

/// A host function that the program calls.
#[derive(Clone, Copy, Debug)]
pub struct Import<'a> {
    /// Its name.
    pub name: &'a str,
    /// How it is called.
    pub signature: &'a Signature,
    /// What is seen at its calls.
    pub calls: &'a Calls,
    /// What can be inferred about it without a hint, if it is in the program.
    pub inferred: Option<&'a Inferred>,
}

/// A contract, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What the parameters and the result mean.
    pub contract: Contract,
    /// What was seen at the calls and used, by ascending parameter; empty when the source says everything.
    pub evidence: Vec<(Slot, Evidence)>,
    /// Who decided.
    pub source: Source,
}

/// Who decided about a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A line of a hints file.
    Hint {
        /// The file, as it was named on the command line, or the name of a built-in one.
        file: String,
        /// The line, from 1.
        line: u32,
    },
    /// Nobody described the import: types, attributes and calls.
    Inference,
}

impl Source {
    /// The word for [`Source::Inference`], in texts and modules.
    const INFERENCE: &str = "inference";

    /// What a source's text means; `None` for other texts.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        if text == Self::INFERENCE {
            return Some(Self::Inference);
        }
        let (file, line) = text.rsplit_once(':')?;
        Some(Self::Hint { file: file.to_owned(), line: line.parse().ok()? })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hint { file, line } => write!(f, "{file}:{line}"),
            Self::Inference => f.write_str(Self::INFERENCE),
        }
    }
}

/// Something seen at every call of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The argument is the address of an object with so many bytes from there to its end.
    ObjectSize(u32),
    /// The argument is a function of the program with this signature.
    Function(Signature),
}

/// Decides about one import.
///
/// # Errors
/// When no hint describes it and its meaning cannot be inferred, the hint's prototype differs from the call, or the hint does not fit or suffice.
pub fn decide(hints: &HintSet, import: Import<'_>) -> Result<Decision, Diagnostic> {
    let Some(hint) = hints.get(import.name) else { return inferred(import).ok_or_else(|| unknown(import)) };
    if let Some(stated) = hint.signature().filter(|stated| stated != import.signature) {
        return Err(mismatch(import, hint, &stated));
    }
    let seen = Seen { calls: import.calls, used: RefCell::default() };
    let contract = hint
        .contract(import.signature, &seen)
        .map_err(|error| Diagnostic::error(UNFIT, error.message.clone(), place(&error), error.help))?;
    let mut evidence = seen.used.into_inner();
    evidence.sort_by_key(|(slot, _)| *slot);
    let source = Source::Hint { file: hint.file.to_string(), line: hint.line };
    Ok(Decision { contract, evidence, source })
}

/// A restricted function must be among those that the user has allowed: firmware refuses it, too, unless it is told the same.
///
/// # Errors
/// When it is not.
pub fn demand_permission(import: Import<'_>, decision: &Decision, allowed: &[String]) -> Result<(), Diagnostic> {
    let name = import.name;
    if !decision.contract.flags.contains(Flags::RESTRICTED) || allowed.iter().any(|allowed| allowed == name) {
        return Ok(());
    }
    Err(Diagnostic::error(
        RESTRICTED,
        format!("`{name}` affects the whole device"),
        import.calls.place.clone(),
        format!("do without it, or add `--allow {name}`; the device must allow it, too (docs/native-calls.md)"),
    ))
}

/// The contract of an import without a hint, if nothing about its parameters is uncertain. The result may be: without a
/// meaning it gives the module access to nothing.
fn inferred(import: Import<'_>) -> Option<Decision> {
    let found = import.inferred?;
    let contract = found.contract();
    let sure = found.params.iter().all(|finding| finding.certainty > Certainty::Uncertain);
    let valid = contract.encode(import.signature).is_ok();
    (sure && valid).then(|| Decision { contract, evidence: Vec::new(), source: Source::Inference })
}

/// What a hint should settle although the build went on without one: a result that may be an address.
#[must_use]
pub fn doubt(import: Import<'_>, decision: &Decision) -> Option<Diagnostic> {
    let found = import.inferred.filter(|_| decision.source == Source::Inference)?;
    let why = found.result.evidence.join("; ");
    (found.result.certainty == Certainty::Uncertain).then(|| {
        Diagnostic::warning(
            UNCERTAIN,
            format!("what `{}` returns is taken for a mere number: {why}", import.name),
            import.calls.place.clone(),
            format!(
                "describe the function in a file given with --hints: `{}`, with `returns copy` or another result of specs/hints.md \
                 if the module is to use what is behind it",
                hint_line(import.name, import.signature, &decision.contract)
            ),
        )
    })
}

/// Decides about all imports; the decisions are in their order.
///
/// # Errors
/// The diagnostic of each import without a contract.
pub fn decide_all<'a>(
    hints: &HintSet,
    imports: impl IntoIterator<Item = Import<'a>>,
) -> Result<Vec<Decision>, Vec<Diagnostic>> {
    let mut decisions = Vec::new();
    let mut errors = Vec::new();
    for import in imports {
        match decide(hints, import) {
            Ok(decision) => decisions.push(decision),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(decisions) } else { Err(errors) }
}

/// The calls as [`Facts`], remembering what was used.
struct Seen<'a> {
    calls: &'a Calls,
    used: RefCell<Vec<(Slot, Evidence)>>,
}

impl Facts for Seen<'_> {
    fn object_size(&self, param: Slot) -> Option<u32> {
        let size = self.calls.object_size(param)?;
        self.used.borrow_mut().push((param, Evidence::ObjectSize(size)));
        Some(size)
    }

    fn callback_signature(&self, param: Slot) -> Option<Signature> {
        let signature = self.calls.callback_signature(param)?;
        self.used.borrow_mut().push((param, Evidence::Function(signature)));
        Some(signature)
    }
}

fn unknown(import: Import<'_>) -> Diagnostic {
    Diagnostic::error(
        UNKNOWN,
        format!(
            "`{}` is not a function of the program, no hints file describes it, and what it does cannot be inferred{}",
            import.name,
            reasons(import)
        ),
        import.calls.place.clone(),
        format!(
            "define it, or, if the firmware has it, describe it in a file given with --hints, such as `{}` \
             (adapt it to what the function does; specs/hints.md)",
            suggestion(import)
        ),
    )
}

/// What is uncertain, in words.
fn reasons(import: Import<'_>) -> String {
    let uncertain = |(index, finding): (usize, &Finding<_>)| {
        let why = finding.evidence.join("; ");
        (finding.certainty == Certainty::Uncertain).then(|| format!("argument {index}: {why}"))
    };
    let all: Vec<String> =
        import.inferred.into_iter().flat_map(|found| found.params.iter().enumerate().filter_map(uncertain)).collect();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join("; ")) }
}

fn mismatch(import: Import<'_>, hint: &Hint, stated: &Signature) -> Diagnostic {
    Diagnostic::error(
        MISMATCH,
        format!(
            "`{}` is called as {}, but {}:{} says {}",
            import.name,
            types(import.signature),
            hint.file,
            hint.line,
            types(stated)
        ),
        import.calls.place.clone(),
        "include the header that declares the function, or correct the hint",
    )
}

fn types(signature: &Signature) -> String {
    let params = signature.params().map(ValType::name).chain(signature.is_variadic().then_some("..."));
    let params = params.collect::<Vec<_>>().join(", ");
    signature.result().map_or_else(|| format!("({params})"), |result| format!("({params}) -> {}", result.name()))
}

/// A hints line that fits the types and what the calls show, as a start for the user.
pub(super) fn suggestion(import: Import<'_>) -> String {
    if let Some(found) = import.inferred {
        return hint_line(import.name, import.signature, &found.contract());
    }
    let slots = || (0..=Slot::MAX).zip(import.signature.params());
    let is_pointer = |slot: Slot| import.calls.pointers.get(usize::from(slot)) == Some(&true);
    let word = |(slot, ty): (Slot, ValType)| if is_pointer(slot) { "ptr" } else { ty.name() };
    let params =
        slots().map(word).chain(import.signature.is_variadic().then_some("...")).collect::<Vec<_>>().join(", ");
    let result = import.signature.result().map_or_else(String::new, |ty| format!(" -> {}", ty.name()));
    let items: Vec<String> = slots()
        .filter(|(slot, _)| is_pointer(*slot))
        .map(|(slot, _)| match (import.calls.callback_signature(slot), import.calls.object_size(slot)) {
            (Some(signature), _) => format!("cb {slot} {}", types(&signature)),
            (None, Some(size)) => format!("inout {slot} size {size}"),
            (None, None) => format!("in {slot} cstr"),
        })
        .collect();
    let items = if items.is_empty() { String::new() } else { format!(": {}", items.join(", ")) };
    format!("{}({params}){result}{items}", import.name)
}

#[cfg(test)]
mod tests {
    use super::super::ArgumentFact;
    use super::*;
    use crate::diagnostic::Place;
    use ValType::{F64, I32, I64};
    use espb_format::contract::{Callback, Direction, Extent, Param, Pointer};

    fn sig(params: &[ValType], result: Option<ValType>) -> Signature {
        Signature::new(params, result, false).unwrap()
    }

    fn line_seven() -> Place {
        Place::Line { file: "main.c".to_owned(), line: 7, column: 5 }
    }

    fn calls(facts: Vec<ArgumentFact>) -> Calls {
        let pointers = facts.iter().map(|fact| *fact != ArgumentFact::Unseen).collect();
        Calls { place: line_seven(), pointers, facts }
    }

    #[test]
    fn a_hint_decides_and_is_named_as_the_source() {
        let hints = HintSet::built_in().unwrap();
        let signature = sig(&[I32], None);
        let import = Import { name: "vTaskDelay", signature: &signature, calls: &calls(vec![]), inferred: None };
        let decision = decide(&hints, import).unwrap();
        assert!(decision.contract.is_plain() && decision.evidence.is_empty());
        let Source::Hint { file, line } = decision.source else { panic!("{:?}", decision.source) };
        assert_eq!(file, "freertos.hints");
        let found = include_str!("../../hints/freertos.hints").lines().nth(line as usize - 1);
        assert_eq!(found, Some("vTaskDelay(i32 ticks)"));
    }

    #[test]
    fn what_a_hint_leaves_open_is_taken_from_the_calls_and_reported() {
        let hints = HintSet::parse("mine.hints", "my_complex_api: out 0, cb 2").unwrap();
        let (signature, compare) = (sig(&[I32, I32, I32], Some(I32)), sig(&[I32, F64], Some(I64)));
        let facts = vec![ArgumentFact::Object(24), ArgumentFact::Unseen, ArgumentFact::Function(compare)];
        let import = Import { name: "my_complex_api", signature: &signature, calls: &calls(facts), inferred: None };
        let decision = decide(&hints, import).unwrap();
        let callback = Callback { signature: compare, user: None, nullable: false };
        let params =
            [Param::Pointer(Pointer::new(Direction::Out, Extent::Const(24))), Param::Value, Param::Callback(callback)];
        assert_eq!(decision.contract.params, params);
        assert_eq!(decision.evidence, [(0, Evidence::ObjectSize(24)), (2, Evidence::Function(compare))]);

        let blind = calls(vec![ArgumentFact::Differs, ArgumentFact::Unseen, ArgumentFact::Function(compare)]);
        let error = decide(&hints, Import { calls: &blind, ..import }).unwrap_err();
        assert_eq!(error.code, UNFIT);
        assert_eq!(error.place, Place::Line { file: "mine.hints".to_owned(), line: 1, column: 21 });
    }

    #[test]
    fn an_import_that_nobody_described_is_refused_at_its_call_with_a_line_that_would_parse() {
        let signature = sig(&[I32, I64, I32, I32], Some(F64));
        let facts = vec![
            ArgumentFact::Function(sig(&[I32], None)),
            ArgumentFact::Unseen,
            ArgumentFact::Object(12),
            ArgumentFact::Differs,
        ];
        let import = Import { name: "mystery", signature: &signature, calls: &calls(facts), inferred: None };
        let errors = decide_all(&HintSet::default(), [import, import]).unwrap_err();
        assert_eq!(errors.len(), 2);
        assert_eq!((errors[0].code, &errors[0].place), (UNKNOWN, &line_seven()));
        let line = errors[0].help.split('`').nth(1).unwrap();
        assert_eq!(line, "mystery(ptr, i64, ptr, ptr) -> f64: cb 0 (i32), inout 2 size 12, in 3 cstr");
        let hints = HintSet::parse("suggested.hints", line).unwrap();
        assert!(decide(&hints, import).is_ok());
    }

    #[test]
    fn a_call_with_other_types_than_the_prototype_is_refused_at_the_call() {
        let hints = HintSet::built_in().unwrap();
        let signature = sig(&[I64], None);
        let import = Import { name: "vTaskDelay", signature: &signature, calls: &calls(vec![]), inferred: None };
        let error = decide(&hints, import).unwrap_err();
        assert_eq!((error.code, error.place), (MISMATCH, line_seven()));
        assert!(error.message.contains("called as (i64), but freertos.hints:"), "{}", error.message);
    }
}
