//! Addresses at which the core stops before it executes what is there. Looked at where blocks begin, so they must be places that are
//! jumped or returned to: the entries of functions.

/// The addresses, and what has become of them.
#[derive(Default)]
pub struct Breakpoints {
    addresses: Vec<u32>,
    /// The one at which the core stands: it goes on from there.
    passing: Option<u32>,
    reached: bool,
}

impl Breakpoints {
    /// Has the core stop at these addresses from now on, and at no others. It still goes on past the one at which it stands.
    pub fn set(&mut self, addresses: &[u32]) {
        self.addresses = addresses.to_vec();
    }

    /// Whether the block at this address must not begin.
    pub fn stop_at(&mut self, address: u32) -> bool {
        if self.addresses.is_empty() || !self.addresses.contains(&address) {
            return false;
        }
        if self.passing.take_if(|passing| *passing == address).is_some() {
            return false;
        }
        self.reached = true;
        true
    }

    /// Whether a breakpoint was reached since the last call. The core, which stands at `pc`, will go on past it.
    pub fn take_reached(&mut self, pc: u32) -> bool {
        let reached = std::mem::take(&mut self.reached);
        if reached {
            self.passing = Some(pc);
        }
        reached
    }
}
