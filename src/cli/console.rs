//! The device's console on stdout: bytes as they come for people, an object a line in JSON.

use serde_json::json;

use super::report::Reporter;

/// Where console text goes.
pub struct Console {
    reporter: Reporter,
    line: Vec<u8>,
}

impl Console {
    /// A console of this form.
    pub fn new(reporter: Reporter) -> Self {
        Self { reporter, line: Vec::new() }
    }

    /// Takes text as it comes.
    pub fn write(&mut self, text: &[u8]) {
        if !self.reporter.is_json() {
            return self.reporter.bytes(text);
        }
        for byte in text {
            self.line.push(*byte);
            if *byte == b'\n' {
                self.finish();
            }
        }
    }

    /// Shows what is left of a line.
    pub fn finish(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.reporter.object(&json!({ "reason": "output", "text": String::from_utf8_lossy(&line) }));
        }
    }
}
