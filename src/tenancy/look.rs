//! How closely a call has to be looked at. Nearly all calls name one session, which routing finds in the client's own table,
//! and nothing else: for those one load has to be enough.

use super::{guard::Guards, ids::IdPlaces, policy::MethodPolicy, sensitive::is_sensitive};
use crate::wire::{MethodIndex, Methods, methods::Route};

/// How closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Its session is all there is to look at.
    Session,
    /// The same, if its body passes [`Guards::passes_at_once`].
    Body,
    /// Everything: policy, ids, guards.
    All,
}

/// Ends its session for everybody although its route is that of an ordinary call.
const ENDING: &[&str] = &["session.shutdown", "session.suspend"];

/// Whether a method ends its session for everybody.
pub fn ends(method: MethodIndex) -> bool {
    let row = Methods::get().row(method);
    row.route == Route::End || ENDING.contains(&row.name.as_str())
}

/// For each method of the table, by its row.
pub(super) fn looks(policy: &MethodPolicy, guards: &Guards) -> Box<[Look]> {
    let table = Methods::get();
    let look = |(row, name): (usize, &str)| {
        let method = MethodIndex(row as u16);
        let plain = method != Methods::UNKNOWN
            && matches!(table.row(method).route, Route::Session | Route::Send)
            && policy.allows(method, name)
            && !is_sensitive(method)
            && !ends(method)
            && IdPlaces::of(method).others.is_empty();
        match (plain, guards.guards(method)) {
            (true, false) => Look::Session,
            (true, true) if guards.may_pass_at_once(method) => Look::Body,
            _ => Look::All,
        }
    };
    table.names().into_iter().enumerate().map(look).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenancy::{GuardSettings, Overrides, Posture};

    #[test]
    fn only_what_is_plain_is_looked_at_lightly() {
        let table = Methods::get();
        let deny = Overrides { deny: vec!["session.abort".into()], ..Overrides::default() };
        let policy = MethodPolicy::new(Posture::Tenants, &Overrides::default(), &deny);
        let looks = looks(&policy, &Guards::new(GuardSettings::default()));
        let look = |name: &str| looks[usize::from(table.find(name).0)];
        assert_eq!(look("session.getMessages"), Look::Session);
        assert_eq!(look("session.send"), Look::Body);
        for name in [
            "session.abort",
            "session.create",
            "session.delete",
            "session.detach",
            "session.mode.set",
            "session.shutdown",
            "session.shell.exec",
            "session.commands.invoke",
            "session.options.update",
            "sessions.fork",
            "session.list",
            "ping",
            "nobody.knows",
        ] {
            assert_eq!(look(name), Look::All, "{name}");
        }
    }
}
