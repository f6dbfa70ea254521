//! Facts about a function that lowering asks for: block order, loop depth, definitions, how values are used.
//!
//! Must never hold: decisions. Everything here is true of the IR as it stands.

use crate::ir::{
    BinaryOp, BlockId, Callee, CastOp, Function, InstructionKind, IntPredicate, Operand, Terminator, TypeTable, ValueId,
};

/// Where a value is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Def {
    /// Nowhere that is reachable.
    None,
    /// Parameter with this position.
    Parameter(u32),
    /// Phi of a block.
    Phi { block: BlockId, index: u32 },
    /// Instruction of a block.
    Inst { block: BlockId, index: u32 },
}

/// How a value is used by reachable code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// All uses.
    pub total: u32,
    /// Uses that need it sign-extended.
    pub signed: u32,
    /// Uses that need it zero-extended.
    pub unsigned: u32,
    /// Uses as the address of a load or store.
    pub address: u32,
    /// Bytes of these accesses if they all agree, else 0.
    pub width: u32,
    /// Uses as the condition of a branch or select.
    pub condition: u32,
}

/// The facts.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// Reachable blocks in reverse post-order, inner loops together.
    pub order: Vec<BlockId>,
    /// Number of loops around each block.
    pub depth: Vec<u32>,
    /// Definition of each value.
    pub defs: Vec<Def>,
    /// Uses of each value.
    pub uses: Vec<Uses>,
}

impl Analysis {
    /// Looks at a function with a body.
    pub fn new(types: &TypeTable, function: &Function) -> Self {
        let successors = successors(function);
        let flat = vec![0; function.blocks.len()];
        let first = reverse_post_order(&successors, &flat);
        let depth = loop_depth(&successors, &first);
        let order: Vec<BlockId> =
            reverse_post_order(&successors, &depth).into_iter().map(|block| BlockId(block as u32)).collect();
        let mut analysis = Self {
            order,
            depth,
            defs: vec![Def::None; function.value_types.len()],
            uses: vec![Uses::default(); function.value_types.len()],
        };
        analysis.scan(types, function);
        analysis
    }

    /// The uses of a value.
    pub fn uses(&self, value: ValueId) -> Uses {
        self.uses.get(value.0 as usize).copied().unwrap_or_default()
    }

    /// The definition of a value.
    pub fn def(&self, value: ValueId) -> Def {
        self.defs.get(value.0 as usize).copied().unwrap_or(Def::None)
    }

    fn define(&mut self, value: ValueId, def: Def) {
        if let Some(slot) = self.defs.get_mut(value.0 as usize) {
            *slot = def;
        }
    }

    fn note(&mut self, operand: &Operand, change: impl FnOnce(&mut Uses)) {
        if let Operand::Value(value) = operand
            && let Some(uses) = self.uses.get_mut(value.0 as usize)
        {
            change(uses);
        }
    }

    fn scan(&mut self, types: &TypeTable, function: &Function) {
        for index in 0..function.parameters.len() as u32 {
            self.define(ValueId(index), Def::Parameter(index));
        }
        for block in self.order.clone() {
            let Some(body) = function.blocks.get(block.0 as usize) else { continue };
            for (index, phi) in body.phis.iter().enumerate() {
                self.define(phi.result, Def::Phi { block, index: index as u32 });
                for (_, operand) in &phi.incoming {
                    self.note(operand, |uses| uses.total += 1);
                }
            }
            for (index, inst) in body.instructions.iter().enumerate() {
                if let Some(result) = inst.result {
                    self.define(result, Def::Inst { block, index: index as u32 });
                }
                inst.kind.for_each_operand(|operand| self.note(operand, |uses| uses.total += 1));
                self.scan_kind(types, function, inst.result, &inst.kind);
            }
            body.terminator.for_each_operand(|operand| self.note(operand, |uses| uses.total += 1));
            match &body.terminator {
                Terminator::Branch { condition, .. } => self.note(condition, |uses| uses.condition += 1),
                Terminator::Switch { value, .. } => self.note(value, |uses| uses.unsigned += 1),
                _ => {}
            }
        }
    }

    fn scan_kind(&mut self, types: &TypeTable, function: &Function, result: Option<ValueId>, kind: &InstructionKind) {
        let signed = |uses: &mut Uses| uses.signed += 1;
        let unsigned = |uses: &mut Uses| uses.unsigned += 1;
        match kind {
            InstructionKind::Binary { op: BinaryOp::SDiv | BinaryOp::SRem, lhs, rhs } => {
                self.note(lhs, signed);
                self.note(rhs, signed);
            }
            InstructionKind::Binary { op: BinaryOp::UDiv | BinaryOp::URem, lhs, rhs } => {
                self.note(lhs, unsigned);
                self.note(rhs, unsigned);
            }
            InstructionKind::Binary { op: BinaryOp::AShr, lhs, .. } => self.note(lhs, signed),
            InstructionKind::Binary { op: BinaryOp::LShr, lhs, .. } => self.note(lhs, unsigned),
            InstructionKind::Compare { predicate, lhs, rhs } => match predicate {
                IntPredicate::Sgt | IntPredicate::Sge | IntPredicate::Slt | IntPredicate::Sle => {
                    self.note(lhs, signed);
                    self.note(rhs, signed);
                }
                IntPredicate::Ugt | IntPredicate::Uge | IntPredicate::Ult | IntPredicate::Ule => {
                    self.note(lhs, unsigned);
                    self.note(rhs, unsigned);
                }
                IntPredicate::Eq | IntPredicate::Ne => {}
            },
            InstructionKind::Cast { op: CastOp::SignExtend | CastOp::SignedToFloat, operand } => {
                self.note(operand, signed)
            }
            InstructionKind::Cast { op: CastOp::ZeroExtend | CastOp::UnsignedToFloat, operand } => {
                self.note(operand, unsigned)
            }
            InstructionKind::Address { indices, .. } => {
                indices.iter().for_each(|scaled| self.note(&scaled.index, signed))
            }
            InstructionKind::Select { condition, .. } => self.note(condition, |uses| uses.condition += 1),
            InstructionKind::Load { address, .. } => {
                let ty = result.and_then(|value| function.value_types.get(value.0 as usize));
                let width = ty.map_or(0, |ty| if types.is_aggregate(*ty) { 0 } else { types.layout(*ty).store_size });
                self.note_address(address, width);
            }
            InstructionKind::Store { address, value, .. } => {
                let ty = function.type_of(value);
                let width = ty.map_or(0, |ty| if types.is_aggregate(ty) { 0 } else { types.layout(ty).store_size });
                self.note_address(address, width);
            }
            InstructionKind::Call(call) if !matches!(call.callee, Callee::Intrinsic { .. }) => {
                for argument in &call.arguments {
                    if argument.attributes.sign_extend {
                        self.note(&argument.operand, signed);
                    }
                    if argument.attributes.zero_extend {
                        self.note(&argument.operand, unsigned);
                    }
                }
            }
            _ => {}
        }
    }

    fn note_address(&mut self, address: &Operand, width: u32) {
        self.note(address, |uses| {
            uses.width = if uses.address == 0 || uses.width == width { width } else { 0 };
            uses.address += 1;
        });
    }
}

fn successors(function: &Function) -> Vec<Vec<usize>> {
    let count = function.blocks.len();
    function
        .blocks
        .iter()
        .map(|block| {
            let mut all = Vec::new();
            block.terminator.for_each_successor(|to| {
                if (to.0 as usize) < count && all.last() != Some(&(to.0 as usize)) {
                    all.push(to.0 as usize);
                }
            });
            all
        })
        .collect()
}

/// Blocks reachable from block 0. Successors in fewer loops are visited first, so that they end up behind the loop.
pub fn reverse_post_order(successors: &[Vec<usize>], depth: &[u32]) -> Vec<usize> {
    let mut seen = vec![false; successors.len()];
    let mut post = Vec::with_capacity(successors.len());
    let mut stack: Vec<(usize, Vec<usize>)> = Vec::new();
    let sorted = |block: usize| {
        // The stack takes from the end: the shallowest, and among equals the last, goes first.
        let mut next = successors.get(block).cloned().unwrap_or_default();
        next.sort_by_key(|to| std::cmp::Reverse(depth.get(*to).copied().unwrap_or(0)));
        next
    };
    if let Some(first) = seen.first_mut() {
        *first = true;
        stack.push((0, sorted(0)));
    }
    while let Some((block, next)) = stack.last_mut() {
        match next.pop() {
            Some(to) => {
                if let Some(mark) = seen.get_mut(to)
                    && !*mark
                {
                    *mark = true;
                    let pending = sorted(to);
                    stack.push((to, pending));
                }
            }
            None => {
                post.push(*block);
                stack.pop();
            }
        }
    }
    post.reverse();
    post
}

/// Number of natural loops around each block; blocks in irreducible cycles count as outside.
pub fn loop_depth(successors: &[Vec<usize>], order: &[usize]) -> Vec<u32> {
    let count = successors.len();
    let mut position = vec![usize::MAX; count];
    for (at, block) in order.iter().enumerate() {
        position[*block] = at;
    }
    let mut predecessors = vec![Vec::new(); count];
    for block in order {
        for to in &successors[*block] {
            predecessors[*to].push(*block);
        }
    }
    let idom = dominators(order, &position, &predecessors);
    let dominates = |above: usize, mut below: usize| {
        while position[below] > position[above] {
            below = idom[below];
        }
        below == above
    };
    let mut depth = vec![0; count];
    let mut member = vec![usize::MAX; count];
    for header in order {
        let latches: Vec<usize> =
            predecessors[*header].iter().copied().filter(|latch| dominates(*header, *latch)).collect();
        if latches.is_empty() {
            continue;
        }
        member[*header] = *header;
        depth[*header] += 1;
        let mut work = latches;
        while let Some(block) = work.pop() {
            if member[block] != *header {
                member[block] = *header;
                depth[block] += 1;
                work.extend(predecessors[block].iter().copied());
            }
        }
    }
    depth
}

/// The dominator tree of reachable blocks.
#[derive(Clone, Debug)]
pub struct Dominators {
    idom: Vec<usize>,
    position: Vec<usize>,
}

impl Dominators {
    /// Of a graph whose entry is block 0.
    pub fn new(successors: &[Vec<usize>]) -> Self {
        let order = reverse_post_order(successors, &vec![0; successors.len()]);
        let mut position = vec![usize::MAX; successors.len()];
        for (at, block) in order.iter().enumerate() {
            position[*block] = at;
        }
        let mut predecessors = vec![Vec::new(); successors.len()];
        for block in &order {
            for to in &successors[*block] {
                predecessors[*to].push(*block);
            }
        }
        Self { idom: dominators(&order, &position, &predecessors), position }
    }

    /// The block above in the tree; the entry's is itself, an unreachable one has none.
    pub fn immediate(&self, block: usize) -> Option<usize> {
        self.idom.get(block).copied().filter(|above| *above != usize::MAX)
    }

    /// The lowest block that dominates both; `None` if one is unreachable.
    pub fn common(&self, a: usize, b: usize) -> Option<usize> {
        self.immediate(a).and(self.immediate(b))?;
        Some(meet(a, b, &self.idom, &self.position))
    }
}

/// Immediate dominators (Cooper, Harvey and Kennedy, "A simple, fast dominance algorithm").
fn dominators(order: &[usize], position: &[usize], predecessors: &[Vec<usize>]) -> Vec<usize> {
    let mut idom = vec![usize::MAX; position.len()];
    let Some(entry) = order.first() else { return idom };
    idom[*entry] = *entry;
    let mut changed = true;
    while changed {
        changed = false;
        for block in order.iter().skip(1) {
            let mut best = usize::MAX;
            for from in &predecessors[*block] {
                if idom[*from] == usize::MAX {
                    continue;
                }
                best = if best == usize::MAX { *from } else { meet(best, *from, &idom, position) };
            }
            if best != usize::MAX && idom[*block] != best {
                idom[*block] = best;
                changed = true;
            }
        }
    }
    idom
}

fn meet(mut a: usize, mut b: usize, idom: &[usize], position: &[usize]) -> usize {
    while a != b {
        while position[a] > position[b] {
            a = idom[a];
        }
        while position[b] > position[a] {
            b = idom[b];
        }
    }
    a
}
