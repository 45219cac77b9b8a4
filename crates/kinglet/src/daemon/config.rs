//! The daemon's configuration file (TOML). What is said on the command line comes before it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use kinglet_images::Folder;
use serde::Deserialize;

use crate::daemon::Settings;
use crate::failure::{Failure, Outcome};
use crate::places;

/// Its name in the data folder, where it is read without being named.
pub const NAME: &str = "kinglet.toml";

/// The configuration file.
///
/// ```toml
/// listen = "127.0.0.1:7480"       # or "none"
/// allow_remote = false            # accept an address that other machines can reach
/// hostnames = ["kinglet.lan"]     # further names by which browsers may call this machine
/// scan_interval = 3               # seconds; for folders in which changes are not seen
///
/// [[folder]]                      # watched beside <data>/images
/// name = "isos"
/// path = "/srv/isos"
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    listen: Option<Listen>,
    #[serde(default)]
    allow_remote: bool,
    #[serde(default)]
    hostnames: Vec<String>,
    scan_interval: Option<u64>,
    #[serde(default, rename = "folder")]
    folders: Vec<ConfigFolder>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFolder {
    name: String,
    path: PathBuf,
}

/// Where the page is served: an address, or nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Listen(Option<SocketAddr>);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self(None));
        }
        text.parse()
            .map(|address| Self(Some(address)))
            .map_err(|_| format!("{text:?} is not ADDRESS:PORT, such as 127.0.0.1:7480, or none"))
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// What the command line said.
#[derive(Debug)]
pub struct Said {
    pub data: PathBuf,
    pub socket: PathBuf,
    pub listen: Option<Listen>,
}

impl Config {
    /// Reads `file`, or the one in the data folder where it is there.
    pub fn read(file: Option<&Path>, data: &Path) -> Outcome<Self> {
        let path = file.map_or_else(|| data.join(NAME), Path::to_owned);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && file.is_none() => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(Failure::failed(format!(
                    "the configuration {} cannot be read ({error})",
                    path.display()
                )));
            }
        };
        toml::from_str(&text).map_err(|error| {
            Failure::failed(format!(
                "the configuration {} is wrong: {error}",
                path.display()
            ))
        })
    }

    /// What holds, with what the command line said before it.
    pub fn settle(self, said: Said) -> Outcome<Settings> {
        let Listen(listen) = match said.listen.or(self.listen) {
            Some(listen) => listen,
            None => places::LISTEN.parse().map_err(Failure::usage)?,
        };
        let scan_interval = self.scan_interval.unwrap_or(3);
        if !(1..=3600).contains(&scan_interval) {
            return Err(Failure::failed(
                "scan_interval is a number of seconds from 1 to 3600",
            ));
        }
        let mut folders = vec![Folder {
            name: "images".to_owned(),
            path: said.data.join("images"),
        }];
        for folder in self.folders {
            if !folder.path.is_absolute() {
                return Err(Failure::failed(format!(
                    "the path of folder {:?} has to begin with /",
                    folder.name
                )));
            }
            folders.push(Folder {
                name: folder.name,
                path: folder.path,
            });
        }
        Ok(Settings {
            listen,
            allow_remote: self.allow_remote,
            hostnames: self.hostnames,
            folders,
            scan_interval: Duration::from_secs(scan_interval),
            data: said.data,
            socket: said.socket,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(text: &str, listen: Option<&str>) -> Outcome<Settings> {
        let config: Config = toml::from_str(text).map_err(|e| Failure::failed(e.to_string()))?;
        config.settle(Said {
            data: "/d".into(),
            socket: "/s".into(),
            listen: listen.map(|text| text.parse().unwrap()),
        })
    }

    #[test]
    fn nothing_said_is_loopback_and_one_folder() {
        let settings = settle("", None).unwrap();
        assert_eq!(settings.listen.unwrap().to_string(), places::LISTEN);
        assert!(settings.listen.unwrap().ip().is_loopback());
        assert_eq!(settings.folders.len(), 1);
        assert_eq!(settings.folders[0].path, Path::new("/d/images"));
    }

    #[test]
    fn the_command_line_comes_before_the_file() {
        let text = "listen = \"127.0.0.1:1\"\nhostnames = [\"a\"]\n[[folder]]\nname = \"isos\"\npath = \"/srv\"\n";
        let settings = settle(text, Some("none")).unwrap();
        assert_eq!(settings.listen, None);
        assert_eq!(settings.hostnames, ["a"]);
        assert_eq!(settings.folders[1].name, "isos");
        assert_eq!(settle(text, None).unwrap().listen.unwrap().port(), 1);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "listem = \"127.0.0.1:1\"",
            "listen = \"localhost\"",
            "scan_interval = 0",
            "[[folder]]\nname = \"x\"\npath = \"relative\"\n",
            "[[folder]]\nname = \"x\"\n",
        ] {
            assert!(settle(text, None).is_err(), "{text}");
        }
    }

    #[test]
    fn a_named_file_must_be_there_and_the_usual_one_need_not() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            Config::read(None, folder.path()).unwrap(),
            Config::default()
        );
        let named = folder.path().join("x.toml");
        assert!(Config::read(Some(&named), folder.path()).is_err());
        std::fs::write(folder.path().join(NAME), "allow_remote = true").unwrap();
        assert!(Config::read(None, folder.path()).unwrap().allow_remote);
    }
}
