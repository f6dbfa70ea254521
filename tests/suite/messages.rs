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

/// The type of each field.
fn types() -> BTreeMap<String, String> {
    let text = fs::read_to_string(root().join("docs/devices.md")).expect("the documentation is there");
    let (_, table) = text.split_once("| type | fields |\n|---|---|\n").expect("a table of types");
    let rows = table.lines().map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    rows.flat_map(|(kind, fields)| fields.split(", ").map(move |field| (field.to_owned(), kind.to_owned()))).collect()
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "text" => value.is_string(),
        "number" => value.is_number(),
        "yes or no" => value.is_boolean(),
        "list" => value.is_array(),
        _ => false,
    }
}

/// Checks every object that a command printed.
pub fn check(finished: &Finished) {
    let (table, types) = (table(), types());
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
            let kind = types.get(name).map_or("text", String::as_str);
            assert!(value.is_null() || is_of(value, kind), "{name} is no {kind}: {line}");
            assert!(!value.is_null() || fields.contains(&format!("{name}?")), "{name} may not be null: {line}");
        }
    }
}

#[test]
fn every_field_in_the_table_of_messages_has_a_type() {
    let types = types();
    for (reason, fields) in table() {
        for field in fields {
            assert!(types.contains_key(field.trim_end_matches('?')), "{reason}: {field} has no type");
        }
    }
}
