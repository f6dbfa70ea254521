//! The interpreter's loads and stores.
//!
//! Linear memory is checked by one comparison, of the address of the first byte. An access that starts inside and ends past the end
//! of what was handed out touches the granule behind (`Linear`), which belongs to the instance and holds nothing of anybody
//! else's. Constant data are checked exactly. Misaligned accesses work: byte by byte where the compiler does not know better, in one instruction on chips whose
//! hardware does them (feature `misaligned-hardware`).

use crate::address::Region;
use crate::context::Context;

/// What can be loaded and stored: integers without padding or invalid values.
pub(crate) trait Scalar: Copy {
    /// Between little-endian and the host's order.
    fn swapped(self) -> Self;

    /// Reads from any address.
    ///
    /// # Safety
    /// The bytes are readable.
    unsafe fn load(from: *const u8) -> Self;

    /// Writes to any address.
    ///
    /// # Safety
    /// The bytes are writable.
    unsafe fn store(into: *mut u8, value: Self);
}

macro_rules! scalars {
    ($($type:ty, $load:literal, $store:literal;)+) => { $(impl Scalar for $type {
        #[inline(always)]
        fn swapped(self) -> Self {
            <$type>::from_le(self)
        }

        #[cfg(not(all(target_arch = "riscv32", feature = "misaligned-hardware")))]
        #[inline(always)]
        unsafe fn load(from: *const u8) -> Self {
            // SAFETY: as the caller promises.
            unsafe { from.cast::<$type>().read_unaligned() }.swapped()
        }

        #[cfg(not(all(target_arch = "riscv32", feature = "misaligned-hardware")))]
        #[inline(always)]
        unsafe fn store(into: *mut u8, value: Self) {
            // SAFETY: as the caller promises.
            unsafe { into.cast::<$type>().write_unaligned(value.swapped()) }
        }

        #[cfg(all(target_arch = "riscv32", feature = "misaligned-hardware"))]
        #[inline(always)]
        unsafe fn load(from: *const u8) -> Self {
            let value: u32;
            // SAFETY: as the caller promises; the feature says that the chip takes any alignment; a load of fewer bits extends by zeros.
            unsafe {
                core::arch::asm!($load, out(reg) value, in(reg) from, options(readonly, nostack, preserves_flags));
                core::hint::assert_unchecked(value <= u32::from(<$type>::MAX));
            }
            value as $type
        }

        #[cfg(all(target_arch = "riscv32", feature = "misaligned-hardware"))]
        #[inline(always)]
        unsafe fn store(into: *mut u8, value: Self) {
            // SAFETY: as the caller promises; the feature says that the chip takes any alignment.
            unsafe { core::arch::asm!($store, in(reg) value as u32, in(reg) into, options(nostack, preserves_flags)) };
        }
    })+ };
}

scalars! {
    u8, "lbu {}, 0({})", "sb {}, 0({})";
    u16, "lhu {}, 0({})", "sh {}, 0({})";
    u32, "lw {}, 0({})", "sw {}, 0({})";
}

impl Scalar for u64 {
    #[inline(always)]
    fn swapped(self) -> Self {
        Self::from_le(self)
    }

    #[inline(always)]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: as the caller promises.
        unsafe { Self::from(u32::load(from)) | Self::from(u32::load(from.add(4))) << 32 }
    }

    #[inline(always)]
    unsafe fn store(into: *mut u8, value: Self) {
        // SAFETY: as the caller promises.
        unsafe {
            u32::store(into, value as u32);
            u32::store(into.add(4), (value >> 32) as u32);
        }
    }
}

/// Loads from linear memory or constant data; `None` where the address is in neither.
#[inline(always)]
pub(crate) fn load<T: Scalar>(context: &Context<'_>, linear: Region, address: u32) -> Option<T> {
    if linear.offset(address) < linear.size() {
        // SAFETY: the first byte lies in linear memory, and the padding behind it is longer than any access.
        return Some(unsafe { T::load(linear.pointer(address)) });
    }
    core::hint::cold_path();
    let constant = context.constant();
    if constant.contains(address, size_of::<T>() as u32) {
        // SAFETY: all bytes lie in constant data.
        return Some(unsafe { T::load(constant.pointer(address)) });
    }
    None
}

/// Stores to linear memory; whether the address is in it.
#[inline(always)]
#[must_use]
pub(crate) fn store<T: Scalar>(linear: Region, address: u32, value: T) -> bool {
    let inside = linear.offset(address) < linear.size();
    if inside {
        // SAFETY: the first byte lies in linear memory, and the padding behind it is longer than any access.
        unsafe { T::store(linear.pointer(address), value) };
    }
    inside
}

/// Loads from an address of the module's own frame or statics.
#[inline(always)]
pub(crate) fn load_static<T: Scalar>(linear: Region, address: u32) -> T {
    // SAFETY: verified code: the displacement lies in the linear frame or in data and bss and is a multiple of the width. Stack
    // pointers and the start of linear memory are multiples of 16, on every way in which they change.
    unsafe { linear.pointer(address).cast::<T>().read() }.swapped()
}

/// Stores to an address of the module's own frame or statics.
#[inline(always)]
pub(crate) fn store_static<T: Scalar>(linear: Region, address: u32, value: T) {
    // SAFETY: as for `load_static`; constant data cannot be named so.
    unsafe { linear.pointer(address).cast::<T>().write(value.swapped()) }
}
