//! One connection: HTTP/1.1 by hyper, requests handed to the router, the phases told to the watch.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::super::body::BodyDeadline;
use super::ServerLimits;
use super::stream::Watched;
use super::watch::{Phase, Place, Slot};

/// The longest request line and headers together; beyond it, and beyond 100 headers, the answer is 431.
const LONGEST_HEAD: usize = 32 * 1024;
/// What is read ahead of a request at most.
const READ_AHEAD: usize = 64 * 1024;

/// What a client gets to finish a request's body once the server is to stop. A client that is alive needs less, and
/// one that never finishes would hold each restart for the whole time of grace.
const BODY_AT_STOP: Duration = Duration::from_secs(2);

/// What all connections have in common.
pub(super) struct Connections {
    http: http1::Builder,
    router: Router,
    deadline: BodyDeadline,
    stop: CancellationToken,
}

impl Connections {
    pub(super) fn new(router: Router, limits: ServerLimits, stop: CancellationToken) -> Self {
        let mut http = http1::Builder::new();
        // The watch knows how long each wait is. A client that has sent all may close its side and read on.
        http.header_read_timeout(None)
            .half_close(true)
            .max_header_size(LONGEST_HEAD)
            .max_buf_size(READ_AHEAD);
        Self { http, router, deadline: BodyDeadline(limits.body), stop }
    }

    /// The life of one connection.
    pub(super) fn run(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        place: Place,
    ) -> impl Future<Output = ()> + use<> {
        let slot = place.slot.clone();
        let (router, deadline, stop) = (self.router.clone(), self.deadline, self.stop.clone());
        let requests = slot.clone();
        let service = service_fn(move |request| {
            answer(router.clone(), request, ConnectInfo(peer), deadline, requests.clone())
        });
        let connection =
            self.http.serve_connection(TokioIo::new(Watched::new(stream, slot.clone())), service);
        async move {
            let mut connection = pin!(connection);
            let mut is_stopping = false;
            loop {
                tokio::select! {
                    // What goes wrong here is the client's affair: it hung up, or did not speak HTTP.
                    _ = connection.as_mut() => break,
                    () = slot.closed() => break,
                    () = stop.cancelled(), if !is_stopping => {
                        if matches!(slot.phase(), Phase::Idle | Phase::Head) {
                            break;
                        }
                        is_stopping = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    () = sleep(BODY_AT_STOP), if is_stopping => {
                        if slot.phase() == Phase::Body {
                            break;
                        }
                    }
                }
            }
            drop(place);
        }
    }
}

async fn answer(
    mut router: Router,
    request: Request<Incoming>,
    peer: ConnectInfo<SocketAddr>,
    deadline: BodyDeadline,
    slot: Arc<Slot>,
) -> Result<Response<Body>, Infallible> {
    slot.enter(Phase::Work);
    let mut request = request.map(|body| {
        if body.is_end_stream() {
            return Body::empty();
        }
        Body::new(WatchedBody { inner: body, slot: slot.clone(), is_over: false })
    });
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(deadline);
    // A router is always ready, so there is nothing to wait for before the call.
    let response = Service::call(&mut router, request).await;
    slot.enter(Phase::Answer);
    response
}

/// The body of a request, telling the watch while it is waited for.
struct WatchedBody {
    inner: Incoming,
    slot: Arc<Slot>,
    is_over: bool,
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(cx);
        match &frame {
            Poll::Pending if self.slot.phase() == Phase::Work => self.slot.enter(Phase::Body),
            Poll::Pending => {}
            Poll::Ready(Some(Ok(_))) if !self.inner.is_end_stream() => {}
            Poll::Ready(_) => {
                self.is_over = true;
                self.slot.enter(Phase::Work);
            }
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        if !self.is_over {
            self.slot.leave_body_unread();
        }
    }
}
