//! A site on fakes, and the words that the tests of this module are told in.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderName, Request};
use http_body_util::BodyExt;
use regain_core::session::AdminToken;
use regain_core::testing::MemoryStore;
use regain_core::testing::desk::Desk;
use regain_core::{AccountId, Limits, Policy, Store};
use tower::ServiceExt;

use super::{Health, HealthStatus, Site, SiteSettings, router};
use crate::config::{RedirectAllowList, RedirectRule};

/// A site with no limits per client, mail configured, and `https://app.example.org` and `myapp://` to redirect to.
pub(super) struct TestSite {
    pub(super) desk: Desk,
    pub(super) store: Arc<MemoryStore>,
    pub(super) health: Arc<FakeHealth>,
    pub(super) router: Router,
}

/// Says what it is told, and panics where it was told nothing.
pub(super) struct FakeHealth(pub(super) Mutex<Option<HealthStatus>>);

impl Health for FakeHealth {
    fn status(&self) -> HealthStatus {
        let status = self.0.lock().unwrap().clone();
        status.unwrap()
    }
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl TestSite {
    pub(super) fn new() -> Self {
        Self::under(free_policy())
    }

    pub(super) fn under(policy: Policy) -> Self {
        let provider_config = serde_json::json!({"emailHandlerConfig": {"from": "ann@example.org"}});
        let rule = |text| RedirectRule::parse(text).unwrap();
        let settings = SiteSettings {
            app_name: "Tom & \"Jerry\"".to_owned(),
            origins: vec!["https://accounts.example.org".to_owned()],
            https: true,
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            redirects: RedirectAllowList::new([rule("https://app.example.org"), rule("myapp://")]),
            authorization_header: Some(HeaderName::from_static("x-session")),
            provider_config: provider_config.as_object().cloned().unwrap(),
        };
        let store = Arc::new(MemoryStore::default());
        let desk = Desk::under(store.clone(), policy);
        let health = Arc::new(FakeHealth(Mutex::new(Some(HealthStatus::Ok))));
        let site = Site::new(desk.service.clone(), settings, health.clone());
        Self { desk, store, health, router: router(Arc::new(site)) }
    }

    /// Sends a request from 198.51.100.1. Headers stand in lines of `name: value`.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: impl Into<Body>,
    ) -> Answer {
        self.send_from([198, 51, 100, 1], method, path, headers, body.into()).await
    }

    pub(super) async fn send_from(
        &self,
        peer: [u8; 4],
        method: &str,
        path: &str,
        headers: &str,
        body: Body,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for line in headers.lines() {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let mut request = request.body(body).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from((peer, 4711))));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8(body).unwrap(),
        }
    }

    /// A token of the built-in administrator, in force from now on.
    pub(super) async fn admin_token(&self) -> String {
        let service = &self.desk.service;
        let signed = service.signing_keys.sign(&AdminToken::new(&*service.rng).unwrap()).unwrap();
        let (_, id) = service.signing_keys.read(&signed.token).unwrap();
        assert!(self.store.put_admin_token(&id, true, service.now()).await.unwrap());
        signed.token.to_string()
    }

    /// Makes an administrator of an account.
    pub(super) fn make_admin(&self, id: &str) {
        self.store.edit_account(&AccountId::from_stored(id), |account| account.is_admin = true);
    }

    /// Sends JSON without a session.
    pub(super) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, "content-type: application/json", body.to_owned()).await
    }

    pub(super) async fn update_account(&self, body: &str) -> Answer {
        self.post("/auth/password/updateAccount", body).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "accept: text/html", Body::empty()).await
    }

    /// Submits a form as a browser does.
    pub(super) async fn submit(&self, path: &str, form: impl Into<String>) -> Answer {
        let headers = "host: localhost:9080\norigin: http://localhost:9080\n\
                       content-type: application/x-www-form-urlencoded";
        self.send("POST", path, headers, form.into()).await
    }
}

/// The default policy without limits per client.
pub(super) fn free_policy() -> Policy {
    let limits =
        Limits { sign_in: None, register: None, mail: None, token_guesses: None, ..Limits::default() };
    Policy { limits, ..Policy::default() }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn json(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), Some("application/json; charset=utf-8"));
        serde_json::from_str(&self.body).unwrap()
    }

    /// Checks status, code and the names in `invalid_params`, which stand apart by commas.
    #[track_caller]
    pub(super) fn is_problem(&self, status: u16, code: u16, names: &str) {
        let json = self.json();
        assert_eq!((self.status, &json["status"]), (status, &status.into()), "{}", self.body);
        assert_eq!(json["code"], code, "{}", self.body);
        let named: Vec<&str> = json["invalid_params"]
            .as_array()
            .map(|params| params.iter().map(|param| param["name"].as_str().unwrap()).collect())
            .unwrap_or_default();
        assert_eq!(named.join(","), names, "{}", self.body);
    }

    #[track_caller]
    pub(super) fn is_done(&self) {
        assert_eq!((self.status, &*self.body), (200, "{}"));
        self.json();
    }
}
