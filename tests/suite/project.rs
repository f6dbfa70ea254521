//! The sample project: what make builds, what it builds again, and what comes of it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use espb::chip::{Machine, MachineOptions, Until};

use crate::bootloader::Peer;
use crate::compile::root;
use crate::docs::{blocks, commands};
use crate::emulate::Chip;
use crate::program::{Finished, finish};

/// A copy of the sample project, as a user would make one.
struct Project {
    folder: tempfile::TempDir,
    /// The time that files were last set to: when the copy was made and some microseconds more, so later than any header
    /// that is not copied, and earlier than what make builds next. Nothing waits for a clock.
    now: SystemTime,
}

impl Project {
    fn copy() -> Self {
        let mut project =
            Project { folder: tempfile::tempdir().expect("a temporary folder"), now: SystemTime::UNIX_EPOCH };
        fs::create_dir(project.path().join("src")).expect("the folder is new");
        for name in ["src", "station.hints", "Makefile"] {
            let original = root().join("fixtures/project").join(name);
            let files = if original.is_dir() { inside(&original) } else { vec![original] };
            for file in files {
                let within = file.strip_prefix(root().join("fixtures/project")).expect("it is in the project");
                let text = fs::read(&file).expect("it is in the project");
                fs::write(project.path().join(within), text).expect("it can be written");
            }
        }
        let copied = fs::metadata(project.path().join("Makefile")).expect("it was copied");
        project.now = copied.modified().expect("this system keeps times");
        project.settle();
        project
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes every file older than what comes later.
    fn settle(&mut self) {
        self.now += Duration::from_micros(1);
        for folder in ["", "src", "build"].map(|name| self.path().join(name)) {
            inside(&folder).iter().filter(|path| path.is_file()).for_each(|file| self.touch(file));
        }
        self.now += Duration::from_micros(1);
    }

    fn touch(&self, file: &Path) {
        let file = File::options().append(true).open(file).expect("the file is there");
        file.set_modified(self.now).expect("its time can be set");
    }

    fn make(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new("make");
        command.args(arguments).arg(format!("ESPB={}", env!("CARGO_BIN_EXE_espb")));
        command.arg(format!("ESPB_SOURCE={}", root().display())).current_dir(self.path());
        // The tests themselves may have been started by a make.
        for name in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL"] {
            command.env_remove(name);
        }
        finish(&mut command)
    }

    /// What `make -j` builds, in alphabetical order.
    fn built(&mut self) -> Vec<String> {
        let finished = self.make(&["-j4"]);
        assert_eq!(finished.code, 0, "{}", finished.transcript());
        let commands = finished.stdout.lines().filter(|line| line.contains("/espb "));
        let outputs = commands.filter_map(|line| line.split(" -o ").nth(1)?.split(' ').next());
        let mut outputs: Vec<String> = outputs.map(str::to_owned).collect();
        outputs.sort();
        self.settle();
        outputs
    }
}

fn inside(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

const ALL: [&str; 4] = ["build/main.ll", "build/report.ll", "build/sensor.ll", "build/station.espb"];

#[test]
fn the_project_builds_in_parallel_and_again_only_what_a_change_reaches() {
    let mut project = Project::copy();
    assert_eq!(project.built(), ALL);
    assert_eq!(project.built(), [""; 0], "nothing changed");
    for (changed, outputs) in [
        ("src/sensor.c", &["build/sensor.ll", "build/station.espb"][..]),
        ("src/report.h", &["build/main.ll", "build/report.ll", "build/station.espb"]),
        ("src/sensor.h", &ALL),
        ("station.hints", &["build/station.espb"]),
        ("Makefile", &ALL),
    ] {
        project.touch(&project.path().join(changed));
        assert_eq!(project.built(), outputs, "after a change of {changed}");
        assert_eq!(project.built(), [""; 0], "after a change of {changed} and a build");
    }
}

#[test]
fn a_header_that_is_gone_with_its_includes_does_not_stop_make() {
    let mut project = Project::copy();
    project.built();
    let report = project.path().join("src/report.h");
    let declarations = fs::read_to_string(&report).expect("it was copied").replace("#pragma once", "");
    fs::remove_file(&report).expect("it was there");
    for source in ["src/main.c", "src/report.c"].map(|name| project.path().join(name)) {
        let text = fs::read_to_string(&source).expect("it was copied");
        fs::write(&source, text.replace("#include \"report.h\"", &declarations)).expect("it can be written");
    }
    assert_eq!(project.built(), ["build/main.ll", "build/report.ll", "build/station.espb"]);
}

#[test]
fn make_emulate_runs_the_project_and_make_flash_and_push_bring_it_to_a_device() {
    let project = Project::copy();
    let finished = project.make(&["-j4", "emulate"]);
    assert_eq!(finished.code, 0, "{}", finished.transcript());
    let said = "reading 3: 20.750 degrees\nreading 4: 21.000 degrees\nmean of 5: 20.500 degrees\n";
    assert!(finished.stdout.ends_with(said), "{}", finished.transcript());

    let peer = Peer::new(&[], 5);
    let flashed = project.make(&["flash", &format!("PORT={}", peer.port())]);
    assert_eq!(flashed.code, 0, "{}", flashed.transcript());
    let mut machine = Machine::esp32c3(peer.seen().flash, MachineOptions::default()).expect("it holds an application");
    machine.run(Until { deadline: Some(10 * Machine::TICKS_PER_SECOND), ..Until::default() });
    let bytes: Vec<u8> = machine.take_uart_output().iter().map(|sent| sent.byte).collect();
    let printed = String::from_utf8_lossy(&bytes);
    assert!(said.lines().all(|line| printed.contains(line)), "{printed}");

    let chip = Chip::new(project.path());
    let pushed = project.make(&["push", &format!("PORT={}", chip.link)]);
    assert_eq!(pushed.code, 0, "{}", pushed.transcript());
    let listed = chip.espb(&["list"]);
    assert_eq!(listed.objects("instance")[0]["source"], "RAM", "{}", listed.transcript());
}

#[test]
fn an_error_in_a_source_stops_make_with_clangs_words_and_leaves_no_module() {
    let project = Project::copy();
    fs::write(project.path().join("src/sensor.c"), "int sensor_start(void) { return missing; }\n")
        .expect("it can be written");
    let finished = project.make(&["-j4", "--keep-going"]);
    assert_eq!(finished.code, 2, "{}", finished.transcript());
    assert!(finished.stderr.contains("src/sensor.c:1:"), "{}", finished.transcript());
    assert!(finished.stderr.contains("espb::compile::clang_failed"), "{}", finished.transcript());
    assert!(!project.path().join("build/station.espb").exists());
}

#[test]
fn the_guide_shows_the_projects_makefile_and_its_make_commands_work() {
    let makefile = fs::read_to_string(root().join("fixtures/project/Makefile")).expect("it is in the tree");
    let shown = blocks("docs/makefiles.md", "make");
    assert!(shown.len() >= 2 && shown.iter().all(|rule| makefile.contains(rule.as_str())), "{shown:?}");

    let project = Project::copy();
    let commands = commands("docs/makefiles.md", &["make"]);
    assert!(commands.len() >= 4, "{commands:?}");
    for words in commands {
        // There is no device here.
        let mut arguments =
            if words.iter().any(|word| word == "flash" || word == "push") { vec!["--dry-run"] } else { Vec::new() };
        // The copy is elsewhere; make() says where.
        let said = words[1..].iter().filter(|word| !word.starts_with("ESPB_SOURCE="));
        arguments.extend(said.map(String::as_str));
        let finished = project.make(&arguments);
        assert_eq!(finished.code, 0, "{}", finished.transcript());
    }
}

/// A CMake project with the files and the two snippets of the guide, shaped as one of ESP-IDF.
fn cmake_project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [module, use_of_it] =
        blocks("docs/makefiles.md", "cmake").try_into().expect("the guide shows a file and its use");
    let app = "#include \"answer.h\"\nint app_main(void) { return ANSWER; }\n";
    let lists = format!(
        "cmake_minimum_required(VERSION 3.16)\nproject(sample C)\nadd_library(main STATIC main/main.c main/app.c)\n\
         target_include_directories(main PRIVATE include)\n{use_of_it}"
    );
    for (name, text) in [
        ("espb.cmake", module.as_str()),
        ("CMakeLists.txt", &lists),
        ("include/answer.h", "#define ANSWER 42\n"),
        ("main/main.c", "void nothing(void) {}\n"),
        ("main/app.c", app),
        ("plugin/app.c", app),
        ("app.c", app),
    ] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("a temporary folder");
        fs::write(path, text).expect("a temporary file");
    }
    folder
}

#[test]
fn the_guides_cmake_makes_modules_and_its_espb_commands_work() {
    let folder = cmake_project();
    let run = |words: &[String]| {
        let mut command = Command::new(if words[0] == "espb" { env!("CARGO_BIN_EXE_espb") } else { &words[0] });
        command.args(&words[1..]).current_dir(folder.path());
        if words.iter().any(|word| word == "-B") {
            command.arg(format!("-DESPB={}", env!("CARGO_BIN_EXE_espb")));
        }
        for name in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL"] {
            command.env_remove(name);
        }
        let finished = finish(&mut command);
        assert_eq!(finished.code, 0, "{}", finished.transcript());
        finished.stdout
    };
    let shown = commands("docs/makefiles.md", &["cmake"]);
    let [configure, build] = shown.as_slice() else { panic!("the guide shows two commands of cmake: {shown:?}") };
    run(configure);
    assert!(run(build).contains("app.espb"));
    let module = folder.path().join("build/app.espb");
    let result = || finish(Command::new(env!("CARGO_BIN_EXE_espb")).args(["run", "--for", "1s"]).arg(&module)).code;
    assert_eq!(result(), 42);
    assert_eq!(run(build), "ninja: no work to do.\n");

    let header = folder.path().join("include/answer.h");
    fs::write(&header, "#define ANSWER 43\n").expect("it can be written");
    let built = fs::metadata(&module).and_then(|module| module.modified()).expect("it was built");
    let file = File::options().append(true).open(&header).expect("it was written");
    file.set_modified(built + Duration::from_micros(1)).expect("its time can be set");
    run(build);
    assert_eq!(result(), 43, "a header has changed");

    let shown = commands("docs/makefiles.md", &["espb"]);
    assert!(shown.len() >= 3, "{shown:?}");
    shown.iter().for_each(|words| drop(run(words)));
}
