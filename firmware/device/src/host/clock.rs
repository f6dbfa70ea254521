//! <time.h>: nobody has told the chip the date, so time begins at reset.

use super::{Registration, own};
use crate::drivers::alarm::now as microseconds;

const NULL: u32 = 0;

pub const TABLE: &[Registration] = &[
    own("time", |call| {
        let seconds = microseconds() / 1_000_000;
        if call.word(0) != NULL {
            call.vm.memory().write(call.word(0), &seconds.to_le_bytes())?;
        }
        Ok(seconds)
    }),
    // CLOCKS_PER_SEC is 1,000,000 in ESP-IDF's C library.
    own("clock", |_| Ok(u64::from(microseconds() as u32))),
];
