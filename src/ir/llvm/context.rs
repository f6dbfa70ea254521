//! An LLVM context with its diagnostics collected, and parsing.
//!
//! Must never hold: the translation of LLVM's messages for the user.

use super::module::Module;
use super::text;
use llvm_sys::LLVMDiagnosticSeverity;
use llvm_sys::bit_writer::LLVMWriteBitcodeToMemoryBuffer;
use llvm_sys::core::{
    LLVMContextCreate, LLVMContextDispose, LLVMContextSetDiagnosticHandler, LLVMCreateMemoryBufferWithMemoryRangeCopy,
    LLVMDisposeMemoryBuffer, LLVMGetBufferSize, LLVMGetBufferStart, LLVMGetDiagInfoDescription,
    LLVMGetDiagInfoSeverity,
};
use llvm_sys::ir_reader::LLVMParseIRInContext2;
use llvm_sys::prelude::{LLVMContextRef, LLVMDiagnosticInfoRef};
use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr;

/// A message of LLVM.
#[derive(Clone, Debug)]
pub struct Message {
    /// Whether the operation failed because of it.
    pub error: bool,
    /// LLVM's text.
    pub text: String,
}

/// Owner of everything LLVM keeps for one run.
pub struct Context {
    raw: LLVMContextRef,
    /// Boxed: LLVM holds its address.
    messages: Box<RefCell<Vec<Message>>>,
}

extern "C" fn collect(info: LLVMDiagnosticInfoRef, messages: *mut c_void) {
    // SAFETY: LLVM passes a valid info, and the pointer given to LLVMContextSetDiagnosticHandler, whose box lives as
    // long as the context.
    let (severity, text, messages) = unsafe {
        (
            LLVMGetDiagInfoSeverity(info),
            text::take(LLVMGetDiagInfoDescription(info)),
            &*messages.cast::<RefCell<Vec<Message>>>(),
        )
    };
    let error = match severity {
        LLVMDiagnosticSeverity::LLVMDSError => true,
        LLVMDiagnosticSeverity::LLVMDSWarning => false,
        LLVMDiagnosticSeverity::LLVMDSRemark | LLVMDiagnosticSeverity::LLVMDSNote => return,
    };
    if let Ok(mut messages) = messages.try_borrow_mut() {
        messages.push(Message { error, text });
    }
}

impl Context {
    /// An empty context.
    pub fn new() -> Self {
        let messages = Box::new(RefCell::new(Vec::new()));
        // SAFETY: no precondition.
        let raw = unsafe { LLVMContextCreate() };
        let address = ptr::from_ref::<RefCell<Vec<Message>>>(&messages).cast_mut().cast::<c_void>();
        // SAFETY: `address` stays valid until the context is disposed, because the box is dropped after it.
        unsafe { LLVMContextSetDiagnosticHandler(raw, Some(collect), address) };
        Self { raw, messages }
    }

    /// The messages since the last call.
    pub fn take_messages(&self) -> Vec<Message> {
        self.messages.take()
    }

    /// Parses IR, text or bitcode. LLVM names the buffer [`Context::BUFFER`] in its message.
    pub fn parse(&self, bytes: &[u8]) -> Result<Module<'_>, String> {
        let mut module = ptr::null_mut();
        let mut message = ptr::null_mut();
        // SAFETY: the buffer is copied with a terminator, so it outlives the parse; the context is valid.
        let failed = unsafe {
            let buffer =
                LLVMCreateMemoryBufferWithMemoryRangeCopy(bytes.as_ptr().cast(), bytes.len(), c"input".as_ptr());
            let failed = LLVMParseIRInContext2(self.raw, buffer, &mut module, &mut message) != 0;
            LLVMDisposeMemoryBuffer(buffer);
            failed
        };
        // SAFETY: LLVM set `message` on failure, otherwise it is still null.
        let message = unsafe { text::take(message) };
        // SAFETY: on success LLVM made a module in this context that nobody else owns.
        unsafe { Module::own(module) }.filter(|_| !failed).ok_or(message)
    }

    /// The same module, written as bitcode and read again: then its values list their uses in the order in which bitcode's reader
    /// meets them. LLVM's passes follow that order, and text gives another.
    pub fn reread(&self, module: Module<'_>) -> Result<Module<'_>, String> {
        // SAFETY: the module is valid, and the buffer belongs to us.
        let bytes = unsafe {
            let buffer = LLVMWriteBitcodeToMemoryBuffer(module.raw);
            let start = LLVMGetBufferStart(buffer).cast::<u8>();
            let bytes = std::slice::from_raw_parts(start, LLVMGetBufferSize(buffer)).to_vec();
            LLVMDisposeMemoryBuffer(buffer);
            bytes
        };
        drop(module);
        self.parse(&bytes)
    }

    /// The name LLVM gives the input in parse errors.
    pub const BUFFER: &'static str = "input";
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: every module borrows the context, so none is left.
        unsafe { LLVMContextDispose(self.raw) };
    }
}
