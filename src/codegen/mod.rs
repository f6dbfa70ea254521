//! Code generation: the plain IR in, the bytes of a module out.
//!
//! One file a stage: `statics` places variables, `lower` makes machine code over virtual registers, `narrow`, `propagate`, `fuse` and `hoist` make
//! less of it, `liveness`, `coalesce`, `allocate` and `spill` give it slots, `emission` and `layout` make words of it, `module` puts the sections
//! together. Must never hold: LLVM, or what contracts mean.

mod abi;
mod allocate;
mod analysis;
mod coalesce;
mod emission;
mod fuse;
mod hoist;
mod layout;
mod liveness;
mod lower;
mod machine;
mod module;
mod moves;
mod narrow;
mod occurrences;
mod propagate;
mod refusal;
mod spill;
mod statics;
mod tables;
mod unit;

use crate::diagnostic::{Diagnostic, Place};
use crate::ir::{FuncId, Function, FunctionType, Module, TypeTable};
use allocate::Outcome;
use emission::Regions;
use espb_format::signature::Signature;
use layout::Code;
use refusal::{Lowered, Refusal};
use unit::Unit;

/// Linear stack of the entry unless the user says otherwise, in bytes.
pub const DEFAULT_STACK: u32 = 8 * 1024;
/// Shadow stack of each task unless the user says otherwise, in bytes.
pub const DEFAULT_SHADOW_STACK: u32 = 4 * 1024;
/// Least heap unless the user says otherwise, in bytes.
pub const DEFAULT_HEAP_MIN: u32 = 4 * 1024;
/// The entry unless the user names another.
pub const DEFAULT_ENTRY: &str = "app_main";

/// Attempts at allocation before a function is refused; each spills what did not fit.
const MAX_ATTEMPTS: usize = 40;

/// What the module is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Function to start with, if any.
    pub entry: Option<String>,
    /// Functions to be called by name.
    pub exports: Vec<String>,
    /// Linear stack of the entry in bytes, rounded up to 16.
    pub stack: u32,
    /// Shadow stack of each task in bytes, rounded up to 4.
    pub shadow_stack: u32,
    /// Heap that the module needs at least, in bytes.
    pub heap_min: u32,
    /// Heap that it can use, in bytes; `u32::MAX` takes what there is.
    pub heap_max: u32,
    /// Leave out names and lines.
    pub strip: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            entry: Some(DEFAULT_ENTRY.to_owned()),
            exports: Vec::new(),
            stack: DEFAULT_STACK,
            shadow_stack: DEFAULT_SHADOW_STACK,
            heap_min: DEFAULT_HEAP_MIN,
            heap_max: u32::MAX,
            strip: false,
        }
    }
}

/// What the module says about an import, as the sections `immeta`, `cbmeta` and `evidence` hold it; empty for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportMeta {
    /// Encoded marshalling of pointer arguments.
    pub marshal: Vec<u8>,
    /// Encoded callback parameters.
    pub callbacks: Vec<u8>,
    /// The import's line in the section `evidence`.
    pub evidence: String,
}

/// Gives the contracts of imports.
pub trait ImportContracts {
    /// The contract of the host function `name`, imported with the fixed part `signature`.
    ///
    /// # Errors
    /// The diagnostic for an import that has no contract, or one that does not fit the signature.
    fn import(&self, name: &str, signature: &Signature) -> Result<ImportMeta, Diagnostic>;
}

/// The signature with which functions of this type are called; `None` for types that cannot be passed.
pub fn signature(types: &TypeTable, ty: &FunctionType) -> Option<Signature> {
    abi::signature(types, ty).ok()
}

/// Translates a program.
///
/// # Errors
/// Everything that cannot be translated, each with its function and C line where there is one.
pub fn generate(module: &Module, imports: &dyn ImportContracts, options: &Options) -> Result<Vec<u8>, Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let named = module::named(module, options, &mut diagnostics);
    let mut unit = Unit::new(module).map_err(|refusal| vec![refusal.anywhere()])?;
    let statics = statics::place(&mut unit).map_err(|diagnostic| vec![diagnostic])?;
    let regions = Regions { linear: unit.static_size, rodata: statics.rodata.len() as u32 };
    let mut bodies = Vec::with_capacity(unit.defined);
    for (id, function) in module.functions().filter(|(_, function)| !function.is_declaration()) {
        match body(&mut unit, id, function, regions) {
            Ok(body) => bodies.push(body),
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    let mut position = 0;
    while let Some(host) = unit.tables.stub_at(position).and_then(|id| module.function(id)) {
        match stub(&mut unit, host, regions) {
            Ok(body) => bodies.push(body),
            Err(refusal) => diagnostics.push(refusal.at(module, host, None)),
        }
        position += 1;
    }
    let mut metas = Vec::new();
    for import in unit.tables.imports() {
        match imports.import(&import.name, &import.signature) {
            Ok(meta) => metas.push(meta),
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    match named {
        Some(named) if diagnostics.is_empty() => {
            let parts = module::Parts { unit: &unit, statics: &statics, bodies: &bodies, metas: &metas, named: &named };
            module::write(&parts, options).map_err(|refusal| vec![refusal.anywhere()])
        }
        _ => Err(diagnostics),
    }
}

/// A function of the module, ready for its sections.
#[derive(Clone, Debug)]
struct Body {
    name: String,
    signature: u16,
    slots: u8,
    linear_frame: u32,
    code: Code,
}

fn body<'a>(unit: &mut Unit<'a>, id: FuncId, function: &'a Function, regions: Regions) -> Result<Body, Diagnostic> {
    let module = unit.module;
    let lowered =
        lower::lower(unit, id, function).map_err(|(refusal, location)| refusal.at(module, function, location))?;
    let signature = abi::defined_signature(&module.types, &function.ty);
    signature
        .and_then(|signature| unit.tables.signature(signature))
        .and_then(|signature| finish(lowered, function.name.clone(), signature, regions))
        .map_err(|refusal| refusal.at(module, function, None))
}

fn stub(unit: &mut Unit<'_>, host: &Function, regions: Regions) -> Lowered<Body> {
    let lowered = lower::host_stub(unit, host)?;
    let signature = abi::defined_signature(&unit.module.types, &host.ty)?;
    let signature = unit.tables.signature(signature)?;
    finish(lowered, host.name.clone(), signature, regions)
}

/// Allocation and emission.
fn finish(mut function: machine::Function, name: String, signature: u16, regions: Regions) -> Lowered<Body> {
    let order = layout::order(&function);
    narrow::narrow(&mut function, &order);
    propagate::propagate(&mut function, &order);
    fuse::fuse(&mut function, &order);
    hoist::hoist(&mut function, &order);
    let mut fixed = vec![false; function.widths.len()];
    if let Some(mark) = function.frame_pointer.and_then(|pointer| fixed.get_mut(pointer.0 as usize)) {
        *mark = true;
    }
    for _ in 0..MAX_ATTEMPTS {
        let mut liveness = liveness::Liveness::new(&mut function, &order);
        let webs = coalesce::Webs::new(&function, &order, &mut liveness);
        match allocate::allocate(&function, &order, &liveness, &webs, &fixed)? {
            Outcome::Fits(allocation) => {
                let emitted = emission::emit(&function, &order, &allocation, regions)?;
                let linear_frame = module::linear_frame(function.frame)?;
                return Ok(Body { name, signature, slots: emitted.slots, linear_frame, code: emitted.code });
            }
            Outcome::Spill(spilled) => spill::spill(&mut function, &order, &spilled, &mut fixed),
        }
    }
    Err(Refusal::too_large(
        "more values at once than registers and frame can hold",
        "split the function into smaller ones",
    ))
}

/// The refusal of a name that the user asked for.
fn missing(name: &str) -> Diagnostic {
    Diagnostic::error(
        "espb::codegen::missing_function",
        format!("there is no function {name}"),
        Place::None,
        "name a function that the program defines, or link the file that does",
    )
}

#[cfg(test)]
mod tests;
