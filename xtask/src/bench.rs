//! Speed and memory, each beside a peer in the same run. What is printed are ratios and amounts of
//! memory: absolute times say more about the machine than about Kinglet.

mod arrival;
mod boot;
mod idle;
mod scan;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kinglet_tests::Daemon;

use crate::build::{self, Profile};
use crate::guest;
use crate::setup::{self, Purpose};

/// One figure, with what it is measured against.
struct Figure {
    what: &'static str,
    value: String,
    goal: &'static str,
}

/// Measures everything, or only the bench called `only`, and prints a table.
pub fn run(only: Option<&str>) -> Result<()> {
    setup::ensure(Purpose::Bench)?;
    let program = build::kinglet(Profile::Release)?;
    let mut figures = Vec::new();
    let mut known = Vec::new();
    let mut bench = |name: &'static str, work: &dyn Fn() -> Result<Vec<Figure>>| -> Result<()> {
        known.push(name);
        if only.is_none_or(|only| only == name) {
            eprintln!("bench: {name}");
            let found = work().with_context(|| format!("bench {name}"))?;
            for figure in &found {
                eprintln!("bench: {}: {}", figure.what, figure.value);
            }
            figures.extend(found);
        }
        Ok(())
    };
    bench("arrival", &|| arrival::measure(&program))?;
    bench("scan", &|| scan::measure(&program))?;
    bench("idle", &|| idle::measure(&program))?;
    bench("boot", &|| {
        boot::measure(&program, &guest::debian()?.disk())
    })?;
    if figures.is_empty() {
        bail!("there is no such bench; there are: {}", known.join(", "));
    }
    println!("{:<68} {:>12}   goal", "figure", "measured");
    for figure in figures {
        println!("{:<68} {:>12}   {}", figure.what, figure.value, figure.goal);
    }
    Ok(())
}

fn figure(what: &'static str, value: String, goal: &'static str) -> Figure {
    Figure { what, value, goal }
}

fn daemon(program: &Path) -> Result<Daemon> {
    Daemon::prepare(program.to_owned(), kinglet_tests::daemon::free_address()?)
}

fn time<T>(work: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn median(mut times: Vec<Duration>) -> Result<Duration> {
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .copied()
        .context("nothing was measured")
}

/// The median of the ratios pair by pair: what holds when the machine's speed drifts.
fn ratio(pairs: &[(Duration, Duration)]) -> Result<String> {
    let mut ratios: Vec<f64> = pairs
        .iter()
        .map(|(ours, theirs)| ours.as_secs_f64() / theirs.as_secs_f64())
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let middle = ratios
        .get(ratios.len() / 2)
        .context("nothing was measured")?;
    Ok(format!("{middle:.2} ×"))
}
