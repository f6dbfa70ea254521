//! All hints of one or more files, by name of the function.
//!
//! Files are given as text: reading them is the caller's.

use crate::error::HintError;
use crate::hint::Hint;
use crate::parse::{self, Line};
use espb_format::contract::Flags;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The hints that come with espb: file name and text.
const BUILT_IN: [(&str, &str); 3] = [
    ("freertos.hints", include_str!("../freertos.hints")),
    ("esp-idf.hints", include_str!("../esp-idf.hints")),
    ("libc.hints", include_str!("../libc.hints")),
];

/// Hints by function name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HintSet {
    hints: BTreeMap<String, Hint>,
}

impl HintSet {
    /// Parses a file; `file` is its name in messages.
    ///
    /// # Errors
    /// Every line that is not understood, and every function that the file describes a second time.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<HintError>> {
        let file: Arc<str> = file.into();
        let mut set = Self::default();
        let mut errors = Vec::new();
        let mut context = Flags::NONE;
        for (number, text) in (1..=u32::MAX).zip(text.lines()) {
            match parse::line(&file, number, context, text) {
                Ok(Line::Blank) => {}
                Ok(Line::Section(flags)) => context = flags,
                Ok(Line::Hint(hint)) => match set.hints.get(&hint.name) {
                    Some(first) => errors.push(hint.error(
                        hint.column,
                        format!("`{}` is described twice", hint.name),
                        format!("the first time is line {}", first.line),
                    )),
                    None => drop(set.hints.insert(hint.name.clone(), hint)),
                },
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(set) } else { Err(errors) }
    }

    /// The hints that come with espb. No function is in two of the files.
    ///
    /// # Errors
    /// As [`HintSet::parse`]; a test keeps the files free of them.
    pub fn built_in() -> Result<Self, Vec<HintError>> {
        let mut all = Self::default();
        for (file, text) in BUILT_IN {
            let set = Self::parse(file, text)?;
            let twice = set.hints.values().filter_map(|hint| all.hints.get(&hint.name).map(|first| (hint, first)));
            let errors: Vec<HintError> = twice
                .map(|(hint, first)| {
                    let message = format!("`{}` is described twice", hint.name);
                    hint.error(hint.column, message, format!("the first time is {}:{}", first.file, first.line))
                })
                .collect();
            if !errors.is_empty() {
                return Err(errors);
            }
            all.overlay(set);
        }
        Ok(all)
    }

    /// Adds the hints of `later`, which win over those that are there.
    pub fn overlay(&mut self, later: HintSet) {
        self.hints.extend(later.hints);
    }

    /// Keeps the functions for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.hints.retain(|name, _| keep(name));
    }

    /// The hint of a function.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Hint> {
        self.hints.get(name)
    }

    /// All hints, sorted by the bytes of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Hint> {
        self.hints.values()
    }

    /// Number of functions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hints.len()
    }

    /// Whether no function is described.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hints.is_empty()
    }
}
