//! What modules may know of the core.

use super::{Registration, own};
use crate::counters;

pub const TABLE: &[Registration] = &[own("esp_cpu_get_cycle_count", |_| Ok(counters::now().into()))];
