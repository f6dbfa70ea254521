//! ESP-IDF's default event loop. Each instance has its own: what it posts reaches its own handlers, one after the other in one task
//! of the firmware. Events of the radio's and of other drivers do not exist here.

use core::{
    cell::RefCell,
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use critical_section::Mutex;
use espb_link::event::MAX_INSTANCES;
use espb_vm::Trap;

use super::{
    Call, Registration,
    esp_err::{EspErr, INVALID_ARGUMENT, INVALID_STATE, NO_MEMORY, NOT_FOUND, OK, TIMEOUT},
    own,
};
use crate::{
    instance::{
        Running,
        task::{ModuleTask, NATIVE_STACK},
    },
    kernel::{self, OutOfMemory, condition::Condition, ffi},
};

pub const TABLE: &[Registration] = &[
    own("esp_event_loop_create_default", |call| Ok(create(call.running))),
    own("esp_event_loop_delete_default", |call| {
        if !has_loop(call.running) {
            return Ok(INVALID_STATE);
        }
        remove(call.running);
        Ok(OK)
    }),
    own("esp_event_handler_register", |call| register(call, Identity::Function)),
    own("esp_event_handler_instance_register", |call| register(call, Identity::Number)),
    own("esp_event_handler_unregister", |call| {
        let function = call.word(2);
        unregister(call, |handler| handler.number == 0 && handler.function == function)
    }),
    own("esp_event_handler_instance_unregister", |call| {
        let number = call.word(2);
        unregister(call, |handler| handler.number == number && number != 0)
    }),
    own("esp_event_post", |call| {
        // A task of the firmware has others to serve.
        let may_wait = ModuleTask::current(call.running).is_some_and(|task| !task.is_firmware());
        let patience = if may_wait { call.word(4) } else { 0 };
        post(call, patience)
    }),
    own("esp_event_isr_post", |call| {
        let unblocked = call.word(4);
        if unblocked != 0 {
            // Whoever has to run does so at once.
            call.vm.memory().write_word(unblocked, 0)?;
        }
        post(call, 0)
    }),
];

/// As in ESP-IDF: below the timers, above most tasks of modules.
const PRIORITY: u32 = 20;
/// Most handlers of all instances.
const MAX_HANDLERS: usize = 32;
/// Most events that wait, of all instances; as in ESP-IDF.
const MAX_POSTS: usize = 32;
/// `ESP_EVENT_ANY_ID`.
const ANY_ID: i32 = -1;
/// `ESP_EVENT_ANY_BASE`.
const ANY_BASE: u32 = 0;

/// Who an instance is: its address.
type Owner = *const Running;

/// A function of a module that wants to hear of events.
#[derive(Clone, Copy)]
struct Handler {
    owner: Owner,
    base: u32,
    id: i32,
    /// Address of a thunk.
    function: u32,
    argument: u32,
    /// What it was registered as; 0 for one that is known by its function.
    number: u32,
}

impl Handler {
    /// How general it is: 0 for all events, 1 for those of a base, 2 for one event.
    fn level(&self) -> u32 {
        u32::from(self.base != ANY_BASE) + u32::from(self.id != ANY_ID)
    }

    fn hears(&self, post: &Post) -> bool {
        ptr::eq(self.owner, post.owner)
            && (self.base == ANY_BASE || self.base == post.base)
            && (self.id == ANY_ID || self.id == post.id)
    }
}

/// An event with a copy of its data in the heap of its instance.
#[derive(Clone, Copy)]
struct Post {
    owner: Owner,
    base: u32,
    id: i32,
    data: u32,
}

struct Events {
    loops: heapless::Vec<Owner, MAX_INSTANCES>,
    handlers: heapless::Vec<Handler, MAX_HANDLERS>,
    posts: heapless::Deque<Post, MAX_POSTS>,
    numbers: u32,
    /// Whose event is being handled.
    in_progress: Option<Owner>,
}

// SAFETY: the pointers are to instances, which `forget` takes out of here before they end; others only compare them.
unsafe impl Send for Events {}

static EVENTS: Mutex<RefCell<Events>> = Mutex::new(RefCell::new(Events {
    loops: heapless::Vec::new(),
    handlers: heapless::Vec::new(),
    posts: heapless::Deque::new(),
    numbers: 0,
    in_progress: None,
}));
static ROOM: Condition = Condition::new();
static TASK: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

fn with<R>(action: impl FnOnce(&mut Events) -> R) -> R {
    critical_section::with(|cs| action(&mut EVENTS.borrow_ref_mut(cs)))
}

/// Starts the task that calls the handlers.
pub fn init() -> Result<(), OutOfMemory> {
    ROOM.init()?;
    TASK.store(kernel::spawn(body, c"sys_evt", NATIVE_STACK, ptr::null_mut(), PRIORITY)?, Ordering::Relaxed);
    Ok(())
}

extern "C" fn body(_: *mut c_void) {
    loop {
        while let Some(post) = next() {
            ROOM.signal();
            handle(&post);
        }
        // SAFETY: waits on this task's own notification; any count is one round.
        unsafe { ffi::ulTaskGenericNotifyTake(0, 1, ffi::PORT_MAX_DELAY) };
    }
}

/// The next event, which is in progress from now on; the one before no longer is.
fn next() -> Option<Post> {
    with(|events| {
        let post = events.posts.pop_front();
        events.in_progress = post.map(|post| post.owner);
        post
    })
}

/// Calls the handlers: the general ones first, those of a level in the order of their registration.
fn handle(post: &Post) {
    for level in 0..3 {
        let mut position = 0;
        // A handler may register and unregister others: each step looks at the list as it is then.
        while let Some((found, handler)) = with(|events| {
            let rest = events.handlers.iter().enumerate().skip(position);
            rest.filter(|(_, handler)| handler.level() == level && handler.hears(post))
                .map(|(index, handler)| (index, *handler))
                .next()
        }) {
            // SAFETY: the address is a thunk, which takes words in the argument registers; `forget` keeps it bound.
            let function =
                unsafe { core::mem::transmute::<usize, extern "C" fn(u32, u32, i32, u32)>(handler.function as usize) };
            function(handler.argument, post.base, post.id, post.data);
            // Behind it, wherever it is now.
            let here = with(|events| events.handlers.iter().position(|other| other.is(&handler)));
            position = here.map_or(found, |here| here + 1);
        }
    }
    // SAFETY: `forget` waits for the event in progress before the instance ends.
    let running = unsafe { &*post.owner };
    // A module that freed the data has only itself to blame.
    let _ = running.instance().release(post.data);
}

impl Handler {
    fn is(&self, other: &Self) -> bool {
        ptr::eq(self.owner, other.owner)
            && (self.base, self.id, self.function, self.number) == (other.base, other.id, other.function, other.number)
    }
}

fn has_loop(running: &'static Running) -> bool {
    with(|events| events.loops.contains(&ptr::from_ref(running)))
}

fn create(running: &'static Running) -> EspErr {
    if has_loop(running) {
        return INVALID_STATE;
    }
    // As many places as there can be instances.
    with(|events| events.loops.push(running).map_or(NO_MEMORY, |()| OK))
}

/// How `unregister` finds a handler again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Identity {
    Function,
    Number,
}

/// `esp_event_handler…_register(base, id, handler, argument, [instance])`.
fn register(call: &mut Call<'_, '_>, identity: Identity) -> Result<u64, Trap> {
    let (base, id) = (call.word(0), call.word(1) as i32);
    let handler = Handler { owner: call.running, base, id, function: call.word(2), argument: call.word(3), number: 0 };
    if base == ANY_BASE && id != ANY_ID {
        return Ok(INVALID_ARGUMENT);
    }
    if !has_loop(call.running) {
        return Ok(INVALID_STATE);
    }
    let number = with(|events| {
        if identity == Identity::Function {
            if let Some(known) = events.handlers.iter_mut().find(|known| known.is(&handler)) {
                // As in ESP-IDF: the same function for the same event gets the new argument.
                known.argument = handler.argument;
                return Some(0);
            }
            return events.handlers.push(handler).ok().map(|()| 0);
        }
        let number = events.numbers.checked_add(1).unwrap_or(1);
        events.handlers.push(Handler { number, ..handler }).ok()?;
        events.numbers = number;
        Some(number)
    });
    match number {
        None => Ok(NO_MEMORY),
        Some(number) if identity == Identity::Number && call.word(4) != 0 => {
            call.vm.memory().write_word(call.word(4), number).map(|()| OK)
        }
        Some(_) => Ok(OK),
    }
}

/// `esp_event_handler…_unregister(base, id, …)`.
fn unregister(call: &Call<'_, '_>, is_it: impl Fn(&Handler) -> bool) -> Result<u64, Trap> {
    let (base, id) = (call.word(0), call.word(1) as i32);
    if !has_loop(call.running) {
        return Ok(INVALID_STATE);
    }
    let found = with(|events| {
        let position = events.handlers.iter().position(|handler| {
            ptr::eq(handler.owner, call.running) && (handler.base, handler.id) == (base, id) && is_it(handler)
        });
        // In order: handlers are called as they were registered.
        position.map(|position| events.handlers.remove(position))
    });
    Ok(if found.is_some() { OK } else { NOT_FOUND })
}

/// `esp_event…_post(base, id, data, size, …)`.
fn post(call: &Call<'_, '_>, patience: kernel::Ticks) -> Result<u64, Trap> {
    let (base, id, source, size) = (call.word(0), call.word(1) as i32, call.word(2), call.word(3));
    if base == ANY_BASE || id == ANY_ID {
        return Ok(INVALID_ARGUMENT);
    }
    if !has_loop(call.running) {
        return Ok(INVALID_STATE);
    }
    let data = match copy(call, source, if source == 0 { 0 } else { size })? {
        Some(data) => data,
        None => return Ok(NO_MEMORY),
    };
    let mut post = Some(Post { owner: call.running, base, id, data });
    let posted = ROOM.wait(patience, || {
        let pushed = with(|events| match post.take().map(|post| events.posts.push_back(post)) {
            Some(Err(back)) => {
                post = Some(back);
                false
            }
            _ => true,
        });
        pushed.then_some(())
    });
    if posted.is_none() {
        call.running.instance().release(data)?;
        return Ok(TIMEOUT);
    }
    // SAFETY: the task lives for ever.
    unsafe {
        ffi::xTaskGenericNotify(TASK.load(Ordering::Relaxed), 0, 0, ffi::NOTIFY_INCREMENT, ptr::null_mut());
    }
    Ok(OK)
}

/// A copy of the data in the instance's heap, which the handlers read; null for none. `None` where there is no room.
fn copy(call: &Call<'_, '_>, source: u32, size: u32) -> Result<Option<u32>, Trap> {
    if size == 0 {
        return Ok(Some(0));
    }
    let Some(copy) = call.running.instance().allocate(size) else { return Ok(None) };
    let memory = call.vm.memory();
    let mut chunk = [0; 32];
    let mut done = 0;
    while done < size {
        let part = chunk.get_mut(..(size - done).min(32) as usize).unwrap_or_default();
        memory.read(source.wrapping_add(done), part)?;
        memory.write(copy.wrapping_add(done), part)?;
        done += part.len() as u32;
    }
    Ok(Some(copy))
}

/// Takes the loop, the handlers and the events of an instance out of the lists. Data of events stays in its heap.
fn remove(running: &'static Running) {
    let owner = ptr::from_ref(running);
    let dropped = with(|events| {
        events.loops.retain(|other| !ptr::eq(*other, owner));
        events.handlers.retain(|handler| !ptr::eq(handler.owner, owner));
        let mut dropped = heapless::Vec::<u32, MAX_POSTS>::new();
        for _ in 0..events.posts.len() {
            match events.posts.pop_front() {
                // Both have the room: no more go in than came out.
                Some(post) if ptr::eq(post.owner, owner) => drop(dropped.push(post.data)),
                Some(post) => drop(events.posts.push_back(post)),
                None => {}
            }
        }
        dropped
    });
    for data in dropped {
        let _ = running.instance().release(data);
    }
    ROOM.signal();
}

/// Forgets an instance, and waits until none of its handlers is being called. The instance is stopped, so that one in progress ends by
/// itself. From the link task.
pub fn forget(running: &'static Running) {
    remove(running);
    while with(|events| events.in_progress.is_some_and(|owner| ptr::eq(owner, running))) {
        // SAFETY: the task lives for ever; one that blocks in the handler is woken, one that does not is let be.
        unsafe { ffi::xTaskAbortDelay(TASK.load(Ordering::Relaxed)) };
        kernel::delay(1);
    }
}
