//! How a session changes its home: all of its clients go together, one of them closes it at the old home and opens it at the
//! new one, the others follow. Pure: who waits for whom; what is sent is the driver's.
//!
//! ```text
//! served -> holding -> closing -> homeless -> opening -> following -> served
//!              |                     ^  ^________|  failed: the next target
//!              +-> served (not idle) +-- the home was lost
//! ```

mod step;

use std::{sync::Arc, time::Instant};

use super::Bell;
use crate::pool::Member;
pub use step::{Cause, Homeless, Step};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Attached at the home.
    Home,
    /// The same, and holds its requests.
    Quiet,
    /// Attached nowhere, or still at the home: it has a link there, and nobody knows what was closed.
    Unsure,
    /// Attached nowhere.
    Cut,
}

impl Stage {
    fn is_apart(self) -> bool {
        matches!(self, Self::Unsure | Self::Cut)
    }
}

#[derive(Debug)]
struct Part {
    bell: Arc<Bell>,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Phase {
    Holding,
    Closing(u32),
    Homeless,
    Opening(u32, Arc<Member>),
    Following,
    Parked,
    Lost,
}

#[derive(Debug)]
struct Plan {
    cause: Cause,
    phase: Phase,
    from: Arc<Member>,
    wish: Option<Arc<Member>>,
    tried: Vec<Arc<str>>,
    since: Instant,
}

/// The clients of one session, and its way to another home if it is on one.
#[derive(Debug)]
pub struct Relocation {
    home: Arc<Member>,
    berth: u64,
    parts: Vec<Part>,
    plan: Option<Plan>,
    moved: Option<Instant>,
    whole: bool,
}

impl Relocation {
    pub(super) fn new(home: Arc<Member>) -> Self {
        Self { berth: home.incarnation(), home, parts: Vec::with_capacity(1), plan: None, moved: None, whole: false }
    }

    /// Where it lives, or lived last.
    pub fn home(&self) -> &Arc<Member> {
        &self.home
    }

    /// Whether it is on its way.
    pub fn is_under_way(&self) -> bool {
        self.plan.is_some()
    }

    /// Whether a place is looked for where it can be opened.
    pub fn is_sought(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| matches!(plan.phase, Phase::Homeless | Phase::Opening(..)))
    }

    /// Whether it could not be opened anywhere.
    pub fn is_lost(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| matches!(plan.phase, Phase::Lost))
    }

    /// The incarnation of the home in which it was opened.
    pub fn berth(&self) -> u64 {
        self.berth
    }

    /// When it last came to a new home.
    pub fn moved(&self) -> Option<Instant> {
        self.moved
    }

    /// Nobody was attached any more when it was opened last: a turn that ran before runs no longer.
    pub fn was_cut_off(&self) -> bool {
        self.whole
    }

    /// The clients, to ring for.
    pub fn bells(&self) -> impl Iterator<Item = &Arc<Bell>> {
        self.parts.iter().map(|part| &part.bell)
    }

    /// A client came. If the session is on its way, the client goes with it.
    pub(super) fn join(&mut self, bell: &Arc<Bell>) {
        let stage = if self.plan.is_some() { Stage::Cut } else { Stage::Home };
        self.parts.push(Part { bell: bell.clone(), stage });
    }

    /// A client left. What it had begun is somebody else's to finish.
    pub(super) fn leave(&mut self, client: u32) {
        self.parts.retain(|part| part.bell.client() != client);
        let Some(plan) = &mut self.plan else { return };
        match &plan.phase {
            // Whether it was closed is not known: closing it twice does no harm.
            Phase::Closing(by) if *by == client => plan.phase = Phase::Holding,
            Phase::Opening(by, at) if *by == client => {
                // It may be live there for a moment: that one is the first to ask, or keeps the pin.
                plan.wish = Some(at.clone());
                if self.parts.is_empty() {
                    self.home = at.clone();
                }
                plan.phase = Phase::Homeless;
            }
            _ => {}
        }
        if self.parts.is_empty() {
            self.plan = None;
        }
        self.stay_with_links();
        self.settle();
    }

    /// Nobody is left who would open it: all have their links. Those who were quiet do not know whether it was closed there.
    fn stay_with_links(&mut self) {
        let homeless = self.plan.as_ref().is_some_and(|plan| matches!(plan.phase, Phase::Homeless));
        if !homeless || self.parts.iter().any(|part| part.stage.is_apart()) {
            return;
        }
        if self.parts.iter().all(|part| part.stage == Stage::Home) {
            self.plan = None;
        }
        self.all_of(Stage::Quiet, Stage::Unsure);
    }

    /// Begins a move of an idle session. `false`: it is on its way already.
    pub fn begin(&mut self, cause: Cause, wish: Option<Arc<Member>>, now: Instant) -> bool {
        if self.plan.is_some() || self.parts.is_empty() {
            return false;
        }
        let from = self.home.clone();
        self.plan = Some(Plan { cause, phase: Phase::Holding, from, wish, tried: Vec::new(), since: now });
        true
    }

    /// What `client` has to do now. The answer `Close` makes it the one who does it.
    pub fn step(&mut self, client: u32) -> Step {
        let Some(plan) = &mut self.plan else { return Step::Served };
        let Some(stage) = self.parts.iter().find(|part| part.bell.client() == client).map(|part| part.stage) else {
            return Step::Served;
        };
        match &plan.phase {
            Phase::Holding if stage == Stage::Home => Step::Hold,
            Phase::Holding if self.parts.iter().all(|part| part.stage != Stage::Home) => {
                if stage.is_apart() && self.parts.iter().any(|part| part.stage == Stage::Quiet) {
                    return Step::Wait; // It has no link to the old home.
                }
                plan.phase = Phase::Closing(client);
                Step::Close(plan.from.clone())
            }
            // Its link may be the last one to the old home; whoever lost theirs opens it there again.
            Phase::Homeless if !stage.is_apart() => Step::Wait,
            Phase::Homeless => Step::Open(Homeless {
                cause: plan.cause,
                from: plan.from.clone(),
                wish: plan.wish.clone(),
                tried: plan.tried.clone(),
                everyone_cut: self.parts.iter().all(|part| part.stage == Stage::Cut),
                since: plan.since,
                opened: self.moved,
            }),
            Phase::Following if stage.is_apart() => Step::Follow(self.home.clone()),
            // Whoever is there first waits for the others: what it asks would be told to nobody else.
            Phase::Following => Step::Wait,
            Phase::Parked => Step::Parked,
            Phase::Lost => Step::Lost,
            Phase::Holding | Phase::Closing(_) | Phase::Opening(..) => Step::Wait,
        }
    }

    /// `client` holds its requests, and nothing of the session is under way.
    pub fn quiet(&mut self, client: u32) {
        self.mark(client, Stage::Quiet, Stage::Home);
    }

    /// Something of the session is under way at a client: not now. `false`: too late, it is being closed.
    pub fn refuse(&mut self) -> bool {
        let holding = self.plan.as_ref().is_some_and(|plan| matches!(plan.phase, Phase::Holding));
        if holding {
            self.all_of(Stage::Quiet, Stage::Home);
            let cut = self.parts.iter().any(|part| part.stage.is_apart());
            // Whoever lost the way there, or came meanwhile, attaches there.
            self.plan = self.plan.take().filter(|_| cut);
            if let Some(plan) = &mut self.plan {
                (plan.phase, plan.cause, plan.wish) = (Phase::Homeless, Cause::Lost, None);
            }
        }
        holding
    }

    /// It is closed at its old home: for everybody.
    pub fn closed(&mut self, client: u32) {
        if let Some(plan) = &mut self.plan
            && matches!(plan.phase, Phase::Closing(by) if by == client)
        {
            plan.phase = if plan.cause.parks() { Phase::Parked } else { Phase::Homeless };
            self.parts.iter_mut().for_each(|part| part.stage = Stage::Cut);
        }
    }

    /// It lives nowhere until somebody needs it.
    pub fn is_parked(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| matches!(plan.phase, Phase::Parked))
    }

    /// It cannot be opened now, but nobody has it either. `false`: somebody may.
    pub fn park(&mut self) -> bool {
        let apart = self.parts.iter().all(|part| part.stage == Stage::Cut);
        match &mut self.plan {
            Some(plan) if apart && matches!(plan.phase, Phase::Homeless) => {
                plan.phase = Phase::Parked;
                true
            }
            _ => false,
        }
    }

    /// Somebody needs it. `false`: it is not parked.
    pub fn wake(&mut self, now: Instant) -> bool {
        let parked = self.is_parked();
        if let Some(plan) = self.plan.as_mut().filter(|_| parked) {
            let from = plan.from.clone();
            *plan =
                Plan { cause: Cause::Wake, phase: Phase::Homeless, from, wish: None, tried: Vec::new(), since: now };
        }
        parked
    }

    /// It is to be opened there, if that is possible.
    pub fn wish(&mut self, home: Arc<Member>) {
        if let Some(plan) = &mut self.plan {
            plan.tried.retain(|name| *name != home.name);
            plan.wish = Some(home);
        }
    }

    /// Its home would not close it: it stays.
    pub fn not_closed(&mut self, client: u32) {
        if let Some(plan) = &mut self.plan
            && matches!(plan.phase, Phase::Closing(by) if by == client)
        {
            plan.phase = Phase::Holding;
            self.refuse();
        }
    }

    /// Why it is on its way.
    pub fn cause(&self) -> Option<Cause> {
        self.plan.as_ref().map(|plan| plan.cause)
    }

    /// The link of `client` to the session's home is gone, or the session ended there by itself.
    pub fn lost(&mut self, client: u32, now: Instant) {
        self.parts.iter_mut().filter(|part| part.bell.client() == client).for_each(|part| part.stage = Stage::Cut);
        let homeless = |from: &Arc<Member>| Plan {
            cause: Cause::Lost,
            phase: Phase::Homeless,
            from: from.clone(),
            wish: None,
            tried: Vec::new(),
            since: now,
        };
        match &mut self.plan {
            Some(plan) => match plan.phase {
                Phase::Holding => (plan.phase, plan.cause, plan.wish) = (Phase::Homeless, Cause::Lost, None),
                Phase::Closing(by) if by == client => {
                    (plan.phase, plan.cause, plan.wish) = (Phase::Homeless, Cause::Lost, None);
                }
                // The new home, too. While anybody is attached there it lives, and this client comes there once more.
                Phase::Following if self.parts.iter().all(|part| part.stage != Stage::Home) => {
                    *plan = homeless(&self.home);
                }
                _ => {}
            },
            None => self.plan = Some(homeless(&self.home)),
        }
    }

    /// `client` opens it at `at`. `false`: somebody else was first.
    pub fn opening(&mut self, client: u32, at: &Arc<Member>) -> bool {
        match &mut self.plan {
            Some(plan) if matches!(plan.phase, Phase::Homeless) => {
                plan.phase = Phase::Opening(client, at.clone());
                true
            }
            _ => false,
        }
    }

    /// `client` does not open it now; nothing was tried.
    pub fn not_opening(&mut self, client: u32) {
        if let Some(plan) = &mut self.plan
            && matches!(plan.phase, Phase::Opening(by, _) if by == client)
        {
            plan.phase = Phase::Homeless;
        }
    }

    /// It lives at the backend where `client` opened it. `false`: nobody expected that any more.
    pub fn opened(&mut self, client: u32, now: Instant) -> bool {
        let Some(plan) = &mut self.plan else { return false };
        let Phase::Opening(by, at) = &plan.phase else { return false };
        if *by != client {
            return false;
        }
        (self.home, self.berth) = (at.clone(), at.incarnation());
        self.whole = self.parts.iter().all(|part| part.stage == Stage::Cut);
        plan.phase = Phase::Following;
        self.moved = Some(now);
        self.come_home(client);
        // Whether it was closed under them is not known: they attach once more.
        self.all_of(Stage::Quiet, Stage::Unsure);
        self.settle();
        true
    }

    /// It could not be opened there.
    pub fn not_opened(&mut self, client: u32) {
        let Some(plan) = &mut self.plan else { return };
        if let Phase::Opening(by, at) = &plan.phase
            && *by == client
        {
            plan.tried.push(at.name.clone());
            plan.wish = plan.wish.take().filter(|wish| wish.name != at.name);
            plan.phase = Phase::Homeless;
        }
    }

    /// Every backend was tried: later they may be tried again.
    pub fn try_again(&mut self) {
        if let Some(plan) = &mut self.plan {
            plan.tried.clear();
        }
    }

    /// `client` is attached at the new home. So it lives, whatever others have lost meanwhile.
    pub fn followed(&mut self, client: u32) {
        self.come_home(client);
        self.stay_with_links();
        self.settle();
    }

    /// It turned out to be somebody else's.
    pub fn dispossess(&mut self, now: Instant) {
        let (from, cause) = (self.home.clone(), Cause::Lost);
        self.plan = Some(Plan { cause, phase: Phase::Lost, from, wish: None, tried: Vec::new(), since: now });
    }

    /// Another proxy may have closed it at its home: whoever is attached attaches once more.
    pub fn doubt(&mut self, now: Instant) {
        let at_home = |plan: &Plan| matches!(plan.phase, Phase::Holding | Phase::Closing(_));
        if self.plan.as_ref().is_none_or(at_home) {
            let (from, cause) = (self.home.clone(), Cause::Lost);
            self.parts.iter_mut().filter(|part| part.stage != Stage::Cut).for_each(|part| part.stage = Stage::Unsure);
            self.plan = Some(Plan { cause, phase: Phase::Homeless, from, wish: None, tried: Vec::new(), since: now });
        }
    }

    /// Nobody has opened it yet, and it will be opened at `home`.
    pub fn place(&mut self, home: Arc<Member>) {
        if self.plan.is_none() {
            (self.home, self.berth) = (home.clone(), home.incarnation());
        }
    }

    /// It cannot be had any more.
    pub fn give_up(&mut self) {
        if let Some(plan) = &mut self.plan {
            plan.phase = Phase::Lost;
        }
    }

    fn all_of(&mut self, from: Stage, to: Stage) {
        self.parts.iter_mut().filter(|part| part.stage == from).for_each(|part| part.stage = to);
    }

    fn come_home(&mut self, client: u32) {
        self.mark(client, Stage::Home, Stage::Cut);
        self.mark(client, Stage::Home, Stage::Unsure);
    }

    fn mark(&mut self, client: u32, to: Stage, from: Stage) {
        let mine = self.parts.iter_mut().filter(|part| part.bell.client() == client && part.stage == from);
        mine.for_each(|part| part.stage = to);
    }

    /// All have followed: it has arrived.
    fn settle(&mut self) {
        let following = self.plan.as_ref().is_some_and(|plan| matches!(plan.phase, Phase::Following));
        if following && self.parts.iter().all(|part| part.stage == Stage::Home) {
            self.plan = None;
        }
    }
}

#[cfg(test)]
mod tests;
