//! The figures of a run, as a table or as one JSON object.

use serde_json::json;

use super::report::Reporter;
use crate::device::session::Figures;

/// Shows the figures.
pub fn show(reporter: Reporter, figures: &Figures) {
    let firmware = figures.firmware.unwrap_or_default();
    let end = figures.at_end.unwrap_or_default();
    if reporter.is_json() {
        return reporter.object(&json!({
            "reason": "stats",
            "virtual_cycles": end.cycles,
            "instructions": { "boot": figures.boot, "load": figures.load, "call": figures.call, "all": end.instructions },
            "vm_instructions": end.vm_instructions,
            "memory": { "linear": figures.linear_memory, "overhead": figures.overhead, "free_heap": firmware.free_heap },
            "peak": { "heap": firmware.heap_peak, "linear_stack": firmware.linear_stack_peak, "shadow_stack": firmware.shadow_stack_peak },
            "native_stack_spare": firmware.native_stack_spare,
            "heartbeats": firmware.heartbeats,
            "heartbeat_delay": firmware.heartbeat_delay,
            "ticks": firmware.ticks,
            "lost_interrupts": firmware.lost_interrupts,
        }));
    }
    let rows = [
        ("virtual time", end.cycles, "cycles since reset"),
        ("boot", figures.boot, "machine instructions"),
        ("verify and load", figures.load, "machine instructions"),
        ("call", figures.call.unwrap_or(0), "machine instructions of the whole chip, 0 where it did not end"),
        ("since reset", end.instructions, "machine instructions"),
        ("VM instructions", end.vm_instructions, ""),
        ("linear memory", figures.linear_memory.into(), "bytes"),
        ("instance beside it", figures.overhead.into(), "bytes"),
        ("heap peak", firmware.heap_peak.into(), "bytes"),
        ("linear stack peak", firmware.linear_stack_peak.into(), "bytes"),
        ("shadow stack peak", firmware.shadow_stack_peak.into(), "bytes"),
        ("native stack spare", firmware.native_stack_spare.into(), "bytes"),
        ("free firmware heap", firmware.free_heap.into(), "bytes"),
        ("heartbeats", firmware.heartbeats.into(), "of the firmware, one in 10 ms"),
        ("heartbeat delay", firmware.heartbeat_delay.into(), "microseconds at most"),
        ("ticks", firmware.ticks.into(), "of the kernel, one in 1 ms"),
        ("interrupts lost", firmware.lost_interrupts.into(), "of those that modules handle, too many at once"),
    ];
    for (name, value, unit) in rows {
        reporter.talk(&format!("{name:<20} {value:>12} {unit}"));
    }
}
