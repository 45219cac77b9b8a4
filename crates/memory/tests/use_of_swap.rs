//! Swap in use: a process in a memory cgroup with a small limit takes more than that. Needs root and a
//! memory controller (cgroup v2, or v1).

#![allow(clippy::unwrap_used, clippy::panic)]

mod ground;

use std::fs;
use std::hint::black_box;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ground::{Ground, none, wanted};
use kinglet_memory::pressure::Sampler;
use kinglet_model::Size;
use kinglet_model::memory::SwapSpec;

const CGROUP: &str = "KINGLET_MEMORY_TEST_CGROUP";
const TAKES: usize = 48 << 20;
const LIMIT: usize = 12 << 20;

/// A memory cgroup that goes with the test.
struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    fn new() -> Self {
        let name = format!("kinglet-memory-test-{}", std::process::id());
        let (root, limit) = Self::controller();
        let path = root.join(name);
        fs::create_dir(&path).unwrap();
        let cgroup = Self { path };
        fs::write(cgroup.path.join(limit), LIMIT.to_string()).unwrap();
        cgroup
    }

    fn controller() -> (PathBuf, &'static str) {
        let one = Path::new("/sys/fs/cgroup/memory");
        if one.join("memory.limit_in_bytes").exists() {
            return (one.to_owned(), "memory.limit_in_bytes");
        }
        let two = Path::new("/sys/fs/cgroup");
        let controllers = fs::read_to_string(two.join("cgroup.controllers")).unwrap_or_default();
        assert!(
            controllers.contains("memory"),
            "this machine has no memory controller"
        );
        fs::write(two.join("cgroup.subtree_control"), "+memory").unwrap();
        (two.to_owned(), "memory.max")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while fs::remove_dir(&self.path).is_err() && Instant::now() < deadline {
            std::thread::yield_now();
        }
    }
}

/// A child that is killed with the test.
struct Eater(Child);

impl Drop for Eater {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test of its own: what the test below starts.
#[test]
#[ignore = "started by another test"]
fn takes_memory() {
    let Some(cgroup) = std::env::var_os(CGROUP) else {
        return;
    };
    fs::write(
        Path::new(&cgroup).join("cgroup.procs"),
        std::process::id().to_string(),
    )
    .unwrap();
    let mut taken = vec![0u8; TAKES];
    for (index, byte) in taken.iter_mut().step_by(512).enumerate() {
        *byte = index as u8;
    }
    black_box(&taken);
    // Until the test closes the pipe.
    let _ = std::io::stdin().read(&mut [0]);
    black_box(&taken);
}

#[test]
fn used_figure_moves_and_the_user_is_named() {
    let ground = Ground::new();
    let keeper = ground.keeper();
    let spec = SwapSpec {
        priority: Some(32000),
        ..wanted(64)
    };
    keeper.reconcile(&spec).unwrap();
    assert_eq!(keeper.status(&spec, |_| None).unwrap().used, Size(0));
    let mut sampler = Sampler::open(Path::new("/proc")).unwrap();
    let (before, _) = sampler.sample(0).unwrap();

    let cgroup = Cgroup::new();
    let eater = Eater(
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "takes_memory", "--ignored"])
            .env(CGROUP, &cgroup.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let pid = eater.0.id();
    let deadline = Instant::now() + Duration::from_secs(30);
    let status = loop {
        let status = keeper
            .status(&spec, |found| (found == pid).then(|| "web".to_owned()))
            .unwrap();
        if status.used > Size::mib(16) && status.users.iter().any(|user| user.name == "web") {
            break status;
        }
        assert!(Instant::now() < deadline, "little was swapped: {status:?}");
        std::thread::sleep(Duration::from_millis(20));
    };
    let user = status.users.iter().find(|user| user.pid == pid).unwrap();
    assert!(user.swapped > Size::mib(8), "{user:?}");
    let (after, _) = sampler.sample(1000).unwrap();
    assert!(
        after.swap_used > before.swap_used && after.swap_out_rate > 8 << 20,
        "{after:?}"
    );

    // With something swapped, the file moves to another size and takes it along.
    let larger = SwapSpec {
        priority: Some(32000),
        ..wanted(80)
    };
    keeper.reconcile(&larger).unwrap();
    assert_eq!(ground.active().len(), 1);
    drop(eater);
    keeper.reconcile(&none()).unwrap();
    assert_eq!(ground.active(), []);
}
