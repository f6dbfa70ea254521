//! `espb build --explain`: contracts with their reasons, as text or JSON.
//!
//! Renders only; what is shown comes from `contracts`.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::contracts::infer::Certainty;
use crate::contracts::{Explained, Explanation, Source};

/// How many imports were decided how.
struct Summary {
    hinted: usize,
    inferred: usize,
    uncertain: usize,
}

impl Summary {
    fn of(explanations: &[Explanation]) -> Self {
        let count = |is: &dyn Fn(&Explanation) -> bool| explanations.iter().filter(|one| is(one)).count();
        let uncertain = |one: &Explanation| one.certainty() == Certainty::Uncertain;
        Self {
            hinted: count(&|one| matches!(one.source, Some(Source::Hint { .. }))),
            inferred: count(&|one| !matches!(one.source, Some(Source::Hint { .. })) && !uncertain(one)),
            uncertain: count(&uncertain),
        }
    }
}

/// For people.
pub fn text(explanations: &[Explanation]) -> String {
    let mut text = String::new();
    for one in explanations {
        let _ = writeln!(text, "{} ({}), first called at {}", one.name, source(one), one.place);
        for (index, param) in one.params.iter().enumerate() {
            part(&mut text, &format!("argument {index}"), param);
        }
        part(&mut text, "result", &one.result);
        let _ = writeln!(text, "  immeta: {}\n  cbmeta: {}", hex_or_none(&one.immeta), hex_or_none(&one.cbmeta));
        let _ = writeln!(text, "  hints line: {}\n", one.line);
    }
    let Summary { hinted, inferred, uncertain } = Summary::of(explanations);
    let _ =
        writeln!(text, "{} imports: {hinted} hinted, {inferred} inferred, {uncertain} uncertain", explanations.len());
    text
}

/// For programs: one object an import, and the summary.
pub fn objects(explanations: &[Explanation]) -> Vec<Value> {
    let part = |part: &Explained| json!({ "meaning": part.meaning, "certainty": part.certainty.to_string(), "evidence": part.evidence });
    let one = |one: &Explanation| {
        json!({
            "reason": "contract",
            "import": one.name,
            "place": one.place.to_string(),
            "source": source(one),
            "params": one.params.iter().map(part).collect::<Vec<_>>(),
            "result": part(&one.result),
            "immeta": hex(&one.immeta),
            "cbmeta": hex(&one.cbmeta),
            "hint": one.line,
        })
    };
    let Summary { hinted, inferred, uncertain } = Summary::of(explanations);
    let summary = json!({ "reason": "contracts-summary", "imports": explanations.len(), "hinted": hinted, "inferred": inferred, "uncertain": uncertain });
    explanations.iter().map(one).chain([summary]).collect()
}

fn source(one: &Explanation) -> String {
    match &one.source {
        Some(Source::Hint { file, line, .. }) => format!("{file}:{line}"),
        Some(Source::Inference) => "inference".to_owned(),
        None => "undecided".to_owned(),
    }
}

fn part(text: &mut String, name: &str, part: &Explained) {
    let _ = writeln!(text, "  {name}: {} ({}): {}", part.meaning, part.certainty, part.evidence.join("; "));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn hex_or_none(bytes: &[u8]) -> String {
    if bytes.is_empty() { "none".to_owned() } else { hex(bytes) }
}
