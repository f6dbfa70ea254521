//! Inline assembly: the few texts of ESP-IDF's and the kernel's headers that have a meaning in a module.
//!
//! Must never hold: an approximation. What is not recognised wholly is refused with its text.

use super::Lower;
use crate::codegen::abi::Kind;
use crate::codegen::machine::{self, InstKind, Target};
use crate::codegen::refusal::{Lowered, Refusal};
use crate::ir::{self, ValueId};
use espb_format::signature::Signature;

/// The CSRs that count cycles: ESP32-C3's performance counter, and those of the privileged and unprivileged architecture.
const CYCLE_COUNTERS: [&str; 6] = ["0x7e2", "mpccr", "mcycle", "0xb00", "cycle", "0xc00"];
/// The machine status register, whose bit 3 enables interrupts.
const STATUS: [&str; 2] = ["mstatus", "0x300"];
const INTERRUPT_ENABLE: u64 = 8;

/// What a line of assembly does.
enum Meaning {
    /// Orders memory accesses or takes time.
    Nothing,
    /// Operand 0 becomes the cycle counter.
    Cycles,
    /// Interrupts go off; or on.
    Mask(bool),
}

/// The operands of a statement, as its constraints list them.
struct Operands<'c> {
    /// Inputs that are tied to an output, by the output's number.
    ties: Vec<Option<usize>>,
    /// Outputs that are results.
    outputs: usize,
    call: &'c ir::Call,
}

impl<'c> Operands<'c> {
    fn new(constraints: &str, call: &'c ir::Call) -> Self {
        let written: Vec<&str> =
            constraints.split(',').filter(|one| !one.is_empty() && !one.starts_with('~')).collect();
        let outputs = written.iter().filter(|one| one.starts_with('=') && !one.contains('*')).count();
        // Outputs to memory are addresses among the arguments.
        let inputs = written.iter().filter(|one| !one.starts_with('=') || one.contains('*'));
        Self { ties: inputs.map(|one| one.parse().ok()).collect(), outputs, call }
    }

    /// The argument that output `number` starts as.
    fn tied(&self, number: usize) -> Option<&'c ir::Operand> {
        let position = self.ties.iter().position(|tie| *tie == Some(number))?;
        self.call.arguments.get(position).map(|argument| &argument.operand)
    }

    /// The argument behind `$N`, where that is an input and no output is in memory.
    fn input(&self, token: &str) -> Option<&'c ir::Operand> {
        let number: usize = token.strip_prefix('$')?.parse().ok()?;
        self.call.arguments.get(number.checked_sub(self.outputs)?).map(|argument| &argument.operand)
    }
}

impl Lower<'_, '_> {
    /// A statement of inline assembly.
    pub fn inline_assembly(
        &mut self,
        result: Option<ValueId>,
        text: &str,
        constraints: &str,
        call: &ir::Call,
    ) -> Lowered<()> {
        let refused = || {
            let shown = text.split_whitespace().collect::<Vec<_>>().join(" ");
            Refusal::unsupported(format!("the inline assembly \"{shown}\""), "write it in C, or call a host function")
        };
        let operands = Operands::new(constraints, call);
        let mut effect = None;
        for line in text.split(['\n', ';']) {
            match self.meaning(line, &operands)?.ok_or_else(refused)? {
                Meaning::Nothing => {}
                // More than one such line would need an order among operands.
                _ if effect.is_some() => return Err(refused()),
                other => effect = Some(other),
            }
        }
        let results = result.map_or(0, |result| self.leaf_count(result));
        match (effect, result) {
            (Some(Meaning::Cycles), Some(result))
                if operands.outputs == 1 && results == 1 && self.leaf_kind(result, 0) == Kind::Int(32) =>
            {
                match self.wanted(result, 0) {
                    Some(wanted) => self.library(wanted, "esp_cpu_get_cycle_count", Kind::Int(32), &[]),
                    None => Ok(()),
                }
            }
            (Some(Meaning::Mask(masked)), None) => {
                self.host_action(if masked { "vPortEnterCritical" } else { "vPortExitCritical" })
            }
            (None, None) => Ok(()),
            (None, Some(result)) if results == operands.outputs => {
                for leaf in 0..results {
                    let argument = operands.tied(leaf).ok_or_else(refused)?;
                    let Some(wanted) = self.wanted(result, leaf) else { continue };
                    for lane in 0..self.leaf_kind(result, leaf).lanes() {
                        let source = self.source(argument, 0, lane)?;
                        self.set_lane(wanted.lane(lane), source);
                    }
                }
                Ok(())
            }
            _ => Err(refused()),
        }
    }

    fn meaning(&mut self, line: &str, operands: &Operands<'_>) -> Lowered<Option<Meaning>> {
        let line = line.split('#').next().unwrap_or_default().to_ascii_lowercase();
        let words: Vec<&str> = line.split([' ', '\t', ',']).filter(|word| !word.is_empty()).collect();
        let is_interrupt_mask = |lower: &mut Self, csr: &str, mask: &str| {
            let bits = match operands.input(mask) {
                Some(operand) => lower.number_of(operand)?,
                None => {
                    mask.strip_prefix("0x").map_or_else(|| mask.parse().ok(), |hex| u64::from_str_radix(hex, 16).ok())
                }
            };
            Ok::<_, Refusal>(STATUS.contains(&csr) && bits == Some(INTERRUPT_ENABLE))
        };
        Ok(match words.as_slice() {
            [] | ["nop" | "c.nop"] | ["fence", ..] => Some(Meaning::Nothing),
            ["rdcycle", "$0"] => Some(Meaning::Cycles),
            ["csrr", "$0", csr] | ["csrrs", "$0", csr, "x0" | "zero"] if CYCLE_COUNTERS.contains(csr) => {
                Some(Meaning::Cycles)
            }
            ["csrci" | "csrc", csr, mask] if is_interrupt_mask(self, csr, mask)? => Some(Meaning::Mask(true)),
            ["csrsi" | "csrs", csr, mask] if is_interrupt_mask(self, csr, mask)? => Some(Meaning::Mask(false)),
            _ => None,
        })
    }

    /// Calls a host function that takes and gives nothing.
    fn host_action(&mut self, name: &str) -> Lowered<()> {
        let Some(signature) = Signature::new(&[], None, false) else { return Ok(()) };
        let target = Target::Import(self.unit.tables.import(name, signature)?);
        self.push(InstKind::Call(Box::new(machine::Call {
            target,
            arguments: Vec::new(),
            results: Vec::new(),
            slots: 0,
        })));
        Ok(())
    }
}
