//! The link task: reads requests from the console, carries them out, sends events. Always alive, above every module task.
//! Loading and ending instances is `instance`'s; wording what became of them is `report`'s.

use core::{
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use espb_link::{
    InstanceId, PROTOCOL, Source,
    event::{Event, Hello, Loaded, MAX_INSTANCES, Refusal, Resident, Slot, SlotInfo, Slots, Stats},
    frame::{self, FrameError, MAX_FRAME},
    request::{Call, Destination, MAX_CHUNK, Request, Start, Upload as Announced},
    splitter::{Piece, Splitter},
    tag::Tag,
};
use espb_slots::{
    Boot, HeaderError, Install, InstallError, ModuleName, Offer, Receiver, Seal, SlotHeader, SlotIndex, SlotState,
    Storage, Store, TransferError, Unfit, header::MODULE_OFFSET,
};

use crate::{
    console, counters,
    flash::{DeviceFlash, FlashError},
    heartbeat, input,
    instance::{
        Running, deferred, end,
        load::{self, Origin, Refused},
        peaks::{self, Peaks},
        registry, start,
        upload::Upload,
    },
    kernel::{self, OutOfMemory, ffi},
    key, report,
    trial::Trial,
};

/// Chip name as the host knows it.
const CHIP: &str = "esp32c3";

/// The task's stack in bytes: two frame buffers and a request, and above them the verifier or the check of a signature.
const STACK_BYTES: usize = 24576;

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
    take_within(index, ffi::PORT_MAX_DELAY);
}

/// As [`take`], for at most so many milliseconds.
fn take_within(index: u32, limit: kernel::Ticks) {
    // SAFETY: waits on this task's own notification; any count is one round.
    unsafe { ffi::ulTaskGenericNotifyTake(index, 1, limit) };
}

/// Bytes of an upload that may be on their way: so many that their frames fit into the console's buffer.
const WINDOW: u32 = ((console::RECEIVE_BUFFER / MAX_FRAME) * MAX_CHUNK) as u32;
/// Milliseconds after which the console is as fast as at boot again, unless a frame arrives at a new speed.
const SPEED_TRIAL: kernel::Ticks = 1000;

/// Sends an event that nobody asked for.
pub fn send(event: &Event<'_>) {
    answer(Tag::UNASKED, event);
}

/// Answers a request. An event that does not fit into a frame is dropped: texts in events are bounded so that it cannot happen.
pub fn answer(tag: Tag, event: &Event<'_>) {
    if let Ok(bytes) = frame::encode(event, tag, &mut [0; MAX_FRAME]) {
        console::write(bytes);
    }
}

/// What the task knows.
struct Device {
    store: Store<DeviceFlash>,
    boot_instructions: u64,
    /// The module that is coming over the link.
    receiver: Receiver<Upload>,
    trial: Option<Trial>,
    /// When the console's speed was changed, until a frame came at the new one.
    speed_changed: Option<kernel::Ticks>,
}

extern "C" fn body(_: *mut c_void) {
    let boot_instructions = counters::instructions();
    let store = kernel::in_background(|| Store::open(DeviceFlash::open(), key::public_key()));
    let mut device = Device { boot_instructions, store, receiver: Receiver::new(), trial: None, speed_changed: None };
    // A flash that cannot be written leaves the trial as it is; it will not be run again either.
    let _ = device.store.settle();
    device.say_hello(Tag::UNASKED);
    device.autostart();
    let mut splitter = Splitter::new();
    loop {
        take_within(WAKE, device.patience());
        end::reap();
        registry::all().for_each(report::settle);
        device.listen(&mut splitter);
        device.judge();
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
                let is_typed = !splitter.is_in_frame();
                let message = match splitter.push(byte) {
                    Piece::Message(message) => message,
                    Piece::Text(text) if is_typed => {
                        input::push(text);
                        continue;
                    }
                    Piece::Text(_) | Piece::Nothing => continue,
                };
                let request = frame::decode(message);
                if request == Err(FrameError::Echo) {
                    continue;
                }
                self.speed_changed = None;
                let (tag, done) = match request {
                    Ok((request, tag)) => (tag, self.carry_out(&request, tag)),
                    Err(error) => (Tag::UNASKED, Err(Refused::new(Refusal::Request, format_args!("{error}")))),
                };
                if let Err(refused) = done {
                    report::refuse(tag, &refused);
                }
            }
        }
    }

    fn carry_out(&mut self, request: &Request<'_>, tag: Tag) -> Result<(), Refused> {
        match request {
            Request::Hello { .. } => self.say_hello(tag),
            Request::Load { source, allowed } => self.load(*source, allowed, tag).map(|_| ())?,
            Request::Start(start) => {
                let running = find(start.instance)?;
                start::plan(running, start)?;
                answer(tag, &Event::Started { instance: start.instance });
                start::begin(running)?;
            }
            Request::Stop { instance } => {
                end::end(find(*instance)?);
                answer(tag, &Event::Stopped { instance: *instance });
            }
            Request::List => answer(tag, &Event::Instances(residents())),
            Request::Stats { instance } => answer(tag, &Event::Stats(stats(*instance)?)),
            Request::Ping { token } => answer(tag, &Event::Pong { token: *token }),
            Request::Upload(announced) => {
                let offer = offer(announced)?;
                let begun = kernel::in_background(|| self.receiver.begin(offer, &mut self.store, &is_loaded));
                let bytes = begun.map_err(failed)?;
                answer(tag, &Event::Received { token: announced.token, bytes, window: WINDOW });
            }
            Request::Chunk { token, offset, bytes } => {
                let bytes = self.receiver.add(*token, *offset, bytes, &mut self.store).map_err(failed)?;
                answer(tag, &Event::Received { token: *token, bytes, window: WINDOW });
            }
            Request::Store { token } => {
                let stored = kernel::in_background(|| self.receiver.finish(*token, &mut self.store));
                let slot = stored.map_err(failed)?;
                answer(tag, &Event::Stored { token: *token, slot: slot.0 });
            }
            Request::Confirm { slot } => {
                if let Some(trial) = self.trial.take_if(|trial| trial.slot.0 == *slot) {
                    self.store.confirm(trial.slot).map_err(flash_failed)?;
                }
                self.say_slots(tag);
            }
            Request::Remove { slot } => {
                let slot = SlotIndex(*slot);
                if !self.store.slots().any(|existing| existing == slot) {
                    return Err(failed(InstallError::NoSlot.into()));
                }
                if is_loaded(slot) {
                    let reason = format_args!("the module of slot {slot} is loaded; stop it first");
                    return Err(Refused::new(Refusal::Slot, reason));
                }
                self.trial.take_if(|trial| trial.slot == slot);
                self.store.remove(slot).map_err(flash_failed)?;
                self.say_slots(tag);
            }
            Request::Slots => self.say_slots(tag),
            Request::Speed { baud } => {
                if !console::SPEEDS.contains(baud) {
                    return Err(Refused::new(Refusal::Request, format_args!("the line cannot run at {baud} baud")));
                }
                answer(tag, &Event::Speed { baud: *baud });
                console::set_speed(*baud);
                self.speed_changed = Some(kernel::tick_count());
            }
        }
        Ok(())
    }

    /// Milliseconds after which something is due.
    fn patience(&self) -> kernel::Ticks {
        let trial = self.trial.map(|trial| trial.time_left());
        let speed = self.speed_changed.map(|_| SPEED_TRIAL);
        trial.into_iter().chain(speed).min().unwrap_or(ffi::PORT_MAX_DELAY)
    }

    /// Does what is due: takes a failed trial back, and a speed at which nobody speaks.
    fn judge(&mut self) {
        if self.speed_changed.is_some_and(|since| kernel::tick_count().wrapping_sub(since) >= SPEED_TRIAL) {
            self.speed_changed = None;
            console::set_speed(console::BAUD_RATE);
        }
        let Some(trial) = self.trial.take_if(|trial| trial.time_left() == 0) else { return };
        if let Some(running) = registry::find(trial.instance) {
            end::end(running);
            send(&Event::Stopped { instance: trial.instance });
        }
        if let Err(error) = self.store.reject(trial.slot) {
            report::refuse(Tag::UNASKED, &flash_failed(error));
        }
        self.say_slots(Tag::UNASKED);
        self.autostart();
    }

    fn say_slots(&self, tag: Tag) {
        let headers: heapless::Vec<Option<SlotHeader>, { espb_slots::MAX_SLOTS }> =
            self.store.slots().map(|slot| self.store.header(slot).ok()).collect();
        let newest = self.choose().map(|boot| boot.slot);
        let slots = self.store.slots().zip(&headers).map(|(slot, header)| {
            let state = self.store.entry(slot).state;
            let header = header.as_ref().filter(|_| state != SlotState::Empty);
            let size = self.store.storage().view(espb_slots::Area::Slot(slot)).len() as u32;
            SlotInfo {
                state: state as u8,
                newest: newest == Some(slot),
                autostart: header.is_some_and(|header| header.autostart),
                length: header.map_or(0, |header| header.length),
                capacity: size.saturating_sub(MODULE_OFFSET),
                version: header.map_or(0, |header| header.seal.version),
                name: header.map_or("", |header| header.name.as_str()),
            }
        });
        let slots = slots.collect();
        answer(tag, &Event::Slots(Slots { floor: self.store.floor(), signed: self.store.key().is_some(), slots }));
    }

    fn load(&mut self, source: Source, allowed: &[&str], tag: Tag) -> Result<&'static Running, Refused> {
        let (running, loaded) = match source {
            Source::Newest => self.load_slot(self.newest()?, allowed)?,
            Source::Slot(slot) => {
                let boot = kernel::in_background(|| self.store.runnable(SlotIndex(slot)));
                self.load_slot(boot.map_err(unfit)?, allowed)?
            }
            Source::Upload { token } => {
                let upload = kernel::in_background(|| self.receiver.take(token, &self.store));
                load::load(Origin::Upload(token, upload.map_err(failed)?), allowed)?
            }
        };
        answer(tag, &Event::Loaded(loaded));
        Ok(running)
    }

    fn load_slot(&mut self, boot: Boot, allowed: &[&str]) -> Result<(&'static Running, Loaded), Refused> {
        if is_loaded(boot.slot) {
            let reason = format_args!("the module of slot {} is loaded already; List tells as what", boot.slot);
            return Err(Refused::new(Refusal::Request, reason));
        }
        let loaded = load::load(Origin::Slot(boot.slot.0, self.module(&boot).unwrap_or_default()), allowed)?;
        self.store.begin(&boot).map_err(|error| {
            end::end(loaded.0);
            flash_failed(error)
        })?;
        if boot.trial {
            self.trial = Some(Trial::new(boot.slot, loaded.0.id()));
        }
        Ok(loaded)
    }

    /// The newest slot that may run. To know that, the checksums of whole modules are made.
    fn choose(&self) -> Option<Boot> {
        kernel::in_background(|| self.store.choose())
    }

    /// The slot to run where none is named.
    fn newest(&self) -> Result<Boot, Refused> {
        self.choose().ok_or_else(|| {
            let none = |slot| self.store.runnable(slot).err();
            match kernel::in_background(|| self.store.slots().filter_map(none).last()) {
                Some(reason) => unfit(reason),
                None => Refused::new(Refusal::Slot, format_args!("the device has no module slots")),
            }
        })
    }

    fn autostart(&mut self) {
        if self.choose().is_some_and(|boot| boot.header.autostart) {
            let started = self.load(Source::Newest, &[], Tag::UNASKED).and_then(|running| {
                let (instance, call) = (running.id(), Call::Entry);
                let start = Start { instance, call, arguments: heapless::Vec::new(), fuel: None, detached: true };
                self.carry_out(&Request::Start(start), Tag::UNASKED)
            });
            if let Err(refused) = started {
                report::refuse(Tag::UNASKED, &refused);
            }
        }
    }

    /// A module in place, for as long as its slot is not written: which the slots' code forbids for those in use.
    fn module(&self, boot: &Boot) -> Option<&'static [u8]> {
        let bytes = self.store.module(boot.slot, &boot.header)?;
        // SAFETY: flash stays mapped for ever; `Installer::begin` is told which slots are in use.
        Some(unsafe { core::slice::from_raw_parts(bytes.as_ptr(), bytes.len()) })
    }

    fn say_hello(&self, tag: Tag) {
        let slot = match self.choose() {
            Some(Boot { header, .. }) => Slot::Module { length: header.length, autostart: header.autostart },
            None if self.store.slots().next().is_none() => Slot::Missing,
            None if self.store.slots().all(|slot| self.store.header(slot) == Err(HeaderError::Empty)) => Slot::Empty,
            None => Slot::Corrupt,
        };
        answer(
            tag,
            &Event::Hello(Hello {
                protocol: PROTOCOL,
                chip: CHIP,
                firmware: env!("CARGO_PKG_VERSION"),
                free_heap: kernel::heap::free_bytes() as u32,
                boot_instructions: self.boot_instructions,
                slot,
            }),
        );
    }
}

fn find(instance: InstanceId) -> Result<&'static Running, Refused> {
    registry::find(instance).ok_or_else(|| {
        Refused::new(Refusal::Request, format_args!("there is no instance {}; List tells which there are", instance.0))
    })
}

/// Whether a slot's module is loaded.
fn is_loaded(slot: SlotIndex) -> bool {
    registry::all().any(|running| running.source() == Source::Slot(slot.0))
}

fn offer(announced: &Announced<'_>) -> Result<Offer, Refused> {
    let signature =
        match announced.signature {
            [] => None,
            bytes => Some(bytes.try_into().map_err(|_| {
                Refused::new(Refusal::Seal, format_args!("a signature has 64 bytes, not {}", bytes.len()))
            })?),
        };
    let (store, slot, autostart, name) = match announced.destination {
        Destination::Ram => (false, None, false, ""),
        Destination::Slot { slot, autostart, name } => (true, slot, autostart, name),
    };
    let install = Install {
        length: announced.length,
        crc32: announced.crc32,
        autostart,
        seal: Seal { version: announced.version, floor: announced.floor, signature },
        name: ModuleName::new(name),
        slot: slot.map(SlotIndex),
    };
    Ok(Offer { token: announced.token, install, store })
}

fn failed(error: TransferError<FlashError>) -> Refused {
    let kind = match error {
        TransferError::Unknown | TransferError::Incomplete { .. } => Refusal::Request,
        TransferError::Memory { .. } => Refusal::Memory,
        TransferError::Install(InstallError::Seal(_)) => Refusal::Seal,
        TransferError::Install(_) => Refusal::Slot,
    };
    Refused::new(kind, format_args!("{error}"))
}

fn unfit(unfit: Unfit) -> Refused {
    let kind = if matches!(unfit, Unfit::Seal(_)) { Refusal::Seal } else { Refusal::Slot };
    Refused::new(kind, format_args!("{unfit}"))
}

fn flash_failed(error: FlashError) -> Refused {
    Refused::new(Refusal::Slot, format_args!("{error}"))
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
        Some(instance) => peaks::of(instance).ok_or_else(|| {
            let reason = format_args!("nothing is known of instance {}, which is not the last that ended", instance.0);
            Refused::new(Refusal::Request, reason)
        })?,
        None => Peaks::default(),
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
        native_stack_spare: peaks::native_stack_spare(),
        largest_free_block: kernel::heap::largest_free_block() as u32,
        free_thunks: registry::free_thunk_count().into(),
        lost_interrupts: deferred::lost(),
        heartbeat_delay: heartbeat::worst_delay(),
    })
}
