//! Differences of schedules from one of them.

use crate::error::SweepError;
use crate::plan::Label;
use crate::sums::Statistics;
use layerwise_schedule::Edit;

/// What every schedule gives more than one of them, the baseline.
///
/// All schedules run on the same sequences.
/// Each sequence has its own difference, so that what makes a text hard for all schedules does not add to the standard error.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Differences {
    /// The baseline's edit.
    pub baseline: String,
    /// For each schedule the means of the differences, with standard errors clustered by sequence.
    pub statistics: Vec<Statistics>,
}

impl Differences {
    /// The differences from the first schedule of an edit.
    ///
    /// ```
    /// use layerwise_sweep::{Differences, Divergence, Plan, Runner, collect};
    /// use layerwise_transformer::{Model, ModelConfig};
    ///
    /// let model = Model::random(ModelConfig::tiny(), 0);
    /// let plan = Plan::new(model.stack(), &["drop(l)".parse()?], 4096)?;
    /// let measured = Runner::new().measure(&model, &plan, &Divergence::new(), &[vec![1, 2, 3], vec![4, 5, 6]])?;
    /// let statistics = collect(plan.entries().len(), measured.results.iter().map(Vec::as_slice));
    /// let found = Differences::from(&"drop(1)".parse()?, &plan.labels(), &statistics)?;
    /// let loss = &found.statistics[1].loss_nats; // drop(0) less drop(1)
    /// println!("{:?} ± {:?} nats", loss.mean(), loss.standard_error());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// No schedule has the edit, or schedules have unlike numbers of sequences or positions.
    pub fn from(
        baseline: &Edit,
        labels: &[Label],
        statistics: &[Statistics],
    ) -> Result<Self, SweepError> {
        let own = &statistics[Self::index(baseline, labels)?];
        let each = labels.iter().zip(statistics);
        let differences = each.map(|(label, statistics)| {
            let difference = statistics.difference(own);
            difference.map_err(|source| SweepError::Unpaired {
                edit: label.edit.clone(),
                source,
            })
        });
        Ok(Self {
            baseline: baseline.to_string(),
            statistics: differences.collect::<Result<_, _>>()?,
        })
    }

    /// The index of the first schedule of an edit.
    ///
    /// # Errors
    /// No schedule has it.
    pub fn index(baseline: &Edit, labels: &[Label]) -> Result<usize, SweepError> {
        let baseline = baseline.to_string();
        let found = labels.iter().position(|label| label.edit == baseline);
        found.ok_or_else(|| SweepError::Baseline {
            near: nearest(&baseline, labels),
            edit: baseline,
        })
    }
}

/// The last three of the edits that share the longest beginning with `edit`, if they are of the same kind.
fn nearest(edit: &str, labels: &[Label]) -> Vec<String> {
    const SHOWN: usize = 3;
    let shared = |other: &str| {
        let alike = edit.bytes().zip(other.bytes());
        alike.take_while(|(own, other)| own == other).count()
    };
    let edits = labels.iter().map(|label| label.edit.as_str());
    let most = edits.clone().map(shared).max().unwrap_or(0);
    if !edit.as_bytes()[..most].contains(&b'(') {
        return Vec::new();
    }
    let near: Vec<&str> = edits.filter(|other| shared(other) == most).collect();
    let first = near.len().saturating_sub(SHOWN);
    near[first..]
        .iter()
        .map(|edit| (*edit).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::sums::{Statistic, Sums, collect};
    use layerwise_transformer::{Model, ModelConfig};
    use proptest::prelude::*;

    fn label(edit: &str) -> Label {
        Label {
            family: edit.to_owned(),
            edit: edit.to_owned(),
            l: None,
            m: None,
            h: None,
            p: None,
        }
    }

    fn labels() -> Vec<Label> {
        ["id", "drop(0)", "drop(1)"].map(label).to_vec()
    }

    /// Three schedules on each sequence, of so many positions each and one less with a loss.
    fn sequences() -> impl Strategy<Value = Vec<Vec<Sums>>> {
        let numbers = prop::collection::vec(0.0..9.0_f64, 12);
        let sequence = (2..50_u64, numbers).prop_map(|(positions, numbers)| {
            let schedule = |own: &[f64]| Sums {
                positions,
                kl_nats: own[0],
                top1_agreements: own[1] as u64,
                entropy_bits: own[2],
                loss_positions: positions - 1,
                loss_nats: own[3],
                loss_bytes: Some(3 * positions),
                ..Sums::default()
            };
            numbers.chunks(4).map(schedule).collect()
        });
        prop::collection::vec(sequence, 2..12)
    }

    proptest! {
        #[test]
        fn each_is_the_mean_of_the_differences_of_sequences(sequences in sequences()) {
            let statistics = collect(3, sequences.iter().map(Vec::as_slice));
            let baseline: Edit = "drop(0)".parse().unwrap();
            let found = Differences::from(&baseline, &labels(), &statistics).unwrap();
            prop_assert_eq!(&found.baseline, "drop(0)");
            for (schedule, own) in found.statistics.iter().enumerate() {
                for statistic in Statistic::ALL {
                    let mut expected = layerwise_metrics::ClusteredMean::new();
                    for sums in &sequences {
                        let [(sum, count), (other, _)] =
                            [schedule, 1].map(|at| sums[at].observations(*statistic));
                        expected.push(sum - other, count);
                    }
                    let found = own.mean_of(*statistic);
                    prop_assert_eq!(found.mean(), expected.mean());
                    prop_assert_eq!(found.standard_error(), expected.standard_error());
                    if schedule == 1 {
                        prop_assert_eq!((found.mean(), found.standard_error()), (Some(0.0), Some(0.0)));
                    }
                }
                let bits = [schedule, 1].map(|at| statistics[at].bits_per_byte.ratio().unwrap());
                prop_assert!((own.bits_per_byte.ratio().unwrap() - (bits[0] - bits[1])).abs() < 1e-9);
            }
        }
    }

    /// So a baseline that is resolved is found, however its indices are written.
    #[test]
    fn a_label_is_the_resolved_edit() {
        let stack = Model::random(ModelConfig::tiny(), 0).stack();
        for text in [
            "id",
            "drop(-1)",
            "drop(-2..-1)",
            "keep(0..-1)",
            "swap(-1,0)",
            "drop_attn(-1)",
            "zero(resid.post[-2])",
            "zero(attn.head_out[0,-1])",
        ] {
            let plan = Plan::new(stack, &[text.parse().unwrap()], 1).unwrap();
            let edit: Edit = text.parse().unwrap();
            let resolved = edit.resolve(stack).unwrap();
            assert_eq!(plan.labels()[1].edit, resolved.to_string(), "{text}");
            let at = Differences::index(&resolved, &plan.labels()).unwrap();
            assert_eq!(at, usize::from(text != "id"), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_paired_is_refused() {
        let sums = |positions| Sums {
            positions,
            ..Sums::default()
        };
        let check = |edit: &str, positions: [u64; 3], expected: &str| {
            let statistics = collect(3, [positions.map(sums).as_slice()]);
            let found = Differences::from(&edit.parse().unwrap(), &labels(), &statistics);
            let found = found.map(drop).map_err(|error| error.to_string());
            match expected {
                "" => assert_eq!(found, Ok(()), "{edit}"),
                expected => assert!(found.unwrap_err().contains(expected), "{edit}"),
            }
        };
        check("id", [4, 4, 4], "");
        check("drop( 1 )", [4, 4, 4], "");
        check(
            "drop(2)",
            [4, 4, 4],
            "baseline `drop(2)`: the run has no such schedule; expected `id`, the plain model, or one of the run's edits, such as \
             `drop(0)`, `drop(1)`, whose indices count from 0: add it to them",
        );
        check("drop(-1)", [4, 4, 4], "such as `drop(0)`, `drop(1)`, whose");
        check(
            "swap(0,1)",
            [4, 4, 4],
            "or one of the run's edits: add it to them",
        );
        check(
            "id",
            [4, 4, 5],
            "edit `drop(1)` beside the baseline: means cannot be subtracted",
        );
    }
}
