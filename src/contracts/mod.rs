//! Which contract each import has, and why.
//!
//! Hints decide; what they leave open is completed from the calls; an import that nobody described is refused. Decides
//! nothing that the firmware would not check again, and reads nothing but the plain IR and hints files.

mod calls;
mod decide;
mod hints;
pub mod infer;

pub use calls::{ArgumentFact, Calls};
pub use decide::{Decision, Evidence, Import, Source, decide, decide_all};
pub use hints::load;
