//! The doctor on the machine that runs the tests: not what it finds, but that its answers agree with
//! what is there.

use std::path::Path;

use super::*;

fn config(data: &Path) -> DoctorConfig {
    DoctorConfig {
        data: data.to_owned(),
        image_folders: vec![data.join("images")],
        scan_interval: Duration::from_secs(5),
        exe: PathBuf::from("/no/such/kinglet"),
    }
}

#[test]
fn every_check_has_a_name_of_its_own_and_every_no_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let checks = examine(&config(folder.path()));
    assert_eq!(checks.len(), CHECKS.len());
    for (index, check) in checks.iter().enumerate() {
        assert!(
            checks[..index].iter().all(|other| other.name != check.name),
            "{}",
            check.name
        );
        assert!(!check.detail.is_empty() && !check.title.is_empty());
        assert_eq!(
            check.verdict == Verdict::Yes,
            check.remedy.is_none(),
            "{}: {:?}",
            check.name,
            check.remedy
        );
    }
}

#[test]
fn qemu_is_found_where_qemu_is() {
    let folder = tempfile::tempdir().unwrap();
    let check = qemu::qemu(&config(folder.path()));
    match crate::qemu::find() {
        Some(found) => assert!(check.detail.contains(&found.version)),
        None => assert_eq!(check.verdict, Verdict::No),
    }
}

#[test]
fn a_data_folder_that_does_not_exist_yet_is_judged_by_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let check = folders::data(&config(&folder.path().join("not/yet")));
    assert_ne!(check.verdict, Verdict::No, "{}", check.detail);
    assert!(!folder.path().join("not").exists());
}

#[test]
fn a_data_folder_that_cannot_be_written_is_a_no() {
    let check = folders::data(&config(Path::new("/proc/sys")));
    assert_eq!(check.verdict, Verdict::No, "{}", check.detail);
}
