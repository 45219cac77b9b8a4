//! One request on one connection, over a unix socket or TCP alike.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kinglet_model::Problem;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::error::ClientError;
use crate::place::Place;

/// The largest answer that is taken into memory.
const MAX_ANSWER: usize = 64 << 20;

/// How long a daemon may take to be connected to.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How long a daemon may take to begin an answer. The doctor takes longest.
const ANSWER_TIME: Duration = Duration::from_secs(120);

/// A connection of either kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An answer whose body was read.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A body in JSON, ready to be sent.
pub(crate) type JsonBody = Option<Vec<u8>>;

/// A request before it is sent.
pub(crate) struct Call {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: JsonBody,
}

impl Call {
    pub(crate) fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            headers: HeaderMap::new(),
            body: None,
        }
    }

    pub(crate) fn json(mut self, body: Vec<u8>) -> Self {
        let json = HeaderValue::from_static("application/json");
        self.headers.insert(header::CONTENT_TYPE, json);
        self.body = Some(body);
        self
    }

    pub(crate) fn header(mut self, name: header::HeaderName, value: &str) -> Self {
        // A value that no header can have (control characters) was not ours to begin with.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

/// Connects to the daemon.
pub(crate) async fn connect(place: &Place) -> Result<Box<dyn Stream>, ClientError> {
    let connected = tokio::time::timeout(CONNECT_TIME, open(place)).await;
    let too_slow = || io::Error::new(io::ErrorKind::TimedOut, "it does not answer");
    connected
        .unwrap_or_else(|_| Err(too_slow()))
        .map_err(|error| unreachable(place, &error))
}

async fn open(place: &Place) -> io::Result<Box<dyn Stream>> {
    Ok(match place {
        Place::Socket(path) => Box::new(UnixStream::connect(path).await?),
        Place::Tcp { host, port, .. } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
    })
}

fn unreachable(place: &Place, error: &io::Error) -> ClientError {
    let remedy = match (error.kind(), place) {
        (io::ErrorKind::NotFound, Place::Socket(_)) => {
            "the socket does not exist. Start the daemon with `kinglet serve`, \
             or give its socket with --socket."
                .to_owned()
        }
        (io::ErrorKind::ConnectionRefused, _) => {
            "nobody listens there. Start the daemon with `kinglet serve`.".to_owned()
        }
        (io::ErrorKind::PermissionDenied, _) => {
            "permission denied. Run this as the user who runs the daemon.".to_owned()
        }
        _ => format!("{error}."),
    };
    ClientError::Unreachable {
        place: place.to_string(),
        why: remedy,
    }
}

/// Sends a request and reads the whole answer.
pub(crate) async fn ask(place: &Place, call: Call) -> Result<Answer, ClientError> {
    let response = begin(place, call).await?;
    let (parts, body) = response.into_parts();
    let body = collect(place, body).await?;
    Ok(Answer {
        headers: parts.headers,
        body,
    })
}

/// Sends a request and returns when the answer begins. A problem becomes an error.
pub(crate) async fn begin(place: &Place, call: Call) -> Result<Response<Incoming>, ClientError> {
    let stream = connect(place).await?;
    let sent = tokio::time::timeout(ANSWER_TIME, send(place, stream, call)).await;
    let response = sent.unwrap_or_else(|_| {
        Err(ClientError::Unreachable {
            place: place.to_string(),
            why: "the daemon took the request and does not answer.".to_owned(),
        })
    })?;
    judge(place, response).await
}

/// Sends a request whose body is made while it is sent, which may take any time, and reads the whole
/// answer. A problem becomes an error.
pub(crate) async fn stream<B>(place: &Place, call: Call, body: B) -> Result<Answer, ClientError>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = connect(place).await?;
    let request = request(place, call)?.map(|_| body);
    let response = exchange(place, stream, request).await?;
    let (parts, body) = judge(place, response).await?.into_parts();
    let body = collect(place, body).await?;
    Ok(Answer {
        headers: parts.headers,
        body,
    })
}

/// An answer, unless it is a problem.
async fn judge(
    place: &Place,
    response: Response<Incoming>,
) -> Result<Response<Incoming>, ClientError> {
    let status = response.status();
    if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(response);
    }
    let body = collect(place, response.into_body()).await?;
    Err(refusal(place, status, &body))
}

async fn send(
    place: &Place,
    stream: Box<dyn Stream>,
    call: Call,
) -> Result<Response<Incoming>, ClientError> {
    exchange(place, stream, request(place, call)?).await
}

async fn exchange<B>(
    place: &Place,
    stream: Box<dyn Stream>,
    request: Request<B>,
) -> Result<Response<Incoming>, ClientError>
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let lost = |error: hyper::Error| ClientError::Unreachable {
        place: place.to_string(),
        why: format!(
            "the connection was lost before an answer came ({error}). Try again; if the daemon \
             ended, start it with `kinglet serve`."
        ),
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    // Ends with the answer's body: the connection is not used a second time.
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(lost)
}

fn request(place: &Place, call: Call) -> Result<Request<Full<Bytes>>, ClientError> {
    let mut request = Request::builder()
        .method(call.method)
        .uri(&call.path)
        .header(header::HOST, place.authority());
    if let Some(token) = place.token() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let body = Full::new(Bytes::from(call.body.unwrap_or_default()));
    let mut request = request.body(body).map_err(|error| ClientError::Protocol {
        place: place.to_string(),
        why: format!("the request cannot be written ({error})"),
    })?;
    request.headers_mut().extend(call.headers);
    Ok(request)
}

async fn collect(place: &Place, body: Incoming) -> Result<Bytes, ClientError> {
    let collected = Limited::new(body, MAX_ANSWER).collect().await;
    collected
        .map(http_body_util::Collected::to_bytes)
        .map_err(|error| ClientError::Unreachable {
            place: place.to_string(),
            why: format!("the answer broke off ({error})."),
        })
}

/// What a status that is no success means.
pub(crate) fn refusal(place: &Place, status: StatusCode, body: &[u8]) -> ClientError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => ClientError::Problem(problem),
        Err(_) => ClientError::Protocol {
            place: place.to_string(),
            why: format!("it answered {status} without a problem document"),
        },
    }
}

/// A text as one part of a URL's path or query: everything but letters, digits and `-._~` encoded.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                out.push(char::from(byte));
            } else {
                // Writing into a string cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
            out
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_leaves_no_way_out_of_a_path_part() {
        assert_eq!(encoded("../a?b#c%"), "..%2Fa%3Fb%23c%25");
        assert_eq!(encoded("é\r\n"), "%C3%A9%0D%0A");
        assert_eq!(encoded("debian-12"), "debian-12");
    }
}
