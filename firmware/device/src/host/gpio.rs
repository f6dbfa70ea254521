//! ESP-IDF's GPIO driver. A pin belongs to the instance that first configures it, until that ends; the pins
//! of the flash and of the console belong to nobody.

use core::{cell::RefCell, ptr};

use critical_section::Mutex;
use espb_vm::Trap;

use super::{
    Call, Registration,
    esp_err::{EspErr, INVALID_ARGUMENT, INVALID_STATE, NOT_ALLOWED, OK},
    own,
};
use crate::{
    drivers::gpio::{self, Output, PINS, Pin, Trigger},
    instance::Running,
};

pub const TABLE: &[Registration] = &[
    own("gpio_config", configure),
    own("gpio_reset_pin", |call| with_own_pin(call, reset)),
    own("gpio_set_direction", |call| {
        let mode = Mode::new(call.word(1));
        with_own_pin(call, |pin| mode.map_or(INVALID_ARGUMENT, |mode| mode.apply(pin)))
    }),
    own("gpio_set_level", |call| {
        let high = call.word(1) != 0;
        with_own_pin(call, |pin| {
            gpio::set_level(pin, high);
            OK
        })
    }),
    own("gpio_get_level", |call| Ok(Pin::new(call.word(0)).is_some_and(gpio::level).into())),
    own("gpio_set_pull_mode", |call| {
        let mode = call.word(1);
        with_own_pin(call, |pin| set_pull_mode(pin, mode))
    }),
    own("gpio_pullup_en", |call| with_own_pin(call, |pin| pull_up(pin, true))),
    own("gpio_pullup_dis", |call| with_own_pin(call, |pin| pull_up(pin, false))),
    own("gpio_pulldown_en", |call| with_own_pin(call, |pin| pull_down(pin, true))),
    own("gpio_pulldown_dis", |call| with_own_pin(call, |pin| pull_down(pin, false))),
    own("gpio_set_drive_capability", set_drive_capability),
    own("gpio_get_drive_capability", drive_capability),
    own("gpio_set_intr_type", set_trigger),
    own("gpio_intr_enable", |call| {
        with_own_pin(call, |pin| {
            gpio::enable_interrupt(pin);
            OK
        })
    }),
    own("gpio_intr_disable", |call| {
        with_own_pin(call, |pin| {
            gpio::disable_interrupt(pin);
            OK
        })
    }),
    own("gpio_install_isr_service", install_service),
    own("gpio_uninstall_isr_service", |call| {
        uninstall_service(call.running);
        Ok(OK)
    }),
    own("gpio_isr_handler_add", add_handler),
    own("gpio_isr_handler_remove", |call| {
        if !has_service(call.running) {
            return Ok(INVALID_STATE);
        }
        with_own_pin(call, |pin| {
            gpio::disable_interrupt(pin);
            gpio::set_callback(pin, None);
            OK
        })
    }),
];

/// Pins that no module may have: GPIO11 to GPIO17 lead to the flash and its supply, GPIO20 and GPIO21 to the console.
const RESERVED: u32 = 0x7F << 11 | 0b11 << 20;

/// Offsets in `gpio_config_t`.
const CONFIG_MODE: u32 = 8;
const CONFIG_PULL_UP: u32 = 12;
const CONFIG_PULL_DOWN: u32 = 16;
const CONFIG_TRIGGER: u32 = 20;

/// Who has what. An owner is the address of its instance, 0 nobody.
struct Owners {
    pins: [u32; PINS],
    /// Instances that have installed the interrupt service.
    services: [u32; PINS],
}

static OWNERS: Mutex<RefCell<Owners>> = Mutex::new(RefCell::new(Owners { pins: [0; PINS], services: [0; PINS] }));

fn identity(running: &'static Running) -> u32 {
    ptr::from_ref(running) as u32
}

/// Whether the pin may be the instance's; if it is free, it is the instance's from now on.
pub fn claim(running: &'static Running, pin: Pin) -> bool {
    if RESERVED & pin.bit() != 0 {
        return false;
    }
    let identity = identity(running);
    let before = critical_section::with(|cs| {
        let mut owners = OWNERS.borrow_ref_mut(cs);
        let place = owners.pins.get_mut(pin.index())?;
        let before = *place;
        if before == 0 {
            *place = identity;
        }
        Some(before)
    });
    if before == Some(0) {
        gpio::reset(pin);
    }
    before == Some(0) || before == Some(identity)
}

/// Does something to the pin that argument 0 names, if the instance may.
fn with_own_pin(call: &mut Call<'_, '_>, action: impl FnOnce(Pin) -> EspErr) -> Result<u64, Trap> {
    Ok(match Pin::new(call.word(0)) {
        None => INVALID_ARGUMENT,
        Some(pin) if claim(call.running, pin) => action(pin),
        Some(_) => NOT_ALLOWED,
    })
}

/// `gpio_mode_t`: bit 0 input, bit 1 output, bit 2 open drain.
#[derive(Clone, Copy)]
struct Mode(u32);

impl Mode {
    fn new(mode: u32) -> Option<Self> {
        matches!(mode, 0..=3 | 6 | 7).then_some(Self(mode))
    }

    fn apply(self, pin: Pin) -> EspErr {
        gpio::set_input(pin, self.0 & 1 != 0);
        gpio::set_output(
            pin,
            match self.0 & 6 {
                0 => Output::Off,
                2 => Output::PushPull,
                _ => Output::OpenDrain,
            },
        );
        OK
    }
}

fn pull_up(pin: Pin, on: bool) -> EspErr {
    gpio::set_pull_up(pin, on);
    OK
}

fn pull_down(pin: Pin, on: bool) -> EspErr {
    gpio::set_pull_down(pin, on);
    OK
}

/// `gpio_pull_mode_t`: up, down, both, none.
fn set_pull_mode(pin: Pin, mode: u32) -> EspErr {
    if mode > 3 {
        return INVALID_ARGUMENT;
    }
    gpio::set_pull_up(pin, mode == 0 || mode == 2);
    gpio::set_pull_down(pin, mode == 1 || mode == 2);
    OK
}

/// As ESP-IDF leaves a pin: GPIO, pulled up, nothing else.
fn reset(pin: Pin) -> EspErr {
    gpio::reset(pin);
    gpio::set_callback(pin, None);
    gpio::set_pull_down(pin, false);
    pull_up(pin, true)
}

fn configure(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let (memory, config) = (call.vm.memory(), call.word(0));
    let word = |offset: u32| memory.read_word(config.wrapping_add(offset));
    let (low, high) = (word(0)?, word(4)?);
    let mode = Mode::new(word(CONFIG_MODE)?);
    let (up, down) = (word(CONFIG_PULL_UP)? != 0, word(CONFIG_PULL_DOWN)? != 0);
    let trigger = Trigger::new(word(CONFIG_TRIGGER)?);
    let (Some(mode), Some(trigger)) = (mode, trigger) else { return Ok(INVALID_ARGUMENT) };
    if low == 0 || high != 0 || low >> PINS != 0 {
        return Ok(INVALID_ARGUMENT);
    }
    let pins = || Pin::all().filter(|pin| low & pin.bit() != 0);
    if !pins().all(|pin| claim(call.running, pin)) {
        return Ok(NOT_ALLOWED);
    }
    for pin in pins() {
        mode.apply(pin);
        gpio::set_pull_up(pin, up);
        gpio::set_pull_down(pin, down);
        gpio::set_trigger(pin, trigger);
        if trigger == Trigger::Never { gpio::disable_interrupt(pin) } else { gpio::enable_interrupt(pin) }
    }
    Ok(OK)
}

/// `gpio_set_drive_capability(pin, 0…3)`.
fn set_drive_capability(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let strength = call.word(1);
    with_own_pin(call, |pin| {
        if strength > 3 {
            return INVALID_ARGUMENT;
        }
        gpio::set_strength(pin, strength as u8);
        OK
    })
}

fn drive_capability(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let Some(pin) = Pin::new(call.word(0)) else { return Ok(INVALID_ARGUMENT) };
    call.vm.memory().write_word(call.word(1), gpio::strength(pin).into())?;
    Ok(OK)
}

fn set_trigger(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let trigger = Trigger::new(call.word(1));
    with_own_pin(call, |pin| match trigger {
        Some(trigger) => {
            gpio::set_trigger(pin, trigger);
            OK
        }
        None => INVALID_ARGUMENT,
    })
}

fn has_service(running: &'static Running) -> bool {
    critical_section::with(|cs| OWNERS.borrow_ref(cs).services.contains(&identity(running)))
}

/// `gpio_install_isr_service(flags)`: the flags are about interrupt priorities, which handlers that run in a task do not have.
fn install_service(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    if has_service(call.running) {
        return Ok(INVALID_STATE);
    }
    let identity = identity(call.running);
    critical_section::with(|cs| {
        if let Some(place) = OWNERS.borrow_ref_mut(cs).services.iter_mut().find(|place| **place == 0) {
            *place = identity;
        }
    });
    Ok(OK)
}

fn uninstall_service(running: &'static Running) {
    for pin in pins_of(running) {
        gpio::disable_interrupt(pin);
        gpio::set_callback(pin, None);
    }
    critical_section::with(|cs| {
        for place in OWNERS.borrow_ref_mut(cs).services.iter_mut().filter(|place| **place == identity(running)) {
            *place = 0;
        }
    });
}

/// `gpio_isr_handler_add(pin, handler, argument)`. The handler runs in a task, later than the interrupt; see docs/native-calls.md.
fn add_handler(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    if !has_service(call.running) {
        return Ok(INVALID_STATE);
    }
    let handler = (call.word(1), call.word(2));
    with_own_pin(call, |pin| {
        gpio::disable_interrupt(pin);
        gpio::set_callback(pin, Some(handler));
        gpio::enable_interrupt(pin);
        OK
    })
}

fn pins_of(running: &'static Running) -> impl Iterator<Item = Pin> {
    let identity = identity(running);
    let pins = critical_section::with(|cs| OWNERS.borrow_ref(cs).pins);
    Pin::all().zip(pins).filter(move |(_, owner)| *owner == identity).map(|(pin, _)| pin)
}

/// Silences the pins of an instance, resets them and gives them back.
pub fn release(running: &'static Running) {
    uninstall_service(running);
    for pin in pins_of(running) {
        reset(pin);
        critical_section::with(|cs| {
            if let Some(place) = OWNERS.borrow_ref_mut(cs).pins.get_mut(pin.index()) {
                *place = 0;
            }
        });
    }
}
