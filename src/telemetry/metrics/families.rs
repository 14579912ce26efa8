//! The declaration of every family: name, labels, help.

use super::family::{Buckets, Counters, Gauges, Histograms, MetricsError, Registrar};

/// From a loopback call (0.1-0.4 ms) to the longest deadline of a request.
const REQUEST: Buckets =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// A turn takes as long as its model and tools: a stub answers in 0.1 s, an agent may work for an hour.
const TURN: Buckets = &[0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];

/// What a user waits for before the first word appears.
const FIRST_DELTA: Buckets = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0];

/// A CLI answers `ping` in 0.2-20 ms; a timeout is some seconds.
const PROBE: Buckets = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Redis on the same network answers in 0.1-2 ms; after 0.2 s nobody waits any more.
const STORE: Buckets = &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25];

macro_rules! families {
    ($($field:ident: $type:ident<$n:literal> = $make:ident($name:literal, [$($label:literal),*] $(, $buckets:ident)?; $help:literal);)+) => {
        /// All families that carry labels of ours.
        #[derive(Debug)]
        pub struct Families { $(pub $field: $type<$n>,)+ }

        impl Families {
            /// Declares them all.
            pub fn register(to: &mut Registrar<'_>) -> Result<Self, MetricsError> {
                Ok(Self { $($field: to.$make($name, [$($label),*], $($buckets,)? $help)?,)+ })
            }
        }
    };
}

families! {
    build_info: Gauges<1> = gauges("pilotfish_build_info", ["version"]; "Always 1; the label says which version runs.");
    config_info: Gauges<1> = gauges("pilotfish_config_info", ["hash"]; "Always 1; the label is the hash of the config in use.");

    clients: Gauges<1> = gauges("pilotfish_clients", ["listener"]; "Clients that are connected.");
    clients_accepted: Counters<1> = counters("pilotfish_clients_accepted_total", ["listener"]; "Clients that were let in.");
    clients_rejected: Counters<2> = counters("pilotfish_clients_rejected_total", ["listener", "reason"]; "Clients that were turned away before anything was read.");
    clients_closed: Counters<2> = counters("pilotfish_clients_closed_total", ["listener", "reason"]; "Client connections that ended.");
    client_frames: Counters<2> = counters("pilotfish_client_frames_total", ["listener", "direction"]; "Frames read from (in) and written to (out) clients.");
    client_bytes: Counters<2> = counters("pilotfish_client_bytes_total", ["listener", "direction"]; "Bytes read from (in) and written to (out) clients.");

    links: Gauges<2> = gauges("pilotfish_links", ["pool", "backend"]; "Open links; one for each client and backend.");
    links_opened: Counters<3> = counters("pilotfish_links_opened_total", ["pool", "backend", "outcome"]; "Attempts to open a link.");
    links_closed: Counters<3> = counters("pilotfish_links_closed_total", ["pool", "backend", "reason"]; "Links that ended.");
    backend_frames: Counters<3> = counters("pilotfish_backend_frames_total", ["pool", "backend", "direction"]; "Frames read from (in) and written to (out) backends.");
    backend_bytes: Counters<3> = counters("pilotfish_backend_bytes_total", ["pool", "backend", "direction"]; "Bytes read from (in) and written to (out) backends.");

    sessions: Gauges<3> = gauges("pilotfish_sessions", ["pool", "backend", "state"]; "Sessions that this proxy knows; backend is `none` for those that are live nowhere.");
    turns_running: Gauges<2> = gauges("pilotfish_turns_running", ["pool", "backend"]; "Turns that are running.");
    turns: Counters<3> = counters("pilotfish_turns_total", ["pool", "backend", "outcome"]; "Turns that ended.");
    turn_duration: Histograms<1> = histograms("pilotfish_turn_duration_seconds", ["pool"], TURN; "From session.send to session.idle.");
    first_delta: Histograms<1> = histograms("pilotfish_time_to_first_delta_seconds", ["pool"], FIRST_DELTA; "From session.send to the first piece of the answer.");

    moves: Counters<3> = counters("pilotfish_session_moves_total", ["pool", "cause", "outcome"]; "Sessions that were to get another home.");
    move_duration: Histograms<1> = histograms("pilotfish_session_move_seconds", ["pool"], REQUEST; "From the begin of a move, or the loss of the home, until the session is live again.");
    missed_events: Counters<1> = counters("pilotfish_missed_events_total", ["pool"]; "Events that a lost link had not delivered and that were fetched.");
    orphans: Gauges<1> = gauges("pilotfish_orphans", ["pool"]; "Clients that were lost in the middle of a turn and are kept for it.");
    orphans_ended: Counters<2> = counters("pilotfish_orphan_sessions_total", ["pool", "outcome"]; "Sessions of clients that were lost in the middle of a turn.");
    orphan_answers: Counters<1> = counters("pilotfish_orphan_answers_total", ["pool"]; "Requests of backends that were refused because the client who could answer was gone.");
    stalls: Counters<2> = counters("pilotfish_stalled_turns_total", ["pool", "outcome"]; "Turns of which nothing was heard for too long.");

    evictions: Counters<2> = counters("pilotfish_session_evictions_total", ["pool", "cause"]; "Idle sessions that were closed at their backend and are kept by us until they are needed.");
    wakes: Counters<2> = counters("pilotfish_session_wakes_total", ["pool", "outcome"]; "Kept sessions that were needed again.");
    wake_duration: Histograms<1> = histograms("pilotfish_session_wake_seconds", ["pool"], REQUEST; "From the request that needs a kept session until it is live.");
    live: Gauges<1> = gauges("pilotfish_sessions_live", ["pool"]; "Sessions that live at a backend: what pods are counted by.");
    parked: Gauges<1> = gauges("pilotfish_sessions_parked", ["pool"]; "Sessions that have clients and are live nowhere until they are needed.");
    admission_waiting: Gauges<1> = gauges("pilotfish_admission_waiting", ["pool"]; "Sessions that wait for a place at a backend.");
    turn_locks: Counters<2> = counters("pilotfish_turn_locks_total", ["pool", "outcome"]; "Prompts that needed their session's turn lock.");
    turn_lock_wait: Histograms<1> = histograms("pilotfish_turn_lock_wait_seconds", ["pool"], TURN; "How long prompts waited for another client's turn to end.");

    instances: Gauges<2> = gauges("pilotfish_instances", ["pool", "state"]; "CLIs of one's own, by how far they are.");
    instance_starts: Counters<2> = counters("pilotfish_instance_starts_total", ["pool", "outcome"]; "Identities that needed a CLI of their own started.");
    instance_stops: Counters<2> = counters("pilotfish_instance_stops_total", ["pool", "cause"]; "CLIs of one's own that were stopped.");
    instance_start_duration: Histograms<2> = histograms("pilotfish_instance_start_seconds", ["pool", "outcome"], REQUEST; "From the request that needed a CLI of one's own until it served.");

    cleanup_sessions: Counters<2> = counters("pilotfish_cleanup_sessions_total", ["pool", "outcome"]; "Sessions that a clean-up found to be older than the ttl.");
    cleanup_runs: Counters<2> = counters("pilotfish_cleanup_runs_total", ["pool", "outcome"]; "Runs of the clean-up that have ended.");
    ephemeral_deleted: Counters<2> = counters("pilotfish_ephemeral_deleted_total", ["pool", "outcome"]; "Attempts to delete sessions that end with their clients.");

    requests: Counters<3> = counters("pilotfish_requests_total", ["pool", "method", "outcome"]; "Requests of clients that were answered: ok and error by a backend, any other outcome by us.");
    request_duration: Histograms<2> = histograms("pilotfish_request_duration_seconds", ["pool", "method"], REQUEST; "From a client's request to its answer.");
    errors: Counters<1> = counters("pilotfish_errors_total", ["reason"]; "Errors that this proxy answered itself.");
    dropped: Counters<1> = counters("pilotfish_dropped_total", ["reason"]; "Messages that were thrown away.");

    tenant_connections: Gauges<1> = gauges("pilotfish_tenant_connections", ["tenant"]; "Connections of a tenant; `all` where series by tenant are switched off.");
    tenant_sessions: Gauges<1> = gauges("pilotfish_tenant_sessions", ["tenant"]; "Live sessions of a tenant.");
    tenant_turns: Gauges<1> = gauges("pilotfish_tenant_turns", ["tenant"]; "Running turns of a tenant.");
    tenant_frames: Counters<1> = counters("pilotfish_tenant_frames_total", ["tenant"]; "Frames read from clients of a tenant.");
    tenant_bytes: Counters<1> = counters("pilotfish_tenant_bytes_total", ["tenant"]; "Bytes of frames read from clients of a tenant.");
    refusals: Counters<2> = counters("pilotfish_refusals_total", ["tenant", "rule"]; "What the wall between tenants refused; tenant is `none` before the login.");

    backend_up: Gauges<2> = gauges("pilotfish_backend_up", ["pool", "backend"]; "1 when health says that the backend is up.");
    backend_state: Gauges<3> = gauges("pilotfish_backend_state", ["pool", "backend", "state"]; "1 for what the backend is to placement now, 0 for the other states.");
    probes: Counters<3> = counters("pilotfish_probes_total", ["pool", "backend", "outcome"]; "Health checks that ended.");
    probe_duration: Histograms<2> = histograms("pilotfish_probe_duration_seconds", ["pool", "backend"], PROBE; "Duration of health checks.");
    verdict_changes: Counters<2> = counters("pilotfish_verdict_changes_total", ["pool", "backend"]; "Times that health changed its mind.");
    operations: Counters<3> = counters("pilotfish_operations_total", ["pool", "kind", "outcome"]; "Operations that took backends out and back, and have ended.");
    pool_panic: Gauges<1> = gauges("pilotfish_pool_panic", ["pool"]; "1 when so few backends look healthy that all are used.");
    backend_age: Gauges<2> = gauges("pilotfish_backend_age_seconds", ["pool", "backend"]; "Seconds since the backend's process was first seen well; 0 while it is not.");
    backend_served: Gauges<2> = gauges("pilotfish_backend_served_sessions", ["pool", "backend"]; "Sessions that the backend's process was given in its life.");
    backend_memory: Gauges<2> = gauges("pilotfish_backend_memory_bytes", ["pool", "backend"]; "Resident memory of a supervised backend's processes.");
    backend_descriptors: Gauges<2> = gauges("pilotfish_backend_descriptors", ["pool", "backend"]; "Open descriptors of the one of a supervised backend's processes that has the most.");
    recycles: Counters<3> = counters("pilotfish_recycles_total", ["pool", "backend", "reason"]; "Backends that were started again because they had served long enough.");
    restarts: Counters<2> = counters("pilotfish_restarts_total", ["pool", "backend"]; "Restarts of supervised backends.");

    discovery_updates: Counters<2> = counters("pilotfish_discovery_updates_total", ["pool", "outcome"]; "Answers to the question which backends there are.");
    discovery_changes: Counters<2> = counters("pilotfish_discovery_changes_total", ["pool", "change"]; "What such answers changed: one for each backend.");
    discovery_members: Gauges<2> = gauges("pilotfish_discovery_members", ["pool", "state"]; "Backends that discovery tells of (present), and those that it tells of no more and that are not removed yet (leaving).");
    discovery_last_success: Gauges<1> = gauges("pilotfish_discovery_last_success_timestamp_seconds", ["pool"]; "When discovery last told of a backend, in Unix time; 0 before.");

    draining: Gauges<0> = gauges("pilotfish_draining", []; "1 while the proxy is going away.");
    drains: Counters<0> = counters("pilotfish_drains_total", []; "Drains that were begun: of the proxy, a pool or a backend.");
    buffered: Gauges<1> = gauges("pilotfish_buffered_bytes", ["towards"]; "Bytes that wait because their destination does not read.");
    backpressure: Counters<1> = counters("pilotfish_backpressure_total", ["towards"]; "Times that a reader was stopped because a destination did not read.");

    connections: Gauges<1> = gauges("pilotfish_connections", ["listener"]; "Client connections in connection mode that have a backend.");
    connection_spliced: Counters<1> = counters("pilotfish_connection_spliced_bytes_total", ["listener"]; "Bytes in connection mode that the kernel moved without a copy.");

    store_up: Gauges<0> = gauges("pilotfish_store_up", []; "Whether the store that proxies share answers (1) or not (0).");
    leases_lost: Counters<1> = counters("pilotfish_leases_lost_total", ["reason"]; "Holds on sessions and locks that ended before this proxy gave them back.");
    store_requests: Counters<2> = counters("pilotfish_store_requests_total", ["op", "outcome"]; "Requests to the store that proxies share.");
    store_duration: Histograms<0> = histograms("pilotfish_store_request_duration_seconds", [], STORE; "From a request to the store to its answer.");
}
