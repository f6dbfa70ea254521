//! No input makes `espb build` panic, abort or hang: damaged copies of the fixtures' IR, the same ones each time.
//!
//!     cargo test --release --test mutation -- [COUNT [FIRST]]
//!
//! Input number `n` follows from `n` alone, so a failure is repeated with `-- 1 n`. What was wrong stays in `build/mutation`.

mod mutate;
#[path = "../shared/random.rs"]
mod random;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Inputs of a run that says nothing else: what `make test` affords.
const COUNT: u64 = 300;
/// Small programs that between them hold most of what clang makes.
const SOURCES: [&str; 7] = [
    "language/calls.c",
    "language/classes.cpp",
    "language/compute.c",
    "language/data_and_tables.c",
    "tasks/hello_task.c",
    "tasks/timers.c",
    "bad/stack_overflow.c",
];
/// Options of clang for each source.
const STYLES: [&[&str]; 3] = [&["-Os", "-g"], &["-O0", "-g0"], &["-O2", "-g0"]];

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let count = numbers.first().copied().unwrap_or(COUNT);
    let first = numbers.get(1).copied().unwrap_or(0);
    let folder = root().join("build/mutation");
    fs::create_dir_all(&folder).expect("build/ is writable");
    let originals = originals(&folder);

    let next = AtomicU64::new(first);
    let tally = Mutex::new([0u64; 2]);
    let failures = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for worker in 0..workers {
            let (next, tally, failures, originals, folder) = (&next, &tally, &failures, &originals, &folder);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= first.saturating_add(count) {
                        break;
                    }
                    match check(number, originals, &folder.join(format!("worker-{worker}"))) {
                        Ok(built) => tally.lock().expect("no worker panics")[usize::from(built)] += 1,
                        Err(report) => failures.lock().expect("no worker panics").push((number, report)),
                    }
                }
            });
        }
    });
    let [refused, built] = tally.into_inner().expect("no worker panics");
    let mut failures = failures.into_inner().expect("no worker panics");
    failures.sort_unstable();
    for (number, report) in &failures {
        println!("input {number}: {report}");
    }
    println!("mutation: {count} inputs, {refused} refused, {built} translated, {} failures", failures.len());
    if failures.is_empty() && refused > 0 && built > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Text and bitcode of every source in every style.
fn originals(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for source in SOURCES {
        for (style, options) in STYLES.iter().enumerate() {
            let name = format!("{}-{style}", source.replace(['/', '.'], "-"));
            let (text, bitcode) = (folder.join(format!("{name}.ll")), folder.join(format!("{name}.bc")));
            let mut compile = Command::new(root().join("fixtures/compile"));
            run(compile.arg(Path::new("fixtures").join(source)).arg(&text).args(*options).arg("-w"));
            let clang = std::env::var_os("CLANG").unwrap_or_else(|| "clang-22".into());
            run(Command::new(clang)
                .args(["-Wno-override-module", "-x", "ir", "-c", "-emit-llvm"])
                .arg(&text)
                .arg("-o")
                .arg(&bitcode));
            for path in [text, bitcode] {
                let bytes = fs::read(&path).expect("clang wrote it");
                all.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), bytes));
            }
        }
    }
    all
}

fn run(command: &mut Command) {
    let done = command.current_dir(root()).output().expect("clang is there");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Builds input `number`: whether it could be translated, or what went wrong.
fn check(number: u64, originals: &[(String, Vec<u8>)], stem: &Path) -> Result<bool, String> {
    let (name, bytes) = &originals[number as usize % originals.len()];
    let damaged = mutate::mutate(bytes, name.ends_with(".ll"), number);
    let input = stem.with_extension(if name.ends_with(".ll") { "ll" } else { "bc" });
    let output = stem.with_extension("espb");
    fs::write(&input, &damaged).expect("build/ is writable");
    let keep = |what: String| {
        let kept: PathBuf = input.with_file_name(format!("failed-{number}-{name}"));
        fs::write(&kept, &damaged).expect("build/ is writable");
        format!("{what}; see {}", kept.display())
    };
    let espb = |arguments: &[&std::ffi::OsStr]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_espb"));
        command.args(arguments).stdin(Stdio::null()).current_dir(root()).output().expect("espb runs")
    };
    let done = espb(&["build".as_ref(), input.as_ref(), "-o".as_ref(), output.as_ref()]);
    let said = String::from_utf8_lossy(&done.stderr);
    match done.status.code() {
        Some(1) if said.contains("espb::") && !said.contains("panicked") => Ok(false),
        Some(0) => {
            let verified = espb(&["verify".as_ref(), output.as_ref()]);
            if verified.status.success() {
                Ok(true)
            } else {
                Err(keep(format!("the verifier refuses what was built: {}", String::from_utf8_lossy(&verified.stderr))))
            }
        }
        _ => Err(keep(format!("{}: {said}", done.status))),
    }
}
