use super::*;

fn overrides(allow: &[&str], deny: &[&str]) -> Overrides {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Overrides { allow: owned(allow), deny: owned(deny) }
}

fn policy(posture: Posture, pool: Overrides, tenant: Overrides) -> impl Fn(&str) -> bool {
    let policy = MethodPolicy::new(posture, &pool, &tenant);
    move |name| policy.allows(Methods::get().find(name), name)
}

fn none() -> Overrides {
    Overrides::default()
}

#[test]
fn tenants_have_what_the_table_does_not_deny() {
    let allows = policy(Posture::Tenants, none(), none());
    let table = Methods::get();
    let (mut yes, mut no) = (0, 0);
    for name in table.names().into_iter().skip(1) {
        let denied = table.row(table.find(name)).shared == "deny";
        assert_eq!(allows(name), !denied, "{name}");
        if denied { no += 1 } else { yes += 1 }
    }
    assert_eq!((yes, no), (250, 125));
    for name in ["session.nope", "other", "", "Session.send", "session.send ", "runtime.Shutdown", "$/x"] {
        assert!(!allows(name), "{name}");
    }
}

#[test]
fn one_application_has_everything_and_one_tenant_nearly_so() {
    let (open, alone) = (policy(Posture::Open, none(), none()), policy(Posture::Dedicated, none(), none()));
    for name in Methods::get().names().into_iter().chain(["session.nope"]) {
        assert!(open(name), "{name}");
        assert_eq!(alone(name), !["runtime.shutdown", "agentRegistry.spawn"].contains(&name), "{name}");
    }
    let opted = policy(Posture::Dedicated, none(), overrides(&["runtime.shutdown"], &[]));
    assert!(opted("runtime.shutdown") && !opted("agentRegistry.spawn"));
}

#[test]
fn some_methods_cannot_be_denied() {
    for posture in [Posture::Open, Posture::Tenants, Posture::Dedicated] {
        let all = ["*", "connect", "ping", "$/cancelRequest"];
        let allows = policy(posture, overrides(&[], &all), overrides(&[], &all));
        for name in Methods::get().names().into_iter().chain(["session.nope"]) {
            assert_eq!(allows(name), ["connect", "ping", "$/cancelRequest"].contains(&name), "{name}");
        }
    }
}

#[test]
fn tenant_beats_pool_beats_table() {
    let pool = overrides(&["session.setForeground", "hooks.discover"], &["session.send", "session.list"]);
    let tenant = overrides(&["session.*"], &["hooks.*"]);
    let allows = policy(Posture::Tenants, pool, tenant);
    // Even a tenant's short beginning comes before the pool's whole name.
    assert!(allows("session.send") && allows("session.list") && allows("session.setForeground"));
    assert!(!allows("hooks.discover"));
    assert!(!allows("runtime.shutdown") && allows("models.list"));
}

#[test]
fn longer_beats_shorter_and_deny_beats_allow() {
    let pool = overrides(&["session.mcp.*", "session.send", "*", "a.b"], &["session.*", "session.mcp.oauth.*", "a.b"]);
    let allows = policy(Posture::Tenants, pool, none());
    assert!(allows("session.send"));
    assert!(!allows("session.abort"));
    assert!(allows("session.mcp.list"));
    assert!(!allows("session.mcp.oauth.login"));
    assert!(!allows("a.b"));
    assert!(allows("runtime.shutdown") && allows("never.heard.of"));
    let same = policy(Posture::Tenants, overrides(&["session.*"], &["session.*"]), none());
    assert!(!same("session.send") && same("models.list"));
}

#[test]
fn beginnings_end_at_a_dot() {
    let allows = policy(Posture::Tenants, overrides(&["new.*", "old*", "x.y", "*.z", "q."], &["session.se*"]), none());
    assert!(allows("new.thing") && allows("new.") && allows("x.y"));
    for name in ["new", "newer.thing", "old", "older", "x", "x.y.z", "a.z", "q.r", "New.thing"] {
        assert!(!allows(name), "{name}");
    }
    assert!(allows("session.send"));
}

/// A name of the table is looked up by its row, whatever else is said to be its name.
#[test]
fn known_methods_go_by_their_row() {
    let policy = MethodPolicy::new(Posture::Tenants, &overrides(&["fine"], &[]), &none());
    assert!(!policy.allows(Methods::get().find("runtime.shutdown"), "fine"));
    assert!(policy.allows(Methods::UNKNOWN, "fine"));
    assert!(!policy.allows(MethodIndex(u16::MAX), "fine"));
}
