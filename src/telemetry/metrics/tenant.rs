//! What is counted for one tenant.

use prometheus::{IntCounter, IntGauge};

use super::{families::Families, family::ByLabel, label::Rule};

/// What is counted for one tenant; its gauges are set at scrape time.
#[derive(Debug)]
pub struct TenantMetrics {
    /// Connected clients.
    pub connections: IntGauge,
    /// Live sessions.
    pub sessions: IntGauge,
    /// Running turns.
    pub turns: IntGauge,
    /// Frames of its clients.
    pub frames: IntCounter,
    /// Bytes of those.
    pub bytes: IntCounter,
    /// What the wall refused.
    pub refused: ByLabel<Rule, IntCounter>,
}

impl TenantMetrics {
    pub(super) fn new(of: &Families, name: &str) -> Self {
        Self {
            connections: of.tenant_connections.with([name]),
            sessions: of.tenant_sessions.with([name]),
            turns: of.tenant_turns.with([name]),
            frames: of.tenant_frames.with([name]),
            bytes: of.tenant_bytes.with([name]),
            refused: ByLabel::new(|rule| of.refusals.with([name, rule])),
        }
    }
}
