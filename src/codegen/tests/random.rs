//! Random C programs without undefined behaviour (with `-fwrapv`): integers of every width, shifts, comparisons, selections, switches, memory.
//! The same seed gives the same program on every machine.

use std::fmt::Write;

const TYPES: [(&str, u32); 8] = [
    ("signed char", 8),
    ("unsigned char", 8),
    ("short", 16),
    ("unsigned short", 16),
    ("int", 32),
    ("unsigned", 32),
    ("long long", 64),
    ("unsigned long long", 64),
];

const PRELUDE: &str = "
void out(long long);
struct record { signed char a; unsigned short b; int c; long long d; unsigned char e[5]; unsigned f : 3; int g : 11; unsigned long long h : 40; };
static struct record records[4]; static int words[8]; static unsigned char bytes[8]; static long long longs[8]; static short halves[8];
static unsigned long long sum;
static void mix(unsigned long long v) { sum = (sum ^ v) * 1099511628211ULL; sum ^= sum >> 29; }
#define CHECKED(name, type) \\
    static long long add_##name(long long x, long long y) { type r; int o = __builtin_add_overflow((type)x, (type)y, &r); return (long long)r * 2 + o; } \\
    static long long sub_##name(long long x, long long y) { type r; int o = __builtin_sub_overflow((type)x, (type)y, &r); return (long long)r * 2 + o; } \\
    static long long mul_##name(long long x, long long y) { type r; int o = __builtin_mul_overflow((type)x, (type)y, &r); return (long long)r * 2 + o; }
CHECKED(i32, int) CHECKED(u32, unsigned) CHECKED(i64, long long) CHECKED(u64, unsigned long long) CHECKED(i16, short) CHECKED(u8, unsigned char)
";

/// Makes a program from a seed.
pub struct Generator {
    state: u64,
    /// Functions that may be called.
    functions: usize,
    loops: usize,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, functions: 0, loops: 0 }
    }

    /// Below `bound` (Marsaglia's xorshift64*).
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len())]
    }

    fn kind(&mut self) -> (&'static str, u32) {
        TYPES[self.below(TYPES.len())]
    }

    fn constant(&mut self, (name, bits): (&str, u32)) -> String {
        const INTERESTING: [u64; 16] = [
            0,
            1,
            2,
            3,
            7,
            31,
            32,
            127,
            128,
            255,
            32767,
            65535,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
            0x1234_5678_9abc_def0,
        ];
        let value = if self.below(4) == 0 { self.state } else { INTERESTING[self.below(16)] };
        format!("(({name}){}ULL)", value & (u64::MAX >> (64 - bits)))
    }

    fn expression(&mut self, variables: &[String], depth: u32) -> String {
        if depth == 0 || self.below(8) == 0 {
            let kind = self.kind();
            return if self.below(3) > 0 {
                variables[self.below(variables.len())].clone()
            } else {
                self.constant(kind)
            };
        }
        let (t, bits) = self.kind();
        let u = self.pick(&["unsigned", "unsigned long long", "unsigned char"]);
        let a = self.expression(variables, depth - 1);
        let b = self.expression(variables, depth - 1);
        match self.below(20) {
            0..=3 => format!("({t})(({u}){a} {} ({u}){b})", self.pick(&["+", "-", "*"])),
            4..=5 => format!("({t})(({t}){a} {} ({t}){b})", self.pick(&["&", "|", "^"])),
            6 => format!("({t})((unsigned long long){a} << (({b}) & 63))"),
            7 => format!("({t})((unsigned){a} << (({b}) & 31))"),
            8 => format!("({t})(({t}){a} >> (({b}) & {}))", bits - 1),
            9 => format!("(({t}){a} {} ({t}){b})", self.pick(&["<", ">", "<=", ">=", "==", "!="])),
            10 => {
                let (relation, constant) = (self.pick(&["<", ">", "<=", ">=", "==", "!="]), self.constant((t, bits)));
                format!("(({t}){a} {relation} {constant})")
            }
            11 => format!("({a} ? ({t}){b} : ({t})~{a})"),
            12 => format!("({t})(({u}){a} {} ((({u}){b}) | 1))", self.pick(&["/", "%"])),
            13 => format!("({t})((int)({a}) {} {})", self.pick(&["/", "%"]), self.pick(&["3", "7", "-3", "100", "16"])),
            14 => format!("(({t}){}[{a} & 7])", self.pick(&["words", "bytes", "longs", "halves"])),
            15 => format!("(({t})records[{a} & 3].{})", self.pick(&["a", "b", "c", "d", "e[2]", "f", "g", "h"])),
            16 => format!("({t})(long long)((double)(int)({a}) * 0.5 - (float)(short)({b}))"),
            17 if self.functions > 0 => format!("({t})f{}({a}, {b})", self.below(self.functions)),
            18 => {
                let (op, name) =
                    (self.pick(&["add", "sub", "mul"]), self.pick(&["i32", "u32", "i64", "u64", "i16", "u8"]));
                format!("{op}_{name}({a}, {b})")
            }
            _ => match self.below(8) {
                0 => format!("({t})__builtin_popcountll({a})"),
                1 => format!("({t})__builtin_clz((unsigned)({a}) | 1)"),
                2 => format!("({t})__builtin_ctzll((unsigned long long)({a}) | 1ULL << 40)"),
                3 => format!("({t})__builtin_bswap64({a})"),
                4 => format!("({t})__builtin_rotateleft32({a}, {b})"),
                5 => format!("({t})__builtin_rotateright64({a}, {b})"),
                6 => format!("({t})__builtin_rotateleft8({a}, {b})"),
                _ => format!("({t})__builtin_bitreverse32({a})"),
            },
        }
    }

    fn statements(&mut self, variables: &[String], depth: u32, count: usize) -> String {
        let mut text = String::new();
        for _ in 0..count {
            // The first variables can be written; loop counters are put behind them.
            let writable = variables.iter().filter(|name| !name.starts_with('i')).count();
            let target = variables[self.below(writable)].clone();
            let value = self.expression(variables, 3);
            let index = self.expression(variables, 1);
            let statement = match self.below(if depth > 0 { 11 } else { 7 }) {
                0..=2 => format!("{target} = {value};"),
                3 => format!("{}[({index}) & 7] = {value};", self.pick(&["words", "bytes", "longs", "halves"])),
                4 => format!(
                    "records[({index}) & 3].{} = {value};",
                    self.pick(&["a", "b", "c", "d", "e[1]", "f", "g", "h"])
                ),
                5 => format!("records[{}] = records[({index}) & 3];", self.below(4)),
                6 => format!("mix({value});"),
                7 => format!(
                    "if ({value}) {{ {} }} else {{ {} }}",
                    self.statements(variables, depth - 1, 2),
                    self.statements(variables, depth - 1, 2)
                ),
                8 | 9 => {
                    self.loops += 1;
                    let name = format!("i{}", self.loops);
                    let (kind, end) = (self.pick(&["int", "unsigned char", "short", "unsigned"]), 2 + self.below(5));
                    let inner: Vec<String> = variables.iter().cloned().chain([name.clone()]).collect();
                    format!(
                        "for ({kind} {name} = 0; {name} < {end}; {name}++) {{ {} }}",
                        self.statements(&inner, depth - 1, 2)
                    )
                }
                _ => {
                    let (kind, spread) = (
                        self.pick(&["unsigned char", "unsigned", "unsigned long long", "short"]),
                        [1, 1, 13][self.below(3)],
                    );
                    let mut cases = String::new();
                    for case in 0..3 + self.below(6) {
                        let leave = self.pick(&["break;", "break;", ""]);
                        let _ = write!(
                            cases,
                            "case {}: {} {leave} ",
                            case * spread,
                            self.statements(variables, depth - 1, 1)
                        );
                    }
                    format!("switch (({kind})(({value}) & 127)) {{ {cases} default: mix(1); }}")
                }
            };
            text.push_str(&statement);
            text.push(' ');
        }
        text
    }

    /// The program.
    pub fn program(mut self) -> String {
        let mut source = String::from(PRELUDE);
        for function in 0..3 {
            let (a, b, result) = (self.kind().0, self.kind().0, self.kind().0);
            let mut variables = vec!["x".to_owned(), "y".to_owned()];
            let mut locals = String::new();
            for local in 0..4 {
                let kind = self.kind();
                let _ = write!(locals, "{} v{local} = {}; ", kind.0, self.constant(kind));
                variables.push(format!("v{local}"));
            }
            let body = self.statements(&variables, 2, 7);
            let value = self.expression(&variables, 3);
            let attribute = self.pick(&["__attribute__((noinline))", ""]);
            let _ = writeln!(
                source,
                "static {attribute} {result} f{function}({a} x, {b} y) {{ {locals} {body} mix(v0); mix(v1); mix(v2); mix(v3); return {value}; }}"
            );
            self.functions += 1;
        }
        source.push_str("int app_main(void) {\n for (int i = 0; i < 8; i++) { words[i] = i * 1234567 - 3; bytes[i] = i * 37; longs[i] = i * 0x123456789abLL - 99; halves[i] = i * -2111; }\n");
        for call in 0..4 {
            let (first, second) = (self.kind(), self.kind());
            let (first, second) = (self.constant(first), self.constant(second));
            let _ = writeln!(source, " out((long long)f{}({first}, {second})); out((long long)sum);", call % 3);
        }
        source.push_str(" for (int i = 0; i < 8; i++) { mix(words[i]); mix(bytes[i]); mix(longs[i]); mix(halves[i]); mix(records[i & 3].d + records[i & 3].g); }\n out((long long)sum); return 0; }\n");
        source
    }
}
