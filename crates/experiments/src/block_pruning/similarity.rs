//! The angle by which the residual stream turns over any run of blocks.

use crate::core::error::{ExperimentError, Place};
use crate::core::subject::Subject;
use layerwise_metrics::ClusteredMean;
use layerwise_schedule::Schedule;
use layerwise_sweep::{MeasureId, WorkBytes};
use layerwise_transformer::{Address, Observer, Site, Workspace};
use ndarray::{Array2, ArrayViewD, Ix2, s};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Sums over positions 1… of a sequence, for each pair of streams (i, j) with i < j, in the order of [`pairs`].
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Turns {
    positions: u64,
    cosines: Vec<f64>,
    angles: Vec<f64>,
}

/// The streams of a sequence: the input of the first block, and the output of each block.
#[derive(Default)]
struct Streams(Vec<Array2<f32>>);

impl Observer for Streams {
    fn wants(&self, address: Address) -> bool {
        match address.site {
            Site::ResidPre => address.block == Some(0),
            site => site == Site::ResidPost,
        }
    }

    fn observe(&mut self, _: Address, activation: ArrayViewD<'_, f32>) {
        let stream = activation.into_dimensionality::<Ix2>();
        let stream = stream.expect("residual streams are [seq, model]");
        self.0.push(stream.slice(s![1.., ..]).to_owned());
    }
}

/// The pairs of streams: before block ℓ and after block m ≥ ℓ.
pub(super) fn pairs(layers: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..layers).flat_map(move |layer| (layer..layers).map(move |last| (layer, last)))
}

impl Streams {
    fn turns(&self) -> Turns {
        let layers = self.0.len().saturating_sub(1);
        let positions = self.0.first().map_or(0, Array2::nrows);
        let dot = |a: usize, b: usize, row: usize| -> f64 {
            let values = self.0[a].row(row).into_iter().zip(self.0[b].row(row));
            values.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let norms: Vec<Vec<f64>> = (0..=layers)
            .map(|stream| {
                let squares = (0..positions).map(|row| dot(stream, stream, row));
                squares.map(f64::sqrt).collect()
            })
            .collect();
        let (mut cosines, mut angles) = (Vec::new(), Vec::new());
        for (layer, last) in pairs(layers) {
            let (mut cosine_sum, mut angle_sum) = (0.0, 0.0);
            let lengths = norms[layer].iter().zip(&norms[last + 1]);
            for (row, (before, after)) in lengths.enumerate() {
                let length = before * after;
                // A stream of zeros has no direction; it counts as turned by a right angle.
                let cosine = match length > 0.0 {
                    true => dot(layer, last + 1, row) / length,
                    false => 0.0,
                };
                cosine_sum += cosine;
                // Rounding may push a cosine beyond 1.
                angle_sum += cosine.clamp(-1.0, 1.0).acos() / PI;
            }
            cosines.push(cosine_sum);
            angles.push(angle_sum);
        }
        Turns {
            positions: positions as u64,
            cosines,
            angles,
        }
    }
}

/// The mean cosine and angular distance of a pair of streams.
pub(super) struct Turn {
    pub(super) layer: usize,
    pub(super) last_layer: usize,
    pub(super) cosine: ClusteredMean,
    pub(super) angular_distance: ClusteredMean,
}

/// Runs the plain model on some sequences; every share of a run runs it on all of them.
///
/// # Errors
/// Activations are not finite, a journal cannot be used, or the user interrupts.
pub(super) fn turns(
    subject: &Subject<'_>,
    sequences: &[Vec<u32>],
) -> Result<Vec<Turn>, ExperimentError> {
    let config = subject.model.config();
    let layers = config.layers;
    let of_pairs = pairs(layers).count();
    let plain = Schedule::plain(subject.model.stack())?;
    let longest = sequences.iter().map(Vec::len).max().unwrap_or(0);
    let stream = longest * config.model * size_of::<f32>();
    let bytes = WorkBytes {
        reading: Workspace::most_bytes(config, longest)
            + (layers + 2) * (stream + longest * size_of::<f64>()),
        result: 2 * of_pairs * size_of::<f64>() + 64,
    };
    let found = subject.runs.of_all_items().kept(
        MeasureId::new("block-distances", 1),
        sequences,
        bytes,
        Clone::clone,
        |turns: &Turns| turns.cosines.len() == of_pairs && turns.angles.len() == of_pairs,
        |index, tokens| {
            let mut streams = Streams::default();
            let states = subject.model.run(tokens.as_slice(), &plain, &mut streams)?;
            if states.iter().any(|value| !value.is_finite()) {
                let error = ExperimentError::unexpected("finite activations", "NaN or infinity");
                return Err(error).at(|| format!("sequence {index}"));
            }
            Ok(streams.turns())
        },
    )?;
    let turn = |(at, (layer, last_layer))| {
        let (mut cosine, mut angular_distance) = (ClusteredMean::new(), ClusteredMean::new());
        for own in found.iter() {
            cosine.push(own.cosines[at], own.positions);
            angular_distance.push(own.angles[at], own.positions);
        }
        Turn {
            layer,
            last_layer,
            cosine,
            angular_distance,
        }
    };
    Ok(pairs(layers).enumerate().map(turn).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_stream_that_turns_by_a_right_angle_is_half_way() {
        let streams = Streams(vec![
            array![[1.0, 0.0], [0.0, 0.0]],
            array![[0.0, 2.0], [1.0, 0.0]],
            array![[-3.0, 0.0], [1.0, 0.0]],
        ]);
        let turns = streams.turns();
        let all: Vec<(usize, usize)> = pairs(2).collect();
        assert_eq!(all, [(0, 0), (0, 1), (1, 1)]);
        assert_eq!(turns.positions, 2);
        assert_eq!(turns.angles, [1.0, 1.5, 0.5]);
        assert_eq!(turns.cosines, [0.0, -1.0, 1.0]);
    }
}
