//! What cannot be translated is refused with its function, place and a remedy; nothing ends in wrong code.

use super::{HEADER, translate};
use crate::diagnostic::{Diagnostic, Place};

fn refusal(body: &str) -> Diagnostic {
    let mut all = translate(&format!("{HEADER}{body}"), "app_main", false).expect_err("it is refused");
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[test]
fn long_double_is_refused_in_its_function() {
    let refused = refusal(
        "define i32 @app_main(i32 %a, i32 %b, i32 %c) {\n%x = sitofp i32 %a to fp128\n%y = fmul fp128 %x, %x\n\
        %t = fptosi fp128 %y to i32\nret i32 %t\n}",
    );
    assert_eq!(refused.code, "espb::codegen::unsupported");
    assert!(refused.message.contains("app_main") && refused.message.contains("long double"), "{}", refused.message);
    assert_eq!(refused.place, Place::Function("app_main".to_owned()));
    assert!(!refused.help.is_empty());
}

#[test]
fn a_missing_entry_is_named() {
    let all = translate(&format!("{HEADER}define void @other() {{\nret void\n}}"), "app_main", false)
        .expect_err("it is refused");
    assert!(all.iter().any(|refused| refused.message.contains("app_main")), "{all:#?}");
}

#[test]
fn an_entry_with_other_parameters_is_refused() {
    let refused = refusal("define i32 @app_main(double %x) {\nret i32 0\n}");
    assert_eq!(refused.code, "espb::codegen::entry_signature");
}

#[test]
fn assembly_without_a_meaning_here_is_refused_with_its_text() {
    let assembly =
        refusal("define void @app_main() {\ncall void asm sideeffect \"csrw mtvec, zero\", \"\"()\nret void\n}");
    assert!(
        assembly.message.contains("assembly") && assembly.message.contains("csrw mtvec, zero"),
        "{}",
        assembly.message
    );
}

#[test]
fn a_guaranteed_tail_call_with_arguments_in_memory_is_refused() {
    let parameters = |count: usize| (0..count).map(|index| format!("i32 %p{index}")).collect::<Vec<_>>().join(", ");
    let program = |count| {
        let all = parameters(count);
        format!(
            "define i32 @app_main() {{\n%r = call i32 @f({})\nret i32 %r\n}}\n\
            define internal i32 @f({all}) noinline {{\n%r = musttail call i32 @g({all})\nret i32 %r\n}}\n\
            define internal i32 @g({all}) noinline {{\nret i32 %p0\n}}",
            vec!["i32 1"; count].join(", ")
        )
    };
    assert!(translate(&format!("{HEADER}{}", program(24)), "app_main", false).is_ok());
    let refused = refusal(&program(25));
    assert_eq!(refused.code, "espb::codegen::too_large");
    assert!(refused.message.contains("tail call (musttail) with more than 24 arguments"), "{}", refused.message);
}

#[test]
fn a_host_function_takes_what_a_signature_holds() {
    let program = |count: usize| {
        format!(
            "declare void @host({})\ndefine void @app_main() {{\ncall void @host({})\nret void\n}}",
            vec!["i32"; count].join(", "),
            vec!["i32 1"; count].join(", ")
        )
    };
    assert!(translate(&format!("{HEADER}{}", program(24)), "app_main", false).is_ok());
    let refused = refusal(&program(25));
    assert_eq!(refused.code, "espb::codegen::too_large");
    assert!(refused.message.contains("a host function with 25 parameters"), "{}", refused.message);
}

#[test]
fn a_variadic_host_function_without_a_list_form_takes_no_more_either() {
    let program = |name: &str, count: usize| {
        format!(
            "declare i32 @{name}(ptr, ...)\ndefine i32 @app_main() {{\n%r = call i32 (ptr, ...) @{name}(ptr null, {})\nret i32 %r\n}}",
            vec!["i32 1"; count].join(", ")
        )
    };
    for (name, count) in [("printf", 40), ("host", 23)] {
        assert!(translate(&format!("{HEADER}{}", program(name, count)), "app_main", false).is_ok(), "{name}");
    }
    let refused = refusal(&program("host", 24));
    assert_eq!(refused.code, "espb::codegen::too_large");
    assert!(refused.message.contains("a call of host with more than 24 arguments"), "{}", refused.message);
}
