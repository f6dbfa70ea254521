//! Variables and constants arrive bit by bit and byte by byte.
//!
//! Must never hold: tests of instructions.

use super::{address, errors, function, initializer, module};
use crate::ir::{ConstantKind, ConstantOp, Operand, Terminator, Type};

/// struct S { char c; int x[4]; double d; struct { short q; long long z; } in; } gs[3];
const STRUCT: &str = "%S = type { i8, [4 x i32], double, %In }\n%In = type { i16, i64 }\n\
                      @gs = global [3 x %S] zeroinitializer, align 8\n";

#[test]
fn addresses_in_initialisers_become_symbol_and_offset() {
    let module = module(&format!(
        "{STRUCT}
        @field = global ptr getelementptr inbounds ([3 x %S], ptr @gs, i32 0, i32 1, i32 1, i32 2)
        @nested = global ptr getelementptr ([3 x %S], ptr @gs, i32 0, i32 2, i32 3, i32 1)
        @before = global ptr getelementptr (%S, ptr @gs, i32 -1, i32 2)
        @number = global i32 sub (i32 ptrtoint (ptr @gs to i32), i32 3)
        @back = global ptr inttoptr (i32 add (i32 ptrtoint (ptr @gs to i32), i32 5) to ptr)
        @other = alias double, getelementptr (%S, ptr @gs, i32 0, i32 2)
        @through = global ptr getelementptr (i8, ptr @other, i32 1)
        @absolute = global ptr inttoptr (i32 1610612740 to ptr)
        @size = global i32 ptrtoint (ptr getelementptr (%S, ptr null, i32 1) to i32)"
    ));
    let at = |name| address(&module, initializer(&module, name));
    assert_eq!(at("field"), ("gs", 48 + 4 + 8));
    assert_eq!(at("nested"), ("gs", 96 + 32 + 8));
    assert_eq!(at("before"), ("gs", -48 + 24));
    assert_eq!(at("number"), ("gs", -3));
    assert_eq!(at("back"), ("gs", 5));
    assert_eq!(at("through"), ("gs", 25));
    assert_eq!(initializer(&module, "absolute").kind, ConstantKind::Int(0x6000_0004));
    assert_eq!(initializer(&module, "size").kind, ConstantKind::Int(48));
}

#[test]
fn text_of_old_clang_with_inrange_is_read() {
    let module = module(
        "@vt = constant { [4 x ptr] } zeroinitializer
        @p = global ptr getelementptr inbounds ({ [4 x ptr] }, ptr @vt, i32 0, inrange i32 0, i32 2)",
    );
    assert_eq!(address(&module, initializer(&module, "p")), ("vt", 8));
    let [error] = &errors(&["@s = global ptr getelementptr ([2 x i8], ptr @t, i32 0, inrange i32 0)\n"], &[])[..]
    else {
        panic!("one error")
    };
    assert_eq!(error.code, "espb::ir::syntax");
    assert!(error.help.contains(".bc"), "{}", error.help);
}

#[test]
fn distances_between_blocks_stay_expressions_and_mark_the_blocks() {
    let module = module(
        "@table = constant [1 x i32] [i32 sub (i32 ptrtoint (ptr blockaddress(@f, %b) to i32),
                                              i32 ptrtoint (ptr blockaddress(@f, %a) to i32))]
        define void @f(ptr %x) {
          indirectbr ptr %x, [label %a, label %b]
        a:
          ret void
        b:
          ret void
        }",
    );
    let ConstantKind::Aggregate(entries) = &initializer(&module, "table").kind else { panic!("an array") };
    let ConstantKind::Expression { op: ConstantOp::Sub, operands } = &entries[0].kind else { panic!("{entries:?}") };
    assert!(operands.iter().all(|operand| matches!(operand.kind, ConstantKind::BlockAddress { .. })));
    let taken: Vec<bool> = function(&module, "f").blocks.iter().map(|block| block.address_taken).collect();
    assert_eq!(taken, [false, true, true]);
}

#[test]
fn numbers_keep_every_bit() {
    let module = module(
        "@nan = global float 0x7FF4000020000000
        @minus_zero = global double -0.0
        @denormal = global double 0x0000000000000001
        @half = global half 0xH3C01
        @quad = global fp128 0xL00000000000000013FFF800000000000
        @wide = global i128 -170141183460469231731687303715884105727
        @odd = global i24 -2
        @big = global i64 -9223372036854775808",
    );
    let kind = |name| initializer(&module, name).kind.clone();
    assert_eq!(kind("nan"), ConstantKind::Float(0x7fa0_0001));
    assert_eq!(kind("minus_zero"), ConstantKind::Float(1 << 63));
    assert_eq!(kind("denormal"), ConstantKind::Float(1));
    assert_eq!(kind("half"), ConstantKind::Float(0x3c01));
    assert_eq!(kind("quad"), ConstantKind::Float(0x3fff_8000_0000_0000_0000_0000_0000_0001));
    let ConstantKind::Aggregate(parts) = kind("wide") else { panic!("two parts") };
    assert_eq!(
        parts.into_iter().map(|part| part.kind).collect::<Vec<_>>(),
        [ConstantKind::Int(1), ConstantKind::Int(1 << 63)]
    );
    assert_eq!(kind("odd"), ConstantKind::Int(0xff_fffe));
    assert_eq!(kind("big"), ConstantKind::Int(1 << 63));
}

#[test]
fn arrays_of_numbers_arrive_as_their_bytes() {
    let module = module(
        "@text = constant [3 x i8] c\"a\\FF\\00\"
        @shorts = constant [2 x i16] [i16 -1, i16 258]
        @floats = constant [2 x float] [float 1.5, float -0.0]",
    );
    let bytes = |name| match &initializer(&module, name).kind {
        ConstantKind::Bytes(bytes) => bytes.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(bytes("text"), [b'a', 0xff, 0]);
    assert_eq!(bytes("shorts"), [0xff, 0xff, 2, 1]);
    assert_eq!(bytes("floats"), [0, 0, 0xc0, 0x3f, 0, 0, 0, 0x80]);
}

#[test]
fn types_carry_the_layout_of_the_target() {
    let module = module("@p = global <{ i8, i32 }> zeroinitializer\n@s = global { i8, i64, i24 } zeroinitializer");
    let layout = |name: &str| {
        let global = module.globals.iter().find(|global| global.name == name).expect("the variable is there");
        let Type::Struct { offsets, .. } = module.types.get(global.ty) else { panic!("a struct") };
        (global.size, global.align, offsets.clone())
    };
    assert_eq!(layout("p"), (5, 1, vec![0, 1]));
    assert_eq!(layout("s"), (24, 8, vec![0, 8, 16]));
}

#[test]
fn constructors_come_in_the_order_they_run_and_annotations_with_their_text() {
    let module = module(
        "@llvm.global_ctors = appending global [2 x { i32, ptr, ptr }] [
          { i32, ptr, ptr } { i32 65535, ptr @late, ptr null }, { i32, ptr, ptr } { i32 200, ptr @early, ptr null }]
        @text = private constant [6 x i8] c\"hello\\00\", section \"llvm.metadata\"
        @file = private constant [4 x i8] c\"a.c\\00\", section \"llvm.metadata\"
        @llvm.global.annotations = appending global [1 x { ptr, ptr, ptr, i32, ptr }] [
          { ptr, ptr, ptr, i32, ptr } { ptr @late, ptr @text, ptr @file, i32 3, ptr null }], section \"llvm.metadata\"
        @seen = external global i32
        define void @late() {
          store volatile i32 2, ptr @seen
          ret void
        }
        define void @early() {
          store volatile i32 1, ptr @seen
          ret void
        }",
    );
    let order: Vec<_> = module.constructors.iter().map(|entry| module.function(entry.function)).collect();
    assert_eq!(order, [Some(function(&module, "early")), Some(function(&module, "late"))]);
    assert_eq!(module.annotations.iter().map(|found| found.text.as_str()).collect::<Vec<_>>(), ["hello"]);
    let data: Vec<_> = module.globals.iter().map(|global| global.name.as_str()).collect();
    assert_eq!(data, ["seen"], "strings of annotations are no data");
}

#[test]
fn a_returned_constant_has_its_type() {
    let module = module("define i8 @f() {\n  ret i8 -1\n}\n");
    let f = function(&module, "f");
    let Terminator::Return(Some(operand @ Operand::Constant(constant))) = &f.blocks[0].terminator else {
        panic!("{f:?}")
    };
    assert_eq!(constant.kind, ConstantKind::Int(0xff));
    assert_eq!(f.type_of(operand).and_then(|ty| module.types.int_bits(ty)), Some(8));
}
