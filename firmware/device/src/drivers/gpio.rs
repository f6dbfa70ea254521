//! The GPIO pins (ESP32-C3 TRM, chapter "IO MUX and GPIO Matrix"): settings, levels, and interrupts that ask for callbacks.
//! Who may use which pin is not decided here.

use core::cell::RefCell;

use critical_section::Mutex;
use esp_hal::{
    gpio::{AnyPin, Flex},
    peripherals::{GPIO, IO_MUX, Interrupt},
};

use crate::{
    instance::deferred::{self, Deferred, Done},
    kernel::{ffi, trap},
};

/// Pins of the chip.
pub const PINS: usize = 22;

/// A pin by number, below [`PINS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin(u8);

impl Pin {
    /// The pin of this number, if there is one.
    pub fn new(number: u32) -> Option<Self> {
        ((number as usize) < PINS).then_some(Self(number as u8))
    }

    /// Every pin.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PINS as u8).map(Self)
    }

    /// Its number as an index.
    pub fn index(self) -> usize {
        self.0.into()
    }

    /// Its bit in registers and masks.
    pub fn bit(self) -> u32 {
        1 << self.0
    }
}

/// How a pin's output drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Not at all.
    Off,
    /// High and low.
    PushPull,
    /// Low only.
    OpenDrain,
}

/// What a pin interrupts at; the numbers are those of the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Trigger {
    Never = 0,
    Rising = 1,
    Falling = 2,
    AnyEdge = 3,
    Low = 4,
    High = 5,
}

impl Trigger {
    /// The trigger of this number.
    pub fn new(number: u32) -> Option<Self> {
        [Self::Never, Self::Rising, Self::Falling, Self::AnyEdge, Self::Low, Self::High].get(number as usize).copied()
    }
}

/// What the interrupt handler knows of the pins.
struct Handlers {
    /// Address of a thunk, and its argument.
    callbacks: [Option<(u32, u32)>; PINS],
    /// Pins with a level trigger that are silent until the callback which was asked for has run.
    resting: u32,
    /// Those of them for whose callback there was no room.
    unheard: u32,
}

static HANDLERS: Mutex<RefCell<Handlers>> =
    Mutex::new(RefCell::new(Handlers { callbacks: [None; PINS], resting: 0, unheard: 0 }));

/// Connects the pins' interrupt to the core.
pub fn init() {
    trap::route(Interrupt::GPIO, trap::Line::Gpio);
}

/// Makes the pin an ordinary GPIO with input, output and interrupt off.
pub fn reset(pin: Pin) {
    disable_interrupt(pin);
    set_trigger(pin, Trigger::Never);
    set_output(pin, Output::Off);
    // SAFETY: nothing else in the firmware uses a pin that is given to this driver; the HAL's object is dropped at once.
    let _ = Flex::new(unsafe { AnyPin::steal(pin.0) });
    GPIO::regs().out_w1tc().write(|w| {
        // SAFETY: a bit a pin.
        unsafe { w.bits(pin.bit()) }
    });
}

/// Turns the input on or off.
pub fn set_input(pin: Pin, on: bool) {
    IO_MUX::regs().gpio(pin.index()).modify(|_, w| w.fun_ie().bit(on));
}

/// Sets how the output drives.
pub fn set_output(pin: Pin, output: Output) {
    GPIO::regs().pin(pin.index()).modify(|_, w| w.pad_driver().bit(output == Output::OpenDrain));
    // SAFETY: a bit a pin, in both.
    if output == Output::Off {
        GPIO::regs().enable_w1tc().write(|w| unsafe { w.bits(pin.bit()) });
    } else {
        GPIO::regs().enable_w1ts().write(|w| unsafe { w.bits(pin.bit()) });
    }
}

/// Turns the pull-up resistor on or off.
pub fn set_pull_up(pin: Pin, on: bool) {
    IO_MUX::regs().gpio(pin.index()).modify(|_, w| w.fun_wpu().bit(on));
}

/// Turns the pull-down resistor on or off.
pub fn set_pull_down(pin: Pin, on: bool) {
    IO_MUX::regs().gpio(pin.index()).modify(|_, w| w.fun_wpd().bit(on));
}

/// Sets the drive strength, 0 to 3.
pub fn set_strength(pin: Pin, strength: u8) {
    // SAFETY: two bits wide.
    IO_MUX::regs().gpio(pin.index()).modify(|_, w| unsafe { w.fun_drv().bits(strength & 3) });
}

/// The drive strength.
pub fn strength(pin: Pin) -> u8 {
    IO_MUX::regs().gpio(pin.index()).read().fun_drv().bits()
}

/// Sets the output's level.
pub fn set_level(pin: Pin, high: bool) {
    // SAFETY: a bit a pin, in both.
    if high {
        GPIO::regs().out_w1ts().write(|w| unsafe { w.bits(pin.bit()) });
    } else {
        GPIO::regs().out_w1tc().write(|w| unsafe { w.bits(pin.bit()) });
    }
}

/// The input's level; low while the input is off.
pub fn level(pin: Pin) -> bool {
    GPIO::regs().in_().read().bits() & pin.bit() != 0
}

/// Sets what the pin interrupts at.
pub fn set_trigger(pin: Pin, trigger: Trigger) {
    // SAFETY: three bits wide, a documented value.
    critical_section::with(|_| {
        GPIO::regs().pin(pin.index()).modify(|_, w| unsafe { w.int_type().bits(trigger as u8) })
    });
}

/// Lets the pin interrupt from now on; what happened before is forgotten.
pub fn enable_interrupt(pin: Pin) {
    critical_section::with(|cs| {
        HANDLERS.borrow_ref_mut(cs).resting &= !pin.bit();
        acknowledge(pin.bit());
        interrupt_enable(pin, true);
    });
}

/// Keeps the pin from interrupting.
pub fn disable_interrupt(pin: Pin) {
    critical_section::with(|cs| {
        HANDLERS.borrow_ref_mut(cs).resting &= !pin.bit();
        interrupt_enable(pin, false);
        acknowledge(pin.bit());
    });
}

/// Has the pin's interrupts ask for this callback (address of a thunk, and its argument), or for none.
pub fn set_callback(pin: Pin, callback: Option<(u32, u32)>) {
    critical_section::with(|cs| {
        if let Some(place) = HANDLERS.borrow_ref_mut(cs).callbacks.get_mut(pin.index()) {
            *place = callback;
        }
    });
}

fn acknowledge(bits: u32) {
    // SAFETY: a bit a pin.
    GPIO::regs().status_w1tc().write(|w| unsafe { w.bits(bits) });
}

/// Bit 0 of the field is the ordinary interrupt, bit 1 the one that cannot be masked.
fn interrupt_enable(pin: Pin, on: bool) {
    // SAFETY: a documented value.
    GPIO::regs().pin(pin.index()).modify(|_, w| unsafe { w.int_ena().bits(u8::from(on)) });
}

/// Asks for the callbacks of the pins that interrupt; says whether another task must run.
pub fn on_interrupt() -> bool {
    let mut woken: ffi::BaseType = 0;
    critical_section::with(|cs| {
        let pending = GPIO::regs().pcpu_int().read().bits();
        let mut handlers = HANDLERS.borrow_ref_mut(cs);
        for pin in Pin::all().filter(|pin| pending & pin.bit() != 0) {
            if GPIO::regs().pin(pin.index()).read().int_type().bits() >= Trigger::Low as u8 {
                // A level lasts at least until the module has had its say, which must not be held up by more of the same.
                interrupt_enable(pin, false);
                handlers.resting |= pin.bit();
            }
            if let Some((callback, argument)) = handlers.callbacks.get(pin.index()).copied().flatten() {
                let done = Some(Done { function: on_callback_done, argument: pin.0.into() });
                if !deferred::post_from_interrupt(Deferred { callback, argument, done }, &mut woken) {
                    handlers.unheard |= pin.bit();
                }
            }
        }
        acknowledge(pending);
    });
    woken != 0
}

/// A callback for this pin has run: its level may interrupt again. Levels that found no room for their callback may, too.
fn on_callback_done(pin: u32) {
    critical_section::with(|cs| {
        let mut handlers = HANDLERS.borrow_ref_mut(cs);
        let awake = handlers.resting & (handlers.unheard | 1 << pin);
        handlers.resting &= !awake;
        handlers.unheard &= !awake;
        // A level that lasts shows again at once.
        acknowledge(awake);
        for pin in Pin::all().filter(|pin| awake & pin.bit() != 0) {
            interrupt_enable(pin, true);
        }
    });
}
