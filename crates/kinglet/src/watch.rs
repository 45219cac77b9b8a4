//! Waiting for an object to come to where it should be, by the event stream.

use std::time::Duration;

use kinglet_client::{Client, ClientError, EventStream, StreamItem};
use kinglet_model::event::{Event, LiveEvent, Object};
use kinglet_model::{Id, Image, Progress, Vm};

use crate::failure::{Code, Failure, Outcome};
use crate::output::progress::Waiting;

/// How long nothing may be heard of an object before it is looked at again. The stream tells every
/// change; this is for what settled before it was watched.
const QUIET: Duration = Duration::from_secs(5);

/// What was heard of the object that is watched.
enum News<T> {
    Now(Box<T>),
    Progress(Option<Progress>),
    Gone,
    LookAgain,
}

/// Waits until `done` says so of the image, showing how far it is.
pub async fn image(
    client: &Client,
    mut image: Image,
    waiting: &Waiting,
    done: impl Fn(&Image) -> bool,
) -> Outcome<Image> {
    let id = image.metadata.id;
    let mut events = client.events(Some(image.metadata.revision), true);
    while !done(&image) {
        let what = format!("Image {} is {}", image.metadata.name, image.status.phase);
        waiting.show_bytes(&what, image.status.progress.as_ref());
        match news(&mut events, id, as_image).await? {
            News::Now(now) => image = *now,
            News::Progress(progress) => image.status.progress = progress,
            News::Gone => return Err(gone("image", image.metadata.name.as_str())),
            News::LookAgain => image = client.image(&id.to_string()).await?,
        }
    }
    Ok(image)
}

/// Waits until `done` says so of a state of the VM that came after `vm`, or of `vm` itself where it
/// stays as it is.
pub async fn vm(
    client: &Client,
    mut vm: Vm,
    waiting: &Waiting,
    done: impl Fn(&Vm) -> bool,
) -> Outcome<Vm> {
    let id = vm.metadata.id;
    let mut events = client.events(Some(vm.metadata.revision), true);
    loop {
        let mut what = format!("VM {} is {}", vm.metadata.name, vm.status.phase);
        if let Some(reason) = &vm.status.reason {
            what = format!("{what}: {reason}");
        }
        waiting.show_steps(&what, vm.status.progress.as_ref());
        match news(&mut events, id, as_vm).await? {
            News::Now(now) => vm = *now,
            News::Progress(progress) => {
                vm.status.progress = progress;
                continue;
            }
            News::Gone => return Err(gone("VM", vm.metadata.name.as_str())),
            News::LookAgain => vm = client.vm(&id.to_string()).await?,
        }
        if done(&vm) {
            return Ok(vm);
        }
    }
}

/// Waits until the VM is no more.
pub async fn vm_gone(client: &Client, vm: &Vm) -> Outcome {
    let id = vm.metadata.id;
    let mut events = client.events(Some(vm.metadata.revision), false);
    loop {
        match news(&mut events, id, as_vm).await? {
            News::Gone => return Ok(()),
            News::Now(_) | News::Progress(_) => {}
            News::LookAgain => match client.vm(&id.to_string()).await {
                Ok(_) => {}
                Err(error) => {
                    return match Failure::from(error) {
                        failure if failure.code() == Code::NotFound => Ok(()),
                        failure => Err(failure),
                    };
                }
            },
        }
    }
}

async fn news<T>(
    events: &mut EventStream,
    id: Id,
    taken: fn(Object) -> Option<(Id, Box<T>)>,
) -> Result<News<T>, ClientError> {
    loop {
        let Ok(next) = tokio::time::timeout(QUIET, events.next()).await else {
            return Ok(News::LookAgain);
        };
        match next.transpose()? {
            Some(StreamItem::Event(Event::Put { object, .. })) => {
                if let Some((_, now)) = taken(object).filter(|(other, _)| *other == id) {
                    return Ok(News::Now(now));
                }
            }
            Some(StreamItem::Event(Event::Delete { id: other, .. })) if other == id => {
                return Ok(News::Gone);
            }
            Some(StreamItem::Live(LiveEvent::Progress {
                id: other,
                progress,
                ..
            })) if other == id => return Ok(News::Progress(progress)),
            Some(StreamItem::Event(Event::Reset { .. })) | None => return Ok(News::LookAgain),
            Some(_) => {}
        }
    }
}

fn as_image(object: Object) -> Option<(Id, Box<Image>)> {
    match object {
        Object::Image(image) => Some((image.metadata.id, image)),
        Object::Vm(_) | Object::Host(_) => None,
    }
}

fn as_vm(object: Object) -> Option<(Id, Box<Vm>)> {
    match object {
        Object::Vm(vm) => Some((vm.metadata.id, vm)),
        Object::Image(_) | Object::Host(_) => None,
    }
}

fn gone(kind: &str, name: &str) -> Failure {
    Failure::new(
        Code::NotFound,
        format!("{kind} {name} was deleted while it was waited for"),
    )
}
