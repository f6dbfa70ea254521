//! Compiles the FreeRTOS kernel for the chip with clang, from the sources that crate `freertos-next` carries, and the
//! contracts of the host functions from the hints files.
//! No source of the kernel is copied or changed here; what is ours is `kernel/` (configuration, two headers).

use std::{env, error::Error, fmt::Display, fs, path::PathBuf};

/// Kernel sources, relative to the kernel's folder.
const KERNEL_SOURCES: [&str; 9] = [
    "event_groups.c",
    "list.c",
    "queue.c",
    "stream_buffer.c",
    "tasks.c",
    "timers.c",
    "portable/GCC/RISC-V/port.c",
    "portable/GCC/RISC-V/portASM.S",
    "portable/MemMang/heap_5.c",
];

/// The crate that carries the kernel.
const CARRIER: &str = "freertos-next";

fn main() -> Result<(), Box<dyn Error>> {
    compile_kernel()?;
    write_contracts()
}

/// The table of contracts, included by `src/host/mod.rs`.
fn write_contracts() -> Result<(), Box<dyn Error>> {
    let hints = espb_hints::HintSet::built_in().map_err(joined)?;
    let table = espb_hints::emit_rust_table(&hints).map_err(joined)?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("contracts.rs"), table)?;
    Ok(())
}

fn joined<E: Display>(errors: Vec<E>) -> String {
    errors.iter().map(E::to_string).collect::<Vec<_>>().join("\n")
}

fn compile_kernel() -> Result<(), Box<dyn Error>> {
    let kernel = kernel_folder()?;
    let port = kernel.join("portable/GCC/RISC-V");

    println!("cargo:rerun-if-changed=kernel");
    println!("cargo:rerun-if-env-changed=ESPB_CLANG");
    println!("cargo:rerun-if-env-changed=ESPB_AR");

    let mut build = cc::Build::new();
    build
        .compiler(env::var("ESPB_CLANG").unwrap_or_else(|_| "clang-22".into()))
        .archiver(env::var("ESPB_AR").unwrap_or_else(|_| "llvm-ar-22".into()))
        // The flags are all ours: cc's guesses for a bare-metal target name a GCC that need not exist.
        .no_default_flags(true)
        .flag("--target=riscv32")
        .flag("-march=rv32imc")
        .flag("-mabi=ilp32")
        .flag("-O2")
        .flag("-g1")
        .flag("-ffreestanding")
        .flag("-ffunction-sections")
        .flag("-fdata-sections")
        .flag("-fno-pic")
        .flag("-mno-relax")
        .flag("-Wall")
        .include("kernel/include")
        .include("kernel")
        .include(kernel.join("include"))
        .include(&port)
        .include(port.join("chip_specific_extensions/RISCV_no_extensions"));
    for source in KERNEL_SOURCES {
        build.file(kernel.join(source));
    }
    build.try_compile("freertos_kernel")?;

    let folder = env::var("CARGO_MANIFEST_DIR")?;
    println!("cargo:rerun-if-changed=linker");
    println!("cargo:rustc-link-search={folder}/linker");
    println!("cargo:rustc-link-arg-bins=-Theap.x");
    Ok(())
}

fn kernel_folder() -> Result<PathBuf, Box<dyn Error>> {
    let metadata = cargo_metadata::MetadataCommand::new().exec()?;
    let carrier = metadata
        .packages
        .iter()
        .find(|package| package.name.as_str() == CARRIER)
        .ok_or_else(|| format!("crate {CARRIER} is not in the dependency graph of this package"))?;
    let folder = carrier.manifest_path.parent().ok_or_else(|| format!("crate {CARRIER} has no folder"))?;
    Ok(folder.join("FreeRTOS-Kernel").into_std_path_buf())
}
