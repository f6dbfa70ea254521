//! Debug information: C lines and C types.
//!
//! Must never hold: tests that do without debug information.

use super::{errors, function, instructions, module};
use crate::diagnostic::Place;
use crate::ir::debug::BaseEncoding;
use crate::ir::{DebugType, SourceLanguage};

/// int send(struct queue *q, const void *item, unsigned ticks, ...);
/// static inline int twice(int x) { return send(0, 0, 5); }     // line 4
/// int entry(int x) { return twice(x) + 1; }                     // line 7
const INLINED: &str = r#"
    define i32 @entry(i32 %0) !dbg !15 {
      %2 = call i32 (ptr, ptr, i32, ...) @send(ptr null, ptr null, i32 5), !dbg !29
      %3 = OPERATION i32 %2, 1, !dbg !31
      ret i32 %3, !dbg !32
    }
    declare !dbg !33 i32 @send(ptr, ptr, i32, ...)
    !llvm.dbg.cu = !{!0}
    !llvm.module.flags = !{!3}
    !0 = distinct !DICompileUnit(language: DW_LANG_C11, file: !1, producer: "clang version 22", isOptimized: true, emissionKind: FullDebug)
    !1 = !DIFile(filename: "main/d.c", directory: "/project")
    !2 = !DIFile(filename: "inline.h", directory: "/project")
    !3 = !{i32 2, !"Debug Info Version", i32 3}
    !15 = distinct !DISubprogram(name: "entry", scope: !1, file: !1, line: 6, type: !16, unit: !0, spFlags: DISPFlagDefinition)
    !16 = !DISubroutineType(types: !17)
    !17 = !{!18, !18}
    !18 = !DIBasicType(name: "int", size: 32, encoding: DW_ATE_signed)
    !24 = distinct !DISubprogram(name: "twice", scope: !2, file: !2, line: 3, type: !16, unit: !0, spFlags: DISPFlagLocalToUnit | DISPFlagDefinition)
    !27 = distinct !DILocation(line: 7, column: 10, scope: !15)
    !29 = !DILocation(line: 4, column: 12, scope: !24, inlinedAt: !27)
    !31 = !DILocation(line: 7, column: 19, scope: !15)
    !32 = !DILocation(line: 7, column: 3, scope: !15)
    !33 = !DISubprogram(name: "send", scope: !1, file: !1, line: 2, type: !34, spFlags: DISPFlagOptimized)
    !34 = !DISubroutineType(types: !35)
    !35 = !{!18, !36, !38, !40, null}
    !36 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !37, size: 32)
    !37 = distinct !DICompositeType(tag: DW_TAG_structure_type, name: "queue", file: !1, line: 1, size: 64, elements: !41)
    !38 = !DIDerivedType(tag: DW_TAG_pointer_type, baseType: !39, size: 32)
    !39 = !DIDerivedType(tag: DW_TAG_const_type, baseType: null)
    !40 = !DIBasicType(name: "unsigned int", size: 32, encoding: DW_ATE_unsigned)
    !41 = !{!42, !43}
    !42 = !DIDerivedType(tag: DW_TAG_member, name: "next", scope: !37, file: !1, baseType: !36, size: 32)
    !43 = !DIDerivedType(tag: DW_TAG_member, name: "n", scope: !37, file: !1, baseType: !40, size: 32, offset: 32)
"#;

#[test]
fn inlined_code_has_the_line_of_the_inlined_function() {
    let module = module(&INLINED.replace("OPERATION", "add"));
    let entry = function(&module, "entry");
    let places: Vec<_> = instructions(entry)
        .iter()
        .map(|instruction| {
            let location = instruction.location.expect("a place");
            (module.files[location.file.0 as usize].name.as_str(), location.line, location.column)
        })
        .collect();
    assert_eq!(places, [("inline.h", 4, 12), ("main/d.c", 7, 19)]);
    assert_eq!(entry.blocks[0].terminator_location.map(|location| location.line), Some(7));
    assert_eq!((module.language, module.producer.as_str()), (Some(SourceLanguage::C), "clang version 22"));
}

#[test]
fn a_declaration_tells_the_c_types_of_its_parameters() {
    let module = module(&INLINED.replace("OPERATION", "add"));
    let send = function(&module, "send").debug.as_ref().expect("debug information of the declaration");
    let describe = |id: Option<crate::ir::DebugTypeId>| &module.debug_types[id.expect("a type").0 as usize];
    assert_eq!((send.name.as_str(), send.variadic, send.parameters.len()), ("send", true, 3));
    assert_eq!(send.location.map(|location| location.line), Some(2));
    let DebugType::Pointer { pointee } = describe(send.parameters[0]) else { panic!("a pointer") };
    let DebugType::Record { name, size: 8, union: false, members } = describe(*pointee) else { panic!("a struct") };
    assert_eq!(name.as_deref(), Some("queue"));
    let members: Vec<_> = members.iter().map(|member| (member.name.as_deref(), member.bit_offset, member.ty)).collect();
    assert_eq!(members, [(Some("next"), 0, send.parameters[0]), (Some("n"), 32, send.parameters[2])]);
    let DebugType::Pointer { pointee } = describe(send.parameters[1]) else { panic!("a pointer") };
    assert_eq!(describe(*pointee), &DebugType::Const { target: None });
    let unsigned = DebugType::Base { name: "unsigned int".to_owned(), bits: 32, encoding: BaseEncoding::Unsigned };
    assert_eq!(describe(send.parameters[2]), &unsigned);
}

#[test]
fn what_has_no_plain_form_is_refused_at_its_c_line() {
    let text = INLINED.replace("%3 = OPERATION i32 %2, 1", "%3 = call i32 @llvm.read_register.i32(metadata !99)")
        + "declare i32 @llvm.read_register.i32(metadata)\n!99 = !{!\"sp\"}\n";
    let [error] = &errors(&[&text], &[])[..] else { panic!("one error") };
    assert_eq!(error.code, "espb::ir::unsupported");
    assert_eq!(error.place, Place::Line { file: "main/d.c".to_owned(), line: 7, column: 19 });
    assert!(error.message.contains("llvm.read_register"), "{}", error.message);
}

#[test]
fn a_symbol_defined_twice_is_refused_at_its_c_line() {
    let other = "define i32 @entry(i32 %0) {\n  ret i32 0\n}\n";
    let [error] = &errors(&[other, &INLINED.replace("OPERATION", "add")], &[])[..] else { panic!("one error") };
    assert_eq!(error.code, "espb::ir::duplicate_symbol");
    assert_eq!(error.place, Place::Line { file: "main/d.c".to_owned(), line: 6, column: 0 });
    assert!(error.message.contains("a.ll") && error.message.contains("b.ll"), "{}", error.message);
}
