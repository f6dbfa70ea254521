//! From the command line of gcc to options of clang that mean the same.
//!
//! Keeps what changes the meaning of C, and nothing else: the machine, warnings, debug information, output and dependencies
//! are `espb`'s own choice, and what only gcc knows would stop clang.

use std::ffi::OsString;
use std::path::Path;

use super::database::Command;

/// Options that are kept, with their value behind them or in the next word.
const KEPT_WITH_VALUE: [&str; 3] = ["-D", "-U", "-x"];
/// The same; the value is a path.
const KEPT_WITH_PATH: [&str; 6] = ["-I", "-isystem", "-iquote", "-idirafter", "-isysroot", "--sysroot"];
/// The same; the value is a path or the name of a header that is looked for as in `#include "…"`.
const KEPT_WITH_HEADER: [&str; 2] = ["-include", "-imacros"];
/// Beginnings of options that are kept as they are.
const KEPT_BEGINNINGS: [&str; 6] =
    ["-std=", "-O", "-fmacro-prefix-map=", "-ffile-prefix-map=", "-fpack-struct=", "-ftrivial-auto-var-init="];
/// Options that are kept as they are.
const KEPT: [&str; 28] = [
    "-ansi",
    "-fchar8_t",
    "-fcommon",
    "-ffast-math",
    "-ffreestanding",
    "-fhosted",
    "-fms-extensions",
    "-fno-builtin",
    "-fno-common",
    "-fno-delete-null-pointer-checks",
    "-fno-exceptions",
    "-fno-math-errno",
    "-fno-rtti",
    "-fno-short-enums",
    "-fno-strict-aliasing",
    "-fno-strict-overflow",
    "-fno-threadsafe-statics",
    "-fpack-struct",
    "-fshort-enums",
    "-fshort-wchar",
    "-fsigned-char",
    "-fstrict-aliasing",
    "-fthreadsafe-statics",
    "-funsigned-char",
    "-fwrapv",
    "-nostdinc",
    "-nostdinc++",
    "-trigraphs",
];
/// Options that are dropped together with the next word, if their value is not behind them.
const DROPPED_WITH_VALUE: [&str; 31] = [
    "-A",
    "-B",
    "-G",
    "-L",
    "-MF",
    "-MJ",
    "-MQ",
    "-MT",
    "-T",
    "-Xassembler",
    "-Xclang",
    "-Xlinker",
    "-Xpreprocessor",
    "-arch",
    "-aux-info",
    "-dumpbase",
    "-dumpbase-ext",
    "-dumpdir",
    "-e",
    "-imultilib",
    "-iprefix",
    "-iwithprefix",
    "-iwithprefixbefore",
    "-l",
    "-mllvm",
    "-o",
    "-specs",
    "-target",
    "-u",
    "-z",
    "--param",
];

/// The options of `command` that clang gets, with paths that hold in any folder.
pub fn for_clang(command: &Command) -> Vec<OsString> {
    let mut options = Vec::new();
    let mut words = command.words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if KEPT.contains(&word) || KEPT_BEGINNINGS.iter().any(|beginning| word.starts_with(beginning)) {
            options.push(word.into());
        } else if let Some((option, value)) = with_value(&KEPT_WITH_VALUE, word, &mut words) {
            options.extend([option.into(), value.into()]);
        } else if let Some((option, value)) = with_value(&KEPT_WITH_PATH, word, &mut words) {
            options.extend([option.into(), command.directory.join(value).into()]);
        } else if let Some((option, value)) = with_value(&KEPT_WITH_HEADER, word, &mut words) {
            options.extend([option.into(), header(&command.directory, value)]);
        } else if DROPPED_WITH_VALUE.contains(&word) {
            words.next();
        }
    }
    options
}

/// The option that `word` is or begins with, and its value.
fn with_value<'a>(
    options: &[&'static str],
    word: &'a str,
    words: &mut impl Iterator<Item = &'a str>,
) -> Option<(&'static str, &'a str)> {
    let (option, value) = options.iter().find_map(|option| Some((*option, word.strip_prefix(option)?)))?;
    match value {
        "" => Some((option, words.next()?)),
        // Only long options have a `=` that is not part of the value.
        value if option.starts_with("--") => Some((option, value.strip_prefix('=')?)),
        value => Some((option, value)),
    }
}

/// A compiler looks for such a header in its working folder first, then where `#include` looks.
fn header(directory: &Path, name: &str) -> OsString {
    let here = directory.join(name);
    if here.is_file() { here.into() } else { name.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(line: &str) -> Vec<String> {
        let words = shlex::split(line).expect("the line is well quoted");
        let options = for_clang(&Command { directory: "/build".into(), words });
        options.into_iter().map(|option| option.into_string().expect("the line is UTF-8")).collect()
    }

    #[test]
    fn an_xtensa_command_of_esp_idf_keeps_what_changes_the_meaning_of_c() {
        let line = r#"/tools/bin/xtensa-esp32-elf-gcc -DESP_PLATFORM -DIDF_VER=\"v5.1.2-dirty\" -DMBEDTLS_CONFIG_FILE=\"mbedtls/esp_config.h\"
            -D_GNU_SOURCE -Iconfig -I/project/main -isystem /idf/newlib -mlongcalls -Wno-frame-address -ffunction-sections
            -fdata-sections -Wall -Werror=all -Wno-error=unused-function -Wextra -gdwarf-4 -ggdb -Og
            -fmacro-prefix-map=/project=. -fstrict-volatile-bitfields -fno-jump-tables -fno-tree-switch-conversion
            -DconfigENABLE_FREERTOS_DEBUG_OCDAWARE=1 -std=gnu17 -Wno-old-style-declaration -fno-builtin-memcpy
            -MD -MT main.dir/app.c.obj -MF main.dir/app.c.obj.d -o main.dir/app.c.obj -c /project/main/app.c"#;
        assert_eq!(
            rewritten(line).join(" "),
            "-D ESP_PLATFORM -D IDF_VER=\"v5.1.2-dirty\" -D MBEDTLS_CONFIG_FILE=\"mbedtls/esp_config.h\" -D _GNU_SOURCE \
             -I /build/config -I /project/main -isystem /idf/newlib -Og -fmacro-prefix-map=/project=. \
             -D configENABLE_FREERTOS_DEBUG_OCDAWARE=1 -std=gnu17"
        );
    }

    #[test]
    fn a_risc_v_command_in_c_plus_plus_keeps_what_changes_the_meaning_of_c() {
        let line = "ccache riscv32-esp-elf-g++ -D A -U B -I include -march=rv32imc_zicsr_zifencei -specs=picolibc.specs -specs nano \
            -nostartfiles -freorder-blocks -fno-exceptions -fno-rtti -std=gnu++2b -fuse-cxa-atexit -Wno-format -O2 -flto \
            --sysroot=/sys -include sdkconfig.h -T link.ld -o x.obj -c x.cpp";
        assert_eq!(
            rewritten(line).join(" "),
            "-D A -U B -I /build/include -fno-exceptions -fno-rtti -std=gnu++2b -O2 --sysroot /sys -include sdkconfig.h"
        );
    }

    #[test]
    fn clang_takes_every_option_that_is_kept() {
        let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang-22".into());
        let mut command = std::process::Command::new(clang);
        command.args(["--target=riscv32-esp-elf", "-Werror", "-fsyntax-only", "-x", "c++", "-"]);
        let output = command.args(KEPT).stdin(std::process::Stdio::null()).output().expect("clang runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
