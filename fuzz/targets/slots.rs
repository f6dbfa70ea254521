//! libFuzzer around [`espb_fuzz::slots`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    espb_fuzz::slots::attack(data);
});
