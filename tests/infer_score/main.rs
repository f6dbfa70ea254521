//! `make infer-score`: how well the inference does without hints on every fixture, function by function.
//!
//! Reads the fixtures' IR below build/fixtures; `--all` shows what is right, too.

mod score;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use espb::contracts::infer::Certainty;
use espb_hints::HintSet;
use score::{Scored, Verdict};

/// Parts of a hundred of the parameters that must be right.
const ENOUGH: usize = 90;

fn main() -> ExitCode {
    let all = std::env::args().any(|argument| argument == "--all");
    let hints = HintSet::built_in().unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut programs = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("build/fixtures"), &mut programs);
    programs.sort();
    if programs.is_empty() {
        eprintln!("no fixtures in build/fixtures: run `make fixtures`");
        return ExitCode::FAILURE;
    }
    let scored: Vec<Scored> = programs.iter().flat_map(|path| score::program(path, &hints)).collect();
    for one in scored.iter().filter(|one| all || one.verdict != Verdict::Right) {
        println!("{}: {} ({})", one.place, word(one.verdict), one.certainty);
        if one.verdict != Verdict::Right {
            println!("  found {}\n  truth {}", one.found, one.truth);
        }
        println!("  because {}", one.evidence);
    }
    let (parameters, results): (Vec<&Scored>, Vec<&Scored>) = scored.iter().partition(|one| !one.result);
    let right = summary("parameters", &parameters);
    summary("results", &results);
    println!("with hints: {0} of {0} parameters right", parameters.len());
    let false_certainty = scored.iter().any(|one| one.verdict == Verdict::Wrong && one.certainty == Certainty::Certain);
    if false_certainty {
        println!("a certain decision is wrong");
    }
    if false_certainty || right * 100 < parameters.len() * ENOUGH { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Prints a table and gives the number of right ones.
fn summary(what: &str, scored: &[&Scored]) -> usize {
    let count = |verdict, certainty: Option<Certainty>| {
        let fits =
            |one: &&&Scored| one.verdict == verdict && certainty.is_none_or(|certainty| one.certainty == certainty);
        scored.iter().filter(fits).count()
    };
    let right = count(Verdict::Right, None);
    println!(
        "{what}: {right} of {} right ({:.1} %), {} wrong, {} undecided; certain: {} right, {} wrong; likely: {} right, {} wrong",
        scored.len(),
        right as f64 * 100.0 / scored.len().max(1) as f64,
        count(Verdict::Wrong, None),
        count(Verdict::Undecided, None),
        count(Verdict::Right, Some(Certainty::Certain)),
        count(Verdict::Wrong, Some(Certainty::Certain)),
        count(Verdict::Right, Some(Certainty::Likely)),
        count(Verdict::Wrong, Some(Certainty::Likely)),
    );
    right
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Right => "right",
        Verdict::Wrong => "wrong",
        Verdict::Undecided => "undecided",
    }
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "ll") && has_entry(&path) {
            found.push(path);
        }
    }
}

/// Whether it is a program, not a further file of one.
fn has_entry(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.contains("@app_main("))
}
