//! Structs and arrays as values: which leaves a path names.
//!
//! Must never hold: code; parts of aggregates are looked through (`operand`).

use super::Lower;
use crate::codegen::abi;
use crate::codegen::refusal::Lowered;
use crate::ir::Operand;

impl Lower<'_, '_> {
    /// First leaf and number of leaves of the part at `path`.
    pub fn path(&self, aggregate: &Operand, path: &[u32]) -> Lowered<(usize, usize)> {
        let types = &self.unit.module.types;
        let mut before = 0;
        let Some(mut ty) = self.function.type_of(aggregate) else { return Ok((0, 0)) };
        for index in path {
            before += abi::leaves_before(types, ty, *index)?;
            if let Some((part, _)) = types.part(ty, *index) {
                ty = part;
            }
        }
        Ok((before, abi::leaves(types, ty)?.len()))
    }
}
