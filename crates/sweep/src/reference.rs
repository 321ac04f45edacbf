//! Means of activations over a reference text.

use crate::engine::Engine;
use crate::error::SweepError;
use crate::measure::{Failure, Measure, MeasureId, Reached};
use crate::plan::Plan;
use layerwise_transformer::{
    Address, Batch, Constants, Model, ModelConfig, Observer, Place, shape_at_one_position,
};
use ndarray::{ArrayD, ArrayViewD, Axis};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

/// Sums over positions 1… of each sequence, in f64.
struct Means<'p> {
    places: &'p BTreeSet<Place>,
}

struct Summing<'p> {
    places: &'p BTreeSet<Place>,
    sums: BTreeMap<Place, Vec<f64>>,
}

impl Observer for Summing<'_> {
    fn wants(&self, address: Address) -> bool {
        self.places.contains(&(address.block, address.site))
    }

    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>) {
        let mut sums = Vec::new();
        for row in activation.axis_iter(Axis(0)).skip(1) {
            sums.resize(row.len(), 0.0);
            for (sum, value) in sums.iter_mut().zip(&row) {
                *sum += f64::from(*value);
            }
        }
        self.sums.insert((address.block, address.site), sums);
    }
}

impl Measure for Means<'_> {
    type Item = Vec<u32>;
    type Observer<'a>
        = Summing<'a>
    where
        Self: 'a;
    type Reference = ();
    type Sums = BTreeMap<Place, Vec<f64>>;

    fn id(&self) -> MeasureId {
        MeasureId::new("means", 1)
    }

    fn unit(&self) -> &'static str {
        "sequence"
    }

    fn title(&self) -> &'static str {
        "the reference text"
    }

    fn batch(&self, item: &Vec<u32>) -> Batch {
        item.into()
    }

    fn least_tokens(&self) -> usize {
        2
    }

    fn observer<'a>(&'a self, _: &'a Model, _: &'a Vec<u32>) -> Option<Summing<'a>> {
        Some(Summing {
            places: self.places,
            sums: BTreeMap::new(),
        })
    }

    fn plain(
        &self,
        _: &Reached<'_, Vec<u32>>,
        observed: Option<Summing<'_>>,
    ) -> Result<((), Self::Sums), Failure> {
        Ok(((), observed.map_or_else(BTreeMap::new, |own| own.sums)))
    }

    fn altered(&self, _: &Reached<'_, Vec<u32>>, (): &()) -> Result<Self::Sums, Failure> {
        Ok(BTreeMap::new())
    }

    fn kept_bytes(&self, config: &ModelConfig, _: usize, _: usize) -> usize {
        let width =
            |place: &Place| -> usize { shape_at_one_position(config, place.1).iter().product() };
        2 * self.places.iter().map(width).sum::<usize>() * size_of::<f64>()
    }
}

/// Sequences whose sums are held at once for each thread.
const AHEAD: usize = 8;

/// The means of some places over positions 1… of sequences, under the plain model.
///
/// Sums are in f64, added up in the order of the sequences, whatever the threads.
///
/// # Errors
/// A sequence that does not fit the model or has fewer than two tokens, threads that do not start, or
/// [`SweepError::Interrupted`].
pub fn add_means(
    constants: &mut Constants,
    model: &Model,
    sequences: &[Vec<u32>],
    places: &BTreeSet<Place>,
    threads: NonZeroUsize,
    stop: &AtomicBool,
) -> Result<(), SweepError> {
    let plan = Plan::plain(model.stack())?;
    let measure = Means { places };
    let engine = Engine::new(model, &plan, &measure)
        .threads(threads)
        .stop(stop);
    let mut sums: BTreeMap<Place, Vec<f64>> = BTreeMap::new();
    let numbered: Vec<(usize, &Vec<u32>)> = sequences.iter().enumerate().collect();
    let mut finished = 0;
    for chunk in numbered.chunks(AHEAD * threads.get()) {
        let mut own = BTreeMap::new();
        engine.run(chunk, |index, mut results| {
            own.insert(index, results.pop());
            Ok::<(), SweepError>(())
        })?;
        finished += own.len();
        if own.len() < chunk.len() {
            return Err(SweepError::Interrupted {
                finished,
                all: sequences.len(),
                units: "sequences of the reference text".to_owned(),
                kept: false,
            });
        }
        for (place, values) in own.into_values().flatten().flatten() {
            let sum = sums.entry(place).or_default();
            sum.resize(values.len(), 0.0);
            sum.iter_mut()
                .zip(values)
                .for_each(|(sum, value)| *sum += value);
        }
    }
    let count = sequences.iter().map(|own| own.len() - 1).sum::<usize>() as f64;
    for (place, sum) in sums {
        let mean: Vec<f32> = sum.iter().map(|sum| (sum / count) as f32).collect();
        let shape = shape_at_one_position(model.config(), place.1);
        let mean = ArrayD::from_shape_vec(shape, mean).expect("sums have the site's shape");
        constants.set_mean(place, mean);
    }
    Ok(())
}
