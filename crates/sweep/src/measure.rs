//! The trait for what an engine measures.

use crate::error::SweepError;
use crate::grouping::MOST_ITEMS;
use layerwise_transformer::{Batch, Model, ModelConfig, Observer};
use ndarray::ArrayView2;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicBool, Ordering};

/// The name of a measure and the version of its numbers.
///
/// All fields go into the key of a run, so that a run never resumes a journal whose numbers mean something else.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MeasureId {
    /// The name, which also names the folder of its journals.
    pub name: &'static str,
    /// Changes when the meaning or the rounding of a number changes.
    pub version: u32,
    /// Everything else that the numbers depend on, besides the model, the schedules and the items.
    pub settings: String,
}

impl MeasureId {
    /// A measure without settings.
    pub fn new(name: &'static str, version: u32) -> Self {
        Self {
            name,
            version,
            settings: String::new(),
        }
    }

    /// The same measure with settings.
    pub fn with_settings(self, settings: impl Into<String>) -> Self {
        Self {
            settings: settings.into(),
            ..self
        }
    }
}

/// Something that is measured on a model, item by item, under the plain schedule and under altered ones.
///
/// A measure reduces the result of a run to a handful of numbers. Threads, prefix sharing, journals, shards, memory and
/// cancellation are the concern of the engine and the [`Runner`](crate::Runner).
///
/// For each *item* the engine runs the plain schedule, which an [`Observer`] may watch, and calls [`Measure::plain`] with the
/// last residual stream. It hands the [`Reference`](Measure::Reference) that this returns to [`Measure::altered`] for each
/// altered schedule that ends, in any order and on any thread.
/// Results must depend on the arguments alone, so that they have the same bits whatever the threads and shards.
///
/// An item without tokens is work that runs no schedule, such as a scan of a block's weights or a fold of a probe. The engine
/// calls [`Measure::plain`] for it with an empty stream.
/// ```
/// use layerwise_sweep::{Failure, Measure, MeasureId, Plan, Reached, Runner};
/// use layerwise_transformer::{Batch, Model, ModelConfig};
///
/// /// The length of the last state of each sequence.
/// struct Norm;
///
/// impl Norm {
///     fn of(reached: &Reached<'_, Vec<u32>>) -> f32 {
///         let last = reached.states.row(reached.states.nrows() - 1);
///         last.dot(&last).sqrt()
///     }
/// }
///
/// impl Measure for Norm {
///     type Item = Vec<u32>;
///     type Observer<'a> = ();
///     type Reference = ();
///     type Sums = f32;
///
///     fn id(&self) -> MeasureId {
///         MeasureId::new("norm", 1)
///     }
///
///     fn batch(&self, item: &Vec<u32>) -> Batch {
///         item.into()
///     }
///
///     fn plain(&self, reached: &Reached<'_, Vec<u32>>, _: Option<()>) -> Result<((), f32), Failure> {
///         Ok(((), Self::of(reached)))
///     }
///
///     fn altered(&self, reached: &Reached<'_, Vec<u32>>, _: &()) -> Result<f32, Failure> {
///         Ok(Self::of(reached))
///     }
/// }
///
/// let model = Model::random(ModelConfig::tiny(), 0);
/// let plan = Plan::new(model.stack(), &["scale(3,0.5)".parse()?], 1)?;
/// let measured = Runner::new().measure(&model, &plan, &Norm, &[vec![1, 2, 3], vec![4, 5]])?;
/// assert_eq!(measured.results.len(), 2); // items, each with one number for each schedule
/// assert_ne!(measured.results[0][0], measured.results[0][1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Measure: Sync {
    /// A unit of work: a sequence, a question with its answers, a window of words.
    type Item: Sync;
    /// Watches the plain run of an item; `()` if nothing is observed.
    type Observer<'a>: Observer
    where
        Self: 'a;
    /// The result of the plain run that the altered runs of the same item are compared with.
    type Reference: Send + Sync;
    /// The result of one schedule on one item. A journal stores it as JSON, which cannot represent NaN and infinities.
    type Sums: Clone + Send;

    /// The measure's name and version.
    fn id(&self) -> MeasureId;

    /// What an item is called, as `sequence`.
    fn unit(&self) -> &'static str {
        "item"
    }

    /// The name of the work that users see, such as an experiment's: `3 sequences of TITLE were finished`. By default the
    /// measure's name.
    fn title(&self) -> &'static str {
        self.id().name
    }

    /// The tokens that the model runs on: one sequence, or several with common beginnings, such as a question and its choices. An
    /// empty batch is work that runs no schedule.
    fn batch(&self, item: &Self::Item) -> Batch;

    /// The sequence that an item is paired with, from which `donor` takes values; it has the shape of the item's batch.
    fn donor(&self, item: &Self::Item) -> Option<Batch> {
        let _ = item;
        None
    }

    /// The smallest number of tokens that an item's batch may have.
    fn least_tokens(&self) -> usize {
        0
    }

    /// Everything that an item's results depend on besides its batch, as numbers; they go into the key of a run.
    fn particulars(&self, item: &Self::Item) -> Vec<u32> {
        let _ = item;
        Vec::new()
    }

    /// The work of an item, in any unit that is the same for all items; used for progress. By default its number of tokens.
    fn weight(&self, item: &Self::Item) -> usize {
        self.batch(item).rows().max(1)
    }

    /// The most items that the engine hands over together, from 1; results do not depend on it.
    fn most_together(&self) -> usize {
        MOST_ITEMS
    }

    /// The observer of an item's plain run.
    fn observer<'a>(
        &'a self,
        model: &'a Model,
        item: &'a Self::Item,
    ) -> Option<Self::Observer<'a>> {
        let _ = (model, item);
        None
    }

    /// Reads the end of the plain run; returns the reference for the altered runs, and the plain run's own result.
    ///
    /// `observed` is the observer that [`Measure::observer`] returned, after the run.
    ///
    /// # Errors
    /// A number is not finite, or the measure fails for another reason.
    fn plain(
        &self,
        reached: &Reached<'_, Self::Item>,
        observed: Option<Self::Observer<'_>>,
    ) -> Result<(Self::Reference, Self::Sums), Failure>;

    /// Reads the end of an altered run.
    ///
    /// # Errors
    /// As [`Measure::plain`].
    fn altered(
        &self,
        reached: &Reached<'_, Self::Item>,
        plain: &Self::Reference,
    ) -> Result<Self::Sums, Failure>;

    /// Reads the ends of the plain runs of several items that ran together; to the bit, the results are those of
    /// [`Measure::plain`] for each. A measure that computes products of its own, such as with the unembedding, can do so here for
    /// all items at once.
    ///
    /// # Errors
    /// As [`Measure::plain`], with the item's place among the given ones.
    fn plain_of_all<'a>(
        &'a self,
        reached: &[Reached<'_, Self::Item>],
        observed: Vec<Option<Self::Observer<'a>>>,
    ) -> Result<PlainResults<Self::Reference, Self::Sums>, (usize, Failure)> {
        let each = reached.iter().zip(observed).enumerate();
        each.map(|(at, (reached, observed))| {
            self.plain(reached, observed)
                .map_err(|failure| (at, failure))
        })
        .collect()
    }

    /// Reads the ends of the altered runs of several items that ran together, as [`Measure::altered`] reads each.
    ///
    /// # Errors
    /// As [`Measure::altered`], with the item's place among the given ones.
    fn altered_of_all(
        &self,
        reached: &[Reached<'_, Self::Item>],
        plain: &[Self::Reference],
    ) -> Result<Vec<Self::Sums>, (usize, Failure)> {
        let each = reached.iter().zip(plain).enumerate();
        each.map(|(at, (reached, plain))| {
            self.altered(reached, plain)
                .map_err(|failure| (at, failure))
        })
        .collect()
    }

    /// Called before an item's results are handed over, in whole or in part. Whatever the measure itself writes for the item and
    /// for the schedules read so far must be on disk when this returns.
    ///
    /// # Errors
    /// Writing fails; the run ends.
    fn settle(&self, index: usize) -> std::io::Result<()> {
        let _ = index;
        Ok(())
    }

    /// Whether a result from a journal has the form that this measure gives it.
    fn fits(&self, sums: &Self::Sums) -> bool {
        let _ = sums;
        true
    }

    /// The largest number of bytes that the measure holds for one item of `seq` tokens, from its plain run to its last schedule:
    /// its observer, its reference, and what its `Sums` of `schedules` schedules point to. The `Sums` themselves do not count. At
    /// most linear in `seq`.
    fn kept_bytes(&self, config: &ModelConfig, seq: usize, schedules: usize) -> usize {
        let _ = (config, seq, schedules);
        0
    }

    /// The largest number of bytes that reading one end of a run takes, for items of `seq` tokens together.
    fn reading_bytes(&self, config: &ModelConfig, seq: usize) -> usize {
        let _ = (config, seq);
        0
    }

    /// The largest number of bytes that the results of `items` under `schedules` schedules point to, besides the `Sums`
    /// themselves.
    fn result_bytes(&self, config: &ModelConfig, items: &[Self::Item], schedules: usize) -> usize {
        let _ = (config, items, schedules);
        0
    }

    /// The names of the statistics that have a mean over items.
    fn statistics(&self) -> &'static [&'static str] {
        &[]
    }

    /// The sum and the number of terms that an item's result adds to the mean of a statistic, which is one of
    /// [`Measure::statistics`].
    fn observations(&self, item: &Self::Item, sums: &Self::Sums, statistic: &str) -> (f64, u64) {
        let _ = (item, sums, statistic);
        (0.0, 0)
    }
}

/// The results of the plain runs of several items, in order: for each its reference and its own result.
pub type PlainResults<R, S> = Vec<(R, S)>;

/// The end of a run of one item under one schedule.
#[derive(Debug)]
#[non_exhaustive]
pub struct Reached<'a, I> {
    /// The model.
    pub model: &'a Model,
    /// The item.
    pub item: &'a I,
    /// The item's index in the run.
    pub index: usize,
    /// The item's tokens.
    pub batch: &'a Batch,
    /// The schedule's index in the plan; several if schedules are equal.
    pub schedules: &'a [usize],
    /// At the end of the plain run, the last residual stream of the item's donor under the plain schedule, \[seq, model\]; `None`
    /// for altered runs.
    pub donor: Option<ArrayView2<'a, f32>>,
    /// The last residual stream, \[seq, model\], which [`Model::final_norm`] reads; [`Batch::rows_of`] returns the rows of a
    /// segment.
    pub states: ArrayView2<'a, f32>,
    pub(crate) give_up: &'a AtomicBool,
}

impl<I> Reached<'_, I> {
    /// Whether the measure goes on reading; one that takes seconds calls this now and then.
    ///
    /// # Errors
    /// [`SweepError::GivenUp`] after the signal of [`Engine::give_up`](crate::Engine::give_up). A measure returns it as its
    /// failure, directly or as the source of another error; then the item is not finished, and nothing has failed.
    pub fn go_on(&self) -> Result<(), SweepError> {
        match self.give_up.load(Ordering::Relaxed) {
            true => Err(SweepError::GivenUp),
            false => Ok(()),
        }
    }
}

/// Why a measure fails.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// An output of the model is NaN or infinite; the engine finds where the first such value arises.
    NotFinite {
        /// The first such position.
        position: usize,
    },
    /// Any other reason.
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Failure {
    /// Any other reason.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// Whether the measure ended because [`Reached::go_on`] told it to.
    pub(crate) fn is_given_up(&self) -> bool {
        let mut next: Option<&(dyn std::error::Error + 'static)> = match self {
            Self::NotFinite { .. } => None,
            Self::Other(error) => Some(&**error),
        };
        while let Some(error) = next {
            if matches!(error.downcast_ref(), Some(SweepError::GivenUp)) {
                return true;
            }
            next = error.source();
        }
        false
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::other(error)
    }
}

/// A [`Measure`] with sums that a journal can store.
pub trait KeptMeasure: Measure<Sums: Serialize + DeserializeOwned> {}

impl<M: Measure<Sums: Serialize + DeserializeOwned>> KeptMeasure for M {}
