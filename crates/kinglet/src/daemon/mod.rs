//! The daemon: its parts put together, and their life from the first to the last.
//!
//! Order matters. The registry comes first and is the lock on the data folder: two daemons never
//! have one. The VMs come after the library, whose files they open, and go before it; their processes
//! stay.

pub mod config;
mod image_files;
mod malloc;
mod notify;

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kinglet_host::doctor::DoctorConfig;
use kinglet_images::{Folder, Library, LibraryConfig};
use kinglet_registry::Registry;
use kinglet_server::{AppState, Bound, HostDesk, ServerConfig};
use kinglet_vms::{HostFacts, Machines, MachinesConfig};
use tokio::signal::unix::{SignalKind, signal};

use crate::daemon::image_files::LibraryFiles;
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// Threads that answer requests. The work is waiting; each more would cost memory.
const WORKERS: usize = 2;
/// Threads for blocking work (files, hashing, the registry) at most.
const BLOCKING: usize = 16;

/// Everything that was decided before the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The data folder.
    pub data: PathBuf,
    /// The unix socket.
    pub socket: PathBuf,
    /// The TCP address, if any.
    pub listen: Option<SocketAddr>,
    /// Whether that address may be one that other machines can reach.
    pub allow_remote: bool,
    /// Further names by which browsers may call this machine.
    pub hostnames: Vec<String>,
    /// The watched folders.
    pub folders: Vec<Folder>,
    /// How often folders are scanned in which changes are not seen.
    pub scan_interval: Duration,
}

/// Runs the daemon until it is told to end.
pub fn run(settings: Settings, out: &Output) -> Outcome {
    malloc::limit_arenas();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING)
        .thread_name("kinglet")
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(serve(settings, out));
    runtime.shutdown_timeout(Duration::from_secs(5));
    outcome
}

async fn serve(settings: Settings, out: &Output) -> Outcome {
    let exe = std::env::current_exe()
        .map_err(|error| Failure::failed(format!("cannot find this program ({error})")))?;
    let ending = ending()?;
    let facts = tokio::task::spawn_blocking({
        let exe = exe.clone();
        move || HostFacts::find(kinglet_host::kvm::probe_in_child(&exe))
    });
    let registry = open_data(&settings).await?;
    let library = Library::open(library_config(&settings), registry.clone()).map_err(failed)?;
    library.start();
    let facts = facts.await.map_err(failed)?.map_err(failed)?;
    let machines = Machines::open(
        MachinesConfig::new(&settings.data, settings.data.join("run")),
        registry.clone(),
        Arc::new(LibraryFiles::new(library.clone())),
        facts,
    )
    .map_err(failed)?;
    machines.start().await.map_err(failed)?;
    let host = HostDesk::new(registry.clone(), doctor_config(&settings, exe));
    let state = AppState {
        registry,
        library: library.clone(),
        machines: machines.clone(),
        host: host.clone(),
    };
    let served = kinglet_server::serve(server_config(&settings), state, ending, |bound| {
        ready(&settings, bound, host, out);
    })
    .await;
    notify::stopping();
    machines.shutdown().await;
    library.shutdown().await;
    served.map_err(failed)
}

/// Makes the data folder, for its owner only, and opens what it remembers.
async fn open_data(settings: &Settings) -> Outcome<Registry> {
    make_folder(&settings.data)?;
    make_folder(&settings.data.join("images"))?;
    let path = settings.data.join("registry.db");
    tokio::task::spawn_blocking(move || Registry::open(&path, kinglet_registry::Options::default()))
        .await
        .map_err(failed)?
        .map_err(failed)
}

fn make_folder(folder: &Path) -> Outcome {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| {
            Failure::failed(format!(
                "the folder {} cannot be made ({error}); choose another with --data",
                folder.display()
            ))
        })
}

fn library_config(settings: &Settings) -> LibraryConfig {
    LibraryConfig {
        poll: settings.scan_interval,
        ..LibraryConfig::new(settings.folders.clone())
    }
}

fn doctor_config(settings: &Settings, exe: PathBuf) -> DoctorConfig {
    DoctorConfig {
        data: settings.data.clone(),
        image_folders: settings
            .folders
            .iter()
            .map(|folder| folder.path.clone())
            .collect(),
        scan_interval: settings.scan_interval,
        exe,
    }
}

fn server_config(settings: &Settings) -> ServerConfig {
    ServerConfig {
        listen: settings.listen,
        allow_remote: settings.allow_remote,
        names: settings.hostnames.clone(),
        ..ServerConfig::new(settings.socket.clone(), settings.data.join("token"))
    }
}

/// Tells whoever waits that it answers, and has the machine examined.
fn ready(settings: &Settings, bound: &Bound, host: HostDesk, out: &Output) {
    notify::ready();
    tracing::info!(
        data = %settings.data.display(),
        socket = %bound.socket.display(),
        address = bound.address.map(tracing::field::display),
        "Kinglet {} answers",
        env!("CARGO_PKG_VERSION")
    );
    // A token in a log would sign in whoever reads it.
    if let (Some(url), true) = (&bound.sign_in, out.is_watched()) {
        out.note(&format!("The page (this link signs in once): {url}"));
    }
    tokio::spawn(async move {
        if host.examine().await.is_err() {
            tracing::warn!("this machine could not be examined; `kinglet doctor` may say why");
        }
    });
}

/// Ready when the daemon is told to end.
fn ending() -> Outcome<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
        tracing::info!("ending; VMs run on");
    })
}

fn failed(error: impl std::error::Error) -> Failure {
    Failure::failed(error.to_string())
}
