//! What the verifier checks of an instruction, as tables that follow from the opcode table: opcodes whose operands are checked alike
//! share a [`Class`]. Never here: the checks.

use crate::opcode::{Flow, Opcode};
use crate::operand::{Field, Operand};
use crate::pair::Pair;

/// What must hold of an instruction's fields. The three words hold a byte for each of the fields a, b and c, a lowest.
#[derive(Clone, Copy)]
pub(super) struct Class {
    /// Bits that must be zero: all where there is no operand, the low two of a register, the high ones of a shift distance.
    pub zero: u32,
    /// Six bits where the field is a register that must lie in the frame.
    pub registers: u32,
    /// Slots of the register; 1 where there is none.
    pub slots: u32,
    /// What else there is to check.
    pub rest: Rest,
    /// What bounds the half field.
    pub bound: Bound,
    /// Control does not go on behind the instruction.
    pub leaves: bool,
    /// It is the first of a pair: the next instruction must be the second.
    pub pair: bool,
}

/// What is to be checked beside unused bits and registers.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Rest {
    /// There is no such instruction.
    Unknown,
    /// Nothing.
    Nothing,
    /// The half field is less than the [`Bound`] says.
    Bounded,
    /// An extension word follows.
    Extension,
    /// A branch distance in c.
    Target8,
    /// In b and c.
    Target16,
    /// In a, b and c.
    Target24,
    /// A jump table of as many words as the half field says.
    Table,
    /// A call with its window in a: of the function in the half field.
    Call,
    /// Of the signature in the extension word.
    CallIndirect,
    /// Of the import in the half field.
    CallImport,
    /// Of the import in the half field with the signature in the extension word.
    CallImportVariadic,
    /// The function gives nothing back.
    Return,
    /// One slot.
    ReturnValue,
    /// Two slots.
    ReturnValue64,
    /// A tail call of the function in the half field.
    TailCall,
    /// Of the signature in the extension word.
    TailCallIndirect,
}

/// What a half field must be less than.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Bound {
    Stack4,
    Stack8,
    StackAddress,
    Static1,
    Static2,
    Static4,
    Static8,
    StaticAddress,
    ConstantAddress,
    ThreadLocalAddress,
    Function,
    Import,
    Callback,
}

impl Bound {
    /// How many there are.
    pub const COUNT: usize = Bound::Callback as usize + 1;

    /// Whether what is bounded counts entries of a table.
    pub fn is_index(self) -> bool {
        self as u8 >= Bound::Function as u8
    }
}

/// All bits of a field.
const FIELD: u32 = 0xff;
/// Bits of a register's number in its field, from bit 0 on where the field is shifted to the right by two.
const REGISTER: u32 = 0x3f;
/// What a register's field must not have: registers are multiples of 4.
const UNALIGNED: u32 = 0x03;

impl Class {
    /// Of a byte that is no opcode.
    const UNKNOWN: Class = Class {
        zero: 0,
        registers: 0,
        slots: 0x01_0101,
        rest: Rest::Unknown,
        bound: Bound::Function,
        leaves: true,
        pair: false,
    };

    /// The class of the instruction with this opcode byte.
    #[inline(always)]
    pub fn of(opcode: u8) -> &'static Class {
        CLASSES.get(usize::from(CLASS_OF[usize::from(opcode)])).unwrap_or(&Class::UNKNOWN)
    }

    const fn from(opcode: Opcode) -> Class {
        let mut class = Class::UNKNOWN;
        class.rest = Rest::Nothing;
        class.leaves = matches!(opcode.flow(), Flow::Leave | Flow::Jump);
        let operands = opcode.operands();
        let (mut shift, mut used, mut at) = (0, 0, 0);
        while at < operands.len() {
            let operand = operands[at];
            used |= match operand.field() {
                Field::Byte => FIELD << shift,
                Field::Half => 0xff_ff00,
                Field::Whole => 0xff_ffff,
                Field::Wide => 0xff_0000,
                Field::Extension => 0,
            };
            if operand.slots() > 0 {
                class.zero |= UNALIGNED << shift;
                class.registers |= REGISTER << shift;
                class.slots += (operand.slots() as u32 - 1) << shift;
            }
            match operand {
                Operand::Window => class.zero |= UNALIGNED << shift,
                Operand::Shift32 => class.zero |= (FIELD & !31) << shift,
                Operand::Shift64 => class.zero |= (FIELD & !63) << shift,
                Operand::I32 => class.rest = Rest::Extension,
                Operand::Target8 => class.rest = Rest::Target8,
                Operand::Target16 => class.rest = Rest::Target16,
                Operand::Target24 => class.rest = Rest::Target24,
                Operand::TableLength => class.rest = Rest::Table,
                _ => {}
            }
            if let Some(bound) = bound_of(operand) {
                class.rest = Rest::Bounded;
                class.bound = bound;
            }
            if matches!(operand.field(), Field::Byte) {
                shift += 8;
            }
            at += 1;
        }
        class.zero |= 0xff_ffff & !used;
        class.rest = match opcode {
            Opcode::Call => Rest::Call,
            Opcode::CallIndirect => Rest::CallIndirect,
            Opcode::CallImport => Rest::CallImport,
            Opcode::CallImportVariadic => Rest::CallImportVariadic,
            Opcode::Return => Rest::Return,
            Opcode::ReturnValue => Rest::ReturnValue,
            Opcode::ReturnValue64 => Rest::ReturnValue64,
            Opcode::TailCall => Rest::TailCall,
            Opcode::TailCallIndirect => Rest::TailCallIndirect,
            _ => class.rest,
        };
        class
    }

    const fn is(&self, other: &Class) -> bool {
        self.zero == other.zero
            && self.registers == other.registers
            && self.slots == other.slots
            && self.rest as u8 == other.rest as u8
            && self.bound as u8 == other.bound as u8
            && self.leaves == other.leaves
            && self.pair == other.pair
    }
}

const fn bound_of(operand: Operand) -> Option<Bound> {
    Some(match operand {
        Operand::Stack(4) => Bound::Stack4,
        Operand::Stack(8) => Bound::Stack8,
        Operand::StackAddress => Bound::StackAddress,
        Operand::Static(1) => Bound::Static1,
        Operand::Static(2) => Bound::Static2,
        Operand::Static(4) => Bound::Static4,
        Operand::Static(8) => Bound::Static8,
        Operand::StaticAddress => Bound::StaticAddress,
        Operand::ConstantAddress => Bound::ConstantAddress,
        Operand::ThreadLocalAddress => Bound::ThreadLocalAddress,
        Operand::Function => Bound::Function,
        Operand::Import => Bound::Import,
        Operand::Callback => Bound::Callback,
        Operand::Stack(_) | Operand::Static(_) => panic!("no bound is known for this width"),
        _ => return None,
    })
}

/// Each class once, in `classes`, and the class of each opcode byte.
struct Tables {
    classes: [Class; 1 << u8::BITS],
    count: usize,
    class_of: [u8; 1 << u8::BITS],
}

impl Tables {
    /// Notes what is checked of instructions with this code.
    const fn set(&mut self, code: u8, class: Class) {
        let mut index = 0;
        while index < self.count && !self.classes[index].is(&class) {
            index += 1;
        }
        if index == self.count {
            self.classes[index] = class;
            self.count += 1;
        }
        self.class_of[code as usize] = index as u8;
    }
}

const fn tables() -> Tables {
    let mut tables = Tables { classes: [Class::UNKNOWN; 1 << u8::BITS], count: 1, class_of: [0; 1 << u8::BITS] };
    let mut at = 0;
    while at < Opcode::ALL.len() {
        tables.set(Opcode::ALL[at] as u8, Class::from(Opcode::ALL[at]));
        at += 1;
    }
    at = 0;
    while at < Pair::ALL.len() {
        let mut class = Class::from(Pair::ALL[at].first);
        class.pair = true;
        tables.set(Pair::ALL[at].code, class);
        at += 1;
    }
    tables
}

const COUNT: usize = tables().count;

static CLASS_OF: [u8; 1 << u8::BITS] = tables().class_of;

static CLASSES: [Class; COUNT] = {
    let all = tables().classes;
    let mut classes = [Class::UNKNOWN; COUNT];
    let mut at = 0;
    while at < COUNT {
        classes[at] = all[at];
        at += 1;
    }
    classes
};
