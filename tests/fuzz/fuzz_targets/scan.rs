//! The scanner against serde_json: it agrees or refuses.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    pilotfish::wire::fuzz_scan(data);
});
