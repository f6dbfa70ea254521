//! The one place where module addresses and pointers meet.
//!
//! On 32-bit targets a module address *is* the pointer. On 64-bit hosts (tests, tools) each region has a made-up 32-bit address such as
//! it might have on a chip, and access goes through the offset. All other code is the same on both.

/// Where linear memory seems to lie on a 64-bit host (inside the C3's data RAM).
const LINEAR_ADDRESS: u32 = 0x3fc8_0000;
/// Where constant data seems to lie on a 64-bit host (inside the C3's flash window).
const CONSTANT_ADDRESS: u32 = 0x3c20_0000;

/// A range of memory that module addresses can name.
#[derive(Clone, Copy)]
pub(crate) struct Region {
    pointer: *mut u8,
    #[cfg(not(target_pointer_width = "32"))]
    start: u32,
    size: u32,
}

impl Region {
    /// Linear memory. `size` is below 2³⁰.
    pub(crate) fn linear(pointer: *mut u8, size: u32) -> Self {
        Self::new(pointer, LINEAR_ADDRESS, size)
    }

    /// Constant data; never written through.
    pub(crate) fn constant(data: &[u8]) -> Self {
        Self::new(data.as_ptr().cast_mut(), CONSTANT_ADDRESS, data.len() as u32)
    }

    #[cfg(target_pointer_width = "32")]
    fn new(pointer: *mut u8, _: u32, size: u32) -> Self {
        pointer.expose_provenance();
        Self { pointer, size }
    }

    #[cfg(not(target_pointer_width = "32"))]
    fn new(pointer: *mut u8, start: u32, size: u32) -> Self {
        Self { pointer, start, size }
    }

    /// Its first bytes; `size` is at most its own.
    #[inline(always)]
    pub(crate) fn up_to(self, size: u32) -> Self {
        Self { size, ..self }
    }

    /// The address of its first byte.
    #[cfg(target_pointer_width = "32")]
    #[inline(always)]
    pub(crate) fn start(self) -> u32 {
        self.pointer.addr() as u32
    }

    /// The address of its first byte.
    #[cfg(not(target_pointer_width = "32"))]
    #[inline(always)]
    pub(crate) fn start(self) -> u32 {
        self.start
    }

    /// Bytes.
    #[inline(always)]
    pub(crate) fn size(self) -> u32 {
        self.size
    }

    /// How far an address lies from the start; huge where it lies before.
    #[inline(always)]
    pub(crate) fn offset(self, address: u32) -> u32 {
        address.wrapping_sub(self.start())
    }

    /// Whether `length` bytes from `address` on lie inside.
    #[inline(always)]
    pub(crate) fn contains(self, address: u32, length: u32) -> bool {
        let offset = self.offset(address);
        offset <= self.size && length <= self.size - offset
    }

    /// The pointer of an address inside (or at the end); meaningless for others.
    #[cfg(target_pointer_width = "32")]
    #[inline(always)]
    pub(crate) fn pointer(self, address: u32) -> *mut u8 {
        core::ptr::with_exposed_provenance_mut(address as usize)
    }

    /// The pointer of an address inside (or at the end); meaningless for others.
    #[cfg(not(target_pointer_width = "32"))]
    #[inline(always)]
    pub(crate) fn pointer(self, address: u32) -> *mut u8 {
        self.pointer.wrapping_add(self.offset(address) as usize)
    }
}
