//! The line table: which C line a word of code comes from. Strippable; for diagnostics only.
//!
//! Layout (specs/format.md): ULEB128 number of files; their names, NUL-terminated; then rows by ascending code word:
//! ULEB128 of (words since the last row × 2 + 1 if the file changes), ULEB128 file index if it changes, ULEB128 of the zigzag-coded line difference.
//! Line 0 says that no line is known. A row holds until the next.

/// A place in the C source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLine<'a> {
    /// File name as the compiler was given it.
    pub file: &'a str,
    /// Line, from 1.
    pub line: u32,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Option<u32> {
        let mut value = 0u32;
        for shift in (0..32).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn text(&mut self) -> Option<&'a str> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let (text, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        core::str::from_utf8(text).ok()
    }
}

/// The source line of a code word; `None` where the table is missing, damaged or silent.
pub fn lookup(table: &[u8], word: u32) -> Option<SourceLine<'_>> {
    let mut reader = Reader(table);
    let files = reader.number()?;
    let names = Reader(reader.0);
    for _ in 0..files {
        reader.text()?;
    }
    let (mut at, mut file, mut line) = (0u32, 0u32, 0u32);
    let mut found = None;
    while !reader.0.is_empty() {
        let step = reader.number()?;
        at = at.checked_add(step >> 1)?;
        if at > word {
            break;
        }
        if step & 1 != 0 {
            file = reader.number()?;
        }
        let difference = reader.number()?;
        line = line.wrapping_add((difference >> 1) ^ (difference & 1).wrapping_neg());
        found = Some((file, line));
    }
    let (file, line) = found.filter(|(_, line)| *line != 0)?;
    let mut names = names;
    for _ in 0..file {
        names.text()?;
    }
    if file >= files {
        return None;
    }
    Some(SourceLine { file: names.text()?, line })
}

/// Builds a line table.
#[cfg(any(test, feature = "std"))]
#[derive(Clone, Debug, Default)]
pub struct LineTableBuilder {
    files: std::vec::Vec<std::string::String>,
    rows: std::vec::Vec<u8>,
    last: (u32, u32, u32),
    any: bool,
}

#[cfg(any(test, feature = "std"))]
impl LineTableBuilder {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// The index of this file, entered once.
    pub fn file(&mut self, name: &str) -> u32 {
        if let Some(index) = self.files.iter().position(|file| file == name) {
            return index as u32;
        }
        self.files.push(name.replace('\0', ""));
        self.files.len() as u32 - 1
    }

    /// From code word `word` on, the source is `line` of `file`; line 0 where none is known. Words must not descend.
    pub fn row(&mut self, word: u32, file: u32, line: u32) {
        let (last_word, last_file, last_line) = self.last;
        if self.any && (file, line) == (last_file, last_line) {
            return;
        }
        let changes = file != last_file;
        push_number(&mut self.rows, (word - last_word) << 1 | u32::from(changes));
        if changes {
            push_number(&mut self.rows, file);
        }
        let difference = line.wrapping_sub(last_line) as i32;
        push_number(&mut self.rows, ((difference << 1) ^ (difference >> 31)) as u32);
        self.last = (word, file, line);
        self.any = true;
    }

    /// The bytes; empty where no row was added.
    pub fn finish(self) -> std::vec::Vec<u8> {
        if !self.any {
            return std::vec::Vec::new();
        }
        let mut table = std::vec::Vec::new();
        push_number(&mut table, self.files.len() as u32);
        for file in &self.files {
            table.extend_from_slice(file.as_bytes());
            table.push(0);
        }
        table.extend_from_slice(&self.rows);
        table
    }
}

#[cfg(any(test, feature = "std"))]
fn push_number(bytes: &mut std::vec::Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_finds_the_row_that_holds_for_it() {
        let mut table = LineTableBuilder::new();
        let (main, header) = (table.file("main.c"), table.file("inline.h"));
        table.row(2, main, 10);
        table.row(3, header, 700);
        table.row(200, main, 9);
        table.row(201, main, 0);
        let table = table.finish();
        let at = |word| lookup(&table, word).map(|place| (place.file, place.line));
        assert_eq!(at(1), None);
        assert_eq!(at(2), Some(("main.c", 10)));
        assert_eq!(at(3), Some(("inline.h", 700)));
        assert_eq!(at(199), Some(("inline.h", 700)));
        assert_eq!(at(200), Some(("main.c", 9)));
        assert_eq!(at(900), None);
    }

    #[test]
    fn a_damaged_table_is_silent() {
        assert_eq!(lookup(&[], 0), None);
        assert_eq!(lookup(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80], 0), None);
        assert_eq!(lookup(&[1, b'a', 0, 1, 5, 2], 0), None);
    }
}
