//! Stub.
#![allow(missing_docs, unused)]
use crate::model::{Identity, Secret};
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};
#[derive(Debug)]
pub struct Login;
impl Login {
    pub fn asks(&self) -> bool {
        true
    }
    pub fn default_identity(&self) -> Option<&Identity> {
        None
    }
    pub fn ask(&self, t: Option<&Secret>, now: u64) -> Option<Identity> {
        None
    }
}
#[derive(Debug, Default)]
pub struct Patience;
impl Patience {
    pub fn delay(&self, a: IpAddr, now: Instant) -> Duration {
        Duration::ZERO
    }
    pub fn failed(&self, a: IpAddr, now: Instant) {}
}
