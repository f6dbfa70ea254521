//! Tasks and task notifications. Creating, deleting and suspending are ours, since tasks of a module run in an execution context.

use core::{ffi::CStr, ptr};

use espb_format::contract::HandleKind;
use espb_vm::{Stacks, Trap, TrapKind};

use super::{Call, Registration, native, own, queue};
use crate::{
    console,
    instance::{self, Failure, end, task as tasks},
    kernel::{self, ffi, tls},
};

pub const TABLE: &[Registration] = &[
    own("xTaskCreate", create),
    own("xTaskCreatePinnedToCore", create),
    own("xTaskCreateAffinitySet", |call| {
        // The cores stand before the place of the handle.
        let arguments = [0, 1, 2, 3, 4, 6].map(|slot| call.word(slot));
        create_with(call, arguments)
    }),
    own("xTaskCreateStatic", create_static),
    own("xTaskCreateStaticPinnedToCore", create_static),
    own("xTaskCreateStaticAffinitySet", create_static),
    own("vTaskDelete", delete),
    native!("vTaskDelay", ffi::vTaskDelay),
    native!("xTaskDelayUntil", ffi::xTaskDelayUntil),
    native!("xTaskCatchUpTicks", ffi::xTaskCatchUpTicks),
    native!("xTaskAbortDelay", ffi::xTaskAbortDelay),
    native!("eTaskGetState", ffi::eTaskGetState),
    native!("uxTaskPriorityGet", ffi::uxTaskPriorityGet),
    own("vTaskPrioritySet", set_priority),
    own("vTaskSuspend", suspend),
    native!("vTaskResume", ffi::vTaskResume),
    native!("xTaskGetTickCount", ffi::xTaskGetTickCount),
    native!("xTaskGetCurrentTaskHandle", ffi::xTaskGetCurrentTaskHandle),
    native!("xTaskGetSchedulerState", ffi::xTaskGetSchedulerState),
    native!("uxTaskGetNumberOfTasks", ffi::uxTaskGetNumberOfTasks),
    own("uxTaskGetStackHighWaterMark", stack_high_water_mark),
    native!("pcTaskGetName", ffi::pcTaskGetName),
    native!("xTaskGenericNotify", ffi::xTaskGenericNotify),
    native!("xTaskGenericNotifyWait", ffi::xTaskGenericNotifyWait),
    native!("ulTaskGenericNotifyTake", ffi::ulTaskGenericNotifyTake),
    native!("xTaskGenericNotifyStateClear", ffi::xTaskGenericNotifyStateClear),
    native!("ulTaskGenericNotifyValueClear", ffi::ulTaskGenericNotifyValueClear),
    own("vTaskSuspendAll", suspend_all),
    own("xTaskResumeAll", resume_all),
    own("vTaskPreemptionDisable", |call| if is_own(call)? { suspend_all(call) } else { Ok(DONE) }),
    own("vTaskPreemptionEnable", |call| if is_own(call)? { resume_all(call) } else { Ok(DONE) }),
    own("vTaskYieldWithinAPI", yield_now),
    own("usleep", |call| sleep(u64::from(call.word(0)))),
    own("sleep", |call| sleep(u64::from(call.word(0)) * 1_000_000)),
    own("vPortYield", yield_now),
    own("vPortEnterCritical", enter_critical),
    own("vPortExitCritical", leave_critical),
    own("vTaskEnterCritical", enter_critical),
    own("vTaskExitCritical", leave_critical),
];

/// `errCOULD_NOT_ALLOCATE_REQUIRED_MEMORY`.
const NO_MEMORY: u64 = -1_i32 as u32 as u64;
const DONE: u64 = 0;

/// `xTaskCreate(code, name, stack bytes, argument, priority, created)`. The stack bytes become linear stack in the module's heap.
fn create(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let arguments = core::array::from_fn(|slot| call.word(slot));
    create_with(call, arguments)
}

fn create_with(call: &Call<'_, '_>, arguments: [u32; 6]) -> Result<u64, Trap> {
    let [code, name, stack, argument, priority, created] = arguments;
    let memory = call.vm.memory();
    let started =
        |handle: ffi::TaskHandle| if created == 0 { Ok(()) } else { memory.write_word(created, handle as u32) };
    let made = make(call, code, name, Stacks::Heap(stack), argument, priority, started)?;
    Ok(if made { ffi::PD_PASS as u64 } else { NO_MEMORY })
}

/// `xTaskCreateStatic(code, name, stack bytes, argument, priority, stack, task)`. The stack is the task's linear stack; the kernel's own
/// structures are where no module can write, so that the last argument is left alone.
fn create_static(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let [code, name, size, argument, priority, address] = core::array::from_fn(|slot| call.word(slot));
    let mut created = 0;
    let started = |handle: ffi::TaskHandle| {
        created = handle as u32;
        Ok(())
    };
    make(call, code, name, Stacks::At { address, size }, argument, priority, started)?;
    Ok(created.into())
}

/// Makes a task, whose handle goes to `started` before it runs; says whether there was memory for it.
fn make(
    call: &Call<'_, '_>,
    code: u32,
    name_address: u32,
    stacks: Stacks,
    argument: u32,
    priority: u32,
    started: impl FnOnce(ffi::TaskHandle) -> Result<(), Trap>,
) -> Result<bool, Trap> {
    let callback = call.running.instance().thunks().index(code).ok_or_else(|| call.vm.violation(0, code))?;
    let mut name = [0; instance::TASK_NAME];
    if name_address != 0 {
        let length = call.vm.memory().string_length(name_address)?.min(name.len() as u32 - 1);
        call.vm.memory().read(name_address, name.get_mut(..length as usize).unwrap_or_default())?;
    }
    let name = CStr::from_bytes_until_nul(&name).unwrap_or(c"module");
    let work = tasks::Work::Body { callback, argument };
    match tasks::spawn(call.running, name, stacks, work, priority, started) {
        Ok(()) => Ok(true),
        Err(trap) if matches!(trap.kind, TrapKind::Host | TrapKind::LinearStackOverflow) => Ok(false),
        Err(trap) => Err(trap),
    }
}

/// The current task, if it is one of the module's own.
pub fn own_task(call: &Call<'_, '_>) -> Result<ffi::TaskHandle, Trap> {
    match tasks::ModuleTask::current(call.running) {
        Some(task) if !task.is_firmware() => Ok(task.handle()),
        _ => Err(Trap::new(TrapKind::Host, Failure::NotInCallback as u32)),
    }
}

fn delete(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let own = tasks::ModuleTask::current(call.running).map_or(ptr::null_mut(), tasks::ModuleTask::handle);
    let task = if call.word(0) == 0 { own_task(call)? } else { call.word(0) as ffi::TaskHandle };
    if queue::holds_mutex(call.running, task) {
        return Err(Trap::new(TrapKind::Host, Failure::MutexHeld as u32));
    }
    if tasks::waits_on(task, HandleKind::StreamBuffer) {
        // The kernel would notify the deleted task at the buffer's next use.
        return Err(Trap::new(TrapKind::Host, Failure::InUse as u32));
    }
    call.running.objects().remove(HandleKind::Task, task as u32);
    end::doom(task);
    while task == own {
        // SAFETY: suspends this task until the link task deletes it.
        unsafe { ffi::vTaskSuspend(ptr::null_mut()) };
    }
    Ok(DONE)
}

fn set_priority(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    if call.word(0) == 0 {
        own_task(call)?;
    }
    // SAFETY: the handle was checked, null is the caller; the priority is in range.
    unsafe { ffi::vTaskPrioritySet(call.word(0) as ffi::TaskHandle, call.word(1).min(kernel::MODULE_PRIORITY_LIMIT)) };
    Ok(DONE)
}

fn suspend(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let own = own_task(call);
    match call.word(0) as ffi::TaskHandle {
        other if !other.is_null() && Ok(other) != own => {
            // A task must not stop while it holds the console.
            // SAFETY: the handle was checked.
            console::while_idle(|| unsafe { ffi::vTaskSuspend(other) });
        }
        _ => {
            own?;
            // SAFETY: null is the caller, a task of the module.
            unsafe { ffi::vTaskSuspend(ptr::null_mut()) };
        }
    }
    Ok(DONE)
}

/// In bytes, as in ESP-IDF; of the native stack.
pub fn stack_high_water_mark(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    // SAFETY: the handle was checked, null is the caller.
    let words = unsafe { ffi::uxTaskGetStackHighWaterMark(call.word(0) as ffi::TaskHandle) };
    Ok(u64::from(words) * size_of::<u32>() as u64)
}

/// Whether the task of argument 0 is the caller.
fn is_own(call: &Call<'_, '_>) -> Result<bool, Trap> {
    let own = own_task(call)?;
    Ok(call.word(0) == 0 || call.word(0) == own as u32)
}

/// Bits of the thread-local word that holds the priority to go back to; above them is how often `suspend_all` was called.
const PRIORITY_BITS: u32 = 8;

/// `vTaskSuspendAll()`: no other task of a module runs until as many calls of `xTaskResumeAll`. The firmware's own tasks do.
fn suspend_all(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let task = own_task(call)?;
    let before = tls::get(tls::SUSPENSION) as u32;
    let state = if before == 0 {
        // SAFETY: the caller's own task; the priority is in range.
        unsafe {
            let priority = ffi::uxTaskPriorityGet(task);
            ffi::vTaskPrioritySet(task, kernel::BACKGROUND_PRIORITY);
            1 << PRIORITY_BITS | priority
        }
    } else {
        before + (1 << PRIORITY_BITS)
    };
    tls::set(ptr::null_mut(), tls::SUSPENSION, state as *mut _);
    Ok(DONE)
}

/// `xTaskResumeAll()`: never says that another task has run because of it. Without a suspension nothing happens.
fn resume_all(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let task = own_task(call)?;
    let before = tls::get(tls::SUSPENSION) as u32;
    if before == 0 {
        return Ok(DONE);
    }
    let state = before - (1 << PRIORITY_BITS);
    let is_over = state >> PRIORITY_BITS == 0;
    tls::set(ptr::null_mut(), tls::SUSPENSION, if is_over { ptr::null_mut() } else { state as *mut _ });
    if is_over {
        // SAFETY: the caller's own task, back at the priority that it had.
        unsafe { ffi::vTaskPrioritySet(task, state) };
    }
    Ok(DONE)
}

/// At least so many microseconds, in whole ticks.
fn sleep(microseconds: u64) -> Result<u64, Trap> {
    kernel::delay(u32::try_from(microseconds.div_ceil(1000)).unwrap_or(ffi::PORT_MAX_DELAY));
    Ok(DONE)
}

fn yield_now(_: &mut Call<'_, '_>) -> Result<u64, Trap> {
    kernel::yield_now();
    Ok(DONE)
}

fn enter_critical(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    instance::enter_critical(call.running);
    Ok(DONE)
}

fn leave_critical(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    instance::leave_critical(call.running);
    Ok(DONE)
}
