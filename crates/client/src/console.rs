//! A VM's console: a WebSocket that says what the guest writes and takes what it reads.

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use hyper::header;
use kinglet_model::api::{ConsoleNotice, ConsoleRequest};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::error::ClientError;
use crate::place::Place;
use crate::transport::{self, Stream, encoded};

const MAX_MESSAGE: usize = 1 << 20;

/// From where a console is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsoleFrom {
    /// From the last screen or so.
    Tail,
    /// From this byte of all that it ever said, or the oldest that is kept.
    Offset(u64),
}

/// What a console sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsoleFrame {
    /// What the guest wrote.
    Output(Bytes),
    /// Something about the connection.
    Notice(ConsoleNotice),
}

/// An open console. Nobody may type before [`ConsoleSocket::claim`] was granted.
pub struct ConsoleSocket {
    socket: WebSocketStream<Box<dyn Stream>>,
    place: String,
}

pub(crate) async fn open(
    place: &Place,
    vm: &str,
    from: ConsoleFrom,
) -> Result<ConsoleSocket, ClientError> {
    let request = upgrade(place, vm, from)?;
    let stream = transport::connect(place).await?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
    match opened {
        Ok((socket, _)) => Ok(ConsoleSocket {
            socket,
            place: place.to_string(),
        }),
        Err(WsError::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            Err(transport::refusal(place, response.status(), body))
        }
        Err(error) => Err(protocol(&place.to_string(), &error.to_string())),
    }
}

fn upgrade(
    place: &Place,
    vm: &str,
    from: ConsoleFrom,
) -> Result<tokio_tungstenite::tungstenite::handshake::client::Request, ClientError> {
    let from = match from {
        ConsoleFrom::Tail => "tail".to_owned(),
        ConsoleFrom::Offset(offset) => offset.to_string(),
    };
    let (authority, vm) = (place.authority(), encoded(vm));
    let url = format!("ws://{authority}/v1/vms/{vm}/console?from={from}");
    let bad = |error: String| protocol(&place.to_string(), &error);
    let mut request = url
        .into_client_request()
        .map_err(|error| bad(error.to_string()))?;
    if let Some(token) = place.token() {
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let value = value.map_err(|_| bad("the token has characters no token has".to_owned()))?;
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    Ok(request)
}

impl ConsoleSocket {
    /// The next frame; waits for one. `None` when the console was closed. Safe to cancel.
    pub async fn next(&mut self) -> Option<Result<ConsoleFrame, ClientError>> {
        loop {
            return match self.socket.next().await? {
                Ok(Message::Binary(output)) => Some(Ok(ConsoleFrame::Output(output))),
                Ok(Message::Text(text)) => Some(self.notice(&text)),
                Ok(Message::Close(_)) | Err(WsError::ConnectionClosed | WsError::AlreadyClosed) => {
                    None
                }
                Ok(_) => continue,
                Err(error) => Some(Err(self.lost(&error))),
            };
        }
    }

    /// Asks to type; the answer comes as [`ConsoleNotice::Writer`]. With `steal`, whoever types now
    /// loses it.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn claim(&mut self, steal: bool) -> Result<(), ClientError> {
        self.request(&ConsoleRequest::Claim { steal }).await
    }

    /// Gives typing up.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn release(&mut self) -> Result<(), ClientError> {
        self.request(&ConsoleRequest::Release).await
    }

    /// Types. Ignored by the server while this connection may not.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn send(&mut self, input: impl Into<Bytes>) -> Result<(), ClientError> {
        self.push(Message::Binary(input.into())).await
    }

    /// Says goodbye. Dropping the socket closes it too, less politely.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn close(mut self) -> Result<(), ClientError> {
        match self.socket.close(None).await {
            Ok(()) | Err(WsError::ConnectionClosed | WsError::AlreadyClosed) => Ok(()),
            Err(error) => Err(self.lost(&error)),
        }
    }

    async fn request(&mut self, request: &ConsoleRequest) -> Result<(), ClientError> {
        let text = serde_json::to_string(request)
            .map_err(|error| protocol(&self.place, &error.to_string()))?;
        self.push(Message::Text(text.into())).await
    }

    async fn push(&mut self, message: Message) -> Result<(), ClientError> {
        let sent = self.socket.send(message).await;
        sent.map_err(|error| self.lost(&error))
    }

    fn notice(&self, text: &str) -> Result<ConsoleFrame, ClientError> {
        serde_json::from_str(text)
            .map(ConsoleFrame::Notice)
            .map_err(|error| protocol(&self.place, &format!("a console frame is wrong ({error})")))
    }

    fn lost(&self, error: &WsError) -> ClientError {
        ClientError::Unreachable {
            place: self.place.clone(),
            why: format!("the console's connection was lost ({error})."),
        }
    }
}

fn protocol(place: &str, why: &str) -> ClientError {
    ClientError::Protocol {
        place: place.to_owned(),
        why: why.to_owned(),
    }
}
