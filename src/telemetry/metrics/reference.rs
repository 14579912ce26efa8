//! `docs/metrics.md`, generated from the declarations, so that the two cannot differ.

use super::{
    BackendState, CleanupEnd, CleanupOutcome, ClientEnd, DiscoveryChange, DiscoveryOutcome, Dropped, EphemeralOutcome,
    EvictCause, InstanceStart, InstanceState, InstanceStop, Label, LinkEnd, LinkOutcome, LockOutcome, Loss, Metrics,
    MoveCause, MoveOutcome, OperationKind, OperationOutcome, OrphanEnd, ProbeOutcome, Reason, RecycleReason, Rejection,
    SessionState, StallEnd, StoreOp, StoreOutcome, Towards, TurnOutcome, WakeOutcome, Way,
};

const HEAD: &str = "# Metrics
<!-- Generated: `PILOTFISH_REGENERATE=1 cargo test --lib telemetry` writes this file, `cargo test` compares it. -->

The admin listener serves these at `/metrics` as Prometheus text. Units are seconds and bytes. Every label is a closed
set: names from the config, or the values listed below the table; never a session, a token or a client's own words.

| metric | type | labels | help |
| --- | --- | --- | --- |
";

const TAIL: &str = "
`method` is a name of the method table, or `other`. `listener`, `pool` and `backend` are names of the config, or `backend` what discovery calls it.
";

fn row(of: &str, values: Vec<&'static str>) -> String {
    let quoted: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
    format!("| {of} | {} |\n", quoted.join(", "))
}

fn values<L: Label>() -> Vec<&'static str> {
    L::ALL.iter().map(|value| value.label()).collect()
}

fn page() -> String {
    let metrics = Metrics::new(&[]).unwrap();
    let mut page = String::from(HEAD);
    for d in &metrics.definitions {
        let labels: Vec<_> = d.labels.iter().map(|label| format!("`{label}`")).collect();
        page.push_str(&format!("| `{}` | {} | {} | {} |\n", d.name, d.kind, labels.join(", "), d.help));
    }
    page.push_str("\n| label | values |\n| --- | --- |\n");
    let outcomes = [vec!["ok", "error"], values::<Reason>()].concat();
    for (of, values) in [
        ("`reason` of `pilotfish_clients_rejected_total`", values::<Rejection>()),
        ("`reason` of `pilotfish_clients_closed_total`", values::<ClientEnd>()),
        ("`outcome` of `pilotfish_links_opened_total`", values::<LinkOutcome>()),
        ("`reason` of `pilotfish_links_closed_total`", values::<LinkEnd>()),
        ("`state` of `pilotfish_sessions`", values::<SessionState>()),
        ("`outcome` of `pilotfish_turns_total`", values::<TurnOutcome>()),
        ("`cause` of `pilotfish_session_evictions_total`", values::<EvictCause>()),
        ("`outcome` of `pilotfish_session_wakes_total`", values::<WakeOutcome>()),
        ("`outcome` of `pilotfish_turn_locks_total`", values::<LockOutcome>()),
        ("`state` of `pilotfish_instances`", values::<InstanceState>()),
        (
            "`outcome` of `pilotfish_instance_starts_total` and `pilotfish_instance_start_seconds`",
            values::<InstanceStart>(),
        ),
        ("`cause` of `pilotfish_instance_stops_total`", values::<InstanceStop>()),
        ("`outcome` of `pilotfish_cleanup_sessions_total`", values::<CleanupOutcome>()),
        ("`outcome` of `pilotfish_cleanup_runs_total`", values::<CleanupEnd>()),
        ("`outcome` of `pilotfish_ephemeral_deleted_total`", values::<EphemeralOutcome>()),
        ("`cause` of `pilotfish_session_moves_total`", values::<MoveCause>()),
        ("`outcome` of `pilotfish_session_moves_total`", values::<MoveOutcome>()),
        ("`outcome` of `pilotfish_orphan_sessions_total`", values::<OrphanEnd>()),
        ("`outcome` of `pilotfish_stalled_turns_total`", values::<StallEnd>()),
        ("`outcome` of `pilotfish_requests_total`", outcomes),
        ("`reason` of `pilotfish_errors_total`", values::<Reason>()),
        ("`reason` of `pilotfish_dropped_total`", values::<Dropped>()),
        ("`state` of `pilotfish_backend_state`", values::<BackendState>()),
        ("`outcome` of `pilotfish_probes_total`", values::<ProbeOutcome>()),
        ("`kind` of `pilotfish_operations_total`", values::<OperationKind>()),
        ("`reason` of `pilotfish_recycles_total`", values::<RecycleReason>()),
        ("`outcome` of `pilotfish_operations_total`", values::<OperationOutcome>()),
        ("`reason` of `pilotfish_leases_lost_total`", values::<Loss>()),
        ("`outcome` of `pilotfish_discovery_updates_total`", values::<DiscoveryOutcome>()),
        ("`change` of `pilotfish_discovery_changes_total`", values::<DiscoveryChange>()),
        ("`op` of `pilotfish_store_requests_total`", values::<StoreOp>()),
        ("`outcome` of `pilotfish_store_requests_total`", values::<StoreOutcome>()),
        ("`direction`", values::<Way>()),
        ("`towards`", values::<Towards>()),
    ] {
        page.push_str(&row(of, values));
    }
    page.push_str(TAIL);
    page
}

#[test]
fn the_page_is_what_the_code_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
    if std::env::var_os("PILOTFISH_REGENERATE").is_some() {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
        std::fs::write(path, page()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == page(), "docs/metrics.md is stale: run PILOTFISH_REGENERATE=1 cargo test --lib telemetry");
}

#[test]
fn names_follow_the_conventions() {
    for d in &Metrics::new(&[]).unwrap().definitions {
        assert!(d.name.starts_with("pilotfish_") || d.name.starts_with("process_"), "{}", d.name);
        assert_eq!(d.kind == "counter", d.name.ends_with("_total"), "{}", d.name);
        assert!(d.kind != "histogram" || d.name.ends_with("_seconds"), "{}", d.name);
        assert!(d.help.ends_with('.'), "{}", d.name);
        assert!(!d.labels.contains(&"session"), "{}", d.name);
    }
}
