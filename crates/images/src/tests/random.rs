//! Random things done to a folder: afterwards the catalogue is what a fresh walk finds, and an image
//! is the same image for as long as its file is the same file.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Act {
    Create(u8, u8),
    Append(u8),
    Rename(u8, u8),
    Copy(u8, u8),
    Remove(u8),
    MoveFolder,
    Refresh,
}

fn act() -> impl Strategy<Value = Act> {
    let name = 0..8_u8;
    prop_oneof![
        3 => (name.clone(), any::<u8>()).prop_map(|(name, seed)| Act::Create(name, seed)),
        2 => name.clone().prop_map(Act::Append),
        4 => (name.clone(), name.clone()).prop_map(|(from, to)| Act::Rename(from, to)),
        1 => (name.clone(), name.clone()).prop_map(|(from, to)| Act::Copy(from, to)),
        2 => name.prop_map(Act::Remove),
        1 => Just(Act::MoveFolder),
        1 => Just(Act::Refresh),
    ]
}

/// Half of the names lie in a sub-folder.
fn place(root: &Path, name: u8) -> PathBuf {
    let folder = if name >= 4 {
        root.join("sub")
    } else {
        root.into()
    };
    folder.join(format!("f{name}.raw"))
}

/// What lies there: path to inode.
fn walk(root: &Path, below: &str, found: &mut BTreeMap<String, u64>) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        if entry.file_type().unwrap().is_dir() {
            walk(root, &path, found);
        } else {
            found.insert(path, entry.metadata().unwrap().ino());
        }
    }
}

async fn perform(shelf: &Shelf, act: &Act) {
    let root = shelf.folder.path();
    // Some of these are not possible at that moment; then nothing happens.
    let _ = match act {
        Act::Create(name, seed) => fs::write(place(root, *name), disk(*seed)),
        Act::Append(name) => {
            let file = File::options().append(true).open(place(root, *name));
            file.and_then(|mut file| std::io::Write::write_all(&mut file, &[1; 512]))
        }
        Act::Rename(from, to) => fs::rename(place(root, *from), place(root, *to)),
        // Onto itself would empty the file, and an empty one is damaged.
        Act::Copy(from, to) if from == to => Ok(()),
        Act::Copy(from, to) => fs::copy(place(root, *from), place(root, *to)).map(drop),
        Act::Remove(name) => fs::remove_file(place(root, *name)),
        Act::MoveFolder => {
            let _ = fs::rename(root.join("sub"), root.join("moved"));
            fs::rename(root.join("moved"), root.join("sub"))
        }
        Act::Refresh => {
            shelf.library.refresh().await.unwrap();
            Ok(())
        }
    };
}

/// Waits until the catalogue is what a fresh walk finds; which image each inode is.
async fn at_rest(shelf: &Shelf) -> BTreeMap<u64, Id> {
    let mut files = BTreeMap::new();
    walk(shelf.folder.path(), "", &mut files);
    let images = shelf
        .until(&format!("{files:?}"), |images| {
            let paths = images.iter().map(|image| image.spec.path.clone());
            let mut paths: Vec<_> = paths.collect();
            paths.sort();
            paths.iter().eq(files.keys())
                && images.iter().all(|image| {
                    image.status.phase == ImagePhase::Ready
                        && image.status.sha256.is_some()
                        // Opened only if it is the file, in the state, that was checked: not one
                        // of which the kernel has yet to tell.
                        && shelf.library.open_image(image).is_ok()
                })
        })
        .await;
    images
        .iter()
        .map(|image| (files[&image.spec.path], image.metadata.id))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 4, ..ProptestConfig::default() })]

    #[test]
    fn catalogue_is_what_a_fresh_walk_finds(
        before in proptest::collection::vec(act(), 1..12),
        renames in proptest::collection::vec((0..8_u8, 0..8_u8), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let shelf = Shelf::new();
            fs::create_dir(shelf.path("sub")).unwrap();
            for act in &before {
                perform(&shelf, act).await;
            }
            let ids = at_rest(&shelf).await;
            for (from, to) in &renames {
                perform(&shelf, &Act::Rename(*from, *to)).await;
            }
            for (inode, id) in at_rest(&shelf).await {
                assert_eq!(ids.get(&inode), Some(&id), "an image changed hands");
            }
            shelf.stop().await;
        });
    }
}
