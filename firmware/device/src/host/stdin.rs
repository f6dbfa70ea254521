//! The part of <stdio.h> that reads: what is typed on the console. Lines end with a line feed, whatever the terminal sends;
//! control-D ends the input, for once. There are no other streams than the three that every program has.

use core::sync::atomic::{AtomicBool, Ordering};

use espb_vm::{Trap, TrapKind};

use super::{Call, Registration, go_on, own, stdio::END_OF_FILE};
use crate::{input, kernel::ffi};

/// The streams that every program has, as modules know them.
pub mod streams {
    /// `stdin`.
    pub const INPUT: u32 = 1;
    /// `stdout`.
    pub const OUTPUT: u32 = 2;
    /// `stderr`.
    pub const ERRORS: u32 = 3;

    /// Whether this is one of them.
    pub fn is_standard(stream: u32) -> bool {
        matches!(stream, INPUT | OUTPUT | ERRORS)
    }
}

pub const TABLE: &[Registration] = &[
    own("getchar", |call| get_character(call, streams::INPUT)),
    own("fgetc", |call| get_character(call, call.word(0))),
    own("getc", |call| get_character(call, call.word(0))),
    own("fgets", get_line),
    own("fread", read_blocks),
    own("feof", |call| Ok((call.word(0) == streams::INPUT && ended(call).load(Ordering::Relaxed)).into())),
    // Reading and writing the console does not fail.
    own("ferror", |_| Ok(0)),
    own("clearerr", |call| {
        ended(call).store(false, Ordering::Relaxed);
        Ok(0)
    }),
    own("__getreent", |_| Ok((&raw const REENTRANCY).addr() as u64)),
];

/// The beginning of newlib's `struct _reent`, which its headers read the streams from: the old `errno`, then the streams.
static REENTRANCY: [u32; 4] = [0, streams::INPUT, streams::OUTPUT, streams::ERRORS];

/// What a terminal sends at the end of a line, and for the end of the input.
const CARRIAGE_RETURN: u8 = b'\r';
const END_OF_TRANSMISSION: u8 = 4;

/// The last byte was a carriage return, so that a line feed behind it ends no other line.
static IS_BEHIND_RETURN: AtomicBool = AtomicBool::new(false);

/// Whether the instance's reading has met the end.
fn ended<'c>(call: &'c Call<'_, '_>) -> &'c AtomicBool {
    call.running.input_ended()
}

/// The next character, for which it waits; `None` at the end.
fn next(call: &Call<'_, '_>) -> Result<Option<u8>, Trap> {
    loop {
        let mut byte = [0];
        go_on(call.vm.instance())?;
        if input::read(&mut byte, ffi::PORT_MAX_DELAY) == 0 {
            continue;
        }
        let [byte] = byte;
        let was_return = IS_BEHIND_RETURN.load(Ordering::Relaxed);
        IS_BEHIND_RETURN.store(byte == CARRIAGE_RETURN, Ordering::Relaxed);
        return Ok(match byte {
            b'\n' if was_return => continue,
            CARRIAGE_RETURN => Some(b'\n'),
            END_OF_TRANSMISSION => {
                ended(call).store(true, Ordering::Relaxed);
                None
            }
            other => Some(other),
        });
    }
}

/// Runs `body` while no other task reads.
fn alone<R>(body: impl FnOnce() -> Result<R, Trap>) -> Result<R, Trap> {
    // Patience without end has no other outcome.
    input::by_one_task(ffi::PORT_MAX_DELAY, body).unwrap_or(Err(Trap::new(TrapKind::Stopped, 0)))
}

fn get_character(call: &Call<'_, '_>, stream: u32) -> Result<u64, Trap> {
    if stream != streams::INPUT {
        return Ok(END_OF_FILE);
    }
    Ok(alone(|| next(call))?.map_or(END_OF_FILE, u64::from))
}

/// `fgets(text, length, stream)`.
fn get_line(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let (text, length) = (call.word(0), call.word(1));
    let Some(room) = length.checked_sub(1).filter(|_| (length as i32) > 0 && call.word(2) == streams::INPUT) else {
        return Ok(0);
    };
    let memory = call.vm.memory();
    alone(|| {
        let mut count = 0;
        while count < room {
            let Some(character) = next(call)? else { break };
            memory.write(text.wrapping_add(count), &[character])?;
            count += 1;
            if character == b'\n' {
                break;
            }
        }
        if count == 0 && room > 0 {
            return Ok(0);
        }
        memory.write(text.wrapping_add(count), &[0]).map(|()| text.into())
    })
}

/// `fread(data, size, count, stream)`.
fn read_blocks(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let (data, size, count) = (call.word(0), call.word(1), call.word(2));
    // The contract has seen that the product is one.
    let length = size.wrapping_mul(count);
    if call.word(3) != streams::INPUT || length == 0 {
        return Ok(0);
    }
    let read = alone(|| {
        let mut read = 0;
        while read < length {
            let Some(character) = next(call)? else { break };
            call.vm.memory().write(data.wrapping_add(read), &[character])?;
            read += 1;
        }
        Ok(read)
    })?;
    Ok((read / size).into())
}
