//! The headers that a cross compiler brings by itself: those of its C library, which a compilation database does not name.
//!
//! Asks the compiler; one that cannot be asked has none.

use std::path::{Path, PathBuf};
use std::process::{self, Stdio};

use super::database::Command;

/// Programs that the real compiler may stand behind.
const LAUNCHERS: [&str; 3] = ["ccache", "sccache", "distcc"];
/// Beginnings of options by which a compiler chooses its folders.
const CHOOSING: [&str; 5] = ["-m", "-specs=", "--specs=", "--sysroot=", "--target="];
/// Machines whose C library fits a module: it runs with 32-bit pointers and without an operating system.
const MACHINES: [&str; 2] = ["riscv", "xtensa"];

/// Folders with headers of the library that the compiler of `command` uses, in the order of search.
pub fn of_compiler(command: &Command, cpp: bool) -> Vec<PathBuf> {
    let launched =
        |word: &&String| !Path::new(word).file_stem().is_some_and(|stem| LAUNCHERS.iter().any(|name| stem == *name));
    let Some(compiler) = command.words.iter().find(launched) else { return Vec::new() };
    let choosing = |word: &&String| CHOOSING.iter().any(|beginning| word.starts_with(beginning));
    let ask = |question: &[&str]| {
        let mut program = process::Command::new(compiler);
        program.args(command.words.iter().filter(choosing)).args(question);
        // The words that are looked for below must be English.
        program.current_dir(&command.directory).env("LC_ALL", "C").stdin(Stdio::null());
        program.output().ok().filter(|output| output.status.success())
    };
    let machine = ask(&["-dumpmachine"]).map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    if !machine.is_some_and(|machine| MACHINES.iter().any(|known| machine.starts_with(known))) {
        return Vec::new();
    }
    let language = if cpp { "c++" } else { "c" };
    let Some(output) = ask(&["-E", "-v", "-x", language, "-"]) else { return Vec::new() };
    searched(&String::from_utf8_lossy(&output.stderr))
        .map(|folder| command.directory.join(folder))
        .filter(|folder| !is_of_the_compiler(folder))
        .collect()
}

/// The folders in what `gcc -v` and `clang -v` say.
fn searched(said: &str) -> impl Iterator<Item = &str> {
    let after = said.lines().skip_while(|line| !line.starts_with("#include <...>")).skip(1);
    after.take_while(|line| line.starts_with(' ')).map(str::trim)
}

/// Headers that belong to the compiler and not to the library; clang has its own.
fn is_of_the_compiler(folder: &Path) -> bool {
    folder.join("stdarg.h").is_file() || folder.file_name().is_some_and(|name| name == "include-fixed")
}
