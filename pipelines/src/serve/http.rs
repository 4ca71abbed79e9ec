//! The requests that a service answers: `/healthz`, `/readyz`, `/metrics`, `/status`. One thread serves them all, within limits.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tracing::warn;

use super::figures::Status;
use super::metrics;
use super::service::Service;
use crate::failure::Failure;

/// Bytes of a request's head at most.
const HEAD: usize = 16 * 1024;
/// How long a request's head may take to come.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a connection lives.
const LIFE: Duration = Duration::from_secs(600);
/// Connections at a time.
const CONNECTIONS: usize = 64;

type Answer = Response<Full<Bytes>>;

/// Starts the thread.
///
/// # Errors
/// A socket or a thread that the system does not give (exit 1).
pub fn begin(listener: TcpListener, service: Arc<Service>, secret: Option<String>) -> Result<JoinHandle<()>, Failure> {
    listener.set_nonblocking(true).map_err(Failure::run)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::run)?;
    let body = move || runtime.block_on(accept(listener, service, secret));
    std::thread::Builder::new().name("http".into()).spawn(body).map_err(Failure::run)
}

async fn accept(listener: TcpListener, service: Arc<Service>, secret: Option<String>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return warn!(%error, "requests cannot be answered"),
    };
    let (secret, places) = (Arc::new(secret), Arc::new(Semaphore::new(CONNECTIONS)));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, say: it may pass.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (service, secret) = (Arc::clone(&service), Arc::clone(&secret));
        let answering = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let secret = (*secret).as_deref();
            let answer = answer(&service, secret, request.method(), request.uri().path(), request.headers());
            std::future::ready(Ok::<_, Infallible>(answer))
        });
        let mut server = http1::Builder::new();
        server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(HEAD);
        let connection = server.serve_connection(TokioIo::new(stream), answering);
        tokio::spawn(async move {
            // A client that breaks off has its reasons.
            let _ = tokio::time::timeout(LIFE, connection).await;
            drop(place);
        });
    }
}

/// What a request is answered.
fn answer(service: &Service, secret: Option<&str>, method: &Method, path: &str, headers: &HeaderMap) -> Answer {
    if !["/healthz", "/readyz", "/metrics", "/status"].contains(&path) {
        return object(
            StatusCode::NOT_FOUND,
            json!({"error": "found an unknown path, expected /healthz, /readyz, /metrics or /status"}),
        );
    }
    if method != Method::GET {
        let mut refused = object(StatusCode::METHOD_NOT_ALLOWED, json!({"error": "expected GET"}));
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return refused;
    }
    if secret.is_some_and(|secret| !admitted(secret, headers)) {
        let mut refused = object(StatusCode::UNAUTHORIZED, json!({"error": "expected the secret as a bearer token"}));
        refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return refused;
    }
    let overview = service.overview();
    let not = |fine: fn(Status) -> bool| -> Vec<Value> {
        let others = overview.pipelines.iter().filter(|figures| !fine(figures.status));
        others.map(|f| json!({"name": f.name, "status": f.status, "error": f.error})).collect()
    };
    match path {
        "/healthz" => verdict("ok", "failed", not(|status| status != Status::Failed)),
        "/readyz" if service.draining() => object(StatusCode::SERVICE_UNAVAILABLE, json!({"status": "stopping"})),
        "/readyz" => verdict("ready", "waiting", not(|status| matches!(status, Status::Running | Status::Done))),
        "/status" => object(StatusCode::OK, json!(overview)),
        _ => match metrics::text(&overview) {
            Ok(text) => typed(StatusCode::OK, metrics::TEXT, text),
            Err(error) => object(StatusCode::INTERNAL_SERVER_ERROR, json!({"error": error.to_string()})),
        },
    }
}

/// 200 where nothing is amiss, else 503 with what is.
fn verdict(good: &str, bad: &str, amiss: Vec<Value>) -> Answer {
    if amiss.is_empty() {
        return object(StatusCode::OK, json!({"status": good}));
    }
    object(StatusCode::SERVICE_UNAVAILABLE, json!({"status": bad, "pipelines": amiss}))
}

/// True if the request brings the secret. The time it takes does not tell how much of a wrong one is right.
fn admitted(secret: &str, headers: &HeaderMap) -> bool {
    let brought = headers.get(AUTHORIZATION).map_or(&[][..], HeaderValue::as_bytes);
    // RFC 7235, section 2.1: the scheme is a word in any case.
    let Some((scheme, brought)) = brought.split_first_chunk::<7>() else { return false };
    if !scheme.eq_ignore_ascii_case(b"Bearer ") {
        return false;
    }
    let differ = brought.iter().zip(secret.as_bytes()).fold(0, |differ, (a, b)| differ | (a ^ b));
    brought.len() == secret.len() && differ == 0
}

fn object(status: StatusCode, value: Value) -> Answer {
    typed(status, "application/json", format!("{value}\n"))
}

fn typed(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
