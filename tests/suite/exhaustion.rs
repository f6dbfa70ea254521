//! What there is a fixed number of, thunks, places for kernel objects, tasks, slots, is used up at every point where a load or a program
//! takes one: whoever needs it is told, nothing is lost, the firmware goes on. Memory that runs out is in `life`.

use std::time::Duration;

use espb_format::container::{Module, SectionKind};
use espb_format::writer::ModuleWriter;
use espb_link::Source;
use espb_link::event::{Refusal, Value};

use crate::resident::{Device, End, build, resources, with_device};

/// Thunks of the firmware (firmware/device/src/thunk.rs).
const THUNKS: usize = 256;
/// Kernel objects that an instance may have (firmware/device/src/instance/objects.rs); its main task is one.
const PLACES: i64 = 64;
/// Tasks that an instance may have (firmware/device/src/instance/task.rs), the main task among them.
const TASKS: i32 = 24;
/// The kind of object that `fixtures/life/exhaustion.c` makes first is a task, for whose want `xTaskCreate` has an answer.
const TASK: i64 = 0;
/// Of its kinds those that do not wait for the console: tasks, `esp_timer` and the UART's queue.
const NOT_WAITING: usize = 4;

fn module() -> Vec<u8> {
    let exports = ["kinds", "make_all_after", "make_tasks", "race", "delete_late"];
    build("fixtures/life/exhaustion.c", &exports, &["--heap", "16K:16K", "--shadow-stack", "1K"])
}

/// How many kinds of object the module makes.
fn kinds(device: &mut Device<'_>) -> i64 {
    let instance = device.load().expect("there is room");
    let kinds = device.word(instance, "kinds");
    device.stop(instance);
    kinds.into()
}

fn is_too_many(end: &End) -> bool {
    matches!(end, End::Trapped(reason) if reason.contains("too many kernel objects"))
}

#[test]
fn every_place_for_an_object_may_be_missing() {
    with_device(&module(), |device| {
        let kinds = kinds(device);
        let before = resources(device.stats());
        for free in 0..=kinds {
            let instance = device.load().expect("there is room");
            let end = device.call_last(instance, "make_all_after", &[PLACES - 1 - free]);
            if free == kinds || free == TASK {
                assert_eq!(end, End::Exited(Value::I32(free as i32)), "with {free} places");
            } else {
                assert!(is_too_many(&end), "with {free} places: {end:?}");
            }
            assert_eq!(resources(device.stats()), before, "with {free} places");
        }
    });
}

/// Between the check that there is a place and the call that needs it another task may take the place.
#[test]
fn of_two_tasks_that_want_the_last_place_one_gets_it() {
    with_device(&module(), |device| {
        let kinds = kinds(device);
        let before = resources(device.stats());
        let mut late = 0;
        for kind in 0..kinds {
            let instance = device.load().expect("there is room");
            let end = device.call_last(instance, "race", &[kind]);
            late += usize::from(is_too_many(&end));
            assert!(is_too_many(&end) || end == End::Exited(Value::I32(0)), "kind {kind}: {end:?}");
            assert_eq!(resources(device.stats()), before, "kind {kind}");
        }
        assert_eq!(late, kinds as usize - NOT_WAITING, "each of the others came too late");
    });
}

/// A deletion that waits for its turn has not happened yet.
#[test]
fn a_timer_whose_deletion_waits_goes_with_its_instance() {
    with_device(&module(), |device| {
        let instance = device.load().expect("there is room");
        device.start(instance, "delete_late", &[], true);
        // The timer task waits for the console, which a task of the module has for 44 ms at a time.
        device.wait(Duration::from_millis(30));
        device.stop(instance);
    });
}

#[test]
fn there_is_a_limit_to_tasks() {
    with_device(&module(), |device| {
        for _ in 0..2 {
            let instance = device.load().expect("there is room");
            assert_eq!(device.call_last(instance, "make_tasks", &[]), End::Exited(Value::I32(TASKS - 1)));
        }
    });
}

/// The places for the tasks of all instances together are more than memory has room for.
#[test]
fn tasks_of_several_instances_take_memory_until_there_is_none() {
    let module = module();
    with_device(&module, |device| {
        let [first, second] = [(); 2].map(|()| device.load_sent(&module).expect("there is room"));
        assert_eq!(device.word(first, "make_tasks"), TASKS as u32 - 1);
        let beside = device.word(second, "make_tasks");
        assert!((1..TASKS as u32 - 1).contains(&beside), "{beside} tasks beside those of the first");
        assert_eq!(device.load_sent(&module).map_err(|refused| refused.kind), Err(Refusal::Memory));
        device.stop(first);
        // What the first had is there for others.
        let third = device.load_sent(&module).expect("there is room again");
        assert!(device.word(third, "make_tasks") > 0);
        device.stop(second);
        device.stop(third);
    });
}

/// The module with so many callbacks, its own ones first.
fn with_callbacks(bytes: &[u8], count: usize) -> Vec<u8> {
    let module = Module::parse(bytes).expect("just built");
    let mut writer = ModuleWriter::from(&module);
    let callbacks = module.section(SectionKind::Callbacks).iter().copied().cycle().take(2 * count).collect();
    writer.section(SectionKind::Callbacks, callbacks);
    writer.finish()
}

#[test]
fn every_thunk_may_be_missing() {
    let module = module();
    let needed = Module::parse(&module).expect("just built").callback_count();
    with_device(&module, |device| {
        let refused = device.load_sent(&with_callbacks(&module, THUNKS + 1)).expect_err("it wants more than there are");
        assert_eq!(refused.kind, Refusal::Memory);
        for free in 0..=needed {
            let holder = device.load_sent(&with_callbacks(&module, THUNKS - free)).expect("all are free");
            let beside = resources(device.stats());
            assert_eq!(beside[2], free as u32, "free thunks");
            match device.load() {
                Ok(instance) => {
                    assert_eq!(free, needed);
                    let end = device.call_last(instance, "make_all_after", &[0]);
                    assert!(matches!(end, End::Exited(_)), "{end:?}");
                }
                Err(refused) => {
                    assert!(free < needed, "{refused:?}");
                    assert_eq!(refused.kind, Refusal::Memory);
                    assert!(refused.reason.contains(&format!("{free} are free")), "{}", refused.reason);
                }
            }
            assert_eq!(resources(device.stats()), beside, "with {free} thunks");
            // The one that was there before goes on.
            assert!(device.word(holder, "kinds") > 0);
            device.stop(holder);
        }
        // Enough, but nowhere enough in a row.
        let [first, gap, last] = [THUNKS / 2, THUNKS / 8, THUNKS / 4]
            .map(|count| device.load_sent(&with_callbacks(&module, count)).expect("there is room"));
        device.stop(gap);
        let wanted = with_callbacks(&module, THUNKS / 6);
        assert!(device.load_sent(&wanted).is_err_and(|refused| refused.reason.contains("in a row")));
        device.stop(last);
        let instance = device.load_sent(&wanted).expect("now the free ones lie side by side");
        device.stop(instance);
        device.stop(first);
    });
}

#[test]
fn a_module_without_a_slot_is_refused_and_nothing_is_overwritten() {
    let module = module();
    with_device(&module, |device| {
        let first = device.load().expect("there is room");
        assert_eq!(device.install(&module, None), Ok(1));
        let second = device.load_from(Source::Slot(1)).expect("there is room");
        device.confirm(1);
        // One runs, the other too and is the last good one.
        let full = device.slots();
        for slot in [None, Some(0), Some(1)] {
            let refused = device.install(&module, slot).expect_err("no slot is free");
            assert_eq!(refused.kind, Refusal::Slot);
            let way_out = if slot.is_none() { "stop" } else { "name another" };
            assert!(refused.reason.contains(way_out), "{}", refused.reason);
        }
        let absent = device.install(&module, Some(full.len() as u8)).expect_err("there is no such slot");
        assert!(absent.reason.contains("no such module slot"), "{}", absent.reason);
        device.stop(first);
        let capacity = full[0].capacity;
        let large = vec![0; capacity as usize + 1];
        for slot in [None, Some(0)] {
            let refused = device.install(&large, slot).expect_err("it is larger than the slot");
            assert_eq!(refused.kind, Refusal::Slot);
            assert!(refused.reason.contains(&capacity.to_string()), "{}", refused.reason);
        }
        assert_eq!(device.load_sent(&large).expect_err("it is larger than RAM").kind, Refusal::Memory);
        assert_eq!(device.slots(), full, "both modules are still there");
        device.stop(second);
        for slot in [0, 1] {
            let instance = device.load_from(Source::Slot(slot)).expect("it is as it was");
            assert!(device.word(instance, "kinds") > 0);
            device.stop(instance);
        }
        assert_eq!(device.install(&module, None), Ok(0), "what no longer runs is free");
    });
}
