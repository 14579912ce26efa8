//! Consistent hashing with bounded loads: a full backend is passed over for the next in the key's own order.

use super::{Candidate, rendezvous::Draw};

/// How far a backend may rise above the mean before new keys pass it over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadBound {
    /// Times the mean for its weight; 1.25 by default. At least 1; anything else (0 is the written form) switches the bound off.
    pub factor: f64,
    /// Loads below this are never full, so that a handful of sessions stays where its hash says; 32 by default.
    pub floor: u64,
}

impl Default for LoadBound {
    fn default() -> Self {
        Self { factor: 1.25, floor: 32 }
    }
}

/// The first candidate in `key`'s order that is not full. One is full when its load has reached the floor and one more would
/// exceed `factor` times its share of all the load. Somebody always has room: loads that are all above
/// their shares would add up to more than their sum.
pub fn bounded<T, I>(key: u64, bound: LoadBound, candidates: I) -> Option<T>
where
    I: IntoIterator<Item = (Candidate, T)>,
    I::IntoIter: Clone,
{
    let candidates = candidates.into_iter();
    if bound.factor.is_nan() || bound.factor < 1.0 {
        return super::rank(key, candidates);
    }
    let (mut load, mut share) = (0u64, 0u64);
    for (candidate, _) in candidates.clone() {
        load = load.saturating_add(candidate.load);
        share = share.saturating_add(candidate.share());
    }
    let each = bound.factor * (load as f64 + 1.0) / share as f64;
    let mut best: Option<(Draw, T)> = None;
    for (candidate, item) in candidates.clone() {
        let draw = Draw::new(key, &candidate);
        if best.as_ref().is_none_or(|(other, _)| draw.beats(other)) && !full(&candidate, bound.floor, each) {
            best = Some((draw, item));
        }
    }
    best.map(|(_, item)| item).or_else(|| super::rank(key, candidates))
}

/// The floor is scaled by the ramp as well, or a backend in its slow start would take its first `floor` sessions in one gulp.
fn full(candidate: &Candidate, floor: u64, each: f64) -> bool {
    let share = candidate.share() as f64;
    let floor = floor as f64 * (share / (f64::from(candidate.weight.max(1)) * super::WEIGHT_STEPS));
    candidate.load as f64 >= floor && candidate.load as f64 + 1.0 > (each * share).ceil()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::balance::{hash_key, order, rank, tests::candidate};

    fn fill(weights: &[u32], bound: LoadBound, keys: u64, salt: u64) -> Vec<u64> {
        let names: Vec<String> = (0..weights.len()).map(|i| format!("cli-{i}")).collect();
        let mut loads = vec![0u64; weights.len()];
        for key in 0..keys {
            let set = (0..weights.len()).map(|i| (candidate(&names[i], weights[i], loads[i]), i));
            let chosen = bounded(hash_key(&(key ^ salt).to_le_bytes()), bound, set.collect::<Vec<_>>()).unwrap();
            loads[chosen] += 1;
        }
        loads
    }

    #[test]
    fn below_the_floor_the_hash_alone_decides() {
        let set = [(candidate("a", 1, 31), "a"), (candidate("b", 1, 0), "b"), (candidate("c", 1, 0), "c")];
        for key in 0..300 {
            assert_eq!(bounded(key, LoadBound::default(), set), rank(key, set));
        }
    }

    #[test]
    fn a_full_one_gives_way_to_the_next_in_order() {
        let set = [(candidate("a", 1, 90), "a"), (candidate("b", 1, 30), "b"), (candidate("c", 1, 30), "c")];
        let mut passed_over = 0;
        for key in 0..300 {
            let order = order(key, set);
            let expected = if order[0] == "a" { order[1] } else { order[0] };
            passed_over += usize::from(order[0] == "a");
            assert_eq!(bounded(key, LoadBound::default(), set), Some(expected));
        }
        assert!(passed_over > 50);
    }

    #[test]
    fn zero_switches_it_off() {
        let set = [(candidate("a", 1, 9_000), "a"), (candidate("b", 1, 0), "b")];
        for key in 0..100 {
            assert_eq!(bounded(key, LoadBound { factor: 0.0, floor: 0 }, set), rank(key, set));
        }
    }

    #[test]
    fn a_ramping_one_is_full_sooner() {
        let slow = Candidate { ramp: 0.1, ..candidate("a", 1, 6) };
        let set = [(slow, "a"), (candidate("b", 1, 40), "b"), (candidate("c", 1, 40), "c")];
        let taken = (0..300).filter(|key| bounded(*key, LoadBound::default(), set) == Some("a")).count();
        assert_eq!(taken, 0);
    }

    #[test]
    fn a_hundred_sessions_over_three_stay_within_the_bound() {
        for salt in 0..50 {
            let loads = fill(&[1, 1, 1], LoadBound { factor: 1.25, floor: 0 }, 100, salt << 32);
            assert!(loads.iter().all(|load| *load <= 42), "{loads:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn never_exceeds_the_bound_above_the_floor(
            weights in prop::collection::vec(1u32..6, 1..8), floor in 0u64..40, keys in 1u64..600, salt: u64, factor in 1.0f64..2.0,
        ) {
            let loads = fill(&weights, LoadBound { factor, floor }, keys, salt);
            let total: u64 = loads.iter().sum();
            prop_assert_eq!(total, keys);
            let sum: u32 = weights.iter().sum();
            for (load, weight) in loads.iter().zip(&weights) {
                let cap = (factor * total as f64 * f64::from(*weight) / f64::from(sum)).ceil() as u64;
                prop_assert!(*load <= cap.max(floor), "{:?} {:?}", loads, weights);
            }
        }
    }
}
