//! Loss of power after and within every single change of the flash, attacks with versions and signatures, and layouts.

use std::prelude::rust_2024::*;
use std::vec;

use ed25519_dalek::{Signer, SigningKey};
use espb_format::checksum::crc32;

use crate::header::{HEADER_LEN, MODULE_OFFSET};
use crate::*;

/// Power is gone: the change did not happen, or only in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut;

/// What an interrupted change leaves.
#[derive(Clone, Copy, Debug)]
enum Torn {
    Nothing,
    FirstHalf,
    /// Every other bit of what was to change.
    Bits,
}

/// Flash of two slots that loses power at its `fuse`-th change.
#[derive(Clone)]
struct Flash {
    slots: [Vec<u8>; 2],
    record: Vec<u8>,
    changes: u32,
    fuse: Option<u32>,
    torn: Torn,
}

impl Flash {
    fn new() -> Self {
        // Not erased: as the factory or another firmware left it.
        let slot = vec![0xa5; 0x4000];
        Self { slots: [slot.clone(), slot], record: vec![0; 0x2000], changes: 0, fuse: None, torn: Torn::Nothing }
    }

    fn cut_at(mut self, change: u32, torn: Torn) -> Self {
        (self.changes, self.fuse, self.torn) = (0, Some(change), torn);
        self
    }

    fn powered(mut self) -> Self {
        (self.changes, self.fuse) = (0, None);
        self
    }

    fn change(&mut self, area: Area, offset: u32, target: &[u8]) -> Result<(), Cut> {
        let cut = self.fuse.is_some_and(|fuse| self.changes >= fuse);
        let first = self.fuse == Some(self.changes);
        self.changes += 1;
        if cut && !first {
            return Err(Cut);
        }
        let bytes = match area {
            Area::Slot(slot) => &mut self.slots[slot.index()],
            Area::Record => &mut self.record,
        };
        let place = &mut bytes[offset as usize..offset as usize + target.len()];
        for (index, (cell, new)) in place.iter_mut().zip(target).enumerate() {
            let changed = match (cut, self.torn) {
                (false, _) => *new,
                (true, Torn::Nothing) => *cell,
                (true, Torn::FirstHalf) if index < target.len() / 2 => *new,
                (true, Torn::FirstHalf) => *cell,
                (true, Torn::Bits) => *cell & 0x55 | *new & 0xaa,
            };
            *cell = changed;
        }
        if cut { Err(Cut) } else { Ok(()) }
    }
}

impl Storage for Flash {
    type Error = Cut;

    fn slots(&self) -> u8 {
        2
    }

    fn view(&self, area: Area) -> &[u8] {
        match area {
            Area::Slot(slot) => self.slots.get(slot.index()).map_or(&[], |bytes| bytes),
            Area::Record => &self.record,
        }
    }

    fn erase(&mut self, area: Area, offset: u32) -> Result<(), Cut> {
        assert!(offset.is_multiple_of(SECTOR));
        self.change(area, offset, &[0xff; SECTOR as usize])
    }

    fn program(&mut self, area: Area, offset: u32, bytes: &[u8]) -> Result<(), Cut> {
        assert!(offset.is_multiple_of(4));
        let old = &self.view(area)[offset as usize..];
        assert!(old.iter().zip(bytes).all(|(old, new)| old & new == *new), "programmed without erasing");
        let cleared: Vec<u8> = old.iter().zip(bytes).map(|(old, new)| old & new).collect();
        self.change(area, offset, &cleared)
    }
}

fn module(number: u8, length: usize) -> Vec<u8> {
    (0..length).map(|index| (index as u8).wrapping_mul(31) ^ number).collect()
}

fn request(module: &[u8], seal: Seal) -> Install {
    let name = ModuleName::new("app");
    Install { length: module.len() as u32, crc32: crc32(module), autostart: true, seal, name, slot: None }
}

fn install(store: &mut Store<Flash>, module: &[u8], seal: Seal) -> Result<SlotIndex, InstallError<Cut>> {
    let mut installer = Installer::begin(store, request(module, seal), &|_| false)?;
    for piece in module.chunks(256) {
        installer.write(store, piece)?;
    }
    installer.finish(store, SlotState::New)
}

/// Stores, starts and confirms, as a device does whose user is content.
fn update(store: &mut Store<Flash>, module: &[u8]) -> Result<(), InstallError<Cut>> {
    let slot = install(store, module, Seal::default())?;
    let boot = store.choose().filter(|boot| boot.slot == slot).expect("a stored module is the one to run");
    store.begin(&boot).map_err(InstallError::Flash)?;
    store.confirm(slot).map_err(InstallError::Flash)
}

/// The bytes that a device with this flash runs after a reset, and the flash after that.
fn reset(flash: Flash) -> (Option<Vec<u8>>, Flash) {
    let mut store = Store::open(flash, None);
    store.settle().expect("power is there");
    let boot = store.choose();
    if let Some(boot) = &boot {
        store.begin(boot).expect("power is there");
    }
    let bytes = boot.and_then(|boot| store.module(boot.slot, &boot.header).map(<[u8]>::to_vec));
    (bytes, store.into_storage())
}

/// A flash whose record was changed so often that the next update fills a sector of it.
fn worn(with: &[u8], changes: usize) -> Flash {
    let mut store = Store::open(Flash::new(), None);
    update(&mut store, with).expect("power is there");
    for _ in 0..changes {
        let entry = store.entry(SlotIndex(0));
        store.note_stored(SlotIndex(0), entry.identity, SlotState::Valid).expect("power is there");
    }
    store.into_storage()
}

#[test]
fn power_lost_at_any_change_of_an_update_leaves_the_old_or_the_new_module_to_run() {
    let (old, new) = (module(1, 3000), module(2, 5001));
    let mut cuts = 0;
    // 61 and 62 changes put the update's records around the end of a sector.
    for worn_by in [0, 59, 60, 61, 62, 125] {
        let flash = worn(&old, worn_by);
        let mut whole = Store::open(flash.clone().powered(), None);
        update(&mut whole, &new).expect("power is there");
        let changes = whole.into_storage().changes;
        assert!(changes > 20, "{changes} changes");
        for change in 0..changes {
            for torn in [Torn::Nothing, Torn::FirstHalf, Torn::Bits] {
                let mut store = Store::open(flash.clone().cut_at(change, torn), None);
                assert!(update(&mut store, &new).is_err(), "change {change} was not cut");
                let cut = store.into_storage();
                let (first, after) = reset(cut.clone().powered());
                let first = first.unwrap_or_else(|| std::panic!("nothing runs after {torn:?} at change {change}"));
                assert!(first == old || first == new, "a wrong module runs after {torn:?} at change {change}");
                // What a first reset starts on trial and never confirms is rolled back by the second.
                let (second, _) = reset(after);
                assert!(second.is_some_and(|module| module == old || module == new));
                // Power that fails again while the device sorts things out.
                for again in 0..2 {
                    let mut store = Store::open(cut.clone().cut_at(again, torn), None);
                    let _ = store.settle();
                    let _ = store.choose().map(|boot| store.begin(&boot));
                    let (third, _) = reset(store.into_storage().powered());
                    assert!(third.is_some_and(|module| module == old || module == new), "second cut at {again}");
                }
                cuts += 1;
            }
        }
    }
    assert!(cuts > 400, "{cuts} cuts");
}

#[test]
fn a_trial_that_is_reset_or_rejected_gives_way_to_the_last_good_module() {
    let (old, new) = (module(1, 100), module(2, 100));
    let flash = worn(&old, 0);
    let mut store = Store::open(flash, None);
    let slot = install(&mut store, &new, Seal::default()).expect("stored");
    let (first, flash) = reset(store.into_storage());
    assert_eq!(first.as_ref(), Some(&new), "the trial runs first");
    let (second, flash) = reset(flash);
    assert_eq!(second.as_ref(), Some(&old), "a reset ended the trial");
    let mut store = Store::open(flash, None);
    assert_eq!(store.entry(slot).state, SlotState::Bad);
    let slot = install(&mut store, &new, Seal::default()).expect("stored again");
    let boot = store.choose().expect("a module");
    store.begin(&boot).expect("power is there");
    store.reject(slot).expect("power is there");
    assert_eq!(reset(store.into_storage()).0, Some(old), "it was rejected");
}

#[test]
fn the_last_good_module_and_a_running_one_are_never_overwritten() {
    let mut store = Store::open(worn(&module(1, 100), 0), None);
    let good = store.last_good().expect("a good module");
    let asked = |slot| Install { slot: Some(slot), ..request(&module(2, 100), Seal::default()) };
    assert_eq!(Installer::begin(&mut store, asked(good), &|_| false).err(), Some(InstallError::InUse(good)));
    let other = SlotIndex(1 - good.0);
    assert_eq!(
        Installer::begin(&mut store, asked(other), &|slot| slot == other).err(),
        Some(InstallError::InUse(other))
    );
    let any = Install { slot: None, ..asked(other) };
    assert_eq!(Installer::begin(&mut store, any, &|slot| slot == other).err(), Some(InstallError::AllInUse));
    assert_eq!(Installer::begin(&mut store, asked(SlotIndex(7)), &|_| false).err(), Some(InstallError::NoSlot));
}

#[test]
fn bytes_that_are_not_those_announced_are_not_run() {
    let mut store = Store::open(worn(&module(1, 100), 0), None);
    let new = module(2, 100);
    let mut installer = Installer::begin(&mut store, request(&new, Seal::default()), &|_| false).expect("room");
    installer.write(&mut store, &module(3, 100)).expect("power is there");
    assert_eq!(installer.finish(&mut store, SlotState::New), Err(InstallError::Checksum));
    let mut installer = Installer::begin(&mut store, request(&new, Seal::default()), &|_| false).expect("room");
    assert_eq!(installer.write(&mut store, &module(2, 101)), Err(InstallError::Order));
    assert_eq!(installer.finish(&mut store, SlotState::New), Err(InstallError::Order));
    assert_eq!(reset(store.into_storage()).0, Some(module(1, 100)));
}

#[test]
fn a_device_with_a_key_runs_what_is_signed_with_it_and_nothing_else() {
    let signer = SigningKey::from_bytes(&[7; 32]);
    let key = PublicKey(signer.verifying_key().to_bytes());
    let sign = |module: &[u8], version, signer: &SigningKey| {
        let seal = Seal { version, floor: 0, signature: None };
        Seal { signature: Some(signer.sign(&seal.signed_bytes(module)).to_bytes()), ..seal }
    };
    let app = module(1, 300);
    let seal = sign(&app, 1, &signer);
    let mut store = Store::open(Flash::new(), Some(key));
    let mut attempt = |module: &[u8], seal| install(&mut store, module, seal);
    let forged = InstallError::Seal(SealError::Signature);
    assert_eq!(attempt(&app, Seal { signature: None, ..seal }), Err(InstallError::Seal(SealError::Unsigned)));
    assert_eq!(attempt(&app, sign(&app, 1, &SigningKey::from_bytes(&[8; 32]))), Err(forged));
    assert_eq!(attempt(&module(2, 300), seal), Err(forged), "another module");
    assert_eq!(attempt(&app[..299], seal), Err(forged), "a part of the module");
    assert_eq!(attempt(&app, Seal { version: 2, ..seal }), Err(forged), "another version");
    assert_eq!(attempt(&app, Seal { floor: 9, ..seal }), Err(forged), "another floor");
    let slot = attempt(&app, seal).expect("rightly signed");
    // Bytes changed in flash, with the checksums made to fit, as somebody with access to the flash could.
    let mut flash = store.into_storage();
    let changed = module(3, 300);
    flash.slots[slot.index()][MODULE_OFFSET as usize..][..300].copy_from_slice(&changed);
    let header =
        SlotHeader { crc32: crc32(&changed), ..SlotHeader::decode(&flash.slots[slot.index()]).expect("a header") };
    flash.slots[slot.index()][..HEADER_LEN].copy_from_slice(&header.encode());
    flash.record.fill(0xff);
    let store = Store::open(flash, Some(key));
    assert_eq!(store.runnable(slot), Err(Unfit::Seal(SealError::Signature)));
    assert_eq!(store.choose(), None);
}

#[test]
fn versions_below_the_floor_are_refused_also_after_everything_was_removed() {
    let mut store = Store::open(Flash::new(), None);
    let sealed = |version, floor| Seal { version, floor, signature: None };
    let slot = install(&mut store, &module(1, 100), sealed(5, 4)).expect("stored");
    let boot = store.choose().expect("a module");
    store.begin(&boot).expect("power is there");
    assert_eq!(store.floor(), 0, "a trial raises nothing");
    store.confirm(slot).expect("power is there");
    store.remove(slot).expect("power is there");
    let mut store = Store::open(store.into_storage(), None);
    let below = InstallError::Seal(SealError::Downgrade { version: 3, floor: 4 });
    assert_eq!(install(&mut store, &module(2, 100), sealed(3, 0)), Err(below));
    assert!(install(&mut store, &module(2, 100), sealed(4, 0)).is_ok());
}

/// Whole, with a checksum that fits, and yet nothing that a device wrote: counting on from it would overflow.
#[test]
fn a_counter_that_no_device_reaches_is_no_record() {
    let mut flash = worn(&module(1, 100), 0);
    let last = Record { counter: u32::MAX, ..Record::default() }.encode();
    let end = flash.record.len() - last.len();
    flash.record[end..].copy_from_slice(&last);
    let mut store = Store::open(flash, None);
    assert!(store.choose().is_some(), "the record before it counts");
    let slot = install(&mut store, &module(2, 100), Seal::default()).expect("stored");
    assert_eq!(store.choose().map(|boot| boot.slot), Some(slot));
}

#[test]
fn slots_without_a_record_count_as_valid() {
    let mut flash = worn(&module(1, 100), 0);
    flash.record.fill(0xff);
    let store = Store::open(flash, None);
    let boot = store.choose().expect("a module");
    assert!(!boot.trial);
}

#[test]
fn a_seal_follows_its_module_in_a_file() {
    let seal = Seal { version: 3, floor: 2, signature: Some([9; 64]) };
    let mut file = module(1, 100);
    assert_eq!(Seal::split(&file), (file.as_slice(), Seal::default()));
    file.extend(seal.encode());
    assert_eq!(Seal::split(&file), (module(1, 100).as_slice(), seal));
}

#[test]
fn header_and_record_lie_in_flash_as_specified() {
    let seal = Seal { version: 3, floor: 2, signature: Some([9; 64]) };
    let header =
        SlotHeader { length: 0x1234, crc32: 0xdead_beef, autostart: true, seal, name: ModuleName::new("blinky") };
    let bytes = header.encode();
    assert_eq!(bytes[..28], *b"ESLT\x02\0\0\0\x34\x12\0\0\xef\xbe\xad\xde\x03\0\0\0\x03\0\0\0\x02\0\0\0");
    assert_eq!(bytes[92..99], *b"blinky\0");
    assert_eq!(SlotHeader::decode(&bytes), Ok(header));
    assert_eq!(SlotHeader::decode(&[0xff; HEADER_LEN]), Err(HeaderError::Empty));
    for at in 0..HEADER_LEN {
        let mut changed = bytes;
        changed[at] ^= 1;
        assert_eq!(SlotHeader::decode(&changed), Err(HeaderError::Damaged), "byte {at}");
    }
    let mut record = Record { counter: 258, floor: 7, ..Record::default() };
    record.slots[1] = SlotEntry { state: SlotState::Valid, stored_at: 257, identity: 0x0102_0304 };
    let bytes = record.encode();
    assert_eq!(bytes[..16], *b"ESRC\x02\x01\0\0\x07\0\0\0\0\x03\0\0");
    assert_eq!((&bytes[20..24], &bytes[36..40]), (&[1, 1, 0, 0][..], &[4, 3, 2, 1][..]));
    assert_eq!(Record::decode(&bytes), Some(record));
}
