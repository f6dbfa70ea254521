//! Event groups: the kernel's own functions, called as they are.

use super::{Registration, native};
use crate::kernel::ffi;

pub const TABLE: &[Registration] = &[
    native!("xEventGroupCreate", ffi::xEventGroupCreate),
    // The argument is the place that the kernel does not use: its structures lie where no module can write.
    native!("xEventGroupCreateStatic", ffi::xEventGroupCreate),
    native!("vEventGroupDelete", ffi::vEventGroupDelete),
    native!("xEventGroupWaitBits", ffi::xEventGroupWaitBits),
    native!("xEventGroupSetBits", ffi::xEventGroupSetBits),
    native!("xEventGroupClearBits", ffi::xEventGroupClearBits),
    native!("xEventGroupSync", ffi::xEventGroupSync),
    native!("uxEventGroupGetNumber", ffi::uxEventGroupGetNumber),
    native!("vEventGroupSetNumber", ffi::vEventGroupSetNumber),
];

/// Deletes an event group of an instance that has no tasks any more.
pub fn delete(handle: u32) {
    // SAFETY: the instance owned the group and no task can use it.
    unsafe { ffi::vEventGroupDelete(handle as ffi::EventGroupHandle) };
}
