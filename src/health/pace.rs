//! When to check, and how fast to trust.

use std::time::{Duration, Instant};

/// What a backend gets at the very start of its slow start; with nothing at all it could not show that it works.
const FIRST_SHARE: f64 = 0.1;

/// `interval` less up to `fraction` (0 to 1) of it, by `random`. It only ever shortens, so that "out of rotation within interval
/// x fall + timeout" stays true, while the checks of many proxies do not arrive together.
pub fn jittered(interval: Duration, fraction: f64, random: u64) -> Duration {
    // 53 bits fill the mantissa: a number from 0 up to, not including, 1.
    let part = (random >> 11) as f64 / (1u64 << 53) as f64;
    interval.mul_f64(1.0 - fraction.clamp(0.0, 1.0) * part)
}

/// How far a backend that recovered at `up_since` has come in its slow start: from a tenth, straight up to 1 after `duration`.
/// 1 without a recovery (it was up when we first looked, and a fleet that starts together has nothing to spare it from).
pub fn ramp(up_since: Option<Instant>, now: Instant, duration: Duration) -> f64 {
    let Some(since) = up_since else { return 1.0 };
    let elapsed = now.saturating_duration_since(since);
    if elapsed >= duration {
        return 1.0;
    }
    FIRST_SHARE + (1.0 - FIRST_SHARE) * elapsed.as_secs_f64() / duration.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_only_shortens() {
        let second = Duration::from_secs(1);
        assert_eq!(jittered(second, 0.25, 0), second);
        let shortest = jittered(second, 0.25, u64::MAX);
        assert!(shortest >= Duration::from_millis(750) && shortest < Duration::from_millis(751), "{shortest:?}");
        assert_eq!(jittered(second, 0.25, 1 << 63), Duration::from_millis(875));
        assert_eq!(jittered(second, 0.0, u64::MAX), second);
    }

    #[test]
    fn the_ramp_goes_from_a_tenth_to_one() {
        let start = Instant::now();
        let ten = Duration::from_secs(10);
        assert_eq!(ramp(None, start, ten), 1.0);
        assert!((ramp(Some(start), start, ten) - 0.1).abs() < 1e-9);
        assert!((ramp(Some(start), start + ten / 2, ten) - 0.55).abs() < 1e-9);
        assert_eq!(ramp(Some(start), start + ten, ten), 1.0);
        assert_eq!(ramp(Some(start), start, Duration::ZERO), 1.0);
        assert!((ramp(Some(start + ten), start, ten) - 0.1).abs() < 1e-9);
    }
}
