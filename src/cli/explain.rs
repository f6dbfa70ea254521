//! Contracts with their reasons, as text or JSON: what `espb build --explain` and `espb inspect --contracts` show.
//!
//! Renders only; what is shown comes from `contracts`.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::contracts::infer::Certainty;
use crate::contracts::{Explained, Explanation, Source};
use crate::diagnostic::Place;

/// How many imports were decided how.
struct Summary {
    hinted: usize,
    inferred: usize,
    uncertain: usize,
    /// Of a module without its evidence.
    unexplained: usize,
}

impl Summary {
    fn of(explanations: &[Explanation]) -> Self {
        let mut summary = Self { hinted: 0, inferred: 0, uncertain: 0, unexplained: 0 };
        for one in explanations {
            let count = match (&one.source, one.certainty()) {
                (Some(Source::Hint { .. }), _) => &mut summary.hinted,
                (_, Some(Certainty::Uncertain)) => &mut summary.uncertain,
                (_, Some(_)) => &mut summary.inferred,
                (_, None) => &mut summary.unexplained,
            };
            *count += 1;
        }
        summary
    }
}

/// For people.
pub fn text(explanations: &[Explanation]) -> String {
    let mut text = String::new();
    for one in explanations {
        let _ = write!(text, "{} ({})", one.name, source(one));
        if one.place != Place::None {
            let _ = write!(text, ", first called at {}", one.place);
        }
        text.push('\n');
        for (index, param) in one.params.iter().enumerate() {
            part(&mut text, &format!("argument {index}"), param);
        }
        part(&mut text, "result", &one.result);
        let _ = writeln!(text, "  immeta: {}\n  cbmeta: {}", hex_or_none(&one.immeta), hex_or_none(&one.cbmeta));
        let _ = writeln!(text, "  hints line: {}\n", one.line);
    }
    let Summary { hinted, inferred, uncertain, unexplained } = Summary::of(explanations);
    let _ = write!(text, "{} imports: {hinted} hinted, {inferred} inferred, {uncertain} uncertain", explanations.len());
    if unexplained > 0 {
        let _ = write!(text, ", {unexplained} without their reasons: the module was built with --strip");
    }
    text.push('\n');
    text
}

/// For programs: one object an import, and the summary.
pub fn objects(explanations: &[Explanation]) -> Vec<Value> {
    let part = |part: &Explained| {
        let certainty = part.certainty.map(Certainty::word);
        json!({ "meaning": part.meaning, "certainty": certainty, "evidence": part.evidence })
    };
    let one = |one: &Explanation| {
        json!({
            "reason": "contract",
            "import": one.name,
            "place": (one.place != Place::None).then(|| one.place.to_string()),
            "source": source(one),
            "params": one.params.iter().map(part).collect::<Vec<_>>(),
            "result": part(&one.result),
            "immeta": hex(&one.immeta),
            "cbmeta": hex(&one.cbmeta),
            "hint": one.line,
        })
    };
    let Summary { hinted, inferred, uncertain, unexplained } = Summary::of(explanations);
    let summary = json!({
        "reason": "contracts-summary",
        "imports": explanations.len(),
        "hinted": hinted,
        "inferred": inferred,
        "uncertain": uncertain,
        "unexplained": unexplained,
    });
    explanations.iter().map(one).chain([summary]).collect()
}

fn source(one: &Explanation) -> String {
    match (&one.source, one.certainty()) {
        (Some(source), _) => source.to_string(),
        (None, Some(_)) => "undecided".to_owned(),
        (None, None) => "source unknown".to_owned(),
    }
}

fn part(text: &mut String, name: &str, part: &Explained) {
    let _ = match part.certainty {
        Some(certainty) => {
            writeln!(text, "  {name}: {} ({certainty}): {}", part.meaning, part.evidence.join("; "))
        }
        None => writeln!(text, "  {name}: {}", part.meaning),
    };
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn hex_or_none(bytes: &[u8]) -> String {
    if bytes.is_empty() { "none".to_owned() } else { hex(bytes) }
}
