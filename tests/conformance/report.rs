//! What was found: a table for people, an object a line for programs.

use serde_json::{Value, json};

use crate::case::Case;
use crate::refusals::{Class, explain};
use crate::run::Outcome;

/// All outcomes.
pub struct Report<'a> {
    rows: Vec<(&'a Case, Outcome)>,
    known_refusals: &'a [Class],
}

impl<'a> Report<'a> {
    /// A report over `cases`, whose outcomes stand in the same order.
    pub fn new(cases: &'a [Case], outcomes: Vec<Outcome>, known_refusals: &'a [Class]) -> Self {
        Self { rows: cases.iter().zip(outcomes).collect(), known_refusals }
    }

    fn failed(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Differs(_) | Outcome::Broken(_) => true,
            Outcome::Refused(refusal) => !explain(self.known_refusals, refusal),
            Outcome::Same(..) | Outcome::TooLong | Outcome::NativeOnly(_) => false,
        }
    }

    /// Whether nothing failed.
    pub fn passed(&self) -> bool {
        !self.rows.iter().any(|(_, outcome)| self.failed(outcome))
    }

    /// How many cases of a group gave the same on both sides.
    pub fn compared(&self, group: &str) -> usize {
        let same = |row: &&(&Case, Outcome)| row.0.program.group == group && matches!(row.1, Outcome::Same(..));
        self.rows.iter().filter(same).count()
    }

    /// The table; random programs that agree only count.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{:<44} {:>8} {:>11} {:>12} {:>11} {:>6} {:>7} {:>7} {:>5} {:>6}\n",
            "case", "result", "VM instr", "machine", "native", "ratio", "code", "native", "size", "build"
        );
        for (case, outcome) in &self.rows {
            let quiet = matches!(outcome, Outcome::Same(..) | Outcome::TooLong) && case.program.group == "random";
            if !quiet {
                text += &row(case, outcome);
            }
        }
        for (case, outcome) in &self.rows {
            if let Outcome::Differs(reason) | Outcome::Broken(reason) = outcome {
                text += &format!("\n{} {}:\n    {reason}\n", outcome.word(), case.name());
            }
            if let Outcome::Refused(refusal) = outcome {
                let unexplained = if explain(self.known_refusals, refusal) {
                    ""
                } else {
                    ", which docs/conformance.md does not list"
                };
                text += &format!("\nrefused {}{unexplained}:\n    {}\n", case.name(), refusal.first);
            }
        }
        text + &self.summary()
    }

    fn summary(&self) -> String {
        let count = |word: &str| self.rows.iter().filter(|(_, outcome)| outcome.word() == word).count();
        let words = ["same", "DIFFERS", "refused", "too long", "native", "BROKEN"];
        let counts: Vec<String> = words
            .iter()
            .map(|word| (word, count(word)))
            .filter(|(_, n)| *n > 0)
            .map(|(word, n)| format!("{n} {word}"))
            .collect();
        let mut text = format!("\n{} cases: {}\n", self.rows.len(), counts.join(", "));
        text += &format!("random programs compared: {}\n", self.compared("random"));
        let forms =
            self.rows.iter().filter(|(case, outcome)| case.forms && matches!(outcome, Outcome::Same(..))).count();
        text += &format!("cases of which text, bitcode and both triples gave the same module: {forms}");
        let refused =
            |(_, outcome): &&(&Case, Outcome)| matches!(outcome, Outcome::Same(_, built, _) if built.text_refused);
        let refused: Vec<String> = self.rows.iter().filter(refused).map(|(case, _)| case.name()).collect();
        if !refused.is_empty() {
            text += &format!("; of these text was refused with the advice to pass bitcode: {}", refused.join(", "));
        }
        text.push('\n');
        if let Some(mean) = geometric_mean(self.at_os().map(|(code, native)| code / native)) {
            text += &format!("code section against native .text at -Os, geometric mean: {mean:.3}\n");
        }
        text
    }

    /// Code bytes of module and native program, of whole programs (not random ones) compiled with -Os.
    fn at_os(&self) -> impl Iterator<Item = (f64, f64)> {
        self.rows
            .iter()
            .filter(|(case, _)| {
                case.level == "Os" && !case.debug && case.compiler.1 == "clang-22" && case.program.group != "random"
            })
            .filter_map(|(_, outcome)| match outcome {
                Outcome::Same(native, built, _) => Some((built.code as f64, native.code as f64)),
                _ => None,
            })
    }

    /// Every case as a JSON object on a line.
    pub fn json_lines(&self) -> String {
        let mut text = String::new();
        for (case, outcome) in &self.rows {
            text += &format!("{}\n", object(case, outcome, self.failed(outcome)));
        }
        text
    }
}

fn row(case: &Case, outcome: &Outcome) -> String {
    let name = case.name();
    match outcome {
        Outcome::Same(native, built, module) => format!(
            "{name:<44} {:>8} {:>11} {:>12} {:>11} {:>6.1} {:>7} {:>7} {:>5.2} {:>4} ms\n",
            outcome.word(),
            module.vm_instructions,
            module.instructions,
            native.instructions,
            module.instructions as f64 / native.instructions as f64,
            built.code,
            native.code,
            built.code as f64 / native.code as f64,
            built.time.as_millis(),
        ),
        Outcome::NativeOnly(native) => {
            format!(
                "{name:<44} {:>8} {:>11} {:>12} {:>11} {:>6} {:>7} {:>7}\n",
                outcome.word(),
                "",
                "",
                native.instructions,
                "",
                "",
                native.code
            )
        }
        Outcome::Refused(refusal) => format!("{name:<44} {:>8} {}\n", outcome.word(), refusal.first),
        Outcome::Differs(_) | Outcome::TooLong | Outcome::Broken(_) => format!("{name:<44} {:>8}\n", outcome.word()),
    }
}

fn object(case: &Case, outcome: &Outcome, failed: bool) -> Value {
    let mut object = json!({
        "reason": "case",
        "group": case.program.group,
        "program": case.program.name,
        "compiler": case.compiler.1,
        "level": case.level,
        "debug": case.debug,
        "result": outcome.word().to_lowercase(),
        "failed": failed,
    });
    match outcome {
        Outcome::Same(native, built, module) => {
            object["vm_instructions"] = json!(module.vm_instructions);
            object["instructions"] = json!({ "module": module.instructions, "native": native.instructions });
            object["code_bytes"] = json!({ "module": built.code, "native": native.code });
            object["build_ms"] = json!(built.time.as_millis() as u64);
        }
        Outcome::NativeOnly(native) => {
            object["instructions"] = json!({ "native": native.instructions });
            object["code_bytes"] = json!({ "native": native.code });
        }
        Outcome::Refused(refusal) => {
            object["errors"] = json!(refusal.errors);
            object["message"] = json!(refusal.first);
        }
        Outcome::Differs(message) | Outcome::Broken(message) => object["message"] = json!(message),
        Outcome::TooLong => {}
    }
    object
}

/// The geometric mean; none of nothing.
pub fn geometric_mean(ratios: impl Iterator<Item = f64>) -> Option<f64> {
    let logarithms: Vec<f64> = ratios.map(f64::ln).collect();
    (!logarithms.is_empty()).then(|| (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp())
}
