//! <stdlib.h>: the module's own heap, numbers from text, random numbers, sorting, and the ends of a program.

use core::{cell::Cell, fmt::Write};

use critical_section::Mutex;
use espb_vm::{Trap, TrapKind};

use super::{
    Call, Registration,
    memory::byte,
    own, stdio,
    string::{is_space, length_within},
};
use crate::console;

pub const TABLE: &[Registration] = &[
    own("malloc", |call| allocate(call, call.word(0))),
    own("pvPortMalloc", |call| allocate(call, call.word(0))),
    own("calloc", allocate_zeroed),
    own("pvPortCalloc", allocate_zeroed),
    own("realloc", reallocate),
    own("heap_caps_malloc", |call| allocate(call, call.word(0))),
    own("heap_caps_calloc", allocate_zeroed),
    own("heap_caps_realloc", reallocate),
    own("heap_caps_free", |call| call.running.instance().release(call.word(0)).map(|()| 0)),
    own("strdup", |call| duplicate(call, u32::MAX)),
    own("strndup", |call| duplicate(call, call.word(1))),
    own("free", |call| call.running.instance().release(call.word(0)).map(|()| 0)),
    own("vPortFree", |call| call.running.instance().release(call.word(0)).map(|()| 0)),
    own("exit", |call| Err(Trap::exit(call.word(0) as i32))),
    own("_exit", |call| Err(Trap::exit(call.word(0) as i32))),
    own("abort", |_| Err(Trap::new(TrapKind::Abort, 0))),
    own("__assert_func", assertion_failed),
    own("abs", |call| Ok((call.word(0) as i32).wrapping_abs() as u32 as u64)),
    own("labs", |call| Ok((call.word(0) as i32).wrapping_abs() as u32 as u64)),
    own("llabs", |call| Ok((call.vm.double_word(0) as i64).wrapping_abs() as u64)),
    own("atoi", |call| Ok(parse(call, 10)?.signed(LONG).into())),
    own("atol", |call| Ok(parse(call, 10)?.signed(LONG).into())),
    own("atoll", |call| Ok(parse(call, 10)?.signed(LONG_LONG).into())),
    own("strtol", |call| Ok(convert(call)?.signed(LONG).into())),
    own("strtoul", |call| Ok(convert(call)?.unsigned(u32::MAX.into()) as u32 as u64)),
    own("strtoll", |call| Ok(convert(call)?.signed(LONG_LONG).into())),
    own("strtoull", |call| Ok(convert(call)?.unsigned(u64::MAX))),
    own("rand", |call| Ok(call.running.seed().next().into())),
    own("srand", |call| {
        call.running.seed().set(call.word(0));
        Ok(0)
    }),
    own("random", |call| Ok(call.running.seed().next().into())),
    own("srandom", |call| {
        call.running.seed().set(call.word(0));
        Ok(0)
    }),
    own("rand_r", |call| {
        let memory = call.vm.memory();
        let (state, number) = advance(memory.read_word(call.word(0))?.into());
        // Its upper half is what a word of state keeps.
        memory.write_word(call.word(0), (state >> 32) as u32)?;
        Ok(number.into())
    }),
    own("qsort", sort),
    own("bsearch", search),
];

const NULL: u32 = 0;
/// Magnitudes of the largest `long` and `long long`.
const LONG: u64 = i32::MAX as u64;
const LONG_LONG: u64 = i64::MAX as u64;

fn allocate(call: &Call<'_, '_>, size: u32) -> Result<u64, Trap> {
    Ok(call.running.instance().allocate(size).unwrap_or(NULL).into())
}

fn allocate_zeroed(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    Ok(call.running.instance().allocate_zeroed(call.word(0), call.word(1)).unwrap_or(NULL).into())
}

fn reallocate(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    Ok(call.running.instance().reallocate(call.word(0), call.word(1))?.unwrap_or(NULL).into())
}

/// A copy of the string, or of so many bytes of it, in new memory.
fn duplicate(call: &Call<'_, '_>, limit: u32) -> Result<u64, Trap> {
    let memory = call.vm.memory();
    let length = length_within(memory, call.word(0), limit)?;
    let copy = length.checked_add(1).and_then(|size| call.running.instance().allocate(size));
    let Some(copy) = copy else { return Ok(NULL.into()) };
    memory.copy(copy, call.word(0), length)?;
    memory.fill(copy.wrapping_add(length), 0, 1)?;
    Ok(copy.into())
}

/// `__assert_func(file, line, function, expression)`: says what failed, as ESP-IDF does, and ends the module.
fn assertion_failed(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let mut line = heapless::String::<16>::new();
    // Ten digits fit.
    let _ = write!(line, ":{} (", call.word(1));
    console::transaction(|output| {
        output.text(b"assert failed: ");
        if call.word(2) != NULL {
            stdio::copy_string(call.vm, call.word(2), output)?;
            output.text(b" ");
        }
        stdio::copy_string(call.vm, call.word(0), output)?;
        output.text(line.as_bytes());
        stdio::copy_string(call.vm, call.word(3), output)?;
        output.text(b")\n");
        Err(Trap::new(TrapKind::Abort, 0))
    })
}

/// A number found in text: sign, magnitude (saturated) and where it ends.
struct Number {
    negative: bool,
    magnitude: u64,
    end: u32,
}

impl Number {
    /// The value, held within ±`most` (one more below zero), in two's complement.
    fn signed(&self, most: u64) -> SignedBits {
        let value = if self.negative {
            (self.magnitude.min(most + 1) as i64).wrapping_neg()
        } else {
            self.magnitude.min(most) as i64
        };
        SignedBits(value, most)
    }

    fn unsigned(&self, most: u64) -> u64 {
        match (self.magnitude > most, self.negative) {
            (true, _) => most,
            (_, true) => self.magnitude.wrapping_neg(),
            _ => self.magnitude,
        }
    }
}

/// A signed value as result words.
struct SignedBits(i64, u64);

impl From<SignedBits> for u64 {
    fn from(SignedBits(value, most): SignedBits) -> Self {
        if most == LONG { u64::from(value as u32) } else { value as u64 }
    }
}

fn parse(call: &Call<'_, '_>, base: u32) -> Result<Number, Trap> {
    let memory = call.vm.memory();
    let start = call.word(0);
    let mut at = start;
    while is_space(byte(memory, at)?) {
        at = at.wrapping_add(1);
    }
    let sign = byte(memory, at)?;
    if matches!(sign, b'+' | b'-') {
        at = at.wrapping_add(1);
    }
    let prefixed = byte(memory, at)? == b'0'
        && byte(memory, at.wrapping_add(1))?.eq_ignore_ascii_case(&b'x')
        && byte(memory, at.wrapping_add(2))?.is_ascii_hexdigit();
    let base = match base {
        0 | 16 if prefixed => {
            at = at.wrapping_add(2);
            16
        }
        0 if byte(memory, at)? == b'0' => 8,
        0 => 10,
        base => base,
    };
    let mut number = Number { negative: sign == b'-', magnitude: 0, end: start };
    if !(2..=36).contains(&base) {
        return Ok(number);
    }
    while let Some(digit) = char::from(byte(memory, at)?).to_digit(base) {
        number.magnitude = number.magnitude.saturating_mul(base.into()).saturating_add(digit.into());
        at = at.wrapping_add(1);
        number.end = at;
    }
    Ok(number)
}

/// `strto…(text, end, base)`: also stores where the number ends.
fn convert(call: &Call<'_, '_>) -> Result<Number, Trap> {
    let number = parse(call, call.word(2))?;
    if call.word(1) != NULL {
        call.vm.memory().write_word(call.word(1), number.end)?;
    }
    Ok(number)
}

/// State of an instance's `rand`; the same sequence for the same seed on every chip.
pub struct Seed(Mutex<Cell<u64>>);

impl Seed {
    /// As if by `srand(1)`.
    pub const fn new() -> Self {
        Self(Mutex::new(Cell::new(1)))
    }

    fn set(&self, seed: u32) {
        critical_section::with(|cs| self.0.borrow(cs).set(seed.into()));
    }

    /// The next number, 0..=2³¹−1.
    fn next(&self) -> u32 {
        critical_section::with(|cs| {
            let seed = self.0.borrow(cs);
            let (next, number) = advance(seed.get());
            seed.set(next);
            number
        })
    }
}

/// The state behind this one, and its number: a linear congruential generator modulo 2⁶⁴ (multiplier and increment from Knuth's MMIX), of
/// which the upper bits count, 0..=2³¹−1.
fn advance(state: u64) -> (u64, u32) {
    let next = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (next, (next >> 33) as u32)
}

/// `bsearch(key, base, count, size, compare)`.
fn search(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let [key, base, count, size] = [0, 1, 2, 3].map(|slot| call.word(slot));
    let callback =
        call.running.instance().thunks().index(call.word(4)).ok_or_else(|| call.vm.violation(4, call.word(4)))?;
    let context = call.vm.context();
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        // Within the array, which lies in memory.
        let place = base + middle * size;
        match context.call_callback(callback, &[key, place])? as u32 as i32 {
            0 => return Ok(place.into()),
            order if order < 0 => high = middle,
            _ => low = middle + 1,
        }
    }
    Ok(NULL.into())
}

/// `qsort(base, count, size, compare)`: heap sort, which needs no memory and no recursion.
fn sort(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let [base, count, size] = [0, 1, 2].map(|slot| call.word(slot));
    let callback =
        call.running.instance().thunks().index(call.word(3)).ok_or_else(|| call.vm.violation(3, call.word(3)))?;
    let memory = call.vm.memory();
    let context = call.vm.context();
    // Products stay within the array, which lies in memory.
    let at = |index: u32| base + index * size;
    let less = |left: u32, right: u32| {
        context.call_callback(callback, &[at(left), at(right)]).map(|order| (order as u32 as i32) < 0)
    };
    let swap = |left: u32, right: u32| {
        for offset in 0..size {
            let (one, other) = (byte(memory, at(left) + offset)?, byte(memory, at(right) + offset)?);
            memory.write(at(left) + offset, &[other])?;
            memory.write(at(right) + offset, &[one])?;
        }
        Ok::<(), Trap>(())
    };
    let sink = |mut root: u32, end: u32| {
        loop {
            let mut child = 2 * root + 1;
            if child >= end {
                return Ok::<(), Trap>(());
            }
            if child + 1 < end && less(child, child + 1)? {
                child += 1;
            }
            if !less(root, child)? {
                return Ok(());
            }
            swap(root, child)?;
            root = child;
        }
    };
    if size > 0 {
        for root in (0..count / 2).rev() {
            sink(root, count)?;
        }
        for end in (1..count).rev() {
            swap(0, end)?;
            sink(0, end)?;
        }
    }
    Ok(0)
}
