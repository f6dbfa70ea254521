//! What the code generator promises: programs compute what C says, listings are as expected, refusals say where and why.

mod allocation;
mod calls;
mod floats;
mod fusion;
mod hoisting;
mod layout;
mod listing;
mod liveness;
mod lowering;
mod machine;
mod moves;
mod narrowing;
mod programs;
mod propagate;
mod random;
mod refusals;
mod spilling;
mod tasks;
mod text;
mod vectors;
mod widths;

use super::{ImportContracts, ImportMeta, Options, generate};
use crate::diagnostic::Diagnostic;
use crate::ir::{Input, Request, read};
use espb_format::signature::Signature;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Contracts that say nothing.
pub struct Silent;

impl ImportContracts for Silent {
    fn import(&self, _: &str, _: &Signature) -> Result<ImportMeta, Diagnostic> {
        Ok(ImportMeta::default())
    }
}

/// The header of an IR module for the target.
pub const HEADER: &str =
    "target datalayout = \"e-m:e-p:32:32-i64:64-n32-S128\"\ntarget triple = \"riscv32-esp-unknown-elf\"\n";

/// Translates IR text with `entry` as entry.
pub fn translate(ir: &str, entry: &str, strip: bool) -> Result<Vec<u8>, Vec<Diagnostic>> {
    let inputs = vec![Input { name: "test.ll".to_owned(), bytes: ir.as_bytes().to_vec() }];
    let program = read(&Request { inputs, roots: vec![entry.to_owned()] })?;
    generate(&program.module, &Silent, &Options { entry: Some(entry.to_owned()), strip, ..Options::default() })
}

/// IR as of a file that was compiled for size: LLVM leaves its loops as they are.
pub fn for_size(ir: &str) -> String {
    ir.replace(") {", ") optsize {").replace(") noinline {", ") noinline optsize {")
}

/// Runs clang.
fn clang(arguments: &[&str], source: &Path, output: &Path) {
    let status = Command::new("clang-22")
        .args(arguments)
        .arg(source)
        .arg("-o")
        .arg(output)
        .status()
        .expect("clang-22 is installed");
    assert!(status.success(), "clang-22 {arguments:?} {}", source.display());
}

/// C as IR for the target.
pub fn compile(folder: &Path, source: &str, level: &str) -> String {
    let (input, output) = (folder.join("program.c"), folder.join(format!("program{level}.ll")));
    std::fs::write(&input, source).expect("the folder can be written");
    let target = ["--target=riscv32-esp-elf", "-march=rv32imac", "-mabi=ilp32"];
    let options = [&target[..], &["-w", "-fwrapv", "-ffp-contract=off", "-S", "-emit-llvm", level]].concat();
    clang(&options, &input, &output);
    std::fs::read_to_string(output).expect("clang wrote it")
}

/// What C prints when this machine runs it.
pub fn natively(folder: &Path, source: &str) -> Vec<i64> {
    let (input, output): (PathBuf, PathBuf) = (folder.join("native.c"), folder.join("native"));
    let main = "#include <stdio.h>\nvoid out(long long v) { printf(\"%lld\\n\", v); }\nint main(void) { app_main(); return 0; }\n";
    std::fs::write(&input, format!("{source}\n{main}")).expect("the folder can be written");
    clang(&["-w", "-O1", "-fwrapv", "-ffp-contract=off"], &input, &output);
    let printed = Command::new(output).output().expect("it runs").stdout;
    String::from_utf8_lossy(&printed).lines().map(|line| line.parse().expect("a number a line")).collect()
}

/// What IR without a target prints when this machine runs it.
pub fn compile_ir(folder: &Path, ir: &str) -> Vec<i64> {
    let (program, main, output) = (folder.join("native.ll"), folder.join("main.c"), folder.join("native"));
    std::fs::write(&program, ir).expect("the folder can be written");
    let source = "#include <stdio.h>\nvoid out(long long v) { printf(\"%lld\\n\", v); }\nint app_main(void);\nint main(void) { return app_main(); }\n";
    std::fs::write(&main, source).expect("the folder can be written");
    let program = program.to_str().expect("a path in UTF-8");
    clang(&["-w", "-O1", program, "-lm"], &main, &output);
    let printed = Command::new(output).output().expect("it runs").stdout;
    String::from_utf8_lossy(&printed).lines().map(|line| line.parse().expect("a number a line")).collect()
}
