//! Finds what the library embeds: the mask ROM that the `espflash` crate carries.
//!
//! Nothing is downloaded and nothing is written outside OUT_DIR.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const ROM: &str = "resources/roms/esp32c3_rev101_rom.elf";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=Cargo.lock");
    if env::var_os("CARGO_FEATURE_EMULATE").is_some() {
        embed_rom(Path::new(&env::var("OUT_DIR")?))?;
    }
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
    let output = Command::new(env::var("CARGO")?)
        .args(["metadata", "--format-version=1", "--offline"])
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
