//! What commands print with `--message-format json` is what docs/devices.md says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::compile::root;
use crate::program::Finished;

/// The fields of each reason, in the form of the table: `name`, or `name?` if it may be null.
fn table() -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(root().join("docs/devices.md")).expect("the documentation is there");
    let (_, table) = text.split_once("| reason | fields |\n|---|---|\n").expect("a table of messages");
    let rows = table.lines().map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    rows.map(|(reason, fields)| (reason.into(), fields.split(", ").map(str::to_owned).collect())).collect()
}

/// Checks every object that a command printed.
pub fn check(finished: &Finished) {
    let table = table();
    for line in finished.stdout.lines() {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let object = object.as_object().unwrap_or_else(|| panic!("no object: {line}"));
        let reason = object.get("reason").and_then(Value::as_str).unwrap_or_else(|| panic!("no reason: {line}"));
        let fields = table.get(reason).unwrap_or_else(|| panic!("`{reason}` is not documented: {line}"));
        let wanted: BTreeSet<&str> = fields.iter().map(|field| field.trim_end_matches('?')).chain(["reason"]).collect();
        let optional =
            |name: &&str| reason == "diagnostic" && ["file", "line", "column", "offset", "function"].contains(name);
        let found: BTreeSet<&str> = object.keys().map(String::as_str).filter(|name| !optional(name)).collect();
        assert_eq!(found, wanted, "{line}");
        for (name, value) in object {
            assert!(!value.is_null() || fields.contains(&format!("{name}?")), "{name} may not be null: {line}");
        }
    }
}
