//! What was decided about an import, as data to be shown: meanings, evidence, certainty, source, bytes.
//!
//! Knows nothing of how it is shown, and decides nothing.

use super::decide::{Decision, Evidence, Import, Source, suggestion};
use super::infer::{Certainty, Finding};
use crate::diagnostic::Place;
use espb_format::contract::Encoded;
use espb_format::contract::{Param, ResultMeaning};
use espb_hints::{hint_line, param_item, result_item};

/// One import, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The function.
    pub name: String,
    /// Its first call.
    pub place: Place,
    /// Who decided; `None` if nobody could.
    pub source: Option<Source>,
    /// Its parameters in order.
    pub params: Vec<Explained>,
    /// What comes back.
    pub result: Explained,
    /// The record in the section `immeta`; empty for none.
    pub immeta: Vec<u8>,
    /// The record in the section `cbmeta`; empty for none.
    pub cbmeta: Vec<u8>,
    /// The line of a hints file that says the same: changed, it changes the contract.
    pub line: String,
}

/// A parameter or result, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// What it means, as an item of a hints line, or `a value`.
    pub meaning: String,
    /// How sure that is.
    pub certainty: Certainty,
    /// Why, in words.
    pub evidence: Vec<String>,
}

impl Explanation {
    /// The least certain of its parts.
    #[must_use]
    pub fn certainty(&self) -> Certainty {
        let parts = self.params.iter().chain([&self.result]).map(|part| part.certainty);
        parts.min().unwrap_or(Certainty::Certain)
    }
}

/// Explains a decision whose encoding is `encoded`.
#[must_use]
pub fn explain(import: Import<'_>, decision: &Decision, encoded: &Encoded) -> Explanation {
    let contract = &decision.contract;
    let (params, result) = match (&decision.source, import.inferred) {
        (Source::Inference, Some(found)) => (params(&found.params), result(&found.result)),
        _ => hinted(decision),
    };
    Explanation {
        name: import.name.to_owned(),
        place: import.calls.place.clone(),
        source: Some(decision.source.clone()),
        params,
        result,
        immeta: encoded.immeta.clone(),
        cbmeta: encoded.cbmeta.clone(),
        line: hint_line(import.name, import.signature, contract),
    }
}

/// Explains why nothing was decided about an import that no hint describes. `None` if it is not in the program.
#[must_use]
pub fn explain_undecided(import: Import<'_>) -> Option<Explanation> {
    let found = import.inferred?;
    Some(Explanation {
        name: import.name.to_owned(),
        place: import.calls.place.clone(),
        source: None,
        params: params(&found.params),
        result: result(&found.result),
        immeta: Vec::new(),
        cbmeta: Vec::new(),
        line: suggestion(import),
    })
}

fn params(findings: &[Finding<Param>]) -> Vec<Explained> {
    let words = |(index, finding): (usize, &Finding<Param>)| explained(param_item(index, &finding.meaning), finding);
    findings.iter().enumerate().map(words).collect()
}

fn result(finding: &Finding<ResultMeaning>) -> Explained {
    explained(result_item(&finding.meaning), finding)
}

fn explained<M>(item: Option<String>, finding: &Finding<M>) -> Explained {
    Explained { meaning: or_value(item), certainty: finding.certainty, evidence: finding.evidence.clone() }
}

fn or_value(item: Option<String>) -> String {
    item.unwrap_or_else(|| "a value".to_owned())
}

/// The parts of a contract that a hint decided, with what was seen at the calls where the hint left it open.
fn hinted(decision: &Decision) -> (Vec<Explained>, Explained) {
    let said = |meaning, evidence| Explained { meaning, certainty: Certainty::Certain, evidence };
    let params = decision.contract.params.iter().enumerate().map(|(index, param)| {
        let used = decision.evidence.iter().filter(|(slot, _)| usize::from(*slot) == index);
        let seen = used.map(|(_, evidence)| match evidence {
            Evidence::ObjectSize(size) => format!("every call passes an object of {size} bytes"),
            Evidence::Function(_) => "every call passes a function of this signature".to_owned(),
        });
        let evidence = std::iter::once("the hints say so".to_owned()).chain(seen).collect();
        said(or_value(param_item(index, param)), evidence)
    });
    let result = said(or_value(result_item(&decision.contract.result)), vec!["the hints say so".to_owned()]);
    (params.collect(), result)
}
