//! Compares what the proxies believed.

use std::collections::HashMap;

use super::stage::Seen;

/// After a loss of the store two may hold a lock for so long, in nanoseconds: it is counted.
const WINDOW: u64 = 1_000_000_000;

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    pub steps: u64,
    pub acquired: u64,
    pub renewed: u64,
    pub released: u64,
    /// A proxy was stopped, killed; the store was killed, stopped, replaced; nothing happened.
    pub done: [u64; 6],
    /// Leases that the proxies counted as lost.
    pub leases_lost: u64,
    /// Two holders at a time soon after a loss of the store, and at any other time.
    pub overlaps_in_window: u64,
    pub overlaps: Vec<String>,
    /// A hold that was good and taken away by nobody's right.
    pub taken: Vec<String>,
    /// A token that is not greater than the one before it.
    pub tokens: Vec<String>,
}

impl Report {
    pub fn is_right(&self) -> bool {
        let counted = self.overlaps_in_window == 0 || self.leases_lost > 0;
        counted && self.overlaps.is_empty() && self.taken.is_empty() && self.tokens.is_empty()
    }
}

/// A proxy believed to hold a lock from then to then.
#[derive(Clone, Copy, Debug)]
struct Belief {
    actor: usize,
    token: u64,
    from: u64,
    to: u64,
}

pub fn judge(seen: Seen) -> Report {
    let mut report = Report { done: seen.done, ..Report::default() };
    let (mut steps, mut lost): (HashMap<usize, u64>, HashMap<usize, u64>) = (HashMap::new(), HashMap::new());
    let mut beliefs: HashMap<u64, Vec<Belief>> = HashMap::new();
    let mut firsts: HashMap<u64, Vec<(u64, u64)>> = HashMap::new();
    for (actor, line) in &seen.lines {
        let words: Vec<&str> = line.split(' ').collect();
        let numbers: Vec<u64> = words[1..].iter().map(|word| word.parse().expect("a number")).collect();
        match (words[0], &numbers[..]) {
            ("begin" | "again", &[lock, token, from, to]) => {
                report.acquired += u64::from(words[0] == "begin");
                report.renewed += u64::from(words[0] == "again");
                if words[0] == "begin" {
                    firsts.entry(lock).or_default().push((from, token));
                }
                beliefs.entry(lock).or_default().push(Belief { actor: *actor, token, from, to });
            }
            ("end", &[lock, token, at]) => {
                let ours = beliefs.entry(lock).or_default().iter_mut();
                ours.filter(|one| one.actor == *actor && one.token == token).for_each(|one| one.to = one.to.min(at));
            }
            ("released", _) => report.released += 1,
            ("taken", &[_, _, at]) if !in_window(&seen.losses, at, at) => report.taken.push(line.clone()),
            ("taken" | "lost", _) => {}
            ("steps", &[count, leases]) => {
                steps.insert(*actor, count);
                lost.insert(*actor, leases);
            }
            _ => panic!("{line}"),
        }
    }
    report.steps = steps.values().sum();
    report.leases_lost = lost.values().sum();
    for all in beliefs.values_mut() {
        for one in all.iter_mut() {
            let end = seen.killed.iter().find(|(actor, _)| *actor == one.actor).map_or(u64::MAX, |(_, at)| *at);
            one.to = one.to.min(end);
        }
        all.sort_by_key(|one| one.from);
        overlaps(all, &seen.losses, &mut report);
    }
    for all in firsts.values_mut() {
        all.sort_unstable();
        let falls = all.windows(2).filter(|pair| pair[0].1 >= pair[1].1);
        report.tokens.extend(falls.map(|pair| format!("{pair:?}")));
    }
    report
}

fn overlaps(all: &[Belief], losses: &[(u64, u64)], report: &mut Report) {
    for (index, one) in all.iter().enumerate() {
        let later = all[index + 1..].iter().take_while(|other| other.from < one.to);
        for other in later.filter(|other| other.token != one.token && other.from < other.to) {
            let (from, to) = (other.from, one.to.min(other.to));
            if in_window(losses, from, to) {
                report.overlaps_in_window += 1;
            } else {
                report.overlaps.push(format!("{one:?} {other:?} for {} us", (to - from) / 1000));
            }
        }
    }
}

fn in_window(losses: &[(u64, u64)], from: u64, to: u64) -> bool {
    losses.iter().any(|(gone, back)| from >= *gone && to <= back + WINDOW)
}
