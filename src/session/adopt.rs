//! Pins that one process leaves to the next.

use std::{sync::Arc, time::Instant};

use super::{Live, Registry};
use crate::pool::Member;

impl Registry {
    /// Every session whose home is known, with that home's name.
    pub fn pins(&self, now: Instant) -> Vec<(Box<str>, Arc<str>)> {
        let of = |live: &Arc<Live>| (live.id().into(), live.home().name.clone());
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(shard.lock().values().filter(|live| self.holds(live, now) && !live.is_parked()).map(of));
        }
        all
    }

    /// Takes over a pin: nobody here holds the session, but it lives at `home`, and whoever comes for it until `until` meets it
    /// there. `false`: the session is known here already.
    pub fn adopt(&self, id: &str, home: Arc<Member>, until: Instant, now: Instant) -> bool {
        let mut shard = self.shard(id).lock();
        if shard.get(id).is_some_and(|live| self.holds(live, now)) {
            return false;
        }
        let live = Live::new(id, home, None, self, now);
        // As if the last client had let go so long before the end that the linger is over then.
        *live.released.lock() = Some(until.checked_sub(self.linger).unwrap_or(now));
        shard.insert(live.id.clone(), Arc::new(live));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::Ordering, time::Duration};

    use super::*;
    use crate::{pool::Verdict, session::Bell};

    const LINGER: Duration = Duration::from_secs(5);

    fn member(name: &str) -> Arc<Member> {
        let member = Member::new("p".into(), name.into(), 1, Some(([127, 0, 0, 1], 1).into()));
        member.set_verdict(Verdict::Up);
        Arc::new(member)
    }

    #[test]
    fn an_adopted_session_is_met_at_its_home_until_the_time_is_over() {
        let registry = Arc::new(Registry::new(LINGER));
        let (a, b) = (member("a"), member("b"));
        let now = Instant::now();
        let until = now + Duration::from_secs(60);
        assert!(registry.adopt("s", a.clone(), until, now));
        assert!(registry.adopt("t", a.clone(), until, now));
        assert!(!registry.adopt("t", b.clone(), until, now), "known already");
        assert_eq!(a.sessions.load(Ordering::Relaxed), 0, "nobody holds it here");
        let late = until - Duration::from_millis(1);
        let claim = registry.claim("s", &Arc::new(Bell::new(1)), late, || Some(b.clone())).unwrap();
        assert!(!claim.fresh);
        assert_eq!(&*claim.attachment.live().home().name, "a");
        assert_eq!(a.sessions.load(Ordering::Relaxed), 1);
        assert!(registry.find("t", late).is_some());
        assert!(registry.find("t", until).is_none());
        assert_eq!(registry.pins(until), [("s".into(), "a".into())]);
        a.set_verdict(Verdict::Down);
        assert!(registry.find("t", late).is_none(), "a dead home holds nothing");
        assert!(registry.adopt("t", b, until, late));
    }

    #[test]
    fn pins_are_those_that_are_held_or_linger() {
        let registry = Arc::new(Registry::new(LINGER));
        let a = member("a");
        let now = Instant::now();
        let held = registry.claim("held", &Arc::new(Bell::new(1)), now, || Some(a.clone())).unwrap();
        drop(registry.claim("lost", &Arc::new(Bell::new(1)), now, || Some(a.clone())));
        registry.claim("gone", &Arc::new(Bell::new(1)), now, || Some(a.clone())).unwrap().attachment.detach();
        let mut pins = registry.pins(Instant::now());
        pins.sort();
        assert_eq!(pins, [("held".into(), "a".into()), ("lost".into(), "a".into())]);
        drop(held);
    }
}
