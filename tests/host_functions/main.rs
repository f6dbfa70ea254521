//! `make host-functions`: docs/host-functions.md as it stands. Its example and the group of fixtures/host-functions are added to a
//! copy of the firmware in build/host-functions, as the page says; that is built, and modules call what was added.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use espb::device::emulated::EmulatedDevice;
use espb::device::session::{self, End, Plan};
use espb_image::Chip;
use espb_link::event::Value;

const GUIDE: &str = "docs/host-functions.md";
/// What the firmware is built from.
const SOURCES: [&str; 5] = ["Cargo.toml", "Cargo.lock", "Makefile", "firmware", "hints"];

type Outcome<T> = Result<T, String>;

fn main() -> ExitCode {
    match walk_through() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn walk_through() -> Outcome<()> {
    let copy = root().join("build/host-functions");
    fs::create_dir_all(&copy).map_err(|error| format!("{}: {error}", copy.display()))?;
    for source in SOURCES {
        update(&root().join(source), &copy.join(source))?;
    }
    let guide = read(&root().join(GUIDE))?;
    let sensor = Addition {
        name: "sensor",
        hints: block(&guide, "hints", "[from")?.to_owned(),
        code: block(&guide, "rust", "//!")?.to_owned(),
    };
    let wide = Addition { name: "wide", hints: read(&fixture("wide.hints"))?, code: read(&fixture("wide.rs"))? };
    let registered = block(&guide, "rust", "mod sensor")?;
    let (declaration, entry) = registered.split_once('\n').ok_or("the guide shows both lines of mod.rs")?;
    let group = copy.join("firmware/device/src/host/mod.rs");
    let mut table = read(&group)?;
    for addition in [&sensor, &wide] {
        append(&copy.join("hints/esp-idf.hints"), &addition.hints)?;
        write(&copy.join(format!("firmware/device/src/host/{}.rs", addition.name)), &addition.code)?;
        table = table.replacen(
            "mod atomic;\n",
            &format!("mod atomic;\n{}\n", declaration.replace("sensor", addition.name)),
            1,
        );
        table = table.replacen(
            "    task::TABLE,\n",
            &format!("    task::TABLE,\n{}", entry.replace("sensor", addition.name)),
            1,
        );
    }
    write(&group, &table)?;
    build(&copy)?;

    let elf = fs::read(copy.join("build/firmware/esp32c3.elf")).map_err(|error| error.to_string())?;
    let image = espb_image::flash_image(&elf, Chip::Esp32c3).map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let program = folder.path().join("app.c");
    write(&program, block(&guide, "c", "#include")?)?;
    let added = folder.path().join("sensor.hints");
    write(&added, &sensor.hints)?;
    let expected = guide.split("it prints ").nth(1).and_then(|rest| rest.split('.').next()).unwrap_or_default();
    expect(&image.merged(), &program, Some(&added), &End::Exited(Value::I32(0)), &format!("{expected}\n"))?;

    let broken = folder.path().join("broken.c");
    write(&broken, &block(&guide, "c", "#include")?.replace("sensor_read(3,", "sensor_read(4,"))?;
    match run(&image.merged(), &module(&broken, Some(&added))?)? {
        (End::Trapped(trap), _) if trap.reason.contains("sensor_read: its contract forbids argument 0") => {}
        other => return Err(format!("a channel that there is not: {other:?}")),
    }

    let printed = read(&fixture("wide.expect"))?;
    let printed = printed.split_once("---\n").map(|(_, printed)| printed).unwrap_or_default();
    expect(&image.merged(), &fixture("wide.c"), Some(&fixture("wide.hints")), &End::Exited(Value::I32(0)), printed)?;

    let restarting = folder.path().join("restarting.c");
    write(&restarting, "void esp_restart(void);\nint app_main(void) { esp_restart(); return 1; }\n")?;
    expect(&image.merged(), &restarting, None, &End::Restarted, "")
}

/// A group of host functions.
struct Addition {
    name: &'static str,
    hints: String,
    code: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn fixture(name: &str) -> PathBuf {
    root().join("fixtures/host-functions").join(name)
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Outcome<()> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn append(path: &Path, text: &str) -> Outcome<()> {
    write(path, &format!("{}\n{text}", read(path)?))
}

/// The block of the guide in this language that begins so.
fn block<'g>(guide: &'g str, language: &str, begins: &str) -> Outcome<&'g str> {
    let fence = format!("```{language}\n");
    let mut blocks = guide.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next());
    blocks
        .find(|block| block.starts_with(begins))
        .ok_or_else(|| format!("{GUIDE} has no {language} that begins {begins}"))
}

/// Brings a copy up to date. Files that are the same keep their time, so that cargo does not compile them again; what was built stays.
fn update(from: &Path, to: &Path) -> Outcome<()> {
    let failed = |error: io::Error| format!("{}: {error}", from.display());
    if !from.is_dir() {
        let bytes = fs::read(from).map_err(failed)?;
        return match fs::read(to) {
            Ok(there) if there == bytes => Ok(()),
            _ => fs::copy(from, to).map(drop).map_err(failed),
        };
    }
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name != "target" {
            update(&from.join(&name), &to.join(&name))?;
        }
    }
    Ok(())
}

/// Builds the copy's firmware as the Makefile does, with a restricted function allowed.
fn build(copy: &Path) -> Outcome<()> {
    let compiler = env::var_os("FIRMWARE_RUSTC").unwrap_or_else(|| root().join("build/toolchain/bin/rustc").into());
    let mut command = Command::new("make");
    command.arg("-C").arg(copy).arg("build/firmware/esp32c3.elf").env("ESPB_ALLOW", "xTaskCatchUpTicks,esp_restart");
    // The variables of the make and the cargo that run this are not for that one.
    command.env_remove("MAKEFLAGS").env_remove("CARGO_TARGET_DIR");
    command.arg({
        let mut variable = std::ffi::OsString::from("FIRMWARE_RUSTC=");
        variable.push(compiler);
        variable
    });
    let output = command.output().map_err(|error| format!("make: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// The module of a program, built by the program that users have.
fn module(source: &Path, hints: Option<&Path>) -> Outcome<Vec<u8>> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (ir, output) = (folder.path().join("program.ll"), folder.path().join("program.espb"));
    let mut compile = Command::new(root().join("fixtures/compile"));
    compile.arg(source).arg(&ir).current_dir(root());
    let mut translate = Command::new(env!("CARGO_BIN_EXE_espb"));
    translate.arg("build").arg(&ir).arg("-o").arg(&output).args(["--strict", "--allow", "esp_restart"]);
    if let Some(hints) = hints {
        translate.arg("--hints").arg(hints);
    }
    for command in [&mut compile, &mut translate] {
        let done = command.output().map_err(|error| format!("{command:?}: {error}"))?;
        if !done.status.success() {
            return Err(format!("{command:?}\n{}", String::from_utf8_lossy(&done.stderr)));
        }
    }
    fs::read(output).map_err(|error| error.to_string())
}

/// Runs a module on the firmware in this flash.
fn run(flash: &[u8], module: &[u8]) -> Outcome<(End, String)> {
    let failed = |error: espb::device::transport::DeviceError| error.message;
    let mut device = EmulatedDevice::with_flash(Chip::Esp32c3, flash.to_vec()).map_err(failed)?;
    let plan = Plan { module: Some(module.to_vec()), ..Plan::default() };
    let mut text = Vec::new();
    let outcome = session::run(&mut device, &plan, &mut |bytes| text.extend_from_slice(bytes)).map_err(failed)?;
    Ok((outcome.end, String::from_utf8_lossy(&text).into_owned()))
}

fn expect(flash: &[u8], source: &Path, hints: Option<&Path>, end: &End, printed: &str) -> Outcome<()> {
    let found = run(flash, &module(source, hints)?)?;
    if found.0 == *end && found.1 == printed {
        return Ok(());
    }
    Err(format!("{}: expected {end:?} and\n{printed}\nfound {:?} and\n{}", source.display(), found.0, found.1))
}
