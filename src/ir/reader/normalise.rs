//! The passes that bring any clang's output into the form the converter takes.
//!
//! Must never hold: optimisation for its own sake; optimised input is not optimised again.

use super::super::llvm::{Attribute, Function, LLVMOpcode, Module, TargetMachine};
use super::input::TRIPLE;
use crate::diagnostic::{Diagnostic, Place};

/// Another clang's idea of its target makes LLVM complain and means nothing here.
const TARGET_ATTRIBUTES: [&str; 3] = ["target-cpu", "target-features", "tune-cpu"];
/// Every pass skips `optnone` functions; LLVM accepts `optnone` only with `noinline`.
const NO_OPTIMISATION: [&str; 2] = ["optnone", "noinline"];
/// Hints to optimisers that ran before us, and markers without an effect at run time.
const HINTS: [&str; 9] = [
    "llvm.assume",
    "llvm.donothing",
    "llvm.sideeffect",
    "llvm.pseudoprobe",
    "llvm.experimental.noalias.scope.decl",
    "llvm.var.annotation",
    "llvm.codeview.annotation",
    "llvm.invariant.end",
    "llvm.invariant.start",
];
/// Annotations that pass their first argument through.
const PASS_THROUGH: [&str; 4] =
    ["llvm.ptr.annotation", "llvm.annotation", "llvm.launder.invariant.group", "llvm.strip.invariant.group"];

/// Brings the code of unoptimised input into SSA form and tidies it.
/// A function that ends in a call of itself (`musttail`) becomes a loop, as in optimised input.
const UNOPTIMISED: &str = "sroa,early-cse<memssa>,simplifycfg,instcombine<no-verify-fixpoint>,simplifycfg,tailcallelim";
/// Resolves what is only for optimisers, and splits vectors into scalars, which the scalarizer does not do in code that nothing reaches. Loads and
/// stores of vectors stay: LLVM 22's scalarizer gets the places of elements wrong whose size is no power of two.
const SCALAR: &str = "lower-constant-intrinsics,lower-expect,unreachableblockelim,scalarizer";

/// What pays where each instruction costs a dispatch, besides what clang did: loops take several turns at once and count with addresses.
/// Functions that were compiled for size keep their loops.
const SPEED: &str = "loop-mssa(licm),early-cse<memssa>,instcombine<no-verify-fixpoint>,loop-reduce";
/// Several turns at once: first where LLVM can count them, then where it is asked to.
const UNROLL: &str = "loop-unroll<O3;runtime;partial;no-peeling>";
/// The largest loop that follows pointers and is unrolled, in LLVM's instructions. More of this and of the next two made no kernel faster.
const LARGEST_FOLLOWER: usize = 16;
/// How large it may become.
const LARGEST_UNROLLED: usize = 32;
/// How many turns it may take at once.
const MOST_TURNS: usize = 4;
/// Attributes of functions that were compiled for size.
const FOR_SIZE: [&str; 2] = ["optsize", "minsize"];

/// Writes divisions of integers of more than 64 bits as loops of simpler operations.
const WIDE: &str = "require<libcall-lowering-info>,function(expand-ir-insts<O1>),";

/// Runs the passes; only `roots` stay visible from outside, or everything if there are none.
pub(super) fn normalise(module: &mut Module<'_>, roots: &[String]) -> Result<(), Diagnostic> {
    let optnone = Attribute::kind_number("optnone");
    let unoptimised =
        module.functions().any(|function| function.attributes(u32::MAX).iter().any(|found| found.kind == optnone));
    module.remove_function_attributes(&TARGET_ATTRIBUTES, if unoptimised { &NO_OPTIMISATION } else { &[] });

    let used = used_names(module);
    if !roots.is_empty() {
        module.internalize(|name| roots.iter().any(|root| root == name) || used.iter().any(|kept| kept == name));
    }

    let dropped = module.remove_intrinsics(&HINTS, &PASS_THROUGH);
    let unwinds = module.contains(LLVMOpcode::LLVMInvoke);
    let mut function_passes = Vec::new();
    if unwinds {
        // Without exceptions no call unwinds: an invoke is a call, and its landing pad is dead code.
        function_passes.extend(["lower-invoke", "simplifycfg"]);
    }
    if unoptimised {
        function_passes.push(UNOPTIMISED);
    }
    if module.has_must_tail_calls() {
        // A function that calls itself so becomes a loop.
        function_passes.push("tailcallelim");
    }
    // instcombine would make intrinsics of integers that are too wide for them to be lowered.
    if !unoptimised && !module.contains_wide_integers() && compiled_for_speed(module) {
        // A function that calls itself rarely turns its loops often.
        module.add_attribute_to_recursive_functions(FOR_SIZE[0]);
        function_passes.push(UNROLL);
        run(module, &format!("always-inline,globaldce,function({})", function_passes.join(",")))?;
        module.request_unrolling(LARGEST_FOLLOWER, is_for_speed, |size| (LARGEST_UNROLLED / size).min(MOST_TURNS));
        function_passes = vec![UNROLL, SPEED];
    }
    function_passes.push(SCALAR);
    if dropped {
        // What only computed the conditions of dropped hints.
        function_passes.push("adce");
    }
    let wide = if module.contains_wide_integers() { WIDE } else { "" };
    let function_passes = function_passes.join(",");
    run(module, &format!("{wide}always-inline,globaldce,function({function_passes}),globaldce,strip-dead-prototypes"))
}

/// Turns `__attribute__((destructor))` functions into constructors that register them for the end of the program.
pub(super) fn register_destructors(module: &mut Module<'_>) -> Result<(), Diagnostic> {
    if module.global("llvm.global_dtors").is_none() { Ok(()) } else { run(module, "lower-global-dtors") }
}

/// Whether some function was compiled for speed rather than for size.
fn compiled_for_speed(module: &Module<'_>) -> bool {
    module.functions().any(|function| !function.blocks().is_empty() && is_for_speed(&function))
}

fn is_for_speed(function: &Function<'_>) -> bool {
    let for_size = FOR_SIZE.map(Attribute::kind_number);
    !function.attributes(u32::MAX).iter().any(|attribute| for_size.contains(&attribute.kind))
}

fn run(module: &mut Module<'_>, pipeline: &str) -> Result<(), Diagnostic> {
    let machine = TargetMachine::riscv(TRIPLE, "generic-rv32", "+m,+a,+c").map_err(|message| failure(&message))?;
    module.run_passes(pipeline, &machine).map_err(|message| failure(&message))
}

/// Names in `llvm.used`: what the source marked `__attribute__((used))` or `retain`.
fn used_names(module: &Module<'_>) -> Vec<String> {
    let list = module.global("llvm.used").and_then(|used| used.initializer());
    let Some(list) = list else { return Vec::new() };
    (0..list.operand_count()).filter_map(|index| list.operand(index)).map(|symbol| symbol.name()).collect()
}

pub(super) fn failure(message: &str) -> Diagnostic {
    Diagnostic::error(
        "espb::ir::llvm_failed",
        format!("LLVM cannot normalise the program: {message}"),
        Place::None,
        "this is a fault of espb or of its LLVM; please report it with the input",
    )
}
