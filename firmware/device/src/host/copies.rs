//! Strings of the firmware that a module may read: copied once into the module's heap, then the copy is handed out.
//! For strings that live as long as the firmware; their addresses are the keys.

use core::{cell::RefCell, ffi::CStr};

use critical_section::Mutex;
use espb_vm::{Trap, TrapKind};

use super::Call;
use crate::instance::Failure;

/// Most different strings that an instance may ask for.
const MAX_COPIES: usize = 16;

static COPIES: Mutex<RefCell<heapless::Vec<(u32, u32), MAX_COPIES>>> = Mutex::new(RefCell::new(heapless::Vec::new()));

/// The module's copy of the firmware's string at `native`.
pub fn copy(call: &Call<'_, '_>, native: u32) -> Result<u64, Trap> {
    let known = critical_section::with(|cs| {
        COPIES.borrow_ref(cs).iter().find(|(original, _)| *original == native).map(|(_, copy)| *copy)
    });
    if let Some(copy) = known {
        return Ok(copy.into());
    }
    // SAFETY: the contract says that the function returns such a string.
    let text = unsafe { CStr::from_ptr(native as *const core::ffi::c_char) };
    let copy = allocate(call, text)?;
    critical_section::with(|cs| COPIES.borrow_ref_mut(cs).push((native, copy)))
        .map_err(|_| Trap::new(TrapKind::Host, Failure::TooManyObjects as u32))?;
    Ok(copy.into())
}

/// A copy of `text` in the module's heap.
pub fn allocate(call: &Call<'_, '_>, text: &CStr) -> Result<u32, Trap> {
    let bytes = text.to_bytes_with_nul();
    let instance = call.running.instance();
    let copy = instance.allocate(bytes.len() as u32).ok_or(Trap::new(TrapKind::Host, Failure::Memory as u32))?;
    instance.memory().write(copy, bytes)?;
    Ok(copy)
}

/// Forgets the copies of an ended instance.
pub fn forget() {
    critical_section::with(|cs| COPIES.borrow_ref_mut(cs).clear());
}
