//! libFuzzer around [`espb_fuzz::interpreter`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    espb_fuzz::interpreter::attack(data);
});
