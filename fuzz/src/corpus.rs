//! The inputs that are tried again and again: those in `corpus/TARGET.hex`, one a line, and noise that follows from a number.

use std::fs;
use std::path::Path;

/// The inputs of `corpus/TARGET.hex`; none where there is no such file.
///
/// # Panics
/// Where a line is not hexadecimal.
pub fn inputs(target: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target).with_extension("hex");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let line = |line: &str| {
        let digits: Vec<u8> = line
            .chars()
            .map(|digit| digit.to_digit(16).unwrap_or_else(|| panic!("{}: {line} is not hexadecimal", path.display())))
            .map(|digit| digit as u8)
            .collect();
        digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    };
    text.lines().filter(|text| !text.starts_with('#')).map(line).collect()
}

/// Bytes without end that follow from a number (splitmix64).
pub fn noise(number: u64) -> impl Iterator<Item = u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    std::iter::from_fn(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some((word ^ word >> 31).to_le_bytes())
    })
    .flatten()
}
