//! One module for each rule of the verifier that breaks this rule and no other (specs/format.md).

use espb_format::checksum::crc32;
use espb_format::container::{HEADER_SIZE, Module, RelocationKind, SectionKind};
use espb_format::error::Reason;
use espb_format::instruction::extension_word;
use espb_format::opcode::Opcode;
use espb_format::pair::Pair;
use espb_format::thread_local::ThreadLocal;
use espb_format::verifier::verify;

use crate::common::ModuleBuilder;

fn refusal(bytes: &[u8]) -> Option<Reason> {
    Module::parse(bytes).and_then(|module| verify(&module).map(|_| ())).err().map(|error| error.reason)
}

/// The refusal of a module with one function `ii:i` of 8 slots and a linear frame of 32 bytes; 16 bytes of data, 256 of bss, 8 of
/// constants, an import `i:i`, a variadic one, and one callback.
fn of_code(words: Vec<u32>) -> Option<Reason> {
    let mut module = ModuleBuilder::new().import("fixed", "i:i").import("any", "i…:i").words("ii:i", 8, 32, words);
    module.signature("iii:i");
    module.signature("l:l");
    module.data = vec![0; 16];
    module.constants = vec![0; 8];
    refusal(&module.callback(0).finish())
}

fn word(opcode: Opcode, a: u8, b: u8, c: u8) -> u32 {
    u32::from_le_bytes([opcode as u8, a, b, c])
}

/// The same with an instruction in front of a return.
fn of(words: &[u32]) -> Option<Reason> {
    of_code([words, &[word(Opcode::ReturnValue, 0, 0, 0)]].concat())
}

#[test]
fn registers_end_with_the_frame() {
    assert_eq!(of(&[word(Opcode::Move, 28, 28, 0)]), None, "slot 7 of 8");
    for words in [
        word(Opcode::Move, 32, 0, 0),
        word(Opcode::Move, 0, 32, 0),
        word(Opcode::Move, 2, 0, 0),
        word(Opcode::Add, 0, 0, 252),
        // A pair whose second half lies outside.
        word(Opcode::Move64, 28, 0, 0),
        word(Opcode::Store64, 28, 0, 0),
        word(Opcode::SetEqual64, 0, 28, 0),
        word(Opcode::StackRestore, 32, 0, 0),
        word(Opcode::MemoryMove, 0, 0, 32),
    ] {
        assert_eq!(of(&[words]), Some(Reason::Register), "{words:#010x}");
    }
    // A block of 24 slots of parameters needs as large a frame, and no frame is larger than 64.
    let frame = |slots| {
        refusal(&ModuleBuilder::new().words("llllllllllll:", slots, 0, vec![word(Opcode::Return, 0, 0, 0)]).finish())
    };
    assert_eq!(
        (frame(23), frame(24), frame(64), frame(65)),
        (Some(Reason::Function), None, None, Some(Reason::Function))
    );
}

#[test]
fn unknown_opcodes_and_stray_bits_are_no_instructions() {
    assert_eq!(of(&[word(Opcode::Move, 0, 0, 1)]), Some(Reason::Reserved));
    assert_eq!(of(&[word(Opcode::ShiftLeftImmediate, 0, 0, 32)]), Some(Reason::Displacement));
    assert_eq!(of(&[word(Opcode::ShiftLeftImmediate64, 0, 0, 64)]), Some(Reason::Displacement));
    assert_eq!(of(&[extension_word(0)]), Some(Reason::Opcode), "an extension of nothing");
    assert_eq!(of(&[word(Opcode::LoadImmediateWide, 0, 0, 0)]), Some(Reason::Extension), "nothing for an extension");
}

#[test]
fn branches_stay_among_the_instructions_of_their_function() {
    let jump = |distance: i32| Opcode::Jump as u32 | (distance as u32) << 8;
    let wide = [word(Opcode::LoadImmediateWide, 0, 0, 0), extension_word(0)];
    assert_eq!(of(&[wide[0], wide[1], jump(-2)]), None);
    for distance in [-1, -3, 2, 100, 0x7f_ffff, -0x80_0000] {
        assert_eq!(of(&[wide[0], wide[1], jump(distance)]), Some(Reason::Target), "{distance}");
    }
    let near = |distance: u8| of(&[word(Opcode::BranchEqual, 0, 0, distance)]);
    assert_eq!((near(0), near(1), near(2), near(0x80)), (None, None, Some(Reason::Target), Some(Reason::Target)));
    // Into the next function.
    let next =
        ModuleBuilder::new().words(":", 1, 0, vec![jump(1)]).words(":", 1, 0, vec![word(Opcode::Return, 0, 0, 0)]);
    assert_eq!(refusal(&next.finish()), Some(Reason::Target));
}

#[test]
fn a_pair_stands_before_its_second_instruction_with_the_register_that_it_expects() {
    let pair =
        Pair::ALL.iter().find(|pair| (pair.first, pair.second, pair.field) == (Opcode::Load32, Opcode::BranchEqual, 1));
    let first = |register| u32::from_le_bytes([pair.expect("it is in the table").code, register, 0, 0]);
    let branch = |opcode, register| word(opcode, register, 0, 1);
    assert_eq!(of(&[first(4), branch(Opcode::BranchEqual, 4)]), None);
    assert_eq!(of(&[first(4), branch(Opcode::BranchEqual, 8)]), Some(Reason::Pair), "another register");
    assert_eq!(of(&[first(4), branch(Opcode::BranchNotEqual, 4)]), Some(Reason::Pair), "another instruction");
    assert_eq!(of(&[first(32), branch(Opcode::BranchEqual, 32)]), Some(Reason::Register));
    // The next function may begin with what is missing.
    let next = ModuleBuilder::new().words(":", 2, 0, vec![first(4)]).words(
        ":",
        2,
        0,
        vec![branch(Opcode::BranchEqual, 4), word(Opcode::Return, 0, 0, 0)],
    );
    assert_eq!(refusal(&next.finish()), Some(Reason::FallThrough));
}

#[test]
fn jump_tables_are_whole_and_lead_to_instructions() {
    let switch = |length: u8, table: &[i32]| {
        let entries = table.iter().map(|target| extension_word(*target as u32 & 0xff_ffff));
        let words: Vec<u32> = [word(Opcode::Switch, 0, length, 0)].into_iter().chain(entries).collect();
        of(&words)
    };
    assert_eq!(switch(2, &[0, 3]), None);
    assert_eq!(switch(0, &[]), None);
    assert_eq!(switch(2, &[0, 1]), Some(Reason::Target), "into the table itself");
    assert_eq!(switch(2, &[0, 4]), Some(Reason::Target), "behind the function");
    assert_eq!(switch(2, &[0, -1]), Some(Reason::Target), "before the function");
    assert_eq!(switch(3, &[0, 0]), Some(Reason::Extension), "an entry too few");
    assert_eq!(switch(1, &[0, 0]), Some(Reason::Opcode), "an entry too many");
    assert_eq!(of_code(vec![word(Opcode::Switch, 0, 0xff, 0xff)]), Some(Reason::Extension), "past the code");
    assert_eq!(of_code(vec![word(Opcode::Switch, 0, 0, 0)]), Some(Reason::FallThrough));
}

#[test]
fn a_function_ends_in_an_instruction_that_leaves() {
    for last in [
        word(Opcode::Move, 0, 0, 0),
        word(Opcode::BranchZero, 0, 0, 0),
        word(Opcode::SetJump, 0, 0, 0),
        word(Opcode::MemorySet, 0, 0, 0),
    ] {
        assert_eq!(of_code(vec![last]), Some(Reason::FallThrough), "{last:#010x}");
    }
    assert_eq!(of_code(vec![word(Opcode::LoadImmediateWide, 0, 0, 0)]), Some(Reason::Extension));
    for last in [Opcode::Unreachable, Opcode::Trap, Opcode::LongJump] {
        assert_eq!(of_code(vec![last as u32]), None);
    }
}

#[test]
fn calls_hold_what_goes_in_and_comes_out() {
    // A signature stands behind the window, once more.
    let extended = |window: u8, signature: u32| extension_word((signature << 8) | (u32::from(window) * 4));
    let call = |opcode, window: u8, index: u8, signature: Option<u32>| {
        let extension = signature.map(|signature| extended(window, signature));
        let words: Vec<u32> = [word(opcode, window * 4, index, 0)].into_iter().chain(extension).collect();
        of(&words)
    };
    // Function 0 takes two slots: the window must start at 2 or later and end with the frame.
    assert_eq!((call(Opcode::Call, 2, 0, None), call(Opcode::Call, 6, 0, None)), (None, None));
    for window in [0, 1, 7, 8, 63] {
        assert_eq!(call(Opcode::Call, window, 0, None), Some(Reason::Call), "{window}");
    }
    assert_eq!(call(Opcode::Call, 2, 1, None), Some(Reason::Index), "no such function");
    assert_eq!(
        (call(Opcode::CallImport, 7, 0, None), call(Opcode::CallImport, 8, 0, None)),
        (None, Some(Reason::Call))
    );
    assert_eq!(call(Opcode::CallImport, 2, 2, None), Some(Reason::Index), "no such import");
    assert_eq!(call(Opcode::CallImport, 2, 1, None), Some(Reason::Call), "a variadic one called as if it were not");
    // Signatures: 0 `i:i`, 1 `i…:i`, 2 `ii:i`, 3 `iii:i`, 4 `l:l`.
    let variadic = |window, index, signature| call(Opcode::CallImportVariadic, window, index, Some(signature));
    assert_eq!((variadic(2, 1, 3), variadic(5, 1, 3), variadic(6, 1, 3)), (None, None, Some(Reason::Call)));
    assert_eq!(variadic(2, 0, 3), Some(Reason::Call), "not variadic");
    assert_eq!(variadic(2, 1, 4), Some(Reason::Call), "another first parameter");
    assert_eq!(variadic(2, 1, 1), Some(Reason::Call), "a variadic list of arguments");
    assert_eq!(variadic(2, 1, 5), Some(Reason::Index), "no such signature");
    assert_eq!(variadic(2, 1, 0xffff), Some(Reason::Index), "no such signature");
    let indirect =
        |window: u8, signature| of(&[word(Opcode::CallIndirect, window * 4, 0, 0), extended(window, signature)]);
    assert_eq!((indirect(6, 2), indirect(7, 2), indirect(2, 1)), (None, Some(Reason::Call), Some(Reason::Call)));
    assert_eq!((indirect(2, 5), indirect(1, 0)), (Some(Reason::Index), Some(Reason::Call)));
    let other_window = [word(Opcode::CallIndirect, 24, 0, 0), extended(5, 2)];
    assert_eq!(of(&other_window), Some(Reason::Extension), "the return would come to another frame");
    assert_eq!(of(&[word(Opcode::CallbackAddress, 0, 1, 0)]), Some(Reason::Index), "no such callback");
}

#[test]
fn a_return_gives_what_the_signature_says() {
    for (types, good) in [
        (":", Opcode::Return),
        (":i", Opcode::ReturnValue),
        (":f", Opcode::ReturnValue),
        (":l", Opcode::ReturnValue64),
        (":d", Opcode::ReturnValue64),
    ] {
        for opcode in [Opcode::Return, Opcode::ReturnValue, Opcode::ReturnValue64] {
            let found = refusal(&ModuleBuilder::new().words(types, 4, 0, vec![opcode as u32]).finish());
            assert_eq!(found, (opcode != good).then_some(Reason::Return), "{types} {opcode:?}");
        }
    }
}

#[test]
fn direct_addresses_end_with_their_region() {
    // 16 bytes of data and 256 of bss; a frame of 32; 8 constants.
    for (opcode, width, end) in [
        (Opcode::LoadStatic8, 1, 272),
        (Opcode::LoadStatic16, 2, 272),
        (Opcode::StoreStatic32, 4, 272),
        (Opcode::StoreStatic64, 8, 272),
        (Opcode::LoadStack32, 4, 32),
        (Opcode::StoreStack64, 8, 32),
    ] {
        let at = |unit: u16| of(&[word(opcode, 0, unit.to_le_bytes()[0], unit.to_le_bytes()[1])]);
        assert_eq!(
            (at(end / width - 1), at(end / width), at(0xffff)),
            (None, Some(Reason::Displacement), Some(Reason::Displacement)),
            "{opcode:?}"
        );
    }
    for (opcode, end) in [(Opcode::StaticAddress, 272u16), (Opcode::StackAddress, 32), (Opcode::ConstantAddress, 8)] {
        let at = |offset: u16| of(&[word(opcode, 0, offset.to_le_bytes()[0], offset.to_le_bytes()[1])]);
        assert_eq!((at(end), at(end + 1)), (None, Some(Reason::Displacement)), "{opcode:?}");
    }
}

/// A module of every section, as bytes.
fn whole() -> Vec<u8> {
    let mut module = ModuleBuilder::new().import("one", "i:i").import("two", ":").function(":", 4, 16, "ret").function(
        ":i",
        4,
        16,
        "ldi r0 1\nret32 r0",
    );
    module.data = vec![0; 32];
    module.constants = vec![7; 8];
    module.relocations =
        vec![(0, RelocationKind::Linear), (4, RelocationKind::Constant), (8, RelocationKind::Callback)];
    module.thread_local = Some(ThreadLocal { template: 16, initialised: 8, size: 16 });
    module.callback(1).finish()
}

/// The refusal of [`whole`] with these bytes at an offset in a section.
fn with(kind: SectionKind, offset: usize, bytes: &[u8]) -> Option<Reason> {
    let mut module = whole();
    let start = Module::parse(&module).expect("it is well formed").section_offset(kind) as usize + offset;
    module[start..start + bytes.len()].copy_from_slice(bytes);
    repaired(module)
}

fn repaired(mut module: Vec<u8>) -> Option<Reason> {
    let length = module.len() as u32;
    module[8..12].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32(&module[HEADER_SIZE..]);
    module[12..16].copy_from_slice(&checksum.to_le_bytes());
    refusal(&module)
}

#[test]
fn tables_refer_to_what_there_is() {
    assert_eq!(repaired(whole()), None);
    let half = |value: u16| value.to_le_bytes();
    for (kind, offset, value, reason) in [
        (SectionKind::Imports, 2, 3, Reason::Index),
        (SectionKind::Imports, 4, 0, Reason::Index),
        (SectionKind::Imports, 6, 9, Reason::Index),
        (SectionKind::Functions, 4, 9, Reason::Index),
        (SectionKind::Callbacks, 0, 2, Reason::Index),
        (SectionKind::Limits, 0, 2, Reason::Index),
        (SectionKind::Limits, 2, 1, Reason::Reserved),
        (SectionKind::Signatures, 0, 25, Reason::Signature),
    ] {
        assert_eq!(with(kind, offset, &half(value)), Some(reason), "{} +{offset}", kind.name());
    }
    // A variadic function of the module, and functions that overlap, leave a gap, or are empty.
    assert_eq!(with(SectionKind::Signatures, 9, &[0x80]), Some(Reason::Function));
    for (start, reason) in [(0, Reason::Function), (2, Reason::FallThrough), (0xff, Reason::Function)] {
        assert_eq!(with(SectionKind::Functions, 8, &[start]), Some(reason), "{start}");
    }
    assert_eq!(with(SectionKind::Functions, 0, &[1]), Some(Reason::Function), "words before the first function");
}

#[test]
fn names_lie_one_behind_another_and_say_each_thing_once() {
    // "one\0two\0": the second import's name at 4 and nowhere else.
    for (offset, reason) in [(4, None), (0, Some(Reason::Name)), (5, Some(Reason::Name)), (0xfff0, Some(Reason::Name))]
    {
        assert_eq!(with(SectionKind::Imports, 8, &u16::to_le_bytes(offset)), reason, "{offset}");
    }
    assert_eq!(with(SectionKind::Strings, 0, &[0]), Some(Reason::Name), "an empty name");
    assert_eq!(with(SectionKind::Strings, 1, &[0xff]), Some(Reason::Name), "no UTF-8");
    assert_eq!(with(SectionKind::Strings, 7, b"x"), Some(Reason::Name), "no end");
    assert_eq!(with(SectionKind::Strings, 3, b"x"), Some(Reason::Name), "bytes that no record names");
}

#[test]
fn relocations_neither_overlap_nor_leave_the_data() {
    let record = |offset: u32, kind: u32| (offset << 2 | kind).to_le_bytes();
    for (index, offset, kind, reason) in [
        (1, 4, 1, None),
        (1, 3, 1, Some(Reason::Relocation)),
        (1, 0, 0, Some(Reason::Relocation)),
        (2, 28, 0, None),
        (2, 29, 0, Some(Reason::Relocation)),
        (2, 0x3fff_fffc, 0, Some(Reason::Relocation)),
        (2, 8, 3, Some(Reason::Relocation)),
    ] {
        assert_eq!(
            with(SectionKind::Relocations, 4 * index, &record(offset, kind)),
            reason,
            "{index}: {offset} {kind}"
        );
    }
    assert_eq!(with(SectionKind::Data, 8, &[1]), Some(Reason::Index), "the thunk of no callback");
}

#[test]
fn declared_memory_is_possible() {
    let word = |value: u32| value.to_le_bytes();
    for (offset, value, reason) in [
        (4, u32::MAX, Some(Reason::Limits)),
        (4, 0x3fff_0000, None),
        (8, 8, Some(Reason::Limits)),
        (12, 2, Some(Reason::Limits)),
        (16, 0x4000_0000, Some(Reason::Limits)),
        (20, 0, Some(Reason::Limits)),
    ] {
        assert_eq!(with(SectionKind::Limits, offset, &word(value)), reason, "{offset}: {value:#x}");
    }
    for (offset, value) in [(0, 25), (0, u32::MAX), (4, 17), (8, 7), (8, 0), (8, 0x4000_0000)] {
        assert_eq!(
            with(SectionKind::ThreadLocal, offset, &word(value)),
            Some(Reason::ThreadLocal),
            "{offset}: {value:#x}"
        );
    }
}

#[test]
fn sections_lie_in_order_side_by_side_to_the_last_byte() {
    let place = |index: usize| HEADER_SIZE + 8 * index;
    let changed = |at: usize, bytes: &[u8]| {
        let mut module = whole();
        module[at..at + bytes.len()].copy_from_slice(bytes);
        repaired(module)
    };
    assert_eq!(changed(place(1), &[1]), Some(Reason::Section), "a kind twice");
    assert_eq!(changed(place(1), &[9]), Some(Reason::Section), "kinds out of order");
    assert_eq!(changed(place(1), &[0x7f]), Some(Reason::Section), "a kind that there is not");
    assert_eq!(changed(place(1) + 2, &[1]), Some(Reason::Section), "a reserved field");
    assert_eq!(changed(place(0) + 4, &[23]), Some(Reason::SectionSize));
    assert_eq!(changed(place(1) + 4, &[0, 0, 0, 0]), Some(Reason::SectionSize), "an empty section");
    assert_eq!(changed(place(2) + 4, &[15]), Some(Reason::SectionSize), "half a record");
    for size in [0x7fff_fff8u32, 0xffff_fff8] {
        assert_eq!(changed(place(7) + 4, &size.to_le_bytes()), Some(Reason::Truncated), "{size:#x}");
    }
    let mut longer = whole();
    longer.extend([0; 4]);
    assert_eq!(repaired(longer), Some(Reason::Length));
    let mut shorter = whole();
    shorter.truncate(shorter.len() - 4);
    assert_eq!(repaired(shorter), Some(Reason::Truncated));
}
