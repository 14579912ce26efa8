//! One identity's own pool, and the CLI that runs in it now.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    app::fleet::Squadron,
    model::Identity,
    pool::Member,
    route::Instance,
    session::{Live, relocation::Cause},
    supervise::{ChildState, ChildStatus, Supervisor, TokenPrint},
    telemetry::{InstanceStart, InstanceStop},
};

/// One identity's own.
pub(in crate::app) struct Household {
    pub instance: Arc<Instance>,
    pub squadron: Arc<Squadron>,
    /// Ends what looks after its sessions.
    pub cancel: CancellationToken,
    tenancy: Mutex<Option<Arc<Tenancy>>>,
    /// The place that it has, from before its start to the end of its stop; 0: none.
    place: AtomicUsize,
    pub(super) record: Mutex<Record>,
}

/// A CLI that runs for a household.
pub(in crate::app) struct Tenancy {
    pub member: Arc<Member>,
    pub supervisor: Supervisor,
    /// Ends its probe.
    pub cancel: CancellationToken,
    /// What its GitHub token looked like at its start.
    pub(super) print: Option<TokenPrint>,
    /// It is being stopped.
    pub(super) ending: AtomicBool,
}

/// What the steward remembers of a household.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Starts and runs that failed in a row.
    pub failures: u32,
    /// Ends of its process that were counted.
    ends: u64,
    /// Since when it serves.
    pub up_since: Option<Instant>,
    /// Since when, and why, it is asked to rest.
    pub resting: Option<(Instant, Why)>,
    /// It has to be started again at its next idle point, and why.
    pub stale: Option<Stale>,
    /// It is being started for somebody who has waited since then, and how.
    pub awaited: Option<(Instant, InstanceStart)>,
}

/// Why a CLI is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Nobody used it for long.
    Idle,
    /// Somebody else needs its place.
    Capacity,
    /// It has to be another one.
    Stale(Stale),
    /// It cannot be kept running.
    Failing,
}

/// Why a CLI has to be another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stale {
    /// Its secret has changed.
    Token,
    /// An operator wants it.
    Order,
}

impl Why {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "nobody used it",
            Self::Capacity => "its place is needed",
            Self::Stale(Stale::Token) => "its secret has changed",
            Self::Stale(Stale::Order) => "an operator wants it started again",
            Self::Failing => "it cannot be kept running",
        }
    }

    pub(super) fn label(self) -> InstanceStop {
        match self {
            Self::Idle => InstanceStop::Idle,
            Self::Capacity => InstanceStop::Capacity,
            Self::Stale(_) => InstanceStop::Stale,
            Self::Failing => InstanceStop::Failing,
        }
    }
}

/// What became of the process since the last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It serves.
    Well,
    /// It is on its way.
    Starting,
    /// It ended so many times in a row, the last time like this; it is started again in a moment.
    Ended(u32, String),
}

impl Household {
    pub(super) fn new(instance: Arc<Instance>, squadron: Arc<Squadron>, cancel: CancellationToken) -> Self {
        let (tenancy, record) = (Mutex::default(), Mutex::default());
        Self { instance, squadron, cancel, tenancy, place: AtomicUsize::new(0), record }
    }

    /// The place that it has.
    pub(super) fn place(&self) -> Option<usize> {
        Some(self.place.load(Ordering::Acquire)).filter(|place| *place > 0)
    }

    /// It gets a place, or gives it back.
    pub(super) fn set_place(&self, place: Option<usize>) {
        self.place.store(place.unwrap_or(0), Ordering::Release);
    }

    /// Whose it is.
    pub(in crate::app) fn who(&self) -> &Identity {
        self.instance.who()
    }

    /// The CLI that runs in it now.
    pub(in crate::app) fn tenancy(&self) -> Option<Arc<Tenancy>> {
        self.tenancy.lock().clone()
    }

    /// Its CLI is being stopped.
    pub(super) fn is_ending(&self) -> bool {
        self.tenancy().is_some_and(|tenancy| tenancy.ending.load(Ordering::Acquire))
    }

    /// A CLI moves in, or out.
    pub(super) fn set_tenancy(&self, tenancy: Option<Arc<Tenancy>>) {
        let members = tenancy.iter().map(|tenancy| tenancy.member.clone()).collect();
        *self.tenancy.lock() = tenancy;
        self.squadron.pool.set_members(members);
        let mut record = self.record.lock();
        *record = Record { failures: record.failures, awaited: record.awaited, ..Record::default() };
    }

    /// How its process is. Failures are forgotten when it has been well for `stable`.
    pub(super) fn news(&self, tenancy: &Tenancy, stable: Duration, now: Instant) -> News {
        let Some(status) = tenancy.supervisor.status().pop() else { return News::Starting };
        let mut record = self.record.lock();
        let ended = matches!(status.state, ChildState::Waiting) && status.last_end.is_some();
        let ends = tenancy.member.restarts.load(Ordering::Relaxed) + u64::from(ended);
        if ends > record.ends {
            record.failures = record.failures.saturating_add(u32::try_from(ends - record.ends).unwrap_or(u32::MAX));
            (record.ends, record.up_since) = (ends, None);
        }
        match status {
            ChildStatus { last_end: Some(how), .. } if ended => News::Ended(record.failures, how),
            ChildStatus { state: ChildState::Running, .. } if self.instance.is_healthy() => {
                let since = *record.up_since.get_or_insert(now);
                if now.saturating_duration_since(since) >= stable {
                    record.failures = 0;
                }
                News::Well
            }
            ChildStatus { state: ChildState::Running, .. } if self.instance.is_open() => News::Well,
            _ => News::Starting,
        }
    }

    /// Closes its idle sessions; their clients keep them.
    pub(super) fn park(&self, cause: Cause, now: Instant) {
        let may = |live: &Arc<Live>| live.may_make_way();
        for live in self.squadron.registry.room().seated().into_iter().filter(may) {
            live.begin_move(cause, None, now);
        }
    }

    /// Nobody has anything to do with it, and nothing of it is left to be done.
    pub(super) fn is_deserted(&self) -> bool {
        let registry = &self.squadron.registry;
        self.tenancy().is_none()
            && self.instance.occupants() == 0
            && !registry.has_clients()
            && registry.departed() == 0
    }
}
