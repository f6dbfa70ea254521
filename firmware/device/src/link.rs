//! The link task: reads requests from the console, carries them out, sends events. Always alive, above every module task.
//! Loading and ending instances is `instance`'s; wording what became of them is `report`'s.

use core::{
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use espb_link::{
    InstanceId, PROTOCOL, Source,
    event::{Event, Hello, MAX_INSTANCES, Refusal, Resident, Slot, Stats},
    frame::{self, MAX_FRAME},
    request::{Call, Request, Start},
    slot::SlotError,
    splitter::{Piece, Splitter},
};

use crate::{
    console, counters,
    flash::{self, FlashError, StoredModule},
    heartbeat,
    instance::{
        Running, deferred, end,
        load::{self, Origin, Refused},
        registry, start,
        upload::Upload,
    },
    kernel::{self, OutOfMemory, ffi},
    report,
};

/// Chip name as the host knows it.
const CHIP: &str = "esp32c3";

/// The task's stack in bytes: two frame buffers and a request, or the verifier.
const STACK_BYTES: usize = 12288;

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

/// What the task knows.
struct Device {
    stored: Result<StoredModule, FlashError>,
    boot_instructions: u64,
    /// The module that is coming over the link.
    upload: Option<Upload>,
}

extern "C" fn body(_: *mut c_void) {
    let boot_instructions = counters::instructions();
    let mut device = Device { boot_instructions, stored: flash::stored_module(), upload: None };
    device.say_hello();
    device.autostart();
    let mut splitter = Splitter::new();
    loop {
        take(WAKE);
        end::reap();
        registry::all().for_each(report::settle);
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
                let done = match frame::decode(message) {
                    Ok(request) => self.carry_out(&request),
                    Err(error) => Err(Refused::new(Refusal::Request, format_args!("{error}"))),
                };
                if let Err(refused) = done {
                    report::refuse(&refused);
                }
            }
        }
    }

    fn carry_out(&mut self, request: &Request<'_>) -> Result<(), Refused> {
        match request {
            Request::Hello { .. } => self.say_hello(),
            Request::Load { source } => self.load(*source).map(|_| ())?,
            Request::Start(start) => {
                let running = find(start.instance)?;
                start::plan(running, start)?;
                send(&Event::Started { instance: start.instance });
                start::begin(running)?;
            }
            Request::Stop { instance } => {
                end::end(find(*instance)?);
                send(&Event::Stopped { instance: *instance });
            }
            Request::List => send(&Event::Instances(residents())),
            Request::Stats { instance } => send(&Event::Stats(stats(*instance)?)),
            Request::Ping { token } => send(&Event::Pong { token: *token }),
            Request::Upload { length, crc32 } => {
                // The one before goes first: the new one may need its room.
                self.upload = None;
                self.upload = Some(Upload::begin(*length, *crc32)?);
                send(&Event::Received { bytes: 0 });
            }
            Request::Chunk { offset, bytes } => {
                let upload = self.upload.as_mut().ok_or_else(no_upload)?;
                send(&Event::Received { bytes: upload.add(*offset, bytes) });
            }
        }
        Ok(())
    }

    fn load(&mut self, source: Source) -> Result<&'static Running, Refused> {
        let origin = match source {
            Source::Slot(slot) => {
                // There is one.
                let stored = if slot == 0 { self.stored } else { Err(FlashError::NoSlot) };
                let stored = stored.map_err(|error| Refused::new(Refusal::Slot, format_args!("{error}")))?;
                Origin::Slot(slot, stored.bytes)
            }
            Source::Upload => Origin::Upload(self.upload.take().ok_or_else(no_upload)?),
        };
        let (running, loaded) = load::load(origin)?;
        send(&Event::Loaded(loaded));
        Ok(running)
    }

    fn autostart(&mut self) {
        if self.stored.is_ok_and(|module| module.autostart) {
            let started = self.load(Source::Slot(0)).and_then(|running| {
                let (instance, call) = (running.id(), Call::Entry);
                let start = Start { instance, call, arguments: heapless::Vec::new(), fuel: None, detached: true };
                self.carry_out(&Request::Start(start))
            });
            if let Err(refused) = started {
                report::refuse(&refused);
            }
        }
    }

    fn say_hello(&self) {
        let slot = match self.stored {
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
            boot_instructions: self.boot_instructions,
            slot,
        }));
    }
}

fn find(instance: InstanceId) -> Result<&'static Running, Refused> {
    registry::find(instance).ok_or_else(|| {
        Refused::new(Refusal::Request, format_args!("there is no instance {}; List tells which there are", instance.0))
    })
}

fn no_upload() -> Refused {
    Refused::new(Refusal::Request, format_args!("no module was uploaded; send Upload and its chunks first"))
}

fn residents() -> heapless::Vec<Resident, MAX_INSTANCES> {
    let mut residents: heapless::Vec<_, MAX_INSTANCES> = registry::all()
        .map(|running| Resident {
            instance: running.id(),
            source: running.source(),
            state: running.state(),
            linear_memory: running.instance().layout().linear(),
        })
        .collect();
    residents.sort_unstable_by_key(|resident| resident.instance);
    residents
}

fn stats(instance: Option<InstanceId>) -> Result<Stats, Refused> {
    let peaks = match instance {
        Some(instance) => end::peaks(instance).ok_or_else(|| {
            let reason = format_args!("nothing is known of instance {}, which is not the last that ended", instance.0);
            Refused::new(Refusal::Request, reason)
        })?,
        None => end::Peaks::default(),
    };
    Ok(Stats {
        instructions: counters::instructions(),
        heap_peak: peaks.heap,
        linear_stack_peak: peaks.linear_stack,
        shadow_stack_peak: peaks.shadow_stack,
        heartbeats: heartbeat::count(),
        ticks: kernel::tick_count(),
        free_heap: kernel::heap::free_bytes() as u32,
        minimum_free_heap: kernel::heap::minimum_free_bytes() as u32,
        native_stack_spare: end::native_stack_spare(),
        largest_free_block: kernel::heap::largest_free_block() as u32,
        free_thunks: registry::free_thunk_count().into(),
        lost_interrupts: deferred::lost(),
    })
}
