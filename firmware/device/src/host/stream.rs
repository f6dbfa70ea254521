//! Stream and message buffers: the kernel's own functions, called as they are.

use super::{Registration, native, own};
use crate::{kernel::ffi, native_function};

pub const TABLE: &[Registration] = &[
    native!("xStreamBufferGenericCreate", ffi::xStreamBufferGenericCreate),
    // The places that the kernel does not use stand before the callbacks: its structures lie where no module can write.
    own("xStreamBufferGenericCreateStatic", |call| {
        let words = [0, 1, 2, 5, 6].map(|slot| call.word(slot));
        call.native(native_function!(ffi::xStreamBufferGenericCreate), &words)
    }),
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
