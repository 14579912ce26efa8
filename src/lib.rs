//! pilotfish: a session-aware layer-4/7 reverse proxy and load balancer for fleets of GitHub Copilot CLI servers
//! (`copilot --headless`) and the SDK clients that talk to them in JSON-RPC.
//!
//! # Layout
//! A file imports its own folder and what stands below it in this list; `tests/it/house` checks that.
//!
//! | folder | idea |
//! | --- | --- |
//! | [`cli`] | the command line, one subcommand a file |
//! | [`app`] | builds everything from a config, runs it, stops it in order |
//! | [`config`] | the TOML file: all problems at once, or a typed value |
//! | [`admin`] | health, readiness, metrics and status over HTTP |
//! | [`serve`] | listeners; session mode (layer 7) and connection mode (layer 4) |
//! | [`supervise`] | CLI processes that we start ourselves, what they use, and the hook for others |
//! | [`backend`] | health checks, name look-ups, and visits on our own behalf |
//! | [`route`] | which backend gets what, and who has to leave |
//! | [`session`] | pins, attachments, turns, the way from one home to the next; seats, leases, and sessions that end by themselves |
//! | [`pool`] | backends with their live counters and verdicts |
//! | [`store`] | what several proxies share: who holds a session at which home, whose turn it is, whose it is |
//! | [`telemetry`] | metrics and logs |
//! | [`mux`] | the tables of one client connection |
//! | [`tenancy`] | who a client is, whose a session is, what may be done (pure: time is an argument) |
//! | [`wire`] | frames, scanning, ids, the method table, error codes |
//! | [`balance`], [`health`] | placement; verdicts (pure: time and chance are arguments) |
//! | [`tls`] | certificates, keys, and what is made of them |
//! | [`model`] | values |
//!
//! # Invariants
//! - `model`, `balance`, `health`, `wire`, `tenancy`, `mux` and `tls` have no sockets, no clock, no async.
//! - Only `serve` drives `mux`. Only `balance` hashes for placement. Nothing below `app` reads `config`.
//! - A body that we do not edit leaves byte for byte as it came; a client's header bytes never do.
//! - One home per session, always: it is placed at create and resume; it gets another home with all its clients, when nothing of
//!   it is under way or its home is lost; every message follows it.
//! - A session is opened at a backend only with a seat there, and, of several proxies, under a hold of the store. Only an idle one
//!   makes way, and only one of the same tenant. One that is parked lives nowhere until somebody needs it.
//! - The store is never asked on the way of a message; a hold is one number, the moment until which it is good.
//! - A session is deleted by us only while nobody can claim it.
//! - A frame is acted on by a backend only after the whole of it was accepted.
//! - Every request that reaches us is answered, by the backend or by us.
//! - What a client asked and what may have run is never sent again.
//! - What waits for a session on its way is bounded, in number, bytes and time.
//! - No lock across `.await`, no unbounded channel; peer input never panics; every task is tracked and hears a token.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod admin;
pub mod app;
pub mod backend;
pub mod balance;
pub mod cli;
pub mod config;
pub mod health;
pub mod model;
pub mod mux;
pub mod pool;
pub mod route;
pub mod serve;
pub mod session;
pub mod store;
pub mod supervise;
pub mod telemetry;
pub mod tenancy;
pub mod tls;
pub mod wire;
