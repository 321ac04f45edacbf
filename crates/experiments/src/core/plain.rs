//! The plain model on a text: one forward pass for each sequence; experiments sum up its activations as they are computed.
//!
//! Experiments declare [`Observation`]s. The pass makes all of them at once, and a journal keeps their results for each
//! sequence.

use super::error::{ExperimentError, Place};
use super::subject::Runs;
use layerwise_sweep::{Counted, Failure, Measure, MeasureId, Reached, SweepError, cost};
use layerwise_transformer::{Address, Batch, Model, ModelConfig, Observer};
use ndarray::ArrayViewD;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;

/// A sum over activations while the plain model runs on a sequence.
pub trait Observation: Sync {
    /// Its name, which identifies everything it depends on: observations with one name are made once.
    fn id(&self) -> &'static str;

    /// Watches a sequence, given its index in the text.
    fn begin<'m>(&self, model: &'m Model, sequence: usize) -> Box<dyn Watch + 'm>;

    /// Whether a journal's entry for a sequence has the form of this observation's result.
    fn fits(&self, left: &Value, layers: usize) -> bool;

    /// The largest result for a sequence, in bytes.
    fn left_bytes(&self, config: &ModelConfig) -> usize {
        /// A dozen [sums](super::sum::Sum) for each block, as JSON in memory.
        const BLOCK: usize = 3 << 10;
        (config.layers + 1) * BLOCK
    }

    /// The most memory that it takes while it watches a sequence of `seq` tokens, in bytes.
    fn bytes(&self, config: &ModelConfig, seq: usize) -> usize {
        let _ = (config, seq);
        0
    }

    /// The multiply-adds of its products with `tokens` tokens, besides those of the plain pass that it watches.
    fn work(&self, config: &ModelConfig, tokens: usize) -> f64 {
        let _ = (config, tokens);
        0.0
    }
}

/// Watches one sequence.
pub trait Watch: Observer {
    /// The result for the sequence, for the journal. If this takes seconds, it calls `go_on` now and then.
    ///
    /// # Errors
    /// Numbers are not finite, or that of `go_on`.
    fn finish(self: Box<Self>, go_on: GoOn<'_>) -> Result<Value, ExperimentError>;
}

/// Whether the reading of a sequence goes on ([`Reached::go_on`]).
pub type GoOn<'a> = &'a dyn Fn() -> Result<(), SweepError>;

/// The results of observations on a text.
#[derive(Default)]
pub struct Observed {
    /// `None` if nothing was observed.
    sequences: Option<Counted<Vec<Sequence>>>,
}

/// The results for one sequence, by names of the observations.
type Sequence = BTreeMap<String, Value>;

impl Observed {
    /// The number of sequences of the text.
    pub fn sequences(&self) -> u64 {
        self.each().len() as u64
    }

    /// The results of one observation, in the order of the text; empty if it was not made.
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

/// Runs a model on sequences under some observations.
///
/// # Errors
/// A sequence does not fit the model, numbers are not finite, a journal cannot be used, or the user interrupts; in a share,
/// [`ExperimentError::ShareFinished`].
pub fn observe(
    runs: &Runs<'_>,
    sequences: &[Vec<u32>],
    observations: &[&dyn Observation],
) -> Result<Observed, ExperimentError> {
    let plain = Plain {
        observations: each_once(observations),
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

/// The multiply-adds of [`observe`] on `tokens` tokens.
pub fn work(model: &Model, tokens: usize, observations: &[&dyn Observation]) -> f64 {
    let watched = each_once(observations);
    let watched = watched.iter().map(|it| it.work(model.config(), tokens));
    cost::of_plain(model, tokens) + watched.sum::<f64>()
}

/// Observations with one name are made once.
fn each_once<'o>(observations: &[&'o dyn Observation]) -> Vec<&'o dyn Observation> {
    let named = observations.iter().map(|it| (it.id(), *it));
    BTreeMap::from_iter(named).into_values().collect()
}

/// Refuses a final state that is not finite: a value that is not finite anywhere reaches the end, while sums may hide it.
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
            reached.go_on()?;
            let left = watch.finish(&|| reached.go_on());
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
