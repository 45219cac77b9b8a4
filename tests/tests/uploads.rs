//! Uploads by other people's clients, by ours, and through whatever can interrupt them.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kinglet_tests::{Daemon, disks, until};
use sha2::{Digest, Sha256};

const TUS: &str = "Tus-Resumable: 1.0.0";

fn token(daemon: &Daemon) -> Result<String> {
    let text = fs::read_to_string(daemon.data().join("token"))?;
    Ok(text.trim().to_owned())
}

fn url(daemon: &Daemon, path: &str) -> String {
    format!("http://{}{path}", daemon.address())
}

/// A disk of `length` bytes that is no two times the same, a third of it zeros.
fn make(path: &Path, length: usize) -> Result<String> {
    let mut bytes = vec![0; length];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    bytes[length / 3..length / 3 * 2].fill(0);
    if length >= 512 {
        bytes[446..510].fill(0);
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    }
    fs::write(path, &bytes)?;
    Ok(sum(&bytes))
}

fn sum(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn file_sum(path: &Path) -> Result<String> {
    Ok(sum(&fs::read(path)?))
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// tus-js-client on Node.
fn tus_js(daemon: &Daemon, file: &Path, name: &str, chunk: usize, sha256: &str) -> Result<Command> {
    let script = clients().join("upload.mjs");
    ensure!(
        clients().join("node_modules/tus-js-client").is_dir(),
        "tus-js-client is not installed; run `npm ci` in tests/clients"
    );
    let mut command = Command::new("node");
    command
        .arg(script)
        .arg(file)
        .arg(url(daemon, "/v1/uploads"))
        .args([&token(daemon)?, name, &chunk.to_string(), sha256])
        .stdin(Stdio::null());
    Ok(command)
}

/// tuspy on Python.
fn tuspy(daemon: &Daemon, file: &Path, name: &str, chunk: usize) -> Result<Command> {
    let python =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-clients/venv/bin/python");
    ensure!(
        python.exists(),
        "tuspy is not installed; make {} and install tests/clients/requirements.txt in it",
        python.display()
    );
    let mut command = Command::new(python);
    command
        .arg(clients().join("upload.py"))
        .arg(file)
        .arg(url(daemon, "/v1/uploads"))
        .args([&token(daemon)?, name, &chunk.to_string()])
        .stdin(Stdio::null());
    Ok(command)
}

fn succeed(mut command: Command) -> Result<String> {
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// curl; the status and the body.
fn curl(daemon: &Daemon, arguments: &[&str], path: &str) -> Result<(u16, String)> {
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--write-out", "\n%{http_code}"])
        .args([
            "--header",
            &format!("Authorization: Bearer {}", token(daemon)?),
        ])
        .args(arguments)
        .arg(url(daemon, path));
    let text = succeed(command)?;
    let (body, status) = text.rsplit_once('\n').unwrap_or(("", &text));
    Ok((status.parse()?, body.to_owned()))
}

/// Announces an upload by hand; the status and the path of the upload.
fn announce(daemon: &Daemon, metadata: &str, length: u64) -> Result<(u16, String)> {
    let (status, text) = curl(
        daemon,
        &[
            "--include",
            "--request",
            "POST",
            "--header",
            TUS,
            "--header",
            &format!("Upload-Length: {length}"),
            "--header",
            &format!("Upload-Metadata: {metadata}"),
        ],
        "/v1/uploads",
    )?;
    let location = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location")
            .then(|| value.trim().to_owned())
    });
    Ok((status, location.unwrap_or(text)))
}

/// `filename` with this value, in Base64.
fn filename(name: &str) -> Result<String> {
    let mut child = Command::new("base64")
        .arg("--wrap=0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .context("no stdin")?
        .write_all(name.as_bytes())?;
    let output = child.wait_with_output()?;
    Ok(format!(
        "filename {}",
        String::from_utf8(output.stdout)?.trim()
    ))
}

fn send(daemon: &Daemon, upload: &str, offset: u64, bytes: &str) -> Result<(u16, String)> {
    let offset = format!("Upload-Offset: {offset}");
    curl(
        daemon,
        &[
            "--request",
            "PATCH",
            "--header",
            TUS,
            "--header",
            &offset,
            "--header",
            "Content-Type: application/offset+octet-stream",
            "--data-binary",
            bytes,
        ],
        upload,
    )
}

/// The image is whole, is the upload's, takes its place alone, and its zeros take no space.
fn arrived(daemon: &Daemon, name: &str, file: &str, sha256: &str) -> Result<()> {
    let image = daemon.image_in(name, "ready")?;
    ensure!(image["status"]["sha256"] == sha256, "{image:#}");
    let place = daemon.images().join(file);
    ensure!(file_sum(&place)? == sha256, "{file} is not what was sent");
    let metadata = fs::metadata(&place)?;
    ensure!(
        metadata.blocks() * 512 < metadata.len() * 4 / 5,
        "{file} has no holes: {} blocks for {} bytes",
        metadata.blocks(),
        metadata.len()
    );
    until("nothing to be left of its upload", || {
        let left = fs::read_dir(daemon.images().join(".kinglet-uploads"))?.count();
        Ok((left == 0).then_some(()))
    })
}

#[test]
fn other_peoples_clients_upload_unchanged() -> Result<()> {
    let daemon = Daemon::start()?;
    let source = daemon.scratch().join("source.img");
    let sha256 = make(&source, (5 << 20) + 25 * 512)?;
    let address = succeed(tus_js(&daemon, &source, "js.img", 1 << 20, &sha256)?)?;
    arrived(&daemon, "js", "js.img", &sha256)?;
    let image = daemon.image("js")?.context("no image")?;
    let id = image["metadata"]["id"].as_str().context("no id")?;
    ensure!(
        address.ends_with(&format!("/v1/uploads/{id}")),
        "{address} is not {id}"
    );
    succeed(tuspy(&daemon, &source, "py.img", 777_777)?)?;
    arrived(&daemon, "py", "py.img", &sha256)?;
    let (status, body) = curl(
        &daemon,
        &["--upload-file", source.to_str().context("path")?],
        "/v1/images/put.img/content",
    )?;
    ensure!(status == 201, "{status} {body}");
    ensure!(body.contains("\"kind\":\"Image\""), "{body}");
    arrived(&daemon, "put", "put.img", &sha256)?;
    // Again: nothing is overwritten, by any of them.
    let (status, body) = curl(
        &daemon,
        &["--upload-file", source.to_str().context("path")?],
        "/v1/images/put.img/content",
    )?;
    ensure!(
        status == 409 && body.contains("image-exists"),
        "{status} {body}"
    );
    ensure!(
        !tus_js(&daemon, &source, "js.img", 1 << 20, "")?
            .status()?
            .success()
    );
    // A whole that is not what was announced is thrown away.
    ensure!(
        !tus_js(&daemon, &source, "bad.img", 1 << 20, &"0".repeat(64))?
            .status()?
            .success()
    );
    until("the wrong one to be gone", || {
        Ok(daemon.image("bad")?.is_none().then_some(()))
    })?;
    ensure!(!daemon.images().join("bad.img").exists());
    Ok(())
}

/// Ends with whatever it is given to.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_hundred_kills_of_the_daemon_lose_and_change_no_byte() -> Result<()> {
    const KILLS: usize = 100;
    let mut daemon = Daemon::start()?;
    let source = daemon.scratch().join("source.img");
    let mut kills = 0;
    let mut number = 0;
    let mut seed = [0];
    while kills < KILLS {
        let sha256 = make(&source, 6 << 20)?;
        let (file, name) = (format!("k{number}.img"), format!("k{number}"));
        let mut command = tus_js(&daemon, &source, &file, 96 << 10, &sha256)?;
        let mut client = Running(command.stdout(Stdio::null()).spawn()?);
        loop {
            // The point at which it is killed must be a random one, so it is not waited for.
            File::open("/dev/urandom")?.read_exact(&mut seed)?;
            std::thread::sleep(Duration::from_millis(u64::from(seed[0] / 2)));
            if let Some(status) = client.0.try_wait()? {
                ensure!(status.success(), "{name}: {status}\n{}", daemon.log());
                break;
            }
            if kills < KILLS {
                daemon.kill()?;
                kills += 1;
                daemon.launch()?;
            }
        }
        arrived(&daemon, &name, &file, &sha256)?;
        fs::remove_file(daemon.images().join(&file))?;
        number += 1;
    }
    Ok(())
}

#[test]
fn the_command_line_goes_on_after_a_kill_and_after_its_own_end() -> Result<()> {
    let mut daemon = Daemon::start()?;
    let source = daemon.scratch().join("disk.img");
    let sha256 = make(&source, 150 << 20)?;
    let path = source.to_str().context("path")?;
    let mut command = daemon.command();
    let mut client = Running(
        command
            .args(["image", "upload", path])
            .stdin(Stdio::null())
            .spawn()?,
    );
    let started = |daemon: &Daemon| {
        let image = daemon.image("disk")?;
        let done = image.and_then(|image| image["status"]["progress"]["done"].as_u64());
        Ok(done.filter(|done| *done > 40 << 20))
    };
    until("some of it to be there", || started(&daemon))?;
    // The client is gone: what it sent stays, and is not given to a VM.
    client.0.kill()?;
    client.0.wait()?;
    let refused = daemon.cli(["vm", "create", "disk", "--name", "never"])?;
    ensure!(refused.code == 3, "{refused:?}");
    ensure!(
        refused.stderr.contains("still being uploaded"),
        "{refused:?}"
    );
    let refused = daemon.cli(["image", "rm", "disk", "--yes"])?;
    ensure!(refused.code == 3, "{refused:?}");
    let list = daemon.ok(["image", "ls"])?;
    ensure!(list.contains("uploading") && list.contains(" %"), "{list}");
    // Another file of that name and size is not its continuation.
    let other = daemon.scratch().join("other/disk.img");
    fs::create_dir(daemon.scratch().join("other"))?;
    make(&other, 150 << 20)?;
    let refused = daemon.cli(["image", "upload", other.to_str().context("path")?])?;
    ensure!(
        refused.code == 3 && refused.stderr.contains("another file"),
        "{refused:?}"
    );
    // The daemon is killed while it goes on; the same command gets over it.
    let mut command = daemon.command();
    let mut client = Running(
        command
            .args(["image", "upload", path])
            .stdin(Stdio::null())
            .spawn()?,
    );
    std::thread::sleep(Duration::from_millis(100));
    daemon.kill()?;
    daemon.launch()?;
    let status = client.0.wait()?;
    ensure!(status.success(), "{status}\n{}", daemon.log());
    arrived(&daemon, "disk", "disk.img", &sha256)
}

#[test]
fn an_upload_is_cancelled_from_the_command_line() -> Result<()> {
    let daemon = Daemon::start()?;
    let (status, upload) = announce(&daemon, &filename("c.img")?, 1 << 20)?;
    ensure!(status == 201, "{status} {upload}");
    daemon.image_in("c", "uploading")?;
    daemon.ok(["image", "cancel", "c"])?;
    ensure!(daemon.image("c")?.is_none());
    ensure!(fs::read_dir(daemon.images().join(".kinglet-uploads"))?.count() == 0);
    let (status, body) = send(&daemon, &upload, 0, "x")?;
    ensure!(status == 404, "{status} {body}");
    fs::write(daemon.images().join("d.img"), "not an upload")?;
    until("it to be seen", || daemon.image("d"))?;
    ensure!(daemon.cli(["image", "cancel", "d"])?.code == 3);
    Ok(())
}

#[test]
fn what_is_wrong_is_refused_with_the_status_that_clients_expect() -> Result<()> {
    let daemon = Daemon::start()?;
    for name in [
        "../evil.img",
        "/etc/evil.img",
        "a/b.img",
        ".evil.img",
        "..",
        "x.part",
        "SHA256SUMS",
    ] {
        let (status, body) = announce(&daemon, &filename(name)?, 10)?;
        ensure!(
            status == 400 && body.contains("upload-name"),
            "{name}: {status} {body}"
        );
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let (status, body) = curl(
            &daemon,
            &["--request", "PUT", "--path-as-is", "--data-binary", "x"],
            &format!("/v1/images/{encoded}/content"),
        )?;
        ensure!(status == 400, "{name}: {status} {body}");
    }
    let (status, upload) = announce(&daemon, &filename("a.img")?, 10)?;
    ensure!(status == 201, "{status} {upload}");
    let refusals = [
        (4, "hello", 409),
        (0, "hello, more than ten", 413),
        (99, "x", 409),
    ];
    for (offset, bytes, expected) in refusals {
        let (status, body) = send(&daemon, &upload, offset, bytes)?;
        ensure!(status == expected, "{offset} {bytes}: {status} {body}");
    }
    let sums = [
        ("sha256 AAAA", 400),
        ("md5 AAAA", 400),
        ("sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=", 460),
    ];
    for (sum, expected) in sums {
        let (status, body) = curl(
            &daemon,
            &[
                "--request",
                "PATCH",
                "--header",
                TUS,
                "--header",
                "Upload-Offset: 0",
                "--header",
                "Content-Type: application/offset+octet-stream",
                "--header",
                &format!("Upload-Checksum: {sum}"),
                "--data-binary",
                "hello",
            ],
            &upload,
        )?;
        ensure!(status == expected, "{sum}: {status} {body}");
    }
    let (status, body) = send(&daemon, &upload, 0, "hello")?;
    ensure!(status == 204, "{status} {body}");
    let (status, body) = curl(&daemon, &["--request", "PATCH"], &upload)?;
    ensure!(status == 412, "{status} {body}");
    let (status, _) = curl(&daemon, &["--request", "OPTIONS"], "/v1/uploads")?;
    ensure!(status == 204, "{status}");
    let (status, body) = curl(
        &daemon,
        &[
            "--header",
            "Transfer-Encoding: chunked",
            "--request",
            "PUT",
            "--data-binary",
            "x",
        ],
        "/v1/images/b.img/content",
    )?;
    ensure!(status == 411, "{status} {body}");
    // Nothing of a 0-byte image is there to be waited for.
    let (status, body) = announce(&daemon, &filename("zero.img")?, 0)?;
    ensure!(status == 201, "{status} {body}");
    let image = daemon.image_in("zero", "damaged")?;
    ensure!(image["status"]["fileSize"] == 0, "{image:#}");
    Ok(())
}

#[test]
fn a_second_writer_is_told_that_somebody_writes() -> Result<()> {
    let daemon = Daemon::start()?;
    let (_, upload) = announce(&daemon, &filename("two.img")?, 1 << 20)?;
    let mut stream = TcpStream::connect(daemon.address())?;
    write!(
        stream,
        "PATCH {upload} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{TUS}\r\n\
         Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n\
         Content-Length: 1000000\r\n\r\n",
        daemon.address(),
        token(&daemon)?
    )?;
    // Bytes keep coming, so that it never seems to have stalled.
    until("the second to be refused", || {
        stream.write_all(&[7; 1000])?;
        // At an offset that is wrong in any case, should it come before the first one.
        let (status, body) = send(&daemon, &upload, 5, "x")?;
        Ok((status == 423 && body.contains("upload-busy")).then_some(()))
    })?;
    // The first one is gone without a word: what it sent is there, and somebody else goes on.
    drop(stream);
    until("somebody else to go on", || {
        let image = daemon.image("two")?.context("it is gone")?;
        let offset = image["status"]["progress"]["done"].as_u64().unwrap_or(0);
        let (status, _) = send(&daemon, &upload, offset, "x")?;
        Ok((status == 204 && offset > 0).then_some(()))
    })
}

#[test]
fn a_put_that_is_cut_leaves_nothing() -> Result<()> {
    let daemon = Daemon::start()?;
    let mut stream = TcpStream::connect(daemon.address())?;
    write!(
        stream,
        "PUT /v1/images/cut.img/content HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 1000000\r\n\r\n",
        daemon.address(),
        token(&daemon)?
    )?;
    stream.write_all(&[7; 50_000])?;
    daemon.image_in("cut", "uploading")?;
    drop(stream);
    until("it to be gone", || {
        Ok(daemon.image("cut")?.is_none().then_some(()))
    })?;
    until("its bytes to be gone", || {
        let left = fs::read_dir(daemon.images().join(".kinglet-uploads"))?.count();
        Ok((left == 0).then_some(()))
    })
}

/// A file system of its own, of a few MiB.
struct Small(PathBuf);

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn space_is_taken_before_the_first_byte_and_refused_with_figures() -> Result<()> {
    let mut daemon = Daemon::start()?;
    let small = Small(daemon.scratch().join("small"));
    fs::create_dir(&small.0)?;
    let place = small.0.to_str().context("path")?;
    disks::run("mount", ["-t", "tmpfs", "-o", "size=16m", "none", place])
        .context("this test has to mount a file system, which only root may")?;
    let folder = format!("[[folder]]\nname = \"small\"\npath = \"{place}\"\n");
    fs::write(daemon.data().join("kinglet.toml"), folder)?;
    daemon.kill()?;
    daemon.launch()?;
    let metadata = |name: &str| -> Result<String> {
        let folder = filename("small")?.replacen("filename", "folder", 1);
        Ok(format!("{},{folder}", filename(name)?))
    };
    let (status, body) = announce(&daemon, &metadata("large.img")?, 16 << 20)?;
    ensure!(status == 507, "{status} {body}");
    ensure!(body.contains("MiB") && body.contains("reserved"), "{body}");
    ensure!(daemon.image("large")?.is_none());
    // Nine fit once: of the first not a byte has come, and yet its space is taken.
    let (status, body) = announce(&daemon, &metadata("one.img")?, 9 << 20)?;
    ensure!(status == 201, "{status} {body}");
    let (status, body) = announce(&daemon, &metadata("two.img")?, 9 << 20)?;
    ensure!(status == 507, "{status} {body}");
    daemon.ok(["image", "cancel", "one"])?;
    let (status, body) = announce(&daemon, &metadata("two.img")?, 9 << 20)?;
    ensure!(status == 201, "{status} {body}");
    Ok(())
}
