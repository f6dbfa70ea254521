//! The records of an import to its contract. Total: any bytes give a contract or an error with an offset.
//!
//! Allocates no more than the bytes justify. Never here: how a record is read ([`super::entries`]).

use super::entries::{CbmetaEntries, ImmetaEntries, ImmetaEntry, Members};
use super::reader::{DecodeError, Reason};
use super::{Contract, Member, Param, Pointer, RuleError, Slot};
use crate::signature::Signature;
use alloc::vec::Vec;

impl Param<Members<'_>> {
    /// The same with its members in memory.
    fn kept(self) -> Param {
        match self {
            Self::Value => Param::Value,
            Self::UserData => Param::UserData,
            Self::Callback(callback) => Param::Callback(callback),
            Self::Handle(handle) => Param::Handle(handle),
            Self::HandleOut { kind, nullable } => Param::HandleOut { kind, nullable },
            Self::Format(format) => Param::Format(format),
            Self::Pointer(Pointer { direction, extent, nullable, deferred, members }) => {
                let members = members.map(|(offset, meaning)| Member { offset, meaning: meaning.kept() }).collect();
                Param::Pointer(Pointer { direction, extent, nullable, deferred, members })
            }
        }
    }
}

impl Contract {
    /// Reads a contract from the records of one import; an import without a record gives an empty slice. `flags` come
    /// from the host's table, so they are none here.
    ///
    /// # Errors
    /// Anything that [`Contract::encode`] would not have written, with the slice at fault and the offset in it.
    pub fn decode(signature: &Signature, immeta: &[u8], cbmeta: &[u8]) -> Result<Self, (Half, DecodeError)> {
        let mut parts = Parts::new(signature);
        parts.read_immeta(immeta).map_err(|error| (Half::Immeta, error))?;
        parts.read_cbmeta(cbmeta).map_err(|error| (Half::Cbmeta, error))?;
        parts.finish(signature)
    }
}

/// Which of an import's two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The one in `immeta`.
    Immeta,
    /// The one in `cbmeta`.
    Cbmeta,
}

/// A contract in the making: it remembers where each meaning was said.
struct Parts {
    contract: Contract,
    places: Vec<(Half, u32)>,
    result_at: u32,
}

impl Parts {
    fn new(signature: &Signature) -> Self {
        let contract = Contract::plain(signature);
        let places = contract.params.iter().map(|_| (Half::Immeta, 0)).collect();
        Self { contract, places, result_at: 0 }
    }

    fn set(&mut self, slot: Slot, place: (Half, u32), meaning: Param) -> Result<(), DecodeError> {
        let index = usize::from(slot);
        match (self.contract.params.get_mut(index), self.places.get_mut(index)) {
            (Some(param), Some(known)) if *param == Param::Value => {
                (*param, *known) = (meaning, place);
                Ok(())
            }
            (Some(_), _) => Err(DecodeError { offset: place.1, reason: Reason::Order }),
            (None, _) => Err(DecodeError { offset: place.1, reason: Reason::NoSuchParam }),
        }
    }

    fn read_immeta(&mut self, immeta: &[u8]) -> Result<(), DecodeError> {
        let mut entries = ImmetaEntries::new(immeta);
        loop {
            let at = entries.offset();
            match entries.next() {
                None => return Ok(()),
                Some(Ok(ImmetaEntry::Param(slot, meaning))) => self.set(slot, (Half::Immeta, at), meaning.kept())?,
                Some(Ok(ImmetaEntry::Result(meaning))) => (self.contract.result, self.result_at) = (meaning, at),
                Some(Err(error)) => return Err(error),
            }
        }
    }

    fn read_cbmeta(&mut self, cbmeta: &[u8]) -> Result<(), DecodeError> {
        let mut entries = CbmetaEntries::new(cbmeta);
        let mut users: Vec<(Slot, u32)> = Vec::new();
        loop {
            let at = entries.offset();
            let Some(entry) = entries.next() else { break };
            let (slot, callback) = entry?;
            users.extend(callback.user.map(|user| (user, at)));
            self.set(slot, (Half::Cbmeta, at), Param::Callback(callback))?;
        }
        for (index, (user, at)) in users.iter().enumerate() {
            // Callbacks may share user data; user data that `immeta` lists as well would be said twice.
            let shared = users.iter().take(index).any(|(earlier, _)| earlier == user);
            if !shared {
                self.set(*user, (Half::Cbmeta, *at), Param::UserData)?;
            }
        }
        Ok(())
    }

    fn finish(self, signature: &Signature) -> Result<Contract, (Half, DecodeError)> {
        self.contract.check(signature).map_err(|rule| {
            let (half, offset) = match rule {
                RuleError::Meaning(slot)
                | RuleError::Reference(slot)
                | RuleError::Members(slot)
                | RuleError::Deferred(slot) => self.places.get(usize::from(slot)).copied().unwrap_or((Half::Immeta, 0)),
                RuleError::Result => (Half::Immeta, self.result_at),
                RuleError::Count => (Half::Immeta, 0),
            };
            (half, DecodeError { offset, reason: Reason::Rule(rule) })
        })?;
        Ok(self.contract)
    }
}
