//! What interrupt handlers call: the names ending in FromISR, and how a handler finds out that it is one.
//!
//! A module's handlers run in a task (`instance::deferred`), so these functions may be called from every task. The kernel's own
//! are called with interrupts off, as they expect. Where the kernel would leave the work to its timer task, which could come too
//! late for an object that is deleted meanwhile, the task's version does it at once.

use espb_vm::Trap;

use super::{Call, Registration, from_interrupt, own, timer};
use crate::{
    instance::deferred,
    kernel::{self, ffi},
    native_function,
};

pub const TABLE: &[Registration] = &[
    from_interrupt!("xTaskGetTickCountFromISR", ffi::xTaskGetTickCountFromISR),
    from_interrupt!("uxTaskPriorityGetFromISR", ffi::uxTaskPriorityGetFromISR),
    from_interrupt!("uxTaskBasePriorityGetFromISR", ffi::uxTaskBasePriorityGetFromISR),
    from_interrupt!("xTaskResumeFromISR", ffi::xTaskResumeFromISR),
    from_interrupt!("xTaskGenericNotifyFromISR", ffi::xTaskGenericNotifyFromISR),
    from_interrupt!("vTaskGenericNotifyGiveFromISR", ffi::vTaskGenericNotifyGiveFromISR),
    from_interrupt!("xQueueGenericSendFromISR", ffi::xQueueGenericSendFromISR),
    from_interrupt!("xQueueGiveFromISR", ffi::xQueueGiveFromISR),
    from_interrupt!("xQueueReceiveFromISR", ffi::xQueueReceiveFromISR),
    from_interrupt!("xQueuePeekFromISR", ffi::xQueuePeekFromISR),
    from_interrupt!("xQueueIsQueueEmptyFromISR", ffi::xQueueIsQueueEmptyFromISR),
    from_interrupt!("xQueueIsQueueFullFromISR", ffi::xQueueIsQueueFullFromISR),
    from_interrupt!("uxQueueMessagesWaitingFromISR", ffi::uxQueueMessagesWaitingFromISR),
    from_interrupt!("xQueueGetMutexHolderFromISR", ffi::xQueueGetMutexHolderFromISR),
    from_interrupt!("xQueueSelectFromSetFromISR", ffi::xQueueSelectFromSetFromISR),
    own("xTimerGenericCommandFromISR", timer::command_from_interrupt),
    from_interrupt!("xTimerPendFunctionCallFromISR", ffi::xTimerPendFunctionCallFromISR),
    own("xEventGroupSetBitsFromISR", |call| set_bits(call).map(|_| PASS)),
    own("xEventGroupClearBitsFromISR", |call| clear_bits(call).map(|_| PASS)),
    from_interrupt!("xEventGroupGetBitsFromISR", ffi::xEventGroupGetBitsFromISR),
    own("vEventGroupSetBitsCallback", set_bits),
    own("vEventGroupClearBitsCallback", clear_bits),
    own("xStreamBufferSendFromISR", |call| {
        call.native(native_function!(ffi::xStreamBufferSend), &[call.word(0), call.word(1), call.word(2), 0])
    }),
    own("xStreamBufferReceiveFromISR", |call| {
        call.native(native_function!(ffi::xStreamBufferReceive), &[call.word(0), call.word(1), call.word(2), 0])
    }),
    own("xStreamBufferResetFromISR", |call| call.native(native_function!(ffi::xStreamBufferReset), &[call.word(0)])),
    from_interrupt!("xStreamBufferSendCompletedFromISR", ffi::xStreamBufferSendCompletedFromISR),
    from_interrupt!("xStreamBufferReceiveCompletedFromISR", ffi::xStreamBufferReceiveCompletedFromISR),
    own("xPortInIsrContext", |_| Ok(deferred::is_current().into())),
    own("vPortYieldFromISR", |_| {
        kernel::yield_now();
        Ok(0)
    }),
];

/// `pdPASS`.
const PASS: u64 = ffi::PD_PASS as u64;

fn set_bits(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    call.native(native_function!(ffi::xEventGroupSetBits), &[call.word(0), call.word(1)])
}

fn clear_bits(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    call.native(native_function!(ffi::xEventGroupClearBits), &[call.word(0), call.word(1)])
}
