//! What a module reaches of its host, and what a host function sees of the module. Never here: any host function.

use espb_format::container::{Import, Module};
use espb_format::opcode::Opcode;
use espb_format::signature::Signature;

use crate::context::Context;
use crate::instance::Instance;
use crate::memory::Memory;
use crate::trap::Trap;

/// The host's own number of a host function: what an import is bound to at load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostFunction(pub u16);

/// The firmware (or a test) around an instance.
///
/// An instance may run in several preemptive tasks at once, so all methods take `&self` and the host guards its own state.
///
/// # Safety
/// [`Host::critical`] must keep every other task of the instance from running while `body` runs, and interrupt handlers from calling
/// into the instance: the heap's bookkeeping rests on it.
pub unsafe trait Host: Sync {
    /// The host function that this import of the module shall be, where there is one and the module says of it what it means;
    /// `None` refuses the module.
    fn bind(&self, module: &Module<'_>, index: u16, import: &Import<'_>) -> Option<HostFunction>;

    /// Does what the import asks for. The result is what goes into the module's result slots: one (low word) or two, as the
    /// import's signature says. An error ends the instance; its place is filled in by the interpreter.
    ///
    /// It may call back into the module through [`HostCall::context`], block, or switch tasks.
    fn call(&self, call: &mut HostCall<'_>) -> Result<u64, Trap>;

    /// Runs `body` so that no other task of the same instance runs meanwhile. The heap's bookkeeping and the fuel account rely on it.
    /// `body` is short, does not block and calls no host function.
    fn critical(&self, body: &mut dyn FnMut());
}

/// A call of a host function.
pub struct HostCall<'a> {
    /// Index of the import in the module.
    pub import: u16,
    /// What it was bound to.
    pub function: HostFunction,
    /// The arguments: 32-bit slots in a row, 64-bit values low word first, as many as the signature's parameters take.
    pub arguments: &'a [u32],
    pub(crate) context: &'a Context<'a>,
}

impl<'a> HostCall<'a> {
    /// The task's context: for calling back into the module.
    pub fn context(&self) -> &'a Context<'a> {
        self.context
    }

    /// The instance that calls.
    pub fn instance(&self) -> &'a Instance<'a> {
        self.context.instance()
    }

    /// The module's memory.
    pub fn memory(&self) -> Memory<'a> {
        self.context.instance().memory()
    }

    /// Types of the arguments: of a variadic call all of them, else the import's parameters.
    pub fn signature(&self) -> Option<Signature> {
        let module = self.instance().module();
        // The context stands at the call for as long as that lasts.
        let at = self.context.parked();
        if at.byte::<0>() == Opcode::CallImportVariadic as u8 {
            module.signature(at.signature())
        } else {
            module.import(self.import).map(|import| import.signature)
        }
    }

    /// The slot at this position; 0 past the arguments.
    pub fn word(&self, slot: usize) -> u32 {
        self.arguments.get(slot).copied().unwrap_or(0)
    }

    /// The 64-bit value in this slot and the next.
    pub fn double_word(&self, slot: usize) -> u64 {
        u64::from(self.word(slot)) | u64::from(self.word(slot + 1)) << 32
    }

    /// The trap for an argument that breaks this function's contract.
    #[cold]
    pub fn violation(&self, argument: u8, value: u32) -> Trap {
        Trap::contract(self.import, argument, value)
    }
}
