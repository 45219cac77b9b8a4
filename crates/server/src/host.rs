//! The machine as an object: what the doctor found, kept in the registry.

use std::path::Path;
use std::sync::Arc;

use kinglet_host::doctor::{self, DoctorConfig};
use kinglet_model::host::{HostSpec, HostStatus};
use kinglet_model::problem::ProblemKind;
use kinglet_model::{Host, Metadata, Name, Resource};
use kinglet_registry::Registry;
use kinglet_registry::typed::TypedError;

use crate::problem::{Answer, Refused, sentence};

/// Keeps the host's object.
#[derive(Clone)]
pub struct HostDesk {
    registry: Registry,
    doctor: Arc<DoctorConfig>,
    /// One examination at a time: the second waits for the first.
    examining: Arc<tokio::sync::Mutex<()>>,
}

impl HostDesk {
    /// A desk for this machine.
    #[must_use]
    pub fn new(registry: Registry, doctor: DoctorConfig) -> Self {
        Self {
            registry,
            doctor: Arc::new(doctor),
            examining: Arc::default(),
        }
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.doctor.data
    }

    /// The host as it was examined last; examined now where it never was.
    ///
    /// # Errors
    /// When it cannot be examined or the registry fails.
    pub async fn current(&self) -> Answer<Host> {
        match self.stored().await? {
            Some(host) if !host.status.checks.is_empty() => Ok(host),
            _ => self.examine().await,
        }
    }

    /// Has the doctor examine the machine, and keeps what it found.
    ///
    /// # Errors
    /// When it cannot be examined or the registry fails.
    pub async fn examine(&self) -> Answer<Host> {
        let _turn = self.examining.lock().await;
        let config = Arc::clone(&self.doctor);
        let examined = tokio::task::spawn_blocking(move || status(&config)).await;
        let (status, hostname) = examined
            .unwrap_or_else(|error| Err(error.to_string()))
            .map_err(|why| {
                Refused::new(ProblemKind::Internal, "examination-failed", sentence(&why))
            })?;
        Ok(self.keep(status, &hostname).await?)
    }

    async fn keep(&self, status: HostStatus, hostname: &str) -> Result<Host, TypedError> {
        match self.stored().await? {
            Some(host) if host.status == status => Ok(host),
            Some(mut host) => {
                host.status = status;
                self.registry.update(&mut host).await?;
                Ok(host)
            }
            None => {
                let metadata = Metadata::new(Name::from_lossy(hostname, "host"));
                let kind = Host::KIND.to_owned();
                let mut host = Host {
                    kind,
                    metadata,
                    spec: HostSpec::default(),
                    status,
                };
                self.registry.create(&mut host).await?;
                Ok(host)
            }
        }
    }

    async fn stored(&self) -> Result<Option<Host>, TypedError> {
        Ok(self
            .registry
            .list::<Host>(None, 1)
            .await?
            .items
            .into_iter()
            .next())
    }
}

/// What the machine is, and its name.
fn status(config: &DoctorConfig) -> Result<(HostStatus, String), String> {
    let facts = kinglet_host::facts().map_err(|error| error.to_string())?;
    let folders = config
        .image_folders
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let status = HostStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: facts.kernel,
        cpus: facts.cpus,
        memory: facts.memory,
        image_folders: folders,
        checks: doctor::examine(config),
    };
    Ok((status, facts.hostname))
}
