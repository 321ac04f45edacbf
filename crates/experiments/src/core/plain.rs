//! The plain model on a text: one forward pass a sequence, of which experiments sum up activations as they come.
//!
//! Experiments declare [`Observation`]s; the pass makes all of them at once. What an observation leaves of a sequence is
//! kept in a journal, or, where it is too large for that, made again for the sequences that a journal has.

use super::error::{ExperimentError, Place};
use super::subject::Runs;
use layerwise_sweep::{Failure, Held, Measure, MeasureId, Plan, Reached};
use layerwise_transformer::{Address, Batch, Model, ModelConfig, Observer};
use ndarray::ArrayViewD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is summed up while the plain model runs on a sequence.
pub trait Observation: Sync {
    /// Its name, which stands for all that it depends on: observations of one name are made once.
    fn id(&self) -> &'static str;

    /// Watches a sequence, given its index in the text.
    fn begin<'m>(&self, model: &'m Model, sequence: usize) -> Box<dyn Watch + 'm>;

    /// Whether what a journal holds of a sequence has the form that the observation leaves; `None` where nothing is kept.
    fn fits(&self) -> Option<fn(&Value, layers: usize) -> bool>;

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
    /// What is left of the sequence.
    ///
    /// # Errors
    /// Numbers that are not finite.
    fn finish(self: Box<Self>) -> Result<Left, ExperimentError>;
}

/// What an observation leaves of a sequence.
#[derive(Clone)]
pub enum Left {
    /// Sums that are kept.
    Kept(Value),
    /// What is too large to be kept.
    Loose(Arc<dyn Any + Send + Sync>),
}

impl Left {
    /// Sums that are kept.
    ///
    /// # Errors
    /// None: sums can be written down.
    pub fn kept(sums: impl Serialize) -> Result<Self, ExperimentError> {
        Ok(Self::Kept(serde_json::to_value(sums)?))
    }
}

/// What observations left of a text.
#[derive(Default)]
pub struct Observed {
    sequences: Vec<Sequence>,
    _memory: Vec<Arc<Held>>,
}

/// What is left of one sequence, by the names of the observations.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Sequence {
    #[serde(flatten)]
    kept: BTreeMap<String, Value>,
    #[serde(skip)]
    loose: BTreeMap<&'static str, Arc<dyn Any + Send + Sync>>,
}

impl Observed {
    /// How many sequences the text has.
    pub fn sequences(&self) -> u64 {
        self.sequences.len() as u64
    }

    /// What an observation left that is kept, in the order of the text; nothing if it was not made.
    ///
    /// # Errors
    /// None: the form was checked when it was read.
    pub fn kept<T: DeserializeOwned>(
        &self,
        observation: &dyn Observation,
    ) -> Result<Vec<T>, ExperimentError> {
        let own = self.sequences.iter();
        own.filter_map(|sequence| sequence.kept.get(observation.id()))
            .map(|sums| Ok(T::deserialize(sums)?))
            .collect()
    }

    /// What an observation left that is too large to be kept, in the order of the text.
    pub fn loose<T: 'static>(&self, observation: &dyn Observation) -> Vec<&T> {
        let own = self.sequences.iter();
        own.filter_map(|sequence| sequence.loose.get(observation.id())?.downcast_ref())
            .collect()
    }
}

/// Puts a model through sequences under some observations; returns what the user should know besides.
///
/// # Errors
/// A sequence that does not fit the model, numbers that are not finite, a journal that cannot be used, or an interrupt.
pub fn observe(
    runs: &Runs<'_>,
    sequences: &[Vec<u32>],
    observations: &[&dyn Observation],
) -> Result<(Observed, Vec<String>), ExperimentError> {
    let mut once: BTreeMap<&str, &dyn Observation> = BTreeMap::new();
    for observation in observations {
        once.insert(observation.id(), *observation);
    }
    let layers = runs.model.model.config().layers;
    let all = Plain {
        observations: once.into_values().collect(),
        layers,
    };
    let loose = Plain {
        observations: all
            .observations
            .iter()
            .copied()
            .filter(|o| o.fits().is_none())
            .collect(),
        layers,
    };
    let plan = Plan::plain(runs.model.model.stack())?;
    let items = sequences.iter().enumerate();
    let items: Vec<Item<'_>> = items
        .map(|(index, tokens)| Item { index, tokens })
        .collect();
    let is_kept = all.observations.len() > loose.observations.len();
    let mut notes = Vec::new();
    let mut memory = Vec::new();
    let mut found = vec![Sequence::default(); items.len()];
    if is_kept {
        let (kept, held) = runs.plain(&all, &items)?.into_parts();
        memory.push(held);
        found = kept;
    }
    // What no journal keeps is no part of a share.
    if !runs.runner.is_whole() {
        return Err(ExperimentError::ShareFinished);
    }
    let is_whole = |sequence: &Sequence| sequence.loose.len() == loose.observations.len();
    let missing: Vec<Item<'_>> = items
        .iter()
        .filter(|item| !is_whole(&found[item.index]))
        .copied()
        .collect();
    if !missing.is_empty() {
        let ids: Vec<&str> = loose.observations.iter().map(|o| o.id()).collect();
        if is_kept {
            notes.push(format!(
                "the residual streams of {} sequences, which are not kept, are run again for {}",
                missing.len(),
                ids.join(", ")
            ));
        }
        let runner = runs.runner.clone().without_journals();
        let again = runner.measure_unkept(runs.model.clone(), &plan, &loose, &missing)?;
        let (again, held) = again.into_plain().into_parts();
        memory.push(held);
        for (item, again) in missing.into_iter().zip(again) {
            found[item.index].loose = again.loose;
        }
    }
    let observed = Observed {
        sequences: found,
        _memory: memory,
    };
    Ok((observed, notes))
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
        let kept = self.observations.iter().filter(|o| o.fits().is_some());
        let ids: Vec<&str> = kept.map(|observation| observation.id()).collect();
        MeasureId::new("plain", 1).with_settings(ids.join(" "))
    }

    fn unit(&self) -> &'static str {
        "sequence"
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
        let mut sequence = Sequence::default();
        for (id, watch) in observed.into_iter().flat_map(|observed| observed.watchers) {
            let left = watch.finish();
            match left.at(|| id.to_owned())? {
                Left::Kept(sums) => {
                    sequence.kept.insert(id.to_owned(), sums);
                }
                Left::Loose(left) => {
                    sequence.loose.insert(id, left);
                }
            }
        }
        Ok(((), sequence))
    }

    /// Never called: there are no altered schedules.
    fn altered(&self, _: &Reached<'_, Item<'s>>, (): &()) -> Result<Sequence, Failure> {
        Ok(Sequence::default())
    }

    fn fits(&self, sums: &Sequence) -> bool {
        let mut kept = self
            .observations
            .iter()
            .filter_map(|o| Some((o.id(), o.fits()?)));
        let count = self
            .observations
            .iter()
            .filter(|o| o.fits().is_some())
            .count();
        sums.kept.len() == count
            && kept.all(|(id, fits)| {
                sums.kept
                    .get(id)
                    .is_some_and(|sums| fits(sums, self.layers))
            })
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
