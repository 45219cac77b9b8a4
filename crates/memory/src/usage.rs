//! Where the host's memory is, as parts that add up. Pure.

use kinglet_model::Size;
use kinglet_model::memory::{MemoryUse, VmMemory};

use crate::proc::MemInfo;

/// Divides the host's memory. What is measured of processes and what the kernel counts overlap and are
/// read at different moments; where they exceed what there is, the kernel's kinds give way, in the order
/// other, shared, page cache.
#[must_use]
pub fn divide(info: &MemInfo, vms: Vec<VmMemory>, daemon: Size) -> MemoryUse {
    let mut rest = info.total.0;
    let mut take = |wanted: u64| {
        let taken = wanted.min(rest);
        rest -= taken;
        Size(taken)
    };
    let free = take(info.free.0);
    let vms: Vec<VmMemory> = vms
        .into_iter()
        .map(|vm| VmMemory {
            held: take(vm.held.0),
            ..vm
        })
        .collect();
    let daemon = take(daemon.0);
    let page_cache = take(info.cached.0.saturating_sub(info.shared.0));
    // A guest's memory may be shared memory, which is counted with the VM already.
    let in_vms = vms
        .iter()
        .fold(0, |sum: u64, vm| sum.saturating_add(vm.held.0));
    let shared = take(info.shared.0.saturating_sub(in_vms));
    MemoryUse {
        total: info.total,
        available: info.available,
        vms,
        daemon,
        page_cache,
        shared,
        other: Size(rest),
        free,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole(
            sizes in proptest::collection::vec(0u64..1 << 40, 6),
            vms in proptest::collection::vec(0u64..1 << 39, 0..4),
        ) {
            let info = MemInfo {
                total: Size(sizes[0]),
                available: Size(sizes[1]),
                free: Size(sizes[2]),
                cached: Size(sizes[3]),
                shared: Size(sizes[4]),
                ..MemInfo::default()
            };
            let vms = vms.into_iter().map(|held| VmMemory { name: "vm".to_owned(), held: Size(held) });
            let parts = divide(&info, vms.collect(), Size(sizes[5]));
            let sum: u64 = [parts.daemon, parts.page_cache, parts.shared, parts.other, parts.free]
                .iter()
                .chain(parts.vms.iter().map(|vm| &vm.held))
                .map(|size| size.0)
                .sum();
            prop_assert_eq!(sum, info.total.0);
        }
    }

    #[test]
    fn each_part_is_what_the_kernel_counts() {
        let info = MemInfo {
            total: Size::mib(1000),
            free: Size::mib(100),
            cached: Size::mib(300),
            shared: Size::mib(50),
            ..MemInfo::default()
        };
        let vm = VmMemory {
            name: "web".to_owned(),
            held: Size::mib(20),
        };
        let parts = divide(&info, vec![vm], Size::mib(10));
        assert_eq!(
            (parts.page_cache, parts.shared),
            (Size::mib(250), Size::mib(30))
        );
        assert_eq!(parts.other, Size::mib(590));
    }
}
