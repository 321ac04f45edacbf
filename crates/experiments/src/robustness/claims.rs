//! The claims that are judged from this experiment.

use super::table::Intervention::{self, Drop, Swap};
use super::table::{self, Collapse, Record};
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, mean, median, middle, needs, point, together, trough};
use crate::core::finding::{Finding, Measured, Outcome, Threshold, Unjudged};
use layerwise_metrics::{correlation, rescale};
use std::collections::BTreeSet;

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "D1",
        versions: Version::ALL,
        statement: "middle layers are robust",
        needs: &["robustness"],
        models: "",
        judge: d1,
    },
    Claim {
        id: "D2",
        versions: Version::ALL,
        statement: "the first layer is catastrophic in every model",
        needs: &["robustness"],
        models: "",
        judge: d2,
    },
    Claim {
        id: "D3",
        versions: &[Version::Nips],
        statement: "failure has high entropy and is no collapse onto one token",
        needs: &["robustness"],
        models: "",
        judge: d3,
    },
    Claim {
        id: "D4",
        versions: &[Version::Nips],
        statement: "swapping the last pair is worse for Pythia than for GPT-2",
        needs: &["robustness"],
        models: "GPT-2 and Pythia models",
        judge: d4,
    },
    Claim {
        id: "D5",
        versions: Version::ALL,
        statement: "a swap is milder than a drop at intermediate depth",
        needs: &["robustness"],
        models: "",
        judge: d5,
    },
    Claim {
        id: "D6",
        versions: Version::V1_AND_NIPS,
        statement: "GPT-2 is more robust than Pythia",
        needs: &["robustness"],
        models: "GPT-2 and Pythia models",
        judge: d6,
    },
    Claim {
        id: "D7",
        versions: &[Version::V1],
        statement: "deeper models are more robust",
        needs: &["robustness"],
        models: "models of three numbers of blocks",
        judge: d7,
    },
];

const BOTH: [(Intervention, &str); 2] = [(Drop, "drop"), (Swap, "swap")];

fn divergence(record: &Record) -> (f64, Option<f64>) {
    (record.kl_nats, record.kl_nats_se)
}

fn agreement(record: &Record) -> (f64, Option<f64>) {
    (record.top1_agreement, record.top1_agreement_se)
}

/// The median relative accuracy at depths 0.2 to 0.9.
fn median_agreement(evidence: &Evidence<'_>, model: &str, intervention: Intervention) -> Outcome {
    let curve = table::curve(evidence.tables, model, intervention, agreement)?;
    median(&middle(&curve)?).ok_or_else(|| needs("robustness"))
}

/// Median relative accuracy over depths 0.2 to 0.9 at least 0.72, for swap and drop.
pub fn d1(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for (intervention, name) in BOTH {
            findings.push(Finding::of(
                &model.name,
                format!("median relative accuracy at depths 0.2 to 0.9, {name}"),
                Threshold::AtLeast(0.72),
                median_agreement(evidence, &model.name, intervention)
                    .map(|measured| measured.noting("standard error of the median block")),
            ));
        }
    }
    findings
}

/// KL at block 0 at least 5 times the median in the middle; relative accuracy least at block 0.
pub fn d2(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for (intervention, name) in BOTH {
            let ratio = || {
                let curve = table::curve(evidence.tables, &model.name, intervention, divergence)?;
                let first = first(&curve, "robustness")?;
                let usual = median(&middle(&curve)?).ok_or_else(|| needs("robustness"))?;
                let error = first.error.map(|error| error / usual.value);
                Ok(Measured::of(first.value / usual.value)
                    .with_error(error)
                    .noting("standard error with the median taken as given"))
            };
            let least = || {
                let curve = table::curve(evidence.tables, &model.name, intervention, agreement)?;
                let first = first(&curve, "robustness")?;
                let other = trough(&curve[1..])
                    .ok_or_else(|| Unjudged::NotTested("there is no other block".to_owned()))?;
                Ok(Measured::of(first.value - other.value)
                    .with_error(together(first.error, other.error))
                    .noting(format!(
                        "the least of the others is at block {}",
                        other.index
                    )))
            };
            findings.push(Finding::of(
                &model.name,
                format!("KL at block 0 over its median at depths 0.2 to 0.9, {name}"),
                Threshold::AtLeast(5.0),
                ratio(),
            ));
            findings.push(Finding::of(
                &model.name,
                format!("relative accuracy at block 0 less the least of the other blocks, {name}"),
                Threshold::AtMost(0.0),
                least(),
            ));
        }
    }
    findings
}

fn first(curve: &[Point], figure: &str) -> Result<Point, Unjudged> {
    let first = curve.first().filter(|point| point.index == 0);
    first.copied().ok_or_else(|| needs(figure))
}

/// After block 0 is changed, the entropy is above the plain model's, and no token has more than half of the positions.
pub fn d3(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for (intervention, name) in BOTH {
            let entropy = || {
                let quantity =
                    |r: &Record| (r.entropy_difference_bits, r.entropy_difference_bits_se);
                let curve = table::curve(evidence.tables, &model.name, intervention, quantity)?;
                let first = first(&curve, "robustness")?;
                Ok(Measured::of(first.value).with_error(first.error))
            };
            let share = || {
                let mut records = evidence.tables.of::<Collapse>().iter();
                let record = records
                    .find(|r| {
                        r.model == model.name && r.intervention == intervention && r.layer == 0
                    })
                    .ok_or_else(|| needs("robustness (robustness-collapse.csv)"))?;
                Ok(Measured::of(record.modal_share)
                    .with_error(record.modal_share_se)
                    .noting(format!("token {}", record.modal_token)))
            };
            findings.push(Finding::of(
                &model.name,
                format!("change of the output's entropy in bits, {name} at block 0"),
                Threshold::Above(0.0),
                entropy(),
            ));
            findings.push(Finding::of(
                &model.name,
                format!(
                    "share of positions at which the modal token is predicted, {name} at block 0"
                ),
                Threshold::AtMost(0.5),
                share(),
            ));
        }
    }
    findings
}

/// The mean over a family's models of one number each, with the mean of their standard errors.
fn family_mean(evidence: &Evidence<'_>, family: &str, number: impl Fn(&str) -> Outcome) -> Outcome {
    let mut points = Vec::new();
    for (index, model) in evidence.models.iter().enumerate() {
        if model.family == family {
            let measured = number(&model.name)?;
            points.push(point(index, 0.0, measured.value, measured.standard_error));
        }
    }
    mean(&points).ok_or_else(|| {
        Unjudged::NotTested("needs GPT-2 and Pythia models (families gpt2 and gpt_neox)".to_owned())
    })
}

/// The GPT-2 family's mean less the Pythia family's.
fn gpt2_less_pythia(evidence: &Evidence<'_>, number: impl Fn(&str) -> Outcome) -> Outcome {
    let gpt2 = family_mean(evidence, "gpt2", &number)?;
    let pythia = family_mean(evidence, "gpt_neox", &number)?;
    Ok(Measured::of(gpt2.value - pythia.value)
        .with_error(together(gpt2.standard_error, pythia.standard_error))
        .noting(format!(
            "GPT-2 {:.4}, Pythia {:.4}",
            gpt2.value, pythia.value
        )))
}

/// Relative accuracy after swapping the last pair: GPT-2 above Pythia.
pub fn d4(evidence: &Evidence<'_>) -> Vec<Finding> {
    let last = |model: &str| {
        let curve = table::curve(evidence.tables, model, Swap, agreement)?;
        let last = curve.last().ok_or_else(|| needs("robustness"))?;
        Ok(Measured::of(last.value).with_error(last.error))
    };
    vec![Finding::of(
        "*",
        "relative accuracy after the swap of the last pair, mean of GPT-2 less mean of Pythia",
        Threshold::Above(0.0),
        gpt2_less_pythia(evidence, last),
    )]
}

/// KL after a swap less KL after a drop of the same block, mean over depths 0.2 to 0.9: below 0.
pub fn d5(evidence: &Evidence<'_>) -> Vec<Finding> {
    let each = evidence.models.iter().map(|model| {
        let difference = || {
            let drop = middle(&table::curve(
                evidence.tables,
                &model.name,
                Drop,
                divergence,
            )?)?;
            let swap = middle(&table::curve(
                evidence.tables,
                &model.name,
                Swap,
                divergence,
            )?)?;
            let paired: Vec<Point> = swap
                .iter()
                .filter_map(|swap| {
                    let drop = drop.iter().find(|drop| drop.index == swap.index)?;
                    Some(point(swap.index, swap.depth, swap.value - drop.value, None))
                })
                .collect();
            let mean = mean(&paired).ok_or_else(|| needs("robustness"))?;
            let squares: f64 = paired.iter().map(|p| (p.value - mean.value).powi(2)).sum();
            let count = paired.len() as f64;
            let error = (squares / (count - 1.0) / count).sqrt();
            Ok(mean
                .with_error((count > 1.0).then_some(error))
                .noting("standard error over blocks"))
        };
        Finding::of(
            &model.name,
            "KL of the swap less KL of the drop in nats, mean over depths 0.2 to 0.9",
            Threshold::Below(0.0),
            difference(),
        )
    });
    each.collect()
}

/// Mean KL at comparable depth: GPT-2 below Pythia.
pub fn d6(evidence: &Evidence<'_>) -> Vec<Finding> {
    let each = BOTH.iter().map(|&(intervention, name)| {
        let mean = |model: &str| {
            let curve = table::curve(evidence.tables, model, intervention, divergence)?;
            // On the common grid, so that models of different length weigh each depth alike.
            let points: Vec<(f64, f64)> = curve.iter().map(|p| (p.depth, p.value)).collect();
            let values = rescale::interpolate(&points)
                .map_err(|error| Unjudged::NotTested(error.to_string()))?;
            let grid: Vec<Point> = rescale::depths()
                .into_iter()
                .zip(values)
                .map(|(depth, value)| point(0, depth, value, None))
                .collect();
            mean(&middle(&grid)?).ok_or_else(|| needs("robustness"))
        };
        Finding::of(
            "*",
            format!(
                "mean KL at depths 0.2 to 0.9 in nats, mean of GPT-2 less mean of Pythia, {name}"
            ),
            Threshold::Below(0.0),
            gpt2_less_pythia(evidence, mean),
        )
    });
    each.collect()
}

/// Rank correlation of the number of blocks with the median relative accuracy: above 0.
pub fn d7(evidence: &Evidence<'_>) -> Vec<Finding> {
    let each = BOTH.iter().map(|&(intervention, name)| {
        let rank = || {
            let mut pairs = Vec::new();
            for model in evidence.models {
                let median = median_agreement(evidence, &model.name, intervention)?;
                pairs.push((model.layers as f64, median.value));
            }
            let lengths: BTreeSet<usize> = evidence.models.iter().map(|m| m.layers).collect();
            if lengths.len() < 3 {
                let reason = "needs models of at least three different numbers of blocks";
                return Err(Unjudged::NotTested(reason.to_owned()));
            }
            let correlation = correlation::spearman(&pairs).unwrap_or(f64::NAN);
            Ok(Measured::of(correlation).noting(format!("{} models", pairs.len())))
        };
        Finding::of(
            "*",
            format!("rank correlation of blocks and median relative accuracy over models, {name}"),
            Threshold::Above(0.0),
            rank(),
        )
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::finding::Verdict;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, models};
    use crate::robustness::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    #[test]
    fn d1_middle_layers_are_robust() {
        let fragile = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                if r.intervention == Intervention::Drop && r.model_type == "phi" {
                    r.top1_agreement = 0.71;
                }
            }
        };
        judged("D1").check_all(2 * MODELS, fragile, [2 * MODELS - 3, 3, 0]);
    }

    #[test]
    fn d2_the_first_layer_is_catastrophic() {
        let mild = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                if r.layer == 0 && r.model == "gpt2" {
                    // Five times the median is 1, and the last block's swap is no worse.
                    r.kl_nats = 0.99
                        * if r.intervention == Intervention::Drop {
                            1.0
                        } else {
                            0.5
                        };
                    r.top1_agreement = 0.9;
                }
            }
        };
        judged("D2").check_all(4 * MODELS, mild, [4 * MODELS - 4, 4, 0]);
    }

    #[test]
    fn d3_failure_is_no_collapse() {
        let collapse = |tables: &mut Tables| {
            for r in tables.of_mut::<Collapse>() {
                r.modal_share = if r.model == "gpt2" { 0.51 } else { 0.5 };
            }
            for r in tables.of_mut::<Record>() {
                r.entropy_difference_bits = if r.model == "gpt2" { -1.0 } else { 1.0 };
            }
        };
        judged("D3").check_all(4 * MODELS, collapse, [4 * MODELS - 4, 4, 0]);
    }

    #[test]
    fn d4_the_last_swap_separates_the_families() {
        let equal = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.top1_agreement = 0.8;
            }
        };
        judged("D4").check_all(1, equal, [0, 1, 0]);
        judged("D4").check(
            |tables| tables.of_mut::<Record>().retain(|r| r.model_type != "gpt2"),
            [0, 0, 1],
        );
    }

    #[test]
    fn d5_swaps_are_milder() {
        let harsher = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                if r.model == "phi-2" && r.intervention == Intervention::Swap {
                    r.kl_nats *= 3.0;
                }
            }
        };
        judged("D5").check_all(MODELS, harsher, [MODELS - 1, 1, 0]);
    }

    #[test]
    fn d6_gpt2_is_more_robust() {
        let worse = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                if r.model_type == "gpt2" {
                    r.kl_nats *= 10.0;
                }
            }
        };
        judged("D6").check_all(2, worse, [0, 2, 0]);
    }

    #[test]
    fn d7_deeper_models_are_more_robust() {
        let reversed = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.top1_agreement = 1.0 / r.layers as f64;
            }
        };
        judged("D7").check_all(2, reversed, [0, 2, 0]);
        let models = &models()[..2];
        let rows = judged("D7").rows(&judged("D7").tables(models), models);
        assert!(rows.iter().all(|row| row.verdict == Verdict::NotTested));
    }
}
