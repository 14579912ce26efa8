//! The one integration binary: every scenario is a module of it.

mod config;
mod connection;
mod metrics;
