//! Whatever the bytes of a module, the firmware goes on: damaged copies of real modules, each in the slot of an emulated chip of its own
//! that boots the real firmware.
//!
//! Then generated modules, on this host's virtual machine and on the chip's, which must do the same, and frames over the link.
//!
//!     cargo test --release --test attack -- [COUNT [FIRST]]
//!     cargo test --release --test attack -- --frames COUNT [FIRST]
//!
//! Copy number `n` follows from `n` alone, so a failure is repeated with `-- 1 n`. A copy that did harm stays in `build/attack`.

mod chip;
mod differential;
mod frames;
#[path = "../shared/mutant.rs"]
mod mutant;
#[path = "../shared/random.rs"]
mod random;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use chip::{Outcome, attack};
use random::Random;

/// Copies of a run that says nothing else: what `make test` affords.
const COUNT: u64 = 100;
/// Frames of a run that says nothing else.
const FRAMES: u64 = 8_192;
/// Copies for each generated module that is compared.
const COPIES_PER_MODULE: u64 = 25;
/// Programs that between them use most of the host functions and opcodes.
const SOURCES: [&str; 14] = [
    "tasks/hello_task.c",
    "tasks/timers.c",
    "tasks/synchronisation.c",
    "tasks/out_params.c",
    "tasks/logging.c",
    "scheduling/preemption.c",
    "language/classes.cpp",
    "language/compute.c",
    "language/data_and_tables.c",
    "bad/endless_loop.c",
    "esp-idf/console.c",
    "esp-idf/events.c",
    "esp-idf/uart_loopback.c",
    "freertos/static_objects.c",
];

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let count = numbers.first().copied().unwrap_or(COUNT);
    let first = numbers.get(1).copied().unwrap_or(0);
    let folder = root().join("build/attack");
    fs::create_dir_all(&folder).expect("build/ is writable");
    if std::env::args().any(|argument| argument == "--frames") {
        let done = attack_with_frames(&folder, numbers.first().copied().unwrap_or(FRAMES), first);
        return if done { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let modules: Vec<Vec<u8>> = SOURCES.iter().map(|source| module_of(source, &folder)).collect();

    let next = AtomicU64::new(first);
    let tally = Mutex::new([0u64; Outcome::COUNT]);
    // The latest heartbeat and the copy beside which it came.
    let worst = Mutex::new((0, first));
    let failures = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= first.saturating_add(count) {
                        break;
                    }
                    let bytes = copy(&modules, number);
                    match attack(&bytes, number.is_multiple_of(2)) {
                        Ok(survived) => {
                            tally.lock().expect("no worker panics")[survived.outcome as usize] += 1;
                            let mut worst = worst.lock().expect("no worker panics");
                            *worst = (*worst).max((survived.heartbeat_delay, number));
                        }
                        Err(harm) => {
                            let kept = folder.join(format!("{number}.espb"));
                            fs::write(&kept, &bytes).expect("build/attack is writable");
                            failures.lock().expect("no worker panics").push(format!("copy {number}: {harm}"));
                        }
                    }
                }
            });
        }
    });

    let failures = failures.into_inner().expect("no worker panics");
    for failure in &failures {
        eprintln!("{failure}");
    }
    let (delay, beside) = worst.into_inner().expect("no worker panics");
    let [exited, trapped, refused, stopped] = tally.into_inner().expect("no worker panics");
    println!(
        "attack: {count} damaged modules on the emulated chip: {exited} ran to their end, {trapped} trapped, {refused} were refused, \
         {stopped} were stopped; the heartbeat was at most {delay} microseconds late, beside copy {beside}; {} did harm",
        failures.len()
    );
    // A run of some length must have reached both sides of the verifier, or it shows nothing.
    let reached = count < COUNT || (exited + trapped + stopped > count / 10 && refused > count / 10);
    let same = compare(first, count.div_ceil(COPIES_PER_MODULE));
    let frames = attack_with_frames(&folder, FRAMES, first);
    if failures.is_empty() && reached && same && frames { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the firmware goes on after so many frames, and answers some.
fn attack_with_frames(folder: &Path, count: u64, first: u64) -> bool {
    let module = module_of(SOURCES[1], folder);
    match frames::attack(&module, count, first) {
        Ok(answers) => {
            println!("attack: {count} frames to one emulated chip: {answers} events came back, none did harm");
            answers > count / 10
        }
        Err(harm) => {
            eprintln!("{harm}");
            false
        }
    }
}

/// Whether `count` generated modules do the same on both machines.
fn compare(first: u64, count: u64) -> bool {
    let (mut returned, mut trapped, mut differences) = (0, 0, 0);
    for number in first..first.saturating_add(count) {
        match differential::compare(number) {
            Ok((ends, traps)) => {
                returned += ends;
                trapped += traps;
            }
            Err(difference) => {
                eprintln!("{difference}");
                differences += 1;
            }
        }
    }
    println!(
        "attack: {count} generated modules on two machines: {returned} programs returned, {trapped} trapped, {differences} modules differ"
    );
    differences == 0 && returned + trapped > 0
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn copy(modules: &[Vec<u8>], number: u64) -> Vec<u8> {
    let mut random = Random((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let original = &modules[random.below(modules.len())];
    if random.below(3) > 0 { mutant::mutate_code(original, &mut random) } else { mutant::mutate(original, &mut random) }
}

fn module_of(source: &str, folder: &Path) -> Vec<u8> {
    let ir = folder.join(source.replace(['/', '.'], "_")).with_extension("ll");
    let module = ir.with_extension("espb");
    run(Command::new(root().join("fixtures/compile")).arg(PathBuf::from("fixtures").join(source)).arg(&ir));
    run(Command::new(env!("CARGO_BIN_EXE_espb")).arg("build").arg(&ir).arg("-o").arg(&module));
    fs::read(&module).expect("the module just built")
}

fn run(command: &mut Command) {
    let output = command.current_dir(root()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}
