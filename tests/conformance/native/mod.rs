//! The native side: the case's IR as one RV32IMC object, linked with a bare-metal runtime and picolibc, in the emulated core.

mod machine;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object, ObjectSection};

use crate::case::Case;
use crate::compile::{Tools, succeed};
use crate::root;

/// Code for the ESP32-C3. Debian's picolibc and libgcc have no such variant; theirs without compressed code fits.
const TARGET: [&str; 3] = ["--target=riscv32-unknown-elf", "-march=rv32imc", "-mabi=ilp32"];
const PICOLIBC: &str = "/usr/lib/picolibc/riscv64-unknown-elf";
const VARIANT: &str = "rv32im/ilp32";

/// How a program ended.
#[derive(Clone, Debug)]
pub struct NativeRun {
    /// Everything it printed.
    pub stdout: Vec<u8>,
    /// How it ended.
    pub end: NativeEnd,
    /// Executed instructions, exactly, the runtime's included.
    pub instructions: u64,
    /// Bytes of the program's own code, without the C library.
    pub code: u64,
}

/// Why it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NativeEnd {
    /// It returned or called exit.
    Exited(u8),
    /// The limit was reached.
    TooLong,
    /// It did what the machine cannot carry out.
    Crashed(String),
}

/// What all native programs share.
pub struct Toolchain {
    runtime: PathBuf,
    libgcc: PathBuf,
}

impl Toolchain {
    /// Compiles the runtime and finds the libraries.
    pub fn prepare(tools: &Tools) -> Result<Self, String> {
        let folder = root().join("build/conformance");
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let runtime = folder.join("runtime.o");
        let mut command = Command::new(&tools.clang.0);
        command.args(TARGET).args(["-Os", "-ffunction-sections", "-fdata-sections", "-isystem"]);
        command.arg(format!("{PICOLIBC}/include")).args(["-c", "fixtures/corpus/native/runtime.c", "-o"]).arg(&runtime);
        succeed(&mut command)?;
        let mut ask = Command::new("riscv64-unknown-elf-gcc");
        let libgcc = succeed(ask.args(["-march=rv32im", "-mabi=ilp32", "-print-libgcc-file-name"]))?;
        Ok(Self { runtime, libgcc: PathBuf::from(libgcc.trim()) })
    }

    /// Compiles, links and runs the IR of a case.
    pub fn run(&self, tools: &Tools, case: &Case, ir: &[PathBuf], folder: &Path) -> Result<NativeRun, String> {
        let executable = self.build(tools, case, ir, folder)?;
        let bytes = fs::read(&executable).map_err(|error| format!("{}: {error}", executable.display()))?;
        let file = object::File::parse(&*bytes).map_err(|error| format!("{}: {error}", executable.display()))?;
        let code = file.section_by_name(".program").map_or(0, |section| section.size());
        let (stdout, end, instructions) = machine::run(&file, case.program.native_limit)?;
        Ok(NativeRun { stdout, end, instructions, code })
    }

    fn build(&self, tools: &Tools, case: &Case, ir: &[PathBuf], folder: &Path) -> Result<PathBuf, String> {
        let (linked, program, executable) =
            (folder.join("linked.bc"), folder.join("program.o"), folder.join("native.elf"));
        // One file needs no linking, and llvm-link 22 crashes on some bitcode of clang 18 that clang reads.
        let linked = match ir {
            [only] => only.clone(),
            _ => {
                succeed(Command::new("llvm-link-22").args(ir).arg("-o").arg(&linked))?;
                linked
            }
        };
        let mut compile = Command::new(&tools.clang.0);
        compile.args(TARGET).args(["-Wno-override-module", "-ffunction-sections", "-fdata-sections", "-g0"]);
        succeed(compile.arg(format!("-{}", case.level)).arg("-c").arg(&linked).arg("-o").arg(&program))?;
        let mut link = Command::new("ld.lld-22");
        link.args(["--gc-sections", "-T", "fixtures/corpus/native/link.ld"]);
        link.arg(format!("--defsym=program_entry={}", case.program.entry)).arg(&self.runtime).arg(&program);
        link.arg(format!("-L{PICOLIBC}/lib/{VARIANT}"))
            .args(["--start-group", "-lc"])
            .arg(&self.libgcc)
            .arg("--end-group");
        succeed(link.arg("-o").arg(&executable))?;
        Ok(executable)
    }
}
