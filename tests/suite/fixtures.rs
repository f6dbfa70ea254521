//! Every program in `fixtures/` prints what its expectation says, the same to the last virtual cycle each time.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use crate::compile::{root, to_ir};
use crate::program::{Finished, espb};

/// One program of `fixtures/` with the contents of its `.expect` file (fixtures/README.md has the format).
#[derive(Default)]
struct Fixture {
    /// Relative to the root of the repository.
    source: PathBuf,
    exit: i32,
    with: Vec<PathBuf>,
    run: Vec<String>,
    trap: Option<String>,
    /// Lines of the source, one of which the report of the trap names.
    lines: Vec<u64>,
    stdout: String,
}

impl Fixture {
    fn read(expectation: &Path) -> Self {
        let place = expectation.display();
        let text = fs::read_to_string(root().join(expectation)).unwrap_or_else(|error| panic!("{place}: {error}"));
        let (head, stdout) = text.split_once("---\n").unwrap_or_else(|| panic!("{place}: no line ---"));
        let cpp = expectation.with_extension("cpp");
        let source = if root().join(&cpp).exists() { cpp } else { expectation.with_extension("c") };
        let mut fixture = Fixture { source, stdout: stdout.to_owned(), ..Fixture::default() };
        for line in head.lines() {
            let (key, value) = line.split_once(": ").unwrap_or_else(|| panic!("{place}: not `key: value`: {line}"));
            let number =
                |word: &str| word.parse::<u32>().unwrap_or_else(|_| panic!("{place}: {key} is no number: {word}"));
            match key {
                "exit" => fixture.exit = number(value) as i32,
                "line" => fixture.lines = value.split(' ').map(|word| number(word).into()).collect(),
                "trap" => fixture.trap = Some(value.to_owned()),
                "with" => fixture.with = value.split(' ').map(|name| expectation.with_file_name(name)).collect(),
                "run" => fixture.run = value.split(' ').map(str::to_owned).collect(),
                _ => panic!("{place}: unknown key {key}"),
            }
        }
        fixture
    }

    /// Compiles and builds the module into `folder`.
    fn build(&self, folder: &Path) -> Result<PathBuf, String> {
        let module = folder.join("fixture.espb");
        let mut arguments: Vec<OsString> = vec!["build".into()];
        for source in [&self.source].into_iter().chain(&self.with) {
            arguments.push(to_ir(source, folder).into());
        }
        arguments.extend(["-o".into(), module.clone().into()]);
        let built = espb(arguments);
        if built.code == 0 { Ok(module) } else { Err(built.transcript()) }
    }

    fn run(&self, module: &Path, options: &[&str]) -> Finished {
        let fixed = ["run", "--emulate", "esp32c3", "--for", "5s", "--timeout", "120s"];
        let arguments = fixed.iter().chain(options).copied().chain(self.run.iter().map(String::as_str));
        espb(arguments.map(OsString::from).chain([module.into()]))
    }

    /// Whether the run was as expected; the first difference otherwise.
    fn check(&self) -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let module = self.build(folder.path())?;

        let shown = self.run(&module, &[]);
        if shown.code != self.exit {
            return Err(format!("exit code {} expected\n{}", self.exit, shown.transcript()));
        }
        if shown.stdout != self.stdout {
            return Err(format!("expected this:\n{}\n{}", self.stdout, shown.transcript()));
        }

        let measured = ["--stats", "--message-format", "json"];
        let (first, second) = (self.run(&module, &measured), self.run(&module, &measured));
        let stats = first.objects("stats");
        if stats.len() != 1 || stats != second.objects("stats") {
            return Err(format!(
                "two runs differ, or have no statistics:\n{}\n{}",
                first.transcript(),
                second.transcript()
            ));
        }
        let reports = first.objects("diagnostic");
        match &self.trap {
            Some(words) if !reports.iter().any(|report| self.names_the_trap(report, words)) => {
                Err(format!("no report of the trap `{words}` at line {:?}\n{}", self.lines, first.transcript()))
            }
            Some(_) if !heart_beats(&stats[0]) => Err(format!("the firmware did not go on\n{}", first.transcript())),
            Some(_) if free_heap(&stats[0]) != heap_without_a_module() => {
                Err(format!("{:?} bytes of heap were free before\n{}", heap_without_a_module(), first.transcript()))
            }
            None if !reports.is_empty() => Err(format!("nothing to complain about\n{}", first.transcript())),
            _ => Ok(()),
        }
    }

    fn names_the_trap(&self, report: &Value, words: &str) -> bool {
        let message = report["message"].as_str().unwrap_or_default();
        let file = report["file"].as_str().unwrap_or_default();
        message.contains(words)
            && Path::new(file).ends_with(&self.source)
            && report["line"].as_u64().is_some_and(|line| self.lines.contains(&line))
    }
}

/// Whether the firmware's own task, which counts every 10 ms from boot, missed nothing while the module did its worst.
fn heart_beats(stats: &Value) -> bool {
    match (stats["heartbeats"].as_u64(), stats["ticks"].as_u64()) {
        (Some(beats), Some(ticks)) => beats + 2 >= ticks / 10,
        _ => false,
    }
}

fn free_heap(stats: &Value) -> Option<u64> {
    stats["memory"]["free_heap"].as_u64()
}

/// The firmware's free heap behind a program that does nothing.
fn heap_without_a_module() -> Option<u64> {
    static BYTES: OnceLock<Option<u64>> = OnceLock::new();
    *BYTES.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let source = folder.path().join("nothing.c");
        fs::write(&source, "int app_main(void) { return 0; }\n").expect("a temporary file");
        let nothing = Fixture { source, ..Fixture::default() };
        let module = nothing.build(folder.path()).unwrap_or_else(|report| panic!("{report}"));
        let finished = nothing.run(&module, &["--stats", "--message-format", "json"]);
        finished.objects("stats").first().and_then(free_heap)
    })
}

/// The expectation files of a group, sorted, relative to the root.
fn expectations(group: &str) -> Vec<PathBuf> {
    let folder = Path::new("fixtures").join(group);
    let entries = fs::read_dir(root().join(&folder)).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<PathBuf> = entries
        .map(|entry| folder.join(entry.expect("a readable folder").file_name()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "expect"))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no fixtures in {}", folder.display());
    found
}

/// Checks a whole group, so that one failure does not hide the next.
fn check_group(group: &str) {
    let failures: Vec<String> = expectations(group)
        .iter()
        .map(|path| Fixture::read(path))
        .filter_map(|fixture| Some(format!("=== {}\n{}", fixture.source.display(), fixture.check().err()?)))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn tasks() {
    check_group("tasks");
}

#[test]
fn scheduling() {
    check_group("scheduling");
}

#[test]
fn language() {
    check_group("language");
}

#[test]
fn freertos() {
    check_group("freertos");
}

#[test]
fn esp_idf() {
    check_group("esp-idf");
}

#[test]
fn bad_programs_end_in_a_trap() {
    check_group("bad");
}

/// What a module must not do to native code: one program for each thing that a contract says.
#[test]
fn hostile_programs_are_stopped_by_name() {
    check_group("hostile");
}

#[test]
fn a_wall_time_limit_ends_an_endless_loop() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let endless = Fixture::read(Path::new("fixtures/bad/endless_loop.expect"));
    let module = endless.build(folder.path()).unwrap_or_else(|report| panic!("{report}"));
    let finished =
        espb(["run", "--emulate", "esp32c3", "--timeout", "1s"].map(OsString::from).into_iter().chain([module.into()]));
    assert_eq!(finished.code, 124, "{}", finished.transcript());
    assert_eq!(finished.stdout, endless.stdout, "{}", finished.transcript());
}
