//! The conformance test: the same LLVM IR as native RV32IMC code in the emulated core, and as a module in the firmware, must
//! print the same and end the same. docs/conformance.md says how to run it and what is in it.
//!
//! It goes through the `espb` binary for all that concerns modules; nothing here knows the module format.

mod case;
mod compile;
mod corpus;
mod csmith;
mod kernels;
mod module;
mod native;
mod options;
mod refusals;
mod report;
mod run;
mod scale;

use std::path::Path;
use std::process::ExitCode;

use options::Options;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("conformance: {message}");
            return ExitCode::from(2);
        }
    };
    match conform(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("conformance: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for; whether nothing failed.
fn conform(options: &Options) -> Result<bool, String> {
    let tools = compile::Tools::find()?;
    let native = native::Toolchain::prepare(&tools)?;
    let known = refusals::documented()?;
    if options.scale {
        print!("{}", scale::table(&csmith::cases(options, &tools)?, &tools)?);
        return Ok(true);
    }
    if options.kernels {
        let (table, figures) = kernels::measure(options, &tools, &native)?;
        print!("{table}");
        if let Some(file) = &options.json {
            std::fs::write(file, format!("{figures}\n")).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        return Ok(true);
    }
    let mut cases = corpus::cases(options, &tools);
    cases.extend(csmith::cases(options, &tools)?);
    cases.retain(|case| options.wants(&case.name()));
    let outcomes = run::all(&cases, options, &tools, &native);
    let report = report::Report::new(&cases, outcomes, &known);
    print!("{}", report.text());
    if let Some(file) = &options.json {
        std::fs::write(file, report.json_lines()).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let compared = report.compared("random");
    if options.is_whole() && compared < csmith::COMPARED {
        return Err(format!("only {compared} random programs were compared; raise csmith::PROGRAMS"));
    }
    Ok(report.passed())
}

/// The root of the repository; paths of sources are relative to it.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
