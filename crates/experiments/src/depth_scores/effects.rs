//! What skipping a block changes in the updates of later blocks and in the output, of one sequence.

use crate::core::error::ExperimentError;
use crate::core::subject::Runs;
use layerwise_metrics::distribution::softmax;
use layerwise_transformer::{Address, Model, ModelConfig, Observer, Site, Workspace};
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewD, ArrayViewMutD, Axis, Ix2, Slice, s};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Positions whose logits are held at once.
const POSITIONS: usize = 32;

/// Where a block is skipped, and where its effects are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Skipped at every position; positions from 1 on count.
    All,
    /// Skipped before the middle of the sequence; positions from the middle on count.
    Future,
}

impl Reach {
    /// Both, in the order in which [`Effects`] has them.
    pub(super) const BOTH: [Self; 2] = [Self::All, Self::Future];

    /// The number of positions at which the block is skipped, which are the first ones.
    fn skipped(self, seq: usize) -> usize {
        match self {
            Self::All => seq,
            Self::Future => seq / 2,
        }
    }

    /// The positions that count.
    pub(super) fn counted(self, seq: usize) -> Range<usize> {
        match self {
            Self::All => 1.min(seq)..seq,
            Self::Future => seq / 2..seq,
        }
    }
}

/// A block that is skipped and a later one, in the order of [`Effects::updates`].
pub(super) fn pairs(layers: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..layers).flat_map(move |block| (block + 1..layers).map(move |later| (block, later)))
}

/// The effects of skipping each block within one reach, over the positions that count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Effects {
    /// Σ ‖u − ū‖/‖u‖ of each of [`pairs`].
    pub(super) updates: Vec<f64>,
    /// The largest of each.
    pub(super) largest: Vec<f64>,
    /// Σ ‖p − q‖₂ for each block.
    pub(super) outputs: Vec<f64>,
}

/// The streams of the plain model: what enters each block, and what leaves the last.
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
        self.0.push(stream(activation).to_owned());
    }
}

fn stream(activation: ArrayViewD<'_, f32>) -> ArrayView2<'_, f32> {
    let stream = activation.into_dimensionality::<Ix2>();
    stream.expect("residual streams are [seq, model]")
}

/// A run in which the first positions leave a block with the stream with which they enter it.
struct Skipping<'a> {
    block: usize,
    reach: Reach,
    plain: &'a [Array2<f32>],
    /// What entered the block that runs.
    before: Array2<f32>,
    effects: &'a mut Effects,
}

impl Observer for Skipping<'_> {
    fn wants(&self, address: Address) -> bool {
        let is_later = |first: usize| address.block.is_some_and(|block| block >= first);
        match address.site {
            Site::ResidPre => is_later(self.block),
            Site::ResidPost => is_later(self.block + 1),
            _ => false,
        }
    }

    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>) {
        let activation = stream(activation);
        let later = match (address.site, address.block) {
            (Site::ResidPost, Some(block)) => block,
            _ => {
                self.before = activation.to_owned();
                return;
            }
        };
        let (mut sum, mut largest) = (0.0, 0.0_f64);
        for position in self.reach.counted(activation.nrows()) {
            let own = [activation.row(position), self.before.row(position)];
            let plain = [later + 1, later].map(|at| self.plain[at].row(position));
            let change = relative_change(own, plain);
            sum += change;
            largest = largest.max(change);
        }
        self.effects.updates.push(sum);
        self.effects.largest.push(largest);
    }

    fn edits(&self, address: Address) -> bool {
        (address.site, address.block) == (Site::ResidPost, Some(self.block))
    }

    fn edit(&mut self, _: Address, mut activation: ArrayViewMutD<'_, f32>) {
        let skipped = self.reach.skipped(self.before.nrows());
        let entered = self.before.slice(s![..skipped, ..]);
        let mut left = activation.slice_axis_mut(Axis(0), Slice::from(..skipped));
        left.assign(&entered);
    }
}

/// ‖u − ū‖/‖u‖ of the updates of a block, each the stream after less that before it; 0 where the plain model updates nothing.
fn relative_change(altered: [ArrayView1<'_, f32>; 2], plain: [ArrayView1<'_, f32>; 2]) -> f64 {
    let update = |[after, before]: [ArrayView1<'_, f32>; 2], at: usize| {
        f64::from(after[at]) - f64::from(before[at])
    };
    let (mut change, mut whole) = (0.0, 0.0);
    for at in 0..plain[0].len() {
        let (own, expected) = (update(altered, at), update(plain, at));
        change += (own - expected).powi(2);
        whole += expected.powi(2);
    }
    match whole > 0.0 {
        true => (change / whole).sqrt(),
        false => 0.0,
    }
}

/// Σ ‖p − q‖₂ of the outputs after two streams, over some positions.
fn output_change(
    model: &Model,
    streams: [ArrayView2<'_, f32>; 2],
    positions: Range<usize>,
) -> Result<f64, ExperimentError> {
    let mut sum = 0.0;
    for first in positions.clone().step_by(POSITIONS) {
        let part = s![first..positions.end.min(first + POSITIONS), ..];
        let [plain, altered] = streams.map(|own| model.standard_lens(own.slice(part)));
        for (plain, altered) in plain.outer_iter().zip(altered.outer_iter()) {
            let difference = softmax(plain)? - softmax(altered)?;
            sum += difference.dot(&difference).sqrt();
        }
    }
    Ok(sum)
}

/// The most bytes that [`of_sequence`] takes on a sequence of so many tokens.
pub(super) fn most_bytes(config: &ModelConfig, seq: usize) -> usize {
    let stream = seq * config.model * size_of::<f32>();
    let logits = config.vocab * (2 * POSITIONS * size_of::<f32>() + 3 * size_of::<f64>());
    Workspace::most_bytes(config, seq) + (config.layers + 4) * stream + 2 * logits
}

/// The effects of skipping each block of the plain model, within each reach.
///
/// # Errors
/// Outputs that are not finite, or an interrupt.
pub(super) fn of_sequence(
    runs: &Runs<'_>,
    tokens: &[u32],
) -> Result<[Effects; 2], ExperimentError> {
    let model = runs.model.model;
    let plain = model.plain();
    let mut streams = Streams::default();
    let end = model.run(tokens, &plain, &mut streams)?;
    let mut both = [Effects::default(), Effects::default()];
    for (reach, effects) in Reach::BOTH.into_iter().zip(&mut both) {
        for block in 0..model.config().layers {
            runs.go_on()?;
            let mut skipping = Skipping {
                block,
                reach,
                plain: &streams.0,
                before: Array2::zeros((0, 0)),
                effects,
            };
            let altered = model.run(tokens, &plain, &mut skipping)?;
            let counted = reach.counted(tokens.len());
            let change = output_change(model, [end.view(), altered.view()], counted)?;
            effects.outputs.push(change);
        }
    }
    Ok(both)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::runs;
    use layerwise_schedule::{Edit, Schedule};
    use layerwise_transformer::Recording;
    use ndarray::aview1;

    const TOKENS: [u32; 9] = [0, 7, 3, 12, 5, 5, 29, 1, 40];

    fn skipped(model: &Model, block: usize, reach: Reach) -> (Array2<f32>, Effects) {
        let mut streams = Streams::default();
        let plain = model.plain();
        model.run(&TOKENS, &plain, &mut streams).unwrap();
        let mut effects = Effects::default();
        let mut skipping = Skipping {
            block,
            reach,
            plain: &streams.0,
            before: Array2::zeros((0, 0)),
            effects: &mut effects,
        };
        let end = model.run(&TOKENS, &plain, &mut skipping).unwrap();
        (end, effects)
    }

    /// Skipped everywhere, it is left out: the same bits, and effects that follow from the recorded streams.
    #[test]
    fn a_block_that_is_skipped_everywhere_is_dropped() {
        let model = Model::random(ModelConfig::tiny(), 3);
        let layers = model.config().layers;
        for block in 0..layers {
            let edit: Edit = format!("drop({block})").parse().unwrap();
            let without = edit
                .apply(&Schedule::plain(model.stack()).unwrap())
                .unwrap();
            let sites = [Site::ResidPre, Site::ResidPost];
            let record = |schedule: &Schedule| {
                let mut recording = Recording::of(model.config(), &sites).unwrap();
                let end = model.run(&TOKENS, schedule, &mut recording).unwrap();
                (end, recording)
            };
            let (end, altered) = record(&without);
            let (_, plain) = record(&model.plain());
            let (found, effects) = skipped(&model, block, Reach::All);
            assert_eq!(found, end, "block {block}");
            let update = |recording: &Recording, later: usize, position: usize| {
                let of = |site| {
                    let stream = recording.matrix(Some(later), site).unwrap();
                    stream.row(position).to_owned()
                };
                of(Site::ResidPost) - of(Site::ResidPre)
            };
            assert_eq!(effects.updates.len(), layers - block - 1);
            for (at, later) in (block + 1..layers).enumerate() {
                let each = (1..TOKENS.len()).map(|position| {
                    let own = update(&altered, later, position);
                    let expected = update(&plain, later, position);
                    let change = &own - &expected;
                    f64::from((change.dot(&change) / expected.dot(&expected)).sqrt())
                });
                let each: Vec<f64> = each.collect();
                let (sum, largest) = (
                    each.iter().sum::<f64>(),
                    each.iter().copied().fold(0.0, f64::max),
                );
                assert!((effects.updates[at] - sum).abs() < 1e-4 * sum, "{sum}");
                assert!((effects.largest[at] - largest).abs() < 1e-4 * largest);
            }
        }
    }

    /// What reaches later positions goes through attention: of the block after the last one there is none.
    #[test]
    fn only_later_blocks_carry_it_to_future_positions() {
        let model = Model::random(ModelConfig::tiny(), 3);
        let layers = model.config().layers;
        let [all, future] = of_sequence(&runs(&model, 1), &TOKENS).unwrap();
        assert_eq!(all.updates.len(), pairs(layers).count());
        assert_eq!(future.outputs.len(), layers);
        // Nothing attends after the last block, and the future positions keep it.
        assert_eq!(future.outputs[layers - 1], 0.0);
        assert!(all.outputs.iter().all(|change| *change > 0.0));
        assert!(
            future.outputs[..layers - 1]
                .iter()
                .all(|change| *change > 0.0)
        );
        // A skipped block leaves the positions before the middle alone, and these the later ones nothing of their own.
        let (end, _) = skipped(&model, layers - 1, Reach::Future);
        let plain = model.run(&TOKENS, &model.plain(), &mut ()).unwrap();
        let middle = TOKENS.len() / 2;
        assert_eq!(end.slice(s![middle.., ..]), plain.slice(s![middle.., ..]));
        assert_ne!(end.slice(s![..middle, ..]), plain.slice(s![..middle, ..]));
    }

    #[test]
    fn a_change_is_relative_to_the_plain_update() {
        let check = |altered: [&[f32]; 2], plain: [&[f32]; 2], expected: f64| {
            let found = relative_change(altered.map(aview1), plain.map(aview1));
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        };
        check([&[1.0, 1.0], &[1.0, 1.0]], [&[3.0, 4.0], &[0.0, 0.0]], 1.0);
        check([&[3.0, 4.0], &[0.0, 0.0]], [&[4.0, 5.0], &[1.0, 1.0]], 0.0);
        check([&[3.0, 9.0], &[0.0, 0.0]], [&[3.0, 4.0], &[0.0, 0.0]], 1.0);
        check([&[1.0, 1.0], &[0.0, 0.0]], [&[2.0, 2.0], &[2.0, 2.0]], 0.0);
        assert_eq!(Reach::Future.counted(9), 4..9);
        assert_eq!((Reach::All.skipped(9), Reach::Future.skipped(9)), (9, 4));
    }
}
