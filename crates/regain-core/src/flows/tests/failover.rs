//! Stories of a letter that goes on to the next relay after a while: it must still be owed then.

use futures_util::future::BoxFuture;

use super::*;
use crate::mailer::{Mailer, Parcel, Receipt};
use crate::service::Service;
use crate::testing::FakeClock;

/// What happens while a relay takes its time.
type Event = Box<dyn Fn(Arc<Service>, Arc<FakeClock>) -> BoxFuture<'static, ()> + Send + Sync>;

/// A relay at fault that takes long to say so.
struct Slow {
    service: Arc<Service>,
    clock: Arc<FakeClock>,
    meanwhile: Event,
}

#[async_trait::async_trait]
impl Mailer for Slow {
    async fn deliver(&self, _: Parcel) -> Result<Receipt, DeliveryError> {
        (self.meanwhile)(self.service.clone(), self.clock.clone()).await;
        Err(DeliveryError::Relay { reason: "greeting: timed out".to_owned(), permanent: false })
    }
}

/// What the second relay was given of a reset letter for Ann, and what the letter is in the end, where this happens while
/// the first one takes its time.
async fn after(meanwhile: Event) -> (usize, Vec<LetterState>) {
    let desk = desk();
    desk.register(ANN, OLD).await.unwrap();
    desk.deliver().await;
    let second = Arc::new(ScriptedMailer::default());
    let first = Slow { service: desk.service.clone(), clock: desk.clock.clone(), meanwhile };
    let relays = vec![Relay::new(Arc::new(first), 5), Relay::new(second.clone(), 5)];
    let courier = Courier::new(desk.service.clone(), relays);
    desk.ask_reset(ANN).await.unwrap();
    assert_eq!(courier.step(5).await.unwrap(), 1);
    let given = second.attempted().len();
    desk.deliver().await;
    (given, states(&desk, Purpose::Reset).await)
}

#[tokio::test]
async fn a_letter_that_is_still_owed_goes_to_the_next_relay() {
    let (given, states) =
        after(Box::new(|_, clock| Box::pin(async move { clock.advance(MINUTE * 2) }))).await;
    assert_eq!((given, states), (1, vec![LetterState::Sent]));
}

#[tokio::test]
async fn a_letter_whose_deadline_passes_at_a_relay_goes_to_no_other() {
    let (given, states) = after(Box::new(|_, clock| Box::pin(async move { clock.advance(HOUR * 24) }))).await;
    assert_eq!((given, states), (0, vec![LetterState::Expired]));
}

#[tokio::test]
async fn a_letter_whose_account_is_disabled_while_a_relay_has_it_goes_to_no_other() {
    let (given, states) = after(Box::new(|service, clock| {
        Box::pin(async move {
            clock.advance(MINUTE);
            let name = service.name(ANN).unwrap();
            let account = service.store.account_by_name(name.key()).await.unwrap().unwrap();
            assert!(service.store.set_disabled(&account.id, true, service.now()).await.unwrap());
        })
    }))
    .await;
    assert_eq!(given, 0);
    assert!(!states.contains(&LetterState::Sent), "{states:?}");
}

#[tokio::test]
async fn a_letter_that_another_courier_has_taken_over_goes_to_no_other_relay() {
    let (given, states) = after(Box::new(|service, clock| {
        Box::pin(async move {
            clock.advance(LEASE + SECOND);
            let third = Arc::new(ScriptedMailer::default());
            let another = Courier::new(service, vec![Relay::new(third.clone(), 5)]);
            assert_eq!(another.step(5).await.unwrap(), 1);
            assert_eq!(third.accepted().len(), 1);
        })
    }))
    .await;
    assert_eq!((given, states), (0, vec![LetterState::Sent]));
}

/// What the letter says of its relays, after its first step with these.
async fn words_after(relays: Vec<Arc<ScriptedMailer>>) -> (Option<String>, Option<String>) {
    let desk = desk();
    let relays = relays.into_iter().map(|mailer| Relay::new(mailer, 5)).collect();
    let courier = Courier::new(desk.service.clone(), relays);
    desk.register(ANN, OLD).await.unwrap();
    assert_eq!(courier.step(5).await.unwrap(), 1);
    let filter = LetterFilter { limit: 1, ..LetterFilter::default() };
    let letter = desk.service.store.letters(filter).await.unwrap().remove(0);
    (letter.relay_reply, letter.last_error)
}

#[tokio::test]
async fn a_letter_says_which_of_several_relays_took_or_refused_it() {
    let working = Arc::<ScriptedMailer>::default;
    let failing = |error: DeliveryError| {
        let mailer = working();
        mailer.fail_next(error);
        mailer
    };
    let down = || failing(DeliveryError::Relay { reason: "connect: refused".to_owned(), permanent: false });
    let refused = || {
        let reply = Some("550 5.1.1 no".to_owned());
        failing(DeliveryError::Never { reason: "rcpt: refused".to_owned(), reply })
    };
    for (relays, reply, error) in [
        (vec![working()], Some("250 2.0.0 taken"), None),
        (vec![working(), working()], Some("250 2.0.0 taken (relay 1)"), None),
        (vec![down(), working()], Some("250 2.0.0 taken (relay 2)"), None),
        (vec![down()], None, Some("connect: refused")),
        (vec![down(), down()], None, Some("relay 2: connect: refused")),
        (vec![down(), refused()], Some("550 5.1.1 no"), Some("relay 2: rcpt: refused")),
    ] {
        let words = words_after(relays).await;
        assert_eq!((words.0.as_deref(), words.1.as_deref()), (reply, error));
    }
}

#[tokio::test]
async fn a_letter_that_is_held_back_goes_to_the_next_relay_or_waits_and_is_charged_nothing() {
    for count in [1, 2] {
        let desk = desk();
        let mailers: Vec<Arc<ScriptedMailer>> = (0..count).map(|_| Arc::default()).collect();
        mailers[0].fail_next(DeliveryError::HeldBack);
        let relays = mailers.iter().map(|mailer| Relay::new(mailer.clone(), 5)).collect();
        let courier = Courier::new(desk.service.clone(), relays);
        desk.register(ANN, OLD).await.unwrap();
        assert_eq!(courier.step(5).await.unwrap(), 1);
        assert!(courier.relay_fault().is_none());
        if count == 1 {
            assert_eq!(courier.step(5).await.unwrap(), 0, "it is not looked at again at once");
            desk.advance(SECOND * 10);
            assert_eq!(courier.step(5).await.unwrap(), 1);
        }
        assert_eq!(mailers[count - 1].accepted().len(), 1);
        let filter = LetterFilter { limit: 1, ..LetterFilter::default() };
        let letter = desk.service.store.letters(filter).await.unwrap().remove(0);
        assert_eq!((letter.state, letter.attempts), (LetterState::Sent, 1));
    }
}
