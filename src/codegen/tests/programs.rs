//! C programs compute in a module what they compute natively, at every level of optimisation.

use super::machine::run;
use super::random::Generator;
use super::{compile, natively, translate};

pub fn agrees(source: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let expected = natively(folder.path(), source);
    assert!(!expected.is_empty(), "the program reports nothing");
    for level in ["-O0", "-Os", "-O2"] {
        let module = translate(&compile(folder.path(), source, level), "app_main", false)
            .unwrap_or_else(|all| panic!("{level}: {all:#?}\n{source}"));
        let (reported, result) = run(&module);
        assert!(result.is_ok(), "{level}: {result:?}\n{source}");
        assert_eq!(reported, expected, "{level}\n{source}");
    }
}

#[test]
fn random_programs_agree_with_this_machine() {
    for seed in 1..=12 {
        agrees(&Generator::new(seed).program());
    }
}

#[test]
fn more_values_than_registers_survive_in_memory() {
    let names: Vec<String> = (0..90).map(|n| format!("v{n}")).collect();
    let mut source = String::from(
        "void out(long long);\nvolatile int seed = 3;\n__attribute__((noinline)) int next(int x) { return x * 7 + seed; }\n",
    );
    source.push_str("int app_main(void) {\n");
    for (n, name) in names.iter().enumerate() {
        source.push_str(&format!("int {name} = seed * {n} + 1; long long w{n} = (long long)seed << {};\n", n % 50));
    }
    source.push_str("for (int i = 0; i < 5; i++) {\n");
    for (n, name) in names.iter().enumerate() {
        source.push_str(&format!("{name} += v{} ^ i; w{n} = w{} - {name};\n", (n + 37) % 90, (n + 11) % 90));
    }
    source.push_str("v0 = next(v0);\n}\n");
    for n in 0..90 {
        source.push_str(&format!("out(v{n}); out(w{n});\n"));
    }
    source.push_str("return 0; }\n");
    agrees(&source);
}

#[test]
fn variadic_functions_of_the_module_receive_their_arguments() {
    agrees(
        r#"
        #include <stdarg.h>
        void out(long long);
        __attribute__((noinline)) static long long sum(const char *kinds, ...) {
            va_list list, again;
            va_start(list, kinds);
            va_copy(again, list);
            long long total = va_arg(again, int);
            for (; *kinds; kinds++)
                switch (*kinds) {
                case 'i': total = total * 3 + va_arg(list, int); break;
                case 'l': total = total * 5 + va_arg(list, long long); break;
                case 'd': total = total * 7 + (long long)(va_arg(list, double) * 4); break;
                }
            va_end(again);
            va_end(list);
            return total;
        }
        int app_main(void) {
            out(sum("i", 4));
            out(sum("iildi", 1, -2, 1LL << 40, 2.75, 9));
            return 0;
        }"#,
    );
}

#[test]
fn computed_gotos_switches_and_stack_arrays_of_any_size() {
    agrees(
        r#"
        void out(long long);
        __attribute__((noinline)) static int machine(const unsigned char *code) {
            static const void *const labels[] = { &&add, &&twice, &&stop };
            int value = 1;
            goto *labels[*code++];
        add: value += *code++; goto *labels[*code++];
        twice: value *= 2; goto *labels[*code++];
        stop: return value;
        }
        __attribute__((noinline)) static int fill(int n) {
            int total = 0;
            for (int round = 0; round < 3; round++) {
                volatile int numbers[n];
                char fixed[8] = "abcdefg";
                for (int i = 0; i < n; i++) numbers[i] = i * round + fixed[i & 7];
                for (int i = 0; i < n; i++) total += numbers[n - 1 - i];
                n += 5;
            }
            return total;
        }
        __attribute__((noinline)) static int choose(unsigned long long x) {
            switch (x) {
            case 0: return 5; case 1: return 6; case 2: return 9; case 3: return 1; case 4: return 77; case 5: return -4;
            case 1ULL << 40: return 11; case (1ULL << 40) + 3: return 12; case ~0ULL: return 13;
            case 1000 ... 2000: return 14; case 65536: return 15;
            }
            return -1;
        }
        int app_main(void) {
            static const unsigned char code[] = { 0, 20, 1, 0, 7, 1, 2 };
            out(machine(code));
            out(fill(3)); out(fill(40));
            for (int i = -1; i < 8; i++) out(choose(i));
            out(choose(1ULL << 40)); out(choose((1ULL << 40) + 3)); out(choose((1ULL << 40) + 1));
            out(choose(999)); out(choose(1000)); out(choose(2000)); out(choose(2001)); out(choose(65536));
            return 0;
        }"#,
    );
}

#[test]
fn functions_in_tables_structs_by_value_and_recursion() {
    agrees(
        r#"
        void out(long long);
        struct pair { int a, b; };
        struct big { int n[6]; double d; };
        struct mixed { signed char c; short s; long long l; float f; };
        static struct pair swap(struct pair p) { struct pair q = { p.b, p.a }; return q; }
        static struct big grow(struct big b, int by) { for (int i = 0; i < 6; i++) b.n[i] += by; b.d *= by; return b; }
        static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
        static int square(int n) { return n * n; }
        static int negate(int n) { return -n; }
        static int (*const table[])(int) = { fib, square, negate };
        static int (*chosen)(int) = square;
        static struct mixed all[3] = { { 1, -2, 3, 4.5f }, { -5, 6, -7, -8.25f } };
        static int *const inside = (int *)&all[1].l;
        static int calls(int (*f)(int), int x) { return f(x) + f(x + 1); }
        int app_main(void) {
            struct pair p = swap((struct pair){ 3, -9 });
            out(p.a); out(p.b);
            struct big b = grow((struct big){ { 1, 2, 3, 4, 5, 6 }, 1.5 }, 4);
            out(b.n[5]); out((long long)(b.d * 100));
            for (volatile int i = 0; i < 3; i++) out(table[i](11));
            out(chosen(12)); chosen = negate; out(calls(chosen, 5));
            all[2] = all[1]; *inside = 99;
            for (volatile int i = 0; i < 3; i++) { out(all[i].c); out(all[i].s); out(all[i].l); out((long long)(all[i].f * 4)); }
            return 0;
        }"#,
    );
}

#[test]
fn floating_point_follows_ieee_754_also_with_nans() {
    agrees(
        r#"
        void out(long long);
        static volatile double values[] = { 0.0, -0.0, 1.5, -2.25, 1e300, -1e-310, __builtin_inf(), -__builtin_inf(), __builtin_nan("") };
        static long long bits(double d) { long long l; __builtin_memcpy(&l, &d, 8); return d != d ? 7 : l; }
        int app_main(void) {
            for (int i = 0; i < 9; i++) {
                double a = values[i]; float fa = (float)a;
                out(__builtin_isnan(a) | __builtin_isinf(a) << 1 | __builtin_isnormal(a) << 2 | (__builtin_signbit(a) != 0) << 3 | __builtin_isfinite(fa) << 4);
                out(bits(__builtin_fabs(a))); out(bits(-a)); out(bits(__builtin_copysign(2.0, a)));
                for (int j = 0; j < 9; j++) {
                    double b = values[j]; float fb = (float)b;
                    out((a < b) | (a <= b) << 1 | (a > b) << 2 | (a >= b) << 3 | (a == b) << 4 | (a != b) << 5 | __builtin_isunordered(a, b) << 6
                        | __builtin_islessgreater(a, b) << 7 | !(a < b) << 8 | !(a >= b) << 9 | (fa < fb) << 10 | !(fa <= fb) << 11 | (fa == fb) << 12);
                    out(bits(a + b)); out(bits(a * b)); out(bits(a - b)); out(bits(a / b)); out(bits((double)(fa + fb * fa)));
                }
            }
            return 0;
        }"#,
    );
}

#[test]
fn a_variadic_host_function_gets_all_arguments_promoted() {
    let source = "int count_words(const char *, ...); void out(long long);\n\
        int app_main(void) { out(count_words(\"\", 1, 2LL, 3.0f, 'c')); return 0; }";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let module = translate(&compile(folder.path(), source, "-O2"), "app_main", true).expect("it translates");
    assert_eq!(run(&module).0, [7]);
}

#[test]
fn integers_of_33_bits_keep_their_sign_beside_what_lies_above_them() {
    agrees(
        r#"
        void out(long long);
        typedef _BitInt(33) narrow;
        __attribute__((noinline)) static int less(long long a, long long b) { return (narrow)a < (narrow)b; }
        __attribute__((noinline)) static long long extended(long long a) { return (narrow)a; }
        int app_main(void) {
            out(less(1, 0x1234567890)); out(less(0x1234567890, 1)); out(less(0x1ffffffff, 0x2000000000)); out(less(5, 0x100000000));
            out(extended(0x1234567890)); out(extended(0x1ffffffff)); out(extended(0x7300000000));
            return 0;
        }"#,
    );
}

#[test]
fn a_function_that_must_end_in_a_call_of_itself_does_not_pile_up_frames() {
    agrees(
        r#"
        void out(long long);
        static unsigned hash(unsigned left, unsigned result) {
            if (left == 0) return result;
            __attribute__((musttail)) return hash(left - 1, result * 31 + left);
        }
        int app_main(void) { out(hash(100000, 1)); return 0; }"#,
    );
}
