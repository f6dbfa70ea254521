//! Constants, with address arithmetic reduced to symbol plus number.
//!
//! Must never hold: instructions; but the steps of `getelementptr` are shared with them.

use super::super::super::llvm::{LLVMOpcode, LLVMTypeKind, LLVMValueKind, Value};
use super::super::super::{Constant, ConstantKind, ConstantOp, Symbol, SymbolAddress, Type, TypeId};
use super::{Converter, Refusal, Result};

/// How far a `getelementptr` goes: constant bytes, and values with the bytes each counts for.
pub(super) struct GepSteps<'m> {
    pub(super) offset: i64,
    pub(super) indices: Vec<(Value<'m>, u32)>,
}

const POINTER_BITS: u32 = 32;

impl<'m> Converter<'m, '_> {
    /// The plain form of a constant.
    pub(super) fn constant(&mut self, value: Value<'m>) -> Result<Constant> {
        use LLVMValueKind::*;
        let ty = self.type_id(value.ty())?;
        let kind = match value.kind() {
            LLVMFunctionValueKind | LLVMGlobalVariableValueKind | LLVMGlobalAliasValueKind => {
                ConstantKind::Address(self.symbol_address(value)?)
            }
            LLVMBlockAddressValueKind => self.block_address(value)?,
            LLVMConstantIntValueKind => match value.ty().int_width() {
                Some(65..) => self.wide_constant(&wide_int(value)?, ty),
                _ => ConstantKind::Int(int_bits(value)?),
            },
            LLVMConstantFPValueKind => {
                let bits = value.float_as_int().ok_or_else(|| unsupported(value))?;
                ConstantKind::Float(int_bits(bits)?)
            }
            LLVMConstantPointerNullValueKind | LLVMConstantAggregateZeroValueKind => ConstantKind::Zero,
            LLVMUndefValueValueKind => ConstantKind::Undef,
            LLVMPoisonValueKind => ConstantKind::Poison,
            LLVMConstantDataArrayValueKind => ConstantKind::Bytes(data_array(value)?),
            LLVMConstantDataVectorValueKind => {
                let (_, count) = value.ty().vector().ok_or_else(|| unsupported(value))?;
                let parts = (0..count).map(|index| value.element(index).ok_or_else(|| unsupported(value)));
                ConstantKind::Aggregate(parts.map(|part| self.constant(part?)).collect::<Result<_>>()?)
            }
            LLVMConstantArrayValueKind | LLVMConstantStructValueKind | LLVMConstantVectorValueKind => {
                let parts = (0..value.operand_count()).filter_map(|index| value.operand(index));
                ConstantKind::Aggregate(parts.map(|part| self.constant(part)).collect::<Result<_>>()?)
            }
            LLVMConstantExprValueKind => self.expression(value, ty)?,
            _ => return Err(unsupported(value)),
        };
        Ok(Constant { ty, kind })
    }

    /// The parts of an integer of more than 64 bits.
    fn wide_constant(&self, words: &[u64], ty: TypeId) -> ConstantKind {
        let constants = (0..).zip(words).filter_map(|(index, word)| {
            let (ty, _) = self.module.types.part(ty, index)?;
            let bits = match self.module.types.get(ty) {
                Type::Int(bits) => *bits,
                _ => 64,
            };
            Some(Constant { ty, kind: ConstantKind::Int(truncate((*word).into(), bits)) })
        });
        ConstantKind::Aggregate(constants.collect())
    }

    /// Symbol and offset of a function, variable or alias.
    pub(super) fn symbol_address(&mut self, value: Value<'m>) -> Result<SymbolAddress> {
        if let Some(id) = self.functions.get(&value) {
            return Ok(SymbolAddress { symbol: Symbol::Function(*id), offset: 0 });
        }
        if let Some(id) = self.globals.get(&value) {
            return Ok(SymbolAddress { symbol: Symbol::Global(*id), offset: 0 });
        }
        let target = value.aliasee().map(|target| self.constant(target)).transpose()?;
        match target {
            Some(Constant { kind: ConstantKind::Address(address), .. }) => Ok(address),
            _ => Err(unsupported(value)),
        }
    }

    fn block_address(&mut self, value: Value<'m>) -> Result<ConstantKind> {
        let (function, block) = value.block_address().ok_or_else(|| unsupported(value))?;
        match (self.functions.get(&function.value()), self.blocks.get(&block)) {
            (Some(&function), Some(&block)) => {
                self.addressed.push((function, block));
                Ok(ConstantKind::BlockAddress { function, block })
            }
            _ => Err(unsupported(value)),
        }
    }

    fn expression(&mut self, value: Value<'m>, ty: TypeId) -> Result<ConstantKind> {
        use LLVMOpcode::*;
        let opcode = value.expression_opcode().ok_or_else(|| unsupported(value))?;
        let mut operands = Vec::with_capacity(2);
        if opcode == LLVMGetElementPtr {
            let steps = self.gep_steps(value)?;
            if !steps.indices.is_empty() {
                return Err(unsupported(value));
            }
            operands.push(self.constant(operand(value, 0)?)?);
            return self.add(operands.remove(0), steps.offset, ty);
        }
        for index in 0..value.operand_count() {
            operands.push(self.constant(operand(value, index)?)?);
        }
        let op = match (opcode, operands.as_slice()) {
            (LLVMPtrToInt | LLVMPtrToAddr | LLVMIntToPtr | LLVMBitCast | LLVMAddrSpaceCast, [from]) => {
                return Ok(self.convert_constant(from.clone(), ty));
            }
            (LLVMTrunc, [_]) => ConstantOp::Trunc,
            (LLVMAdd, [base, Constant { kind: ConstantKind::Int(bits), .. }]) => {
                return self.add(base.clone(), *bits as i64, ty);
            }
            (LLVMAdd, [Constant { kind: ConstantKind::Int(bits), .. }, base]) => {
                return self.add(base.clone(), *bits as i64, ty);
            }
            (LLVMSub, [base, Constant { kind: ConstantKind::Int(bits), .. }]) => {
                return self.add(base.clone(), (*bits as i64).wrapping_neg(), ty);
            }
            (
                LLVMSub,
                [Constant { kind: ConstantKind::Address(lhs), .. }, Constant { kind: ConstantKind::Address(rhs), .. }],
            ) if lhs.symbol == rhs.symbol => {
                return Ok(ConstantKind::Int(u128::from(lhs.offset.wrapping_sub(rhs.offset) as u32)));
            }
            (LLVMAdd, [_, _]) => ConstantOp::Add,
            (LLVMSub, [_, _]) => ConstantOp::Sub,
            (LLVMXor, [_, _]) => ConstantOp::Xor,
            _ => return Err(unsupported(value)),
        };
        Ok(ConstantKind::Expression { op, operands })
    }

    /// `base + offset`, of type `ty`.
    fn add(&mut self, base: Constant, offset: i64, ty: TypeId) -> Result<ConstantKind> {
        let bits = self.module.types.int_bits(ty).unwrap_or(POINTER_BITS);
        Ok(match base.kind {
            ConstantKind::Address(address) if bits == POINTER_BITS => {
                ConstantKind::Address(SymbolAddress { offset: address.offset.wrapping_add(offset as i32), ..address })
            }
            ConstantKind::Zero => ConstantKind::Int(truncate(offset as u128, bits)),
            ConstantKind::Int(value) => ConstantKind::Int(truncate(value.wrapping_add(offset as u128), bits)),
            ConstantKind::Undef | ConstantKind::Poison => base.kind,
            _ => {
                let offset = Constant { ty, kind: ConstantKind::Int(truncate(offset as u128, bits)) };
                ConstantKind::Expression { op: ConstantOp::Add, operands: vec![base, offset] }
            }
        })
    }

    /// `from` as a pointer or integer of type `ty`: the low bits, zero-extended.
    fn convert_constant(&self, from: Constant, ty: TypeId) -> ConstantKind {
        let source = self.module.types.int_bits(from.ty);
        let target = self.module.types.int_bits(ty);
        let (Some(source), Some(target)) = (source, target) else {
            return ConstantKind::Expression { op: ConstantOp::Reinterpret, operands: vec![from] };
        };
        match from.kind {
            ConstantKind::Int(bits) => ConstantKind::Int(truncate(bits, target)),
            ConstantKind::Zero if matches!(self.module.types.get(ty), Type::Pointer) => ConstantKind::Zero,
            ConstantKind::Zero => ConstantKind::Int(0),
            ConstantKind::Undef | ConstantKind::Poison => from.kind,
            kind if source == target => kind,
            kind => {
                let op = if target < source { ConstantOp::Trunc } else { ConstantOp::ZeroExtend };
                ConstantKind::Expression { op, operands: vec![Constant { ty: from.ty, kind }] }
            }
        }
    }

    /// The steps of a `getelementptr`, instruction or constant expression.
    pub(super) fn gep_steps(&mut self, gep: Value<'m>) -> Result<GepSteps<'m>> {
        let mut ty = gep.gep_source_type().ok_or_else(|| unsupported(gep))?;
        let mut steps = GepSteps { offset: 0, indices: Vec::new() };
        for position in 1..gep.operand_count() {
            let index = operand(gep, position)?;
            if position > 1 {
                if let Some(fields) = ty.fields() {
                    let field = index.small_int().and_then(|field| u32::try_from(field).ok());
                    let field = field.ok_or_else(|| unsupported(gep))?;
                    let offset = self.llvm.field_offset(ty, field).ok_or_else(|| unsupported(gep))?;
                    steps.offset = steps.offset.wrapping_add(offset as i64);
                    ty = *fields.get(field as usize).ok_or_else(|| unsupported(gep))?;
                    continue;
                }
                ty = ty.array().ok_or_else(|| unsupported(gep))?.0;
            }
            // Asked for its id first: refuses vectors and types beyond the address space.
            let id = self.type_id(ty)?;
            let scale = self.module.types.layout(id).size;
            match (index.small_int(), index.ty().int_width()) {
                (Some(bits), Some(width)) => {
                    let index = sign_extend(bits, width);
                    steps.offset = steps.offset.wrapping_add(index.wrapping_mul(i64::from(scale)));
                }
                (None, Some(_)) if scale > 0 => steps.indices.push((index, scale)),
                (None, Some(_)) => {}
                _ => return Err(unsupported(gep)),
            }
        }
        Ok(steps)
    }
}

/// Operand `index`; a refusal past the end.
pub(super) fn operand(value: Value<'_>, index: u32) -> Result<Value<'_>> {
    value.operand(index).ok_or_else(|| unsupported(value))
}

pub(super) fn unsupported(value: Value<'_>) -> Refusal {
    let mut text = value.print().trim().to_owned();
    if let Some((end, _)) = text.char_indices().nth(160) {
        text.truncate(end);
        text.push('…');
    }
    Refusal::new(format!("`{text}` is not supported"), "write the C source without it, or report it with the input")
}

/// The bits of an integer constant, zero-extended.
pub(super) fn int_bits(value: Value<'_>) -> Result<u128> {
    if let Some(bits) = value.small_int() {
        return Ok(u128::from(bits));
    }
    match wide_int(value)?.as_slice() {
        [low, high] => Ok(u128::from(*high) << 64 | u128::from(*low)),
        _ => Err(unsupported(value)),
    }
}

/// An integer constant of more than 64 bits in words of 64, the lowest first. The C API has no getter; the text is "i128 -5".
fn wide_int(value: Value<'_>) -> Result<Vec<u64>> {
    let width = value.ty().int_width().ok_or_else(|| unsupported(value))?;
    let text = value.print();
    let number = text.rsplit(' ').next().unwrap_or_default();
    let (negative, digits) = number.strip_prefix('-').map_or((false, number), |digits| (true, digits));
    let mut words = vec![0u64; width.div_ceil(64) as usize];
    for digit in digits.chars() {
        let mut carry = u128::from(digit.to_digit(10).ok_or_else(|| unsupported(value))?);
        for word in &mut words {
            carry += u128::from(*word) * 10;
            *word = carry as u64;
            carry >>= 64;
        }
    }
    if negative {
        let mut carry = true;
        for word in &mut words {
            (*word, carry) = (!*word).overflowing_add(carry.into());
        }
    }
    if let Some(last) = words.last_mut() {
        *last = truncate((*last).into(), (width - 1) % 64 + 1) as u64;
    }
    Ok(words)
}

/// The memory image of an array of plain numbers.
fn data_array(value: Value<'_>) -> Result<Vec<u8>> {
    if let Some(bytes) = value.bytes() {
        return Ok(bytes);
    }
    let (element, count) = value.ty().array().ok_or_else(|| unsupported(value))?;
    let size = match (element.kind(), element.int_width()) {
        (LLVMTypeKind::LLVMHalfTypeKind, _) | (_, Some(16)) => 2,
        (LLVMTypeKind::LLVMFloatTypeKind, _) | (_, Some(32)) => 4,
        (LLVMTypeKind::LLVMDoubleTypeKind, _) | (_, Some(64)) => 8,
        (_, Some(8)) => 1,
        _ => return Err(unsupported(value)),
    };
    let mut image = Vec::new();
    for index in 0..u32::try_from(count).map_err(|_| unsupported(value))? {
        let part = value.element(index).ok_or_else(|| unsupported(value))?;
        let bits = int_bits(part.float_as_int().unwrap_or(part))?;
        image.extend(bits.to_le_bytes().into_iter().take(size));
    }
    Ok(image)
}

fn truncate(value: u128, bits: u32) -> u128 {
    if bits >= 128 { value } else { value & ((1 << bits) - 1) }
}

fn sign_extend(bits: u64, width: u32) -> i64 {
    let shift = 64u32.saturating_sub(width).min(63);
    ((bits << shift) as i64) >> shift
}
