//! ESP-IDF's non-volatile storage, in its own format on its own partition. All modules share it, as all parts of a program do in
//! ESP-IDF: who knows a namespace's name can read it.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::{cell::RefCell, ptr};

use critical_section::Mutex;
use esp_nvs::{Get, Key, MAX_KEY_LENGTH, Nvs, Set, error::Error};
use espb_format::contract::HandleKind;
use espb_vm::{Trap, TrapKind};

use super::{
    Call, Registration,
    esp_err::{
        EspErr, FAIL, INVALID_ARGUMENT, NO_MEMORY, NOT_ALLOWED, NVS_INVALID_LENGTH, NVS_INVALID_NAME, NVS_KEY_TOO_LONG,
        NVS_NOT_ENOUGH_SPACE, NVS_NOT_FOUND, NVS_PART_NOT_FOUND, NVS_READ_ONLY, NVS_TYPE_MISMATCH, NVS_VALUE_TOO_LONG,
        OK,
    },
    own,
};
use crate::{
    console,
    flash::NvsPartition,
    instance::{Failure, objects::Full},
    kernel,
};

/// `nvs_get_…` and `nvs_set_…` of one type of number.
macro_rules! number {
    ($get:literal, $set:literal, $type:ty) => {
        [
            own($get, |call| {
                let value: Result<$type, EspErr> = get(call);
                match value {
                    Ok(value) => call.vm.memory().write(call.word(2), &value.to_le_bytes()).map(|()| OK),
                    Err(error) => Ok(error),
                }
            }),
            own($set, |call| set(call, call.vm.double_word(2) as $type)),
        ]
    };
}

const NUMBERS: [[Registration; 2]; 8] = [
    number!("nvs_get_i8", "nvs_set_i8", i8),
    number!("nvs_get_u8", "nvs_set_u8", u8),
    number!("nvs_get_i16", "nvs_set_i16", i16),
    number!("nvs_get_u16", "nvs_set_u16", u16),
    number!("nvs_get_i32", "nvs_set_i32", i32),
    number!("nvs_get_u32", "nvs_set_u32", u32),
    number!("nvs_get_i64", "nvs_set_i64", i64),
    number!("nvs_get_u64", "nvs_set_u64", u64),
];

pub const NUMBER_TABLE: &[Registration] = NUMBERS.as_flattened();

pub const TABLE: &[Registration] = &[
    own("nvs_flash_init", |_| Ok(with_store(|_| OK))),
    own("nvs_flash_deinit", |_| Ok(OK)),
    // What other modules have stored is not one module's to erase.
    own("nvs_flash_erase", |_| Ok(NOT_ALLOWED)),
    own("nvs_open", open),
    own("nvs_close", |call| {
        close(call.word(0));
        Ok(OK)
    }),
    // Each change is in flash when its call returns.
    own("nvs_commit", |_| Ok(OK)),
    own("nvs_erase_key", erase_key),
    own("nvs_erase_all", erase_all),
    own("nvs_set_str", |call| {
        let bytes = match value_of(call, call.word(2), call.vm.memory().string_length(call.word(2))?)? {
            Ok(bytes) => bytes,
            Err(error) => return Ok(error),
        };
        match core::str::from_utf8(&bytes) {
            Ok(text) => set(call, text),
            Err(_) => Ok(INVALID_ARGUMENT),
        }
    }),
    own("nvs_set_blob", |call| match value_of(call, call.word(2), call.word(3))? {
        Ok(bytes) => set(call, bytes.as_slice()),
        Err(error) => Ok(error),
    }),
    own("nvs_get_str", |call| {
        let text: Result<String, EspErr> = get(call);
        hand_out(
            call,
            text.map(|text| {
                let mut bytes = text.into_bytes();
                bytes.push(0);
                bytes
            }),
        )
    }),
    own("nvs_get_blob", |call| {
        let bytes: Result<Vec<u8>, EspErr> = get(call);
        hand_out(call, bytes)
    }),
];

/// Longest string or blob, in bytes: what one page of the storage takes.
const LONGEST: u32 = 4000;
/// Memory that reading and writing takes at most: stack, and a value, which is not longer than the partition.
const WORKING_MEMORY: usize = 48 * 1024;
/// Stack for the storage's code, in bytes.
const STACK_BYTES: usize = 12288;
/// `NVS_READWRITE`.
const READ_WRITE: u32 = 1;

type Store = Nvs<NvsPartition>;

/// The storage while somebody has it open. Its index of the partition takes memory only then.
struct State {
    store: Option<Store>,
    handles: u32,
}

static STATE: Mutex<RefCell<State>> = Mutex::new(RefCell::new(State { store: None, handles: 0 }));

/// What a module knows by a handle.
struct Handle {
    namespace: Key,
    writable: bool,
}

fn code(error: &Error) -> EspErr {
    match error {
        Error::NamespaceNotFound | Error::KeyNotFound => NVS_NOT_FOUND,
        Error::ItemTypeMismatch(_) => NVS_TYPE_MISMATCH,
        Error::KeyTooLong => NVS_KEY_TOO_LONG,
        Error::NamespaceTooLong | Error::NamespaceMalformed | Error::KeyMalformed => NVS_INVALID_NAME,
        Error::ValueTooLong => NVS_VALUE_TOO_LONG,
        Error::FlashFull | Error::PageFull | Error::TooManyNamespaces => NVS_NOT_ENOUGH_SPACE,
        _ => FAIL,
    }
}

/// Does something with the storage, by one task at a time and none that is deleted meanwhile: deletions wait for the console.
fn with_store(action: impl FnOnce(&mut Store) -> EspErr) -> EspErr {
    if kernel::heap::largest_free_block() < WORKING_MEMORY {
        return NO_MEMORY;
    }
    console::while_idle(|| kernel::on_stack_of(STACK_BYTES, || on_worker(action)).unwrap_or(NO_MEMORY))
}

/// The storage's code needs more stack than modules' tasks have.
fn on_worker(action: impl FnOnce(&mut Store) -> EspErr) -> EspErr {
    let kept = critical_section::with(|cs| STATE.borrow_ref_mut(cs).store.take());
    let opened = match kept {
        Some(store) => Ok(store),
        None => NvsPartition::open().ok_or(NVS_PART_NOT_FOUND).and_then(|partition| {
            let size = partition.size();
            Nvs::new(0, size, partition).map_err(|error| code(&error))
        }),
    };
    let mut store = match opened {
        Ok(store) => store,
        Err(error) => return error,
    };
    let result = action(&mut store);
    let unused = critical_section::with(|cs| {
        let mut state = STATE.borrow_ref_mut(cs);
        if state.handles == 0 {
            Some(store)
        } else {
            state.store = Some(store);
            None
        }
    });
    drop(unused);
    result
}

/// A name of 1 to 15 bytes.
fn name(call: &Call<'_, '_>, address: u32, too_long: EspErr) -> Result<Result<Key, EspErr>, Trap> {
    let memory = call.vm.memory();
    let length = memory.string_length(address)? as usize;
    let mut bytes = [0; MAX_KEY_LENGTH];
    if length == 0 {
        return Ok(Err(NVS_INVALID_NAME));
    }
    let Some(part) = bytes.get_mut(..length) else { return Ok(Err(too_long)) };
    memory.read(address, part)?;
    Ok(Ok(Key::from_slice(part)))
}

fn handle(call: &Call<'_, '_>) -> &'static Handle {
    // SAFETY: the handle was checked: `open` made it, and it lives until the instance closes it or ends.
    unsafe { &*(call.word(0) as *const Handle) }
}

/// `nvs_open(namespace, mode, opened)`.
fn open(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let namespace = match name(call, call.word(0), NVS_INVALID_NAME)? {
        Ok(namespace) => namespace,
        Err(error) => return Ok(error),
    };
    let writable = call.word(1) == READ_WRITE;
    if call.running.objects().is_full() {
        return Err(Trap::new(TrapKind::Host, Failure::TooManyObjects as u32));
    }
    let mut opened = None;
    // Here nobody deletes this task: what is open has its handle on the list.
    let result = with_store(|store| {
        if !writable && !store.namespaces().any(|known| *known == namespace) {
            return NVS_NOT_FOUND;
        }
        let Ok(handle) = kernel::heap::try_box(Handle { namespace, writable }) else { return NO_MEMORY };
        let address = ptr::from_ref(&*handle).addr() as u32;
        opened = Some(call.running.objects().add(HandleKind::Nvs, address).map(|()| {
            critical_section::with(|cs| STATE.borrow_ref_mut(cs).handles += 1);
            Box::into_raw(handle) as u32
        }));
        OK
    });
    match opened {
        Some(Ok(handle)) => call.vm.memory().write_word(call.word(2), handle).map(|()| OK),
        Some(Err(Full)) => Err(Trap::new(TrapKind::Host, Failure::TooManyObjects as u32)),
        None => Ok(result),
    }
}

/// Closes a handle that is no instance's any more.
pub fn close(handle: u32) {
    // SAFETY: leaked by `open`, and on no list any more.
    drop(unsafe { Box::from_raw(handle as *mut Handle) });
    close_one();
}

/// One handle less is open; without any the storage's index goes.
fn close_one() {
    let unused = critical_section::with(|cs| {
        let mut state = STATE.borrow_ref_mut(cs);
        state.handles -= 1;
        if state.handles == 0 { state.store.take() } else { None }
    });
    drop(unused);
}

/// The value of the key that argument 1 names.
fn get<R>(call: &Call<'_, '_>) -> Result<R, EspErr>
where
    Store: Get<R>,
{
    let key = name(call, call.word(1), NVS_KEY_TOO_LONG).map_err(|_| INVALID_ARGUMENT)??;
    let mut value = None;
    let result = with_store(|store| match store.get(&handle(call).namespace, &key) {
        Ok(found) => {
            value = Some(found);
            OK
        }
        Err(error) => code(&error),
    });
    value.ok_or(result)
}

/// Stores a value under the key that argument 1 names.
fn set<R>(call: &Call<'_, '_>, value: R) -> Result<u64, Trap>
where
    Store: Set<R>,
{
    change(call, |store, namespace, key| store.set(namespace, key, value).map_or_else(|error| code(&error), |()| OK))
}

fn change(call: &Call<'_, '_>, action: impl FnOnce(&mut Store, &Key, &Key) -> EspErr) -> Result<u64, Trap> {
    let key = match name(call, call.word(1), NVS_KEY_TOO_LONG)? {
        Ok(key) => key,
        Err(error) => return Ok(error),
    };
    let handle = handle(call);
    Ok(if handle.writable { with_store(|store| action(store, &handle.namespace, &key)) } else { NVS_READ_ONLY })
}

/// Bytes of the module that are to be stored.
fn value_of(call: &Call<'_, '_>, address: u32, length: u32) -> Result<Result<Vec<u8>, EspErr>, Trap> {
    if length >= LONGEST {
        return Ok(Err(NVS_VALUE_TOO_LONG));
    }
    if kernel::heap::largest_free_block() < WORKING_MEMORY {
        return Ok(Err(NO_MEMORY));
    }
    let mut bytes = Vec::new();
    if bytes.try_reserve_exact(length as usize).is_err() {
        return Ok(Err(NO_MEMORY));
    }
    bytes.resize(length as usize, 0);
    call.vm.memory().read(address, &mut bytes)?;
    Ok(Ok(bytes))
}

/// `nvs_get_str` and `nvs_get_blob(handle, key, value, length)`: without a value only the length.
fn hand_out(call: &Call<'_, '_>, bytes: Result<Vec<u8>, EspErr>) -> Result<u64, Trap> {
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => return Ok(error),
    };
    let (value, length) = (call.word(2), call.word(3));
    let memory = call.vm.memory();
    let room = memory.read_word(length)?;
    memory.write_word(length, bytes.len() as u32)?;
    if value == 0 {
        return Ok(OK);
    }
    if (room as usize) < bytes.len() {
        return Ok(NVS_INVALID_LENGTH);
    }
    memory.write(value, &bytes).map(|()| OK)
}

fn erase_key(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    change(call, |store, namespace, key| {
        let wanted = (*namespace, *key);
        if !store.keys().any(|found| found == Ok(wanted)) {
            return NVS_NOT_FOUND;
        }
        store.delete(namespace, key).map_or_else(|error| code(&error), |()| OK)
    })
}

fn erase_all(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let handle = handle(call);
    if !handle.writable {
        return Ok(NVS_READ_ONLY);
    }
    Ok(with_store(|store| {
        loop {
            let next =
                store.keys().find_map(|found| found.ok().filter(|(namespace, _)| *namespace == handle.namespace));
            let Some((namespace, key)) = next else { return OK };
            if let Err(error) = store.delete(&namespace, &key) {
                return code(&error);
            }
        }
    }))
}
