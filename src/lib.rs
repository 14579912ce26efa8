//! pilotfish: a session-aware reverse proxy for fleets of Copilot CLI servers.
#![forbid(unsafe_code)]

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
pub mod wire;
