//! `kinglet events`: every change, as it happens.

use clap::Args;
use kinglet_client::StreamItem;
use kinglet_model::event::{Event, LiveEvent, Object};
use kinglet_model::{Metadata, Revision};

use super::Session;
use crate::failure::Outcome;
use crate::output::progress;

/// Follow every change of images, VMs and the host
///
/// Goes on until it is interrupted. With --json a line for each event.
#[derive(Debug, Args)]
pub struct Events {
    /// Begin after this revision instead of now
    #[arg(long, value_name = "REVISION")]
    since: Option<Revision>,
    /// Also show progress and usage, which are never stored
    #[arg(long)]
    live: bool,
}

impl Events {
    /// Follows.
    pub async fn run(self, session: &Session) -> Outcome {
        let mut events = session.client()?.events(self.since, self.live);
        while let Some(item) = events.next().await {
            match item? {
                StreamItem::Event(event) if session.out.is_json() => {
                    session.out.json_line(&event)?;
                }
                StreamItem::Live(event) if session.out.is_json() => {
                    session.out.json_line(&event)?;
                }
                StreamItem::Event(event) => session.out.print(&line(&event))?,
                StreamItem::Live(event) => session.out.print(&live_line(&event))?,
            }
        }
        Ok(())
    }
}

fn line(event: &Event) -> String {
    match event {
        Event::Put { revision, object } => {
            let (kind, metadata, state) = described(object);
            format!("{revision:>8}  {kind:<5}  {}  {state}\n", metadata.name)
        }
        Event::Delete { revision, kind, id } => {
            format!("{revision:>8}  {kind:<5}  {id}  deleted\n")
        }
        Event::Reset { revision } => {
            format!("{revision:>8}  the log does not reach further back; list everything again\n")
        }
    }
}

fn described(object: &Object) -> (&str, &Metadata, String) {
    match object {
        Object::Image(image) => (
            &image.kind,
            &image.metadata,
            with_reason(image.status.phase.as_str(), image.status.reason.as_ref()),
        ),
        Object::Vm(vm) => (
            &vm.kind,
            &vm.metadata,
            with_reason(vm.status.phase.as_str(), vm.status.reason.as_ref()),
        ),
        Object::Host(host) => (&host.kind, &host.metadata, "examined".to_owned()),
    }
}

fn with_reason(phase: &str, reason: Option<&String>) -> String {
    reason.map_or_else(|| phase.to_owned(), |reason| format!("{phase}: {reason}"))
}

fn live_line(event: &LiveEvent) -> String {
    match event {
        LiveEvent::Progress { kind, id, progress } => {
            let state = progress.as_ref().map_or_else(
                || "done".to_owned(),
                |progress| format!("{} {}", progress.task, progress::brief(progress)),
            );
            format!("    live  {kind:<5}  {id}  {state}\n")
        }
        LiveEvent::Usage { id, usage } => format!(
            "    live  Vm     {id}  {:.2} CPUs, {}\n",
            usage.cpu, usage.memory
        ),
        LiveEvent::Host { usage } => format!(
            "    live  Host   {:.2} CPUs, {} of {} memory available\n",
            usage.cpu, usage.memory_available, usage.memory_total
        ),
    }
}
