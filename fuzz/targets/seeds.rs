//! Writes what the fuzzing starts from: `seeds FOLDER` puts into FOLDER/TARGET the inputs of corpus/TARGET.hex and, for the container, a few
//! generated modules.

use std::error::Error;
use std::fs;
use std::path::Path;

use arbitrary::Unstructured;
use espb_fuzz::program::{self, Style};
use espb_fuzz::{TARGETS, corpus};

/// Generated modules.
const MODULES: u32 = 16;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: seeds FOLDER")?;
    for (target, _) in TARGETS {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder)?;
        for (number, input) in corpus::inputs(target).iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), input)?;
        }
    }
    for number in 0..MODULES {
        let bytes: Vec<u8> = corpus::noise(number.into()).take(4096).collect();
        let module = program::module(&mut Unstructured::new(&bytes), Style::Any, 1)?;
        fs::write(Path::new(&folder).join("container").join(format!("module-{number}")), module)?;
    }
    Ok(())
}
