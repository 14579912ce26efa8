//! A client whose certificate says whose it is.

use std::sync::Arc;

use super::{client::Client, guest::TurnedAway, settings::Shared};
use crate::{
    model::{Identity, Secret},
    telemetry::Rule,
    tenancy::{Certified, Login},
    tls::Name,
};

/// Its certificate has names of several tenants.
#[derive(Debug)]
pub(super) struct Ambiguous;

impl Shared {
    /// The tenant whose certificate this is; none where there are no tenants.
    pub(super) fn certified(&self, names: Option<&[Name]>) -> Result<Option<Arc<str>>, Ambiguous> {
        match self.login.as_ref().zip(names).map(|(login, names)| login.whose(names)) {
            Some(Certified::Tenant(tenant)) => Ok(Some(tenant)),
            Some(Certified::Several) => Err(Ambiguous),
            Some(Certified::Nobody) | None => Ok(None),
        }
    }
}

impl Client {
    /// Lets a client in that its certificate vouches for. `false`: it has none, or one of nobody. Where users have to be known,
    /// the tenant alone is not enough, and a token has to say the rest.
    pub(super) fn admit_certified(&mut self) -> bool {
        let Some((tenant, login)) = self.certified.clone().zip(self.shared.login.clone()) else { return false };
        self.authenticated = false;
        let who = Identity { tenant, user: None };
        if login.lets_in(&who).is_err() {
            return true;
        }
        match self.shared.guest(who) {
            Some(Ok(guest)) => {
                tracing::debug!(conn = self.caller.number, client.addr = %self.caller.address, tenant = %guest.label, "known by its certificate");
                self.welcome(guest);
                (self.authenticated, self.waits) = (true, None);
            }
            Some(Err(TurnedAway::Full(over))) => {
                self.count_refusal_of(None, Rule::Connections);
                self.turned_away = Some(over);
            }
            Some(Err(TurnedAway::Unknown)) | None => {}
        }
        true
    }

    /// A token beside the certificate of `tenant`: it may only say which of its users this is.
    pub(super) fn admit_beside(
        &mut self,
        login: &Login,
        tenant: &str,
        token: Option<&Secret>,
        now: u64,
    ) -> Result<(), TurnedAway> {
        let token = token.filter(|token| !token.expose().is_empty() && login.asks());
        let (Some(token), guest) = (token, &self.guest) else {
            return if self.guest.is_some() { Ok(()) } else { Err(TurnedAway::Unknown) };
        };
        let who = login.ask(Some(token), now).filter(|who| *who.tenant == *tenant).ok_or(TurnedAway::Unknown)?;
        match guest {
            Some(guest) if guest.who == who => return Ok(()),
            // Whoever has said `connect` stays who it is.
            Some(guest) if guest.who.user.is_some() || self.setup.connect().is_some() => {
                return Err(TurnedAway::Unknown);
            }
            _ => {}
        }
        // Its seat is given back first: it is the same client's.
        self.guest = None;
        if let Some(guest) = self.shared.guest(who) {
            self.welcome(guest?);
        }
        Ok(())
    }
}
