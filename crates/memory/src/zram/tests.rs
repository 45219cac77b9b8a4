//! zram's texts, and its refusals where the kernel has none. The real one is in `tests/zram.rs`.

use proptest::prelude::*;

use super::*;

#[test]
fn mm_stat_tells_what_memory_really_holds() {
    let stat = mm_stat("8388608 2097152 4194304 0 4200000 7 0 3 9\n").unwrap();
    assert_eq!(stat.ratio(), Some(2.0));
    assert_eq!((stat.same_pages, stat.incompressible_pages), (7, 3));
    assert_eq!(mm_stat("0 0 0 0 0 0 0 0 0").unwrap().ratio(), None);
    assert_eq!(mm_stat("1 2 3 4 5 6").unwrap().incompressible_pages, 0);
    for text in ["", "1 2 3", "x", "1 2 3 4 5 -6"] {
        assert_eq!(mm_stat(text), None, "{text:?}");
    }
}

#[test]
fn algorithm_in_brackets_is_chosen() {
    let (all, chosen) = algorithms("lzo [lzo-rle] lz4\n");
    assert_eq!(all, ["lzo", "lzo-rle", "lz4"]);
    assert_eq!(chosen.as_deref(), Some("lzo-rle"));
    assert_eq!(algorithms(""), (vec![], None));
}

#[test]
fn kernel_without_zram_says_so() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    std::fs::create_dir_all(at("proc/sys/kernel")).unwrap();
    std::fs::write(at("proc/sys/kernel/osrelease"), "5.0-none\n").unwrap();
    std::fs::write(at("proc/swaps"), "Filename\n").unwrap();
    let keeper = ZramKeeper::at(at("proc"), at("sys"), at("dev"));
    let status = keeper.status().unwrap();
    assert!(!status.supported);
    let reason = status.reason.unwrap();
    assert!(
        reason.contains("This kernel (5.0-none) has no zram"),
        "{reason}"
    );
    keeper.reconcile(&ZramSpec::default()).unwrap();
    let spec = ZramSpec {
        enabled: true,
        size: Size::mib(16),
        ..ZramSpec::default()
    };
    assert!(matches!(
        keeper.reconcile(&spec),
        Err(ZramError::Unsupported(_))
    ));
}

#[test]
fn module_is_found_in_any_compression() {
    assert!(is_module_of(
        "kernel/drivers/block/zram/zram.ko.xz: kernel/mm/zsmalloc.ko.xz",
        "zram"
    ));
    assert!(!is_module_of(
        "kernel/mm/zsmalloc.ko: kernel/zram.ko",
        "zram"
    ));
}

proptest! {
    #[test]
    fn texts_never_panic(text in ".{0,80}") {
        let _ = mm_stat(&text);
        let _ = algorithms(&text);
        let _ = is_module_of(&text, "zram");
    }
}
