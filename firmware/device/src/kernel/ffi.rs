//! The kernel's C interface as its headers declare it, for this configuration (32-bit ticks, words of 4 bytes).
//! Declarations only: what they mean is in the kernel's manual, who may call them is decided elsewhere.
#![allow(non_snake_case)]

use core::ffi::{c_char, c_void};

/// `BaseType_t`.
pub type BaseType = i32;
/// `UBaseType_t`, also `configSTACK_DEPTH_TYPE`.
pub type UBaseType = u32;
/// `TickType_t`.
pub type TickType = u32;
/// `TaskHandle_t`.
pub type TaskHandle = *mut c_void;
/// `QueueHandle_t`, also `SemaphoreHandle_t`.
pub type QueueHandle = *mut c_void;
/// `StreamBufferHandle_t`.
pub type StreamBufferHandle = *mut c_void;
/// `TaskFunction_t`.
pub type TaskFunction = extern "C" fn(*mut c_void);

/// `pdPASS`, `pdTRUE`.
pub const PD_PASS: BaseType = 1;
/// `portMAX_DELAY`.
pub const PORT_MAX_DELAY: TickType = u32::MAX;
/// `taskSCHEDULER_SUSPENDED`.
pub const TASK_SCHEDULER_SUSPENDED: BaseType = 0;
/// `taskSCHEDULER_NOT_STARTED`.
pub const TASK_SCHEDULER_NOT_STARTED: BaseType = 1;
/// `taskSCHEDULER_RUNNING`.
pub const TASK_SCHEDULER_RUNNING: BaseType = 2;
/// `queueQUEUE_TYPE_MUTEX`.
pub const QUEUE_TYPE_MUTEX: u8 = 1;
/// `queueSEND_TO_BACK`.
pub const QUEUE_SEND_TO_BACK: BaseType = 0;

/// `eIncrement` of `eNotifyAction`.
pub const NOTIFY_INCREMENT: u32 = 2;

/// `HeapRegion_t` of heap_5.
#[repr(C)]
pub struct HeapRegion {
    /// First byte, null in the terminating entry.
    pub start: *mut u8,
    /// Length in bytes.
    pub size: usize,
}

unsafe extern "C" {
    /// Depth of critical sections of the current task (port.c).
    pub static mut xCriticalNesting: u32;

    pub fn vPortDefineHeapRegions(regions: *const HeapRegion);
    pub fn pvPortMalloc(size: usize) -> *mut c_void;
    pub fn vPortFree(block: *mut c_void);
    pub fn xPortGetFreeHeapSize() -> usize;
    pub fn xPortGetMinimumEverFreeHeapSize() -> usize;

    pub fn vTaskStartScheduler();
    pub fn vTaskSwitchContext();
    pub fn xTaskIncrementTick() -> BaseType;
    pub fn xTaskGetSchedulerState() -> BaseType;
    pub fn vTaskSuspendAll();
    pub fn xTaskResumeAll() -> BaseType;
    pub fn pvTaskGetThreadLocalStoragePointer(task: TaskHandle, index: BaseType) -> *mut c_void;
    pub fn vTaskSetThreadLocalStoragePointer(task: TaskHandle, index: BaseType, value: *mut c_void);

    pub fn xTaskCreate(
        body: TaskFunction,
        name: *const c_char,
        stack_words: UBaseType,
        argument: *mut c_void,
        priority: UBaseType,
        handle: *mut TaskHandle,
    ) -> BaseType;
    pub fn vTaskDelay(ticks: TickType);
    pub fn xTaskDelayUntil(previous_wake: *mut TickType, increment: TickType) -> BaseType;
    pub fn xTaskGetTickCount() -> TickType;
    pub fn pcTaskGetName(task: TaskHandle) -> *const c_char;

    pub fn xTaskGenericNotify(
        task: TaskHandle,
        index: UBaseType,
        value: u32,
        action: u32,
        previous: *mut u32,
    ) -> BaseType;
    pub fn vTaskGenericNotifyGiveFromISR(task: TaskHandle, index: UBaseType, woken: *mut BaseType);
    pub fn ulTaskGenericNotifyTake(index: UBaseType, clear: BaseType, wait: TickType) -> u32;

    pub fn xQueueCreateMutex(kind: u8) -> QueueHandle;
    pub fn xQueueSemaphoreTake(queue: QueueHandle, wait: TickType) -> BaseType;
    pub fn xQueueGenericSend(
        queue: QueueHandle,
        item: *const c_void,
        wait: TickType,
        position: BaseType,
    ) -> BaseType;

    pub fn xStreamBufferGenericCreate(
        size: usize,
        trigger: usize,
        kind: BaseType,
        sent: *const c_void,
        received: *const c_void,
    ) -> StreamBufferHandle;
    pub fn xStreamBufferReceive(
        buffer: StreamBufferHandle,
        data: *mut c_void,
        length: usize,
        wait: TickType,
    ) -> usize;
    pub fn xStreamBufferSendFromISR(
        buffer: StreamBufferHandle,
        data: *const c_void,
        length: usize,
        woken: *mut BaseType,
    ) -> usize;
}
