//! `espb-image`: writes the flash image of a firmware ELF file. Used by the Makefile; users have `espb flash`.

use espb_image::{Chip, flash_image};
use std::{env, error::Error, fs, process::ExitCode};

const USAGE: &str = "usage: espb-image CHIP FIRMWARE.elf IMAGE.bin";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [chip, elf, image] = arguments.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match write_image(chip, elf, image) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("espb-image: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write_image(chip: &str, elf: &str, image: &str) -> Result<(), Box<dyn Error>> {
    let chip: Chip = chip.parse()?;
    let firmware = fs::read(elf).map_err(|error| format!("cannot read {elf}: {error}"))?;
    let merged = flash_image(&firmware, chip)?.merged();
    fs::write(image, merged).map_err(|error| format!("cannot write {image}: {error}"))?;
    Ok(())
}
