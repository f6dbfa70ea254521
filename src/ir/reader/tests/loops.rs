//! Which loops take several turns at once.
//!
//! Must never hold: how many machine instructions that saves; docs/performance.md says so.

use super::{function, kinds, request};
use crate::ir::InstructionKind;
use crate::ir::reader::read;

/// Loads in a function with these attributes and this body, after it was read.
fn loads(attributes: &str, body: &str) -> usize {
    let text = format!(
        "declare void @g(ptr)
        define ptr @f(ptr %first) {attributes} {{ {body} }}
        !0 = distinct !{{!0, !1}}
        !1 = !{{!\"llvm.loop.unroll.disable\"}}"
    );
    let module = read(&request(&[&text], &[])).expect("the text is good IR").module;
    let loads = kinds(function(&module, "f"));
    loads.into_iter().filter(|kind| matches!(kind, InstructionKind::Load { .. })).count()
}

/// A walk to the end of a list, with something done at each element.
fn walk(done: &str) -> String {
    format!(
        "entry:
          br label %loop
        loop:
          %at = phi ptr [ %first, %entry ], [ %next, %loop ]
          %last = phi ptr [ null, %entry ], [ %at, %loop ]
          {done}
          %next = load ptr, ptr %at, align 4
          %end = icmp eq ptr %next, null
          br i1 %end, label %out, label %loop
        out:
          ret ptr %last"
    )
}

#[test]
fn a_loop_that_follows_pointers_takes_four_turns_at_once() {
    assert_eq!(loads("", &walk("")), 4);
}

#[test]
fn a_loop_stays_as_it_is_in_a_function_for_size() {
    assert_eq!(loads("optsize", &walk("")), 1);
}

#[test]
fn a_loop_stays_as_it_is_where_the_source_says_so() {
    let branch = "br i1 %end, label %out, label %loop";
    let body = walk("").replace(branch, &format!("{branch}, !llvm.loop !0"));
    assert_eq!(loads("", &body), 1);
}

#[test]
fn a_loop_that_calls_stays_as_it_is() {
    assert_eq!(loads("", &walk("call void @g(ptr %at)")), 1);
}

#[test]
fn a_loop_over_bytes_stays_as_it_is() {
    let body = "entry:
          br label %loop
        loop:
          %at = phi ptr [ %first, %entry ], [ %next, %loop ]
          %byte = load i8, ptr %at, align 1
          %next = getelementptr inbounds i8, ptr %at, i32 1
          %end = icmp eq i8 %byte, 0
          br i1 %end, label %out, label %loop
        out:
          ret ptr %at";
    assert_eq!(loads("", body), 1);
}
