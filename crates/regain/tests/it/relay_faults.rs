//! What becomes of a letter for each way in which a relay can fail (design, section 8).

use std::time::Duration;

use regain_core::LetterState;
use regain_smtp::Phase;
use regain_smtp::testing::{Behaviour, Features, ScriptedServer, ServerTls};

use crate::app::{ADA, TestApp, short, token_in};

const MINUTE: Duration = Duration::from_secs(60);

/// An account whose owner has asked for a reset; the next mail needs a new connection.
async fn waiting(app: TestApp) -> TestApp {
    app.has_account(ADA, "old password").await;
    app.relay.wait_until_idle().await;
    app.ask_reset(ADA).await.succeeds();
    app
}

/// A relay's fault: the letter keeps its attempts, the relay rests, and the mail goes out once it has recovered.
async fn is_the_relays_fault(app: TestApp, said: &str) {
    app.deliver().await;
    let letter = app.reset_letter().await;
    assert_eq!((letter.state, letter.attempts), (LetterState::Waiting, 0));
    let error = letter.last_error.unwrap();
    assert!(error.contains(said), "{error}");
    assert!(!error.contains(ADA), "{error}");
    assert!(app.courier.relay_fault().is_some());
    let connections = app.relay.connections().len();
    app.deliver().await;
    assert_eq!(app.relay.connections().len(), connections, "the relay is left alone while it rests");
    app.relay.behave();
    app.clock.advance(MINUTE);
    app.deliver().await;
    assert!(app.courier.relay_fault().is_none());
    assert_eq!(app.reset_letter().await.state, LetterState::Sent);
    app.reset(&app.only_token(), "new password").await.succeeds();
}

/// Put off: this attempt counts, the relay goes on, and a copy is byte-identical.
async fn is_tried_again(app: TestApp, not_within: Duration) {
    app.deliver().await;
    let letter = app.reset_letter().await;
    assert_eq!((letter.state, letter.attempts), (LetterState::Waiting, 1), "{:?}", letter.last_error);
    assert!(letter.due.since(app.service.now()) >= not_within);
    assert!(app.courier.relay_fault().is_none());
    app.relay.behave();
    app.clock.advance(MINUTE * 11);
    app.deliver().await;
    let letter = app.reset_letter().await;
    assert_eq!((letter.state, letter.attempts), (LetterState::Sent, 2));
    app.reset(&token_in(app.mails().last().unwrap()), "new password").await.succeeds();
}

#[tokio::test]
async fn a_refused_connection_is_the_relays_fault() {
    // A port that was free a moment ago: nobody listens.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let app = TestApp::over(ScriptedServer::start().await, &format!("smtp://{closed}"), short()).await;
    assert_eq!(app.register(ADA, "old password").await.status, 200, "requests go on");
    app.ask_reset(ADA).await.succeeds();
    app.deliver().await;
    let letter = app.reset_letter().await;
    assert_eq!((letter.state, letter.attempts), (LetterState::Waiting, 0));
    assert!(app.courier.relay_fault().unwrap().contains("connect"));
}

#[tokio::test]
async fn silence_after_connecting_is_the_relays_fault() {
    let app = waiting(TestApp::start().await).await;
    app.relay.on(Phase::Greeting, Behaviour::Silence);
    is_the_relays_fault(app, "greeting").await;
}

#[tokio::test]
async fn silence_at_ehlo_is_the_relays_fault() {
    let app = waiting(TestApp::start().await).await;
    app.relay.on(Phase::Ehlo, Behaviour::Silence);
    is_the_relays_fault(app, "EHLO").await;
}

#[tokio::test]
async fn a_421_before_the_mail_is_the_relays_fault() {
    for phase in [Phase::Greeting, Phase::Mail, Phase::Rcpt, Phase::Data] {
        let app = waiting(TestApp::start().await).await;
        app.relay.on(phase, Behaviour::reply_and_close("421 4.3.2 closing"));
        is_the_relays_fault(app, "421").await;
    }
}

#[tokio::test]
async fn a_refused_login_is_the_relays_fault_and_kills_no_letter() {
    let relay = ScriptedServer::with(Features::tls(ServerTls::StartTls).with_login("user", "secret")).await;
    let url = format!("smtp://user:secret@127.0.0.1:{}?requireTLS=true", relay.port());
    let app = waiting(TestApp::over(relay, &url, short()).await).await;
    app.relay.on(Phase::Auth, Behaviour::reply("535 5.7.8 bad credentials"));
    is_the_relays_fault(app, "535").await;
}

#[tokio::test]
async fn bytes_behind_the_starttls_reply_are_the_relays_fault_and_nothing_is_sent() {
    let relay = ScriptedServer::with(Features::tls(ServerTls::StartTls)).await;
    let url = format!("smtp://127.0.0.1:{}?requireTLS=true", relay.port());
    let app = waiting(TestApp::over(relay, &url, short()).await).await;
    app.relay.on(Phase::StartTls, Behaviour::reply("220 go ahead\r\n250 evil"));
    is_the_relays_fault(app, "STARTTLS").await;
}

#[tokio::test]
async fn a_relay_without_tls_gets_no_mail_where_tls_is_required() {
    let relay = ScriptedServer::start().await;
    let url = format!("smtp://127.0.0.1:{}?requireTLS=true", relay.port());
    let app = TestApp::over(relay, &url, short()).await;
    assert_eq!(app.register(ADA, "old password").await.status, 200);
    app.deliver().await;
    assert!(app.courier.relay_fault().is_some());
    assert!(app.relay.connections().iter().all(|c| !c.text().contains("MAIL FROM")));
}

#[tokio::test]
async fn a_451_at_rcpt_is_tried_again_after_a_minute() {
    let app = waiting(TestApp::start().await).await;
    app.relay.on(Phase::Rcpt, Behaviour::reply("451 4.7.1 greylisted"));
    is_tried_again(app, MINUTE).await;
}

#[tokio::test]
async fn a_452_at_the_final_dot_is_tried_again_after_a_minute() {
    let app = waiting(TestApp::start().await).await;
    app.relay.on(Phase::FinalDot, Behaviour::reply("452 4.3.1 full"));
    is_tried_again(app, MINUTE).await;
}

#[tokio::test]
async fn silence_after_the_final_dot_is_tried_again_with_the_same_bytes() {
    let app = waiting(TestApp::start().await).await;
    app.relay.on(Phase::FinalDot, Behaviour::Silence);
    is_tried_again_alike(app).await;
}

#[tokio::test]
async fn a_drop_before_the_250_is_tried_again_with_the_same_bytes() {
    let app = waiting(TestApp::start().await).await;
    app.relay.on(Phase::FinalDot, Behaviour::Close);
    is_tried_again_alike(app).await;
}

async fn is_tried_again_alike(app: TestApp) {
    let before = app.relay.received().len();
    app.deliver().await;
    assert_eq!(app.reset_letter().await.state, LetterState::Waiting);
    app.relay.behave();
    app.clock.advance(MINUTE * 11);
    app.deliver().await;
    let copies = app.relay.received().split_off(before);
    assert_eq!(copies.len(), 2);
    assert!(copies[0].data == copies[1].data, "a copy is byte-identical");
    let token = token_in(&copies[0]);
    app.reset(&token, "new password").await.succeeds();
    app.reset(&token, "newer password").await.is_problem(403, 614);
}

#[tokio::test]
async fn a_550_at_rcpt_is_dead_at_once_with_its_code_and_the_next_letter_goes() {
    let app = waiting(TestApp::start().await).await;
    app.relay.on_next(1, Phase::Rcpt, Behaviour::reply("550 5.1.1 <ada@example.org> no such user"));
    app.deliver().await;
    let letter = app.reset_letter().await;
    assert_eq!((letter.state, letter.attempts), (LetterState::Dead, 1));
    let reply = letter.relay_reply.unwrap();
    assert!(reply.contains("550 5.1.1") && !reply.contains(ADA), "{reply}");
    assert_eq!(app.register("bob@example.org", "a password").await.status, 200);
    app.deliver().await;
    assert_eq!(app.mails().len(), 1);
}

#[tokio::test]
async fn a_refusal_by_policy_is_tried_again_and_three_domains_rest_the_relay() {
    let app = TestApp::start().await;
    app.relay.on(Phase::Rcpt, Behaviour::reply("550 5.7.1 relaying denied"));
    for i in 0..3 {
        assert!(app.courier.relay_fault().is_none());
        assert_eq!(app.register(&format!("ada@example{i}.org"), "a password").await.status, 200);
        app.deliver().await;
    }
    assert!(app.courier.relay_fault().is_some());
    let letters = app.letters(regain_core::Purpose::Confirm).await;
    assert!(letters.iter().all(|l| l.state == LetterState::Waiting), "nothing is dead");
    app.relay.behave();
    for _ in 0..12 {
        app.clock.advance(MINUTE);
        app.deliver().await;
    }
    assert_eq!(app.mails().len(), 3);
}

#[tokio::test]
async fn a_link_used_while_its_letter_is_retried_stays_used() {
    let app = waiting(TestApp::start().await).await;
    app.relay.on(Phase::FinalDot, Behaviour::Close);
    app.deliver().await;
    let token = token_in(app.relay.received().last().unwrap());
    app.reset(&token, "new password").await.succeeds();
    app.relay.behave();
    app.clear_mail();
    app.clock.advance(MINUTE * 11);
    app.deliver().await;
    assert_eq!(app.reset_letter().await.state, LetterState::Superseded);
    app.reset(&token, "newer password").await.is_problem(403, 614);
    assert_eq!(app.sign_in(ADA, "new password").await.status, 200);
    assert_eq!(app.mails().len(), 1, "the notice alone");
    assert!(app.service.store.next_due().await.unwrap().is_none());
}

#[tokio::test]
async fn a_courier_that_lost_its_claim_during_delivery_changes_nothing() {
    let app = waiting(TestApp::start().await).await;
    let regain_core::outbox::courier::Claimed::Letters(_, mut slow) =
        app.courier.claim(1, true).await.unwrap()
    else {
        panic!("a letter is due")
    };
    let settlement = app.courier.attempt_one(slow.remove(0)).await.unwrap().unwrap();
    app.clock.advance(MINUTE);
    app.deliver().await;
    assert_eq!(app.reset_letter().await.attempts, 1);
    assert_eq!(app.courier.settle(&[settlement]).await.unwrap(), [false], "the second's result stands");
    assert_eq!(app.reset_letter().await.attempts, 1);
    let mails = app.mails();
    assert_eq!(mails.len(), 2, "the bounded duplicate");
    assert!(mails[0].data == mails[1].data);
}
