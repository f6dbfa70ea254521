//! Random programs: csmith with fixed seeds, every other one with floating point.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::case::{Case, Program, Source};
use crate::compile::Tools;
use crate::options::Options;
use crate::root;

/// Sizes that fit the chip, in csmith's options.
const SIZES: [&str; 12] = [
    "--max-funcs",
    "6",
    "--max-block-depth",
    "4",
    "--max-block-size",
    "5",
    "--max-array-dim",
    "2",
    "--max-array-len-per-dim",
    "8",
    "--max-expr-complexity",
    "8",
];

/// Programs of `make conformance`, of which [`COMPARED`] must be compared: about one in ten runs for too long.
pub const PROGRAMS: u32 = 1_200;
/// How many random programs `make conformance` must compare.
pub const COMPARED: usize = 1_000;

/// Natively: half of all programs take less than 10,000 instructions, some never end.
const NATIVE_LIMIT: u64 = 20_000_000;

/// Where `fixtures/corpus/fetch` puts csmith if it is not installed.
fn csmith() -> Option<(PathBuf, PathBuf)> {
    let fetched = root().join("build/corpus/debian/usr");
    [fetched, PathBuf::from("/usr")]
        .into_iter()
        .map(|folder| (folder.join("bin/csmith"), folder.join("include/csmith")))
        .find(|(program, include)| program.is_file() && include.is_dir())
}

/// The random programs that `options` ask for. None without csmith, unless everything is wanted.
pub fn cases(options: &Options, tools: &Tools) -> Result<Vec<Case>, String> {
    let Some((program, include)) = csmith() else {
        let missing = "csmith is missing: `make corpus` fetches it";
        return if options.all {
            Err(missing.into())
        } else {
            eprintln!("conformance: {missing}; no random programs");
            Ok(Vec::new())
        };
    };
    let folder = root().join("build/conformance/csmith");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut cases = Vec::new();
    for seed in 1..=options.random {
        cases.push(case(seed, &program, &folder.join(format!("{seed}.c")), &include, tools));
    }
    Ok(cases)
}

fn case(seed: u32, program: &Path, path: &Path, include: &Path, tools: &Tools) -> Case {
    let mut command =
        vec![program.display().to_string(), "--seed".into(), seed.to_string(), "--no-argc".into(), "--concise".into()];
    command.extend(SIZES.map(String::from));
    if seed.is_multiple_of(2) {
        command.push("--float".into());
    }
    command.extend(["--output".into(), path.display().to_string()]);
    // csmith's own header is careless about pointers to float.
    let careless = String::from("-Wno-incompatible-pointer-types");
    let options = vec![careless, String::from("-isystem"), include.display().to_string()];
    let levels = ["Os", "O2", "O1", "O0"];
    Case {
        program: Arc::new(Program {
            group: "random",
            name: format!("csmith-{seed}"),
            sources: vec![Source { path: path.to_owned(), options }],
            generator: Some((command, path.to_owned())),
            entry: "main",
            build: vec!["--stack".into(), "24K".into()],
            native_limit: NATIVE_LIMIT,
        }),
        compiler: tools.clang.clone(),
        level: levels[seed as usize / 2 % levels.len()],
        debug: false,
        forms: false,
    }
}
