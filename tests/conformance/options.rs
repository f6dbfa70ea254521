//! The command line of the conformance test.

use std::path::{Path, PathBuf};
use std::thread;

use crate::csmith::PROGRAMS;

/// What to run.
pub struct Options {
    /// Everything, not only the part that belongs to `make test`.
    pub all: bool,
    /// How many random programs.
    pub random: u32,
    /// Where to write the report as JSON, an object a line.
    pub json: Option<PathBuf>,
    /// Cases at a time.
    pub jobs: usize,
    /// Measure how translating grows with the program, and nothing else.
    pub scale: bool,
    /// Measure the kernels, and nothing else.
    pub kernels: bool,
    /// Build and run the native side alone, to work on the corpus.
    pub native_only: bool,
    /// C or C++ files to run instead of the corpus.
    pub files: Vec<String>,
    /// Only cases whose name contains one of these; all if empty.
    filters: Vec<String>,
}

impl Options {
    /// Reads the arguments behind the program's name. Options of Rust's own test runner are not known here.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            all: false,
            random: 60,
            json: None,
            jobs: thread::available_parallelism().map_or(1, usize::from),
            native_only: false,
            scale: false,
            kernels: false,
            files: Vec::new(),
            filters: Vec::new(),
        };
        let mut random = None;
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
            match argument.as_str() {
                "--all" => options.all = true,
                "--random" => random = Some(number(&value()?)?),
                "--json" => options.json = Some(value()?.into()),
                "--jobs" => options.jobs = number(&value()?)?.max(1) as usize,
                "--scale" => options.scale = true,
                "--kernels" => options.kernels = true,
                "--native-only" => options.native_only = true,
                _ if argument.starts_with('-') => {
                    return Err(format!(
                        "{argument} is unknown; there are --all, --random N, --json FILE, --jobs N, --native-only, --scale, \
                         --kernels, files of your own, and parts of names"
                    ));
                }
                file if Path::new(file).is_file() => options.files.push(argument),
                _ => options.filters.push(argument),
            }
        }
        options.random = match random {
            Some(random) => random,
            None if !options.files.is_empty() => 0,
            None if options.all || options.scale => PROGRAMS,
            None => options.random,
        };
        Ok(options)
    }

    /// Whether this is the whole test, as `make conformance` runs it.
    pub fn is_whole(&self) -> bool {
        self.all && self.filters.is_empty() && self.random >= PROGRAMS && !self.native_only
    }

    /// Whether a case of this name was asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|part| name.contains(part))
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}
