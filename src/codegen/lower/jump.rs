//! setjmp and longjmp, which are instructions.
//!
//! Must never hold: what keeps values alive until a jump comes back (`liveness`).

use super::Lower;
use super::emit::reg;
use crate::codegen::refusal::Lowered;
use crate::ir::{self, ValueId};
use espb_format::opcode::Opcode;

impl Lower<'_, '_> {
    /// Lowers a call of one of the two, declared as the C library has them; whether it was one.
    pub fn long_jump(&mut self, result: Option<ValueId>, name: &str, call: &ir::Call) -> Lowered<bool> {
        match (name, call.arguments.as_slice()) {
            ("setjmp" | "_setjmp", [buffer]) => {
                let buffer = self.get(&buffer.operand)?;
                let wanted = result.and_then(|result| self.wanted(result, 0)).map(|wanted| wanted.whole());
                let result = wanted.unwrap_or_else(|| self.temp());
                self.op(Opcode::SetJump, &[reg(result), reg(buffer)]);
            }
            ("longjmp" | "_longjmp", [buffer, value]) => {
                let (buffer, value) = (self.get(&buffer.operand)?, self.get(&value.operand)?);
                self.op(Opcode::LongJump, &[reg(buffer), reg(value)]);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}
