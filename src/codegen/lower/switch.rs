//! Switches: jump tables where cases lie close together, else a tree of comparisons. Computed gotos are tables too.
//!
//! Must never hold: encodings of tables (`emission`).

use super::Lower;
use super::compare::{Relation, Test};
use super::emit::{fits_i8, imm, reg};
use super::terminator::branch;
use crate::codegen::abi;
use crate::codegen::machine::{Block, Inst, Reg, Terminator};
use crate::codegen::refusal::Lowered;
use crate::ir::{BlockId, Operand, SwitchCase};

/// Fewest cases of a table.
const TABLE_CASES: usize = 4;
/// A table has at most this many entries per case.
const TABLE_SPREAD: u64 = 3;
/// Largest table.
const TABLE_LENGTH: u64 = 4096;

/// So few ranges may make a tree as deep as they are many.
const FEW_RANGES: usize = 16;
/// Gaps narrower than this count alike.
const NARROW_GAP: u32 = 16;

/// Consecutive values with one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u32,
    last: u32,
    target: Block,
}

/// Joins sorted cases into ranges.
fn ranges(cases: &[(u32, Block)]) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    for (value, target) in cases {
        match ranges.last_mut() {
            Some(range) if range.target == *target && range.last.checked_add(1) == Some(*value) => range.last = *value,
            _ => ranges.push(Range { first: *value, last: *value, target: *target }),
        }
    }
    ranges
}

impl Lower<'_, '_> {
    /// A switch on an integer of up to 64 bits.
    pub fn switch(
        &mut self,
        block: BlockId,
        value: &Operand,
        default: BlockId,
        cases: &[SwitchCase],
    ) -> Lowered<Terminator> {
        let bits = self.kind_of(value)?.bits();
        if bits > 64 {
            return Err(abi::wide(bits));
        }
        let default = self.edge(block, default)?;
        let mut targets = Vec::with_capacity(cases.len());
        for case in cases {
            targets.push((case.value as u64, self.edge(block, case.target)?));
        }
        targets.sort_by_key(|(value, _)| *value);
        targets.dedup_by_key(|(value, _)| *value);
        if bits <= 32 {
            let register = self.get_zero_extended(value)?;
            let cases: Vec<(u32, Block)> = targets.iter().map(|(value, target)| (*value as u32, *target)).collect();
            return self.tree(block, register, &ranges(&cases), default, (0, u32::MAX));
        }
        // The high word chooses among switches on the low word.
        let pair = self.get_zero_extended64(value)?.vreg;
        let mut high_cases = Vec::new();
        for group in targets.chunk_by(|(a, _), (b, _)| a >> 32 == b >> 32) {
            let low: Vec<(u32, Block)> = group.iter().map(|(value, target)| (*value as u32, *target)).collect();
            let Some((first, _)) = group.first() else { continue };
            let inner =
                self.nested(block, |lower| lower.tree(block, pair.lane(0), &ranges(&low), default, (0, u32::MAX)))?;
            high_cases.push(((first >> 32) as u32, inner));
        }
        self.tree(block, pair.lane(1), &ranges(&high_cases), default, (0, u32::MAX))
    }

    /// A new block with the code and terminator that `build` makes.
    fn nested(&mut self, like: BlockId, build: impl FnOnce(&mut Self) -> Lowered<Terminator>) -> Lowered<Block> {
        let outer = std::mem::take(&mut self.code);
        let terminator = build(self);
        let insts: Vec<Inst> = std::mem::replace(&mut self.code, outer);
        Ok(self.new_block(like, insts, terminator?))
    }

    /// Decides among `ranges` for a value that is known to lie within `known`.
    fn tree(
        &mut self,
        block: BlockId,
        value: Reg,
        ranges: &[Range],
        default: Block,
        known: (u32, u32),
    ) -> Lowered<Terminator> {
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return Ok(Terminator::Jump(default)) };
        if let [range] = ranges {
            return Ok(self.range(value, *range, default, known));
        }
        let length = u64::from(last.last - first.first) + 1;
        if ranges.len() >= TABLE_CASES && length <= TABLE_LENGTH && length <= ranges.len() as u64 * TABLE_SPREAD {
            return Ok(self.table(value, ranges, first.first, length as usize, default));
        }
        // The widest gap separates tables best; of many cases, only one near the middle keeps the tree flat.
        let middle = ranges.len() / 2;
        let candidates = if ranges.len() <= FEW_RANGES {
            1..ranges.len()
        } else {
            middle.div_ceil(2)..ranges.len() - ranges.len() / 4
        };
        let at = candidates
            .max_by_key(|at| match (ranges.get(at - 1), ranges.get(*at)) {
                (Some(before), Some(after)) => {
                    ((after.first - before.last) / NARROW_GAP, std::cmp::Reverse(at.abs_diff(middle)))
                }
                _ => (0, std::cmp::Reverse(usize::MAX)),
            })
            .unwrap_or(middle);
        let (low, high) = ranges.split_at(at.clamp(1, ranges.len() - 1));
        let Some(pivot) = high.first().map(|range| range.first) else { return Ok(Terminator::Jump(default)) };
        let low = self.nested(block, |lower| lower.tree(block, value, low, default, (known.0, pivot - 1)))?;
        let high = self.nested(block, |lower| lower.tree(block, value, high, default, (pivot, known.1)))?;
        let test = self.against(Relation::LessUnsigned, value, pivot);
        Ok(branch(test, low, high))
    }

    /// One range against the default.
    fn range(&mut self, value: Reg, range: Range, default: Block, known: (u32, u32)) -> Terminator {
        let Range { first, last, target } = range;
        if first <= known.0 && last >= known.1 {
            return Terminator::Jump(target);
        }
        let test = if first == last {
            self.against(Relation::Equal, value, first)
        } else if first <= known.0 {
            self.against(Relation::LessUnsigned, value, last.wrapping_add(1))
        } else if last >= known.1 {
            self.against(Relation::GreaterEqualUnsigned, value, first)
        } else {
            let distance = self.temp();
            self.add_number(distance, value, (first as i32).wrapping_neg());
            self.against(Relation::LessUnsigned, distance, last - first + 1)
        };
        branch(test, target, default)
    }

    fn against(&mut self, relation: Relation, value: Reg, number: u32) -> Test {
        if number == 0 && matches!(relation, Relation::Equal | Relation::NotEqual) {
            return Test::NonZero { reg: value, inverted: relation == Relation::Equal, boolean: false };
        }
        let signed = i64::from(number as i32);
        if fits_i8(signed) {
            return Test::Relation { relation, a: value, b: imm(signed) };
        }
        let b = self.number(number);
        Test::Relation { relation, a: value, b: reg(b) }
    }

    fn table(&mut self, value: Reg, ranges: &[Range], first: u32, length: usize, default: Block) -> Terminator {
        // A table that starts near 0 saves the subtraction.
        let (start, length) = if first <= 2 { (0, length + first as usize) } else { (first, length) };
        let mut table = vec![default; length];
        for range in ranges {
            for value in range.first..=range.last {
                if let Some(entry) = table.get_mut((value - start) as usize) {
                    *entry = range.target;
                }
            }
        }
        let index = if start == 0 {
            value
        } else {
            let index = self.temp();
            self.add_number(index, value, (start as i32).wrapping_neg());
            index
        };
        Terminator::Switch { index, table, default }
    }

    /// A computed goto. The address of a block is its number among the blocks of the function whose address is taken, from 1.
    pub fn indirect_branch(&mut self, block: BlockId, address: &Operand, targets: &[BlockId]) -> Lowered<Terminator> {
        let index = self.get(address)?;
        let nowhere = self.new_block(block, Vec::new(), Terminator::Unreachable);
        let mut table = Vec::new();
        for target in targets {
            let Some(number) = self.unit.block_number(self.id, *target) else { continue };
            let place = number as usize;
            if table.len() <= place {
                table.resize(place + 1, nowhere);
            }
            let to = self.edge(block, *target)?;
            if let Some(entry) = table.get_mut(place) {
                *entry = to;
            }
        }
        Ok(Terminator::Switch { index, table, default: nowhere })
    }
}
