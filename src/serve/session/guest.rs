//! Who this client is behind the wall between tenants, from its login to its end.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{calls::Call, client::Client, settings::Shared, workspace::Output};
use crate::{
    model::{Identity, Secret},
    session::Bearer,
    telemetry::{Rule, TenantMetrics, audit},
    tenancy::{Held, Hold, Over, Posture, Tenant, Wall},
    wire::{Reason, RequestId, reply},
};

/// A client over its quota is not read for so long: what it sends meanwhile waits in its own socket. With less than the
/// shorter time four clients that wrote as fast as they could took a worker thread by being refused (0.5 ms became 3 s for
/// the others in a debug build, 2026-11-25); the buckets refill meanwhile, so nothing of the rate is lost.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(250));

/// A client that the wall knows.
#[derive(Debug)]
pub(super) struct Guest {
    /// Who it is.
    pub who: Identity,
    /// The same for log lines.
    pub label: Box<str>,
    /// What its tenant may do.
    pub tenant: Arc<Tenant>,
    /// Its pool keeps tenants apart.
    pub apart: bool,
    /// What is counted for its tenant.
    pub metrics: Arc<TenantMetrics>,
    seat: Option<Hold>,
}

impl Guest {
    /// It is lost, and somebody else may come in its place.
    pub fn leave_seat(&mut self) {
        self.seat = None;
    }
}

/// Why a client is not let in.
pub(super) enum TurnedAway {
    /// Its token is not right.
    Unknown,
    /// Its tenant has too many connections.
    Full(Over),
}

/// A `connect` that waits because its address showed wrong tokens before.
pub(super) struct Delayed {
    /// Until then.
    pub until: Instant,
    /// The body.
    pub body: Vec<u8>,
}

impl Shared {
    /// A guest of this pool's wall. `None` where there is no wall.
    pub(super) fn guest(&self, who: Identity) -> Option<Result<Guest, TurnedAway>> {
        let wall = self.wall.as_ref()?;
        let (tenant, apart) = (wall.tenant(&who.tenant), wall.posture() == Posture::Tenants);
        let Some(tenant) = tenant else { return Some(Err(TurnedAway::Unknown)) };
        Some(match tenant.quota.hold(Held::Connection) {
            Ok(seat) => {
                let metrics = self.tenant_metrics(&who.tenant);
                Ok(Guest { label: who.to_string().into(), who, tenant, apart, metrics, seat: Some(seat) })
            }
            Err(over) => Err(TurnedAway::Full(over)),
        })
    }

    /// The metrics of a tenant, or those of all where series by tenant are switched off.
    pub(super) fn tenant_metrics(&self, name: &str) -> Arc<TenantMetrics> {
        self.metrics.tenant(if self.settings.tenant_metrics { name } else { "all" })
    }
}

impl Client {
    /// The wall and the guest, where the pool has a wall and the client has said who it is.
    pub(super) fn behind_wall(&self) -> Option<(&Wall, &Guest)> {
        Some((self.shared.wall.as_deref()?, self.guest.as_ref()?))
    }

    /// Lets a client in that the listener takes for its default tenant without a word.
    pub(super) fn admit_default(&mut self) {
        let Some(login) = self.shared.login.clone().filter(|login| !login.asks()) else { return };
        match login.default_identity().and_then(|who| self.shared.guest(who.clone())) {
            Some(Ok(guest)) => self.welcome(guest),
            Some(Err(TurnedAway::Full(over))) => {
                self.count_refusal_of(None, Rule::Connections);
                // Its first request is answered with that; without one it is closed like a client that says nothing.
                (self.turned_away, self.authenticated) = (Some(over), false);
            }
            Some(Err(TurnedAway::Unknown)) => self.authenticated = false,
            None => {}
        }
    }

    /// Lets the client in by the token that it shows. A client that has logged in stays who it is.
    pub(super) fn admit(&mut self, token: Option<&Secret>) -> Result<(), TurnedAway> {
        let Some(login) = self.shared.login.clone() else { return Ok(()) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if let Some(tenant) = self.certified.clone() {
            return self.admit_beside(&login, &tenant, token, now);
        }
        let who = login.ask(token, now).ok_or(TurnedAway::Unknown)?;
        if let Some(guest) = &self.guest {
            return if guest.who == who { Ok(()) } else { Err(TurnedAway::Unknown) };
        }
        if let Some(guest) = self.shared.guest(who) {
            let guest = guest?;
            tracing::debug!(conn = self.caller.number, client.addr = %self.caller.address, tenant = %guest.label, "logged in");
            self.welcome(guest);
        }
        Ok(())
    }

    pub(super) fn welcome(&mut self, guest: Guest) {
        let limit = guest.tenant.quota.live_sessions().map(|most| usize::try_from(most).unwrap_or(usize::MAX));
        self.bell.bear(Bearer { tenant: guest.who.tenant.clone(), limit });
        self.move_in(&guest.who);
        self.guest = Some(guest);
    }

    /// How long this client's `connect` has to wait for what its address did.
    pub(super) fn delay(&self) -> Duration {
        if self.shared.asks() {
            self.shared.patience.delay(self.caller.address.host(), self.now)
        } else {
            Duration::ZERO
        }
    }

    /// Takes the frame out of the tenant's quota. `false`: it is over it, and the frame was answered. An answer of the client
    /// passes all the same, for a backend waits for it.
    pub(super) fn is_within_quota(&mut self, bytes: usize, id: Option<&RequestId>, out: &mut Output) -> bool {
        match self.meter_frame(bytes) {
            Ok(()) => true,
            Err(over) => {
                self.refuse_frame(&over, id, out);
                false
            }
        }
    }

    /// Refuses a large frame for its quota before the rest of it comes. `true`: it was answered.
    pub(super) fn is_over_early(&mut self, bytes: usize, id: Option<&RequestId>, out: &mut Output) -> bool {
        let Some(guest) = self.guest.as_ref().filter(|guest| guest.tenant.quota.is_metered()) else { return false };
        let Err(over) = guest.tenant.quota.would_take(bytes as u64, self.now) else { return false };
        self.refuse_frame(&over, id, out);
        true
    }

    fn refuse_frame(&mut self, over: &Over, id: Option<&RequestId>, out: &mut Output) {
        let rule = if over.what == "bytes_per_second" { Rule::Bytes } else { Rule::Frames };
        self.pause(over.retry_after);
        self.count_refusal_of(None, rule);
        if id.is_some() {
            self.answer_over(id, over, out);
        }
    }

    /// Counts a frame for its tenant and takes it out of the tenant's quota.
    pub(super) fn meter_frame(&self, bytes: usize) -> Result<(), Over> {
        let Some(guest) = self.guest.as_ref().filter(|_| !self.repeating) else { return Ok(()) };
        if guest.tenant.quota.is_metered() { guest.tenant.quota.take_frame(bytes as u64, self.now) } else { Ok(()) }
    }

    /// Does not read the client for a moment: it is over its quota, and reading on would only refuse more.
    pub(super) fn pause(&mut self, wanted: Duration) {
        self.paused_until = Some(self.now + wanted.clamp(PAUSE.0, PAUSE.1));
        self.refused_at = Some(self.now);
        self.hurry();
    }

    /// Whether this client's frames count against a quota.
    pub(super) fn is_metered(&self) -> bool {
        self.guest.as_ref().is_some_and(|guest| guest.tenant.quota.is_metered())
    }

    /// Answers that a quota is used up, with the time after which to try again.
    pub(super) fn answer_over(&mut self, id: Option<&RequestId>, over: &Over, out: &mut Output) {
        let reason = Reason::RateLimited;
        self.shared.metrics.errors.get(crate::telemetry::Reason::named(reason.text())).inc();
        let wait = u64::try_from(over.retry_after.as_millis()).unwrap_or(u64::MAX).max(1);
        let data = serde_json::json!({ "retry_after_ms": wait, "limit": over.what });
        let message = format!("the tenant is over its limit: {}", over.what);
        self.tell(&reply::error_with(id, reason, &message, data), out);
    }

    /// Refuses a call because a quota is used up.
    pub(super) fn refuse_over(&mut self, call: &Call<'_>, over: &Over, rule: Rule, out: &mut Output) {
        self.pause(Duration::ZERO);
        self.count_refusal_of(Some((call, None)), rule);
        self.count_method(call, Reason::RateLimited);
        if call.id.is_some() {
            self.answer_over(call.id, over, out);
        }
    }

    /// Counts what the wall refused and, where it is a call, writes the audit line.
    pub(super) fn count_refusal_of(&self, call: Option<(&Call<'_>, Option<&str>)>, rule: Rule) {
        use crate::telemetry::Label;
        match &self.guest {
            Some(guest) => guest.metrics.refused.get(rule).inc(),
            None => self.shared.metrics.tenant("none").refused.get(rule).inc(),
        }
        if let Some((call, session)) = call {
            self.audit(call.row.name.as_str(), session, rule.label(), "refused");
        }
    }

    /// Writes an audit line.
    pub(super) fn audit(&self, method: &str, session: Option<&str>, rule: &str, outcome: &'static str) {
        audit::write(&audit::Line {
            conn: self.caller.number,
            address: self.caller.address,
            who: self.guest.as_ref().map_or("", |guest| &guest.label),
            method,
            session: session.filter(|id| crate::session::is_session_id(id)).unwrap_or("-"),
            rule,
            outcome,
        });
    }
}
