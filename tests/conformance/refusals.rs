//! Which refusals are explained: the table of refusal classes in docs/conformance.md, so that the document and the test agree.

use std::fs;

use crate::module::Refusal;
use crate::root;

/// A documented class of refusals.
pub struct Class {
    code: String,
    /// Words that the message of such a refusal contains.
    words: String,
}

/// The documented classes: table rows that begin with a code and the words of its message, each in backquotes.
pub fn documented() -> Result<Vec<Class>, String> {
    let path = root().join("docs/conformance.md");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let class = |line: &str| {
        let (code, rest) = line.strip_prefix("| `espb::")?.split_once('`')?;
        let words = rest.split('`').nth(1)?;
        Some(Class { code: format!("espb::{code}"), words: words.to_owned() })
    };
    Ok(text.lines().filter_map(class).collect())
}

/// Whether every error of a refusal belongs to a documented class.
pub fn explain(classes: &[Class], refusal: &Refusal) -> bool {
    let explained = |(code, message): &(String, String)| {
        classes.iter().any(|class| class.code == *code && message.contains(&class.words))
    };
    !refusal.errors.is_empty() && refusal.errors.iter().all(explained)
}
