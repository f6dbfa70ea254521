//! The instances that are loaded, and whose thunks are whose. Instances come and go on the link task only; any task may look.

use core::{
    ptr,
    sync::atomic::{AtomicPtr, AtomicU16, Ordering},
};

use espb_link::{InstanceId, event::MAX_INSTANCES};
use espb_vm::Thunks;

use super::Running;
use crate::thunk;

static RESIDENTS: [AtomicPtr<Running>; MAX_INSTANCES] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX_INSTANCES];

/// The last number that was given to an instance.
static LAST_ID: AtomicU16 = AtomicU16::new(0);

/// The instances there are. One stays until the link task ends it, which it does when no code uses it.
pub fn all() -> impl Iterator<Item = &'static Running> {
    // SAFETY: the pointers are set to leaked boxes and cleared before these are freed.
    RESIDENTS.iter().filter_map(|resident| unsafe { resident.load(Ordering::Relaxed).as_ref() })
}

/// The instance with this number.
pub fn find(id: InstanceId) -> Option<&'static Running> {
    all().find(|running| running.id() == id)
}

/// Whose thunk this is, with its position among the thunks of its instance.
pub fn owner_of(thunk: u16) -> Option<(&'static Running, u16)> {
    all().find_map(|running| Some((running, thunk::place(thunk, running.instance().thunks())?)))
}

/// A number for the next instance.
pub fn next_id() -> InstanceId {
    // Only the link task loads. 0 is no number, also after 65,535 instances.
    let id = LAST_ID.load(Ordering::Relaxed).checked_add(1).unwrap_or(1);
    LAST_ID.store(id, Ordering::Relaxed);
    InstanceId(id)
}

/// Whether there is no place for another instance.
pub fn is_full() -> bool {
    RESIDENTS.iter().all(|resident| !resident.load(Ordering::Relaxed).is_null())
}

/// Adds an instance; says whether there was a place.
pub(super) fn add(running: &'static Running) -> bool {
    let place = RESIDENTS.iter().find(|resident| resident.load(Ordering::Relaxed).is_null());
    place.map(|place| place.store(ptr::from_ref(running).cast_mut(), Ordering::Relaxed)).is_some()
}

/// Takes an instance off: its thunks call nothing from now on.
pub(super) fn remove(running: &'static Running) {
    for resident in RESIDENTS.iter().filter(|resident| ptr::eq(resident.load(Ordering::Relaxed), running)) {
        resident.store(ptr::null_mut(), Ordering::Relaxed);
    }
}

/// A run of as many thunks that no instance has; `Err` says how long the longest one is.
pub(super) fn free_thunks(count: u16) -> Result<Thunks, u16> {
    if count == 0 {
        return Ok(Thunks::NONE);
    }
    let bound = || all().map(|running| running.instance().thunks()).filter(|thunks| thunks.count > 0);
    // A free run begins at the pool's start or behind somebody's thunks.
    let starts =
        core::iter::once(0).chain(bound().filter_map(|thunks| Some(thunk::index(thunks.first)? + thunks.count)));
    let mut longest = 0;
    for start in starts {
        let following = bound().filter_map(|thunks| thunk::index(thunks.first)).filter(|first| *first >= start);
        let free = following.min().unwrap_or(thunk::COUNT) - start;
        if free >= count {
            return Ok(thunk::run(start, count));
        }
        longest = longest.max(free);
    }
    Err(longest)
}

/// How many thunks no instance has.
pub fn free_thunk_count() -> u16 {
    thunk::COUNT - all().map(|running| running.instance().thunks().count).sum::<u16>()
}
