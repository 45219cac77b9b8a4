//! Outside programs: found by name, run with an argument array, their failure told in full.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

/// Where Debian puts programs. A login without root's profile, cron and `env -i` lack some of
/// these, and mke2fs or sfdisk live exactly there.
const SYSTEM_FOLDERS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Lines of a failed program's output that are repeated to the user.
const TAIL_LINES: usize = 15;

/// A command for the program `name`, with a PATH in which its own children find theirs too.
///
/// Fails when no such program is installed.
pub fn tool(name: &str) -> Result<Command> {
    let path = find(name).with_context(|| {
        format!("the program {name} is not installed; `cargo xtask setup` installs what is needed")
    })?;
    let mut command = Command::new(path);
    command.env("PATH", search_path()).env("LC_ALL", "C.UTF-8");
    Ok(command)
}

/// The file that `name` stands for: in PATH first, then where Debian puts programs.
pub fn find(name: &str) -> Option<PathBuf> {
    folders()
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| is_program(path))
}

/// Runs `command` with its output kept back; on failure the error ends with what it said last.
pub fn run(command: &mut Command) -> Result<()> {
    let output = start(command)?;
    if output.status.success() {
        return Ok(());
    }
    bail!(
        "{} failed ({}):\n{}",
        program(command),
        output.status,
        tail(&output)
    )
}

/// Runs `command` with its output on our stderr, for long ones whose progress people watch.
pub fn run_visibly(command: &mut Command) -> Result<()> {
    let stderr = std::io::stderr();
    let status = command
        .stdout(rustix::io::dup(&stderr).context("duplicating stderr")?)
        .status()
        .with_context(|| format!("{} could not be started", program(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", program(command));
    }
    Ok(())
}

/// What `command` printed, whatever its exit status.
pub fn start(command: &mut Command) -> Result<Output> {
    command
        .output()
        .with_context(|| format!("{} could not be started", program(command)))
}

fn folders() -> Vec<PathBuf> {
    let given = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&given)
        .filter(|folder| folder.is_absolute())
        .collect();
    for folder in SYSTEM_FOLDERS.map(PathBuf::from) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

/// A PATH with everything in it that Debian puts anywhere.
pub fn search_path() -> OsString {
    env::join_paths(folders()).unwrap_or_else(|_| SYSTEM_FOLDERS.join(":").into())
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn program(command: &Command) -> String {
    let path = Path::new(command.get_program());
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn tail(output: &Output) -> String {
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn find_knows_system_folders_that_path_lacks() {
        assert!(find("mke2fs").is_some_and(|path| path.is_absolute()));
        assert_eq!(find("no-such-program-here"), None);
    }

    #[test]
    fn run_reports_what_a_failed_program_said() {
        let error = run(tool("ls").unwrap().arg("/no/such/folder")).unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.starts_with("ls failed") && text.contains("/no/such/folder"),
            "{text}"
        );
    }

    #[test]
    fn missing_program_names_the_remedy() {
        let text = format!("{:#}", tool("no-such-program-here").unwrap_err());
        assert!(text.contains("no-such-program-here") && text.contains("xtask setup"));
    }
}
