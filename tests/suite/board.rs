//! What is around the emulated chip: the waveform of its pins that `espb run --vcd` writes, what can be connected, what lasts.

use std::fs;
use std::path::Path;

use crate::compile::to_ir;
use crate::program::{Finished, espb};

/// A second in the waveform's time unit.
const SECOND: u64 = 100_000_000_000;

fn run(source: &str, folder: &Path, options: &[&str]) -> Finished {
    let ir = to_ir(Path::new(source), folder);
    let fixed = ["run", "--for", "5s", "--timeout", "120s"];
    let words = fixed.iter().chain(options).map(|word| (*word).to_owned());
    espb(words.chain([ir.display().to_string()]))
}

#[test]
fn interrupts_beyond_what_waits_are_counted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = ["--gpio", "fixtures/esp-idf/gpio_flood.levels", "--stats", "--message-format", "json"];
    let finished = run("fixtures/esp-idf/gpio_flood.c", folder.path(), &options);
    // Of sixty edges one is being handled and thirty-two wait.
    let lost = finished.objects("stats").first().map(|stats| stats["lost_interrupts"].clone());
    assert_eq!(lost, Some(27.into()), "{}", finished.transcript());
}

/// The changes of a pin in a waveform: time and new level.
fn changes(waveform: &[u8], pin: &str) -> Vec<(u64, vcd::Value)> {
    let mut parser = vcd::Parser::new(waveform);
    let header = parser.parse_header().expect("a header");
    assert_eq!(header.timescale, Some((10, vcd::TimescaleUnit::PS)));
    let wire = header.find_var(&["esp32c3", pin]).unwrap_or_else(|| panic!("no wire {pin}")).code;
    let (mut now, mut changes) = (0, Vec::new());
    for command in parser.map(|command| command.expect("a command of the format")) {
        match command {
            vcd::Command::Timestamp(time) => now = time,
            vcd::Command::ChangeScalar(code, level) if code == wire => changes.push((now, level)),
            _ => {}
        }
    }
    changes
}

#[test]
fn the_waveform_of_a_blinking_lamp_has_each_edge_at_its_time_and_is_the_same_each_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("lamp.vcd");
    let waveform = || {
        let finished = run("fixtures/esp-idf/gpio_blink.c", folder.path(), &["--vcd", &file.display().to_string()]);
        assert_eq!(finished.code, 0, "{}", finished.transcript());
        fs::read(&file).expect("the waveform")
    };
    let first = waveform();
    assert_eq!(first, waveform(), "two runs differ");

    // Pulled up from reset, low from its configuration on, ten edges, let go and pulled up again when the module has ended.
    let lamp = changes(&first, "gpio5");
    let levels: String = lamp.iter().map(|(_, level)| level.to_string()).collect();
    assert_eq!(levels, "10".to_owned() + "1010101010" + "z1");
    let edges: Vec<u64> = lamp[2..12].iter().map(|(at, _)| *at).collect();
    let gaps: Vec<u64> = edges.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let half = SECOND / 20;
    assert!(gaps.iter().all(|gap| gap.abs_diff(half) < SECOND / 50_000), "50 ms from edge to edge: {gaps:?}");

    // What the module prints between its edges goes out on GPIO21, bit by bit.
    let console: Vec<u64> = changes(&first, "gpio21").iter().map(|(at, _)| *at).filter(|at| *at > edges[0]).collect();
    let shortest = console.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(0);
    assert!(shortest.abs_diff(SECOND / 115_200) < SECOND / 10_000_000, "a bit takes {shortest} units");
}

#[test]
fn what_cannot_be_connected_is_refused_with_its_place() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let levels = folder.path().join("levels");
    fs::write(&levels, "# a button\n10ms 9 0\n20ms 9 on\n").expect("a file");
    let levels = levels.display().to_string();
    for (options, code, words) in [
        (["--gpio", &levels], 1, "`on` is no level"),
        (["--gpio", &levels], 1, "levels:3"),
        (["--gpio", "no/such/file"], 1, "cannot read the file"),
        (["--wire", "4:22"], 2, "`22` is no pin"),
        (["--vcd", "no/such/folder/file"], 1, "cannot write the file"),
    ] {
        let finished = run("fixtures/esp-idf/gpio_blink.c", folder.path(), &options);
        assert_eq!(finished.code, code, "{}", finished.transcript());
        assert!(finished.stderr.contains(words), "{}", finished.transcript());
    }
}

#[test]
fn what_a_module_stored_is_there_in_the_next_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let storage = folder.path().join("storage");
    let options = ["--nvs", &storage.display().to_string()];
    for expected in ["start 1\n", "start 2\n", "start 3\n"] {
        let finished = run("fixtures/esp-idf/nvs_counter.c", folder.path(), &options);
        assert_eq!((finished.code, finished.stdout.as_str()), (0, expected), "{}", finished.transcript());
    }
    fs::write(&storage, "not it").expect("a file");
    let finished = run("fixtures/esp-idf/nvs_counter.c", folder.path(), &options);
    assert!(finished.code == 3 && finished.stderr.contains("holds 6 bytes"), "{}", finished.transcript());
}
