//! Numbers without a pattern, the same in each run.

/// A small deterministic generator (xorshift), so that a failure repeats.
pub struct Random(pub u64);

impl Random {
    /// A number from 0 on and below `limit`.
    pub fn below(&mut self, limit: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as i64 % limit.max(1)
    }
}
