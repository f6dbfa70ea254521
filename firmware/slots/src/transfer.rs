//! A module on its way to a device in numbered pieces that may be lost, repeated or come late: into RAM or into a slot.
//! A transfer goes on where it stopped, or it is dropped and leaves nothing. Knows no messages.

use core::fmt;

use crate::install::{Install, InstallError, Installer};
use crate::record::SlotState;
use crate::seal::SealError;
use crate::storage::{SlotIndex, Storage};
use crate::store::Store;

/// Room in RAM for a module.
pub trait Memory: Sized {
    /// Room for `length` bytes; `None` if there is none.
    fn allocate(length: u32) -> Option<Self>;

    /// Puts bytes behind those that are there.
    fn append(&mut self, bytes: &[u8]);

    /// The bytes that are there.
    fn bytes(&self) -> &[u8];
}

/// What is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The transfer's number, chosen by the sender, not that of its last one.
    pub token: u32,
    /// The module. Its slot counts only if it is to be stored.
    pub install: Install,
    /// Whether it goes into a slot, rather than into RAM.
    pub store: bool,
}

/// Why a transfer does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferError<E> {
    /// There is no transfer of this number; offer the module again.
    Unknown,
    /// Not all bytes have come.
    Incomplete {
        /// Bytes that have.
        received: u32,
        /// Bytes of the module.
        length: u32,
    },
    /// There is no room in RAM.
    Memory {
        /// Bytes that were wanted.
        length: u32,
    },
    /// The slot does not take it, or the device does not take the module.
    Install(InstallError<E>),
}

impl<E> From<InstallError<E>> for TransferError<E> {
    fn from(error: InstallError<E>) -> Self {
        Self::Install(error)
    }
}

impl<E> From<SealError> for TransferError<E> {
    fn from(error: SealError) -> Self {
        Self::Install(error.into())
    }
}

impl<E: fmt::Display> fmt::Display for TransferError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no module was uploaded under this number; send Upload and its chunks first"),
            Self::Incomplete { received, length } => {
                write!(f, "only {received} of the module's {length} bytes have come")
            }
            Self::Memory { length } => write!(f, "there is no room in RAM for a module of {length} bytes"),
            Self::Install(error) => error.fmt(f),
        }
    }
}

enum Place<M> {
    Ram(M),
    Slot(Installer),
}

struct Current<M> {
    offer: Offer,
    received: u32,
    place: Place<M>,
}

/// The receiving end: one transfer at a time.
pub struct Receiver<M> {
    current: Option<Current<M>>,
    /// The last transfer that went into a slot, should the sender not have heard of it.
    stored: Option<(u32, SlotIndex)>,
}

impl<M: Memory> Default for Receiver<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Memory> Receiver<M> {
    /// Nothing is on its way.
    pub const fn new() -> Self {
        Self { current: None, stored: None }
    }

    /// Begins a transfer, or goes on with it if it is the one in progress. `in_use` tells whether a slot's module is loaded.
    /// Gives the bytes that are there.
    pub fn begin<S: Storage>(
        &mut self,
        offer: Offer,
        store: &mut Store<S>,
        in_use: &dyn Fn(SlotIndex) -> bool,
    ) -> Result<u32, TransferError<S::Error>> {
        if let Some(current) = self.current.as_ref().filter(|current| current.offer == offer) {
            return Ok(current.received);
        }
        if self.stored.is_some_and(|(token, _)| token == offer.token) {
            return Ok(offer.install.length);
        }
        // The one before goes first: the new one may need its room.
        self.current = None;
        self.stored = None;
        let place = if offer.store {
            Place::Slot(Installer::begin(store, offer.install, in_use)?)
        } else {
            store.admits(&offer.install.seal)?;
            let length = offer.install.length;
            Place::Ram(M::allocate(length).ok_or(TransferError::Memory { length })?)
        };
        self.current = Some(Current { offer, received: 0, place });
        Ok(0)
    }

    /// Takes bytes that belong at `offset`, if they are the next ones. Gives the bytes that are there.
    pub fn add<S: Storage>(
        &mut self,
        token: u32,
        offset: u32,
        bytes: &[u8],
        store: &mut Store<S>,
    ) -> Result<u32, TransferError<S::Error>> {
        if self.stored.is_some_and(|(stored, _)| stored == token) {
            return Ok(offset.saturating_add(bytes.len() as u32));
        }
        let current = self.current.as_mut().filter(|current| current.offer.token == token);
        let current = current.ok_or(TransferError::Unknown)?;
        let length = current.offer.install.length;
        let end = current.received.checked_add(bytes.len() as u32).filter(|end| *end <= length);
        let Some(end) = end.filter(|end| offset == current.received && (*end == length || end.is_multiple_of(4)))
        else {
            return Ok(current.received);
        };
        match &mut current.place {
            Place::Ram(memory) => memory.append(bytes),
            Place::Slot(installer) => {
                if let Err(error) = installer.write(store, bytes) {
                    self.current = None;
                    return Err(error.into());
                }
            }
        }
        current.received = end;
        Ok(end)
    }

    /// Makes the module in its slot the one to run, once it is whole and right. Asked again, it gives the same answer.
    pub fn finish<S: Storage>(
        &mut self,
        token: u32,
        store: &mut Store<S>,
    ) -> Result<SlotIndex, TransferError<S::Error>> {
        if let Some((_, slot)) = self.stored.filter(|(stored, _)| *stored == token) {
            return Ok(slot);
        }
        self.complete(token)?;
        match self.current.take() {
            Some(Current { place: Place::Slot(installer), .. }) => {
                let slot = installer.finish(store, SlotState::New)?;
                self.stored = Some((token, slot));
                Ok(slot)
            }
            other => {
                self.current = other;
                Err(TransferError::Unknown)
            }
        }
    }

    /// Takes a module out that came into RAM, once it is whole, right, and such as the device runs.
    pub fn take<S: Storage>(&mut self, token: u32, store: &Store<S>) -> Result<M, TransferError<S::Error>> {
        self.complete(token)?;
        match self.current.take() {
            Some(Current { place: Place::Ram(memory), offer, .. }) => {
                if espb_format::checksum::crc32(memory.bytes()) != offer.install.crc32 {
                    return Err(InstallError::Checksum.into());
                }
                offer.install.seal.check(memory.bytes(), store.key(), store.floor())?;
                Ok(memory)
            }
            other => {
                self.current = other;
                Err(TransferError::Unknown)
            }
        }
    }

    fn complete<E>(&self, token: u32) -> Result<(), TransferError<E>> {
        let current = self.current.as_ref().filter(|current| current.offer.token == token);
        let current = current.ok_or(TransferError::Unknown)?;
        let (received, length) = (current.received, current.offer.install.length);
        if received < length { Err(TransferError::Incomplete { received, length }) } else { Ok(()) }
    }
}
