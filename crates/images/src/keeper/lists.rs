//! The lists of digests that lie in the folders, as they are now.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::os::fd::AsFd;

use kinglet_model::Digest;

use crate::amend::Expected;
use crate::fingerprint::Fingerprint;
use crate::folder::{FileStat, Root, open_file};
use crate::path::{RelPath, shown};
use crate::sums::{MAX_BYTES, parse};
use crate::watch::Place;

/// One list.
#[derive(Debug)]
pub(super) struct List {
    print: Fingerprint,
    digests: HashMap<Box<[u8]>, Digest>,
}

/// All lists, by directory and file name.
#[derive(Debug, Default)]
pub(super) struct Lists(HashMap<Place, BTreeMap<Box<[u8]>, List>>);

impl Lists {
    /// What the lists beside a file say about it.
    pub(super) fn expected(&self, place: &Place) -> Vec<Expected> {
        let Some(lists) = self.0.get(&directory(place)) else {
            return Vec::new();
        };
        let name = place.path.file_name();
        lists
            .iter()
            .filter_map(|(list, content)| {
                let digest = *content.digests.get(name)?;
                Some(Expected {
                    list: shown(list),
                    digest,
                })
            })
            .collect()
    }

    /// Which of the lists met in a scan of a folder have to be read: the new and the changed ones.
    pub(super) fn unread(&self, met: Vec<(Place, FileStat)>) -> Vec<Place> {
        met.into_iter()
            .filter(|(place, stat)| self.at(place).is_none_or(|list| list.print != stat.print))
            .map(|(place, _)| place)
            .collect()
    }

    /// The lists of a folder that were not met in a scan of it.
    pub(super) fn unmet(&self, folder: usize, met: &[(Place, FileStat)]) -> Vec<Place> {
        let met: HashSet<&Place> = met.iter().map(|(place, _)| place).collect();
        let of_folder = self
            .0
            .iter()
            .filter(|(directory, _)| directory.folder == folder);
        of_folder
            .flat_map(|(directory, lists)| {
                let path = |name: &[u8]| directory.path.child(name);
                lists.keys().map(move |name| Place {
                    folder,
                    path: path(name),
                })
            })
            .filter(|place| !met.contains(place))
            .collect()
    }

    /// Takes a list as it was read; `None`: it is gone. Tells the directory in which files may be
    /// judged differently now.
    pub(super) fn set(&mut self, place: &Place, list: Option<List>) -> Place {
        let directory = directory(place);
        let lists = self.0.entry(directory.clone()).or_default();
        match list {
            Some(list) => {
                lists.insert(Box::from(place.path.file_name()), list);
            }
            None => {
                lists.remove(place.path.file_name());
            }
        }
        if lists.is_empty() {
            self.0.remove(&directory);
        }
        directory
    }

    fn at(&self, place: &Place) -> Option<&List> {
        self.0.get(&directory(place))?.get(place.path.file_name())
    }
}

/// Reads a list. Blocking.
pub(super) fn read_list(roots: &[Root], place: &Place) -> Option<List> {
    let root = roots.get(place.folder)?.directory().ok()?;
    let file = open_file(root.as_fd(), &place.path).ok()?;
    let print = crate::folder::stat_open(file.as_fd()).ok()??.print;
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text).ok()?;
    Some(List {
        print,
        digests: parse(place.path.file_name(), &text),
    })
}

fn directory(place: &Place) -> Place {
    let path: RelPath = place.path.parent();
    Place {
        folder: place.folder,
        path,
    }
}
