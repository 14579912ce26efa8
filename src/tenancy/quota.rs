//! How much a tenant may use, and how often. Nothing here locks: every limit is one atomic number.

mod rate;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use rate::Rate;

/// When something that is held comes free nobody knows: a guess.
const UNKNOWN_WAIT: Duration = Duration::from_secs(1);

/// The limits of one tenant in one pool; `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time.
    pub connections: Option<u64>,
    /// Sessions that are held.
    pub sessions: Option<u64>,
    /// Live sessions. Not counted here: who is over this may have another one of its own make way.
    pub live_sessions: Option<u64>,
    /// Turns at a time.
    pub turns: Option<u64>,
    /// Frames in a second.
    pub frames_per_second: Option<u64>,
    /// Bytes in a second.
    pub bytes_per_second: Option<u64>,
    /// New sessions in a minute.
    pub creates_per_minute: Option<u64>,
}

/// What is held for a while and then given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// A connection.
    Connection,
    /// A live session.
    Session,
    /// A running turn.
    Turn,
}

/// A limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Over {
    /// The limit's name in the config.
    pub what: &'static str,
    /// When to try again: whole milliseconds, at least one.
    pub retry_after: Duration,
}

/// What one tenant uses in one pool.
#[derive(Debug)]
pub struct Quota {
    held: [Places; 3],
    frames: Option<Rate>,
    bytes: Option<Rate>,
    creates: Option<Rate>,
    live_sessions: Option<u64>,
}

#[derive(Debug)]
struct Places {
    limit: Option<u64>,
    held: AtomicU64,
}

/// One place in a quota; dropped, it is given back.
#[derive(Debug)]
pub struct Hold {
    quota: Arc<Quota>,
    what: Held,
}

impl Quota {
    /// Nothing is used yet.
    pub fn new(limits: Limits) -> Arc<Self> {
        let places = |limit| Places { limit, held: AtomicU64::new(0) };
        Arc::new(Self {
            held: [places(limits.connections), places(limits.sessions), places(limits.turns)],
            frames: limits.frames_per_second.map(|most| Rate::new(most, Duration::from_secs(1))),
            bytes: limits.bytes_per_second.map(|most| Rate::new(most, Duration::from_secs(1))),
            live_sessions: limits.live_sessions,
            creates: limits.creates_per_minute.map(|most| Rate::new(most, Duration::from_secs(60))),
        })
    }

    /// How many sessions may be live.
    pub fn live_sessions(&self) -> Option<u64> {
        self.live_sessions
    }

    /// Takes one of what there is a fixed number of.
    pub fn hold(self: &Arc<Self>, what: Held) -> Result<Hold, Over> {
        let places = self.places(what);
        let taken = places.held.fetch_update(Relaxed, Relaxed, |held| {
            let more = held + 1;
            places.limit.is_none_or(|limit| more <= limit).then_some(more)
        });
        match taken {
            Ok(_) => Ok(Hold { quota: self.clone(), what }),
            Err(_) => Err(Over { what: what.limit(), retry_after: UNKNOWN_WAIT }),
        }
    }

    /// Takes one even above the limit: what is there already counts, whether it may be there or not.
    pub fn hold_anyway(self: &Arc<Self>, what: Held) -> Hold {
        self.places(what).held.fetch_add(1, Relaxed);
        Hold { quota: self.clone(), what }
    }

    /// How many are held.
    pub fn held(&self, what: Held) -> u64 {
        self.places(what).held.load(Relaxed)
    }

    /// Whether frames or bytes are limited; otherwise [`Self::take_frame`] need not be asked.
    #[inline]
    pub fn is_metered(&self) -> bool {
        self.frames.is_some() || self.bytes.is_some()
    }

    /// Takes one frame of so many bytes. A frame that is larger than a second's worth of bytes passes when nothing was sent for
    /// long enough, and is waited for afterwards.
    #[inline]
    pub fn take_frame(&self, bytes: u64, now: Instant) -> Result<(), Over> {
        let frame = self.frames.as_ref().map_or(Ok(()), |rate| rate.take(1, now));
        if let Err(wait) = frame {
            // The time to wait is that of both, or the next try would be refused as well.
            let wait = self.bytes.as_ref().map_or(wait, |rate| wait.max(rate.wait(bytes, now)));
            return Err(Over::after("frames_per_second", wait));
        }
        self.bytes.as_ref().map_or(Ok(()), |rate| rate.take(bytes, now)).map_err(|wait| {
            if let Some(rate) = &self.frames {
                rate.give_back(1);
            }
            Over::after("bytes_per_second", wait)
        })
    }

    /// What [`Self::take_frame`] would say now; nothing is taken.
    pub fn would_take(&self, bytes: u64, now: Instant) -> Result<(), Over> {
        let over = |rate: &Option<Rate>, count, what| {
            let wait = rate.as_ref().map_or(Duration::ZERO, |rate| rate.wait(count, now));
            if wait.is_zero() { Ok(()) } else { Err(Over::after(what, wait)) }
        };
        over(&self.bytes, bytes, "bytes_per_second").and_then(|()| over(&self.frames, 1, "frames_per_second"))
    }

    /// Takes one new session.
    pub fn take_create(&self, now: Instant) -> Result<(), Over> {
        let taken = self.creates.as_ref().map_or(Ok(()), |rate| rate.take(1, now));
        taken.map_err(|wait| Over::after("creates_per_minute", wait))
    }

    fn places(&self, what: Held) -> &Places {
        match what {
            Held::Connection => &self.held[0],
            Held::Session => &self.held[1],
            Held::Turn => &self.held[2],
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.quota.places(self.what).held.fetch_sub(1, Relaxed);
    }
}

impl Held {
    fn limit(self) -> &'static str {
        match self {
            Self::Connection => "connections",
            Self::Session => "sessions",
            Self::Turn => "turns",
        }
    }
}

impl Over {
    /// Rounded up to whole milliseconds, in which clients are told.
    fn after(what: &'static str, wait: Duration) -> Self {
        let millis = wait.as_nanos().div_ceil(1_000_000).max(1);
        Self { what, retry_after: Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)) }
    }
}

#[cfg(test)]
mod tests;
