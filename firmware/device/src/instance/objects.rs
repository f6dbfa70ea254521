//! The kernel objects that an instance owns. A handle from a module is good only if it is in here.
//! Knows kinds and handles; making and deleting objects is others' work.

use core::cell::RefCell;

use critical_section::Mutex;
use espb_format::contract::HandleKind;

/// Most objects of an instance.
pub const MAX_OBJECTS: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Object {
    kind: HandleKind,
    handle: u32,
}

/// There is no room for another object: [`MAX_OBJECTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The objects of an instance.
pub struct Objects(Mutex<RefCell<heapless::Vec<Object, MAX_OBJECTS>>>);

impl Objects {
    /// None.
    pub const fn new() -> Self {
        Self(Mutex::new(RefCell::new(heapless::Vec::new())))
    }

    /// Whether another object would not fit.
    pub fn is_full(&self) -> bool {
        critical_section::with(|cs| self.0.borrow_ref(cs).is_full())
    }

    /// The instance owns this object from now on.
    pub fn add(&self, kind: HandleKind, handle: u32) -> Result<(), Full> {
        critical_section::with(|cs| self.0.borrow_ref_mut(cs).push(Object { kind, handle }).map_err(|_| Full))
    }

    /// Whether the instance owns this object.
    pub fn owns(&self, kind: HandleKind, handle: u32) -> bool {
        critical_section::with(|cs| self.0.borrow_ref(cs).contains(&Object { kind, handle }))
    }

    /// The object is gone, or about to go; says whether it was there.
    pub fn remove(&self, kind: HandleKind, handle: u32) -> bool {
        critical_section::with(|cs| {
            let mut objects = self.0.borrow_ref_mut(cs);
            match objects.iter().position(|object| *object == Object { kind, handle }) {
                Some(index) => {
                    objects.swap_remove(index);
                    true
                }
                None => false,
            }
        })
    }

    /// The object of this kind with this position among all objects of the kind.
    pub fn nth(&self, kind: HandleKind, position: usize) -> Option<u32> {
        critical_section::with(|cs| {
            let objects = self.0.borrow_ref(cs);
            objects.iter().filter(|object| object.kind == kind).nth(position).map(|object| object.handle)
        })
    }

    /// Takes out any object of this kind.
    pub fn take(&self, kind: HandleKind) -> Option<u32> {
        critical_section::with(|cs| {
            let mut objects = self.0.borrow_ref_mut(cs);
            let index = objects.iter().position(|object| object.kind == kind)?;
            Some(objects.swap_remove(index).handle)
        })
    }
}
