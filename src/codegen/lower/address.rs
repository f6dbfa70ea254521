//! Address computations, and which of them disappear in the access that uses them.
//!
//! Must never hold: the accesses themselves (`memory`).

use super::Lower;
use super::emit::{imm, int, reg};
use super::operand::{Seen, displaced};
use crate::codegen::abi::Kind;
use crate::codegen::machine::{Const, Reg, Source, VReg};
use crate::codegen::refusal::Lowered;
use crate::codegen::unit::Scalar;
use crate::ir::{InstructionKind, Operand, ScaledIndex, ValueId};
use espb_format::opcode::Opcode;

/// How an access reaches its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A register plus a number of bytes that fits the field of this width.
    Displacement { base: Reg, offset: u32 },
    /// A register plus any number of bytes, for accesses of up to 32 bits.
    Far { base: Reg, offset: i32 },
    /// A register plus a register times the width.
    Indexed { base: Reg, index: Reg },
    /// The linear frame.
    Stack(u32),
    /// Data or bss.
    Static(u32),
}

/// An address as base plus number.
enum Base {
    Constant(Const),
    Operand(Operand),
}

/// The unit of the displacement of an access of `width` bytes.
pub fn displacement_unit(width: u32) -> u32 {
    if width == 8 { 8 } else { 1 }
}

/// Whether the displacement field of an access of `width` bytes holds the offset.
pub fn fits_displacement(offset: i64, width: u32) -> bool {
    let unit = i64::from(displacement_unit(width));
    offset >= 0 && offset % unit == 0 && offset / unit <= 0xff
}

impl Lower<'_, '_> {
    /// The way to access `width` bytes (1, 2, 4 or 8) at `address + part`. `indexed` allows a scaled index.
    pub fn mode(&mut self, address: &Operand, part: u32, width: u32, indexed: bool) -> Lowered<Mode> {
        let (base, offset) = self.split(address)?;
        let offset = offset + i64::from(part);
        let operand = match base {
            Base::Constant(constant) => return Ok(self.constant_mode(constant, offset, width)),
            Base::Operand(operand) => operand,
        };
        if indexed
            && offset == 0
            && let Some((base, index)) = self.index_of(&operand, width)?
        {
            let start = self.base_register(&base.0, base.1)?;
            let index = self.index_register(&index)?;
            return Ok(Mode::Indexed { base: start, index });
        }
        let register = self.get(&operand)?;
        if fits_displacement(offset, width) {
            return Ok(Mode::Displacement { base: register, offset: offset as u32 });
        }
        if width <= 4 {
            return Ok(Mode::Far { base: register, offset: offset as i32 });
        }
        let sum = self.temp();
        self.add_number(sum, register, offset as i32);
        Ok(Mode::Displacement { base: sum, offset: 0 })
    }

    /// Takes constant offsets off an address.
    fn split(&mut self, address: &Operand) -> Lowered<(Base, i64)> {
        let mut operand = address.clone();
        let mut total = 0i32;
        loop {
            match self.see(&operand, 0)? {
                Seen::Constant(Scalar::Address(constant)) => return Ok((Base::Constant(constant), total.into())),
                Seen::Constant(Scalar::Bits(number)) => {
                    return Ok((Base::Constant(Const::Int(number as u32)), total.into()));
                }
                Seen::Constant(Scalar::Undefined) => return Ok((Base::Constant(Const::Int(0)), total.into())),
                Seen::Value { value, leaf: 0, lane: 0 } if self.leaf_kind(value, 0) == Kind::Int(32) => {
                    match self.inst_of(value).map(|inst| &inst.kind) {
                        Some(InstructionKind::Address { base, offset, indices, .. }) if indices.is_empty() => {
                            let uses = self.facts.uses(value);
                            // An address that is in a register anyway is a better base than one that would have to stay for this.
                            if uses.total > uses.address && !self.starts_at_constant(base)? {
                                return Ok((Base::Operand(Operand::Value(value)), total.into()));
                            }
                            total = total.wrapping_add(*offset);
                            operand = base.clone();
                        }
                        _ => return Ok((Base::Operand(Operand::Value(value)), total.into())),
                    }
                }
                _ => return Ok((Base::Operand(operand), total.into())),
            }
        }
    }

    /// Whether an address is a constant one plus a number.
    fn starts_at_constant(&mut self, address: &Operand) -> Lowered<bool> {
        let mut operand = address.clone();
        loop {
            match self.see(&operand, 0)? {
                Seen::Constant(_) => return Ok(true),
                Seen::Value { value, leaf: 0, lane: 0 } => match self.inst_of(value).map(|inst| &inst.kind) {
                    Some(InstructionKind::Address { base, indices, .. }) if indices.is_empty() => {
                        operand = base.clone()
                    }
                    _ => return Ok(false),
                },
                _ => return Ok(false),
            }
        }
    }

    fn constant_mode(&mut self, constant: Const, offset: i64, width: u32) -> Mode {
        let start = match displaced(constant, offset as i32) {
            Some(Scalar::Address(address)) => address,
            Some(Scalar::Bits(number)) => Const::Int(number as u32),
            _ => constant,
        };
        match start {
            Const::Stack(at)
                if self.out.frame_pointer.is_none()
                    && width >= 4
                    && at % width == 0
                    && at / width <= 0xffff
                    && at.checked_add(width).is_some_and(|end| end <= self.out.frame) =>
            {
                return Mode::Stack(at);
            }
            Const::Linear(at)
                if at % width == 0
                    && at / width <= 0xffff
                    && at.checked_add(width).is_some_and(|end| end <= self.unit.static_size) =>
            {
                return Mode::Static(at);
            }
            _ => {}
        }
        // One register for all members of an object, where their displacements allow it.
        let (start, offset) = if fits_displacement(offset, width) { (constant, offset as u32) } else { (start, 0) };
        let base = self.temp();
        self.set_lane(base, Source::Const(start));
        Mode::Displacement { base, offset }
    }

    /// Base with its offset, and index, of an address that is nothing but a scaled index, if all its uses can do with that form.
    fn index_of(&mut self, operand: &Operand, width: u32) -> Lowered<Option<((Operand, i32), Operand)>> {
        let Operand::Value(value) = operand else { return Ok(None) };
        let Some(InstructionKind::Address { base, offset, indices, .. }) = self.inst_of(*value).map(|inst| &inst.kind)
        else {
            return Ok(None);
        };
        let [ScaledIndex { index, scale }] = indices.as_slice() else { return Ok(None) };
        let uses = self.facts.uses(*value);
        let suits = *scale == width && uses.width == width && uses.address == uses.total;
        let constant_base = matches!(self.see(base, 0)?, Seen::Constant(Scalar::Address(_)));
        if suits && (*offset == 0 || constant_base || uses.total == 1) {
            Ok(Some(((base.clone(), *offset), index.clone())))
        } else {
            Ok(None)
        }
    }

    /// `base + offset` in a register.
    fn base_register(&mut self, base: &Operand, offset: i32) -> Lowered<Reg> {
        if let Seen::Constant(Scalar::Address(constant)) = self.see(base, 0)?
            && let Some(Scalar::Address(moved)) = displaced(constant, offset)
        {
            let result = self.temp();
            self.set_lane(result, Source::Const(moved));
            return Ok(result);
        }
        let start = self.get(base)?;
        if offset == 0 {
            return Ok(start);
        }
        let result = self.temp();
        self.add_number(result, start, offset);
        Ok(result)
    }

    /// An index as a 32-bit register: narrower ones are signed, of wider ones the low bits count.
    fn index_register(&mut self, index: &Operand) -> Lowered<Reg> {
        if self.kind_of(index)?.bits() > 32 { self.get64(index) } else { self.get_sign_extended(index) }
    }

    /// `dest = base + offset + Σ index × scale`.
    pub fn address(&mut self, dest: VReg, base: &Operand, offset: i32, indices: &[ScaledIndex]) -> Lowered<()> {
        let null = self.number_of(base)? == Some(0);
        let constant_base = matches!(self.see(base, 0)?, Seen::Constant(Scalar::Address(_)));
        let (mut sum, rest) = if null && !indices.is_empty() {
            (None, offset)
        } else if constant_base {
            (Some(self.base_register(base, offset)?), 0)
        } else {
            (Some(self.get(base)?), offset)
        };
        for (position, ScaledIndex { index, scale }) in indices.iter().enumerate() {
            let register = self.index_register(index)?;
            let last = position + 1 == indices.len() && rest == 0;
            let step = if *scale == 1 {
                register
            } else {
                let step = if last && sum.is_none() { dest.whole() } else { self.temp() };
                if scale.is_power_of_two() {
                    self.shift_left_into(step, register, scale.trailing_zeros());
                } else {
                    self.multiply_into(step, register, *scale as i32);
                }
                step
            };
            sum = Some(match sum {
                None => step,
                Some(sum) => {
                    let next = if last { dest.whole() } else { self.temp() };
                    self.op(Opcode::Add, &[reg(next), reg(sum), reg(step)]);
                    next
                }
            });
        }
        match sum {
            Some(sum) if rest != 0 => self.add_number(dest.whole(), sum, rest),
            Some(sum) if sum != dest.whole() => self.set_lane(dest.whole(), Source::Lane(sum)),
            Some(_) => {}
            None => self.set_lane(dest.whole(), int(rest as u32)),
        }
        Ok(())
    }

    /// The address of stack data where the stack pointer moves.
    pub fn alloca(&mut self, value: ValueId, dest: VReg) {
        let offset = self.allocas.get(&value).copied().unwrap_or(0);
        if let Some(frame_pointer) = self.out.frame_pointer {
            self.add_number(dest.whole(), frame_pointer.whole(), offset as i32);
        }
    }

    /// Stack room made at run time. The count is never aligned beyond what the stack pointer is.
    pub fn dynamic_alloca(
        &mut self,
        result: Option<ValueId>,
        count: &Operand,
        element_size: u32,
        align: u32,
    ) -> Lowered<()> {
        if align > super::STACK_ALIGN {
            return Err(crate::codegen::refusal::Refusal::unsupported(
                format!("stack data of variable size aligned to {align} bytes"),
                format!("align it to at most {} bytes", super::STACK_ALIGN),
            ));
        }
        let result = match result {
            Some(result) => self.want(result, 0).whole(),
            None => self.temp(),
        };
        let count = if self.kind_of(count)?.bits() > 32 { self.get64(count)? } else { self.get_zero_extended(count)? };
        let size = if element_size == 1 {
            count
        } else {
            let size = self.temp();
            self.multiply_into(size, count, element_size as i32);
            size
        };
        self.op(Opcode::StackAllocate, &[reg(result), reg(size)]);
        Ok(())
    }

    /// An offset as the operand of a field of units of `width` bytes.
    pub fn units(offset: u32, width: u32) -> crate::codegen::machine::Arg {
        imm(i64::from(offset / width.max(1)))
    }
}
