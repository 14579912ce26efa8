//! Locks under everything that happens: four proxies as processes of their own, which are stopped and killed; a Redis that is
//! killed without having kept anything, stopped, and replaced by a replica that lagged. What each proxy believed to hold, and
//! when, is compared afterwards.

mod child;
mod judge;
mod relay;
mod stage;

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use self::{judge::judge, stage::Stage};

/// A hold's time in these tests.
const TTL: Duration = Duration::from_millis(300);

/// The locks.
const KEYS: usize = 6;

/// The proxies.
const PROXIES: usize = 4;

/// Nanoseconds of a clock that all processes share.
fn clock() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().expect(variable))
}

/// Splitmix64: the same steps for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn between(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_is_never_held_twice() {
    let steps = number("PILOTFISH_LOCK_STEPS", 4000);
    let seed = number("PILOTFISH_SEED", clock());
    println!("PILOTFISH_SEED={seed} PILOTFISH_LOCK_STEPS={steps}");
    let mut stage = Stage::set(seed).await;
    stage.play(steps).await;
    let report = judge(stage.end().await);
    println!("{report:#?}");
    assert!(report.is_right(), "PILOTFISH_SEED={seed}: {report:#?}");
    assert!(report.done[..5].iter().all(|times| *times > 0), "{report:#?}");
    assert!(report.acquired > steps / 10, "it was hardly ever held: {report:#?}");
}
