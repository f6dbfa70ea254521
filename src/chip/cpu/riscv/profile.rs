//! Where counted indirect jumps lead, and what runs between them. Never here: what the addresses mean.

use std::collections::HashMap;

use super::DispatchPair;

/// The tally of a run.
#[derive(Default)]
pub struct Profile {
    /// The two targets reached last, and the instructions executed before the second.
    last: Option<(u32, u32, u64)>,
    /// Count and instructions of each pair of targets.
    pairs: HashMap<(u32, u32), (u64, u64)>,
}

impl Profile {
    /// A jump led to `target`; `instructions` were executed before.
    pub fn arrive(&mut self, target: u32, instructions: u64) {
        let first = match self.last {
            Some((first, second, before)) => {
                let (count, sum) = self.pairs.entry((first, second)).or_default();
                *count += 1;
                *sum += instructions - before;
                second
            }
            None => 0,
        };
        self.last = Some((first, target, instructions));
    }

    /// All pairs so far.
    pub fn pairs(&self) -> Vec<DispatchPair> {
        let pair = |(&(first, second), &(count, instructions)): (&(u32, u32), &(u64, u64))| DispatchPair {
            first,
            second,
            count,
            instructions,
        };
        self.pairs.iter().map(pair).collect()
    }
}
