//! Instances come, live side by side and go, in the emulated chip, over the link: nothing of one is left, and none disturbs another.

use std::path::Path;
use std::time::Duration;

use espb_link::InstanceId;
use espb_link::event::{Refusal, State, Value};

use crate::compile::to_ir;
use crate::program::espb;
use crate::resident::{Device, End, boot, build, resources, with_device};

/// The module that most of these tests use.
fn rounds() -> Vec<u8> {
    let exports = [
        "leave",
        "trap",
        "linger",
        "hang_in_callback",
        "hang",
        "wait_in_callback",
        "give_queue",
        "give_function",
        "give_memory",
        "count",
        "use_queue",
        "use_function",
        "use_memory",
        "use_uart",
        "write_later",
        "write_later_and_trap",
        "guard",
        "damage",
    ];
    build("fixtures/life/rounds.c", &exports, &["--heap", "16K:16K"])
}

#[test]
fn a_thousand_rounds_leave_nothing_behind() {
    with_device(&rounds(), |device| {
        let before = resources(device.stats());
        for round in 0..1000 {
            let instance = device.load().expect("there is room");
            // Callbacks without end take long: every hundredth round.
            match (round % 4, round % 100) {
                (_, 99) => {
                    device.start(instance, "hang_in_callback", &[], false);
                    device.wait(Duration::from_millis(20));
                    device.stop(instance);
                }
                (0, _) => {
                    device.start(instance, "leave", &[], false);
                    assert_eq!(device.end(instance), End::Exited(Value::I32(0)), "round {round}");
                }
                (1, _) => {
                    device.start(instance, "trap", &[], false);
                    assert!(matches!(device.end(instance), End::Trapped(_)), "round {round}");
                }
                (2, _) => {
                    device.start(instance, "linger", &[], false);
                    // Into the middle of its preparations, or behind them.
                    device.wait(Duration::from_micros(4000 + 37 * round));
                    device.stop(instance);
                }
                _ => {
                    device.start(instance, "hang", &[], false);
                    device.wait(Duration::from_micros(100 + 53 * round));
                    device.stop(instance);
                }
            }
            assert_eq!(resources(device.stats()), before, "after round {round}");
        }
    });
}

/// `ESP_ERR_NOT_ALLOWED`.
const NOT_ALLOWED: u32 = 0x10d;

#[test]
fn two_instances_share_nothing() {
    let module = rounds();
    with_device(&module, |device| {
        let giver = device.load().expect("there is room");
        let queue = device.word(giver, "give_queue");
        assert_ne!(queue, 0);
        for (give, take) in
            [("give_queue", "use_queue"), ("give_function", "use_function"), ("give_memory", "use_memory")]
        {
            // What makes the queue was called already, and everything is in use.
            let given = if give == "give_queue" { queue } else { device.word(giver, give) };
            let taker = device.load_sent(&module).expect("there is room for two");
            let states: Vec<State> = device.list().iter().map(|resident| resident.state).collect();
            assert_eq!(states, [State::Idle, State::Loaded]);
            device.start(taker, take, &[given.into()], true);
            let end = device.end(taker);
            assert!(matches!(end, End::Trapped(_)), "{take} with what is another's: {end:?}");
            assert_eq!(device.list().len(), 1, "the one that trapped is gone, the other is not");
        }
        let taker = device.load_sent(&module).expect("there is room for two");
        assert_eq!(device.word(taker, "use_uart"), NOT_ALLOWED, "it is the giver's");
        device.stop(taker);
        // The giver's own timers fire all the while, and its handle is good in its own hands.
        let earlier = device.word(giver, "count");
        device.wait(Duration::from_millis(100));
        assert!(device.word(giver, "count") > earlier + 100, "two timers of a millisecond each go on");
        assert_eq!(device.call(giver, "use_queue", &[queue.into()]), End::Exited(Value::I32(1)));
        device.stop(giver);
    });
}

#[test]
fn there_is_a_limit_to_instances_and_each_has_its_own_number() {
    let module = rounds();
    with_device(&module, |device| {
        let instances: Vec<InstanceId> =
            (0..4).map(|_| device.load_sent(&module).expect("there is room for four")).collect();
        assert_eq!(instances, [1, 2, 3, 4].map(InstanceId));
        assert_eq!(device.load_sent(&module).map_err(|refused| refused.kind), Err(Refusal::Request));
        device.stop(InstanceId(2));
        assert_eq!(device.load_sent(&module), Ok(InstanceId(5)));
        assert_eq!(device.call(InstanceId(2), "count", &[]), End::Refused(Refusal::Request));
        for instance in [1, 3, 4, 5] {
            device.stop(InstanceId(instance));
        }
    });
}

/// What an instance has asked to be written, a line, bytes, results, its own tasks' stacks, is not written when it has ended.
#[test]
fn nothing_is_written_after_an_instance_has_ended() {
    with_device(&rounds(), |device| {
        for way in ["write_later", "write_later_and_trap"] {
            let first = device.load().expect("there is room");
            device.start(first, way, &[], true);
            if way == "write_later" {
                device.wait(Duration::from_millis(30));
                device.stop(first);
            } else {
                assert!(matches!(device.end(first), End::Trapped(_)));
            }
            // The next one gets the same memory.
            let second = device.load().expect("there is room");
            assert_ne!(device.word(second, "guard"), 0, "there is a heap to fill");
            device.type_text("a line for the one before\n");
            device.wait(Duration::from_millis(50));
            assert_eq!(device.word(second, "damage"), 0, "{way}");
            device.stop(second);
        }
    });
}

/// However long the texts are that a module passes, the firmware's own tasks run in time while they are checked.
#[test]
fn long_texts_hold_nobody_up() {
    with_device(&build("fixtures/life/long_text.c", &["read_for_long"], &["--heap", "4K:4K"]), |device| {
        let instance = device.load().expect("there is room");
        assert_eq!(device.word(instance, "read_for_long"), 20);
        let delay = device.stats().heartbeat_delay;
        assert!(delay < 500, "a heartbeat came {delay} microseconds late");
        device.stop(instance);
    });
}

/// The n-th allocation of a load and a run fails, for all n: whoever needed it is told, and nothing is lost.
#[test]
fn every_allocation_may_fail() {
    let mut chip = boot(&rounds());
    let allocator = chip.symbol("pvPortMalloc").expect("the kernel's allocator").start;
    // How many allocations still succeed before one fails.
    let countdown = std::rc::Rc::new(std::cell::Cell::new(None::<u32>));
    let left = countdown.clone();
    chip.watch(
        &[allocator],
        Box::new(move |machine| match left.get() {
            Some(0) => {
                machine.return_early(0);
                left.set(None);
            }
            Some(count) => left.set(Some(count - 1)),
            None => {}
        }),
    );
    let mut device = Device::greet(&mut chip);
    let before = resources(device.stats());
    let mut failed = 0;
    for allowed in 0.. {
        countdown.set(Some(allowed));
        match device.load() {
            Err(refused) => assert_eq!(refused.kind, Refusal::Memory, "allocation {allowed}"),
            Ok(instance) => {
                device.start(instance, "leave", &[], false);
                let end = device.end(instance);
                if matches!(end, End::Refused(_)) {
                    // The main task could not be made; the instance is still there.
                    assert_eq!(end, End::Refused(Refusal::Memory), "allocation {allowed}");
                    device.stop(instance);
                }
            }
        }
        assert_eq!(resources(device.stats()), before, "when allocation {allowed} failed");
        if countdown.replace(None).is_some() {
            break;
        }
        failed += 1;
    }
    assert!(failed > 20, "only {failed} allocations were made to fail");
}

/// A callback that waits on a task of the firmware, where others wait for it, waits for a second at most.
#[test]
fn a_callback_that_waits_neither_keeps_others_alive_nor_their_timers_still() {
    let module = rounds();
    with_device(&module, |device| {
        let other = device.load_sent(&module).expect("there is room");
        assert_ne!(device.word(other, "give_queue"), 0);
        let waiting = device.load().expect("there is room for two");
        device.start(waiting, "wait_in_callback", &[], true);
        device.wait(Duration::from_millis(20));
        let before = device.word(other, "count");
        let end = device.end(waiting);
        assert!(matches!(&end, End::Trapped(reason) if reason.contains("fuel")), "{end:?}");
        device.wait(Duration::from_millis(500));
        let fired = device.word(other, "count") - before;
        assert!(fired > 2 * 500 + 1500, "of two timers of a millisecond each one stood still for a second: {fired}");
        // And the other way round: it is the other that is to end.
        let waiting = device.load().expect("there is room for two");
        device.start(waiting, "wait_in_callback", &[], true);
        device.wait(Duration::from_millis(20));
        device.stop(other);
        assert!(matches!(device.end(waiting), End::Trapped(_)));
    });
}

/// What `espb run --with` shows: a module beside another, whose trap is told and disturbs nobody.
#[test]
fn a_module_beside_another_may_trap() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = |source: &str| to_ir(Path::new(source), folder.path()).display().to_string();
    let (timers, trap) = (program("fixtures/tasks/timers.c"), program("fixtures/bad/trap_in_task.c"));
    let alone = espb(["run", "--timeout", "120s", &timers]);
    let beside = espb(["run", "--timeout", "120s", "--with", &trap, &timers]);
    assert_eq!((alone.code, beside.code), (0, 0), "{}", beside.transcript());
    assert!(beside.stderr.contains("espb::run::trap"), "{}", beside.transcript());
    let (other, own): (Vec<&str>, Vec<&str>) = beside.stdout.lines().partition(|line| line.starts_with("main at"));
    assert_eq!(other.len(), 3, "the other ran until it trapped after 100 ms: {}", beside.transcript());
    assert_eq!(own, alone.stdout.lines().collect::<Vec<_>>(), "{}", beside.transcript());
}
