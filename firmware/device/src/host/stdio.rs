//! The part of <stdio.h> that writes: to the console, or to strings. The language of formats is in `format`.

use espb_vm::{HostCall, Memory, Trap};

use super::{
    Call, Registration,
    conversion::Arguments,
    format::{Sink, format},
    go_on, own,
    stdin::streams,
};
use crate::console;

pub const TABLE: &[Registration] = &[
    own("printf", |call| print(call, |call| Arguments::after(call.vm, 1))),
    own("vprintf", |call| print(call, |call| list(call, 1))),
    own("puts", puts),
    own("putchar", putchar),
    own("snprintf", |call| bounded(call, |call| Arguments::after(call.vm, 3))),
    own("vsnprintf", |call| bounded(call, |call| list(call, 3))),
    own("fprintf", |call| {
        if call.word(0) == streams::INPUT {
            Ok(END_OF_FILE)
        } else {
            print_formatted(call, call.word(1), Arguments::after(call.vm, 2))
        }
    }),
    own("vfprintf", |call| {
        if call.word(0) == streams::INPUT {
            Ok(END_OF_FILE)
        } else {
            print_formatted(call, call.word(1), list(call, 2))
        }
    }),
    own("fputs", |call| {
        if call.word(1) == streams::INPUT {
            return Ok(END_OF_FILE);
        }
        console::transaction(|output| copy_string(call.vm, call.word(0), output)).map(|()| DONE)
    }),
    own("fputc", put_character),
    own("putc", put_character),
    own("fwrite", write_blocks),
    // Each call sends what it prints.
    own("fflush", |_| Ok(DONE)),
    own("sprintf", |call| unbounded(call, |call| Arguments::after(call.vm, 2))),
    own("vsprintf", |call| unbounded(call, |call| list(call, 2))),
];

/// Result of putchar and puts for an error, and of printf; none of ours fails.
const DONE: u64 = 0;
/// `EOF`.
pub const END_OF_FILE: u64 = -1_i32 as u32 as u64;

fn list<'c, 'a>(call: &'c Call<'_, 'a>, slot: usize) -> Arguments<'c, 'a> {
    Arguments::list(call.vm, slot)
}

impl Sink for console::Output {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Trap> {
        self.text(bytes);
        Ok(())
    }
}

/// Formats to the console; the whole text stands together.
pub fn print_formatted(call: &Call<'_, '_>, text: u32, mut arguments: Arguments<'_, '_>) -> Result<u64, Trap> {
    console::transaction(|output| format(call.vm.memory(), text, &mut arguments, output)).map(u64::from)
}

fn print<'a>(
    call: &mut Call<'_, 'a>,
    arguments: impl for<'c> FnOnce(&'c Call<'_, 'a>) -> Arguments<'c, 'a>,
) -> Result<u64, Trap> {
    print_formatted(call, call.word(0), arguments(call))
}

fn puts(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    console::transaction(|output| {
        copy_string(call.vm, call.word(0), output)?;
        output.text(b"\n");
        Ok(DONE)
    })
}

/// Sends a string of the module.
pub fn copy_string(call: &HostCall<'_>, text: u32, output: &mut console::Output) -> Result<(), Trap> {
    copy_bytes(call, text, call.memory().string_length(text)?, output)
}

/// Sends bytes of the module.
pub fn copy_bytes(call: &HostCall<'_>, data: u32, length: u32, output: &mut console::Output) -> Result<(), Trap> {
    let memory = call.memory();
    let mut chunk = [0; 32];
    let mut done = 0;
    while done < length {
        go_on(call.instance())?;
        let now = (length - done).min(chunk.len() as u32);
        let part = chunk.get_mut(..now as usize).unwrap_or_default();
        memory.read(data.wrapping_add(done), part)?;
        output.text(part);
        done += now;
    }
    Ok(())
}

/// `fputc(character, stream)`.
fn put_character(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    if call.word(1) == streams::INPUT { Ok(END_OF_FILE) } else { putchar(call) }
}

/// `fwrite(data, size, count, stream)`.
fn write_blocks(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let (data, size, count) = (call.word(0), call.word(1), call.word(2));
    if call.word(3) == streams::INPUT {
        return Ok(0);
    }
    // The contract has seen that the product is one.
    console::transaction(|output| copy_bytes(call.vm, data, size.wrapping_mul(count), output)).map(|()| count.into())
}

fn putchar(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let byte = call.word(0) as u8;
    console::transaction(|output| output.text(&[byte]));
    Ok(byte.into())
}

/// A string in the module's memory: as much as fits is written, all is counted.
struct Buffer<'a> {
    memory: Memory<'a>,
    next: u32,
    left: u32,
}

impl Sink for Buffer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Trap> {
        let now = (bytes.len() as u32).min(self.left);
        self.memory.write(self.next, bytes.get(..now as usize).unwrap_or_default())?;
        self.next = self.next.wrapping_add(now);
        self.left -= now;
        Ok(())
    }
}

fn to_memory(call: &Call<'_, '_>, size: u32, text: u32, mut arguments: Arguments<'_, '_>) -> Result<u64, Trap> {
    let memory = call.vm.memory();
    let Some(left) = size.checked_sub(1) else {
        return format(memory, text, &mut arguments, &mut Nowhere).map(u64::from);
    };
    let mut buffer = Buffer { memory, next: call.word(0), left };
    let count = format(memory, text, &mut arguments, &mut buffer)?;
    memory.write(buffer.next, &[0])?;
    Ok(count.into())
}

/// For snprintf of size 0, which only counts.
struct Nowhere;

impl Sink for Nowhere {
    fn put(&mut self, _: &[u8]) -> Result<(), Trap> {
        Ok(())
    }
}

fn bounded<'a>(
    call: &mut Call<'_, 'a>,
    arguments: impl for<'c> FnOnce(&'c Call<'_, 'a>) -> Arguments<'c, 'a>,
) -> Result<u64, Trap> {
    to_memory(call, call.word(1), call.word(2), arguments(call))
}

fn unbounded<'a>(
    call: &mut Call<'_, 'a>,
    arguments: impl for<'c> FnOnce(&'c Call<'_, 'a>) -> Arguments<'c, 'a>,
) -> Result<u64, Trap> {
    to_memory(call, u32::MAX, call.word(1), arguments(call))
}
