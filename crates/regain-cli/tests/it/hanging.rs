//! A domain at which the relay hangs, with letters to it and to others in the outbox.

use std::time::{Duration, Instant};

use regain_smtp::Phase;
use regain_smtp::testing::{Behaviour, ScriptedServer};

use crate::harness::{Place, configuration, until};

/// After this time the relay is known to hang at a domain.
const DRAG: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn letters_to_a_domain_that_hangs_do_not_take_the_places_of_others() {
    let relay = ScriptedServer::start().await;
    relay.on_next(4, Phase::FinalDot, Behaviour::Silence);
    let place = Place::new();
    let settings = configuration(&relay.url()) + "[limits]\nperClient = false\n";
    place.write("regain.toml", &settings);
    let server = place.start(&["serve"], &[]);
    for number in 0..16 {
        server.register(&format!("a{number}@slow.test"));
    }
    relay.wait_for_phase(Phase::FinalDot, 4).await;
    let begun = Instant::now();
    let received = |to: &str| relay.messages().iter().any(|one| one.to == [to]);
    let goes_out = |to: &str| {
        server.register(to);
        let asked = Instant::now();
        until("a mail to somebody else", || received(to).then_some(()));
        asked.elapsed()
    };
    // Until it is known, some wait for a place.
    while begun.elapsed() < DRAG * 3 / 2 {
        goes_out(&format!("b{}@sound.test", begun.elapsed().as_millis()));
    }
    for number in 0..8 {
        let waited = goes_out(&format!("c{number}@sound.test"));
        assert!(waited < Duration::from_secs(3), "{waited:?}");
    }
    let held = place.run(&["outbox", "list", "--state", "waiting"]).ok();
    assert!(held.contains("the relay hangs at its domain"), "{held}");
}
