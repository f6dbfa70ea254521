//! Atomic operations: plain instructions where the interpreter's access is one access of the machine, else libatomic's host functions.
//!
//! Must never hold: loops of compare-and-exchange; the reader has made those.

use super::Lower;
use super::emit::{imm, reg};
use crate::codegen::abi::Kind;
use crate::codegen::machine::{self, Const, InstKind, Reg, Source, Target};
use crate::codegen::refusal::{Lowered, Refusal};
use crate::ir::{AtomicOrdering, Operand, RmwOp, ValueId};
use espb_format::opcode::Opcode;
use espb_format::signature::{Signature, ValType};

/// `memory_order_seq_cst`: the strongest always does, and costs the host nothing.
const ORDER: Source = Source::Const(Const::Int(5));

/// A host function's parameter or result of this kind: its bits count, not its type.
fn bits_type(kind: Kind) -> ValType {
    if kind.lanes() == 2 { ValType::I64 } else { ValType::I32 }
}

fn width(kind: Kind) -> Lowered<u32> {
    match kind.bits() {
        bits @ (8 | 16 | 32 | 64) => Ok(bits / 8),
        bits => {
            Err(Refusal::unsupported(format!("an atomic access of {bits} bits"), "use a type of 8, 16, 32 or 64 bits"))
        }
    }
}

impl Lower<'_, '_> {
    /// Whether an access of this ordering and kind needs a host function.
    pub fn is_atomic_pair(ordering: Option<AtomicOrdering>, kind: Kind) -> bool {
        ordering.is_some() && kind.lanes() > 1
    }

    fn atomic_call(
        &mut self,
        operation: &str,
        kind: Kind,
        params: &[ValType],
        result: Option<ValType>,
        arguments: Vec<Source>,
        results: Vec<Reg>,
    ) -> Lowered<()> {
        let Some(signature) = Signature::new(params, result, false) else { return Ok(()) };
        let import = self.unit.tables.import(&format!("__atomic_{operation}_{}", width(kind)?), signature)?;
        let slots = arguments.len().max(results.len()) as u8;
        self.push(InstKind::Call(Box::new(machine::Call {
            target: Target::Import(import),
            arguments,
            results,
            slots,
        })));
        Ok(())
    }

    fn lanes_of(&mut self, operand: &Operand, kind: Kind) -> Lowered<Vec<Source>> {
        (0..kind.lanes()).map(|lane| self.source(operand, 0, lane)).collect()
    }

    /// The lanes of a result, or of nobody's.
    fn atomic_result(&mut self, result: Option<ValueId>, kind: Kind) -> Vec<Reg> {
        let wanted = result.and_then(|result| self.wanted(result, 0)).unwrap_or_else(|| self.out.vreg(kind.lanes()));
        (0..kind.lanes()).map(|lane| wanted.lane(lane)).collect()
    }

    /// A 64-bit load.
    pub fn atomic_load(&mut self, result: ValueId, address: &Operand) -> Lowered<()> {
        let kind = self.leaf_kind(result, 0);
        let arguments = vec![self.source(address, 0, 0)?, ORDER];
        let results = self.atomic_result(Some(result), kind);
        self.atomic_call("load", kind, &[ValType::I32; 2], Some(bits_type(kind)), arguments, results)
    }

    /// A 64-bit store.
    pub fn atomic_store(&mut self, address: &Operand, value: &Operand) -> Lowered<()> {
        let kind = self.kind_of(value)?;
        let mut arguments = vec![self.source(address, 0, 0)?];
        arguments.extend(self.lanes_of(value, kind)?);
        arguments.push(ORDER);
        self.atomic_call("store", kind, &[ValType::I32, bits_type(kind), ValType::I32], None, arguments, Vec::new())
    }

    /// Read-modify-write; the result is the old value.
    pub fn atomic_rmw(
        &mut self,
        result: Option<ValueId>,
        op: RmwOp,
        address: &Operand,
        value: &Operand,
    ) -> Lowered<()> {
        let operation = match op {
            RmwOp::Exchange => "exchange",
            RmwOp::Add => "fetch_add",
            RmwOp::Sub => "fetch_sub",
            RmwOp::And => "fetch_and",
            RmwOp::Nand => "fetch_nand",
            RmwOp::Or => "fetch_or",
            RmwOp::Xor => "fetch_xor",
            _ => {
                return Err(Refusal::unsupported(
                    format!("the atomic operation {op:?}"),
                    "write it with a compare-and-exchange",
                ));
            }
        };
        let kind = self.kind_of(value)?;
        let mut arguments = vec![self.source(address, 0, 0)?];
        arguments.extend(self.lanes_of(value, kind)?);
        arguments.push(ORDER);
        let results = self.atomic_result(result, kind);
        let params = [ValType::I32, bits_type(kind), ValType::I32];
        self.atomic_call(operation, kind, &params, Some(bits_type(kind)), arguments, results)
    }

    /// Compare-and-exchange: the host function takes the expected value, and leaves what it found, in memory.
    pub fn compare_exchange(
        &mut self,
        result: Option<ValueId>,
        address: &Operand,
        expected: &Operand,
        replacement: &Operand,
    ) -> Lowered<()> {
        let kind = self.kind_of(expected)?;
        let room = u32::from(kind.lanes()) * 4;
        let slot = match self.expected {
            Some(slot) => slot,
            None => *self.expected.insert(self.out.frame_slot(8, 8)),
        };
        let before = if kind.lanes() == 2 { self.get64(expected)? } else { self.get(expected)? };
        self.store_frame(before, slot, room);
        let mut arguments = vec![self.source(address, 0, 0)?, self.frame_address(slot)];
        arguments.extend(self.lanes_of(replacement, kind)?);
        arguments.extend([ORDER, ORDER]);
        let success = self.temp();
        let params = [ValType::I32, ValType::I32, bits_type(kind), ValType::I32, ValType::I32];
        self.atomic_call("compare_exchange", kind, &params, Some(ValType::I32), arguments, vec![success])?;
        let Some(result) = result else { return Ok(()) };
        if let Some(wanted) = self.wanted(result, 1) {
            self.op(Opcode::AndImmediate, &[reg(wanted.whole()), reg(success), imm(1)]);
        }
        if let Some(wanted) = self.wanted(result, 0) {
            self.load_frame(wanted.whole(), slot, room);
        }
        Ok(())
    }

    /// The address of a byte of the linear frame as an argument.
    pub fn frame_address(&mut self, offset: u32) -> Source {
        match self.out.frame_pointer {
            None => Source::Const(Const::Stack(offset)),
            Some(frame_pointer) => {
                let address = self.temp();
                self.add_number(address, frame_pointer.whole(), offset as i32);
                Source::Lane(address)
            }
        }
    }
}
