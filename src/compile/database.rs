//! Compilation databases: which command compiles a file, as plain words.
//!
//! The format is that of clang's documentation, "JSON Compilation Database", as CMake and so ESP-IDF write it. What the
//! words mean is not decided here.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::diagnostic::{Diagnostic, Place};

/// The command of one file.
#[derive(Debug)]
pub struct Command {
    /// The folder that relative paths of the command start from.
    pub directory: PathBuf,
    /// The compiler and its arguments, response files replaced by what is in them.
    pub words: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    directory: PathBuf,
    file: PathBuf,
    command: Option<String>,
    arguments: Option<Vec<String>>,
}

/// Response files that name each other; real ones do not nest at all.
const DEEPEST_RESPONSE_FILE: usize = 8;

/// The first command of `source` in `database`.
pub fn find(database: &Path, source: &Path) -> Result<Command, Diagnostic> {
    let name = database.display().to_string();
    let text = fs::read(database).map_err(|error| {
        Diagnostic::error(
            "espb::compile::no_database",
            format!("cannot read the compilation database: {error}"),
            Place::File(name.clone()),
            "configure the project first: `idf.py reconfigure`, or cmake with -DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
        )
    })?;
    let entries: Vec<Entry> = serde_json::from_slice(&text).map_err(|error| {
        let line = u32::try_from(error.line()).unwrap_or(u32::MAX);
        let column = u32::try_from(error.column()).unwrap_or(0);
        Diagnostic::error(
            "espb::compile::bad_database",
            format!("this is no compilation database: {error}"),
            Place::Line { file: name.clone(), line, column },
            "name the compile_commands.json that cmake writes into the build folder",
        )
    })?;
    let wanted = whole(source);
    let Some(entry) = entries.iter().find(|entry| whole(&entry.directory.join(&entry.file)) == wanted) else {
        return Err(missing(&name, &entries, source));
    };
    let place = || Place::File(source.display().to_string());
    let words = match (&entry.arguments, &entry.command) {
        (Some(arguments), _) => arguments.clone(),
        (None, Some(command)) => split(command).ok_or_else(|| {
            Diagnostic::error(
                "espb::compile::bad_command",
                format!("a quote in the command that {name} has for this file is never closed"),
                place(),
                "let cmake write the database anew",
            )
        })?,
        (None, None) => {
            return Err(Diagnostic::error(
                "espb::compile::bad_command",
                format!("{name} names this file, but neither \"command\" nor \"arguments\""),
                place(),
                "let cmake write the database anew",
            ));
        }
    };
    let mut expanded = Vec::new();
    expand(words, &entry.directory, 0, &mut expanded)?;
    Ok(Command { directory: entry.directory.clone(), words: expanded })
}

/// The path by which a file is compared: without links where it exists.
fn whole(path: &Path) -> PathBuf {
    path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

fn missing(database: &str, entries: &[Entry], source: &Path) -> Diagnostic {
    let namesake = entries.iter().find(|entry| entry.file.file_name() == source.file_name());
    let help = match namesake {
        Some(entry) => format!("the database has {}: name that one", entry.directory.join(&entry.file).display()),
        None => "add the file to the project (SRCS of idf_component_register) and configure it again, or compile it \
                 with the command of another file: --like FILE"
            .to_owned(),
    };
    Diagnostic::error(
        "espb::compile::not_in_database",
        format!("this file is not among the {} of {database}", entries.len()),
        Place::File(source.display().to_string()),
        help,
    )
}

/// Splits as a shell does, without its variables and patterns.
fn split(text: &str) -> Option<Vec<String>> {
    shlex::split(text)
}

/// Puts the words of response files in the place of `@file`.
fn expand(words: Vec<String>, directory: &Path, depth: usize, expanded: &mut Vec<String>) -> Result<(), Diagnostic> {
    for word in words {
        let Some(file) = word.strip_prefix('@').filter(|file| !file.is_empty()) else {
            expanded.push(word);
            continue;
        };
        let file = directory.join(file);
        let refuse = |message: String, help: &str| {
            Err(Diagnostic::error(
                "espb::compile::response_file",
                message,
                Place::File(file.display().to_string()),
                help,
            ))
        };
        if depth == DEEPEST_RESPONSE_FILE {
            return refuse("response files name each other without end".into(), "let cmake write them anew");
        }
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => {
                return refuse(
                    format!("cannot read this file with options, which the compilation database names: {error}"),
                    "build the project once: that writes it",
                );
            }
        };
        match split(&text) {
            Some(words) => expand(words, directory, depth + 1, expanded)?,
            None => return refuse("a quote in it is never closed".into(), "let cmake write it anew"),
        }
    }
    Ok(())
}
