//! Ed25519 keys in files, in the PEM forms that `openssl genpkey -algorithm ed25519` writes.

use std::path::Path;

use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey};
use ed25519_dalek::{SigningKey, VerifyingKey};
use espb_image::PublicKey;

use super::files;
use crate::diagnostic::{Diagnostic, Place};

fn text(path: &Path) -> Result<String, Diagnostic> {
    files::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn bad(path: &Path, what: &str, help: &str) -> Diagnostic {
    Diagnostic::error(
        "espb::key::unreadable",
        format!("this is no {what}"),
        Place::File(path.display().to_string()),
        help,
    )
}

/// A public key; a private key's file does as well.
pub fn read_public(path: &Path) -> Result<PublicKey, Diagnostic> {
    let text = text(path)?;
    let private = || SigningKey::from_pkcs8_pem(&text).map(|key| key.verifying_key()).ok();
    let key = VerifyingKey::from_public_key_pem(&text).ok().or_else(private);
    let help = "make one with `openssl pkey -in key.pem -pubout -out key.pub`";
    key.map(|key| PublicKey(key.to_bytes())).ok_or_else(|| bad(path, "Ed25519 public key in PEM form", help))
}

/// A private key.
pub fn read_private(path: &Path) -> Result<SigningKey, Diagnostic> {
    let help = "make one with `openssl genpkey -algorithm ed25519 -out key.pem`";
    SigningKey::from_pkcs8_pem(&text(path)?).map_err(|_| bad(path, "Ed25519 private key in PEM form", help))
}
