//! The plain model on a text: one forward pass a sequence, of which experiments sum up activations as they come.
//!
//! Experiments declare [`Observation`]s; the pass makes all of them at once, and a journal keeps what they leave of each
//! sequence.

use super::error::{ExperimentError, Place};
use super::subject::Runs;
use layerwise_sweep::{Counted, Failure, Measure, MeasureId, Reached};
use layerwise_transformer::{Address, Batch, Model, ModelConfig, Observer};
use ndarray::ArrayViewD;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// What is summed up while the plain model runs on a sequence.
pub trait Observation: Sync {
    /// Its name, which stands for all that it depends on: observations of one name are made once.
    fn id(&self) -> &'static str;

    /// Watches a sequence, given its index in the text.
    fn begin<'m>(&self, model: &'m Model, sequence: usize) -> Box<dyn Watch + 'm>;

    /// Whether what a journal holds of a sequence has the form that the observation leaves.
    fn fits(&self, left: &Value, layers: usize) -> bool;

    /// The most bytes that what it leaves of a sequence takes.
    fn left_bytes(&self, config: &ModelConfig) -> usize {
        /// A dozen [sums](super::sum::Sum) of a block, as JSON in memory.
        const BLOCK: usize = 3 << 10;
        (config.layers + 1) * BLOCK
    }

    /// The most bytes that it holds while it watches a sequence of `seq` tokens.
    fn bytes(&self, config: &ModelConfig, seq: usize) -> usize {
        let _ = (config, seq);
        0
    }
}

/// Watches one sequence.
pub trait Watch: Observer {
    /// What is left of the sequence, for the journal.
    ///
    /// # Errors
    /// Numbers that are not finite.
    fn finish(self: Box<Self>) -> Result<Value, ExperimentError>;
}

/// What observations left of a text.
#[derive(Default)]
pub struct Observed {
    /// `None` where nothing was observed.
    sequences: Option<Counted<Vec<Sequence>>>,
}

/// What is left of one sequence, by the names of the observations.
type Sequence = BTreeMap<String, Value>;

impl Observed {
    /// How many sequences the text has.
    pub fn sequences(&self) -> u64 {
        self.each().len() as u64
    }

    /// What an observation left, in the order of the text; nothing if it was not made.
    ///
    /// # Errors
    /// None: the form was checked when it was read.
    pub fn of<T: DeserializeOwned>(
        &self,
        observation: &dyn Observation,
    ) -> Result<Vec<T>, ExperimentError> {
        let own = self.each().iter();
        own.filter_map(|sequence| sequence.get(observation.id()))
            .map(|left| Ok(T::deserialize(left)?))
            .collect()
    }

    fn each(&self) -> &[Sequence] {
        self.sequences.as_deref().map_or(&[][..], Vec::as_slice)
    }
}

/// Puts a model through sequences under some observations.
///
/// # Errors
/// A sequence that does not fit the model, numbers that are not finite, a journal that cannot be used, or an interrupt; of a
/// share [`ExperimentError::ShareFinished`].
pub fn observe(
    runs: &Runs<'_>,
    sequences: &[Vec<u32>],
    observations: &[&dyn Observation],
) -> Result<Observed, ExperimentError> {
    let mut once: BTreeMap<&str, &dyn Observation> = BTreeMap::new();
    for observation in observations {
        once.insert(observation.id(), *observation);
    }
    let plain = Plain {
        observations: once.into_values().collect(),
        layers: runs.model.model.config().layers,
    };
    let items = sequences.iter().enumerate();
    let items: Vec<Item<'_>> = items
        .map(|(index, tokens)| Item { index, tokens })
        .collect();
    Ok(Observed {
        sequences: Some(runs.plain(&plain, &items)?),
    })
}

/// Refuses the end of a run that is not finite: what is not finite anywhere is not finite in the end; sums may hide it.
///
/// # Errors
/// [`Failure::NotFinite`].
pub fn check_finite<I>(reached: &Reached<'_, I>) -> Result<(), Failure> {
    let mut rows = reached.states.outer_iter();
    match rows.position(|row| !row.iter().all(|value| value.is_finite())) {
        Some(position) => Err(Failure::NotFinite { position }),
        None => Ok(()),
    }
}

/// A sequence with its index in the text.
#[derive(Clone, Copy)]
struct Item<'s> {
    index: usize,
    tokens: &'s [u32],
}

/// The observations as a measure.
struct Plain<'s> {
    observations: Vec<&'s dyn Observation>,
    layers: usize,
}

/// All observations of one sequence.
struct Watchers<'m> {
    watchers: Vec<(&'static str, Box<dyn Watch + 'm>)>,
}

impl Observer for Watchers<'_> {
    fn wants(&self, address: Address) -> bool {
        self.watchers.iter().any(|(_, watch)| watch.wants(address))
    }

    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>) {
        for (_, watch) in &mut self.watchers {
            if watch.wants(address) {
                watch.observe(address, activation.view());
            }
        }
    }
}

impl<'s> Measure for Plain<'s> {
    type Item = Item<'s>;
    type Observer<'a>
        = Watchers<'a>
    where
        Self: 'a;
    type Reference = ();
    type Sums = Sequence;

    fn id(&self) -> MeasureId {
        let ids: Vec<&str> = self.observations.iter().map(|o| o.id()).collect();
        MeasureId::new("plain", 1).with_settings(ids.join(" "))
    }

    fn unit(&self) -> &'static str {
        "sequence"
    }

    fn title(&self) -> &'static str {
        "the plain pass"
    }

    fn batch(&self, item: &Item<'s>) -> Batch {
        Batch::from(item.tokens)
    }

    fn observer<'a>(&'a self, model: &'a Model, item: &'a Item<'s>) -> Option<Watchers<'a>> {
        let watchers = self.observations.iter().map(|observation| {
            let watch: Box<dyn Watch + 'a> = observation.begin(model, item.index);
            (observation.id(), watch)
        });
        Some(Watchers {
            watchers: watchers.collect(),
        })
    }

    fn plain(
        &self,
        reached: &Reached<'_, Item<'s>>,
        observed: Option<Watchers<'_>>,
    ) -> Result<((), Sequence), Failure> {
        check_finite(reached)?;
        let mut sequence = Sequence::new();
        for (id, watch) in observed.into_iter().flat_map(|observed| observed.watchers) {
            let left = watch.finish();
            sequence.insert(id.to_owned(), left.at(|| id.to_owned())?);
        }
        Ok(((), sequence))
    }

    /// Never called: there are no altered schedules.
    fn altered(&self, _: &Reached<'_, Item<'s>>, (): &()) -> Result<Sequence, Failure> {
        Ok(Sequence::default())
    }

    fn fits(&self, sequence: &Sequence) -> bool {
        let fits = |o: &&dyn Observation| {
            let left = sequence.get(o.id());
            left.is_some_and(|left| o.fits(left, self.layers))
        };
        sequence.len() == self.observations.len() && self.observations.iter().all(fits)
    }

    fn kept_bytes(&self, config: &ModelConfig, seq: usize, _: usize) -> usize {
        let each = self.observations.iter();
        let bytes = each.map(|o| o.bytes(config, seq) + o.left_bytes(config));
        bytes.sum()
    }

    fn result_bytes(&self, config: &ModelConfig, items: &[Item<'s>], _: usize) -> usize {
        let each = self.observations.iter();
        items.len() * each.map(|o| o.left_bytes(config)).sum::<usize>()
    }
}
