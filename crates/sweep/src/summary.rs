//! The table of a sweep as text for a terminal.

use crate::differences::Differences;
use crate::pairs::PairStatistics;
use crate::plan::Label;
use crate::sums::{Statistic, Statistics};

/// The printed summary of a sweep: for each model a title and a row for each schedule.
///
/// Texts are taken as they are: escape control characters in names that a stranger may have chosen.
///
/// ```
/// use layerwise_sweep::{Divergence, Plan, Runner, Summary, collect};
/// use layerwise_transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 0);
/// let plan = Plan::new(model.stack(), &["drop(l)".parse()?], 4096)?;
/// let sequences = [vec![1, 2, 3], vec![4, 5, 6]];
/// let measured = Runner::new().measure(&model, &plan, &Divergence::new(), &sequences)?;
/// let statistics = collect(plan.entries().len(), measured.results.iter().map(Vec::as_slice));
/// let mut summary = Summary::sorted_by(None);
/// summary.push("tiny", &plan.labels(), sequences.len(), &statistics, None);
/// assert!(summary.text().starts_with("tiny: 2 sequences, 4 positions; means ± standard errors"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Summary {
    text: String,
    sort: Option<Statistic>,
}

const HEADS_OF_PAIRS: [&str; 5] = [
    "recovered",
    "logit difference",
    "probability",
    "rank",
    "KL (nats)",
];

/// The printed statistics of a schedule on sequences, with their heads.
const PRINTED: [(Statistic, &str); 4] = [
    (Statistic::KlNats, "KL (nats)"),
    (Statistic::Top1Agreement, "agreement"),
    (Statistic::EntropyBits, "entropy (bits)"),
    (Statistic::LossNats, "loss (nats)"),
];

impl Summary {
    /// A summary with rows in ascending order of a statistic, or in the given order.
    pub fn sorted_by(sort: Option<Statistic>) -> Self {
        Self {
            sort,
            ..Self::default()
        }
    }

    /// Adds a model's rows, with statistics over a number of sequences; and below them, in the same order, what they differ by
    /// from one of the schedules.
    pub fn push(
        &mut self,
        model: &str,
        labels: &[Label],
        sequences: usize,
        statistics: &[Statistics],
        differences: Option<&Differences>,
    ) {
        let order = self.order(statistics.len(), |at| &statistics[at]);
        let positions = statistics.first().map_or(0, |first| first.kl_nats.count());
        let [counted, shown] = told(sequences, "sequence");
        let title = format!("{model}: {counted}, {positions} positions; {shown}");
        self.push_rows(&title, labels, &order, statistics);
        if let Some(differences) = differences {
            let baseline = &differences.baseline;
            let title = format!("{model}: differences from {baseline}; {shown}");
            self.push_rows(&title, labels, &order, &differences.statistics);
        }
    }

    /// Adds a model's rows, with statistics over a number of pairs.
    pub fn push_pairs(
        &mut self,
        model: &str,
        labels: &[Label],
        pairs: usize,
        statistics: &[PairStatistics],
    ) {
        let order = self.order(statistics.len(), |at| &statistics[at].divergence);
        let [counted, shown] = told(pairs, "pair");
        let rows = order.into_iter().map(|at| {
            let own = &statistics[at];
            let recovered = (own.recovered.ratio(), own.recovered.standard_error());
            let means = [
                &own.logit_difference,
                &own.answer_probability,
                &own.answer_rank,
                &own.divergence.kl_nats,
            ];
            let means = means.map(|mean| (mean.mean(), mean.standard_error()));
            let cells: Vec<_> = [recovered].into_iter().chain(means).collect();
            (labels[at].edit.as_str(), cells)
        });
        let title = format!("{model}: {counted}; {shown}");
        self.push_table(&title, &HEADS_OF_PAIRS, rows);
    }

    /// Adds a title and a table of other numbers, in the given order: for each edit a mean and its standard error, as far as they
    /// are known, below each of the heads.
    ///
    /// ```
    /// let mut summary = layerwise_sweep::Summary::sorted_by(None);
    /// let row = ("drop(0)", vec![(Some(0.2512), Some(0.0431)), (None, None)]);
    /// summary.push_table("tiny: 40 words", &["share", "change"], [row]);
    /// assert_eq!(
    ///     summary.text(),
    ///     "tiny: 40 words\nedit             share  change\ndrop(0)  0.251 ± 0.043       –\n"
    /// );
    /// ```
    ///
    /// # Panics
    /// If a row does not have as many numbers as there are heads.
    pub fn push_table<'a>(
        &mut self,
        title: &str,
        heads: &[&str],
        rows: impl IntoIterator<Item = (&'a str, Vec<(Option<f64>, Option<f64>)>)>,
    ) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text += title;
        self.text.push('\n');
        let first = ["edit"].into_iter().chain(heads.iter().copied());
        let mut lines: Vec<Vec<String>> = vec![first.map(str::to_owned).collect()];
        lines.extend(rows.into_iter().map(|(edit, cells)| {
            assert_eq!(cells.len(), heads.len(), "a number below each head");
            let cells = cells.into_iter().map(|(mean, error)| measured(mean, error));
            [edit.to_owned()].into_iter().chain(cells).collect()
        }));
        self.text += &aligned(&lines);
    }

    /// The order of the rows, as indices.
    fn order<'a>(&self, rows: usize, of: impl Fn(usize) -> &'a Statistics) -> Vec<usize> {
        let mut order: Vec<usize> = (0..rows).collect();
        if let Some(statistic) = self.sort {
            // A mean over nothing comes last.
            let key = |row: &usize| of(*row).mean_of(statistic).mean().unwrap_or(f64::INFINITY);
            order.sort_by(|a, b| key(a).total_cmp(&key(b)));
        }
        order
    }

    /// Adds a row for each schedule, in an order. The statistic of the order has a column in any case.
    fn push_rows(
        &mut self,
        title: &str,
        labels: &[Label],
        order: &[usize],
        statistics: &[Statistics],
    ) {
        let mut columns = PRINTED.map(|(own, head)| (own, head.to_owned())).to_vec();
        let sort = self.sort.map(|own| (own, own.to_string()));
        columns.extend(sort.filter(|(sort, _)| PRINTED.iter().all(|(own, _)| own != sort)));
        let heads: Vec<&str> = columns.iter().map(|(_, head)| head.as_str()).collect();
        let rows = order.iter().map(|at| {
            let means = columns.iter().map(|(own, _)| statistics[*at].mean_of(*own));
            let cells = means.map(|mean| (mean.mean(), mean.standard_error()));
            (labels[*at].edit.as_str(), cells.collect::<Vec<_>>())
        });
        self.push_table(title, &heads, rows);
    }

    /// The summary as text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A number of units, and what the columns show of so many.
fn told(count: usize, unit: &str) -> [String; 2] {
    match count {
        1 => [
            format!("1 {unit}"),
            format!("means; a standard error needs two {unit}s"),
        ],
        _ => [
            format!("{count} {unit}s"),
            format!("means ± standard errors clustered by {unit}"),
        ],
    }
}

/// A mean and its standard error, both rounded to the second significant digit of the error.
fn measured(mean: Option<f64>, error: Option<f64>) -> String {
    match (mean, error) {
        (None, _) => "–".to_owned(),
        (Some(mean), None) => format!("{mean:.4}"),
        (Some(mean), Some(0.0)) if mean.fract() == 0.0 => format!("{mean} ± 0"),
        (Some(mean), Some(0.0)) => format!("{mean:.4} ± 0"),
        (Some(mean), Some(error)) => {
            // The exponent after rounding the error to two digits: 0.0996 becomes 0.10.
            let rounded = format!("{error:.1e}");
            let exponent = rounded.split_once('e').and_then(|(_, e)| e.parse().ok());
            match exponent.unwrap_or(0) {
                exponent @ -6..=1 => {
                    let decimals = 1_i32.saturating_sub(exponent).unsigned_abs() as usize;
                    format!("{mean:.decimals$} ± {error:.decimals$}")
                }
                _ => format!("{mean:.2e} ± {error:.1e}"),
            }
        }
    }
}

/// Lines of cells in columns: the first column is aligned left, the others right.
fn aligned(lines: &[Vec<String>]) -> String {
    let width = |cell: &String| cell.chars().count();
    let mut widths = vec![0; lines.first().map_or(0, Vec::len)];
    for line in lines {
        for (widest, cell) in widths.iter_mut().zip(line) {
            *widest = width(cell).max(*widest);
        }
    }
    let mut text = String::new();
    for line in lines {
        for (column, (cell, widest)) in line.iter().zip(&widths).enumerate() {
            let blank = " ".repeat(widest - width(cell));
            text += &match column {
                0 => format!("{cell}{blank}"),
                _ => format!("  {blank}{cell}"),
            };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise_metrics::ClusteredMean;

    #[test]
    fn errors_have_two_digits_and_means_as_many_decimals() {
        let check = |clusters: &[(f64, u64)], expected: &str| {
            let mut mean = ClusteredMean::default();
            for &(sum, count) in clusters {
                mean.push(sum, count);
            }
            let found = measured(mean.mean(), mean.standard_error());
            assert_eq!(found, expected, "{clusters:?}");
        };
        check(&[], "–");
        check(&[(1.0, 3)], "0.3333");
        check(&[(2.0, 2), (1.0, 1)], "1 ± 0");
        check(&[(0.5, 1), (0.5, 1)], "0.5000 ± 0");
        check(&[(1.0, 1), (2.0, 1)], "1.50 ± 0.50");
        check(&[(10.0, 1), (20.0, 1)], "15.0 ± 5.0");
        check(&[(100.0, 1), (150.0, 1)], "125 ± 25");
        check(&[(1.0, 1), (1.1992, 1)], "1.10 ± 0.10");
        check(&[(1e-5, 1), (3e-5, 1)], "0.000020 ± 0.000010");
        check(&[(1e-8, 1), (3e-8, 1)], "2.00e-8 ± 1.0e-8");
        check(&[(1e5, 1), (3e5, 1)], "2.00e5 ± 1.0e5");
    }

    #[test]
    fn numbers_stand_to_the_right() {
        let line = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
        let lines = [
            line(["edit", "a", "b", "c", "d"]),
            line(["drop(0)", "1 ± 2", "", "10", "9"]),
        ];
        let expected = "edit         a  b   c  d\ndrop(0)  1 ± 2     10  9\n";
        assert_eq!(aligned(&lines), expected);
    }
}
