//! libatomic: what compilers call where the core has no atomic instructions.

use espb_vm::atomic::{Atomic, BlockAtomic, perform, perform_block};

use super::{Registration, own};

/// The rows of each operation, one a width, and those for objects of any size.
macro_rules! table {
    ($($name:literal $operation:ident;)+) => {
        &[$(
            own(concat!($name, "_1"), |call| perform(call.vm, Atomic::$operation, 1)),
            own(concat!($name, "_2"), |call| perform(call.vm, Atomic::$operation, 2)),
            own(concat!($name, "_4"), |call| perform(call.vm, Atomic::$operation, 4)),
            own(concat!($name, "_8"), |call| perform(call.vm, Atomic::$operation, 8)),
        )+
            own("__atomic_load", |call| perform_block(call.vm, BlockAtomic::Load)),
            own("__atomic_store", |call| perform_block(call.vm, BlockAtomic::Store)),
            own("__atomic_exchange", |call| perform_block(call.vm, BlockAtomic::Exchange)),
            own("__atomic_compare_exchange", |call| perform_block(call.vm, BlockAtomic::CompareExchange)),
        ]
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
