//! The programs: fixtures, language tests, third-party sources, and the ways each is compiled.

use std::sync::Arc;

use crate::case::{Case, Program, Source};
use crate::compile::Tools;
use crate::options::Options;
use crate::root;

const NATIVE_LIMIT: u64 = 2_000_000_000;

const FIXTURES: [(&str, &[&str]); 4] = [
    ("compute", &["compute.c"]),
    ("data_and_tables", &["data_and_tables.c"]),
    ("exit_status", &["exit_status.c"]),
    ("two_files", &["two_files.c", "two_files_stack.c"]),
];

const LANGUAGE: [&str; 9] =
    ["integers.c", "floats.c", "memory.c", "control.c", "calls.c", "atomics.c", "vectors.c", "jumps.c", "objects.cpp"];

/// Every case but the random ones.
pub fn cases(options: &Options, tools: &Tools) -> Vec<Case> {
    let mut cases = Vec::new();
    for program in fixtures().chain(language()) {
        let program = Arc::new(program);
        for level in ["O0", "O1", "Os", "O2"] {
            for debug in [false, true] {
                // Debug information changes little: one level shows it in the short run.
                if options.all || !debug || level == "Os" {
                    cases.push(Case { program: program.clone(), compiler: tools.clang.clone(), level, debug });
                }
            }
        }
        if options.all {
            for compiler in &tools.other_clangs {
                for level in ["O0", "Os", "O2"] {
                    cases.push(Case { program: program.clone(), compiler: compiler.clone(), level, debug: true });
                }
            }
        }
    }
    for program in third_party() {
        let program = Arc::new(program);
        let levels: &[&str] = if options.all { &["O0", "O1", "Os", "O2"] } else { &["Os"] };
        cases.extend(levels.iter().map(|level| Case {
            program: program.clone(),
            compiler: tools.clang.clone(),
            level,
            debug: false,
        }));
    }
    cases
}

fn source(path: String) -> Source {
    Source { path: path.into(), options: Vec::new() }
}

fn fixtures() -> impl Iterator<Item = Program> {
    FIXTURES.into_iter().map(|(name, files)| Program {
        group: "fixture",
        name: name.into(),
        sources: files.iter().map(|file| source(format!("fixtures/language/{file}"))).collect(),
        entry: "app_main",
        build: Vec::new(),
        native_limit: NATIVE_LIMIT,
    })
}

fn language() -> impl Iterator<Item = Program> {
    LANGUAGE.into_iter().map(|file| Program {
        group: "language",
        name: file.into(),
        sources: vec![source(format!("fixtures/corpus/language/{file}"))],
        entry: "app_main",
        build: vec!["--stack".into(), "16K".into()],
        native_limit: NATIVE_LIMIT,
    })
}

/// A third-party program: a driver of ours and files of a fetched package.
struct ThirdParty {
    name: &'static str,
    /// Our files, in fixtures/corpus/third-party.
    drivers: &'static [&'static str],
    /// The package's folder in build/corpus.
    folder: &'static str,
    /// Its files.
    files: &'static [&'static str],
    options: &'static [&'static str],
    build: &'static [&'static str],
}

const THIRD_PARTY: &[ThirdParty] = &[];

fn third_party() -> impl Iterator<Item = Program> {
    THIRD_PARTY.iter().filter_map(|package| {
        let folder = format!("build/corpus/{}", package.folder);
        if !root().join(&folder).is_dir() {
            eprintln!("conformance: {folder} is missing (`make corpus` fetches it); {} is left out", package.name);
            return None;
        }
        let ours = package.drivers.iter().map(|file| format!("fixtures/corpus/third-party/{file}"));
        let theirs = package.files.iter().map(|file| format!("{folder}/{file}"));
        let mut options = vec![format!("-I{folder}")];
        options.extend(package.options.iter().map(|option| option.to_string()));
        Some(Program {
            group: "third-party",
            name: package.name.into(),
            sources: ours.chain(theirs).map(|path| Source { path: path.into(), options: options.clone() }).collect(),
            entry: "app_main",
            build: package.build.iter().map(|option| option.to_string()).collect(),
            native_limit: NATIVE_LIMIT,
        })
    })
}
