//! How long a request may run.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use kinglet_model::problem::ProblemKind;

use crate::app::App;
use crate::problem::{Answer, Refused};

/// Ends a request that runs too long. What it began may still be done.
pub async fn limit(State(app): State<Arc<App>>, request: Request, next: Next) -> Answer<Response> {
    let answer = tokio::time::timeout(app.request_time, next.run(request)).await;
    answer.map_err(|_| {
        let detail = "It took too long and was given up; look whether it was done before you try \
                      it again.";
        Refused::new(ProblemKind::Internal, "timeout", detail)
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
    })
}
