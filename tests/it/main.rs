//! The one integration binary: every scenario is a module of it.

mod config;
mod connection;
mod deadline;
mod fake_cli;
mod house;
mod metrics;
mod process;
mod rpc_client;
