//! Atomic operations on the module's memory, for hosts that offer them under libatomic's names (`__atomic_fetch_add_4` and so on).
//!
//! The chips have no instructions for them, so each is done inside [`crate::Host::critical`]. Never here: names or contracts.

use crate::host::HostCall;
use crate::trap::Trap;

/// What happens to the object at the first argument. The operand is the second argument where not said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Atomic {
    /// Gives the value; no operand.
    Load,
    /// Stores the operand and gives nothing.
    Store,
    /// Stores the operand and gives the old value.
    Exchange,
    /// Compares with the value at the second argument: if equal stores the third and gives 1, else stores what was found at the second
    /// argument and gives 0.
    CompareExchange,
    /// Adds and gives the old value; so do the others.
    FetchAdd,
    /// Subtracts.
    FetchSub,
    /// And.
    FetchAnd,
    /// Or.
    FetchOr,
    /// Exclusive or.
    FetchXor,
    /// And, then not.
    FetchNand,
}

/// Does the operation that a host call asks for, on an object of `width` bytes (1, 2, 4 or 8) at any address. The memory orders among the
/// arguments do not matter: every operation is sequentially consistent.
pub fn perform(call: &HostCall<'_>, operation: Atomic, width: u8) -> Result<u64, Trap> {
    let mut outcome = Ok(0);
    call.instance().host().critical(&mut || outcome = locked(call, operation, width.into()));
    outcome
}

fn locked(call: &HostCall<'_>, operation: Atomic, width: usize) -> Result<u64, Trap> {
    let memory = call.memory();
    let read = |address| {
        let mut bytes = [0; 8];
        memory.read(address, &mut bytes[..width.min(8)])?;
        Ok(u64::from_le_bytes(bytes))
    };
    let write = |address, value: u64| memory.write(address, &value.to_le_bytes()[..width.min(8)]);
    let operand = |slot| if width > 4 { call.double_word(slot) } else { call.word(slot).into() };
    let (object, value) = (call.word(0), operand(1));
    if operation == Atomic::Store {
        return write(object, value).map(|()| 0);
    }
    let old = read(object)?;
    let new = match operation {
        Atomic::Load | Atomic::Store => return Ok(old),
        Atomic::CompareExchange => {
            let expected = call.word(1);
            let equal = read(expected)? == old;
            let (into, value) = if equal { (object, operand(2)) } else { (expected, old) };
            return write(into, value).map(|()| equal.into());
        }
        Atomic::Exchange => value,
        Atomic::FetchAdd => old.wrapping_add(value),
        Atomic::FetchSub => old.wrapping_sub(value),
        Atomic::FetchAnd => old & value,
        Atomic::FetchOr => old | value,
        Atomic::FetchXor => old ^ value,
        Atomic::FetchNand => !(old & value),
    };
    write(object, new)?;
    Ok(old)
}

/// What happens to an object of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockAtomic {
    /// `(size, object, result)`: copies the object.
    Load,
    /// `(size, object, value)`: stores the value.
    Store,
    /// `(size, object, value, result)`: stores the value; the old one goes to the result.
    Exchange,
    /// `(size, object, expected, value)`: as [`Atomic::CompareExchange`].
    CompareExchange,
}

/// Largest object of any size: nothing else runs while it is copied, so it must be short.
pub const MAX_BLOCK: u32 = 256;

/// The same for the functions whose first argument is the object's size in bytes, at most [`MAX_BLOCK`]; the others are addresses.
pub fn perform_block(call: &HostCall<'_>, operation: BlockAtomic) -> Result<u64, Trap> {
    let memory = call.memory();
    let [size, object, second, third] = [0, 1, 2, 3].map(|slot| call.word(slot));
    if size > MAX_BLOCK {
        return Err(call.violation(0, size));
    }
    let mut outcome = Ok(0);
    let body = || {
        let mut equal = false;
        let (into, from) = match operation {
            BlockAtomic::Load => (second, object),
            BlockAtomic::Store => (object, second),
            BlockAtomic::Exchange => {
                memory.copy(third, object, size)?;
                (object, second)
            }
            BlockAtomic::CompareExchange => {
                equal = (0..size).try_fold(true, |equal, at| {
                    let (mut found, mut expected) = ([0], [0]);
                    memory.read(object.wrapping_add(at), &mut found)?;
                    memory.read(second.wrapping_add(at), &mut expected)?;
                    Ok(equal && found == expected)
                })?;
                if equal { (object, third) } else { (second, object) }
            }
        };
        memory.copy(into, from, size).map(|()| equal.into())
    };
    call.instance().host().critical(&mut || outcome = body());
    outcome
}
