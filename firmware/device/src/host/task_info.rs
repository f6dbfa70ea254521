//! What tasks say about themselves and each other: states, lists, run times, tags, thread-local words, cores.
//! There is one core, which is core 0.

use alloc::vec::Vec;
use core::{ffi::CStr, fmt::Write};

use espb_format::contract::Extent;
use espb_vm::{Memory, Trap};

use super::{Call, Registration, copies, from_interrupt, native, own, task};
use crate::{
    kernel::{self, ffi, tls},
    native_function,
};

pub const TABLE: &[Registration] = &[
    native!("uxTaskBasePriorityGet", ffi::uxTaskBasePriorityGet),
    native!("xTaskGetHandle", ffi::xTaskGetHandle),
    own("uxTaskGetStackHighWaterMark2", task::stack_high_water_mark),
    own("vTaskGetInfo", info),
    own("uxTaskGetSystemState", system_state),
    own("vTaskListTasks", |call| list(call, call.word(1))),
    own("vTaskList", |call| list(call, u32::MAX)),
    own("vTaskGetRunTimeStatistics", |call| run_times(call, call.word(1))),
    own("vTaskGetRunTimeStats", |call| run_times(call, u32::MAX)),
    native!("ulTaskGetRunTimeCounter", ffi::ulTaskGetRunTimeCounter),
    native!("ulTaskGetRunTimePercent", ffi::ulTaskGetRunTimePercent),
    native!("ulTaskGetIdleRunTimeCounter", ffi::ulTaskGetIdleRunTimeCounter),
    native!("ulTaskGetIdleRunTimePercent", ffi::ulTaskGetIdleRunTimePercent),
    native!("uxTaskGetTaskNumber", ffi::uxTaskGetTaskNumber),
    own("vTaskSetTaskNumber", |call| {
        let task = task_or_own(call)?;
        call.native(native_function!(ffi::vTaskSetTaskNumber), &[task, call.word(1)])
    }),
    own("vTaskSetApplicationTaskTag", |call| {
        let task = task_or_own(call)?;
        call.native(native_function!(ffi::vTaskSetApplicationTaskTag), &[task, call.word(1)])
    }),
    native!("xTaskGetApplicationTaskTag", ffi::xTaskGetApplicationTaskTag),
    from_interrupt!("xTaskGetApplicationTaskTagFromISR", ffi::xTaskGetApplicationTaskTagFromISR),
    own("xTaskCallApplicationTaskHook", |call| {
        let task = task_or_own(call)?;
        call.native(native_function!(ffi::xTaskCallApplicationTaskHook), &[task, call.word(1)])
    }),
    own("vTaskSetThreadLocalStoragePointer", |call| {
        let (task, index, value) = (task_or_own(call)?, call.word(1), call.word(2));
        if let Some(index) = tls::of_module(index) {
            tls::set(task as ffi::TaskHandle, index, value as *mut _);
        }
        Ok(0)
    }),
    own("pvTaskGetThreadLocalStoragePointer", |call| {
        let (task, index) = (task_or_own(call)?, call.word(1));
        Ok(tls::of_module(index).map_or(0, |index| tls::get_of(task as ffi::TaskHandle, index) as u32).into())
    }),
    native!("xTaskGetIdleTaskHandle", ffi::xTaskGetIdleTaskHandle),
    own("xTaskGetIdleTaskHandleForCore", |call| on_core(call, native_function!(ffi::xTaskGetIdleTaskHandle))),
    own("xTaskGetIdleTaskHandleForCPU", |call| on_core(call, native_function!(ffi::xTaskGetIdleTaskHandle))),
    own("xTaskGetCurrentTaskHandleForCore", |call| on_core(call, native_function!(ffi::xTaskGetCurrentTaskHandle))),
    own("xTaskGetCurrentTaskHandleForCPU", |call| on_core(call, native_function!(ffi::xTaskGetCurrentTaskHandle))),
    own("vTaskCoreAffinitySet", |_| Ok(0)),
    own("vTaskCoreAffinityGet", |_| Ok(CORES)),
    own("xTaskGetAffinity", |_| Ok(CORE)),
    own("xTaskGetCoreID", |_| Ok(CORE)),
    native!("vTaskSetTimeOutState", ffi::vTaskSetTimeOutState),
    native!("xTaskCheckForTimeOut", ffi::xTaskCheckForTimeOut),
    own("vTaskMissedYield", |_| {
        kernel::yield_now();
        Ok(0)
    }),
];

/// The core's number, and the mask of all cores.
const CORE: u64 = 0;
const CORES: u64 = 1;

/// Length of a line's first column: configMAX_TASK_NAME_LEN without the NUL.
const NAME_COLUMN: usize = 15;

/// The task of argument 0; for null the caller, if it is a task of the module: what is set in a firmware task would stay.
fn task_or_own(call: &Call<'_, '_>) -> Result<u32, Trap> {
    match call.word(0) {
        0 => task::own_task(call).map(|task| task as u32),
        task => Ok(task),
    }
}

fn on_core(call: &Call<'_, '_>, function: crate::native_call::Function) -> Result<u64, Trap> {
    if u64::from(call.word(0)) == CORE { call.native(function, &[]) } else { Ok(0) }
}

/// Writes a `TaskStatus_t`. The name is copied to where the module can read it; the stack is nowhere that it could.
fn store(call: &Call<'_, '_>, address: u32, status: &ffi::TaskStatus) -> Result<(), Trap> {
    let name = copies::copy(call, status.name as u32, Extent::CString)?;
    let words = [
        status.handle as u32,
        name as u32,
        status.number,
        status.state,
        status.priority,
        status.base_priority,
        status.run_time,
        0,
        status.least_stack * size_of::<u32>() as u32,
    ];
    let memory = call.vm.memory();
    (0..).zip(words).try_for_each(|(index, word)| memory.write_word(address.wrapping_add(4 * index), word))
}

/// `vTaskGetInfo(task, status, with free stack, state)`.
fn info(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let mut status = ffi::TaskStatus::EMPTY;
    let words = [call.word(0), &raw mut status as u32, call.word(2), call.word(3)];
    call.native(native_function!(ffi::vTaskGetInfo), &words)?;
    store(call, call.word(1), &status).map(|()| 0)
}

/// All tasks, the firmware's among them, and the run time so far. Without memory for it, none.
fn all() -> (Vec<ffi::TaskStatus>, u32) {
    let mut tasks = Vec::new();
    let mut total = 0;
    // SAFETY: reads a counter.
    let room = unsafe { ffi::uxTaskGetNumberOfTasks() } as usize;
    if kernel::heap::is_short() || tasks.try_reserve_exact(room).is_err() {
        return (tasks, total);
    }
    tasks.resize(room, ffi::TaskStatus::EMPTY);
    // SAFETY: the array has as many places as are said; a task that was created meanwhile makes the kernel give none.
    let count = unsafe { ffi::uxTaskGetSystemState(tasks.as_mut_ptr(), room as u32, &raw mut total) };
    tasks.truncate(count as usize);
    (tasks, total)
}

/// `uxTaskGetSystemState(array, room, total)`: none if there is not room for all.
fn system_state(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let (array, room, total_address) = (call.word(0), call.word(1), call.word(2));
    let (tasks, total) = all();
    if tasks.len() > room as usize {
        return Ok(0);
    }
    for (address, status) in (0..).map(|index| array.wrapping_add(36 * index)).zip(&tasks) {
        store(call, address, status)?;
    }
    if total_address != 0 {
        call.vm.memory().write_word(total_address, total)?;
    }
    Ok(tasks.len() as u64)
}

/// A table that is written to the module's memory line by line, within `left` bytes, its end included.
struct Table<'a> {
    memory: Memory<'a>,
    next: u32,
    left: u32,
}

type Line = heapless::String<80>;

impl<'a> Table<'a> {
    fn new(call: &Call<'_, 'a>, room: u32) -> Self {
        Self { memory: call.vm.memory(), next: call.word(0), left: room }
    }

    /// Adds a line that begins with the task's name, if there is room for the whole of it.
    fn line(&mut self, status: &ffi::TaskStatus, rest: core::fmt::Arguments<'_>) -> Result<(), Trap> {
        // SAFETY: the kernel keeps names terminated, and deletes no task before this one has run on.
        let name = unsafe { CStr::from_ptr(status.name) }.to_str().unwrap_or("?");
        let mut line = Line::new();
        // The widest line fits.
        let _ = write!(line, "{name:NAME_COLUMN$}\t{rest}\r\n");
        let length = line.len() as u32;
        if length >= self.left {
            return Ok(());
        }
        self.memory.write(self.next, line.as_bytes())?;
        self.next = self.next.wrapping_add(length);
        self.left -= length;
        Ok(())
    }

    fn finish(self) -> Result<u64, Trap> {
        if self.left > 0 {
            self.memory.write(self.next, &[0])?;
        }
        Ok(0)
    }
}

/// `vTaskListTasks(buffer, length)`: name, state, priority, least free stack in bytes, number.
fn list(call: &mut Call<'_, '_>, room: u32) -> Result<u64, Trap> {
    let mut table = Table::new(call, room);
    let (mut tasks, _) = all();
    tasks.sort_unstable_by_key(|status| status.number);
    for status in &tasks {
        let state = b"XRBSD".get(status.state as usize).copied().unwrap_or(b'?');
        let stack = status.least_stack * size_of::<u32>() as u32;
        let state = char::from(state);
        table.line(status, format_args!("{state}\t{}\t{stack}\t{}", status.priority, status.number))?;
    }
    table.finish()
}

/// `vTaskGetRunTimeStatistics(buffer, length)`: name, microseconds on the core, share of all time.
fn run_times(call: &mut Call<'_, '_>, room: u32) -> Result<u64, Trap> {
    let mut table = Table::new(call, room);
    let (mut tasks, total) = all();
    tasks.sort_unstable_by_key(|status| status.number);
    for status in &tasks {
        match status.run_time / (total / 100).max(1) {
            0 => table.line(status, format_args!("{}\t\t<1%", status.run_time))?,
            percent => table.line(status, format_args!("{}\t\t{percent}%", status.run_time))?,
        }
    }
    table.finish()
}
