//! Finds what the library embeds: the firmware that `make firmware` left in build/firmware, and the mask ROM that the
//! `espflash` crate carries.
//!
//! Nothing is written outside OUT_DIR.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const ROM: &str = "resources/roms/esp32c3_rev101_rom.elf";
/// Chips that firmware is built for; the names of the constants in the generated file are theirs in capitals.
const CHIPS: [&str; 1] = ["esp32c3"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=Cargo.lock");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    embed_firmware(&out)?;
    if env::var_os("CARGO_FEATURE_EMULATE").is_some() {
        embed_rom(&out)?;
    }
    Ok(())
}

/// Writes `firmware.rs`: for each chip its image and ELF file, or `None` where `make firmware` was not run.
fn embed_firmware(out: &Path) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("build/firmware");
    let mut text = String::new();
    for chip in CHIPS {
        let (image, elf) = (folder.join(chip).with_extension("bin"), folder.join(chip).with_extension("elf"));
        println!("cargo::rerun-if-changed={}", image.display());
        println!("cargo::rerun-if-changed={}", elf.display());
        let value = if image.exists() && elf.exists() {
            format!("Some(Firmware {{ image: include_bytes!({image:?}), elf: include_bytes!({elf:?}) }})")
        } else {
            println!(
                "cargo::warning=no firmware for {chip} in build/firmware: `espb run` will not work; run `make firmware` first"
            );
            "None".into()
        };
        text += &format!("const {}: Option<Firmware> = {value};\n", chip.to_uppercase());
    }
    fs::write(out.join("firmware.rs"), text)?;
    Ok(())
}

/// Copies the ESP32-C3's mask ROM to `out`.
fn embed_rom(out: &Path) -> Result<(), Box<dyn Error>> {
    let rom = crate_folder("espflash")?.join(ROM);
    fs::copy(&rom, out.join("esp32c3_rom.elf"))
        .map_err(|error| format!("the espflash crate has no mask ROM at {} ({error})", rom.display()))?;
    Ok(())
}

/// The folder with the sources of dependency `name`.
fn crate_folder(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    // Not offline: metadata also wants the packages that only tests use, and `cargo build` has not fetched those.
    let output = Command::new(env::var("CARGO")?)
        .args(["metadata", "--format-version=1", "--filter-platform", &env::var("TARGET")?])
        .current_dir(env::var("CARGO_MANIFEST_DIR")?)
        .output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
    let manifest = packages
        .iter()
        .find(|package| package["name"] == name)
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or_else(|| format!("{name} is no dependency of this workspace"))?;
    Ok(Path::new(manifest).parent().ok_or("a manifest without a folder")?.to_path_buf())
}
