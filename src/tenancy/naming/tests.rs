use proptest::{prelude::*, sample::select};

use super::*;

const UUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";
const TEMPLATES: &[&str] =
    &["{tenant}--", "{tenant}_", "{tenant}-", "{tenant}__", "{tenant}---", "{tenant}--{user}--", "{tenant}_{user}_"];

fn rule(template: &str) -> NamingRule {
    NamingRule::prefix(template).unwrap()
}

fn named<'a>(tenant: &'a str, user: impl Into<Option<&'a str>>) -> Said<'a> {
    Said::Named { tenant, user: user.into() }
}

#[test]
fn templates_have_two_forms() {
    for good in TEMPLATES.iter().chain(&["{tenant}--------", "{tenant}-{user}-"]) {
        assert!(NamingRule::prefix(good).is_ok(), "{good}");
    }
    let bad = [
        "",
        "{tenant}",
        "--{tenant}--",
        "{user}--{tenant}--",
        "{tenant}-_",
        "{tenant}--{user}",
        "{tenant}--{user}__",
        "{tenant}{user}--",
        "{tenant}--{user}--{user}--",
        "{tenant}.",
        "{tenant}--x",
        "{tenant}---------",
        "{tenant}ü",
        "{tenant}--{user}-",
        "{tenant}--{tenant}--",
        "{TENANT}--",
        " {tenant}--",
        "{tenant}-- ",
    ];
    for bad in bad {
        assert_eq!(NamingRule::prefix(bad), Err(NamingError::Template), "{bad}");
    }
}

#[test]
fn the_first_delimiter_ends_the_tenant() {
    let rule = rule("{tenant}--");
    assert_eq!(rule.says("a--b"), named("a", None));
    assert_eq!(rule.says("a---x"), named("a", None));
    assert_eq!(rule.says("a--"), named("a", None));
    assert_eq!(rule.says("a--b--c"), named("a", None));
    assert_eq!(rule.says("a-b--x"), named("a-b", None));
    assert_eq!(rule.says("A--x"), named("A", None));
    assert_eq!(rule.says("--x"), Said::Nobody);
    assert_eq!(rule.says("---x"), Said::Nobody);
    assert_eq!(rule.says("a-b"), Said::Free);
    assert_eq!(rule.says("a_b__c"), Said::Free);
    assert_eq!(rule.says(UUID), Said::Free);
    // `alice` against `alice-smith`, which a guide's `split("-")[0]` takes for each other.
    assert_eq!(rule.says("alice-smith--x"), named("alice-smith", None));
    assert_eq!(super::NamingRule::prefix("{tenant}---").unwrap().says("a--b---c"), named("a--b", None));
}

#[test]
fn users_stand_between_the_first_two_delimiters() {
    let rule = rule("{tenant}--{user}--");
    assert_eq!(rule.says("alice--ann--x"), named("alice", "ann"));
    assert_eq!(rule.says("alice--ann--"), named("alice", "ann"));
    assert_eq!(rule.says("alice--ann--x--y"), named("alice", "ann"));
    assert_eq!(rule.says("alice--ann"), named("alice", None));
    assert_eq!(rule.says("alice----x"), named("alice", None));
    assert_eq!(rule.says("alice---ann--x"), named("alice", "-ann"));
}

#[test]
fn what_is_no_id_is_nobodys() {
    for rule in [rule("{tenant}--"), NamingRule::registry()] {
        for id in ["", "a--../b--x", "a--x/y", "a--x\0", "a--ü", "a--x y", "a--x.y", &format!("a--{}", "x".repeat(126))]
        {
            assert_eq!(rule.says(id), Said::Nobody, "{id:?}");
        }
        assert_ne!(rule.says(&format!("a--{}", "x".repeat(125))), Said::Nobody);
    }
}

/// The runtime resumes and deletes by the beginning of a UUID, in any case.
#[test]
fn beginnings_of_uuids_are_nobodys() {
    let upper = UUID.to_uppercase();
    for rule in [rule("{tenant}--"), NamingRule::registry()] {
        for end in 7..36 {
            assert_eq!(rule.says(&UUID[..end]), Said::Nobody, "{end}");
        }
        assert_eq!(rule.says(&upper), Said::Nobody);
        assert_eq!(rule.says("DEADBEEF"), Said::Nobody);
        assert_eq!(rule.says("0f8fad5bd9cb469fa16570867728950e"), Said::Nobody);
        for id in [UUID, &UUID[..6], "deadbee-zzz", "deadbeeg"] {
            assert_eq!(rule.says(id), Said::Free, "{id}");
        }
    }
    // A tenant may be called so all the same, where no UUID can begin like its ids.
    assert_eq!(rule("{tenant}--").says("abcdef12--1"), named("abcdef12", None));
    assert_eq!(rule("{tenant}_").says("abcdef12_1"), named("abcdef12", None));
    // With a single dash, they can: `ABCDEF12-1` would be `abcdef12`'s session to the runtime.
    assert_eq!(rule("{tenant}-").says("ABCDEF12-1"), Said::Nobody);
    assert_eq!(rule("{tenant}-").says("ABCDEF12-1x"), named("ABCDEF12", None));
    assert_eq!(rule("{tenant}-").says(UUID), named("0f8fad5b", None));
}

#[test]
fn names_that_would_run_into_the_delimiter_cannot_be() {
    let check = |template: &str, name: &str| rule(template).check_tenant_name(name);
    let longest = "x".repeat(64);
    for name in ["a", "a-b", "a_b", "a__b", "A", "_a_", &longest] {
        assert_eq!(check("{tenant}--", name), Ok(()), "{name}");
    }
    assert_eq!(check("{tenant}--", "a-"), Err(NamingError::Edge));
    assert_eq!(check("{tenant}--", "-a"), Err(NamingError::Edge));
    assert_eq!(check("{tenant}--", "a--b"), Err(NamingError::Delimiter));
    assert_eq!(check("{tenant}---", "a--b"), Ok(()));
    assert_eq!(check("{tenant}_", "a_b"), Err(NamingError::Delimiter));
    assert_eq!(check("{tenant}_", "a-b-"), Ok(()));
    assert_eq!(check("{tenant}-", "a-b"), Err(NamingError::Delimiter));
    assert_eq!(check("{tenant}--", ""), Err(NamingError::Empty));
    assert_eq!(check("{tenant}--", &"x".repeat(65)), Err(NamingError::TooLong));
    for name in ["a.b", "a*", "[a]", "a+", "^a$", "a/b", "a b", "ä", "a\n", "a|b", "(a)", "a?"] {
        assert_eq!(check("{tenant}--", name), Err(NamingError::IdCharacters), "{name}");
    }
    assert_eq!(NamingRule::registry().check_tenant_name("a.b-"), Ok(()));
    for name in ["a*", "[a]", "a+", "ä", "a/b"] {
        assert_eq!(NamingRule::registry().check_tenant_name(name), Err(NamingError::NameCharacters), "{name}");
    }
}

#[test]
fn users_names_fit_into_ids_only_where_they_have_to() {
    let users = rule("{tenant}--{user}--");
    assert_eq!(users.check_user_name("alice", "ann"), Ok(()));
    assert_eq!(users.check_user_name("alice", "ann@example.com"), Err(NamingError::IdCharacters));
    assert_eq!(users.check_user_name("alice", "a--b"), Err(NamingError::Delimiter));
    assert_eq!(users.check_user_name("alice", ""), Err(NamingError::Empty));
    assert_eq!(users.check_user_name(&"t".repeat(64), &"u".repeat(24)), Ok(()));
    assert_eq!(users.check_user_name(&"t".repeat(64), &"u".repeat(25)), Err(NamingError::NoRoom));
    assert_eq!(NamingRule::registry().check_user_name("alice", "ann@example.com"), Ok(()));
    assert_eq!(NamingRule::registry().check_user_name("alice", ""), Err(NamingError::Empty));
    assert!(users.tells_users() && NamingRule::registry().tells_users() && !rule("{tenant}--").tells_users());
}

#[test]
fn new_ids_name_their_maker() {
    let ann = Identity { tenant: "alice".into(), user: Some("ann".into()) };
    let odd = Identity { tenant: "alice".into(), user: Some("ann@x".into()) };
    assert_eq!(rule("{tenant}--").new_id(&ann, UUID), format!("alice--{UUID}"));
    assert_eq!(rule("{tenant}--{user}--").new_id(&ann, UUID), format!("alice--ann--{UUID}"));
    assert_eq!(rule("{tenant}--{user}--").new_id(&odd, UUID), format!("alice--{UUID}"));
    assert_eq!(rule("{tenant}--{user}--").new_id(&Identity::of("alice"), UUID), format!("alice--{UUID}"));
    assert_eq!(NamingRule::registry().new_id(&ann, UUID), UUID);
}

/// Few letters, so that names collide as often as they can; the dashes of both kinds.
pub(in crate::tenancy) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::collection::vec(select(&["a", "b", "A", "-", "--", "_", "__", "---"][..]), 0..8)
            .prop_map(|parts| parts.concat()),
        1 => proptest::collection::vec(select(&["a", "-", "_", "0f8fad5b", ".", "*", "ü", "/"][..]), 0..9)
            .prop_map(|parts| parts.concat()),
        1 => Just(UUID.to_owned()),
        1 => Just("a".repeat(64)),
    ]
}

pub(in crate::tenancy) fn template() -> impl Strategy<Value = &'static str> {
    select(TEMPLATES)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    /// A name can be exactly if whatever follows its delimiter is read as its own: the one exception is a name that begins
    /// with the delimiter's character, which is refused for the sake of those who read.
    #[test]
    fn names_can_be_if_and_only_if_their_ids_are_theirs(template in template(), name in text(), rest in "[a-c_-]{0,6}x") {
        let rule = rule(template);
        let delimiter = rule.prefix.as_ref().unwrap().delimiter.clone();
        let id = format!("{name}{delimiter}{rest}");
        let is_read_back = matches!(rule.says(&id), Said::Named { tenant, .. } if tenant == name);
        let begins = name.starts_with(&delimiter[..1]);
        prop_assert_eq!(rule.check_tenant_name(&name).is_ok(), is_read_back && !begins && name.len() <= 64, "{}", id);
    }

    #[test]
    fn an_id_names_one_tenant(template in template(), one in text(), other in text(), id in text()) {
        let rule = rule(template);
        prop_assume!(one != other && rule.check_tenant_name(&one).is_ok() && rule.check_tenant_name(&other).is_ok());
        for id in [id.clone(), format!("{one}{id}"), format!("{other}{id}"), format!("{one}--{id}"), format!("{one}_{id}")] {
            if let Said::Named { tenant, .. } = rule.says(&id) {
                prop_assert!(!(tenant == one && tenant == other));
                prop_assert!(id.starts_with(tenant));
            }
        }
    }

    #[test]
    fn new_ids_are_ids_and_name_their_maker(template in template(), tenant in text(), user in proptest::option::of(text())) {
        let rule = rule(template);
        prop_assume!(rule.check_tenant_name(&tenant).is_ok());
        let who = Identity { tenant: tenant.as_str().into(), user: user.as_deref().map(Into::into) };
        let id = rule.new_id(&who, UUID);
        prop_assert!((1..=MAX_ID).contains(&id.len()) && id.bytes().all(is_id_byte), "{}", id);
        let Said::Named { tenant: named, user: named_user } = rule.says(&id) else { panic!("{id}") };
        prop_assert_eq!(named, tenant.as_str());
        if let Some(user) = user.filter(|user| rule.tells_users() && rule.check_user_name(&tenant, user).is_ok()) {
            prop_assert_eq!(named_user, Some(user.as_str()));
        }
    }

    /// Two users of one tenant never meet either.
    #[test]
    fn an_id_names_one_user(one in text(), rest in text()) {
        let rule = rule("{tenant}--{user}--");
        prop_assume!(rule.check_user_name("t", &one).is_ok());
        let id = format!("t--{one}--{rest}");
        if let Said::Named { user, .. } = rule.says(&id) {
            prop_assert_eq!(user, Some(one.as_str()));
        }
    }
}
