//! The kernel objects that an instance owns. A handle from a module is good only if it is in here.
//! Knows kinds and handles; making and deleting objects is others' work.

use core::cell::RefCell;

use critical_section::Mutex;
use espb_format::contract::HandleKind;

/// Most objects of an instance.
pub const MAX_OBJECTS: usize = 64;

/// There is no room for another object: [`MAX_OBJECTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The objects of an instance.
pub struct Objects(Mutex<RefCell<List>>);

/// Two columns of one table, because a row would be padded.
struct List {
    handles: heapless::Vec<u32, MAX_OBJECTS, u8>,
    kinds: heapless::Vec<HandleKind, MAX_OBJECTS, u8>,
}

impl List {
    fn add(&mut self, kind: HandleKind, handle: u32) -> Result<(), Full> {
        self.handles.push(handle).map_err(|_| Full)?;
        self.kinds.push(kind).map_err(|_| Full)
    }

    fn all(&self) -> impl Iterator<Item = (HandleKind, u32)> {
        self.kinds.iter().copied().zip(self.handles.iter().copied())
    }

    fn position(&self, kind: HandleKind, handle: u32) -> Option<usize> {
        self.all().position(|object| object == (kind, handle))
    }

    fn remove(&mut self, index: usize) -> u32 {
        self.kinds.swap_remove(index);
        self.handles.swap_remove(index)
    }
}

impl Objects {
    /// None.
    pub const fn new() -> Self {
        let list = List { handles: heapless::Vec::new(), kinds: heapless::Vec::new() };
        Self(Mutex::new(RefCell::new(list)))
    }

    /// Whether another object would not fit.
    pub fn is_full(&self) -> bool {
        critical_section::with(|cs| self.0.borrow_ref(cs).handles.is_full())
    }

    /// The instance owns this object from now on.
    pub fn add(&self, kind: HandleKind, handle: u32) -> Result<(), Full> {
        critical_section::with(|cs| self.0.borrow_ref_mut(cs).add(kind, handle))
    }

    /// Whether the instance owns this object.
    pub fn owns(&self, kind: HandleKind, handle: u32) -> bool {
        critical_section::with(|cs| self.0.borrow_ref(cs).position(kind, handle).is_some())
    }

    /// The object is gone, or about to go; says whether it was there.
    pub fn remove(&self, kind: HandleKind, handle: u32) -> bool {
        critical_section::with(|cs| {
            let mut objects = self.0.borrow_ref_mut(cs);
            objects.position(kind, handle).map(|index| objects.remove(index)).is_some()
        })
    }

    /// The object of this kind with this position among all objects of the kind.
    pub fn nth(&self, kind: HandleKind, position: usize) -> Option<u32> {
        critical_section::with(|cs| {
            let objects = self.0.borrow_ref(cs);
            objects.all().filter(|(of, _)| *of == kind).nth(position).map(|(_, handle)| handle)
        })
    }

    /// Takes out any object of this kind.
    pub fn take(&self, kind: HandleKind) -> Option<u32> {
        critical_section::with(|cs| {
            let mut objects = self.0.borrow_ref_mut(cs);
            let index = objects.kinds.iter().position(|of| *of == kind)?;
            Some(objects.remove(index))
        })
    }
}
