//! C to LLVM IR for the tests, through the same script that `make` uses.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository; commands run here and source paths are relative to it.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compiles `source` (a path relative to the root, or absolute) to IR text in `folder`.
///
/// # Panics
/// When clang refuses it: a fixture that does not compile is a failed test.
pub fn to_ir(source: &Path, folder: &Path) -> PathBuf {
    to_ir_with(source, folder, &[])
}

/// The same with further options for clang.
///
/// # Panics
/// As `to_ir`.
pub fn to_ir_with(source: &Path, folder: &Path, options: &[&str]) -> PathBuf {
    let name = source.file_stem().expect("a source file has a name");
    let output = folder.join(name).with_extension("ll");
    run(Command::new(root().join("fixtures/compile")).arg(source).arg(&output).args(options));
    output
}

/// Turns IR text into bitcode beside it, with the same clang as `fixtures/compile`.
pub fn to_bitcode(ir: &Path) -> PathBuf {
    let output = ir.with_extension("bc");
    let clang = env::var_os("CLANG").unwrap_or_else(|| "clang-22".into());
    run(Command::new(clang)
        .args(["-Wno-override-module", "-x", "ir", "-c", "-emit-llvm"])
        .arg(ir)
        .arg("-o")
        .arg(&output));
    output
}

fn run(command: &mut Command) {
    let output = command.current_dir(root()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}
