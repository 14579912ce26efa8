//! Tenants whose users do not see each other's sessions.

use super::*;

fn by_user() -> NamingRule {
    NamingRule::prefix("{tenant}--{user}--").unwrap()
}

fn apart(name: &str) -> TenantSettings {
    TenantSettings { users_apart: true, ..TenantSettings::named(name) }
}

#[test]
fn an_id_with_a_user_in_it_is_that_users() {
    let wall = wall_of(by_user(), vec![apart("alice"), TenantSettings::named("bob")]);
    let id = wall.new_session_id(&who("alice/ann"), UUID);
    assert_eq!(id, format!("alice--ann--{UUID}"));
    let access = |name: &str, id: &str| wall.access(&who(name), id);
    assert_eq!(access("alice/ann", &id), Access::Own);
    for name in ["alice/bea", "alice/Ann", "alice/an", "alice", "bob/ann", "bob"] {
        assert_eq!(access(name, &id), Access::Foreign, "{name}");
        assert_eq!(wall.may_create(&who(name), &id), Creation::No, "{name}");
    }
    // No user's at all.
    for id in ["alice--x", "alice--ann", "alice----x", "alice---ann--x"] {
        for name in ["alice/ann", "alice"] {
            assert_eq!(access(name, id), Access::Foreign, "{name} {id}");
        }
    }
    // Where users are together, whatever stands there.
    for id in ["bob--x", "bob--ann--x", "bob----x", "bob--"] {
        for name in ["bob", "bob/ann", "bob/ben@x"] {
            assert_eq!(access(name, id), Access::Own, "{name} {id}");
        }
        assert_eq!(access("alice/ann", id), Access::Foreign, "{id}");
    }
    assert_eq!(wall.owner(&id), Some(Owner { tenant: "alice".into(), user: Some("ann".into()) }));
    assert_eq!(wall.owner("bob--ann--x"), Some(Owner { tenant: "bob".into(), user: None }));
}

#[test]
fn a_free_id_is_its_users() {
    for naming in [by_user(), NamingRule::registry()] {
        let wall = wall_of(naming, vec![apart("alice"), TenantSettings::named("bob")]);
        assert!(wall.claim_free(&who("alice/ann"), UUID));
        assert!(!wall.claim_free(&who("alice/bea"), UUID));
        for (name, access) in [("alice/ann", Access::Own), ("alice/bea", Access::Foreign), ("alice", Access::Foreign)] {
            assert_eq!(wall.access(&who(name), UUID), access, "{name}");
        }
        assert!(wall.claim_free(&who("bob/ben"), "plain"));
        assert_eq!(wall.access(&who("bob/other"), "plain"), Access::Own);
        assert_eq!(wall.owner("plain"), Some(Owner { tenant: "bob".into(), user: None }));
    }
}

#[test]
fn who_is_no_user_has_nothing() {
    let wall = wall_of(by_user(), vec![apart("alice"), TenantSettings::named("bob")]);
    for name in ["alice", "alice/ann@x", "alice/a--b", "alice/-a"] {
        assert!(!wall.admits(&who(name)), "{name}");
        assert!(!wall.claim_free(&who(name), UUID), "{name}");
        assert_eq!(wall.may_create(&who(name), UUID), Creation::No, "{name}");
    }
    for name in ["alice/ann", "bob", "bob/ann@x"] {
        assert!(wall.admits(&who(name)), "{name}");
    }
    // A template without users cannot tell them apart: then nobody gets anything.
    let wall = wall_of(prefix(), vec![apart("alice")]);
    assert!(!wall.admits(&who("alice/ann")));
    assert_eq!(wall.access(&who("alice/ann"), "alice--ann--x"), Access::Foreign);
    // In the registry any name will do.
    let wall = wall_of(NamingRule::registry(), vec![apart("alice")]);
    assert!(wall.admits(&who("alice/ann@example.com")) && !wall.admits(&who("alice")));
}

#[test]
fn users_share_with_users() {
    let shares = vec![("alice--ann--board".to_owned(), grantees(&["alice/bea", "bob/ben"]))];
    let wall = wall_of(by_user(), vec![TenantSettings { shares, ..apart("alice") }, TenantSettings::named("bob")]);
    let access = |name: &str| wall.access(&who(name), "alice--ann--board");
    assert_eq!(access("alice/ann"), Access::Own);
    for (name, expected) in [
        ("alice/bea", Access::Shared),
        ("alice/cleo", Access::Foreign),
        ("bob/ben", Access::Shared),
        ("bob/bert", Access::Foreign),
        ("bob", Access::Foreign),
    ] {
        assert_eq!(access(name), expected, "{name}");
    }
    assert_eq!(wall.share("alice--ann--x", grantees(&["alice"]).remove(0)), Ok(()));
    assert_eq!(wall.access(&who("alice/cleo"), "alice--ann--x"), Access::Shared);
    assert_eq!(wall.access(&who("alice/cleo"), "alice--ann--y"), Access::Foreign);
}
