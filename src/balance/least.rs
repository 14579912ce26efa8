//! The candidate with the least load for its weight.

use super::Candidate;

/// The candidate that one more would load the least, `(load + 1) / weight`: counting the newcomer makes weights matter
/// among empty backends too. Of equals it is the `rotation`-th in turn, so that equal members share.
pub fn least<T, I>(rotation: u64, candidates: I) -> Option<T>
where
    I: IntoIterator<Item = (Candidate, T)>,
    I::IntoIter: Clone,
{
    let candidates = candidates.into_iter();
    let mut best: Option<Candidate> = None;
    let mut equals = 0u64;
    for (candidate, _) in candidates.clone() {
        match best.map(|other| compare(&candidate, &other)) {
            Some(std::cmp::Ordering::Greater) => {}
            Some(std::cmp::Ordering::Equal) => equals += 1,
            Some(std::cmp::Ordering::Less) | None => (best, equals) = (Some(candidate), 1),
        }
    }
    let best = best?;
    let skip = usize::try_from(rotation % equals).unwrap_or(0);
    candidates.filter(|(candidate, _)| compare(candidate, &best).is_eq()).nth(skip).map(|(_, item)| item)
}

/// Cross-multiplied, so exact.
fn compare(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    let a_times_b = (u128::from(a.load) + 1) * u128::from(b.share());
    let b_times_a = (u128::from(b.load) + 1) * u128::from(a.share());
    a_times_b.cmp(&b_times_a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::tests::candidate;

    #[test]
    fn equals_share_by_rotation() {
        let set = [(candidate("a", 1, 3), 'a'), (candidate("b", 1, 3), 'b'), (candidate("c", 1, 9), 'c')];
        assert_eq!((0..6).filter_map(|rotation| least(rotation, set)).collect::<String>(), "ababab");
    }

    #[test]
    fn load_is_relative_to_weight() {
        let set = [(candidate("a", 1, 4), 'a'), (candidate("b", 3, 11), 'b')];
        assert_eq!(least(0, set), Some('b'));
        let set = [(candidate("a", 1, 2), 'a'), (candidate("b", 3, 11), 'b')];
        assert_eq!(least(0, set), Some('a'));
        assert_eq!(least(0, Vec::<(Candidate, ())>::new()), None);
    }

    #[test]
    fn an_empty_heavy_one_comes_first() {
        let set = [(candidate("a", 1, 0), 'a'), (candidate("b", 2, 0), 'b')];
        assert!((0..5).all(|rotation| least(rotation, set) == Some('b')));
    }

    #[test]
    fn a_ramping_one_counts_as_lighter() {
        let set = [(Candidate { ramp: 0.1, ..candidate("a", 1, 1) }, 'a'), (candidate("b", 1, 10), 'b')];
        assert_eq!(least(0, set), Some('b'));
    }

    #[test]
    fn filling_follows_the_weights() {
        let mut loads = [0u64; 3];
        for rotation in 0..80 {
            let set: Vec<_> = [1, 2, 5].iter().enumerate().map(|(i, w)| (candidate("x", *w, loads[i]), i)).collect();
            loads[least(rotation, set).unwrap()] += 1;
        }
        assert_eq!(loads, [10, 20, 50]);
    }
}
