//! The module on trial: until when it must be confirmed, and whether it has failed. What follows is the link task's.

use core::sync::atomic::{AtomicU16, Ordering};

use espb_link::InstanceId;
use espb_slots::SlotIndex;

use crate::kernel::{self, Ticks};

/// Milliseconds in which a trial must be confirmed.
const TIME: Ticks = 30_000;

/// The last instance that trapped; no instance has number 0.
static TRAPPED: AtomicU16 = AtomicU16::new(0);

/// An instance trapped.
pub fn note_trap(instance: InstanceId) {
    TRAPPED.store(instance.0, Ordering::Relaxed);
}

/// A trial in progress.
#[derive(Clone, Copy)]
pub struct Trial {
    /// The slot.
    pub slot: SlotIndex,
    /// Its instance.
    pub instance: InstanceId,
    began: Ticks,
}

impl Trial {
    /// A trial that begins now.
    pub fn new(slot: SlotIndex, instance: InstanceId) -> Self {
        TRAPPED.store(0, Ordering::Relaxed);
        Self { slot, instance, began: kernel::tick_count() }
    }

    /// Milliseconds that are left; 0 if it has failed.
    pub fn time_left(&self) -> Ticks {
        if TRAPPED.load(Ordering::Relaxed) == self.instance.0 {
            return 0;
        }
        TIME.saturating_sub(kernel::tick_count().wrapping_sub(self.began))
    }
}
