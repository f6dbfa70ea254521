//! The key that modules must be signed with: a place in the image that `espb image` and `espb flash` fill in.

use espb_slots::PublicKey;

/// What the tools look for in the ELF file, by its symbol. All zeros mean that modules need no signature.
#[unsafe(no_mangle)]
#[used]
static ESPB_PUBLIC_KEY: [u8; 32] = [0; 32];

/// The key, if one was filled in.
pub fn public_key() -> Option<PublicKey> {
    // SAFETY: reads a static; volatile, since its contents are not those that the compiler sees.
    let key = unsafe { (&raw const ESPB_PUBLIC_KEY).read_volatile() };
    (key != [0; 32]).then_some(PublicKey(key))
}
