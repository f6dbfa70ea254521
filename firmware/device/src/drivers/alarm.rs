//! SYSTIMER comparator 1 as an alarm clock of a microsecond's resolution, for esp_timer. It knows one alarm and no timer.

use core::{
    cell::RefCell,
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use critical_section::Mutex;
use esp_hal::{
    Blocking,
    peripherals::Interrupt,
    time::{Duration, Instant},
    timer::{OneShotTimer, systimer::Alarm},
};

use crate::kernel::{ffi, trap};

static TIMER: Mutex<RefCell<Option<OneShotTimer<'static, Blocking>>>> = Mutex::new(RefCell::new(None));

static WAITER: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Longest wait that is set at once, in microseconds; whoever waits longer is woken early and sets the rest.
const LONGEST: u64 = 60_000_000;

/// Takes the comparator.
pub fn init(alarm: Alarm<'static>) {
    critical_section::with(|cs| {
        let mut timer = OneShotTimer::new(alarm);
        timer.listen();
        TIMER.replace(cs, Some(timer));
    });
    trap::route(Interrupt::SYSTIMER_TARGET1, trap::Line::Alarm);
}

/// Names the task that gets notification 0 when the alarm rings. It lives for ever.
pub fn set_waiter(task: ffi::TaskHandle) {
    WAITER.store(task, Ordering::Relaxed);
}

/// Microseconds since the chip started.
pub fn now() -> u64 {
    Instant::now().duration_since_epoch().as_micros()
}

/// Has the alarm ring at this moment, in microseconds since the start, or not at all.
pub fn set(moment: Option<u64>) {
    critical_section::with(|cs| {
        let mut timer = TIMER.borrow_ref_mut(cs);
        let Some(timer) = timer.as_mut() else { return };
        match moment {
            Some(moment) => {
                let wait = moment.saturating_sub(now()).clamp(1, LONGEST);
                // Within the comparator's range, which is what could be refused.
                let _ = timer.schedule(Duration::from_micros(wait));
            }
            None => timer.stop(),
        }
    });
}

/// The alarm rings; says whether another task must run.
pub fn on_interrupt() -> bool {
    critical_section::with(|cs| {
        if let Some(timer) = TIMER.borrow_ref_mut(cs).as_mut() {
            timer.clear_interrupt();
            timer.stop();
        }
    });
    let mut woken: ffi::BaseType = 0;
    let waiter = WAITER.load(Ordering::Relaxed);
    if !waiter.is_null() {
        // SAFETY: the task lives for ever.
        unsafe { ffi::vTaskGenericNotifyGiveFromISR(waiter, 0, &raw mut woken) };
    }
    woken != 0
}
