//! Fuzzes `checks/config.rs`.
#![no_main]

#[path = "../checks/config.rs"]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    check::check(data);
});
