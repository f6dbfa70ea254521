//! `espb inspect`: what it says about a module agrees with the module.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde_json::Value;

use crate::program::{Finished, espb};

/// A large switch in one function.
const SWITCH: &str = "build/fixtures/kernels/tokenizer.ll";
/// Eight functions.
const FUNCTIONS: &str = "build/fixtures/language/data_and_tables.ll";

/// Builds a program and inspects the module.
fn inspect(program: &str, options: &[&str]) -> Finished {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let module = folder.path().join("app.espb");
    let built = espb(["build".into(), program.into(), "-o".into(), OsString::from(&module)]);
    assert_eq!(built.code, 0, "{}", built.transcript());
    let mut arguments = vec![OsString::from("inspect"), module.into()];
    arguments.extend(options.iter().map(OsString::from));
    let inspected = espb(arguments);
    assert_eq!(inspected.code, 0, "{}", inspected.transcript());
    inspected
}

fn numbers<'a>(stats: &'a Value, list: &str, name: &str, field: &str) -> BTreeMap<&'a str, u64> {
    let rows = stats[list].as_array().unwrap_or_else(|| panic!("no {list} in {stats}"));
    rows.iter().filter_map(|row| Some((row[name].as_str()?, row[field].as_u64()?))).collect()
}

#[test]
fn stats_count_what_the_listing_shows() {
    let all = inspect(SWITCH, &["--stats", "--disassemble", "--message-format", "json"]);
    let (stats, listing) = (&all.objects("stats")[0], &all.objects("disassembly")[0]);
    let mut listed: BTreeMap<&str, u64> = BTreeMap::new();
    for line in listing["text"].as_str().unwrap_or_default().lines() {
        // An instruction's line is its offset and its mnemonic; an entry of a jump table has a number and an arrow there.
        let mut words = line.split_whitespace();
        let is_code = line.starts_with("  ") && !line.contains(" -> ") && !line.contains(';');
        if let (true, Some(_), Some(mnemonic)) = (is_code, words.next(), words.next()) {
            // A plus joins it to the next instruction as a pair.
            *listed.entry(mnemonic.trim_end_matches('+')).or_default() += 1;
        }
    }
    assert_eq!(numbers(stats, "opcodes", "opcode", "count"), listed, "{}", all.transcript());
    assert!(listed.contains_key("switch"), "the fixture has a jump table: {listed:?}");
}

#[test]
fn stats_add_up_to_the_code_section() {
    let all = inspect(SWITCH, &["--stats", "--sections", "--message-format", "json"]);
    let stats = &all.objects("stats")[0];
    let sections = all.objects("sections")[0].clone();
    let code = sections["sections"].as_array().into_iter().flatten().find(|section| section["name"] == "code");
    let words = code.and_then(|section| section["bytes"].as_u64()).map(|bytes| bytes / 4);
    let sum = |list, name| Some(numbers(stats, list, name, "words").values().sum::<u64>());
    assert_eq!(sum("opcodes", "opcode"), words, "{stats}");
    assert_eq!(sum("functions", "function"), words, "{stats}");
}

#[test]
fn stats_show_the_largest_function_first() {
    let shown = inspect(FUNCTIONS, &["--stats"]).stdout;
    let table = shown.split("\nfunction").nth(1).unwrap_or_else(|| panic!("no table of functions in {shown}"));
    let words: Vec<u32> = table.lines().skip(1).filter_map(|row| row.split_whitespace().nth(2)?.parse().ok()).collect();
    assert!(words.len() > 1 && words.is_sorted_by(|first, next| first >= next), "{shown}");
}
