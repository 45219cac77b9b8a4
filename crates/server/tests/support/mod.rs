//! A real server in this process, on a socket and a port of its own, with objects that were put into
//! its registry by hand.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kinglet_client::{Client, Place};
use kinglet_host::KvmVerdict;
use kinglet_host::doctor::DoctorConfig;
use kinglet_images::{Folder, Library, LibraryConfig};
use kinglet_model::problem::ProblemKind;
use kinglet_model::{Image, Problem, Size};
use kinglet_registry::Registry;
use kinglet_server::{AppState, Bound, HostDesk, ServeError, ServerConfig};
use kinglet_vms::{HostFacts, ImageFiles, Machines, MachinesConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server. Ends when it is dropped.
pub struct Server {
    pub registry: Registry,
    pub bound: Bound,
    pub token: String,
    pub folder: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    /// A server with the usual settings.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A server with some settings changed.
    pub async fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::on(Registry::in_memory(), folder, change).await
    }

    /// A server whose library looks at its folder.
    pub async fn running() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::begin(Registry::in_memory(), folder, |_| {}, true).await
    }

    /// A server on a registry and folder that were there before.
    pub async fn on(
        registry: Registry,
        folder: tempfile::TempDir,
        change: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        Self::begin(registry, folder, change, false).await
    }

    async fn begin(
        registry: Registry,
        folder: tempfile::TempDir,
        change: impl FnOnce(&mut ServerConfig),
        running: bool,
    ) -> Self {
        let data = folder.path().to_owned();
        let mut config = ServerConfig::new(data.join("run/socket"), data.join("token"));
        config.listen = Some(([127, 0, 0, 1], 0).into());
        change(&mut config);
        let state = state(&registry, &data);
        // One that does not run leaves the registry as it is.
        if running {
            state.library.start();
        } else {
            state.library.shutdown().await;
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let (told, ready) = oneshot::channel();
        let task = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            kinglet_server::serve(config, state, shutdown, |bound| {
                let _ = told.send(bound.clone());
            })
            .await
        });
        let bound = ready.await.expect("the server did not start");
        let token = std::fs::read_to_string(folder.path().join("token")).unwrap();
        let token = token.trim().to_owned();
        Self {
            registry,
            bound,
            token,
            folder,
            stop: Some(stop),
            task,
        }
    }

    /// Ends it as a signal would, and gives back what outlives it.
    pub async fn stop(mut self) -> (Registry, tempfile::TempDir) {
        drop(self.stop.take());
        self.task.await.unwrap().unwrap();
        (self.registry, self.folder)
    }

    pub fn address(&self) -> SocketAddr {
        self.bound.address.unwrap()
    }

    /// `127.0.0.1:PORT`.
    pub fn authority(&self) -> String {
        self.address().to_string()
    }

    pub fn socket(&self) -> PathBuf {
        self.bound.socket.clone()
    }

    /// A client at the unix socket.
    pub fn client(&self) -> Client {
        Client::new(Place::Socket(self.socket()))
    }

    /// A client at TCP with this token.
    pub fn tcp_client(&self, token: Option<&str>) -> Client {
        let url = format!("http://{}", self.authority());
        Client::new(Place::from_url(&url, token.map(str::to_owned)).unwrap())
    }

    /// A one-time token.
    pub async fn one_time(&self) -> String {
        self.client().create_token().await.unwrap().token
    }

    /// The cookie of a browser that was signed in.
    pub async fn cookie(&self) -> String {
        self.tcp_client(None)
            .sign_in(&self.one_time().await)
            .await
            .unwrap()
    }

    /// A request at TCP, written as it stands: no header but `Host` and those given.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(method, path, headers, b"").await
    }

    /// The same with a body.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            head.push_str(&format!("Host: {}\r\n", self.authority()));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        self.raw(&[head.as_bytes(), body].concat()).await
    }

    /// Bytes at TCP, and what comes back until the server closes.
    pub async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut received = Vec::new();
        let read = stream.read_to_end(&mut received);
        let _ = tokio::time::timeout(Duration::from_secs(20), read)
            .await
            .expect("no answer");
        Answer::parse(&received)
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no HTTP answer: {text:?}"));
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Self {
            status,
            headers: headers.collect(),
            body: bytes[end + 4..].to_vec(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The problem document, with everything that is true of each.
    pub fn problem(&self) -> Problem {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let problem: Problem = serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no problem document ({error}): {text}"));
        assert_eq!(problem.status, self.status);
        assert!(
            problem.detail.ends_with('.') && problem.detail.len() > 10,
            "{problem:?}"
        );
        assert!(!problem.code.is_empty() && !problem.title.is_empty());
        problem
    }
}

fn state(registry: &Registry, data: &Path) -> AppState {
    let doctor = DoctorConfig {
        data: data.to_owned(),
        image_folders: vec![data.join("images")],
        scan_interval: Duration::from_secs(3),
        exe: PathBuf::from("/bin/false"),
    };
    AppState {
        registry: registry.clone(),
        library: library(registry, data),
        machines: machines(registry, data),
        host: HostDesk::new(registry.clone(), doctor),
    }
}

fn library(registry: &Registry, data: &Path) -> Library {
    let path = data.join("images");
    std::fs::create_dir_all(&path).unwrap();
    let folder = Folder {
        name: "images".to_owned(),
        path,
    };
    Library::open(LibraryConfig::new(vec![folder]), registry.clone()).unwrap()
}

/// Not started: VMs are made, and stay off.
fn machines(registry: &Registry, data: &Path) -> Machines {
    let host = HostFacts::find(KvmVerdict::Absent).unwrap();
    let config = MachinesConfig::new(data, data.join("run"));
    Machines::open(config, registry.clone(), Arc::new(NoFiles), host).unwrap()
}

struct NoFiles;

impl ImageFiles for NoFiles {
    fn file(&self, image: &Image) -> Result<(std::fs::File, PathBuf), Problem> {
        let detail = format!("Image {} has no file.", image.metadata.name);
        Err(Problem::new(ProblemKind::Internal, "no-file", detail))
    }
}

/// An image that somebody put into the registry.
pub async fn image(registry: &Registry, name: &str, size: u64) -> Image {
    let mut image = Image::seen(name.parse().unwrap(), "images", &format!("{name}.img"));
    image.status.file_size = Size(size);
    registry.create(&mut image).await.unwrap();
    image
}
