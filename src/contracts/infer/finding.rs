//! A decision of the inference: what something means, how sure that is, and why.
//!
//! Never holds a decision without the words that justify it.

pub use espb_format::evidence::Certainty;

/// What a parameter or the result means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding<M> {
    /// The meaning; of an uncertain one the best guess, for the line that is suggested.
    pub meaning: M,
    /// How sure.
    pub certainty: Certainty,
    /// Why, in words.
    pub evidence: Vec<String>,
}

impl<M> Finding<M> {
    pub(super) fn certain(meaning: M, why: impl Into<String>) -> Self {
        Self { meaning, certainty: Certainty::Certain, evidence: vec![why.into()] }
    }

    pub(super) fn likely(meaning: M, why: impl Into<String>) -> Self {
        Self { meaning, certainty: Certainty::Likely, evidence: vec![why.into()] }
    }

    pub(super) fn uncertain(meaning: M, why: impl Into<String>) -> Self {
        Self { meaning, certainty: Certainty::Uncertain, evidence: vec![why.into()] }
    }

    /// The same with one more reason.
    pub(super) fn and(mut self, why: impl Into<String>) -> Self {
        self.evidence.push(why.into());
        self
    }
}
