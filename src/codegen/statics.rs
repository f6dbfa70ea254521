//! Variables: which go to flash, which to data or bss, and the bytes and relocations of their initial values.
//!
//! Must never hold: code. Data comes before bss, small variables first, so that direct addressing reaches most of them.

use super::machine::Const;
use super::refusal::{Lowered, Refusal};
use super::unit::{Place, Scalar, Unit};
use crate::diagnostic::Diagnostic;
use crate::ir::{Constant, ConstantKind, Global, Linkage, Module};
use espb_format::container::{LINEAR_UNIT, Relocation, RelocationKind};
use espb_format::thread_local::ThreadLocal;
use std::collections::HashMap;

/// The sections that variables make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statics {
    /// Constant data.
    pub rodata: Vec<u8>,
    /// Initial contents of the start of linear memory.
    pub data: Vec<u8>,
    /// Zeroed bytes behind it.
    pub bss: u32,
    /// Words of the data to adjust.
    pub relocations: Vec<Relocation>,
    /// The thread-local variables, if there are any.
    pub thread_local: Option<ThreadLocal>,
}

/// Largest total of each region; offsets stay far from overflow.
const MAX_REGION: u32 = 1 << 28;

fn holds_address(constant: &Constant) -> bool {
    match &constant.kind {
        ConstantKind::Address(_) => true,
        ConstantKind::Aggregate(parts) => parts.iter().any(holds_address),
        ConstantKind::Expression { operands, .. } => operands.iter().any(holds_address),
        _ => false,
    }
}

fn is_zero(constant: &Constant) -> bool {
    match &constant.kind {
        ConstantKind::Zero | ConstantKind::Undef | ConstantKind::Poison => true,
        ConstantKind::Int(value) | ConstantKind::Float(value) => *value == 0,
        ConstantKind::Bytes(bytes) => bytes.iter().all(|byte| *byte == 0),
        ConstantKind::Aggregate(parts) => parts.iter().all(is_zero),
        _ => false,
    }
}

struct Region {
    end: u32,
}

impl Region {
    fn take(&mut self, global: &Global) -> Lowered<u32> {
        if global.align > LINEAR_UNIT {
            return Err(Refusal::unsupported(
                format!("the variable {} is aligned to {} bytes", global.name, global.align),
                format!("align it to at most {LINEAR_UNIT} bytes"),
            ));
        }
        let start = self.end.next_multiple_of(global.align.max(1));
        self.end = start.checked_add(global.size).filter(|end| *end <= MAX_REGION).ok_or_else(|| {
            Refusal::too_large(format!("the variable {} does not fit into memory", global.name), "make it smaller")
        })?;
        Ok(start)
    }
}

/// Places every variable of the unit and encodes the initial values.
///
/// # Errors
/// The first variable that cannot be translated, at its C line.
pub fn place(unit: &mut Unit<'_>) -> Result<Statics, Diagnostic> {
    let module: &Module = unit.module;
    let mut constants = Vec::new();
    let mut initialised = Vec::new();
    let mut zeroed = Vec::new();
    let mut own = Vec::new();
    for (index, global) in module.globals.iter().enumerate() {
        match &global.initializer {
            None if global.linkage == Linkage::ExternalWeak => set(unit, index, Place::Null),
            None => {}
            Some(value) if global.thread_local => own.push((index, global, value)),
            Some(value) if global.constant && !holds_address(value) => constants.push((index, global, value)),
            Some(value) if is_zero(value) => zeroed.push((index, global)),
            Some(value) => initialised.push((index, global, value)),
        }
    }
    let mut statics = Statics::default();
    place_constants(unit, &mut statics, constants).map_err(Refusal::anywhere)?;

    initialised.sort_by_key(|(_, global, _)| global.size);
    zeroed.sort_by_key(|(_, global)| global.size);
    let mut region = Region { end: 0 };
    for (index, global, _) in &initialised {
        let start = region.take(global).map_err(Refusal::anywhere)?;
        set(unit, *index, Place::Linear(start));
    }
    let template = place_thread_local(unit, own).map_err(Refusal::anywhere)?;
    let template_start = region.end.next_multiple_of(LINEAR_UNIT);
    if !template.bytes.is_empty() {
        region.end = template_start + template.bytes.len() as u32;
    }
    let data_end = region.end;
    for (index, global) in &zeroed {
        let start = region.take(global).map_err(Refusal::anywhere)?;
        set(unit, *index, Place::Linear(start));
    }
    statics.bss = region.end - data_end;
    unit.static_size = region.end;
    for (index, global, value) in &initialised {
        if let Some(Some(Place::Linear(start))) = unit.places.get(*index).copied() {
            statics.data.resize((start as usize).max(statics.data.len()), 0);
            let mut image = Image { bytes: Vec::new(), relocations: Vec::new() };
            image.write(unit, value, 0).map_err(|refusal| refusal.at_variable(module, global))?;
            statics
                .relocations
                .extend(image.relocations.iter().map(|one| Relocation { offset: one.offset + start, ..*one }));
            statics.data.extend_from_slice(&image.bytes);
        }
    }
    if template.size > 0 {
        let initialised = template.bytes.len() as u32;
        let start = if initialised > 0 { template_start } else { 0 };
        statics.thread_local = Some(ThreadLocal { template: start, initialised, size: template.size });
        let mut image = Image { bytes: template.bytes, relocations: Vec::new() };
        for (offset, value) in template.values {
            image.write(unit, value, offset).map_err(Refusal::anywhere)?;
        }
        // Behind all other data, so the offsets go on ascending.
        image.relocations.sort_unstable_by_key(|one| one.offset);
        statics
            .relocations
            .extend(image.relocations.iter().map(|one| Relocation { offset: one.offset + start, ..*one }));
        statics.data.resize(data_end as usize - image.bytes.len(), 0);
        statics.data.extend_from_slice(&image.bytes);
    }
    statics.data.resize(data_end as usize, 0);
    Ok(statics)
}

fn set(unit: &mut Unit<'_>, index: usize, place: Place) {
    if let Some(slot) = unit.places.get_mut(index) {
        *slot = Some(place);
    }
}

/// A task's block of thread-local variables.
struct Template<'a> {
    /// Room for the initial values, all zero.
    bytes: Vec<u8>,
    /// Bytes of the block.
    size: u32,
    /// Initial values by offset.
    values: Vec<(u32, &'a Constant)>,
}

/// Initialised ones first.
fn place_thread_local<'a>(
    unit: &mut Unit<'_>,
    mut own: Vec<(usize, &'a Global, &'a Constant)>,
) -> Lowered<Template<'a>> {
    own.sort_by_key(|(_, global, value)| (is_zero(value), global.size));
    let mut region = Region { end: 0 };
    let mut template = Template { bytes: Vec::new(), size: 0, values: Vec::new() };
    for (index, global, value) in own {
        let start = region.take(global)?;
        set(unit, index, Place::ThreadLocal(start));
        template.size = region.end;
        if !is_zero(value) {
            template.bytes.resize(region.end as usize, 0);
            template.values.push((start, value));
        }
    }
    Ok(template)
}

/// Equal constants whose address does not matter share one place.
fn place_constants(
    unit: &mut Unit<'_>,
    statics: &mut Statics,
    mut constants: Vec<(usize, &Global, &Constant)>,
) -> Lowered<()> {
    constants.sort_by_key(|(_, global, _)| (std::cmp::Reverse(global.align), global.size));
    let mut known: HashMap<Vec<u8>, u32> = HashMap::new();
    let mut region = Region { end: 0 };
    for (index, global, value) in constants {
        let mut image = Image { bytes: Vec::new(), relocations: Vec::new() };
        image.write(unit, value, 0)?;
        image.bytes.resize(global.size as usize, 0);
        if global.unnamed_address
            && let Some(start) = known.get(&image.bytes)
            && start % global.align.max(1) == 0
        {
            set(unit, index, Place::Rodata(*start));
            continue;
        }
        let start = region.take(global)?;
        set(unit, index, Place::Rodata(start));
        statics.rodata.resize(start as usize, 0);
        statics.rodata.extend_from_slice(&image.bytes);
        known.entry(image.bytes).or_insert(start);
    }
    Ok(())
}

struct Image {
    bytes: Vec<u8>,
    relocations: Vec<Relocation>,
}

impl Image {
    fn write(&mut self, unit: &mut Unit<'_>, constant: &Constant, offset: u32) -> Lowered<()> {
        let layout = unit.module.types.layout(constant.ty);
        let end = offset as usize + layout.size as usize;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        match &constant.kind {
            ConstantKind::Zero | ConstantKind::Undef | ConstantKind::Poison => Ok(()),
            ConstantKind::Bytes(bytes) => {
                self.put(offset, bytes);
                Ok(())
            }
            ConstantKind::Aggregate(parts) => {
                for (index, part) in parts.iter().enumerate() {
                    if let Some((_, at)) = unit.module.types.part(constant.ty, index as u32) {
                        self.write(unit, part, offset + at)?;
                    }
                }
                Ok(())
            }
            ConstantKind::Int(value) | ConstantKind::Float(value) => {
                let bytes = value.to_le_bytes();
                self.put(offset, bytes.get(..layout.store_size as usize).unwrap_or(&bytes));
                Ok(())
            }
            ConstantKind::Address(_) | ConstantKind::BlockAddress { .. } | ConstantKind::Expression { .. } => {
                let (word, kind) = match unit.scalar(constant)? {
                    Scalar::Bits(value) => {
                        let bytes = value.to_le_bytes();
                        self.put(offset, bytes.get(..layout.store_size as usize).unwrap_or(&bytes));
                        return Ok(());
                    }
                    Scalar::Address(Const::Linear(at)) => (at, RelocationKind::Linear),
                    Scalar::Address(Const::Rodata(at)) => (at, RelocationKind::Constant),
                    Scalar::Address(Const::Callback(index)) => (u32::from(index), RelocationKind::Callback),
                    Scalar::Address(Const::Int(_) | Const::Stack(_)) | Scalar::Undefined => return Ok(()),
                };
                self.put(offset, &word.to_le_bytes());
                self.relocations.push(Relocation { offset, kind });
                Ok(())
            }
        }
    }

    fn put(&mut self, offset: u32, bytes: &[u8]) {
        let start = offset as usize;
        if let Some(place) = self.bytes.get_mut(start..start + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
}
