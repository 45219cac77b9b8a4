//! A real Linux guest (Debian's kernel, BusyBox) on a real QEMU. Made by `cargo xtask guest --tiny`,
//! or given by `KINGLET_GUEST_TINY`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use kinglet_model::image::Format;
use kinglet_model::vm::{ExitCause, Power, VmAction, VmPhase};
use kinglet_model::{Id, Resource, Size};

use rig::*;

fn tiny() -> PathBuf {
    if let Some(folder) = std::env::var_os("KINGLET_GUEST_TINY") {
        return folder.into();
    }
    let output = Command::new(env!("CARGO"))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .args([
            "run",
            "--quiet",
            "--package",
            "xtask",
            "--",
            "guest",
            "--tiny",
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .last()
        .unwrap()
        .into()
}

/// Types a command; gives what was said from then on until its end.
async fn shell(rig: &Rig, id: Id, command: &str) -> String {
    let console = rig.machines.console(id).unwrap();
    let from = console.end().unwrap();
    let mut writer = console.claim_writer().await.unwrap();
    // The text of the mark is put together by the shell, so that the echo of the line is not it.
    writer
        .send(format!("{command}; echo E''ND=$?\n").as_bytes())
        .await
        .unwrap();
    rig.hear(id, from, "END=").await
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn http(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_linux_guest_has_virtio_devices_only_and_keeps_its_disk_whatever_becomes_of_the_image() {
    let mut rig = Rig::new().await;
    let folder = tiny();
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let kernel = rig.image("kernel", Format::Kernel, &read("vmlinuz")).await;
    let initrd = rig
        .image("initrd", Format::Initramfs, &read("initrd.img"))
        .await;
    let disk = rig.image("disk", Format::Raw, &vec![b'k'; 8 << 20]).await;
    let disc = rig
        .image("disc", Format::Iso, &iso(rig.path("disc.tmp")))
        .await;
    let cmdline = String::from_utf8(read("cmdline")).unwrap();
    let port = free_port();
    let mut spec = with_kernel(&kernel, &initrd, cmdline.trim());
    spec.image = Some(disk.name().to_string());
    spec.network.publish = vec![format!("{port}:80").parse().unwrap()];
    spec.seed = Some(kinglet_model::vm::Seed::default());
    let id = rig.create(spec).await.metadata.id;
    rig.hear(id, 0, "kinglet-tiny ready").await;

    devices(&rig, id).await;
    published(port).await;
    header_on_a_raw_disk(&rig, id).await;
    media(&rig, id, disc.name().as_str()).await;

    // The image's file is replaced, then deleted, under the running VM.
    fs::write(rig.path("other"), vec![b'z'; 8 << 20]).unwrap();
    fs::rename(rig.path("other"), rig.path("disk")).unwrap();
    rig.reopen().await;
    fs::remove_file(rig.path("disk")).unwrap();
    let said = shell(
        &rig,
        id,
        "dd if=/dev/vda bs=1M skip=7 count=1 2>/dev/null | head -c 4",
    )
    .await;
    assert!(said.contains("kkkk"), "{said}");

    stop_and_start_again(&rig, id).await;
    rig.end().await;
}

/// An ISO with one file, made by a tool that is not ours.
fn iso(path: PathBuf) -> Vec<u8> {
    let folder = path.with_extension("d");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file.txt"), "on the disc\n").unwrap();
    let made = Command::new("genisoimage")
        .args(["-quiet", "-R", "-o"])
        .arg(&path)
        .arg(&folder)
        .status()
        .unwrap();
    assert!(made.success());
    fs::read(path).unwrap()
}

async fn devices(rig: &Rig, id: Id) {
    let said = shell(rig, id, "ls -l /sys/bus/virtio/drivers/*/ | grep virtio").await;
    for driver in [
        "virtio_blk",
        "virtio_net",
        "virtio_rng",
        "virtio_balloon",
        "virtio_console",
    ] {
        assert!(said.contains(driver), "{driver}: {said}");
    }
    let said = shell(rig, id, "cat /sys/bus/pci/devices/*/class").await;
    // No VGA, no IDE, no SATA, no emulated network card.
    for class in ["0x0300", "0x0101", "0x0106"] {
        assert!(!said.contains(class), "{class}: {said}");
    }
    let said = shell(
        rig,
        id,
        "cat /sys/block/vda/serial /sys/block/vda/queue/discard_max_bytes",
    )
    .await;
    assert!(said.contains("root") && !said.contains("\n0\r"), "{said}");
    let said = shell(
        rig,
        id,
        "dd if=/dev/vdb bs=1 skip=32808 count=6 2>/dev/null; cat /sys/block/vdb/ro",
    )
    .await;
    assert!(said.contains("cidata") && said.contains('1'), "{said}");
}

async fn published(port: u16) {
    let answer = tokio::task::spawn_blocking(move || {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            match http(port) {
                Ok(answer) if answer.starts_with("HTTP/") => return answer,
                _ if std::time::Instant::now() > deadline => panic!("nobody answers on {port}"),
                _ => std::thread::sleep(std::time::Duration::from_millis(100)),
            }
        }
    });
    assert!(answer.await.unwrap().contains("200"));
}

/// The guest writes the header of a qcow2 image that names a file of the host onto its disk.
async fn header_on_a_raw_disk(rig: &Rig, id: Id) {
    let secret = rig.path("secret");
    fs::write(&secret, vec![b's'; 1 << 20]).unwrap();
    let evil = rig.path("evil");
    let made = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"])
        .arg(&secret)
        .arg(&evil)
        .status()
        .unwrap();
    assert!(made.success());
    let mut header = [0; 512];
    File::open(&evil).unwrap().read_exact(&mut header).unwrap();
    let bytes: String = header
        .iter()
        .map(|byte| format!("\\\\x{byte:02x}"))
        .collect();
    for (index, part) in bytes.as_bytes().chunks(5 * 64).enumerate() {
        let part = std::str::from_utf8(part).unwrap();
        let write = format!(
            "printf \"{part}\" | dd of=/dev/vda bs=64 seek={index} conv=notrunc 2>/dev/null"
        );
        shell(rig, id, &write).await;
    }
    let said = shell(rig, id, "sync; head -c 3 /dev/vda").await;
    assert!(said.contains("QFI"), "{said}");
}

async fn media(rig: &Rig, id: Id, disc: &str) {
    let mount = "mount -t iso9660 /dev/sr0 /mnt && cat /mnt/file.txt";
    let said = shell(rig, id, mount).await;
    assert!(!said.contains("on the disc"), "{said}");
    rig.machines.insert_media(id, disc, None).await.unwrap();
    inserted(rig, id, true).await;
    let deadline = std::time::Instant::now() + PATIENCE;
    while !shell(rig, id, mount).await.contains("on the disc\r") {
        assert!(
            std::time::Instant::now() < deadline,
            "the guest never saw the disc"
        );
    }
    shell(rig, id, "umount /mnt").await;
    rig.machines.eject_media(id, None).await.unwrap();
    inserted(rig, id, false).await;
    let said = shell(rig, id, mount).await;
    assert!(!said.contains("on the disc\r"), "{said}");
}

/// Waits until the disc's file is held by QEMU, or no more.
async fn inserted(rig: &Rig, id: Id, wanted: bool) {
    let pid = rig.vm(id).await.status.process.unwrap().pid;
    let holds = || {
        fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .flatten()
            .any(|file| {
                fs::read_link(file.path())
                    .is_ok_and(|path| path.to_string_lossy().contains("/media-"))
            })
    };
    let wait = async {
        while holds() != wanted {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("the drive is as wanted");
}

async fn stop_and_start_again(rig: &Rig, id: Id) {
    rig.machines.act(id, VmAction::Stop, None).await.unwrap();
    let vm = rig.until_phase(id, VmPhase::Stopped).await;
    assert_eq!(
        (cause(&vm), vm.spec.power),
        (ExitCause::Stopped, Power::Off)
    );
    let root = &vm.status.disks[0];
    assert_eq!(
        (root.image_format, root.size),
        (Some(Format::Raw), Size::mib(8))
    );

    let from = rig.machines.console(id).unwrap().end().unwrap();
    rig.machines.act(id, VmAction::Start, None).await.unwrap();
    rig.hear(id, from, "kinglet-tiny ready").await;
    let size = shell(rig, id, "cat /sys/block/vda/size; head -c 3 /dev/vda").await;
    assert!(size.contains("16384") && size.contains("QFI"), "{size}");
    let console = rig.machines.console(id).unwrap();
    let mut writer = console.claim_writer().await.unwrap();
    writer.send(b"poweroff -f\n").await.unwrap();
    let vm = rig.until_phase(id, VmPhase::Stopped).await;
    assert_eq!(
        (cause(&vm), vm.spec.power),
        (ExitCause::GuestShutdown, Power::Off)
    );
}
