//! libFuzzer around [`espb_fuzz::frames`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    espb_fuzz::frames::attack(data);
});
