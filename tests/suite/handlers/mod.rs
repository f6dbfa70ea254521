//! The interpreter's code for each instruction is as short as docs/performance.md says (`make asm-report`).

mod path;

use std::collections::BTreeMap;
use std::path::Path;

/// Bytes of IRAM that the loop may take.
const MOST_BYTES: u32 = 16 * 1024;
const START: &str = "<!-- handlers: written by `ESPB_BLESS=1 make asm-report` -->\n";
const END: &str = "<!-- end of handlers -->";

/// What takes more than the document says, or uses the machine's stack (`*`) where it does not say so, is wrong: a register too many in
/// use, an address computed twice.
#[test]
fn no_instruction_takes_more_machine_instructions_than_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let elf = std::fs::read(root.join("build/firmware/esp32c3.elf")).expect("the firmware is built");
    let (paths, bytes) = path::paths(&elf).expect("the firmware has an interpreter");
    let mut rows: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for path in &paths {
        if let Some(instructions) = path.instructions {
            let spilled = if path.spills > 0 { "*" } else { "" };
            rows.entry(instructions).or_default().push(format!("`{}`{spilled}", path.code));
        }
    }
    let mut table = String::from("| machine instructions | instructions |\n|---|---|\n");
    for (instructions, names) in &rows {
        table += &format!("| {instructions} | {} |\n", names.join(" "));
    }
    println!("{table}{bytes} bytes");
    assert!(bytes <= MOST_BYTES, "{bytes} bytes of IRAM");
    let document = root.join("docs/performance.md");
    let text = std::fs::read_to_string(&document).expect("the document is there");
    let (before, rest) = text.split_once(START).expect("the start of the table");
    let (stated, after) = rest.split_once(END).expect("the end of the table");
    if std::env::var_os("ESPB_BLESS").is_some() {
        std::fs::write(&document, format!("{before}{START}{table}{END}{after}")).expect("the document can be written");
        return;
    }
    let limits: BTreeMap<&str, u32> = stated
        .lines()
        .filter_map(|row| row.trim_matches(['|', ' ']).split_once(" | "))
        .filter_map(|(count, names)| Some((count.parse().ok()?, names)))
        .flat_map(|(count, names)| names.split(' ').map(move |name| (name, count)))
        .collect();
    for (instructions, names) in &rows {
        for name in names {
            let limit = limits.get(name.as_str()).copied();
            assert!(limit.is_some_and(|limit| *instructions <= limit), "{name}: {instructions}, documented {limit:?}");
        }
    }
}
