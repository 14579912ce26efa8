//! What must hold of any input. The fuzz targets call these, and `tests/it/corpus.rs` runs them over the corpora.
//! Each panics on a broken promise and otherwise says whether all of the input was accepted.

pub mod config;
pub mod frame;
pub mod scan;
