//! The life of VMs on a real QEMU, with guests of one sector.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use std::collections::BTreeMap;
use std::fs;

use kinglet_model::image::{Format, ImagePhase};
use kinglet_model::vm::{ExitCause, Power, VmAction, VmPhase, VmSpec};
use kinglet_model::{Id, Image, Resource, Size, Vm};
use kinglet_registry::Txn;

use rig::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_starts_pauses_resumes_restarts_and_is_killed() {
    let rig = Rig::new().await;
    let image = rig
        .image("disk", Format::Raw, &boot_sector("hello\n", IDLE))
        .await;
    let vm = rig.create(from_image(&image)).await;
    let id = vm.metadata.id;
    let vm = rig.until_phase(id, VmPhase::Running).await;
    assert_eq!(vm.status.engine.as_ref().unwrap().name, "qemu");
    assert!(
        vm.status
            .engine
            .unwrap()
            .why
            .contains("not a security boundary")
    );
    rig.hear(id, 0, "hello").await;

    let act = async |action| rig.machines.act(id, action, None).await.unwrap();
    act(VmAction::Pause).await;
    rig.until_phase(id, VmPhase::Paused).await;
    act(VmAction::Resume).await;
    let before = rig.until_phase(id, VmPhase::Running).await.status.process;
    assert!(rig.machines.usage(id).await.unwrap().unwrap().memory > Size::mib(1));

    let mut stubborn = rig.vm(id).await;
    stubborn.spec.stop_deadline = 0;
    rig.registry.update(&mut stubborn).await.unwrap();
    act(VmAction::Restart).await;
    let vm = rig
        .until(id, "restarted", |vm| {
            vm.status.phase == VmPhase::Running && vm.status.restarts_done == 1
        })
        .await;
    assert_ne!(vm.status.process, before);

    act(VmAction::Kill).await;
    let vm = rig.until_phase(id, VmPhase::Stopped).await;
    assert_eq!((cause(&vm), vm.spec.power), (ExitCause::Killed, Power::Off));
    assert_eq!(vm.status.process, None);
    assert!(vm.status.conditions.is_empty());

    let problem = rig
        .machines
        .act(id, VmAction::Pause, None)
        .await
        .unwrap_err();
    assert_eq!((problem.status, problem.code.as_str()), (409, "vm-state"));
    act(VmAction::Delete).await;
    rig.until_gone(id).await;
    assert!(!rig.vm_folder(id).exists());
    let image: Image = rig
        .registry
        .fetch(image.metadata.id)
        .await
        .unwrap()
        .unwrap();
    assert!(image.status.users.is_empty());
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_does_not_shut_down_is_killed_at_its_deadline() {
    let rig = Rig::new().await;
    let image = rig
        .image("disk", Format::Raw, &boot_sector("x", IDLE))
        .await;
    let vm = rig
        .create(VmSpec {
            stop_deadline: 1,
            ..from_image(&image)
        })
        .await;
    let id = vm.metadata.id;
    rig.until_phase(id, VmPhase::Running).await;
    rig.machines.act(id, VmAction::Stop, None).await.unwrap();
    let vm = rig.until_phase(id, VmPhase::Stopped).await;
    assert_eq!(cause(&vm), ExitCause::DeadlinePassed);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_wanted_halted_executes_nothing_until_it_is_resumed() {
    let rig = Rig::new().await;
    let image = rig
        .image("disk", Format::Raw, &boot_sector("said", IDLE))
        .await;
    let vm = rig
        .create(VmSpec {
            power: Power::Paused,
            ..from_image(&image)
        })
        .await;
    let id = vm.metadata.id;
    rig.until_phase(id, VmPhase::Paused).await;
    assert_eq!(rig.machines.console(id).unwrap().end().unwrap(), 0);
    rig.machines.act(id, VmAction::Resume, None).await.unwrap();
    rig.hear(id, 0, "said").await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_engine_is_told_and_the_vm_starts_again_when_asked() {
    let rig = Rig::new().await;
    let image = rig
        .image("disk", Format::Raw, &boot_sector("x", IDLE))
        .await;
    let id = rig.create(from_image(&image)).await.metadata.id;
    let vm = rig.until_phase(id, VmPhase::Running).await;
    kill(vm.status.process.unwrap().pid);
    let vm = rig.until_phase(id, VmPhase::Failed).await;
    assert_eq!(cause(&vm), ExitCause::EngineDied);
    assert!(vm.status.exit.unwrap().message.contains("signal 9"));
    rig.machines.act(id, VmAction::Start, None).await.unwrap();
    rig.until(id, "running", |vm| vm.status.phase == VmPhase::Running)
        .await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn running_vms_are_found_again_and_none_is_doubled() {
    let mut rig = Rig::new().await;
    let image = rig
        .image("disk", Format::Raw, &boot_sector("listening", ECHO))
        .await;
    let one = rig.create(from_image(&image)).await.metadata.id;
    let two = rig.create(from_image(&image)).await.metadata.id;
    let before = rig.until_phase(one, VmPhase::Running).await;
    rig.until_phase(two, VmPhase::Running).await;
    for _ in 0..3 {
        rig.reopen().await;
    }
    // As if the program had been killed between the start and the record of it.
    rig.machines.shutdown().await;
    let mut lost = rig.vm(two).await;
    let process = lost.status.process.take();
    lost.status.phase = VmPhase::Starting;
    rig.registry.update(&mut lost).await.unwrap();
    rig.reopen().await;
    let found = rig.until_phase(two, VmPhase::Running).await;
    assert_eq!(found.status.process, process);
    assert_eq!(rig.vm(one).await.status.process, before.status.process);
    assert_eq!(processes_below(rig.folder.path()).len(), 2);

    // It answers, and its console can be typed on.
    rig.machines.act(one, VmAction::Pause, None).await.unwrap();
    rig.until_phase(one, VmPhase::Paused).await;
    rig.hear(two, 0, "listening").await;
    let mut writer = rig
        .machines
        .console(two)
        .unwrap()
        .claim_writer()
        .await
        .unwrap();
    writer.send(b"found").await.unwrap();
    rig.hear(two, 0, "found").await;

    // One ends while nobody looks.
    rig.machines.shutdown().await;
    kill(process.unwrap().pid);
    rig.reopen().await;
    let vm = rig.until_phase(two, VmPhase::Failed).await;
    assert_eq!(cause(&vm), ExitCause::EngineDied);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_boot_of_the_host_what_was_on_is_started_again() {
    let mut rig = Rig::new().await;
    let image = rig
        .image("disk", Format::Raw, &boot_sector("x", IDLE))
        .await;
    let id = rig.create(from_image(&image)).await.metadata.id;
    let vm = rig.until_phase(id, VmPhase::Running).await;
    rig.machines.shutdown().await;
    let old = vm.status.process.clone().unwrap();
    kill(old.pid);
    let mut vm = rig.vm(id).await;
    vm.status.process = Some(kinglet_model::vm::ProcessIdentity {
        boot_id: "another".to_owned(),
        ..old.clone()
    });
    rig.registry.update(&mut vm).await.unwrap();
    rig.reopen().await;
    let new = rig
        .until(id, "running again", |vm| {
            let process = vm.status.process.as_ref();
            vm.status.phase == VmPhase::Running && process.is_some_and(|new| new.pid != old.pid)
        })
        .await;
    assert_ne!(new.status.process.unwrap().boot_id, "another");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_no_vm_is_removed_at_start_and_nothing_else_is() {
    let mut rig = Rig::new().await;
    let vms = rig.folder.path().join("data/vms");
    let orphan = Id::generate();
    for name in [
        orphan.to_string(),
        "keep".to_owned(),
        orphan.to_string().to_uppercase(),
    ] {
        fs::create_dir_all(vms.join(name)).unwrap();
    }
    rig.reopen().await;
    assert!(!vms.join(orphan.to_string()).exists());
    assert!(vms.join("keep").exists() && vms.join(orphan.to_string().to_uppercase()).exists());
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_of_a_vm_that_the_registry_lost_are_kept() {
    let mut rig = Rig::new().await;
    let image = rig
        .image("disk", Format::Raw, &boot_sector("x", IDLE))
        .await;
    let id = rig.create(from_image(&image)).await.metadata.id;
    rig.until_phase(id, VmPhase::Running).await;
    rig.machines.act(id, VmAction::Kill, None).await.unwrap();
    let vm = rig.until_phase(id, VmPhase::Stopped).await;
    rig.machines.shutdown().await;
    // As after an older copy of the registry was put back.
    rig.registry.txn(Txn::new().remove(&vm)).await.unwrap();
    rig.reopen().await;
    assert!(rig.vm_folder(id).join("root.qcow2").exists());
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_and_nothing_is_changed() {
    let rig = Rig::new().await;
    let image = rig
        .image("disk", Format::Raw, &boot_sector("x", IDLE))
        .await;
    let mut arriving = rig.image("late", Format::Raw, b"half").await;
    arriving.status.phase = ImagePhase::Arriving;
    rig.registry.update(&mut arriving).await.unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let named = |name: &str| Some(name.parse().unwrap());
    let first = VmSpec {
        power: Power::Off,
        ..from_image(&image)
    };
    let first = rig
        .machines
        .create(named("web"), BTreeMap::new(), first)
        .await
        .unwrap();
    let before = rig.registry.current_revision();

    let mut published = from_image(&image);
    published.network.publish = vec![format!("{port}:22").parse().unwrap()];
    let memory = VmSpec {
        memory: Size::gib(1024),
        ..from_image(&image)
    };
    let shrunk = VmSpec {
        disk_size: Some(Size(512)),
        ..from_image(&image)
    };
    let kvm = VmSpec {
        accelerator: kinglet_model::vm::AcceleratorChoice::Kvm,
        ..from_image(&image)
    };
    let cases = [
        ("web", from_image(&image), "name-taken", "web"),
        ("a", memory, "memory", "1 TiB"),
        (
            "b",
            from_image(&arriving),
            "image-not-ready",
            "still arriving",
        ),
        ("c", published, "port-in-use", &port.to_string()),
        (
            "d",
            VmSpec {
                image: Some("none".into()),
                ..small()
            },
            "image-not-found",
            "none",
        ),
        (
            "e",
            VmSpec {
                image: Some("../x".into()),
                ..small()
            },
            "image-name",
            ".",
        ),
        (
            "f",
            VmSpec {
                vcpus: 0,
                ..small()
            },
            "invalid-vcpus",
            "vCPUs",
        ),
        ("g", shrunk, "invalid-disksize", "1 MiB"),
        ("h", kvm, "kvm-unusable", "/dev/kvm"),
    ];
    for (name, spec, code, says) in cases {
        let problem = rig
            .machines
            .create(named(name), BTreeMap::new(), spec)
            .await
            .unwrap_err();
        assert_eq!(problem.code, code, "{problem}");
        assert!(problem.detail.contains(says), "{problem}");
    }
    assert_eq!(rig.registry.current_revision(), before);
    assert_eq!(
        fs::read_dir(rig.folder.path().join("data/vms"))
            .unwrap()
            .count(),
        1
    );
    let stale = rig
        .machines
        .act(first.metadata.id, VmAction::Start, Some(1.into_revision()))
        .await;
    assert_eq!(stale.unwrap_err().status, 412);
    rig.end().await;
}

trait IntoRevision {
    fn into_revision(self) -> kinglet_model::Revision;
}

impl IntoRevision for u64 {
    fn into_revision(self) -> kinglet_model::Revision {
        kinglet_model::Revision(self)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_waits_for_its_image_and_then_starts_by_itself() {
    let rig = Rig::new().await;
    let mut image = rig
        .image("disk", Format::Raw, &boot_sector("x", IDLE))
        .await;
    let vm = rig
        .create(VmSpec {
            power: Power::Off,
            ..from_image(&image)
        })
        .await;
    let id = vm.metadata.id;
    image = rig
        .registry
        .fetch(image.metadata.id)
        .await
        .unwrap()
        .unwrap();
    image.status.phase = ImagePhase::Checking;
    rig.registry.update(&mut image).await.unwrap();
    rig.machines.act(id, VmAction::Start, None).await.unwrap();
    let vm = rig.until_phase(id, VmPhase::Waiting).await;
    assert!(vm.status.reason.unwrap().contains("still being checked"));
    image.status.phase = ImagePhase::Ready;
    rig.registry.update(&mut image).await.unwrap();
    rig.until_phase(id, VmPhase::Running).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_made_from_the_image_and_numbered() {
    let rig = Rig::new().await;
    let image = rig
        .image("debian", Format::Raw, &boot_sector("x", IDLE))
        .await;
    let off = || VmSpec {
        power: Power::Off,
        ..from_image(&image)
    };
    let names: Vec<String> = futures::future::join_all([
        rig.machines.create(None, BTreeMap::new(), off()),
        rig.machines.create(None, BTreeMap::new(), off()),
        rig.machines.create(None, BTreeMap::new(), off()),
    ])
    .await
    .into_iter()
    .map(|vm: Result<Vm, _>| vm.unwrap().name().to_string())
    .collect();
    assert_eq!(names, ["debian", "debian-2", "debian-3"]);
    let image: Image = rig
        .registry
        .fetch(image.metadata.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(image.status.users.len(), 3);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_does_not_answer_can_be_killed() {
    let rig = Rig::new().await;
    let image = rig
        .image("disk", Format::Raw, &boot_sector("x", IDLE))
        .await;
    let id = rig.create(from_image(&image)).await.metadata.id;
    let vm = rig.until_phase(id, VmPhase::Running).await;
    signal(
        vm.status.process.unwrap().pid,
        rustix::process::Signal::STOP,
    );
    rig.machines.act(id, VmAction::Pause, None).await.unwrap();
    rig.machines.act(id, VmAction::Kill, None).await.unwrap();
    let begun = std::time::Instant::now();
    let vm = rig.until_phase(id, VmPhase::Stopped).await;
    assert_eq!(cause(&vm), ExitCause::Killed);
    assert!(begun.elapsed() < PATIENCE / 3, "waited for an answer");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_boots_by_uefi_with_variables_of_its_own_and_from_media_without_a_disk() {
    let rig = Rig::new().await;
    let disc = rig.image("disc", Format::Iso, &vec![0; 1 << 20]).await;
    let spec = VmSpec {
        memory: Size::mib(128),
        media: Some("disc".to_owned()),
        boot: kinglet_model::vm::Boot::Firmware {
            firmware: kinglet_model::vm::Firmware::Uefi,
        },
        ..small()
    };
    let id = rig.create(spec).await.metadata.id;
    rig.until_phase(id, VmPhase::Running).await;
    rig.hear(id, 0, "BdsDxe").await;
    assert!(rig.vm_folder(id).join("ovmf-vars.fd").exists());
    assert!(
        rig.vm_folder(id)
            .join(format!("media-{}.iso", disc.metadata.id))
            .exists()
    );
    rig.end().await;
}
