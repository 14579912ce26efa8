use std::{
    sync::{Barrier, atomic::AtomicU64},
    thread,
};

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn quota(change: impl FnOnce(&mut Limits)) -> Arc<Quota> {
    let mut limits = Limits::default();
    change(&mut limits);
    Quota::new(limits)
}

/// How many of `tries` frames pass at this moment.
fn passing(quota: &Quota, tries: usize, bytes: u64, now: Instant) -> usize {
    (0..tries).filter(|_| quota.take_frame(bytes, now).is_ok()).count()
}

#[test]
fn without_limits_everything_passes_and_is_counted() {
    let quota = Quota::new(Limits::default());
    let now = Instant::now();
    assert!(!quota.is_metered());
    let all: Vec<_> = (0..100).map(|_| quota.hold(Held::Turn).unwrap()).collect();
    assert_eq!((quota.held(Held::Turn), quota.held(Held::Session)), (100, 0));
    drop(all);
    assert_eq!(quota.held(Held::Turn), 0);
    assert_eq!(passing(&quota, 1000, u64::MAX, now), 1000);
    assert_eq!(quota.take_create(now), Ok(()));
}

#[test]
fn places_are_given_back() {
    let quota = quota(|limits| (limits.connections, limits.sessions, limits.turns) = (Some(2), Some(1), Some(0)));
    let over = |what| Over { what, retry_after: SECOND };
    let one = quota.hold(Held::Connection).unwrap();
    let _two = quota.hold(Held::Connection).unwrap();
    assert_eq!(quota.hold(Held::Connection).unwrap_err(), over("connections"));
    assert_eq!(quota.held(Held::Connection), 2);
    drop(one);
    let _three = quota.hold(Held::Connection).unwrap();
    let _session = quota.hold(Held::Session).unwrap();
    assert_eq!(quota.hold(Held::Session).unwrap_err(), over("sessions"));
    assert_eq!(quota.hold(Held::Turn).unwrap_err(), over("turns"));
}

#[test]
fn what_is_there_anyway_counts() {
    let quota = quota(|limits| limits.sessions = Some(1));
    let (one, two) = (quota.hold_anyway(Held::Session), quota.hold_anyway(Held::Session));
    assert_eq!(quota.held(Held::Session), 2);
    drop(one);
    assert!(quota.hold(Held::Session).is_err());
    drop(two);
    assert!(quota.hold(Held::Session).is_ok());
}

#[test]
fn many_at_once_never_hold_more_than_the_limit() {
    const LIMIT: u64 = 3;
    let quota = quota(|limits| limits.sessions = Some(LIMIT));
    let (start, inside, got) = (Barrier::new(8), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                for _ in 0..5_000 {
                    if let Ok(hold) = quota.hold(Held::Session) {
                        assert!(inside.fetch_add(1, Relaxed) < LIMIT);
                        assert!(quota.held(Held::Session) <= LIMIT);
                        got.fetch_add(1, Relaxed);
                        inside.fetch_sub(1, Relaxed);
                        drop(hold);
                    }
                }
            });
        }
    });
    assert!(got.load(Relaxed) >= LIMIT);
    assert_eq!(quota.held(Held::Session), 0);
}

#[test]
fn frames_have_a_second_s_burst_and_then_the_rate() {
    for most in [1, 2, 3, 7, 1_000, 2_000, 99_999] {
        let quota = quota(|limits| limits.frames_per_second = Some(most));
        let start = Instant::now();
        let most = most as usize;
        assert!(quota.is_metered());
        assert_eq!(passing(&quota, most + 10, 1 << 40, start), most, "{most}");
        let over = quota.take_frame(0, start).unwrap_err();
        assert_eq!(over.what, "frames_per_second");
        assert!(over.retry_after >= Duration::from_millis(1) && over.retry_after <= SECOND);
        // Half a second later half of it has come back; after a long time no more than all of it.
        let half = passing(&quota, most + 10, 0, start + SECOND / 2);
        assert!(half == most / 2 || half == most / 2 + 1 && most > 1_000, "{half} of {most}");
        assert_eq!(passing(&quota, most + 10, 0, start + 100 * SECOND), most, "{most}");
    }
}

#[test]
fn bytes_have_a_second_s_burst_and_large_frames_are_owed() {
    let quota = quota(|limits| limits.bytes_per_second = Some(1_000));
    let start = Instant::now();
    assert_eq!(passing(&quota, 20, 100, start), 10);
    let over = quota.take_frame(100, start).unwrap_err();
    assert_eq!(over, Over { what: "bytes_per_second", retry_after: Duration::from_millis(100) });
    // Five seconds' worth: not before the bucket is full, and then nothing for four seconds and what the next one takes.
    let large = quota.take_frame(5_000, start).unwrap_err();
    assert_eq!(large.retry_after, SECOND);
    let full = start + SECOND;
    assert_eq!(quota.take_frame(5_000, full), Ok(()));
    assert_eq!(quota.take_frame(1, full).unwrap_err().retry_after, Duration::from_millis(4_001));
    assert!(quota.take_frame(1_000, full + 4 * SECOND).is_err());
    assert_eq!(quota.take_frame(1_000, full + 5 * SECOND), Ok(()));
}

#[test]
fn a_frame_that_is_refused_for_its_bytes_is_not_counted_as_a_frame() {
    let quota = quota(|limits| (limits.frames_per_second, limits.bytes_per_second) = (Some(10), Some(100)));
    let now = Instant::now();
    assert_eq!(quota.take_frame(100, now), Ok(()));
    for _ in 0..100 {
        assert_eq!(quota.take_frame(1, now).unwrap_err().what, "bytes_per_second");
    }
    assert_eq!(passing(&quota, 20, 0, now), 9);
    // Both are used up now: the wait is the longer one.
    let over = quota.take_frame(50, now).unwrap_err();
    assert_eq!(over, Over { what: "frames_per_second", retry_after: Duration::from_millis(500) });
    assert_eq!(quota.take_frame(50, now + over.retry_after), Ok(()));
}

#[test]
fn creates_have_a_minute_s_burst() {
    let quota = quota(|limits| limits.creates_per_minute = Some(6));
    let start = Instant::now();
    assert!(!quota.is_metered());
    let passing = |now| (0..20).filter(|_| quota.take_create(now).is_ok()).count();
    assert_eq!(passing(start), 6);
    assert_eq!(
        quota.take_create(start),
        Err(Over { what: "creates_per_minute", retry_after: Duration::from_secs(10) })
    );
    assert_eq!(passing(start + Duration::from_secs(25)), 2);
    assert_eq!(passing(start + Duration::from_secs(3600)), 6);
}

#[test]
fn a_limit_of_nothing_lets_nothing_pass() {
    let quota = quota(|limits| {
        (limits.frames_per_second, limits.bytes_per_second, limits.creates_per_minute) = (Some(0), Some(0), Some(0));
    });
    let start = Instant::now();
    for seconds in [0, 1, 1_000] {
        assert_eq!(passing(&quota, 3, 1, start + seconds * SECOND), 0);
        assert_eq!(quota.take_create(start).unwrap_err().retry_after, 60 * SECOND);
    }
}

#[test]
fn a_clock_that_steps_back_gives_nothing_away() {
    let quota = quota(|limits| limits.frames_per_second = Some(5));
    let start = Instant::now() + 100 * SECOND;
    assert_eq!(passing(&quota, 10, 0, start), 5);
    assert_eq!(passing(&quota, 10, 0, start - SECOND), 0);
    assert_eq!(passing(&quota, 10, 0, start + SECOND), 5);
}

#[test]
fn threads_together_get_no_more_than_the_rate() {
    let quota = quota(|limits| (limits.frames_per_second, limits.bytes_per_second) = (Some(1_000), Some(50_000)));
    let (now, start, passed) = (Instant::now(), Barrier::new(4), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                passed.fetch_add(passing(&quota, 1_000, 100, now) as u64, Relaxed);
            });
        }
    });
    assert_eq!(passed.load(Relaxed), 500);
    assert_eq!(passing(&quota, 1_000, 0, now), 500);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever waits as long as told gets in, a millisecond earlier is too early, and over any time no more passes than burst and rate.
    #[test]
    fn waiting_as_told_is_enough(
        frames in proptest::option::of(1u64..1_000_000),
        bytes in proptest::option::of(1u64..2_000_000_000_000),
        sizes in proptest::collection::vec((1u64..50_000_000, 0u64..50_000), 1..60),
    ) {
        let quota = quota(|limits| (limits.frames_per_second, limits.bytes_per_second) = (frames, bytes));
        let start = Instant::now();
        let (mut now, mut count, mut sent, mut last) = (start, 0u64, 0u64, 0u64);
        for (size, pause) in sizes {
            now += Duration::from_micros(pause);
            if let Err(over) = quota.take_frame(size, now) {
                prop_assert!(over.retry_after >= Duration::from_millis(1));
                prop_assert_eq!(over.retry_after.subsec_nanos() % 1_000_000, 0);
                let early = over.retry_after - Duration::from_millis(1);
                prop_assert!(quota.take_frame(size, now + early).is_err());
                now += over.retry_after;
                prop_assert_eq!(quota.take_frame(size, now), Ok(()));
            }
            (count, sent, last) = (count + 1, sent + size, size);
        }
        let elapsed = (now - start).as_secs_f64();
        let allowed = |most: u64| most as f64 * (elapsed + 1.0) * 1.0001 + 1.0;
        prop_assert!(frames.is_none_or(|most| count as f64 <= allowed(most)));
        prop_assert!(bytes.is_none_or(|most| (sent - last) as f64 <= allowed(most)));
    }
}
