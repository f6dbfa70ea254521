//! Any contents of the flash that holds modules, damaged further between the steps, and power lost within any change: what is decided
//! from it is decided by its checksums, and the last good module stays able to run.

use arbitrary::{Result, Unstructured};
use espb_format::checksum::crc32;
use espb_slots::header::{HEADER_LEN, MODULE_OFFSET};
use espb_slots::record::{self, RECORD_LEN};
use espb_slots::{
    Area, Install, Installer, ModuleName, SECTOR, Seal, SlotEntry, SlotHeader, SlotIndex, SlotState, Storage, Store,
};

/// Slots of the device.
const SLOTS: u8 = 3;
/// Bytes of each: the header's sector and one for a module.
const SLOT_SIZE: usize = 2 * SECTOR as usize;
/// Most steps of an input.
const MOST_STEPS: usize = 10;
/// Most bytes of a module.
const MOST_BYTES: usize = 300;

/// Power is gone.
#[derive(Debug)]
struct Cut;

/// Flash that loses power within one of its changes.
#[derive(Clone)]
struct Flash {
    slots: [Vec<u8>; SLOTS as usize],
    record: Vec<u8>,
    /// Changes that still succeed, and which bits of the one after them do; `None` for no loss of power.
    fuse: Option<(u32, u8)>,
}

impl Flash {
    fn filled_with(byte: u8) -> Self {
        let slots = std::array::from_fn(|_| vec![byte; SLOT_SIZE]);
        Self { slots, record: vec![byte; (record::SECTORS * SECTOR) as usize], fuse: None }
    }

    fn area(&mut self, area: Area) -> &mut Vec<u8> {
        match area {
            Area::Slot(slot) => &mut self.slots[slot.index()],
            Area::Record => &mut self.record,
        }
    }

    /// Overwrites a run of bytes, and perhaps makes the checksum of the header or the record right again that they lie in.
    fn damage(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let (slot, repaired) = (input.int_in_range(0..=SLOTS)?, input.arbitrary()?);
        let (area, unit) =
            if slot < SLOTS { (Area::Slot(SlotIndex(slot)), HEADER_LEN) } else { (Area::Record, RECORD_LEN) };
        let bytes = self.area(area);
        let at = input.int_in_range(0..=bytes.len() - 1)? & if input.arbitrary()? { usize::MAX } else { 0xff };
        let length = input.int_in_range(0..=16)?;
        for (place, byte) in bytes[at..].iter_mut().zip(input.bytes(length)?) {
            *place = *byte;
        }
        if repaired {
            let start = at / unit * unit;
            let checksum = crc32(&bytes[start..start + unit - 4]);
            bytes[start + unit - 4..start + unit].copy_from_slice(&checksum.to_le_bytes());
        }
        Ok(())
    }

    fn change(&mut self, area: Area, offset: u32, new: &[u8]) -> Result<(), Cut> {
        let torn = match &mut self.fuse {
            None => None,
            Some((0, bits)) => Some(std::mem::take(bits)),
            Some((left, _)) => {
                *left -= 1;
                None
            }
        };
        let mask = torn.map_or(0xff, |bits| bits);
        let place = &mut self.area(area)[offset as usize..offset as usize + new.len()];
        for (cell, new) in place.iter_mut().zip(new) {
            *cell = *cell & !mask | *new & mask;
        }
        if torn.is_some() { Err(Cut) } else { Ok(()) }
    }
}

impl Storage for Flash {
    type Error = Cut;

    fn slots(&self) -> u8 {
        SLOTS
    }

    fn view(&self, area: Area) -> &[u8] {
        match area {
            Area::Slot(slot) => self.slots.get(slot.index()).map_or(&[], Vec::as_slice),
            Area::Record => &self.record,
        }
    }

    fn erase(&mut self, area: Area, offset: u32) -> Result<(), Cut> {
        assert!(offset.is_multiple_of(SECTOR), "an erase in the middle of a sector");
        self.change(area, offset, &[0xff; SECTOR as usize])
    }

    fn program(&mut self, area: Area, offset: u32, bytes: &[u8]) -> Result<(), Cut> {
        assert!(offset.is_multiple_of(4), "a program command in the middle of a word");
        let old = &self.view(area)[offset as usize..][..bytes.len()];
        let cleared: Vec<u8> = old.iter().zip(bytes).map(|(old, new)| old & new).collect();
        self.change(area, offset, &cleared)
    }
}

/// What must outlive a loss of power.
struct Good {
    slot: SlotIndex,
    module: Vec<u8>,
}

fn good(store: &Store<Flash>) -> Option<Good> {
    let slot = store.last_good()?;
    let header = store.header(slot).expect("a good slot has a header");
    let module = store.module(slot, &header).expect("and its module lies within").to_vec();
    Some(Good { slot, module })
}

/// Boots from the flash: what is chosen must be what its header says.
fn check(store: &Store<Flash>) -> bool {
    let Some(boot) = store.choose() else {
        assert!(store.last_good().is_none(), "nothing is run although there is a good module");
        return false;
    };
    let module = store.module(boot.slot, &boot.header).expect("a chosen module lies in its slot");
    assert_eq!(crc32(module), boot.header.crc32, "a damaged module is run");
    assert!(boot.header.seal.version >= store.floor(), "a module below the floor is run");
    let SlotEntry { state, .. } = store.entry(boot.slot);
    assert!(matches!(state, SlotState::New | SlotState::Valid), "a module in state {} is run", state.name());
    assert_eq!(boot.trial, state == SlotState::New);
    true
}

/// Takes flash contents and steps from the input; whether anything was ever run.
pub fn attack(data: &[u8]) -> bool {
    steps(&mut Unstructured::new(data)).unwrap_or(false)
}

fn steps(input: &mut Unstructured<'_>) -> Result<bool> {
    let mut flash = Flash::filled_with(*input.choose(&[0xff, 0, 0xa5])?);
    let mut ran = false;
    for _ in 0..MOST_STEPS {
        if input.is_empty() {
            break;
        }
        for _ in 0..input.int_in_range(0..=2)? {
            flash.damage(input)?;
        }
        let mut store = Store::open(flash, None);
        ran |= check(&store);
        let (before, floor) = (good(&store), store.floor());
        flash = store.into_storage();
        flash.fuse = if input.arbitrary()? { Some((input.int_in_range(0..=6)?, input.arbitrary()?)) } else { None };
        store = Store::open(flash, None);
        let slot = SlotIndex(input.int_in_range(0..=SLOTS - 1)?);
        let spared = step(&mut store, slot, input, before.as_ref())?;
        flash = store.into_storage();
        flash.fuse = None;
        store = Store::open(flash, None);
        ran |= check(&store);
        assert!(store.floor() >= floor, "the floor has sunk");
        if let (true, Some(Good { slot, module })) = (spared, before) {
            let boot = store.runnable(slot).unwrap_or_else(|unfit| panic!("the good module is lost: {unfit}"));
            assert_eq!(store.module(slot, &boot.header), Some(&*module), "the good module has changed");
        }
        flash = store.into_storage();
    }
    Ok(ran)
}

/// One thing that firmware or flashing tool does, in which power may be lost; whether the good module must be there afterwards.
fn step(
    store: &mut Store<Flash>,
    slot: SlotIndex,
    input: &mut Unstructured<'_>,
    before: Option<&Good>,
) -> Result<bool> {
    let is_good = before.is_some_and(|good| good.slot == slot);
    // What a loss of power makes of each of these is looked at afterwards.
    match input.int_in_range(0..=6)? {
        0 => drop(store.settle()),
        1 => {
            if let Some(boot) = store.choose() {
                drop(store.begin(&boot));
            }
        }
        2 => {
            // The firmware confirms what runs, so it was sound. It may raise the floor above the module that was good.
            let sound = store.header(slot).is_ok_and(|header| {
                store.module(slot, &header).is_some_and(|module| crc32(module) == header.crc32)
                    && header.seal.version >= store.floor()
            });
            if sound {
                drop(store.confirm(slot));
            }
            return Ok(false);
        }
        3 => drop(store.reject(slot)),
        4 => {
            drop(store.remove(slot));
            return Ok(!is_good);
        }
        _ => install(store, slot, input)?,
    }
    Ok(true)
}

fn install(store: &mut Store<Flash>, slot: SlotIndex, input: &mut Unstructured<'_>) -> Result<()> {
    let length = input.int_in_range(0..=MOST_BYTES)?;
    let module: Vec<u8> = (0..length).map(|place| (place as u8).wrapping_mul(37) ^ length as u8).collect();
    let install = Install {
        length: length as u32,
        crc32: crc32(&module) ^ u32::from(input.ratio(1, 8)?),
        autostart: input.arbitrary()?,
        seal: Seal { version: input.int_in_range(0..=5)?, floor: input.int_in_range(0..=5)?, signature: None },
        name: ModuleName::new("fuzz"),
        slot: input.arbitrary::<bool>()?.then_some(slot),
    };
    let state = if input.arbitrary()? { SlotState::New } else { SlotState::Valid };
    let Ok(mut installer) = Installer::begin(store, install, &|_| false) else { return Ok(()) };
    let (chosen, piece) = (installer.slot(), 4 * input.int_in_range(1..=64)?);
    for bytes in module.chunks(piece) {
        if installer.write(store, bytes).is_err() {
            return Ok(());
        }
    }
    if installer.finish(store, state).is_ok() {
        let header: SlotHeader = store.header(chosen).expect("what was stored has a header");
        assert_eq!(store.module(chosen, &header), Some(&*module), "something else was stored");
        assert!(MODULE_OFFSET + header.length <= SLOT_SIZE as u32);
    }
    Ok(())
}
