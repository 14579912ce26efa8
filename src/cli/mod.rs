//! Command line.
pub mod demo_model;
