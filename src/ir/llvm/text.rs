//! Strings across the C boundary.
//!
//! Must never hold: anything but copies between C strings and Rust strings.

use llvm_sys::core::LLVMDisposeMessage;
use std::ffi::{CStr, CString, c_char};

/// Copies `length` bytes at `data`; invalid UTF-8 is replaced.
///
/// # Safety
/// `data` is null or points to `length` readable bytes.
pub(super) unsafe fn copy(data: *const c_char, length: usize) -> String {
    if data.is_null() || length == 0 {
        return String::new();
    }
    // SAFETY: the caller vouches for `length` bytes at `data`.
    let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) };
    String::from_utf8_lossy(bytes).into_owned()
}

/// Copies a C string that LLVM goes on owning.
///
/// # Safety
/// `data` is null or a zero-terminated string.
pub(super) unsafe fn copy_c(data: *const c_char) -> String {
    if data.is_null() {
        return String::new();
    }
    // SAFETY: not null, and the caller vouches for the terminator.
    unsafe { CStr::from_ptr(data) }.to_string_lossy().into_owned()
}

/// Copies a message that LLVM made for us, and gives it back to LLVM.
///
/// # Safety
/// `message` is null or was returned by LLVM for `LLVMDisposeMessage`, and is not used afterwards.
pub(super) unsafe fn take(message: *mut c_char) -> String {
    // SAFETY: the caller vouches for a zero-terminated string.
    let text = unsafe { copy_c(message) };
    if !message.is_null() {
        // SAFETY: not null, owned by us until here.
        unsafe { LLVMDisposeMessage(message) };
    }
    text
}

/// A C string of `text`, cut at the first zero byte, which no LLVM name or pipeline has.
pub(super) fn c_string(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text.as_bytes()[..end]).unwrap_or_default()
}
