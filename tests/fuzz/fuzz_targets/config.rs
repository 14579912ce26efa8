//! The config loader: any text gives a config or a list of problems.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    pilotfish::config::fuzz(data);
});
