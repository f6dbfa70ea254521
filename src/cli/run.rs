//! `espb run`: a module in the real firmware, here in an emulated chip.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use espb_format::container::Module;
use espb_image::Chip;
use espb_link::event::{Refusal, Value};
use espb_slots::Seal;
use serde_json::json;

use super::build::TranslateArgs;
use super::console::Console;
use super::exit::Exit;
use super::files;
#[cfg(feature = "emulate")]
use super::profile;
use super::push::token;
use super::report::Reporter;
use super::size::parse_duration;
use super::stats;
use super::verify::verify;
use crate::device::client::RefusedRequest;
#[cfg(feature = "emulate")]
use crate::device::emulated::{Count, EmulatedDevice};
use crate::device::session::{self, Companion, End, Outcome, Plan, PlannedArgument};
use crate::device::stream::StreamTransport;
use crate::device::transport::{DeviceError, Transport};
use crate::device::trap;
use crate::diagnostic::{Diagnostic, Place};

/// Run a module in the firmware, in an emulated chip
///
/// Ends with the entry's result (its low 8 bits) as exit code, with 101 if the module trapped, with 124 at the time limit.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A module, or LLVM IR to translate first
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Arguments of the entry, or of the function named by --call; behind `--` they may begin with a hyphen
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    arguments: Vec<String>,
    /// Run it in the RAM of the device behind this serial port, socket or tcp:HOST:PORT
    #[arg(long, value_name = "PORT", conflicts_with = "emulate")]
    port: Option<String>,
    /// The chip to emulate
    #[arg(long, value_name = "CHIP", default_value = "esp32c3")]
    emulate: Chip,
    /// Run this module beside FILE: loaded into RAM and started first. May be given several times
    #[arg(long, value_name = "OTHER")]
    with: Vec<PathBuf>,
    /// End successfully at this virtual time since reset, e.g. 5s
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    until: Option<Duration>,
    /// Give up with exit code 124 after this wall-clock time
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Stop the module after so many taken backward branches and calls
    #[arg(long, value_name = "N")]
    fuel: Option<u64>,
    /// Type the contents of FILE on the console once the module runs, and control-D at its end
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Call this export instead of the entry and print its result
    #[arg(long, value_name = "NAME")]
    call: Option<String>,
    /// Report instructions, virtual time and memory used
    #[arg(long)]
    stats: bool,
    #[cfg(feature = "emulate")]
    #[command(flatten)]
    board: super::board::BoardArgs,
    /// Report the opcodes that were executed, and what they cost
    #[cfg(feature = "emulate")]
    #[arg(long)]
    profile: bool,
    #[command(flatten)]
    translation: TranslateArgs,
}

/// Runs the command.
pub fn run(args: &RunArgs, reporter: Reporter) -> Exit {
    let files: Vec<&Path> = std::iter::once(&args.file).chain(&args.with).map(PathBuf::as_path).collect();
    let loaded: Result<Vec<_>, Exit> = files.iter().map(|file| load(args, file, reporter)).collect();
    let modules = match loaded {
        Ok(modules) => modules,
        Err(exit) => return exit,
    };
    let parsed: Result<Vec<_>, Diagnostic> = files
        .iter()
        .zip(&modules)
        .map(|(file, bytes)| verify(&file.display().to_string(), Seal::split(bytes).0))
        .collect();
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(diagnostic) => {
            return reporter.refuse(&diagnostic);
        }
    };
    // There is one more than those of --with.
    let (Some((bytes, others)), Some((module, other_modules))) = (modules.split_first(), parsed.split_first()) else {
        return Exit::Input;
    };
    let input = match input(args.input.as_deref()) {
        Ok(input) => input,
        Err(diagnostic) => {
            return reporter.refuse(&diagnostic);
        }
    };
    let mut device = match device(args, bytes) {
        Ok(device) => device,
        Err(diagnostic) => {
            reporter.diagnostic(&diagnostic);
            return if diagnostic.code == DEVICE { Exit::Device } else { Exit::Input };
        }
    };
    let mut console = Console::new(reporter);
    let outcome = session::run(device.as_mut(), &plan(args, bytes, others, input), &mut |text| console.write(text));
    console.finish();
    #[cfg(feature = "emulate")]
    if let Some(profile) = device.profile() {
        profile::show(reporter, &profile);
    }
    match outcome.and_then(|outcome| device.finish().map(|()| outcome)) {
        Ok(outcome) => {
            for (index, end) in &outcome.companions {
                if let (End::Trapped(report), Some(other)) = (end, other_modules.get(*index)) {
                    reporter.diagnostic(&trap::diagnostic(report, other));
                }
            }
            finish(args, reporter, module, &args.file.display().to_string(), &outcome)
        }
        Err(error) => fail(reporter, &error),
    }
}

/// The module: the file itself, or what the translator makes of it. Anything that does not begin like a module is taken for IR.
fn load(args: &RunArgs, file: &Path, reporter: Reporter) -> Result<Vec<u8>, Exit> {
    let is_ir = file.extension().is_some_and(|extension| extension == "ll" || extension == "bc");
    let loaded = if is_ir {
        args.translation.translate(std::slice::from_ref(&file.to_path_buf())).map(|built| {
            reporter.diagnostics(&built.warnings);
            built.module
        })
    } else {
        files::read(file).map_err(|error| vec![error])
    };
    loaded.map_err(|diagnostics| {
        reporter.diagnostics(&diagnostics);
        Exit::Input
    })
}

/// Code of what is wrong with the device, not with the input.
const DEVICE: &str = "espb::run::device";

fn fault(error: &DeviceError) -> Diagnostic {
    Diagnostic::error(DEVICE, error.message.clone(), Place::None, error.help.clone())
}

fn fail(reporter: Reporter, error: &DeviceError) -> Exit {
    reporter.diagnostic(&fault(error));
    Exit::Device
}

/// The device: the one behind a port, which runs already, or a chip that is emulated for this run.
fn device(args: &RunArgs, module: &[u8]) -> Result<Box<dyn Transport>, Diagnostic> {
    match &args.port {
        Some(port) => {
            let stream = StreamTransport::open(port, args.timeout).map_err(|error| fault(&error))?;
            Ok(Box::new(stream))
        }
        None => boot(args, module),
    }
}

#[cfg(feature = "emulate")]
fn boot(args: &RunArgs, module: &[u8]) -> Result<Box<dyn Transport>, Diagnostic> {
    let attached = args.board.attach()?;
    let count = match (args.profile, args.stats) {
        (true, _) => Count::Opcodes,
        (false, true) => Count::Instructions,
        (false, false) => Count::Nothing,
    };
    let device = EmulatedDevice::boot(args.emulate, module, args.timeout, count, attached);
    Ok(Box::new(device.map_err(|error| fault(&error))?))
}

#[cfg(not(feature = "emulate"))]
fn boot(_: &RunArgs, _: &[u8]) -> Result<Box<dyn Transport>, Diagnostic> {
    Err(fault(&DeviceError {
        message: "this espb was built without the emulated chip".into(),
        help: "build it with the feature `emulate`, which makes the binary a GPL-2.0 work".into(),
    }))
}

/// What `--input` has to be typed. A zero byte would open a frame of the link.
fn input(file: Option<&Path>) -> Result<Vec<u8>, Diagnostic> {
    let Some(file) = file else { return Ok(Vec::new()) };
    let mut typed = files::read(file)?;
    if let Some(offset) = typed.iter().position(|byte| *byte == 0) {
        return Err(Diagnostic::error(
            "espb::run::input",
            "nobody can type a zero byte",
            Place::Offset { file: file.display().to_string(), offset: u32::try_from(offset).unwrap_or(u32::MAX) },
            "the console carries text; give the module binary data in a slot, or through a function of its own",
        ));
    }
    typed.push(END_OF_TRANSMISSION);
    Ok(typed)
}

/// The host function that resets the device.
const RESTART: &str = "esp_restart";
/// Control-D.
const END_OF_TRANSMISSION: u8 = 4;

fn plan(args: &RunArgs, module: &[u8], others: &[Vec<u8>], input: Vec<u8>) -> Plan {
    let arguments = match args.call {
        Some(_) => args.arguments.iter().map(|text| parse_argument(text)).collect(),
        None => std::iter::once(name_of(&args.file))
            .chain(args.arguments.iter().cloned())
            .map(PlannedArgument::Text)
            .collect(),
    };
    let companions = args.with.iter().zip(others);
    Plan {
        module: args.port.is_some().then(|| module.to_vec()),
        call: args.call.clone(),
        arguments,
        fuel: args.fuel,
        allowed: args.translation.allowed().to_vec(),
        input,
        companions: companions
            .map(|(file, module)| Companion { module: module.clone(), name: name_of(file) })
            .collect(),
        token: args.port.as_ref().map_or(1, |_| token()),
        until: args.until,
        stats: args.stats,
    }
}

/// The first argument of a module's entry.
fn name_of(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// An argument of an export: an integer (decimal or 0x), a number with a fraction, or a string.
fn parse_argument(text: &str) -> PlannedArgument {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    if let Some(bits) = digits.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
        let value = bits as i64;
        return PlannedArgument::Integer(if negative { value.wrapping_neg() } else { value });
    }
    if let Ok(integer) = text.parse() {
        return PlannedArgument::Integer(integer);
    }
    let starts_like_a_number = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    match text.parse() {
        Ok(number) if starts_like_a_number => PlannedArgument::Number(number),
        _ => PlannedArgument::Text(text.to_string()),
    }
}

fn finish(args: &RunArgs, reporter: Reporter, module: &Module<'_>, file: &str, outcome: &Outcome) -> Exit {
    let exit = match &outcome.end {
        End::Exited(value) if args.call.is_some() => {
            print_result(reporter, value);
            Exit::Success
        }
        End::Exited(value) => Exit::Module(match value {
            Value::I32(result) => *result as u8,
            Value::I64(result) => *result as u8,
            Value::Void | Value::F32(_) | Value::F64(_) => 0,
        }),
        End::Trapped(report) => {
            reporter.diagnostic(&trap::diagnostic(report, module));
            Exit::Trapped
        }
        End::Refused(refused) => refuse(reporter, file, refused),
        End::TimeReached => Exit::Success,
        // The module has asked for it.
        End::Restarted if args.translation.allowed().iter().any(|name| name == RESTART) => Exit::Success,
        End::Restarted => fail(
            reporter,
            &DeviceError {
                message: "the device restarted".into(),
                help: "see above what it printed last; a module that calls esp_restart needs `--allow esp_restart`"
                    .into(),
            },
        ),
        End::Timeout => {
            let help = "give it more with --timeout, or end at a virtual time with --for";
            reporter.diagnostic(&Diagnostic::error(
                "espb::run::timeout",
                "the time limit was reached",
                Place::File(file.into()),
                help,
            ));
            Exit::Timeout
        }
    };
    if args.stats {
        stats::show(reporter, &outcome.figures);
    }
    if reporter.is_json() {
        reporter.object(&json!({ "reason": "finished", "exit_code": exit.code() }));
    }
    exit
}

fn print_result(reporter: Reporter, value: &Value) {
    let (kind, text, number) = match value {
        Value::Void => return,
        Value::I32(result) => ("i32", result.to_string(), json!(result)),
        Value::I64(result) => ("i64", result.to_string(), json!(result)),
        Value::F32(result) => ("f32", result.to_string(), json!(result)),
        Value::F64(result) => ("f64", result.to_string(), json!(result)),
    };
    if reporter.is_json() {
        reporter.object(&json!({ "reason": "result", "type": kind, "value": number }));
    } else {
        reporter.bytes(format!("{text}\n").as_bytes());
    }
}

fn refuse(reporter: Reporter, file: &str, refused: &RefusedRequest) -> Exit {
    let (code, help, exit) = match refused.kind {
        Refusal::Format => ("espb::run::format", "build the module again with `espb build`", Exit::Input),
        Refusal::Import => (
            "espb::run::import",
            "this firmware lacks the function or has another contract for it: see `espb inspect --contracts`",
            Exit::Input,
        ),
        Refusal::Memory => ("espb::run::memory", "build with less --stack, --heap or static data", Exit::Input),
        Refusal::Call => (
            "espb::run::call",
            "export the function with `espb build --export` and pass what its parameters take",
            Exit::Input,
        ),
        Refusal::Seal => (
            "espb::run::seal",
            "sign it with `espb sign`, with the key and a version that the device takes",
            Exit::Input,
        ),
        Refusal::Slot | Refusal::Request => {
            ("espb::run::refused", "build espb and its firmware again from one source", Exit::Device)
        }
    };
    let place = match refused.offset {
        Some(offset) => Place::Offset { file: file.into(), offset },
        None => Place::File(Path::new(file).display().to_string()),
    };
    reporter.diagnostic(&Diagnostic::error(
        code,
        format!("the firmware refused the module: {}", refused.reason),
        place,
        help,
    ));
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_exports_are_what_they_look_like() {
        use PlannedArgument::*;
        assert_eq!(parse_argument("-12"), Integer(-12));
        assert_eq!(parse_argument("0xffffffff"), Integer(0xffff_ffff));
        assert_eq!(parse_argument("1.5"), Number(1.5));
        assert_eq!(parse_argument("-1e3"), Number(-1000.0));
        assert_eq!(parse_argument("infinity"), Text("infinity".into()));
        assert_eq!(parse_argument(""), Text(String::new()));
    }
}
