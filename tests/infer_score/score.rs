//! Compares what the inference finds without hints with what the hints say: the hints are the truth.

use std::path::Path;

use espb::codegen;
use espb::contracts::infer::{Certainty, Inferred, Passed, infer};
use espb::contracts::{Calls, Import, decide};
use espb::ir::{Callee, FuncId, Input, InstructionKind, Module, Request, read};
use espb_format::contract::{Contract, Param, Pointer, ResultMeaning};
use espb_format::signature::Signature;
use espb_hints::{HintSet, NoFacts, hint_line};

/// How a decision compares with the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Right,
    Wrong,
    Undecided,
}

/// One decision.
pub struct Scored {
    /// Where: program, function and parameter, or `result`.
    pub place: String,
    /// Whether it is about the result.
    pub result: bool,
    pub verdict: Verdict,
    pub certainty: Certainty,
    /// The hints line that the inference would write.
    pub found: String,
    /// The hints line that is true.
    pub truth: String,
    pub evidence: String,
}

/// Scores every function that `hints` describe and the program in `path` calls.
///
/// # Panics
/// When the program cannot be read, and when with hints a contract is not what the hints say.
pub fn program(path: &Path, hints: &HintSet) -> Vec<Scored> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let request = Request { inputs: vec![Input { name: name.clone(), bytes }], roots: vec!["app_main".to_owned()] };
    let module = read(&request).unwrap_or_else(|errors| panic!("{name}: {errors:?}")).module;
    let mut scored = Vec::new();
    for (id, function) in module.functions().filter(|(_, function)| function.is_declaration()) {
        let Some(hint) = hints.get(&function.name).filter(|_| is_called(&module, id)) else { continue };
        let signature_of = |ty: &_| codegen::signature(&module.types, ty);
        let Some(signature) = signature_of(&function.ty) else { continue };
        let truth = hint.contract(&signature, &NoFacts).unwrap_or_else(|error| panic!("{error:?}"));
        let inferred = infer(&module, id, &signature, &signature_of)
            .unwrap_or_else(|| panic!("{name}: {} is passed in parts", function.name));
        let program = path.file_stem().unwrap_or_default().to_string_lossy();
        let calls = Calls::gather(&module, id, &signature_of);
        let import = Import { name: &function.name, signature: &signature, calls: &calls, inferred: Some(&inferred) };
        let hinted = decide(hints, import).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(hinted.contract, truth, "with hints all of {} is right", function.name);
        scored.extend(compare(&program, &function.name, &signature, &truth, &inferred));
    }
    scored
}

fn is_called(module: &Module, id: FuncId) -> bool {
    let mut all = module.functions.iter().flat_map(|function| &function.blocks).flat_map(|block| &block.instructions);
    all.any(|instruction| {
        matches!(&instruction.kind, InstructionKind::Call(call) if matches!(call.callee, Callee::Function(callee) if callee == id))
    })
}

fn compare(program: &str, name: &str, signature: &Signature, truth: &Contract, inferred: &Inferred) -> Vec<Scored> {
    let lines = (hint_line(name, signature, &inferred.contract()), hint_line(name, signature, truth));
    let scored = |what: &str, result, verdict, certainty, evidence: &[String]| Scored {
        place: format!("{program}: {name} {what}"),
        result,
        verdict: if certainty == Certainty::Uncertain { Verdict::Undecided } else { verdict },
        certainty,
        found: lines.0.clone(),
        truth: lines.1.clone(),
        evidence: evidence.join("; "),
    };
    let verdict = |same| if same { Verdict::Right } else { Verdict::Wrong };
    let mut all: Vec<Scored> = inferred
        .params
        .iter()
        .zip(&truth.params)
        .enumerate()
        .map(|(index, (finding, truth))| {
            let same = as_called(truth, inferred, index) == as_called(&finding.meaning, inferred, index);
            scored(&index.to_string(), false, verdict(same), finding.certainty, &finding.evidence)
        })
        .collect();
    let same = without_null(inferred.result.meaning) == without_null(truth.result);
    all.push(scored("result", true, verdict(same), inferred.result.certainty, &inferred.result.evidence));
    all
}

/// A meaning as far as it matters to the calls of the program: whether null is accepted only if null is passed, and how
/// long native code uses memory only if the memory does not last anyway.
fn as_called(meaning: &Param, inferred: &Inferred, index: usize) -> Param {
    let mut meaning = meaning.clone();
    let accepts_anything = !inferred.passed.of(index).any(|passed| *passed == Passed::Null);
    match &mut meaning {
        Param::Pointer(Pointer { nullable, deferred, .. }) => {
            *nullable |= accepts_anything;
            *deferred |= inferred.passed.lasting(index);
        }
        Param::Callback(callback) => callback.nullable |= accepts_anything,
        Param::Handle(handle) => handle.nullable |= accepts_anything,
        Param::HandleOut { nullable, .. } => *nullable |= accepts_anything,
        Param::Value | Param::UserData | Param::Format(_) => {}
    }
    meaning
}

/// A result as far as it matters to the module, which has to look whether it is null in any case.
fn without_null(result: ResultMeaning) -> ResultMeaning {
    match result {
        ResultMeaning::Handle { kind, created, .. } => ResultMeaning::Handle { kind, created, nullable: true },
        ResultMeaning::Copied { extent, .. } => ResultMeaning::Copied { extent, nullable: true },
        other => other,
    }
}
