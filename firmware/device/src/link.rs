//! The link task: reads requests from the console, carries them out, sends events. Always alive, above every module task.
//! Decides nothing about modules; that is `instance`.

use core::{
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use espb_link::{
    PROTOCOL,
    event::{Event, Hello, Refusal, Refused, Slot, Stats},
    frame::{self, MAX_FRAME},
    request::Request,
    slot::SlotError,
    splitter::{Piece, Splitter},
};

use crate::{
    console, counters,
    flash::{FlashError, StoredModule},
    heartbeat,
    kernel::{self, OutOfMemory, ffi},
};

/// Chip name as the host knows it.
const CHIP: &str = "esp32c3";

/// The task's stack: two frame buffers and the verifier.
const STACK_BYTES: usize = 8192;

static TASK: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Starts the task. It says Hello as soon as the scheduler runs.
pub fn start() -> Result<(), OutOfMemory> {
    let task = kernel::spawn(body, c"link", STACK_BYTES, ptr::null_mut(), kernel::LINK_PRIORITY)?;
    TASK.store(task, Ordering::Relaxed);
    Ok(())
}

/// Makes the task look for bytes and outcomes; from tasks.
pub fn wake() {
    let task = TASK.load(Ordering::Relaxed);
    if !task.is_null() {
        // SAFETY: the task lives for ever.
        unsafe { ffi::xTaskGenericNotify(task, 0, 0, ffi::NOTIFY_INCREMENT, ptr::null_mut()) };
    }
}

/// As [`wake`], from an interrupt handler; `woken` becomes 1 if the link task must run at once.
pub fn wake_from_interrupt(woken: &mut ffi::BaseType) {
    let task = TASK.load(Ordering::Relaxed);
    if !task.is_null() {
        // SAFETY: the task lives for ever.
        unsafe { ffi::vTaskGenericNotifyGiveFromISR(task, 0, woken) };
    }
}

/// Sends an event. One that does not fit into a frame is dropped: the texts in events are bounded so that it cannot happen.
pub fn send(event: &Event<'_>) {
    if let Ok(bytes) = frame::encode(event, &mut [0; MAX_FRAME]) {
        console::write(bytes);
    }
}

extern "C" fn body(_: *mut c_void) {
    let boot_instructions = counters::instructions();
    let stored = crate::flash::stored_module();
    say_hello(&stored, boot_instructions);
    let mut splitter = Splitter::new();
    loop {
        // SAFETY: waits for `wake`; any count is one round.
        unsafe { ffi::ulTaskGenericNotifyTake(0, 1, ffi::PORT_MAX_DELAY) };
        let mut bytes = [0; 64];
        loop {
            let length = console::receive(&mut bytes);
            if length == 0 {
                break;
            }
            for &byte in bytes.iter().take(length) {
                if let Piece::Message(message) = splitter.push(byte) {
                    match frame::decode(message) {
                        Ok(request) => carry_out(&request, &stored, boot_instructions),
                        Err(error) => refuse(Refusal::Request, format_args!("{error}")),
                    }
                }
            }
        }
    }
}

fn carry_out(request: &Request<'_>, stored: &Result<StoredModule, FlashError>, boot_instructions: u64) {
    match request {
        Request::Hello { .. } => say_hello(stored, boot_instructions),
        Request::Start(_start) => refuse(Refusal::Slot, format_args!("no")),
        Request::Stop => refuse(Refusal::Request, format_args!("no")),
        Request::Stats => send(&Event::Stats(stats())),
        Request::Ping { token } => send(&Event::Pong { token: *token }),
    }
}

fn refuse(kind: Refusal, reason: core::fmt::Arguments<'_>) {
    let text = alloc::fmt::format(reason);
    send(&Event::Refused(Refused { kind, code: 0, offset: None, reason: &text }));
}

fn say_hello(stored: &Result<StoredModule, FlashError>, boot_instructions: u64) {
    let slot = match stored {
        Ok(module) => Slot::Module { length: module.bytes.len() as u32, autostart: module.autostart },
        Err(FlashError::NoSlot | FlashError::TooLarge) => Slot::Missing,
        Err(FlashError::Header(SlotError::Empty)) => Slot::Empty,
        Err(_) => Slot::Corrupt,
    };
    send(&Event::Hello(Hello {
        protocol: PROTOCOL,
        chip: CHIP,
        firmware: env!("CARGO_PKG_VERSION"),
        free_heap: kernel::heap::free_bytes() as u32,
        boot_instructions,
        slot,
    }));
}

fn stats() -> Stats {
    Stats {
        instructions: counters::instructions(),
        heap_peak: 0,
        linear_stack_peak: 0,
        shadow_stack_peak: 0,
        heartbeats: heartbeat::count(),
        ticks: kernel::tick_count(),
        free_heap: kernel::heap::free_bytes() as u32,
        minimum_free_heap: kernel::heap::minimum_free_bytes() as u32,
        native_stack_spare: 0,
    }
}
