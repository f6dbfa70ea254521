//! Weighs the evidence about memory behind a parameter: who reads and writes it, and how much of it.
//!
//! The extent is never more than what every call shows to be there.

use super::declared::{Object, Shape};
use super::finding::{Certainty, Finding};
use super::lifetime::{Before, ReadAfter};
use super::passed::Passed;
use super::{Evidence, names};
use espb_format::contract::{Callback, Direction, Extent, Fate, Handle, HandleKind, Member, Param, Pointer, Slot};

/// What the pointer parameter `index` means.
pub(super) fn weigh(evidence: &Evidence<'_>, index: usize) -> Finding<Param> {
    let Some(access) = evidence.access.get(index) else {
        return unknown(evidence, index, "there is no such parameter");
    };
    if let Some(size) = access.struct_return {
        return Finding::certain(memory(Direction::Out, Extent::Const(size)), "room for the result (sret)");
    }
    if let Some(size) = access.by_value {
        return Finding::certain(memory(Direction::In, Extent::Const(size)), "a structure passed by value (byval)");
    }
    if access.is_untouched() {
        return Finding::certain(Param::Value, "its attributes say that nothing is accessed through it");
    }
    let found = match evidence.shape(index) {
        Shape::Text { constant: true } => text(evidence, index),
        Shape::Text { constant: false } => buffer(evidence, index, false),
        Shape::Untyped { constant } => untyped(evidence, index, *constant),
        Shape::Object(object) => typed(evidence, index, object),
        _ => undeclared(evidence, index),
    };
    let found = match found {
        Finding { meaning: Param::Pointer(pointer), certainty, evidence: why } if certainty > Certainty::Uncertain => {
            let nullable = evidence.passed.null(index) && !matches!(pointer.extent, Extent::Element(_));
            Finding { meaning: Param::Pointer(Pointer { nullable, ..pointer }), certainty, evidence: why }
        }
        other => other,
    };
    match access.words() {
        Some(words) => found.and(words),
        None => found,
    }
}

fn memory(direction: Direction, extent: Extent) -> Param {
    Param::Pointer(Pointer::new(direction, extent))
}

/// Nothing decides; the guess is for the suggested line.
fn unknown(evidence: &Evidence<'_>, index: usize, why: &str) -> Finding<Param> {
    let meaning = match evidence.passed.size(index) {
        Some(size) => memory(Direction::InOut, Extent::Const(size)),
        None => memory(Direction::In, Extent::CString),
    };
    Finding::uncertain(meaning, why)
}

/// `const char *`.
fn text(evidence: &Evidence<'_>, index: usize) -> Finding<Param> {
    let literal = evidence.passed.all(index, |passed| matches!(passed, Passed::Literal(_)));
    let Some(length) = evidence.size_after(index) else {
        return if literal {
            Finding::certain(memory(Direction::In, Extent::CString), "a `const char *` without a length")
                .and("terminated string constants are passed")
        } else {
            Finding::likely(
                memory(Direction::In, Extent::CString),
                "a `const char *` without a length: a terminated string",
            )
        };
    };
    let shared = (0..index)
        .chain(index + 1..evidence.pointers.len())
        .any(|other| matches!(evidence.shape(other), Shape::Text { .. }) && evidence.size_after(other) == Some(length));
    if shared {
        let limit = memory(Direction::In, Extent::CStringMax(length));
        return Finding::likely(limit, format!("a string that shares its limit, argument {length}, with another"));
    }
    counted(Direction::In, length, 1, "a `const char *` before a length")
}

fn counted(direction: Direction, length: Slot, scale: u32, what: &str) -> Finding<Param> {
    Finding::likely(memory(direction, Extent::Arg { param: length, scale }), format!("{what}: argument {length}"))
}

/// The direction of memory that is declared to be written, as far as it is known.
fn direction(evidence: &Evidence<'_>, index: usize, constant: bool) -> Option<Direction> {
    let access = evidence.access.get(index)?;
    match (access.reads, access.writes) {
        _ if constant => Some(Direction::In),
        (true, false) => Some(Direction::In),
        (false, true) => Some(Direction::Out),
        _ => {
            let undefined = |passed: &Passed| matches!(passed, Passed::Object { before: Before::Nothing, .. });
            evidence.passed.all(index, undefined).then_some(Direction::Out)
        }
    }
}

/// Bytes that are written, and their number beside them.
fn buffer(evidence: &Evidence<'_>, index: usize, constant: bool) -> Finding<Param> {
    let direction = direction(evidence, index, constant);
    if let Some(place) = evidence.stored_length(index) {
        let meaning = memory(direction.unwrap_or(Direction::Out), Extent::StoredAt(place));
        return Finding::likely(meaning, format!("argument {place} is the address of its length"));
    }
    if let Some((first, second)) = evidence.product_after(index) {
        let meaning = memory(direction.unwrap_or(Direction::Out), Extent::Product(first, second));
        let why = format!("arguments {first} and {second} are its count and element size");
        // With other memory between it may be that one's size alone.
        let beside = usize::from(first) == index + 1;
        let sure = direction.is_some() && beside;
        return if sure { Finding::likely(meaning, why) } else { Finding::uncertain(meaning, why) };
    }
    if let Some(length) = evidence.length_after(index) {
        return match direction {
            Some(direction) => counted(direction, length, 1, "memory before its length"),
            // Writable memory whose contents matter at the call would be declared so, or its maker would have written it.
            None => counted(Direction::Out, length, 1, "writable memory before its length"),
        };
    }
    if let Some(found) = promised(evidence, index, direction) {
        return found;
    }
    if matches!(evidence.shape(index), Shape::Text { .. }) {
        return unknown(evidence, index, "text is written, but no argument says how much room there is");
    }
    match (direction, evidence.passed.size(index)) {
        (Some(direction), Some(size)) => {
            let why = format!("every call passes an object of {size} bytes");
            let found = Finding::likely(memory(direction, Extent::Const(size)), why);
            if direction == Direction::Out { found.and("the program has not written it before") } else { found }
        }
        _ => unknown(evidence, index, "an address without a type or length: neither direction nor size is known"),
    }
}

/// Memory of which the declaration promises how much there is, and whose direction is known.
fn promised(evidence: &Evidence<'_>, index: usize, direction: Option<Direction>) -> Option<Finding<Param>> {
    let bytes = evidence.access.get(index).map(|access| access.promised).filter(|bytes| *bytes > 0)?;
    let found = Finding::likely(memory(direction?, Extent::Const(bytes)), promise(bytes));
    let enough = evidence.passed.of(index).all(|passed| match passed {
        Passed::Object { size, .. } => *size >= bytes,
        _ => true,
    });
    enough.then_some(found)
}

fn promise(bytes: u32) -> String {
    format!("the declaration promises {bytes} bytes (dereferenceable)")
}

/// `void *` and `const void *`.
fn untyped(evidence: &Evidence<'_>, index: usize, constant: bool) -> Finding<Param> {
    let queue = (0..evidence.pointers.len()).find(|other| *evidence.shape(*other) == Shape::Handle(HandleKind::Queue));
    let alone = evidence.declared.params.iter().filter(|shape| matches!(shape, Shape::Untyped { .. })).count() == 1;
    if let Some(queue) = queue.and_then(|queue| Slot::try_from(queue).ok())
        && alone
        && evidence.length_after(index).is_none()
    {
        let extent = Extent::Element(queue);
        let why = format!("an untyped pointer beside the queue in argument {queue}: one of its items");
        return match direction(evidence, index, constant) {
            Some(direction) => Finding::likely(memory(direction, extent), why),
            None => Finding::uncertain(memory(Direction::Out, extent), why)
                .and("whether it is read or written is not known"),
        };
    }
    if evidence.returned.fresh && !constant {
        return unknown(
            evidence,
            index,
            "the function makes new memory: this may be a block of the heap that it takes over",
        );
    }
    buffer(evidence, index, constant)
}

/// A pointer to a complete type.
fn typed(evidence: &Evidence<'_>, index: usize, object: &Object) -> Finding<Param> {
    if object.bytes && evidence.length_after(index).is_some() {
        return buffer(evidence, index, object.constant);
    }
    if object.length && index > 0 && evidence.stored_length(index - 1).is_some() {
        let why = "the address of the length of the memory before it: what there is before, what was used afterwards";
        return Finding::likely(memory(Direction::InOut, Extent::Const(object.size)), why);
    }
    let size = evidence.passed.size(index);
    let promised = evidence.access.get(index).map_or(0, |access| access.promised);
    if promised > object.size && object.members.is_empty() {
        // `int a[static 4]`: so many are there, and no fewer are meant.
        if size.is_some_and(|size| size < promised) {
            return unknown(evidence, index, "the object that is passed is smaller than what the declaration promises");
        }
        let array = Object { size: promised, scalar: false, ..object.clone() };
        return one_object(evidence, index, &array).and(promise(promised));
    }
    if size.is_some_and(|size| size < object.size) {
        return unknown(evidence, index, "the object that is passed is smaller than its declared type");
    }
    let several = size.is_some_and(|size| size > object.size && size.is_multiple_of(object.size));
    let lengthy = evidence.size_after(index).filter(|length| usize::from(*length) == index + 1);
    if let Some(length) = lengthy.or_else(|| evidence.number_after(index).filter(|_| several)) {
        let known = direction(evidence, index, object.constant);
        let found =
            counted(known.unwrap_or(Direction::InOut), length, object.size, "an array before its number of elements");
        return if known.is_some() { found } else { Finding { certainty: Certainty::Uncertain, ..found } };
    }
    if several {
        return unknown(evidence, index, "an array is passed, but no argument says how many elements are meant");
    }
    one_object(evidence, index, object)
}

fn one_object(evidence: &Evidence<'_>, index: usize, object: &Object) -> Finding<Param> {
    let extent = Extent::Const(object.size);
    let behind = format!("the address of an object of {} bytes by its type", object.size);
    let Some(access) = evidence.access.get(index) else {
        return unknown(evidence, index, "there is no such parameter");
    };
    if object.constant || !access.writes {
        return structure(evidence, object, behind);
    }
    let written = || memory(Direction::Out, extent);
    if !access.reads {
        return Finding::certain(written(), behind);
    }
    let whole = evidence.passed.size(index) == Some(object.size);
    let objects = evidence.passed.of(index).filter_map(|passed| match passed {
        Passed::Object { before, read_after, .. } => Some((*before, *read_after)),
        _ => None,
    });
    let known = evidence.passed.of(index).all(|passed| matches!(passed, Passed::Object { .. } | Passed::Null));
    let (mut least, mut most, mut reader, mut any) = (Before::Stored, Before::Nothing, ReadAfter::Nobody, false);
    for (before, after) in objects {
        (least, most, reader, any) = (least.min(before), most.max(before), reader.max(after), true);
    }
    let read = reader > ReadAfter::Nobody;
    match (least, most) {
        _ if evidence.passed.only_null(index) && object.scalar => {
            Finding::likely(written(), behind).and("only null is passed: the place of a result that nobody wants")
        }
        _ if !any || !known => unknown(evidence, index, "what the program does with the object cannot be followed"),
        (_, Before::Nothing) if reader == ReadAfter::TheProgram && whole => {
            Finding::certain(written(), behind).and("it is passed unwritten and read afterwards")
        }
        (_, Before::Nothing) => Finding::likely(written(), behind).and("it is passed unwritten"),
        (Before::Nothing, _) => Finding::likely(written(), behind).and("one call passes it unwritten"),
        (_, Before::Zeros) if object.scalar => {
            Finding::likely(written(), behind).and("it holds zero before, as is customary for results")
        }
        (_, Before::Stored) if read => Finding::likely(memory(Direction::InOut, extent), behind)
            .and("the program stores something in it before and reads it afterwards"),
        (Before::Stored, _) => structure(evidence, object, behind)
            .and("the program stores something in it before and does not read it afterwards"),
        (_, Before::Elsewhere) if read => Finding::likely(memory(Direction::InOut, extent), behind)
            .and("another function has filled it, and it is used afterwards"),
        _ => unknown(evidence, index, "whether it is read or written is not known"),
    }
}

/// A structure that native code reads, with what is inside.
fn structure(evidence: &Evidence<'_>, object: &Object, why: String) -> Finding<Param> {
    let kept = evidence.creates();
    let callbacks: Vec<u32> = positions(object, |shape| matches!(shape, Shape::Function(_)));
    let untyped: Vec<u32> = positions(object, |shape| matches!(shape, Shape::Untyped { .. }));
    let user = match (&callbacks[..], &untyped[..]) {
        ([_], [data]) => Slot::try_from(*data).ok(),
        _ => None,
    };
    let mut pointer = Pointer::new(Direction::In, Extent::Const(object.size));
    let mut found = Vec::new();
    for (offset, shape) in &object.members {
        let Ok(offset) = Slot::try_from(*offset) else { return inside(pointer, *offset) };
        let (meaning, what) = match shape {
            Shape::Function(Some(signature)) => {
                (Param::Callback(Callback { signature: *signature, user, nullable: false }), "a callback")
            }
            Shape::Text { constant: true } => {
                let text = Pointer { nullable: true, deferred: kept, ..Pointer::new(Direction::In, Extent::CString) };
                (Param::Pointer(text), "a string")
            }
            Shape::Handle(kind) => {
                (Param::Handle(Handle { kind: *kind, nullable: false, fate: Fate::Used }), "a handle")
            }
            Shape::Untyped { .. } if user == Some(offset) => continue,
            _ => return inside(pointer, u32::from(offset)),
        };
        found.push(format!("{what} at offset {offset}"));
        pointer.members.push(Member { offset, meaning });
    }
    let read = format!("{why}; it is only read");
    let finding = Finding::certain(Param::Pointer(pointer), read);
    if found.is_empty() {
        return finding;
    }
    // The types of members are conventions, too.
    Finding { certainty: Certainty::Likely, ..finding }.and(format!("in it {}", found.join(", ")))
}

fn positions(object: &Object, is: impl Fn(&Shape) -> bool) -> Vec<u32> {
    object.members.iter().filter(|(_, shape)| is(shape)).map(|(offset, _)| *offset).collect()
}

fn inside(pointer: Pointer, offset: u32) -> Finding<Param> {
    Finding::uncertain(Param::Pointer(pointer), format!("what is behind the address at offset {offset} is not known"))
}

/// A pointer of which there is no declaration.
fn undeclared(evidence: &Evidence<'_>, index: usize) -> Finding<Param> {
    let passed = &evidence.passed;
    // A number at the end may be a length: then the memory need not be terminated.
    let length = evidence.pointers.last() == Some(&false);
    if !length && passed.all(index, |passed| matches!(passed, Passed::Literal(_))) {
        return Finding::likely(memory(Direction::In, Extent::CString), "terminated string constants are passed");
    }
    let writes = evidence.access.get(index).is_some_and(|access| access.writes);
    let unwritten = |passed: &Passed| {
        matches!(passed, Passed::Object { before: Before::Nothing, read_after: ReadAfter::TheProgram, .. })
    };
    let access = evidence.access.get(index);
    let one_way = access.filter(|access| access.reads != access.writes);
    let way = one_way.map(|access| if access.reads { Direction::In } else { Direction::Out });
    if let Some(found) = promised(evidence, index, way) {
        return found;
    }
    if let Some(size) = passed.size(index).filter(|_| writes && passed.all(index, unwritten)) {
        return Finding::likely(memory(Direction::Out, Extent::Const(size)), format!("an object of {size} bytes"))
            .and("it is passed unwritten and read afterwards");
    }
    unknown(evidence, index, "there is no declaration with types (compile with -g), and the calls do not tell")
}

impl Evidence<'_> {
    pub(super) fn shape(&self, index: usize) -> &Shape {
        self.declared.params.get(index).unwrap_or(&Shape::Unknown)
    }

    pub(super) fn is_pointer(&self, index: usize) -> bool {
        self.pointers.get(index) == Some(&true)
    }

    /// Whether the function makes an object that outlives the call.
    fn creates(&self) -> bool {
        self.declared.params.iter().any(|shape| matches!(shape, Shape::HandlePlace(_)))
            || (matches!(self.declared.result, Shape::Handle(_)) && names::creates(self.name))
    }

    fn is_number(&self, index: usize) -> bool {
        matches!(self.shape(index), Shape::Number { .. }) && !self.is_pointer(index)
    }

    /// The number directly behind a parameter.
    fn number_after(&self, index: usize) -> Option<Slot> {
        self.is_number(index + 1).then(|| Slot::try_from(index + 1).ok()).flatten()
    }

    /// The next `size_t` behind a parameter.
    fn size_after(&self, index: usize) -> Option<Slot> {
        let next =
            (index + 1..self.pointers.len()).find(|other| *self.shape(*other) == Shape::Number { length: true })?;
        Slot::try_from(next).ok()
    }

    /// The length of untyped memory: the next `size_t`, else the number directly behind it.
    pub(super) fn length_after(&self, index: usize) -> Option<Slot> {
        self.size_after(index).or_else(|| self.number_after(index).filter(|_| !self.has_objects()))
    }

    /// Functions on objects and with callbacks have numbers that are no lengths: times, priorities, positions.
    fn has_objects(&self) -> bool {
        let is = |shape: &Shape| matches!(shape, Shape::Handle(_) | Shape::HandlePlace(_) | Shape::Function(_));
        self.declared.params.iter().any(is)
    }

    /// Two neighbouring `size_t` behind a parameter, nothing but memory between.
    fn product_after(&self, index: usize) -> Option<(Slot, Slot)> {
        let first = self.size_after(index)?;
        let second = first.checked_add(1)?;
        (*self.shape(usize::from(second)) == Shape::Number { length: true }).then_some((first, second))
    }

    /// The address of a `size_t` directly behind a parameter.
    fn stored_length(&self, index: usize) -> Option<Slot> {
        let writable =
            matches!(self.shape(index), Shape::Untyped { constant: false } | Shape::Text { constant: false });
        match self.shape(index + 1) {
            Shape::Object(object) if writable && object.length && !object.constant => Slot::try_from(index + 1).ok(),
            _ => None,
        }
    }
}
