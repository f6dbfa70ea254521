//! Functions that no hint describes: what `espb build` finds out about them, and how it says so.

#[path = "../infer_score/score.rs"]
mod score;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use espb::contracts::infer::Certainty;
use espb_hints::HintSet;
use score::{Scored, Verdict};
use tempfile::TempDir;

use crate::compile::to_ir;
use crate::program::{Finished, espb};

/// A program that calls a driver of which there is only a header.
const SENSOR: &str = "\
#include <stddef.h>
struct reading { unsigned at; short value; };
int sensor_read(int channel, struct reading *reading);
void sensor_watch(void (*changed)(void *user, int value), void *user);
int radio_send(const void *data, size_t length);
static int last;
static void changed(void *user, int value) { *(int *)user = value; }
int app_main(void)
{
    struct reading reading;
    if (sensor_read(3, &reading) != 0) {
        return 1;
    }
    sensor_watch(changed, &last);
    return radio_send(&reading, sizeof reading) + (int)reading.at;
}
";

/// One that uses an address of which nothing is known.
const ADDRESS: &str = "\
struct part;
struct part *part_find(int number);
int app_main(void)
{
    return part_find(1) != 0;
}
";

fn build(folder: &TempDir, source: &str, options: &[&str]) -> (Finished, PathBuf) {
    let path = folder.path().join("program.c");
    fs::write(&path, source).expect("a temporary file");
    let input = to_ir(&path, folder.path());
    let output = folder.path().join("program.espb");
    let mut arguments: Vec<OsString> = vec!["build".into(), input.into(), "-o".into(), output.clone().into()];
    arguments.extend(options.iter().map(OsString::from));
    (espb(arguments), output)
}

/// Whether a line begins with `start` and, behind it, says `why`.
fn says(finished: &Finished, start: &str, why: &str) -> bool {
    finished.stdout.lines().any(|line| line.strip_prefix(start).is_some_and(|rest| rest.contains(why)))
}

#[test]
fn a_driver_that_nobody_described_is_used_and_explained() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (built, module) = build(&folder, SENSOR, &["--explain", "--strict"]);
    assert_eq!(built.code, 0, "{}", built.transcript());
    for (start, why) in [
        ("sensor_read (inference), first called at ", "program.c:11:"),
        ("  argument 1: out 1 size 8 (certain): ", "passed unwritten and read afterwards"),
        ("  argument 0: cb 0 (i32, i32) user 1 (likely): ", "functions of that signature are passed"),
        ("  argument 0: in 0 size arg 1 (likely): ", "length"),
        ("  immeta: 21 00 08", ""),
        ("  cbmeta: 20 20 00 01", ""),
        ("  hints line: radio_send(ptr, i32) -> i32: in 0 size arg 1", ""),
        ("3 imports: 0 hinted, 3 inferred, 0 uncertain", ""),
    ] {
        assert!(says(&built, start, why), "{start}…{why}\n{}", built.transcript());
    }
    // What was shown is what is in the module.
    let inspected = espb([OsString::from("inspect"), "--contracts".into(), module.into()]);
    assert!(
        says(&inspected, "  hints line: sensor_read(i32, ptr) -> i32: out 1 size 8", ""),
        "{}",
        inspected.transcript()
    );
}

#[test]
fn a_line_that_explains_an_import_can_be_given_back_as_its_hint() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The reasons, which differ, are left out.
    let (first, module) = build(&folder, SENSOR, &["--strip", "--explain", "--message-format", "json"]);
    let inferred = fs::read(&module).expect("the module just built");
    let contracts = first.objects("contract");
    assert_eq!(contracts.len(), 3, "{}", first.transcript());
    let lines: Vec<&str> = contracts.iter().filter_map(|contract| contract["hint"].as_str()).collect();
    let hints = folder.path().join("ours.hints");
    fs::write(&hints, lines.join("\n")).expect("a temporary file");

    let named = hints.display().to_string();
    let (second, _) = build(&folder, SENSOR, &["--strip", "--explain", "--message-format", "json", "--hints", &named]);
    let summary = &second.objects("contracts-summary")[0];
    assert_eq!((&summary["hinted"], &summary["inferred"]), (&3.into(), &0.into()), "{}", second.transcript());
    assert_eq!(second.objects("contract")[0]["source"], format!("{named}:1"), "{}", second.transcript());
    assert_eq!(fs::read(&module).expect("the module just built"), inferred, "the same contracts");
}

#[test]
fn what_is_uncertain_is_a_warning_and_with_strict_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (options, code, severity) in [(&[][..], 0, "warning"), (&["--strict"], 1, "error")] {
        let (built, module) = build(&folder, ADDRESS, &[&["--message-format", "json"], options].concat());
        assert_eq!((built.code, module.exists()), (code, code == 0), "{}", built.transcript());
        let reports = built.objects("diagnostic");
        assert_eq!(reports.len(), 1, "{}", built.transcript());
        assert_eq!(
            (&reports[0]["severity"], &reports[0]["line"]),
            (&severity.into(), &5.into()),
            "{}",
            built.transcript()
        );
        assert!(
            reports[0]["help"].as_str().is_some_and(|help| help.contains("part_find(i32) -> i32")),
            "{}",
            built.transcript()
        );
        let _ = fs::remove_file(module);
    }
}

#[test]
fn without_hints_nine_of_ten_parameters_are_right_and_nothing_certain_is_wrong() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let hints = HintSet::built_in().expect("the hints that espb brings are right");
    let programs = ["tasks/out_params", "tasks/synchronisation", "tasks/timers", "tasks/logging", "scheduling/delay"];
    let scored: Vec<Scored> = programs
        .iter()
        .map(|name| to_ir(&Path::new("fixtures").join(name).with_extension("c"), folder.path()))
        .flat_map(|ir| score::program(&ir, &hints))
        .collect();
    let wrong: Vec<String> = scored
        .iter()
        .filter(|one| one.verdict == Verdict::Wrong && one.certainty == Certainty::Certain)
        .map(|one| format!("{}: {}\nfound {}\ntruth {}", one.place, one.evidence, one.found, one.truth))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let parameters: Vec<&Scored> = scored.iter().filter(|one| !one.result).collect();
    let right = parameters.iter().filter(|one| one.verdict == Verdict::Right).count();
    assert!(parameters.len() > 80 && right * 10 >= parameters.len() * 9, "{right} of {}", parameters.len());
}
