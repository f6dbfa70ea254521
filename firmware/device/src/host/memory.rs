//! The mem… functions of <string.h>.

use espb_vm::{Memory, Trap};

use super::{Call, Registration, own};

pub const TABLE: &[Registration] = &[
    own("memcpy", copy),
    own("memmove", copy),
    own("mempcpy", |call| {
        copy(call)?;
        Ok(call.word(0).wrapping_add(call.word(2)).into())
    }),
    own("memset", |call| {
        call.vm.memory().fill(call.word(0), call.word(1) as u8, call.word(2))?;
        Ok(call.word(0).into())
    }),
    own("bzero", |call| call.vm.memory().fill(call.word(0), 0, call.word(1)).map(|()| 0)),
    own("memcmp", compare),
    own("bcmp", compare),
    own("memchr", |call| find(call, 0..call.word(2))),
    own("memrchr", |call| find(call, (0..call.word(2)).rev())),
];

/// The byte at an address of the module.
pub fn byte(memory: Memory<'_>, address: u32) -> Result<u8, Trap> {
    let mut byte = [0];
    memory.read(address, &mut byte)?;
    Ok(byte[0])
}

fn copy(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    call.vm.memory().copy(call.word(0), call.word(1), call.word(2))?;
    Ok(call.word(0).into())
}

fn compare(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let memory = call.vm.memory();
    for at in 0..call.word(2) {
        let left = byte(memory, call.word(0).wrapping_add(at))?;
        let right = byte(memory, call.word(1).wrapping_add(at))?;
        if left != right {
            return Ok(difference(left, right));
        }
    }
    Ok(0)
}

/// An `int` below, at or above 0 as `left` is below, at or above `right`.
pub fn difference(left: u8, right: u8) -> u64 {
    (i32::from(left) - i32::from(right)) as u32 as u64
}

/// The first of these offsets at which the byte is.
fn find(call: &Call<'_, '_>, offsets: impl Iterator<Item = u32>) -> Result<u64, Trap> {
    for at in offsets {
        let address = call.word(0).wrapping_add(at);
        if byte(call.vm.memory(), address)? == call.word(1) as u8 {
            return Ok(address.into());
        }
    }
    Ok(0)
}
