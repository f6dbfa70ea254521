//! What calls between module and firmware cost, in executed machine instructions of the emulated chip: `make bench-calls`.
//!
//! Counts are exact and the same on every machine. The modules are `fixtures/life/costs.c` and the kernels.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use espb::chip::Machine;
use espb::device::client::{Client, Heard, Message};
use espb::device::emulated::{Attached, Count, EmulatedDevice};
use espb_format::container::{Module, SectionKind};
use espb_image::Chip;
use espb_link::event::Loaded;
use espb_link::request::{Argument, Call, Request, Start};
use espb_link::{InstanceId, Source};

/// Virtual time in which a call must have ended.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a thunk of the firmware.
const THUNK: u32 = 8;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let exports = ["loop", "host_calls", "module_calls", "callbacks"];
    let costs = build("fixtures/life/costs.c", folder.path(), &exports);
    let mut device = boot(&costs);
    let thunks = device.symbol("espb_thunks").expect("the firmware's thunks").start;
    let interpreter = device.symbol("espb_interpret").expect("the interpreter").start;
    let allocator = device.symbol("pvPortMalloc").expect("the allocator").start;

    let idle = per_round(&mut device, "loop");
    let host_call = per_round(&mut device, "host_calls") - idle;
    let module_call = per_round(&mut device, "module_calls") - idle;
    let (callback, stack) = callback(&mut boot(&costs), thunks);
    let start = start(&mut boot(&costs), allocator, interpreter);

    println!("| figure | measured | aim |\n|---|---|---|");
    let row = |name: &str, value: String, aim: &str| println!("| {name} | {value} | {aim} |");
    row("a call of a host function that takes and gives values, and back", instructions(host_call), "≤ 150");
    row("a call of a function of the module, and back", instructions(module_call), "≤ 60");
    row("a callback from native code into the module, and back", instructions(callback), "≤ 300");
    row("native stack that a callback needs", format!("{stack} bytes"), "≤ 1024");
    row("from the main task's first allocation to the module's first instruction", instructions(start), "≤ 20000");
    for kernel in kernels() {
        let module = build(&format!("fixtures/kernels/{kernel}.c"), folder.path(), &[]);
        let loaded = load(&mut Client::new(&mut boot(&module)));
        let bytes = std::fs::read(&module).expect("just built").len();
        let memory = u64::from(loaded.linear_memory);
        row(
            &format!(
                "verify and load {kernel}: {bytes} bytes, {} of them code, {memory} bytes of memory",
                code(&module)
            ),
            format!("{:.1} instructions a byte", loaded.load_instructions as f64 / bytes as f64),
            "≤ 60",
        );
    }
}

/// The names of all kernels.
fn kernels() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("fixtures/kernels")).expect("the kernels");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let sources = paths.filter(|path| path.extension().is_some_and(|extension| extension == "c"));
    let mut names: Vec<_> =
        sources.map(|path| path.file_stem().expect("a file name").to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn instructions(count: u64) -> String {
    format!("{count} instructions")
}

fn code(module: &Path) -> usize {
    let bytes = std::fs::read(module).expect("just built");
    Module::parse(&bytes).expect("just built").section(SectionKind::Code).len()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compiles a fixture with a small heap and these functions as exports.
fn build(source: &str, folder: &Path, exports: &[&str]) -> PathBuf {
    let ir = folder.join(Path::new(source).file_stem().expect("a file name")).with_extension("ll");
    let module = ir.with_extension("espb");
    run(Command::new(root().join("fixtures/compile")).arg(source).arg(&ir));
    let mut command = Command::new(env!("CARGO_BIN_EXE_espb"));
    command.arg("build").arg(&ir).arg("-o").arg(&module).args(["--heap", "16K:16K", "--strip"]);
    for export in exports {
        command.args(["--export", export]);
    }
    run(&mut command);
    module
}

fn run(command: &mut Command) {
    let output = command.current_dir(root()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn boot(module: &Path) -> EmulatedDevice {
    let bytes = std::fs::read(module).expect("just built");
    let mut device =
        EmulatedDevice::boot(Chip::Esp32c3, &bytes, None, Count::Nothing, Attached::default()).expect("it boots");
    hear(&mut Client::new(&mut device), |message| matches!(message, Message::Hello { .. }).then_some(()));
    device
}

fn hear<T>(client: &mut Client<'_>, wanted: impl Fn(&Message) -> Option<T>) -> T {
    let deadline = client.transport().now() + PATIENCE;
    client.transport().set_deadline(Some(deadline));
    loop {
        match client.receive(&mut |_| {}).expect("the chip goes on") {
            Heard::Message(Message::Refused(refused), _) => panic!("refused: {}", refused.reason),
            Heard::Message(message, _) => {
                if let Some(found) = wanted(&message) {
                    return found;
                }
            }
            other => panic!("no answer: {other:?}"),
        }
    }
}

fn load(client: &mut Client<'_>) -> Loaded {
    client
        .send(&Request::Load { source: Source::Newest, allowed: heapless::Vec::new() })
        .expect("the chip takes bytes");
    hear(client, |message| if let Message::Loaded(loaded) = message { Some(*loaded) } else { None })
}

/// Calls a function; gives the machine instructions of the whole chip meanwhile.
fn call(client: &mut Client<'_>, instance: InstanceId, function: &str, argument: i64) -> u64 {
    let arguments = [Argument::Integer(argument)].into_iter().collect();
    let start = Start { instance, call: Call::Export(function), arguments, fuel: None, detached: true };
    client.send(&Request::Start(start)).expect("the chip takes bytes");
    hear(client, |message| if let Message::Exited(exited) = message { Some(exited.instructions) } else { None })
}

/// Machine instructions of a round of a function of `costs.c`, the tick's share left in.
fn per_round(device: &mut EmulatedDevice, function: &str) -> u64 {
    const ROUNDS: i64 = 20_000;
    let mut client = Client::new(device);
    let instance = load(&mut client).instance;
    let once = call(&mut client, instance, function, ROUNDS);
    let twice = call(&mut client, instance, function, 2 * ROUNDS);
    client.send(&Request::Stop { instance }).expect("the chip takes bytes");
    hear(&mut client, |message| (*message == Message::Stopped(instance)).then_some(()));
    (twice - once) / ROUNDS as u64
}

/// Machine instructions between the entry of a thunk and the return from it, and bytes of native stack that were written below the
/// caller's: of the callback that took least, which no interrupt came into.
fn callback(device: &mut EmulatedDevice, thunks: u32) -> (u64, u32) {
    let measured = Rc::new(RefCell::new(Vec::new()));
    let (found, mut entered) = (measured.clone(), None);
    device.watch(
        &[thunks, thunks + THUNK],
        Box::new(move |machine: &mut Machine| {
            let (link, stack) = (machine.register(1), machine.register(2));
            match entered.take() {
                None => {
                    // What is deeper than this the callback does not reach: a pattern tells how deep it did.
                    entered = Some((machine.instructions(), stack));
                    machine.store(stack - DEEPEST, &[PATTERN; DEEPEST as usize]);
                    machine.set_breakpoints(&[thunks, thunks + THUNK, link]);
                }
                Some((before, stack)) => {
                    machine.set_breakpoints(&[thunks, thunks + THUNK]);
                    let below = machine.memory(stack - DEEPEST, DEEPEST as usize).unwrap_or_default();
                    let untouched = below.iter().take_while(|byte| **byte == PATTERN).count() as u32;
                    found.borrow_mut().push((machine.instructions() - before, DEEPEST - untouched));
                }
            }
        }),
    );
    let mut client = Client::new(device);
    let instance = load(&mut client).instance;
    call(&mut client, instance, "callbacks", 100);
    let measured = measured.borrow();
    assert!(measured.len() > 90, "only {} callbacks", measured.len());
    *measured.iter().min().expect("not empty")
}

/// Bytes below the stack pointer that are looked at, less than the timer task has.
const DEEPEST: u32 = 2048;
const PATTERN: u8 = 0xa5;

/// From the first allocation that follows `Start` to the interpreter.
fn start(device: &mut EmulatedDevice, allocator: u32, interpreter: u32) -> u64 {
    let instance = load(&mut Client::new(device)).instance;
    let measured = Rc::new(RefCell::new((None, None)));
    let found = measured.clone();
    device.watch(
        &[allocator, interpreter],
        Box::new(move |machine: &mut Machine| {
            let mut found = found.borrow_mut();
            let now = Some(machine.instructions());
            if machine.pc() == interpreter {
                found.1 = found.1.or(now);
            } else {
                found.0 = found.0.or(now);
            }
        }),
    );
    call(&mut Client::new(device), instance, "loop", 1);
    match *measured.borrow() {
        (Some(first), Some(last)) => last - first,
        other => panic!("the main task did not run: {other:?}"),
    }
}
