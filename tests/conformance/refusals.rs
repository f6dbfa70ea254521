//! Which refusals are explained: the table of refusal classes in docs/conformance.md, so that the document and the test agree.

use std::fs;

use crate::root;

/// The codes of the documented classes.
pub fn documented() -> Result<Vec<String>, String> {
    let path = root().join("docs/conformance.md");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.lines().filter_map(|line| line.strip_prefix("| `espb::")?.split_once('`')).map(|(code, _)| format!("espb::{code}")).collect())
}
