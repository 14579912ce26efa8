//! `[[listener]]`: where clients connect.

use std::time::Duration;

use super::{DAY, HOUR, Jwt, ListenerTls, ms};
use crate::{
    config::{
        kind::{
            choice, count, duration, file_mode, list, listen, name, network, one_of, optional, secret, size, switch,
            table, table_or_none,
        },
        section::section,
    },
    model::{Endpoint, Network, Secret},
};

section! {
    /// Where clients connect. There may be any number of listeners.
    pub struct Listener {
        /// Its name in logs and metrics.
        pub name: String = name(), required("\"sdk\"");
        /// Where to listen: an address and a port, or "unix:" and the path of a socket.
        pub bind: Endpoint = listen(), required("\"127.0.0.1:4321\"");
        /// The permissions of a Unix socket in `bind`.
        pub socket_mode: u32 = file_mode(), text("0660");
        /// TLS, with certificates of clients where they are asked for.
        pub tls: Option<ListenerTls> = table_or_none::<ListenerTls>(), absent("{ ... }");
        /// Load balancers, whose connections begin with a header of the PROXY protocol, version 2. From others it is not taken.
        pub proxy_protocol_from: Vec<Network> = list(network()), value("[]");
        /// What pilotfish understands of the bytes.
        pub mode: Mode = one_of::<Mode>(), text("session");
        /// The pool that serves it.
        pub pool: String = name(), required("\"copilot\"");
        /// Clients at a time; more are turned away.
        pub max_clients: usize = count::<usize>(1, 1_000_000), value("10000");
        /// The token that clients have to `connect` with. Without it every client is let in, where no tenants log in. Session mode only.
        pub connection_token: Option<Secret> = optional(secret()), absent("{ env = \"PILOTFISH_CLIENT_TOKEN\" }");
        /// The tenant that clients are who come here; no token but `connection_token` is asked for.
        pub tenant: Option<String> = optional(name()), absent("\"alice\"");
        /// JSON Web Tokens that clients may `connect` with, besides the tokens of tenants. Session mode only.
        pub jwt: Option<Jwt> = table_or_none::<Jwt>(), absent("{ ... }");
        /// Settings of mode "session".
        pub session: SessionSettings = table::<SessionSettings>(), value("{}");
        /// Settings of mode "connection".
        pub connection: ConnectionSettings = table::<ConnectionSettings>(), value("{}");
    }
}

choice! {
    /// What a listener understands of the bytes.
    pub enum Mode {
        /// reads the JSON-RPC and places every session (layer 7)
        Session = "session",
        /// moves the bytes of each connection to one backend, whatever they are (layer 4)
        Connection = "connection",
    }
}

section! {
    /// Settings of mode "session": what one client may do.
    pub struct SessionSettings {
        /// The largest message that a client may send.
        pub max_frame: usize = size(1 << 10, 1 << 30), text("32MiB");
        /// How long the header of a message may take from its first byte on.
        pub header_timeout: Duration = duration(ms(100), HOUR), text("10s");
        /// How long the body of a message may stand still.
        pub body_timeout: Duration = duration(ms(100), HOUR), text("30s");
        /// How long a client may take to authenticate where it has to.
        pub auth_timeout: Duration = duration(ms(100), HOUR), text("5s");
        /// After how long a client is known to be gone whose host vanished without a word.
        pub client_timeout: Duration = duration(ms(1000), DAY), text("60s");
        /// Requests of one client that may wait for their answer; more are refused.
        pub max_in_flight: usize = count::<usize>(1, 1_000_000), value("1024");
        /// Bytes that may wait for a slow client before its backends are no longer read.
        pub client_buffer: usize = size(16 << 10, 1 << 30), text("1MiB");
        /// Whether a client's `runtime.shutdown` reaches its backend, where it ends the sessions of all clients.
        pub allow_runtime_shutdown: bool = switch(), value("false");
        /// How long requests may take, by their class.
        pub timeouts: Timeouts = table::<Timeouts>(), value("{}");
    }
}

section! {
    /// How long a backend may take to answer, by class of request. Turns have no limit: they end with an event.
    pub struct Timeouts {
        /// Reads and small changes, such as `ping` and `session.send`.
        pub quick: Duration = duration(ms(100), DAY), text("30s");
        /// What starts or loads something, such as `session.create` and `session.resume`.
        pub create: Duration = duration(ms(100), DAY), text("60s");
        /// What may wait for a model or for a person.
        pub long: Duration = duration(ms(100), DAY), text("10m");
    }
}

section! {
    /// Settings of mode "connection". How long a dial may take is the pool's `connect_timeout`.
    pub struct ConnectionSettings {
        /// Whether the backend is told the client's address before the first byte.
        pub proxy_protocol: ProxyProtocol = one_of::<ProxyProtocol>(), text("off");
        /// How long a connection may be silent in both directions. Without it: for ever.
        pub idle_timeout: Option<Duration> = optional(duration(ms(1000), DAY)), absent("\"1h\"");
        /// Whether bulk goes through the kernel (`splice`) instead of our buffer; measure it, it gains with slow readers only.
        pub splice: bool = switch(), value("false");
    }
}

choice! {
    /// The PROXY protocol towards backends.
    pub enum ProxyProtocol {
        /// nothing is added
        Off = "off",
        /// the binary header, version 2; the backend has to expect it
        V2 = "v2",
    }
}
