//! How often each virtual register is read and written in reachable code, by lanes.
//!
//! Must never hold: where; `liveness` knows that.

use super::machine::{Access, Block, Function, Reg, VReg};

/// The occurrences of a register.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Lanes read.
    pub reads: u32,
    /// Lanes written.
    pub writes: u32,
    /// Lanes that it has.
    pub lanes: u8,
}

/// Those of all registers.
#[derive(Debug)]
pub struct Occurrences(Vec<Count>);

impl Occurrences {
    /// Counts in the blocks of `order`.
    pub fn new(function: &Function, order: &[Block]) -> Self {
        let mut all = Self(function.widths.iter().map(|lanes| Count { lanes: *lanes, ..Count::default() }).collect());
        for block in order {
            let body = &function.blocks[block.index()];
            body.insts.iter().for_each(|inst| inst.for_each_lane(|reg, access| all.note(reg.vreg, access)));
            body.terminator.for_each_use(|reg| all.note(reg.vreg, Access::Use));
        }
        // The frame pointer is read where spilled registers are: more often than anybody sees here.
        if let Some(frame_pointer) = function.frame_pointer {
            all.note(frame_pointer, Access::Use);
            all.note(frame_pointer, Access::Use);
        }
        all
    }

    fn note(&mut self, vreg: VReg, access: Access) {
        if let Some(count) = self.0.get_mut(vreg.0 as usize) {
            match access {
                Access::Use => count.reads += 1,
                Access::Def => count.writes += 1,
            }
        }
    }

    /// Those of one register.
    pub fn of(&self, vreg: VReg) -> Count {
        self.0.get(vreg.0 as usize).copied().unwrap_or_default()
    }

    /// Whether the register is a single one that one instruction writes.
    pub fn is_simple(&self, reg: Reg) -> bool {
        let count = self.of(reg.vreg);
        count.lanes == 1 && count.writes == 1
    }
}
