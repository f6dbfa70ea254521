#!/usr/bin/env bash
# Makes a Rust compiler for bare RISC-V in a folder of its own: bin/rustc with rust-lld, core and alloc for
# riscv32imc-unknown-none-elf (ESP32-C3). Nothing is installed outside that folder.
#
#   firmware/toolchain.sh [PREFIX]        PREFIX defaults to build/toolchain
#   RUSTC=PREFIX/bin/rustc cargo build --release --target riscv32imc-unknown-none-elf
#
# Where rustup has the target already (`rustup target add riscv32imc-unknown-none-elf`), bin/rustc just calls
# rustup's compiler. Otherwise Debian's packages of the compiler that builds its web browser are unpacked: they
# carry the source of the standard library in the same version, which rustup's own compiler lacks, and Debian
# keeps them recent. Cargo stays rustup's own. PREFIX/READY is written last and makes a second run a no-op.
set -euo pipefail

TARGET=riscv32imc-unknown-none-elf
MINIMUM_MINOR=95 # esp-hal 1.2 asks for Rust 1.95

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
prefix=${1:-$root/build/toolchain}

die() { echo "toolchain: $*" >&2; exit 1; }
say() { echo "toolchain: $*" >&2; }

if [[ -f $prefix/READY ]] && "$prefix/bin/rustc" -V >/dev/null 2>&1; then
    exit 0
fi

mkdir -p "$(dirname "$prefix")"
work=$(mktemp -d "$(dirname "$prefix")/toolchain.XXXXXX")
trap 'rm -rf "$work"' EXIT
new=$work/prefix
mkdir -p "$new/bin"

# Puts the finished folder in its place in one step, so that nobody meets half of it.
finish() {
    cat >"$new/READY" <<READY
RUSTC=\$PWD/build/toolchain/bin/rustc cargo build --release --target $TARGET
READY
    rm -rf "$prefix"
    mv "$new" "$prefix"
    say "ready: $("$prefix/bin/rustc" -V)"
}

check_version() {
    local minor
    minor=$("$1" -V | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
    [[ -n $minor && $minor -ge $MINIMUM_MINOR ]]
}

use_rustup() {
    command -v rustup >/dev/null || return 1
    rustup target list --installed 2>/dev/null | grep -qx "$TARGET" || return 1
    local rustc
    rustc=$(rustup which rustc)
    check_version "$rustc" || return 1
    printf '#!/bin/sh\nexec %q "$@"\n' "$rustc" >"$new/bin/rustc"
    chmod +x "$new/bin/rustc"
}

# --- Debian's packages -------------------------------------------------------------------------------------

candidate() { apt-cache policy "$1" | sed -n 's/^  Candidate: //p' | grep -v '(none)'; }

# First package that NAME=VERSION depends on and that matches the pattern.
dependency() { apt-cache show "$1" | sed -n 's/^Depends: //p' | grep -oE "$2" | head -n 1; }

download() {
    local version std llvm
    version=$(candidate rustc-web) || die "no package rustc-web: run 'apt-get update' with Debian's security suite among the sources, or 'rustup target add $TARGET'"
    std=$(dependency "libstd-rust-web-dev=$version" 'libstd-rust-web-[0-9.]+') || die "libstd-rust-web-dev $version names no libstd-rust-web-*"
    llvm=$(dependency "$std=$version" 'libllvm[0-9]+') || die "$std $version names no libllvm*"
    say "downloading rustc-web $version and LLVM ${llvm#libllvm}"
    (
        mkdir "$work/debs" && cd "$work/debs"
        apt-get download -qq "rustc-web=$version" "libstd-rust-web-dev=$version" "$std=$version" \
            "rust-web-src=$version" "$llvm" "lld-${llvm#libllvm}" 2>&1 | grep -v 'unsandboxed' >&2 || true
        [[ $(find . -name '*.deb' | wc -l) -eq 6 ]]
    ) || die "apt-get download failed; 'apt-get update' may help"
    local deb
    for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/debian"; done
}

lay_out() {
    local usr=$work/debian/usr host
    host=$(basename "$(dirname "$usr"/lib/rustlib/*-linux-gnu/lib)")
    mkdir -p "$new/libexec" "$new/lib/rustlib/src/rust" "$new/lib/rustlib/$host/bin"
    mv "$usr/bin/rustc" "$usr/bin/rustdoc" "$new/libexec/"
    mv "$usr"/lib/*/librustc_driver-*.so "$new/lib/"
    mv "$usr"/lib/*/libLLVM.so.* "$new/lib/"
    mv "$usr/lib/rustlib/$host/lib" "$new/lib/rustlib/$host/lib"
    mv "$usr"/src/rustc-*/library "$new/lib/rustlib/src/rust/library"
    mv "$usr"/lib/llvm-*/bin/lld "$new/lib/rustlib/$host/bin/rust-lld"
    # The compiler was made for /usr/lib and names no other place for its libraries. The wrapper does.
    local tool
    for tool in rustc rustdoc; do
        cat >"$new/bin/$tool" <<'WRAPPER'
#!/bin/sh
prefix=${0%/*}/..
LD_LIBRARY_PATH=$prefix/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec "$prefix/libexec/${0##*/}" "$@"
WRAPPER
        chmod +x "$new/bin/$tool"
    done
}

# core, alloc and compiler_builtins once for all. With bitcode, so that the firmware can be linked with fat LTO.
build_core() {
    say "building core and alloc for $TARGET"
    local empty=$work/empty
    mkdir -p "$empty/src"
    printf '#![no_std]\n' >"$empty/src/lib.rs"
    printf '[package]\nname = "empty"\nedition = "2024"\n[workspace]\n' >"$empty/Cargo.toml"
    (
        cd "$empty"
        env -u CARGO_BUILD_TARGET -u CARGO_ENCODED_RUSTFLAGS RUSTC="$new/bin/rustc" RUSTC_BOOTSTRAP=1 \
            CARGO_TARGET_DIR="$work/target" RUSTFLAGS="-Cembed-bitcode=yes" \
            cargo build --quiet --release --target "$TARGET" -Zbuild-std=core,alloc \
            -Zbuild-std-features=compiler-builtins-mem
    ) || die "core did not build; see above"
    mkdir -p "$new/lib/rustlib/$TARGET/lib"
    find "$work/target/$TARGET/release/deps" \( -name '*.rlib' -o -name '*.rmeta' \) ! -name 'libempty-*' \
        -exec cp {} "$new/lib/rustlib/$TARGET/lib/" \;
}

if ! use_rustup; then
    command -v apt-get >/dev/null ||
        die "run 'rustup target add $TARGET' with a Rust of at least 1.$MINIMUM_MINOR; without it this script needs Debian's packages"
    download
    lay_out
    "$new/bin/rustc" -V >/dev/null || die "the unpacked compiler does not start; 'make setup' installs the libraries it needs"
    check_version "$new/bin/rustc" || die "rustc-web is older than 1.$MINIMUM_MINOR; 'apt-get update' may help"
    build_core
fi
finish
