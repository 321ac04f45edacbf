//! The table of a sweep.

use crate::differences::Differences;
use crate::{Label, PairStatistics, Statistics};
use layerwise_metrics::{ClusteredMean, ClusteredRatio};
use std::fmt;
use std::io;

/// The columns; other programs may rely on their names.
const COLUMNS: [&str; 28] = [
    "model",
    "family",
    "schedule",
    "l",
    "m",
    "sequences",
    "positions",
    "kl_nats",
    "kl_nats_se",
    "top1_agreement",
    "top1_agreement_se",
    "entropy_bits",
    "entropy_bits_se",
    "loss_positions",
    "loss_nats",
    "loss_nats_se",
    "h",
    "p",
    "top5_overlap",
    "top5_overlap_se",
    "bits_per_byte",
    "bits_per_byte_se",
    "reverse_kl_nats",
    "reverse_kl_nats_se",
    "js_nats",
    "js_nats_se",
    "reciprocal_rank",
    "reciprocal_rank_se",
];

/// Further columns for pairs; the column `sequences` then counts pairs.
const OF_PAIRS: [&str; 8] = [
    "logit_difference_nats",
    "logit_difference_nats_se",
    "answer_probability",
    "answer_probability_se",
    "answer_rank",
    "answer_rank_se",
    "recovered",
    "recovered_se",
];

/// Further columns where schedules are compared with one of them.
const OF_DIFFERENCES: [&str; 19] = [
    "baseline",
    "kl_nats_difference",
    "kl_nats_difference_se",
    "top1_agreement_difference",
    "top1_agreement_difference_se",
    "entropy_bits_difference",
    "entropy_bits_difference_se",
    "loss_nats_difference",
    "loss_nats_difference_se",
    "top5_overlap_difference",
    "top5_overlap_difference_se",
    "bits_per_byte_difference",
    "bits_per_byte_difference_se",
    "reverse_kl_nats_difference",
    "reverse_kl_nats_difference_se",
    "js_nats_difference",
    "js_nats_difference_se",
    "reciprocal_rank_difference",
    "reciprocal_rank_difference_se",
];

/// The table of a sweep as CSV, in memory: one row for each schedule of each model.
///
/// ```
/// use layerwise_sweep::{Divergence, Plan, Runner, Table, collect};
/// use layerwise_transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 0);
/// let plan = Plan::new(model.stack(), &["drop(l)".parse()?], 4096)?;
/// let measured = Runner::new().measure(&model, &plan, &Divergence::new(), &[vec![0, 5, 3]])?;
/// let statistics = collect(plan.entries().len(), measured.results.iter().map(Vec::as_slice));
/// let mut table = Table::new()?;
/// table.push("tiny", &plan.labels(), 1, &statistics)?;
/// let csv = String::from_utf8(table.bytes()?)?;
/// assert_eq!(csv.lines().count(), 1 + 1 + 4); // the header, the plain model, four blocks
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Table {
    writer: csv::Writer<Vec<u8>>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").finish_non_exhaustive()
    }
}

impl Table {
    /// A table of a sweep on sequences, with a header alone.
    ///
    /// # Errors
    /// The CSV writer fails.
    pub fn new() -> io::Result<Self> {
        Self::of(COLUMNS.iter())
    }

    /// A table of a sweep on pairs, with a header alone.
    ///
    /// # Errors
    /// The CSV writer fails.
    pub fn of_pairs() -> io::Result<Self> {
        Self::of(COLUMNS.iter().chain(&OF_PAIRS))
    }

    /// The header alone, of a sweep whose schedules are compared with one of them.
    ///
    /// # Errors
    /// The CSV writer fails.
    pub fn of_differences() -> io::Result<Self> {
        Self::of(COLUMNS.iter().chain(&OF_DIFFERENCES))
    }

    fn of<'a>(columns: impl Iterator<Item = &'a &'a str>) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(columns)?;
        Ok(Self { writer })
    }

    /// Adds a model's rows, one for each schedule, with statistics over a number of sequences.
    ///
    /// # Errors
    /// The CSV writer fails.
    pub fn push(
        &mut self,
        model: &str,
        labels: &[Label],
        sequences: usize,
        statistics: &[Statistics],
    ) -> io::Result<()> {
        for (label, statistics) in labels.iter().zip(statistics) {
            self.writer
                .write_record(row(model, label, sequences, statistics))?;
        }
        Ok(())
    }

    /// Adds a model's rows, one for each schedule, with statistics over a number of sequences and the differences from one of
    /// the schedules.
    ///
    /// # Errors
    /// The CSV writer fails.
    pub fn push_differences(
        &mut self,
        model: &str,
        labels: &[Label],
        sequences: usize,
        statistics: &[Statistics],
        differences: &Differences,
    ) -> io::Result<()> {
        let each = labels.iter().zip(statistics).zip(&differences.statistics);
        for ((label, statistics), own) in each {
            let baseline = [differences.baseline.clone()];
            let further = baseline.into_iter().chain(numbers(own));
            let row = row(model, label, sequences, statistics);
            self.writer.write_record(row.into_iter().chain(further))?;
        }
        Ok(())
    }

    /// Adds a model's rows, one for each schedule, with statistics over a number of pairs.
    ///
    /// # Errors
    /// The CSV writer fails.
    pub fn push_pairs(
        &mut self,
        model: &str,
        labels: &[Label],
        pairs: usize,
        statistics: &[PairStatistics],
    ) -> io::Result<()> {
        for (label, own) in labels.iter().zip(statistics) {
            let means = [
                &own.logit_difference,
                &own.answer_probability,
                &own.answer_rank,
            ];
            let further = means
                .into_iter()
                .flat_map(mean)
                .chain(ratio(&own.recovered));
            let row = row(model, label, pairs, &own.divergence);
            self.writer.write_record(row.into_iter().chain(further))?;
        }
        Ok(())
    }

    /// The table as CSV.
    ///
    /// # Errors
    /// The CSV writer fails.
    pub fn bytes(self) -> io::Result<Vec<u8>> {
        self.writer
            .into_inner()
            .map_err(csv::IntoInnerError::into_error)
    }
}

/// The number as text, or an empty field.
fn optional(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn mean(mean: &ClusteredMean) -> [String; 2] {
    [optional(mean.mean()), optional(mean.standard_error())]
}

fn ratio(ratio: &ClusteredRatio) -> [String; 2] {
    [optional(ratio.ratio()), optional(ratio.standard_error())]
}

/// The columns of differences, but for the baseline's name.
fn numbers(own: &Statistics) -> impl Iterator<Item = String> {
    let first = [
        &own.kl_nats,
        &own.top1_agreement,
        &own.entropy_bits,
        &own.loss_nats,
        &own.top5_overlap,
    ];
    let last = [&own.reverse_kl_nats, &own.js_nats, &own.reciprocal_rank];
    let first = first.into_iter().flat_map(mean);
    first
        .chain(ratio(&own.bits_per_byte))
        .chain(last.into_iter().flat_map(mean))
}

fn row(model: &str, label: &Label, sequences: usize, statistics: &Statistics) -> [String; 28] {
    let index = |value: Option<usize>| value.map_or_else(String::new, |value| value.to_string());
    let [kl, kl_se] = mean(&statistics.kl_nats);
    let [top1, top1_se] = mean(&statistics.top1_agreement);
    let [top5, top5_se] = mean(&statistics.top5_overlap);
    let [entropy, entropy_se] = mean(&statistics.entropy_bits);
    let [loss, loss_se] = mean(&statistics.loss_nats);
    let [bits, bits_se] = ratio(&statistics.bits_per_byte);
    let [reverse, reverse_se] = mean(&statistics.reverse_kl_nats);
    let [js, js_se] = mean(&statistics.js_nats);
    let [rank, rank_se] = mean(&statistics.reciprocal_rank);
    [
        model.to_owned(),
        label.family.clone(),
        label.edit.clone(),
        index(label.l),
        index(label.m),
        sequences.to_string(),
        statistics.kl_nats.count().to_string(),
        kl,
        kl_se,
        top1,
        top1_se,
        entropy,
        entropy_se,
        statistics.loss_nats.count().to_string(),
        loss,
        loss_se,
        index(label.h),
        index(label.p),
        top5,
        top5_se,
        bits,
        bits_se,
        reverse,
        reverse_se,
        js,
        js_se,
        rank,
        rank_se,
    ]
}
