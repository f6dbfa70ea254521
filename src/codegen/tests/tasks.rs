//! What tasks and jumps need of the code: atomic operations, long jumps, thread-local variables, known inline assembly.

use super::machine::run;
use super::programs::agrees;
use super::{HEADER, translate};
use espb_format::container::Module;

#[test]
fn atomic_operations_give_the_old_value_and_store_the_new() {
    agrees(
        r#"
        void out(long long);
        static unsigned char b = 250; static short h = -5; static unsigned w = 7; static long long q = 1LL << 40;
        static int *p; static int cells[3]; static float f = 1.5f;
        #define ALL(x, y) \
            out(__atomic_fetch_add(&x, y, 5)); out(__atomic_fetch_sub(&x, 3, 0)); out(__atomic_fetch_and(&x, ~y, 2)); \
            out(__atomic_fetch_or(&x, 0x51, 3)); out(__atomic_fetch_xor(&x, y, 4)); out(__atomic_fetch_nand(&x, 0x3f, 5)); \
            out(__atomic_exchange_n(&x, y * 3, 5)); out(__atomic_fetch_min(&x, y, 5)); out(__atomic_fetch_max(&x, y + 9, 5)); \
            out(__atomic_load_n(&x, 2)); __atomic_store_n(&x, y ^ 9, 3); out(x); \
            { __typeof__(x) old = 77; out(__atomic_compare_exchange_n(&x, &old, 5, 0, 5, 0)); out(old); \
              out(__atomic_compare_exchange_n(&x, &old, 6, 1, 5, 0)); out(old); out(x); }
        __attribute__((noinline)) static void all(int y) { ALL(b, y) ALL(h, y) ALL(w, y) ALL(q, y) }
        int app_main(void) {
            for (int y = -300; y < 400; y += 123) all(y);
            p = cells;
            int *before = __atomic_exchange_n(&p, cells + 2, 5);
            out(before - cells); out(p - cells);
            int *expected = cells + 2;
            out(__atomic_compare_exchange_n(&p, &expected, cells + 1, 0, 5, 5)); out(p - cells);
            volatile unsigned n = 3;
            char room[n];
            unsigned own = 4;
            out(__atomic_compare_exchange_n(&w, &own, n, 0, 5, 5)); out(own == w); room[0] = 1; out(room[0]);
            return 0;
        }"#,
    );
}

#[test]
fn floating_point_is_updated_in_a_loop() {
    let body = "declare void @out(i64)\n@f = internal global float 2.5\n@d = internal global double 1.5\n\
        define i32 @app_main(i32 %n, i32 %a, i32 %b) {\nbr label %again\nagain:\n%i = phi i32 [ 0, %0 ], [ %j, %again ]\n\
        %x = atomicrmw fadd ptr @f, float 1.25 seq_cst\n%y = atomicrmw fsub ptr @d, double 0.5 seq_cst\n%z = atomicrmw fmax ptr @f, float 4.0 seq_cst\n\
        %m = atomicrmw umin ptr @f, i32 -1 seq_cst\n%xi = fmul float %x, 100.0\n%u = fptosi float %xi to i64\ncall void @out(i64 %u)\n\
        %yi = fmul double %y, 100.0\n%v = fptosi double %yi to i64\ncall void @out(i64 %v)\n%zi = fmul float %z, 100.0\n%w = fptosi float %zi to i64\n\
        call void @out(i64 %w)\n%j = add i32 %i, 1\n%c = icmp slt i32 %j, 2\nbr i1 %c, label %again, label %end\nend:\nret i32 0\n}";
    let module = translate(&format!("{HEADER}{}", body.replace("i32 %n, i32 %a, i32 %b", "")), "app_main", false)
        .expect("it is translated");
    assert_eq!(run(&module).0, [250, 150, 375, 400, 100, 525]);
}

const JUMPS: &str = "void out(long long);\ntypedef long long jmp_buf[40];\nint setjmp(jmp_buf) __attribute__((returns_twice));\n\
    void longjmp(jmp_buf, int) __attribute__((noreturn));\nvolatile int seed = 3;\nstatic jmp_buf place;\n";

#[test]
fn values_from_before_setjmp_outlive_whatever_comes_after_it() {
    let mut source = String::from(JUMPS);
    source.push_str("__attribute__((noinline)) static int work(int n, int x) { if (n == 0) longjmp(place, x | 1); return work(n - 1, x * 7) + n; }\n");
    source.push_str("__attribute__((noinline)) static int keep(int parameter, long long wide) {\n");
    let names: Vec<String> = (0..20).map(|n| format!("v{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        source.push_str(&format!("int {name} = seed * {n} + parameter;\n"));
    }
    source.push_str("volatile int rounds = 0;\nint code = setjmp(place);\nif (++rounds < 4) {\n");
    // As many values again that only live here, and want the same places.
    for n in 0..20 {
        source.push_str(&format!("int w{n} = seed + {n} * rounds;\n"));
    }
    source.push_str("int sum = work(seed, rounds + seed);\n");
    for n in 0..20 {
        source.push_str(&format!("sum += w{n} * w{};\n", (n + 7) % 20));
    }
    source.push_str("out(sum);\n}\nout(code); out(wide); out(parameter);\n");
    for name in &names {
        source.push_str(&format!("out({name});\n"));
    }
    source.push_str("return code;\n}\nint app_main(void) { out(keep(seed + 5, (long long)seed << 40)); return 0; }\n");
    agrees(&source);
}

#[test]
fn a_jump_out_of_stack_data_of_variable_size() {
    agrees(&format!(
        "{JUMPS}{}",
        r#"
        __attribute__((noinline)) static int inner(int n) {
            volatile char room[n];
            for (int i = 0; i < n; i++) room[i] = (char)i;
            if (n > 20) longjmp(place, room[n - 1]);
            return inner(n + 7) + room[1];
        }
        __attribute__((noinline)) static int outer(int n) {
            volatile short mine[n];
            for (int i = 0; i < n; i++) mine[i] = (short)(i * i);
            int code = setjmp(place);
            if (code == 0) return inner(n);
            int sum = code;
            for (int i = 0; i < n; i++) sum = sum * 3 + mine[i];
            return sum;
        }
        int app_main(void) { out(outer(seed)); out(outer(seed + 2)); return 0; }"#
    ));
}

#[test]
fn thread_local_variables_start_as_they_were_declared() {
    agrees(
        r#"
        void out(long long);
        static int shared = 9;
        static _Thread_local int own = 40; static _Thread_local int zero; static _Thread_local int *at = &shared;
        static _Thread_local short rows[3][2] = { { 1, 2 }, { 3, 4 } }; _Thread_local long long wide = 1LL << 40; static _Thread_local char big[70000];
        __attribute__((noinline)) static int next(int i) { zero += i; big[i * 1000] = (char)i; rows[i % 3][1] += 5; return own += zero + rows[i % 3][i % 2]; }
        int app_main(void) {
            for (int i = 0; i < 60; i++) out(next(i));
            out(*at); out(wide); out(big[59000]); out(&own == &own);
            return 0;
        }"#,
    );
}

/// The imports of a function with this statement in its C source, by name.
fn imports(statement: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = format!("unsigned app_main(void) {{ unsigned x = 5; {statement} return x; }}");
    let module = translate(&super::compile(folder.path(), &source, "-Os"), "app_main", false)
        .unwrap_or_else(|all| panic!("{statement}: {all:#?}"));
    let mut names: Vec<String> =
        Module::parse(&module).expect("well-formed").imports().map(|import| import.name.to_owned()).collect();
    names.sort_unstable();
    names
}

#[test]
fn known_assembly_becomes_what_it_means() {
    let nothing: [&str; 0] = [];
    for statement in [
        "__asm__ volatile(\"\" ::: \"memory\");",
        "__asm__ volatile(\"nop\\n nop # twice\");",
        "__asm__ volatile(\"fence rw, w\" ::: \"memory\");",
        "__asm__(\"\" : \"+r\"(x));",
        "unsigned y = 4; __asm__(\"\" : \"+r\"(x), \"+m\"(y) : \"r\"(7)); x += y;",
    ] {
        assert_eq!(imports(statement), nothing, "{statement}");
    }
    for statement in
        ["__asm__ volatile(\"csrr %0, 0x7e2\" : \"=r\"(x));", "__asm__ volatile(\"rdcycle %0\" : \"=r\"(x));"]
    {
        assert_eq!(imports(statement), ["esp_cpu_get_cycle_count"], "{statement}");
    }
    let masks = "__asm__ volatile(\"csrci mstatus, 8\" ::: \"memory\"); x++; __asm__ volatile(\"csrs mstatus, %0\" :: \"rK\"(8));";
    assert_eq!(imports(masks), ["vPortEnterCritical", "vPortExitCritical"]);
}
