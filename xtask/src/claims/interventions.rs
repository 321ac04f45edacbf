//! Claims about leaving blocks out and swapping them, and about the similarity of what blocks write: D1 to D9.

use super::evidence::{
    self, Evidence, Point, curve, is_middle, median, middle, needs, point, together,
};
use super::outcome::{Finding, Measured, Outcome, Threshold, Unjudged};
use crate::figures::models::relative_depth;
use crate::figures::robustness::Intervention::{self, Drop, Swap};
use crate::figures::robustness::Record;
use crate::figures::{benchmarks, cka};
use layerwise::metrics::{correlation, rescale};
use std::collections::BTreeSet;

const BOTH: [(Intervention, &str); 2] = [(Drop, "drop"), (Swap, "swap")];

fn divergence(record: &Record) -> (f64, Option<f64>) {
    (record.kl_nats, record.kl_nats_se)
}

fn agreement(record: &Record) -> (f64, Option<f64>) {
    (record.top1_agreement, record.top1_agreement_se)
}

/// The median relative accuracy at depths 0.2 to 0.9.
fn median_agreement(evidence: &Evidence<'_>, model: &str, intervention: Intervention) -> Outcome {
    let curve = evidence.robustness(model, intervention, agreement)?;
    median(&middle(&curve)?).ok_or_else(|| needs("robustness"))
}

/// Median relative accuracy over depths 0.2 to 0.9 at least 0.72, for swap and drop.
pub(super) fn d1(evidence: &Evidence<'_>) -> Vec<Finding> {
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
pub(super) fn d2(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for (intervention, name) in BOTH {
            let ratio = || {
                let curve = evidence.robustness(&model.name, intervention, divergence)?;
                let first = first(&curve, "robustness")?;
                let usual = median(&middle(&curve)?).ok_or_else(|| needs("robustness"))?;
                let error = first.error.map(|error| error / usual.value);
                Ok(Measured::of(first.value / usual.value)
                    .with_error(error)
                    .noting("standard error with the median taken as given"))
            };
            let least = || {
                let curve = evidence.robustness(&model.name, intervention, agreement)?;
                let first = first(&curve, "robustness")?;
                let other = evidence::trough(&curve[1..])
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
pub(super) fn d3(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for (intervention, name) in BOTH {
            let entropy = || {
                let quantity =
                    |r: &Record| (r.entropy_difference_bits, r.entropy_difference_bits_se);
                let curve = evidence.robustness(&model.name, intervention, quantity)?;
                let first = first(&curve, "robustness")?;
                Ok(Measured::of(first.value).with_error(first.error))
            };
            let share = || {
                let mut records = evidence.results.robustness_collapse.iter();
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
    evidence::mean(&points).ok_or_else(|| {
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
pub(super) fn d4(evidence: &Evidence<'_>) -> Vec<Finding> {
    let last = |model: &str| {
        let curve = evidence.robustness(model, Swap, agreement)?;
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
pub(super) fn d5(evidence: &Evidence<'_>) -> Vec<Finding> {
    let each = evidence.models.iter().map(|model| {
        let difference = || {
            let drop = middle(&evidence.robustness(&model.name, Drop, divergence)?)?;
            let swap = middle(&evidence.robustness(&model.name, Swap, divergence)?)?;
            let paired: Vec<Point> = swap
                .iter()
                .filter_map(|swap| {
                    let drop = drop.iter().find(|drop| drop.index == swap.index)?;
                    Some(point(swap.index, swap.depth, swap.value - drop.value, None))
                })
                .collect();
            let mean = evidence::mean(&paired).ok_or_else(|| needs("robustness"))?;
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
pub(super) fn d6(evidence: &Evidence<'_>) -> Vec<Finding> {
    let each = BOTH.iter().map(|&(intervention, name)| {
        let mean = |model: &str| {
            let curve = evidence.robustness(model, intervention, divergence)?;
            // On the common grid, so that models of different length weigh each depth alike.
            let points: Vec<(f64, f64)> = curve.iter().map(|p| (p.depth, p.value)).collect();
            let values = rescale::interpolate(&points)
                .map_err(|error| Unjudged::NotTested(error.to_string()))?;
            let grid: Vec<Point> = rescale::depths()
                .into_iter()
                .zip(values)
                .map(|(depth, value)| point(0, depth, value, None))
                .collect();
            evidence::mean(&middle(&grid)?).ok_or_else(|| needs("robustness"))
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
pub(super) fn d7(evidence: &Evidence<'_>) -> Vec<Finding> {
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

/// The tasks that the paper shows.
const TASKS: [&str; 3] = ["arc_easy", "lambada_openai", "hellaswag"];

/// The first or last block is the worst; the middle is nearer to the plain model than to the worst block.
pub(super) fn d8(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let own = |r: &&benchmarks::Record| r.model == model.name;
        let recorded = evidence.results.benchmarks.iter().filter(own);
        let mut tasks: BTreeSet<&str> = recorded.map(|r| r.task.as_str()).collect();
        // Stand-ins are judged where they were run, the paper's tasks in any case.
        if tasks.is_empty() {
            tasks.extend(TASKS);
        }
        for task in tasks {
            for (intervention, name) in [
                (benchmarks::Intervention::Drop, "drop"),
                (benchmarks::Intervention::Swap, "swap"),
            ] {
                let accuracy = || {
                    let own = |r: &benchmarks::Record| {
                        r.model == model.name && r.task == task && r.intervention == intervention
                    };
                    curve(&evidence.results.benchmarks, "benchmarks", own, |r| {
                        let layer = r.layer.unwrap_or(0);
                        let depth = relative_depth(layer, r.layers);
                        point(layer, depth, r.accuracy, r.accuracy_se)
                    })
                };
                findings.push(Finding::of(
                    &model.name,
                    format!("the worse of the first and last block less the worst of those between in accuracy, {task}, {name}"),
                    Threshold::AtMost(0.0),
                    accuracy().and_then(|curve| ends_worst(&curve)),
                ));
                let plain = evidence.results.benchmarks.iter().find(|r| {
                    r.model == model.name
                        && r.task == task
                        && r.intervention == benchmarks::Intervention::None
                });
                findings.push(Finding::of(
                    &model.name,
                    format!("median accuracy at depths 0.2 to 0.9, from 0 for the worst block to 1 for the plain model, {task}, {name}"),
                    Threshold::Above(0.5),
                    accuracy().and_then(|curve| {
                        let plain = plain.ok_or_else(|| needs("benchmarks"))?;
                        middle_near(&curve, plain.accuracy)
                    }),
                ));
            }
        }
    }
    findings
}

fn ends_worst(curve: &[Point]) -> Outcome {
    let ([first, between @ .., last], false) = (curve, curve.len() < 3) else {
        return Err(Unjudged::NotTested("needs three blocks".to_owned()));
    };
    let end = evidence::trough(&[*first, *last]).ok_or_else(|| needs("benchmarks"))?;
    let worst = evidence::trough(between).ok_or_else(|| needs("benchmarks"))?;
    Ok(Measured::of(end.value - worst.value)
        .with_error(together(end.error, worst.error))
        .noting(format!("blocks {} and {}", end.index, worst.index)))
}

fn middle_near(curve: &[Point], plain: f64) -> Outcome {
    let usual = median(&middle(curve)?).ok_or_else(|| needs("benchmarks"))?;
    let worst = evidence::trough(curve).ok_or_else(|| needs("benchmarks"))?;
    let range = plain - worst.value;
    if range <= 0.0 {
        let reason = "no block lowers the accuracy, so that there is nothing to mirror";
        return Err(Unjudged::NotTested(reason.to_owned()));
    }
    Ok(Measured::of((usual.value - worst.value) / range)
        .with_error(usual.standard_error.map(|error| error / range))
        .noting("standard error of the median block, the others taken as given"))
}

/// Mean CKA of pairs within the robust region above that of pairs with one block outside; block 0 apart from it.
pub(super) fn d9(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let own: Vec<&cka::Record> = evidence
            .results
            .cka
            .iter()
            .filter(|r| r.model == model.name && r.layer != r.other_layer && r.cka.is_finite())
            .collect();
        let mut estimators: Vec<cka::Estimator> = own.iter().map(|r| r.estimator).collect();
        estimators.sort();
        estimators.dedup();
        if estimators.is_empty() {
            estimators.push(cka::Estimator::LastToken);
        }
        for estimator in estimators {
            let name = match estimator {
                cka::Estimator::LastToken => "last tokens",
                cka::Estimator::AllTokens => "all tokens",
            };
            // The mean over pairs of which so many blocks are in the middle, and, where it is asked for, one is block 0.
            let mean = |in_middle: usize, with_first: bool| {
                let pairs = own.iter().filter(|r| {
                    let inside = [r.layer, r.other_layer]
                        .iter()
                        .filter(|layer| is_middle(relative_depth(**layer, r.layers)))
                        .count();
                    r.estimator == estimator
                        && inside == in_middle
                        && (!with_first || r.layer == 0 || r.other_layer == 0)
                });
                let pairs: Vec<Point> = pairs.map(|r| point(0, 0.0, r.cka, None)).collect();
                evidence::mean(&pairs).ok_or_else(|| {
                    if own.is_empty() {
                        return needs("cka");
                    }
                    let reason = "needs two blocks at depths 0.2 to 0.9 and others around them";
                    Unjudged::NotTested(reason.to_owned())
                })
            };
            let less = |a: Outcome, b: Outcome| {
                let (a, b) = (a?, b?);
                Ok(Measured::of(a.value - b.value)
                    .noting(format!("{:.4} against {:.4}", a.value, b.value)))
            };
            findings.push(Finding::of(
                &model.name,
                format!("mean CKA within depths 0.2 to 0.9 less that across their ends, {name}"),
                Threshold::Above(0.0),
                less(mean(2, false), mean(1, false)),
            ));
            findings.push(Finding::of(
                &model.name,
                format!("mean CKA of block 0 with depths 0.2 to 0.9 less that within them, {name}"),
                Threshold::Below(0.0),
                less(mean(1, true), mean(2, false)),
            ));
        }
    }
    findings
}
