//! Smooth weighted round robin, as in nginx: weights 5, 1, 1 give `a a b a c a a`, not `a a a a a b c`.

use super::Candidate;

/// Whose turn it is. The same calls give the same answers in every process.
#[derive(Debug, Default)]
pub struct RoundRobin {
    turns: Vec<Turn>,
}

#[derive(Debug)]
struct Turn {
    seed: u64,
    credit: i64,
}

impl RoundRobin {
    /// The next candidate: each earns its weight, the richest is chosen and pays what all earned together. Those
    /// not in `candidates` neither earn nor pay.
    pub fn pick<T>(&mut self, candidates: impl IntoIterator<Item = (Candidate, T)>) -> Option<T> {
        let mut earned = 0i64;
        let mut best: Option<(usize, T)> = None;
        for (guess, (candidate, item)) in candidates.into_iter().enumerate() {
            let share = i64::try_from(candidate.share()).unwrap_or(i64::MAX);
            let at = self.position(guess, candidate.seed);
            self.turns[at].credit = self.turns[at].credit.saturating_add(share);
            earned = earned.saturating_add(share);
            if best.as_ref().is_none_or(|(other, _)| self.turns[at].credit > self.turns[*other].credit) {
                best = Some((at, item));
            }
        }
        let (at, item) = best?;
        self.turns[at].credit = self.turns[at].credit.saturating_sub(earned);
        Some(item)
    }

    /// Forgets all but the candidates with these seeds, when the set of backends changes.
    pub fn retain(&mut self, seeds: &[u64]) {
        self.turns.retain(|turn| seeds.contains(&turn.seed));
    }

    /// Candidates come in the same order nearly always, so the guess is nearly always right.
    fn position(&mut self, guess: usize, seed: u64) -> usize {
        if self.turns.get(guess).is_some_and(|turn| turn.seed == seed) {
            return guess;
        }
        self.turns.iter().position(|turn| turn.seed == seed).unwrap_or_else(|| {
            self.turns.push(Turn { seed, credit: 0 });
            self.turns.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::balance::tests::candidate;

    #[test]
    fn is_smooth() {
        let set = [(candidate("a", 5, 0), 'a'), (candidate("b", 1, 0), 'b'), (candidate("c", 1, 0), 'c')];
        let mut robin = RoundRobin::default();
        let got: String = (0..14).filter_map(|_| robin.pick(set)).collect();
        assert_eq!(got, "aabacaaaabacaa");
    }

    #[test]
    fn one_that_is_absent_does_not_save_up() {
        let set = [(candidate("a", 1, 0), 'a'), (candidate("b", 1, 0), 'b')];
        let mut robin = RoundRobin::default();
        assert_eq!((0..10).filter_map(|_| robin.pick(set[..1].iter().copied())).collect::<String>(), "aaaaaaaaaa");
        assert_eq!((0..4).filter_map(|_| robin.pick(set)).collect::<String>(), "abab");
        assert_eq!(robin.pick(Vec::<(Candidate, char)>::new()), None);
    }

    #[test]
    fn a_ramping_one_gets_less() {
        let set = [(candidate("a", 1, 0), 'a'), (Candidate { ramp: 0.25, ..candidate("b", 1, 0) }, 'b')];
        let mut robin = RoundRobin::default();
        assert_eq!((0..100).filter_map(|_| robin.pick(set)).filter(|c| *c == 'b').count(), 20);
    }

    #[test]
    fn forgets_the_gone() {
        let set = [(candidate("a", 1, 0), 'a'), (candidate("b", 1, 0), 'b')];
        let mut robin = RoundRobin::default();
        robin.pick(set);
        robin.retain(&[set[1].0.seed]);
        assert_eq!(robin.turns.len(), 1);
    }

    proptest! {
        #[test]
        fn a_full_round_is_exactly_the_weights(weights in prop::collection::vec(1u32..10, 1..8)) {
            let names: Vec<String> = (0..weights.len()).map(|i| format!("cli-{i}")).collect();
            let set: Vec<_> =
                names.iter().zip(&weights).enumerate().map(|(i, (name, weight))| (candidate(name, *weight, 0), i)).collect();
            let mut robin = RoundRobin::default();
            let mut counts = vec![0u32; weights.len()];
            for _ in 0..weights.iter().sum() {
                counts[robin.pick(set.iter().copied()).unwrap()] += 1;
            }
            prop_assert_eq!(counts, weights);
        }
    }
}
