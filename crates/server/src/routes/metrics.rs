//! `/metrics`: figures for Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use kinglet_model::{Image, Vm};
use kinglet_registry::Registry;
use utoipa_axum::routes;

use super::Routes;
use crate::app::App;
use crate::listing::Listed;
use crate::problem::Answer;
use crate::process;

pub fn routes() -> Routes {
    Routes::new().routes(routes!(metrics))
}

/// Figures for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "daemon", operation_id = "getMetrics",
    responses((status = 200, description = "Prometheus' text format.", body = String,
        content_type = "text/plain; version=0.0.4")))]
async fn metrics(State(app): State<Arc<App>>) -> Answer<impl IntoResponse> {
    let mut page = Page::default();
    let images = phases::<Image>(&app.registry).await?;
    page.family(
        "kinglet_images",
        "gauge",
        "Images by phase.",
        "phase",
        images,
    );
    let vms = phases::<Vm>(&app.registry).await?;
    page.family("kinglet_vms", "gauge", "VMs by phase.", "phase", vms);
    let answers = app.metrics.answers();
    page.family(
        "kinglet_http_answers_total",
        "counter",
        "Answers by status.",
        "status",
        answers,
    );
    page.single(
        "kinglet_registry_revision",
        "counter",
        "Changes so far.",
        app.registry.current_revision().0 as f64,
    );
    if let Some(process) = process::figures() {
        page.single(
            "process_resident_memory_bytes",
            "gauge",
            "Memory of the daemon.",
            process.resident,
        );
        page.single(
            "process_cpu_seconds_total",
            "counter",
            "CPU time of the daemon.",
            process.cpu_seconds,
        );
        page.single(
            "process_threads",
            "gauge",
            "Threads of the daemon.",
            process.threads,
        );
    }
    Ok((
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        page.0,
    ))
}

async fn phases<R: Listed>(registry: &Registry) -> Answer<Vec<(String, u64)>> {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = registry.list::<R>(after, 128).await?;
        for object in &page.items {
            *counts.entry(object.phase()).or_default() += 1;
        }
        after = page.next;
        if after.is_none() {
            return Ok(counts
                .into_iter()
                .map(|(phase, n)| (phase.to_owned(), n))
                .collect());
        }
    }
}

/// The text being written. Writing into a string cannot fail.
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn family(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (String, u64)>,
    ) {
        self.head(name, kind, help);
        for (value, count) in values {
            let _ = writeln!(self.0, "{name}{{{label}=\"{value}\"}} {count}");
        }
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.head(name, kind, help);
        let _ = writeln!(self.0, "{name} {value}");
    }
}
