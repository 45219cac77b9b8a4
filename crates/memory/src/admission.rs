//! Whether one more VM fits: the sum, written out. Pure.

use kinglet_model::memory::{Admission, AdmissionLine, AdmissionPolicy};
use kinglet_model::{Problem, Size, problem::ProblemKind};

/// What the host has to give, as measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Supply {
    /// All memory.
    pub total: Size,
    /// What programs could still have (`MemAvailable`).
    pub available: Size,
    /// What running VMs were promised and have not touched yet: their memory and overhead, less what
    /// they hold.
    pub promised: Size,
    /// What balloons can take back from running VMs.
    pub balloon: Size,
    /// What zram can still take, before compression.
    pub zram_free: Size,
    /// What one byte of memory holds in zram, in hundredths: 250 is 2.5. 0: not measured yet.
    pub zram_ratio: u32,
    /// Free swap on disks.
    pub swap_free: Size,
}

/// What a VM needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    /// The guest's memory.
    pub guest: Size,
    /// What its engine takes beside, as measured of others like it.
    pub overhead: Size,
}

/// Until it is measured: what programs' memory usually reaches.
const USUAL_RATIO: u32 = 200;

/// Weighs a VM against the host.
#[must_use]
pub fn admit(policy: AdmissionPolicy, supply: &Supply, demand: &Demand) -> Admission {
    let sum = lines(policy, supply);
    let total = sum
        .iter()
        .fold(0i64, |sum, line| sum.saturating_add(line.bytes));
    let room = Size(u64::try_from(total).unwrap_or(0));
    let needed = Size(demand.guest.0.saturating_add(demand.overhead.0));
    let lacking = Size(needed.0.saturating_sub(room.0));
    let admitted = lacking.0 == 0 || policy == AdmissionPolicy::Off;
    Admission {
        policy,
        admitted,
        needed,
        room,
        lacking,
        message: message(policy, demand, &sum, room, lacking),
        sum,
    }
}

/// The refusal as the API tells it. `None` where it is admitted.
#[must_use]
pub fn refusal(admission: &Admission) -> Option<Problem> {
    (!admission.admitted).then(|| {
        Problem::new(
            ProblemKind::Refused,
            "not-enough-memory",
            admission.message.clone(),
        )
    })
}

/// What stays for the host itself: 5 % of its memory, at least 16 MiB.
fn reserve(total: Size) -> Size {
    Size((total.0 / 20).max(16 << 20))
}

fn lines(policy: AdmissionPolicy, supply: &Supply) -> Vec<AdmissionLine> {
    let mut lines = vec![
        line("available memory", supply.available, 1),
        line("reserve for the host", reserve(supply.total), -1),
    ];
    match policy {
        AdmissionPolicy::Strict => {
            lines.push(line(
                "promised to running VMs, not used yet",
                supply.promised,
                -1,
            ));
        }
        AdmissionPolicy::Balanced | AdmissionPolicy::Off => {
            let promised = Size(supply.promised.0 / 2);
            lines.push(line(
                "half of what running VMs were promised and do not use yet",
                promised,
                -1,
            ));
            lines.push(line("balloons of running VMs", supply.balloon, 1));
            lines.push(line("gain by zram", zram_gain(supply), 1));
            lines.push(line(
                "half of the free swap",
                Size(supply.swap_free.0 / 2),
                1,
            ));
        }
    }
    lines.retain(|line| line.bytes != 0);
    lines
}

fn line(label: &str, size: Size, sign: i64) -> AdmissionLine {
    AdmissionLine {
        label: label.to_owned(),
        bytes: i64::try_from(size.0)
            .unwrap_or(i64::MAX)
            .saturating_mul(sign),
    }
}

/// What is stored in zram less what that costs in memory.
fn zram_gain(supply: &Supply) -> Size {
    let ratio = match supply.zram_ratio {
        0 => USUAL_RATIO,
        measured => measured,
    };
    let stored = u128::from(supply.zram_free.0);
    let cost = stored * 100 / u128::from(ratio);
    Size(u64::try_from(stored.saturating_sub(cost)).unwrap_or(u64::MAX))
}

fn message(
    policy: AdmissionPolicy,
    demand: &Demand,
    sum: &[AdmissionLine],
    room: Size,
    lacking: Size,
) -> String {
    let needs = format!(
        "It needs {} ({} and {} for its engine), and there is room for {room}: {}.",
        Size(demand.guest.0.saturating_add(demand.overhead.0)),
        demand.guest,
        demand.overhead,
        written(sum),
    );
    match (lacking.0, policy) {
        (0, _) => format!("The VM fits. {needs}"),
        (_, AdmissionPolicy::Off) => {
            format!(
                "The VM does not fit, by {lacking}, and starts all the same, as the policy is off. {needs}"
            )
        }
        (_, AdmissionPolicy::Strict) => format!(
            "The VM does not fit: {lacking} lack. {needs} Give it less memory, stop another VM, or choose \
             the policy balanced."
        ),
        (_, AdmissionPolicy::Balanced) => format!(
            "The VM does not fit: {lacking} lack. {needs} Give it less memory, stop another VM, or add zram \
             or a swap file."
        ),
    }
}

fn written(sum: &[AdmissionLine]) -> String {
    let mut text = String::new();
    for (index, line) in sum.iter().enumerate() {
        let sign = match (index, line.bytes < 0) {
            (0, false) => "",
            (0, true) => "− ",
            (_, false) => " + ",
            (_, true) => " − ",
        };
        text.push_str(&format!(
            "{sign}{} {}",
            Size(line.bytes.unsigned_abs()),
            line.label
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SUPPLY: Supply = Supply {
        total: Size::mib(2000),
        available: Size::mib(900),
        promised: Size::mib(200),
        balloon: Size::mib(50),
        zram_free: Size::mib(400),
        zram_ratio: 400,
        swap_free: Size::mib(512),
    };

    fn demand(mib: u64) -> Demand {
        Demand {
            guest: Size::mib(mib),
            overhead: Size::mib(40),
        }
    }

    #[test]
    fn strict_counts_memory_only() {
        let admission = admit(AdmissionPolicy::Strict, &SUPPLY, &demand(600));
        assert_eq!(
            (admission.room, admission.lacking),
            (Size::mib(600), Size::mib(40))
        );
        assert!(!admission.admitted);
        assert_eq!(
            admission.message,
            "The VM does not fit: 40 MiB lack. It needs 640 MiB (600 MiB and 40 MiB for its engine), and \
             there is room for 600 MiB: 900 MiB available memory − 100 MiB reserve for the host − 200 MiB \
             promised to running VMs, not used yet. Give it less memory, stop another VM, or choose the \
             policy balanced."
        );
        let problem = refusal(&admission).unwrap();
        assert_eq!(
            (problem.status, problem.code.as_str()),
            (409, "not-enough-memory")
        );
    }

    #[test]
    fn balanced_counts_balloons_zram_and_half_of_swap() {
        let admission = admit(AdmissionPolicy::Balanced, &SUPPLY, &demand(600));
        // 900 − 100 − 100 + 50 + 300 + 256
        assert_eq!(admission.room, Size::mib(1306));
        assert!(admission.admitted && refusal(&admission).is_none());
        assert!(admission.message.starts_with("The VM fits."));
    }

    #[test]
    fn off_admits_and_shows_what_lacks() {
        let admission = admit(AdmissionPolicy::Off, &SUPPLY, &demand(2000));
        assert!(admission.admitted);
        assert!(admission.lacking.0 > 0);
        assert!(admission.message.contains("starts all the same"));
    }

    #[test]
    fn zram_that_stores_worse_than_memory_gains_nothing() {
        let poor = Supply {
            zram_ratio: 90,
            ..SUPPLY
        };
        assert_eq!(zram_gain(&poor), Size(0));
        assert_eq!(
            zram_gain(&Supply {
                zram_ratio: 0,
                ..SUPPLY
            }),
            Size::mib(200)
        );
    }

    fn any_size() -> impl Strategy<Value = Size> {
        prop_oneof![any::<u64>(), 0..1u64 << 40].prop_map(Size)
    }

    proptest! {
        #[test]
        fn strict_never_admits_what_balanced_refuses(
            sizes in proptest::collection::vec(any_size(), 7),
            zram_ratio: u32,
            guest in any_size(),
        ) {
            let supply = Supply {
                total: sizes[0],
                available: sizes[1],
                promised: sizes[2],
                balloon: sizes[3],
                zram_free: sizes[4],
                zram_ratio,
                swap_free: sizes[5],
            };
            let demand = Demand { guest, overhead: sizes[6] };
            let strict = admit(AdmissionPolicy::Strict, &supply, &demand);
            let balanced = admit(AdmissionPolicy::Balanced, &supply, &demand);
            prop_assert!(!strict.admitted || balanced.admitted);
            prop_assert!(strict.room <= balanced.room);
            prop_assert_eq!(balanced.admitted, balanced.needed <= balanced.room);
        }
    }
}
