//! `regain check` against DNS: a server on loopback that knows a few names, or says nothing.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Instant;

use domain::base::iana::Rcode;
use domain::base::{Message, MessageBuilder, Name, Rtype, Ttl};
use domain::rdata::{A, Mx, Txt};
use regain_smtp::testing::ScriptedServer;

use crate::harness::{Place, configuration};

/// One name and what it has.
#[derive(Clone, Copy)]
enum Entry {
    Txt(&'static str, &'static str),
    A(&'static str, [u8; 4]),
    Mx(&'static str, &'static str),
}

/// A server that answers from these, and to any other name that there is none. It ends with the process.
fn serve(entries: Vec<Entry>) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let answer = answer(&entries, buffer[..length].to_vec());
            socket.send_to(&answer, from).unwrap();
        }
    });
    address
}

fn answer(entries: &[Entry], query: Vec<u8>) -> Vec<u8> {
    let query = Message::from_octets(query).unwrap();
    let question = query.sole_question().unwrap();
    let asked = question.qname().to_string();
    let name = |text: &str| text.parse::<Name<Vec<u8>>>().unwrap();
    let ttl = Ttl::from_secs(60);
    let is_known = entries.iter().any(|entry| match entry {
        Entry::Txt(at, _) | Entry::A(at, _) | Entry::Mx(at, _) => at.eq_ignore_ascii_case(&asked),
    });
    let code = if is_known { Rcode::NOERROR } else { Rcode::NXDOMAIN };
    let mut answer = MessageBuilder::new_vec().start_answer(&query, code).unwrap();
    for entry in entries {
        match (entry, question.qtype()) {
            (Entry::Txt(at, text), Rtype::TXT) if at.eq_ignore_ascii_case(&asked) => {
                let text = Txt::<Vec<u8>>::build_from_slice(text.as_bytes()).unwrap();
                answer.push((name(at), ttl, text)).unwrap();
            }
            (Entry::A(at, [a, b, c, d]), Rtype::A) if at.eq_ignore_ascii_case(&asked) => {
                answer.push((name(at), ttl, A::from_octets(*a, *b, *c, *d))).unwrap();
            }
            (Entry::Mx(at, host), Rtype::MX) if at.eq_ignore_ascii_case(&asked) => {
                answer.push((name(at), ttl, Mx::new(10, name(host)))).unwrap();
            }
            _ => {}
        }
    }
    answer.finish()
}

/// A configuration whose relay is named so; nothing connects to it, since only lines of DNS are looked at.
fn place(relay: &str) -> Place {
    let place = Place::new();
    place.write(
        "regain.toml",
        &configuration(relay)
            .replace("9080", "9080/")
            .replace("http://localhost:9080/", "https://app.regain.test"),
    );
    place
}

/// The lines of these subjects, one under the other.
fn check(place: &Place, server: SocketAddr, subjects: &[&str]) -> String {
    let ran = place.run(&["check", "--dns-server", &server.to_string()]);
    let is_wanted = |line: &&str| line.split_whitespace().nth(1).is_some_and(|word| subjects.contains(&word));
    let lines: Vec<&str> = ran.stdout.lines().filter(is_wanted).collect();
    assert!(!lines.is_empty(), "{ran:?}");
    lines.join("\n")
}

/// What is said of the SPF record, with a relay at 203.0.113.7 and more names.
fn spf(record: &'static str, more: &[Entry]) -> String {
    let mut entries =
        vec![Entry::A("relay.regain.test", [203, 0, 113, 7]), Entry::Txt("regain.test", record)];
    entries.extend(more);
    check(&place("smtp://relay.regain.test?dnsTimeout=100"), serve(entries), &["spf"])
}

#[test]
fn spf_is_evaluated_for_the_relays_addresses() {
    let passes = |record, more: &[Entry]| {
        let told = spf(record, more);
        assert!(
            told.starts_with("ok") && told.contains("lets the relay's 203.0.113.7 send"),
            "{record}: {told}"
        );
    };
    passes("v=spf1 ip4:203.0.113.0/24 -all", &[]);
    passes("V=SPF1 IP4:203.0.113.7 ip6:2001:db8::/32 ~all", &[]);
    passes("v=spf1 a:relay.regain.test -all", &[]);
    passes("v=spf1 a:other.regain.test/24 -all", &[Entry::A("other.regain.test", [203, 0, 113, 200])]);
    passes("v=spf1 mx -all", &[Entry::Mx("regain.test", "relay.regain.test")]);
    let included = Entry::Txt("spf.provider.test", "v=spf1 ip4:203.0.113.7 -all");
    passes("v=spf1 include:spf.provider.test ~all", &[included]);
    passes("v=spf1 redirect=spf.provider.test", &[included]);
    for (record, outcome) in [
        ("v=spf1 -all", "203.0.113.7 (fail)"),
        ("v=spf1 ip4:203.0.113.6 ~all", "203.0.113.7 (softfail)"),
        ("v=spf1 ip4:198.51.100.0/24", "203.0.113.7 (neutral)"),
        ("v=spf1 -ip4:203.0.113.7 ip4:203.0.113.0/24 -all", "203.0.113.7 (fail)"),
        ("v=spf1 exists:%{i}.spf.regain.test -all", "203.0.113.7 (cannot be told here)"),
    ] {
        let told = spf(record, &[]);
        assert!(told.starts_with("note") && told.contains(outcome), "{record}: {told}");
    }
    let fails_inside = Entry::Txt("spf.provider.test", "v=spf1 -all");
    assert!(spf("v=spf1 include:spf.provider.test ~all", &[fails_inside]).contains("(softfail)"));
}

#[test]
fn spf_that_receivers_refuse_or_that_lets_all_in_is_told() {
    let missing = check(&place("smtp://relay.regain.test"), serve(vec![]), &["spf"]);
    assert!(missing.starts_with("note") && missing.contains("regain.test has no record"), "{missing}");
    let several =
        spf("v=spf1 -all", &[Entry::Txt("regain.test", "v=spf1 ~all"), Entry::Txt("regain.test", "other=1")]);
    assert!(several.starts_with("problem") && several.contains("several records"), "{several}");
    let all = spf("v=spf1 +all", &[]);
    assert!(all.starts_with("note") && all.contains("lets everybody send"), "{all}");
    for (record, why) in [
        ("v=spf1 ip4:203.0.113 -all", "not understood"),
        ("v=spf1 allow:me -all", "not understood"),
        ("v=spf1 include:nothing.test -all", "leads to no record"),
        ("v=spf1 include:regain.test -all", "more than 40 look-ups"),
    ] {
        let told = spf(record, &[]);
        assert!(told.starts_with("problem") && told.contains(why), "{record}: {told}");
    }
    let many = spf("v=spf1 a a a a a a a a a a a ip4:203.0.113.7 -all", &[]);
    assert!(many.starts_with("note") && many.contains("takes 11 look-ups"), "{many}");
}

#[test]
fn a_record_is_shown_in_part() {
    let long = |beginning: &str| format!("{beginning}{}", "x".repeat(600)).leak();
    for (record, verdict) in [
        (long("v=spf1 ip4:203.0.113.7 -all x="), "ok"),
        (long("v=spf1 allow:"), "problem"),
        (long("v=spf1 include:"), "problem"),
        (long("v=spf1 redirect="), "problem"),
    ] {
        let told = spf(record, &[]);
        assert!(told.starts_with(verdict) && told.contains("x\u{2026}"), "{told}");
        assert!(told.chars().count() < 400, "{told}");
    }
}

#[test]
fn dmarc_is_found_there_or_above() {
    let dmarc = |entries: Vec<Entry>| check(&place("smtp://relay.regain.test"), serve(entries), &["dmarc"]);
    let told =
        dmarc(vec![Entry::Txt("_dmarc.regain.test", "v=DMARC1; p=quarantine; rua=mailto:a@regain.test")]);
    assert!(told.starts_with("ok") && told.ends_with("p=quarantine"), "{told}");
    let told = dmarc(vec![Entry::Txt("_dmarc.regain.test", "v=DMARC1; p=none")]);
    assert!(told.contains("only watch") && told.contains("without rua="), "{told}");
    assert!(dmarc(vec![]).contains("has no policy: publish"), "{}", dmarc(vec![]));
    let told = dmarc(vec![Entry::Txt("_dmarc.regain.test", "v=DMARC1; rua=mailto:a@b.test")]);
    assert!(told.starts_with("problem") && told.contains("no p=none"), "{told}");
    let twice = Entry::Txt("_dmarc.regain.test", "v=DMARC1; p=none");
    assert!(dmarc(vec![twice, twice]).contains("several policies"));

    let place = place("smtp://relay.regain.test");
    let below =
        configuration("smtp://relay.regain.test").replace("noreply@regain.test", "noreply@mail.regain.test");
    place.write("regain.toml", &below);
    let server = serve(vec![Entry::Txt(
        "_dmarc.regain.test",
        "v=DMARC1; p=reject; sp=quarantine; rua=mailto:a@b.test",
    )]);
    let told = check(&place, server, &["dmarc"]);
    assert!(told.contains("_dmarc.regain.test: p=quarantine"), "{told}");
}

/// From the examples of RFC 8463, appendix A.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
const PUBLISHED: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

#[test]
fn the_dkim_record_is_compared_with_our_key() {
    let place = place("smtp://relay.regain.test");
    place.write("dkim.pem", KEY);
    let text = std::fs::read_to_string(place.path("regain.toml")).unwrap();
    let keys = |domain: &str| {
        let dkim = "[authProviders.emailHandlerConfig.dkim]\nkeySelector = \"main\"\nprivateKey = { file = \"dkim.pem\" }\n";
        place.write("regain.toml", &format!("{text}{dkim}domainName = \"{domain}\"\n"));
    };
    keys("regain.test");
    let at = "main._domainkey.regain.test";
    let dkim = |entries: Vec<Entry>| check(&place, serve(entries), &["dkim"]);
    let told = dkim(vec![Entry::Txt(at, PUBLISHED)]);
    assert!(told.starts_with("ok") && told.contains("holds our key"), "{told}");
    let told = dkim(vec![]);
    assert!(told.starts_with("problem") && told.contains(&format!("publish \"{PUBLISHED}\"")), "{told}");
    let told = dkim(vec![Entry::Txt(at, "v=DKIM1; k=ed25519; p=")]);
    assert!(told.starts_with("problem") && told.contains("withdrawn"), "{told}");
    let other = "v=DKIM1; k=ed25519; p=21qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let told = dkim(vec![Entry::Txt(at, other)]);
    assert!(told.contains("another key"), "{told}");
    assert!(dkim(vec![Entry::Txt(at, PUBLISHED), Entry::Txt(at, PUBLISHED)]).contains("several records"));
}

#[tokio::test(flavor = "multi_thread")]
async fn dns_that_does_not_answer_is_a_note_and_takes_seconds_at_most() {
    let relay = ScriptedServer::start().await;
    let place = Place::with_relay(&relay.url());
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let begun = Instant::now();
    let ran = place.run(&["check", "--dns-server", &silent.local_addr().unwrap().to_string()]);
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("does not answer what was asked for SPF, DMARC of regain.test"), "{ran:?}");
    assert!(!ran.stdout.contains("spf "), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_asks_nobody() {
    let relay = ScriptedServer::start().await;
    let place = Place::with_relay(&relay.url());
    let ran = place.run(&["check", "--offline"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("texts") && !ran.stdout.contains("relay "), "{ran:?}");
    assert!(relay.connections().is_empty());
    assert_eq!(place.run(&["check", "--offline", "--dns-server", "127.0.0.1"]).code, Some(2));
    assert!(place.run(&["check", "--dns-server", "ns1"]).stderr.contains("is no address"));
}

#[test]
fn links_that_lead_away_from_the_sender_are_noted() {
    let place = place("smtp://relay.regain.test");
    let links = || place.run(&["check", "--offline"]).stdout;
    assert!(!links().contains("phishing"), "{}", links());
    let text = std::fs::read_to_string(place.path("regain.toml")).unwrap();
    place.write("regain.toml", &text.replace("app.regain.test", "app.elsewhere.test"));
    assert!(links().contains("lead to app.elsewhere.test, but mails are from regain.test"), "{}", links());
    place.write("regain.toml", &text.replace("https://app.regain.test", "http://localhost:9080"));
    assert!(!links().contains("phishing"));
    place.write("regain.toml", &text.replace("<noreply@regain.test>", "<a@regain.test>, b@elsewhere.test"));
    assert!(links().contains("from has elsewhere.test besides regain.test"), "{}", links());
}
