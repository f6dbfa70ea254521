//! The executed opcodes of a run, as tables or as one JSON object.

use serde_json::json;

use super::report::Reporter;
use crate::device::profile::{Profile, Tally};

/// Rows of the tables for people.
const OPCODES: usize = 40;
const PAIRS: usize = 40;

/// Shows the profile.
pub fn show(reporter: Reporter, profile: &Profile) {
    if reporter.is_json() {
        let row = |name: String, tally: &Tally| json!({ "name": name, "count": tally.count, "instructions": tally.instructions });
        let opcodes: Vec<_> = profile.opcodes.iter().map(|(opcode, tally)| row(opcode.to_string(), tally)).collect();
        let pairs: Vec<_> =
            profile.pairs.iter().map(|((first, second), tally)| row(format!("{first} {second}"), tally)).collect();
        return reporter.object(&json!({ "reason": "profile", "opcodes": opcodes, "pairs": pairs }));
    }
    let total = profile.total();
    let share = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
    reporter.talk("opcode               executed          %   machine each   % of machine");
    for (opcode, tally) in profile.opcodes.iter().take(OPCODES) {
        reporter.talk(&format!(
            "{:<16} {:>12} {:>10.2} {:>14.1} {:>14.2}",
            opcode.to_string(),
            tally.count,
            share(tally.count, total.count),
            tally.instructions as f64 / tally.count.max(1) as f64,
            share(tally.instructions, total.instructions),
        ));
    }
    reporter.talk("pair                               executed          %");
    for ((first, second), tally) in profile.pairs.iter().take(PAIRS) {
        let name = format!("{first} {second}");
        reporter.talk(&format!("{name:<30} {:>12} {:>10.2}", tally.count, share(tally.count, total.count)));
    }
}
