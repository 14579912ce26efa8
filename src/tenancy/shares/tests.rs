use super::*;

fn grantee(text: &str) -> Grantee {
    text.parse().unwrap()
}

fn user(tenant: &str, user: &str) -> Identity {
    Identity { tenant: tenant.into(), user: Some(user.into()) }
}

fn alice() -> Owner {
    Owner { tenant: "alice".into(), user: None }
}

fn shares(session: &str, with: &[&str]) -> Shares {
    Shares::new([("alice".into(), session.to_owned(), with.iter().map(|text| grantee(text)).collect())])
}

#[test]
fn grantees_are_tenants_or_users() {
    assert_eq!(grantee("bob"), Grantee { tenant: "bob".into(), user: None });
    assert_eq!(grantee("alice/ann"), Grantee { tenant: "alice".into(), user: Some("ann".into()) });
    assert_eq!(grantee("alice/ann/x").user.as_deref(), Some("ann/x"));
    for text in ["", "/", "bob/", "/ann"] {
        assert_eq!(text.parse::<Grantee>(), Err(NotAGrantee), "{text}");
    }
    for text in ["bob", "alice/ann"] {
        assert_eq!(grantee(text).to_string(), text);
    }
    assert!(grantee("bob").is(&Identity::of("bob")) && grantee("bob").is(&user("bob", "ben")));
    assert!(grantee("bob/ben").is(&user("bob", "ben")));
    assert!(!grantee("bob/ben").is(&Identity::of("bob")) && !grantee("bob/ben").is(&user("bob", "Ben")));
    assert!(!grantee("bob").is(&Identity::of("Bob")) && !grantee("bob").is(&Identity::of("bobby")));
}

#[test]
fn shares_of_the_config_cover_an_id_or_a_beginning() {
    let (one, many) = (shares("alice--board", &["bob"]), shares("alice--team-*", &["bob"]));
    let (owner, bob) = (alice(), Identity::of("bob"));
    assert!(one.allows("alice--board", owner.borrowed(), &bob));
    assert!(!one.allows("alice--board2", owner.borrowed(), &bob) && !one.allows("alice--boar", owner.borrowed(), &bob));
    assert!(!one.allows("alice--board", owner.borrowed(), &Identity::of("carol")));
    assert!(
        many.allows("alice--team-1", owner.borrowed(), &bob) && many.allows("alice--team-", owner.borrowed(), &bob)
    );
    assert!(!many.allows("alice--team", owner.borrowed(), &bob));
    assert_eq!((one.version(), many.version()), (0, 0));
    assert_eq!(many.configured(), [("alice--team-*".to_owned(), vec![grantee("bob")])]);
}

#[test]
fn only_what_the_giver_owns_is_shared() {
    let shares = shares("board", &["bob"]);
    let carol = Owner { tenant: "carol".into(), user: None };
    assert!(shares.allows("board", alice().borrowed(), &Identity::of("bob")));
    assert!(!shares.allows("board", carol.borrowed(), &Identity::of("bob")));
}

#[test]
fn grants_come_and_go() {
    let shares = Shares::new([]);
    let (owner, bob) = (alice(), Identity::of("bob"));
    assert!(!shares.allows("x", owner.borrowed(), &bob));
    shares.grant("x", &owner, grantee("bob"));
    shares.grant("x", &owner, grantee("bob"));
    shares.grant("x", &owner, grantee("carol/cy"));
    assert!(shares.allows("x", owner.borrowed(), &bob) && !shares.allows("X", owner.borrowed(), &bob));
    assert!(shares.allows("x", owner.borrowed(), &user("carol", "cy")));
    assert_eq!(shares.granted(), [("x".to_owned(), vec![grantee("bob"), grantee("carol/cy")])]);
    let before = shares.version();
    assert!(shares.revoke("x", &grantee("bob")) && !shares.revoke("x", &grantee("bob")));
    assert!(shares.version() > before && !shares.allows("x", owner.borrowed(), &bob));
    let before = shares.version();
    shares.forget("x");
    assert!(shares.version() > before && shares.granted().is_empty() && shares.count.load(SeqCst) == 0);
    let before = shares.version();
    shares.forget("x");
    assert!(!shares.revoke("x", &grantee("bob")) && shares.version() == before);
}

#[test]
fn grants_of_an_earlier_owner_are_void() {
    let shares = Shares::new([]);
    let carol = Owner { tenant: "carol".into(), user: None };
    let ann = Owner { user: Some("ann".into()), ..alice() };
    let bob = Identity::of("bob");
    shares.grant("x", &alice(), grantee("bob"));
    assert!(!shares.allows("x", carol.borrowed(), &bob) && !shares.allows("x", ann.borrowed(), &bob));
    shares.grant("x", &carol, grantee("dave"));
    assert!(!shares.allows("x", carol.borrowed(), &bob) && !shares.allows("x", alice().borrowed(), &bob));
    assert_eq!(shares.granted(), [("x".to_owned(), vec![grantee("dave")])]);
}

#[test]
fn revoking_leaves_the_config() {
    let shares = shares("board", &["bob"]);
    assert!(!shares.revoke("board", &grantee("bob")));
    shares.forget("board");
    assert!(shares.allows("board", alice().borrowed(), &Identity::of("bob")));
}

#[test]
fn grants_can_be_made_again_elsewhere() {
    let (here, there) = (shares("alice--x", &["bob"]), shares("alice--x", &["bob"]));
    here.grant("alice--1", &alice(), grantee("bob/ben"));
    for (id, owner, to) in here.grants() {
        to.into_iter().for_each(|to| there.grant(&id, &owner, to));
    }
    assert_eq!(there.granted(), [("alice--1".to_owned(), vec![grantee("bob/ben")])]);
    assert!(there.allows("alice--1", alice().borrowed(), &user("bob", "ben")));
}
