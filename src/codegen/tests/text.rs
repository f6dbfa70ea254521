//! Machine code over virtual registers as text, so that tests of the stages can be read.
//!
//! A line `NAME:` starts a block. `v3` is register 3, `w3` a register of two lanes, `w3.1` its second lane. Instructions are those of the opcode
//! table with commas between operands, and
//!
//! ```text
//! parameters v0, w1              copy v2 <- v0, v3 <- #5, v4 <- [8], v5 <- undefined
//! call f1 (v0, #3) -> v2         calli v7 (v0) -> v2
//! jmp NAME                       beq v0, v1, NAME else OTHER
//! switch v0 [NAME NAME] else OTHER
//! ret32 v0                       tcall f1 (v0, #3)
//! ```

use crate::codegen::machine::{
    Arg, BasicBlock, Block, Call, Const, Function, Inst, InstKind, Reg, Source, TailCall, TailTarget, Target,
    Terminator, VReg,
};
use espb_format::opcode::Opcode;
use std::collections::HashMap;

/// The signature of every indirect call.
const SIGNATURE: u16 = 0;

struct Reader<'t> {
    blocks: HashMap<&'t str, Block>,
    function: Function,
}

/// Reads a function.
pub fn read(text: &str) -> Function {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let names = lines.iter().filter_map(|line| line.strip_suffix(':'));
    let blocks = names.enumerate().map(|(index, name)| (name, Block(index as u32))).collect();
    let mut reader = Reader { blocks, function: Function::default() };
    for line in lines {
        if line.ends_with(':') {
            reader.function.blocks.push(BasicBlock::default());
        } else if let Some(terminator) = reader.terminator(line) {
            reader.block().terminator = terminator;
        } else {
            let kind = reader.inst(line);
            reader.block().insts.push(Inst { kind, location: None });
        }
    }
    reader.function
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// What stands in front of and behind a mark.
fn halves<'t>(text: &'t str, mark: &str) -> (&'t str, &'t str) {
    text.split_once(mark).map_or((text, ""), |(before, behind)| (before.trim(), behind.trim()))
}

impl Reader<'_> {
    fn block(&mut self) -> &mut BasicBlock {
        self.function.blocks.last_mut().expect("a block starts with its name")
    }

    fn target(&self, name: &str) -> Block {
        *self.blocks.get(name).unwrap_or_else(|| panic!("{name} is no block"))
    }

    fn reg(&mut self, text: &str) -> Reg {
        let (name, lane) = halves(text, ".");
        let number: u32 = name[1..].parse().unwrap_or_else(|_| panic!("{text} is no register"));
        let width = if name.starts_with('w') { 2 } else { 1 };
        while self.function.widths.len() <= number as usize {
            self.function.widths.push(1);
        }
        self.function.widths[number as usize] = width;
        Reg { vreg: VReg(number), lane: lane.parse().unwrap_or(0) }
    }

    /// Both lanes of a `w`, else the one.
    fn lanes(&mut self, text: &str) -> Vec<Reg> {
        let reg = self.reg(text);
        if text.starts_with('w') && !text.contains('.') {
            vec![reg.vreg.lane(0), reg.vreg.lane(1)]
        } else {
            vec![reg]
        }
    }

    fn source(&mut self, text: &str) -> Vec<Source> {
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("{text} is no number"));
        if let Some(value) = text.strip_prefix('#') {
            vec![Source::Const(Const::Int(number(value)))]
        } else if let Some(offset) = text.strip_prefix('[') {
            vec![Source::Memory(number(offset.trim_end_matches(']')))]
        } else if text == "undefined" {
            vec![Source::Undefined]
        } else {
            self.lanes(text).into_iter().map(Source::Lane).collect()
        }
    }

    fn arguments(&mut self, text: &str) -> Vec<Source> {
        list(text.trim_start_matches('(').trim_end_matches(')')).flat_map(|part| self.source(part)).collect()
    }

    fn arg(&mut self, text: &str) -> Arg {
        match text.parse() {
            Ok(number) => Arg::Imm(number),
            Err(_) => Arg::Reg(self.reg(text)),
        }
    }

    fn inst(&mut self, line: &str) -> InstKind {
        let (word, rest) = halves(line, " ");
        match word {
            "parameters" => InstKind::Parameters(list(rest).flat_map(|part| self.lanes(part)).collect()),
            "copy" => {
                let mut moves = Vec::new();
                for part in list(rest) {
                    let (to, from) = halves(part, "<-");
                    moves.extend(self.lanes(to).into_iter().zip(self.source(from)));
                }
                InstKind::Copy(moves)
            }
            "call" | "calli" => {
                let (callee, rest) = halves(rest, " ");
                let (arguments, results) = halves(rest, "->");
                let arguments = self.arguments(arguments);
                let results: Vec<Reg> = list(results).flat_map(|part| self.lanes(part)).collect();
                let target = match callee.strip_prefix('f') {
                    Some(index) => Target::Function(index.parse().expect("a function's number")),
                    None => Target::Indirect { address: self.reg(callee), signature: SIGNATURE },
                };
                let slots = arguments.len().max(results.len()) as u8;
                InstKind::Call(Box::new(Call { target, arguments, results, slots }))
            }
            _ => {
                let mut args = [Arg::Imm(0); 3];
                for (place, part) in args.iter_mut().zip(list(rest)) {
                    *place = self.arg(part);
                }
                InstKind::Op { opcode: opcode(word).unwrap_or_else(|| panic!("{word} is no instruction")), args }
            }
        }
    }

    fn terminator(&mut self, line: &str) -> Option<Terminator> {
        let (word, rest) = halves(line, " ");
        Some(match word {
            "jmp" => Terminator::Jump(self.target(rest)),
            "unreachable" => Terminator::Unreachable,
            "ret" | "ret32" | "ret64" => Terminator::Return {
                opcode: opcode(word)?,
                value: (!rest.is_empty()).then(|| self.reg(rest)),
            },
            "switch" => {
                let (index, rest) = halves(rest, "[");
                let (table, default) = halves(rest, "] else");
                let table = table.split_whitespace().map(|name| self.target(name)).collect();
                Terminator::Switch { index: self.reg(index), table, default: self.target(default) }
            }
            "tcall" | "tcalli" => {
                let (callee, arguments) = halves(rest, " ");
                let arguments = self.arguments(arguments);
                let target = match callee.strip_prefix('f') {
                    Some(index) => TailTarget::Function(index.parse().expect("a function's number")),
                    None => TailTarget::Indirect { address: self.reg(callee), signature: SIGNATURE },
                };
                Terminator::TailCall(Box::new(TailCall { target, arguments }))
            }
            _ => {
                let (compared, otherwise) = rest.split_once(" else ")?;
                let parts: Vec<&str> = list(compared).collect();
                let (to, operands) = parts.split_last()?;
                let mut args = [Arg::Imm(0); 2];
                for (place, part) in args.iter_mut().zip(operands) {
                    *place = self.arg(part);
                }
                let (if_true, if_false) = (self.target(to), self.target(otherwise.trim()));
                Terminator::Branch { opcode: opcode(word)?, args, if_true, if_false }
            }
        })
    }
}

fn opcode(mnemonic: &str) -> Option<Opcode> {
    Opcode::ALL.iter().copied().find(|opcode| opcode.mnemonic() == mnemonic)
}

/// The instructions of a block in the form that [`read`] takes, registers by lanes.
pub fn write(function: &Function, block: usize) -> String {
    let lane = |reg: &Reg| match function.widths[reg.vreg.0 as usize] {
        1 => format!("v{}", reg.vreg.0),
        _ => format!("w{}.{}", reg.vreg.0, reg.lane),
    };
    let source = |source: &Source| match source {
        Source::Lane(reg) => lane(reg),
        Source::Const(Const::Int(value)) => format!("#{value}"),
        Source::Const(other) => format!("{other:?}"),
        Source::Memory(offset) => format!("[{offset}]"),
        Source::Undefined => "undefined".to_owned(),
    };
    let join = |parts: Vec<String>| parts.join(", ");
    let inst = |inst: &Inst| match &inst.kind {
        InstKind::Op { opcode, args } => {
            let args = args.iter().take(opcode.operands().len());
            let shown = args.map(|arg| match arg {
                Arg::Reg(reg) => format!("{}{}", if function.widths[reg.vreg.0 as usize] == 1 { "v" } else { "w" }, reg.vreg.0),
                Arg::Imm(value) => value.to_string(),
            });
            format!("{} {}", opcode.mnemonic(), join(shown.collect()))
        }
        InstKind::Copy(moves) => {
            let shown = moves.iter().map(|(to, from)| format!("{} <- {}", lane(to), source(from)));
            format!("copy {}", join(shown.collect()))
        }
        InstKind::Parameters(lanes) => format!("parameters {}", join(lanes.iter().map(lane).collect())),
        InstKind::Call(call) => {
            let callee = match call.target {
                Target::Function(index) => format!("call f{index}"),
                Target::Indirect { address, .. } => format!("calli {}", lane(&address)),
                other => format!("{other:?}"),
            };
            let arguments = join(call.arguments.iter().map(source).collect());
            let results = join(call.results.iter().map(lane).collect());
            format!("{callee} ({arguments}) -> {results}")
        }
    };
    let lines: Vec<String> = function.blocks[block].insts.iter().map(inst).collect();
    lines.join("\n")
}

/// Lines without what surrounds them, for comparing.
pub fn trimmed(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}
