//! The live lane: figures that move too often to be stored.

use std::collections::VecDeque;

use axum::response::sse::Event as Frame;
use kinglet_model::event::LiveEvent;
use kinglet_registry::Registry;
use kinglet_registry::live::{LiveChange, LiveReader};
use serde_json::Value;

use super::object;
use crate::usage::HOST_USAGE;

/// What one client is sent of it: first all figures as they are, then what moves.
pub struct LiveFeed {
    reader: LiveReader,
    waiting: VecDeque<LiveEvent>,
}

impl LiveFeed {
    pub fn new(registry: &Registry) -> Self {
        // In this order, so that no change falls in between.
        let reader = registry.live().subscribe();
        Self {
            reader,
            waiting: snapshot(registry),
        }
    }

    /// The next figure; waits for one. `None` when the registry is gone.
    pub async fn next(&mut self, registry: &Registry) -> Option<LiveEvent> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            match self.reader.next().await? {
                Ok(LiveChange { key, value }) => self.waiting.extend(event(&key, value)),
                Err(_) => self.waiting = snapshot(registry),
            }
        }
    }
}

/// A figure as it is sent.
pub fn frame(event: &LiveEvent) -> Option<Frame> {
    Some(
        Frame::default()
            .event("live")
            .data(serde_json::to_string(event).ok()?),
    )
}

fn snapshot(registry: &Registry) -> VecDeque<LiveEvent> {
    let figures = registry.live().snapshot("/");
    figures
        .into_iter()
        .filter_map(|(key, value)| event(&key, Some(value)))
        .collect()
}

fn event(key: &str, value: Option<Value>) -> Option<LiveEvent> {
    if key == HOST_USAGE {
        let usage = serde_json::from_value(value?).ok()?;
        return Some(LiveEvent::Host { usage });
    }
    let (plural, rest) = key.strip_prefix('/')?.split_once('/')?;
    let (id, figure) = rest.split_once('/')?;
    let (kind, id) = (object::kind(plural)?, id.parse().ok()?);
    match figure {
        "progress" => {
            let progress = value.map(serde_json::from_value).transpose().ok()?;
            Some(LiveEvent::Progress {
                kind: kind.to_owned(),
                id,
                progress,
            })
        }
        "usage" => Some(LiveEvent::Usage {
            id,
            usage: serde_json::from_value(value?).ok()?,
        }),
        _ => None,
    }
}
