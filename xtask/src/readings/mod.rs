//! Readings: what the plain model does on text, recorded as lines of the figures' tables.
//!
//! A reading goes over sequences in any order and on any number of threads, and puts what it gathered together in
//! corpus order, so that the same inputs give the same bits.

pub mod altered;
pub mod collapse;
pub mod notebook;
pub mod plain;
pub mod shift;

use layerwise::sweep::{Failure, MeasureId, Plan, Runner, Subject, Work};

/// The ending of tokens whose neurons are ranked and probed (B.10).
pub const ENDING: &str = "ing";

/// Runs `read` on every item and returns what it gives in the order of the items. Nothing is kept: what takes long is read
/// through a [`notebook::Notebook`].
///
/// # Errors
/// The first error of an item, or an interrupt.
pub fn over<'s, T: Sync, R: Clone + Send>(
    runner: &Runner<'_>,
    subject: impl Into<Subject<'s>>,
    items: &[T],
    read: impl Fn(usize, &T) -> anyhow::Result<R> + Sync,
) -> anyhow::Result<Vec<R>> {
    let subject = subject.into();
    let work = Work::new(MeasureId::new("work", 1), |index, item| {
        read(index, item).map_err(Failure::other)
    });
    let plan = Plan::plain(subject.model.stack())?;
    let measured = runner.measure_unkept(subject, &plan, &work, items)?;
    Ok(measured.into_plain())
}
