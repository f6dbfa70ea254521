//! The str… functions of <string.h>, and <ctype.h>. Every byte goes through the module's checked memory, so a string that loses its
//! end to another task is a trap, never a read past the module.

use espb_vm::{Memory, Trap};

use super::{
    Call, Registration, go_on,
    memory::{byte, difference},
    own,
};

pub const TABLE: &[Registration] = &[
    own("strlen", |call| call.vm.memory().string_length(call.word(0)).map(u64::from)),
    own("strnlen", |call| length_within(call.vm.memory(), call.word(0), call.word(1)).map(u64::from)),
    own("strcmp", |call| compare(call, u32::MAX, |byte| byte)),
    // There is one locale, in which characters are in the order of their codes.
    own("strcoll", |call| compare(call, u32::MAX, |byte| byte)),
    own("strncmp", |call| compare(call, call.word(2), |byte| byte)),
    own("strcasecmp", |call| compare(call, u32::MAX, |byte| byte.to_ascii_lowercase())),
    own("strncasecmp", |call| compare(call, call.word(2), |byte| byte.to_ascii_lowercase())),
    own("strcpy", |call| {
        copy(call.vm.memory(), call.word(0), call.word(1))?;
        Ok(call.word(0).into())
    }),
    own("stpcpy", |call| copy(call.vm.memory(), call.word(0), call.word(1)).map(u64::from)),
    own("strncpy", copy_padded),
    own("strcat", |call| {
        let memory = call.vm.memory();
        let end = call.word(0).wrapping_add(memory.string_length(call.word(0))?);
        copy(memory, end, call.word(1))?;
        Ok(call.word(0).into())
    }),
    own("strncat", append_limited),
    own("strlcpy", |call| {
        let length = call.vm.memory().string_length(call.word(1))?;
        copy_cut(call, call.word(0), call.word(2), length)
    }),
    own("strlcat", |call| {
        let (to, room) = (call.word(0), call.word(2));
        let before = length_within(call.vm.memory(), to, room)?;
        let length = call.vm.memory().string_length(call.word(1))?;
        copy_cut(call, to.wrapping_add(before), room - before, length).map(|_| u64::from(before) + u64::from(length))
    }),
    own("strtok_r", split),
    own("strchr", |call| find(call, false)),
    own("strrchr", |call| find(call, true)),
    own("strstr", |call| find_string(call, |byte| byte)),
    own("strcasestr", |call| find_string(call, |byte| byte.to_ascii_lowercase())),
    own("strspn", |call| span(call, call.word(0), true).map(u64::from)),
    own("strcspn", |call| span(call, call.word(0), false).map(u64::from)),
    own("strpbrk", |call| {
        let found = call.word(0).wrapping_add(span(call, call.word(0), false)?);
        Ok(if byte(call.vm.memory(), found)? == 0 { 0 } else { found.into() })
    }),
    own("isalnum", |call| class(call, |byte| byte.is_ascii_alphanumeric())),
    own("isalpha", |call| class(call, |byte| byte.is_ascii_alphabetic())),
    own("isblank", |call| class(call, |byte| byte == b' ' || byte == b'\t')),
    own("iscntrl", |call| class(call, |byte| byte.is_ascii_control())),
    own("isdigit", |call| class(call, |byte| byte.is_ascii_digit())),
    own("isgraph", |call| class(call, |byte| byte.is_ascii_graphic())),
    own("islower", |call| class(call, |byte| byte.is_ascii_lowercase())),
    own("isprint", |call| class(call, |byte| byte.is_ascii_graphic() || byte == b' ')),
    own("ispunct", |call| class(call, |byte| byte.is_ascii_punctuation())),
    own("isspace", |call| class(call, is_space)),
    own("isupper", |call| class(call, |byte| byte.is_ascii_uppercase())),
    own("isxdigit", |call| class(call, |byte| byte.is_ascii_hexdigit())),
    own("tolower", |call| map(call, |byte| byte.to_ascii_lowercase())),
    own("toupper", |call| map(call, |byte| byte.to_ascii_uppercase())),
];

/// White space as in the C locale.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn class(call: &Call<'_, '_>, is_in: impl Fn(u8) -> bool) -> Result<u64, Trap> {
    Ok(u8::try_from(call.word(0)).is_ok_and(is_in).into())
}

fn map(call: &Call<'_, '_>, to: impl Fn(u8) -> u8) -> Result<u64, Trap> {
    Ok(u8::try_from(call.word(0)).map_or(call.word(0), |byte| to(byte).into()).into())
}

/// Length of a string, or the limit if it is not shorter.
pub fn length_within(memory: Memory<'_>, address: u32, limit: u32) -> Result<u32, Trap> {
    for at in 0..limit {
        if byte(memory, address.wrapping_add(at))? == 0 {
            return Ok(at);
        }
    }
    Ok(limit)
}

fn compare(call: &Call<'_, '_>, limit: u32, key: impl Fn(u8) -> u8) -> Result<u64, Trap> {
    let memory = call.vm.memory();
    for at in 0..limit {
        let left = key(byte(memory, call.word(0).wrapping_add(at))?);
        let right = key(byte(memory, call.word(1).wrapping_add(at))?);
        if left != right || left == 0 {
            return Ok(difference(left, right));
        }
    }
    Ok(0)
}

/// Copies a string with its NUL; answers the NUL's address.
fn copy(memory: Memory<'_>, to: u32, from: u32) -> Result<u32, Trap> {
    let length = memory.string_length(from)?;
    memory.copy(to, from, length + 1)?;
    Ok(to.wrapping_add(length))
}

fn copy_padded(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let (memory, to, limit) = (call.vm.memory(), call.word(0), call.word(2));
    let length = length_within(memory, call.word(1), limit)?;
    memory.copy(to, call.word(1), length)?;
    memory.fill(to.wrapping_add(length), 0, limit - length)?;
    Ok(to.into())
}

/// Copies as much of the string of argument 1, which is so long, as there is room for with a NUL; answers its length.
fn copy_cut(call: &Call<'_, '_>, to: u32, room: u32, length: u32) -> Result<u64, Trap> {
    if let Some(most) = room.checked_sub(1) {
        let copied = length.min(most);
        call.vm.memory().copy(to, call.word(1), copied)?;
        call.vm.memory().fill(to.wrapping_add(copied), 0, 1)?;
    }
    Ok(length.into())
}

/// `strtok_r(text, set, state)`: the next part of the text, or of what the state says is left.
fn split(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let (memory, state) = (call.vm.memory(), call.word(2));
    let rest = if call.word(0) != 0 { call.word(0) } else { memory.read_word(state)? };
    if rest == 0 {
        return Ok(0);
    }
    let start = rest.wrapping_add(span(call, rest, true)?);
    let end = start.wrapping_add(span(call, start, false)?);
    if start == end {
        return memory.write_word(state, 0).map(|()| 0);
    }
    let is_last = byte(memory, end)? == 0;
    if !is_last {
        memory.fill(end, 0, 1)?;
    }
    memory.write_word(state, if is_last { 0 } else { end.wrapping_add(1) }).map(|()| start.into())
}

fn append_limited(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let memory = call.vm.memory();
    let end = call.word(0).wrapping_add(memory.string_length(call.word(0))?);
    let length = length_within(memory, call.word(1), call.word(2))?;
    memory.copy(end, call.word(1), length)?;
    memory.fill(end.wrapping_add(length), 0, 1)?;
    Ok(call.word(0).into())
}

fn find(call: &Call<'_, '_>, last: bool) -> Result<u64, Trap> {
    let wanted = call.word(1) as u8;
    let mut found = 0;
    let mut address = call.word(0);
    loop {
        let here = byte(call.vm.memory(), address)?;
        if here == wanted {
            found = address;
            if !last {
                return Ok(found.into());
            }
        }
        if here == 0 {
            return Ok(found.into());
        }
        address = address.wrapping_add(1);
    }
}

fn find_string(call: &Call<'_, '_>, key: impl Fn(u8) -> u8) -> Result<u64, Trap> {
    let memory = call.vm.memory();
    let (length, part) = (memory.string_length(call.word(0))?, memory.string_length(call.word(1))?);
    for start in 0..=length.saturating_sub(part) {
        go_on(call.vm.instance())?;
        let mut at = 0;
        while at < part
            && key(byte(memory, call.word(0).wrapping_add(start + at))?)
                == key(byte(memory, call.word(1).wrapping_add(at))?)
        {
            at += 1;
        }
        if at == part && start + part <= length {
            return Ok(call.word(0).wrapping_add(start).into());
        }
    }
    Ok(0)
}

/// Bytes from this address on that are all in the set that argument 1 is, or all not.
fn span(call: &Call<'_, '_>, start: u32, inside: bool) -> Result<u32, Trap> {
    let memory = call.vm.memory();
    let mut count = 0;
    loop {
        go_on(call.vm.instance())?;
        let here = byte(memory, start.wrapping_add(count))?;
        let mut found = false;
        let mut set = call.word(1);
        while !found {
            match byte(memory, set)? {
                0 => break,
                member => found = member == here,
            }
            set = set.wrapping_add(1);
        }
        if here == 0 || found != inside {
            return Ok(count);
        }
        count += 1;
    }
}
