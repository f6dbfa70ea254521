//! Inference on small programs: what is decided, how sure, and what is left to a hint.

use super::{Certainty, Inferred, infer};
use crate::codegen;
use crate::ir::{Input, Request, read};
use Certainty::{Certain, Likely, Uncertain};
use espb_format::contract::{Extent, ResultMeaning};
use espb_hints::{hint_line, param_item};

const HEAD: &str = r#"
target datalayout = "e-m:e-p:32:32-i64:64-n32-S128"
target triple = "riscv32-esp-unknown-elf"
"#;

/// C types: !10 int, !11 char, !12 const char *, !13 void *, !14 size_t, !15 struct pair *, !16 void (*)(void *),
/// !17 TaskHandle_t *, !18 const void *, !19 struct args *, !31 TaskHandle_t, !32 struct hidden *, !37 char *, !38 int *.
const TYPES: &str = r#"
!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2}
!0 = distinct !DICompileUnit(language: DW_LANG_C11, file: !1, producer: "test", isOptimized: true, runtimeVersion: 0, emissionKind: FullDebug)
!1 = !DIFile(filename: "main.c", directory: "")
!2 = !{i32 2, !"Debug Info Version", i32 3}
!10 = !DIBasicType(name: "int", size: 32, encoding: DW_ATE_signed)
!11 = !DIBasicType(name: "char", size: 8, encoding: DW_ATE_unsigned_char)
!12 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !20, size: 32)
!13 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: null, size: 32)
!14 = !DIDerivedType(tag: DW_TAG_typedef, name: "size_t", file: !1, baseType: !10)
!15 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !21, size: 32)
!16 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !22, size: 32)
!17 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !31, size: 32)
!18 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !23, size: 32)
!19 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !24, size: 32)
!20 = !DIDerivedType(tag: DW_TAG_const_type, baseType: !11)
!21 = !DICompositeType(tag: DW_TAG_structure_type, name: "pair", file: !1, size: 64, elements: !25)
!22 = !DISubroutineType(types: !26)
!23 = !DIDerivedType(tag: DW_TAG_const_type, baseType: null)
!24 = !DIDerivedType(tag: DW_TAG_const_type, baseType: !27)
!25 = !{!28, !29}
!26 = !{null, !13}
!27 = !DICompositeType(tag: DW_TAG_structure_type, name: "args", file: !1, size: 96, elements: !30)
!28 = !DIDerivedType(tag: DW_TAG_member, name: "x", scope: !21, file: !1, baseType: !10, size: 32)
!29 = !DIDerivedType(tag: DW_TAG_member, name: "y", scope: !21, file: !1, baseType: !10, size: 32, offset: 32)
!30 = !{!33, !34, !35}
!31 = !DIDerivedType(tag: DW_TAG_typedef, name: "TaskHandle_t", file: !1, baseType: !32)
!32 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !36, size: 32)
!33 = !DIDerivedType(tag: DW_TAG_member, name: "callback", scope: !27, file: !1, baseType: !16, size: 32)
!34 = !DIDerivedType(tag: DW_TAG_member, name: "arg", scope: !27, file: !1, baseType: !13, size: 32, offset: 32)
!35 = !DIDerivedType(tag: DW_TAG_member, name: "name", scope: !27, file: !1, baseType: !12, size: 32, offset: 64)
!37 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !11, size: 32)
!38 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !10, size: 32)
!36 = !DICompositeType(tag: DW_TAG_structure_type, name: "hidden", file: !1, flags: DIFlagFwdDecl)
"#;

/// Infers what `host` means. `types` are the numbers of its C types, the result first, `null` for void; without them
/// there is no declaration.
fn host(declaration: &str, types: Option<&str>, rest: &str) -> Inferred {
    let text = match types {
        None => format!("{HEAD}declare {declaration}\n{rest}"),
        Some(types) => format!(
            "{HEAD}declare !dbg !90 {declaration}\n{rest}\n{TYPES}\
             !90 = !DISubprogram(name: \"host\", scope: !1, file: !1, line: 1, type: !91, spFlags: DISPFlagOptimized)\n\
             !91 = !DISubroutineType(types: !92)\n!92 = !{{{types}}}\n"
        ),
    };
    let input = Input { name: "test.ll".to_owned(), bytes: text.into_bytes() };
    let module = read(&Request { inputs: vec![input], roots: Vec::new() }).unwrap().module;
    let id = module.function_named("host").unwrap();
    let signature_of = |ty: &_| codegen::signature(&module.types, ty);
    let signature = signature_of(&module.function(id).unwrap().ty).unwrap();
    let inferred = infer(&module, id, &signature, &signature_of).unwrap();
    // Whatever is inferred can be said in a hints line, and means the same there.
    let line = hint_line("host", &signature, &inferred.contract());
    assert!(espb_hints::HintSet::parse("inferred.hints", &line).is_ok(), "{line}");
    inferred
}

fn params(inferred: &Inferred) -> Vec<(String, Certainty)> {
    let words = |(index, finding): (usize, &super::Finding<_>)| {
        assert!(!finding.evidence.is_empty());
        (param_item(index, &finding.meaning).unwrap_or_default(), finding.certainty)
    };
    inferred.params.iter().enumerate().map(words).collect()
}

fn expect(inferred: &Inferred, expected: &[(&str, Certainty)]) {
    let expected: Vec<_> = expected.iter().map(|(item, certainty)| ((*item).to_owned(), *certainty)).collect();
    assert_eq!(params(inferred), expected, "{inferred:#?}");
}

/// The body of a program with one variable of eight bytes.
fn with_variable(before: &str, call: &str, after: &str) -> String {
    format!(
        "define i32 @app_main() {{\n %v = alloca [8 x i8]\n {before}\n {call}\n {after}\n ret i32 0\n}}\n\
         declare void @print(...)\n"
    )
}

const CALL: &str = "call void @host(ptr %v)";
const READ: &str = "%r = load volatile i32, ptr %v";

#[test]
fn an_unwritten_object_that_is_read_afterwards_is_a_result_of_its_exact_size() {
    let typed = host("void @host(ptr)", Some("null, !15"), &with_variable("", CALL, READ));
    expect(&typed, &[("out 0 size 8", Certain)]);
    let untyped = host("void @host(ptr)", None, &with_variable("", CALL, READ));
    expect(&untyped, &[("out 0 size 8", Likely)]);
}

#[test]
fn an_object_that_only_the_function_itself_gets_again_may_be_its_state() {
    // As of `strtok_r`: the second call reads what the first has written.
    let again = host("void @host(ptr)", Some("null, !15"), &with_variable("", CALL, CALL));
    expect(&again, &[("out 0 size 8", Likely)]);
}

#[test]
fn what_is_stored_before_and_read_after_goes_both_ways_and_what_is_not_read_only_in() {
    let store = "store i32 7, ptr %v";
    let both = host("void @host(ptr)", Some("null, !15"), &with_variable(store, CALL, READ));
    expect(&both, &[("inout 0 size 8", Likely)]);
    let once = host("void @host(ptr)", Some("null, !15"), &with_variable(store, CALL, ""));
    assert_eq!(params(&once)[0].0, "in 0 size 8");
}

#[test]
fn an_initialised_object_behind_an_untyped_pointer_is_left_to_a_hint() {
    let program = with_variable("store i32 7, ptr %v", CALL, "");
    expect(&host("void @host(ptr)", Some("null, !13"), &program), &[("inout 0 size 8", Uncertain)]);
    expect(&host("void @host(ptr)", None, &program), &[("inout 0 size 8", Uncertain)]);
}

#[test]
fn an_object_that_another_function_may_have_filled_is_no_mere_result() {
    let program = with_variable("call void (...) @fill(ptr %v)", CALL, "") + "declare void @fill(...)\n";
    let printed = host(
        "void @host(ptr)",
        Some("null, !15"),
        &program.replace("@fill(ptr", "@scanf(ptr").replace("@fill", "@scanf"),
    );
    assert_ne!(params(&printed)[0].0, "out 0 size 8");
    let shown = host("void @host(ptr)", Some("null, !15"), &with_variable("", CALL, "call void (...) @print(ptr %v)"));
    expect(&shown, &[("out 0 size 8", Certain)]);
}

#[test]
fn attributes_say_who_reads_and_who_writes() {
    let store = "store i32 7, ptr %v";
    let only_read = host("void @host(ptr readonly)", Some("null, !15"), &with_variable(store, CALL, READ));
    expect(&only_read, &[("in 0 size 8", Certain)]);
    let only_written = host("void @host(ptr writeonly)", Some("null, !15"), &with_variable(store, CALL, READ));
    expect(&only_written, &[("out 0 size 8", Certain)]);
    let room = host(
        "void @host(ptr sret([8 x i8]))",
        None,
        &with_variable("", "call void @host(ptr sret([8 x i8]) %v)", READ),
    );
    expect(&room, &[("out 0 size 8", Certain)]);
}

#[test]
fn what_the_declaration_promises_to_be_there_is_the_extent() {
    let program = "define i32 @app_main() {\n %v = alloca [16 x i8]\n call void @host(ptr %v)\n \
                   %r = load volatile i32, ptr %v\n ret i32 0\n}\n";
    let array = host("void @host(ptr dereferenceable(16))", Some("null, !38"), program);
    expect(&array, &[("out 0 size 16", Certain)]);
    // Without it, an array is passed whose elements nobody counts.
    assert_eq!(params(&host("void @host(ptr)", Some("null, !38"), program))[0].1, Uncertain);
    let blind = host("void @host(ptr readonly dereferenceable(12))", None, program);
    expect(&blind, &[("in 0 size 12", Likely)]);
    let too_much = host("void @host(ptr writeonly dereferenceable(32))", Some("null, !38"), program);
    assert_eq!(params(&too_much)[0].1, Uncertain);
}

#[test]
fn an_address_through_which_nothing_is_accessed_is_a_number() {
    let program = with_variable("store i32 7, ptr %v", CALL, "");
    let found = host("void @host(ptr readnone captures(none))", Some("null, !13"), &program);
    expect(&found, &[("", Certain)]);
    // One that is kept may be used later.
    assert_eq!(params(&host("void @host(ptr readnone)", Some("null, !13"), &program))[0].1, Uncertain);
}

#[test]
fn attributes_say_whether_memory_is_used_after_the_call() {
    let program = with_variable("store i32 7, ptr %v", CALL, "");
    let why = |declaration: &str| host(declaration, Some("null, !15"), &program).params[0].evidence.join("; ");
    assert!(why("void @host(ptr readonly captures(none))").contains("not after the call"));
    assert!(!why("void @host(ptr readonly)").contains("after the call"));
    assert!(why("void @host(ptr captures(none))").contains("not used after the call"));
}

#[test]
fn an_argument_that_comes_back_is_no_new_memory() {
    let program = "define ptr @app_main(ptr %v) {\n %p = call ptr @host(ptr %v)\n ret ptr %p\n}\n";
    let found = host("ptr @host(ptr returned)", Some("!15, !15"), program);
    assert_eq!((found.result.meaning, found.result.certainty), (ResultMeaning::Value, Certain));
}

#[test]
fn new_memory_has_the_size_that_was_asked_for_and_goes_by_its_attribute() {
    let program = "define ptr @app_main() {\n %p = call ptr @host(i32 8)\n ret ptr %p\n}\n";
    let fresh = host("noalias ptr @host(i32)", Some("!13, !14"), program);
    let own = ResultMeaning::Own { extent: Extent::Arg { param: 0, scale: 1 } };
    assert_eq!((fresh.result.meaning, fresh.result.certainty), (own, Likely));
    assert_eq!(host("ptr @host(i32)", Some("!13, !14"), program).result.certainty, Uncertain);
}

#[test]
fn two_calls_that_differ_do_not_make_a_bigger_object() {
    let program = "define i32 @app_main() {\n %a = alloca [8 x i8]\n %b = alloca [24 x i8]\n \
                   call void @host(ptr %a)\n call void @host(ptr %b)\n %r = load volatile i32, ptr %a\n \
                   %s = load volatile i32, ptr %b\n ret i32 0\n}\n";
    assert_eq!(params(&host("void @host(ptr)", Some("null, !13"), program))[0].1, Uncertain);
    assert_eq!(params(&host("void @host(ptr)", None, program))[0].1, Uncertain);
}

#[test]
fn a_length_beside_untyped_memory_is_its_extent() {
    let program = with_variable("store i32 7, ptr %v", "call void @host(ptr %v, i32 8)", "");
    expect(
        &host("void @host(ptr, i32)", Some("null, !18, !14"), &program),
        &[("in 0 size arg 1", Likely), ("", Certain)],
    );
}

#[test]
fn text_that_is_written_without_a_length_is_left_to_a_hint() {
    let found = host("void @host(ptr)", Some("null, !37"), &with_variable("", CALL, READ));
    assert_eq!(params(&found)[0].1, Uncertain);
}

#[test]
fn a_function_is_a_callback_and_the_untyped_pointer_beside_it_its_user_data() {
    let program = "define void @code(ptr %p) { ret void }\n\
                   define i32 @app_main() {\n call void @host(ptr @code, i32 5, ptr null)\n ret i32 0\n}\n";
    let typed = host("void @host(ptr, i32, ptr)", Some("null, !16, !10, !13"), program);
    expect(&typed, &[("cb 0 (i32) user 2", Likely), ("", Certain), ("user 2", Likely)]);
    let blind = host("void @host(ptr, i32, ptr)", None, program);
    assert_eq!(params(&blind)[0], ("cb 0 (i32)".to_owned(), Likely));
    assert_eq!(params(&blind)[2].1, Uncertain);
}

#[test]
fn functions_of_different_signatures_are_left_to_a_hint() {
    let program = "define void @one(ptr %p) { ret void }\ndefine void @two(ptr %p, i64 %n) { ret void }\n\
                   define i32 @app_main() {\n call void @host(ptr @one)\n call void @host(ptr @two)\n ret i32 0\n}\n";
    assert_eq!(params(&host("void @host(ptr)", None, program))[0].1, Uncertain);
}

#[test]
fn callbacks_and_strings_in_a_structure_are_found_by_their_types() {
    let program = "define i32 @app_main() {\n %v = alloca [12 x i8]\n %task = alloca ptr\n store i32 0, ptr %v\n\
                   call void @host(ptr %v, ptr %task)\n ret i32 0\n}\n";
    let found = host("void @host(ptr, ptr)", Some("null, !19, !17"), program);
    let members = "in 0 size 12 { cb 0 (i32) user 4, in 8 cstr null deferred }";
    expect(&found, &[(members, Likely), ("out 1 handle task", Likely)]);
}

#[test]
fn handles_are_known_by_their_types_and_what_is_hidden_is_left_to_a_hint() {
    let program = "define i32 @app_main() {\n call void @host(ptr null)\n ret i32 0\n}\n";
    expect(&host("void @host(ptr)", Some("null, !31"), program), &[("handle 0 task null", Likely)]);
    let hidden = host("void @host(ptr)", Some("null, !32"), program);
    assert_eq!(params(&hidden)[0].1, Uncertain);
}

#[test]
fn a_format_is_certain_when_its_conversions_fit_the_arguments() {
    let program = |text: &str| {
        format!(
            "@f = private unnamed_addr constant [6 x i8] c\"{text}\\00\"\n\
             define i32 @app_main() {{\n call void (ptr, ...) @host(ptr @f, i32 1)\n ret i32 0\n}}\n"
        )
    };
    expect(&host("void @host(ptr, ...)", Some("null, !12, null"), &program("a %d\\0A")), &[("format 0", Certain)]);
    expect(&host("void @host(ptr, ...)", Some("null, !12, null"), &program("a %%\\0A")), &[("format 0", Likely)]);
}

#[test]
fn a_terminated_constant_is_a_string_unless_a_length_may_limit_it() {
    let program = "@s = private unnamed_addr constant [3 x i8] c\"hi\\00\"\n\
                   define i32 @app_main() {\n call void @host(ptr @s)\n ret i32 0\n}\n";
    expect(&host("void @host(ptr)", Some("null, !12"), program), &[("in 0 cstr", Certain)]);
    expect(&host("void @host(ptr)", None, program), &[("in 0 cstr", Likely)]);
    let limited = program.replace("(ptr @s)", "(ptr @s, i32 2)");
    assert_eq!(params(&host("void @host(ptr, i32)", None, &limited))[0].1, Uncertain);
}

#[test]
fn an_address_that_comes_back_from_nowhere_is_a_mere_number() {
    let program = "define ptr @app_main() {\n %p = call ptr @host(i32 1)\n ret ptr %p\n}\n";
    let found = host("ptr @host(i32)", Some("!15, !10"), program);
    assert_eq!(found.result.certainty, Uncertain);
    assert_eq!(found.result.meaning, ResultMeaning::Value);
}
