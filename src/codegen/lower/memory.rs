//! Loads, stores and block operations.
//!
//! Must never hold: address arithmetic (`address`).

use super::Lower;
use super::address::{Mode, displacement_unit};
use super::emit::{imm, int, reg};
use crate::codegen::abi::{self, Kind, Leaf};
use crate::codegen::machine::{Reg, Source, VReg};
use crate::codegen::refusal::Lowered;
use crate::ir::{Operand, ValueId};
use espb_format::opcode::Opcode;

/// Largest block that is copied or set by single loads and stores, in bytes.
const INLINE_BLOCK: u64 = 32;

impl Lower<'_, '_> {
    /// Leaf `leaf` of the value loaded from `address`.
    pub fn load(&mut self, value: ValueId, leaf: usize, dest: VReg, address: &Operand) -> Lowered<()> {
        let ty = self.function.value_types.get(value.0 as usize).copied();
        let leaves = ty.map_or(Ok(Vec::new()), |ty| abi::leaves(&self.unit.module.types, ty))?;
        let Some(layout) = leaves.get(leaf).copied() else { return Ok(()) };
        let indexed = leaves.len() == 1;
        let signed = indexed && self.loads_signed(value);
        self.load_leaf(dest, layout, address, indexed, signed)
    }

    fn load_leaf(&mut self, dest: VReg, leaf: Leaf, address: &Operand, indexed: bool, signed: bool) -> Lowered<()> {
        match (leaf.kind, leaf.store_size) {
            (Kind::Int(65..), _) => Err(abi::wide(leaf.kind.bits())),
            (_, width @ (1 | 2 | 4 | 8)) => {
                let mode = self.mode(address, leaf.offset, width, indexed)?;
                self.load_mode(dest.whole(), mode, width, signed);
                Ok(())
            }
            (_, 3) => self.load_three(dest.whole(), address, leaf.offset),
            (_, size) => {
                let mode = self.mode(address, leaf.offset, 4, false)?;
                self.load_mode(dest.lane(0), mode, 4, false);
                let high = leaf.offset + 4;
                match size {
                    5 | 6 => {
                        let width = size - 4;
                        let mode = self.mode(address, high, width, false)?;
                        self.load_mode(dest.lane(1), mode, width, false);
                        Ok(())
                    }
                    _ => self.load_three(dest.lane(1), address, high),
                }
            }
        }
    }

    fn load_three(&mut self, to: Reg, address: &Operand, offset: u32) -> Lowered<()> {
        let (low, high) = (self.temp(), self.temp());
        let mode = self.mode(address, offset, 2, false)?;
        self.load_mode(low, mode, 2, false);
        let mode = self.mode(address, offset + 2, 1, false)?;
        self.load_mode(high, mode, 1, false);
        let shifted = self.with_imm(Opcode::ShiftLeftImmediate, high, 16);
        self.op(Opcode::Or, &[reg(to), reg(low), reg(shifted)]);
        Ok(())
    }

    /// Loads 1, 2, 4 or 8 bytes.
    pub fn load_mode(&mut self, to: Reg, mode: Mode, width: u32, signed: bool) {
        use Opcode::*;
        match mode {
            Mode::Displacement { base, offset } => {
                let opcode = match (width, signed) {
                    (1, true) => Load8Signed,
                    (1, false) => Load8,
                    (2, true) => Load16Signed,
                    (2, false) => Load16,
                    (4, _) => Load32,
                    _ => Load64,
                };
                self.op(opcode, &[reg(to), reg(base), Self::units(offset, displacement_unit(width))]);
            }
            Mode::Far { base, offset } => {
                let opcode = match (width, signed) {
                    (1, true) => Load8SignedWide,
                    (1, false) => Load8Wide,
                    (2, true) => Load16SignedWide,
                    (2, false) => Load16Wide,
                    _ => Load32Wide,
                };
                self.op(opcode, &[reg(to), reg(base), imm(offset.into())]);
            }
            Mode::Indexed { base, index } => {
                let opcode = match (width, signed) {
                    (1, true) => LoadIndexed8Signed,
                    (1, false) => LoadIndexed8,
                    (2, true) => LoadIndexed16Signed,
                    (2, false) => LoadIndexed16,
                    (4, _) => LoadIndexed32,
                    _ => LoadIndexed64,
                };
                self.op(opcode, &[reg(to), reg(base), reg(index)]);
            }
            Mode::Stack(offset) => {
                let opcode = if width == 8 { LoadStack64 } else { LoadStack32 };
                self.op(opcode, &[reg(to), Self::units(offset, width)]);
            }
            Mode::Static(offset) => {
                let opcode = match (width, signed) {
                    (1, true) => LoadStatic8Signed,
                    (1, false) => LoadStatic8,
                    (2, true) => LoadStatic16Signed,
                    (2, false) => LoadStatic16,
                    (4, _) => LoadStatic32,
                    _ => LoadStatic64,
                };
                self.op(opcode, &[reg(to), Self::units(offset, width)]);
            }
        }
    }

    /// Stores a value of any type.
    pub fn store(&mut self, address: &Operand, value: &Operand) -> Lowered<()> {
        let Some(ty) = self.function.type_of(value) else { return Ok(()) };
        let leaves = abi::leaves(&self.unit.module.types, ty)?;
        let indexed = leaves.len() == 1;
        for (index, leaf) in leaves.iter().enumerate() {
            self.store_leaf(address, *leaf, value, index, indexed)?;
        }
        Ok(())
    }

    fn store_leaf(
        &mut self,
        address: &Operand,
        leaf: Leaf,
        value: &Operand,
        index: usize,
        indexed: bool,
    ) -> Lowered<()> {
        let bits = leaf.kind.bits();
        if bits > 64 {
            return Err(abi::wide(bits));
        }
        if leaf.kind.lanes() == 2 {
            let pair = self.get64_leaf(value, index)?;
            let pair = if bits < leaf.store_size * 8 {
                let extended = self.temp64();
                self.zero_extend64_into(extended, pair, bits);
                extended.whole()
            } else {
                pair
            };
            return match leaf.store_size {
                8 => {
                    let mode = self.mode(address, leaf.offset, 8, indexed)?;
                    self.store_mode(pair, mode, 8);
                    Ok(())
                }
                size => {
                    self.store_bytes(pair.vreg.lane(0), address, leaf.offset, 4, false)?;
                    self.store_bytes(pair.vreg.lane(1), address, leaf.offset + 4, size - 4, false)
                }
            };
        }
        let raw = self.get_leaf(value, index)?;
        let register = if bits < leaf.store_size * 8 && bits > 1 {
            let extended = self.temp();
            self.zero_extend_into(extended, raw, bits);
            extended
        } else {
            raw
        };
        self.store_bytes(register, address, leaf.offset, leaf.store_size, indexed)
    }

    /// Stores the low 1 to 4 bytes of a register.
    fn store_bytes(&mut self, from: Reg, address: &Operand, offset: u32, size: u32, indexed: bool) -> Lowered<()> {
        if size == 3 {
            self.store_bytes(from, address, offset, 2, false)?;
            let high = self.with_imm(Opcode::ShiftRightUnsignedImmediate, from, 16);
            return self.store_bytes(high, address, offset + 2, 1, false);
        }
        let mode = self.mode(address, offset, size, indexed)?;
        self.store_mode(from, mode, size);
        Ok(())
    }

    fn store_mode(&mut self, from: Reg, mode: Mode, width: u32) {
        use Opcode::*;
        match mode {
            Mode::Displacement { base, offset } => {
                let opcode = match width {
                    1 => Store8,
                    2 => Store16,
                    4 => Store32,
                    _ => Store64,
                };
                self.op(opcode, &[reg(from), reg(base), Self::units(offset, displacement_unit(width))]);
            }
            Mode::Far { base, offset } => {
                let opcode = match width {
                    1 => Store8Wide,
                    2 => Store16Wide,
                    _ => Store32Wide,
                };
                self.op(opcode, &[reg(from), reg(base), imm(offset.into())]);
            }
            Mode::Indexed { base, index } => {
                let opcode = match width {
                    1 => StoreIndexed8,
                    2 => StoreIndexed16,
                    4 => StoreIndexed32,
                    _ => StoreIndexed64,
                };
                self.op(opcode, &[reg(from), reg(base), reg(index)]);
            }
            Mode::Stack(offset) => {
                let opcode = if width == 8 { StoreStack64 } else { StoreStack32 };
                self.op(opcode, &[reg(from), Self::units(offset, width)]);
            }
            Mode::Static(offset) => {
                let opcode = match width {
                    1 => StoreStatic8,
                    2 => StoreStatic16,
                    4 => StoreStatic32,
                    _ => StoreStatic64,
                };
                self.op(opcode, &[reg(from), Self::units(offset, width)]);
            }
        }
    }

    /// Stores one or two words into the linear frame.
    pub fn store_frame(&mut self, from: Reg, offset: u32, width: u32) {
        match self.out.frame_pointer {
            None => self.store_mode(from, Mode::Stack(offset), width),
            Some(frame_pointer) => {
                let base = self.temp();
                self.add_number(base, frame_pointer.whole(), offset as i32);
                self.store_mode(from, Mode::Displacement { base, offset: 0 }, width);
            }
        }
    }

    /// Loads what [`Lower::store_frame`] stored.
    pub fn load_frame(&mut self, to: Reg, offset: u32, width: u32) {
        match self.out.frame_pointer {
            None => self.load_mode(to, Mode::Stack(offset), width, false),
            Some(frame_pointer) => {
                let base = self.temp();
                self.add_number(base, frame_pointer.whole(), offset as i32);
                self.load_mode(to, Mode::Displacement { base, offset: 0 }, width, false);
            }
        }
    }

    /// Copies a block; the ranges may overlap.
    pub fn copy_block(&mut self, to: &Operand, from: &Operand, length: &Operand) -> Lowered<()> {
        match self.number_of(length)? {
            Some(0) => Ok(()),
            Some(length) if length <= INLINE_BLOCK => {
                // All loads come before all stores, so that overlapping ranges are right too.
                let mut pieces = Vec::new();
                let mut offset = 0;
                for width in [8, 4, 2, 1u32] {
                    while length as u32 - offset >= width {
                        let piece = if width == 8 { self.temp64().whole() } else { self.temp() };
                        let mode = self.mode(from, offset, width, false)?;
                        self.load_mode(piece, mode, width, false);
                        pieces.push((piece, offset, width));
                        offset += width;
                    }
                }
                for (piece, offset, width) in pieces {
                    let mode = self.mode(to, offset, width, false)?;
                    self.store_mode(piece, mode, width);
                }
                Ok(())
            }
            _ => {
                let (a, b) = (self.get(to)?, self.get(from)?);
                let c = self.length(length)?;
                self.op(Opcode::MemoryMove, &[reg(a), reg(b), reg(c)]);
                Ok(())
            }
        }
    }

    /// Fills a block with a byte.
    pub fn fill_block(&mut self, to: &Operand, byte: &Operand, length: &Operand) -> Lowered<()> {
        match (self.number_of(length)?, self.number_of(byte)?) {
            (Some(0), _) => Ok(()),
            (Some(length), Some(byte)) if length <= INLINE_BLOCK => {
                let word = u32::from_le_bytes([byte as u8; 4]);
                let pair = self.temp64();
                self.set_pair(pair, int(word), int(word));
                let mut offset = 0;
                for width in [8, 4, 2, 1u32] {
                    while length as u32 - offset >= width {
                        let mode = self.mode(to, offset, width, false)?;
                        self.store_mode(pair.whole(), mode, width);
                        offset += width;
                    }
                }
                Ok(())
            }
            _ => {
                let (a, b) = (self.get(to)?, self.get(byte)?);
                let c = self.length(length)?;
                self.op(Opcode::MemorySet, &[reg(a), reg(b), reg(c)]);
                Ok(())
            }
        }
    }

    /// A block's length in a register; of 64 bits the low ones.
    fn length(&mut self, length: &Operand) -> Lowered<Reg> {
        if self.kind_of(length)?.bits() > 32 { self.get64(length) } else { self.get_zero_extended(length) }
    }

    /// `dest` = the leaf that a use of the value would look through to.
    pub fn copy_of(&mut self, value: ValueId, leaf: usize, dest: VReg) -> Lowered<()> {
        let kind = self.leaf_kind(value, leaf);
        let operand = Operand::Value(value);
        for lane in 0..kind.lanes() {
            match self.source(&operand, leaf, lane)? {
                Source::Lane(from) if from == dest.lane(lane) => {}
                source => self.set_lane(dest.lane(lane), source),
            }
        }
        Ok(())
    }

    /// A word loaded through a register.
    pub fn load_word(&mut self, to: Reg, base: Reg) {
        self.op(Opcode::Load32, &[reg(to), reg(base), imm(0)]);
    }

    /// A word stored through a register.
    pub fn store_word(&mut self, from: Reg, base: Reg) {
        self.op(Opcode::Store32, &[reg(from), reg(base), imm(0)]);
    }
}
