//! The hints that a build uses: those that come with espb, then the user's files in the order given.

use crate::diagnostic::{Diagnostic, Place};
use espb_hints::{HintError, HintSet};
use std::path::Path;

/// Stable code of a line that the grammar does not know.
const SYNTAX: &str = "espb::contracts::hint_syntax";
/// Stable code of a file that cannot be read.
const UNREADABLE: &str = "espb::contracts::unreadable_hints";

/// Reads the built-in hints and lays the user's files over them: a later file wins.
///
/// # Errors
/// Each file that cannot be read, and each line of each file that is not understood.
pub fn load<P: AsRef<Path>>(files: &[P]) -> Result<HintSet, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let mut all = HintSet::built_in().unwrap_or_else(|found| {
        errors.extend(found.iter().map(syntax));
        HintSet::default()
    });
    for path in files {
        let name = path.as_ref().display().to_string();
        match std::fs::read(path) {
            Err(error) => errors.push(unreadable(name, error.to_string())),
            Ok(bytes) => match String::from_utf8(bytes) {
                Err(_) => errors.push(unreadable(name, "it is not UTF-8 text".to_owned())),
                Ok(text) => match HintSet::parse(&name, &text) {
                    Ok(hints) => all.overlay(hints),
                    Err(found) => errors.extend(found.iter().map(syntax)),
                },
            },
        }
    }
    if errors.is_empty() { Ok(all) } else { Err(errors) }
}

fn syntax(error: &HintError) -> Diagnostic {
    Diagnostic::error(SYNTAX, error.message.clone(), place(error), error.help.clone())
}

fn unreadable(name: String, why: String) -> Diagnostic {
    let help = "give --hints the path of a hints file; specs/hints.md says what is in one";
    Diagnostic::error(UNREADABLE, format!("cannot read the hints file: {why}"), Place::File(name), help)
}

/// Where a hints file is wrong.
pub(super) fn place(error: &HintError) -> Place {
    Place::Line { file: error.file.to_string(), line: error.line, column: error.column }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_user_s_line_replaces_the_built_in_one() {
        let own = file(b"vTaskDelay(i64 ticks)\nblink(i32 pin)\n");
        let hints = load(&[own.path()]).unwrap();
        assert_eq!(hints.get("vTaskDelay").unwrap().text, "vTaskDelay(i64 ticks)");
        assert!(hints.get("blink").is_some() && hints.get("xTaskCreate").is_some());
    }

    #[test]
    fn an_error_in_line_three_is_shown_there() {
        let bad = file(b"# ours\nblink(i32 pin)\nblonk: out 0 sise 4\n");
        let errors = load(&[bad.path()]).unwrap_err();
        let [error] = &errors[..] else { panic!("{errors:?}") };
        assert_eq!(error.code, SYNTAX);
        let file = bad.path().display().to_string();
        assert_eq!(error.place, Place::Line { file, line: 3, column: 14 });
    }

    #[test]
    fn files_that_are_no_text_or_not_there_are_named() {
        let bytes = file(&[0xFF, 0xFE]);
        let missing = bytes.path().with_extension("missing");
        let errors = load(&[bytes.path(), &missing]).unwrap_err();
        let codes: Vec<&str> = errors.iter().map(|error| error.code).collect();
        assert_eq!(codes, [UNREADABLE; 2]);
        assert_eq!(errors[1].place, Place::File(missing.display().to_string()));
    }
}
