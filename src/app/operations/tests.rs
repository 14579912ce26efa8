//! Operations on members without processes.
