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
/// `TimerHandle_t`.
pub type TimerHandle = *mut c_void;
/// `EventGroupHandle_t`.
pub type EventGroupHandle = *mut c_void;
/// `TimerCallbackFunction_t`.
pub type TimerCallback = extern "C" fn(TimerHandle);
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
/// `queueQUEUE_TYPE_RECURSIVE_MUTEX`.
pub const QUEUE_TYPE_RECURSIVE_MUTEX: u8 = 4;
/// `queueSEND_TO_BACK`.
pub const QUEUE_SEND_TO_BACK: BaseType = 0;

/// `configISR_STACK_SIZE_WORDS` in bytes.
pub const ISR_STACK_BYTES: u32 = 512 * 4;
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

/// `HeapStats_t`.
#[repr(C)]
#[derive(Default)]
pub struct HeapStats {
    pub free_bytes: usize,
    pub largest_free_block: usize,
    pub smallest_free_block: usize,
    pub free_blocks: usize,
    pub minimum_free_bytes: usize,
    pub allocations: usize,
    pub frees: usize,
}

/// `TaskStatus_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TaskStatus {
    pub handle: TaskHandle,
    pub name: *const c_char,
    pub number: UBaseType,
    pub state: u32,
    pub priority: UBaseType,
    pub base_priority: UBaseType,
    pub run_time: u32,
    pub stack: *mut u32,
    /// In words of 4 bytes.
    pub least_stack: u32,
}

impl TaskStatus {
    /// Of no task.
    pub const EMPTY: Self = Self {
        handle: core::ptr::null_mut(),
        name: core::ptr::null(),
        number: 0,
        state: 0,
        priority: 0,
        base_priority: 0,
        run_time: 0,
        stack: core::ptr::null_mut(),
        least_stack: 0,
    };
}

unsafe extern "C" {
    /// End of the interrupt stack (port.c).
    pub static xISRStackTop: u32;
    /// The current task; the first word of its block is its stack pointer while its context is saved (tasks.c).
    pub static pxCurrentTCB: *mut c_void;
    /// Depth of critical sections of the current task (port.c).
    pub static mut xCriticalNesting: u32;

    pub fn vPortDefineHeapRegions(regions: *const HeapRegion);
    pub fn pvPortMalloc(size: usize) -> *mut c_void;
    pub fn vPortFree(block: *mut c_void);
    pub fn xPortGetFreeHeapSize() -> usize;
    pub fn xPortResetHeapMinimumEverFreeHeapSize();
    pub fn vPortGetHeapStats(stats: *mut HeapStats);
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
    pub fn vTaskDelete(task: TaskHandle);
    pub fn vTaskDelay(ticks: TickType);
    pub fn xTaskDelayUntil(previous_wake: *mut TickType, increment: TickType) -> BaseType;
    pub fn xTaskAbortDelay(task: TaskHandle) -> BaseType;
    pub fn vTaskSuspend(task: TaskHandle);
    pub fn vTaskResume(task: TaskHandle);
    pub fn eTaskGetState(task: TaskHandle) -> u32;
    pub fn uxTaskPriorityGet(task: TaskHandle) -> UBaseType;
    pub fn vTaskPrioritySet(task: TaskHandle, priority: UBaseType);
    pub fn xTaskGetTickCount() -> TickType;
    pub fn xTaskGetCurrentTaskHandle() -> TaskHandle;
    pub fn uxTaskGetNumberOfTasks() -> UBaseType;
    pub fn uxTaskGetStackHighWaterMark(task: TaskHandle) -> UBaseType;
    pub fn pcTaskGetName(task: TaskHandle) -> *const c_char;
    pub fn xTaskGenericNotify(
        task: TaskHandle,
        index: UBaseType,
        value: u32,
        action: u32,
        previous: *mut u32,
    ) -> BaseType;
    pub fn xTaskGenericNotifyWait(
        index: UBaseType,
        clear_on_entry: u32,
        clear_on_exit: u32,
        value: *mut u32,
        wait: TickType,
    ) -> BaseType;
    pub fn vTaskGenericNotifyGiveFromISR(task: TaskHandle, index: UBaseType, woken: *mut BaseType);
    pub fn ulTaskGenericNotifyTake(index: UBaseType, clear: BaseType, wait: TickType) -> u32;
    pub fn xTaskGenericNotifyStateClear(task: TaskHandle, index: UBaseType) -> BaseType;
    pub fn ulTaskGenericNotifyValueClear(task: TaskHandle, index: UBaseType, bits: u32) -> u32;

    pub fn xQueueGenericCreate(length: UBaseType, item_size: UBaseType, kind: u8) -> QueueHandle;
    pub fn xQueueCreateMutex(kind: u8) -> QueueHandle;
    pub fn xQueueCreateCountingSemaphore(most: UBaseType, initial: UBaseType) -> QueueHandle;
    pub fn vQueueDelete(queue: QueueHandle);
    pub fn xQueueGenericSend(queue: QueueHandle, item: *const c_void, wait: TickType, position: BaseType) -> BaseType;
    pub fn xQueueReceive(queue: QueueHandle, item: *mut c_void, wait: TickType) -> BaseType;
    pub fn xQueuePeek(queue: QueueHandle, item: *mut c_void, wait: TickType) -> BaseType;
    pub fn xQueueSemaphoreTake(queue: QueueHandle, wait: TickType) -> BaseType;
    pub fn xQueueTakeMutexRecursive(mutex: QueueHandle, wait: TickType) -> BaseType;
    pub fn xQueueGiveMutexRecursive(mutex: QueueHandle) -> BaseType;
    pub fn xQueueGetMutexHolder(mutex: QueueHandle) -> TaskHandle;
    pub fn uxQueueMessagesWaiting(queue: QueueHandle) -> UBaseType;
    pub fn uxQueueSpacesAvailable(queue: QueueHandle) -> UBaseType;
    pub fn xQueueGenericReset(queue: QueueHandle, new: BaseType) -> BaseType;
    pub fn uxQueueGetQueueItemSize(queue: QueueHandle) -> UBaseType;
    pub fn uxQueueGetQueueLength(queue: QueueHandle) -> UBaseType;

    pub fn xTimerCreate(
        name: *const c_char,
        period: TickType,
        reload: BaseType,
        id: *mut c_void,
        expired: TimerCallback,
    ) -> TimerHandle;
    pub fn xTimerGenericCommandFromTask(
        timer: TimerHandle,
        command: BaseType,
        value: TickType,
        woken: *mut BaseType,
        wait: TickType,
    ) -> BaseType;
    pub fn pvTimerGetTimerID(timer: TimerHandle) -> *mut c_void;
    pub fn vTimerSetTimerID(timer: TimerHandle, id: *mut c_void);
    pub fn xTimerIsTimerActive(timer: TimerHandle) -> BaseType;
    pub fn vTimerSetReloadMode(timer: TimerHandle, reload: BaseType);
    pub fn xTimerGetReloadMode(timer: TimerHandle) -> BaseType;
    pub fn uxTimerGetReloadMode(timer: TimerHandle) -> UBaseType;
    pub fn xTimerGetPeriod(timer: TimerHandle) -> TickType;
    pub fn xTimerGetExpiryTime(timer: TimerHandle) -> TickType;
    pub fn xTimerPendFunctionCall(
        function: extern "C" fn(*mut c_void, u32),
        argument: *mut c_void,
        value: u32,
        wait: TickType,
    ) -> BaseType;

    pub fn xEventGroupCreate() -> EventGroupHandle;
    pub fn vEventGroupDelete(group: EventGroupHandle);
    pub fn xEventGroupWaitBits(
        group: EventGroupHandle,
        bits: u32,
        clear: BaseType,
        all: BaseType,
        wait: TickType,
    ) -> u32;
    pub fn xEventGroupSetBits(group: EventGroupHandle, bits: u32) -> u32;
    pub fn xEventGroupClearBits(group: EventGroupHandle, bits: u32) -> u32;
    pub fn xEventGroupSync(group: EventGroupHandle, set: u32, wait_for: u32, wait: TickType) -> u32;

    pub fn xStreamBufferGenericCreate(
        size: usize,
        trigger: usize,
        kind: BaseType,
        sent: *const c_void,
        received: *const c_void,
    ) -> StreamBufferHandle;
    pub fn vStreamBufferDelete(buffer: StreamBufferHandle);
    pub fn xStreamBufferSend(buffer: StreamBufferHandle, data: *const c_void, length: usize, wait: TickType) -> usize;
    pub fn xStreamBufferIsFull(buffer: StreamBufferHandle) -> BaseType;
    pub fn xStreamBufferIsEmpty(buffer: StreamBufferHandle) -> BaseType;
    pub fn xStreamBufferReset(buffer: StreamBufferHandle) -> BaseType;
    pub fn xStreamBufferSpacesAvailable(buffer: StreamBufferHandle) -> usize;
    pub fn xStreamBufferBytesAvailable(buffer: StreamBufferHandle) -> usize;
    pub fn xStreamBufferSetTriggerLevel(buffer: StreamBufferHandle, level: usize) -> BaseType;
    pub fn xStreamBufferNextMessageLengthBytes(buffer: StreamBufferHandle) -> usize;
    pub fn xStreamBufferReceive(buffer: StreamBufferHandle, data: *mut c_void, length: usize, wait: TickType) -> usize;
    pub fn xStreamBufferSendFromISR(
        buffer: StreamBufferHandle,
        data: *const c_void,
        length: usize,
        woken: *mut BaseType,
    ) -> usize;

    // For interrupt handlers. They neither block nor lock: whoever calls them keeps interrupts off meanwhile.
    pub fn xTaskGetTickCountFromISR() -> TickType;
    pub fn uxTaskPriorityGetFromISR(task: TaskHandle) -> UBaseType;
    pub fn uxTaskBasePriorityGetFromISR(task: TaskHandle) -> UBaseType;
    pub fn xTaskResumeFromISR(task: TaskHandle) -> BaseType;
    pub fn xTaskGenericNotifyFromISR(
        task: TaskHandle,
        index: UBaseType,
        value: u32,
        action: u32,
        previous: *mut u32,
        woken: *mut BaseType,
    ) -> BaseType;
    pub fn xQueueGenericSendFromISR(
        queue: QueueHandle,
        item: *const c_void,
        woken: *mut BaseType,
        position: BaseType,
    ) -> BaseType;
    pub fn xQueueGiveFromISR(queue: QueueHandle, woken: *mut BaseType) -> BaseType;
    pub fn xQueueReceiveFromISR(queue: QueueHandle, item: *mut c_void, woken: *mut BaseType) -> BaseType;
    pub fn xQueuePeekFromISR(queue: QueueHandle, item: *mut c_void) -> BaseType;
    pub fn xQueueIsQueueEmptyFromISR(queue: QueueHandle) -> BaseType;
    pub fn xQueueIsQueueFullFromISR(queue: QueueHandle) -> BaseType;
    pub fn uxQueueMessagesWaitingFromISR(queue: QueueHandle) -> UBaseType;
    pub fn xQueueGetMutexHolderFromISR(mutex: QueueHandle) -> TaskHandle;
    pub fn xQueueSelectFromSetFromISR(set: QueueHandle) -> QueueHandle;
    pub fn xTimerGenericCommandFromISR(
        timer: TimerHandle,
        command: BaseType,
        value: TickType,
        woken: *mut BaseType,
        wait: TickType,
    ) -> BaseType;
    pub fn xTimerPendFunctionCallFromISR(
        function: extern "C" fn(*mut c_void, u32),
        argument: *mut c_void,
        value: u32,
        woken: *mut BaseType,
    ) -> BaseType;
    pub fn xEventGroupGetBitsFromISR(group: EventGroupHandle) -> u32;
    pub fn xStreamBufferSendCompletedFromISR(buffer: StreamBufferHandle, woken: *mut BaseType) -> BaseType;
    pub fn xStreamBufferReceiveCompletedFromISR(buffer: StreamBufferHandle, woken: *mut BaseType) -> BaseType;

    pub fn xTaskGetApplicationTaskTagFromISR(task: TaskHandle) -> *const c_void;
    pub fn xTaskCatchUpTicks(ticks: TickType) -> BaseType;
    pub fn uxTaskBasePriorityGet(task: TaskHandle) -> UBaseType;
    pub fn xTaskGetHandle(name: *const c_char) -> TaskHandle;
    pub fn xTaskGetIdleTaskHandle() -> TaskHandle;
    pub fn vTaskGetInfo(task: TaskHandle, status: *mut TaskStatus, free_stack: BaseType, state: u32);
    pub fn uxTaskGetSystemState(array: *mut TaskStatus, room: UBaseType, total: *mut u32) -> UBaseType;
    pub fn ulTaskGetRunTimeCounter(task: TaskHandle) -> u32;
    pub fn ulTaskGetRunTimePercent(task: TaskHandle) -> u32;
    pub fn ulTaskGetIdleRunTimeCounter() -> u32;
    pub fn ulTaskGetIdleRunTimePercent() -> u32;
    pub fn uxTaskGetTaskNumber(task: TaskHandle) -> UBaseType;
    pub fn vTaskSetTaskNumber(task: TaskHandle, number: UBaseType);
    pub fn vTaskSetApplicationTaskTag(task: TaskHandle, hook: *const c_void);
    pub fn xTaskGetApplicationTaskTag(task: TaskHandle) -> *const c_void;
    pub fn xTaskCallApplicationTaskHook(task: TaskHandle, argument: *mut c_void) -> BaseType;
    pub fn vTaskSetTimeOutState(timeout: *mut c_void);
    pub fn xTaskCheckForTimeOut(timeout: *mut c_void, ticks: *mut TickType) -> BaseType;

    pub fn xQueueCreateSet(length: UBaseType) -> QueueHandle;
    pub fn xQueueAddToSet(member: QueueHandle, set: QueueHandle) -> BaseType;
    pub fn xQueueRemoveFromSet(member: QueueHandle, set: QueueHandle) -> BaseType;
    pub fn xQueueSelectFromSet(set: QueueHandle, wait: TickType) -> QueueHandle;
    pub fn ucQueueGetQueueType(queue: QueueHandle) -> u8;
    pub fn uxQueueGetQueueNumber(queue: QueueHandle) -> UBaseType;
    pub fn vQueueSetQueueNumber(queue: QueueHandle, number: UBaseType);
    pub fn vQueueAddToRegistry(queue: QueueHandle, name: *const c_char);
    pub fn vQueueUnregisterQueue(queue: QueueHandle);
    pub fn pcQueueGetName(queue: QueueHandle) -> *const c_char;

    pub fn xTimerGetTimerDaemonTaskHandle() -> TaskHandle;
    pub fn pcTimerGetName(timer: TimerHandle) -> *const c_char;
    pub fn vTimerSetTimerNumber(timer: TimerHandle, number: UBaseType);
    pub fn uxTimerGetTimerNumber(timer: TimerHandle) -> UBaseType;

    pub fn uxEventGroupGetNumber(group: EventGroupHandle) -> UBaseType;
    pub fn vEventGroupSetNumber(group: EventGroupHandle, number: UBaseType);

    pub fn uxStreamBufferGetStreamBufferNotificationIndex(buffer: StreamBufferHandle) -> UBaseType;
    pub fn vStreamBufferSetStreamBufferNotificationIndex(buffer: StreamBufferHandle, index: UBaseType);
    pub fn vStreamBufferSetStreamBufferNumber(buffer: StreamBufferHandle, number: UBaseType);
    pub fn uxStreamBufferGetStreamBufferNumber(buffer: StreamBufferHandle) -> UBaseType;
    pub fn ucStreamBufferGetStreamBufferType(buffer: StreamBufferHandle) -> u8;
}
