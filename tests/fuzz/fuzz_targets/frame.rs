//! The strict client-side reader, at every split.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    pilotfish::wire::fuzz_frame(data);
});
