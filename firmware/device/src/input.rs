//! What somebody types on the console: the text among the link's frames, kept until a module reads it.
//! One input for all modules, as there is one output; what it means is not decided here.

use core::cell::RefCell;

use critical_section::Mutex;

use crate::kernel::{OutOfMemory, Ticks, condition::Condition, ffi::TaskHandle, turn::Turn};

/// Bytes that are kept; what comes beyond them is lost, as on any serial line.
const LIMIT: usize = 1024;

static TYPED: Mutex<RefCell<heapless::Deque<u8, LIMIT>>> = Mutex::new(RefCell::new(heapless::Deque::new()));
static ARRIVED: Condition = Condition::new();
/// What one call reads stands together.
static READER: Turn = Turn::new();

/// Takes what waiting needs.
pub fn init() -> Result<(), OutOfMemory> {
    ARRIVED.init()?;
    READER.init()
}

/// Somebody has typed this; from the link task.
pub fn push(text: &[u8]) {
    critical_section::with(|cs| {
        let mut typed = TYPED.borrow_ref_mut(cs);
        for byte in text {
            if typed.push_back(*byte).is_err() {
                break;
            }
        }
    });
    ARRIVED.signal();
}

/// Runs `body`, which reads, when no other task does; `None` if that was not so within so many ticks.
pub fn by_one_task<R>(patience: Ticks, body: impl FnOnce() -> R) -> Option<R> {
    READER.run(patience, body)
}

/// A task that may have been reading is no more.
pub fn forget_task(task: TaskHandle) {
    READER.forget(task);
}

/// Takes bytes, at least one within so many ticks; 0 if none came.
pub fn read(into: &mut [u8], patience: Ticks) -> usize {
    let take = || {
        critical_section::with(|cs| {
            let mut typed = TYPED.borrow_ref_mut(cs);
            let count = typed.len().min(into.len());
            for (place, byte) in into.iter_mut().zip(core::iter::from_fn(|| typed.pop_front())) {
                *place = byte;
            }
            (count > 0).then_some(count)
        })
    };
    ARRIVED.wait(patience, take).unwrap_or(0)
}

/// Bytes that wait.
pub fn waiting() -> usize {
    critical_section::with(|cs| TYPED.borrow_ref(cs).len())
}

/// Drops what waits.
pub fn discard() {
    critical_section::with(|cs| TYPED.borrow_ref_mut(cs).clear());
}
