//! The names of log fields. Use them as `tracing::info!({ keys::CONN } = id, "text")`, or literally.

/// Number of the client's connection, unique in this process.
pub const CONN: &str = "conn";
/// Address of the client.
pub const CLIENT_ADDR: &str = "client.addr";
/// Name of the listener.
pub const LISTENER: &str = "listener";
/// Name of the tenant.
pub const TENANT: &str = "tenant";
/// A session id.
pub const SESSION: &str = "session";
/// Name of the pool.
pub const POOL: &str = "pool";
/// Name of the backend.
pub const BACKEND: &str = "backend";
/// A JSON-RPC method of the method table.
pub const METHOD: &str = "method";
/// A JSON-RPC request id.
pub const ID: &str = "id";
/// How it ended: the labels of the metrics.
pub const OUTCOME: &str = "outcome";
/// Why it ended so: the labels of the metrics.
pub const REASON: &str = "reason";
/// Duration in milliseconds, with fractions.
pub const DUR_MS: &str = "dur_ms";
/// Bytes read from the client.
pub const BYTES_IN: &str = "bytes_in";
/// Bytes written to the client.
pub const BYTES_OUT: &str = "bytes_out";
/// Times that the same warning was left out since the last one.
pub const LEFT_OUT: &str = "left_out";

/// All of them.
pub const ALL: &[&str] = &[
    CONN,
    CLIENT_ADDR,
    LISTENER,
    TENANT,
    SESSION,
    POOL,
    BACKEND,
    METHOD,
    ID,
    OUTCOME,
    REASON,
    DUR_MS,
    BYTES_IN,
    BYTES_OUT,
    LEFT_OUT,
];
