//! A whole application under test.
#![expect(dead_code, reason = "two test programs share it, and neither needs all")]

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use regain::config::Config;
use regain::http::{Health, HealthStatus, Site, SiteSettings};
use regain::mail::{AllOverrides, Composer, Letterhead, SmtpMailer, Templates};
use regain_core::limits::Limiter;
use regain_core::outbox::courier::Courier;
use regain_core::outbox::relays::Relay;
use regain_core::store::LetterFilter;
use regain_core::testing::FakeClock;
use regain_core::{
    HashCost, HashPool, Letter, Limits, OsRng, Policy, Purpose, Service, SigningKey, TokenKey,
};
use regain_smtp::testing::{Received, ScriptedServer};
use regain_smtp::{Deadlines, Pool, Sender, Settings, TrustRoots};
use regain_store::{Options, SqliteStore};
use serde_json::{Value, json};
use tower::ServiceExt;

/// The address that most stories are about.
pub const ADA: &str = "ada@example.org";

static SIGNING_KEY: LazyLock<Vec<u8>> =
    LazyLock::new(|| SigningKey::generate().unwrap().to_pkcs8().unwrap().to_vec());

/// Regain behind its router, with a relay to look into.
pub struct TestApp {
    pub clock: Arc<FakeClock>,
    pub relay: ScriptedServer,
    pub service: Arc<Service>,
    pub courier: Arc<Courier>,
    pub directory: tempfile::TempDir,
    router: Router,
    seen: Mutex<usize>,
}

/// An answer, read whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    #[track_caller]
    pub fn succeeds(&self) {
        assert_eq!((self.status.as_u16(), self.body.as_str()), (200, "{}"));
    }

    #[track_caller]
    pub fn is_problem(&self, status: u16, code: u16) {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.json()["code"], code, "{}", self.body);
    }
}

struct AlwaysOk;

impl Health for AlwaysOk {
    fn status(&self) -> HealthStatus {
        HealthStatus::Ok
    }
}

/// Deadlines that a test can wait out.
pub fn short() -> Deadlines {
    let brief = Duration::from_secs(1);
    Deadlines {
        connect: brief,
        tls: brief,
        greeting: brief,
        command: brief,
        final_dot: brief,
        idle: Duration::from_millis(20),
        ..Deadlines::default()
    }
}

impl TestApp {
    pub async fn start() -> Self {
        let relay = ScriptedServer::start().await;
        let url = relay.url();
        Self::over(relay, &url, short()).await
    }

    /// With a relay of one's own, by the URL that an operator would write.
    pub async fn over(relay: ScriptedServer, url: &str, deadlines: Deadlines) -> Self {
        let per_client_off =
            Limits { sign_in: None, register: None, mail: None, token_guesses: None, ..Limits::default() };
        let policy = Policy { limits: per_client_off, ..Config::default().policy() };
        let policy = Policy { mail: true, ..policy };
        let directory = tempfile::tempdir().unwrap();
        let store =
            Arc::new(SqliteStore::open(&directory.path().join("regain.db"), Options::default()).unwrap());
        let clock = Arc::new(FakeClock::default());
        let service = Arc::new(Service {
            store,
            clock: clock.clone(),
            rng: Arc::new(OsRng),
            hashing: HashPool::start(HashCost::CHEAP, Arc::new(OsRng)).unwrap(),
            limiter: Limiter::new(policy.limits),
            policy,
            signing_keys: SigningKey::from_pkcs8(&SIGNING_KEY).unwrap().into(),
            token_keys: TokenKey::random(&OsRng).unwrap().into(),
            wake: Arc::default(),
        });
        let composer = Composer::new(Letterhead {
            sender: Sender::parse("\"Notes\" <notes@example.net>").unwrap(),
            templates: Templates::new(AllOverrides::default(), true).unwrap(),
            link_base: "https://accounts.example.net".to_owned(),
            app_name: "Notes".to_owned(),
            reset_lifetime: service.policy.reset_lifetime,
            confirm_lifetime: service.policy.confirm_lifetime,
        });
        let roots = TrustRoots::Pem(relay.certificate_pem().as_bytes().to_vec());
        let pool = Pool::start(Settings::parse(url).unwrap(), deadlines, roots).unwrap();
        let courier = Arc::new(Courier::new(
            service.clone(),
            vec![Relay::new(Arc::new(SmtpMailer::new(composer, pool)), 20)],
        ));
        let site = Site::new(service.clone(), SiteSettings::default(), Arc::new(AlwaysOk));
        let router = regain::http::router(Arc::new(site));
        Self { clock, relay, service, courier, directory, router, seen: Mutex::new(0) }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let mut request = request;
        let peer = std::net::SocketAddr::from(([192, 0, 2, 7], 40000));
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        Answer {
            status: parts.status,
            headers: parts.headers.iter().map(header).collect(),
            body: String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap(),
        }
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        let request = Request::post(path).header("content-type", "application/json;charset=utf-8");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn action(&self, body: Value) -> Answer {
        self.post("/auth/password/updateAccount", body).await
    }

    pub async fn register(&self, name: &str, password: &str) -> Answer {
        let user_info = json!({"password": password, "register": true});
        self.post("/auth", json!({"provider": "password", "data": name, "user_info": user_info})).await
    }

    pub async fn sign_in(&self, name: &str, password: &str) -> Answer {
        let user_info = json!({"password": password, "register": false});
        self.post("/auth", json!({"provider": "password", "data": name, "user_info": user_info})).await
    }

    pub async fn ask_reset(&self, name: &str) -> Answer {
        self.action(json!({"provider_id": name, "data": {"action": "reset_password"}})).await
    }

    pub async fn ask_confirmation(&self, name: &str) -> Answer {
        self.action(json!({"provider_id": name, "data": {"action": "request_email_confirmation"}})).await
    }

    pub async fn reset(&self, token: &str, new: &str) -> Answer {
        self.action(json!({"data": {"action": "complete_reset", "token": token, "new_password": new}})).await
    }

    pub async fn confirm(&self, token: &str) -> Answer {
        self.action(json!({"data": {"action": "confirm_email", "token": token}})).await
    }

    /// An account, its confirmation mail delivered and put aside.
    pub async fn has_account(&self, name: &str, password: &str) {
        assert_eq!(self.register(name, password).await.status, 200);
        self.deliver().await;
        self.clear_mail();
    }

    /// Delivers what is due now; a relay that rests is left alone.
    pub async fn deliver(&self) {
        while self.courier.step(10).await.unwrap() > 0 {}
    }

    /// Forgets the mails so far.
    pub fn clear_mail(&self) {
        *self.seen.lock().unwrap() = self.relay.messages().len();
    }

    /// The mails since then.
    pub fn mails(&self) -> Vec<Received> {
        self.relay.messages().split_off(*self.seen.lock().unwrap())
    }

    /// The token in the one mail there is.
    #[track_caller]
    pub fn only_token(&self) -> String {
        let mails = self.mails();
        assert_eq!(mails.len(), 1, "mails");
        token_in(&mails[0])
    }

    pub async fn letters(&self, purpose: Purpose) -> Vec<Letter> {
        let filter = LetterFilter { purpose: Some(purpose), limit: 100, ..LetterFilter::default() };
        self.service.store.letters(filter).await.unwrap()
    }

    /// The one reset letter there is.
    pub async fn reset_letter(&self) -> Letter {
        let mut letters = self.letters(Purpose::Reset).await;
        assert_eq!(letters.len(), 1, "reset letters");
        letters.remove(0)
    }
}

/// The token in the link of a mail.
#[track_caller]
pub fn token_in(mail: &Received) -> String {
    let text = mail.text();
    let (_, rest) = text.split_once("token=").expect("a link");
    rest.chars()
        .filter(|c| !matches!(c, '=' | '\r' | '\n'))
        .take_while(char::is_ascii_hexdigit)
        .take(64)
        .collect()
}
