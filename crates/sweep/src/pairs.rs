//! Activation patching: pairs of sequences that differ in what decides the next token.

use crate::divergence::{Divergence, Plain};
use crate::grouping::MOST_ITEMS;
use crate::measure::{Failure, Measure, MeasureId, Reached};
use crate::sums::{Statistics, Sums, collect};
use layerwise_metrics::{ClusteredMean, ClusteredRatio};
use layerwise_transformer::{Batch, ModelConfig};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, concatenate, s};
use serde::{Deserialize, Serialize};

/// Two sequences of the same length, and the tokens that follow them.
///
/// Edits act on the corrupted sequence; `donor` takes values of the clean one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pair {
    /// The sequence that the answer follows.
    pub clean: Vec<u32>,
    /// The sequence that every schedule runs on.
    pub corrupted: Vec<u32>,
    /// The token that should follow the clean sequence.
    pub answer: Option<u32>,
    /// The token that should follow the corrupted sequence.
    pub wrong: Option<u32>,
}

impl Pair {
    /// Two sequences without the tokens that follow them.
    pub fn new(clean: Vec<u32>, corrupted: Vec<u32>) -> Self {
        Self {
            clean,
            corrupted,
            answer: None,
            wrong: None,
        }
    }

    /// Sets the token that should follow the clean sequence, and the one that should follow the corrupted sequence.
    #[must_use]
    pub fn deciding(self, answer: Option<u32>, wrong: Option<u32>) -> Self {
        Self {
            answer,
            wrong,
            ..self
        }
    }
}

/// Measures the answers at the last position of pairs under each schedule and, by default, the divergence from the plain model at
/// all positions of the corrupted sequence.
///
/// ```
/// use layerwise_sweep::{Pair, PairStatistics, Patching, Plan, Runner};
/// use layerwise_transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let pair = Pair::new(vec![0, 5, 3, 8], vec![0, 2, 3, 8]).deciding(Some(5), Some(2));
/// let plan = Plan::new(model.stack(), &["donor(resid.pre[0]@1)".parse()?], 1)?;
/// let measured = Runner::new().measure(&model, &plan, &Patching::new(), &[pair])?;
/// let statistics = PairStatistics::collect(2, measured.results.iter().map(Vec::as_slice));
/// // The sequences differ at position 1 only, so its first stream carries all of the difference.
/// assert_eq!(statistics[1].recovered.ratio(), Some(1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Patching {
    divergence: Option<Divergence>,
}

impl Patching {
    /// Measures the last position, and the statistics of [`Divergence`].
    pub fn new() -> Self {
        Self {
            divergence: Some(Divergence::new()),
        }
    }

    /// Measures the last position alone, which takes less time.
    pub fn at_last_position() -> Self {
        Self { divergence: None }
    }
}

impl Default for Patching {
    fn default() -> Self {
        Self::new()
    }
}

/// The output at the last position of a sequence of a pair.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Last {
    /// The answer's logit minus the wrong token's, in nats; `None` if the pair lacks one of them.
    pub logit_difference: Option<f64>,
    /// The probability of the answer; `None` if the pair has none.
    pub answer_probability: Option<f64>,
    /// The number of tokens at least as probable as the answer, itself included; `None` if the pair has no answer.
    pub answer_rank: Option<u64>,
}

impl Last {
    fn of(logits: ArrayView1<'_, f32>, pair: &Pair) -> Self {
        let at = |token: u32| logits.get(token as usize).map(|logit| f64::from(*logit));
        let answer = pair.answer.and_then(at);
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights = logits.iter().map(|logit| f64::from(logit - most).exp());
        let sum: f64 = weights.sum();
        Self {
            logit_difference: answer.zip(pair.wrong.and_then(at)).map(|(a, b)| a - b),
            answer_probability: answer.map(|answer| (answer - f64::from(most)).exp() / sum),
            answer_rank: answer.map(|answer| {
                let above = logits.iter().filter(|logit| f64::from(**logit) >= answer);
                above.count() as u64
            }),
        }
    }

    fn numbers(&self) -> impl Iterator<Item = f64> {
        [self.logit_difference, self.answer_probability]
            .into_iter()
            .flatten()
    }
}

/// The result of one schedule on one pair.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PairSums {
    /// The divergence from the plain model's outputs on the corrupted sequence, if it is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Sums>,
    /// The last position of the corrupted sequence.
    pub last: Last,
    /// The last position of the clean sequence; only in the plain model's result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clean: Option<Last>,
}

/// The end of the corrupted sequence's run, as that of a single sequence.
fn as_sequence<'a>(reached: &Reached<'a, Pair>) -> Reached<'a, Vec<u32>> {
    Reached {
        model: reached.model,
        item: &reached.item.corrupted,
        index: reached.index,
        batch: reached.batch,
        schedules: reached.schedules,
        donor: None,
        states: reached.states,
        give_up: reached.give_up,
    }
}

/// The last row of a matrix of states.
fn last(states: ArrayView2<'_, f32>) -> ArrayView2<'_, f32> {
    let rows = states.nrows();
    states.slice_move(s![rows - 1.., ..])
}

/// The logits of the last row of each matrix of states, \[states, vocab\].
fn logits(reached: &[Reached<'_, Pair>], states: &[ArrayView2<'_, f32>]) -> Array2<f32> {
    let states = concatenate(Axis(0), states).expect("residual streams have one width");
    reached[0].model.standard_lens(states.view())
}

fn lasts(
    reached: &[Reached<'_, Pair>],
    states: &[ArrayView2<'_, f32>],
) -> Result<Vec<Last>, (usize, Failure)> {
    let logits = logits(reached, states);
    let rows = logits.outer_iter().zip(reached).enumerate();
    rows.map(|(at, (logits, reached))| {
        let last = Last::of(logits, reached.item);
        let finite = logits.iter().all(|logit| logit.is_finite());
        match finite && last.numbers().all(f64::is_finite) {
            true => Ok(last),
            false => Err((
                at,
                Failure::NotFinite {
                    position: reached.item.corrupted.len() - 1,
                },
            )),
        }
    })
    .collect()
}

impl Measure for Patching {
    type Item = Pair;
    type Observer<'a> = ();
    type Reference = Option<Plain>;
    type Sums = PairSums;

    fn id(&self) -> MeasureId {
        let id = MeasureId::new("patching", 1);
        match &self.divergence {
            Some(divergence) => id.with_settings(format!("{:?}", divergence.id())),
            None => id,
        }
    }

    fn unit(&self) -> &'static str {
        "pair"
    }

    fn batch(&self, item: &Pair) -> Batch {
        (&item.corrupted).into()
    }

    fn donor(&self, item: &Pair) -> Option<Batch> {
        Some((&item.clean).into())
    }

    fn least_tokens(&self) -> usize {
        match self.divergence {
            Some(_) => 3,
            None => 1,
        }
    }

    fn particulars(&self, item: &Pair) -> Vec<u32> {
        let number = |token: Option<u32>| [u32::from(token.is_some()), token.unwrap_or(0)];
        [number(item.answer), number(item.wrong)].concat()
    }

    fn weight(&self, item: &Pair) -> usize {
        item.corrupted.len().max(1)
    }

    fn plain(
        &self,
        reached: &Reached<'_, Pair>,
        _: Option<()>,
    ) -> Result<(Option<Plain>, PairSums), Failure> {
        let of_one = std::slice::from_ref(reached);
        let all = self.plain_of_all(of_one, vec![None]);
        let mut all = all.map_err(|(_, failure)| failure)?;
        Ok(all.pop().expect("one pair has one result"))
    }

    fn altered(
        &self,
        reached: &Reached<'_, Pair>,
        plain: &Option<Plain>,
    ) -> Result<PairSums, Failure> {
        let last = lasts(std::slice::from_ref(reached), &[last(reached.states)]);
        let last = last.map_err(|(_, failure)| failure)?.swap_remove(0);
        let divergence = self.divergence.as_ref().zip(plain.as_ref());
        let divergence =
            divergence.map(|(divergence, plain)| divergence.altered(&as_sequence(reached), plain));
        Ok(PairSums {
            divergence: divergence.transpose()?,
            last,
            clean: None,
        })
    }

    fn plain_of_all(
        &self,
        reached: &[Reached<'_, Pair>],
        _: Vec<Option<()>>,
    ) -> Result<Vec<(Option<Plain>, PairSums)>, (usize, Failure)> {
        let corrupted: Vec<_> = reached.iter().map(|own| last(own.states)).collect();
        let corrupted = lasts(reached, &corrupted)?;
        let donors = reached.iter().map(|own| own.donor);
        let donors = donors.map(|donor| donor.expect("a pair has a donor"));
        let clean: Vec<_> = donors.map(last).collect();
        let clean = lasts(reached, &clean)?;
        let divergences: Vec<Option<(Plain, Sums)>> = match &self.divergence {
            Some(divergence) => {
                let sequences: Vec<_> = reached.iter().map(as_sequence).collect();
                let none = vec![None; sequences.len()];
                let all = divergence.plain_of_all(&sequences, none)?;
                all.into_iter().map(Some).collect()
            }
            None => reached.iter().map(|_| None).collect(),
        };
        let all = divergences.into_iter().zip(corrupted).zip(clean);
        let all = all.map(|((divergence, last), clean)| {
            let (plain, divergence) = divergence.unzip();
            let sums = PairSums {
                divergence,
                last,
                clean: Some(clean),
            };
            (plain, sums)
        });
        Ok(all.collect())
    }

    fn altered_of_all(
        &self,
        reached: &[Reached<'_, Pair>],
        plain: &[Option<Plain>],
    ) -> Result<Vec<PairSums>, (usize, Failure)> {
        // The positions of one pair make a large enough product; only the last positions of all pairs are combined.
        if self.divergence.is_some() {
            let each = reached.iter().zip(plain).enumerate();
            return each
                .map(|(at, (own, plain))| self.altered(own, plain).map_err(|failure| (at, failure)))
                .collect();
        }
        let states: Vec<_> = reached.iter().map(|own| last(own.states)).collect();
        let all = lasts(reached, &states)?.into_iter().map(|last| PairSums {
            last,
            ..PairSums::default()
        });
        Ok(all.collect())
    }

    fn fits(&self, sums: &PairSums) -> bool {
        sums.divergence.is_some() == self.divergence.is_some()
    }

    fn kept_bytes(&self, config: &ModelConfig, seq: usize, schedules: usize) -> usize {
        let divergence = self.divergence.as_ref();
        let divergence = divergence.map_or(0, |own| own.kept_bytes(config, seq, schedules));
        // The clean sequences' streams and tokens, even if no edit takes values of them.
        divergence + 2 * seq * (config.model * size_of::<f32>() + size_of::<u32>())
    }

    /// Logits of last positions, and their states.
    fn reading_bytes(&self, config: &ModelConfig, seq: usize) -> usize {
        let divergence = self.divergence.as_ref();
        let divergence = divergence.map_or(0, |own| own.reading_bytes(config, seq));
        divergence + MOST_ITEMS * (config.vocab + 3 * config.model) * size_of::<f32>()
    }

    fn statistics(&self) -> &'static [&'static str] {
        match &self.divergence {
            Some(divergence) => divergence.statistics(),
            None => &[],
        }
    }

    fn observations(&self, item: &Pair, sums: &PairSums, statistic: &str) -> (f64, u64) {
        match (&self.divergence, &sums.divergence) {
            (Some(divergence), Some(sums)) => {
                divergence.observations(&item.corrupted, sums, statistic)
            }
            _ => (0.0, 0),
        }
    }
}

/// The statistics of one schedule on pairs, with standard errors clustered by pair.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PairStatistics {
    /// The divergence from the plain model on the corrupted sequences, if it was measured.
    pub divergence: Statistics,
    /// The answer's logit minus the wrong token's, in nats.
    pub logit_difference: ClusteredMean,
    /// The probability of the answer.
    pub answer_probability: ClusteredMean,
    /// The rank of the answer, from 1.
    pub answer_rank: ClusteredMean,
    /// (m(edited) − m(corrupted)) / (m(clean) − m(corrupted)) as a ratio of sums over pairs. m is the logit difference or, if no
    /// pair has a wrong token, the probability of the answer. Pairs without it do not count.
    pub recovered: ClusteredRatio,
}

impl PairStatistics {
    /// Combines the sums of pairs, for each schedule.
    ///
    /// `pairs` holds, in the order of the pairs, the sums of every schedule, the plain one's first.
    ///
    /// # Panics
    /// If a pair does not have one sum for each schedule, or has none.
    pub fn collect<'a>(
        schedules: usize,
        pairs: impl IntoIterator<Item = &'a [PairSums]>,
    ) -> Vec<Self> {
        let pairs: Vec<&[PairSums]> = pairs.into_iter().collect();
        let divergences: Vec<Vec<Sums>> = pairs
            .iter()
            .map(|own| {
                let sums = own.iter().map(|sums| sums.divergence.clone());
                sums.map(Option::unwrap_or_default).collect()
            })
            .collect();
        let divergences = collect(schedules, divergences.iter().map(Vec::as_slice));
        let mut statistics: Vec<Self> = divergences
            .into_iter()
            .map(|divergence| Self {
                divergence,
                ..Self::default()
            })
            .collect();
        // Nats of one pair and a probability of another do not add up.
        let has_wrong = |own: &&[PairSums]| own[0].last.logit_difference.is_some();
        let metric: fn(&Last) -> Option<f64> = match pairs.iter().any(has_wrong) {
            true => |last| last.logit_difference,
            false => |last| last.answer_probability,
        };
        for own in pairs {
            assert_eq!(own.len(), schedules, "one sum for each schedule");
            let plain = &own[0];
            let clean = plain.clean.as_ref().and_then(metric);
            let corrupted = metric(&plain.last);
            for (statistics, sums) in statistics.iter_mut().zip(own) {
                let last = &sums.last;
                let rank = last.answer_rank.map(|rank| rank as f64);
                for (mean, value) in [
                    (&mut statistics.logit_difference, last.logit_difference),
                    (&mut statistics.answer_probability, last.answer_probability),
                    (&mut statistics.answer_rank, rank),
                ] {
                    mean.push(value.unwrap_or(0.0), u64::from(value.is_some()));
                }
                if let (Some(edited), Some(corrupted), Some(clean)) =
                    (metric(last), corrupted, clean)
                {
                    let recovered = &mut statistics.recovered;
                    recovered.push(edited - corrupted, clean - corrupted);
                }
            }
        }
        statistics
    }
}
