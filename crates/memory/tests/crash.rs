//! Death by SIGKILL at random points, then the same call again. Needs root.

#![allow(clippy::unwrap_used, clippy::panic)]

mod ground;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use ground::{FSTAB, Ground, keeper, none, wanted};
use kinglet_model::memory::{SwapPhase, SwapSpec};

const GROUND: &str = "KINGLET_MEMORY_TEST_GROUND";

fn specs(ground: &str) -> [SwapSpec; 5] {
    let moved = SwapSpec {
        path: Some(format!("{ground}/elsewhere/swapfile")),
        ..wanted(3)
    };
    [wanted(2), wanted(4), moved, wanted(2), none()]
}

/// Not a test of its own: what the test below starts and kills.
#[test]
#[ignore = "started and killed by another test"]
fn changes_without_end() {
    let Some(ground) = std::env::var_os(GROUND) else {
        return;
    };
    let ground = PathBuf::from(ground);
    let keeper = keeper(&ground);
    loop {
        for spec in specs(ground.to_str().unwrap()) {
            keeper.reconcile(&spec).unwrap();
        }
    }
}

#[test]
fn killed_at_any_point_it_is_brought_to_a_legal_state() {
    let ground = Ground::new();
    std::fs::create_dir(ground.at("elsewhere")).unwrap();
    let mut states = std::collections::BTreeSet::new();
    for round in 0..24u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "changes_without_end", "--ignored"])
            .env(GROUND, ground.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The moment of death is what is random here; nothing is waited for.
        std::thread::sleep(Duration::from_micros(20_000 + round * 7_919 % 97 * 1_000));
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(ended.is_none(), "it ended by itself: {ended:?}");
        states.insert((ground.files(), ground.active().len(), ground.fstab()));

        let spec =
            specs(ground.path().to_str().unwrap())[usize::try_from(round % 5).unwrap()].clone();
        ground.keeper().reconcile(&spec).unwrap();
        let status = ground.keeper().status(&spec, |_| None).unwrap();
        let count = usize::from(spec.enabled);
        assert_eq!(ground.active().len(), count);
        assert_eq!(ground.files().len(), count, "{:?}", ground.files());
        assert_eq!(
            ground.fstab().lines().count(),
            2 + count,
            "{}",
            ground.fstab()
        );
        assert_eq!(
            status.phase,
            if spec.enabled {
                SwapPhase::On
            } else {
                SwapPhase::Off
            }
        );
    }
    ground.keeper().reconcile(&none()).unwrap();
    assert_eq!(ground.fstab(), FSTAB);
    // Otherwise it was never killed in the middle of anything.
    assert!(states.len() > 3, "{states:?}");
}
