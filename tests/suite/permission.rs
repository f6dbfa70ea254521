//! Functions that affect the whole device are refused by name, by the translator and by the firmware, until they are allowed.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::compile::to_ir;
use crate::program::{Finished, espb};

const RESTARTING: &str = "\
#include <stdio.h>
#include \"esp_system.h\"
int app_main(void)
{
    printf(\"about to restart\\n\");
    esp_restart();
}
";

fn program(folder: &TempDir) -> PathBuf {
    let source = folder.path().join("restarting.c");
    fs::write(&source, RESTARTING).expect("a temporary file");
    to_ir(&source, folder.path())
}

fn command(words: &[&str], file: &PathBuf) -> Finished {
    espb(words.iter().map(OsString::from).chain([file.into()]))
}

#[test]
fn a_program_that_restarts_the_device_is_built_only_with_permission() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let module = folder.path().join("module.espb");
    let output = module.to_str().expect("a plain path");
    let program = program(&folder);
    for allowed in [&[][..], &["--allow", "xTaskCatchUpTicks"]] {
        let words = [&["build", "--message-format", "json", "-o", output], allowed].concat();
        let refused = command(&words, &program);
        let reports = refused.objects("diagnostic");
        assert_eq!((refused.code, reports.len()), (1, 1), "{}", refused.transcript());
        assert_eq!(reports[0]["code"], "espb::contracts::restricted", "{}", refused.transcript());
        assert_eq!(reports[0]["line"], 6, "{}", refused.transcript());
        assert!(!module.exists(), "a refused program leaves no module");
    }
    let built = command(&["build", "--allow", "esp_restart", "-o", output], &program);
    assert_eq!(built.code, 0, "{}", built.transcript());
}

#[test]
fn the_device_restarts_only_for_a_module_that_was_allowed_to() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let module = folder.path().join("module.espb");
    let program = program(&folder);
    let built = command(&["build", "--allow", "esp_restart", "-o", module.to_str().expect("a plain path")], &program);
    assert_eq!(built.code, 0, "{}", built.transcript());

    let refused = command(&["run", "--for", "1s", "--message-format", "json"], &module);
    let reports = refused.objects("diagnostic");
    assert_eq!((refused.code, reports.len()), (1, 1), "{}", refused.transcript());
    let message = reports[0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("import `esp_restart`: it affects the whole device"), "{}", refused.transcript());
    assert!(!refused.stdout.contains("about to restart"), "{}", refused.transcript());

    for file in [&module, &program] {
        let restarted = command(&["run", "--for", "1s", "--allow", "esp_restart"], file);
        assert_eq!(
            (restarted.code, restarted.stdout.as_str()),
            (0, "about to restart\n"),
            "{}",
            restarted.transcript()
        );
    }
}
