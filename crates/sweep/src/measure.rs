//! What is measured of the models that an engine runs.

use layerwise_transformer::{Batch, Model, ModelConfig, Observer};
use ndarray::ArrayView2;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A name for a measure and a version of its numbers.
///
/// All of it goes into the key of a run, so that an old journal is not taken up by a measure that means something else.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MeasureId {
    /// The name, which is also that of the folder of its journals.
    pub name: &'static str,
    /// Changes when the meaning or the rounding of a number does.
    pub version: u32,
    /// What else the numbers depend on besides the model, the schedules and the items.
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

/// Something that is measured of a model, item by item, under the plain schedule and under altered ones.
///
/// A measure reduces what a run leaves to a handful of numbers; threads, prefix sharing, journals, shards, memory and
/// cancellation are the engine's and the [`Runner`](crate::Runner)'s.
///
/// For each *item* the engine runs the plain schedule, on whose way an [`Observer`] may watch, and calls
/// [`Measure::plain`] with the last residual stream.
/// The [`Reference`](Measure::Reference) that this leaves is handed to [`Measure::altered`] for each altered schedule
/// that ends, in any order and on any thread.
/// What comes back must depend on the arguments alone: results are the same bits whatever the threads and shards.
///
/// An item without tokens is work that runs no schedule, as a block of weights that is looked at, or a fold of a probe:
/// it has [`Measure::plain`] called with an empty stream.
///
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
    /// A unit of work: a sequence, a question with its answer, a window of words.
    type Item: Sync;
    /// Watches the plain run of an item; `()` where nothing is observed.
    type Observer<'a>: Observer
    where
        Self: 'a;
    /// What the plain run leaves for the altered ones of the same item.
    type Reference: Send + Sync;
    /// What one schedule leaves of one item. A journal takes it up as JSON, which has no number for NaN and infinities.
    type Sums: Clone + Send;

    /// What it is called and which version of it this is.
    fn id(&self) -> MeasureId;

    /// What an item is called, as `sequence`.
    fn unit(&self) -> &'static str {
        "item"
    }

    /// What users know the work by, as the name of an experiment: `3 sequences of TITLE were finished`. By default its name.
    fn title(&self) -> &'static str {
        self.id().name
    }

    /// The tokens that the model is run on: one sequence, or several that share what they have in common, as a question and
    /// its choices; an empty batch for work that runs no schedule.
    fn batch(&self, item: &Self::Item) -> Batch;

    /// The sequence that an item is paired with, from which `donor` takes values; of the same shape as the item's batch.
    fn donor(&self, item: &Self::Item) -> Option<Batch> {
        let _ = item;
        None
    }

    /// The fewest tokens that an item's batch may have.
    fn least_tokens(&self) -> usize {
        0
    }

    /// What an item's results depend on besides its batch, as numbers; they go into the key of a run.
    fn particulars(&self, item: &Self::Item) -> Vec<u32> {
        let _ = item;
        Vec::new()
    }

    /// Work that an item takes, in any unit that is the same for all items; shown as progress. By default its tokens.
    fn weight(&self, item: &Self::Item) -> usize {
        self.batch(item).rows().max(1)
    }

    /// What watches the plain run of an item.
    fn observer<'a>(
        &'a self,
        model: &'a Model,
        item: &'a Self::Item,
    ) -> Option<Self::Observer<'a>> {
        let _ = (model, item);
        None
    }

    /// Reads the end of the plain run: what it leaves for the altered ones, and its own result.
    ///
    /// `observed` is what [`Measure::observer`] gave, after the run.
    ///
    /// # Errors
    /// Numbers that are not finite, or whatever else the measure cannot go on with.
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

    /// Reads the end of the plain run of several items that were run together, as [`Measure::plain`] reads each: to the bit
    /// the same results. A measure that runs products of its own, as with the unembedding, has them for all items at once here.
    ///
    /// # Errors
    /// As [`Measure::plain`], with the item's place among those given.
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

    /// Reads the end of an altered run of several items that were run together, as [`Measure::altered`] reads each.
    ///
    /// # Errors
    /// As [`Measure::altered`], with the item's place among those given.
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

    /// Called before an item's results are handed over, whole or in parts: what the measure writes elsewhere of the item, and of
    /// the schedules that have been read, is on the disk when this returns.
    ///
    /// # Errors
    /// It cannot be written; the run ends.
    fn settle(&self, index: usize) -> std::io::Result<()> {
        let _ = index;
        Ok(())
    }

    /// Whether a result that a journal kept has the form that this measure gives it.
    fn fits(&self, sums: &Self::Sums) -> bool {
        let _ = sums;
        true
    }

    /// The most bytes that it keeps of one item of `seq` tokens from its plain run to its last schedule, besides the `Sums`
    /// of `schedules` schedules themselves: its observer, its reference, what its `Sums` point to. At most linear in `seq`.
    fn kept_bytes(&self, config: &ModelConfig, seq: usize, schedules: usize) -> usize {
        let _ = (config, seq, schedules);
        0
    }

    /// The most bytes that reading one end of a run takes, of items of `seq` tokens together.
    fn reading_bytes(&self, config: &ModelConfig, seq: usize) -> usize {
        let _ = (config, seq);
        0
    }

    /// The most bytes that the results of `items` under `schedules` schedules point to, besides the `Sums` themselves.
    fn result_bytes(&self, config: &ModelConfig, items: &[Self::Item], schedules: usize) -> usize {
        let _ = (config, items, schedules);
        0
    }

    /// The names of the statistics that have a mean over items.
    fn statistics(&self) -> &'static [&'static str] {
        &[]
    }

    /// The sum and the number of terms that an item's result adds to the mean of a statistic, one of
    /// [`Measure::statistics`].
    fn observations(&self, item: &Self::Item, sums: &Self::Sums, statistic: &str) -> (f64, u64) {
        let _ = (item, sums, statistic);
        (0.0, 0)
    }
}

/// What plain runs of several items leave, in their order: for each the reference and the result.
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
    /// The schedule's index in the plan; several where schedules are equal.
    pub schedules: &'a [usize],
    /// The last residual stream of the item's donor under the plain schedule, \[seq, model\], at the end of the plain run; of
    /// altered ones there is none.
    pub donor: Option<ArrayView2<'a, f32>>,
    /// The last residual stream, \[seq, model\], which [`Model::final_norm`] reads; [`Batch::rows_of`] says which of its rows
    /// are a segment's.
    pub states: ArrayView2<'a, f32>,
}

/// Why a measure cannot go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// What the model gives at a position is NaN or infinite; the engine finds out where that begins.
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
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::other(error)
    }
}

/// A [`Measure`] whose sums a journal can keep.
pub trait KeptMeasure: Measure<Sums: Serialize + DeserializeOwned> {}

impl<M: Measure<Sums: Serialize + DeserializeOwned>> KeptMeasure for M {}
