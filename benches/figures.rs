//! The figures of the README, measured: `make bench`. Counts are exact and the same on every machine; times are this machine's.
//!
//! `ESPB_BLESS=1 make bench` writes them into the README.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SymbolKind};
use serde_json::Value;

/// Runs of which the fastest counts, where a time is measured.
const RUNS: u32 = 5;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let hello = module("tasks/hello_task", folder.path(), &["--strip"]);
    let compute = module("language/compute", folder.path(), &[]);
    let (hello_run, _) = run(&hello, &["--for", "5s"]);
    let (compute_run, compute_time) = run(&compute, &[]);
    let modest = module("tasks/hello_task", folder.path(), &["--heap", "4K:4K"]);
    let (modest_run, _) = run(&modest, &["--for", "1s"]);
    let greedy = module("tasks/hello_task", folder.path(), &["--heap", "200K"]);
    let (greedy_run, _) = run(&greedy, &["--for", "1s"]);
    let number = |object: &Value, path: &str| {
        object.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} in {object}"))
    };
    let call = number(&compute_run, "/instructions/call");
    let machine_per_vm = call as f64 / number(&compute_run, "/vm_instructions") as f64;
    let speed = number(&compute_run, "/instructions/all") as f64 / compute_time.as_secs_f64() / 1e6;
    let (vm_flash, image_flash) = flash_sizes();
    let (hello_size, load) =
        (fs::metadata(&hello).expect("just built").len(), number(&hello_run, "/instructions/load"));
    let rows = [
        ("hello_task.espb, stripped", format!("{hello_size} bytes"), "≤ 512"),
        ("flash of VM and verifier", format!("{vm_flash} bytes"), "≤ 40960"),
        ("flash of the whole firmware image", format!("{image_flash} bytes"), ""),
        (
            "linear memory that hello_task can have (--heap 200K)",
            format!("{} bytes", number(&greedy_run, "/memory/linear")),
            "≥ 204800",
        ),
        (
            "linear memory that it gets without asking, beside room for other modules",
            format!("{} bytes", number(&hello_run, "/memory/linear")),
            "",
        ),
        (
            "RAM of an instance beyond its declared memory, heap 4K",
            format!("{} bytes", number(&modest_run, "/memory/overhead")),
            "≤ 1536",
        ),
        (
            "the same for hello_task as it is (1/64 of the heap is bookkeeping)",
            format!("{} bytes", number(&hello_run, "/memory/overhead")),
            "",
        ),
        ("boot to the first task", format!("{} machine instructions", number(&hello_run, "/instructions/boot")), ""),
        (
            "verify and load hello_task, with all this memory",
            format!("{load} machine instructions, {:.1} for each byte of the module", load as f64 / hello_size as f64),
            "≤ 60 a byte",
        ),
        ("machine instructions per VM instruction (a fused pair is one), compute", format!("{machine_per_vm:.1}"), ""),
        ("emulator speed, compute *", format!("{speed:.0} million instructions a second"), "≥ 150"),
        (
            "espb build of hello_task *",
            format!("{} ms", build_time("tasks/hello_task", folder.path()).as_millis()),
            "≤ 150",
        ),
    ];
    let mut table = String::from("| figure | measured | aim |\n|---|---|---|\n");
    for (name, value, aim) in rows {
        table += &format!("| {name} | {value} | {aim} |\n");
    }
    table += "\n\\* depends on the machine; the others are exact.\n";
    println!("{table}");
    if env::var_os("ESPB_BLESS").is_some() {
        bless(&table);
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn espb<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_espb")).args(arguments).current_dir(root()).output().expect("espb runs");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn object_with(reason: &str, lines: &str) -> Value {
    let objects = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    objects.into_iter().find(|object| object["reason"] == reason).unwrap_or_else(|| panic!("no {reason} in\n{lines}"))
}

/// `make bench` has compiled the fixtures before.
fn ir(fixture: &str) -> PathBuf {
    root().join("build/fixtures").join(fixture).with_extension("ll")
}

fn module(fixture: &str, folder: &Path, options: &[&str]) -> PathBuf {
    let name = format!("{}{}.espb", fixture.replace('/', "_"), options.concat().replace(':', "_"));
    let output = folder.join(name);
    let mut arguments =
        vec!["build".into(), ir(fixture).into_os_string(), "-o".into(), output.clone().into_os_string()];
    arguments.extend(options.iter().map(|option| OsStr::new(option).to_owned()));
    espb(&arguments);
    output
}

/// The statistics of a run and the wall time of the fastest.
fn run(module: &Path, options: &[&str]) -> (Value, Duration) {
    let mut arguments: Vec<&OsStr> = ["run", "--stats", "--message-format", "json"].iter().map(OsStr::new).collect();
    arguments.extend(options.iter().map(OsStr::new));
    arguments.push(module.as_os_str());
    let mut fastest = Duration::MAX;
    let mut stats = Value::Null;
    for _ in 0..RUNS {
        let start = Instant::now();
        stats = object_with("stats", &espb(&arguments));
        fastest = fastest.min(start.elapsed());
    }
    (stats, fastest)
}

fn build_time(fixture: &str, folder: &Path) -> Duration {
    let fastest = (0..RUNS).map(|_| {
        let start = Instant::now();
        module(fixture, folder, &[]);
        start.elapsed()
    });
    fastest.min().unwrap_or_default()
}

/// Bytes of code and constants that belong to espb-vm and espb-format, and bytes that the image takes in flash.
fn flash_sizes() -> (u64, u64) {
    let bytes = fs::read(root().join("build/firmware/esp32c3.elf")).expect("make firmware was run");
    let elf = object::File::parse(&*bytes).expect("an ELF file");
    let ours = |name: &str| ["espb_vm", "espb_format", "espb_interpret"].iter().any(|part| name.contains(part));
    let vm = elf
        .symbols()
        .filter(|symbol| symbol.name().is_ok_and(ours) && matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Data))
        .filter(|symbol| {
            let section = symbol.section_index().and_then(|index| elf.section_by_index(index).ok());
            section.is_some_and(|section| section.kind() != object::SectionKind::UninitializedData)
        })
        .map(|symbol| symbol.size())
        .sum();
    let image = elf.segments().map(|segment| segment.file_range().1).sum();
    (vm, image)
}

fn bless(table: &str) {
    let path = root().join("README.md");
    let text = fs::read_to_string(&path).expect("the README");
    let start =
        text.find("<!-- figures:").and_then(|at| text[at..].find('\n').map(|end| at + end + 1)).expect("start marker");
    let end = text.find("<!-- end of figures").expect("end marker");
    fs::write(&path, format!("{}{table}{}", &text[..start], &text[end..])).expect("the README can be written");
}
