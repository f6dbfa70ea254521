//! Modules from text. A line is `label:`, or a mnemonic of the opcode table and its operands: registers as `r5`, targets as labels or
//! numbers, all else as numbers. `.entry LABEL` is an entry of the jump table in front of it. `;` starts a comment.

use std::collections::HashMap;

use espb_format::container::{Function, Limits, NONE, Relocation, RelocationKind, SectionKind};
use espb_format::instruction::{Instruction, extension_word};
use espb_format::opcode::Opcode;
use espb_format::signature::{Signature, ValType};
use espb_format::thread_local::ThreadLocal;
use espb_format::writer::ModuleWriter;

/// A signature from letters: `i` and `l` integers of 32 and 64 bits, `f` and `d` floats, then `:` and the result's letter or nothing.
/// A `…` before the colon makes it variadic.
pub fn signature(text: &str) -> Signature {
    let (params, result) = text.split_once(':').expect("a signature has a colon");
    let variadic = params.ends_with('…');
    let letter = |letter: char| match letter {
        'i' => ValType::I32,
        'l' => ValType::I64,
        'f' => ValType::F32,
        'd' => ValType::F64,
        other => panic!("{other} is no type"),
    };
    let params: Vec<ValType> = params.trim_end_matches('…').chars().map(letter).collect();
    Signature::new(&params, result.chars().next().map(letter), variadic).expect("at most 24 parameters")
}

/// The words of a function.
fn assemble(text: &str) -> Vec<u32> {
    let lines: Vec<&str> =
        text.lines().map(|line| line.split(';').next().unwrap_or("").trim()).filter(|line| !line.is_empty()).collect();
    let mut labels = HashMap::new();
    let mut position = 0;
    for line in &lines {
        match line.strip_suffix(':') {
            Some(label) => drop(labels.insert(label, position)),
            None if line.starts_with('.') => position += 1,
            None => position += i64::from(opcode(line).words()),
        }
    }
    let mut words = Vec::new();
    let mut switch = 0;
    for line in lines.iter().filter(|line| !line.ends_with(':')) {
        let here = words.len() as i64;
        if let Some(label) = line.strip_prefix(".entry ") {
            words.push(extension_word((labels[label.trim()] - switch) as u32 & 0xff_ffff));
            continue;
        }
        let operands: Vec<i64> = line
            .split_whitespace()
            .skip(1)
            .zip(opcode(line).operands())
            .map(|(token, operand)| match labels.get(token) {
                Some(target) if operand.is_target() => target - here,
                _ => number(token.trim_start_matches('r')),
            })
            .collect();
        assert_eq!(operands.len(), line.split_whitespace().count() - 1, "{line}: too many operands");
        switch = here;
        let encoded =
            Instruction::new(opcode(line), &operands).encode().unwrap_or_else(|error| panic!("{line}: {error:?}"));
        words.push(encoded.word);
        words.extend(encoded.extension);
    }
    words
}

fn opcode(line: &str) -> Opcode {
    let mnemonic = line.split_whitespace().next().unwrap_or("");
    *Opcode::ALL
        .iter()
        .find(|opcode| opcode.mnemonic() == mnemonic)
        .unwrap_or_else(|| panic!("{mnemonic} is no instruction"))
}

fn number(token: &str) -> i64 {
    let (sign, digits) = token.strip_prefix('-').map_or((1, token), |digits| (-1, digits));
    let value = digits.strip_prefix("0x").map_or_else(|| digits.parse(), |hex| i64::from_str_radix(hex, 16));
    sign * value.unwrap_or_else(|_| panic!("{token} is neither a number nor a label"))
}

/// A module in the making. Functions, imports and callbacks are numbered in the order in which they are added.
pub struct ModuleBuilder {
    pub limits: Limits,
    pub data: Vec<u8>,
    pub constants: Vec<u8>,
    pub callbacks: Vec<u16>,
    pub relocations: Vec<(u32, RelocationKind)>,
    pub thread_local: Option<ThreadLocal>,
    signatures: Vec<Signature>,
    imports: Vec<(String, u16)>,
    functions: Vec<(Function, Vec<u32>)>,
}

impl ModuleBuilder {
    pub fn new() -> Self {
        let limits = Limits { entry: None, bss: 256, stack: 1024, shadow_stack: 4096, heap_min: 1024, heap_max: 4096 };
        Self {
            limits,
            data: Vec::new(),
            constants: Vec::new(),
            callbacks: Vec::new(),
            relocations: Vec::new(),
            thread_local: None,
            signatures: Vec::new(),
            imports: Vec::new(),
            functions: Vec::new(),
        }
    }

    /// The index of a signature, added where it is new.
    pub fn signature(&mut self, text: &str) -> u16 {
        let wanted = signature(text);
        let index = self.signatures.iter().position(|known| *known == wanted).unwrap_or_else(|| {
            self.signatures.push(wanted);
            self.signatures.len() - 1
        });
        index as u16
    }

    pub fn import(mut self, name: &str, types: &str) -> Self {
        let types = self.signature(types);
        self.imports.push((name.into(), types));
        self
    }

    pub fn function(self, types: &str, slots: u8, linear_frame: u32, text: &str) -> Self {
        self.words(types, slots, linear_frame, assemble(text))
    }

    /// A function of raw instruction words.
    pub fn words(mut self, types: &str, slots: u8, linear_frame: u32, words: Vec<u32>) -> Self {
        let start = self.functions.iter().map(|(_, words)| words.len() as u32).sum();
        let signature = self.signature(types);
        self.functions.push((Function { start, slots, signature, linear_frame }, words));
        self
    }

    pub fn callback(mut self, function: u16) -> Self {
        self.callbacks.push(function);
        self
    }

    pub fn finish(self) -> Vec<u8> {
        let half = |value: &u16| value.to_le_bytes();
        let word = |value: u32| value.to_le_bytes();
        let mut strings = Vec::new();
        let mut imports = Vec::new();
        for (name, types) in &self.imports {
            for field in [strings.len() as u16, *types, NONE, NONE] {
                imports.extend(half(&field));
            }
            strings.extend(name.bytes().chain([0]));
        }
        let mut writer = ModuleWriter::new();
        writer
            .section(SectionKind::Limits, self.limits.encode().to_vec())
            .section(SectionKind::Signatures, self.signatures.iter().flat_map(Signature::encode).collect())
            .section(SectionKind::Imports, imports)
            .section(SectionKind::Strings, strings)
            .section(
                SectionKind::Functions,
                self.functions.iter().flat_map(|(function, _)| function.encode()).collect(),
            )
            .section(SectionKind::Callbacks, self.callbacks.iter().flat_map(half).collect())
            .section(
                SectionKind::Code,
                self.functions.iter().flat_map(|(_, words)| words.iter().copied().flat_map(word)).collect(),
            )
            .section(SectionKind::Constants, self.constants)
            .section(SectionKind::Data, self.data)
            .section(
                SectionKind::Relocations,
                self.relocations
                    .iter()
                    .flat_map(|(offset, kind)| word(Relocation { offset: *offset, kind: *kind }.encode()))
                    .collect(),
            );
        if let Some(record) = self.thread_local {
            writer.section(SectionKind::ThreadLocal, record.encode().to_vec());
        }
        writer.finish()
    }
}
