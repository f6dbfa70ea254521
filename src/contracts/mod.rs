//! Which contract each import has, and why.
//!
//! Hints decide; what they leave open is completed from the calls. Of an import that nobody described the meaning is
//! inferred; if that stays uncertain, it is refused. Decides nothing that the firmware would not check again, and reads nothing but the plain IR and hints files.

mod calls;
mod decide;
mod explain;
mod hints;
pub mod infer;

pub use calls::{ArgumentFact, Calls};
pub use decide::{Decision, Evidence, Import, Source, decide, decide_all, demand_permission, doubt};
pub use explain::{Explained, Explanation, Malformed, explain, explain_module, explain_undecided};
pub use hints::load;
