mod apart;
mod properties;

use super::*;
use crate::wire::Methods;

pub(super) const UUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

pub(super) fn wall_of(naming: NamingRule, tenants: Vec<TenantSettings>) -> Wall {
    Wall::new(WallSettings {
        posture: Posture::Tenants,
        naming,
        free_ids: FreeIds::Record,
        overrides: Overrides::default(),
        tenants,
    })
}

pub(super) fn tenants(names: &[&str]) -> Vec<TenantSettings> {
    names.iter().map(|name| TenantSettings::named(name)).collect()
}

pub(super) fn prefix() -> NamingRule {
    NamingRule::prefix("{tenant}--").unwrap()
}

pub(super) fn who(text: &str) -> Identity {
    let grantee: Grantee = text.parse().unwrap();
    Identity { tenant: grantee.tenant, user: grantee.user }
}

pub(super) fn grantees(with: &[&str]) -> Vec<Grantee> {
    with.iter().map(|text| text.parse().unwrap()).collect()
}

/// `name` shares `sessions` with `with`.
fn sharing(name: &str, sessions: &[&str], with: &[&str]) -> TenantSettings {
    let shares = sessions.iter().map(|session| ((*session).to_owned(), grantees(with))).collect();
    TenantSettings { shares, ..TenantSettings::named(name) }
}

#[test]
fn an_id_with_a_name_in_it_is_that_tenants() {
    let names = ["a", "a-b", "a_b", "A", "alice", "alice-smith", &"x".repeat(64)];
    let wall = wall_of(prefix(), tenants(&names));
    for owner in names {
        let id = wall.new_session_id(&who(owner), UUID);
        for name in names {
            let expected = if name == owner { (Access::Own, Creation::Yes) } else { (Access::Foreign, Creation::No) };
            assert_eq!((wall.access(&who(name), &id), wall.may_create(&who(name), &id)), expected, "{name} {id}");
            assert_eq!(wall.may_see(&who(name), &id), name == owner);
            assert!(!wall.claim_free(&who(name), &id));
        }
        assert_eq!(wall.owner(&id).unwrap().tenant.as_ref(), owner);
    }
    // Those of nobody and of a tenant that does not exist.
    for id in ["nobody--x", "--x", "---x", "aa--x", "alic--x", "a.b--x", "", "a--x/../y"] {
        for name in names {
            assert_eq!(wall.access(&who(name), id), Access::Foreign, "{name} {id}");
        }
        assert_eq!(wall.owner(id), None);
    }
    assert!(wall.owners().is_empty());
}

#[test]
fn odd_ids_belong_to_the_name_before_their_first_delimiter() {
    let wall = wall_of(prefix(), tenants(&["a", "a-b", "A"]));
    for (id, owner) in
        [("a---x", "a"), ("a--", "a"), ("a--b--c", "a"), ("a-b--x", "a-b"), ("A--x", "A"), ("a-b--a--x", "a-b")]
    {
        for name in ["a", "a-b", "A"] {
            assert_eq!(wall.access(&who(name), id) == Access::Own, name == owner, "{name} {id}");
        }
    }
}

/// A record cannot turn what an id says.
#[test]
fn records_of_named_ids_do_not_count() {
    let wall = wall_of(prefix(), tenants(&["a", "b"]));
    wall.owners().record("a--x", Owner { tenant: "b".into(), user: None });
    assert_eq!(wall.access(&who("b"), "a--x"), Access::Foreign);
    assert_eq!(wall.access(&who("a"), "a--x"), Access::Own);
}

#[test]
fn a_free_id_is_its_makers() {
    for naming in [prefix(), NamingRule::registry()] {
        let wall = wall_of(naming, tenants(&["a", "b"]));
        let (a, b) = (who("a"), who("b"));
        for id in [UUID, "plain", "a-b"] {
            assert_eq!((wall.access(&a, id), wall.may_create(&a, id)), (Access::Free, Creation::IfAbsent));
            assert!(!wall.may_see(&a, id), "nobody's");
            assert!(wall.claim_free(&a, id) && wall.claim_free(&a, id) && !wall.claim_free(&b, id));
            assert_eq!((wall.access(&a, id), wall.may_create(&a, id)), (Access::Own, Creation::Yes));
            assert_eq!((wall.access(&b, id), wall.may_create(&b, id)), (Access::Foreign, Creation::No));
            assert_ne!(wall.access(&a, &id.to_uppercase()), Access::Own, "case counts");
            wall.forget(id);
            assert_eq!(wall.access(&a, id), Access::Free);
            assert!(wall.claim_free(&b, id));
        }
    }
}

#[test]
fn free_ids_may_be_refused() {
    let settings = |naming| WallSettings {
        posture: Posture::Tenants,
        naming,
        free_ids: FreeIds::Refuse,
        overrides: Overrides::default(),
        tenants: tenants(&["a"]),
    };
    let wall = Wall::new(settings(prefix()));
    assert_eq!((wall.access(&who("a"), UUID), wall.may_create(&who("a"), UUID)), (Access::Foreign, Creation::No));
    assert!(!wall.claim_free(&who("a"), UUID) && wall.owners().is_empty());
    assert_eq!(wall.may_create(&who("a"), "a--x"), Creation::Yes);
    // A registry that records nothing would be no registry.
    let wall = Wall::new(settings(NamingRule::registry()));
    assert!(wall.claim_free(&who("a"), UUID));
}

/// The runtime would take them for another's whole id.
#[test]
fn beginnings_of_uuids_cannot_be_made() {
    for naming in [prefix(), NamingRule::registry()] {
        let wall = wall_of(naming, tenants(&["a", "b"]));
        assert!(wall.claim_free(&who("a"), UUID));
        for id in [&UUID[..7], &UUID[..13], &UUID[..35], &UUID.to_uppercase()] {
            for name in ["a", "b"] {
                assert_eq!(
                    (wall.access(&who(name), id), wall.may_create(&who(name), id)),
                    (Access::Foreign, Creation::No)
                );
                assert!(!wall.claim_free(&who(name), id), "{id}");
            }
        }
    }
}

#[test]
fn under_the_registry_only_records_count() {
    let wall = wall_of(NamingRule::registry(), tenants(&["a", "b"]));
    assert_eq!(wall.access(&who("a"), "a--x"), Access::Free);
    assert!(wall.claim_free(&who("b"), "a--x"));
    assert_eq!((wall.access(&who("a"), "a--x"), wall.access(&who("b"), "a--x")), (Access::Foreign, Access::Own));
    assert_eq!(wall.new_session_id(&who("a"), UUID), UUID);
}

#[test]
fn who_is_no_tenant_of_the_pool_has_nothing() {
    let wall = wall_of(prefix(), tenants(&["a"]));
    assert!(wall.tenant("b").is_none() && wall.tenant("a").is_some() && !wall.admits(&who("b")));
    for id in ["b--x", "a--x", UUID, ""] {
        assert_eq!((wall.access(&who("b"), id), wall.may_create(&who("b"), id)), (Access::Foreign, Creation::No));
        assert!(!wall.claim_free(&who("b"), id));
    }
}

#[test]
fn other_postures_ask_nobody() {
    for posture in [Posture::Open, Posture::Dedicated] {
        let wall = Wall::new(WallSettings {
            posture,
            naming: prefix(),
            free_ids: FreeIds::Refuse,
            overrides: Overrides::default(),
            tenants: tenants(&["a"]),
        });
        for id in ["a--x", "b--x", UUID, "deadbeef"] {
            assert_eq!((wall.access(&who("a"), id), wall.may_create(&who("a"), id)), (Access::Own, Creation::Yes));
            assert!(wall.claim_free(&who("a"), id) && wall.owners().is_empty());
        }
        assert_eq!(wall.new_session_id(&who("a"), UUID), UUID);
        assert_eq!(wall.posture(), posture);
    }
}

#[test]
fn a_grantee_sees_and_makes_nothing() {
    let wall = wall_of(
        prefix(),
        vec![sharing("a", &["a--board"], &["b"]), TenantSettings::named("b"), TenantSettings::named("c")],
    );
    assert_eq!(
        (wall.access(&who("b"), "a--board"), wall.access(&who("c"), "a--board")),
        (Access::Shared, Access::Foreign)
    );
    assert_eq!(wall.access(&who("a"), "a--board"), Access::Own);
    assert!(wall.may_see(&who("b"), "a--board") && wall.may_create(&who("b"), "a--board") == Creation::No);
    assert_eq!(wall.access(&who("b"), "a--board2"), Access::Foreign);
    assert!(wall.problems().is_empty());
}

#[test]
fn what_is_not_its_tenants_is_not_shared() {
    let sessions = [
        "b--x",
        "b--*",
        "--x",
        "--*",
        "a.x",
        "a--*x",
        "",
        "a--**",
        "deadbeef",
        "a--x",
        "a--*",
        "*",
        "a*",
        UUID,
        "0f8fad5b*",
    ];
    let wall = wall_of(
        prefix(),
        vec![sharing("a", &sessions, &["c"]), TenantSettings::named("b"), TenantSettings::named("c")],
    );
    let left_out: Vec<_> = wall.problems().iter().map(|problem| problem.session.as_str()).collect();
    assert_eq!(left_out, ["b--x", "b--*", "--x", "--*", "a.x", "a--*x", "", "a--**", "deadbeef"]);
    assert_eq!(wall.problems()[0].to_string(), "tenant a cannot share \"b--x\": its ids do not begin so");
    // `*` is all of `a`'s, and nothing of anybody else's.
    assert_eq!(wall.access(&who("c"), "a--y"), Access::Shared);
    assert_eq!(wall.access(&who("c"), "b--x"), Access::Foreign);
    assert_eq!(wall.access(&who("c"), "ab--x"), Access::Foreign);
    // A free id is shared while the one who shares it owns it.
    assert_eq!(wall.access(&who("c"), UUID), Access::Free);
    assert!(wall.claim_free(&who("b"), UUID));
    assert_eq!(wall.access(&who("c"), UUID), Access::Foreign);
    wall.forget(UUID);
    assert!(wall.claim_free(&who("a"), UUID));
    assert_eq!(wall.access(&who("c"), UUID), Access::Shared);
}

#[test]
fn operators_share_what_somebody_owns() {
    let wall = wall_of(prefix(), tenants(&["a", "b"]));
    let b = grantees(&["b"]).remove(0);
    for id in ["nobody--x", "--x", UUID, ""] {
        assert_eq!(wall.share(id, b.clone()), Err(NotShared), "{id}");
    }
    assert!(wall.claim_free(&who("a"), UUID));
    let version = wall.shares().version();
    for id in ["a--x", UUID] {
        assert_eq!(wall.share(id, b.clone()), Ok(()));
        assert_eq!((wall.access(&who("b"), id), wall.access(&who("a"), id)), (Access::Shared, Access::Own));
    }
    assert!(wall.shares().version() > version);
    assert!(wall.shares().revoke("a--x", &b));
    assert_eq!(wall.access(&who("b"), "a--x"), Access::Foreign);
    wall.forget(UUID);
    assert!(wall.claim_free(&who("a"), UUID));
    assert_eq!(wall.access(&who("b"), UUID), Access::Foreign);
}

#[test]
fn each_tenant_has_its_own_rules_and_limits() {
    let mut two = tenants(&["a", "b"]);
    two[0].overrides.deny.push("session.send".into());
    two[0].limits.turns = Some(1);
    let wall = wall_of(prefix(), two);
    let (a, b) = (wall.tenant("a").unwrap(), wall.tenant("b").unwrap());
    let send = Methods::get().find("session.send");
    assert!(!a.policy.allows(send, "session.send") && b.policy.allows(send, "session.send"));
    let _turn = a.quota.hold(super::super::quota::Held::Turn).unwrap();
    assert!(a.quota.hold(super::super::quota::Held::Turn).is_err());
    assert!(b.quota.hold(super::super::quota::Held::Turn).is_ok());
    assert_eq!(wall.tenants().iter().map(|tenant| &*tenant.name).collect::<Vec<_>>(), ["a", "b"]);
}
