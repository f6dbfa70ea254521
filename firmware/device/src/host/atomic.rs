//! libatomic: what compilers call where the core has no atomic instructions, on objects of 1, 2, 4 and 8 bytes.

use espb_vm::atomic::{Atomic, perform};

use super::{Registration, own};

/// The rows of each operation, one a width.
macro_rules! table {
    ($($name:literal $operation:ident;)+) => {
        &[$(
            own(concat!($name, "_1"), |call| perform(call.vm, Atomic::$operation, 1)),
            own(concat!($name, "_2"), |call| perform(call.vm, Atomic::$operation, 2)),
            own(concat!($name, "_4"), |call| perform(call.vm, Atomic::$operation, 4)),
            own(concat!($name, "_8"), |call| perform(call.vm, Atomic::$operation, 8)),
        )+]
    };
}

pub const TABLE: &[Registration] = table! {
    "__atomic_load" Load;
    "__atomic_store" Store;
    "__atomic_exchange" Exchange;
    "__atomic_compare_exchange" CompareExchange;
    "__atomic_fetch_add" FetchAdd;
    "__atomic_fetch_sub" FetchSub;
    "__atomic_fetch_and" FetchAnd;
    "__atomic_fetch_or" FetchOr;
    "__atomic_fetch_xor" FetchXor;
    "__atomic_fetch_nand" FetchNand;
};
