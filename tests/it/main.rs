//! The one integration binary: every scenario is a module of it.
#![forbid(unsafe_code)]

mod cleanup;
mod config;
mod connection;
mod corpus;
mod deadline;
mod discovery;
#[allow(dead_code, reason = "a tool box: not every scenario uses every tool")]
mod fake_cli;
mod house;
mod limits;
mod metrics;
mod moves;
mod operations;
mod own;
#[allow(dead_code, reason = "a tool box: not every scenario uses every tool")]
mod process;
#[allow(dead_code, reason = "a tool box: not every scenario uses every tool")]
mod rpc_client;
mod session;
mod sockets;
mod status;
mod store;
#[allow(dead_code, reason = "a tool box: not every scenario uses every tool")]
mod tenants;
mod upgrade;
