//! What a module's code consists of, for people and programs: the answer to `espb inspect --stats`. Never: counting itself.

use espb_format::census::{Census, Share, census};
use espb_format::container::Module;
use espb_format::disassembler::function_name;
use serde_json::{Value, json};

/// Functions that the table for people lists; JSON lists all.
const LARGEST: usize = 20;

/// As an object with `reason` `stats`.
pub fn object(module: &Module<'_>) -> Value {
    let Census { total, opcodes, functions } = census(module);
    let opcodes: Vec<Value> = opcodes
        .iter()
        .map(
            |(opcode, share)| json!({ "opcode": opcode.mnemonic(), "count": share.instructions, "words": share.words }),
        )
        .collect();
    let functions: Vec<Value> = functions
        .iter()
        .map(|(index, share)| {
            let frame = module.function(*index);
            json!({
                "function": function_name(module, *index),
                "instructions": share.instructions,
                "words": share.words,
                "slots": frame.map(|frame| frame.slots),
                "linear_frame": frame.map(|frame| frame.linear_frame),
            })
        })
        .collect();
    json!({
        "reason": "stats",
        "instructions": total.instructions,
        "words": module.code_words(),
        "opcodes": opcodes,
        "functions": functions,
    })
}

/// As two tables: opcodes and the largest functions.
pub fn text(module: &Module<'_>) -> String {
    let Census { total, opcodes, functions } = census(module);
    let percent = |share: &Share| f64::from(share.words) * 100.0 / f64::from(total.words.max(1));
    let mut text = format!(
        "{} instructions in {} words of 4 bytes, {} functions\n\n{:<10} {:>7} {:>7} {:>7}\n",
        total.instructions,
        total.words,
        functions.len(),
        "opcode",
        "count",
        "words",
        "of all"
    );
    for (opcode, share) in &opcodes {
        text += &format!(
            "{:<10} {:>7} {:>7} {:>5.1} %\n",
            opcode.mnemonic(),
            share.instructions,
            share.words,
            percent(share)
        );
    }
    text += &format!(
        "\n{:<28} {:>7} {:>7} {:>7} {:>6} {:>12}\n",
        "function", "count", "words", "of all", "slots", "stack bytes"
    );
    for (index, share) in functions.iter().take(LARGEST) {
        let (slots, stack) = module.function(*index).map_or((0, 0), |frame| (frame.slots, frame.linear_frame));
        text += &format!(
            "{:<28} {:>7} {:>7} {:>5.1} % {slots:>6} {stack:>12}\n",
            function_name(module, *index),
            share.instructions,
            share.words,
            percent(share),
        );
    }
    if let Some(more) = functions.len().checked_sub(LARGEST).filter(|more| *more > 0) {
        text += &format!("and {more} smaller functions\n");
    }
    text
}
