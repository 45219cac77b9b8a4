//! Resources: unique names, revisions, renames, several objects at once.

#![allow(clippy::unwrap_used, clippy::panic)]

use kinglet_model::{Metadata, Name, Resource};
use kinglet_registry::{
    Registry, Revision, Txn, TxnError,
    typed::{ResourceChange, TypedError, explain, object_key},
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Nest {
    metadata: Metadata,
    eggs: u32,
}

impl Resource for Nest {
    const KIND: &'static str = "Nest";
    const PLURAL: &'static str = "nests";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn nest(text: &str) -> Nest {
    Nest {
        metadata: Metadata::new(name(text)),
        eggs: 0,
    }
}

#[tokio::test]
async fn object_is_found_by_id_and_name_with_the_revision_of_its_last_change() {
    let registry = Registry::in_memory();
    let mut oak = nest("oak");
    registry.create(&mut oak).await.unwrap();
    assert_eq!(oak.metadata.revision, Revision(1));
    oak.eggs = 3;
    registry.update(&mut oak).await.unwrap();
    assert_eq!(oak.metadata.revision, Revision(2));
    assert_eq!(registry.fetch(oak.id()).await.unwrap(), Some(oak.clone()));
    assert_eq!(
        registry.fetch_by_name(&name("oak")).await.unwrap(),
        Some(oak.clone())
    );
    assert_eq!(
        registry.fetch_by_name::<Nest>(&name("elm")).await.unwrap(),
        None
    );
    registry.remove(&oak).await.unwrap();
    assert_eq!(registry.fetch::<Nest>(oak.id()).await.unwrap(), None);
    assert_eq!(registry.count("").await.unwrap(), 0);
}

#[tokio::test]
async fn name_is_unique_and_free_again_after_rename_and_removal() {
    let registry = Registry::in_memory();
    let (mut first, mut second) = (nest("oak"), nest("oak"));
    registry.create(&mut first).await.unwrap();
    let taken = registry.create(&mut second).await;
    assert!(
        matches!(taken, Err(TypedError::NameTaken { kind: "Nest", .. })),
        "{taken:?}"
    );
    assert_eq!(registry.fetch::<Nest>(second.id()).await.unwrap(), None);

    first.metadata.name = name("elm");
    registry.update(&mut first).await.unwrap();
    registry.create(&mut second).await.unwrap();
    assert_eq!(
        registry.fetch_by_name(&name("elm")).await.unwrap(),
        Some(first.clone())
    );
    second.metadata.name = name("elm");
    let taken = registry.update(&mut second).await;
    assert!(
        matches!(taken, Err(TypedError::NameTaken { .. })),
        "{taken:?}"
    );
    registry.remove(&first).await.unwrap();
    registry.update(&mut second).await.unwrap();
    assert_eq!(
        registry.fetch_by_name(&name("elm")).await.unwrap(),
        Some(second)
    );
    assert_eq!(registry.count("/names/").await.unwrap(), 1);
}

#[tokio::test]
async fn stale_object_is_refused_whatever_is_done_with_it() {
    let registry = Registry::in_memory();
    let mut oak = nest("oak");
    registry.create(&mut oak).await.unwrap();
    let mut stale = oak.clone();
    oak.metadata.name = name("elm");
    registry.update(&mut oak).await.unwrap();
    let found = oak.metadata.revision;
    for renamed in ["oak", "elm", "ash"] {
        stale.metadata.name = name(renamed);
        let update = registry.update(&mut stale).await;
        assert!(matches!(update, Err(TypedError::Stale { found: f, .. }) if f == found));
        let remove = registry.remove(&stale).await;
        assert!(matches!(remove, Err(TypedError::Stale { found: f, .. }) if f == found));
    }
    registry.remove(&oak).await.unwrap();
    assert!(matches!(
        registry.update(&mut oak).await,
        Err(TypedError::Missing { .. })
    ));
    assert!(matches!(
        registry.remove(&oak).await,
        Err(TypedError::Missing { .. })
    ));
}

#[tokio::test]
async fn several_objects_change_together_or_not_at_all() {
    let registry = Registry::in_memory();
    let (mut oak, elm) = (nest("oak"), nest("elm"));
    registry.create(&mut oak).await.unwrap();
    let mut stale = oak.clone();
    stale.metadata.revision = Revision(77);
    let refused = registry.txn(Txn::new().create(&elm).update(&stale)).await;
    let Err(error @ TxnError::Conflict { .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(matches!(explain(error, &stale), TypedError::Stale { .. }));
    assert_eq!(registry.fetch::<Nest>(elm.id()).await.unwrap(), None);
    let made = registry
        .txn(Txn::new().create(&elm).remove(&oak))
        .await
        .unwrap();
    let list = registry.list::<Nest>(None, 10).await.unwrap();
    assert_eq!(list.items.len(), 1);
    assert_eq!(list.items[0].metadata.revision, made.revision);
}

#[tokio::test]
async fn unreadable_entry_does_not_spoil_the_list() {
    let registry = Registry::in_memory();
    let mut nests: Vec<_> = (0..7).map(|n| nest(&format!("nest-{n}"))).collect();
    for nest in &mut nests {
        registry.create(nest).await.unwrap();
    }
    registry
        .txn(Txn::new().put(object_key::<Nest>(nests[2].id()), "{not json"))
        .await
        .unwrap();
    let mut seen = Vec::new();
    let (mut after, mut unreadable) = (None, 0);
    loop {
        let list = registry.list::<Nest>(after, 3).await.unwrap();
        seen.extend(list.items);
        unreadable += list.unreadable.len();
        after = list.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(unreadable, 1);
    nests.remove(2);
    assert_eq!(seen, nests);
    assert_eq!(registry.list_all::<Nest>().await.unwrap().items, nests);
}

#[tokio::test]
async fn watch_of_a_kind_tells_its_changes_and_not_those_of_the_names() {
    let registry = Registry::in_memory();
    let mut oak = nest("oak");
    registry.create(&mut oak).await.unwrap();
    let created = oak.clone();
    oak.eggs = 1;
    registry.update(&mut oak).await.unwrap();
    registry.remove(&oak).await.unwrap();
    let mut watch = registry.watch_kind::<Nest>(Revision(1));
    let mut next = async || watch.next().await.unwrap().unwrap();

    let (revision, changes) = next().await;
    assert_eq!((revision, changes.len()), (Revision(1), 1));
    assert!(
        matches!(&changes[0], ResourceChange::Put { object, previous: None } if *object == created)
    );
    let (_, changes) = next().await;
    let ResourceChange::Put {
        object,
        previous: Some(previous),
    } = &changes[0]
    else {
        panic!("{changes:?}")
    };
    assert_eq!((object, previous), (&oak, &created));
    let (revision, changes) = next().await;
    let ResourceChange::Removed { object } = &changes[0] else {
        panic!("{changes:?}")
    };
    assert_eq!((object.eggs, object.metadata.revision), (1, revision));
}
