//! What writers of hints files rely on: lines mean what specs/hints.md says, and mistakes are shown where they are.

use crate::{Facts, HintError, HintSet, NoFacts, emit_rust_table};
use ValType::{F64, I32, I64};
use espb_format::contract::{
    Callback, Contract, Direction, Extent, Fate, Flags, Handle, HandleKind, Member, Param, Pointer, ResultMeaning, Slot,
};
use espb_format::signature::{Signature, ValType};

fn sig(params: &[ValType], result: Option<ValType>) -> Signature {
    Signature::new(params, result, false).unwrap()
}

/// The contract of a file's only hint, which must be complete.
fn contract(line: &str) -> Contract {
    try_contract(line).unwrap_or_else(|error| panic!("{error}"))
}

fn try_contract(line: &str) -> Result<Contract, HintError> {
    let set = HintSet::parse("test.hints", line).map_err(|mut errors| errors.remove(0))?;
    let hint = set.iter().next().unwrap();
    hint.contract(&hint.signature().unwrap(), &NoFacts)
}

fn pointer(direction: Direction, extent: Extent) -> Param {
    Param::Pointer(Pointer::new(direction, extent))
}

struct SeenAtCalls;

impl Facts for SeenAtCalls {
    fn object_size(&self, param: Slot) -> Option<u32> {
        (param == 0).then_some(12)
    }

    fn callback_signature(&self, param: Slot) -> Option<Signature> {
        (param == 2).then(|| sig(&[I32, F64], Some(I32)))
    }
}

#[test]
fn the_shortest_form_is_completed_by_what_the_translator_sees() {
    let set = HintSet::parse("user.hints", "# ours\nmy_complex_api: out 0, cb 2\n").unwrap();
    let hint = set.get("my_complex_api").unwrap();
    let called = sig(&[I32; 4], Some(I32));
    let params = vec![
        pointer(Direction::Out, Extent::Const(12)),
        Param::Value,
        Param::Callback(Callback { signature: sig(&[I32, F64], Some(I32)), user: None, nullable: false }),
        Param::Value,
    ];
    assert_eq!(hint.contract(&called, &SeenAtCalls), Ok(Contract { params, ..Contract::default() }));

    let error = hint.contract(&called, &NoFacts).unwrap_err();
    assert_eq!((error.line, error.column), (2, 21));
    assert!(error.help.contains("`out 0 size 4`"), "{error}");
}

#[test]
fn names_and_positions_say_the_same() {
    let by_name = contract(
        "xTaskCreate(ptr code, ptr name, i32 depth, ptr arg, i32 priority, ptr created) -> i32: \
         cb code (ptr) user arg, in name cstr null, out created handle task null",
    );
    let by_position = contract(
        "xTaskCreate(ptr, ptr, i32, ptr, i32, ptr) -> i32: out 5 handle task null, cb 0 (ptr) user 3, in 1 cstr null",
    );
    assert_eq!(by_name, by_position);
    assert_eq!(by_name.params[3], Param::UserData);
    assert_eq!(by_name.params[5], Param::HandleOut { kind: HandleKind::Task, nullable: true });
}

#[test]
fn every_statement_reaches_the_contract() {
    let line = "f(ptr a, i32 n, ptr b, ptr q, ptr e, ptr l, ptr s, ptr t) -> ptr: inout a size arg n * arg n null deferred, \
        in b cstr max n, handle q queue, out e element q, inout l size 4, out s size at l, \
        handle t timer null released when n = 5, returns handle stream_buffer borrowed null, from isr, noreturn";
    let found = contract(line);
    let big = Pointer { nullable: true, deferred: true, ..Pointer::new(Direction::InOut, Extent::Product(1, 1)) };
    let fate = Fate::ReleasedWhen { param: 1, value: 5 };
    let params = vec![
        Param::Pointer(big),
        Param::Value,
        pointer(Direction::In, Extent::CStringMax(1)),
        Param::Handle(Handle { kind: HandleKind::Queue, nullable: false, fate: Fate::Used }),
        pointer(Direction::Out, Extent::Element(3)),
        pointer(Direction::InOut, Extent::Const(4)),
        pointer(Direction::Out, Extent::StoredAt(5)),
        Param::Handle(Handle { kind: HandleKind::Timer, nullable: true, fate }),
    ];
    let result = ResultMeaning::Handle { kind: HandleKind::StreamBuffer, created: false, nullable: true };
    assert_eq!(found, Contract { params, result, flags: Flags::FROM_ISR.union(Flags::NO_RETURN) });
    assert_eq!(
        contract("f() -> ptr: returns copy size 0x10").result,
        ResultMeaning::Copied { extent: Extent::Const(16), nullable: false }
    );
    assert_eq!(
        contract("f(i32 n) -> ptr: returns own size arg n * 4").result,
        ResultMeaning::Own { extent: Extent::Arg { param: 0, scale: 4 } }
    );
    assert_eq!(contract("f() -> ptr: returns user").result, ResultMeaning::UserData);
}

#[test]
fn memory_that_is_written_later_belongs_to_an_object() {
    for line in [
        "f(ptr h, ptr a): handle h queue, out a size 8 deferred",
        "f(ptr a, ptr h): inout a size 8 deferred, out h handle timer",
        "f(ptr a) -> ptr: out a size 8 deferred, returns handle stream_buffer",
        "f(ptr a): in a cstr deferred",
    ] {
        assert!(try_contract(line).is_ok(), "{line}");
    }
    let inside = try_contract("f(ptr a): in a size 8 { out 4 size 8 deferred }").unwrap_err();
    assert!(inside.help.contains("name the object"), "{inside}");
}

#[test]
fn callbacks_inside_structures_are_found_by_their_offset() {
    let found = contract("f(ptr args) -> i32: in args size 20 { cb 0 (ptr) user 4, in 12 cstr null deferred }");
    let name = Pointer { nullable: true, deferred: true, ..Pointer::new(Direction::In, Extent::CString) };
    let timer = Callback { signature: sig(&[I32], None), user: Some(4), nullable: false };
    let members = vec![
        Member { offset: 0, meaning: Param::Callback(timer) },
        Member { offset: 12, meaning: Param::Pointer(name) },
    ];
    let expected = Pointer { members, ..Pointer::new(Direction::In, Extent::Const(20)) };
    assert_eq!(found.params, [Param::Pointer(expected)]);
}

#[test]
fn a_section_says_from_where_its_functions_may_be_called() {
    let text = "a()\n[from isr]\nb()\nc(): from task\n[from task]\nd(): restricted\n";
    let set = HintSet::parse("test.hints", text).unwrap();
    let flags = |name: &str| set.get(name).unwrap().contract(&sig(&[], None), &NoFacts).unwrap().flags;
    assert_eq!(flags("a"), Flags::NONE);
    assert!(flags("b").contains(Flags::FROM_ISR) && flags("b").contains(Flags::FROM_CALLBACK));
    assert_eq!(flags("c"), Flags::NONE);
    assert_eq!(flags("d"), Flags::RESTRICTED);
}

#[test]
fn mistakes_are_shown_where_they_are() {
    let cases = [
        ("1f: out 0", 1, "name of a function"),
        ("f out 0", 3, "`:` and items"),
        ("f: ot 0", 4, "`inout`"),
        ("f: out", 7, "a parameter"),
        ("f: out 0 size", 14, "a number of bytes"),
        ("f: out 0 size 99999999999", 15, "a number of bytes"),
        ("f: out 0 size arg 1 * 0", 23, "at least 1"),
        ("f: out 0, cb 1 (i33)", 17, "a type"),
        ("f: out 0 foo", 10, "another item"),
        ("f: out 0,", 10, "`inout`"),
        ("f: handle 0 tusk", 13, "`event_group`"),
        ("f(i32, ...", 11, "`)`"),
        ("f(i32, , i32)", 8, "a type"),
        ("f(ptr p): in p size 8 { user 0 }", 25, "`handle`"),
        ("f(ptr p): in p size 8 { in 0 cstr", 34, "`}`"),
        ("  f: from irq", 11, "`isr`"),
        ("ü: out 0", 1, "name of a function"),
        ("f: out 0 ü", 10, "another item"),
        ("[from isr", 10, "`]`"),
        ("f: returns handle task, returns void", 33, "`copy`"),
        ("f: handle 0 task released when 1 = 256", 36, "0 to 255"),
    ];
    for (line, column, help) in cases {
        let errors = HintSet::parse("test.hints", &format!("# one\n\n{line}\n")).unwrap_err();
        let [error] = &errors[..] else { panic!("{line}: {errors:?}") };
        assert_eq!((error.line, error.column), (3, column), "{line}: {error}");
        assert!(error.help.contains(help), "{line}: {error}");
    }
}

#[test]
fn statements_that_make_no_sense_are_refused_where_they_stand() {
    let cases = [
        ("f(i32 a): in b cstr", 14, "no parameter `b`"),
        ("f(i32 a): in 1 cstr", 14, "no parameter `1`"),
        ("f(ptr a): in a cstr, out a size 4", 22, "two meanings"),
        ("f(ptr a, ptr b): in b cstr, cb a () user b", 29, "two meanings"),
        ("f(i64 a): in a size 4", 11, "cannot have this meaning"),
        ("f(ptr a, i64 n): out a size arg n", 18, "cannot serve"),
        ("f(ptr a): out a cstr", 11, "cannot have this meaning"),
        ("f(ptr a): format a", 11, "cannot have this meaning"),
        ("f(ptr a, i32 b)", 3, "a pointer without saying what for"),
        ("f(): returns handle task", 6, "result cannot have"),
        ("f() -> ptr: returns user, returns user", 27, "two meanings"),
        ("f(ptr a): in a size 8 { in 8 cstr }", 11, "these members"),
        ("f(ptr a): in a size 8 { in x cstr }", 28, "not a byte offset"),
        ("f(ptr a): cb a user 0", 14, "is not known"),
        ("f(ptr a, i32 n): out a size arg n deferred", 18, "nothing says until when"),
    ];
    for (line, column, message) in cases {
        let error = try_contract(line).unwrap_err();
        assert_eq!((error.line, error.column), (1, column), "{line}: {error}");
        assert!(error.message.contains(message), "{line}: {error}");
    }
}

#[test]
fn a_call_that_differs_from_the_prototype_is_refused() {
    let set = HintSet::parse("test.hints", "f(i32, i64) -> f64").unwrap();
    let error = set.get("f").unwrap().contract(&sig(&[I32, I32], Some(I64)), &NoFacts).unwrap_err();
    assert!(error.message.contains("called as (i32, i32) -> i64"), "{error}");
    assert!(error.message.contains("says (i32, i64) -> f64"), "{error}");
}

#[test]
fn a_function_is_described_once_a_file_and_later_files_win() {
    let errors = HintSet::parse("test.hints", "f()\ng()\nf()").unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!((errors[0].line, errors[0].help.as_str()), (3, "the first time is line 1"));

    let mut set = HintSet::parse("first.hints", "f()\ng()").unwrap();
    set.overlay(HintSet::parse("second.hints", "g(i32)").unwrap());
    assert_eq!(&*set.get("g").unwrap().file, "second.hints");
    assert_eq!(set.len(), 2);
}

#[test]
fn the_files_that_come_along_are_complete_and_make_the_firmware_s_table() {
    let set = HintSet::built_in().unwrap_or_else(|errors| panic!("{errors:#?}"));
    let table = emit_rust_table(&set).unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert_eq!(table.lines().filter(|line| line.contains("HostContract {")).count(), set.len());
    assert!(table.contains(
        "{ name: \"xTaskCreate\", signature: [6, 1, 0, 0, 0, 0, 0, 0], immeta: &[17, 20, 85, 16], \
         cbmeta: &[32, 16, 0, 3], flags: ::espb_format::contract::Flags(1) },"
    ));
    let names: Vec<&str> = set.iter().map(|hint| hint.name.as_str()).collect();
    assert!(names.is_sorted(), "the table is searched by halves");
}

#[test]
fn the_firmware_needs_complete_hints() {
    let set = HintSet::parse("test.hints", "f: out 0 size 4\ng(ptr): out 0\nh()").unwrap();
    let errors = emit_rust_table(&set).unwrap_err();
    let places: Vec<u32> = errors.iter().map(|error| error.line).collect();
    assert_eq!(places, [1, 2]);
}

#[test]
fn the_examples_of_the_specification_are_understood() {
    let spec = include_str!("../../specs/hints.md");
    let examples: Vec<&str> = spec.split("```hints\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 5, "{} examples", examples.len());
    for example in examples {
        let set = HintSet::parse("specs/hints.md", example).unwrap_or_else(|errors| panic!("{example}\n{errors:#?}"));
        for hint in set.iter() {
            if let Some(signature) = hint.signature() {
                hint.contract(&signature, &SeenAtCalls).unwrap_or_else(|error| panic!("{}: {error}", hint.text));
            }
        }
    }
}

#[test]
fn no_text_makes_the_parser_fail_otherwise_than_by_an_error_in_the_line() {
    let lines: Vec<&str> =
        [include_str!("../freertos.hints"), include_str!("../esp-idf.hints"), include_str!("../libc.hints")]
            .into_iter()
            .flat_map(str::lines)
            .filter(|line| line.contains(':'))
            .collect();
    let pieces = [
        "(",
        ")",
        ",",
        ":",
        "->",
        "...",
        "{",
        "}",
        "[",
        "]",
        " ",
        "*",
        "=",
        "#",
        "0",
        "4294967296",
        "ü",
        "\t",
        "user",
        "null",
    ];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % bound.max(1) as u64).unwrap()
    };
    let (mut understood, mut refused) = (0, 0);
    for round in 0..40_000 {
        let mut text: Vec<char> = lines[round % lines.len()].chars().collect();
        for _ in 0..=random(3) {
            let at = random(text.len() + 1);
            match random(3) {
                0 => drop(text.splice(at..at, pieces[random(pieces.len())].chars())),
                1 => text.truncate(at),
                _ => drop(text.drain(at..(at + random(4)).min(text.len()))),
            }
        }
        let text: String = text.into_iter().collect();
        let check = |error: &HintError| {
            let columns = u32::try_from(text.chars().count()).unwrap() + 1;
            assert!(error.line == 1 && (1..=columns).contains(&error.column), "{text}: {error}");
            assert!(error.help.len() > "expected ".len(), "{text}: {error}");
        };
        match HintSet::parse("test.hints", &text) {
            Ok(set) => {
                understood += 1;
                for hint in set.iter() {
                    if let Some(Err(error)) = hint.signature().map(|signature| hint.contract(&signature, &SeenAtCalls))
                    {
                        check(&error);
                    }
                }
            }
            Err(errors) => {
                refused += 1;
                errors.iter().for_each(check);
            }
        }
    }
    assert!(understood > 1000 && refused > 1000, "{understood} understood, {refused} refused");
}

#[test]
fn every_built_in_contract_survives_being_printed_as_a_hints_line() {
    let built_in = HintSet::built_in().unwrap();
    for hint in built_in.iter() {
        let signature = hint.signature().unwrap();
        let stated = hint.contract(&signature, &NoFacts).unwrap();
        let line = crate::hint_line(&hint.name, &signature, &stated);
        let printed = HintSet::parse("printed.hints", &line).unwrap_or_else(|errors| panic!("{line}\n{}", errors[0]));
        let read = printed.get(&hint.name).unwrap();
        assert_eq!(read.signature(), Some(signature), "{line}");
        assert_eq!(read.contract(&signature, &NoFacts), Ok(stated), "{line}");
    }
}

/// Rows of the tables of specs/contracts.md whose first cell satisfies `first`, as cells.
fn rows(first: impl Fn(&str) -> bool) -> Vec<Vec<&'static str>> {
    include_str!("../../specs/contracts.md")
        .lines()
        .filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'))
        .map(|row| row.split('|').map(str::trim).collect::<Vec<_>>())
        .filter(|cells| cells.first().is_some_and(|cell| first(cell)))
        .collect()
}

#[test]
fn the_specification_s_examples_have_the_bytes_that_it_states() {
    let examples = rows(|cell| cell.starts_with('`') && cell.contains('('));
    assert!(examples.len() >= 8, "{examples:?}");
    for cells in examples {
        let line = cells[0].trim_matches('`');
        let set = HintSet::parse("specs/contracts.md", line).unwrap_or_else(|errors| panic!("{errors:?}"));
        let hint = set.iter().next().unwrap();
        let signature = hint.signature().unwrap();
        let encoded = hint.contract(&signature, &NoFacts).unwrap().encode(&signature).unwrap();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        assert_eq!((hex(&encoded.immeta), hex(&encoded.cbmeta)), (cells[1].to_owned(), cells[2].to_owned()), "{line}");
    }
}

#[test]
fn the_specification_lists_every_kind_of_handle_with_its_code() {
    for kind in HandleKind::ALL {
        let code = kind.code().to_string();
        assert_eq!(rows(|cell| cell == code).iter().filter(|cells| cells[1..] == [kind.word()]).count(), 1, "{kind}");
    }
}
