//! Finds the module of a trap among the files of the folder in which the program was started, by its checksum.

use std::fs;
use std::path::{Path, PathBuf};

use espb_format::checksum::crc32;
use espb_slots::Seal;

/// Folders below folders that are looked into.
const DEPTH: u32 = 4;
/// Files and folders that are looked at.
const MOST: usize = 10_000;

/// The bytes of the `.espb` file in or below `folder` whose module has this checksum, and its path.
pub fn module(folder: &Path, checksum: u32) -> Option<(PathBuf, Vec<u8>)> {
    let mut folders = vec![(folder.to_path_buf(), 0)];
    let mut looked = 0;
    while let Some((folder, depth)) = folders.pop() {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        for entry in entries.take(MOST - looked) {
            looked += 1;
            let (path, hidden) = (entry.path(), entry.file_name().to_string_lossy().starts_with('.'));
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && !hidden && depth < DEPTH {
                folders.push((path, depth + 1));
            } else if path.extension().is_some_and(|extension| extension == "espb") {
                let bytes = fs::read(&path).unwrap_or_default();
                if crc32(Seal::split(&bytes).0) == checksum {
                    return Some((path, bytes));
                }
            }
        }
    }
    None
}
