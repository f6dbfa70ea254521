//! How far long work is: a bar on a terminal, nothing elsewhere, an object a finished piece in JSON.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::report::Reporter;
use crate::device::flashing::{Progress, Written};
use espb_image::FlashOffset;

/// The bar of one piece of flash at a time.
pub struct Bar {
    reporter: Reporter,
    bar: ProgressBar,
}

impl Bar {
    /// A bar on stderr; hidden if that is no terminal, or in JSON.
    pub fn new(reporter: Reporter) -> Self {
        let target = if reporter.is_json() { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg:24} [{bar:40}] {pos}/{len} {elapsed}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { reporter, bar }
    }

    /// Begins work of this many steps.
    pub fn start(&self, what: String, steps: u64) {
        self.bar.reset();
        self.bar.set_length(steps);
        self.bar.set_message(what);
    }

    /// So many steps are done.
    pub fn at(&self, steps: u64) {
        self.bar.set_position(steps);
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Bar {
    fn begin(&mut self, offset: FlashOffset, steps: usize) {
        self.start(format!("writing {offset}"), steps as u64);
    }

    fn step(&mut self, done: usize) {
        self.at(done as u64);
    }

    fn verify(&mut self) {
        self.bar.set_message("verifying");
    }

    fn done(&mut self, written: Written) {
        self.clear();
        let Written { offset, length, skipped } = written;
        if self.reporter.is_json() {
            self.reporter.object(&json!({
                "reason": "segment", "offset": offset.0, "bytes": length, "skipped": skipped,
            }));
        } else {
            let what = if skipped { "there already" } else { "written and verified" };
            self.reporter.talk(&format!("{offset}: {length} bytes {what}"));
        }
    }
}
