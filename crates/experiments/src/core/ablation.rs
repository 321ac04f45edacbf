//! Ablations of values on sequences of one length: zero, mean and resample, next to each other.

use super::error::ExperimentError;
use super::subject::{Subject, Text};
use layerwise_metrics::{ClusteredMean, correlation};
use layerwise_schedule::{Bounds, EditFamily, Member, Source};
use layerwise_sweep::{
    Divergence, Held, Plan, Sources, Statistics, Sums, add_means, collect, cost, partners,
};
use layerwise_transformer::Constants;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most sequences that values are ablated on.
const SEQUENCES: usize = 16;
/// The most tokens of a sequence.
const LENGTH: usize = 128;
/// The most schedules of one family: more than any model has heads.
const MOST_MEMBERS: usize = 1 << 20;
/// The seed that chooses, for each sequence, the one it is resampled from.
const SEED: u64 = 0;

/// The replacement of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// 0.
    Zero,
    /// Its mean over positions 1… of the sequences.
    Mean,
    /// The value at the same position of another sequence.
    Resample,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Zero, Self::Mean, Self::Resample];

    /// The name in tables, and of the edit.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zero => "zero",
            Self::Mean => "mean",
            Self::Resample => "resample",
        }
    }

    /// The name in titles.
    pub fn title(self) -> &'static str {
        match self {
            Self::Zero => "Zero",
            Self::Mean => "Mean",
            Self::Resample => "Resample",
        }
    }

    /// The pairs of kinds, each once.
    pub fn pairs() -> [[Self; 2]; 3] {
        [
            [Self::Zero, Self::Mean],
            [Self::Zero, Self::Resample],
            [Self::Mean, Self::Resample],
        ]
    }
}

/// Sequences of a text, cut to one length so that each can be resampled from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Even {
    /// The sequences, all of one length.
    pub sequences: Vec<Vec<u32>>,
    /// The number of shorter sequences in the text.
    pub shorter: usize,
}

impl Even {
    /// The first sequences of a text, cut to at most 128 tokens: to a length that at least half of the text's sequences have.
    pub fn of(text: &Text<'_>) -> Self {
        Self::of_sequences(text.sequences())
    }

    fn of_sequences(all: &[Vec<u32>]) -> Self {
        let mut lengths: Vec<usize> = all.iter().map(Vec::len).collect();
        lengths.sort_unstable();
        let median = lengths.get(lengths.len().saturating_sub(1) / 2);
        let length = median.copied().unwrap_or(0).min(LENGTH);
        let long = all.iter().filter(|own| own.len() >= length);
        let sequences: Vec<Vec<u32>> = long
            .map(|own| own[..length].to_vec())
            .take(SEQUENCES)
            .collect();
        Self {
            shorter: lengths.iter().filter(|own| **own < length).count(),
            sequences,
        }
    }

    /// The number of tokens of each.
    pub fn length(&self) -> usize {
        self.sequences.first().map_or(0, Vec::len)
    }

    /// Why nothing is measured, if so.
    pub fn refusal(&self, experiment: &str) -> Option<String> {
        (self.sequences.len() < 2).then(|| {
            format!(
                "{experiment} is left empty: it needs two sequences of a text, found {}",
                self.sequences.len()
            )
        })
    }

    /// The total number of tokens.
    pub fn tokens(&self) -> usize {
        self.sequences.len() * self.length()
    }

    /// Describes a run of this many schedules.
    pub fn told(&self, experiment: &str, schedules: usize) -> String {
        let Self { sequences, shorter } = self;
        let left_out = match shorter {
            0 => String::new(),
            shorter => format!("; {shorter} shorter sequences of the text are left out"),
        };
        format!(
            "{experiment}: {schedules} schedules on {} sequences of {} tokens{left_out}",
            sequences.len(),
            self.length()
        )
    }
}

/// A plan of some families.
///
/// # Errors
/// A family does not fit the model.
pub fn plan(subject: &Subject<'_>, families: &[String]) -> Result<Plan, ExperimentError> {
    let families = families.iter().map(|family| family.parse::<EditFamily>());
    let families = families.collect::<Result<Vec<_>, _>>()?;
    let bounds = Bounds::default().max_members(Some(MOST_MEMBERS));
    Ok(Plan::new(subject.model.stack(), &families, bounds)?)
}

/// Describes an experiment's runs of a plan on the sequences that [`Even`] takes.
pub fn told(subject: &Subject<'_>, experiment: &str, plan: &Plan) -> String {
    Even::of(&subject.text).told(experiment, plan.entries().len())
}

/// Multiply-adds of a plan on the sequences that [`Even`] takes.
pub fn work(subject: &Subject<'_>, plan: &Plan) -> f64 {
    cost::of_plan(subject.model, plan, Even::of(&subject.text).tokens())
}

/// Schedules that ran on sequences of one length.
pub struct Ablated {
    /// The schedules.
    pub plan: Plan,
    /// The sums of each sequence, one for each schedule.
    pub sums: Vec<Vec<Sums>>,
    /// Statistics for each schedule, the plain one first.
    pub statistics: Vec<Statistics>,
    /// The memory that the sums occupy.
    _memory: Arc<Held>,
}

/// The effect of one schedule of a family on the sequences.
#[derive(Clone, Debug)]
pub struct Effect<'a> {
    /// The index of the family.
    pub family: usize,
    /// The values of the family's variables.
    pub member: &'a Member,
    /// Mean KL(plain ‖ altered), nats.
    pub kl_nats: f64,
    /// Its standard error, clustered by sequence, nats.
    pub kl_nats_se: Option<f64>,
    /// Altered minus plain loss of each sequence, nats a token.
    pub loss_difference: ClusteredMean,
    /// Its mean.
    pub loss_difference_nats: f64,
    /// Its standard error, nats a token.
    pub loss_difference_nats_se: Option<f64>,
    /// Positions over which the divergence is averaged.
    pub positions: u64,
}

impl Ablated {
    /// The effect of each schedule except the plain one.
    ///
    /// # Errors
    /// None for schedules that ran on the same sequences.
    pub fn effects(&self) -> Result<Vec<Effect<'_>>, ExperimentError> {
        let plain = &self.statistics[0];
        let entries = self.plan.entries().iter().zip(&self.statistics);
        let altered = entries.filter_map(|(entry, own)| Some((entry.family?, &entry.member, own)));
        altered
            .map(|(family, member, own)| {
                let loss = own.loss_nats.difference(&plain.loss_nats)?;
                Ok(Effect {
                    family,
                    member,
                    kl_nats: own.kl_nats.mean().unwrap_or(f64::NAN),
                    kl_nats_se: own.kl_nats.standard_error(),
                    loss_difference_nats: loss.mean().unwrap_or(f64::NAN),
                    loss_difference_nats_se: loss.standard_error(),
                    loss_difference: loss,
                    positions: own.kl_nats.count(),
                })
            })
            .collect()
    }
}

/// Runs a plan on sequences, with means over them, and each resampled from another.
///
/// # Errors
/// Logits are not finite, memory is insufficient, a journal cannot be used, or the user interrupts; in a share,
/// [`ExperimentError::ShareFinished`].
pub fn run(subject: &Subject<'_>, plan: Plan, even: &Even) -> Result<Ablated, ExperimentError> {
    let sequences = &even.sequences;
    let runs = &subject.runs;
    let mut sources = Sources::default();
    let means = plan.taken_from(Source::Mean);
    if !means.is_empty() {
        let mut constants = Constants::default();
        add_means(
            &mut constants,
            &runs.runner,
            runs.model.clone(),
            sequences,
            &means,
        )?;
        sources = sources.constants(constants);
    }
    if !plan.taken_from(Source::Resample).is_empty() {
        let found = partners(sequences, SEED).into_iter().flatten();
        sources = sources.partners(found.map(|at| sequences[at].clone()).collect());
    }
    let plan = plan.with_sources(sources);
    let measured = runs.measure(&plan, &Divergence::new(), sequences)?;
    let results = measured.results;
    Ok(Ablated {
        statistics: collect(plan.entries().len(), results.iter().map(Vec::as_slice)),
        plan,
        sums: results,
        _memory: measured.memory,
    })
}

/// How well two kinds of ablation agree on the same parts of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// The rank correlation of the parts' divergences.
    pub rank_correlation: f64,
    /// The median divergence under the first kind, divided by that under the second.
    pub ratio_of_medians: f64,
    /// The number of parts.
    pub parts: usize,
}

impl Agreement {
    /// The agreement of each pair of kinds, over the parts that have a divergence under both; `divergences` gives kind and part.
    pub fn of_kinds<P: Ord>(
        divergences: impl IntoIterator<Item = (Kind, P, f64)>,
    ) -> [([Kind; 2], Self); 3] {
        let mut parts: BTreeMap<P, BTreeMap<Kind, f64>> = BTreeMap::new();
        for (kind, part, divergence) in divergences {
            parts.entry(part).or_default().insert(kind, divergence);
        }
        Kind::pairs().map(|[one, other]| {
            let both = |own: &BTreeMap<Kind, f64>| Some((*own.get(&one)?, *own.get(&other)?));
            let pairs: Vec<(f64, f64)> = parts.values().filter_map(both).collect();
            ([one, other], Self::of(&pairs))
        })
    }

    /// From divergences under two kinds, part by part; a number that is not defined is NaN.
    pub fn of(pairs: &[(f64, f64)]) -> Self {
        let median = |side: fn(&(f64, f64)) -> f64| {
            layerwise_metrics::median(pairs.iter().map(side)).unwrap_or(f64::NAN)
        };
        Self {
            rank_correlation: correlation::spearman(pairs).unwrap_or(f64::NAN),
            ratio_of_medians: median(|pair| pair.0) / median(|pair| pair.1),
            parts: pairs.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lengths: &[usize]) -> Even {
        let sequence = |(at, len): (usize, &usize)| vec![at as u32; *len];
        let sequences: Vec<Vec<u32>> = lengths.iter().enumerate().map(sequence).collect();
        Even::of_sequences(&sequences)
    }

    #[test]
    fn sequences_are_cut_to_what_half_of_them_have() {
        let check = |lengths: &[usize], length: usize, kept: &[u32], shorter: usize| {
            let even = of(lengths);
            let found: Vec<u32> = even.sequences.iter().map(|own| own[0]).collect();
            assert_eq!(
                (even.length(), found.as_slice()),
                (length, kept),
                "{lengths:?}"
            );
            assert_eq!(even.shorter, shorter, "{lengths:?}");
        };
        check(&[5, 9, 7], 7, &[1, 2], 1);
        check(&[5, 9, 7, 6], 6, &[1, 2, 3], 1);
        check(&[500, 200, 3], 128, &[0, 1], 1);
        assert_eq!(of(&[9; 99]).sequences.len(), SEQUENCES);
        assert!(of(&[]).refusal("heads").is_some());
        assert!(of(&[4]).refusal("heads").is_some());
        assert!(of(&[4, 4]).refusal("heads").is_none());
    }

    #[test]
    fn kinds_agree_as_their_ranks_do() {
        let agreement = Agreement::of(&[(1.0, 2.0), (2.0, 4.0), (30.0, 5.0)]);
        assert!((agreement.rank_correlation - 1.0).abs() < 1e-12);
        assert_eq!((agreement.ratio_of_medians, agreement.parts), (0.5, 3));
        assert!(Agreement::of(&[]).rank_correlation.is_nan());
    }

    #[test]
    fn kinds_are_compared_part_by_part() {
        let (zero, mean) = ([3.0, 1.0, 2.0], [1.0, 2.0, 3.0]);
        let of = |kind: Kind, values: [f64; 3]| {
            let parts = values.into_iter().enumerate();
            parts.map(move |(part, value)| (kind, part, value))
        };
        // Another order of parts, and one part that only one kind has.
        let all = of(Kind::Zero, zero).chain(of(Kind::Mean, mean).rev());
        let [(kinds, agreement), (_, without), _] =
            Agreement::of_kinds(all.chain([(Kind::Zero, 3, 9.0)]));
        assert_eq!(kinds, [Kind::Zero, Kind::Mean]);
        assert_eq!(
            agreement,
            Agreement::of(&[(3.0, 1.0), (1.0, 2.0), (2.0, 3.0)])
        );
        assert_eq!(without.parts, 0);
    }
}
