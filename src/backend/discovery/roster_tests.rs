use super::*;
use crate::backend::discovery::Fault;

const SECOND: Duration = Duration::from_secs(1);

fn at(last: u8) -> Endpoint {
    ([10, 0, 0, last], 4321).into()
}

fn found(name: &str, addresses: &[u8]) -> Found {
    let addresses = addresses.iter().map(|last| at(*last)).collect();
    Found { name: name.into(), addresses, host: None, server: None, weight: 1, drain: false }
}

fn entry(name: &str, address: Option<u8>) -> Entry {
    Entry { name: name.into(), address: address.map(at), host: None, server: None, weight: 1, drain: false }
}

fn said(all: &[(&str, &[u8])]) -> Said {
    Said::Backends(all.iter().map(|(name, addresses)| found(name, addresses)).collect())
}

fn roster(keep_empty: u64, removal_delay: u64) -> (Roster, Instant) {
    let settings =
        RosterSettings { keep_empty: SECOND * keep_empty as u32, removal_delay: SECOND * removal_delay as u32 };
    (Roster::new(settings), Instant::now())
}

#[test]
fn they_join_and_leave_and_the_others_are_left_alone() {
    let (mut roster, now) = roster(30, 0);
    let first = roster.hear(&said(&[("a", &[1]), ("b", &[2])]), now);
    assert_eq!(first, [Change::Join(entry("a", Some(1))), Change::Join(entry("b", Some(2)))]);
    assert_eq!(roster.hear(&said(&[("b", &[2]), ("a", &[1])]), now), []);
    let next = roster.hear(&said(&[("b", &[2]), ("c", &[3])]), now);
    assert_eq!(next, [Change::Leave("a".into()), Change::Join(entry("c", Some(3)))]);
    assert_eq!(roster.leaving(), [Arc::from("a")]);
    assert_eq!(roster.hear(&said(&[("b", &[2]), ("c", &[3])]), now), []);
    roster.removed("b");
    roster.removed("a");
    assert_eq!((roster.leaving().len(), roster.count()), (0, 2));
    assert_eq!(roster.hear(&said(&[("b", &[2]), ("c", &[3]), ("a", &[1])]), now), [Change::Join(entry("a", Some(1)))]);
}

#[test]
fn a_name_keeps_its_place_when_its_address_changes() {
    let (mut roster, now) = roster(30, 0);
    roster.hear(&said(&[("a", &[1]), ("b", &[2])]), now);
    assert_eq!(roster.hear(&said(&[("a", &[7]), ("b", &[2])]), now), [Change::Alter(entry("a", Some(7)))]);
    // Two that swap.
    let swapped = roster.hear(&said(&[("a", &[2]), ("b", &[7])]), now);
    assert_eq!(swapped, [Change::Alter(entry("a", Some(2))), Change::Alter(entry("b", Some(7)))]);
}

#[test]
fn of_several_addresses_the_one_in_use_stays() {
    let (mut roster, now) = roster(30, 0);
    roster.hear(&said(&[("a", &[1, 2])]), now);
    assert_eq!(roster.hear(&said(&[("a", &[2, 1])]), now), []);
    assert_eq!(roster.hear(&said(&[("a", &[])]), now), []);
    assert_eq!(roster.hear(&said(&[("a", &[3, 2])]), now), [Change::Alter(entry("a", Some(3)))]);
    assert_eq!(roster.hear(&said(&[("a", &[3]), ("b", &[])]), now), [Change::Join(entry("b", None))]);
}

#[test]
fn an_address_that_is_anothers_is_dialled_no_more() {
    let (mut roster, now) = roster(30, 60);
    roster.hear(&said(&[("a", &[1]), ("b", &[2])]), now);
    let next = roster.hear(&said(&[("c", &[1]), ("b", &[2])]), now);
    let all = [Change::Leave("a".into()), Change::Vacate("a".into()), Change::Join(entry("c", Some(1)))];
    assert_eq!(next, all);
    assert_eq!(roster.hear(&said(&[("c", &[1]), ("b", &[2])]), now), []);
    let back = roster.hear(&said(&[("a", &[4]), ("c", &[1]), ("b", &[2])]), now);
    assert_eq!(back, [Change::Return(entry("a", Some(4)))]);
}

#[test]
fn one_that_comes_back_before_it_was_removed_returns() {
    let (mut roster, now) = roster(30, 0);
    roster.hear(&said(&[("a", &[1]), ("b", &[2])]), now);
    roster.hear(&said(&[("a", &[1])]), now);
    assert_eq!(roster.hear(&said(&[("a", &[1]), ("b", &[9])]), now), [Change::Return(entry("b", Some(9)))]);
    assert_eq!((roster.leaving().len(), roster.count()), (0, 2));
}

#[test]
fn failures_change_nothing_for_ever() {
    let (mut roster, now) = roster(30, 0);
    roster.hear(&said(&[("a", &[1])]), now);
    for hour in 0..100 {
        let now = now + SECOND * 3600 * hour;
        assert_eq!(roster.hear(&Said::Failed(Fault::Timeout), now), []);
        assert_eq!(roster.hear(&Said::Failed(Fault::Refused("ServFail".into())), now), []);
    }
    assert_eq!(roster.count(), 1);
}

#[test]
fn nothing_at_all_is_believed_after_a_while() {
    let (mut roster, now) = roster(30, 0);
    let nothing = Said::Nothing(Fault::NoName);
    roster.hear(&said(&[("a", &[1]), ("b", &[2])]), now);
    assert_eq!(roster.hear(&nothing, now), []);
    assert_eq!(roster.hear(&Said::Nothing(Fault::Empty), now + SECOND * 29), []);
    // Somebody is there: the time begins anew.
    roster.hear(&said(&[("a", &[1]), ("b", &[2])]), now + SECOND * 29);
    assert_eq!(roster.hear(&nothing, now + SECOND * 31), []);
    assert_eq!(roster.hear(&Said::Failed(Fault::Timeout), now + SECOND * 90), []);
    let gone = roster.hear(&nothing, now + SECOND * 61);
    assert_eq!(gone, [Change::Leave("a".into()), Change::Leave("b".into())]);
    assert_eq!(roster.hear(&nothing, now + SECOND * 62), []);
    assert_eq!(roster.hear(&said(&[("b", &[2])]), now + SECOND * 63), [Change::Return(entry("b", Some(2)))]);
}

#[test]
fn who_is_left_out_for_a_moment_stays() {
    let (mut roster, now) = roster(30, 5);
    roster.hear(&said(&[("a", &[1]), ("b", &[2])]), now);
    assert_eq!(roster.hear(&said(&[("a", &[1])]), now), []);
    assert_eq!(roster.hear(&said(&[("b", &[2])]), now + SECOND * 4), []);
    assert_eq!(roster.hear(&said(&[("b", &[2])]), now + SECOND * 8), []);
    assert_eq!(roster.hear(&said(&[("b", &[2])]), now + SECOND * 9), [Change::Leave("a".into())]);
}

#[test]
fn weights_and_drains_follow_the_source() {
    let (mut roster, now) = roster(30, 0);
    roster.hear(&said(&[("a", &[1])]), now);
    let mut later = found("a", &[1]);
    (later.weight, later.drain) = (3, true);
    let altered = Entry { weight: 3, drain: true, ..entry("a", Some(1)) };
    assert_eq!(roster.hear(&Said::Backends(vec![later.clone()]), now), [Change::Alter(altered)]);
    // Of two with one name the first counts.
    assert_eq!(roster.hear(&Said::Backends(vec![later, found("a", &[9])]), now), []);
}
