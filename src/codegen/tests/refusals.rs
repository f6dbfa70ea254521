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
