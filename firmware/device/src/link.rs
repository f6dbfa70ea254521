//! The link task: reads requests from the console, carries them out, sends events. Always alive, above every module task.
//! Loading and ending instances is `instance`'s; wording what became of them is `report`'s.

use core::{
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use espb_link::{
    InstanceId, PROTOCOL, Source,
    event::{Event, Hello, Loaded, MAX_INSTANCES, Refusal, Resident, Slot, Stats},
    frame::{self, MAX_FRAME},
    request::{Call, Request, Start},
    splitter::{Piece, Splitter},
};
use espb_slots::{Boot, HeaderError, SlotIndex, Store};

use crate::{
    console, counters,
    flash::DeviceFlash,
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

/// The task's stack in bytes: two frame buffers, a request, and the verifier or a refusal in words.
const STACK_BYTES: usize = 18432;

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
    store: Store<DeviceFlash>,
    boot_instructions: u64,
    /// The module that is coming over the link.
    upload: Option<Upload>,
}

extern "C" fn body(_: *mut c_void) {
    let boot_instructions = counters::instructions();
    let store = Store::open(DeviceFlash::open(), None);
    let mut device = Device { boot_instructions, store, upload: None };
    // A flash that cannot be written leaves the trial as it is; it will not be run again either.
    let _ = device.store.settle();
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
        let (running, loaded) = match source {
            Source::Newest => self.load_slot(self.newest()?)?,
            Source::Slot(slot) => {
                let boot = self.store.runnable(SlotIndex(slot));
                self.load_slot(boot.map_err(|unfit| Refused::new(Refusal::Slot, format_args!("{unfit}")))?)?
            }
            Source::Upload => load::load(Origin::Upload(self.upload.take().ok_or_else(no_upload)?))?,
        };
        send(&Event::Loaded(loaded));
        Ok(running)
    }

    fn load_slot(&mut self, boot: Boot) -> Result<(&'static Running, Loaded), Refused> {
        let loaded = load::load(Origin::Slot(boot.slot.0, self.module(&boot).unwrap_or_default()))?;
        self.store.begin(&boot).map_err(|error| {
            end::end(loaded.0);
            Refused::new(Refusal::Slot, format_args!("{error}"))
        })?;
        Ok(loaded)
    }

    /// The slot to run where none is named.
    fn newest(&self) -> Result<Boot, Refused> {
        self.store.choose().ok_or_else(|| {
            let none = |slot| self.store.runnable(slot).err();
            match self.store.slots().filter_map(none).last() {
                Some(reason) => Refused::new(Refusal::Slot, format_args!("{reason}")),
                None => Refused::new(Refusal::Slot, format_args!("the device has no module slots")),
            }
        })
    }

    fn autostart(&mut self) {
        if self.store.choose().is_some_and(|boot| boot.header.autostart) {
            let started = self.load(Source::Newest).and_then(|running| {
                let (instance, call) = (running.id(), Call::Entry);
                let start = Start { instance, call, arguments: heapless::Vec::new(), fuel: None, detached: true };
                self.carry_out(&Request::Start(start))
            });
            if let Err(refused) = started {
                report::refuse(&refused);
            }
        }
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
        heartbeat_delay: heartbeat::worst_delay(),
    })
}
