//! How far altered outputs differ from the plain model's.

use crate::grouping::MOST_ROWS;
use crate::measure::{Failure, Measure, MeasureId, Reached};
use crate::positions::{Position, Positions};
use crate::sums::{BothWays, Statistic, Sums};
use layerwise_kernels::contrast::{Contrast, contrast};
use layerwise_kernels::mixture;
use layerwise_kernels::vocabulary::{self, Summary, TOP, Unembedding};
use layerwise_metrics::streamed;
use layerwise_transformer::{Batch, ModelConfig};
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};
use std::collections::BTreeMap;
use std::f64::consts::LN_2;
use std::ops::Range;
use std::sync::Arc;

/// Measures KL(plain ‖ altered), top-1 agreement, top-5 overlap, entropy and loss of each schedule, as sums over positions.
///
/// In a sequence with positions 0..T−1, KL, agreement, overlap and entropy cover positions 1..=T−1 (position 0 attends only to
/// BOS, or predicts without context). The loss at position i is that of predicting token i+1, and covers 1..=T−2.
///
/// Logits are never stored: the plain run leaves its expected unembedding rows, with which an altered run needs one pass over the
/// vocabulary.
///
/// ```
/// use layerwise_sweep::{Divergence, Plan, Runner};
/// use layerwise_transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 0);
/// let plan = Plan::new(model.stack(), &["drop(1)".parse()?], 1)?;
/// let measure = Divergence::new().both_ways();
/// let measured = Runner::new().measure(&model, &plan, &measure, &[vec![0, 5, 3, 8]])?;
/// let sums = &measured.results[0][1]; // of `drop(1)` on the sequence
/// assert_eq!((sums.positions, sums.loss_positions), (3, 2));
/// let js_nats = sums.both_ways.expect("it was asked for").js_nats / sums.positions as f64;
/// assert!(js_nats > 0.0 && js_nats < std::f64::consts::LN_2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Divergence {
    /// Schedules for which the most probable tokens are counted and the mean prediction is taken.
    counted: Vec<usize>,
    /// The number of sequences, from the first, on which they are counted.
    sequences: usize,
    /// Whether outputs are compared in both directions.
    both_ways: bool,
    /// The bytes of every token of the vocabulary, and a hash of their source.
    bytes: Option<(Arc<[u32]>, String)>,
    /// The receiver of every position, and a name for where it puts them.
    positions: Option<(Arc<dyn Positions>, String)>,
}

/// Bytes of a token's count in a map, whose nodes are at least a third full.
const COUNT_BYTES: usize = 3 * (size_of::<(u32, u64)>() + size_of::<usize>());

/// The mean prediction covers every fourth position from 1 on: all positions would take about as long as all other statistics.
const MEAN_STEP: usize = 4;

impl Divergence {
    /// Measures the statistics alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// For some schedules of the plan, on the first sequences of the corpus, also counts how often each token is the most
    /// probable one ([`Sums::predicted`]) and takes the entropy of the mean prediction
    /// ([`Sums::every_4th_mean_prediction_entropy_bits`]). This costs one more product with the unembedding at every fourth
    /// position.
    pub fn counting(self, schedules: impl IntoIterator<Item = usize>, sequences: usize) -> Self {
        Self {
            counted: schedules.into_iter().collect(),
            sequences,
            ..self
        }
    }

    /// Also measures KL(altered ‖ plain), the Jensen–Shannon divergence and the rank of the next token ([`Sums::both_ways`]).
    /// This takes a second pass over the vocabulary, with two more products with the unembedding.
    pub fn both_ways(self) -> Self {
        Self {
            both_ways: true,
            ..self
        }
    }

    /// Also counts the bytes of the predicted tokens ([`Sums::loss_bytes`]), given the bytes of every token of the vocabulary.
    /// `source` is a hash of their source.
    ///
    /// ```
    /// use layerwise_sweep::{Divergence, Plan, Runner, collect};
    /// use layerwise_transformer::{Model, ModelConfig};
    ///
    /// let model = Model::random(ModelConfig::tiny(), 0);
    /// let measure = Divergence::new().with_bytes(vec![2; 50].into(), "each token is two bytes");
    /// let measured = Runner::new().measure(&model, &Plan::plain(model.stack())?, &measure, &[vec![0, 5, 3, 8]])?;
    /// let statistics = collect(1, measured.results.iter().map(Vec::as_slice));
    /// let bits = statistics[0].loss_nats.mean().expect("two positions") / std::f64::consts::LN_2;
    /// let per_byte = statistics[0].bits_per_byte.ratio().expect("four bytes");
    /// assert!((per_byte - bits / 2.0).abs() < 1e-9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_bytes(self, bytes: Arc<[u32]>, source: impl Into<String>) -> Self {
        Self {
            bytes: Some((bytes, source.into())),
            ..self
        }
    }

    /// Also hands every position over, compared in both directions. `file` is a hash of the place where `positions` puts them, so
    /// that a journal is not resumed for another place.
    pub fn per_position(self, positions: Arc<dyn Positions>, file: impl Into<String>) -> Self {
        Self {
            positions: Some((positions, file.into())),
            ..self.both_ways()
        }
    }

    fn sums(
        &self,
        reached: &Reached<'_, Vec<u32>>,
        plain: &Plain,
        changes: &[f64],
        normed: ArrayView2<'_, f32>,
        summaries: &[Summary],
    ) -> Result<Sums, Failure> {
        let mut sums = Sums {
            positions: summaries.len() as u64,
            ..Sums::default()
        };
        let predicted = &reached.item[2..];
        let contrasts = self.both_ways.then(|| {
            contrast(
                normed,
                summaries,
                plain.normed.view(),
                &plain.summaries,
                reached.model.unembedding(),
                predicted,
            )
        });
        let mut positions = Vec::with_capacity(self.positions.iter().len() * summaries.len());
        for (row, (plain_summary, altered)) in plain.summaries.iter().zip(summaries).enumerate() {
            let (plain, change) = (plain_summary.log_sum_exp, changes[row]);
            let kl = streamed::kl_nats(plain, altered.log_sum_exp, change);
            let entropy = streamed::entropy_bits(altered.log_sum_exp, altered.mean_logit);
            if !(kl.is_finite() && entropy.is_finite()) {
                return Err(Failure::NotFinite { position: row + 1 });
            }
            sums.kl_nats += kl;
            sums.entropy_bits += entropy;
            sums.top1_agreements += u64::from(plain_summary.argmax == altered.argmax);
            sums.top5_overlap += overlap(&plain_summary.top, &altered.top);
            let loss = altered.target_logit;
            let loss = loss.map(|logit| streamed::loss_nats(altered.log_sum_exp, f64::from(logit)));
            if let Some(loss) = loss {
                sums.loss_nats += loss;
                sums.loss_positions += 1;
            }
            if let Some(contrast) = contrasts.as_ref().map(|contrasts| &contrasts[row]) {
                add(sums.both_ways.get_or_insert_default(), contrast);
                if self.positions.is_some() {
                    positions.push(Position {
                        kl_nats: kl,
                        reverse_kl_nats: contrast.reverse_kl_nats,
                        js_nats: contrast.js_nats,
                        entropy_bits: entropy,
                        loss_nats: loss,
                        rank: contrast.target_rank,
                        top1: altered.argmax,
                    });
                }
            }
        }
        if let Some((taker, _)) = &self.positions {
            taker.take(reached.index, reached.schedules, &positions)?;
        }
        if let Some((bytes, _)) = &self.bytes {
            let of = |token: &u32| u64::from(bytes[*token as usize]);
            sums.loss_bytes = Some(predicted.iter().map(of).sum());
        }
        let is_counted = |schedule| self.counted.contains(schedule);
        if reached.index < self.sequences && reached.schedules.iter().any(is_counted) {
            let mut counts = BTreeMap::new();
            for summary in summaries {
                *counts.entry(summary.argmax).or_default() += 1;
            }
            sums.predicted = Some(counts);
            let spread = normed.slice(s![..;MEAN_STEP, ..]).to_owned();
            let summaries: Vec<Summary> = summaries.iter().step_by(MEAN_STEP).copied().collect();
            let unembedding = reached.model.unembedding();
            let entropy = mixture::entropy_nats(spread.view(), &summaries, unembedding);
            sums.every_4th_mean_prediction_entropy_bits = Some(entropy / LN_2);
        }
        Ok(sums)
    }
}

fn add(sums: &mut BothWays, position: &Contrast) {
    sums.reverse_kl_nats += position.reverse_kl_nats;
    sums.js_nats += position.js_nats;
    sums.reciprocal_rank += position
        .target_rank
        .map_or(0.0, |rank| 1.0 / f64::from(rank));
}

/// The share of the plain model's tokens that are among the altered model's. A small vocabulary has fewer than five.
fn overlap(plain: &[u32; TOP], altered: &[u32; TOP]) -> f64 {
    let tokens = plain.iter().filter(|token| **token != u32::MAX);
    let (mut all, mut shared) = (0_u32, 0_u32);
    for token in tokens {
        all += 1;
        shared += u32::from(altered.contains(token));
    }
    f64::from(shared) / f64::from(all.max(1))
}

/// The final-norm outputs of positions 1..=T−1 of each sequence, one sequence after another, and the token that each position
/// should predict; 0 for the last position of a sequence, which predicts none.
fn together(reached: &[Reached<'_, Vec<u32>>]) -> (Array2<f32>, Vec<u32>) {
    let states: Vec<ArrayView2<'_, f32>> = reached
        .iter()
        .map(|reached| reached.states.slice_move(s![1.., ..]))
        .collect();
    let states = concatenate(Axis(0), &states).expect("residual streams have one width");
    let targets = reached.iter();
    let targets = targets.flat_map(|reached| reached.item[2..].iter().copied().chain([0]));
    (
        reached[0].model.final_norm(states.view()),
        targets.collect(),
    )
}

/// The rows of each sequence in the result of [`together`].
fn rows_of(reached: &[Reached<'_, Vec<u32>>]) -> Vec<Range<usize>> {
    let mut end = 0;
    let rows = |reached: &Reached<'_, Vec<u32>>| {
        let first = end;
        end += reached.item.len() - 1;
        first..end
    };
    reached.iter().map(rows).collect()
}

/// The unembedding that the sequences share one product with; `None` if there is only one sequence, or if capped logits must be
/// compared next to the plain model's.
fn shared<'r>(reached: &'r [Reached<'_, Vec<u32>>]) -> Option<Unembedding<'r>> {
    let unembedding = reached[0].model.unembedding();
    (reached.len() > 1 && unembedding.cap.is_none()).then_some(unembedding)
}

/// Applies a function to each sequence; an error carries the sequence's place.
fn each<R>(
    reached: &[Reached<'_, Vec<u32>>],
    read: impl Fn(usize, &Reached<'_, Vec<u32>>) -> Result<R, Failure>,
) -> Result<Vec<R>, (usize, Failure)> {
    let numbered = reached.iter().enumerate();
    numbered
        .map(|(at, reached)| read(at, reached).map_err(|failure| (at, failure)))
        .collect()
}

fn own_summaries(summaries: &[Summary], rows: Range<usize>) -> Vec<Summary> {
    let mut own = summaries[rows].to_vec();
    if let Some(last) = own.last_mut() {
        last.target_logit = None;
    }
    own
}

/// The plain model's outputs that altered outputs are compared with, for positions 1..=T−1.
#[derive(Debug)]
pub struct Plain {
    /// Final-norm outputs, \[positions, model\].
    normed: Array2<f32>,
    summaries: Vec<Summary>,
    /// Expected unembedding rows, \[positions, model\]; `None` if logits are capped and therefore not linear in the state.
    expected: Option<Array2<f32>>,
}

impl Plain {
    /// Σ_v p_v·(z_v − y_v) at each position, computed from expected rows; z are the logits of the given states, y those of the
    /// plain model.
    fn changes(&self, expected: &Array2<f32>, normed: ArrayView2<'_, f32>) -> Vec<f64> {
        let rows = normed.outer_iter().zip(self.normed.outer_iter());
        rows.zip(expected.outer_iter())
            .map(|((altered, plain), expected)| {
                let pairs = altered.iter().zip(plain).zip(expected);
                pairs
                    .map(|((altered, plain), weight)| {
                        (f64::from(*altered) - f64::from(*plain)) * f64::from(*weight)
                    })
                    .sum()
            })
            .collect()
    }
}

impl Measure for Divergence {
    type Item = Vec<u32>;
    type Observer<'a> = ();
    type Reference = Plain;
    type Sums = Sums;

    fn id(&self) -> MeasureId {
        let mut settings = Vec::new();
        if !self.counted.is_empty() {
            settings.push(format!(
                "predicted tokens and the entropy of the mean distribution at every fourth position of schedules {:?} on {} sequences",
                self.counted, self.sequences
            ));
        }
        if self.both_ways {
            settings.push("both ways".to_owned());
        }
        if let Some((_, source)) = &self.bytes {
            settings.push(format!("bytes of {source}"));
        }
        if let Some((_, file)) = &self.positions {
            settings.push(format!("positions in {file}"));
        }
        MeasureId::new("divergence", 5).with_settings(settings.join("; "))
    }

    fn unit(&self) -> &'static str {
        "sequence"
    }

    fn title(&self) -> &'static str {
        "the sweep"
    }

    fn batch(&self, item: &Vec<u32>) -> Batch {
        item.into()
    }

    fn least_tokens(&self) -> usize {
        3
    }

    fn settle(&self, _: usize) -> std::io::Result<()> {
        match &self.positions {
            Some((taker, _)) => taker.settle(),
            None => Ok(()),
        }
    }

    fn plain(
        &self,
        reached: &Reached<'_, Vec<u32>>,
        _: Option<()>,
    ) -> Result<(Plain, Sums), Failure> {
        let model = reached.model;
        let normed = model.final_norm(reached.states.slice(s![1.., ..]));
        let (unembedding, targets) = (model.unembedding(), &reached.item[2..]);
        let (summaries, expected) = match unembedding.cap {
            None => {
                let (summaries, expected) =
                    vocabulary::pass_with_expected_rows(normed.view(), unembedding, targets);
                (summaries, Some(expected))
            }
            Some(_) => (vocabulary::pass(normed.view(), unembedding, targets), None),
        };
        let plain = Plain {
            normed,
            summaries,
            expected,
        };
        let changes = vec![0.0; plain.summaries.len()];
        let normed = plain.normed.view();
        let sums = self.sums(reached, &plain, &changes, normed, &plain.summaries)?;
        Ok((plain, sums))
    }

    fn altered(&self, reached: &Reached<'_, Vec<u32>>, plain: &Plain) -> Result<Sums, Failure> {
        let model = reached.model;
        let normed = model.final_norm(reached.states.slice(s![1.., ..]));
        let (unembedding, targets) = (model.unembedding(), &reached.item[2..]);
        let (summaries, changes) = match &plain.expected {
            Some(expected) => (
                vocabulary::pass(normed.view(), unembedding, targets),
                plain.changes(expected, normed.view()),
            ),
            None => vocabulary::pass_beside(
                normed.view(),
                plain.normed.view(),
                &plain.summaries,
                unembedding,
                targets,
            ),
        };
        self.sums(reached, plain, &changes, normed.view(), &summaries)
    }

    fn plain_of_all(
        &self,
        reached: &[Reached<'_, Vec<u32>>],
        _: Vec<Option<()>>,
    ) -> Result<Vec<(Plain, Sums)>, (usize, Failure)> {
        let Some(unembedding) = shared(reached) else {
            return each(reached, |_, reached| self.plain(reached, None));
        };
        let (normed, targets) = together(reached);
        let (summaries, expected) =
            vocabulary::pass_with_expected_rows(normed.view(), unembedding, &targets);
        let rows = rows_of(reached);
        each(reached, |at, reached| {
            let own = s![rows[at].clone(), ..];
            let plain = Plain {
                normed: normed.slice(own).to_owned(),
                summaries: own_summaries(&summaries, rows[at].clone()),
                expected: Some(expected.slice(own).to_owned()),
            };
            let changes = vec![0.0; plain.summaries.len()];
            let normed = plain.normed.view();
            let sums = self.sums(reached, &plain, &changes, normed, &plain.summaries)?;
            Ok((plain, sums))
        })
    }

    fn altered_of_all(
        &self,
        reached: &[Reached<'_, Vec<u32>>],
        plain: &[Plain],
    ) -> Result<Vec<Sums>, (usize, Failure)> {
        let Some(unembedding) = shared(reached) else {
            return each(reached, |at, reached| self.altered(reached, &plain[at]));
        };
        let (normed, targets) = together(reached);
        let summaries = vocabulary::pass(normed.view(), unembedding, &targets);
        let rows = rows_of(reached);
        each(reached, |at, reached| {
            let own = normed.slice(s![rows[at].clone(), ..]);
            let plain = &plain[at];
            let changes = match &plain.expected {
                Some(expected) => plain.changes(expected, own),
                None => return self.altered(reached, plain),
            };
            let summaries = own_summaries(&summaries, rows[at].clone());
            self.sums(reached, plain, &changes, own, &summaries)
        })
    }

    /// Final-norm outputs, expected rows, summaries and counts.
    fn kept_bytes(&self, config: &ModelConfig, seq: usize, _: usize) -> usize {
        let counts = self.counted.len() * COUNT_BYTES;
        2 * seq * config.model * size_of::<f32>() + seq * (size_of::<Summary>() + counts)
    }

    fn result_bytes(&self, _: &ModelConfig, items: &[Vec<u32>], _: usize) -> usize {
        let counting = items.iter().take(self.sequences);
        let positions: usize = counting.map(Vec::len).sum();
        self.counted.len() * COUNT_BYTES * positions
    }

    /// A final-norm output, a tile of logits, summaries and changes. For several sequences together, also their joint states,
    /// expected rows and summaries, before they are split.
    fn reading_bytes(&self, config: &ModelConfig, seq: usize) -> usize {
        let together = seq.min(MOST_ROWS);
        let contrasts = match self.both_ways {
            true => {
                vocabulary::most_bytes_beside(seq, config.model, config.vocab)
                    + seq * (size_of::<Contrast>() + size_of::<Position>())
            }
            false => 0,
        };
        contrasts
            + (seq + 2 * together) * config.model * size_of::<f32>()
            + match config.logit_cap {
                None => vocabulary::most_bytes(seq, config.model, config.vocab),
                Some(_) => vocabulary::most_bytes_beside(seq, config.model, config.vocab),
            }
            + (seq + together) * (size_of::<Summary>() + size_of::<f64>() + size_of::<u32>())
    }

    fn statistics(&self) -> &'static [&'static str] {
        const ALL: [&str; 8] = [
            "kl_nats",
            "top1_agreement",
            "top5_overlap",
            "entropy_bits",
            "loss_nats",
            "reverse_kl_nats",
            "js_nats",
            "reciprocal_rank",
        ];
        match self.both_ways {
            true => &ALL,
            false => &ALL[..Statistic::ALL.len()],
        }
    }

    fn observations(&self, _: &Vec<u32>, sums: &Sums, statistic: &str) -> (f64, u64) {
        let mut known = Statistic::ALL.iter().chain(Statistic::BOTH_WAYS);
        let found = known.find(|own| own.to_string() == statistic);
        found.map_or((0.0, 0), |own| sums.observations(*own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sums::BothWays;

    #[test]
    fn every_statistic_that_is_offered_has_observations() {
        let sums = Sums {
            positions: 2,
            loss_positions: 1,
            both_ways: Some(BothWays::default()),
            ..Sums::default()
        };
        let check = |measure: Divergence, known: usize| {
            let names = measure.statistics();
            assert_eq!(names.len(), known);
            for name in names {
                let (_, count) = measure.observations(&vec![], &sums, name);
                assert!(count > 0, "{name}");
            }
        };
        check(Divergence::new(), Statistic::ALL.len());
        let all = Statistic::ALL.len() + Statistic::BOTH_WAYS.len();
        check(Divergence::new().both_ways(), all);
    }
}
