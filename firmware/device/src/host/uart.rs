//! ESP-IDF's UART driver. UART1 belongs to the instance that first sets it up, until that ends. UART0 is the console: its
//! driver is the firmware's own, always installed, and what modules read and write there is text among the link's frames.

use core::{
    cell::Cell,
    ptr,
    sync::atomic::{AtomicU32, Ordering},
};

use critical_section::Mutex;
use espb_format::contract::HandleKind;
use espb_vm::{Trap, TrapKind};

use super::{
    Call, Registration,
    esp_err::{EspErr, FAIL, INVALID_ARGUMENT, NOT_ALLOWED, NOT_SUPPORTED, OK, TIMEOUT},
    go_on, gpio, own, queue,
};
use crate::{
    console,
    drivers::{
        gpio::Pin,
        uart::{self, DataBits, Parity, Settings, StopBits},
    },
    input,
    instance::{Failure, Running, task},
    kernel::{self, OutOfMemory, Ticks, ffi, turn::Turn},
};

pub const TABLE: &[Registration] = &[
    own("uart_param_config", configure),
    own("uart_set_baudrate", |call| change(call, |settings, value| Some(Settings { baud: value, ..settings }))),
    own("uart_set_word_length", |call| {
        change(call, |settings, value| Some(Settings { data_bits: data_bits(value)?, ..settings }))
    }),
    own("uart_set_parity", |call| {
        change(call, |settings, value| Some(Settings { parity: parity(value)?, ..settings }))
    }),
    own("uart_set_stop_bits", |call| {
        change(call, |settings, value| Some(Settings { stop_bits: stop_bits(value)?, ..settings }))
    }),
    own("uart_get_baudrate", |call| tell(call, |settings| settings.baud)),
    own("uart_get_word_length", |call| tell(call, |settings| settings.data_bits as u32)),
    own("uart_get_parity", |call| {
        tell(call, |settings| match settings.parity {
            Parity::None => 0,
            Parity::Even => PARITY_EVEN,
            Parity::Odd => PARITY_ODD,
        })
    }),
    own("uart_get_stop_bits", |call| tell(call, |settings| settings.stop_bits as u32 + 1)),
    own("uart_set_pin", set_pins),
    own("uart_set_loop_back", |call| {
        let on = call.word(1) != 0;
        with_port(call, |port| match port {
            Port::Console => NOT_ALLOWED,
            Port::Uart1 => {
                uart::set_loopback(on);
                OK
            }
        })
    }),
    own("uart_driver_install", install),
    own("uart_driver_delete", delete),
    own("uart_is_driver_installed", |call| Ok(installed(call).is_some().into())),
    own("uart_write_bytes", write),
    own("uart_tx_chars", write_at_once),
    own("uart_read_bytes", read),
    own("uart_wait_tx_done", |call| {
        let patience = call.word(1);
        let Some(port) = installed(call) else { return Ok(FAIL) };
        let sent = match port {
            Port::Console => console::wait_sent(patience),
            Port::Uart1 => uart::wait_sent(patience),
        };
        Ok(if sent { OK } else { TIMEOUT })
    }),
    own("uart_get_buffered_data_len", |call| {
        let Some(port) = installed(call) else { return Ok(FAIL) };
        let waiting = match port {
            Port::Console => input::waiting(),
            Port::Uart1 => uart::waiting(),
        };
        call.vm.memory().write_word(call.word(1), waiting as u32).map(|()| OK)
    }),
    own("uart_get_tx_buffer_free_size", |call| {
        let Some(port) = installed(call) else { return Ok(INVALID_ARGUMENT) };
        let room = match port {
            Port::Console => 0,
            Port::Uart1 => uart::room(),
        };
        call.vm.memory().write_word(call.word(1), room as u32).map(|()| OK)
    }),
    own("uart_flush", |call| Ok(discard(call))),
    own("uart_flush_input", |call| Ok(discard(call))),
];

/// Offsets in `uart_config_t`.
const CONFIG_DATA_BITS: u32 = 4;
const CONFIG_PARITY: u32 = 8;
const CONFIG_STOP_BITS: u32 = 12;
const CONFIG_FLOW_CONTROL: u32 = 16;

/// `uart_parity_t`.
const PARITY_EVEN: u32 = 2;
const PARITY_ODD: u32 = 3;

/// `UART_PIN_NO_CHANGE`.
const NO_CHANGE: u32 = -1_i32 as u32;

/// Bytes that go between memory and driver at once.
const CHUNK: usize = 64;

/// Address of the instance that has UART1; 0 for none.
static OWNER: AtomicU32 = AtomicU32::new(0);
static SETTINGS: Mutex<Cell<Settings>> = Mutex::new(Cell::new(Settings::DEFAULT));
/// The bytes of one call stand together.
static READING: Turn = Turn::new();
static WRITING: Turn = Turn::new();

/// Takes what waiting needs.
pub fn init() -> Result<(), OutOfMemory> {
    READING.init()?;
    WRITING.init()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Port {
    Console,
    Uart1,
}

impl Port {
    fn new(number: u32) -> Option<Self> {
        [Self::Console, Self::Uart1].get(number as usize).copied()
    }
}

fn identity(running: &'static Running) -> u32 {
    ptr::from_ref(running) as u32
}

/// The port that argument 0 names, if the instance may use it; UART1 is its own from now on.
fn claim(call: &Call<'_, '_>) -> Result<Port, EspErr> {
    let port = Port::new(call.word(0)).ok_or(INVALID_ARGUMENT)?;
    let own = identity(call.running);
    kernel::without_switching(|| match OWNER.load(Ordering::Relaxed) {
        _ if port == Port::Console => Ok(port),
        owner if owner == own => Ok(port),
        0 => {
            uart::configure(&Settings::DEFAULT).map_err(|_| FAIL)?;
            OWNER.store(own, Ordering::Relaxed);
            Ok(port)
        }
        _ => Err(NOT_ALLOWED),
    })
}

fn with_port(call: &Call<'_, '_>, action: impl FnOnce(Port) -> EspErr) -> Result<u64, Trap> {
    Ok(claim(call).map_or_else(|error| error, action))
}

/// The port that argument 0 names, if the instance has its driver installed.
fn installed(call: &Call<'_, '_>) -> Option<Port> {
    Port::new(call.word(0)).filter(|port| {
        let is_own = OWNER.load(Ordering::Relaxed) == identity(call.running);
        *port == Port::Console || (is_own && uart::is_installed())
    })
}

fn data_bits(value: u32) -> Option<DataBits> {
    [DataBits::_5, DataBits::_6, DataBits::_7, DataBits::_8].get(value as usize).copied()
}

fn parity(value: u32) -> Option<Parity> {
    match value {
        0 => Some(Parity::None),
        PARITY_EVEN => Some(Parity::Even),
        PARITY_ODD => Some(Parity::Odd),
        _ => None,
    }
}

fn stop_bits(value: u32) -> Option<StopBits> {
    [StopBits::_1, StopBits::_1p5, StopBits::_2].get((value as usize).wrapping_sub(1)).copied()
}

fn settings_of(port: Port) -> Settings {
    match port {
        Port::Console => Settings { baud: console::speed(), ..Settings::DEFAULT },
        Port::Uart1 => critical_section::with(|cs| SETTINGS.borrow(cs).get()),
    }
}

/// The console's settings are the link's: a module may only say what they are.
fn set(port: Port, settings: Settings) -> EspErr {
    match port {
        Port::Console if settings == settings_of(port) => OK,
        Port::Console => NOT_ALLOWED,
        Port::Uart1 => match uart::configure(&settings) {
            Ok(()) => {
                critical_section::with(|cs| SETTINGS.borrow(cs).set(settings));
                OK
            }
            Err(uart::Unfit) => INVALID_ARGUMENT,
        },
    }
}

/// `uart_param_config(port, config)`. The clock source is the driver's choice.
fn configure(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let (memory, config) = (call.vm.memory(), call.word(1));
    let word = |offset: u32| memory.read_word(config.wrapping_add(offset));
    let baud = word(0)?;
    let bits = data_bits(word(CONFIG_DATA_BITS)?);
    let (parity, stop_bits) = (parity(word(CONFIG_PARITY)?), stop_bits(word(CONFIG_STOP_BITS)?));
    let flow_control = word(CONFIG_FLOW_CONTROL)?;
    let (Some(data_bits), Some(parity), Some(stop_bits)) = (bits, parity, stop_bits) else {
        return Ok(INVALID_ARGUMENT);
    };
    if flow_control != 0 {
        return Ok(NOT_SUPPORTED);
    }
    with_port(call, |port| set(port, Settings { baud, data_bits, parity, stop_bits }))
}

/// `uart_set_…(port, value)`.
fn change(call: &mut Call<'_, '_>, changed: impl FnOnce(Settings, u32) -> Option<Settings>) -> Result<u64, Trap> {
    let value = call.word(1);
    with_port(call, |port| changed(settings_of(port), value).map_or(INVALID_ARGUMENT, |settings| set(port, settings)))
}

/// `uart_get_…(port, value)`.
fn tell(call: &mut Call<'_, '_>, value: impl FnOnce(Settings) -> u32) -> Result<u64, Trap> {
    let port = match claim(call) {
        Ok(port) => port,
        Err(error) => return Ok(error),
    };
    call.vm.memory().write_word(call.word(1), value(settings_of(port))).map(|()| OK)
}

/// `uart_set_pin(port, sender, receiver, rts, cts)`.
fn set_pins(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let wanted = [1, 2].map(|slot| call.word(slot));
    if call.word(3) != NO_CHANGE || call.word(4) != NO_CHANGE {
        return Ok(NOT_SUPPORTED);
    }
    let running = call.running;
    with_port(call, |port| {
        if port == Port::Console {
            let stays = wanted.iter().zip(console::PINS).all(|(pin, own)| *pin == NO_CHANGE || *pin == own);
            return if stays { OK } else { NOT_ALLOWED };
        }
        let pins = wanted.map(Pin::new);
        if wanted.iter().zip(&pins).any(|(number, pin)| *number != NO_CHANGE && pin.is_none()) {
            return INVALID_ARGUMENT;
        }
        if !pins.iter().flatten().all(|pin| gpio::claim(running, *pin)) {
            return NOT_ALLOWED;
        }
        let [sender, receiver] = pins;
        uart::set_pins(sender, receiver);
        OK
    })
}

/// `uart_driver_install(port, bytes received, bytes to send, events, queue, flags)`.
fn install(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let [received, outgoing, depth, place] = [1, 2, 3, 4].map(|slot| call.word(slot));
    let wants_queue = place != 0 && depth != 0;
    match claim(call) {
        // The console has its driver; there are no events to be had.
        Ok(Port::Console) => return Ok(if wants_queue { NOT_SUPPORTED } else { OK }),
        Ok(Port::Uart1) => {}
        Err(error) => return Ok(error),
    }
    let fits = |bytes: u32| bytes as usize > uart::FIFO;
    if !fits(received) || (outgoing != 0 && !fits(outgoing)) || uart::is_installed() {
        return Ok(FAIL);
    }
    let queue = kernel::without_switching(|| {
        if wants_queue && call.running.objects().is_full() {
            return Err(Trap::new(TrapKind::Host, Failure::TooManyObjects as u32));
        }
        let queue = if wants_queue {
            // SAFETY: makes a queue of events.
            unsafe { ffi::xQueueGenericCreate(depth, uart::EVENT_BYTES as u32, 0) }
        } else {
            ptr::null_mut()
        };
        let made = !wants_queue || !queue.is_null();
        let installed = made && uart::install(received as usize, outgoing as usize, queue).is_ok();
        if installed && !kernel::heap::is_short() {
            if wants_queue {
                // There is room, as was seen above; tasks do not switch here.
                let _ = call.running.objects().add(HandleKind::Queue, queue as u32);
            }
            return Ok(Some(queue));
        }
        uart::uninstall();
        if !queue.is_null() {
            // SAFETY: made above, and nobody else knows it.
            unsafe { ffi::vQueueDelete(queue) };
        }
        Ok(None)
    })?;
    match queue {
        Some(queue) if place != 0 => call.vm.memory().write_word(place, queue as u32).map(|()| OK),
        Some(_) => Ok(OK),
        None => Ok(FAIL),
    }
}

/// `uart_driver_delete(port)`: with its queue of events, on which no other task may be waiting.
fn delete(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    match claim(call) {
        Ok(Port::Console) => return Ok(OK),
        Ok(Port::Uart1) => {}
        Err(error) => return Ok(error),
    }
    kernel::without_switching(|| {
        let owned = (0..).map_while(|position| call.running.objects().nth(HandleKind::Queue, position));
        if let Some(queue) = owned.into_iter().find(|queue| is_told(*queue))
            && task::is_used(queue)
        {
            return Err(Trap::new(TrapKind::Host, Failure::InUse as u32));
        }
        let queue = uart::uninstall() as u32;
        if call.running.objects().remove(HandleKind::Queue, queue) {
            queue::delete(queue);
        }
        Ok(OK)
    })
}

/// Whether the driver puts events into this queue, which therefore must not be deleted.
pub fn is_told(queue: u32) -> bool {
    uart::tells(queue as ffi::QueueHandle)
}

/// `uart_write_bytes(port, data, length)`: waits until the bytes are in the buffer, or without one in the FIFO.
fn write(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let (data, length) = (call.word(1), call.word(2));
    let Some(port) = installed(call) else { return Ok(FAIL) };
    let mut chunk = [0; CHUNK];
    let mut send = |send: &mut dyn FnMut(&[u8]) -> bool| {
        let mut done = 0;
        while done < length {
            go_on(call.vm.instance())?;
            let part = chunk.get_mut(..CHUNK.min((length - done) as usize)).unwrap_or_default();
            call.vm.memory().read(data.wrapping_add(done), part)?;
            if !send(part) {
                break;
            }
            done += part.len() as u32;
        }
        Ok(done.into())
    };
    match port {
        Port::Console => console::transaction(|output| {
            send(&mut |part| {
                output.text(part);
                true
            })
        }),
        Port::Uart1 => {
            let all = || {
                send(&mut |mut part| {
                    while !part.is_empty() {
                        let sent = uart::write(part, ffi::PORT_MAX_DELAY);
                        if sent == 0 {
                            return false;
                        }
                        part = part.get(sent..).unwrap_or_default();
                    }
                    true
                })
            };
            WRITING.run(ffi::PORT_MAX_DELAY, all).unwrap_or(Ok(0))
        }
    }
}

/// `uart_tx_chars(port, data, length)`: as many bytes as the FIFO takes now.
fn write_at_once(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    if installed(call) != Some(Port::Uart1) {
        return Ok(FAIL);
    }
    let mut bytes = [0; uart::FIFO];
    let part = bytes.get_mut(..uart::FIFO.min(call.word(2) as usize)).unwrap_or_default();
    call.vm.memory().read(call.word(1), part)?;
    Ok(WRITING.run(ffi::PORT_MAX_DELAY, || uart::write_at_once(part)).unwrap_or(0) as u64)
}

/// `uart_read_bytes(port, data, length, ticks)`: as many bytes as come without a pause of so many ticks, as in ESP-IDF.
fn read(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let (data, length, patience) = (call.word(1), call.word(2), call.word(3));
    let Some(port) = installed(call) else { return Ok(FAIL) };
    let receive: fn(&mut [u8], Ticks) -> usize = match port {
        Port::Console => input::read,
        Port::Uart1 => uart::read,
    };
    let all = || {
        let mut chunk = [0; CHUNK];
        let mut done = 0;
        while done < length {
            go_on(call.vm.instance())?;
            let part = chunk.get_mut(..CHUNK.min((length - done) as usize)).unwrap_or_default();
            let count = receive(part, patience);
            if count == 0 {
                break;
            }
            call.vm.memory().write(data.wrapping_add(done), part.get(..count).unwrap_or_default())?;
            done += count as u32;
        }
        Ok(done.into())
    };
    let done = match port {
        Port::Console => input::by_one_task(patience, all),
        Port::Uart1 => READING.run(patience, all),
    };
    done.unwrap_or(Ok(0))
}

/// `uart_flush…(port)`: both drop what was received.
fn discard(call: &Call<'_, '_>) -> EspErr {
    match installed(call) {
        Some(Port::Console) => input::discard(),
        Some(Port::Uart1) => uart::discard(),
        None => return FAIL,
    }
    OK
}

/// A task of a module is no more.
pub fn forget_task(task: ffi::TaskHandle) {
    READING.forget(task);
    WRITING.forget(task);
}

/// Switches UART1 off if the instance has it, and gives it back. Its queue of events is an object of the instance.
pub fn release(running: &'static Running) {
    if OWNER.load(Ordering::Relaxed) == identity(running) {
        uart::uninstall();
        uart::close();
        critical_section::with(|cs| SETTINGS.borrow(cs).set(Settings::DEFAULT));
        OWNER.store(0, Ordering::Relaxed);
    }
}
