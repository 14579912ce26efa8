//! When a backend has served long enough: CLIs slow down and grow with age until they are started again.

use std::time::Duration;

use super::{Paces, jittered};

/// The part of the greatest age that is random: backends that started together are not all due at once.
const SPREAD: f64 = 0.1;
/// An answer that is late by less than this is no slower to anybody, however fast the first ones were: a ping takes 0.2 ms
/// on an idle machine and ten times that on a busy one.
const SLOW_FLOOR: Duration = Duration::from_millis(5);

/// How worn a backend may be. What is `None` does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WearLimits {
    /// The greatest age.
    pub age: Option<Duration>,
    /// Sessions that it has served in its life.
    pub sessions: Option<u64>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Open descriptors.
    pub descriptors: Option<u64>,
    /// How many times as long as in its youth an answer to a ping takes.
    pub slow: Option<f64>,
}

impl WearLimits {
    /// Whether there is any.
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// What one backend looks like now. What is not known is `None` and never too much.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Worn {
    /// Since its process began to serve.
    pub age: Duration,
    /// Sessions that it has served.
    pub sessions: u64,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Open descriptors.
    pub descriptors: Option<u64>,
    /// How fast it answers.
    pub paces: Option<Paces>,
}

/// Why a backend is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Its age.
    Age,
    /// The sessions that it has served.
    Sessions,
    /// Its memory.
    Memory,
    /// Its descriptors.
    Descriptors,
    /// It answers more slowly than it did.
    Slow,
}

impl Due {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Sessions => "sessions",
            Self::Memory => "memory",
            Self::Descriptors => "descriptors",
            Self::Slow => "slow",
        }
    }
}

/// Why `worn` is due by `limits`, if it is: what hurts soonest is named first. `random` is the backend's own, the same for all of
/// its life.
pub fn due(limits: &WearLimits, worn: &Worn, random: u64) -> Option<Due> {
    let reached = |value: Option<u64>, limit: Option<u64>| limit.is_some_and(|limit| value >= Some(limit));
    if reached(worn.memory, limits.memory) {
        return Some(Due::Memory);
    }
    if reached(worn.descriptors, limits.descriptors) {
        return Some(Due::Descriptors);
    }
    if limits.slow.is_some_and(|times| is_slow(worn.paces, times)) {
        return Some(Due::Slow);
    }
    if reached(Some(worn.sessions), limits.sessions) {
        return Some(Due::Sessions);
    }
    limits.age.filter(|age| worn.age >= jittered(*age, SPREAD, random)).map(|_| Due::Age)
}

fn is_slow(paces: Option<Paces>, times: f64) -> bool {
    paces.is_some_and(|Paces { baseline, now }| now >= baseline.mul_f64(times) && now >= baseline + SLOW_FLOOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const MS: Duration = Duration::from_millis(1);

    fn all() -> WearLimits {
        let (memory, descriptors) = (Some(1000), Some(100));
        WearLimits { age: Some(HOUR), sessions: Some(10), memory, descriptors, slow: Some(4.0) }
    }

    fn paces(baseline: u32, now: u32) -> Worn {
        Worn { paces: Some(Paces { baseline: MS * baseline, now: MS * now }), ..Worn::default() }
    }

    #[test]
    fn each_limit_is_reached_by_its_own_value() {
        let fine = Worn {
            age: HOUR * 89 / 100,
            sessions: 9,
            memory: Some(999),
            descriptors: Some(99),
            paces: Some(Paces { baseline: MS * 10, now: MS * 39 }),
        };
        assert_eq!(due(&all(), &fine, u64::MAX), None);
        let cases = [
            (Worn { age: HOUR, ..fine }, Due::Age),
            (Worn { sessions: 10, ..fine }, Due::Sessions),
            (Worn { memory: Some(1000), ..fine }, Due::Memory),
            (Worn { descriptors: Some(100), ..fine }, Due::Descriptors),
            (Worn { paces: Some(Paces { baseline: MS * 10, now: MS * 40 }), ..fine }, Due::Slow),
        ];
        for (worn, reason) in cases {
            assert_eq!(due(&all(), &worn, 0), Some(reason));
            assert_eq!(due(&WearLimits::default(), &worn, 0), None);
        }
    }

    #[test]
    fn what_is_not_known_is_never_too_much() {
        let limits = WearLimits { memory: Some(0), descriptors: Some(0), slow: Some(1.0), ..WearLimits::default() };
        assert_eq!(due(&limits, &Worn::default(), 0), None);
    }

    #[test]
    fn ages_are_spread_below_the_limit() {
        let old = |percent: u32| Worn { age: HOUR * percent / 100, ..Worn::default() };
        assert_eq!(due(&all(), &old(91), 0), None);
        assert_eq!(due(&all(), &old(91), u64::MAX), Some(Due::Age));
        assert_eq!(due(&all(), &old(100), 0), Some(Due::Age));
    }

    #[test]
    fn microseconds_are_not_slow() {
        assert_eq!(due(&all(), &paces(0, 4), 0), None);
        assert_eq!(due(&all(), &paces(1, 6), 0), Some(Due::Slow));
    }

    #[test]
    fn no_limits_are_none() {
        assert!(!WearLimits::default().any() && all().any());
    }
}
