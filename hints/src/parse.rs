//! The grammar of specs/hints.md: one line in, one [`Hint`] or one error out. Total for any text.
//!
//! Checks words and their order only; whether a statement makes sense is `lower`'s.

use crate::error::HintError;
use crate::hint::{
    ExtentWords, FateWords, Hint, Item, ItemKind, Prototype, PrototypeParam, ResultWords, Target, TargetName, TypeWord,
};
use espb_format::contract::{Direction, Flags, FormatStyle, HandleKind};
use espb_format::signature::{Signature, ValType};
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::character::complete::{char, space0};
use nom::combinator::{map, opt, recognize, verify};
use nom::error::{ErrorKind, ParseError};
use nom::sequence::{pair, terminated};
use nom::{Err, IResult, Parser};
use nom_locate::LocatedSpan;
use std::sync::Arc;

type Span<'a> = LocatedSpan<&'a str>;
type Parsed<'a, T> = IResult<Span<'a>, T, Expected<'a>>;

/// What would have been right, and where.
#[derive(Debug)]
struct Expected<'a> {
    at: Span<'a>,
    what: &'static str,
}

impl<'a> ParseError<Span<'a>> for Expected<'a> {
    fn from_error_kind(at: Span<'a>, _: ErrorKind) -> Self {
        Self { at, what: "" }
    }

    fn append(_: Span<'a>, _: ErrorKind, other: Self) -> Self {
        other
    }
}

const ITEM: &str =
    "`in`, `out`, `inout`, `cb`, `user`, `handle`, `format`, `scan`, `returns`, `from`, `noreturn` or `restricted`";
const EXTENT: &str = "`size`, `cstr`, `element` or `region`";
const KIND: &str =
    "a kind of handle: `task`, `queue`, `timer`, `event_group`, `stream_buffer`, `esp_timer`, `nvs` or `file`";
const PARAMETER: &str = "a parameter, by position (from 0) or by name";

/// What a line of a file is.
pub(crate) enum Line {
    /// Nothing, or a comment.
    Blank,
    /// `[from …]`: from where the functions of the following lines may be called.
    Section(Flags),
    /// A function.
    Hint(Hint),
}

/// Parses a line that stands in a section of functions callable from `context`.
pub(crate) fn line(file: &Arc<str>, number: u32, context: Flags, text: &str) -> Result<Line, HintError> {
    let statement = text.split('#').next().unwrap_or_default().trim_end();
    let input = Span::new(statement);
    let parsed = match statement.trim_start().chars().next() {
        None => return Ok(Line::Blank),
        Some('[') => map(section, Line::Section).parse(input),
        Some(_) => map(hint, |(name, prototype, items)| {
            Line::Hint(Hint {
                name: (*name.fragment()).to_owned(),
                file: file.clone(),
                line: number,
                column: column(name),
                context,
                prototype,
                items,
                text: statement.trim_start().to_owned(),
            })
        })
        .parse(input),
    };
    match parsed {
        Ok((_, line)) => Ok(line),
        Err(Err::Error(expected) | Err::Failure(expected)) => Err(error(file, number, &expected)),
        Err(Err::Incomplete(_)) => Err(error(file, number, &Expected { at: input, what: ITEM })),
    }
}

fn error(file: &Arc<str>, line: u32, expected: &Expected<'_>) -> HintError {
    let found = expected.at.split_whitespace().next().map(|word| word.chars().take(40).collect::<String>());
    HintError {
        file: file.clone(),
        line,
        column: column(expected.at),
        message: found
            .map_or_else(|| "the hint ends too early".to_owned(), |word| format!("`{word}` is not understood here")),
        help: format!("expected {}", expected.what),
    }
}

fn column(at: Span<'_>) -> u32 {
    u32::try_from(at.get_utf8_column()).unwrap_or(u32::MAX)
}

fn expect<'a, T>(
    what: &'static str,
    mut parser: impl FnMut(Span<'a>) -> Parsed<'a, T>,
) -> impl FnMut(Span<'a>) -> Parsed<'a, T> {
    move |input| parser(input).map_err(|_| Err::Error(Expected { at: input, what }))
}

fn fail<'a, T>(at: Span<'a>, what: &'static str) -> Parsed<'a, T> {
    Err(Err::Error(Expected { at, what }))
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$')
}

fn word<'a>(what: &'static str) -> impl FnMut(Span<'a>) -> Parsed<'a, Span<'a>> {
    expect(what, |input| {
        let first = take_while1(|c: char| is_name_char(c) && !c.is_ascii_digit());
        terminated(recognize(pair(first, take_while(is_name_char))), space0).parse(input)
    })
}

fn keyword<'a>(keyword: &'static str, what: &'static str) -> impl FnMut(Span<'a>) -> Parsed<'a, Span<'a>> {
    expect(what, move |input| verify(word(what), |found: &Span<'_>| *found.fragment() == keyword).parse(input))
}

/// Whether the word comes next; takes it if so.
fn flag<'a>(name: &'static str) -> impl FnMut(Span<'a>) -> Parsed<'a, bool> {
    move |input| map(opt(keyword(name, "")), |found| found.is_some()).parse(input)
}

fn sign<'a>(symbol: &'static str, what: &'static str) -> impl FnMut(Span<'a>) -> Parsed<'a, Span<'a>> {
    expect(what, move |input| terminated(tag(symbol), space0).parse(input))
}

fn number<'a>(what: &'static str) -> impl FnMut(Span<'a>) -> Parsed<'a, u32> {
    expect(what, move |input| {
        let (rest, digits) = terminated(take_while1(is_name_char), space0).parse(input)?;
        let digits: &str = digits.fragment();
        let value = match digits.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => digits.parse(),
        };
        value.map_or_else(|_| fail(input, what), |value| Ok((rest, value)))
    })
}

fn target(input: Span<'_>) -> Parsed<'_, Target> {
    let name = if input.starts_with(|c: char| c.is_ascii_digit()) {
        map(number(PARAMETER), TargetName::Index).parse(input)
    } else {
        map(word(PARAMETER), |name| TargetName::Name((*name.fragment()).to_owned())).parse(input)
    };
    name.map(|(rest, name)| (rest, Target { name, column: column(input) }))
}

fn type_word(input: Span<'_>) -> Parsed<'_, TypeWord> {
    const TYPE: &str = "a type: `i32`, `i64`, `f32`, `f64` or `ptr`";
    let (rest, name) = word(TYPE)(input)?;
    let ty = match *name.fragment() {
        "i32" => TypeWord::Number(ValType::I32),
        "i64" => TypeWord::Number(ValType::I64),
        "f32" => TypeWord::Number(ValType::F32),
        "f64" => TypeWord::Number(ValType::F64),
        "ptr" => TypeWord::Pointer,
        _ => return fail(input, TYPE),
    };
    Ok((rest, ty))
}

/// What may follow a type in a list.
fn param(input: Span<'_>) -> Parsed<'_, PrototypeParam> {
    let (rest, ty) = type_word(input)?;
    let (rest, name) = opt(word("a name")).parse(rest)?;
    let name = name.map(|name| (*name.fragment()).to_owned());
    Ok((rest, PrototypeParam { ty, name, column: column(input) }))
}

/// `( [type [name]] , … [, ...] ) [-> type]`
fn prototype(input: Span<'_>) -> Parsed<'_, Prototype> {
    const NEXT: &str = "`,` or `)`";
    let (mut rest, _) = sign("(", "`(`")(input)?;
    let mut params = Vec::new();
    let mut variadic = false;
    if !rest.starts_with(')') {
        loop {
            if let (after, Some(_)) = opt(sign("...", "")).parse(rest)? {
                (variadic, rest) = (true, after);
                break;
            }
            let (after, param) = param(rest)?;
            params.push(param);
            match opt(sign(",", "")).parse(after)? {
                (after, Some(_)) => rest = after,
                (after, None) => {
                    rest = after;
                    break;
                }
            }
        }
    }
    let (rest, _) = sign(")", if variadic { "`)`" } else { NEXT })(rest)?;
    let (rest, arrow) = opt(sign("->", "")).parse(rest)?;
    let (rest, result) = match arrow {
        Some(_) => map(type_word, Some).parse(rest)?,
        None => (rest, None),
    };
    let types: Vec<ValType> = params.iter().map(|param| param.ty.val_type()).collect();
    match Signature::new(&types, result.map(TypeWord::val_type), variadic) {
        Some(signature) => Ok((rest, Prototype { params, signature })),
        None => fail(input, "at most 24 parameters"),
    }
}

fn hint(input: Span<'_>) -> Parsed<'_, (Span<'_>, Option<Prototype>, Vec<Item>)> {
    const AFTER_NAME: &str = "`(` and a prototype, or `:` and items";
    let (rest, _) = space0(input)?;
    let (rest, name) = word("the name of a function")(rest)?;
    let (rest, prototype) = if rest.starts_with('(') { map(prototype, Some).parse(rest)? } else { (rest, None) };
    if rest.is_empty() && prototype.is_some() {
        return Ok((rest, (name, prototype, Vec::new())));
    }
    let (rest, _) = sign(":", if prototype.is_some() { "`:` and items, or nothing" } else { AFTER_NAME })(rest)?;
    let (rest, items) = items(rest)?;
    if rest.is_empty() { Ok((rest, (name, prototype, items))) } else { fail(rest, "`,` and another item, or nothing") }
}

fn section(input: Span<'_>) -> Parsed<'_, Flags> {
    let (rest, _) = space0(input)?;
    let (rest, _) = sign("[", "`[`")(rest)?;
    let (rest, _) = keyword("from", "`from`")(rest)?;
    let (rest, context) = from(rest)?;
    let (rest, _) = sign("]", "`]`")(rest)?;
    if rest.is_empty() { Ok((rest, context)) } else { fail(rest, "nothing behind `]`") }
}

fn items(mut input: Span<'_>) -> Parsed<'_, Vec<Item>> {
    let mut items = Vec::new();
    loop {
        let (rest, item) = item(input, true)?;
        items.push(item);
        match opt(char(',')).parse(rest)? {
            (rest, Some(_)) => (input, _) = space0(rest)?,
            (rest, None) => return Ok((rest, items)),
        }
    }
}

fn item(input: Span<'_>, outermost: bool) -> Parsed<'_, Item> {
    let (rest, first) = word(ITEM)(input)?;
    let (rest, kind) = match *first.fragment() {
        "in" => pointer(rest, Direction::In, outermost)?,
        "out" => out(rest, outermost)?,
        "inout" => pointer(rest, Direction::InOut, outermost)?,
        "cb" => callback(rest)?,
        "handle" => handle(rest)?,
        "user" if outermost => map(target, ItemKind::UserData).parse(rest)?,
        "format" if outermost => format(rest, FormatStyle::Print)?,
        "scan" if outermost => format(rest, FormatStyle::Scan)?,
        "returns" if outermost => map(returns, ItemKind::Returns).parse(rest)?,
        "from" if outermost => map(from, ItemKind::From).parse(rest)?,
        "noreturn" if outermost => (rest, ItemKind::Flag(Flags::NO_RETURN)),
        "restricted" if outermost => (rest, ItemKind::Flag(Flags::RESTRICTED)),
        _ => return fail(input, if outermost { ITEM } else { "`in`, `out`, `inout`, `cb` or `handle`" }),
    };
    Ok((rest, Item { column: column(input), kind }))
}

fn out(input: Span<'_>, outermost: bool) -> Parsed<'_, ItemKind> {
    let (rest, target) = target(input)?;
    match opt(keyword("handle", "")).parse(rest)? {
        (rest, Some(_)) => {
            let (rest, kind) = kind(rest)?;
            let (rest, nullable) = flag("null")(rest)?;
            Ok((rest, ItemKind::HandleOut { target, kind, nullable }))
        }
        (_, None) => pointer(input, Direction::Out, outermost),
    }
}

fn pointer(input: Span<'_>, direction: Direction, outermost: bool) -> Parsed<'_, ItemKind> {
    let (rest, target) = target(input)?;
    let (rest, extent) = opt_extent(rest)?;
    let (rest, nullable) = flag("null")(rest)?;
    let (rest, deferred) = flag("deferred")(rest)?;
    let (rest, members) = if outermost && rest.starts_with('{') { members(rest)? } else { (rest, Vec::new()) };
    Ok((rest, ItemKind::Pointer { target, direction, extent, nullable, deferred, members }))
}

/// `{ item, … }`, items being about byte offsets.
fn members(input: Span<'_>) -> Parsed<'_, Vec<Item>> {
    let (mut rest, _) = sign("{", "`{`")(input)?;
    let mut members = Vec::new();
    loop {
        let (after, member) = item(rest, false)?;
        members.push(member);
        match opt(sign(",", "")).parse(after)? {
            (after, Some(_)) => rest = after,
            (after, None) => return map(sign("}", "`,` or `}`"), |_| members.clone()).parse(after),
        }
    }
}

fn opt_extent(input: Span<'_>) -> Parsed<'_, Option<ExtentWords>> {
    let starts = ["size", "cstr", "element", "region"];
    match opt(word("")).parse(input)? {
        (_, Some(first)) if starts.contains(first.fragment()) => map(extent, Some).parse(input),
        _ => Ok((input, None)),
    }
}

fn extent(input: Span<'_>) -> Parsed<'_, ExtentWords> {
    let (rest, first) = word(EXTENT)(input)?;
    match *first.fragment() {
        "size" => size(rest),
        "cstr" => match opt(keyword("max", "")).parse(rest)? {
            (rest, Some(_)) => map(target, ExtentWords::CStringMax).parse(rest),
            (rest, None) => Ok((rest, ExtentWords::CString)),
        },
        "element" => map(target, ExtentWords::Element).parse(rest),
        "region" => Ok((rest, ExtentWords::Region)),
        _ => fail(input, EXTENT),
    }
}

fn size(input: Span<'_>) -> Parsed<'_, ExtentWords> {
    const SIZE: &str = "a number of bytes, `arg` and a parameter, or `at` and a parameter";
    const FACTOR: &str = "a number of at least 1, or `arg` and a parameter";
    if input.starts_with(|c: char| c.is_ascii_digit()) {
        return map(number(SIZE), ExtentWords::Const).parse(input);
    }
    let (rest, first) = word(SIZE)(input)?;
    match *first.fragment() {
        "at" => return map(target, ExtentWords::StoredAt).parse(rest),
        "arg" => {}
        _ => return fail(input, SIZE),
    }
    let (rest, argument) = target(rest)?;
    let (rest, Some(_)) = opt(sign("*", "")).parse(rest)? else { return Ok((rest, ExtentWords::Arg(argument, 1))) };
    if let (rest, Some(_)) = opt(keyword("arg", "")).parse(rest)? {
        let (rest, second) = target(rest)?;
        return Ok((rest, ExtentWords::Product(argument, second)));
    }
    match number(FACTOR)(rest)? {
        (_, 0) => fail(rest, FACTOR),
        (rest, factor) => Ok((rest, ExtentWords::Arg(argument, factor))),
    }
}

fn callback(input: Span<'_>) -> Parsed<'_, ItemKind> {
    let (rest, at) = target(input)?;
    let (rest, prototype) = if rest.starts_with('(') { map(prototype, Some).parse(rest)? } else { (rest, None) };
    let (rest, user) = match opt(keyword("user", "")).parse(rest)? {
        (rest, Some(_)) => map(target, Some).parse(rest)?,
        (rest, None) => (rest, None),
    };
    let (rest, nullable) = flag("null")(rest)?;
    let signature = prototype.map(|prototype| prototype.signature);
    Ok((rest, ItemKind::Callback { target: at, signature, user, nullable }))
}

fn kind(input: Span<'_>) -> Parsed<'_, HandleKind> {
    let (rest, name) = word(KIND)(input)?;
    match HandleKind::ALL.iter().find(|kind| kind.word() == *name.fragment()) {
        Some(kind) => Ok((rest, *kind)),
        None => fail(input, KIND),
    }
}

fn handle(input: Span<'_>) -> Parsed<'_, ItemKind> {
    let (rest, at) = target(input)?;
    let (rest, kind) = kind(rest)?;
    let (rest, nullable) = flag("null")(rest)?;
    let (rest, released) = flag("released")(rest)?;
    let (rest, fate) = match (released, opt(keyword("when", "")).parse(rest)?) {
        (false, _) => (rest, FateWords::Used),
        (true, (rest, None)) => (rest, FateWords::Released),
        (true, (rest, Some(_))) => {
            const VALUE: &str = "a value from 0 to 255";
            let (rest, decisive) = target(rest)?;
            let (rest, _) = sign("=", "`=`")(rest)?;
            let (after, value) = number(VALUE)(rest)?;
            let Ok(value) = u8::try_from(value) else { return fail(rest, VALUE) };
            (after, FateWords::ReleasedWhen(decisive, value))
        }
    };
    Ok((rest, ItemKind::Handle { target: at, kind, nullable, fate }))
}

fn format(input: Span<'_>, style: FormatStyle) -> Parsed<'_, ItemKind> {
    let (rest, at) = target(input)?;
    let (rest, va_list) = match opt(keyword("va", "")).parse(rest)? {
        (rest, Some(_)) => map(target, Some).parse(rest)?,
        (rest, None) => (rest, None),
    };
    Ok((rest, ItemKind::Format { target: at, style, va_list }))
}

fn returns(input: Span<'_>) -> Parsed<'_, ResultWords> {
    const RESULT: &str = "`handle`, `copy`, `own` or `user`";
    let (rest, first) = word(RESULT)(input)?;
    match *first.fragment() {
        "handle" => {
            let (rest, kind) = kind(rest)?;
            let (rest, borrowed) = flag("borrowed")(rest)?;
            let (rest, nullable) = flag("null")(rest)?;
            Ok((rest, ResultWords::Handle { kind, created: !borrowed, nullable }))
        }
        "copy" => {
            let (rest, extent) = extent(rest)?;
            let (rest, nullable) = flag("null")(rest)?;
            Ok((rest, ResultWords::Copied { extent, nullable }))
        }
        "own" => map(extent, ResultWords::Own).parse(rest),
        "user" => Ok((rest, ResultWords::UserData)),
        _ => fail(input, RESULT),
    }
}

fn from(input: Span<'_>) -> Parsed<'_, Flags> {
    const CONTEXT: &str = "`task`, `callback` or `isr`";
    let (rest, context) = word(CONTEXT)(input)?;
    let flags = match *context.fragment() {
        "task" => Flags::NONE,
        "callback" => Flags::FROM_CALLBACK,
        "isr" => Flags::FROM_ISR,
        _ => return fail(input, CONTEXT),
    };
    Ok((rest, flags))
}
