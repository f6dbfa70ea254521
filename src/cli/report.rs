//! How diagnostics and results reach the user: text for people on stderr, or one JSON object a line on stdout.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode, SourceOffset};
use serde_json::{Value, json};

use super::exit::Exit;
use crate::diagnostic::{Diagnostic, Place, Severity};

/// The form of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MessageFormat {
    /// Text for people.
    #[default]
    Human,
    /// One JSON object a line, on stdout.
    Json,
}

/// Where messages go.
#[derive(Clone, Copy, Debug)]
pub struct Reporter {
    format: MessageFormat,
}

impl Reporter {
    /// A reporter of this form.
    pub fn new(format: MessageFormat) -> Self {
        Self { format }
    }

    /// Whether objects are wanted instead of text.
    pub fn is_json(self) -> bool {
        self.format == MessageFormat::Json
    }

    /// Prints one object on a line of stdout. A closed pipe is the reader's wish, not an error.
    pub fn object(self, object: &Value) {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{object}").and_then(|()| out.flush());
    }

    /// Prints bytes that were asked for, on stdout, at once.
    pub fn bytes(self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    }

    /// Prints a line of talk on stderr; silent in JSON.
    pub fn talk(self, text: &str) {
        if !self.is_json() {
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Passes on what another program said, on stderr.
    pub fn relay(self, messages: &[u8]) {
        let _ = io::stderr().write_all(messages);
    }

    /// Prints each diagnostic.
    pub fn diagnostics(self, diagnostics: &[Diagnostic]) {
        for diagnostic in diagnostics {
            self.diagnostic(diagnostic);
        }
    }

    /// Prints why an input is refused; gives the exit code for that.
    pub fn refuse(self, diagnostic: &Diagnostic) -> Exit {
        self.diagnostic(diagnostic);
        Exit::Input
    }

    /// Prints one diagnostic.
    pub fn diagnostic(self, diagnostic: &Diagnostic) {
        if self.is_json() {
            return self.object(&as_json(diagnostic));
        }
        let theme = if colour() { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let mut text = String::new();
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_width(100);
        if handler.render_report(&mut text, &Rendered::new(diagnostic)).is_ok() {
            let _ = write!(io::stderr(), "{}", text.trim_start_matches('\n'));
        }
    }
}

/// Whether stderr takes colours.
pub fn colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The JSON form: `reason`, `severity`, `code`, `message`, `help` and, where known, `file`, `line`, `column`, `offset`, `function`.
fn as_json(diagnostic: &Diagnostic) -> Value {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut object = json!({
        "reason": "diagnostic",
        "severity": severity,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "help": diagnostic.help,
    });
    match &diagnostic.place {
        Place::File(file) => object["file"] = json!(file),
        Place::Line { file, line, column } => {
            object["file"] = json!(file);
            object["line"] = json!(line);
            if *column > 0 {
                object["column"] = json!(column);
            }
        }
        Place::Offset { file, offset } => {
            object["file"] = json!(file);
            object["offset"] = json!(offset);
        }
        Place::Function(function) => object["function"] = json!(function),
        Place::None => {}
    }
    object
}

/// A diagnostic as miette wants it: with the source line, where the file can be read.
#[derive(Debug)]
struct Rendered<'a> {
    diagnostic: &'a Diagnostic,
    message: String,
    source: Option<(NamedSource<String>, LabeledSpan)>,
}

impl<'a> Rendered<'a> {
    fn new(diagnostic: &'a Diagnostic) -> Self {
        let source = match &diagnostic.place {
            Place::Line { file, line, column } => snippet(file, *line, *column),
            _ => None,
        };
        let message = match (&diagnostic.place, &source) {
            (Place::None, _) | (_, Some(_)) => diagnostic.message.clone(),
            (place, None) => format!("{place}: {}", diagnostic.message),
        };
        Self { diagnostic, message, source }
    }
}

/// Sources longer than this are named but not shown: reading them would cost more than it tells.
const LONGEST_SHOWN_SOURCE: u64 = 16 << 20;

fn snippet(file: &str, line: u32, column: u32) -> Option<(NamedSource<String>, LabeledSpan)> {
    if std::fs::metadata(file).ok()?.len() > LONGEST_SHOWN_SOURCE {
        return None;
    }
    let text = std::fs::read_to_string(file).ok()?;
    let length = text.lines().nth(line.checked_sub(1)? as usize)?.len();
    let start = SourceOffset::from_location(&text, line as usize, column.max(1) as usize).offset();
    let rest = length.saturating_sub(column.saturating_sub(1) as usize);
    let span = if column > 0 { rest.min(1) } else { length };
    Some((NamedSource::new(file, text), LabeledSpan::at(start..start + span, "here")))
}

impl std::fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Rendered<'_> {}

impl miette::Diagnostic for Rendered<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn std::fmt::Display + 'b>> {
        Some(Box::new(self.diagnostic.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn std::fmt::Display + 'b>> {
        if self.diagnostic.help.is_empty() { None } else { Some(Box::new(&self.diagnostic.help)) }
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|(source, _)| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.source.as_ref().map(|(_, label)| Box::new(std::iter::once(label.clone())) as Box<_>)
    }
}
