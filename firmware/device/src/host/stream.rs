//! Stream and message buffers: the kernel's own functions, called as they are.

use super::{Registration, native};
use crate::kernel::ffi;

pub const TABLE: &[Registration] = &[
    native!("xStreamBufferGenericCreate", ffi::xStreamBufferGenericCreate),
    native!("vStreamBufferDelete", ffi::vStreamBufferDelete),
    native!("xStreamBufferSend", ffi::xStreamBufferSend),
    native!("xStreamBufferReceive", ffi::xStreamBufferReceive),
    native!("xStreamBufferIsFull", ffi::xStreamBufferIsFull),
    native!("xStreamBufferIsEmpty", ffi::xStreamBufferIsEmpty),
    native!("xStreamBufferReset", ffi::xStreamBufferReset),
    native!("xStreamBufferSpacesAvailable", ffi::xStreamBufferSpacesAvailable),
    native!("xStreamBufferBytesAvailable", ffi::xStreamBufferBytesAvailable),
    native!("xStreamBufferSetTriggerLevel", ffi::xStreamBufferSetTriggerLevel),
    native!("xStreamBufferNextMessageLengthBytes", ffi::xStreamBufferNextMessageLengthBytes),
    native!("uxStreamBufferGetStreamBufferNotificationIndex", ffi::uxStreamBufferGetStreamBufferNotificationIndex),
    native!("vStreamBufferSetStreamBufferNotificationIndex", ffi::vStreamBufferSetStreamBufferNotificationIndex),
    native!("vStreamBufferSetStreamBufferNumber", ffi::vStreamBufferSetStreamBufferNumber),
    native!("uxStreamBufferGetStreamBufferNumber", ffi::uxStreamBufferGetStreamBufferNumber),
    native!("ucStreamBufferGetStreamBufferType", ffi::ucStreamBufferGetStreamBufferType),
];

/// Deletes a buffer of an instance that has no tasks any more.
pub fn delete(handle: u32) {
    // SAFETY: the instance owned the buffer and no task can use it.
    unsafe { ffi::vStreamBufferDelete(handle as ffi::StreamBufferHandle) };
}
