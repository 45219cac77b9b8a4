//! The event stream, which goes on by itself after a lost connection: no event is missed and none
//! comes twice.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream, Stream};
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::Incoming;
use hyper::header::HeaderName;
use kinglet_model::Revision;
use kinglet_model::event::{Event, LiveEvent};

use crate::error::ClientError;
use crate::place::Place;
use crate::sse::{Message, Parser};
use crate::transport::{self, Call};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How often a lost stream is opened again before it is given up, each time after a longer pause:
/// half a minute in all, long enough for a daemon to be upgraded.
const ATTEMPTS: u32 = 12;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// One item of the event stream.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamItem {
    /// A numbered change of an object.
    Event(Event),
    /// A figure that is never stored.
    Live(LiveEvent),
}

/// The event stream. Ends after an error: a refusal, or a daemon that did not come back.
pub struct EventStream(BoxStream<'static, Result<StreamItem, ClientError>>);

impl EventStream {
    pub(crate) fn new(place: Place, since: Option<Revision>, live: bool) -> Self {
        let follower = Follower {
            place,
            live,
            last_id: since.map(|since| since.to_string()),
            body: None,
            parser: Parser::default(),
            messages: VecDeque::new(),
            was_open: false,
            ended: false,
        };
        Self(
            stream::unfold(follower, |mut follower| async move {
                let item = follower.next().await?;
                follower.ended = item.is_err();
                Some((item, follower))
            })
            .boxed(),
        )
    }

    /// The next item; waits for one. Safe to cancel.
    pub async fn next(&mut self) -> Option<Result<StreamItem, ClientError>> {
        self.0.next().await
    }
}

impl Stream for EventStream {
    type Item = Result<StreamItem, ClientError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

struct Follower {
    place: Place,
    live: bool,
    last_id: Option<String>,
    body: Option<Incoming>,
    parser: Parser,
    messages: VecDeque<Message>,
    was_open: bool,
    ended: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Result<StreamItem, ClientError>> {
        loop {
            if self.ended {
                return None;
            }
            if let Some(message) = self.messages.pop_front() {
                match self.item(message) {
                    Some(item) => return Some(item),
                    None => continue,
                }
            }
            if let Err(error) = self.receive().await {
                return Some(Err(error));
            }
        }
    }

    /// Reads on, or opens the stream (again).
    async fn receive(&mut self) -> Result<(), ClientError> {
        let Some(body) = &mut self.body else {
            return self.open().await;
        };
        match body.frame().await {
            Some(Ok(frame)) => {
                let mut messages = Vec::new();
                let data = frame.data_ref().map_or(&[][..], |data| data.as_ref());
                let fed = self.parser.feed(data, &mut messages);
                self.messages.extend(messages);
                fed.map_err(|_| self.protocol("an event is too long"))
            }
            Some(Err(_)) | None => {
                self.body = None;
                // A daemon that lets in and hangs up at once is not asked without a pause.
                tokio::time::sleep(FIRST_PAUSE).await;
                Ok(())
            }
        }
    }

    async fn open(&mut self) -> Result<(), ClientError> {
        // What was received of an event without its end is sent again.
        self.parser = Parser::default();
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            match transport::begin(&self.place, self.call()).await {
                Ok(response) => {
                    self.body = Some(response.into_body());
                    self.was_open = true;
                    return Ok(());
                }
                Err(error @ ClientError::Unreachable { .. })
                    if !self.was_open || attempt >= ATTEMPTS =>
                {
                    return Err(error);
                }
                Err(ClientError::Unreachable { .. }) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn call(&self) -> Call {
        let query = if self.live { "?live=true" } else { "" };
        let call = Call::new(Method::GET, format!("/v1/events{query}"));
        match &self.last_id {
            Some(id) => call.header(LAST_EVENT_ID, id),
            None => call,
        }
    }

    fn item(&mut self, message: Message) -> Option<Result<StreamItem, ClientError>> {
        if let Some(id) = message.id {
            self.last_id = Some(id);
        }
        let item = match (message.event.as_str(), message.data.as_str()) {
            (_, "") => return None,
            ("live", data) => serde_json::from_str(data).map(StreamItem::Live),
            ("put" | "delete" | "reset", data) => serde_json::from_str(data).map(StreamItem::Event),
            // A later server may send more kinds.
            _ => return None,
        };
        Some(item.map_err(|error| self.protocol(&format!("an event is wrong ({error})"))))
    }

    fn protocol(&self, why: &str) -> ClientError {
        ClientError::Protocol {
            place: self.place.to_string(),
            why: why.to_owned(),
        }
    }
}
