//! The audit record: one line for each call that the wall between tenants refused, or that matters afterwards. It says who,
//! which method, which session and which rule; never a param.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::model::Peer;

/// Target of the lines, for filters such as `pilotfish::audit=info`.
pub const TARGET: &str = "pilotfish::audit";

/// Lines that this process writes in a second; what is more is counted, so that a flood of refused calls fills no disk.
const MOST: u64 = 1000;

/// One line.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Number of the client's connection.
    pub conn: u32,
    /// The client's address.
    pub address: Peer,
    /// Who: `tenant` or `tenant/user`; empty before the login.
    pub who: &'a str,
    /// A method of the table, or `other`.
    pub method: &'a str,
    /// A session id, `-` if there is none or it is none.
    pub session: &'a str,
    /// The rule, e.g. `method` or `param: path_outside_roots`.
    pub rule: &'a str,
    /// `refused`, or `asked` for what the wall had nothing against so far.
    pub outcome: &'static str,
}

/// This second (high half) and the lines that were written in it (low half).
static WRITTEN: AtomicU64 = AtomicU64::new(0);
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// Writes it, unless too many were written this second.
pub fn write(line: &Line<'_>) {
    let second = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if !has_room(&WRITTEN, second) {
        LEFT_OUT.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let left_out = LEFT_OUT.swap(0, Ordering::Relaxed);
    let Line { conn, address, who, method, session, rule, outcome } = *line;
    if left_out > 0 {
        tracing::warn!(target: TARGET, left_out, "audit lines were left out: more than {MOST} in a second");
    }
    tracing::info!(target: TARGET, conn, client.addr = %address, tenant = who, method, session, reason = rule, outcome, "audit");
}

/// Counts a line in `second`; whether it may be written.
fn has_room(written: &AtomicU64, second: u64) -> bool {
    let this = second << 32;
    let taken = written.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
        let count = if state & !0xffff_ffff == this { state & 0xffff_ffff } else { 0 };
        (count < MOST).then_some(this | (count + 1))
    });
    taken.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_room_for_so_many_lines() {
        let written = AtomicU64::new(0);
        assert_eq!((0..2 * MOST).filter(|_| has_room(&written, 7)).count() as u64, MOST);
        assert!(has_room(&written, 8), "the next second is empty");
    }
}
