//! Why the imports of a module have the contracts they have: for people who look at a module. Strippable; the loader ignores it.
//!
//! Layout (specs/format.md): UTF-8, one line an import in their order: who decided, then for each parameter and the result a
//! tab, a letter for the certainty and the reasons in words. Where a hints line says everything, there are no parts.

use alloc::string::String;
use core::fmt;

/// How sure a decision about an argument or result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// It might as well be otherwise: a hint has to say.
    Uncertain,
    /// A convention of C speaks for it, nothing against it.
    Likely,
    /// It follows from the types, from what the program does, or from a hint.
    Certain,
}

impl Certainty {
    /// Every degree, the least first.
    pub const ALL: [Self; 3] = [Self::Uncertain, Self::Likely, Self::Certain];

    /// The degree in a word, which begins with its letter in the section.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Uncertain => "uncertain",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

impl fmt::Display for Certainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a module says about one of its imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportEvidence<'a> {
    /// A hints file with its line, or the word for inference.
    pub source: &'a str,
    parts: &'a str,
}

impl<'a> ImportEvidence<'a> {
    /// Certainty and reasons of each parameter and then the result; nothing if the source says everything.
    pub fn parts(&self) -> impl Iterator<Item = (Certainty, &'a str)> + use<'a> {
        self.parts.split('\t').filter_map(|part| {
            let certainty = Certainty::ALL.into_iter().find(|one| part.starts_with(&one.word()[..1]))?;
            Some((certainty, &part[1..]))
        })
    }
}

/// What the section says about the import with this index; `None` where it is missing, damaged or silent.
#[must_use]
pub fn of_import(section: &[u8], index: usize) -> Option<ImportEvidence<'_>> {
    let line = core::str::from_utf8(section.split(|byte| *byte == b'\n').nth(index)?).ok()?;
    let (source, parts) = line.split_once('\t').unwrap_or((line, ""));
    (!source.is_empty()).then_some(ImportEvidence { source, parts })
}

/// The line of one import. What separates lines and parts becomes a blank in texts.
#[must_use]
pub fn line<'a>(source: &str, parts: impl IntoIterator<Item = (Certainty, &'a str)>) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = source.chars().map(plain).collect();
    for (certainty, reasons) in parts {
        line.push('\t');
        line.push_str(&certainty.word()[..1]);
        line.extend(reasons.chars().map(plain));
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn lines_are_found_by_the_index_of_their_import() {
        let inferred = line("inference", [(Certainty::Certain, "it is\ta number"), (Certainty::Uncertain, "")]);
        let section = [line("freertos.hints:7", []), inferred, String::from("\n")].concat();
        let first = of_import(section.as_bytes(), 0).expect("the first line");
        assert_eq!((first.source, first.parts().count()), ("freertos.hints:7", 0));
        let second = of_import(section.as_bytes(), 1).expect("the second line");
        let parts: Vec<_> = second.parts().collect();
        assert_eq!(second.source, "inference");
        assert_eq!(parts, [(Certainty::Certain, "it is a number"), (Certainty::Uncertain, "")]);
        assert_eq!((of_import(section.as_bytes(), 2), of_import(section.as_bytes(), 9)), (None, None));
        assert_eq!(of_import(&[0xff, b'\n'], 0), None);
    }
}
