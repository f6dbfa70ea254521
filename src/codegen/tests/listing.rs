//! Listings that a test can state: a module's code without offsets, with labels where branches go.

use super::{HEADER, Silent, for_size};
use crate::codegen::{Options, generate};
use crate::ir::{Input, Request, read};
use espb_format::container::Module;
use espb_format::disassembler;

/// The code that the function `f` of a module becomes, and behind it that of the functions it calls.
fn listing(body: &str) -> String {
    let inputs = vec![Input { name: "test.ll".to_owned(), bytes: format!("{HEADER}{}", for_size(body)).into_bytes() }];
    let program = read(&Request { inputs, roots: vec!["f".to_owned()] }).unwrap_or_else(|all| panic!("{all:#?}"));
    let options = Options { entry: None, exports: vec!["f".to_owned()], ..Options::default() };
    let module = generate(&program.module, &Silent, &options).unwrap_or_else(|all| panic!("{all:#?}"));
    // Without the marks of pairs: what is a pair follows from the code and from nothing else.
    labelled(&disassembler::module(&Module::parse(&module).expect("well-formed")).replace("+ ", " "))
}

/// Replaces offsets by labels, so that a change of one instruction is a change of one line.
fn labelled(listing: &str) -> String {
    let lines: Vec<(Option<&str>, String)> = listing
        .lines()
        .map(|line| match line.trim().split_once("  ") {
            Some((offset, code)) if u32::from_str_radix(offset, 16).is_ok() => (Some(offset), one_spaced(code)),
            _ => (None, one_spaced(line)),
        })
        .collect();
    let target = |code: &str| {
        let branches = ["b", "addb", "incb"].iter().any(|start| code.starts_with(start)) && code.contains(", ");
        let goes = code.contains("->") || code.starts_with("jmp ") || branches;
        let last = code.split(' ').next_back().filter(|last| goes && last.len() >= 4)?;
        lines.iter().any(|(offset, _)| *offset == Some(last)).then(|| last.to_owned())
    };
    let mut targets: Vec<String> = lines.iter().filter_map(|(_, code)| target(code)).collect();
    targets.sort();
    targets.dedup();
    let label =
        |offset: &str| targets.iter().position(|target| target == offset).map(|index| format!("L{}", index + 1));
    let mut text = String::new();
    for (offset, code) in &lines {
        if let Some(label) = offset.and_then(label) {
            text += &format!("{label}:\n");
        }
        let code = match target(code) {
            Some(offset) => code.replace(&offset, &label(&offset).unwrap_or_default()),
            None => code.clone(),
        };
        if !code.is_empty() {
            text += &format!("{code}\n");
        }
    }
    text
}

fn one_spaced(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Holds the listing of a module to `expected`, in which white space does not count.
pub fn becomes(body: &str, expected: &str) {
    let listing = listing(body);
    let expected: Vec<String> = expected.lines().map(one_spaced).filter(|line| !line.is_empty()).collect();
    assert!(listing.lines().eq(expected.iter()), "{body}\nbecomes\n{listing}");
}
