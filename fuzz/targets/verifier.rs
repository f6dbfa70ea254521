//! libFuzzer around [`espb_fuzz::verifier`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    espb_fuzz::verifier::attack(data);
});
