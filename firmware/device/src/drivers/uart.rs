//! UART1 (ESP32-C3 TRM, chapter "UART Controller"): settings, pins, and bytes that interrupts move between its FIFOs and
//! buffers. Who may use it is not decided here.

use alloc::collections::VecDeque;
use core::{
    cell::{Cell, RefCell},
    ops::RangeInclusive,
    ptr,
};

use critical_section::Mutex;
pub use esp_hal::uart::{DataBits, Parity, StopBits};
use esp_hal::{
    Blocking,
    delay::Delay,
    gpio::AnyPin,
    peripherals::{Interrupt, UART1},
    uart::{Config, RxConfig, TxConfig, Uart},
};

use super::gpio::Pin;
use crate::kernel::{self, OutOfMemory, Ticks, condition::Condition, ffi, trap};

/// Bytes of the hardware's FIFOs, one a direction.
pub const FIFO: usize = 128;

/// Bits a second that the divider can make of 80 MHz with room to spare: for less than 77 the HAL panics, for more than 5,000,000 it refuses.
pub const SPEEDS: RangeInclusive<u32> = 300..=5_000_000;

/// How the line is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bits a second.
    pub baud: u32,
    /// Data bits of a byte.
    pub data_bits: DataBits,
    /// Parity bit.
    pub parity: Parity,
    /// Stop bits.
    pub stop_bits: StopBits,
}

impl Settings {
    /// As after a reset.
    pub const DEFAULT: Self =
        Self { baud: 115_200, data_bits: DataBits::_8, parity: Parity::None, stop_bits: StopBits::_1 };

    /// Received bytes interrupt when [`FULL`] are in the FIFO, or after a [`PAUSE`]; below [`EMPTY`] it is filled up again.
    fn config(&self) -> Config {
        Config::default()
            .with_baudrate(self.baud)
            .with_data_bits(self.data_bits)
            .with_parity(self.parity)
            .with_stop_bits(self.stop_bits)
            .with_rx(RxConfig::default().with_fifo_full_threshold(FULL).with_timeout(PAUSE))
            .with_tx(TxConfig::default().with_fifo_empty_threshold(EMPTY))
    }
}

/// Received bytes in the FIFO that interrupt, as in ESP-IDF.
const FULL: u16 = 120;
/// Times of a byte without one, after which fewer interrupt too, as in ESP-IDF.
const PAUSE: u8 = 10;
/// Bytes in the sending FIFO below which it is filled up again, as in ESP-IDF.
const EMPTY: u16 = 10;

/// The hardware cannot be set like that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfit;

/// What the driver says to the queue of events: `uart_event_type_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Event {
    Data = 0,
    Break = 1,
    BufferFull = 2,
    FifoOverflow = 3,
    FrameError = 4,
    ParityError = 5,
}

/// Bytes of an event in the queue: `uart_event_t` (type, size, whether a pause has brought the data).
pub const EVENT_BYTES: usize = size_of::<[u32; 3]>();

/// The driver's buffers. None is larger than it was made, so that interrupts do not allocate.
struct Buffers {
    received: VecDeque<u8>,
    received_limit: usize,
    outgoing: VecDeque<u8>,
    outgoing_limit: usize,
    /// Null for none.
    events: ffi::QueueHandle,
    /// The FIFO keeps what comes until there is room.
    is_full: bool,
}

// SAFETY: the queue is a kernel object, made to be shared; whoever ends it takes it out of here first.
unsafe impl Send for Buffers {}

/// Switched on with the first settings. Only tasks use it, one at a time.
static UART: Mutex<Cell<Option<Uart<'static, Blocking>>>> = Mutex::new(Cell::new(None));
static BUFFERS: Mutex<RefCell<Option<Buffers>>> = Mutex::new(RefCell::new(None));
static RECEIVED: Condition = Condition::new();
static SENT: Condition = Condition::new();

/// Connects the interrupt to the core.
pub fn init() -> Result<(), OutOfMemory> {
    RECEIVED.init()?;
    SENT.init()?;
    trap::route(Interrupt::UART1, trap::Line::Uart);
    Ok(())
}

/// Does something with the HAL's object while no other task runs; interrupts do not use it.
fn with_uart(action: impl FnOnce(Option<Uart<'static, Blocking>>) -> Option<Uart<'static, Blocking>>) {
    kernel::without_switching(|| {
        let uart = action(critical_section::with(|cs| UART.borrow(cs).take()));
        critical_section::with(|cs| UART.borrow(cs).set(uart));
    });
}

/// Switches the UART on, or over. What its FIFOs hold is lost.
pub fn configure(settings: &Settings) -> Result<(), Unfit> {
    if !SPEEDS.contains(&settings.baud) {
        return Err(Unfit);
    }
    let mut result = Ok(());
    with_uart(|uart| match uart {
        Some(mut uart) => {
            result = uart.apply_config(&settings.config()).map_err(|_| Unfit);
            Some(uart)
        }
        // SAFETY: nothing else in the firmware uses UART1, and there is no other such object.
        None => match Uart::new(unsafe { UART1::steal() }, settings.config()) {
            Ok(uart) => Some(uart),
            Err(_) => {
                result = Err(Unfit);
                None
            }
        },
    });
    result
}

/// Leads the lines to pins; `None` leaves one where it is.
pub fn set_pins(sender: Option<Pin>, receiver: Option<Pin>) {
    // SAFETY: whoever may use the pin has been decided; the HAL's objects stay with the UART's.
    let pin = |pin: Pin| unsafe { AnyPin::steal(pin.index() as u8) };
    with_uart(|uart| {
        let uart = uart?;
        let uart = match sender {
            Some(sender) => uart.with_tx(pin(sender)),
            None => uart,
        };
        Some(match receiver {
            Some(receiver) => uart.with_rx(pin(receiver)),
            None => uart,
        })
    });
}

/// Has the receiver hear the sender instead of its pin.
pub fn set_loopback(on: bool) {
    critical_section::with(|_| UART1::regs().conf0().modify(|_, w| w.loopback().bit(on)));
}

/// Whether there are buffers.
pub fn is_installed() -> bool {
    critical_section::with(|cs| BUFFERS.borrow_ref(cs).is_some())
}

/// Whether events go to this queue.
pub fn tells(queue: ffi::QueueHandle) -> bool {
    critical_section::with(|cs| BUFFERS.borrow_ref(cs).as_ref().is_some_and(|buffers| buffers.events == queue))
}

/// Makes buffers of so many bytes and begins to receive; events go to the queue unless it is null, whose items have
/// [`EVENT_BYTES`]. The UART is switched on and has no buffers.
pub fn install(received_limit: usize, outgoing_limit: usize, events: ffi::QueueHandle) -> Result<(), OutOfMemory> {
    let (mut received, mut outgoing) = (VecDeque::new(), VecDeque::new());
    received.try_reserve_exact(received_limit).map_err(|_| OutOfMemory)?;
    outgoing.try_reserve_exact(outgoing_limit).map_err(|_| OutOfMemory)?;
    let buffers = Buffers { received, received_limit, outgoing, outgoing_limit, events, is_full: false };
    critical_section::with(|cs| {
        BUFFERS.replace(cs, Some(buffers));
        reset_receiver();
        listen(true);
        listen_for_errors();
    });
    Ok(())
}

/// Stops receiving, drops the buffers and gives the queue of events back, null if there was none.
pub fn uninstall() -> ffi::QueueHandle {
    let buffers = critical_section::with(|cs| {
        // SAFETY: no interrupt is enabled, all are acknowledged.
        UART1::regs().int_ena().write(|w| unsafe { w.bits(0) });
        BUFFERS.replace(cs, None)
    });
    RECEIVED.signal();
    SENT.signal();
    buffers.map_or(ptr::null_mut(), |buffers| buffers.events)
}

/// Switches the UART off, which has no buffers any more.
pub fn close() {
    set_loopback(false);
    with_uart(|_| None);
}

/// Bytes that have been received and not read.
pub fn waiting() -> usize {
    with_buffers(|buffers| buffers.received.len()).unwrap_or(0)
}

/// Bytes that can be sent without waiting for room in the buffer.
pub fn room() -> usize {
    with_buffers(|buffers| buffers.outgoing_limit - buffers.outgoing.len()).unwrap_or(0)
}

fn with_buffers<R>(action: impl FnOnce(&mut Buffers) -> R) -> Option<R> {
    critical_section::with(|cs| BUFFERS.borrow_ref_mut(cs).as_mut().map(action))
}

/// Takes received bytes, at least one within so many ticks; 0 if none came, or if there are no buffers.
pub fn read(into: &mut [u8], patience: Ticks) -> usize {
    let mut woken = 0;
    let taken = RECEIVED.wait(patience, || {
        with_buffers(|buffers| buffers.take(into, &mut woken)).map_or(Some(0), |taken| (taken > 0).then_some(taken))
    });
    if woken != 0 {
        kernel::yield_now();
    }
    taken.unwrap_or(0)
}

/// Drops what was received.
pub fn discard() {
    with_buffers(|buffers| {
        buffers.received.clear();
        reset_receiver();
        buffers.is_full = false;
        listen(true);
    });
}

/// Hands bytes to the sender, as many as there is room for and at least one within so many ticks; 0 if there are no buffers.
pub fn write(bytes: &[u8], patience: Ticks) -> usize {
    let sent = SENT.wait(patience, || {
        with_buffers(|buffers| buffers.send(bytes)).map_or(Some(0), |sent| (sent > 0).then_some(sent))
    });
    sent.unwrap_or(0)
}

/// Puts bytes into the FIFO, as many as there is room for.
pub fn write_at_once(bytes: &[u8]) -> usize {
    with_buffers(|buffers| {
        let room = if buffers.outgoing.is_empty() { FIFO - fifo_count() } else { 0 };
        let part = bytes.get(..room).unwrap_or(bytes);
        part.iter().for_each(|byte| put(*byte));
        part.len()
    })
    .unwrap_or(0)
}

/// Waits until everything is on the line, stop bit and all; says whether it was so within so many ticks.
pub fn wait_sent(patience: Ticks) -> bool {
    SENT.wait(patience, || {
        let is_idle = || critical_section::with(|cs| BUFFERS.borrow_ref(cs).as_ref().is_none_or(Buffers::is_idle));
        critical_section::with(|_| {
            UART1::regs().int_clr().write(|w| w.tx_done().clear_bit_by_one());
            UART1::regs().int_ena().modify(|_, w| w.tx_done().set_bit());
        });
        if !is_idle() {
            return None;
        }
        // Between FIFO and line a byte is for a moment in neither, as far as the registers say (esp-hal waits as long).
        Delay::new().delay_micros(10);
        is_idle().then_some(())
    })
    .is_some()
}

/// The interrupts of received bytes.
fn listen(on: bool) {
    UART1::regs().int_ena().modify(|_, w| w.rxfifo_full().bit(on).rxfifo_tout().bit(on));
}

/// The interrupts of bytes that were lost or damaged.
fn listen_for_errors() {
    UART1::regs()
        .int_ena()
        .modify(|_, w| w.rxfifo_ovf().set_bit().frm_err().set_bit().parity_err().set_bit().brk_det().set_bit());
}

fn reset_receiver() {
    for on in [true, false] {
        UART1::regs().conf0().modify(|_, w| w.rxfifo_rst().bit(on));
        UART1::regs().id().modify(|_, w| w.reg_update().set_bit());
        while UART1::regs().id().read().reg_update().bit_is_set() {}
    }
}

/// Bytes in the sending FIFO.
fn fifo_count() -> usize {
    usize::from(UART1::regs().status().read().txfifo_cnt().bits()).min(FIFO)
}

fn put(byte: u8) {
    // SAFETY: any byte.
    UART1::regs().fifo().write(|w| unsafe { w.rxfifo_rd_byte().bits(byte) });
}

impl Buffers {
    fn take(&mut self, into: &mut [u8], woken: &mut ffi::BaseType) -> usize {
        let count = self.received.len().min(into.len());
        for (place, byte) in into.iter_mut().zip(self.received.drain(..count)) {
            *place = byte;
        }
        if self.is_full && count > 0 {
            // What waits in the FIFO has interrupted already.
            self.is_full = false;
            listen(true);
            self.receive(false, woken);
        }
        count
    }

    fn send(&mut self, bytes: &[u8]) -> usize {
        let mut count = 0;
        for &byte in bytes {
            if self.outgoing.is_empty() && fifo_count() < FIFO {
                put(byte);
            } else if self.outgoing.len() < self.outgoing_limit {
                self.outgoing.push_back(byte);
            } else {
                break;
            }
            count += 1;
        }
        if count < bytes.len() || !self.outgoing.is_empty() {
            UART1::regs().int_ena().modify(|_, w| w.txfifo_empty().set_bit());
        }
        count
    }

    /// The FIFO is nearly empty.
    fn fill_up(&mut self) {
        while fifo_count() < FIFO
            && let Some(byte) = self.outgoing.pop_front()
        {
            put(byte);
        }
        if self.outgoing.is_empty() {
            UART1::regs().int_ena().modify(|_, w| w.txfifo_empty().clear_bit());
        }
    }

    fn is_idle(&self) -> bool {
        let idle_line = UART1::regs().fsm_status().read().st_utx_out().bits() == 0;
        self.outgoing.is_empty() && fifo_count() == 0 && idle_line
    }

    /// Takes what the receiving FIFO holds, as far as there is room.
    fn receive(&mut self, after_pause: bool, woken: &mut ffi::BaseType) {
        let there = usize::from(UART1::regs().status().read().rxfifo_cnt().bits());
        let room = self.received_limit - self.received.len();
        for _ in 0..there.min(room) {
            self.received.push_back(UART1::regs().fifo().read().rxfifo_rd_byte().bits());
        }
        if there.min(room) > 0 {
            self.tell(Event::Data, there.min(room), after_pause, woken);
        }
        if there > room {
            self.is_full = true;
            listen(false);
            self.tell(Event::BufferFull, 0, false, woken);
        }
    }

    /// Queues an event; one for which there is no room is lost, as in ESP-IDF.
    fn tell(&self, event: Event, size: usize, after_pause: bool, woken: &mut ffi::BaseType) {
        let item = [event as u32, size as u32, after_pause.into()];
        if !self.events.is_null() {
            // SAFETY: the queue lives until it has been taken out of here, and its items have this size; interrupts are off.
            unsafe {
                ffi::xQueueGenericSendFromISR(self.events, (&raw const item).cast(), woken, ffi::QUEUE_SEND_TO_BACK)
            };
        }
    }
}

/// Moves bytes; says whether another task must run.
pub fn on_interrupt() -> bool {
    let mut woken: ffi::BaseType = 0;
    let registers = UART1::regs();
    critical_section::with(|cs| {
        let status = registers.int_st().read();
        if status.tx_done().bit() {
            registers.int_ena().modify(|_, w| w.tx_done().clear_bit());
        }
        let mut buffers = BUFFERS.borrow_ref_mut(cs);
        if let Some(buffers) = buffers.as_mut() {
            if status.rxfifo_ovf().bit() {
                // The FIFO's contents have a gap: they go, as in ESP-IDF.
                reset_receiver();
                buffers.tell(Event::FifoOverflow, 0, false, &mut woken);
            }
            if status.rxfifo_full().bit() || status.rxfifo_tout().bit() {
                buffers.receive(status.rxfifo_tout().bit(), &mut woken);
            }
            let errors = [
                (status.brk_det().bit(), Event::Break),
                (status.frm_err().bit(), Event::FrameError),
                (status.parity_err().bit(), Event::ParityError),
            ];
            for (_, event) in errors.into_iter().filter(|(happened, _)| *happened) {
                buffers.tell(event, 0, false, &mut woken);
            }
            if status.txfifo_empty().bit() {
                buffers.fill_up();
            }
        }
        // SAFETY: acknowledges what was seen, nothing else.
        registers.int_clr().write(|w| unsafe { w.bits(status.bits()) });
    });
    RECEIVED.signal_from_interrupt(&mut woken);
    SENT.signal_from_interrupt(&mut woken);
    woken != 0
}
