//! The conversions of format strings: how they are read, where their arguments are, and the check of a call against its format
//! before anything is done. Prints nothing.

use espb_format::signature::ValType;
use espb_vm::{HostCall, Instance, Memory, Trap, TrapKind};

/// Most characters of a width or a precision: what C promises for one conversion. More would keep the console busy for others.
const MAX_FIELD: usize = 4095;

/// The bytes of a format string.
pub struct Text<'a> {
    memory: Memory<'a>,
    at: u32,
}

impl<'a> Text<'a> {
    /// The string at this address of the module.
    pub fn new(memory: Memory<'a>, address: u32) -> Self {
        Self { memory, at: address }
    }

    /// The next byte, 0 at the end.
    pub fn next(&mut self) -> Result<u8, Trap> {
        let mut byte = [0];
        self.memory.read(self.at, &mut byte)?;
        self.at = self.at.wrapping_add(1);
        Ok(byte[0])
    }
}

/// Where the arguments come from.
pub enum Arguments<'c, 'a> {
    /// Those of a variadic call.
    Slots {
        /// The call.
        call: &'c HostCall<'a>,
        /// Position of the next one among all arguments.
        position: usize,
        /// Its first slot.
        slot: usize,
    },
    /// Behind a `va_list`: 4-byte slots, 8-byte values at addresses divisible by 8.
    List {
        /// The call.
        call: &'c HostCall<'a>,
        /// Position of the `va_list` among its arguments.
        position: usize,
        /// Address of the next slot.
        address: u32,
    },
}

impl<'c, 'a> Arguments<'c, 'a> {
    /// The variadic arguments behind `fixed` 32-bit parameters.
    pub fn after(call: &'c HostCall<'a>, fixed: usize) -> Self {
        Self::Slots { call, position: fixed, slot: fixed }
    }

    /// Those behind the `va_list` that is the 32-bit parameter `position`, all before it being 32 bits wide.
    pub fn list(call: &'c HostCall<'a>, position: usize) -> Self {
        Self::List { call, position, address: call.word(position) }
    }

    /// The instance that calls.
    pub fn instance(&self) -> &'a Instance<'a> {
        match self {
            Self::Slots { call, .. } | Self::List { call, .. } => call.instance(),
        }
    }

    /// The next argument, which must be of this type.
    pub fn wide(&mut self, wanted: ValType) -> Result<u64, Trap> {
        match self {
            Self::Slots { call, position, slot } => {
                let found = call.signature().and_then(|signature| signature.params().nth(*position));
                let value = match found {
                    Some(found) if found == wanted && wanted.slots() == 2 => call.double_word(*slot),
                    Some(found) if found == wanted => call.word(*slot).into(),
                    // An int conversion of a long long prints its low word, as on any 32-bit machine.
                    Some(ValType::I64) if wanted == ValType::I32 => call.word(*slot).into(),
                    _ => return Err(call.violation(*position as u8, call.word(*slot))),
                };
                *slot += usize::from(found.map_or(1, ValType::slots));
                *position += 1;
                Ok(value)
            }
            Self::List { call, position, address } => {
                let read =
                    |address| call.memory().read_word(address).map_err(|_| call.violation(*position as u8, address));
                if wanted.slots() == 2 {
                    *address = address.wrapping_add(7) & !7;
                    let value = u64::from(read(*address)?) | u64::from(read(address.wrapping_add(4))?) << 32;
                    *address = address.wrapping_add(8);
                    Ok(value)
                } else {
                    let word = read(*address)?;
                    *address = address.wrapping_add(4);
                    Ok(word.into())
                }
            }
        }
    }

    /// Position of the argument that was taken last: for a `va_list` its own.
    fn last(&self) -> Option<u8> {
        match self {
            Self::Slots { position, .. } => position.checked_sub(1),
            Self::List { position, .. } => Some(*position),
        }
        .and_then(|position| u8::try_from(position).ok())
    }

    /// The next argument, 32 bits wide.
    pub fn word(&mut self) -> Result<u32, Trap> {
        self.wide(ValType::I32).map(|value| value as u32)
    }
}

/// What stands between `%` and the letter of a conversion.
#[derive(Clone, Copy, Default)]
pub struct Conversion {
    pub left: bool,
    pub plus: bool,
    pub space: bool,
    pub alternate: bool,
    pub zero: bool,
    pub width: usize,
    pub precision: Option<usize>,
    pub length: Length,
}

/// How wide an integer is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Length {
    Char,
    Short,
    #[default]
    Int,
    Long,
    LongLong,
}

impl Conversion {
    /// Reads what follows a `%`, with the arguments of `*`; answers the conversion's letter, too.
    pub fn parse(text: &mut Text<'_>, arguments: &mut Arguments<'_, '_>) -> Result<(Self, u8), Trap> {
        let mut conversion = Self::default();
        let mut byte = text.next()?;
        loop {
            match byte {
                b'-' => conversion.left = true,
                b'+' => conversion.plus = true,
                b' ' => conversion.space = true,
                b'#' => conversion.alternate = true,
                b'0' => conversion.zero = true,
                _ => break,
            }
            byte = text.next()?;
        }
        if byte == b'*' {
            let width = arguments.word()? as i32;
            conversion.left |= width < 0;
            conversion.width = limited(width.unsigned_abs() as usize)?;
            byte = text.next()?;
        } else {
            conversion.width = number(&mut byte, text)?;
        }
        if byte == b'.' {
            byte = text.next()?;
            conversion.precision = if byte == b'*' {
                byte = text.next()?;
                usize::try_from(arguments.word()? as i32).ok().map(limited).transpose()?
            } else {
                Some(number(&mut byte, text)?)
            };
        }
        loop {
            conversion.length = match (byte, conversion.length) {
                (b'h', Length::Short) => Length::Char,
                (b'h', _) => Length::Short,
                (b'j', _) => Length::LongLong,
                (b'l', Length::Int) => Length::Long,
                (b'l', Length::Long) => Length::LongLong,
                // long, size_t and ptrdiff_t are 32 bits wide; long double is not supported by the translator.
                (b'z' | b't', length) => length,
                _ => return Ok((conversion, byte)),
            };
            byte = text.next()?;
        }
    }

    /// The type of the argument that the conversion `letter` takes; `None` for `%%`.
    ///
    /// # Errors
    /// A conversion that there is not.
    fn argument(&self, letter: u8) -> Result<Option<ValType>, Trap> {
        match letter {
            b'%' => Ok(None),
            b'd' | b'i' | b'u' | b'x' | b'X' | b'o' if self.length == Length::LongLong => Ok(Some(ValType::I64)),
            b'd' | b'i' | b'u' | b'x' | b'X' | b'o' | b'p' => Ok(Some(ValType::I32)),
            // Wide characters are not supported.
            b'c' | b's' if self.length == Length::Int => Ok(Some(ValType::I32)),
            b'f' | b'F' | b'e' | b'E' | b'g' | b'G' | b'a' | b'A' => Ok(Some(ValType::F64)),
            _ => Err(Trap::new(TrapKind::Contract, letter.into())),
        }
    }

    /// Whether `%s` can print what is at this address: nothing, a string, or as many bytes as the precision.
    fn fits_string(&self, memory: Memory<'_>, address: u32) -> bool {
        let whole = self.precision.is_some_and(|bytes| memory.is_readable(address, bytes as u32));
        address == 0 || whole || memory.string_length(address).is_ok()
    }
}

fn number(byte: &mut u8, text: &mut Text<'_>) -> Result<usize, Trap> {
    let mut value = 0usize;
    while byte.is_ascii_digit() {
        value = limited(value * 10 + usize::from(*byte - b'0'))?;
        *byte = text.next()?;
    }
    Ok(value)
}

fn limited(characters: usize) -> Result<usize, Trap> {
    if characters <= MAX_FIELD { Ok(characters) } else { Err(Trap::new(TrapKind::Contract, characters as u32)) }
}

/// Checks the arguments of a printing call against its format string, which is parameter `position` at address `text`: each is
/// there and has the type of its conversion, and one of `%s` is null, a terminated string, or as long as the precision. What
/// cannot be right whatever is passed is the format's own fault: `%n`, other unknown conversions, and fields beyond [`MAX_FIELD`].
///
/// # Errors
/// The violation, naming the argument.
pub fn check(call: &HostCall<'_>, position: u8, text: u32, mut arguments: Arguments<'_, '_>) -> Result<(), Trap> {
    let memory = call.memory();
    // A fault that names no argument is the format's.
    let blame = |trap: Trap| match trap.kind {
        TrapKind::Contract if trap.import == call.import => trap,
        _ => call.violation(position, text),
    };
    let mut bytes = Text::new(memory, text);
    loop {
        match bytes.next().map_err(blame)? {
            0 => return Ok(()),
            b'%' => {
                let (conversion, letter) = Conversion::parse(&mut bytes, &mut arguments).map_err(blame)?;
                let Some(wanted) = conversion.argument(letter).map_err(blame)? else { continue };
                let value = arguments.wide(wanted).map_err(blame)? as u32;
                if letter == b's' && !conversion.fits_string(memory, value) {
                    return Err(call.violation(arguments.last().unwrap_or(position), value));
                }
            }
            _ => {}
        }
    }
}
