//! UART0: log text and link frames out, link bytes in. The only user of that peripheral.
//! Text never contains a zero byte, so that a receiver can tell it from frames.

use core::{
    cell::RefCell,
    fmt,
    ops::RangeInclusive,
    ptr,
    sync::atomic::{AtomicU32, Ordering},
};

use critical_section::Mutex;
use esp_hal::{
    Blocking,
    peripherals::{GPIO20, GPIO21, Interrupt, UART0},
    uart::{Config, RxConfig, Uart, UartInterrupt},
};

use crate::{
    drivers::uart,
    kernel::{self, OutOfMemory, ffi, trap},
    link,
};

/// Bits a second, as the ROM and the bootloader set it.
pub const BAUD_RATE: u32 = 115_200;
/// Its pins: the sender's and the receiver's.
pub const PINS: [u32; 2] = [21, 20];
/// Bytes that may arrive before the link task looks.
pub const RECEIVE_BUFFER: usize = 4096;
/// Interrupt when this many bytes wait in the hardware's FIFO of 128, or after a pause on the line.
const RECEIVE_THRESHOLD: u16 = 64;

struct Console {
    uart: Uart<'static, Blocking>,
    received: ffi::StreamBufferHandle,
}

// SAFETY: the stream buffer is a kernel object for one writer (the interrupt) and one reader (the link task).
unsafe impl Send for Console {}

static CONSOLE: Mutex<RefCell<Option<Console>>> = Mutex::new(RefCell::new(None));
static SPEED: AtomicU32 = AtomicU32::new(BAUD_RATE);
static SENDING: Mutex<RefCell<Option<&'static kernel::Mutex>>> = Mutex::new(RefCell::new(None));

/// Why the console could not be set up.
pub enum Error {
    /// The HAL refused the configuration.
    Uart(esp_hal::uart::ConfigError),
    /// No memory for the receive buffer or the mutex.
    OutOfMemory,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uart(error) => write!(f, "UART0 refused its settings: {error:?}"),
            Self::OutOfMemory => f.write_str("no memory for its buffers"),
        }
    }
}

impl From<OutOfMemory> for Error {
    fn from(_: OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

/// Sets up UART0 on its default pins and starts listening.
pub fn init(uart: UART0<'static>, rx: GPIO20<'static>, tx: GPIO21<'static>) -> Result<(), Error> {
    let mut uart = Uart::new(uart, config(BAUD_RATE)).map_err(Error::Uart)?.with_rx(rx).with_tx(tx);
    uart.listen(UartInterrupt::RxFifoFull | UartInterrupt::RxTimeout);

    // SAFETY: creates a plain stream buffer (kind 0) without callbacks.
    let received = unsafe { ffi::xStreamBufferGenericCreate(RECEIVE_BUFFER, 1, 0, ptr::null(), ptr::null()) };
    if received.is_null() {
        return Err(Error::OutOfMemory);
    }
    let sending: &'static kernel::Mutex = alloc::boxed::Box::leak(alloc::boxed::Box::new(kernel::Mutex::new()?));
    critical_section::with(|cs| {
        CONSOLE.replace(cs, Some(Console { uart, received }));
        SENDING.replace(cs, Some(sending));
    });
    trap::route(Interrupt::UART0, trap::Line::Console);
    Ok(())
}

fn config(baud: u32) -> Config {
    Config::default().with_baudrate(baud).with_rx(RxConfig::default().with_fifo_full_threshold(RECEIVE_THRESHOLD))
}

/// Speeds that a host can ask for.
pub const SPEEDS: RangeInclusive<u32> = 9_600..=*uart::SPEEDS.end();

/// Changes the speed, one of [`SPEEDS`], once everything sent is out. Another one changes nothing.
pub fn set_speed(baud: u32) {
    if !SPEEDS.contains(&baud) {
        return;
    }
    while_idle(|| {
        critical_section::with(|cs| {
            let mut console = CONSOLE.borrow_ref_mut(cs);
            let Some(console) = console.as_mut() else { return };
            // The rest of the answer is in the FIFO: at most 128 bytes, 11 ms at the first speed.
            if console.uart.flush().is_ok() && console.uart.apply_config(&config(baud)).is_ok() {
                SPEED.store(baud, Ordering::Relaxed);
            }
        });
    });
}

/// Bits a second just now.
pub fn speed() -> u32 {
    SPEED.load(Ordering::Relaxed)
}

/// Waits until everything is on the line; says whether it was so within so many milliseconds.
pub fn wait_sent(patience: kernel::Ticks) -> bool {
    let is_idle = || {
        let status = UART0::regs().fsm_status().read().st_utx_out().bits();
        status == 0 && UART0::regs().status().read().txfifo_cnt().bits() == 0
    };
    let start = kernel::tick_count();
    while !is_idle() {
        if kernel::tick_count().wrapping_sub(start) >= patience {
            return false;
        }
        kernel::delay(1);
    }
    true
}

/// Moves received bytes to the link task's buffer; says whether another task must run. Bytes beyond its room are lost,
/// which the link's checksums notice.
pub fn on_interrupt() -> bool {
    let mut woken: ffi::BaseType = 0;
    critical_section::with(|cs| {
        let mut console = CONSOLE.borrow_ref_mut(cs);
        let Some(console) = console.as_mut() else { return };
        console.uart.clear_interrupts(UartInterrupt::RxFifoFull | UartInterrupt::RxTimeout);
        let mut chunk = [0; 32];
        while let Ok(length @ 1..) = console.uart.read_buffered(&mut chunk) {
            // SAFETY: `chunk` holds `length` bytes; the only writer of this buffer is this handler.
            unsafe { ffi::xStreamBufferSendFromISR(console.received, chunk.as_ptr().cast(), length, &raw mut woken) };
        }
        link::wake_from_interrupt(&mut woken);
    });
    woken != 0
}

/// Takes received bytes and returns how many were stored; does not wait. For the link task only.
pub fn receive(buffer: &mut [u8]) -> usize {
    let Some(received) = critical_section::with(|cs| CONSOLE.borrow_ref(cs).as_ref().map(|console| console.received))
    else {
        return 0;
    };
    // SAFETY: the buffer lives for ever and has this one reader; `buffer` is valid for its length.
    unsafe { ffi::xStreamBufferReceive(received, buffer.as_mut_ptr().cast(), buffer.len(), 0) }
}

/// Sends bytes without a break by other tasks' output.
pub fn write(bytes: &[u8]) {
    while_idle(|| send(bytes));
}

/// Runs `body` while no other task is sending.
pub fn while_idle<R>(body: impl FnOnce() -> R) -> R {
    match critical_section::with(|cs| *SENDING.borrow_ref(cs)) {
        Some(mutex) => mutex.lock(body),
        None => body(),
    }
}

/// Lets `body` send text that stands together.
pub fn transaction<R>(body: impl FnOnce(&mut Output) -> R) -> R {
    while_idle(|| body(&mut Output { sent: 0 }))
}

/// Bytes of a text that stand together at any rate. Behind them others that wait have their turn, the link first of all.
const TURN: usize = 512;

/// The console while it is one's own.
pub struct Output {
    sent: usize,
}

impl Output {
    /// Sends text; zero bytes, which would look like frames, are left out.
    pub fn text(&mut self, text: &[u8]) {
        text.split(|&byte| byte == 0).for_each(send);
        self.sent += text.len();
        if self.sent >= TURN {
            self.sent = 0;
            if let Some(mutex) = critical_section::with(|cs| *SENDING.borrow_ref(cs)) {
                mutex.offer();
            }
        }
    }
}

fn send(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let sent = critical_section::with(|cs| {
            let Ok(mut console) = CONSOLE.borrow(cs).try_borrow_mut() else { return bytes.len() };
            let Some(console) = console.as_mut() else { return bytes.len() };
            if console.uart.write_ready() { console.uart.write(bytes).unwrap_or(0) } else { 0 }
        });
        bytes = bytes.get(sent..).unwrap_or_default();
        if sent == 0 && kernel::scheduler_running() && kernel::interrupts_enabled() {
            kernel::delay(1);
        }
    }
}

/// Formatted text straight to the UART, without waiting for other tasks: for the panic handler.
pub struct Emergency;

impl Emergency {
    /// Waits until everything is out: a reset would take what is in the FIFO away.
    pub fn flush() {
        critical_section::with(|cs| {
            if let Ok(mut console) = CONSOLE.borrow(cs).try_borrow_mut()
                && let Some(console) = console.as_mut()
            {
                let _ = console.uart.flush();
            }
        });
    }
}

impl fmt::Write for Emergency {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        send(text.as_bytes());
        Ok(())
    }
}
