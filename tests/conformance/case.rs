//! What is run: a program, and the way it becomes LLVM IR.

use std::path::PathBuf;
use std::sync::Arc;

/// A C or C++ file with the compiler options that it alone needs.
#[derive(Clone, Debug)]
pub struct Source {
    /// Relative to the root of the repository, or absolute.
    pub path: PathBuf,
    /// Options such as `-DNAME` and `-I FOLDER`.
    pub options: Vec<String>,
}

/// A program that prints what it computed.
#[derive(Clone, Debug)]
pub struct Program {
    /// Where it comes from: `fixture`, `language`, `third-party`, `random`.
    pub group: &'static str,
    /// Its name within the group.
    pub name: String,
    /// Its files.
    pub sources: Vec<Source>,
    /// The command that writes a source file, and the file.
    pub generator: Option<(Vec<String>, PathBuf)>,
    /// Its first function: `app_main` or `main`.
    pub entry: &'static str,
    /// Options for `espb build`, such as a larger stack.
    pub build: Vec<String>,
    /// More native instructions than these, and it is not run as a module.
    pub native_limit: u64,
}

/// One way through the compiler.
#[derive(Clone, Debug)]
pub struct Case {
    /// The program.
    pub program: Arc<Program>,
    /// The compiler that makes the IR: a command and a short name such as `clang-22`.
    pub compiler: (PathBuf, String),
    /// `O0`, `O1`, `O2` or `Os`.
    pub level: &'static str,
    /// With debug information.
    pub debug: bool,
    /// Hold the modules that come of other forms of the IR to this one's.
    pub forms: bool,
}

impl Case {
    /// For people and filters: `third-party/lua clang-22 Os`.
    pub fn name(&self) -> String {
        let debug = if self.debug { " g" } else { "" };
        format!("{}/{} {} {}{debug}", self.program.group, self.program.name, self.compiler.1, self.level)
    }

    /// A folder of its own for what it makes.
    pub fn folder(&self) -> PathBuf {
        crate::root().join("build/conformance").join(self.name().replace(['/', ' '], "-"))
    }
}
