//! Whatever tenants are called and whatever ids they try.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};

use proptest::prelude::*;

use super::*;
use crate::tenancy::naming::tests::{template, text};

fn rules() -> impl Strategy<Value = NamingRule> {
    prop_oneof![3 => template().prop_map(|template| NamingRule::prefix(template).unwrap()), 1 => Just(NamingRule::registry())]
}

/// An id that may have one of the names in it.
fn ids(one: &str, other: &str, rest: &[String]) -> Vec<String> {
    let mut all: Vec<String> =
        vec![one.into(), other.into(), format!("{one}--{UUID}"), format!("{other}_{UUID}"), UUID.into()];
    for text in rest {
        for name in [one, other] {
            all.extend([text.clone(), format!("{name}{text}"), format!("{name}--{text}"), format!("{name}_{text}")]);
            all.extend([format!("{text}{name}"), format!("{name}-{text}--{one}"), format!("{name}---{text}")]);
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    /// Both try to get hold of every id; never do both have one, whoever came first.
    #[test]
    fn no_two_tenants_meet(
        naming in rules(), one in text(), other in text(), rest in proptest::collection::vec(text(), 1..4), first in any::<bool>(),
    ) {
        prop_assume!(one != other && naming.check_tenant_name(&one).is_ok() && naming.check_tenant_name(&other).is_ok());
        let wall = wall_of(naming, tenants(&[&one, &other]));
        let (a, b) = (Identity::of(&one), Identity::of(&other));
        let order = if first { [&a, &b] } else { [&b, &a] };
        for id in ids(&one, &other, &rest) {
            for who in order {
                if wall.may_create(who, &id) == Creation::IfAbsent {
                    wall.claim_free(who, &id);
                }
            }
            let (mine, theirs) = (wall.access(&a, &id), wall.access(&b, &id));
            prop_assert!(mine != Access::Own || theirs == Access::Foreign, "{} {} {}", one, other, id);
            prop_assert!(theirs != Access::Own || mine == Access::Foreign, "{} {} {}", one, other, id);
            prop_assert!(mine != Access::Shared && theirs != Access::Shared);
            let owner = wall.owner(&id).map(|owner| owner.tenant);
            prop_assert_eq!(mine == Access::Own, owner.as_deref() == Some(one.as_str()));
            prop_assert_eq!(theirs == Access::Own, owner.as_deref() == Some(other.as_str()));
        }
    }

    /// The same for two users of one tenant.
    #[test]
    fn no_two_users_meet(naming in rules(), one in text(), other in text(), rest in proptest::collection::vec(text(), 1..4)) {
        let settings = TenantSettings { users_apart: true, ..TenantSettings::named("t") };
        let wall = wall_of(naming, vec![settings]);
        let identity = |user: &str| Identity { tenant: "t".into(), user: Some(user.into()) };
        let (a, b) = (identity(&one), identity(&other));
        prop_assume!(one != other && wall.admits(&a) && wall.admits(&b));
        for id in ids(&format!("t--{one}"), &format!("t--{other}"), &rest) {
            for who in [&a, &b] {
                wall.claim_free(who, &id);
            }
            prop_assert!(!(wall.access(&a, &id) == Access::Own && wall.access(&b, &id) == Access::Own), "{}", id);
        }
    }

    /// An id that we make is its maker's: at once where it has the name in it, else after it was claimed.
    #[test]
    fn what_we_make_is_its_makers(naming in rules(), name in text(), user in proptest::option::of(text()), apart in any::<bool>()) {
        prop_assume!(naming.check_tenant_name(&name).is_ok());
        let settings = TenantSettings { users_apart: apart, ..TenantSettings::named(&name) };
        let wall = wall_of(naming, vec![settings]);
        let who = Identity { tenant: name.as_str().into(), user: user.as_deref().map(Into::into) };
        prop_assume!(wall.admits(&who));
        let id = wall.new_session_id(&who, UUID);
        if wall.naming().is_registry() {
            prop_assert_eq!(wall.may_create(&who, &id), Creation::IfAbsent);
            prop_assert!(wall.claim_free(&who, &id));
        }
        prop_assert_eq!(wall.access(&who, &id), Access::Own);
        prop_assert_eq!(wall.may_create(&who, &id), Creation::Yes);
    }

    /// A share opens nothing but what its giver owns.
    #[test]
    fn shares_open_nothing_of_others(
        naming in rules(), giver in text(), other in text(), pattern in text(), star in any::<bool>(),
        rest in proptest::collection::vec(text(), 1..4),
    ) {
        prop_assume!(giver != other && naming.check_tenant_name(&giver).is_ok() && naming.check_tenant_name(&other).is_ok());
        prop_assume!(giver != "guest" && other != "guest");
        let session = if star { format!("{pattern}*") } else { pattern.clone() };
        let wall = wall_of(naming, vec![
            TenantSettings { shares: vec![(session, grantees(&["guest"]))], ..TenantSettings::named(&giver) },
            TenantSettings::named(&other),
            TenantSettings::named("guest"),
        ]);
        for (at, id) in ids(&giver, &other, &rest).into_iter().chain([pattern]).enumerate() {
            let first = if at % 2 == 0 { &giver } else { &other };
            wall.claim_free(&Identity::of(first), &id);
            let owned = wall.owner(&id).is_some_and(|owner| *owner.tenant == giver);
            prop_assert!(wall.access(&Identity::of("guest"), &id) != Access::Shared || owned, "{}", id);
            prop_assert_ne!(wall.access(&Identity::of(&other), &id), Access::Shared);
        }
    }
}

#[test]
fn of_two_who_claim_at_once_one_wins() {
    let wall = wall_of(NamingRule::registry(), tenants(&["a", "b", "c"]));
    let (start, wins) = (Barrier::new(3), AtomicUsize::new(0));
    thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            let (wall, start, wins) = (&wall, &start, &wins);
            scope.spawn(move || {
                start.wait();
                for number in 0..1_000 {
                    let id = format!("id{number}");
                    if wall.claim_free(&who(name), &id) {
                        wins.fetch_add(1, SeqCst);
                        assert_eq!(wall.access(&who(name), &id), Access::Own);
                    }
                }
            });
        }
    });
    assert_eq!((wins.load(SeqCst), wall.owners().len()), (1_000, 1_000));
}
