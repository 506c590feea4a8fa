//! Stories of the courier: relays at fault, refused recipients, deadlines, mailers that panic.

use super::*;

#[tokio::test]
async fn a_relays_fault_costs_no_attempt_and_one_probe_goes_first() {
    let desk = desk();
    for i in 0..5 {
        desk.register(&format!("a{i}@example.org"), OLD).await.unwrap();
    }
    for _ in 0..2 {
        desk.mailer.fail_next(DeliveryError::Relay { reason: "auth: 535".to_owned(), permanent: true });
    }
    let Claimed::Letters(_, mut letters) = desk.courier.claim(1, true).await.unwrap() else {
        panic!("letters are due")
    };
    let settlement = desk.courier.attempt_one(letters.remove(0)).await.unwrap().unwrap();
    assert_eq!(desk.courier.settle(&[settlement]).await.unwrap(), [true]);
    assert!(desk.courier.relay_fault().unwrap().contains("535"));
    assert!(matches!(desk.courier.claim(10, true).await.unwrap(), Claimed::Resting(_)));
    desk.advance(SECOND * 5);
    let Claimed::Letters(_, probe) = desk.courier.claim(10, true).await.unwrap() else {
        panic!("a probe is due")
    };
    assert_eq!(probe.len(), 1);
    assert!(
        matches!(desk.courier.claim(10, true).await.unwrap(), Claimed::Full(_)),
        "not while one is under way"
    );
    assert_eq!(desk.courier.release(probe).await.unwrap(), [true]);
    assert_eq!(desk.courier.step(10).await.unwrap(), 1, "one probe, which fails too");
    assert_eq!(desk.mailer.attempted().len(), 2);
    desk.advance(MINUTE);
    desk.deliver().await;
    assert_eq!(desk.mailer.accepted().len(), 5);
    assert!(desk.courier.relay_fault().is_none());
    let filter = LetterFilter { state: Some(LetterState::Sent), limit: 10, ..LetterFilter::default() };
    let letters = desk.service.store.letters(filter).await.unwrap();
    assert!(letters.iter().all(|l| l.attempts == 1), "no letter was charged for the relay");
}

/// A relay that is at fault whenever it gets a mail to Ann, or refuses some domains by policy, and takes all others.
#[derive(Default)]
struct Dislikes {
    refused_domains: Vec<&'static str>,
    accepted: std::sync::Mutex<Vec<String>>,
}

#[async_trait::async_trait]
impl crate::mailer::Mailer for Dislikes {
    async fn deliver(&self, parcel: crate::Parcel) -> Result<crate::Receipt, DeliveryError> {
        if parcel.to.as_str() == ANN {
            return Err(DeliveryError::Relay { reason: "data: 554".to_owned(), permanent: true });
        }
        if self.refused_domains.contains(&parcel.to.domain()) {
            let (reason, kind) = ("rcpt: 550 5.7.1".to_owned(), LaterKind::Policy);
            return Err(DeliveryError::Later { reason, reply: None, kind });
        }
        self.accepted.lock().unwrap().push(parcel.to.as_str().to_owned());
        Ok(crate::Receipt { reply: "250 taken".to_owned() })
    }
}

#[tokio::test]
async fn a_letter_at_which_the_relay_fails_does_not_hold_up_the_others() {
    let desk = desk();
    let relay = Arc::new(Dislikes::default());
    let courier = Courier::new(desk.service.clone(), vec![Relay::new(relay.clone(), 20)]);
    desk.register(ANN, OLD).await.unwrap();
    for i in 0..5 {
        desk.advance(SECOND);
        desk.register(&format!("a{i}@example.org"), OLD).await.unwrap();
    }
    for _ in 0..20 {
        desk.advance(SECOND);
        while courier.step(1).await.unwrap() > 0 {}
    }
    assert_eq!(relay.accepted.lock().unwrap().len(), 5);
    desk.register("later@example.org", OLD).await.unwrap();
    assert_eq!(
        courier.step(10).await.unwrap(),
        1,
        "the relay is open, and the letter that it dislikes waits"
    );
    let filter = LetterFilter { state: Some(LetterState::Waiting), limit: 10, ..LetterFilter::default() };
    let waiting = desk.service.store.letters(filter).await.unwrap();
    assert!(waiting.len() == 1 && waiting[0].attempts >= 1, "in the end it was charged");
}

#[tokio::test]
async fn domains_that_are_refused_do_not_hold_up_the_others() {
    let desk = desk();
    let refused_domains = vec!["b0.org", "b1.org", "b2.org", "b3.org", "b4.org", "b5.org"];
    let relay = Arc::new(Dislikes { refused_domains: refused_domains.clone(), ..Dislikes::default() });
    let courier = Courier::new(desk.service.clone(), vec![Relay::new(relay.clone(), 20)]);
    for domain in refused_domains {
        desk.register(&format!("x@{domain}"), OLD).await.unwrap();
        desk.advance(SECOND);
        while courier.step(10).await.unwrap() > 0 {}
    }
    assert!(courier.relay_fault().is_some());
    for i in 0..5 {
        desk.register(&format!("a{i}@example.org"), OLD).await.unwrap();
    }
    for _ in 0..60 {
        desk.advance(SECOND);
        while courier.step(10).await.unwrap() > 0 {}
    }
    assert_eq!(relay.accepted.lock().unwrap().len(), 5);
}

#[tokio::test]
async fn a_refused_recipient_is_dead_at_once_and_its_neighbours_go_on() {
    let desk = desk();
    let no_such_user =
        DeliveryError::Never { reason: "rcpt: 550".to_owned(), reply: Some("550 5.1.1".to_owned()) };
    desk.mailer.fail_next(no_such_user);
    desk.register(ANN, OLD).await.unwrap();
    desk.register("bob@example.org", OLD).await.unwrap();
    desk.deliver().await;
    let mut seen = states(&desk, Purpose::Confirm).await;
    seen.sort_by_key(|s| s.as_str());
    assert_eq!(seen, [LetterState::Dead, LetterState::Sent]);
    assert_eq!(desk.mailer.attempted().len(), 2);
}

#[tokio::test]
async fn a_letter_expires_when_no_attempt_can_start_in_time() {
    let desk = desk();
    desk.register(ANN, OLD).await.unwrap();
    desk.deliver().await;
    desk.ask_reset(ANN).await.unwrap();
    let busy =
        || DeliveryError::Later { reason: "rcpt: 451".to_owned(), reply: None, kind: LaterKind::Greylisted };
    for _ in 0..200 {
        desk.mailer.fail_next(busy());
    }
    for _ in 0..70 {
        desk.deliver().await;
        desk.advance(MINUTE);
    }
    assert_eq!(states(&desk, Purpose::Reset).await, [LetterState::Expired]);
    desk.ask_reset(ANN).await.unwrap();
    assert_eq!(
        states(&desk, Purpose::Reset).await[0],
        LetterState::Waiting,
        "and the owner may ask again at once"
    );
}

#[tokio::test]
async fn a_mailer_that_panics_costs_that_letter_alone() {
    struct Panics(ScriptedMailer);
    #[async_trait::async_trait]
    impl crate::mailer::Mailer for Panics {
        async fn deliver(&self, parcel: crate::Parcel) -> Result<crate::Receipt, DeliveryError> {
            assert!(parcel.to.as_str() != ANN, "poison");
            self.0.deliver(parcel).await
        }
    }
    let desk = desk();
    let mailer = Arc::new(Panics(ScriptedMailer::default()));
    let courier = Courier::new(desk.service.clone(), vec![Relay::new(mailer.clone(), 20)]);
    desk.register(ANN, OLD).await.unwrap();
    desk.advance(SECOND);
    desk.register("bob@example.org", OLD).await.unwrap();
    assert_eq!(courier.step(10).await.unwrap(), 2);
    assert_eq!(mailer.0.accepted().len(), 1);
    assert_eq!(states(&desk, Purpose::Confirm).await, [LetterState::Sent, LetterState::Dead]);
}

#[tokio::test]
async fn a_letter_that_waited_past_its_deadline_under_a_claim_is_not_attempted() {
    let desk = desk();
    desk.register(ANN, OLD).await.unwrap();
    desk.deliver().await;
    desk.ask_reset(ANN).await.unwrap();
    let Claimed::Letters(claim, mut letters) = desk.courier.claim(1, true).await.unwrap() else {
        panic!("a letter is due")
    };
    for _ in 0..300 {
        desk.advance(LEASE / 2);
        assert_eq!(desk.courier.renew(claim).await.unwrap(), 1);
    }
    let settlement = desk.courier.attempt_one(letters.remove(0)).await.unwrap().unwrap();
    assert_eq!(desk.courier.settle(&[settlement]).await.unwrap(), [true]);
    desk.deliver().await;
    assert_eq!(states(&desk, Purpose::Reset).await, [LetterState::Expired]);
    assert!(desk.mails(Purpose::Reset).is_empty());
}

/// A relay that works or not, as it is told, and remembers what it took.
#[derive(Default)]
struct Switched {
    is_down: std::sync::atomic::AtomicBool,
    tried: std::sync::Mutex<Vec<String>>,
    accepted: std::sync::Mutex<Vec<crate::LetterId>>,
}

impl Switched {
    fn down(&self, is_down: bool) {
        self.is_down.store(is_down, std::sync::atomic::Ordering::SeqCst);
    }

    fn accepted(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }
}

#[async_trait::async_trait]
impl crate::mailer::Mailer for Switched {
    async fn deliver(&self, parcel: crate::Parcel) -> Result<crate::Receipt, DeliveryError> {
        self.tried.lock().unwrap().push(parcel.to.as_str().to_owned());
        if self.is_down.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(DeliveryError::Relay { reason: "connect: refused".to_owned(), permanent: false });
        }
        self.accepted.lock().unwrap().push(parcel.letter);
        Ok(crate::Receipt { reply: "250 taken".to_owned() })
    }
}

#[tokio::test]
async fn the_next_relay_takes_over_at_once_and_gives_back_when_the_first_works() {
    let desk = desk();
    let (first, second) = (Arc::new(Switched::default()), Arc::new(Switched::default()));
    let relays = vec![Relay::new(first.clone(), 5), Relay::new(second.clone(), 5)];
    let courier = Courier::new(desk.service.clone(), relays);
    first.down(true);
    for i in 0..8 {
        desk.register(&format!("a{i}@example.org"), OLD).await.unwrap();
    }
    while courier.step(10).await.unwrap() > 0 {}
    assert_eq!((first.accepted(), second.accepted()), (0, 8), "no letter waited");
    assert_eq!(first.tried.lock().unwrap().len(), 1, "the first was spared after its fault");
    let fault = courier.relay_fault().unwrap();
    assert!(fault.contains("refused"), "{fault}");

    // The probe fails and costs its letter nothing: the second relay takes it.
    desk.advance(SECOND * 2);
    desk.register("probe@example.org", OLD).await.unwrap();
    while courier.step(10).await.unwrap() > 0 {}
    assert_eq!((first.tried.lock().unwrap().len(), second.accepted()), (2, 9));

    first.down(false);
    desk.advance(SECOND * 5);
    for i in 0..4 {
        desk.register(&format!("b{i}@example.org"), OLD).await.unwrap();
    }
    while courier.step(10).await.unwrap() > 0 {}
    assert!(courier.relay_fault().is_none());
    desk.register("last@example.org", OLD).await.unwrap();
    assert_eq!(courier.step(10).await.unwrap(), 1);
    assert!(first.tried.lock().unwrap().contains(&"last@example.org".to_owned()), "the first has it back");
    assert_eq!(first.accepted() + second.accepted(), 14);
    let filter = LetterFilter { state: Some(LetterState::Sent), limit: 20, ..LetterFilter::default() };
    let letters = desk.service.store.letters(filter).await.unwrap();
    assert!(letters.len() == 14 && letters.iter().all(|l| l.attempts == 1), "no fault was charged");
    assert_eq!(courier.counts().sent, 14);
}

#[tokio::test]
async fn a_fault_spares_the_relay_the_letters_that_were_claimed_for_it() {
    let desk = desk();
    let relay = Arc::new(Switched::default());
    let courier = Courier::new(desk.service.clone(), vec![Relay::new(relay.clone(), 20)]);
    relay.down(true);
    for i in 0..10 {
        desk.register(&format!("a{i}@example.org"), OLD).await.unwrap();
    }
    assert_eq!(courier.step(10).await.unwrap(), 10);
    assert_eq!(relay.tried.lock().unwrap().len(), 1);
    relay.down(false);
    desk.advance(SECOND * 2);
    let mut at_once = Vec::new();
    while relay.accepted() < 10 {
        at_once.push(courier.step(10).await.unwrap());
        assert!(at_once.len() < 10);
    }
    assert_eq!(at_once, [1, 2, 4, 3], "slowly at first");
}

#[tokio::test]
async fn the_budget_is_the_operators() {
    let limits = crate::limits::Limits { mail_per_hour: Some(2), ..desk().service.policy.limits };
    let desk = Desk::under(
        Arc::new(crate::testing::MemoryStore::default()),
        crate::Policy { limits, ..desk().service.policy.clone() },
    );
    for i in 0..5 {
        desk.register(&format!("a{i}@example.org"), OLD).await.unwrap();
    }
    desk.deliver().await;
    assert_eq!(desk.mailer.accepted().len(), 2);
    assert_eq!(desk.courier.counts().over_budget, 3);
    for _ in 0..7 {
        desk.advance(MINUTE * 10);
        desk.deliver().await;
    }
    assert_eq!(desk.mailer.accepted().len(), 4, "two in an hour");
}

#[tokio::test]
async fn hundreds_of_refused_domains_delay_a_fresh_letter_by_seconds() {
    let domains: Vec<&'static str> = (0..300).map(|i| &*format!("d{i}.org").leak()).collect();
    let desk = desk();
    let relay = Arc::new(Dislikes { refused_domains: domains.clone(), ..Dislikes::default() });
    let courier = Courier::new(desk.service.clone(), vec![Relay::new(relay.clone(), 5)]);
    for domain in domains {
        desk.register(&format!("x@{domain}"), OLD).await.unwrap();
    }
    // Long enough for rests to be as long as they get.
    for _ in 0..120 {
        desk.advance(SECOND);
        while courier.step(5).await.unwrap() > 0 {}
    }
    assert!(courier.relay_fault().is_some());
    for i in 0..10 {
        desk.register(&format!("a{i}@example.org"), OLD).await.unwrap();
        let mut waited = Duration::ZERO;
        while relay.accepted.lock().unwrap().len() <= i {
            assert!(waited < SECOND * 20, "letter {i} waits for {waited:?}");
            desk.advance(SECOND);
            waited += SECOND;
            while courier.step(5).await.unwrap() > 0 {}
        }
    }
}

/// A relay that puts every letter off in the same way, and counts.
struct PutsOff(LaterKind, std::sync::atomic::AtomicUsize);

impl PutsOff {
    fn with(kind: LaterKind) -> Arc<Self> {
        Arc::new(Self(kind, std::sync::atomic::AtomicUsize::new(0)))
    }

    fn tried(&self) -> usize {
        self.1.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl crate::mailer::Mailer for PutsOff {
    async fn deliver(&self, _: crate::Parcel) -> Result<crate::Receipt, DeliveryError> {
        self.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Err(DeliveryError::Later { reason: "rcpt: so".to_owned(), reply: None, kind: self.0 })
    }
}

#[tokio::test]
async fn a_relay_that_is_lost_at_letters_or_refuses_all_of_one_domain_gives_way_to_the_next() {
    for (kind, most) in [(LaterKind::Lost, 3), (LaterKind::Policy, 5)] {
        let desk = desk();
        let (first, second) = (PutsOff::with(kind), Arc::new(Switched::default()));
        let relays = vec![Relay::new(first.clone(), 5), Relay::new(second.clone(), 5)];
        let courier = Courier::new(desk.service.clone(), relays);
        for i in 0..20 {
            desk.register(&format!("a{i}@example.org"), OLD).await.unwrap();
        }
        while courier.step(5).await.unwrap() > 0 {}
        assert_eq!((second.accepted(), first.tried()), (20, most), "{kind:?}");
        assert!(courier.relay_fault().is_some(), "{kind:?}");
        let counts = courier.counts();
        assert_eq!((counts.sent, counts.put_off, counts.perhaps_twice), (20, 0, 0), "{kind:?}");
    }
}

#[tokio::test]
async fn a_mail_that_the_first_relay_may_have_taken_is_not_handed_to_the_next() {
    let desk = desk();
    let (first, second) = (PutsOff::with(LaterKind::Unknown), Arc::new(Switched::default()));
    let relays = vec![Relay::new(first.clone(), 5), Relay::new(second.clone(), 5)];
    let courier = Courier::new(desk.service.clone(), relays);
    desk.register(ANN, OLD).await.unwrap();
    assert_eq!(courier.step(5).await.unwrap(), 1);
    assert_eq!((second.accepted(), courier.counts().perhaps_twice), (0, 1));
    let again = Courier::new(desk.service.clone(), vec![Relay::new(first.clone(), 1)]);
    for i in 0..9 {
        desk.register(&format!("a{i}@example.org"), OLD).await.unwrap();
    }
    while again.step(1).await.unwrap() > 0 {}
    assert!(again.relay_fault().is_some(), "a relay that never answers is at fault");
}

#[tokio::test]
async fn a_probe_without_an_answer_rests_the_relay_again() {
    for kind in [LaterKind::Lost, LaterKind::Unknown, LaterKind::Other] {
        let desk = desk();
        let relay = PutsOff::with(kind);
        let courier = Courier::new(desk.service.clone(), vec![Relay::new(relay.clone(), 5)]);
        desk.register(ANN, OLD).await.unwrap();
        let Claimed::Letters(_, letters) = courier.claim(1, true).await.unwrap() else {
            panic!("a letter is due")
        };
        letters[0].fail_its_relay(desk.service.now());
        courier.release(letters).await.unwrap();
        for i in 0..9 {
            desk.register(&format!("a{i}@example.org"), OLD).await.unwrap();
        }
        for _ in 0..60 {
            desk.advance(SECOND);
            while courier.step(5).await.unwrap() > 0 {}
        }
        // 1, 2, 4, 8, 16, 32 seconds, less a quarter.
        assert!((4..=8).contains(&relay.tried()), "{kind:?}: {} probes in a minute", relay.tried());
    }
}

/// A process over the same database with these token keys, at the same time of day.
fn beside(desk: &Desk, current: u8, others: &[u8]) -> Desk {
    let key = |byte: u8| crate::TokenKey::from_bytes([byte; 32]);
    let keys = crate::TokenKeys::new(key(current), others.iter().map(|byte| key(*byte)));
    let other = Desk::with_token_keys(desk.service.store.clone(), desk.service.policy.clone(), keys);
    other.advance(desk.service.now().since(other.service.now()));
    other
}

#[tokio::test]
async fn a_letter_that_waits_while_the_token_key_is_turned_goes_out_with_the_same_token() {
    let desk = desk();
    desk.register(ANN, OLD).await.unwrap();
    let later =
        || DeliveryError::Later { reason: "rcpt: 450".to_owned(), reply: None, kind: LaterKind::Other };
    desk.mailer.fail_next(later());
    desk.deliver().await;
    desk.advance(MINUTE * 2);
    // Armed with key 7: taken by a process that is ahead, which puts it off again, then by one that is behind.
    let ahead = beside(&desk, 8, &[7]);
    ahead.mailer.fail_next(later());
    ahead.deliver().await;
    let behind = beside(&desk, 7, &[8]);
    behind.advance(MINUTE * 20);
    behind.deliver().await;
    let tokens: Vec<String> = [&desk, &ahead, &behind]
        .iter()
        .flat_map(|desk| desk.mailer.attempted())
        .map(|parcel| parcel.token.unwrap().expose().to_string())
        .collect();
    assert_eq!(tokens.len(), 3, "one attempt each");
    assert!(tokens.iter().all(|token| *token == tokens[0]), "each attempt mails the same link");
    assert!(matches!(desk.confirm(&tokens[0]).await, Ok(confirm_email::Confirmed::Now)));

    // A letter that is armed first gets the token of the key in force, whoever makes it.
    ahead.ask_reset(ANN).await.unwrap();
    ahead.deliver().await;
    let with_it = beside(&desk, 8, &[]);
    assert!(with_it.reset(&ahead.last_token(Purpose::Reset), "a new password").await.is_ok());
}

#[tokio::test]
async fn a_letter_whose_token_key_nobody_knows_is_replaced_by_one_that_works() {
    let desk = desk();
    desk.register(ANN, OLD).await.unwrap();
    desk.mailer.fail_next(DeliveryError::Later {
        reason: "rcpt: 450".to_owned(),
        reply: None,
        kind: LaterKind::Other,
    });
    desk.deliver().await;
    desk.advance(MINUTE * 2);
    let other = beside(&desk, 8, &[]);
    other.deliver().await;
    assert_ne!(
        other.last_token(Purpose::Confirm),
        desk.mailer.attempted()[0].token.as_ref().unwrap().expose().as_str()
    );
    // A link that was mailed before is good, whoever has which key: the store knows its hash.
    let mailed = desk.mailer.attempted()[0].token.as_ref().unwrap().expose().to_string();
    assert!(matches!(other.confirm(&mailed).await, Ok(confirm_email::Confirmed::Now)));
    assert!(other.confirm(&other.last_token(Purpose::Confirm)).await.is_ok());
}

#[tokio::test]
async fn a_probe_that_cannot_be_composed_says_nothing_of_the_relay() {
    let desk = desk();
    desk.mailer.fail_next(DeliveryError::Relay { reason: "connect: refused".to_owned(), permanent: false });
    for i in 0..3 {
        desk.register(&format!("a{i}@example.org"), OLD).await.unwrap();
    }
    assert_eq!(desk.courier.step(1).await.unwrap(), 1);
    desk.mailer.fail_next(DeliveryError::Never { reason: "compose: no".to_owned(), reply: None });
    desk.advance(SECOND);
    assert_eq!(desk.courier.step(1).await.unwrap(), 1);
    assert_eq!(desk.courier.relay_fault().as_deref(), Some("connect: refused"));
    assert_eq!(desk.courier.step(1).await.unwrap(), 1, "the next letter is a probe at once");
    assert!(desk.courier.relay_fault().is_none());
}
