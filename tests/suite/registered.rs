//! What hints describe, the firmware has; what it has not is listed with its reason in docs/host-functions.md.

use std::collections::BTreeSet;
use std::fs;

use espb_hints::HintSet;
use object::{Object, ObjectSection, ObjectSymbol};

use crate::compile::root;

/// For each hint, in the order of their names, whether the image of the firmware has the function.
fn registered() -> Vec<bool> {
    let path = root().join("build/firmware/esp32c3.elf");
    let elf = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; run `make firmware`", path.display()));
    let elf = object::File::parse(elf.as_slice()).expect("an ELF file");
    let symbol = elf.symbols().find(|symbol| symbol.name() == Ok("espb_registered")).expect("the list's symbol");
    let section = symbol.section_index().and_then(|index| elf.section_by_index(index).ok()).expect("its section");
    let bytes = section.data_range(symbol.address(), symbol.size()).expect("readable").expect("within the section");
    bytes.iter().map(|byte| *byte != 0).collect()
}

/// The names in the table of functions that the firmware has not.
fn listed() -> BTreeSet<String> {
    let guide = fs::read_to_string(root().join("docs/host-functions.md")).expect("the guide");
    let (_, table) = guide.split_once("## What this firmware has not").expect("its section on missing functions");
    let rows = table.lines().take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| `"));
    let names = rows.flat_map(|row| {
        let columns: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert!(columns.len() == 2 && !columns[1].is_empty(), "a function without its reason: {row}");
        columns[0].split(", ").map(|name| name.trim_matches('`').to_owned()).collect::<Vec<_>>()
    });
    names.collect()
}

#[test]
fn what_hints_describe_the_firmware_has_or_the_guide_says_why_not() {
    let hints = HintSet::built_in().expect("hints without errors");
    let registered = registered();
    assert_eq!(hints.len(), registered.len(), "the firmware was built from other hints: run `make firmware`");
    let absent: BTreeSet<String> =
        hints.iter().zip(registered).filter(|(_, registered)| !registered).map(|(hint, _)| hint.name.clone()).collect();
    let listed = listed();
    let unexplained: Vec<_> = absent.difference(&listed).collect();
    let present: Vec<_> = listed.difference(&absent).collect();
    assert!(unexplained.is_empty(), "not in the firmware, and no reason in docs/host-functions.md: {unexplained:?}");
    assert!(present.is_empty(), "in docs/host-functions.md as missing, but not so: {present:?}");
}
