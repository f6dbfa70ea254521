//! A module cannot lie about a host function, and the kernel's whole interface is described.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use espb_format::container::{Module, SectionKind};
use espb_format::writer::ModuleWriter;
use espb_hints::HintSet;
use tempfile::TempDir;

use crate::compile::{root, to_ir, to_ir_with};
use crate::program::{Finished, espb};

/// A program whose imports have a string, a callback, a handle, and a result that is a handle.
const HONEST: &str = "\
#include \"freertos/FreeRTOS.h\"
#include \"freertos/queue.h\"
#include \"freertos/task.h\"
#include \"freertos/timers.h\"
#include <stdio.h>
static void expired(TimerHandle_t timer) { (void)timer; }
int app_main(void)
{
    int item = 7;
    QueueHandle_t queue = xQueueCreate(1, sizeof item);
    xQueueSend(queue, &item, 0);
    xTimerCreate(\"one\", 5, pdFALSE, NULL, expired);
    vTaskDelay(1);
    puts(\"done\");
    return 0;
}
";

fn build(folder: &TempDir, hints: Option<&str>) -> PathBuf {
    let source = folder.path().join("honest.c");
    fs::write(&source, HONEST).expect("a temporary file");
    let output = folder.path().join("module.espb");
    let input = to_ir(&source, folder.path());
    let mut arguments: Vec<OsString> = vec!["build".into(), input.into(), "-o".into(), output.clone().into()];
    if let Some(line) = hints {
        let path = folder.path().join("lies.hints");
        fs::write(&path, line).expect("a temporary file");
        arguments.extend(["--hints".into(), path.into()]);
    }
    let built = espb(arguments);
    assert_eq!(built.code, 0, "{}", built.transcript());
    output
}

/// The device refuses the module by the import's name, before a single instruction of it has run.
fn refused(module: &Path, import: &str, why: &str) {
    let options = ["run", "--emulate", "esp32c3", "--for", "1s", "--message-format", "json"];
    let finished = espb(options.map(OsString::from).into_iter().chain([module.into()]));
    assert_eq!(finished.code, 1, "{}", finished.transcript());
    let reports = finished.objects("diagnostic");
    let [report] = &reports[..] else { panic!("{}", finished.transcript()) };
    let message = report["message"].as_str().unwrap_or_default();
    assert!(message.contains(&format!("import `{import}`: ")) && message.contains(why), "{}", finished.transcript());
}

#[test]
fn hints_that_claim_more_than_the_firmware_grants_are_refused_at_load() {
    let pointers = "its pointers, handles, formats or result differ";
    for (line, import, why) in [
        ("puts(i32) -> i32", "puts", pointers),
        ("puts(ptr) -> i32: in 0 size 1", "puts", pointers),
        ("puts(ptr) -> i32: in 0 cstr null", "puts", pointers),
        ("xQueueGenericSend(ptr, ptr, i32, i32) -> i32: handle 0 timer, in 1 size 4", "xQueueGenericSend", pointers),
        ("xQueueGenericCreate(i32, i32, i32) -> ptr: returns own size arg 0", "xQueueGenericCreate", pointers),
        ("vTaskDelay(ptr): in 0 size 4 null", "vTaskDelay", pointers),
        (
            "xTimerCreate(ptr, i32, i32, ptr, ptr) -> ptr: in 0 cstr null deferred, cb 4 (ptr, i32) user 3, \
             returns handle timer null",
            "xTimerCreate",
            "its callbacks differ",
        ),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        refused(&build(&folder, Some(line)), import, why);
    }
}

/// The module with one section's bytes changed and everything else right again.
fn forge(module: &Path, kind: SectionKind, change: impl Fn(&Module<'_>, &mut Vec<u8>)) {
    let bytes = fs::read(module).expect("the module just built");
    let parsed = Module::parse(&bytes).expect("the translator makes right modules");
    let mut contents = parsed.section(kind).to_vec();
    change(&parsed, &mut contents);
    let mut writer = ModuleWriter::from(&parsed);
    writer.section(kind, contents);
    fs::write(module, writer.finish()).expect("a temporary file");
}

/// Where the record of an import begins in the import section.
fn record_of(module: &Module<'_>, name: &str) -> usize {
    module.imports().position(|import| import.name == name).expect("the program imports it") * 8
}

#[test]
fn forged_import_sections_are_refused_at_load() {
    const NO_RECORD: [u8; 2] = [0xff, 0xff];
    let folder = tempfile::tempdir().expect("a temporary folder");
    let put = |import: &'static str, at: usize, bytes: [u8; 2]| {
        let module = build(&folder, None);
        forge(&module, SectionKind::Imports, |parsed, section| {
            let place = record_of(parsed, import) + at;
            section[place..place + 2].copy_from_slice(&bytes);
        });
        module
    };
    // Bytes 4 and 5 of a record are the offset in immeta, 6 and 7 that in cbmeta.
    refused(&put("puts", 4, NO_RECORD), "puts", "its pointers, handles, formats or result differ");
    refused(&put("xTimerCreate", 6, NO_RECORD), "xTimerCreate", "its callbacks differ");
    // Another function under the record of a harmless one, and one that there is not.
    let renamed = |to: &str| {
        let module = build(&folder, None);
        forge(&module, SectionKind::Strings, |_, section| {
            let place = section.windows(5).position(|window| window == b"puts\0").expect("the program imports it");
            section[place..place + to.len()].copy_from_slice(to.as_bytes());
        });
        module
    };
    refused(&renamed("rand"), "rand", "its parameter or result types differ");
    refused(&renamed("putz"), "putz", "this firmware has no such function");
    // A record that says that null is accepted: behind length and head, bit 4 of the extent.
    let module = build(&folder, None);
    forge(&module, SectionKind::MarshalMeta, |parsed, section| {
        let record = parsed.imports().find(|import| import.name == "puts").and_then(|import| import.marshal);
        section[usize::from(record.expect("puts has a record")) + 2] ^= 1 << 4;
    });
    refused(&module, "puts", "its pointers, handles, formats or result differ");
}

/// Leaves native code with something to do later: a task that waits with the address of its buffer, a timer that writes, names
/// in memory of its heap. Then it ends at once, with `exit`: beside another, a module stays when its entry returns.
const LATE: &str = "\
#include \"freertos/FreeRTOS.h\"
#include \"freertos/queue.h\"
#include \"freertos/task.h\"
#include \"freertos/timers.h\"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int cells[64];
static void expired(TimerHandle_t timer)
{
    memset(pvTimerGetTimerID(timer), 0xff, sizeof cells);
    printf(\"expired\\n\");
}
static void wait(void *queue)
{
    xQueueReceive(queue, cells, portMAX_DELAY);
    printf(\"received\\n\");
    vTaskDelete(NULL);
}
int app_main(void)
{
    QueueHandle_t queue = xQueueCreate(1, sizeof cells);
    char *name = malloc(8);
    strcpy(name, \"late\");
    vQueueAddToRegistry(queue, name);
    xTaskCreate(wait, \"wait\", 2048, queue, 10, NULL);
    xTimerStart(xTimerCreate(name, 3, pdTRUE, cells, expired), 0);
    printf(\"set up\\n\");
    exit(0);
}
";

/// Fills what memory the firmware has to give, and looks whether anything in it changes.
const WITNESS: &str = "\
#include \"freertos/FreeRTOS.h\"
#include \"freertos/queue.h\"
#include \"freertos/task.h\"
#include <stdio.h>
#include <string.h>
static char page[1024];
int app_main(void)
{
    QueueHandle_t queues[8];
    memset(page, 0x5a, sizeof page);
    for (int at = 0; at < 8; at++) {
        queues[at] = xQueueCreate(2, sizeof page);
        xQueueSend(queues[at], page, 0);
    }
    vTaskDelay(50);
    int wrong = 0;
    for (int at = 0; at < 8; at++) {
        memset(page, 0, sizeof page);
        xQueueReceive(queues[at], page, 0);
        for (unsigned place = 0; place < sizeof page; place++) {
            wrong += page[place] != 0x5a;
        }
    }
    printf(wrong ? \"overwritten\\n\" : \"intact\\n\");
    return 0;
}
";

fn compile(folder: &TempDir, name: &str, source: &str) -> OsString {
    let path = folder.path().join(name).with_extension("c");
    fs::write(&path, source).expect("a temporary file");
    to_ir(&path, folder.path()).into()
}

/// Runs `main` for a virtual second beside `other`, which starts first.
fn beside(folder: &TempDir, main: &str, other: &str) -> Finished {
    let options = ["run", "--emulate", "esp32c3", "--for", "1s", "--message-format", "json", "--stats"];
    let files = [compile(folder, "main", main), "--with".into(), compile(folder, "other", other)];
    espb(options.map(OsString::from).into_iter().chain(files))
}

fn console(finished: &Finished) -> String {
    finished.objects("output").iter().filter_map(|line| line["text"].as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn nothing_is_written_or_called_for_a_module_that_has_ended() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let finished = beside(&folder, WITNESS, LATE);
    assert_eq!(finished.code, 0, "{}", finished.transcript());
    let text = console(&finished);
    assert!(text.contains("set up") && text.contains("intact"), "{}", finished.transcript());
    assert!(!text.contains("expired") && !text.contains("received"), "{}", finished.transcript());
}

/// A task that goes on, and is known to others by its name.
const VICTIM: &str = "\
#include \"freertos/FreeRTOS.h\"
#include \"freertos/task.h\"
#include <stdio.h>
static void work(void *main)
{
    vTaskDelay(100);
    xTaskNotifyGive(main);
    vTaskDelete(NULL);
}
int app_main(void)
{
    xTaskCreate(work, \"theirs\", 2048, xTaskGetCurrentTaskHandle(), 2, NULL);
    ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
    printf(\"undisturbed\\n\");
    return 0;
}
";

/// Wants to end another module's task.
const INTRUDER: &str = "\
#include \"freertos/FreeRTOS.h\"
#include \"freertos/task.h\"
int app_main(void)
{
    TaskHandle_t found;
    while ((found = xTaskGetHandle(\"theirs\")) == NULL) {
        vTaskDelay(5);
    }
    vTaskDelete(found);
    return 0;
}
";

#[test]
fn a_handle_of_another_instance_is_refused_and_that_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let finished = beside(&folder, VICTIM, INTRUDER);
    assert_eq!(finished.code, 0, "{}", finished.transcript());
    assert!(console(&finished).contains("undisturbed"), "{}", finished.transcript());
    let reports = finished.objects("diagnostic");
    let [report] = &reports[..] else { panic!("{}", finished.transcript()) };
    let message = report["message"].as_str().unwrap_or_default();
    let demand =
        "vTaskDelete: its contract forbids argument 0, which must be a handle of kind task that the module owns";
    assert!(message.contains(demand) && report["line"] == 9, "{}", finished.transcript());
}

/// The functions that a C header declares, under whatever condition.
fn declared(header: &str) -> BTreeSet<String> {
    let mut text = String::new();
    for (index, part) in header.split("/*").enumerate() {
        text += if index == 0 { part } else { part.split_once("*/").map_or("", |(_, rest)| rest) };
    }
    let text = text.replace('\r', "").replace("\\\n", " ");
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let statements = code.join("\n");
    let declarations = statements.split([';', '{', '}']).filter(|statement| !statement.trim().starts_with("typedef"));
    let names = declarations.filter_map(|statement| {
        let (before, _) = statement.split_once('(')?;
        let mut words =
            before.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
        let name = words.next_back()?;
        // A lone word before a parenthesis is no declaration.
        words.next().map(|_| name.to_owned())
    });
    names.collect()
}

#[test]
fn every_function_of_the_kernel_s_headers_has_a_hint_or_a_reason() {
    let headers = ["task", "queue", "semphr", "event_groups", "timers", "stream_buffer", "message_buffer"];
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("all.c");
    let includes: String = headers.iter().map(|name| format!("#include \"freertos/{name}.h\"\n")).collect();
    fs::write(&source, format!("#include \"freertos/FreeRTOS.h\"\n{includes}")).expect("a temporary file");
    // The kernel's own headers are where the compiler found them.
    let dependencies = folder.path().join("all.d");
    let option = dependencies.display().to_string();
    to_ir_with(&source, folder.path(), &["-MD", "-MF", &option]);
    let found = fs::read_to_string(&dependencies).expect("clang wrote it");
    let mut functions = BTreeSet::new();
    for name in headers {
        let file = format!("/include/{name}.h");
        let mut paths = found.split_whitespace().filter(|path| path.ends_with(&file) && !path.contains("fixtures"));
        let path = paths.next().unwrap_or_else(|| panic!("{name}.h is not among\n{found}"));
        functions.extend(declared(&fs::read_to_string(path).expect("a header")));
    }
    assert!(functions.len() > 150, "{functions:?}");

    let text = fs::read_to_string(root().join("hints/freertos.hints")).expect("the hints are in the tree");
    let left_out: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("#   ")).flat_map(str::split_whitespace).collect();
    let hints = HintSet::built_in().expect("the hints that espb brings are right");
    let missing: Vec<&String> =
        functions.iter().filter(|name| hints.get(name).is_none() && !left_out.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "neither described nor left out for a reason: {missing:?}");
    for name in left_out {
        assert!(functions.contains(name), "hints/freertos.hints leaves out {name}, which the kernel does not have");
        assert!(hints.get(name).is_none(), "hints/freertos.hints describes {name} and leaves it out");
    }
    // The names of ESP-IDF's V10.5 that V11 no longer has, or never had.
    for name in [
        "xTaskCreatePinnedToCore",
        "xTimerGenericCommand",
        "vTaskList",
        "vTaskGetRunTimeStats",
        "xTaskGetAffinity",
        "xTaskGetIdleTaskHandleForCPU",
        "xTaskGetCurrentTaskHandleForCPU",
        "ulTaskGetIdleRunTimeCounter",
        "vPortEnterCritical",
        "vPortExitCritical",
        "xPortInIsrContext",
    ] {
        assert!(hints.get(name).is_some(), "{name}");
    }
}
