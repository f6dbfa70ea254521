//! The link task: reads requests from the console, carries them out, sends events. Always alive, above every module task.
//! Loading and ending instances is `instance`'s; wording what became of them is `report`'s.

use core::{
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use espb_slots::{Boot, HeaderError, Store};
use espb_link::{
    PROTOCOL,
    event::{Event, Hello, Refusal, Slot, Stats},
    frame::{self, MAX_FRAME},
    request::{Call, Request, Start},
    splitter::{Piece, Splitter},
};

use crate::{
    console, counters,
    flash::DeviceFlash,
    heartbeat,
    instance::{Running, end, load},
    kernel::{self, OutOfMemory, ffi},
    key, report,
};

/// Chip name as the host knows it.
const CHIP: &str = "esp32c3";

/// The task's stack in bytes: two frame buffers, or the verifier.
const STACK_BYTES: usize = 8192;

/// Notification of bytes received and of outcomes.
const WAKE: u32 = 0;
/// Notification that the timer task has carried out its commands.
const SETTLED: u32 = 1;

static TASK: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Starts the task. It says Hello as soon as the scheduler runs.
pub fn start() -> Result<(), OutOfMemory> {
    let task = kernel::spawn(body, c"link", STACK_BYTES, ptr::null_mut(), kernel::LINK_PRIORITY)?;
    TASK.store(task, Ordering::Relaxed);
    Ok(())
}

/// Makes the task look for bytes and outcomes; from tasks.
pub fn wake() {
    notify(WAKE);
}

/// As [`wake`], from an interrupt handler; `woken` becomes 1 if the link task must run at once.
pub fn wake_from_interrupt(woken: &mut ffi::BaseType) {
    let task = TASK.load(Ordering::Relaxed);
    if !task.is_null() {
        // SAFETY: the task lives for ever.
        unsafe { ffi::vTaskGenericNotifyGiveFromISR(task, WAKE, woken) };
    }
}

/// The timer task has carried out its commands.
pub fn note_settled() {
    notify(SETTLED);
}

/// Waits for [`note_settled`]; on the link task.
pub fn wait_settled() {
    take(SETTLED);
}

fn notify(index: u32) {
    let task = TASK.load(Ordering::Relaxed);
    if !task.is_null() {
        // SAFETY: the task lives for ever.
        unsafe { ffi::xTaskGenericNotify(task, index, 0, ffi::NOTIFY_INCREMENT, ptr::null_mut()) };
    }
}

fn take(index: u32) {
    // SAFETY: waits on this task's own notification; any count is one round.
    unsafe { ffi::ulTaskGenericNotifyTake(index, 1, ffi::PORT_MAX_DELAY) };
}

/// Sends an event. One that does not fit into a frame is dropped: the texts in events are bounded so that it cannot happen.
pub fn send(event: &Event<'_>) {
    if let Ok(bytes) = frame::encode(event, &mut [0; MAX_FRAME]) {
        console::write(bytes);
    }
}

/// What stays the same from boot on.
struct Device {
    store: Store<DeviceFlash>,
    boot_instructions: u64,
}

extern "C" fn body(_: *mut c_void) {
    let mut device = Device { boot_instructions: counters::instructions(), store: Store::open(DeviceFlash::open(), key::public_key()) };
    // A flash that cannot be written leaves the trial as it is; it will not be run again either.
    let _ = device.store.settle();
    device.say_hello();
    device.autostart();
    let mut splitter = Splitter::new();
    loop {
        take(WAKE);
        end::reap();
        if let Some(running) = Running::current() {
            report::settle(running);
        }
        device.listen(&mut splitter);
    }
}

impl Device {
    fn listen(&mut self, splitter: &mut Splitter) {
        let mut bytes = [0; 64];
        loop {
            let length = console::receive(&mut bytes);
            if length == 0 {
                return;
            }
            for &byte in bytes.iter().take(length) {
                let Piece::Message(message) = splitter.push(byte) else { continue };
                match frame::decode(message) {
                    Ok(request) => self.carry_out(&request),
                    Err(error) => report::refuse(&load::Refused::new(Refusal::Request, format_args!("{error}"))),
                }
            }
        }
    }

    fn carry_out(&mut self, request: &Request<'_>) {
        match request {
            Request::Hello { .. } => self.say_hello(),
            Request::Start(start) => self.start(start),
            Request::Stop => match Running::current() {
                Some(running) => {
                    end::end(running);
                    send(&Event::Stopped);
                }
                None => report::refuse(&load::Refused::new(Refusal::Request, format_args!("no module is running"))),
            },
            Request::Stats => send(&Event::Stats(stats())),
            Request::Ping { token } => send(&Event::Pong { token: *token }),
        }
    }

    fn autostart(&mut self) {
        if self.store.choose().is_some_and(|boot| boot.header.autostart) {
            self.start(&Start { call: Call::Entry, arguments: heapless::Vec::new(), fuel: None, detached: true });
        }
    }

    fn start(&mut self, start: &Start<'_>) {
        if let Err(refused) = self.try_start(start) {
            report::refuse(&refused);
        }
    }

    fn try_start(&mut self, start: &Start<'_>) -> Result<(), load::Refused> {
        let Some(boot) = self.store.choose() else {
            let none = |slot| self.store.runnable(slot).err();
            let reason = self.store.slots().filter_map(none).last();
            return Err(match reason {
                Some(reason) => load::Refused::new(Refusal::Slot, format_args!("{reason}")),
                None => load::Refused::new(Refusal::Slot, format_args!("the device has no module slots")),
            });
        };
        let bytes = self.module(&boot).unwrap_or_default();
        let (running, loaded) = load::load(bytes, start)?;
        self.store.begin(&boot).map_err(|error| load::Refused::new(Refusal::Slot, format_args!("{error}")))?;
        send(&Event::Loaded(loaded));
        send(&Event::Started);
        load::begin(running).inspect_err(|_| end::end(running))
    }

    /// A module in place, for as long as its slot is not written: which the slots' code forbids for those in use.
    fn module(&self, boot: &Boot) -> Option<&'static [u8]> {
        let bytes = self.store.module(boot.slot, &boot.header)?;
        // SAFETY: flash stays mapped for ever; `Installer::begin` is told which slots are in use.
        Some(unsafe { core::slice::from_raw_parts(bytes.as_ptr(), bytes.len()) })
    }

    fn say_hello(&self) {
        let slot = match self.store.choose() {
            Some(Boot { header, .. }) => Slot::Module { length: header.length, autostart: header.autostart },
            None if self.store.slots().next().is_none() => Slot::Missing,
            None if self.store.slots().all(|slot| self.store.header(slot) == Err(HeaderError::Empty)) => Slot::Empty,
            None => Slot::Corrupt,
        };
        send(&Event::Hello(Hello {
            protocol: PROTOCOL,
            chip: CHIP,
            firmware: env!("CARGO_PKG_VERSION"),
            free_heap: kernel::heap::free_bytes() as u32,
            boot_instructions: self.boot_instructions,
            slot,
        }));
    }
}

fn stats() -> Stats {
    let peaks = end::peaks();
    Stats {
        instructions: counters::instructions(),
        heap_peak: peaks.heap,
        linear_stack_peak: peaks.linear_stack,
        shadow_stack_peak: peaks.shadow_stack,
        heartbeats: heartbeat::count(),
        ticks: kernel::tick_count(),
        free_heap: kernel::heap::free_bytes() as u32,
        minimum_free_heap: kernel::heap::minimum_free_bytes() as u32,
        native_stack_spare: end::native_stack_spare(),
    }
}
