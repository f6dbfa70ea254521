//! The kernel's tick: SYSTIMER comparator 0 in periodic mode, exactly 16,000 counts of the 16 MHz unit per tick.
//! Nothing but the kernel may use this comparator.

use core::cell::RefCell;

use critical_section::Mutex;
use esp_hal::{
    Blocking,
    peripherals::Interrupt,
    time::Duration,
    timer::{PeriodicTimer, systimer::Alarm},
};

use super::{ffi, trap};

static TIMER: Mutex<RefCell<Option<PeriodicTimer<'static, Blocking>>>> = Mutex::new(RefCell::new(None));

/// Hands the comparator to the kernel, which starts it with the scheduler.
pub fn init(alarm: Alarm<'static>) {
    critical_section::with(|cs| TIMER.replace(cs, Some(PeriodicTimer::new(alarm))));
}

/// Called by the port when the scheduler starts, with interrupts off: the kernel owns traps and the tick from here on.
#[unsafe(no_mangle)]
extern "C" fn vPortSetupTimerInterrupt() {
    trap::take_over();
    let started = critical_section::with(|cs| {
        TIMER.borrow_ref_mut(cs).as_mut().is_some_and(|timer| {
            timer.listen();
            timer.start(Duration::from_millis(1)).is_ok()
        })
    });
    assert!(started, "the tick timer was not given to the kernel before its start");
    trap::route(Interrupt::SYSTIMER_TARGET0, trap::Line::Tick);
}

/// Acknowledges the comparator and counts the tick; says whether another task must run.
pub(super) fn on_interrupt() -> bool {
    critical_section::with(|cs| {
        if let Some(timer) = TIMER.borrow_ref_mut(cs).as_mut() {
            timer.clear_interrupt();
        }
    });
    crate::counters::instructions();
    // SAFETY: called from the tick's interrupt handler, as the kernel asks.
    unsafe { ffi::xTaskIncrementTick() != 0 }
}
