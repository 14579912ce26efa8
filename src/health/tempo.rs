//! How fast a backend answers now, against how fast it answered when it was young.

use std::{collections::VecDeque, time::Duration};

/// The first answers of a life still pay for what is loaded late: they say nothing of it.
const WARM_UP: usize = 3;
/// So many answers after them make the baseline: their median, so that a single slow one does not matter.
const BASELINE: usize = 10;
/// So many answers make the present, again by their median.
const RECENT: usize = 5;

/// The probe times of one life of a backend.
#[derive(Clone, Debug, Default)]
pub struct Tempo {
    seen: usize,
    first: Vec<Duration>,
    recent: VecDeque<Duration>,
}

/// The two medians.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paces {
    /// When it was young.
    pub baseline: Duration,
    /// Now.
    pub now: Duration,
}

impl Tempo {
    /// Takes in how long a good check took.
    pub fn add(&mut self, took: Duration) {
        self.seen += 1;
        if self.seen <= WARM_UP {
            return;
        }
        if self.first.len() < BASELINE {
            self.first.push(took);
            return;
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(took);
    }

    /// Both medians; `None` until there are enough checks for them.
    pub fn paces(&self) -> Option<Paces> {
        let enough = self.first.len() == BASELINE && self.recent.len() == RECENT;
        enough.then(|| Paces { baseline: median(self.first.iter()), now: median(self.recent.iter()) })
    }
}

fn median<'a>(times: impl Iterator<Item = &'a Duration>) -> Duration {
    let mut times: Vec<_> = times.copied().collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn after(times: impl IntoIterator<Item = u32>) -> Option<Paces> {
        let mut tempo = Tempo::default();
        times.into_iter().for_each(|time| tempo.add(MS * time));
        tempo.paces()
    }

    #[test]
    fn says_nothing_before_it_knows_enough() {
        assert_eq!(after([1; 17]), None);
        assert_eq!(after([1; 18]), Some(Paces { baseline: MS, now: MS }));
    }

    #[test]
    fn the_warm_up_and_single_outliers_do_not_count() {
        let young = [900, 900, 900, 2, 2, 500, 2, 2, 2, 2, 400, 2, 2];
        assert_eq!(after(young.into_iter().chain([2, 800, 2, 2, 800])), Some(Paces { baseline: MS * 2, now: MS * 2 }));
    }

    #[test]
    fn the_present_goes_on_and_the_baseline_stays() {
        let old = [1; 13].into_iter().chain(10..30);
        assert_eq!(after(old), Some(Paces { baseline: MS, now: MS * 27 }));
    }
}
