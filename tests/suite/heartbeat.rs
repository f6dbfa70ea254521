//! What the firmware does for a module keeps its own tasks waiting for a millisecond at most, however large the module is and however
//! much it has to clear up: `with_device` looks at the heartbeat, which is below the link task.

use std::time::Duration;

use espb_format::container::{Module, SectionKind};
use espb_format::writer::ModuleWriter;
use espb_link::Source;

use crate::resident::{End, build, with_device};

/// Milliseconds between two heartbeats: what takes long is begun at different times in between.
const PERIOD: u64 = 10;

fn module(stack: &str) -> Vec<u8> {
    let exports = ["kinds", "make_all_after", "make_tasks", "hold"];
    build("fixtures/life/exhaustion.c", &exports, &["--heap", "16K:16K", "--shadow-stack", "1K", "--stack", stack])
}

/// The module with so many bytes of constants.
fn with_constants(bytes: &[u8], size: usize) -> Vec<u8> {
    let module = Module::parse(bytes).expect("just built");
    let mut writer = ModuleWriter::from(&module);
    writer.section(SectionKind::Constants, vec![7; size]);
    writer.finish()
}

#[test]
fn the_end_of_many_tasks_holds_nobody_up() {
    with_device(&module("8K"), |device| {
        for phase in 0..PERIOD {
            let instance = device.load().expect("there is room");
            assert!(device.word(instance, "make_tasks") > 20);
            device.wait(Duration::from_millis(phase));
            device.stop(instance);
        }
    });
}

#[test]
fn a_large_stack_holds_nobody_up() {
    with_device(&module("128K"), |device| {
        for phase in 0..PERIOD {
            device.wait(Duration::from_millis(phase));
            let instance = device.load().expect("there is room");
            assert!(device.word(instance, "kinds") > 0);
            device.wait(Duration::from_millis(phase));
            device.stop(instance);
        }
    });
}

#[test]
fn a_large_module_holds_nobody_up() {
    let module = module("8K");
    let large = with_constants(&module, 100_000);
    with_device(&module, |device| {
        for phase in 0..2 {
            let slot = device.install(&large, None).expect("it fits");
            device.wait(Duration::from_millis(PERIOD / 3 * phase));
            let instance = device.load_from(Source::Slot(slot)).expect("there is room");
            device.confirm(slot);
            assert!(device.slots().iter().any(|row| row.newest && row.length == large.len() as u32));
            // A trap is told with the module's checksum.
            assert!(matches!(device.call_last(instance, "make_all_after", &[100]), End::Trapped(_)));
        }
    });
}

/// `vTaskSuspendAll` puts a task above those of all modules.
#[test]
fn a_module_that_suspends_the_others_holds_no_request_up() {
    let module = module("8K");
    with_device(&module, |device| {
        let hog = device.load().expect("there is room");
        device.start(hog, "hold", &[], false);
        device.wait(Duration::from_millis(PERIOD));
        assert!(!device.slots().is_empty());
        let other = device.load_sent(&module).expect("there is room");
        device.stop(hog);
        assert!(device.word(other, "kinds") > 0);
        device.stop(other);
    });
}
