//! Runs cases, several at a time, and judges each.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::case::Case;
use crate::compile::{Form, Tools};
use crate::module::{self, Built, ModuleRun, Refusal};
use crate::native::{NativeEnd, NativeRun, Toolchain};
use crate::options::Options;

/// What came of a case.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Both sides agree.
    Same(NativeRun, Built, ModuleRun),
    /// They do not; the text says where first.
    Differs(String),
    /// The translator made no module.
    Refused(Refusal),
    /// The program ran for too long natively to be run as a module.
    TooLong,
    /// The native side alone was asked for.
    NativeOnly(NativeRun),
    /// There is nothing to compare: it does not compile, or fails natively too.
    Broken(String),
}

/// Runs all cases; outcomes are in their order.
pub fn all(cases: &[Case], options: &Options, tools: &Tools, native: &Toolchain) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(vec![None; cases.len()]);
    thread::scope(|scope| {
        for _ in 0..options.jobs.min(cases.len()) {
            scope.spawn(|| {
                while let Some((index, case)) = take(cases, &next) {
                    let outcome = one(case, options, tools, native);
                    eprintln!("{:>4}/{} {}: {}", index + 1, cases.len(), case.name(), outcome.word());
                    if let Some(slot) = outcomes.lock().ok().as_mut().and_then(|slots| slots.get_mut(index)) {
                        *slot = Some(outcome);
                    }
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_default();
    outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Broken("it was not run".into()))).collect()
}

fn take<'a>(cases: &'a [Case], next: &AtomicUsize) -> Option<(usize, &'a Case)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    cases.get(index).map(|case| (index, case))
}

fn one(case: &Case, options: &Options, tools: &Tools, native: &Toolchain) -> Outcome {
    match judge(case, options, tools, native) {
        Ok(outcome) => outcome,
        Err(reason) => Outcome::Broken(reason),
    }
}

fn judge(case: &Case, options: &Options, tools: &Tools, native: &Toolchain) -> Result<Outcome, String> {
    let folder = case.folder();
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    // LLVM 22 cannot read all text of older versions, but all of their bitcode.
    let older = case.compiler != tools.clang;
    let form = if older { Form::Bitcode } else { Form::Text };
    let ir = tools.to_ir(case, &folder, form)?;
    let expected = native.run(tools, case, &ir, &folder)?;
    let status = match &expected.end {
        NativeEnd::Exited(status) => *status,
        NativeEnd::TooLong => return Ok(Outcome::TooLong),
        NativeEnd::Crashed(reason) => return Err(format!("natively: {reason}")),
    };
    if options.native_only {
        return Ok(Outcome::NativeOnly(expected));
    }
    let mut built = match module::build(case, &ir, &folder, "program") {
        Ok(built) => built,
        Err(refusal) => return Ok(Outcome::Refused(refusal)),
    };
    if case.forms {
        for other in Form::ALL.into_iter().filter(|other| *other != form) {
            if other == Form::Mixed && ir.len() < 2 {
                continue;
            }
            let files = tools.to_ir(case, &folder, other)?;
            match module::build(case, &files, &folder, "other") {
                Ok(same) if same.bytes()? == built.bytes()? => {}
                Ok(_) => return Ok(Outcome::Differs(format!("{} gives another module", other.name()))),
                Err(refusal) if older && other != Form::OtherTriple && refusal.advises_bitcode() => {
                    built.text_refused = true;
                }
                Err(refusal) => return Ok(Outcome::Refused(refusal)),
            }
        }
    }
    let actual = module::run_module(&built);
    let difference = first_difference(&expected.stdout, &actual.stdout).or_else(|| {
        (actual.exit != i32::from(status)).then(|| format!("exit code {status} natively, {} as a module", actual.exit))
    });
    Ok(match difference {
        None => Outcome::Same(expected, built, actual),
        Some(difference) => Outcome::Differs([vec![difference], actual.complaints].concat().join("\n    ")),
    })
}

/// The first line that is not the same.
fn first_difference(native: &[u8], module: &[u8]) -> Option<String> {
    if native == module {
        return None;
    }
    let lines =
        |bytes: &[u8]| String::from_utf8_lossy(bytes).split_inclusive('\n').map(str::to_owned).collect::<Vec<_>>();
    let (native, module) = (lines(native), lines(module));
    let index = native.iter().zip(&module).take_while(|(left, right)| left == right).count();
    let shown =
        |lines: &[String]| lines.get(index).map_or_else(|| String::from("nothing more"), |line| format!("{line:?}"));
    Some(format!("line {}: {} natively, {} as a module", index + 1, shown(&native), shown(&module)))
}

impl Outcome {
    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Same(..) => "same",
            Outcome::Differs(_) => "DIFFERS",
            Outcome::Refused(_) => "refused",
            Outcome::TooLong => "too long",
            Outcome::NativeOnly(_) => "native",
            Outcome::Broken(_) => "BROKEN",
        }
    }
}
