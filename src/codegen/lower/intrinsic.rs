//! LLVM's intrinsics: which do nothing, which are instructions, which are functions of the host's C library.
//!
//! Must never hold: bit tricks (`bits`) or address modes (`memory`).

use super::Lower;
use super::emit::{imm, int, reg};
use super::float::SIGN;
use super::operand::mask;
use crate::codegen::abi::{self, Kind};
use crate::codegen::machine::{Const, Source, VReg};
use crate::codegen::refusal::{Lowered, Refusal};
use crate::ir::{self, Operand, ValueId};
use espb_format::instruction::range;
use espb_format::opcode::Opcode;
use espb_format::operand as format;

/// What an integer intrinsic computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntOp {
    MinSigned,
    MaxSigned,
    MinUnsigned,
    MaxUnsigned,
    Absolute,
    CountOnes,
    CountLeading,
    CountTrailing,
    SwapBytes,
    ReverseBits,
    FunnelLeft,
    FunnelRight,
    CompareSigned,
    CompareUnsigned,
    SaturatingAddSigned,
    SaturatingAddUnsigned,
    SaturatingSubSigned,
    SaturatingSubUnsigned,
    SaturatingShiftSigned,
    SaturatingShiftUnsigned,
}

/// Intrinsics without effect on what the program computes.
fn is_silent(name: &str) -> bool {
    matches!(
        name,
        "llvm.lifetime.start"
            | "llvm.lifetime.end"
            | "llvm.invariant.start"
            | "llvm.invariant.end"
            | "llvm.assume"
            | "llvm.donothing"
            | "llvm.prefetch"
            | "llvm.sideeffect"
            | "llvm.pseudoprobe"
            | "llvm.experimental.noalias.scope.decl"
            | "llvm.var.annotation"
            | "llvm.va_end"
            | "llvm.codeview.annotation"
    ) || name.starts_with("llvm.dbg.")
}

fn int_op(name: &str) -> Option<IntOp> {
    use IntOp::*;
    Some(match name {
        "llvm.smin" => MinSigned,
        "llvm.smax" => MaxSigned,
        "llvm.umin" => MinUnsigned,
        "llvm.umax" => MaxUnsigned,
        "llvm.abs" => Absolute,
        "llvm.ctpop" => CountOnes,
        "llvm.ctlz" => CountLeading,
        "llvm.cttz" => CountTrailing,
        "llvm.bswap" => SwapBytes,
        "llvm.bitreverse" => ReverseBits,
        "llvm.fshl" => FunnelLeft,
        "llvm.fshr" => FunnelRight,
        "llvm.scmp" => CompareSigned,
        "llvm.ucmp" => CompareUnsigned,
        "llvm.sadd.sat" => SaturatingAddSigned,
        "llvm.uadd.sat" => SaturatingAddUnsigned,
        "llvm.ssub.sat" => SaturatingSubSigned,
        "llvm.usub.sat" => SaturatingSubUnsigned,
        "llvm.sshl.sat" => SaturatingShiftSigned,
        "llvm.ushl.sat" => SaturatingShiftUnsigned,
        _ => return None,
    })
}

/// The C library's name of a floating-point intrinsic, for double; float takes an `f` behind it.
fn library_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "llvm.floor" => "floor",
        "llvm.ceil" => "ceil",
        "llvm.trunc" => "trunc",
        // There is one rounding mode, to the nearest even, and nobody sees inexact results flagged.
        "llvm.rint" | "llvm.nearbyint" | "llvm.roundeven" => "rint",
        "llvm.round" => "round",
        "llvm.sqrt" => "sqrt",
        "llvm.sin" => "sin",
        "llvm.cos" => "cos",
        "llvm.tan" => "tan",
        "llvm.asin" => "asin",
        "llvm.acos" => "acos",
        "llvm.atan" => "atan",
        "llvm.atan2" => "atan2",
        "llvm.sinh" => "sinh",
        "llvm.cosh" => "cosh",
        "llvm.tanh" => "tanh",
        "llvm.exp" => "exp",
        "llvm.exp2" => "exp2",
        "llvm.exp10" => "exp10",
        "llvm.log" => "log",
        "llvm.log2" => "log2",
        "llvm.log10" => "log10",
        "llvm.pow" => "pow",
        "llvm.fma" => "fma",
        "llvm.minnum" => "fmin",
        "llvm.maxnum" => "fmax",
        _ => return None,
    })
}

impl Lower<'_, '_> {
    /// A call of an intrinsic.
    pub fn intrinsic(&mut self, result: Option<ValueId>, name: &str, call: &ir::Call) -> Lowered<()> {
        if is_silent(name) {
            return Ok(());
        }
        let arguments: Vec<&Operand> = call.arguments.iter().map(|argument| &argument.operand).collect();
        match (name, arguments.as_slice()) {
            ("llvm.memcpy" | "llvm.memcpy.inline" | "llvm.memmove", [to, from, length, ..]) => {
                return self.copy_block(to, from, length);
            }
            ("llvm.memset" | "llvm.memset.inline", [to, byte, length, ..]) => return self.fill_block(to, byte, length),
            ("llvm.trap" | "llvm.ubsantrap", _) => {
                self.op(Opcode::Unreachable, &[]);
                return Ok(());
            }
            ("llvm.debugtrap", _) => {
                self.op(Opcode::Trap, &[imm(0)]);
                return Ok(());
            }
            ("llvm.va_start", [list]) => {
                let own = self.variadic_list();
                let address = self.get(list)?;
                self.store_word(own.whole(), address);
                return Ok(());
            }
            ("llvm.va_copy", [to, from]) => {
                let (to, from) = (self.get(to)?, self.get(from)?);
                let word = self.temp();
                self.load_word(word, from);
                self.store_word(word, to);
                return Ok(());
            }
            ("llvm.stackrestore", [pointer]) => {
                let register = self.get(pointer)?;
                self.op(Opcode::StackRestore, &[reg(register)]);
                return Ok(());
            }
            _ => {}
        }
        let Some(result) = result else { return Err(unknown(name)) };
        let Some(first) = (0..self.leaf_count(result)).find_map(|leaf| self.wanted(result, leaf)) else {
            return Ok(());
        };
        let kind = self.leaf_kind(result, 0);
        if let Some(op) = int_op(name) {
            return self.int_intrinsic(first, kind, op, &arguments);
        }
        if let Some(operation) = name.strip_prefix("llvm.").and_then(|name| name.strip_suffix(".with.overflow")) {
            return self.with_overflow(result, operation, &arguments);
        }
        if let Some(library) = library_name(name) {
            return match kind {
                Kind::F32 => self.library(first, &format!("{library}f"), kind, &arguments),
                Kind::F64 => self.library(first, library, kind, &arguments),
                Kind::Int(_) => Err(unknown(name)),
            };
        }
        self.other(first, kind, name, &arguments)
    }

    fn other(&mut self, dest: VReg, kind: Kind, name: &str, arguments: &[&Operand]) -> Lowered<()> {
        match (name, arguments) {
            ("llvm.fabs", [a]) => {
                self.change_sign_word(dest, kind, a, |lower, to, from| lower.and_number(to, from, !SIGN))
            }
            ("llvm.copysign", [a, sign]) => {
                let lane = kind.lanes() - 1;
                let word = if lane == 1 { self.get64(sign)?.vreg.lane(1) } else { self.get(sign)? };
                let sign = self.temp();
                self.and_number(sign, word, SIGN);
                self.change_sign_word(dest, kind, a, |lower, to, from| {
                    let magnitude = lower.temp();
                    lower.and_number(magnitude, from, !SIGN);
                    lower.op(Opcode::Or, &[reg(to), reg(magnitude), reg(sign)]);
                })
            }
            ("llvm.fmuladd", [a, b, c]) => {
                let product = self.out.vreg(kind.lanes());
                self.float_binary(product, kind, ir::BinaryOp::FMul, a, b)?;
                let opcode = if kind == Kind::F64 { Opcode::AddF64 } else { Opcode::AddF32 };
                let c = if kind == Kind::F64 { self.get64(c)? } else { self.get(c)? };
                self.op(opcode, &[reg(dest.whole()), reg(product.whole()), reg(c)]);
                Ok(())
            }
            ("llvm.fptosi.sat" | "llvm.fptoui.sat", [a]) => {
                self.saturating_conversion(dest, kind, name == "llvm.fptosi.sat", a)
            }
            ("llvm.is.fpclass", [a, test]) => self.float_class(dest, a, test),
            ("llvm.ptrmask", [pointer, bits]) => {
                let (a, b) = (self.get(pointer)?, self.get(bits)?);
                self.op(Opcode::And, &[reg(dest.whole()), reg(a), reg(b)]);
                Ok(())
            }
            ("llvm.threadlocal.address", [variable]) => self.thread_local(dest, variable),
            ("llvm.stacksave", _) => {
                self.set_lane(dest.whole(), Source::Const(Const::Stack(0)));
                Ok(())
            }
            ("llvm.objectsize", [_, minimum, ..]) => {
                // Unknown size: 0 if the minimum is asked for, else all ones.
                let unknown = if self.number_of(minimum)? == Some(1) { 0 } else { mask(kind.bits()) };
                for lane in 0..kind.lanes() {
                    self.set_lane(dest.lane(lane), int((unknown >> (32 * u32::from(lane))) as u32));
                }
                Ok(())
            }
            ("llvm.is.constant", _) => {
                self.set_lane(dest.whole(), int(0));
                Ok(())
            }
            ("llvm.returnaddress" | "llvm.frameaddress", _) => {
                self.set_lane(dest.whole(), int(0));
                Ok(())
            }
            _ => Err(unknown(name)),
        }
    }

    /// The address of a thread-local variable in the running task.
    fn thread_local(&mut self, dest: VReg, variable: &Operand) -> Lowered<()> {
        let place = match variable {
            Operand::Constant(constant) => self.unit.thread_local(constant).map(i64::from),
            Operand::Value(_) => None,
        };
        match place {
            Some(offset) if offset <= range(format::Operand::ThreadLocalAddress).1 => {
                self.op(Opcode::ThreadLocalAddress, &[reg(dest.whole()), imm(offset)]);
            }
            Some(offset) => {
                let start = self.temp();
                self.op(Opcode::ThreadLocalAddress, &[reg(start), imm(0)]);
                self.add_number(dest.whole(), start, offset as i32);
            }
            // A weak one that nobody defines, or a refusal.
            None => {
                let address = self.source(variable, 0, 0)?;
                self.set_lane(dest.whole(), address);
            }
        }
        Ok(())
    }

    /// Conversion that saturates; the instructions do so at 32 and 64 bits.
    fn saturating_conversion(&mut self, dest: VReg, kind: Kind, signed: bool, operand: &Operand) -> Lowered<()> {
        match kind {
            Kind::Int(32 | 64) => self.cast(
                dest,
                kind,
                if signed { ir::CastOp::FloatToSigned } else { ir::CastOp::FloatToUnsigned },
                operand,
            ),
            Kind::Int(bits @ 2..32) => {
                let wide = self.out.vreg(1);
                let op = if signed { ir::CastOp::FloatToSigned } else { ir::CastOp::FloatToUnsigned };
                self.cast(wide, Kind::Int(32), op, operand)?;
                let (most, least) =
                    if signed { (mask(bits - 1) as u32, !(mask(bits - 1) as u32)) } else { (mask(bits) as u32, 0) };
                let most = self.number(most);
                if signed {
                    let least = self.number(least);
                    let below = self.binary_op(Opcode::MinSigned, wide.whole(), most);
                    self.op(Opcode::MaxSigned, &[reg(dest.whole()), reg(below), reg(least)]);
                } else {
                    self.op(Opcode::MinUnsigned, &[reg(dest.whole()), reg(wide.whole()), reg(most)]);
                }
                Ok(())
            }
            other => Err(abi::wide(other.bits())),
        }
    }
}

fn unknown(name: &str) -> Refusal {
    Refusal::unsupported(format!("the intrinsic {name}"), "compile without the option or builtin that makes it")
}
