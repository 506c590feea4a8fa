//! What strangers can do to an owner: nothing that lasts.

use std::collections::HashSet;
use std::time::Duration;

use axum::http::StatusCode;
use regain_core::Purpose;

use crate::app::{ADA, TestApp, token_in};

#[tokio::test]
async fn a_stranger_who_asks_every_second_does_not_lock_the_owner_out() {
    let app = TestApp::start().await;
    app.has_account(ADA, "old password").await;
    for _ in 0..600 {
        app.ask_reset(ADA).await.succeeds();
        app.deliver().await;
        app.clock.advance(Duration::from_secs(1));
    }
    let mails = app.mails();
    assert!((1..=5).contains(&mails.len()), "{} mails", mails.len());
    app.ask_reset(ADA).await.succeeds();
    app.deliver().await;
    let token = token_in(app.mails().last().unwrap());
    app.reset(&token, "new password").await.succeeds();
    assert_eq!(app.sign_in(ADA, "new password").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_completions_with_one_token_exactly_one_wins_and_its_password_works() {
    let app = std::sync::Arc::new(TestApp::start().await);
    app.has_account(ADA, "old password").await;
    app.ask_reset(ADA).await.succeeds();
    app.deliver().await;
    let token = app.only_token();
    app.clear_mail();
    let tasks: Vec<_> = (0..50)
        .map(|i| {
            let (app, token) = (app.clone(), token.clone());
            tokio::spawn(async move { (i, app.reset(&token, &format!("password {i}")).await) })
        })
        .collect();
    let mut winners = Vec::new();
    for task in tasks {
        let (i, answer) = task.await.unwrap();
        match answer.status {
            StatusCode::OK => winners.push(i),
            _ => answer.is_problem(403, 614),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(app.sign_in(ADA, &format!("password {}", winners[0])).await.status, 200);
    app.sign_in(ADA, &format!("password {}", (winners[0] + 1) % 50)).await.is_problem(401, 611);
    app.deliver().await;
    assert_eq!(app.mails().len(), 1, "one notice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reset_while_sign_ins_with_the_old_password_are_hashing_leaves_no_live_session() {
    let app = std::sync::Arc::new(TestApp::start().await);
    app.has_account(ADA, "old password").await;
    for round in 0..20 {
        app.ask_reset(ADA).await.succeeds();
        app.deliver().await;
        let token = app.only_token();
        let old = if round == 0 { "old password".to_owned() } else { format!("password {round}") };
        let sign_ins: Vec<_> = (0..8)
            .map(|_| {
                let (app, old) = (app.clone(), old.clone());
                tokio::spawn(async move { app.sign_in(ADA, &old).await })
            })
            .collect();
        app.reset(&token, &format!("password {}", round + 1)).await.succeeds();
        for task in sign_ins {
            let answer = task.await.unwrap();
            if answer.status == StatusCode::OK {
                let session = answer.json()["refresh_token"]["token"].as_str().unwrap().to_owned();
                let holds = regain_core::flows::session::authenticate(&app.service, &session).await.is_ok();
                assert!(!holds, "round {round}: a session with the old password is alive");
            }
        }
        app.deliver().await;
        app.clear_mail();
        app.clock.advance(Duration::from_secs(61));
    }
}

#[tokio::test]
async fn known_and_unknown_addresses_get_the_same_bytes_each_of_twenty_times() {
    let app = TestApp::start().await;
    app.has_account(ADA, "old password").await;
    for unknown in ["bob@example.org", "eve@example.org"] {
        for _ in 0..20 {
            assert_eq!(app.ask_reset(ADA).await, app.ask_reset(unknown).await);
            assert_eq!(app.ask_confirmation(ADA).await, app.ask_confirmation(unknown).await);
            let (known, stranger) =
                (app.sign_in(ADA, "wrong password").await, app.sign_in(unknown, "wrong password").await);
            assert_eq!(known, stranger);
            app.deliver().await;
        }
    }
}

#[tokio::test]
async fn letters_have_distinct_tokens_and_go_to_the_address_stored() {
    let app = TestApp::start().await;
    let mut tokens = HashSet::new();
    for i in 0..20 {
        let name = format!("Ada{i}@Example.org");
        assert_eq!(app.register(&name, "old password").await.status, 200);
        app.ask_reset(&name.to_uppercase()).await.succeeds();
    }
    app.deliver().await;
    for mail in app.mails() {
        assert!(tokens.insert(token_in(&mail)));
        assert!(mail.to[0].starts_with("Ada") && mail.to[0].ends_with("@example.org"), "{:?}", mail.to);
    }
    assert_eq!(tokens.len(), 40);
    assert_eq!(app.letters(Purpose::Reset).await.len(), 20);
}
