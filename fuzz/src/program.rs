//! Valid modules from arbitrary bytes: random functions over the whole opcode table that the verifier must accept and that mostly do
//! something. Two styles: [`Style::Any`] keeps the verifier's rules and nothing else; [`Style::Portable`] also keeps addresses out of
//! everything that can be seen, so that the module does the same wherever its memory lies. Never here: running anything.

use arbitrary::{Result, Unstructured};
use espb_format::container::{Function, Limits, NONE, Relocation, RelocationKind, SectionKind};
use espb_format::instruction::{Instruction, extension_word};
use espb_format::opcode::{Flow, Opcode};
use espb_format::operand::Operand;
use espb_format::pair::{self, Pair};
use espb_format::signature::{Signature, ValType};
use espb_format::thread_local::ThreadLocal;
use espb_format::writer::ModuleWriter;

/// What a module may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Whatever the verifier accepts.
    Any,
    /// Nothing whose outcome depends on where its memory lies.
    Portable,
}

/// The imports of every generated module: name and parameters; each gives an i32. They are functions that firmware and test host
/// both have.
pub const IMPORTS: [(&str, &[ValType]); 5] = [
    ("abs", &[ValType::I32]),
    ("putchar", &[ValType::I32]),
    ("malloc", &[ValType::I32]),
    ("realloc", &[ValType::I32, ValType::I32]),
    ("free", &[ValType::I32]),
];
/// So many of [`IMPORTS`] are called by portable modules.
const PORTABLE_IMPORTS: i64 = 2;
/// For each of [`IMPORTS`] whether it takes a heap block and whether it gives one.
const HEAP_USE: [(bool, bool); IMPORTS.len()] =
    [(false, false), (false, false), (false, true), (true, true), (true, false)];
/// Bytes of a task's thread-local variables in a module of any style.
const THREAD_LOCAL: u32 = 40;

/// Slots of a frame. Parameters lie from 0 on, addresses at [`ADDRESSES`], what is computed with from [`DATA`] on up to [`DATA_END`], and
/// the window of calls at [`WINDOW`].
const SLOTS: u8 = 24;
const ADDRESSES: i64 = 4;
/// Statics, frame, constants or heap, and the thunk of a function.
const STATIC: i64 = ADDRESSES;
const FRAME: i64 = ADDRESSES + 1;
const OTHER: i64 = ADDRESSES + 2;
const THUNK: i64 = ADDRESSES + 3;
const DATA: i64 = 8;
const DATA_END: i64 = 17;
const WINDOW: i64 = 20;
/// Bytes of constants, of data and of bss.
const CONSTANTS: usize = 40;
const STATICS: usize = 64;
const BSS: u32 = 320;
/// Most items of a function: its words then lie within reach of every branch.
const MOST_ITEMS: usize = 24;

/// The signatures of functions, by index; those of the imports follow.
const SIGNATURES: [(&[ValType], Option<ValType>); 4] = [
    (&[], Some(ValType::I32)),
    (&[ValType::I32, ValType::I32], Some(ValType::I32)),
    (&[ValType::I64], Some(ValType::I64)),
    (&[ValType::I32], None),
];

/// An instruction whose targets are items, not distances.
struct Item {
    opcode: Opcode,
    operands: [i64; 3],
    /// The items that it may go to: one for a branch, as many as its table has for a switch.
    targets: Vec<usize>,
}

struct Body {
    signature: usize,
    frame: u32,
    items: Vec<Item>,
}

/// The name under which a root is exported.
pub fn root_name(root: u16) -> String {
    format!("p{root:05}")
}

/// Makes a module with `roots` functions that are exported under [`root_name`]; the first is the entry too.
pub fn module(bytes: &mut Unstructured<'_>, style: Style, roots: usize) -> Result<Vec<u8>> {
    let mut bodies = Vec::new();
    // Behind the roots a function of each signature, so that each call finds one.
    for signature in (0..roots).map(|_| 0).chain(0..SIGNATURES.len()) {
        bodies.push(body(bytes, style, roots, signature)?);
    }
    let roots = roots as u16;
    let count = bodies.len() as u16;
    let mut code = Vec::new();
    let mut functions = Vec::new();
    for body in bodies {
        let start = (code.len() / 4) as u32;
        functions.extend(
            Function { start, slots: SLOTS, signature: body.signature as u16, linear_frame: body.frame }.encode(),
        );
        code.extend(emit(&body).into_iter().flat_map(u32::to_le_bytes));
    }
    let mut writer = ModuleWriter::new();
    let (mut strings, mut imports, mut exports) = (Vec::new(), Vec::new(), Vec::new());
    let mut name = |text: &str| {
        let at = strings.len() as u16;
        strings.extend(text.bytes().chain([0]));
        at
    };
    // The others have contracts, which a module must state: the chip would refuse them.
    let imported = if style == Style::Portable { PORTABLE_IMPORTS as usize } else { IMPORTS.len() };
    for (index, (import, _)) in IMPORTS.iter().enumerate().take(imported) {
        let fields = [name(import), (SIGNATURES.len() + index) as u16, NONE, NONE];
        imports.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
    }
    for root in 0..roots {
        exports.extend([name(&root_name(root)), root].iter().flat_map(|field| field.to_le_bytes()));
    }
    let types = SIGNATURES.iter().map(|(params, result)| Signature::new(params, *result, false));
    let types = types.chain(IMPORTS.iter().map(|(_, params)| Signature::new(params, Some(ValType::I32), false)));
    let limits = Limits { entry: Some(0), bss: BSS, stack: 2048, shadow_stack: 2048, heap_min: 512, heap_max: 4096 };
    let mut data: Vec<u8> = (0..STATICS).map(|_| bytes.arbitrary()).collect::<Result<_>>()?;
    if style == Style::Any {
        let relocations = [RelocationKind::Linear, RelocationKind::Constant, RelocationKind::Callback];
        let relocations: Vec<Relocation> =
            (0..).step_by(8).zip(relocations).map(|(offset, kind)| Relocation { offset, kind }).collect();
        for relocation in &relocations {
            let at = relocation.offset as usize;
            let word = u32::from(data[at]) % u32::from(count);
            data[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        let tls = ThreadLocal { template: 16, initialised: 8, size: THREAD_LOCAL };
        writer
            .section(SectionKind::Relocations, relocations.iter().flat_map(|one| one.encode().to_le_bytes()).collect())
            .section(SectionKind::ThreadLocal, tls.encode().to_vec());
    }
    writer
        .section(SectionKind::Limits, limits.encode().to_vec())
        .section(SectionKind::Signatures, types.flatten().flat_map(|signature| signature.encode()).collect())
        .section(SectionKind::Imports, imports)
        .section(SectionKind::Exports, exports)
        .section(SectionKind::Strings, strings)
        .section(SectionKind::Functions, functions)
        .section(SectionKind::Callbacks, (0..count).flat_map(u16::to_le_bytes).collect())
        .section(SectionKind::Code, code)
        .section(SectionKind::Constants, (0..CONSTANTS).map(|_| bytes.arbitrary()).collect::<Result<_>>()?)
        .section(SectionKind::Data, data);
    Ok(writer.finish())
}

/// What the items of a body are made with.
struct Maker<'b, 'u> {
    bytes: &'b mut Unstructured<'u>,
    style: Style,
    frame: u32,
    signature: usize,
    /// Functions of the module; those of each signature are the last.
    functions: i64,
    /// The signature of the function whose thunk is at [`THUNK`].
    thunk: i64,
    items: Vec<Item>,
}

/// A function: addresses and numbers into the registers, then random items, then a return.
fn body(bytes: &mut Unstructured<'_>, style: Style, roots: usize, signature: usize) -> Result<Body> {
    let frame = bytes.int_in_range(1..=4)? * 16;
    let thunk = bytes.int_in_range(0..=SIGNATURES.len() as i64 - 1)?;
    let functions = (roots + SIGNATURES.len()) as i64;
    let mut maker = Maker { bytes, style, frame, signature, functions, thunk, items: Vec::new() };
    maker.prologue()?;
    let first = maker.items.len();
    let count = maker.bytes.int_in_range(1..=MOST_ITEMS)?;
    while maker.items.len() < first + count {
        maker.item()?;
    }
    let end = maker.items.len();
    maker.push(
        match SIGNATURES[signature].1.map_or(0, ValType::slots) {
            0 => Opcode::Return,
            1 => Opcode::ReturnValue,
            _ => Opcode::ReturnValue64,
        },
        &[DATA],
    );
    // Now that there are items, branches can have them as targets.
    for index in first..end {
        for target in 0..maker.items[index].targets.len() {
            maker.items[index].targets[target] = maker.bytes.int_in_range(first..=end)?;
        }
    }
    Ok(Body { signature, frame, items: maker.items })
}

impl Maker<'_, '_> {
    fn push(&mut self, opcode: Opcode, operands: &[i64]) {
        let mut all = [0; 3];
        for (place, operand) in all.iter_mut().zip(operands) {
            *place = *operand;
        }
        self.items.push(Item { opcode, operands: all, targets: Vec::new() });
    }

    fn prologue(&mut self) -> Result<()> {
        let frame = i64::from(self.frame);
        let callback = self.functions - SIGNATURES.len() as i64 + self.thunk;
        for (opcode, register, most) in [
            (Opcode::StaticAddress, STATIC, STATICS as i64),
            (Opcode::StackAddress, FRAME, frame),
            (Opcode::ConstantAddress, OTHER, CONSTANTS as i64),
        ] {
            let offset = self.bytes.int_in_range(0..=most)?;
            self.push(opcode, &[register, offset]);
        }
        self.push(Opcode::CallbackAddress, &[THUNK, callback]);
        // What is no parameter gets a value before it is read: what a call before left there must not show.
        let given = SIGNATURES[self.signature].0.iter().map(|ty| i64::from(ty.slots())).sum();
        let unset = (given..ADDRESSES).chain(DATA..DATA_END).chain(WINDOW..SLOTS.into());
        for register in unset {
            let value = self.bytes.arbitrary::<i16>()?;
            self.push(Opcode::LoadImmediate, &[register, value.into()]);
        }
        for unit in 0..frame / 8 {
            self.push(Opcode::StoreStack64, &[DATA, unit]);
        }
        Ok(())
    }

    /// A register of the kind: data, and in the wild style anything of the frame now and then.
    fn register(&mut self, slots: u8) -> Result<i64> {
        let slots = i64::from(slots);
        if self.style == Style::Any && self.bytes.ratio(1, 16)? {
            return self.bytes.int_in_range(0..=i64::from(SLOTS) - slots);
        }
        self.bytes.int_in_range(DATA..=DATA_END - slots)
    }

    /// The next instruction, or two that the table of pairs has.
    fn item(&mut self) -> Result<()> {
        if !self.bytes.ratio(1, 4)? {
            let opcode = Opcode::ALL[self.bytes.int_in_range(0..=Opcode::ALL.len() - 1)?];
            return self.instruction(opcode);
        }
        let pair = Pair::ALL[self.bytes.int_in_range(0..=Pair::ALL.len() - 1)?];
        self.instruction(pair.first)?;
        let written = self.items.last().map(|item| item.operands[0]);
        self.instruction(pair.second)?;
        // The second instruction takes what the first has written. What stands between them only makes them two again.
        if let (Some(item), Some(register), Some(field)) =
            (self.items.last_mut(), written, usize::from(pair.field).checked_sub(1))
            && item.opcode == pair.second
            && (self.style == Style::Any || use_of(pair.second, field) == Use::Data)
        {
            item.operands[field] = register;
        }
        Ok(())
    }

    /// An instruction, with what it needs before and behind it.
    fn instruction(&mut self, opcode: Opcode) -> Result<()> {
        // A variadic call needs an import of that kind, which there is none of; a return ends the function too soon.
        let unfit = opcode == Opcode::CallImportVariadic
            || opcode.flow() == Flow::Leave && (!LEAVING.contains(&opcode) || self.bytes.ratio(7, 8)?)
            || self.style == Style::Portable && !is_portable(opcode);
        match opcode {
            _ if unfit => {
                let data = self.register(1)?;
                self.push(Opcode::SetLessSigned, &[data, DATA, DATA + 1]);
                Ok(())
            }
            Opcode::Call | Opcode::CallIndirect | Opcode::CallImport => self.call(opcode),
            Opcode::TailCall | Opcode::TailCallIndirect => self.tail_call(opcode),
            opcode => self.plain(opcode),
        }
    }

    fn plain(&mut self, opcode: Opcode) -> Result<()> {
        // Addresses stand where addresses belong; wild ones are for the style that may have them.
        let wild = self.style == Style::Any && self.bytes.ratio(1, 8)?;
        let (mut operands, mut targets) = ([0; 3], 0);
        for (position, operand) in opcode.operands().iter().enumerate() {
            let use_of = if wild { Use::Data } else { use_of(opcode, position) };
            let value = match use_of {
                Use::Address => self.bytes.int_in_range(STATIC..=OTHER)?,
                Use::Small => {
                    let register = self.register(1)?;
                    self.push(Opcode::AndByte, &[register, register, 63]);
                    register
                }
                Use::Data => self.operand(*operand, wild)?,
            };
            operands[position] = value;
            targets += usize::from(operand.is_target());
        }
        if opcode == Opcode::Switch {
            targets = operands[1] as usize;
        }
        self.push(opcode, &operands);
        if let Some(item) = self.items.last_mut() {
            item.targets = vec![0; targets];
        }
        Ok(())
    }

    fn operand(&mut self, operand: Operand, wild: bool) -> Result<i64> {
        let frame = i64::from(self.frame);
        let statics = STATICS as i64 + i64::from(BSS);
        let bytes = &mut *self.bytes;
        match operand {
            operand if operand.slots() > 0 => self.register(operand.slots()),
            Operand::I8 => Ok(bytes.arbitrary::<i8>()?.into()),
            Operand::U8 | Operand::TrapCode => Ok(bytes.arbitrary::<u8>()?.into()),
            Operand::I16 => Ok(bytes.arbitrary::<i16>()?.into()),
            Operand::I32 => Ok(bytes.arbitrary::<i32>()?.into()),
            Operand::Shift32 => bytes.int_in_range(0..=31),
            Operand::Shift64 => bytes.int_in_range(0..=63),
            Operand::Displacement(_) => bytes.int_in_range(0..=if wild { 255 } else { 7 }),
            Operand::Stack(width) => bytes.int_in_range(0..=frame / i64::from(width) - 1),
            Operand::Static(width) => bytes.int_in_range(0..=statics / i64::from(width) - 1),
            Operand::StackAddress => bytes.int_in_range(0..=frame),
            Operand::StaticAddress => bytes.int_in_range(0..=statics),
            Operand::ConstantAddress => bytes.int_in_range(0..=CONSTANTS as i64),
            Operand::ThreadLocalAddress => bytes.int_in_range(0..=THREAD_LOCAL.into()),
            Operand::TableLength => bytes.int_in_range(0..=3),
            Operand::Callback => bytes.int_in_range(0..=self.functions - 1),
            Operand::Signature => bytes.int_in_range(0..=SIGNATURES.len() as i64 - 1),
            // Targets come when the items are known; calls have a maker of their own.
            _ => Ok(0),
        }
    }

    /// A call in place of this function, of one with as large a result.
    fn tail_call(&mut self, opcode: Opcode) -> Result<()> {
        let size = |signature: usize| SIGNATURES[signature].1.map_or(0, ValType::slots);
        let like: Vec<usize> = (0..SIGNATURES.len()).filter(|other| size(*other) == size(self.signature)).collect();
        let callee = like[self.bytes.int_in_range(0..=like.len() - 1)?];
        match opcode {
            Opcode::TailCall => self.push(opcode, &[self.functions - (SIGNATURES.len() - callee) as i64]),
            _ => self.push(opcode, &[THUNK, callee as i64]),
        }
        Ok(())
    }

    /// A call with arguments put into its window and its result taken out.
    fn call(&mut self, opcode: Opcode) -> Result<()> {
        let wild = self.style == Style::Any && self.bytes.ratio(1, 8)?;
        let (mut first, mut result) = (self.register(1)?, self.register(1)?);
        let operands = match opcode {
            Opcode::Call => [WINDOW, self.bytes.int_in_range(0..=self.functions - 1)?, 0],
            Opcode::CallIndirect => {
                let signature = if wild { self.operand(Operand::Signature, true)? } else { self.thunk };
                [WINDOW, if wild { self.register(1)? } else { THUNK }, signature]
            }
            _ => {
                let count = if self.style == Style::Portable { PORTABLE_IMPORTS } else { IMPORTS.len() as i64 };
                let import = self.bytes.int_in_range(0..=count - 1)?;
                // What malloc gives is used as an address, and given to realloc and free.
                let (takes, gives) = HEAP_USE[import as usize];
                if takes && !wild {
                    first = OTHER;
                }
                if gives {
                    result = OTHER;
                    self.push(Opcode::AndByte, &[DATA, DATA, 255]);
                }
                [WINDOW, import, 0]
            }
        };
        let second = self.register(1)?;
        self.push(Opcode::Move, &[WINDOW, first]);
        self.push(Opcode::Move, &[WINDOW + 1, second]);
        self.push(opcode, &operands);
        self.push(Opcode::Move, &[result, WINDOW]);
        Ok(())
    }
}

/// Opcodes that leave a function and may stand in its middle.
const LEAVING: [Opcode; 3] = [Opcode::LongJump, Opcode::TailCall, Opcode::TailCallIndirect];

/// What a register is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Data,
    Address,
    /// An index or a length.
    Small,
}

fn use_of(opcode: Opcode, position: usize) -> Use {
    use Opcode::*;
    match (opcode, position) {
        (MemoryMove, 0 | 1) | (MemorySet | StackRestore | LongJump, 0) | (SetJump, 1) => Use::Address,
        (MemoryMove | MemorySet, 2) | (StackAllocate, 1) => Use::Small,
        (
            Load8Signed | Load8 | Load16Signed | Load16 | Load32 | Load64 | Store8 | Store16 | Store32 | Store64
            | LoadIndexed8Signed | LoadIndexed8 | LoadIndexed16Signed | LoadIndexed16 | LoadIndexed32 | LoadIndexed64
            | StoreIndexed8 | StoreIndexed16 | StoreIndexed32 | StoreIndexed64,
            1,
        ) => Use::Address,
        (
            LoadIndexed8Signed | LoadIndexed8 | LoadIndexed16Signed | LoadIndexed16 | LoadIndexed32 | LoadIndexed64
            | StoreIndexed8 | StoreIndexed16 | StoreIndexed32 | StoreIndexed64,
            2,
        ) => Use::Small,
        _ => Use::Data,
    }
}

/// Whether the outcome is the same wherever memory lies, and on every machine: no address becomes a value, and no float is made whose
/// bits are a NaN's, which machines choose as they like.
fn is_portable(opcode: Opcode) -> bool {
    use Opcode::*;
    !matches!(
        opcode,
        ConstantAddress
            | StaticAddress
            | StackAddress
            | CallbackAddress
            | ThreadLocalAddress
            | StackAllocate
            | StackRestore
            | SetJump
            | LongJump
            | AddF32
            | SubF32
            | MulF32
            | DivF32
            | AddF64
            | SubF64
            | MulF64
            | DivF64
            | F32ToF64
            | F64ToF32
    )
}

/// The words of a body.
fn emit(body: &Body) -> Vec<u32> {
    let mut places = Vec::new();
    let mut next = 0;
    for item in &body.items {
        places.push(next);
        let table = if item.opcode == Opcode::Switch { item.targets.len() as i64 } else { 0 };
        next += i64::from(item.opcode.words()) + table;
    }
    let mut words = Vec::new();
    for (item, place) in body.items.iter().zip(&places) {
        let mut operands = item.operands;
        let mut distances = item.targets.iter().map(|target| places[*target] - place);
        for (operand, value) in item.opcode.operands().iter().zip(&mut operands) {
            if operand.is_target() {
                *value = distances.next().unwrap_or(0);
            }
        }
        match Instruction::new(item.opcode, &operands[..item.opcode.operands().len()]).encode() {
            Ok(encoded) => words.extend([Some(encoded.word), encoded.extension].into_iter().flatten()),
            // A target out of reach: as many words that do nothing.
            Err(_) => words.extend((0..item.opcode.words()).map(|_| Opcode::Move as u32)),
        }
        if item.opcode == Opcode::Switch {
            words.extend(distances.map(|distance| extension_word(distance as u32 & 0xff_ffff)));
        }
    }
    pair::join(&mut words);
    words
}
