//! The bytes on the wire: frames, what is read of a body, request ids, the method table, answers of our own. No I/O.
//!
//! Strict towards clients ([`frame::read_head`], [`scan::Scanner`]), tolerant towards backends ([`glance::glance`]).

pub mod code;
pub mod connect;
pub mod edit;
pub mod frame;
pub mod glance;
pub mod id;
pub mod methods;
pub mod reply;
pub mod scan;
pub mod text;

pub use code::{Code, Reason};
pub use frame::{FrameError, Head};
pub use id::RequestId;
pub use methods::{Method, MethodIndex, Methods};
pub use scan::{Scan, ScanError, Scanner};
