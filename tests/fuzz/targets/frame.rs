//! Fuzzes `checks/frame.rs`.
#![no_main]

#[path = "../checks/frame.rs"]
mod check;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    check::check(data);
});
