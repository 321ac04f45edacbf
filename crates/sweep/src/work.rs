//! Work that runs no schedule of a plan by itself.

use crate::measure::{Failure, Measure, MeasureId, Reached};
use layerwise_transformer::{Batch, ModelConfig};

type Particulars<'a, I> = dyn Fn(&I) -> Vec<u32> + Sync + 'a;
type Read<'a, I, S> = dyn Fn(usize, &I) -> Result<S, Failure> + Sync + 'a;

/// A function of each item as a [`Measure`]: over a block of weights, a fold of a probe, a document to search.
///
/// It runs under [`Plan::plain`](crate::Plan::plain), once per item. The function captures whatever else it needs. If it takes
/// seconds, that is also the run's [`Runner`](crate::Runner), whose [`go_on`](crate::Runner::go_on) it calls now and then.
///
/// ```
/// use layerwise_sweep::{MeasureId, Plan, Runner, Work, WorkBytes};
/// use layerwise_transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 0);
/// let id = MeasureId::new("norms of neurons", 1);
/// let work = Work::new(id, WorkBytes::default(), |_, block: &usize| {
///     let outputs = model.neuron_outputs(*block);
///     Ok(outputs.iter().map(|value| value * value).sum::<f32>().sqrt())
/// });
/// let measured = Runner::new().measure(&model, &Plan::plain(model.stack())?, &work, &[0, 1, 2, 3])?;
/// assert!(measured.results.iter().all(|schedules| schedules[0] > 0.0)); // one number a block
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Work<'a, I, S> {
    id: MeasureId,
    unit: &'static str,
    title: &'static str,
    bytes: WorkBytes,
    read: Box<Read<'a, I, S>>,
    particulars: Box<Particulars<'a, I>>,
    fits: Box<dyn Fn(&S) -> bool + Sync + 'a>,
}

/// The largest number of bytes that one item of [`Work`] takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkBytes {
    /// While the item is read.
    pub reading: usize,
    /// What its result points to, besides the result itself.
    pub result: usize,
}

impl<'a, I, S> Work<'a, I, S> {
    /// `read` receives an item's index and the item, and takes at most `bytes`.
    pub fn new(
        id: MeasureId,
        bytes: WorkBytes,
        read: impl Fn(usize, &I) -> Result<S, Failure> + Sync + 'a,
    ) -> Self {
        Self {
            unit: "item",
            title: id.name,
            id,
            bytes,
            read: Box::new(read),
            particulars: Box::new(|_| Vec::new()),
            fits: Box::new(|_| true),
        }
    }

    /// Sets the names that users see: an item's, as `utterance`, and the work's.
    pub fn called(self, unit: &'static str, title: &'static str) -> Self {
        Self {
            unit,
            title,
            ..self
        }
    }

    /// Sets the numbers that an item's result depends on. They go into the key of a run, and their count is the item's weight.
    pub fn depending_on(self, particulars: impl Fn(&I) -> Vec<u32> + Sync + 'a) -> Self {
        Self {
            particulars: Box::new(particulars),
            ..self
        }
    }

    /// Sets the check that a result from a journal has the form that `read` gives it.
    pub fn fitting(self, fits: impl Fn(&S) -> bool + Sync + 'a) -> Self {
        Self {
            fits: Box::new(fits),
            ..self
        }
    }
}

impl<I: Sync, S: Clone + Send> Measure for Work<'_, I, S> {
    type Item = I;
    type Observer<'b>
        = ()
    where
        Self: 'b;
    type Reference = ();
    type Sums = S;

    fn id(&self) -> MeasureId {
        self.id.clone()
    }

    fn unit(&self) -> &'static str {
        self.unit
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn batch(&self, _: &I) -> Batch {
        Batch::default()
    }

    fn particulars(&self, item: &I) -> Vec<u32> {
        (self.particulars)(item)
    }

    fn weight(&self, item: &I) -> usize {
        self.particulars(item).len().max(1)
    }

    fn fits(&self, sums: &S) -> bool {
        (self.fits)(sums)
    }

    fn plain(&self, reached: &Reached<'_, I>, _: Option<()>) -> Result<((), S), Failure> {
        Ok(((), (self.read)(reached.index, reached.item)?))
    }

    /// A stop waits for one item and not for several.
    fn most_together(&self) -> usize {
        1
    }

    /// Never called: an item without tokens has no altered schedules.
    fn altered(&self, reached: &Reached<'_, I>, (): &()) -> Result<S, Failure> {
        (self.read)(reached.index, reached.item)
    }

    fn kept_bytes(&self, _: &ModelConfig, _: usize, _: usize) -> usize {
        self.bytes.result
    }

    fn reading_bytes(&self, _: &ModelConfig, _: usize) -> usize {
        self.bytes.reading
    }

    fn result_bytes(&self, _: &ModelConfig, items: &[I], _: usize) -> usize {
        items.len() * self.bytes.result
    }
}
