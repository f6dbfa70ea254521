//! Damage to a file that leaves most of it intact. Knows no IR beyond its words.

use crate::random::Random;

fn pick<'a>(random: &mut Random, words: &[&'a str]) -> &'a str {
    words[random.below(words.len())]
}

/// Words that change the meaning of IR where they replace another.
const WORDS: [&str; 44] = [
    "i1",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "i7",
    "ptr",
    "float",
    "double",
    "half",
    "void",
    "null",
    "undef",
    "poison",
    "zeroinitializer",
    "0",
    "-1",
    "1",
    "4294967295",
    "2147483648",
    "18446744073709551615",
    "3",
    "64",
    "add",
    "sdiv",
    "shl",
    "fadd",
    "load",
    "store",
    "call",
    "br",
    "ret",
    "volatile",
    "alloca",
    "inttoptr",
    "<4 x i32>",
    "[2 x i32]",
    "{ i32, i64 }",
    "external",
    "internal",
    "constant",
    "global",
    "weak",
];

/// Words of which each can stand for another of its row: the IR stays valid, and the translator gets to see it.
const KINDS: [&[&str]; 6] = [
    &["add", "sub", "mul", "shl", "lshr", "ashr", "and", "or", "xor", "udiv", "sdiv", "urem", "srem"],
    &["fadd", "fsub", "fmul", "fdiv", "frem"],
    &["eq", "ne", "ugt", "uge", "ult", "ule", "sgt", "sge", "slt", "sle"],
    &["zext", "sext"],
    &["0", "1", "-1", "2", "7", "31", "32", "255", "-128", "65536", "2147483647", "-2147483648"],
    &["nsw", "nuw", "exact", "inbounds", "noundef", "tail", "volatile"],
];

/// Copy `number` of `bytes` with one to four kinds of damage.
pub fn mutate(bytes: &[u8], text: bool, number: u64) -> Vec<u8> {
    // Seeds that differ in few bits give similar first numbers: spread them.
    let mut random = Random(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    random.number();
    let mut damaged = bytes.to_vec();
    if text && random.below(4) != 0 {
        for _ in 0..1 + random.below(8) {
            damaged = exchange(&damaged, &mut random);
        }
        return damaged;
    }
    for _ in 0..1 + random.below(4) {
        damaged = if text { damage_text(&damaged, &mut random) } else { damage_bytes(damaged, &mut random) };
    }
    damaged
}

/// Replaces one word of the code by another of its kind, or drops it if it is a flag.
fn exchange(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let kind = random.below(KINDS.len());
    let row = KINDS[kind];
    let known = |word: &str| row.contains(&word.trim_end_matches(','));
    let places: Vec<usize> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.starts_with("  ") && line.split(' ').any(known))
        .map(|(at, _)| at)
        .collect();
    if let Some(line) = places.get(random.below(places.len())).and_then(|at| lines.get_mut(*at)) {
        let flag = kind + 1 == KINDS.len();
        let other = if flag { "" } else { pick(random, row) };
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let fitting: Vec<usize> = words.iter().enumerate().filter(|(_, word)| known(word)).map(|(at, _)| at).collect();
        if let Some(word) = fitting.get(random.below(fitting.len())).and_then(|at| words.get_mut(*at)) {
            let comma = if word.ends_with(',') { "," } else { "" };
            *word = format!("{other}{comma}");
        }
        *line = words.join(" ");
    }
    let mut damaged = lines.join("\n").into_bytes();
    damaged.push(b'\n');
    damaged
}

fn damage_bytes(mut bytes: Vec<u8>, random: &mut Random) -> Vec<u8> {
    let length = bytes.len();
    match random.below(5) {
        0 => bytes.truncate(random.below(length)),
        1 => {
            let (from, to, count) = (random.below(length), random.below(length), random.below(64));
            let piece: Vec<u8> = bytes.iter().skip(from).take(count).copied().collect();
            for (place, byte) in bytes.iter_mut().skip(to).zip(piece) {
                *place = byte;
            }
        }
        _ => {
            for _ in 0..=random.below(3) {
                let at = random.below(length);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    bytes
}

fn damage_text(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (one, other) = (random.below(lines.len()), random.below(lines.len()));
    if lines.is_empty() {
        return Vec::new();
    }
    match random.below(10) {
        0 => drop(lines.remove(one)),
        1 => lines.swap(one, other),
        2 => lines.insert(other, lines[one].clone()),
        3 => return damage_bytes(bytes.to_vec(), random),
        4 | 5 => {
            // A word of another line.
            let words: Vec<&str> = lines[other].split(' ').collect();
            let word = pick(random, &words).to_owned();
            replace_word(&mut lines[one], &word, random);
        }
        _ => {
            let word = pick(random, &WORDS);
            replace_word(&mut lines[one], word, random);
        }
    }
    let mut damaged = lines.join("\n").into_bytes();
    damaged.push(b'\n');
    damaged
}

fn replace_word(line: &mut String, word: &str, random: &mut Random) {
    let mut words: Vec<&str> = line.split(' ').collect();
    let at = random.below(words.len());
    // A comma belongs to the place, not to the word.
    let comma = words[at].ends_with(',') && !word.ends_with(',');
    let word = if comma { format!("{word},") } else { word.to_owned() };
    words[at] = &word;
    *line = words.join(" ");
}
