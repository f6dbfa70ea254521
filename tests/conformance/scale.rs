//! How the time and memory of `espb build` grow with the program: csmith programs, more and more of them linked into one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::case::Case;
use crate::compile::{Form, Tools};
use crate::root;

/// How many programs are linked.
const SIZES: [usize; 4] = [60, 120, 240, 480];
/// Between two looks at the memory of the translator.
const SAMPLE: Duration = Duration::from_millis(10);

/// Measures all sizes, from the first of `cases`; a table.
pub fn table(cases: &[Case], tools: &Tools) -> Result<String, String> {
    let folder = root().join("build/conformance/scale");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut text =
        format!("{:>8} {:>16} {:>10} {:>14} {:>10}\n", "programs", "IR instructions", "time", "per 1000", "memory");
    let mut inputs = Vec::new();
    let mut instructions = 0;
    for size in SIZES {
        for (index, case) in cases.iter().enumerate().take(size).skip(inputs.len()) {
            let ir = one(case, index, &folder, tools)?;
            instructions += count_instructions(&ir)?;
            inputs.push(ir);
        }
        let driver = driver(inputs.len(), &folder, tools, cases)?;
        let (time, memory) = build(&inputs, &driver, &folder)?;
        let per_thousand = time.as_secs_f64() * 1e6 / instructions as f64;
        text += &format!(
            "{:>8} {instructions:>16} {:>7.2} s {per_thousand:>11.2} ms {:>7} MB\n",
            inputs.len(),
            time.as_secs_f64(),
            memory / 1024
        );
    }
    Ok(text)
}

/// A random program under a name of its own, as IR text.
fn one(case: &Case, index: usize, folder: &Path, tools: &Tools) -> Result<PathBuf, String> {
    let mut program = (*case.program).clone();
    let path = folder.join(format!("{index}.c"));
    if let Some((command, output)) = &mut program.generator {
        command.extend(["--output".into(), path.display().to_string()]);
        output.clone_from(&path);
    }
    for source in &mut program.sources {
        source.path.clone_from(&path);
    }
    for source in &mut program.sources {
        source.options.push(format!("-Dmain=program_{index}"));
    }
    compile(program, &folder.join(index.to_string()), case, tools)
}

/// A program that runs the others.
fn driver(count: usize, folder: &Path, tools: &Tools, cases: &[Case]) -> Result<PathBuf, String> {
    let path = folder.join(format!("all_{count}.c"));
    let calls = (0..count)
        .map(|index| format!("    int program_{index}( void );\n    program_{index}();\n"))
        .collect::<String>();
    let text = format!("int app_main( void )\n{{\n{calls}    return 0;\n}}\n");
    fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    let Some(case) = cases.first() else { return Err("there are no random programs".into()) };
    let mut program = (*case.program).clone();
    program.generator = None;
    program.sources.truncate(1);
    for source in &mut program.sources {
        source.path.clone_from(&path);
    }
    compile(program, &folder.join(format!("all_{count}")), case, tools)
}

fn compile(program: crate::case::Program, folder: &Path, case: &Case, tools: &Tools) -> Result<PathBuf, String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let case = Case { program: program.into(), level: "Os", ..case.clone() };
    tools.to_ir(&case, folder, Form::Text)?.pop().ok_or_else(|| String::from("a program without a file"))
}

/// Instructions in IR text: one stands on a line of its own, indented by two.
fn count_instructions(ir: &Path) -> Result<usize, String> {
    let text = fs::read_to_string(ir).map_err(|error| format!("{}: {error}", ir.display()))?;
    let instruction = |line: &&str| line.strip_prefix("  ").is_some_and(|rest| !rest.starts_with([' ', ']', ';']));
    Ok(text.lines().filter(instruction).count())
}

/// Wall time, and the most memory in KB that one of the translator's processes held.
fn build(inputs: &[PathBuf], driver: &Path, folder: &Path) -> Result<(Duration, u64), String> {
    let start = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_espb"));
    command.arg("build").args(inputs).arg(driver).arg("-o").arg(folder.join("all.espb")).current_dir(root());
    let mut child = command.stderr(Stdio::inherit()).spawn().map_err(|error| format!("espb: {error}"))?;
    let mut memory = 0;
    loop {
        memory = memory.max(most_memory(&child));
        match child.try_wait().map_err(|error| format!("espb: {error}"))? {
            Some(status) if status.success() => return Ok((start.elapsed(), memory)),
            Some(status) => return Err(format!("espb build ended with {status}")),
            None => thread::sleep(SAMPLE),
        }
    }
}

/// The peak so far, of the process and of those that it started, from /proc.
fn most_memory(child: &Child) -> u64 {
    let id = child.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let ids = children.split_whitespace().filter_map(|word| word.parse().ok()).chain([id]);
    ids.map(peak).max().unwrap_or(0)
}

fn peak(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
