//! The states of words at every residual stream, as means over their tokens.

use super::texts::Side;
use crate::core::error::ExperimentError;
use layerwise_schedule::Schedule;
use layerwise_transformer::{Address, Batch, Model, ModelConfig, Observer, Site, Workspace};
use ndarray::{Array1, Array3, ArrayView2, ArrayViewD, Axis, s};
use std::collections::BTreeMap;
use std::ops::Range;

/// Rows of a batch at which the batch runs: products of fewer rows take longer for each row.
const ROWS: usize = 256;

/// Residual streams of a model of `layers` blocks, and the last one after the final norm.
pub(super) fn places(layers: usize) -> usize {
    layers + 2
}

/// The state of a place, and whether it is read after the final norm.
pub(super) fn state(place: usize, layers: usize) -> (usize, bool) {
    (place.min(layers), place > layers)
}

/// The mean state of every reading of some sides, \[readings of all sides, places, model\].
///
/// A text that several sides share runs once; the bits are the same as for each side alone. Calls `go_on` before each run.
pub(super) fn vectors(
    model: &Model,
    sides: &[&Side],
    go_on: impl Fn() -> Result<(), ExperimentError>,
) -> Result<Array3<f32>, ExperimentError> {
    let config = model.config();
    let mut wanted: BTreeMap<&[u32], Vec<(usize, Range<usize>)>> = BTreeMap::new();
    let mut count = 0;
    for side in sides {
        for (text, tokens) in &side.readings {
            let readings = wanted.entry(side.texts[*text].as_slice()).or_default();
            readings.push((count, tokens.clone()));
            count += 1;
        }
    }
    let mut collector = Collector {
        readings: Vec::new(),
        means: Array3::zeros((count, places(config.layers), config.model)),
    };
    let mut batch = Batch::default();
    let mut left = wanted.into_iter().peekable();
    while let Some((text, readings)) = left.next() {
        let segment = batch.add(text);
        let first = batch.rows_of(segment).start;
        let rows = |(reading, tokens): (usize, Range<usize>)| {
            (reading, first + tokens.start..first + tokens.end)
        };
        collector.readings.extend(readings.into_iter().map(rows));
        if batch.rows() >= ROWS || left.peek().is_none() {
            go_on()?;
            collector.run(model, &batch)?;
            batch = Batch::default();
        }
    }
    Ok(collector.means)
}

/// The most memory that a run of texts of at most this many tokens takes besides the collected states, in bytes.
pub(super) fn running_bytes(config: &ModelConfig, longest: usize) -> usize {
    let rows = ROWS + longest;
    // The residual stream, its norm, and a state in f64 for computing a mean.
    let streams = 3 * rows * config.model * size_of::<f32>();
    Workspace::most_bytes(config, rows) + streams
}

struct Collector {
    /// Each reading with its rows in the batch.
    readings: Vec<(usize, Range<usize>)>,
    /// \[readings, places, model\].
    means: Array3<f32>,
}

impl Collector {
    /// Runs a batch, and clears its readings.
    fn run(&mut self, model: &Model, batch: &Batch) -> Result<(), ExperimentError> {
        let plain = Schedule::plain(model.stack())?;
        let last = model.run(batch, &plain, self)?;
        let normed = model.final_norm(last.view());
        self.collect(model.config().layers + 1, normed.view());
        self.readings.clear();
        Ok(())
    }

    fn collect(&mut self, place: usize, states: ArrayView2<'_, f32>) {
        for (reading, rows) in &self.readings {
            let mut sums: Array1<f64> = Array1::zeros(states.ncols());
            for token in states.slice(s![rows.clone(), ..]).outer_iter() {
                let values = sums.iter_mut().zip(token);
                values.for_each(|(sum, &value)| *sum += f64::from(value));
            }
            let count = rows.len() as f64;
            let mean = sums.mapv(|sum| (sum / count) as f32);
            self.means.slice_mut(s![*reading, place, ..]).assign(&mean);
        }
    }

    fn place(address: Address) -> Option<usize> {
        match (address.site, address.block) {
            (Site::Embed, _) => Some(0),
            (Site::ResidPost, Some(block)) => Some(block + 1),
            _ => None,
        }
    }
}

impl Observer for Collector {
    fn wants(&self, address: Address) -> bool {
        Self::place(address).is_some()
    }

    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>) {
        let place = Self::place(address).expect("only residual streams are wanted");
        let rows = activation.len_of(Axis(0));
        let states = activation
            .into_shape_with_order((rows, self.means.len_of(Axis(2))))
            .expect("a residual stream is [seq, model]");
        self.collect(place, states.view());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise_transformer::{ModelConfig, Recording};

    #[test]
    fn vectors_are_means_of_each_text_alone() {
        let model = Model::random(ModelConfig::tiny(), 4);
        let layers = model.config().layers;
        let sides = [
            Side {
                texts: vec![vec![3, 9, 12, 40], vec![5, 6]],
                readings: vec![(0, 1..3), (1, 1..2), (0, 3..4)],
            },
            // More rows than one batch has.
            Side {
                texts: (0..8).map(|first| (first..first + 40).collect()).collect(),
                readings: (0..8).map(|text| (text, 10..13 + text)).collect(),
            },
            Side {
                texts: vec![vec![5, 6]],
                readings: vec![(0, 0..2)],
            },
        ];
        let found = vectors(&model, &sides.each_ref(), || Ok(())).unwrap();
        assert_eq!(found.dim(), (12, layers + 2, model.config().model));
        let plain = Schedule::plain(model.stack()).unwrap();
        let readings = sides.iter().flat_map(|side| {
            side.readings
                .iter()
                .map(|(text, tokens)| (&side.texts[*text], tokens.clone()))
        });
        for (reading, (text, tokens)) in readings.enumerate() {
            let mut recording = Recording::of(
                model.config(),
                &[Site::Embed, Site::ResidPost, Site::FinalNorm],
            )
            .unwrap();
            model
                .observed_logits(text.as_slice(), &plain, &mut recording)
                .unwrap();
            for place in 0..layers + 2 {
                let stream = match place {
                    0 => recording.get(None, Site::Embed),
                    _ if place > layers => recording.get(None, Site::FinalNorm),
                    _ => recording.get(Some(place - 1), Site::ResidPost),
                };
                let stream = stream
                    .unwrap()
                    .view()
                    .into_dimensionality::<ndarray::Ix2>()
                    .unwrap();
                let expected = stream.slice(s![tokens.clone(), ..]).mapv(f64::from);
                let expected = expected
                    .mean_axis(Axis(0))
                    .unwrap()
                    .mapv(|mean| mean as f32);
                let found = found.slice(s![reading, place, ..]);
                for (found, expected) in found.iter().zip(&expected) {
                    assert!(
                        (found - expected).abs() <= 1e-6 * expected.abs().max(1.0),
                        "{place}"
                    );
                }
            }
        }
    }
}
