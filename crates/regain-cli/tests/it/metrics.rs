//! `/metrics` and `/health` of a running server, whatever its relays do.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use regain_smtp::Phase;
use regain_smtp::testing::{Behaviour, Features, ScriptedServer};
use regain_store::testing::Cluster;
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Place, Running, configuration, until};

/// A server with an admin listener.
struct Served {
    server: Running,
    admin: u16,
    place: Place,
}

impl Served {
    /// Delivers to these relays, with more settings at the top.
    fn with(relays: &[String], more: &str) -> Self {
        Self::over("", relays, more)
    }

    /// The same, where the database is what this line says.
    fn over(database: &str, relays: &[String], more: &str) -> Self {
        // Free a moment ago.
        let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let place = Place::new();
        let list = format!("[\"{}\"]", relays.join("\", \""));
        let mail = configuration("X").replace("\"X\"", &list);
        place.write("regain.toml", &format!("{database}adminAddress = \"127.0.0.1:{admin}\"\n{mail}{more}"));
        let server = place.start(&["serve"], &[]);
        Self { server, admin, place }
    }

    fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin)).unwrap();
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn metrics(&self) -> String {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, 200, "{text}");
        text
    }

    /// Waits until the metrics have this line.
    fn until_metric(&self, line: &str) {
        until(line, || self.metrics().lines().any(|one| one == line).then_some(()));
    }

    /// Waits until the health gives this reason; on both listeners, since a proxy asks the other one.
    fn until_degraded(&self, reason: &str) {
        until(reason, || {
            let health: Value = serde_json::from_str(&self.get("/health").1).unwrap();
            (health["status"] == "degraded" && health["reason"].as_str().unwrap().contains(reason))
                .then_some(())
        });
        let (status, body) = self.server.request("GET", "/health", "");
        assert!(status == 200 && body.contains(reason), "{body}");
        self.until_metric("regain_degraded 1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_the_process_tells_what_it_knows_itself() {
    let cluster = Cluster::start(&["fsync=off"]);
    let relay = ScriptedServer::start().await;
    let (line, budget) =
        (format!("database = \"{}\"\n", cluster.url("postgres")), "[limits]\nmailPerHour = 100\n");
    let served = Served::over(&line, &[relay.url()], budget);
    served.server.logs(&format!("database=postgres://postgres@127.0.0.1:{}/postgres", cluster.port()));
    served.server.register("ann@mail.test");
    served.until_metric("regain_letters_sent_total 1");
    served.until_metric("regain_database_up 1");
    let before = served.metrics();
    cluster.freeze();
    served.until_degraded("the database takes no writes");
    let text = served.metrics();
    for part in
        ["regain_up 1", "regain_database_up 0", "regain_letters_sent_total 1", "regain_mail_budget 100"]
    {
        assert!(text.lines().any(|line| line == part), "{part} in {text}");
    }
    let families = |text: &str| -> Vec<String> {
        let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        names
            .filter(|name| !name.starts_with("regain_outbox_") && *name != "regain_mail_budget_used")
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(families(&text), families(&before));
    assert!(!text.contains("regain_outbox_") && !text.contains("regain_mail_budget_used"), "{text}");
    let told = served.server.logs("health_degraded");
    assert!(told.contains("the database takes no writes"), "{told}");
    cluster.thaw();
    let meanwhile = served.server.logs_until("health_ok");
    assert!(!meanwhile.iter().any(|line| line.contains("health_")), "it is told once: {meanwhile:?}");
    served.until_metric("regain_database_up 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_put_off_and_given_up_is_counted_and_nobody_is_named() {
    let relay = ScriptedServer::start().await;
    let served = Served::with(&[relay.url()], "[limits]\nmailPerHour = 100\n");
    served.server.register("ann@mail.test");
    served.until_metric("regain_letters_sent_total 1");
    relay.on(Phase::Rcpt, Behaviour::reply("550 5.1.1 no"));
    served.server.register("bob@mail.test");
    served.until_metric("regain_letters_dead_total{reason=\"refused\"} 1");
    relay.on(Phase::Rcpt, Behaviour::reply("450 4.2.1 later"));
    served.server.register("cat@mail.test");
    served.until_metric("regain_letters_put_off_total 1");
    served.until_metric("regain_outbox_put_off 1");
    let text = served.metrics();
    for line in [
        "regain_up 1",
        "regain_degraded 0",
        "regain_database_up 1",
        "regain_outbox_open 1",
        "regain_outbox_dead 1",
        "regain_outbox_waiting{purpose=\"confirm\"} 1",
        "regain_outbox_waiting{purpose=\"reset\"} 0",
        "regain_outbox_due 0",
        "regain_outbox_late_seconds 0",
        "regain_mail_budget 100",
        "regain_mail_budget_used 1",
        "regain_letters_expired_total{reason=\"relay\"} 0",
        "regain_mails_perhaps_twice_total 0",
        "regain_delivery_seconds_bucket{le=\"+Inf\"} 1",
        "regain_delivery_seconds_count 1",
        "regain_relay_state{relay=\"1\",state=\"open\"} 1",
        "regain_relay_state{relay=\"1\",state=\"paused\"} 0",
        "regain_relay_accepted_total{relay=\"1\"} 1",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} in {text}");
    }
    assert!(!text.contains('@') && !text.contains("mail.test") && !text.contains("127.0.0.1"), "{text}");
    assert_eq!(served.get("/health").0, 200);
    assert!(served.get("/health").1.contains("\"ok\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_refused_pauses_the_relay_and_health_says_so() {
    let relay = ScriptedServer::with(Features::default().with_login("mailer", "right")).await;
    let served = Served::with(&[format!("smtp://mailer:wrong@127.0.0.1:{}", relay.port())], "");
    served.server.register("ann@mail.test");
    served.until_degraded("the relay is paused");
    served.until_metric("regain_relay_state{relay=\"1\",state=\"paused\"} 1");
    served.until_metric("regain_outbox_waiting{purpose=\"confirm\"} 1");
    assert!(!served.get("/health").1.contains("mail.test") && !served.get("/health").1.contains("535"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_down_is_told_also_where_another_takes_its_place() {
    let gone = { ScriptedServer::start().await.url() };
    let served = Served::with(std::slice::from_ref(&gone), "");
    served.server.register("ann@mail.test");
    served.until_degraded("the relay takes no mail");

    let second = ScriptedServer::start().await;
    let served = Served::with(&[gone, second.url()], "");
    served.server.register("ann@mail.test");
    second.wait_for_messages(1).await;
    served.until_degraded("relay 1 takes no mail; the other one delivers");
    served.until_metric("regain_relay_state{relay=\"1\",state=\"resting\"} 1");
    served.until_metric("regain_relay_accepted_total{relay=\"2\"} 1");
    let letters: Value = serde_json::from_str(&served.place.run(&["outbox", "list", "--json"]).ok()).unwrap();
    let shown = served.place.run(&["outbox", "show", letters[0]["id"].as_str().unwrap()]).ok();
    assert!(shown.contains("(relay 2)"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_works_again_is_logged_and_the_health_is_well() {
    let relay = ScriptedServer::start().await;
    relay.on_next(1, Phase::Mail, Behaviour::reply("550 5.7.1 no"));
    let served = Served::with(&[relay.url()], "");
    served.server.register("ann@mail.test");
    served.server.logs("relay_paused");
    let line = served.server.logs("relay_recovered");
    assert!(line.contains("relay=1") || line.contains("\"relay\":1"), "{line}");
    until("the health", || served.get("/health").1.contains("\"ok\"").then_some(()));
    assert_eq!(relay.messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_letter_that_the_budget_holds_back_is_told_and_nobody_is_named() {
    let relay = ScriptedServer::start().await;
    let served = Served::with(&[relay.url()], "[limits]\nmailPerHour = 1\n");
    served.server.register("ann@mail.test");
    served.until_metric("regain_letters_sent_total 1");
    for (held_back, name) in [(1, "bob@mail.test"), (2, "cat@mail.test"), (3, "dan@mail.test")] {
        served.server.register(name);
        served.until_metric(&format!("regain_letters_over_budget_total {held_back}"));
    }
    served.server.signal(Signal::TERM);
    let log = served.server.logs_until("stopped");
    let told: Vec<&String> = log.iter().filter(|line| line.contains("mail_budget_spent")).collect();
    assert_eq!(told.len(), 1, "{log:?}");
    assert!(told[0].contains("WARN") && told[0].contains("limits.mailPerHour"), "{told:?}");
    assert!(!told[0].contains('@') && !told[0].contains("mail.test"), "{told:?}");
}
