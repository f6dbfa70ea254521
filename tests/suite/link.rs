//! Updates of a running device, in virtual time: speed, loss of power, trials, attacks, and what is left after many of them.
//! The device is the real firmware; the host's end is what the commands use.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ed25519_dalek::{Signer, SigningKey};
use espb::device::client::Message;
use espb::device::dialogue::{Dialogue, Goal, Trouble};
use espb::device::emulated::EmulatedDevice;
use espb::device::firmware;
use espb_format::checksum::crc32;
use espb_image::{Chip, FlashImage, Placement, PublicKey};
use espb_link::event::Refusal;
use espb_link::{InstanceId, Source};
use espb_slots::{Seal, SlotState};

use crate::compile::to_ir;
use crate::program::espb;

/// A program that says `says` every 10 ms from a timer, with `padding` bytes of constants.
fn ticking(folder: &Path, says: &str, padding: usize) -> Vec<u8> {
    let source = format!(
        "#include <stdio.h>\n#include \"freertos/FreeRTOS.h\"\n#include \"freertos/timers.h\"\n#include \"freertos/task.h\"\n\
         static const unsigned char padding[{padding}] = {{ 1, 2, 3 }};\n\
         static void tick(TimerHandle_t timer) {{ (void)timer; printf(\"{says} %d\\n\", padding[(int)xTaskGetTickCount() % {padding}] > 9); }}\n\
         int app_main(void) {{ xTimerStart(xTimerCreate(\"t\", 10, pdTRUE, 0, tick), 0); return 0; }}\n"
    );
    build(folder, says, &source)
}

fn build(folder: &Path, name: &str, source: &str) -> Vec<u8> {
    let path = |extension: &str| folder.join(name).with_extension(extension);
    fs::write(path("c"), source).expect("a temporary file");
    let ir: PathBuf = to_ir(&path("c"), folder);
    let built = espb(["build".as_ref(), ir.as_os_str(), "-o".as_ref(), path("espb").as_os_str()]);
    assert_eq!(built.code, 0, "{}", built.transcript());
    fs::read(path("espb")).expect("the module was written")
}

fn image(module: Option<&[u8]>, key: Option<&PublicKey>) -> Vec<u8> {
    let firmware = firmware::of(Chip::Esp32c3).expect("`make firmware` was run");
    let mut image = match key {
        Some(key) => espb_image::flash_image_with_key(firmware.elf, Chip::Esp32c3, key),
        None => FlashImage::from_merged(firmware.image),
    }
    .expect("the firmware makes an image");
    if let Some(file) = module {
        let placement = Placement { file, name: "old", autostart: true, slot: None, key: key.copied() };
        image.place_module(&placement).expect("the module fits");
    }
    image.merged()
}

fn boot(flash: Vec<u8>) -> EmulatedDevice {
    EmulatedDevice::with_flash(Chip::Esp32c3, flash).expect("the image boots")
}

const SLOT: Goal<'static> = Goal::Slot { slot: None, autostart: true, name: "new" };

/// Stores a module and starts it, as `espb push --stay` does before it confirms.
fn replace(dialogue: &mut Dialogue<'_, '_>, token: u32, module: &[u8]) -> Result<(u8, InstanceId), Trouble> {
    let slot = dialogue.install(token, module, &Seal::default(), SLOT, &mut |_| {})?;
    for resident in dialogue.instances()? {
        dialogue.stop(resident.instance)?;
    }
    let instance = dialogue.load(Source::Slot(slot), &[])?;
    dialogue.start(instance, &[])?;
    Ok((slot, instance))
}

/// Lets so many virtual milliseconds pass.
fn pass(dialogue: &mut Dialogue<'_, '_>, milliseconds: u64) {
    let end = dialogue.transport().now() + Duration::from_millis(milliseconds);
    loop {
        let left = end.saturating_sub(dialogue.transport().now());
        // `None` when the time is over.
        if dialogue.next(Some(left)).expect("the device goes on").is_none() {
            return;
        }
    }
}

/// What a device prints in so many virtual milliseconds.
fn prints(device: &mut EmulatedDevice, milliseconds: u64) -> String {
    let mut text = Vec::new();
    let mut write = |bytes: &[u8]| text.extend_from_slice(bytes);
    let mut dialogue = Dialogue::begin(device, &mut write).expect("the device answers");
    pass(&mut dialogue, milliseconds);
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn a_module_of_20_kilobytes_runs_within_a_virtual_second() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (old, new) = (ticking(folder.path(), "old", 10), ticking(folder.path(), "new", 20_000));
    assert!(new.len() >= 20_000, "{} bytes", new.len());
    let mut device = boot(image(Some(&old), None));
    let mut text = Vec::new();
    let mut write = |bytes: &[u8]| text.extend_from_slice(bytes);
    let mut dialogue = Dialogue::begin(&mut device, &mut write).expect("the device answers");
    dialogue.speed(921_600).expect("the speed changes");
    let began = dialogue.transport().now();
    dialogue.upload(1, &new, &Seal::default(), Goal::Ram, &mut |_| {}).expect("it arrives");
    let instance = dialogue.load(Source::Upload { token: 1 }, &[]).expect("it is loaded");
    dialogue.start(instance, &[]).expect("it runs");
    let took = dialogue.transport().now() - began;
    assert!(took <= Duration::from_secs(1), "it took {took:?}");
    // At 921,600 bits a second the bytes alone take 217 ms.
    assert!(took >= Duration::from_millis(217), "{took:?} is faster than the line");
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.matches("old").count() > 10, "the old module's timer went on meanwhile\n{text}");
}

#[test]
fn two_hundred_updates_leave_the_device_as_it_was() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let modules = [ticking(folder.path(), "one", 500), ticking(folder.path(), "two", 900)];
    let mut device = boot(image(None, None));
    let mut ignore = |_: &[u8]| {};
    let mut dialogue = Dialogue::begin(&mut device, &mut ignore).expect("the device answers");
    let mut figures = Vec::new();
    for update in 0..200u32 {
        let (slot, _) = replace(&mut dialogue, update + 1, &modules[update as usize % 2]).expect("an update");
        pass(&mut dialogue, 25);
        assert!(dialogue.confirm(slot).expect("an answer"), "it is kept");
        let stats = dialogue.stats(None).expect("counters");
        figures.push((stats.free_heap, stats.largest_free_block, stats.free_thunks));
    }
    assert_eq!(figures[198..], figures[..2], "free heap, largest block, thunks: at the end and at the start");
    let instances = dialogue.instances().expect("a list");
    assert_eq!(instances.len(), 1, "{instances:?}");
}

#[test]
fn power_lost_at_any_write_of_an_update_leaves_a_module_that_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (old, new) = (ticking(folder.path(), "old", 10), ticking(folder.path(), "new", 5000));
    let mut flash = image(Some(&old), None);
    let mut device = boot(flash.clone());
    device.machine().keep_flash_history();
    let mut ignore = |_: &[u8]| {};
    let mut dialogue = Dialogue::begin(&mut device, &mut ignore).expect("the device answers");
    let (slot, _) = replace(&mut dialogue, 1, &new).expect("an update");
    assert!(dialogue.confirm(slot).expect("an answer"), "it is kept");
    let changes = device.machine().flash_history().to_vec();
    assert!(changes.len() > 25, "{} changes", changes.len());
    let mut seen = [0, 0];
    for (number, change) in (0..).zip([None].into_iter().chain(changes.iter().map(Some))) {
        if let Some(change) = change {
            flash[change.offset as usize..][..change.contents.len()].copy_from_slice(&change.contents);
        }
        let text = prints(&mut boot(flash.clone()), 100);
        let runs = [text.contains("old"), text.contains("new")];
        assert!(runs[0] != runs[1], "power lost after change {number} of {}: {text}", changes.len());
        seen = [seen[0] + usize::from(runs[0]), seen[1] + usize::from(runs[1])];
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[test]
fn a_trial_that_traps_or_is_not_confirmed_or_ends_in_a_reset_gives_way_to_the_old_module() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let old = ticking(folder.path(), "old", 10);
    let new = ticking(folder.path(), "new", 20);
    let trap = build(folder.path(), "trap", "int app_main(void) { return *(volatile int *)16; }\n");
    let is_bad = |device: &mut EmulatedDevice, slot: u8| {
        let mut ignore = |_: &[u8]| {};
        let table = Dialogue::begin(device, &mut ignore).and_then(|mut dialogue| dialogue.slots()).expect("the slots");
        table.slots[usize::from(slot)].state == SlotState::Bad
    };
    let flash = image(Some(&old), None);

    let mut device = boot(flash.clone());
    let mut ignore = |_: &[u8]| {};
    let mut dialogue = Dialogue::begin(&mut device, &mut ignore).expect("the device answers");
    let (slot, instance) = replace(&mut dialogue, 1, &trap).expect("it starts");
    let mut trapped = false;
    while let Some(message) = dialogue.next(Some(Duration::from_millis(100))).expect("the device goes on") {
        if let Message::Trapped { instance: which, trap: report, .. } = message {
            assert_eq!((which, report.module_crc32), (instance, crc32(&trap)));
            trapped = true;
        }
    }
    assert!(trapped);
    assert!(is_bad(&mut device, slot) && prints(&mut device, 50).contains("old"), "it trapped");

    let mut device = boot(flash);
    let mut dialogue = Dialogue::begin(&mut device, &mut ignore).expect("the device answers");
    let (slot, _) = replace(&mut dialogue, 1, &new).expect("it starts");
    let on_trial = device.machine().flash().to_vec();
    assert!(prints(&mut device, 100).contains("new"));
    assert!(prints(&mut device, 31_000).contains("old"), "nobody confirmed it");
    assert!(is_bad(&mut device, slot));

    let mut device = boot(on_trial);
    assert!(prints(&mut device, 100).contains("old"), "the chip was reset");
    assert!(is_bad(&mut device, slot));
}

#[test]
fn a_device_with_a_key_refuses_what_is_not_signed_with_it_or_is_too_old() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let module = ticking(folder.path(), "new", 10);
    let signer = SigningKey::from_bytes(&[3; 32]);
    let key = PublicKey(signer.verifying_key().to_bytes());
    let sign = |module: &[u8], version, floor| {
        let seal = Seal { version, floor, signature: None };
        Seal { signature: Some(signer.sign(&seal.signed_bytes(module)).to_bytes()), ..seal }
    };
    let mut device = boot(image(None, Some(&key)));
    let mut ignore = |_: &[u8]| {};
    let mut dialogue = Dialogue::begin(&mut device, &mut ignore).expect("the device answers");
    let good = sign(&module, 5, 4);
    let refused = |outcome: Result<(), Trouble>| {
        assert!(matches!(&outcome, Err(Trouble::Refused(refused)) if refused.kind == Refusal::Seal), "{outcome:?}");
    };
    let slot = dialogue.install(1, &module, &good, SLOT, &mut |_| {}).expect("rightly signed");
    let instance = dialogue.load(Source::Slot(slot), &[]).expect("it is loaded");
    dialogue.start(instance, &[]).expect("it runs");
    assert!(dialogue.confirm(slot).expect("an answer"), "it is kept");
    let forgeries = [
        Seal { signature: None, ..good },
        Seal { version: 6, ..good },
        Seal { signature: Some([7; 64]), ..good },
        sign(&module, 3, 0),
        sign(b"another module", 5, 4),
    ];
    for (token, forgery) in (10..).step_by(2).zip(forgeries) {
        refused(dialogue.install(token, &module, &forgery, SLOT, &mut |_| {}).map(drop));
        let in_ram = dialogue.upload(token + 1, &module, &forgery, Goal::Ram, &mut |_| {});
        refused(in_ram.and_then(|()| dialogue.load(Source::Upload { token: token + 1 }, &[]).map(drop)));
    }
    dialogue.upload(100, &module, &good, Goal::Ram, &mut |_| {}).expect("rightly signed");
    dialogue.load(Source::Upload { token: 100 }, &[]).expect("rightly signed");
}
