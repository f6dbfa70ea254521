//! The run-time library of C++ comes with the programs that need it.

use super::*;

fn names(module: &Module) -> Vec<(&str, bool)> {
    module.functions.iter().map(|function| (function.name.as_str(), function.is_declaration())).collect()
}

#[test]
fn a_program_gets_the_operators_it_calls_and_no_others() {
    let text = "declare ptr @_Znaj(i32)\ndefine ptr @f() {\n %p = call ptr @_Znaj(i32 40)\n ret ptr %p\n}\n";
    let program = read(&request(&[text], &["f"])).unwrap().module;
    assert_eq!(names(&program), [("f", false), ("_Znaj", false), ("_Znwj", false), ("malloc", true), ("abort", true)]);
}

#[test]
fn a_programs_own_operator_wins() {
    let text = "declare ptr @_Znaj(i32)\ndefine ptr @_Znwj(i32 %n) {\n ret ptr null\n}\n\
                define ptr @f() {\n %p = call ptr @_Znaj(i32 40)\n ret ptr %p\n}\n";
    let program = read(&request(&[text], &["f"])).unwrap().module;
    assert!(!names(&program).contains(&("malloc", true)), "{:?}", names(&program));
}

const DESTRUCTOR: &str = "@llvm.global_dtors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @last, ptr null }]\n\
    define internal void @last() {\n call void @puts()\n ret void\n}\ndeclare void @puts()\ndeclare void @exit(i32)\n";

#[test]
fn destructors_are_dropped_from_programs_that_never_exit() {
    let text = format!("{DESTRUCTOR}define i32 @f() {{\n ret i32 1\n}}\n").replace("declare void @exit(i32)\n", "");
    let program = read(&request(&[&text], &["f"])).unwrap().module;
    assert!(
        !names(&program).iter().any(|(name, _)| ["last", "puts", "malloc"].contains(name)),
        "{:?}",
        names(&program)
    );
}

#[test]
fn destructors_are_registered_for_exit_otherwise() {
    let text = format!("{DESTRUCTOR}define i32 @f() {{\n call void @exit(i32 2)\n ret i32 1\n}}\n");
    let program = read(&request(&[&text], &["f"])).unwrap().module;
    assert_eq!(program.constructors.len(), 1);
    for name in ["last", "__cxa_atexit", "__espb_exit"] {
        assert!(names(&program).contains(&(name, false)), "{name}: {:?}", names(&program));
    }
    assert!(names(&program).contains(&("exit", true)));
}

#[test]
fn a_function_that_must_tail_call_itself_is_a_loop() {
    let text = "define i32 @f(i32 %n, i32 %sum) optnone noinline {\n %done = icmp eq i32 %n, 0\n br i1 %done, label %end, label %again\n\
                end:\n ret i32 %sum\nagain:\n %less = sub i32 %n, 1\n %more = add i32 %sum, %n\n\
                %result = musttail call i32 @f(i32 %less, i32 %more)\n ret i32 %result\n}\n";
    let program = module(text);
    let calls = kinds(function(&program, "f")).iter().filter(|kind| matches!(kind, InstructionKind::Call(_))).count();
    assert_eq!(calls, 0);
}
