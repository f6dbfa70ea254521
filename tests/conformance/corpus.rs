//! The programs: fixtures, language tests, third-party sources, and the ways each is compiled.

use std::path::Path;
use std::sync::Arc;

use crate::case::{Case, Program, Source};
use crate::compile::Tools;
use crate::kernels;
use crate::options::Options;
use crate::root;

const NATIVE_LIMIT: u64 = 2_000_000_000;

const LEVELS: [&str; 4] = ["O0", "O1", "Os", "O2"];

const FIXTURES: [(&str, &[&str]); 4] = [
    ("compute", &["compute.c"]),
    ("data_and_tables", &["data_and_tables.c"]),
    ("exit_status", &["exit_status.c"]),
    ("two_files", &["two_files.c", "two_files_stack.c"]),
];

const LANGUAGE: [&str; 14] = [
    "integers.c",
    "multiply_high.c",
    "numbers.c",
    "floats.c",
    "memory.c",
    "control.c",
    "calls.c",
    "tail_calls.c",
    "many_arguments.c",
    "thread_local.c",
    "atomics.c",
    "vectors.c",
    "jumps.c",
    "objects.cpp",
];

/// Every case but the random ones; or those of the files that `options` name.
pub fn cases(options: &Options, tools: &Tools) -> Vec<Case> {
    let mut cases = Vec::new();
    if !options.files.is_empty() {
        for program in options.files.iter().map(|file| Arc::new(named_file(file))) {
            let case = |level| Case {
                program: program.clone(),
                compiler: tools.clang.clone(),
                level,
                debug: false,
                forms: false,
            };
            cases.extend(LEVELS.map(case));
        }
        return cases;
    }
    for program in fixtures().chain(language()) {
        let program = Arc::new(program);
        let others = if options.all { tools.other_clangs.as_slice() } else { &[] };
        for compiler in [&tools.clang].into_iter().chain(others) {
            for level in LEVELS {
                for debug in [false, true] {
                    // Debug information changes little: one level shows it, and the forms of IR, in the short run.
                    if options.all || !debug || level == "Os" {
                        let forms = options.all || debug;
                        let (program, compiler) = (program.clone(), compiler.clone());
                        cases.push(Case { program, compiler, level, debug, forms });
                    }
                }
            }
        }
    }
    for program in third_party() {
        let program = Arc::new(program);
        let levels: &[&str] = if options.all { &LEVELS } else { &["Os"] };
        cases.extend(levels.iter().map(|level| Case {
            program: program.clone(),
            compiler: tools.clang.clone(),
            level,
            debug: false,
            forms: options.all && *level == "Os",
        }));
    }
    for program in kernels::programs() {
        let program = Arc::new(program);
        let levels: &[&str] = if options.all { &LEVELS } else { &["O2"] };
        cases.extend(levels.iter().map(|level| Case {
            program: program.clone(),
            compiler: tools.clang.clone(),
            level,
            debug: false,
            forms: false,
        }));
    }
    cases
}

fn source(path: String) -> Source {
    Source { path: path.into(), options: Vec::new() }
}

fn named_file(file: &str) -> Program {
    let stem = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
    Program {
        group: "file",
        name: stem.into_owned(),
        sources: vec![Source { path: file.into(), options: vec!["-Ifixtures/corpus/language".into()] }],
        generator: None,
        entry: "app_main",
        build: vec!["--stack".into(), "16K".into()],
        native_limit: NATIVE_LIMIT,
    }
}

fn fixtures() -> impl Iterator<Item = Program> {
    FIXTURES.into_iter().map(|(name, files)| Program {
        group: "fixture",
        name: name.into(),
        sources: files.iter().map(|file| source(format!("fixtures/language/{file}"))).collect(),
        generator: None,
        entry: "app_main",
        build: Vec::new(),
        native_limit: NATIVE_LIMIT,
    })
}

fn language() -> impl Iterator<Item = Program> {
    LANGUAGE.into_iter().map(|file| Program {
        group: "language",
        name: file.into(),
        sources: vec![source(format!("fixtures/corpus/language/{file}"))],
        generator: None,
        entry: "app_main",
        build: vec!["--stack".into(), "16K".into()],
        native_limit: NATIVE_LIMIT,
    })
}

/// A third-party program: a driver of ours and files of a fetched package.
struct ThirdParty {
    name: &'static str,
    /// Our files, in fixtures/corpus/third-party.
    drivers: &'static [&'static str],
    /// The package's folder in build/corpus.
    folder: &'static str,
    /// Its files.
    files: &'static [&'static str],
    options: &'static [&'static str],
    build: &'static [&'static str],
}

/// Sources without options of their own.
const PLAIN: ThirdParty =
    ThirdParty { name: "", drivers: &[], folder: "", files: &[], options: &[], build: &["--stack", "16K"] };

const THIRD_PARTY: &[ThirdParty] = &[
    ThirdParty {
        name: "lua",
        drivers: &["lua_driver.c", "lua_files.c"],
        folder: "lua",
        files: &[
            "lapi.c",
            "lcode.c",
            "lctype.c",
            "ldebug.c",
            "ldo.c",
            "ldump.c",
            "lfunc.c",
            "lgc.c",
            "llex.c",
            "lmem.c",
            "lobject.c",
            "lopcodes.c",
            "lparser.c",
            "lstate.c",
            "lstring.c",
            "ltable.c",
            "ltm.c",
            "lundump.c",
            "lvm.c",
            "lzio.c",
            "lauxlib.c",
            "lbaselib.c",
            "lcorolib.c",
            "lmathlib.c",
            "lstrlib.c",
            "ltablib.c",
            "lutf8lib.c",
        ],
        options: &[
            // Printing without files, a seed and a decimal point that are the same everywhere, C calls as deep as the stack allows.
            "-Dlua_writestring(s,l)=printf(\"%.*s\",(int)(l),(s))",
            "-Dlua_writeline()=printf(\"\\n\")",
            "-Dlua_writestringerror(s,p)=printf((s),(p))",
            "-Dluai_makeseed(L)=1u",
            "-Dlua_getlocaledecpoint()=46",
            "-DLUAI_MAXCCALLS=100",
        ],
        build: &["--stack", "32K", "--heap", "64K"],
    },
    ThirdParty {
        name: "lz4",
        drivers: &["lz4_driver.c"],
        folder: "lz4",
        files: &["lz4.c", "xxhash.c"],
        // The hash table is on the stack: 4 KB instead of 16.
        options: &["-DLZ4_MEMORY_USAGE=12"],
        ..PLAIN
    },
    ThirdParty { name: "xxhash", drivers: &["xxhash_driver.c"], folder: "lz4", files: &["xxhash.c"], ..PLAIN },
    ThirdParty {
        name: "bzip2",
        drivers: &["bzip2_driver.c"],
        folder: "bzip2",
        files: &["blocksort.c", "bzlib.c", "compress.c", "crctable.c", "decompress.c", "huffman.c", "randtable.c"],
        options: &["-DBZ_NO_STDIO"],
        build: &["--stack", "16K", "--heap", "128K"],
    },
    ThirdParty {
        name: "zlib",
        drivers: &["zlib_driver.c"],
        folder: "zlib",
        files: &["adler32.c", "crc32.c", "deflate.c", "inffast.c", "inflate.c", "inftrees.c", "trees.c", "zutil.c"],
        options: &["-DZ_SOLO"],
        build: &["--stack", "16K", "--heap", "48K"],
    },
    ThirdParty {
        name: "jsmn",
        drivers: &["jsmn_driver.c"],
        folder: "debian/usr/include",
        options: &["-DJSMN_PARENT_LINKS", "-DJSMN_STRICT"],
        ..PLAIN
    },
    ThirdParty {
        name: "cjson",
        drivers: &["cjson_driver.c"],
        folder: "cjson",
        files: &["cJSON.c", "cJSON_Utils.c"],
        ..PLAIN
    },
    ThirdParty {
        name: "mbedtls",
        drivers: &["mbedtls_driver.c"],
        folder: "mbedtls",
        files: &[
            "library/aes.c",
            "library/md5.c",
            "library/platform_util.c",
            "library/sha1.c",
            "library/sha256.c",
            "library/sha512.c",
        ],
        options: &[
            "-Ibuild/corpus/mbedtls/include",
            "-Ifixtures/corpus/third-party",
            "-DMBEDTLS_CONFIG_FILE=\"mbedtls_config.h\"",
        ],
        ..PLAIN
    },
];

/// The programs of others whose sources are there.
pub fn third_party() -> impl Iterator<Item = Program> {
    THIRD_PARTY.iter().filter_map(|package| {
        let folder = format!("build/corpus/{}", package.folder);
        if !root().join(&folder).is_dir() {
            eprintln!("conformance: {folder} is missing (`make corpus` fetches it); {} is left out", package.name);
            return None;
        }
        let ours = package.drivers.iter().map(|file| format!("fixtures/corpus/third-party/{file}"));
        let theirs = package.files.iter().map(|file| format!("{folder}/{file}"));
        let mut options = vec![format!("-I{folder}")];
        options.extend(package.options.iter().map(|option| option.to_string()));
        Some(Program {
            group: "third-party",
            name: package.name.into(),
            sources: ours.chain(theirs).map(|path| Source { path: path.into(), options: options.clone() }).collect(),
            generator: None,
            entry: "app_main",
            build: package.build.iter().map(|option| option.to_string()).collect(),
            native_limit: NATIVE_LIMIT,
        })
    })
}
