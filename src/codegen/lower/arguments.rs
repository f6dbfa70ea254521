//! Arguments on both sides of a call: which travel in registers, which in memory, and how narrow ones are extended.
//!
//! Must never hold: what is called (`call`) or where windows lie (register allocation).
//!
//! Inside a module the scalars that no signature has room for lie in the caller's frame, and so do variable arguments: words, 8-byte values at
//! multiples of 8, as the RISC-V calling convention lays them out on the stack. The address of either area is a parameter of its own.

use super::Lower;
use super::address::{Mode, fits_displacement};
use super::emit::{imm, int, reg};
use crate::codegen::abi::{self, Area, Kind};
use crate::codegen::machine::{Const, InstKind, Reg, Source, VReg};
use crate::codegen::refusal::Lowered;
use crate::ir::{self, Callee, Linkage, Operand, ParameterAttributes, ValueId};
use espb_format::opcode::Opcode;
use espb_format::signature::Signature;

/// How the arguments of a call travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// To a function of the module.
    Module,
    /// To a function of the module that takes over the frame, and with it this function's own variable arguments.
    TailCall,
    /// To a host function, each by itself.
    Host,
    /// To a host function that takes the variable ones as a list.
    HostList,
}

/// Bytes of a call's areas.
struct Areas {
    /// Where variable arguments start; in front of them lies what has no room in registers.
    variable: u32,
    /// Both together.
    size: u32,
}

impl Lower<'_, '_> {
    /// How the arguments of this call travel.
    pub fn passing(&self, call: &ir::Call) -> Lowered<Passing> {
        let Callee::Function(id) = &call.callee else { return Ok(Passing::Module) };
        let is_host = self.unit.index(*id).is_none()
            && self.unit.module.function(*id).is_some_and(|callee| callee.linkage != Linkage::ExternalWeak);
        Ok(match is_host {
            false => Passing::Module,
            true if call.ty.variadic && self.scalars(call, 0)?.len() > Signature::MAX_PARAMS => Passing::HostList,
            true => Passing::Host,
        })
    }

    /// The scalars of the arguments from position `first` on.
    fn scalars(&self, call: &ir::Call, first: usize) -> Lowered<Vec<Kind>> {
        let mut kinds = Vec::new();
        for argument in call.arguments.iter().skip(first) {
            let Some(ty) = self.function.type_of(&argument.operand) else { continue };
            kinds.extend(abi::leaves(&self.unit.module.types, ty)?.iter().map(|leaf| leaf.kind));
        }
        Ok(kinds)
    }

    fn areas(&self, call: &ir::Call) -> Lowered<Areas> {
        let variable = self.scalars(call, call.ty.parameters.len())?;
        let mut fixed = self.scalars(call, 0)?;
        fixed.truncate(fixed.len() - variable.len());
        let in_memory = fixed.split_off(abi::in_registers(fixed.len(), call.ty.variadic));
        let start = Area::of(&in_memory).size().next_multiple_of(8);
        Ok(Areas { variable: start, size: start + Area::of(&variable).size() })
    }

    /// Bytes of the frame that this call needs for arguments in memory.
    pub fn outgoing_size(&self, call: &ir::Call) -> Lowered<u32> {
        if call.must_tail || self.passing(call)? == Passing::Host {
            return Ok(0);
        }
        let size = self.areas(call)?.size;
        // A variadic function that reads no further than its arguments still gets an address inside the frame.
        Ok(if call.ty.variadic { size.max(4) } else { size })
    }

    /// The arguments in window order; what travels in memory is stored.
    pub fn arguments(
        &mut self,
        call: &ir::Call,
        callee: Option<&ir::Function>,
        passing: Passing,
    ) -> Lowered<Vec<Source>> {
        let fixed = call.ty.parameters.len();
        let mut scalars = Vec::new();
        let none = ParameterAttributes::default();
        for (position, argument) in call.arguments.iter().enumerate() {
            if position >= fixed && passing != Passing::Host {
                break;
            }
            let declared = callee
                .and_then(|callee| callee.parameters.get(position))
                .map_or(&none, |parameter| &parameter.attributes);
            let signed = argument.attributes.sign_extend || declared.sign_extend;
            let host = matches!(passing, Passing::Host | Passing::HostList);
            let extended = argument.attributes.zero_extend || declared.zero_extend || host;
            let Some(ty) = self.function.type_of(&argument.operand) else { continue };
            for (index, leaf) in abi::leaves(&self.unit.module.types, ty)?.iter().enumerate() {
                leaf.kind.val_type()?;
                scalars.push((leaf.kind, self.argument(&argument.operand, index, leaf.kind, signed, extended)?));
            }
        }
        let in_memory = match passing {
            Passing::Host => Vec::new(),
            _ => scalars.split_off(abi::in_registers(scalars.len(), call.ty.variadic)),
        };
        let mut sources: Vec<Source> = scalars.into_iter().flat_map(|(_, lanes)| lanes).collect();
        if !in_memory.is_empty() {
            let mut area = Area::default();
            for (kind, lanes) in in_memory {
                let place = self.outgoing + area.place(kind);
                for (offset, lane) in (0..).step_by(4).zip(lanes) {
                    let word = match lane {
                        Source::Lane(register) => register,
                        Source::Undefined => continue,
                        constant => {
                            let word = self.temp();
                            self.set_lane(word, constant);
                            word
                        }
                    };
                    self.store_frame(word, place + offset, 4);
                }
            }
            sources.push(self.frame_address(self.outgoing));
        }
        match passing {
            Passing::Module | Passing::HostList if call.ty.variadic => sources.push(self.variable_arguments(call)?),
            Passing::TailCall if call.ty.variadic => sources.push(Source::Lane(self.variadic_list().whole())),
            _ => {}
        }
        Ok(sources)
    }

    /// The lanes of a scalar argument.
    fn argument(
        &mut self,
        operand: &Operand,
        index: usize,
        kind: Kind,
        signed: bool,
        extended: bool,
    ) -> Lowered<Vec<Source>> {
        Ok(match kind {
            Kind::Int(2..=31) if (signed || extended) && self.kind_of(operand).is_ok_and(|own| own == kind) => {
                let is_number = self.number_of(operand)?.is_some();
                vec![if is_number && signed {
                    int(self.signed_number_of(operand)?.unwrap_or(0) as u32)
                } else if is_number {
                    self.source(operand, index, 0)?
                } else if signed {
                    Source::Lane(self.get_sign_extended(operand)?)
                } else {
                    Source::Lane(self.get_zero_extended(operand)?)
                }]
            }
            Kind::Int(2..=31) if extended => {
                let raw = self.get_leaf(operand, index)?;
                let result = self.temp();
                self.zero_extend_into(result, raw, kind.bits());
                vec![Source::Lane(result)]
            }
            Kind::Int(33..=63) if signed || extended => {
                let raw = self.get64_leaf(operand, index)?;
                let result = self.temp64();
                if signed {
                    self.sign_extend64_into(result, raw, kind.bits());
                } else {
                    self.zero_extend64_into(result, raw, kind.bits());
                }
                vec![Source::Lane(result.lane(0)), Source::Lane(result.lane(1))]
            }
            _ => (0..kind.lanes()).map(|lane| self.source(operand, index, lane)).collect::<Lowered<_>>()?,
        })
    }

    /// Stores the variable arguments; the address of their area.
    fn variable_arguments(&mut self, call: &ir::Call) -> Lowered<Source> {
        let start = self.outgoing + self.areas(call)?.variable;
        let mut area = Area::default();
        for argument in call.arguments.iter().skip(call.ty.parameters.len()) {
            let Some(ty) = self.function.type_of(&argument.operand) else { continue };
            for (index, leaf) in abi::leaves(&self.unit.module.types, ty)?.iter().enumerate() {
                leaf.kind.val_type()?;
                let register = if leaf.kind.lanes() == 2 {
                    self.get64_leaf(&argument.operand, index)?
                } else {
                    self.get_leaf(&argument.operand, index)?
                };
                let offset = start + area.place(leaf.kind);
                self.store_frame(register, offset, u32::from(leaf.kind.lanes()) * 4);
            }
        }
        Ok(self.frame_address(start))
    }

    /// The register that holds the address of the function's own variable arguments.
    pub fn variadic_list(&mut self) -> VReg {
        if let Some(list) = self.list {
            return list;
        }
        let list = self.out.vreg(1);
        self.list = Some(list);
        list
    }

    /// The incoming arguments, put before everything else.
    pub fn parameters(&mut self) -> Lowered<()> {
        let function = self.function;
        self.location = None;
        let scalars: usize = (0..function.parameters.len()).map(|index| self.leaf_count(ValueId(index as u32))).sum();
        let mut registers = abi::in_registers(scalars, function.ty.variadic);
        let mut area = Area::default();
        let mut incoming = Vec::new();
        let mut in_memory = Vec::new();
        let mut normalised = Vec::new();
        for (index, parameter) in function.parameters.iter().enumerate() {
            let value = ValueId(index as u32);
            for leaf in 0..self.leaf_count(value) {
                let kind = self.leaf_kind(value, leaf);
                kind.val_type()?;
                let vreg = match self.wanted(value, leaf) {
                    Some(wanted) if kind == Kind::Int(1) && !parameter.attributes.zero_extend => {
                        let raw = self.out.vreg(1);
                        normalised.push((wanted, raw));
                        Some(raw)
                    }
                    wanted => wanted,
                };
                if registers == 0 {
                    let offset = area.place(kind);
                    in_memory.extend(vreg.map(|vreg| (vreg, kind, offset)));
                    continue;
                }
                registers -= 1;
                let vreg = vreg.unwrap_or_else(|| self.out.vreg(kind.lanes()));
                incoming.extend((0..kind.lanes()).map(|lane| vreg.lane(lane)));
            }
        }
        let address = self.out.vreg(1).whole();
        if area.size() > 0 {
            incoming.push(address);
        }
        if function.ty.variadic {
            let list = self.variadic_list();
            incoming.push(list.whole());
        }
        self.push(InstKind::Parameters(incoming));
        for (vreg, kind, offset) in in_memory {
            self.load_incoming(vreg.whole(), address, offset, u32::from(kind.lanes()) * 4);
        }
        for (wanted, raw) in normalised {
            self.op(Opcode::AndImmediate, &[reg(wanted.whole()), reg(raw.whole()), imm(1)]);
        }
        if let Some(frame_pointer) = self.out.frame_pointer {
            self.push(InstKind::Copy(vec![(frame_pointer.whole(), Source::Const(Const::Stack(0)))]));
        }
        let start: Vec<_> = self.code.drain(..).collect();
        if let Some(entry) = self.out.blocks.first_mut() {
            entry.insts.splice(0..0, start);
        }
        Ok(())
    }

    fn load_incoming(&mut self, to: Reg, area: Reg, offset: u32, width: u32) {
        let (base, offset) = if fits_displacement(offset.into(), width) {
            (area, offset)
        } else {
            let base = self.temp();
            self.add_number(base, area, offset as i32);
            (base, 0)
        };
        self.load_mode(to, Mode::Displacement { base, offset }, width, false);
    }
}
