//! The flooding tenant's quota, and how much of it the flood got.

use crate::backend::Counts;

/// The flooding tenant's number.
pub const WHO: usize = 0;

const FRAMES: f64 = 2_000.0;
const BYTES: f64 = 10.0 * 1024.0 * 1024.0;
const CREATES: f64 = 60.0;
const CONNECTIONS: f64 = 20.0;

/// Its quota in the config.
pub const LIMITS: &str = r#"
[tenant.limits]
frames_per_second = 2000
bytes_per_second = "10MiB"
creates_per_minute = 60
connections = 20
"#;

/// The largest part of each limit that was used, 1 being all that a tenant may have.
#[derive(Debug, Default)]
pub struct Used {
    parts: Vec<f64>,
}

impl Used {
    /// A flood between two counts of the backend that lasted so many seconds. A second's worth may come at once.
    pub fn window(&mut self, before: Counts, after: Counts, lasted: f64, connections: u64) {
        let part = |passed: u64, rate: f64| passed as f64 / (rate * (lasted + 1.0));
        self.parts.push(part(after.frames - before.frames, FRAMES));
        // What is waiting in the proxy's buffers when the count begins is no more than the burst.
        self.parts.push(part(after.bytes - before.bytes, BYTES));
        self.parts.push(connections as f64 / CONNECTIONS);
    }

    /// The whole run, for what is counted by the minute.
    pub fn whole(&mut self, counts: Counts, lasted: f64) {
        self.parts.push(counts.creates as f64 / (CREATES * (lasted / 60.0 + 1.0)));
    }

    pub fn worst(&self) -> f64 {
        self.parts.iter().copied().fold(0.0, f64::max)
    }
}
