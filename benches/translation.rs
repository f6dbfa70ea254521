//! How long `espb build` takes and how much memory, over programs of growing size: `make bench-build`.
//!
//! The time is that of the processor, so that a busy machine changes little; it should grow no faster than the programs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use wait4::Wait4;

/// Runs of which the fastest counts.
const RUNS: u32 = 3;
/// What issue 3 asks for: instructions from which a size counts as large, and the time that it may take.
const LARGE: usize = 230_000;
const LARGE_TIME: Duration = Duration::from_secs(6);
const LARGE_MEMORY: u64 = 600 << 20;
const LUA_TIME: Duration = Duration::from_secs(1);

/// Files of a folder in build/corpus.
struct Program {
    name: &'static str,
    folder: &'static str,
    /// `None` takes every file that has no `main`.
    files: Option<&'static [&'static str]>,
    options: &'static [&'static str],
}

/// Lua's files that need an operating system, and a stand-in for what the others want of files.
const NOT_FOR_CHIPS: [&str; 7] = ["lua.c", "luac.c", "liolib.c", "loslib.c", "loadlib.c", "linit.c", "ldblib.c"];
const LUA_FILES: &str = "fixtures/corpus/third-party/lua_files.c";
const LUA: &[&str] = &[
    "-O2",
    "-Dlua_writestring(s,l)=printf(\"%.*s\",(int)(l),(s))",
    "-Dlua_writeline()=printf(\"\\n\")",
    "-Dlua_writestringerror(s,p)=printf((s),(p))",
    "-Dluai_makeseed(...)=1u",
    "-Dlua_getlocaledecpoint()=46",
];

const SQLITE: [&str; 4] =
    ["-DSQLITE_OS_OTHER=1", "-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION", "-DSQLITE_OMIT_LOCALTIME"];
/// What SQLite and bzip2 expect of the system they run on, and an entry.
const REST: &str = "define i32 @app_main() {\n  ret i32 0\n}\n\
    define weak i32 @sqlite3_os_init() {\n  ret i32 0\n}\n\
    define weak void @bz_internal_error(i32 %code) {\n  ret void\n}\n\
    define weak i32 @sqlite3_os_end() {\n  ret i32 0\n}\n";

const PROGRAMS: [Program; 5] = [
    Program { name: "lz4 -Os", folder: "lz4", files: Some(&["lz4.c"]), options: &["-Os"] },
    Program {
        name: "bzip2 -Os",
        folder: "bzip2",
        files: Some(&[
            "blocksort.c",
            "bzlib.c",
            "compress.c",
            "crctable.c",
            "decompress.c",
            "huffman.c",
            "randtable.c",
        ]),
        options: &["-Os", "-DBZ_NO_STDIO"],
    },
    Program { name: "Lua -O2", folder: "lua", files: None, options: LUA },
    Program { name: "SQLite -Os", folder: "sqlite", files: Some(&["sqlite3.c"]), options: &["-Os"] },
    Program {
        name: "SQLite -O2 with FTS5 and R-tree",
        folder: "sqlite",
        files: Some(&["sqlite3.c"]),
        options: &["-O2", "-DSQLITE_ENABLE_FTS5", "-DSQLITE_ENABLE_RTREE"],
    },
];

fn main() {
    println!("| program | IR instructions | time | per 1,000 instructions | peak memory |");
    println!("|---|---|---|---|---|");
    let mut slow = false;
    for program in PROGRAMS {
        let folder = root().join("build/corpus").join(program.folder);
        if !folder.is_dir() {
            eprintln!("bench-build: {} is left out (`make corpus` fetches it)", program.name);
            continue;
        }
        let inputs = compile(&program, &folder);
        let (instructions, exports) = contents(&inputs);
        let (time, memory) = (0..RUNS).map(|_| build(&inputs, &exports)).min().expect("at least one run");
        println!(
            "| {} | {instructions} | {:.2} s | {:.1} ms | {} MB |",
            program.name,
            time.as_secs_f64(),
            time.as_secs_f64() * 1e6 / instructions as f64,
            memory >> 20
        );
        slow |= program.folder == "lua" && time > LUA_TIME;
        slow |= instructions >= LARGE && (time > LARGE_TIME || memory > LARGE_MEMORY);
    }
    assert!(
        !slow,
        "slower or larger than it must be: Lua {LUA_TIME:?}, {LARGE} instructions {LARGE_TIME:?} and {LARGE_MEMORY} bytes"
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program's IR, one file a source.
fn compile(program: &Program, folder: &Path) -> Vec<PathBuf> {
    let output = root().join("build/bench").join(program.name.replace(' ', "-"));
    fs::create_dir_all(&output).expect("build/ is writable");
    let listed = fs::read_dir(folder)
        .expect("a readable folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut files: Vec<String> = match program.files {
        Some(files) => files.iter().map(|file| file.to_string()).collect(),
        None => listed.filter(|name| name.ends_with(".c") && !NOT_FOR_CHIPS.contains(&name.as_str())).collect(),
    };
    files.sort();
    let mut sources: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
    if program.files.is_none() {
        sources.push(root().join(LUA_FILES));
    }
    let clang = env::var_os("CLANG").unwrap_or_else(|| "clang-22".into());
    let to_ir = |source: &PathBuf| {
        let target = output.join(source.file_name().unwrap_or_default()).with_extension("ll");
        let mut command = Command::new(&clang);
        command.args(["--target=riscv32-esp-elf", "-march=rv32imac", "-mabi=ilp32", "-S", "-emit-llvm", "-w"]);
        command.args(["-I", "fixtures/corpus/include", "-isystem", "fixtures/include/libc"]);
        command.args(program.options).args(SQLITE).arg(source).arg("-o").arg(&target);
        let done = command.current_dir(root()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        target
    };
    sources.iter().map(to_ir).collect()
}

/// Number of instructions, and the functions that others can call: with them as exports nothing is dropped as unreachable.
fn contents(inputs: &[PathBuf]) -> (usize, Vec<String>) {
    let mut instructions = 0;
    let mut exports = Vec::new();
    for input in inputs {
        let text = fs::read_to_string(input).expect("clang wrote it");
        // clang indents instructions by two spaces, what continues them by more.
        instructions += text.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")).count();
        let public =
            text.lines().filter(|line| line.starts_with("define dso_local ") || line.starts_with("define hidden "));
        exports.extend(public.filter_map(|line| Some(line.split_once('@')?.1.split_once('(')?.0.to_owned())));
    }
    (instructions, exports)
}

/// Processor time and peak memory of one translation, LLVM's process included.
fn build(inputs: &[PathBuf], exports: &[String]) -> (Duration, u64) {
    let rest = root().join("build/bench/rest.ll");
    fs::write(&rest, REST).expect("build/ is writable");
    let mut arguments: Vec<OsString> = vec!["build".into()];
    arguments.extend(inputs.iter().map(OsString::from));
    arguments.extend(exports.iter().flat_map(|name| ["--export".into(), name.into()]));
    arguments.extend([rest.into(), "-o".into(), root().join("build/bench/program.espb").into()]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_espb"));
    let child = command.args(&arguments).spawn().expect("espb starts");
    let used = child.wait4().expect("espb ends");
    assert!(used.status.success(), "espb refused {inputs:?}");
    (used.rusage.utime + used.rusage.stime, used.rusage.maxrss)
}
