//! `espb.toml`: what a project sets once instead of on every command line. Its values become the defaults of options, so the
//! command line and the environment go before them.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Command;
use espb_image::Chip;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::build::Heap;
use super::files;
use super::size::ByteSize;
use crate::diagnostic::{Diagnostic, Place};

/// The file's name.
const FILE: &str = "espb.toml";

/// What the file may say. The port is missing: it belongs to a machine, not to a project.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    chip: Option<Written<Chip>>,
    entry: Option<String>,
    #[serde(default)]
    hints: Vec<PathBuf>,
    stack: Option<Written<ByteSize>>,
    shadow_stack: Option<Written<ByteSize>>,
    heap: Option<Written<Heap>>,
}

/// A value in the words of the command line; a number may stand without quotes.
#[derive(Debug)]
struct Written<T>(T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words<T>(PhantomData<T>);

        impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Words<T> {
            type Value = Written<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a number")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                text.parse().map(Written).map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                self.visit_str(&number.to_string())
            }
        }

        deserializer.deserialize_any(Words(PhantomData))
    }
}

/// A project's file.
#[derive(Debug)]
pub struct Project {
    file: PathBuf,
    settings: Settings,
}

impl Project {
    /// The file in `folder`, or in the nearest folder above that has one.
    pub fn find(folder: &Path) -> Result<Option<Self>, Diagnostic> {
        let found = folder.ancestors().map(|folder| folder.join(FILE)).find(|file| file.is_file());
        found.map(|file| Self::read(&file)).transpose()
    }

    fn read(file: &Path) -> Result<Self, Diagnostic> {
        let text = String::from_utf8_lossy(&files::read(file)?).into_owned();
        let settings = toml::from_str(&text).map_err(|error: toml::de::Error| {
            let place = match error.span() {
                Some(span) => {
                    let before = text.get(..span.start).unwrap_or_default();
                    let line = before.matches('\n').count() as u32 + 1;
                    let column = before.chars().rev().take_while(|letter| *letter != '\n').count() as u32 + 1;
                    Place::Line { file: file.display().to_string(), line, column }
                }
                None => Place::File(file.display().to_string()),
            };
            let help = match error.message().contains("unknown field `port`") {
                true => "the port belongs to this machine, not to the project: set ESPB_PORT, or name it with --port",
                false => "docs/devices.md lists what the project file may say",
            };
            Diagnostic::error("espb::cli::project", error.message().trim().to_owned(), place, help)
        })?;
        Ok(Self { file: file.into(), settings })
    }

    /// The command line with the project's values as defaults.
    pub fn apply(&self, command: Command) -> Command {
        let Settings { chip, entry, hints, stack, shadow_stack, heap } = &self.settings;
        let folder = self.file.parent().unwrap_or(Path::new("."));
        let text = |value: Option<String>| value.into_iter().map(OsString::from).collect::<Vec<_>>();
        let chip = text(chip.as_ref().map(|Written(chip)| chip.to_string()));
        let defaults = [
            ("chip", chip.clone()),
            ("run/emulate", chip),
            ("entry", text(entry.clone())),
            ("hints", hints.iter().map(|file| folder.join(file).into_os_string()).collect()),
            ("stack", text(stack.as_ref().map(|Written(size)| size.to_string()))),
            ("shadow_stack", text(shadow_stack.as_ref().map(|Written(size)| size.to_string()))),
            ("heap", text(heap.as_ref().map(|Written(heap)| heap.to_string()))),
            ("project", vec![self.file.clone().into_os_string()]),
        ];
        command.mut_subcommands(|command| {
            let name = command.get_name().to_owned();
            command.mut_args(|argument| {
                let id = argument.get_id().as_str();
                let ours =
                    |key: &str| key == id || key.strip_prefix(&name).is_some_and(|rest| rest == format!("/{id}"));
                match defaults.iter().find(|(key, values)| ours(key) && !values.is_empty()) {
                    Some((_, values)) => argument.default_values(values.clone()),
                    None => argument,
                }
            })
        })
    }
}

/// The folder in which the program was started.
pub fn here() -> PathBuf {
    std::env::current_dir().and_then(fs::canonicalize).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_in_the_words_of_the_command_line() {
        let text = "chip = 'esp32c3'\nstack = 8192\nheap = '4K:64K'\nhints = ['a.hints']\n";
        let settings: Settings = toml::from_str(text).expect("right");
        let stack = settings.stack.map(|Written(size)| size.to_string());
        assert_eq!((stack.as_deref(), settings.hints.len()), (Some("8K"), 1));
        for wrong in ["chip = 'z80'", "stack = '8KB'", "stack = true", "heap = '8K:4K'", "port = 'x'", "[chip]"] {
            assert!(toml::from_str::<Settings>(wrong).is_err(), "{wrong}");
        }
    }
}
