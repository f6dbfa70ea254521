//! What was decided about an import, as data to be shown: meanings, evidence, certainty, source, bytes.
//!
//! Knows nothing of how it is shown, and decides nothing.

use super::decide::{Decision, Evidence, Import, Source, suggestion};
use super::infer::{Certainty, Finding};
use crate::diagnostic::Place;
use espb_format::container::{Import as ModuleImport, Module, SectionKind};
use espb_format::contract::{self, DecodeError, Encoded, Param, ResultMeaning};
use espb_format::evidence;
use espb_hints::{hint_line, param_item, result_item};

/// One import, explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The function.
    pub name: String,
    /// Its first call; [`Place::None`] of a finished module, which does not say.
    pub place: Place,
    /// Who decided; `None` if nobody could, or the module does not say.
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
    /// How sure that is; `None` of a module that does not say.
    pub certainty: Option<Certainty>,
    /// Why, in words.
    pub evidence: Vec<String>,
}

/// An import of a module whose contract is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The function.
    pub name: String,
    /// What is wrong, with section and offset.
    pub reason: String,
}

/// Why a hinted part means what it means.
const SAID: &str = "the hints say so";

impl Explanation {
    /// The least certain of its parts; `None` of a module that does not say.
    #[must_use]
    pub fn certainty(&self) -> Option<Certainty> {
        let parts = self.params.iter().chain([&self.result]).map(|part| part.certainty);
        parts.min().flatten()
    }

    /// The line of the section `evidence` from which [`explain_module`] tells the same.
    #[must_use]
    pub fn evidence_line(&self) -> String {
        let Some(source) = &self.source else { return evidence::line("", []) };
        let parts: Vec<(Certainty, String)> = self
            .params
            .iter()
            .chain([&self.result])
            .map(|part| (part.certainty.unwrap_or(Certainty::Uncertain), part.evidence.join("; ")))
            .collect();
        let said = parts.iter().all(|(certainty, why)| *certainty == Certainty::Certain && why == SAID);
        let told = parts.iter().filter(|_| !said).map(|(certainty, why)| (*certainty, why.as_str()));
        evidence::line(&source.to_string(), told)
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

/// Explains the imports of a finished module, as far as it says why.
#[must_use]
pub fn explain_module(module: &Module<'_>) -> Vec<Result<Explanation, Malformed>> {
    module.imports().enumerate().map(|(index, import)| of_module(module, index, &import)).collect()
}

fn of_module(module: &Module<'_>, index: usize, import: &ModuleImport<'_>) -> Result<Explanation, Malformed> {
    let malformed = |kind: SectionKind, error: DecodeError| Malformed {
        name: import.name.to_owned(),
        reason: format!("{}: {error}", kind.name()),
    };
    let stated = contract::of_import(module, import).map_err(|(kind, error)| malformed(kind, error))?;
    let bytes = |kind: SectionKind, offset| {
        let record = contract::record(module.section(kind), offset).map_err(|error| malformed(kind, error))?;
        Ok(record.0.to_vec())
    };
    let told = evidence::of_import(module.section(SectionKind::Evidence), index);
    let source = told.and_then(|told| Source::from_text(told.source));
    let mut parts = told.iter().flat_map(|told| told.parts());
    let said = matches!(source, Some(Source::Hint { .. }));
    let mut explained = |item: Option<String>| match parts.next() {
        Some((certainty, why)) => {
            Explained { meaning: or_value(item), certainty: Some(certainty), evidence: vec![why.to_owned()] }
        }
        None if said => hint_says(item),
        None => Explained { meaning: or_value(item), certainty: None, evidence: Vec::new() },
    };
    let params = stated.params.iter().enumerate().map(|(index, param)| explained(param_item(index, param))).collect();
    Ok(Explanation {
        name: import.name.to_owned(),
        place: Place::None,
        params,
        result: explained(result_item(&stated.result)),
        source,
        immeta: bytes(SectionKind::MarshalMeta, import.marshal)?,
        cbmeta: bytes(SectionKind::CallbackMeta, import.callbacks)?,
        line: hint_line(import.name, &import.signature, &stated),
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
    Explained { meaning: or_value(item), certainty: Some(finding.certainty), evidence: finding.evidence.clone() }
}

fn or_value(item: Option<String>) -> String {
    item.unwrap_or_else(|| "a value".to_owned())
}

fn hint_says(item: Option<String>) -> Explained {
    Explained { meaning: or_value(item), certainty: Some(Certainty::Certain), evidence: vec![SAID.to_owned()] }
}

/// The parts of a contract that a hint decided, with what was seen at the calls where the hint left it open.
fn hinted(decision: &Decision) -> (Vec<Explained>, Explained) {
    let params = decision.contract.params.iter().enumerate().map(|(index, param)| {
        let used = decision.evidence.iter().filter(|(slot, _)| usize::from(*slot) == index);
        let seen = used.map(|(_, evidence)| match evidence {
            Evidence::ObjectSize(size) => format!("every call passes an object of {size} bytes"),
            Evidence::Function(_) => "every call passes a function of this signature".to_owned(),
        });
        let mut explained = hint_says(param_item(index, param));
        explained.evidence.extend(seen);
        explained
    });
    (params.collect(), hint_says(result_item(&decision.contract.result)))
}
