//! What a contract demands of a call, checked before native code sees the arguments; what it says of the outcome, done after.
//! The same for every host function: no function is named here.

use espb_format::{
    contract::{
        Callback, CbmetaEntries, Direction, Extent, Fate, Flags, Format, FormatArgs, FormatStyle, Handle, HandleKind,
        HostContract, ImmetaEntries, ImmetaEntry, Members, Param, Pointer, ResultMeaning, Slot,
    },
    signature::Signature,
};
use espb_vm::{HostCall, Trap, TrapKind};

use super::{
    Call,
    conversion::{self, Arguments},
    copies,
    stdin::streams,
};
use crate::{
    instance::{Failure, Running, task},
    kernel::{self, ffi},
};

/// What a checked call leaves to do.
pub struct Checked {
    result: ResultMeaning,
    released: Option<(HandleKind, u32)>,
    uses_before: [u32; 2],
}

impl Checked {
    /// Whether the call makes or unmakes an object without blocking, so that its task must not be deleted in between.
    pub fn is_transition(&self) -> bool {
        let creates = matches!(self.result, ResultMeaning::Handle { created: true, .. });
        // Tasks are deleted by the link task alone, timers when there is room for the command.
        creates || self.released.is_some_and(|(kind, _)| !matches!(kind, HandleKind::Task | HandleKind::Timer))
    }
}

/// Checks who calls, and the arguments. Nothing of the module runs meanwhile, so what was checked still holds for kernel objects
/// when the call begins. Other tasks may change memory before native code reads it: the module's own memory stays its own, and
/// a function that follows addresses inside of it checks them again when it reads them.
pub fn check(call: &HostCall<'_>, running: &Running, host: &HostContract) -> Result<Checked, Trap> {
    let current = task::ModuleTask::current(running);
    if current.is_some_and(task::ModuleTask::is_firmware) && !host.flags.contains(Flags::FROM_CALLBACK) {
        return Err(Trap::new(TrapKind::Host, Failure::NotInCallback as u32));
    }
    let mut checker = Checker {
        call,
        running,
        signature: Signature::decode(host.signature),
        uses: [0; 2],
        released: None,
        result: ResultMeaning::Value,
        has_text: false,
    };
    let note = |uses| current.map_or([0; 2], |task| task.note_uses(uses));
    if host.immeta.is_empty() && host.cbmeta.is_empty() {
        return Ok(Checked { result: ResultMeaning::Value, released: None, uses_before: note([0; 2]) });
    }
    // One step, so that nobody deletes an object between its check and the note that it is used. What can be long waits.
    let uses_before = kernel::without_switching(|| checker.check(host, Length::Bounded).map(|()| note(checker.uses)))?;
    if checker.has_text {
        checker.check(host, Length::Unbounded).inspect_err(|_| {
            note(uses_before);
        })?;
    }
    Ok(Checked { result: checker.result, released: checker.released, uses_before })
}

/// How long the check of a meaning may take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    /// A few instructions.
    Bounded,
    /// As long as a text in the module's memory is.
    Unbounded,
}

/// Where the numbers and handles are that a meaning refers to.
#[derive(Clone, Copy)]
enum Scope {
    /// Parameters of the call.
    Call,
    /// Words of the structure at this address.
    Structure(u32),
}

struct Checker<'c, 'a> {
    call: &'c HostCall<'a>,
    running: &'c Running,
    signature: Option<Signature>,
    uses: [u32; 2],
    released: Option<(HandleKind, u32)>,
    result: ResultMeaning,
    /// There is something whose check is [`Length::Unbounded`].
    has_text: bool,
}

impl Checker<'_, '_> {
    /// Checks what a contract says, of those meanings whose check has this length.
    fn check(&mut self, host: &HostContract, length: Length) -> Result<(), Trap> {
        // The table was made by the encoder that this reads.
        let damaged = self.call.violation(0, 0);
        for entry in CbmetaEntries::new(host.cbmeta).take_while(|_| length == Length::Bounded) {
            let (position, callback) = entry.map_err(|_| damaged)?;
            self.callback(position, &callback, self.word_of(position))?;
        }
        for entry in ImmetaEntries::new(host.immeta) {
            match entry.map_err(|_| damaged)? {
                ImmetaEntry::Param(position, param) => {
                    self.param(position, param, self.word_of(position), Scope::Call, length)?;
                }
                ImmetaEntry::Result(result) => self.result = result,
            }
        }
        if matches!(self.result, ResultMeaning::Handle { created: true, .. }) && self.running.objects().is_full() {
            return Err(Trap::new(TrapKind::Host, Failure::TooManyObjects as u32));
        }
        Ok(())
    }

    /// The first slot of the parameter at this position.
    fn word_of(&self, position: u8) -> u32 {
        let before = self.signature.iter().flat_map(Signature::params).take(position.into());
        self.call.word(before.map(|param| usize::from(param.slots())).sum())
    }

    /// The word that a meaning refers to. Structures are in memory when this is asked.
    fn word_in(&self, scope: Scope, slot: Slot) -> u32 {
        match scope {
            Scope::Call => self.word_of(slot),
            Scope::Structure(address) => {
                self.call.memory().read_word(address.wrapping_add(slot.into())).unwrap_or_default()
            }
        }
    }

    fn violation(&self, position: u8, value: u32) -> Trap {
        self.call.violation(position, value)
    }

    fn callback(&self, position: u8, callback: &Callback, value: u32) -> Result<(), Trap> {
        if value == 0 && callback.nullable {
            return Ok(());
        }
        let module = self.call.instance().module();
        let signature = self
            .call
            .instance()
            .thunks()
            .index(value)
            .and_then(|index| module.callback(index))
            .and_then(|function| module.function(function))
            .and_then(|function| module.signature(function.signature));
        if signature == Some(callback.signature) { Ok(()) } else { Err(self.violation(position, value)) }
    }

    /// Checks `value` against a meaning of parameter `position`, or of a word in the structure that it points to, if the check has this
    /// length or holds one that has.
    fn param(
        &mut self,
        position: u8,
        param: Param<Members<'_>>,
        value: u32,
        scope: Scope,
        length: Length,
    ) -> Result<(), Trap> {
        let of_param = match &param {
            Param::Format(_) => Length::Unbounded,
            Param::Pointer(pointer) if matches!(pointer.extent, Extent::CString | Extent::CStringMax(_)) => {
                Length::Unbounded
            }
            // Members may be texts.
            Param::Pointer(pointer) if pointer.members.clone().next().is_some() => length,
            _ => Length::Bounded,
        };
        self.has_text |= of_param == Length::Unbounded;
        if of_param != length {
            return Ok(());
        }
        match param {
            Param::Value | Param::UserData => Ok(()),
            Param::Pointer(pointer) => self.pointer(position, pointer, value, scope, length),
            Param::Callback(callback) => self.callback(position, &callback, value),
            Param::Handle(handle) => self.handle(position, &handle, value, scope),
            Param::HandleOut { nullable, .. } => {
                if (nullable && value == 0) || self.call.memory().is_writable(value, 4) {
                    Ok(())
                } else {
                    Err(self.violation(position, value))
                }
            }
            Param::Format(Format { style: FormatStyle::Print, args }) => {
                let arguments = match args {
                    FormatArgs::Variadic => Arguments::Slots {
                        call: self.call,
                        position: self.signature.map_or(0, |signature| signature.param_count()),
                        slot: self.signature.map_or(0, |signature| signature.param_slots()).into(),
                    },
                    FormatArgs::VaList(list) => {
                        Arguments::List { call: self.call, position: list.into(), address: self.word_of(list) }
                    }
                };
                conversion::check(self.call, position, value, arguments)
            }
            // Where the arguments are written is seen only while the text is read: the function checks each.
            Param::Format(Format { style: FormatStyle::Scan, .. }) => {
                self.call.memory().string_length(value).map(|_| ()).map_err(|_| self.violation(position, value))
            }
        }
    }

    fn pointer(
        &mut self,
        position: u8,
        pointer: Pointer<Members<'_>>,
        address: u32,
        scope: Scope,
        length: Length,
    ) -> Result<(), Trap> {
        if pointer.nullable && address == 0 {
            return Ok(());
        }
        let memory = self.call.memory();
        let call = self.call;
        let violation = || call.violation(position, address);
        let word = |slot| self.word_in(scope, slot);
        let bytes = match pointer.extent {
            Extent::Const(bytes) => bytes,
            Extent::Arg { param, scale } => word(param).checked_mul(scale).ok_or_else(violation)?,
            Extent::Product(left, right) => word(left).checked_mul(word(right)).ok_or_else(violation)?,
            Extent::CString => memory.string_length(address).map_err(|_| violation())? + 1,
            Extent::CStringMax(limit) => self.string_within(address, word(limit)).ok_or_else(violation)?,
            Extent::Element(queue) => self.element_size(word(queue)).ok_or_else(violation)?,
            Extent::StoredAt(place) => memory.read_word(word(place)).map_err(|_| violation())?,
            Extent::Region => 1,
        };
        let good = match pointer.direction {
            _ if bytes == 0 => true,
            Direction::In => memory.is_readable(address, bytes),
            Direction::Out | Direction::InOut => memory.is_writable(address, bytes),
        };
        if !good {
            return Err(violation());
        }
        for (offset, meaning) in pointer.members {
            let value = memory.read_word(address.wrapping_add(offset.into())).map_err(|_| violation())?;
            self.param(position, meaning, value, Scope::Structure(address), length)?;
        }
        Ok(())
    }

    /// Bytes of a string up to its NUL, or `limit` if that comes first; `None` where neither lies in memory.
    fn string_within(&self, address: u32, limit: u32) -> Option<u32> {
        let memory = self.call.memory();
        if limit == 0 || memory.is_readable(address, limit) {
            return Some(limit);
        }
        memory.string_length(address).ok().map(|length| length.saturating_add(1).min(limit))
    }

    fn element_size(&self, queue: u32) -> Option<u32> {
        // SAFETY: the instance owns this queue, so it exists.
        let owned = self.running.objects().owns(HandleKind::Queue, queue);
        owned.then(|| unsafe { ffi::uxQueueGetQueueItemSize(queue as ffi::QueueHandle) })
    }

    fn handle(&mut self, position: u8, handle: &Handle, value: u32, scope: Scope) -> Result<(), Trap> {
        if value == 0 && handle.nullable {
            return Ok(());
        }
        if handle.kind == HandleKind::File && streams::is_standard(value) && handle.fate == Fate::Used {
            return Ok(());
        }
        if !self.running.objects().owns(handle.kind, value) {
            return Err(self.violation(position, value));
        }
        let released = match handle.fate {
            Fate::Used => false,
            Fate::Released => true,
            Fate::ReleasedWhen { param, value } => self.word_in(scope, param) == u32::from(value),
        };
        if released {
            self.released = Some((handle.kind, value));
        } else if let Some(place) = self.uses.iter_mut().find(|place| **place == 0) {
            *place = value;
        }
        Ok(())
    }
}

/// Takes a released object off the instance's list, just before the call that deletes it. A timer stays until its deletion has room.
pub fn release(call: &Call<'_, '_>, checked: &Checked) -> Result<(), Trap> {
    match checked.released {
        Some((kind, handle)) if kind != HandleKind::Timer => take_off(call.running, kind, handle),
        _ => Ok(()),
    }
}

/// Takes an object off the list, if nobody uses it.
pub fn take_off(running: &Running, kind: HandleKind, handle: u32) -> Result<(), Trap> {
    // Both in one step: who is first deletes, and nobody begins to use what is about to go.
    kernel::without_switching(|| {
        if task::is_used(handle) || super::is_bound(kind, handle) || !running.objects().remove(kind, handle) {
            return Err(Trap::new(TrapKind::Host, Failure::InUse as u32));
        }
        Ok(())
    })
}

/// Registers what the call created and turns its result into the module's.
pub fn settle(call: &Call<'_, '_>, checked: &Checked, result: Result<u64, Trap>) -> Result<u64, Trap> {
    if let Some(task) = task::ModuleTask::current(call.running) {
        task.note_uses(checked.uses_before);
    }
    let result = result?;
    // Handles and addresses are words; a native function leaves what it likes in the upper half.
    let word = result as u32;
    match checked.result {
        // Tasks belong to the instance from before they run; this one may be gone already.
        ResultMeaning::Handle { kind: HandleKind::Task, .. } => {}
        ResultMeaning::Handle { kind, created: true, .. } if word != 0 => {
            if kernel::heap::is_short() {
                // What is left is the firmware's own: to the module memory is exhausted.
                super::discard_object(kind, word);
                return Ok(0);
            }
            if call.running.objects().add(kind, word).is_err() {
                // Another task has taken the last place since the check.
                super::discard_object(kind, word);
                return Err(Trap::new(TrapKind::Host, Failure::TooManyObjects as u32));
            }
        }
        ResultMeaning::Copied { extent, .. } if word != 0 => return copies::copy(call, word, extent),
        _ => {}
    }
    Ok(result)
}
