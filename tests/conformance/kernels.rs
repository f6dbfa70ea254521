//! The speed of the virtual machine: kernels run natively and as modules, in executed machine instructions (`make bench`).
//!
//! Both sides come from the same LLVM IR at -O2 and must print the same; counts are exact and the same on every machine.
//! Nothing here judges the figures: docs/performance.md states what they should be.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::case::{Case, Program, Source};
use crate::compile::Tools;
use crate::corpus;
use crate::module::ModuleRun;
use crate::native::NativeRun;
use crate::options::Options;
use crate::report::geometric_mean;
use crate::root;
use crate::run::{self, Outcome};

/// Kernels of floating point, where both sides spend their time in the same routines. One of them counts in the mean, as at most
/// one kernel in ten should; the others are shown.
const NOT_IN_MEAN: [&str; 1] = ["nbody"];
const LIMIT: u64 = 100_000_000;
const LEVEL: &str = "O2";

/// Every kernel in fixtures/kernels, and Lua running a script.
pub fn programs() -> Vec<Program> {
    let folder = root().join("fixtures/kernels");
    let mut files: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .collect();
    files.sort();
    let mut programs: Vec<Program> = files
        .into_iter()
        .map(|path| Program {
            group: "kernel",
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            sources: vec![Source { path, options: Vec::new() }],
            generator: None,
            entry: "app_main",
            build: Vec::new(),
            native_limit: LIMIT,
        })
        .collect();
    programs.extend(corpus::third_party().find(|program| program.name == "lua").map(|lua| {
        let mut sources = lua.sources;
        if let Some(driver) = sources.first_mut() {
            driver.path = "fixtures/kernels/lua/driver.c".into();
        }
        Program { group: "kernel", sources, native_limit: LIMIT, ..lua }
    }));
    programs
}

/// Runs the kernels that `options` ask for; the table, and the same as JSON.
pub fn measure(options: &Options, tools: &Tools, native: &crate::native::Toolchain) -> Result<(String, Value), String> {
    let case = |program| Case { program: Arc::new(program), compiler: tools.clang.clone(), level: LEVEL, debug: false, forms: false };
    let mut cases: Vec<Case> = programs().into_iter().map(case).collect();
    cases.retain(|case| options.wants(&case.name()));
    let outcomes = run::all(&cases, options, tools, native);
    let mut text = format!(
        "{:<12} {:>10} {:>10} {:>11} {:>9} {:>10} {:>6}\n",
        "kernel", "native", "VM", "machine", "VM/native", "machine/VM", "ratio"
    );
    let (mut rows, mut ratios) = (Vec::new(), Vec::new());
    for (case, outcome) in cases.iter().zip(outcomes) {
        let name = case.program.name.as_str();
        let (native, module) = match outcome {
            Outcome::Same(native, _, module) => (native, module),
            Outcome::Differs(reason) | Outcome::Broken(reason) => return Err(format!("{name}: {reason}")),
            other => return Err(format!("{name}: {}", other.word())),
        };
        let counted = !NOT_IN_MEAN.contains(&name);
        let ratio = ratio(&native, &module);
        if counted {
            ratios.push(ratio);
        }
        let per_native = module.vm_instructions as f64 / native.instructions as f64;
        let per_vm = module.instructions as f64 / module.vm_instructions as f64;
        text += &format!(
            "{name:<12} {:>10} {:>10} {:>11} {per_native:>9.2} {per_vm:>10.1} {ratio:>6.2}{}\n",
            native.instructions,
            module.vm_instructions,
            module.instructions,
            if counted { "" } else { " (not in the mean)" },
        );
        rows.push(json!({
            "kernel": name,
            "native_instructions": native.instructions,
            "vm_instructions": module.vm_instructions,
            "machine_instructions": module.instructions,
            "ratio": ratio,
            "in_mean": counted,
        }));
    }
    let worst = ratios.iter().copied().fold(0.0, f64::max);
    let mean = geometric_mean(ratios.into_iter()).unwrap_or(0.0);
    text += &format!("geometric mean of {} kernels: {mean:.2}; highest: {worst:.2}\n", ratios_counted(&rows));
    Ok((text, json!({ "kernels": rows, "geometric_mean": mean, "highest": worst })))
}

fn ratio(native: &NativeRun, module: &ModuleRun) -> f64 {
    module.instructions as f64 / native.instructions as f64
}

fn ratios_counted(rows: &[Value]) -> usize {
    rows.iter().filter(|row| row["in_mean"] == true).count()
}
