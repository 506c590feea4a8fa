//! What crosses the wire when all goes well.

use regain_smtp::{Cause, Phase};

use super::*;

#[tokio::test]
async fn a_message_arrives_as_it_was_and_the_reply_comes_back() {
    for features in [Features::default(), plain_features()] {
        let server = ScriptedServer::with(features).await;
        let accepted = send(&pool(&server)).await.expect("accepted");
        assert_eq!((accepted.reply.code(), accepted.reply.codes().as_str()), (250, "250 2.0.0"));
        let [received] = &server.messages()[..] else { panic!("one message") };
        assert_eq!(
            (received.from.as_str(), received.to.as_slice()),
            ("noreply@example.org", &["ada@example.org".to_owned()][..])
        );
        assert_eq!(received.text(), "Subject: hello\r\n\r\nDear Ada\r\n");
        assert!(!received.tls);
    }
}

#[tokio::test]
async fn with_pipelining_the_envelope_is_one_write_and_without_it_waits_for_each_reply() {
    let expected = "MAIL FROM:<noreply@example.org>";
    let server = ScriptedServer::start().await;
    server.on(Phase::Mail, regain_smtp::testing::Behaviour::Silence);
    let pool_of = pool_at(&server, &server.url(), hasty());
    send(&pool_of).await.expect_err("silence");
    let text = server.connections()[0].text();
    assert!(text.contains(expected) && text.contains("RCPT TO:<ada@example.org>\r\nDATA\r\n"), "{text}");

    let server = ScriptedServer::with(plain_features()).await;
    server.on(Phase::Mail, regain_smtp::testing::Behaviour::Silence);
    send(&pool_at(&server, &server.url(), hasty())).await.expect_err("silence");
    let text = server.connections()[0].text();
    assert!(text.ends_with(&format!("{expected}\r\n")), "{text}");
}

#[tokio::test]
async fn no_line_break_or_dot_in_a_message_can_end_it_early() {
    let server = ScriptedServer::start().await;
    let pool = pool(&server);
    for text in ["a\n.\nMAIL FROM:<x@y>\n", "a\r.\rb", "a\r\n.\r\nb\r\n", ".", "", "..\r\n.", "\n.\r\n.\n"] {
        pool.send(envelope(), message(text)).await.expect("accepted");
    }
    let long = format!("{}\r\n.x\r\n", "y".repeat(5000));
    pool.send(envelope(), message(&long)).await.expect("accepted");
    let received = server.messages();
    assert_eq!(received.len(), 8);
    assert_eq!(received[0].text(), "a\r\n.\r\nMAIL FROM:<x@y>\r\n");
    assert_eq!(received[1].text(), "a\r\n.\r\nb\r\n");
    assert_eq!(received[7].text(), long);
    assert_eq!(server.connections().len(), 1);
}

#[tokio::test]
async fn an_envelope_that_could_smuggle_a_command_never_reaches_the_relay() {
    let server = ScriptedServer::start().await;
    let bad = Envelope { to: "a@b.co>\r\nRCPT TO:<evil@e.co".into(), ..envelope() };
    let error = pool(&server).send(bad, message("x")).await.expect_err("refused");
    assert_eq!(error.code(), "EENVELOPE");
    assert!(server.connections().is_empty());
}

#[tokio::test]
async fn size_and_eight_bit_are_declared_where_the_relay_asks_for_them() {
    let server = ScriptedServer::start().await;
    pool(&server).send(envelope(), message("ä\r\n")).await.expect("accepted");
    let text = server.connections()[0].text();
    assert!(text.contains("MAIL FROM:<noreply@example.org> SIZE=4 BODY=8BITMIME\r\n"), "{text}");

    let server = ScriptedServer::with(plain_features()).await;
    let error = pool(&server).send(envelope(), message("ä\r\n")).await.expect_err("unsupported");
    assert_eq!(error.cause(), &Cause::Unsupported("8BITMIME"));
    send(&pool(&server)).await.expect("plain ASCII is fine");
}

#[tokio::test]
async fn an_address_beyond_ascii_goes_only_to_a_relay_that_offers_smtputf8() {
    let (ada, noreply) = ("ада@Jõgeva.ee", "Nо-reply@example.org");
    for (envelope, phase) in [
        (Envelope { to: ada.into(), ..envelope() }, Phase::Rcpt),
        (Envelope { from: noreply.into(), ..envelope() }, Phase::Mail),
    ] {
        let server = ScriptedServer::start().await;
        let error = pool(&server).send(envelope.clone(), message("x")).await.expect_err("not offered");
        assert_eq!((error.phase(), error.code()), (phase, "EENVELOPE"));
        assert_eq!(error.cause(), &Cause::Unsupported("SMTPUTF8"));
        let said = server.connections()[0].text();
        assert!(said.starts_with("EHLO ") && said.lines().count() == 1, "{said}");

        let server = international().await;
        pool(&server).send(envelope, message("x\r\n")).await.expect("accepted");
        let said = server.connections()[0].text();
        assert!(said.contains("> SIZE=3 SMTPUTF8\r\n"), "{said}");
    }
    let server = international().await;
    let both = Envelope { from: noreply.into(), to: ada.into() };
    pool(&server).send(both, message("Subject: ä\r\n\r\nö\r\n")).await.expect("accepted");
    assert_eq!(
        (server.messages()[0].from.as_str(), &server.messages()[0].to[..]),
        (noreply, &["ада@jõgeva.ee".to_owned()][..])
    );
    assert!(server.connections()[0].text().contains("BODY=8BITMIME SMTPUTF8\r\n"));
}

#[tokio::test]
async fn smtputf8_is_asked_for_where_it_is_needed_and_an_international_domain_needs_none() {
    let server = international().await;
    let pool_of = pool(&server);
    let abroad = Envelope { from: "a@Bücher.example".into(), to: "b@JÕGEVA.ee".into() };
    pool_of.send(abroad.clone(), message("Subject: x\r\n\r\nä\r\n")).await.expect("accepted");
    pool_of.send(envelope(), message("Subject: ä\r\n\r\nx\r\n")).await.expect("accepted");
    let said = server.connections()[0].text();
    let mails: Vec<&str> = said.lines().filter(|line| line.starts_with("MAIL")).collect();
    assert!(mails[0].starts_with("MAIL FROM:<a@xn--bcher-kva.example> SIZE="), "{said}");
    assert!(said.contains("RCPT TO:<b@xn--jgeva-dua.ee>\r\n"), "{said}");
    assert!(mails[0].ends_with("BODY=8BITMIME") && mails[1].ends_with("BODY=8BITMIME SMTPUTF8"), "{said}");

    let server = ScriptedServer::with(plain_features()).await;
    pool(&server).send(abroad, message("x")).await.expect("ASCII all the way");
}

async fn international() -> ScriptedServer {
    let extensions = ["PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8"].map(str::to_owned).to_vec();
    ScriptedServer::with(Features { extensions, ..Features::default() }).await
}

#[tokio::test]
async fn a_message_above_the_relays_limit_is_not_even_begun() {
    let extensions = vec!["PIPELINING".into(), "SIZE 1000".into()];
    let server = ScriptedServer::with(Features { extensions, ..Features::default() }).await;
    let pool_of = pool(&server);
    let error = pool_of.send(envelope(), message(&"x".repeat(999))).await.expect_err("1001 bytes");
    assert_eq!((error.cause(), error.code()), (&Cause::TooLarge { limit: 1000 }, "EMESSAGE"));
    assert!(!server.connections()[0].text().contains("MAIL"));
    pool_of.send(envelope(), message(&"x".repeat(998))).await.expect("1000 bytes");
    assert_eq!(server.connections().len(), 1);

    for size in [&["SIZE"][..], &["SIZE 0"], &[]] {
        let extensions = size.iter().map(|&line| line.to_owned()).collect();
        let server = ScriptedServer::with(Features { extensions, ..Features::default() }).await;
        pool(&server).send(envelope(), message(&"x".repeat(100_000))).await.expect("no limit is known");
    }
}

#[tokio::test]
async fn the_name_in_ehlo_is_the_one_in_the_url() {
    let server = ScriptedServer::start().await;
    send(&pool_at(&server, &format!("{}?name=client.example.com", server.url()), deadlines()))
        .await
        .expect("accepted");
    assert!(server.connections()[0].text().starts_with("EHLO client.example.com\r\n"));
}

#[tokio::test]
async fn localhost_is_reached_over_whichever_of_its_addresses_listens() {
    let server = ScriptedServer::start().await;
    send(&pool_at(&server, &format!("smtp://localhost:{}", server.port()), deadlines()))
        .await
        .expect("accepted");
}

#[tokio::test]
async fn a_relay_without_ehlo_is_greeted_with_helo() {
    let server = ScriptedServer::start().await;
    server.on(Phase::Ehlo, regain_smtp::testing::Behaviour::reply("502 5.5.1 not implemented"));
    send(&pool(&server)).await.expect("accepted");
    assert!(server.connections()[0].text().contains("\r\nHELO "));
}
