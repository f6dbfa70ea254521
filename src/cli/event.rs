//! What the link says unasked, for people and as objects. Which fields an object has is in docs/devices.md.

use espb_link::event::{Refusal, Value};
use serde_json::json;

use super::list;
use super::report::Reporter;
use crate::device::client::{Message, RefusedRequest};

/// Shows an event. Answers to what another program asked are left out.
pub fn show(message: &Message, reporter: Reporter) {
    if reporter.is_json() {
        objects(message).iter().for_each(|object| reporter.object(object));
    } else if let Some(text) = text(message) {
        reporter.talk(&format!("[{text}]"));
    }
}

fn text(message: &Message) -> Option<String> {
    Some(match message {
        Message::Hello { free_heap, .. } => format!("the device is up, {free_heap} bytes of heap are free"),
        Message::Loaded(loaded) => format!("instance {} is loaded", loaded.instance.0),
        Message::Started(instance) => format!("instance {} runs", instance.0),
        Message::Stopped(instance) => format!("instance {} was stopped", instance.0),
        Message::Exited(exited) => match value(exited.result).1 {
            serde_json::Value::Null => format!("instance {} returned", exited.instance.0),
            result => format!("instance {} returned {result}", exited.instance.0),
        },
        Message::Refused(refused) => format!("refused: {}", refused.reason),
        Message::Trapped { instance, trap, .. } => {
            format!(
                "instance {} was stopped: {}; its module is not below this folder: name it to see the C lines",
                instance.0, trap.reason
            )
        }
        Message::Slots(table) => {
            let states: Vec<&str> = table.slots.iter().map(|slot| slot.state.name()).collect();
            format!("slots: {}", states.join(", "))
        }
        Message::Stats(_)
        | Message::Pong(_)
        | Message::Instances(_)
        | Message::Received { .. }
        | Message::Stored { .. }
        | Message::Speed(_) => return None,
    })
}

fn objects(message: &Message) -> Vec<serde_json::Value> {
    vec![match message {
        Message::Hello { boot_instructions, free_heap } => {
            json!({ "reason": "hello", "boot_instructions": boot_instructions, "free_heap": free_heap })
        }
        Message::Loaded(loaded) => json!({
            "reason": "loaded", "instance": loaded.instance.0, "load_instructions": loaded.load_instructions,
            "linear_memory": loaded.linear_memory, "overhead": loaded.overhead, "free_heap": loaded.free_heap,
        }),
        Message::Started(instance) => json!({ "reason": "started", "instance": instance.0, "slot": null }),
        Message::Stopped(instance) => json!({ "reason": "stopped", "instance": instance.0 }),
        Message::Exited(exited) => {
            let (kind, result) = value(exited.result);
            json!({
                "reason": "exited", "instance": exited.instance.0, "type": kind, "value": result,
                "instructions": exited.instructions,
            })
        }
        Message::Refused(RefusedRequest { kind, offset, reason }) => {
            json!({ "reason": "refused", "kind": refusal(*kind), "offset": offset, "message": reason })
        }
        Message::Trapped { instance, trap, instructions } => {
            let frames = trap.backtrace.iter().map(|(function, word)| json!({ "function": function, "word": word }));
            json!({
                "reason": "trapped", "instance": instance.0, "trap": trap.code, "message": trap.reason,
                "cause": trap.value, "task": trap.task, "module_crc32": trap.module_crc32, "backtrace": frames.collect::<Vec<_>>(),
                "instructions": instructions,
            })
        }
        Message::Slots(table) => return list::slot_objects(table),
        Message::Stats(_)
        | Message::Pong(_)
        | Message::Instances(_)
        | Message::Received { .. }
        | Message::Stored { .. }
        | Message::Speed(_) => return Vec::new(),
    }]
}

/// The C type and the value of a result.
fn value(value: Value) -> (&'static str, serde_json::Value) {
    match value {
        Value::Void => ("void", serde_json::Value::Null),
        Value::I32(result) => ("i32", json!(result)),
        Value::I64(result) => ("i64", json!(result)),
        Value::F32(result) => ("f32", json!(result)),
        Value::F64(result) => ("f64", json!(result)),
    }
}

fn refusal(kind: Refusal) -> &'static str {
    match kind {
        Refusal::Request => "request",
        Refusal::Slot => "slot",
        Refusal::Format => "format",
        Refusal::Import => "import",
        Refusal::Memory => "memory",
        Refusal::Call => "call",
        Refusal::Seal => "seal",
    }
}
