//! The VM manager's signatures, until its crate has them.
use bytes::Bytes;
use kinglet_model::problem::ProblemKind;
use kinglet_model::vm::VmAction;
use kinglet_model::{Id, Name, Problem, Revision, Vm, vm::VmSpec};
use std::collections::BTreeMap;

fn none<T>() -> Result<T, Problem> {
    Err(Problem::new(
        ProblemKind::Lacking,
        "vms-absent",
        "This build has no VM manager.",
    ))
}
#[derive(Clone)]
pub struct Machines;
pub struct UsageWatch;
#[derive(Clone)]
pub struct Console;
pub struct Writer;
impl Machines {
    pub async fn create(
        &self,
        _: Option<Name>,
        _: BTreeMap<String, String>,
        _: VmSpec,
    ) -> Result<Vm, Problem> {
        none()
    }
    pub async fn act(&self, _: Id, _: VmAction, _: Option<Revision>) -> Result<Vm, Problem> {
        none()
    }
    pub async fn insert_media(&self, _: Id, _: &str, _: Option<Revision>) -> Result<Vm, Problem> {
        none()
    }
    pub async fn eject_media(&self, _: Id, _: Option<Revision>) -> Result<Vm, Problem> {
        none()
    }
    pub async fn delete(&self, _: Id, _: Option<Revision>) -> Result<(), Problem> {
        none()
    }
    pub async fn console(&self, _: Id) -> Result<Console, Problem> {
        none()
    }
    pub fn watch_usage(&self) -> UsageWatch {
        UsageWatch
    }
}
impl Console {
    pub fn history(&self, _: Option<u64>, _: usize) -> std::io::Result<(u64, Bytes)> {
        Ok((0, Bytes::new()))
    }
    pub fn end(&self) -> std::io::Result<u64> {
        Ok(0)
    }
    pub fn last_screen(&self) -> std::io::Result<u64> {
        Ok(0)
    }
    pub fn follow(
        &self,
        _: u64,
    ) -> futures::stream::BoxStream<'static, std::io::Result<(u64, Bytes)>> {
        Box::pin(futures::stream::pending())
    }
    pub async fn claim_writer(&self) -> Result<Writer, String> {
        Err(String::new())
    }
    pub async fn steal_writer(&self) -> Result<Writer, String> {
        Err(String::new())
    }
}
impl Writer {
    pub async fn send(&mut self, _: &[u8]) -> Result<(), String> {
        Ok(())
    }
    pub async fn taken_over(&self) {}
}
#[derive(Clone)]
pub struct Library;
impl Library {
    pub async fn refresh(&self) -> Result<kinglet_model::image::RefreshReport, Problem> {
        none()
    }
    pub async fn check(&self, _: Id, _: Option<Revision>) -> Result<kinglet_model::Image, Problem> {
        none()
    }
    pub async fn delete(&self, _: Id, _: Option<Revision>) -> Result<(), Problem> {
        none()
    }
}
