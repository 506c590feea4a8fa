//! Places at relays: order, probes, recovery.

use std::time::Duration;

use super::*;
use crate::rng::OsRng;
use crate::testing::ScriptedMailer;

const T0: Timestamp = Timestamp::from_millis(1_000_000);
const MANY: usize = 100;

fn relays(at_once: &[usize]) -> Relays {
    let relay = |at_once: &usize| Relay::new(Arc::new(ScriptedMailer::default()), *at_once);
    Relays::new(at_once.iter().map(relay).collect())
}

fn routes(relays: &Relays, now: Timestamp) -> Vec<Route> {
    match relays.reserve(MANY, true, now) {
        Places::Routes(routes) => routes,
        Places::Full(_) => Vec::new(),
        Places::Rest(until) => panic!("a rest until {until:?}"),
    }
}

fn fail(route: Route, now: Timestamp) {
    route.breaker(Some(FaultKind::Passing), |breaker| {
        breaker.failed("connect: refused", false, now, &OsRng).unwrap()
    });
}

/// Whither the routes lead: the relay of each, and whether it is a probe.
fn whither(routes: &[Route]) -> Vec<(usize, bool)> {
    routes.iter().map(|route| (route.relay(), route.is_probe())).collect()
}

#[test]
fn the_first_relay_gets_everything_and_a_full_one_does_not_spill() {
    let relays = relays(&[2, 3]);
    let held = routes(&relays, T0);
    assert_eq!(whither(&held), [(0, false), (0, false)]);
    assert!(matches!(relays.reserve(MANY, true, T0), Places::Full(_)));
    drop(held);
    assert_eq!(routes(&relays, T0).len(), 2, "dropped routes are free again");
}

#[test]
fn a_relay_at_fault_is_passed_over_then_probed_by_one_letter() {
    let relays = relays(&[2, 3]);
    let mut held = routes(&relays, T0);
    fail(held.remove(0), T0);
    drop(held);
    assert_eq!(whither(&routes(&relays, T0)), [(1, false); 3]);
    let later = T0 + Duration::from_secs(2);
    let held = routes(&relays, later);
    assert_eq!(whither(&held), [(0, true), (1, false), (1, false), (1, false)]);
    assert_eq!(whither(&routes(&relays, later)), [], "one probe at a time");
}

#[test]
fn a_letter_goes_on_to_the_next_relay_that_works() {
    let relays = relays(&[1, 1, 1]);
    let first = routes(&relays, T0).remove(0);
    let second = first.onward(T0).unwrap();
    assert_eq!((second.relay(), second.is_probe()), (1, false));
    fail(second, T0);
    let first = routes(&relays, T0).remove(0);
    let third = first.onward(T0).unwrap();
    assert_eq!(third.relay(), 2);
    assert!(third.onward(T0).is_none());
    assert_eq!(relays.statuses(T0).iter().map(|status| status.under_way).sum::<usize>(), 0);
}

#[test]
fn where_all_rest_the_earliest_end_is_told() {
    let relays = relays(&[1, 1]);
    let first = routes(&relays, T0).remove(0);
    fail(first.onward(T0).unwrap(), T0);
    fail(routes(&relays, T0).remove(0), T0 + Duration::from_millis(200));
    match relays.reserve(MANY, true, T0 + Duration::from_millis(300)) {
        Places::Rest(until) => assert!(until <= T0 + Duration::from_secs(1)),
        _ => panic!("both rest"),
    }
}

#[test]
fn after_an_outage_a_relay_gets_two_letters_and_one_more_with_each_it_accepts() {
    let relays = relays(&[5]);
    let mut held = routes(&relays, T0);
    fail(held.remove(0), T0);
    drop(held);
    let now = T0 + Duration::from_secs(2);
    let mut probe = routes(&relays, now);
    assert_eq!(whither(&probe), [(0, true)]);
    probe.remove(0).accepted(now);
    assert_eq!(relays.statuses(now)[0].state, RelayState::Recovering);
    for step in 2..=5 {
        let mut held = routes(&relays, now);
        assert_eq!(held.len(), step);
        held.remove(0).accepted(now);
    }
    assert_eq!(relays.statuses(now)[0].state, RelayState::Open);
}

#[test]
fn a_few_free_places_are_not_worth_a_claim_unless_somebody_waits() {
    let relays = relays(&[8]);
    let mut held = routes(&relays, T0);
    drop(held.pop());
    assert!(matches!(relays.reserve(MANY, false, T0), Places::Full(_)));
    assert!(matches!(relays.reserve(MANY, true, T0), Places::Routes(one) if one.len() == 1));
    drop(held.pop());
    assert!(matches!(relays.reserve(MANY, false, T0), Places::Routes(two) if two.len() == 2));
}

#[test]
fn a_fault_for_the_operator_shows_as_a_pause() {
    let relays = relays(&[1]);
    let route = routes(&relays, T0).remove(0);
    route.breaker(Some(FaultKind::Permanent), |breaker| {
        breaker.failed("auth: 535", true, T0, &OsRng).unwrap()
    });
    drop(route);
    let status = relays.statuses(T0).remove(0);
    assert_eq!(
        (status.state, status.fault.as_deref(), status.faults),
        (RelayState::Paused, Some("auth: 535"), 1)
    );
}
