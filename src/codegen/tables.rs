//! The module's tables while they grow: signatures, imports, address-taken functions.
//!
//! Must never hold: code, or the order of anything but first use.

use super::refusal::{Lowered, Refusal};
use crate::ir::FuncId;
use espb_format::container::NONE;
use espb_format::signature::Signature;
use std::collections::HashMap;

/// An imported host function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its name.
    pub name: String,
    /// Its fixed part.
    pub signature: Signature,
    /// Index of the signature.
    pub signature_index: u16,
}

/// Tables that are filled on first use.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    signatures: Vec<Signature>,
    signature_of: HashMap<Signature, u16>,
    imports: Vec<Import>,
    import_of: HashMap<String, u16>,
    callbacks: Vec<u16>,
    callback_of: HashMap<u16, u16>,
    stubs: Vec<FuncId>,
    stub_of: HashMap<FuncId, u16>,
}

fn next(length: usize, what: &str) -> Lowered<u16> {
    u16::try_from(length)
        .ok()
        .filter(|index| *index != NONE)
        .ok_or_else(|| Refusal::too_large(format!("more than 65534 {what}"), "split the program into several modules"))
}

impl Tables {
    /// The index of a signature.
    pub fn signature(&mut self, signature: Signature) -> Lowered<u16> {
        if let Some(index) = self.signature_of.get(&signature) {
            return Ok(*index);
        }
        let index = next(self.signatures.len(), "signatures")?;
        self.signatures.push(signature);
        self.signature_of.insert(signature, index);
        Ok(index)
    }

    /// The index of a host function.
    pub fn import(&mut self, name: &str, signature: Signature) -> Lowered<u16> {
        if let Some(index) = self.import_of.get(name) {
            return match self.imports.get(usize::from(*index)) {
                Some(import) if import.signature == signature => Ok(*index),
                _ => Err(Refusal::unsupported(
                    format!("{name} is called with two different prototypes"),
                    "include the header that declares it everywhere",
                )),
            };
        }
        let index = next(self.imports.len(), "host functions")?;
        let signature_index = self.signature(signature)?;
        self.imports.push(Import { name: name.to_owned(), signature, signature_index });
        self.import_of.insert(name.to_owned(), index);
        Ok(index)
    }

    /// The position of a function of the module in the table of address-taken functions.
    pub fn callback(&mut self, function: u16) -> Lowered<u16> {
        if let Some(index) = self.callback_of.get(&function) {
            return Ok(*index);
        }
        let index = next(self.callbacks.len(), "functions whose address is taken")?;
        self.callbacks.push(function);
        self.callback_of.insert(function, index);
        Ok(index)
    }

    /// The index of the module function that stands for a host function whose address is taken; `defined` functions come before it.
    pub fn stub(&mut self, host: FuncId, defined: usize) -> Lowered<u16> {
        if let Some(index) = self.stub_of.get(&host) {
            return Ok(*index);
        }
        let index = next(defined + self.stubs.len(), "functions")?;
        self.stubs.push(host);
        self.stub_of.insert(host, index);
        Ok(index)
    }

    /// All signatures.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// All imports.
    pub fn imports(&self) -> &[Import] {
        &self.imports
    }

    /// Function indices of the address-taken functions.
    pub fn callbacks(&self) -> &[u16] {
        &self.callbacks
    }

    /// The host function that the stub with this position stands for.
    pub fn stub_at(&self, position: usize) -> Option<FuncId> {
        self.stubs.get(position).copied()
    }
}
