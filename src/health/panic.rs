//! When so many backends look bad that the checks are the likelier culprit.

use super::Verdict;

/// Whether to place regardless of the verdicts: the backends that are up are fewer than `threshold` percent of those that the
/// operator has not drained. 0 switches it off, 1 means "only when none is up".
///
/// Never while one is still unknown: at start nothing is up because nothing was asked yet.
pub fn panicking(members: impl IntoIterator<Item = (Verdict, bool)>, threshold: u8) -> bool {
    let (mut up, mut counted, mut unknown) = (0u64, 0u64, false);
    for (verdict, drained) in members {
        if !drained {
            counted += 1;
            up += u64::from(verdict == Verdict::Up);
            unknown |= verdict == Verdict::Unknown;
        }
    }
    !unknown && up * 100 < counted * u64::from(threshold.min(100))
}

/// Whether one backend takes placements. A drained one never does: that is an order and not a suspicion.
pub fn eligible(verdict: Verdict, drained: bool, panicking: bool) -> bool {
    !drained && (panicking || verdict == Verdict::Up)
}

#[cfg(test)]
mod tests {
    use super::{Verdict::*, *};

    fn panics(verdicts: &[Verdict], threshold: u8) -> bool {
        panicking(verdicts.iter().map(|v| (*v, false)), threshold)
    }

    #[test]
    fn panics_below_the_threshold_only() {
        assert!(panics(&[Down, Down, Down], 1));
        assert!(!panics(&[Up, Down, Down], 1));
        assert!(panics(&[Up, Down, Down], 50));
        assert!(!panics(&[Up, Down], 50));
        assert!(!panics(&[Up, Up], 100));
        assert!(panics(&[Up, Down], 100));
    }

    #[test]
    fn zero_switches_it_off_and_nobody_is_no_panic() {
        assert!(!panics(&[Down, Down], 0));
        assert!(!panics(&[], 50));
    }

    #[test]
    fn waits_for_the_first_verdicts() {
        assert!(!panics(&[Unknown, Unknown], 50));
        assert!(!panics(&[Down, Unknown], 50));
    }

    #[test]
    fn drained_ones_do_not_count_and_are_never_eligible() {
        assert!(panicking([(Up, true), (Down, false)], 50));
        assert!(!panicking([(Down, true), (Up, false)], 50));
        assert!(eligible(Down, false, true));
        assert!(eligible(Up, false, false));
        assert!(!eligible(Up, true, true));
        assert!(!eligible(Down, false, false));
        assert!(!eligible(Unknown, false, false));
    }
}
