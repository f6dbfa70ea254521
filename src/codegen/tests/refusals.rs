//! What cannot be translated is refused with its function, place and a remedy; nothing ends in wrong code.

use super::{HEADER, Silent, compile, translate};
use crate::codegen::{Options, generate};
use crate::diagnostic::{Diagnostic, Place};
use crate::ir::{Input, Request, read};

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

/// A program for each class of refusals: its code, words of its message, and IR that is refused for this reason alone.
fn classes() -> Vec<(&'static str, &'static str, String)> {
    let function = |body: &str| format!("define i32 @app_main(i32 %a, ptr %p, i64 %w) {{\n{body}\nret i32 0\n}}");
    let arguments = |count: usize| vec!["i32 1"; count].join(", ");
    let parameters = |count: usize| (0..count).map(|index| format!("i32 %p{index}")).collect::<Vec<_>>().join(", ");
    let (ir, codegen, large) = ("espb::ir::unsupported", "espb::codegen::unsupported", "espb::codegen::too_large");
    vec![
        (ir, "bits are not supported", function("%x = load i5000, ptr %p\nstore i5000 %x, ptr %p")),
        (ir, "bits is not supported", function("%x = load i200, ptr %p\n%y = mul i200 %x, %x\nstore i200 %y, ptr %p")),
        (ir, "an atomic operation on more than 64 bits", function("%x = atomicrmw xchg ptr %p, i128 5 seq_cst")),
        (ir, "atomicrmw uinc_wrap", function("%x = atomicrmw uinc_wrap ptr %p, i32 5 seq_cst")),
        (ir, "type bfloat is not supported", function("%x = load bfloat, ptr %p\nstore bfloat %x, ptr %p")),
        (
            ir,
            "the intrinsic",
            function("%x = call i32 @llvm.get.fpmode.i32()\nstore i32 %x, ptr %p") + "\ndeclare i32 @llvm.get.fpmode.i32()",
        ),
        (ir, "carries operand bundles", function("call void %p() [ \"cfguardtarget\"(ptr %p) ]")),
        (
            ir,
            "C++ exceptions are not supported",
            "define i32 @app_main() personality ptr @p {\ncall void @__cxa_throw(ptr null, ptr null, ptr null)\nresume { ptr, i32 } poison\n}\n\
            declare void @__cxa_throw(ptr, ptr, ptr)\ndeclare i32 @p(...)"
                .to_owned(),
        ),
        (
            ir,
            "assembly that jumps",
            "define i32 @app_main() {\ncallbr void asm sideeffect \"nop\", \"!i\"() to label %a [label %b]\na:\nret i32 0\nb:\nret i32 1\n}".to_owned(),
        ),
        (ir, "is chosen by a resolver at load time", format!(
            "@chosen = ifunc i32 (), ptr @resolve\ndefine ptr @resolve() {{\nret ptr null\n}}\n{}",
            function("%x = call i32 @chosen()")
        )),
        ("espb::ir::module_assembly", "assembly outside functions", format!("module asm \".globl x\"\n{}", function(""))),
        (
            codegen,
            "a C++ exception",
            function("call void @__cxa_throw(ptr %p, ptr null, ptr null)") + "\ndeclare void @__cxa_throw(ptr, ptr, ptr)",
        ),
        (
            codegen,
            "dynamic_cast",
            function("%x = call ptr @__dynamic_cast(ptr %p, ptr null, ptr null, i32 0)")
                + "\ndeclare ptr @__dynamic_cast(ptr, ptr, ptr, i32)",
        ),
        (codegen, "inline assembly", function("call void asm sideeffect \"csrw mtvec, zero\", \"\"()")),
        (codegen, "a long double (128 bits)", function("%x = sitofp i32 %a to fp128\nstore fp128 %x, ptr %p")),
        (codegen, "a half-precision float", function("%x = load half, ptr %p\n%y = fadd half %x, %x\nstore half %y, ptr %p")),
        (
            codegen,
            "the address of a thread-local variable as a constant",
            format!(
                "@x = thread_local global i32 5\n@y = global ptr @x\n{}",
                function("%l = load ptr, ptr @y\nstore ptr %l, ptr %p")
            ),
        ),
        (
            codegen,
            "the address of the variadic host function",
            function("store ptr @sscanf, ptr %p") + "\ndeclare i32 @sscanf(ptr, ptr, ...)",
        ),
        (
            codegen,
            "a constant that is computed from addresses",
            format!(
                "@x = global i32 5\n{}",
                function("store i32 xor (i32 ptrtoint (ptr @x to i32), i32 5), ptr %p")
            ),
        ),
        (
            codegen,
            "with other types than it is",
            function("%x = call i32 (i64) @host(i64 %w)\n%y = call i32 @host(i32 1)") + "\ndeclare i32 @host(i32)",
        ),
        (
            codegen,
            "a struct or array value of more than 256 parts",
            function("%x = load [257 x i32], ptr %p\nstore [257 x i32] %x, ptr %p"),
        ),
        (
            codegen,
            "a result of more than two registers",
            function("%x = call [3 x i32] @three()\nstore [3 x i32] %x, ptr %p")
                + "\ndefine internal [3 x i32] @three() noinline {\nret [3 x i32] zeroinitializer\n}",
        ),
        (codegen, "the va_arg instruction", function("%x = va_arg ptr %p, i32\nstore i32 %x, ptr %p")),
        (
            large,
            "a guaranteed tail call (musttail) with more than 24 arguments",
            format!(
                "{}\ndefine internal i32 @f({all}) noinline {{\n%r = musttail call i32 @g({all})\nret i32 %r\n}}\n\
                define internal i32 @g({all}) noinline {{\nret i32 %p0\n}}",
                function(&format!("%x = call i32 @f({})", arguments(25))),
                all = parameters(25)
            ),
        ),
        (
            large,
            "a host function with",
            format!("{}\ndeclare void @host({})", function(&format!("call void @host({})", arguments(25))), parameters(25)),
        ),
        (
            large,
            "with more than 24 arguments",
            format!(
                "{}\ndeclare i32 @host(ptr, ...)",
                function(&format!("%x = call i32 (ptr, ...) @host(ptr %p, {})", arguments(24)))
            ),
        ),
    ]
}

#[test]
fn every_class_of_refusals_is_documented_and_has_a_program() {
    let table = include_str!("../../../docs/conformance.md");
    let documented: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| {
            let (code, rest) = line.strip_prefix("| `")?.split_once('`')?;
            code.starts_with("espb::").then_some((code, rest.split('`').nth(1)?))
        })
        .collect();
    let classes = classes();
    for (code, words, _) in &classes {
        assert!(documented.contains(&(code, words)), "docs/conformance.md lacks {code} {words}");
    }
    assert_eq!(documented.len(), classes.len(), "docs/conformance.md lists more than there are programs here");
    for (code, words, program) in classes {
        let program = program.replace("@app_main(i32 %a, ptr %p, i64 %w)", "@f(i32 %a, ptr %p, i64 %w)");
        let entry = if program.contains("@app_main") { "app_main" } else { "f" };
        let inputs = vec![Input { name: "test.ll".to_owned(), bytes: format!("{HEADER}{program}").into_bytes() }];
        let options = Options { entry: None, exports: vec![entry.to_owned()], ..Options::default() };
        let outcome = read(&Request { inputs, roots: vec![entry.to_owned()] })
            .and_then(|program| generate(&program.module, &Silent, &options));
        let all = outcome.err().unwrap_or_else(|| panic!("{words} is not refused"));
        assert!(
            all.iter().any(|found| found.code == code && found.message.contains(words) && !found.help.is_empty()),
            "{words}: {all:#?}"
        );
    }
}

#[test]
fn a_refusal_of_c_names_its_line() {
    let source = "#include <stdarg.h>\n\
        static long double half(int a) { return a * 0.5L; }\n\
        int app_main(int a)\n{\n    __asm__ volatile (\"csrw mtvec, %0\" : : \"r\"(a));\n    return (int)half(a);\n}\n";
    let folder = tempfile::tempdir().expect("a folder for the compiler");
    let ir = compile(folder.path(), source, "-g");
    let all = translate(&ir, "app_main", false).expect_err("it is refused");
    let lines: Vec<(u32, bool)> = all
        .iter()
        .filter_map(|refused| match &refused.place {
            Place::Line { file, line, .. } => Some((*line, file.ends_with("program.c"))),
            _ => None,
        })
        .collect();
    assert!(lines.contains(&(2, true)) && lines.contains(&(5, true)), "{all:#?}");
}
