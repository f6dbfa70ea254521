//! C and C++ to LLVM IR, through the same script that makes the fixtures, and the search for compilers.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::case::Case;
use crate::root;

/// The compilers at hand and the folders they need.
pub struct Tools {
    /// The kernel's header files.
    kernel_include: PathBuf,
    /// The compiler of the fixtures.
    pub clang: (PathBuf, String),
    /// Other clangs whose IR users have: those of build/corpus/clang, and Debian's clang 19.
    pub other_clangs: Vec<(PathBuf, String)>,
}

/// What a case's files are given to the translator as. The same module must come of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Bitcode.
    Bitcode,
    /// Text.
    Text,
    /// One file as text, the next as bitcode.
    Mixed,
    /// Bitcode for `riscv32-unknown-elf` in place of `riscv32-esp-elf`.
    OtherTriple,
}

impl Form {
    /// All of them.
    pub const ALL: [Form; 4] = [Form::Bitcode, Form::Text, Form::Mixed, Form::OtherTriple];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Form::Bitcode => "bitcode",
            Form::Text => "text",
            Form::Mixed => "text and bitcode",
            Form::OtherTriple => "bitcode for riscv32-unknown-elf",
        }
    }

    fn is_bitcode(self, index: usize) -> bool {
        match self {
            Form::Bitcode | Form::OtherTriple => true,
            Form::Text => false,
            Form::Mixed => index % 2 == 1,
        }
    }

    /// Keeps the files of both triples apart.
    fn mark(self) -> &'static str {
        if self == Form::OtherTriple { "-unknown" } else { "" }
    }
}

impl Tools {
    /// Looks for them.
    pub fn find() -> Result<Self, String> {
        let clang = (PathBuf::from("clang-22"), String::from("clang-22"));
        let mut other_clangs = Vec::new();
        let fetched = root().join("build/corpus/clang");
        for entry in fs::read_dir(fetched).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            other_clangs.push((entry.path(), name));
        }
        let debian = String::from("clang-19");
        if other_clangs.iter().all(|(_, name)| *name != debian)
            && Command::new(&debian).arg("--version").output().is_ok()
        {
            other_clangs.push((PathBuf::from(&debian), debian));
        }
        other_clangs.sort();
        Ok(Self { kernel_include: kernel_include()?, clang, other_clangs })
    }

    /// Compiles every file of a case to IR in its folder.
    pub fn to_ir(&self, case: &Case, folder: &Path, form: Form) -> Result<Vec<PathBuf>, String> {
        if let Some((command, output)) = &case.program.generator
            && !output.is_file()
        {
            succeed(Command::new(&command[0]).args(&command[1..]))?;
        }
        let mut outputs = Vec::new();
        for (index, source) in case.program.sources.iter().enumerate() {
            let name = source.path.file_stem().unwrap_or_default().to_string_lossy();
            let bitcode = form.is_bitcode(index);
            let output = folder.join(format!("{index:02}-{name}{}.{}", form.mark(), if bitcode { "bc" } else { "ll" }));
            let mut command = Command::new(root().join("fixtures/compile"));
            command.arg(&source.path).arg(&output);
            command.env("CLANG", &case.compiler.0).env("KERNEL_INCLUDE", &self.kernel_include);
            // The sources of others have their own opinion about warnings.
            command.args(["-w", "-I", "fixtures/corpus/include", &format!("-{}", case.level)]);
            command.arg(if case.debug { "-g" } else { "-g0" });
            if form == Form::OtherTriple {
                command.arg("--target=riscv32-unknown-elf");
            }
            succeed(command.args(&source.options))?;
            outputs.push(output);
        }
        Ok(outputs)
    }
}

/// Where cargo has the crate that carries the kernel; asked once, because asking takes a while.
fn kernel_include() -> Result<PathBuf, String> {
    let manifest = root().join("firmware/device/Cargo.toml");
    let arguments = ["metadata", "--format-version", "1", "--manifest-path"].map(OsStr::new);
    let text = succeed(Command::new(env!("CARGO")).args(arguments).arg(manifest))?;
    let metadata: Value = serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages
        .filter(|package| package["name"] == "freertos-next")
        .find_map(|package| Path::new(package["manifest_path"].as_str()?).parent())
        .map(|folder| folder.join("FreeRTOS-Kernel/include"))
        .ok_or_else(|| String::from("the crate freertos-next is not among the firmware's dependencies"))
}

/// Runs a command from the root of the repository; its stdout, or what it complained about.
pub fn succeed(command: &mut Command) -> Result<String, String> {
    let output = command.current_dir(root()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{command:?}\n{}", String::from_utf8_lossy(&output.stderr)))
    }
}
