//! The firmware's own contracts, as its build generates them from the hints files, and the comparison of a module's with them.
//!
//! Holds no table: `firmware/device` does.

use super::Flags;
use crate::signature::Signature;
use core::fmt;

/// What the firmware knows about one host function: everything in the encoding that modules carry, so that loading
/// compares bytes and needs no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostContract {
    /// The name that modules import.
    pub name: &'static str,
    /// The bytes of the signature ([`Signature::encode`]).
    pub signature: [u8; Signature::SIZE],
    /// Pointers, handles, formats and the result ([`super::Contract::encode`]).
    pub immeta: &'static [u8],
    /// Callbacks ([`super::Contract::encode`]).
    pub cbmeta: &'static [u8],
    /// Properties of the function.
    pub flags: Flags,
}

/// How an import contradicts the firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// Other parameter types, another result type or another variadicity.
    Signature,
    /// Other pointers, handles, formats or result.
    Marshalling,
    /// Other callbacks.
    Callbacks,
}

impl HostContract {
    /// Compares what a module says of its import with the firmware's own; an import without a record gives an empty slice.
    ///
    /// # Errors
    /// The first part that differs.
    pub fn check(&self, signature: &Signature, immeta: &[u8], cbmeta: &[u8]) -> Result<(), Contradiction> {
        if signature.encode() != self.signature {
            Err(Contradiction::Signature)
        } else if immeta != self.immeta {
            Err(Contradiction::Marshalling)
        } else if cbmeta != self.cbmeta {
            Err(Contradiction::Callbacks)
        } else {
            Ok(())
        }
    }
}

/// Finds a function in a table sorted by name.
#[must_use]
pub fn find<'t>(table: &'t [HostContract], name: &str) -> Option<&'t HostContract> {
    table.binary_search_by(|entry| entry.name.cmp(name)).ok().and_then(|index| table.get(index))
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Contradiction::Signature => "its parameter or result types differ from the firmware's",
            Contradiction::Marshalling => {
                "its pointers, handles, formats or result differ from the firmware's contract"
            }
            Contradiction::Callbacks => "its callbacks differ from the firmware's contract",
        })
    }
}
