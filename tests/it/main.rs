//! The one integration binary: every scenario is a module of it.

mod connection;
mod metrics;
