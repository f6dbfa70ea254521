//! The seal of a module: its version, the floor it asks for, and the signature over both and the module. It follows the
//! module in a file that `espb sign` wrote, and lies in the slot's header on a device.

use core::fmt;

use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha512};

use crate::{put_words, word};

/// Bytes of an Ed25519 signature.
pub const SIGNATURE_LEN: usize = 64;

/// Bytes of a seal behind a module: magic, layout, version, floor, flags, signature.
pub const SEAL_LEN: usize = 20 + SIGNATURE_LEN;

const MAGIC: [u8; 4] = *b"ESSL";
const LAYOUT: u32 = 1;
const SIGNED: u32 = 1;
/// Keeps the signature from meaning anything else.
const DOMAIN: &[u8; 16] = b"espb module seal";
/// Bytes that are signed: domain, version, floor, length, SHA-512 of the module.
const SIGNED_LEN: usize = 16 + 12 + 64;

/// An Ed25519 public key (RFC 8032).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 32]);

/// Version, floor and signature of a module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seal {
    /// The module's version; 0 for a module that was never given one.
    pub version: u32,
    /// Modules below this version are refused once this one is confirmed.
    pub floor: u32,
    /// Ed25519 signature over [`Seal::signed_bytes`].
    pub signature: Option<[u8; SIGNATURE_LEN]>,
}

/// Why a module is not to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealError {
    /// The device wants a signature and there is none.
    Unsigned,
    /// The signature is not that of the device's key over this module.
    Signature,
    /// The device's key is no Ed25519 key.
    Key,
    /// The version is below the floor.
    Downgrade {
        /// Version of the module.
        version: u32,
        /// The floor.
        floor: u32,
    },
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned => f.write_str("this device takes signed modules only; sign it with `espb sign`"),
            Self::Signature => f.write_str("the module's signature does not fit the module and this device's key"),
            Self::Key => f.write_str("the key in the firmware is no Ed25519 public key; flash the firmware again"),
            Self::Downgrade { version, floor } => {
                write!(f, "the module has version {version}, but this device takes none below {floor} any more")
            }
        }
    }
}

impl core::error::Error for SealError {}

impl Seal {
    /// What is signed for a module with this version and floor.
    pub fn signed_bytes(&self, module: &[u8]) -> [u8; SIGNED_LEN] {
        let mut bytes = [0; SIGNED_LEN];
        let (head, digest) = bytes.split_at_mut(28);
        head[..16].copy_from_slice(DOMAIN);
        // A module's length fits: its own header says it in a word.
        put_words(&mut head[16..], &[self.version, self.floor, module.len() as u32]);
        digest.copy_from_slice(&Sha512::digest(module));
        bytes
    }

    /// Whether a device with this key and floor may run the module.
    pub fn check(&self, module: &[u8], key: Option<&PublicKey>, floor: u32) -> Result<(), SealError> {
        if self.version < floor {
            return Err(SealError::Downgrade { version: self.version, floor });
        }
        let Some(key) = key else { return Ok(()) };
        let signature = self.signature.ok_or(SealError::Unsigned)?;
        let key = VerifyingKey::from_bytes(&key.0).map_err(|_| SealError::Key)?;
        key.verify_strict(&self.signed_bytes(module), &Signature::from_bytes(&signature))
            .map_err(|_| SealError::Signature)
    }

    /// The seal as it follows a module in a file.
    pub fn encode(&self) -> [u8; SEAL_LEN] {
        let mut bytes = [0; SEAL_LEN];
        let flags = if self.signature.is_some() { SIGNED } else { 0 };
        put_words(&mut bytes, &[u32::from_le_bytes(MAGIC), LAYOUT, self.version, self.floor, flags]);
        bytes[20..].copy_from_slice(&self.signature.unwrap_or([0; SIGNATURE_LEN]));
        bytes
    }

    /// Reads a seal; `None` if the bytes are none.
    pub fn decode(bytes: &[u8; SEAL_LEN]) -> Option<Self> {
        let flags = word(bytes, 16)?;
        if !bytes.starts_with(&MAGIC) || word(bytes, 4)? != LAYOUT || flags & !SIGNED != 0 {
            return None;
        }
        let signature = bytes.get(20..)?.first_chunk::<SIGNATURE_LEN>().copied();
        Some(Self {
            version: word(bytes, 8)?,
            floor: word(bytes, 12)?,
            signature: signature.filter(|_| flags & SIGNED != 0),
        })
    }

    /// Divides a file into module and seal. A file without a seal is all module, with the seal of version 0.
    pub fn split(file: &[u8]) -> (&[u8], Self) {
        let sealed = file.split_last_chunk::<SEAL_LEN>();
        match sealed.and_then(|(module, seal)| Some((module, Self::decode(seal)?))) {
            Some(divided) => divided,
            None => (file, Self::default()),
        }
    }
}
