//! What a frame costs before any socket is touched: framing, glancing, scanning, placing. `cargo bench --bench micro`.
//!
//! Each figure is the fastest of several samples: everything that disturbs a sample makes it slower, nothing makes it faster.
#![forbid(unsafe_code)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use pilotfish::{
    balance::{Candidate, LoadBound, bounded, hash_key, name_seed, rank},
    wire::{Scan, frame, glance::glance},
};

const SAMPLES: usize = 10;

fn main() {
    // `cargo bench -- --quick` shows that it runs.
    let sample = Duration::from_millis(if std::env::args().any(|arg| arg == "--quick") { 2 } else { 100 });
    println!("{:<44} {:>10} {:>10}", "", "ns", "GB/s");
    wire(sample);
    placement(sample);
}

fn wire(sample: Duration) {
    let call =
        br#"{"jsonrpc":"2.0","id":1000000,"method":"session.send","params":{"sessionId":"s00-00","prompt":"xxxxxxx"}}"#;
    let event = event(300);
    let mut stream = Vec::new();
    frame::append_frame(&mut stream, &event);
    measure(sample, "frame: head of a 300 B event", stream.len(), || frame::read_head(black_box(&stream), 1 << 26));
    let odd = [b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\n", &stream[..]].concat();
    measure(sample, "frame: head with a Content-Type", odd.len(), || frame::read_head(black_box(&odd), 1 << 26));
    measure(sample, "glance: 300 B event of a backend", event.len(), || glance(black_box(&event), true).is_some());
    let answer = br#"{"jsonrpc":"2.0","id":1000000,"result":{"messageId":"fb4bd045-6ee2-473c-aae2-fa42c79763a4"}}"#;
    measure(sample, "glance: answer of a backend", answer.len(), || glance(black_box(answer), true).is_some());
    measure(sample, "scan: call of 105 B", call.len(), || Scan::read(black_box(call)).is_ok());
    for (name, size) in
        [("scan: 700 B of params", 700), ("scan: 42 KB of text", 42_000), ("scan: 1 MiB of text", 1 << 20)]
    {
        let body = request(size);
        measure(sample, name, body.len(), || Scan::read(black_box(&body)).is_ok());
    }
    let escaped = request(42_000)
        .iter()
        .map(|byte| if *byte == b'w' { b"\\n".to_vec() } else { vec![*byte] })
        .collect::<Vec<_>>()
        .concat();
    measure(sample, "scan: 42 KB with many escapes", escaped.len(), || Scan::read(black_box(&escaped)).is_ok());
}

fn placement(sample: Duration) {
    measure(sample, "placement: hash of a session id", 36, || {
        hash_key(black_box(b"550e8400-e29b-41d4-a716-446655440000"))
    });
    for count in [3, 10, 100] {
        let all: Vec<_> = (0..count).map(|at| candidate(&format!("cli-{at}"))).collect();
        let pairs = || all.iter().map(|candidate| (*candidate, candidate.seed));
        measure(sample, &format!("placement: rank of {count} backends"), 0, || rank(black_box(7), pairs()));
        let bound = LoadBound::default();
        measure(sample, &format!("placement: bounded, {count} backends"), 0, || bounded(black_box(7), bound, pairs()));
    }
}

fn candidate(name: &str) -> Candidate {
    Candidate { seed: name_seed(name), weight: 1, load: 10, ramp: 1.0 }
}

/// A request whose params hold about `size` bytes of words.
fn request(size: usize) -> Vec<u8> {
    let prompt = "a few words of prose ".repeat(size / 21);
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"session.send","params":{{"sessionId":"s1","prompt":"{prompt}","mode":"enqueue"}}}}"#)
        .into_bytes()
}

/// A `session.event` body of about `size` bytes.
fn event(size: usize) -> Vec<u8> {
    let delta = "d".repeat(size - 230);
    format!(r#"{{"jsonrpc":"2.0","method":"session.event","params":{{"sessionId":"s1","event":{{"type":"assistant.message_delta","data":{{"messageId":"m1","deltaContent":"{delta}"}},"ephemeral":true,"id":"c75b3824","timestamp":"2026-11-24T07:02:49.591Z","parentId":"abf10ba6"}}}}}}"#)
        .into_bytes()
}

/// Prints nanoseconds for one `work`, and gigabytes a second where it goes over `bytes`.
fn measure<T>(sample: Duration, name: &str, bytes: usize, mut work: impl FnMut() -> T) {
    let mut batch = 1_u32;
    let mut best = f64::INFINITY;
    let mut taken = 0;
    while taken < SAMPLES {
        let start = Instant::now();
        for _ in 0..batch {
            black_box(work());
        }
        let time = start.elapsed();
        if time < sample && batch < u32::MAX / 2 {
            batch *= 2; // Too short for the clock: not a sample yet.
            continue;
        }
        best = best.min(time.as_secs_f64() / f64::from(batch));
        taken += 1;
    }
    let rate = if bytes == 0 { String::new() } else { format!("{:.2}", bytes as f64 / best / 1e9) };
    println!("{name:<44} {:>10.1} {rate:>10}", best * 1e9);
}
