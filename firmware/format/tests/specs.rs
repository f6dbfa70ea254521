//! The tables in specs/ say what the code says. `ESPB_BLESS=1` rewrites them.

use std::path::Path;

use espb_format::container::SectionKind;
use espb_format::opcode::Opcode;
use espb_format::pair::Pair;

/// Compares the part of `file` between the two markers named `part` with `expected`, or rewrites it.
fn check(file: &str, part: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../specs").join(file);
    let text = std::fs::read_to_string(&path).expect("the specification is in the tree");
    let start = text
        .find(&format!("<!-- {part}:"))
        .and_then(|at| text[at..].find('\n').map(|end| at + end + 1))
        .expect("start marker");
    let end = text.find(&format!("<!-- end of {part}")).expect("end marker");
    if std::env::var_os("ESPB_BLESS").is_some() {
        std::fs::write(&path, format!("{}{expected}{}", &text[..start], &text[end..]))
            .expect("the specification can be written");
    } else {
        assert!(
            text[start..end] == *expected,
            "{file} differs from the code; run with ESPB_BLESS=1 and look at the difference"
        );
    }
}

#[test]
fn isa_lists_every_opcode() {
    let mut table = String::from("| code | mnemonic | operands | meaning |\n|---|---|---|---|\n");
    for opcode in Opcode::ALL {
        let operands: Vec<String> =
            opcode.operands().iter().map(|operand| format!("{operand:?}").replace(['(', ')'], "")).collect();
        table += &format!(
            "| {:#04x} | `{}` | {} | {} |\n",
            *opcode as u8,
            opcode.mnemonic(),
            operands.join(" "),
            opcode.meaning()
        );
    }
    check("isa.md", "opcodes", &table);
}

#[test]
fn isa_lists_every_pair() {
    let mut table =
        String::from("| code | first | second | field that names the register written |\n|---|---|---|---|\n");
    for pair in Pair::ALL {
        let field = ["", "*a*", "*b*", "*c*"][usize::from(pair.field)];
        table +=
            &format!("| {:#04x} | `{}` | `{}` | {field} |\n", pair.code, pair.first.mnemonic(), pair.second.mnemonic());
    }
    check("isa.md", "pairs", &table);
}

#[test]
fn format_lists_every_section() {
    let mut table = String::from("| kind | section | strippable |\n|---|---|---|\n");
    for kind in SectionKind::ALL {
        table +=
            &format!("| {} | {} | {} |\n", *kind as u16, kind.name(), if kind.is_strippable() { "yes" } else { "no" });
    }
    check("format.md", "sections", &table);
}
