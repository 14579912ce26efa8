//! The strict reader of frame heads.

use pilotfish::wire::frame::{Head, MAX_HEAD_BYTES, MAX_OWN_HEAD, read_backend_head, read_head, write_head};

/// The client side's default limit, bytes.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// Reads `data` as a client's stream. True if it is whole frames to its end.
pub fn check(data: &[u8]) -> bool {
    let mut rest = data;
    while !rest.is_empty() {
        let verdict = read_head(rest, MAX_BODY).map_err(drop);
        every_prefix_agrees(rest, verdict);
        let Ok(Some(head)) = verdict else { return false };
        sane(rest, head);
        if rest.len() < head.frame_len() {
            return false;
        }
        rest = &rest[head.frame_len()..];
    }
    true
}

/// Bytes come in any portions: fewer give "not yet" or the final verdict, and a verdict stays.
fn every_prefix_agrees(rest: &[u8], verdict: Result<Option<Head>, ()>) {
    let mut last = Ok(None);
    for end in 0..rest.len().min(MAX_HEAD_BYTES + 2) {
        let now = read_head(&rest[..end], MAX_BODY).map_err(drop);
        assert!(last == Ok(None) || now == last, "the verdict on {end} bytes changed from {last:?} to {now:?}");
        last = now;
    }
    assert!(last == Ok(None) || last == verdict, "{last:?} of a part, {verdict:?} of the whole");
}

fn sane(rest: &[u8], head: Head) {
    assert!(head.body_len > 0 && head.body_len <= MAX_BODY, "a body of {} bytes", head.body_len);
    assert!(head.head_len <= MAX_HEAD_BYTES, "a head of {} bytes", head.head_len);
    let mut own = [0; MAX_OWN_HEAD];
    let length = write_head(head.body_len, &mut own);
    assert_eq!(head.canonical, rest[..head.head_len] == own[..length], "canonical means: as our own");
    // Whatever the strict reader takes, the tolerant one takes in the same way.
    assert_eq!(read_backend_head(rest, MAX_BODY), Ok(Some(head)));
}
