//! Reading the user's files and writing results, with errors that say what to do.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::diagnostic::{Diagnostic, Place};

/// The whole contents of a file.
pub fn read(path: &Path) -> Result<Vec<u8>, Diagnostic> {
    fs::read(path).map_err(|error| {
        let help = if path.is_dir() { "name a file, not a folder" } else { "check the path and its permissions" };
        Diagnostic::error(
            "espb::cli::unreadable",
            format!("cannot read the file: {error}"),
            Place::File(path.display().to_string()),
            help,
        )
    })
}

/// Writes a file so that it is either whole or not there: first beside it, then renamed.
pub fn write(path: &Path, contents: &[u8]) -> Result<(), Diagnostic> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(contents)?;
        // A temporary file is private; a result gets the permissions that any new file would have.
        readable_by_others(file.as_file())?;
        file.persist(path).map_err(|error| error.error)
    });
    written.map(drop).map_err(|error| {
        let message = format!("cannot write the file: {error}");
        Diagnostic::error(
            "espb::cli::unwritable",
            message,
            Place::File(path.display().to_string()),
            "check that the folder exists and that you may write there",
        )
    })
}

/// Refuses an output that is the input.
pub fn keep_input(input: &Path, output: &Path) -> Result<(), Diagnostic> {
    match (input.canonicalize(), output.canonicalize()) {
        (Ok(input_file), Ok(output_file)) if input_file == output_file => Err(Diagnostic::error(
            "espb::build::overwrite",
            "the output would overwrite this input",
            Place::File(input.display().to_string()),
            "name another file with -o",
        )),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn readable_by_others(file: &fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable_by_others(_: &fs::File) -> std::io::Result<()> {
    Ok(())
}
