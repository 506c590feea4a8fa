//! One POST and its answer, bounded in time and in length. Redirects are answers like any other.

use std::error::Error;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::{self, Builder};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use regain_core::mailer::{DeliveryError, LaterKind};
use regain_smtp::TrustRoots;
use tokio::time::{Instant, timeout_at};

use super::answer::Answer;
use super::connect::{ConnectFailure, Connector, RootsError, chain};
use super::settings::WebhookSettings;

const USER_AGENT: &str = concat!("regain/", env!("CARGO_PKG_VERSION"));
/// As much of an answer's body is read.
const LONGEST_ANSWER: usize = 16_384;
/// The status has said all that counts; what else there is to read must come within this time.
const READING: Duration = Duration::from_secs(5);
/// More than an answer's head has.
const LONGEST_HEAD: usize = 65_536;
/// Kept connections are closed before servers do it (Node: 5 s), so that no request meets one that is being closed.
const IDLE: Duration = Duration::from_secs(4);

/// Posts to one webhook over kept connections.
pub(super) struct Client {
    http: legacy::Client<Connector, Full<Bytes>>,
    uri: Uri,
    timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was sent.
    Connect(ConnectFailure),
    /// What came was no HTTP.
    Nonsense(String),
    /// It was sent, perhaps in part, and nothing came back: whether it was taken is unknown.
    Lost(String),
}

impl Client {
    pub(super) fn new(settings: &WebhookSettings, roots: &TrustRoots) -> Result<Self, RootsError> {
        let connector = Connector::new(settings, roots)?;
        let http = Builder::new(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(settings.max_connections())
            .http1_max_buf_size(LONGEST_HEAD)
            .build(connector);
        Ok(Self { http, uri: settings.uri().clone(), timeout: settings.timeout() })
    }

    /// Posts a body. Never waits longer than the webhook's timeout.
    pub(super) async fn post(&self, headers: HeaderMap, body: Vec<u8>) -> Result<Answer, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        let agent = HeaderValue::from_static(USER_AGENT);
        request.headers_mut().entry(header::USER_AGENT).or_insert(agent);
        let response = match timeout_at(deadline, self.http.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(failure(&error)),
            Err(_) => return Err(Failure::Lost(format!("no answer within {:?}", self.timeout))),
        };
        let (head, body) = response.into_parts();
        let text_of = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let is_page = text_of(header::CONTENT_TYPE).is_some_and(|kind| kind.contains("html"));
        let until = deadline.min(Instant::now() + READING);
        let bytes = beginning(body, until).await;
        Ok(Answer {
            status: head.status,
            retry_after: text_of(header::RETRY_AFTER).map(str::to_owned),
            text: if is_page { String::new() } else { String::from_utf8_lossy(&bytes).into_owned() },
        })
    }
}

/// What comes of a body within its bounds. Where there is more, the connection is not used again.
async fn beginning(mut body: Incoming, until: Instant) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < LONGEST_ANSWER {
        // A body that breaks off or stalls changes nothing of what its status said.
        let Ok(Some(Ok(frame))) = timeout_at(until, body.frame()).await else { break };
        if let Ok(data) = frame.into_data() {
            let room = LONGEST_ANSWER - bytes.len();
            bytes.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    bytes
}

fn failure(error: &legacy::Error) -> Failure {
    if let Some(connect) = find::<ConnectFailure>(error) {
        return Failure::Connect(connect.clone());
    }
    match find::<hyper::Error>(error) {
        Some(cause) if cause.is_parse() || cause.is_parse_too_large() => Failure::Nonsense(chain(cause)),
        Some(cause) if cause.is_canceled() => Failure::Connect(ConnectFailure::Connect(
            "the connection was closed before it was used".to_owned(),
        )),
        Some(cause) => Failure::Lost(format!("the connection was lost: {}", chain(cause))),
        None => Failure::Lost(chain(error)),
    }
}

fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

impl Failure {
    /// Nothing was sent, or nonsense came back: the webhook's fault. Else this letter later, since it may have been
    /// taken, or may be what the receiver fell over.
    pub(super) fn into_delivery_error(self) -> DeliveryError {
        match self {
            Self::Connect(error) => {
                let permanent = matches!(error, ConnectFailure::Tls(_));
                DeliveryError::Relay { reason: format!("webhook: {error}"), permanent }
            }
            Self::Nonsense(reason) => DeliveryError::Relay {
                reason: format!("webhook: no HTTP answer: {reason}"),
                permanent: false,
            },
            Self::Lost(reason) => DeliveryError::Later {
                reason: format!("webhook: {reason}"),
                reply: None,
                kind: LaterKind::Unknown,
            },
        }
    }
}
