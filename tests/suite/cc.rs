//! `espb cc` on the command lines that ESP-IDF projects have, and on everything that can be wrong with them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::compile::{root, to_ir};
use crate::program::{Finished, finish};

/// A folder with sources and perhaps a compilation database in `build`, in which `espb cc` runs.
struct Folder(tempfile::TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a temporary folder"));
        files.iter().for_each(|(name, text)| folder.write(name, text));
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a temporary folder");
        fs::write(path, text).expect("a temporary file");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Writes the database; entries lack only the folder that their paths start from.
    fn database(&self, entries: &[Value]) {
        let build = self.path().join("build");
        let complete = entries.iter().cloned().map(|mut entry| {
            entry["directory"] = json!(build);
            entry
        });
        self.write("build/compile_commands.json", &complete.collect::<Value>().to_string());
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_espb"));
        command.args(["--message-format", "json", "cc"]).args(arguments).current_dir(self.path());
        command.env("CLANG", clang()).env_remove("CC");
        command
    }

    fn cc(&self, arguments: &[&str]) -> Finished {
        finish(&mut self.command(arguments))
    }

    /// Compiles `source` with its command in the database.
    fn cc_by_database(&self, source: &str, arguments: &[&str]) -> Finished {
        let fixed = ["--compile-commands", "build/compile_commands.json", source, "-o", "out.ll"];
        self.cc(&[&fixed, arguments].concat())
    }
}

/// The clang of these tests, by its whole path.
fn clang() -> PathBuf {
    let name = env::var_os("CLANG").unwrap_or_else(|| "clang-22".into());
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|folder| folder.join(&name)).find(|file| file.is_file()).expect("clang is installed")
}

fn succeeded(finished: &Finished) {
    assert_eq!(finished.code, 0, "{}", finished.transcript());
}

/// Compiles only with the header, the macros and the dialect that the commands below give it.
const STRICT: &str = r#"
#include "settings.h"
#include <system.h>
#if SETTING != 7 || SYSTEM != 8 || !FORCED || DROPPED != 2
#error "the options did not arrive"
#endif
_Static_assert(sizeof(IDF_VER) == sizeof("v5.4 \"dev\""), "quotes arrive as they were meant");
int app_main(void) { return asm_is_a_name; }
"#;

fn strict() -> Folder {
    Folder::with(&[
        ("main/app.c", STRICT),
        ("build/config/settings.h", "#define SETTING 7\nextern int asm_is_a_name;\n"),
        ("idf/system/system.h", "#define SYSTEM 8\n"),
        ("build/forced.h", "#define FORCED 1\n"),
    ])
}

/// What gcc for these chips is told beside the folders and macros, in a real ESP-IDF project.
const XTENSA: &str = "-mlongcalls -Wno-frame-address -ffunction-sections -fdata-sections -Wall -Werror=all -Wextra \
    -Wno-error=unused-function -gdwarf-4 -ggdb -Og -fmacro-prefix-map=/project=. -fstrict-volatile-bitfields \
    -fno-jump-tables -fno-tree-switch-conversion -std=gnu17 -Wno-old-style-declaration -fno-builtin-memcpy \
    -mfix-esp32-psram-cache-issue -MD -MT app.c.obj -MF app.c.obj.d";

#[test]
fn a_shell_command_for_xtensa_with_a_response_file_compiles_with_the_same_meaning() {
    let folder = strict();
    let command = r#"/nowhere/bin/xtensa-esp32-elf-gcc -DESP_PLATFORM "-DIDF_VER=\"v5.4 \\\"dev\\\"\"" -DDROPPED=1 -UDROPPED -DDROPPED=2 -Iconfig
        -isystem ../idf/system -include forced.h @"toolchain/cflags" -o app.c.obj -c ../main/app.c"#;
    folder.write("build/toolchain/cflags", XTENSA);
    folder.database(&[
        json!({ "file": "../main/other.c", "command": "gcc -c other.c" }),
        json!({ "file": "../main/app.c", "command": command.replace('\n', " ") }),
    ]);
    succeeded(&folder.cc_by_database("main/app.c", &[]));
    let ir = folder.read("out.ll");
    assert!(ir.contains("target triple = \"riscv32-esp-unknown-elf\""), "{ir}");
    assert!(ir.contains("!DIFile(filename: \"main/app.c\""), "traps shall name the file as the user does:\n{ir}");
    assert!(!folder.path().join("build/app.c.obj.d").exists(), "the project's own depfile is left alone");
}

#[test]
fn an_array_of_arguments_for_risc_v_compiles_with_the_same_meaning() {
    let folder = strict();
    let arguments = [
        "ccache",
        "/nowhere/bin/riscv32-esp-elf-gcc",
        "-D",
        "IDF_VER=\"v5.4 \\\"dev\\\"\"",
        "-DDROPPED=2",
        "-I",
        "config",
        "-isystem",
        "../idf/system",
        "-imacros",
        "forced.h",
        "-march=rv32imc_zicsr_zifencei",
        "-specs=picolibc.specs",
        "-nostartfiles",
        "-freorder-blocks",
        "-std=gnu17",
        "-Os",
        "-o",
        "main/app.c.obj",
        "-c",
        "app.c",
    ];
    folder.database(&[json!({ "file": folder.path().join("main/app.c"), "arguments": arguments })]);
    succeeded(&folder.cc_by_database("main/../main/app.c", &[]));

    // A file that is no part of the project, with the options of one that is; bitcode this time.
    folder.write("plugin.c", STRICT);
    let like =
        ["--compile-commands", "build/compile_commands.json", "--like", "main/app.c", "plugin.c", "-o", "plugin.bc"];
    succeeded(&folder.cc(&like));
    assert!(fs::read(folder.path().join("plugin.bc")).expect("it was written").starts_with(b"BC"));

    // What the user says wins over what the project says.
    let refused = folder.cc_by_database("main/app.c", &["--", "-DDROPPED=3", "-Wno-macro-redefined"]);
    assert!(refused.stdout.contains("the options did not arrive"), "{}", refused.transcript());
}

#[test]
fn the_c_library_of_the_projects_compiler_is_found_and_its_own_headers_are_not_taken() {
    let source = "#include <stdarg.h>\n#include <stdint.h>\n#include <stdio.h>\n#ifndef _PICOLIBC_VERSION\n#error other\n#endif\nint app_main(void) { return puts(\"\"); }\n";
    let folder = Folder::with(&[("app.c", source)]);
    let command = "ccache riscv64-unknown-elf-gcc -march=rv32imc -mabi=ilp32 -specs=picolibc.specs -Os -c app.c";
    folder.database(&[json!({ "file": "../app.c", "command": command })]);
    let finished = folder.cc_by_database("app.c", &[]);
    succeeded(&finished);
    let words = finished.objects("compiled")[0]["command"].to_string();
    assert!(words.contains("/picolibc/") && !words.contains("/lib/gcc/"), "{words}");

    // The headers of a compiler for this computer are for another machine.
    folder.database(&[json!({ "file": "../app.c", "command": "cc -c app.c" })]);
    let refused = folder.cc_by_database("app.c", &[]);
    let help = refused.objects("diagnostic")[0]["help"].to_string();
    assert!(refused.code == 1 && help.contains("C library"), "{}", refused.transcript());
}

#[test]
fn without_a_database_the_ir_is_that_of_the_fixtures() {
    let headers = finish(Command::new("fixtures/headers").current_dir(root())).stdout;
    for (source, dialect) in [("tasks/timers.c", "-std=gnu17"), ("language/classes.cpp", "-std=gnu++17")] {
        let source = Path::new("fixtures").join(source);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let expected = fs::read_to_string(to_ir(&source, folder.path())).expect("it was compiled");
        let output = folder.path().join("ours.ll");
        let mut command = Command::new(env!("CARGO_BIN_EXE_espb"));
        command.arg("cc").arg(&source).arg("-o").arg(&output).args(["--", dialect]).args(headers.split_whitespace());
        succeeded(&finish(command.current_dir(root())));
        let ours = fs::read_to_string(output).expect("it was compiled");
        assert!(ours == expected, "espb cc and fixtures/compile differ on {}", source.display());
    }
}

#[test]
fn depfile_options_are_those_of_every_c_compiler() {
    let folder = Folder::with(&[("app.c", "#include \"a b.h\"\n"), ("a b.h", "")]);
    succeeded(&folder.cc(&["app.c", "-o", "app.ll", "-MMD"]));
    assert_eq!(folder.read("app.d"), "app.ll: app.c a\\ b.h\na\\ b.h:\n");
    for options in [&["-MMD", "-MF", "rules.d", "-MT", "this"][..], &["-MMD", "-MFrules.d", "-MTthis"]] {
        succeeded(&folder.cc(&[&["app.c", "-o", "app.ll"], options].concat()));
        assert_eq!(folder.read("rules.d"), "this: app.c a\\ b.h\na\\ b.h:\n");
        fs::remove_file(folder.path().join("rules.d")).expect("it was written");
    }
    assert_eq!(folder.cc(&["app.c", "-o", "app.ll", "-MF", "app.d"]).code, 2, "-MF is nothing without -MMD");
}

#[test]
fn the_command_line_that_is_shown_does_the_same_in_a_shell() {
    let folder = Folder::with(&[("app.c", "const char *app_main(void) { return TEXT; }\n")]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_espb"));
    command.args(["cc", "-v", "app.c", "-o", "app.ll", "--", "-DTEXT=\"it's $HOME\""]).current_dir(folder.path());
    let finished = finish(&mut command);
    succeeded(&finished);
    let ir = folder.read("app.ll");
    assert!(ir.contains("it's $HOME"), "{ir}");
    folder.write("app.ll", "");
    succeeded(&finish(Command::new("sh").args(["-c", &finished.stderr]).current_dir(folder.path())));
    assert_eq!(folder.read("app.ll"), ir);
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_its_remedy() {
    let app = "int app_main(void) { return missing; }\n";
    let files = [
        ("app.c", app),
        ("near/new.c", ""),
        ("start.S", ""),
        ("other/app.c", ""),
        ("open.c", ""),
        ("gone.c", ""),
        ("loop.c", ""),
        ("bare.c", ""),
    ];
    let folder = Folder::with(&files);
    folder.write("build/loop", "@loop");
    folder.database(&[
        json!({ "file": "../app.c", "command": "gcc -c ../app.c" }),
        json!({ "file": "../open.c", "command": "gcc -c '../open.c" }),
        json!({ "file": "../gone.c", "command": "gcc -c @flags ../gone.c" }),
        json!({ "file": "../loop.c", "command": "gcc -c @loop ../loop.c" }),
        json!({ "file": "../bare.c" }),
    ]);
    folder.write("build/broken.json", "[{ \"file\": \"app.c\",\n  \"directory\": }]");
    let commands = |file: &'static str, source: &'static str| vec!["--compile-commands", file, source, "-o", "out.ll"];
    let known = "build/compile_commands.json";
    for (arguments, code, file, help) in [
        (commands(known, "app.c"), "clang_failed", "app.c", "clang complains"),
        (commands(known, "near/new.c"), "not_in_database", "near/new.c", "--like"),
        (commands(known, "other/app.c"), "not_in_database", "other/app.c", "../app.c"),
        (commands(known, "open.c"), "bad_command", "open.c", "anew"),
        (commands(known, "bare.c"), "bad_command", "bare.c", "anew"),
        (commands(known, "gone.c"), "response_file", "build/flags", "build the project"),
        (commands(known, "loop.c"), "response_file", "build/loop", "anew"),
        (commands("build/none.json", "app.c"), "no_database", "build/none.json", "idf.py reconfigure"),
        (commands("build/broken.json", "app.c"), "bad_database", "build/broken.json", "compile_commands.json"),
        (vec!["start.S", "-o", "out.ll"], "not_c", "start.S", ".cpp"),
        (vec!["app.c", "-o", "out.ll", "--clang", "no-such-clang"], "no_clang", "", "CLANG"),
        (vec!["app.c", "-o", "out.ll", "--clang", ""], "no_clang", "", "CLANG"),
    ] {
        let finished = folder.cc(&arguments);
        let said = finished.objects("diagnostic");
        let transcript = finished.transcript();
        assert_eq!((finished.code, said.len()), (1, 1), "{transcript}");
        let part = |name: &str| said[0][name].as_str().unwrap_or_default().to_owned();
        assert_eq!(part("code"), format!("espb::compile::{code}"), "{transcript}");
        assert!(part("file").ends_with(file) && part("file").is_empty() == file.is_empty(), "{transcript}");
        assert!(part("help").contains(help), "{transcript}");
        assert!(!folder.path().join("out.ll").exists(), "{transcript}");
    }
    let lines = folder.cc(&commands("build/broken.json", "app.c"));
    assert_eq!(lines.objects("diagnostic")[0]["line"], 2, "{}", lines.transcript());
    let words = folder.cc(&["app.c", "-o", "out.ll"]).objects("compiler-output");
    assert!(words[0]["text"].as_str().is_some_and(|text| text.contains("app.c:1:")), "{words:?}");

    let kept = folder.cc(&["app.c", "-o", "./app.c"]);
    assert_eq!((kept.code, folder.read("app.c").as_str()), (1, app), "{}", kept.transcript());
}

/// A program that says which one it was and is clang otherwise, unless it is told a target that contains `refused`.
#[cfg(unix)]
fn script(folder: &Folder, name: &str, refused: &str) {
    use std::os::unix::fs::PermissionsExt;
    let refuse = format!("case \"$*\" in *{refused}*) echo \"error: unknown target triple\" >&2; exit 1;; esac");
    let text = format!("#!/bin/sh\n{refuse}\nexec '{}' \"$@\"\n", clang().display());
    folder.write(name, &text);
    let permissions = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder.path().join(name), permissions).expect("its permissions can be set");
}

#[cfg(unix)]
#[test]
fn clang_is_the_one_asked_for_or_that_of_cc_or_the_newest_fit_one_on_the_path() {
    let folder = Folder::with(&[("app.c", "int app_main(void) { return 0; }\n")]);
    ["bin/clang", "bin/clang-19", "bin/clang-20", "bin/clang-9", "mine/clang", "mine/gcc"]
        .iter()
        .for_each(|name| script(&folder, name, "nothing"));
    let mine = folder.path().join("mine/clang").display().to_string();
    let gcc = folder.path().join("mine/gcc").display().to_string();
    for (asked, cc, used) in [
        (None, None, "clang-20"),
        (None, Some(&gcc), "clang-20"),
        (None, Some(&mine), &mine),
        (Some("clang-9"), Some(&mine), "clang-9"),
    ] {
        let mut command = folder.command(&["app.c", "-o", "app.ll"]);
        // Real clangs must not be found.
        command.env("PATH", folder.path().join("bin")).env_remove("CLANG");
        if let Some(clang) = asked {
            command.args(["--clang", clang]);
        }
        if let Some(cc) = cc {
            command.env("CC", cc);
        }
        let finished = finish(&mut command);
        succeeded(&finished);
        assert_eq!(finished.objects("compiled")[0]["command"][0], *used, "{}", finished.transcript());
    }
    let mut command = folder.command(&["app.c", "-o", "app.ll"]);
    let finished = finish(command.env("PATH", folder.path().join("mine/none")).env_remove("CLANG"));
    assert!(finished.stdout.contains("espb::compile::no_clang"), "{}", finished.transcript());
}

#[cfg(unix)]
#[test]
fn a_clang_that_does_not_know_the_chips_maker_gets_the_plain_machine_and_one_without_it_is_refused() {
    let folder = Folder::with(&[("app.c", "int app_main(void) { return 0; }\n")]);
    script(&folder, "plain", "riscv32-esp");
    script(&folder, "none", "--target=riscv32");
    succeeded(&folder.cc(&["app.c", "-o", "app.ll", "--clang", "./plain"]));
    assert!(folder.read("app.ll").contains("riscv32-unknown-unknown-elf"));
    let refused = folder.cc(&["app.c", "-o", "other.ll", "--clang", "./none"]);
    assert!(refused.code == 1 && refused.stdout.contains("espb::compile::no_riscv"), "{}", refused.transcript());
}
