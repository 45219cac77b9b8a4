//! Lists: `limit`, `cursor`, `sort` and `filter`, the same for every kind of object.
//!
//! A list is read from the registry page by page and never held whole: what is kept is at most one
//! answer. A cursor is the sort key and id of the last object sent, so that a list that changes
//! between two requests still gives each object that stays exactly once.

mod cursor;
mod filter;
mod sort;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use kinglet_model::{Id, Image, Progress, Resource, Revision, Vm};
use kinglet_registry::Registry;
use serde::Deserialize;
use utoipa::IntoParams;

use self::cursor::Cursor;
use self::filter::Filter;
use self::sort::{Place, Sort, SortBy};
use crate::problem::{Answer, Refused};

/// The most objects of one answer, and how many there are where the request does not say.
pub const MAX_LIMIT: usize = 1000;

/// How many objects are read from the registry at a time.
const READ: usize = 128;

/// A kind of object that can be listed.
pub trait Listed: Resource {
    /// Its phase's name.
    fn phase(&self) -> &'static str;
    /// What `sort=size` compares.
    fn size(&self) -> u64;
    /// As it is sent: with its actions and its progress.
    fn presented(self, progress: Option<Progress>) -> Self;
}

impl Listed for Image {
    fn phase(&self) -> &'static str {
        self.status.phase.as_str()
    }

    fn size(&self) -> u64 {
        self.status.file_size.bytes()
    }

    fn presented(self, progress: Option<Progress>) -> Self {
        Self::presented(self, progress)
    }
}

impl Listed for Vm {
    fn phase(&self) -> &'static str {
        self.status.phase.as_str()
    }

    fn size(&self) -> u64 {
        self.spec.memory.bytes()
    }

    fn presented(self, progress: Option<Progress>) -> Self {
        Self::presented(self, progress)
    }
}

/// An object as it is sent: with its actions and its progress.
pub fn present<R: Listed>(registry: &Registry, object: R) -> R {
    let key = format!("/{}/{}/progress", R::PLURAL, object.id());
    let progress = registry
        .live()
        .get(&key)
        .and_then(|value| serde_json::from_value(value).ok());
    object.presented(progress)
}

/// Which part of a list, in which order.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// At most so many objects.
    #[param(minimum = 1, maximum = 1000, default = 1000)]
    limit: Option<u32>,
    /// Where to go on: the `X-Next-Cursor` of the answer before.
    #[param(pattern = "^([0-9a-f]{2})+$")]
    cursor: Option<String>,
    /// `name`, `created` or `size`; with `-` in front, the other way round. A VM's size is its
    /// memory.
    #[param(default = "created", pattern = "^-?(name|created|size)$")]
    sort: Option<String>,
    /// Only objects for which all of these are true, with commas between: `name~TEXT` (the name
    /// contains it), `phase=PHASE`, `label.KEY=VALUE`.
    #[param(example = "phase=ready,name~debian")]
    filter: Option<String>,
}

/// One part of a list, to be sent.
pub struct Part<R> {
    items: Vec<R>,
    revision: Revision,
    next: Option<Cursor>,
}

/// Reads one part of the list of a kind.
pub async fn list<R: Listed>(registry: &Registry, params: &ListParams) -> Answer<Part<R>> {
    let limit = limit(params.limit)?;
    let sort: Sort = params.sort.as_deref().unwrap_or("created").parse()?;
    let filter: Filter = params.filter.as_deref().unwrap_or_default().parse()?;
    let after = match &params.cursor {
        Some(cursor) => Some(Cursor::read(cursor, sort)?.place),
        None => None,
    };
    let mut reading = Reading {
        sort,
        limit,
        after,
        best: BTreeMap::new(),
    };
    let revision = reading.read(registry, &filter).await?;
    let (items, last) = reading.finish();
    let items = items
        .into_iter()
        .map(|object| present(registry, object))
        .collect();
    let next = last.map(|place| Cursor { sort, place });
    Ok(Part {
        items,
        revision,
        next,
    })
}

fn limit(limit: Option<u32>) -> Answer<usize> {
    let limit = limit.map_or(MAX_LIMIT, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(Refused::invalid(
        "limit-invalid",
        "limit is a number from 1 to 1000.",
    ))
}

/// The objects that come first after the cursor, one more than asked for.
struct Reading<R> {
    sort: Sort,
    limit: usize,
    after: Option<Place>,
    best: BTreeMap<Place, R>,
}

impl<R: Listed> Reading<R> {
    async fn read(&mut self, registry: &Registry, filter: &Filter) -> Answer<Revision> {
        let in_order = self.sort
            == Sort {
                by: SortBy::Created,
                descending: false,
            };
        let mut after: Option<Id> = self
            .after
            .as_ref()
            .filter(|_| in_order)
            .map(|place| place.id);
        let mut revision = None;
        loop {
            let page = registry.list::<R>(after, READ).await?;
            for error in &page.unreadable {
                tracing::warn!(%error, "an object is left out of a list");
            }
            for object in page.items {
                if filter.accepts(&object) {
                    self.offer(object);
                }
            }
            let revision = *revision.get_or_insert(page.revision);
            after = page.next;
            if after.is_none() || (in_order && self.best.len() > self.limit) {
                return Ok(revision);
            }
        }
    }

    fn offer(&mut self, object: R) {
        let place = self.sort.place(&object);
        let comes_after = match &self.after {
            None => true,
            Some(after) if self.sort.descending => place < *after,
            Some(after) => place > *after,
        };
        if !comes_after {
            return;
        }
        self.best.insert(place, object);
        if self.best.len() > self.limit + 1 {
            if self.sort.descending {
                self.best.pop_first()
            } else {
                self.best.pop_last()
            };
        }
    }

    /// The objects in order, and the last one's place where there are more behind it.
    fn finish(self) -> (Vec<R>, Option<Place>) {
        let more = self.best.len() > self.limit;
        let mut placed: Vec<(Place, R)> = self.best.into_iter().collect();
        if self.sort.descending {
            placed.reverse();
        }
        placed.truncate(self.limit);
        let last = placed
            .last()
            .map(|(place, _)| place.clone())
            .filter(|_| more);
        (placed.into_iter().map(|(_, object)| object).collect(), last)
    }
}

impl<R: Listed> Part<R> {
    /// The answer, with where it goes on in `Link` and `X-Next-Cursor`.
    pub fn answer(self, uri: &Uri, params: &ListParams) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert(
            HeaderName::from_static("x-revision"),
            self.revision.0.into(),
        );
        if let Some(cursor) = self.next.map(|cursor| cursor.write()) {
            let link = format!("<{}>; rel=\"next\"", params.following(uri.path(), &cursor));
            if let (Ok(cursor), Ok(link)) =
                (HeaderValue::from_str(&cursor), HeaderValue::from_str(&link))
            {
                headers.insert(HeaderName::from_static("x-next-cursor"), cursor);
                headers.insert(header::LINK, link);
            }
        }
        (headers, Json(self.items)).into_response()
    }
}

impl ListParams {
    fn following(&self, path: &str, cursor: &str) -> String {
        let limit = self.limit.map(|limit| limit.to_string());
        let mut link = format!("{path}?cursor={cursor}");
        let rest = [
            ("limit", &limit),
            ("sort", &self.sort),
            ("filter", &self.filter),
        ];
        for (name, value) in rest {
            if let Some(value) = value {
                link.push_str(&format!("&{name}={}", percent_encoded(value)));
            }
        }
        link
    }
}

fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
