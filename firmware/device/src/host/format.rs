//! Printing by a format string over typed arguments. Knows neither where the text goes nor which function was called.
//! The call was checked before ([`super::conversion`]), but the module's other tasks may change memory at any time: so every
//! access is checked here as well, and what was not there before is refused.

use core::fmt::{self, Write};

use espb_format::signature::ValType;
use espb_vm::{Instance, Memory, Trap, TrapKind};

use super::{
    conversion::{Arguments, Conversion, Length, Text},
    go_on,
};

/// Most digits behind the point of `%e` and `%g`; more are printed as that many.
const MAX_EXPONENT_DIGITS: usize = 60;

/// Where formatted text goes.
pub trait Sink {
    /// Takes the next bytes.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Trap>;
}

/// Formats; answers how many bytes went to the sink.
pub fn format(
    memory: Memory<'_>,
    text: u32,
    arguments: &mut Arguments<'_, '_>,
    sink: &mut dyn Sink,
) -> Result<u32, Trap> {
    let mut output = Output { sink, instance: arguments.instance(), count: 0, row: [0; ROW], filled: 0 };
    let mut text = Text::new(memory, text);
    loop {
        match text.next()? {
            0 => {
                output.flush()?;
                return Ok(output.count);
            }
            b'%' => {
                let (conversion, letter) = Conversion::parse(&mut text, arguments)?;
                convert(&conversion, letter, memory, arguments, &mut output)?;
            }
            byte => output.put(&[byte])?,
        }
    }
}

/// Bytes that are collected before they go to the sink.
const ROW: usize = 32;

struct Output<'s> {
    sink: &'s mut dyn Sink,
    instance: &'s Instance<'s>,
    count: u32,
    row: [u8; ROW],
    filled: usize,
}

impl Output<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Trap> {
        self.count = self.count.saturating_add(bytes.len() as u32);
        for byte in bytes {
            if self.filled == ROW {
                self.flush()?;
            }
            if let Some(place) = self.row.get_mut(self.filled) {
                *place = *byte;
                self.filled += 1;
            }
        }
        Ok(())
    }

    /// Hands the row on. A text can be very long: a stopped instance prints no more.
    fn flush(&mut self) -> Result<(), Trap> {
        go_on(self.instance)?;
        let filled = core::mem::take(&mut self.filled);
        self.sink.put(self.row.get(..filled).unwrap_or_default())
    }

    fn repeat(&mut self, byte: u8, mut times: usize) -> Result<(), Trap> {
        let row = [byte; 16];
        while times > 0 {
            let now = times.min(row.len());
            self.put(row.get(..now).unwrap_or_default())?;
            times -= now;
        }
        Ok(())
    }

    /// `prefix`, zeros or spaces up to the width, then `body` of `length` bytes.
    fn padded(
        &mut self,
        conversion: &Conversion,
        zero: bool,
        prefix: &[u8],
        length: usize,
        body: impl FnOnce(&mut Self) -> Result<(), Trap>,
    ) -> Result<(), Trap> {
        let fill = conversion.width.saturating_sub(prefix.len() + length);
        let zeros = if zero && conversion.zero && !conversion.left { fill } else { 0 };
        if !conversion.left {
            self.repeat(b' ', fill - zeros)?;
        }
        self.put(prefix)?;
        self.repeat(b'0', zeros)?;
        body(self)?;
        if conversion.left { self.repeat(b' ', fill) } else { Ok(()) }
    }
}

fn convert(
    conversion: &Conversion,
    letter: u8,
    memory: Memory<'_>,
    arguments: &mut Arguments<'_, '_>,
    output: &mut Output<'_>,
) -> Result<(), Trap> {
    match letter {
        b'%' => output.put(b"%"),
        b'd' | b'i' => {
            let value = signed(conversion, arguments)?;
            let sign = sign(conversion, value < 0);
            integer(conversion, sign, value.unsigned_abs(), 10, false, output)
        }
        b'u' => integer(conversion, b"", unsigned(conversion, arguments)?, 10, false, output),
        b'x' | b'X' | b'o' => {
            let value = unsigned(conversion, arguments)?;
            let prefix: &[u8] = match letter {
                _ if !conversion.alternate || value == 0 => b"",
                b'x' => b"0x",
                b'X' => b"0X",
                _ => b"0",
            };
            integer(conversion, prefix, value, if letter == b'o' { 8 } else { 16 }, letter == b'X', output)
        }
        b'p' => integer(conversion, b"0x", arguments.word()?.into(), 16, false, output),
        b'c' if conversion.length == Length::Int => {
            let byte = [arguments.word()? as u8];
            output.padded(conversion, false, b"", 1, |output| output.put(&byte))
        }
        b's' if conversion.length == Length::Int => string(conversion, memory, arguments.word()?, output),
        b'f' | b'F' | b'e' | b'E' | b'g' | b'G' | b'a' | b'A' => {
            float(conversion, letter, f64::from_bits(arguments.wide(ValType::F64)?), output)
        }
        _ => Err(Trap::new(TrapKind::Contract, letter.into())),
    }
}

fn sign(conversion: &Conversion, negative: bool) -> &'static [u8] {
    match (negative, conversion.plus, conversion.space) {
        (true, ..) => b"-",
        (_, true, _) => b"+",
        (_, _, true) => b" ",
        _ => b"",
    }
}

fn signed(conversion: &Conversion, arguments: &mut Arguments<'_, '_>) -> Result<i64, Trap> {
    Ok(match conversion.length {
        Length::Char => i64::from(arguments.word()? as i8),
        Length::Short => i64::from(arguments.word()? as i16),
        Length::Int | Length::Long => i64::from(arguments.word()? as i32),
        Length::LongLong => arguments.wide(ValType::I64)? as i64,
    })
}

fn unsigned(conversion: &Conversion, arguments: &mut Arguments<'_, '_>) -> Result<u64, Trap> {
    Ok(match conversion.length {
        Length::Char => u64::from(arguments.word()? as u8),
        Length::Short => u64::from(arguments.word()? as u16),
        Length::Int | Length::Long => u64::from(arguments.word()?),
        Length::LongLong => arguments.wide(ValType::I64)?,
    })
}

fn integer(
    conversion: &Conversion,
    prefix: &[u8],
    value: u64,
    base: u64,
    upper: bool,
    output: &mut Output<'_>,
) -> Result<(), Trap> {
    let mut digits = [0; 22];
    let mut start = digits.len();
    let mut rest = value;
    while rest > 0 {
        let digit = (rest % base) as u8;
        start -= 1;
        if let Some(place) = digits.get_mut(start) {
            *place = match digit {
                0..=9 => b'0' + digit,
                _ if upper => b'A' + digit - 10,
                _ => b'a' + digit - 10,
            };
        }
        rest /= base;
    }
    let digits = digits.get(start..).unwrap_or_default();
    // A precision of 0 prints nothing for the value 0; without one there is at least one digit.
    let zeros = conversion.precision.unwrap_or(1).saturating_sub(digits.len());
    output.padded(conversion, conversion.precision.is_none(), prefix, zeros + digits.len(), |output| {
        output.repeat(b'0', zeros)?;
        output.put(digits)
    })
}

fn string(conversion: &Conversion, memory: Memory<'_>, address: u32, output: &mut Output<'_>) -> Result<(), Trap> {
    if address == 0 {
        return output.padded(conversion, false, b"", 6, |output| output.put(b"(null)"));
    }
    let limit = conversion.precision.unwrap_or(usize::MAX);
    let mut length = 0;
    // With a precision the string need not be terminated.
    while length < limit {
        let mut byte = [0];
        memory.read(address.wrapping_add(length as u32), &mut byte)?;
        if byte[0] == 0 {
            break;
        }
        length += 1;
    }
    output.padded(conversion, false, b"", length, |output| {
        let mut chunk = [0; 32];
        let mut done = 0;
        while done < length {
            let now = (length - done).min(chunk.len());
            let part = chunk.get_mut(..now).unwrap_or_default();
            memory.read(address.wrapping_add(done as u32), part)?;
            output.put(part)?;
            done += now;
        }
        Ok(())
    })
}

/// The length of what is written to it.
struct Measure(usize);

impl Write for Measure {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

/// Writes to an output, keeping the first trap.
struct Forward<'o, 's>(&'o mut Output<'s>, Result<(), Trap>);

impl Write for Forward<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.1.is_ok() {
            self.1 = self.0.put(text.as_bytes());
        }
        Ok(())
    }
}

fn float(conversion: &Conversion, letter: u8, value: f64, output: &mut Output<'_>) -> Result<(), Trap> {
    let upper = letter.is_ascii_uppercase();
    let sign = sign(conversion, value.is_sign_negative());
    let value = f64::from_bits(value.to_bits() & !(1 << 63));
    if !value.is_finite() {
        let word: &[u8] = match (value.is_nan(), upper) {
            (true, false) => b"nan",
            (true, true) => b"NAN",
            (false, false) => b"inf",
            (false, true) => b"INF",
        };
        return output.padded(conversion, false, sign, word.len(), |output| output.put(word));
    }
    let precision = conversion.precision.unwrap_or(6);
    match letter.to_ascii_lowercase() {
        b'a' => hexadecimal(conversion, sign, value, upper, output),
        b'f' => fixed(conversion, sign, value, precision, output),
        b'e' => {
            let text = exponential(value, precision.min(MAX_EXPONENT_DIGITS), upper, false, conversion.alternate);
            output.padded(conversion, true, sign, text.len(), |output| output.put(text.as_bytes()))
        }
        _ => general(conversion, sign, value, precision.clamp(1, MAX_EXPONENT_DIGITS), upper, output),
    }
}

fn fixed(
    conversion: &Conversion,
    sign: &[u8],
    value: f64,
    precision: usize,
    output: &mut Output<'_>,
) -> Result<(), Trap> {
    let point = conversion.alternate && precision == 0;
    let mut measure = Measure(usize::from(point));
    // Measuring never fails.
    let _ = write!(measure, "{value:.precision$}");
    output.padded(conversion, true, sign, measure.0, |output| {
        let mut forward = Forward(output, Ok(()));
        let _ = write!(forward, "{value:.precision$}");
        forward.1?;
        if point { output.put(b".") } else { Ok(()) }
    })
}

type Digits = heapless::String<96>;

/// `d.ddde±dd`, with the zeros at the mantissa's end taken off if `strip`.
fn exponential(value: f64, precision: usize, upper: bool, strip: bool, alternate: bool) -> Digits {
    let mut text = Digits::new();
    // 60 digits and the rest fit.
    let _ = write!(text, "{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mantissa =
        if strip && mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    let point = if alternate && !mantissa.contains('.') { "." } else { "" };
    let (letter, sign) = (if upper { 'E' } else { 'e' }, if exponent < 0 { '-' } else { '+' });
    let mut result = Digits::new();
    let _ = write!(result, "{mantissa}{point}{letter}{sign}{:02}", exponent.unsigned_abs());
    result
}

/// Digits behind the point that hold all bits of a double.
const HEXADECIMAL_DIGITS: usize = 13;
/// Bits of a double's fraction.
const FRACTION_BITS: u32 = 52;

/// `0xh.hhhp±d`: all digits that are not zero, or as many as the precision says.
fn hexadecimal(
    conversion: &Conversion,
    sign: &[u8],
    value: f64,
    upper: bool,
    output: &mut Output<'_>,
) -> Result<(), Trap> {
    let (biased, fraction) = ((value.to_bits() >> FRACTION_BITS) as i32, value.to_bits() & ((1 << FRACTION_BITS) - 1));
    let exponent = match (biased, fraction) {
        (0, 0) => 0,
        (0, _) => f64::MIN_EXP - 1,
        _ => biased - (f64::MAX_EXP - 1),
    };
    let mut digits = HEXADECIMAL_DIGITS;
    let mut number = u64::from(biased != 0) << FRACTION_BITS | fraction;
    match conversion.precision {
        None => {
            while digits > 0 && number & 15 == 0 {
                number >>= 4;
                digits -= 1;
            }
        }
        Some(precision) if precision < digits => {
            let dropped = 4 * (digits - precision) as u32;
            let (rest, half) = (number & ((1 << dropped) - 1), 1 << (dropped - 1));
            number >>= dropped;
            number += u64::from(rest > half || rest == half && number & 1 != 0);
            digits = precision;
        }
        Some(_) => {}
    }
    let zeros = conversion.precision.unwrap_or(0).saturating_sub(HEXADECIMAL_DIGITS);
    let point = if digits > 0 || conversion.alternate { "." } else { "" };
    let whole = number >> (4 * digits);
    let (mut prefix, mut head, mut tail) = (Digits::new(), Digits::new(), Digits::new());
    for byte in sign {
        // A sign and two letters fit.
        let _ = prefix.push(char::from(*byte));
    }
    let _ = prefix.push_str("0x");
    let _ = write!(head, "{whole:x}{point}");
    if digits > 0 {
        let _ = write!(head, "{:0digits$x}", number & ((1 << (4 * digits)) - 1));
    }
    let _ = write!(tail, "p{exponent:+}");
    if upper {
        [&mut prefix, &mut head, &mut tail].into_iter().for_each(|text| text.make_ascii_uppercase());
    }
    output.padded(conversion, true, prefix.as_bytes(), head.len() + zeros + tail.len(), |output| {
        output.put(head.as_bytes())?;
        output.repeat(b'0', zeros)?;
        output.put(tail.as_bytes())
    })
}

fn general(
    conversion: &Conversion,
    sign: &[u8],
    value: f64,
    precision: usize,
    upper: bool,
    output: &mut Output<'_>,
) -> Result<(), Trap> {
    let strip = !conversion.alternate;
    let scientific = exponential(value, precision - 1, upper, false, false);
    let exponent =
        scientific.split_once(['e', 'E']).and_then(|(_, exponent)| exponent.parse::<i32>().ok()).unwrap_or(0);
    if exponent < -4 || exponent >= precision as i32 {
        let text = exponential(value, precision - 1, upper, strip, conversion.alternate);
        return output.padded(conversion, true, sign, text.len(), |output| output.put(text.as_bytes()));
    }
    let digits = (precision as i32 - 1 - exponent) as usize;
    let mut text = Digits::new();
    // At most 60 significant digits and four zeros.
    let _ = write!(text, "{value:.digits$}");
    let text = if strip && text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    output.padded(conversion, true, sign, text.len(), |output| output.put(text.as_bytes()))
}
