//! Instructions mean what LLVM says, and what is not needed is gone.
//!
//! Must never hold: tests of constants in data.

use super::{function, instructions, kinds, module, request};
use crate::ir::reader::read;
use crate::ir::{
    AtomicOrdering, Callee, CastOp, InstructionKind, Linkage, Module, Operand, RmwOp, ScaledIndex, Terminator, Type,
    ValueId,
};

fn value(id: u32) -> Operand {
    Operand::Value(ValueId(id))
}

#[test]
fn an_element_address_is_base_offset_and_scaled_indices() {
    let module = module(
        "%S = type { i8, [4 x i32], double }
        define ptr @f(ptr %base, i32 %i, i8 %j) {
          %p = getelementptr inbounds [3 x %S], ptr %base, i8 -1, i32 %i, i32 1, i8 %j
          ret ptr %p
        }",
    );
    let [InstructionKind::Address { base, offset, indices, in_bounds }] = kinds(function(&module, "f"))[..] else {
        panic!("one address")
    };
    assert_eq!((base, *offset, *in_bounds), (&value(0), -3 * 32 + 4, true));
    assert_eq!(indices, &[ScaledIndex { index: value(1), scale: 32 }, ScaledIndex { index: value(2), scale: 4 }]);
}

#[test]
fn switch_cases_keep_value_and_target() {
    let module = module(
        "define i32 @f(i64 %x) {
          switch i64 %x, label %d [ i64 -1, label %a i64 4294967296, label %d ]
        a:
          ret i32 1
        d:
          ret i32 2
        }",
    );
    let Terminator::Switch { value: on, default, cases } = &function(&module, "f").blocks[0].terminator else {
        panic!("a switch")
    };
    let cases: Vec<_> = cases.iter().map(|case| (case.value, case.target.0)).collect();
    assert_eq!((on, default.0, cases), (&value(0), 2, vec![(u128::from(u64::MAX), 1), (1 << 32, 2)]));
}

#[test]
fn a_phi_may_use_what_a_later_block_defines() {
    let module = module(
        "define i32 @f(i32 %n) {
        entry:
          br label %loop
        loop:
          %i = phi i32 [ 0, %entry ], [ %next, %loop ]
          %next = add i32 %i, 1
          %again = icmp ult i32 %next, %n
          br i1 %again, label %loop, label %end
        end:
          ret i32 %i
        }",
    );
    let f = function(&module, "f");
    let phi = &f.blocks[1].phis[0];
    assert_eq!(phi.result, ValueId(1));
    assert_eq!(phi.incoming[1], (crate::ir::BlockId(1), value(2)));
    assert_eq!(f.value_types.len(), 4);
}

#[test]
fn only_rooms_of_known_size_in_the_entry_block_are_static() {
    let module = module(
        "declare void @use(ptr, ptr)
        define void @f(i32 %n) {
          %fixed = alloca [5 x i32], align 8
          %dynamic = alloca i16, i32 %n, align 2
          call void @use(ptr %fixed, ptr %dynamic)
          br label %later
        later:
          %late = alloca i32, i32 3, align 4
          call void @use(ptr %late, ptr %late)
          ret void
        }",
    );
    let kinds = kinds(function(&module, "f"));
    assert!(matches!(kinds[0], InstructionKind::Alloca { size: 20, align: 8 }));
    assert!(
        matches!(kinds[1], InstructionKind::DynamicAlloca { count, element_size: 2, align: 2 } if *count == value(0))
    );
    assert!(matches!(kinds[3], InstructionKind::DynamicAlloca { element_size: 4, align: 4, .. }));
}

#[test]
fn calls_say_what_they_call() {
    let module = module(
        "declare i32 @printf(ptr, ...)
        declare void @llvm.memcpy.p0.p0.i32(ptr, ptr, i32, i1)
        @other = alias void (), ptr @target
        define void @target() {
          ret void
        }
        define void @f(ptr %p) {
          %n = call i32 (ptr, ...) @printf(ptr readonly captures(none) %p, double 1.0)
          call void @llvm.memcpy.p0.p0.i32(ptr %p, ptr align 4 %p, i32 8, i1 false)
          call void @other()
          call void %p()
          call void asm sideeffect \"nop\", \"~{memory}\"()
          ret void
        }",
    );
    let calls: Vec<_> = kinds(function(&module, "f"))
        .into_iter()
        .map(|kind| match kind {
            InstructionKind::Call(call) => call,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(calls[0].callee, Callee::Function(module.function_named("printf").expect("declared")));
    assert!(calls[0].ty.variadic && calls[0].arguments.len() == 2 && calls[0].arguments[0].attributes.read_only);
    let Callee::Intrinsic { name, overloads } = &calls[1].callee else { panic!("an intrinsic") };
    let overloads: Vec<_> = overloads.iter().map(|ty| module.types.get(*ty).clone()).collect();
    assert_eq!((name.as_str(), overloads), ("llvm.memcpy", vec![Type::Pointer, Type::Pointer, Type::Int(32)]));
    assert_eq!(calls[1].arguments[1].attributes.align, 4);
    assert_eq!(calls[2].callee, Callee::Function(module.function_named("target").expect("defined")));
    assert_eq!(calls[3].callee, Callee::Indirect(value(0)));
    assert!(matches!(&calls[4].callee, Callee::InlineAsm { text, side_effects: true, .. } if text == "nop"));
}

#[test]
fn memory_accesses_keep_volatility_alignment_and_order() {
    let module = module(
        "define i32 @f(ptr %p) {
          store volatile i32 7, ptr %p, align 2
          %v = load atomic i32, ptr %p acquire, align 4
          %o = atomicrmw xor ptr %p, i32 %v seq_cst
          %pair = cmpxchg weak ptr %p, i32 %o, i32 %v acq_rel monotonic
          %r = extractvalue { i32, i1 } %pair, 0
          ret i32 %r
        }",
    );
    let kinds = kinds(function(&module, "f"));
    assert!(matches!(kinds[0], InstructionKind::Store { align: 2, volatile: true, ordering: None, .. }));
    assert!(matches!(kinds[1], InstructionKind::Load { ordering: Some(AtomicOrdering::Acquire), .. }));
    assert!(matches!(
        kinds[2],
        InstructionKind::AtomicRmw { op: RmwOp::Xor, ordering: AtomicOrdering::SequentiallyConsistent, .. }
    ));
    let InstructionKind::CompareExchange { weak, success, failure, .. } = kinds[3] else { panic!("{:?}", kinds[3]) };
    assert_eq!((*weak, *success, *failure), (true, AtomicOrdering::AcquireRelease, AtomicOrdering::Monotonic));
    assert!(matches!(kinds[4], InstructionKind::ExtractValue { path, .. } if path == &[0]));
}

#[test]
fn code_compiled_without_optimisation_keeps_no_needless_stack_variables() {
    let module = module(
        "define i32 @f(i32 %0) #0 {
          %2 = alloca i32, align 4
          store i32 %0, ptr %2, align 4
          %3 = load i32, ptr %2, align 4
          %4 = add nsw i32 %3, 1
          ret i32 %4
        }
        attributes #0 = { noinline optnone \"target-cpu\"=\"generic-rv32\" \"target-features\"=\"+m,+nonsense\" }",
    );
    assert!(matches!(kinds(function(&module, "f"))[..], [InstructionKind::Binary { .. }]));
}

#[test]
fn vectors_are_computed_with_by_their_elements_and_moved_whole() {
    let module = module(
        "define void @f(ptr %p) {
          %v = load <2 x i32>, ptr %p, align 4
          %w = add <2 x i32> %v, <i32 1, i32 2>
          store <2 x i32> %w, ptr %p, align 4
          ret void
        }",
    );
    let kinds = kinds(function(&module, "f"));
    let count = |wanted: fn(&InstructionKind) -> bool| kinds.iter().filter(|kind| wanted(kind)).count();
    assert_eq!(count(|kind| matches!(kind, InstructionKind::Load { .. })), 1);
    assert_eq!(count(|kind| matches!(kind, InstructionKind::Binary { .. })), 2);
    assert_eq!(count(|kind| matches!(kind, InstructionKind::Store { .. })), 1);
}

#[test]
fn a_call_that_might_throw_is_a_plain_call() {
    let module = module(
        "declare i32 @g()
        declare i32 @__gxx_personality_v0(...)
        define i32 @f() personality ptr @__gxx_personality_v0 {
          %r = invoke i32 @g() to label %ok unwind label %bad
        ok:
          ret i32 %r
        bad:
          %pad = landingpad { ptr, i32 } cleanup
          resume { ptr, i32 } %pad
        }",
    );
    let f = function(&module, "f");
    assert!(matches!(kinds(f)[..], [InstructionKind::Call(_)]));
    assert_eq!(f.blocks.len(), 1);
}

const LIBRARY: &str = "
    @used = internal global i32 1
    @unused = global i32 2
    define i32 @helper() {
      %v = load i32, ptr @used
      ret i32 %v
    }
    define void @idle() {
      ret void
    }";

fn names(module: &Module) -> Vec<&str> {
    let functions = module.functions.iter().map(|function| function.name.as_str());
    functions.chain(module.globals.iter().map(|global| global.name.as_str())).collect()
}

#[test]
fn only_what_the_roots_reach_stays_and_only_roots_are_visible() {
    let main = "declare i32 @helper()\ndefine i32 @app_main() {\n  %r = call i32 @helper()\n  ret i32 %r\n}\n";
    let module = read(&request(&[main, LIBRARY], &["app_main"])).expect("it links").module;
    assert_eq!(names(&module), ["app_main", "helper", "used"]);
    assert_eq!(function(&module, "app_main").linkage, Linkage::External);
    assert_eq!(function(&module, "helper").linkage, Linkage::Internal);
}

#[test]
fn hints_to_the_optimiser_leave_no_code() {
    let module = module(
        "declare void @llvm.assume(i1)
        define i32 @f(i32 %x) {
          %c = icmp ne i32 %x, 0
          call void @llvm.assume(i1 %c)
          ret i32 %x
        }",
    );
    assert!(instructions(function(&module, "f")).is_empty());
}

#[test]
fn conversions_name_their_operation() {
    let module = module("define i64 @f(float %x) {\n  %i = fptosi float %x to i64\n  ret i64 %i\n}\n");
    assert!(matches!(
        kinds(function(&module, "f"))[..],
        [InstructionKind::Cast { op: CastOp::FloatToSigned, operand }] if *operand == value(0)
    ));
}

#[test]
fn code_that_nothing_reaches_is_gone_whatever_it_holds() {
    let module = module(
        "define <4 x i32> @f(<4 x i32> %a, i32 %i) {
          ret <4 x i32> %a
        dead:
          %s = shufflevector <4 x i32> %a, <4 x i32> %a, <4 x i32> <i32 3, i32 2, i32 1, i32 0>
          %t = insertelement <4 x i32> %s, i32 1, i32 %i
          ret <4 x i32> %t
        }",
    );
    assert_eq!(function(&module, "f").blocks.len(), 1);
}
