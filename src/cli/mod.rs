//! Command line.
pub mod demo_model;
pub mod quickstart;
