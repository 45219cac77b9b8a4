//! Which installed packages are in a version that no archive offers: from backports that are no longer
//! configured, or from a file.

use anyhow::Result;

use crate::tool::{start, tool};

/// The strays among `names`, each as `name=version` of the newest that an archive offers.
pub fn strays(names: &[&'static str]) -> Result<Vec<String>> {
    let mut policy = tool("apt-cache")?;
    policy.arg("policy").args(names).env("LC_ALL", "C");
    let answer = start(&mut policy)?;
    Ok(told(&String::from_utf8_lossy(&answer.stdout)))
}

/// Reads what `apt-cache policy` prints: a block a package, and in its version table a line a version,
/// each followed by a line a source.
fn told(policy: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut package = Package::default();
    for line in policy.lines() {
        if !line.starts_with(' ') {
            found.extend(package.stray());
            package = Package::named(line);
        } else {
            package.read(line);
        }
    }
    found.extend(package.stray());
    found
}

/// A block as far as it was read.
#[derive(Default)]
struct Package<'a> {
    name: &'a str,
    /// The version whose sources are being read.
    version: &'a str,
    /// Whether it is the installed one.
    is_installed: bool,
    installed_is_offered: bool,
    has_installed: bool,
    offered: Option<&'a str>,
}

impl<'a> Package<'a> {
    fn named(line: &'a str) -> Self {
        Self {
            name: line.trim_end_matches(':'),
            ..Self::default()
        }
    }

    fn read(&mut self, line: &'a str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["***", version, _priority] => self.begin(version, true),
            // A source: its priority, and where it is.
            [_priority, place, ..] if place.contains("://") => {
                self.installed_is_offered |= self.is_installed;
                self.offered = self.offered.or(Some(self.version));
            }
            [_priority, "/var/lib/dpkg/status"] => {}
            [version, priority] if priority.parse::<i32>().is_ok() => self.begin(version, false),
            _ => {}
        }
    }

    fn begin(&mut self, version: &'a str, is_installed: bool) {
        self.version = version;
        self.is_installed = is_installed;
        self.has_installed |= is_installed;
    }

    fn stray(&self) -> Option<String> {
        let offered = self.offered?;
        (self.has_installed && !self.installed_is_offered)
            .then(|| format!("{}={offered}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "\
qemu-utils:
  Installed: 1:10.0.2+ds-2~bpo12+1
  Candidate: 1:10.0.2+ds-2~bpo12+1
  Version table:
 *** 1:10.0.2+ds-2~bpo12+1 100
        100 /var/lib/dpkg/status
     1:7.2+dfsg-7+deb12u18 500
        500 http://archive.example/debian bookworm/main amd64 Packages
     1:7.2+dfsg-7+deb12u15 500
        500 http://archive.example/debian-security bookworm-security/main amd64 Packages
qemu-system-x86:
  Installed: (none)
  Candidate: 1:7.2+dfsg-7+deb12u18
  Version table:
     1:7.2+dfsg-7+deb12u18 500
        500 http://archive.example/debian bookworm/main amd64 Packages
zstd:
  Installed: 1.5.4+dfsg2-5
  Candidate: 1.5.4+dfsg2-5
  Version table:
 *** 1.5.4+dfsg2-5 500
        500 http://archive.example/debian bookworm/main amd64 Packages
        100 /var/lib/dpkg/status
own-build:
  Installed: 1.0
  Candidate: 1.0
  Version table:
 *** 1.0 100
        100 /var/lib/dpkg/status
";

    #[test]
    fn only_what_an_archive_has_in_another_version_goes_back() {
        assert_eq!(told(POLICY), ["qemu-utils=1:7.2+dfsg-7+deb12u18"]);
    }

    #[test]
    fn nothing_told_is_nothing_found() {
        assert!(told("").is_empty());
        assert!(told("\n\n  \n***").is_empty());
    }
}
