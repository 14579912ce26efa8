//! Session mode from outside: the real binary between raw clients and scripted CLIs, one file a theme.

pub mod admin;
mod asks;
mod auth;
mod basics;
mod dialling;
mod drain;
mod figures;
mod framing;
mod garbage;
mod health;
mod ids;
mod json;
mod large;
mod limits;
mod local;
mod loss;
mod memory;
mod pipeline;
pub mod raw;
mod refusal;
pub mod rig;
mod routing;
