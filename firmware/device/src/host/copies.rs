//! Memory of the firmware that a module may read: copied into the module's heap, and the copy is handed out as long as it is right.
//! Only the module's own changes, or a string that changed, cost a second copy.

use core::{cell::RefCell, ffi::CStr, slice};

use critical_section::Mutex;
use espb_format::contract::Extent;
use espb_vm::{Trap, TrapKind};

use super::{Call, memory::byte};
use crate::instance::Failure;

/// Most different strings that an instance may ask for.
const MAX_COPIES: usize = 16;

/// The copies that an instance has: of which native string, at which address of its own.
pub struct Copies(Mutex<RefCell<heapless::Vec<(u32, u32), MAX_COPIES>>>);

impl Copies {
    /// None.
    pub const fn new() -> Self {
        Self(Mutex::new(RefCell::new(heapless::Vec::new())))
    }

    fn of(&self, native: u32) -> Option<u32> {
        critical_section::with(|cs| {
            self.0.borrow_ref(cs).iter().find(|(original, _)| *original == native).map(|(_, copy)| *copy)
        })
    }

    /// Notes a copy; says whether there was room.
    fn note(&self, native: u32, copy: u32) -> bool {
        critical_section::with(|cs| {
            let mut copies = self.0.borrow_ref_mut(cs);
            match copies.iter_mut().find(|(original, _)| *original == native) {
                Some(entry) => {
                    entry.1 = copy;
                    true
                }
                None => copies.push((native, copy)).is_ok(),
            }
        })
    }
}

/// The module's copy of what the firmware has at `native`. What lies in the module's own memory is handed out as it is.
pub fn copy(call: &Call<'_, '_>, native: u32, extent: Extent) -> Result<u64, Trap> {
    let memory = call.vm.memory();
    if memory.is_readable(native, 1) {
        return Ok(native.into());
    }
    let counted = match extent {
        Extent::Const(bytes) => Some(bytes),
        Extent::Arg { param, scale } => Some(call.word(param.into()).saturating_mul(scale)),
        Extent::Product(left, right) => Some(call.word(left.into()).saturating_mul(call.word(right.into()))),
        Extent::StoredAt(place) => Some(memory.read_word(call.word(place.into()))?),
        Extent::CString | Extent::CStringMax(_) | Extent::Element(_) | Extent::Region => None,
    };
    let bytes = match counted {
        // SAFETY: the contract says that the function returns the address of so many bytes.
        Some(bytes) => unsafe { slice::from_raw_parts(native as *const u8, bytes as usize) },
        // SAFETY: the contract says that the function returns such a string.
        None => unsafe { CStr::from_ptr(native as *const core::ffi::c_char) }.to_bytes_with_nul(),
    };
    let still_equal =
        |copy: u32| (0..).zip(bytes).all(|(at, expected)| byte(memory, copy.wrapping_add(at)) == Ok(*expected));
    if let Some(copy) = call.running.copies().of(native).filter(|copy| still_equal(*copy)) {
        return Ok(copy.into());
    }
    let failed = |failure: Failure| Trap::new(TrapKind::Host, failure as u32);
    let copy = call.running.instance().allocate(bytes.len() as u32).ok_or(failed(Failure::Memory))?;
    memory.write(copy, bytes)?;
    if call.running.copies().note(native, copy) { Ok(copy.into()) } else { Err(failed(Failure::TooManyObjects)) }
}
