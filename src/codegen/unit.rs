//! What all functions of a module share while they are lowered: indices, places of variables, constants in machine terms.
//!
//! Must never hold: the code of a function.

use super::abi::{self, Kind};
use super::machine::Const;
use super::refusal::{Lowered, Refusal};
use super::tables::Tables;
use crate::ir::{Constant, ConstantKind, ConstantOp, FuncId, GlobalId, Linkage, Module, Symbol, SymbolAddress};

/// Where a variable lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At this offset in linear memory.
    Linear(u32),
    /// At this offset in the constant data.
    Rodata(u32),
    /// At this offset in a task's block of thread-local variables.
    ThreadLocal(u32),
    /// A weak symbol that nobody defines: address 0.
    Null,
}

/// A constant scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// Its bits, zero above its width.
    Bits(u64),
    /// An address.
    Address(Const),
    /// Any value.
    Undefined,
}

/// Shared state of one translation.
#[derive(Debug)]
pub struct Unit<'a> {
    /// The program.
    pub module: &'a Module,
    /// Its tables so far.
    pub tables: Tables,
    /// Index of each defined function, by [`FuncId`].
    pub indices: Vec<Option<u16>>,
    /// Number of defined functions.
    pub defined: usize,
    /// Place of each variable, by [`GlobalId`].
    pub places: Vec<Option<Place>>,
    /// Bytes of data and bss together.
    pub static_size: u32,
}

/// The host function that takes as a `va_list` what the variadic one of this name takes directly.
pub fn list_form(name: &str) -> Option<&'static str> {
    match name {
        "printf" => Some("vprintf"),
        "sprintf" => Some("vsprintf"),
        "snprintf" => Some("vsnprintf"),
        _ => None,
    }
}

fn expression() -> Refusal {
    Refusal::unsupported(
        "a constant that is computed from addresses in a way that is not known at load",
        "compute it at run time",
    )
}

impl<'a> Unit<'a> {
    /// The state before any code: function indices are assigned, variables not yet placed.
    pub fn new(module: &'a Module) -> Lowered<Self> {
        let mut indices = Vec::with_capacity(module.functions.len());
        let mut defined = 0usize;
        for function in &module.functions {
            if function.is_declaration() {
                indices.push(None);
            } else {
                let index = u16::try_from(defined).ok().filter(|index| *index < u16::MAX).ok_or_else(|| {
                    Refusal::too_large("more than 65534 functions", "split the program into several modules")
                })?;
                indices.push(Some(index));
                defined += 1;
            }
        }
        let places = vec![None; module.globals.len()];
        Ok(Self { module, tables: Tables::default(), indices, defined, places, static_size: 0 })
    }

    /// The index of a defined function.
    pub fn index(&self, id: FuncId) -> Option<u16> {
        self.indices.get(id.0 as usize).copied().flatten()
    }

    /// The thunk of a function whose address is taken.
    fn function_address(&mut self, id: FuncId) -> Lowered<Scalar> {
        let Some(function) = self.module.function(id) else { return Err(expression()) };
        let index = match self.index(id) {
            Some(index) => index,
            None if function.linkage == Linkage::ExternalWeak => return Ok(Scalar::Bits(0)),
            None if function.ty.variadic && list_form(&function.name).is_none() => {
                return Err(Refusal::unsupported(
                    format!("the address of the variadic host function {}", function.name),
                    "take the address of a function of your own that calls it",
                ));
            }
            None => self.tables.stub(id, self.defined)?,
        };
        Ok(Scalar::Address(Const::Callback(self.tables.callback(index)?)))
    }

    fn variable_address(&self, id: GlobalId, offset: i32) -> Lowered<Scalar> {
        let place = self.places.get(id.0 as usize).copied().flatten();
        match place {
            Some(Place::Linear(start)) => Ok(Scalar::Address(Const::Linear(start.wrapping_add_signed(offset)))),
            Some(Place::Rodata(start)) => Ok(Scalar::Address(Const::Rodata(start.wrapping_add_signed(offset)))),
            Some(Place::Null) => Ok(Scalar::Bits(u64::from(offset as u32))),
            Some(Place::ThreadLocal(_)) => Err(Refusal::unsupported(
                "the address of a thread-local variable as a constant",
                "take it at run time; each task has another",
            )),
            None => {
                let name = self.module.global(id).map_or("", |global| global.name.as_str());
                Err(Refusal {
                    code: "espb::codegen::undefined_variable",
                    what: format!("the variable {name} is declared but nowhere defined"),
                    help: "link the file that defines it; variables of the firmware cannot be imported".to_owned(),
                })
            }
        }
    }

    /// Where a thread-local variable lies in its task's block.
    pub fn thread_local(&self, constant: &Constant) -> Option<u32> {
        let ConstantKind::Address(SymbolAddress { symbol: Symbol::Global(id), offset }) = &constant.kind else {
            return None;
        };
        match self.places.get(id.0 as usize).copied().flatten() {
            Some(Place::ThreadLocal(start)) => Some(start.wrapping_add_signed(*offset)),
            _ => None,
        }
    }

    fn symbol(&mut self, address: SymbolAddress) -> Lowered<Scalar> {
        match address.symbol {
            Symbol::Global(id) => self.variable_address(id, address.offset),
            Symbol::Function(id) if address.offset == 0 => self.function_address(id),
            Symbol::Function(_) => {
                Err(Refusal::unsupported("an address inside a function", "use the address of the function itself"))
            }
        }
    }

    /// The number that stands for a block whose address is taken: its position among those of its function, from 1.
    pub fn block_number(&self, function: FuncId, block: crate::ir::BlockId) -> Option<u32> {
        let blocks = &self.module.function(function)?.blocks;
        let position = blocks.get(..block.0 as usize)?.iter().filter(|block| block.address_taken).count();
        Some(position as u32 + 1)
    }

    /// A constant of scalar type. For an aggregate see [`Unit::leaf`].
    pub fn scalar(&mut self, constant: &Constant) -> Lowered<Scalar> {
        let bits = match abi::leaves(&self.module.types, constant.ty)?.first() {
            Some(leaf) => leaf.kind.bits(),
            None => return Ok(Scalar::Undefined),
        };
        let mask = if bits >= 64 { u64::MAX } else { (1 << bits) - 1 };
        match &constant.kind {
            ConstantKind::Int(value) | ConstantKind::Float(value) => {
                if bits > 64 && *value > u128::from(u64::MAX) {
                    return Err(abi::wide(bits));
                }
                Ok(Scalar::Bits(*value as u64 & mask))
            }
            ConstantKind::Zero => Ok(Scalar::Bits(0)),
            ConstantKind::Undef | ConstantKind::Poison => Ok(Scalar::Undefined),
            ConstantKind::Address(address) => self.symbol(*address),
            ConstantKind::BlockAddress { function, block } => {
                self.block_number(*function, *block).map(|number| Scalar::Bits(number.into())).ok_or_else(expression)
            }
            ConstantKind::Expression { op, operands } => {
                let mut values = Vec::with_capacity(operands.len());
                for operand in operands {
                    values.push(self.scalar(operand)?);
                }
                match (fold(*op, &values)?, bits) {
                    (Scalar::Bits(value), _) => Ok(Scalar::Bits(value & mask)),
                    (address, 32) => Ok(address),
                    _ => Err(expression()),
                }
            }
            ConstantKind::Bytes(_) | ConstantKind::Aggregate(_) => Err(expression()),
        }
    }

    /// Leaf `index` of a constant of any type.
    pub fn leaf(&mut self, constant: &Constant, index: usize) -> Lowered<Scalar> {
        match &constant.kind {
            ConstantKind::Aggregate(parts) => {
                let mut index = index;
                for part in parts {
                    let count = abi::leaves(&self.module.types, part.ty)?.len();
                    if index < count {
                        return self.leaf(part, index);
                    }
                    index -= count;
                }
                Err(expression())
            }
            ConstantKind::Bytes(bytes) => {
                let leaf = abi::leaves(&self.module.types, constant.ty)?.get(index).copied().ok_or_else(expression)?;
                let own = bytes
                    .get(leaf.offset as usize..)
                    .and_then(|tail| tail.get(..leaf.store_size as usize))
                    .ok_or_else(expression)?;
                Ok(Scalar::Bits(own.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))))
            }
            ConstantKind::Zero => Ok(Scalar::Bits(0)),
            ConstantKind::Undef | ConstantKind::Poison => Ok(Scalar::Undefined),
            _ => self.scalar(constant),
        }
    }

    /// The kind of a scalar type.
    pub fn kind(&self, ty: crate::ir::TypeId) -> Lowered<Kind> {
        match abi::leaves(&self.module.types, ty)?.as_slice() {
            [leaf] => Ok(leaf.kind),
            _ => Err(Refusal::unsupported("a struct or array where a scalar belongs", "report this input")),
        }
    }
}

fn offset_of(scalar: Scalar) -> Option<(u8, u32)> {
    match scalar {
        Scalar::Bits(value) => Some((0, value as u32)),
        Scalar::Address(Const::Linear(offset)) => Some((1, offset)),
        Scalar::Address(Const::Rodata(offset)) => Some((2, offset)),
        _ => None,
    }
}

fn fold(op: ConstantOp, values: &[Scalar]) -> Lowered<Scalar> {
    let rebuild = |region, offset| match region {
        1 => Scalar::Address(Const::Linear(offset)),
        _ => Scalar::Address(Const::Rodata(offset)),
    };
    match (op, values) {
        (ConstantOp::Reinterpret, [value]) => Ok(*value),
        (ConstantOp::Trunc | ConstantOp::ZeroExtend, [Scalar::Bits(value)]) => Ok(Scalar::Bits(*value)),
        (ConstantOp::Add, [Scalar::Bits(a), Scalar::Bits(b)]) => Ok(Scalar::Bits(a.wrapping_add(*b))),
        (ConstantOp::Sub, [Scalar::Bits(a), Scalar::Bits(b)]) => Ok(Scalar::Bits(a.wrapping_sub(*b))),
        (ConstantOp::Xor, [Scalar::Bits(a), Scalar::Bits(b)]) => Ok(Scalar::Bits(a ^ b)),
        (ConstantOp::Add, [a, b]) => match (offset_of(*a), offset_of(*b)) {
            (Some((0, number)), Some((region, offset))) | (Some((region, offset)), Some((0, number))) => {
                Ok(rebuild(region, offset.wrapping_add(number)))
            }
            _ => Err(expression()),
        },
        (ConstantOp::Sub, [a, b]) => match (offset_of(*a), offset_of(*b)) {
            (Some((one, a)), Some((other, b))) if one == other => Ok(Scalar::Bits(u64::from(a.wrapping_sub(b)))),
            (Some((region, a)), Some((0, b))) => Ok(rebuild(region, a.wrapping_sub(b))),
            _ => Err(expression()),
        },
        _ => Err(expression()),
    }
}
