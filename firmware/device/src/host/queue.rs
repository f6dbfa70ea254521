//! Queues, semaphores, mutexes and queue sets: the kernel's own functions, called as they are. Those ending in Static make what those
//! without do: the kernel's structures lie where no module can write.

use core::cell::RefCell;

use critical_section::Mutex;
use espb_format::contract::HandleKind;
use espb_vm::{Trap, TrapKind};

use super::{Call, Registration, native, own};
use crate::{
    instance::{Failure, Running},
    kernel::ffi,
    native_function,
};

pub const TABLE: &[Registration] = &[
    native!("xQueueGenericCreate", ffi::xQueueGenericCreate),
    own("xQueueGenericCreateStatic", |call| {
        call.native(native_function!(ffi::xQueueGenericCreate), &[call.word(0), call.word(1), call.word(4)])
    }),
    // What comes behind the arguments of the other is the place that the kernel does not use.
    native!("xQueueCreateMutexStatic", ffi::xQueueCreateMutex),
    native!("xQueueCreateCountingSemaphoreStatic", ffi::xQueueCreateCountingSemaphore),
    native!("xQueueCreateSetStatic", ffi::xQueueCreateSet),
    native!("xQueueCreateMutex", ffi::xQueueCreateMutex),
    native!("xQueueCreateCountingSemaphore", ffi::xQueueCreateCountingSemaphore),
    own("vQueueDelete", |call| {
        SETS.forget(call.word(0));
        call.native(native_function!(ffi::vQueueDelete), &[call.word(0)])
    }),
    native!("xQueueGenericSend", ffi::xQueueGenericSend),
    native!("xQueueReceive", ffi::xQueueReceive),
    native!("xQueuePeek", ffi::xQueuePeek),
    native!("xQueueSemaphoreTake", ffi::xQueueSemaphoreTake),
    native!("xQueueTakeMutexRecursive", ffi::xQueueTakeMutexRecursive),
    native!("xQueueGiveMutexRecursive", ffi::xQueueGiveMutexRecursive),
    native!("xQueueGetMutexHolder", ffi::xQueueGetMutexHolder),
    native!("uxQueueMessagesWaiting", ffi::uxQueueMessagesWaiting),
    native!("uxQueueSpacesAvailable", ffi::uxQueueSpacesAvailable),
    own("xQueueGenericReset", reset),
    native!("uxQueueGetQueueItemSize", ffi::uxQueueGetQueueItemSize),
    native!("uxQueueGetQueueLength", ffi::uxQueueGetQueueLength),
    native!("xQueueCreateSet", ffi::xQueueCreateSet),
    own("xQueueAddToSet", |call| {
        demand_set(call.word(1))?;
        let added = call.native(native_function!(ffi::xQueueAddToSet), call.vm.arguments)?;
        if added as u32 == ffi::PD_PASS as u32 && !SETS.note(call.word(0), call.word(1)) {
            call.native(native_function!(ffi::xQueueRemoveFromSet), call.vm.arguments)?;
            return Ok(0);
        }
        Ok(added)
    }),
    own("xQueueRemoveFromSet", |call| {
        let removed = call.native(native_function!(ffi::xQueueRemoveFromSet), call.vm.arguments)?;
        if removed as u32 == ffi::PD_PASS as u32 {
            SETS.forget(call.word(0));
        }
        Ok(removed)
    }),
    own("xQueueSelectFromSet", |call| {
        demand_set(call.word(0))?;
        call.native(native_function!(ffi::xQueueSelectFromSet), call.vm.arguments)
    }),
    native!("ucQueueGetQueueType", ffi::ucQueueGetQueueType),
    native!("uxQueueGetQueueNumber", ffi::uxQueueGetQueueNumber),
    native!("vQueueSetQueueNumber", ffi::vQueueSetQueueNumber),
    native!("vQueueAddToRegistry", ffi::vQueueAddToRegistry),
    native!("vQueueUnregisterQueue", ffi::vQueueUnregisterQueue),
    native!("pcQueueGetName", ffi::pcQueueGetName),
];

/// Most queues that are in sets at once, of all instances.
const MAX_MEMBERS: usize = 32;

/// Which queues are in which sets: the kernel does not look whether a set that it deletes still has members.
struct Sets(Mutex<RefCell<heapless::Vec<(u32, u32), MAX_MEMBERS>>>);

static SETS: Sets = Sets(Mutex::new(RefCell::new(heapless::Vec::new())));

impl Sets {
    /// A queue is in a set now; says whether there was room to note it.
    fn note(&self, member: u32, set: u32) -> bool {
        critical_section::with(|cs| self.0.borrow_ref_mut(cs).push((member, set)).is_ok())
    }

    fn is_set_with_members(&self, queue: u32) -> bool {
        critical_section::with(|cs| self.0.borrow_ref(cs).iter().any(|(_, set)| *set == queue))
    }

    /// A queue is in no set any more, and is none that has members.
    fn forget(&self, queue: u32) {
        critical_section::with(|cs| {
            self.0.borrow_ref_mut(cs).retain(|(member, set)| *member != queue && *set != queue)
        });
    }
}

/// The kernel takes a set's items for handles whatever their size: of a queue with larger ones it would overwrite its own stack.
fn demand_set(queue: u32) -> Result<(), Trap> {
    // SAFETY: the handle was checked: the queue exists.
    let item_size = unsafe { ffi::uxQueueGetQueueItemSize(queue as ffi::QueueHandle) };
    if item_size as usize == size_of::<ffi::QueueHandle>() {
        Ok(())
    } else {
        Err(Trap::new(TrapKind::Host, Failure::NotASet as u32))
    }
}

/// `xQueueGenericReset(queue, new)`. `new` is for the kernel itself: it would forget the tasks that wait.
fn reset(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    call.native(native_function!(ffi::xQueueGenericReset), &[call.word(0), 0])
}

/// Whether a task holds a mutex of the instance.
pub fn holds_mutex(running: &Running, task: ffi::TaskHandle) -> bool {
    let owned = (0..).map_while(|position| running.objects().nth(HandleKind::Queue, position));
    // SAFETY: these queues exist; of those that are no mutexes the kernel answers null.
    let mut holders = owned
        .chain(core::iter::once(running.critical() as u32))
        .map(|queue| unsafe { ffi::xQueueGetMutexHolder(queue as ffi::QueueHandle) });
    holders.any(|holder| holder == task)
}

/// Whether the kernel would go on telling this queue of what the members of its set receive.
pub fn is_set_with_members(queue: u32) -> bool {
    SETS.is_set_with_members(queue)
}

/// Deletes a queue of an instance that has no tasks any more.
pub fn delete(handle: u32) {
    SETS.forget(handle);
    // SAFETY: the instance owned the queue and no task can use it.
    unsafe { ffi::vQueueDelete(handle as ffi::QueueHandle) };
}
