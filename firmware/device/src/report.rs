//! What has become of an instance, in events for the host. Ends what has ended.

use core::fmt::Write;

use espb_format::checksum::crc32;
use espb_format::signature::{Signature, ValType};
use espb_link::event::{Event, Exited, Frame, MAX_BACKTRACE, MAX_TEXT, Refused, Trapped, Value};
use espb_link::tag::Tag;
use espb_vm::{Trap, TrapKind};

use crate::{
    host,
    instance::{Failure, Progress, Running, end, load, start},
    kernel, link,
    native_call::Assertion,
    trial,
};

/// Refuses a request.
pub fn refuse(tag: Tag, refused: &load::Refused) {
    link::answer(
        tag,
        &Event::Refused(Refused {
            kind: refused.kind,
            code: refused.code,
            offset: refused.offset,
            reason: &refused.reason,
        }),
    );
}

/// Looks whether the instance has come to an end; if so, ends it and tells the host.
pub fn settle(running: &'static Running) {
    let progress = running.progress();
    let report = running.instance().report();
    if let Some(trap) = report.map(|report| report.trap).or(progress.trap) {
        trapped(running, &progress, trap);
    } else if let (Some(result), false) = (progress.result, progress.told) {
        returned(running, &progress, result);
    }
}

fn returned(running: &'static Running, progress: &Progress, result: u64) {
    let module = running.instance().module();
    let signature = running.function().and_then(|function| start::signature_of(module, function).ok());
    let (instance, instructions) = (running.id(), progress.instructions());
    let exited = Exited { instance, result: value(signature, result), instructions };
    running.note_told();
    if running.is_detached() {
        end::end_call(running);
    } else {
        end::end(running);
    }
    link::send(&Event::Exited(exited));
}

fn value(signature: Option<Signature>, slots: u64) -> Value {
    match signature.and_then(|signature| signature.result()) {
        None => Value::Void,
        Some(ValType::I32) => Value::I32(slots as i32),
        Some(ValType::I64) => Value::I64(slots as i64),
        Some(ValType::F32) => Value::F32(f32::from_bits(slots as u32)),
        Some(ValType::F64) => Value::F64(f64::from_bits(slots)),
    }
}

fn trapped(running: &'static Running, progress: &Progress, trap: Trap) {
    let (instance, instructions) = (running.id(), progress.instructions());
    if let Some(code) = trap.exit_code() {
        end::end(running);
        return link::send(&Event::Exited(Exited { instance, result: Value::I32(code), instructions }));
    }
    let mut reason = heapless::String::<MAX_TEXT>::new();
    // A text that is too long is cut.
    let _ = describe(running, progress, &trap, &mut reason);
    let mut backtrace = heapless::Vec::<Frame, MAX_BACKTRACE>::new();
    if let Some(report) = running.instance().report() {
        let frames = report.frames().iter().map(|frame| Frame { function: frame.function, word: frame.offset / 4 });
        backtrace.extend(frames.take(MAX_BACKTRACE));
    }
    let module_crc32 = kernel::in_background(|| crc32(running.instance().module().bytes()));
    let length = progress.task.iter().position(|byte| *byte == 0).unwrap_or(progress.task.len());
    let task = core::str::from_utf8(progress.task.get(..length).unwrap_or_default()).unwrap_or("");
    trial::note_trap(instance);
    end::end(running);
    link::send(&Event::Trapped(Trapped {
        instance,
        code: trap.kind as u8,
        reason: &reason,
        value: value_of(&trap),
        task,
        backtrace,
        module_crc32,
        instructions,
    }));
}

fn describe(running: &'static Running, progress: &Progress, trap: &Trap, text: &mut impl Write) -> core::fmt::Result {
    let import = running.instance().module().import(trap.import);
    if let Some(import) = &import {
        write!(text, "{}", import.name)?;
    }
    let separator = if import.is_some() { ": " } else { "" };
    match trap.kind {
        TrapKind::Contract if let Some(import) = &import => {
            write!(text, ": its contract forbids argument {}", trap.argument)?;
            host::describe_demand(import.name, trap.argument, text)
        }
        TrapKind::Host => match progress.assertion {
            Some(Assertion { file, line }) if trap.value == Failure::KernelAssertion as u32 + line => {
                let file = file.to_str().unwrap_or_default();
                write!(text, "{separator}the call breaks a rule that the kernel asserts at {file}:{line}")
            }
            _ => write!(text, "{separator}{}", Failure::text(trap.value)),
        },
        kind => write!(text, "{separator}{}", kind.text()),
    }
}

fn value_of(trap: &Trap) -> Option<u32> {
    matches!(
        trap.kind,
        TrapKind::Load
            | TrapKind::Store
            | TrapKind::LinearStackOverflow
            | TrapKind::StackPointer
            | TrapKind::IndirectCall
            | TrapKind::IndirectSignature
            | TrapKind::Explicit
            | TrapKind::HeapMisuse
            | TrapKind::Contract
            | TrapKind::Host
    )
    .then_some(trap.value)
}
