//! Floating-point numbers from text (strtod and its kin) and in parts (frexp, modf). Digits are collected here; the value is
//! correctly rounded by core's own conversion.

use core::fmt::Write;

use espb_vm::{Memory, Trap};

use super::{Call, Registration, memory::byte, own, string::is_space};

pub const TABLE: &[Registration] = &[
    own("strtod", |call| convert(call, |text| text.parse().unwrap_or(0.0)).map(f64::to_bits)),
    own("strtof", |call| convert::<f32>(call, |text| text.parse().unwrap_or(0.0)).map(|value| value.to_bits().into())),
    own("atof", |call| {
        scan(call.vm.memory(), call.word(0), |text| text.parse().unwrap_or(0.0)).map(|(value, _)| f64::to_bits(value))
    }),
    own("frexp", |call| {
        let (fraction, exponent) = libm::frexp(f64::from_bits(call.vm.double_word(0)));
        call.vm.memory().write_word(call.word(2), exponent as u32)?;
        Ok(fraction.to_bits())
    }),
    own("modf", |call| {
        let (fraction, whole) = libm::modf(f64::from_bits(call.vm.double_word(0)));
        call.vm.memory().write(call.word(2), &whole.to_bits().to_le_bytes())?;
        Ok(fraction.to_bits())
    }),
];

/// Significant digits that are kept; of further ones it matters only whether one is not zero. No double lies so close to the
/// middle of two others that more than this and one bit decide.
const DIGITS: usize = 100;
const NULL: u32 = 0;
/// Exponents beyond this are infinity or zero whatever the digits, of which there is less than an address space.
const MOST_EXPONENT: i64 = 1 << 33;

/// What the text conversions of core make.
trait Real: core::ops::Neg<Output = Self> + Copy {
    const INFINITY: Self;
    const NAN: Self;
    /// `mantissa × 2^exponent`; the mantissa's last bit stands for everything below it.
    fn scaled(mantissa: u64, exponent: i32) -> Self;
}

impl Real for f64 {
    const INFINITY: Self = f64::INFINITY;
    const NAN: Self = f64::NAN;
    fn scaled(mantissa: u64, exponent: i32) -> Self {
        libm::scalbn(mantissa as f64, exponent)
    }
}

impl Real for f32 {
    const INFINITY: Self = f32::INFINITY;
    const NAN: Self = f32::NAN;
    fn scaled(mantissa: u64, exponent: i32) -> Self {
        libm::scalbnf(mantissa as f32, exponent)
    }
}

/// `strto…(text, end)`: the value; stores where the number ends.
fn convert<T: Real>(call: &Call<'_, '_>, parse: impl Fn(&str) -> T) -> Result<T, Trap> {
    let (value, end) = scan(call.vm.memory(), call.word(0), parse)?;
    if call.word(1) != NULL {
        call.vm.memory().write_word(call.word(1), end)?;
    }
    Ok(value)
}

/// The number at an address, and where it ends: there itself, with the value 0, if there is none.
fn scan<T: Real>(memory: Memory<'_>, start: u32, parse: impl Fn(&str) -> T) -> Result<(T, u32), Trap> {
    let mut at = start;
    while is_space(byte(memory, at)?) {
        at = at.wrapping_add(1);
    }
    let sign = byte(memory, at)?;
    if matches!(sign, b'+' | b'-') {
        at = at.wrapping_add(1);
    }
    let (value, end) = if let Some(end) = word(memory, at, b"infinity")?.or(word(memory, at, b"inf")?) {
        (T::INFINITY, end)
    } else if let Some(end) = word(memory, at, b"nan")? {
        (T::NAN, end)
    } else {
        let hexadecimal = match word(memory, at, b"0x")? {
            Some(digits) => Digits::read(memory, digits, 16)?,
            None => None,
        };
        let digits = match hexadecimal {
            Some(digits) => Some(digits),
            None => Digits::read(memory, at, 10)?,
        };
        match digits {
            Some(digits) => (digits.value(&parse), digits.end),
            None => return Ok((parse("0"), start)),
        }
    };
    Ok((if sign == b'-' { -value } else { value }, end))
}

/// Where a word ends that stands at an address, in letters of any case.
fn word(memory: Memory<'_>, start: u32, letters: &[u8]) -> Result<Option<u32>, Trap> {
    let mut at = start;
    for letter in letters {
        if !byte(memory, at)?.eq_ignore_ascii_case(letter) {
            return Ok(None);
        }
        at = at.wrapping_add(1);
    }
    Ok(Some(at))
}

/// A number's digits: an integer times a power of ten, or of two if hexadecimal.
struct Digits {
    base: u32,
    kept: heapless::Vec<u8, DIGITS>,
    /// A digit that was not kept is not zero.
    more: bool,
    exponent: i64,
    end: u32,
}

impl Digits {
    /// Reads digits with at most one point, and an exponent if there is one.
    fn read(memory: Memory<'_>, start: u32, base: u32) -> Result<Option<Self>, Trap> {
        let per_digit = if base == 16 { 4 } else { 1 };
        let mut digits = Self { base, kept: heapless::Vec::new(), more: false, exponent: 0, end: start };
        let (mut any, mut behind_point) = (false, false);
        loop {
            let here = byte(memory, digits.end)?;
            if let Some(digit) = char::from(here).to_digit(base) {
                any = true;
                let leading_zero = digit == 0 && digits.kept.is_empty();
                let kept = leading_zero || digits.kept.push(digit as u8).is_ok();
                digits.more |= !kept && digit != 0;
                digits.exponent += per_digit * (i64::from(!kept) - i64::from(behind_point));
            } else if here == b'.' && !behind_point {
                behind_point = true;
            } else {
                break;
            }
            digits.end = digits.end.wrapping_add(1);
        }
        if !any {
            return Ok(None);
        }
        digits.read_exponent(memory, if base == 16 { b'p' } else { b'e' })?;
        Ok(Some(digits))
    }

    fn read_exponent(&mut self, memory: Memory<'_>, letter: u8) -> Result<(), Trap> {
        if !byte(memory, self.end)?.eq_ignore_ascii_case(&letter) {
            return Ok(());
        }
        let mut at = self.end.wrapping_add(1);
        let sign = byte(memory, at)?;
        if matches!(sign, b'+' | b'-') {
            at = at.wrapping_add(1);
        }
        let mut exponent = 0i64;
        while let Some(digit) = char::from(byte(memory, at)?).to_digit(10) {
            exponent = (exponent * 10 + i64::from(digit)).min(MOST_EXPONENT);
            at = at.wrapping_add(1);
            // Only with a digit does the letter belong to the number.
            self.end = at;
        }
        self.exponent += if sign == b'-' { -exponent } else { exponent };
        Ok(())
    }

    fn value<T: Real>(&self, parse: impl Fn(&str) -> T) -> T {
        if self.base == 16 { self.hexadecimal() } else { self.decimal(parse) }
    }

    fn decimal<T: Real>(&self, parse: impl Fn(&str) -> T) -> T {
        let mut text = heapless::String::<{ DIGITS + 24 }>::new();
        // It has room for all of this.
        let _ = text.push('0');
        for digit in &self.kept {
            let _ = text.push(char::from(b'0' + digit));
        }
        let _ = write!(text, "{}e{}", u8::from(self.more), self.exponent - 1);
        parse(&text)
    }

    fn hexadecimal<T: Real>(&self) -> T {
        let (mut mantissa, mut exponent, mut below) = (0u64, self.exponent, self.more);
        for digit in &self.kept {
            if mantissa >> 60 == 0 {
                mantissa = mantissa << 4 | u64::from(*digit);
            } else {
                below |= *digit != 0;
                exponent += 4;
            }
        }
        let exponent = exponent.clamp(-100_000, 100_000) as i32;
        T::scaled(mantissa | u64::from(below), exponent)
    }
}
