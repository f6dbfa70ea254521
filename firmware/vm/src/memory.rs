//! The module's memory as host functions see it: every access checked against linear memory and, for reads, constant data.

use core::ffi::CStr;

use crate::address::Region;
use crate::linear::Linear;
use crate::trap::{Trap, TrapKind};

/// A checked view of an instance's memory. Copy it freely.
///
/// Other tasks of the module may change the memory at any time, so the safe methods copy. The methods that lend references are
/// `unsafe` for that reason alone; what they lend is always inside the module's memory.
#[derive(Clone, Copy)]
pub struct Memory<'a> {
    pub(crate) linear: &'a Linear,
    pub(crate) constant: Region,
}

impl<'a> Memory<'a> {
    /// Whether `length` bytes from `address` on can be read.
    pub fn is_readable(&self, address: u32, length: u32) -> bool {
        self.linear.committed().contains(address, length) || self.constant.contains(address, length)
    }

    /// Whether `length` bytes from `address` on can be written.
    pub fn is_writable(&self, address: u32, length: u32) -> bool {
        self.linear.committed().contains(address, length)
    }

    /// A pointer to `length` readable bytes, for native functions that read through it. It stays valid as long as the instance.
    pub fn pointer(&self, address: u32, length: u32) -> Result<*const u8, Trap> {
        let linear = self.linear.committed();
        if linear.contains(address, length) {
            Ok(linear.pointer(address))
        } else if self.constant.contains(address, length) {
            Ok(self.constant.pointer(address))
        } else {
            Err(Trap::new(TrapKind::Load, address))
        }
    }

    /// A pointer to `length` writable bytes, for native functions that write through it. It stays valid as long as the instance.
    pub fn pointer_mut(&self, address: u32, length: u32) -> Result<*mut u8, Trap> {
        let linear = self.linear.committed();
        if linear.contains(address, length) {
            Ok(linear.pointer(address))
        } else {
            Err(Trap::new(TrapKind::Store, address))
        }
    }

    /// Copies bytes out of the module.
    pub fn read(&self, address: u32, into: &mut [u8]) -> Result<(), Trap> {
        let from = self.pointer(address, into.len() as u32)?;
        // SAFETY: `pointer` answers for as many readable bytes; `into` is host memory, which no module address names.
        unsafe { core::ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// Copies bytes into the module.
    pub fn write(&self, address: u32, bytes: &[u8]) -> Result<(), Trap> {
        let into = self.pointer_mut(address, bytes.len() as u32)?;
        // SAFETY: `pointer_mut` answers for as many writable bytes; `copy` allows that `bytes` was lent from the same memory.
        unsafe { core::ptr::copy(bytes.as_ptr(), into, bytes.len()) };
        Ok(())
    }

    /// Copies inside the module; the ranges may overlap. Nothing is checked for a length of 0, as in the instruction.
    pub fn copy(&self, into: u32, from: u32, length: u32) -> Result<(), Trap> {
        if length > 0 {
            let from = self.pointer(from, length)?;
            let into = self.pointer_mut(into, length)?;
            // SAFETY: both ranges were just checked, and `copy` allows overlap.
            unsafe { core::ptr::copy(from, into, length as usize) };
        }
        Ok(())
    }

    /// Sets `length` bytes. Nothing is checked for a length of 0, as in the instruction.
    pub fn fill(&self, address: u32, byte: u8, length: u32) -> Result<(), Trap> {
        if length > 0 {
            let into = self.pointer_mut(address, length)?;
            // SAFETY: the range was just checked.
            unsafe { core::ptr::write_bytes(into, byte, length as usize) };
        }
        Ok(())
    }

    /// The 32-bit word at an address, aligned or not.
    #[inline(never)]
    pub fn read_word(&self, address: u32) -> Result<u32, Trap> {
        let mut bytes = [0; 4];
        self.read(address, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    /// Writes a 32-bit word, aligned or not.
    #[inline(never)]
    pub fn write_word(&self, address: u32, value: u32) -> Result<(), Trap> {
        self.write(address, &value.to_le_bytes())
    }

    /// Bytes before the NUL of the string at `address`; a trap where memory ends before one.
    pub fn string_length(&self, address: u32) -> Result<u32, Trap> {
        let linear = self.linear.committed();
        let region = if linear.contains(address, 1) { linear } else { self.constant };
        if !region.contains(address, 1) {
            return Err(Trap::new(TrapKind::Load, address));
        }
        let left = region.size() - region.offset(address);
        for position in 0..left {
            // SAFETY: `position` is less than what is left of the region behind `address`.
            if unsafe { region.pointer(address).add(position as usize).read() } == 0 {
                return Ok(position);
            }
        }
        Err(Trap::new(TrapKind::Load, region.start().wrapping_add(region.size())))
    }

    /// Lends bytes of the module.
    ///
    /// # Safety
    /// No task of the module may write to them while the reference lives.
    pub unsafe fn bytes(&self, address: u32, length: u32) -> Result<&'a [u8], Trap> {
        let pointer = self.pointer(address, length)?;
        // SAFETY: the range is inside the instance's memory, which lives for 'a; the caller answers for the rest.
        Ok(unsafe { core::slice::from_raw_parts(pointer, length as usize) })
    }

    /// Lends writable bytes of the module.
    ///
    /// # Safety
    /// No task of the module may touch them while the reference lives, and no other reference to them may live.
    #[allow(clippy::mut_from_ref, reason = "the caller promises uniqueness")]
    pub unsafe fn bytes_mut(&self, address: u32, length: u32) -> Result<&'a mut [u8], Trap> {
        let pointer = self.pointer_mut(address, length)?;
        // SAFETY: the range is inside the instance's memory, which lives for 'a; the caller answers for the rest.
        Ok(unsafe { core::slice::from_raw_parts_mut(pointer, length as usize) })
    }

    /// Lends the NUL-terminated string at `address`; a trap where memory ends before its NUL.
    ///
    /// # Safety
    /// No task of the module may write to it while the reference lives.
    pub unsafe fn c_str(&self, address: u32) -> Result<&'a CStr, Trap> {
        let length = self.string_length(address)? + 1;
        // SAFETY: as the caller promises.
        let bytes = unsafe { self.bytes(address, length)? };
        CStr::from_bytes_until_nul(bytes).map_err(|_| Trap::new(TrapKind::Load, address))
    }
}
