//! The claims that are judged from this experiment.

use super::table::{FeatureRecord, Law, LawRecord, LossRecord, Record, TimeRecord};
use crate::core::claim::{Claim, Evidence, Judge, Version};
use crate::core::curve::{needs, together};
use crate::core::finding::{Finding, Measured, NotTested, Outcome, Threshold, error_of_changes};
use crate::core::models::Facts;
use crate::core::sample::interval_of_ranks;
use crate::core::table::distinct;
use crate::core::tables::Tables;
use layerwise_metrics::{correlation, errors_in_interval};

const fn claim(id: &'static str, statement: &'static str, judge: Judge) -> Claim {
    Claim::of(&["early-exit"], Version::EXITS, id, statement, judge)
}

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[
    claim("A1", "confidence grows with depth", a1),
    claim("A2", "not all blocks are needed", a2),
    claim("A3", "easy tasks stop earlier", a3),
    claim("A4", "little is lost", a4),
    claim("A5", "the classifier is worth having", a5),
    claim("A6", "a classifier transfers between tasks", a6),
    claim("A7", "saved layers are not saved time", a7),
    claim("A8", "writing breaks", a8),
    claim("A9", "exits obey their laws", a9),
];

/// The task of running text, which has no questions.
const NEXT_TOKEN: &str = super::instance::NEXT_TOKEN;

fn each_model(evidence: &Evidence<'_>, findings: impl Fn(&Facts) -> Vec<Finding>) -> Vec<Finding> {
    evidence.models.iter().flat_map(findings).collect()
}

/// The mean over tasks of a number; the task is the independent unit.
fn over(values: &[f64], units: &str) -> Outcome {
    let count = values.len() as f64;
    if values.is_empty() {
        return Err(needs("early-exit"));
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let error = (values.len() > 1).then(|| (squares / (count - 1.0) / count).sqrt());
    Ok(Measured::of(mean)
        .with_error_of(error, Some(values.len() as u64))
        .noting(format!("{count} {units}")))
}

/// The same for numbers with errors over their own items: with few items, tasks may agree by chance. Uses the wider of the two
/// intervals.
fn over_with_items(values: &[(f64, f64)]) -> Outcome {
    let numbers: Vec<f64> = values.iter().map(|(value, _)| *value).collect();
    let mean = over(&numbers, "tasks")?;
    let Some([low, high]) = mean.interval() else {
        return Ok(mean);
    };
    let squares: f64 = values.iter().map(|(_, error)| error.powi(2)).sum();
    let half = errors_in_interval(None) * squares.sqrt() / values.len() as f64;
    let range = [low.min(mean.value - half), high.max(mean.value + half)];
    Ok(mean.within(range))
}

/// The records of a rule on the whole vocabulary, trained on the task itself.
fn own<'a>(tables: &'a Tables, model: &str, task: &str, rule: &str) -> Vec<&'a Record> {
    let records = tables.of::<Record>().iter();
    records
        .filter(|r| r.model == model && r.task == task && r.rule == rule && r.vocab == "full")
        .filter(|r| r.train_task.is_empty() || r.train_task == r.task)
        .collect()
}

/// The record at a threshold.
pub(super) fn at<'a>(
    tables: &'a Tables,
    model: &str,
    task: &str,
    rule: &str,
    threshold: f64,
) -> Option<&'a Record> {
    let mut records = own(tables, model, task, rule).into_iter();
    records.find(|r| r.threshold == threshold)
}

fn tasks<'a>(tables: &'a Tables, model: &str) -> Vec<&'a str> {
    let records = tables.of::<FeatureRecord>().iter();
    distinct(
        records
            .filter(|r| r.model == model)
            .map(|r| r.task.as_str()),
    )
}

/// The tasks with questions.
fn questions<'a>(tables: &'a Tables, model: &str) -> Vec<&'a str> {
    let mut tasks = tasks(tables, model);
    tasks.retain(|task| *task != NEXT_TOKEN);
    tasks
}

fn a1(evidence: &Evidence<'_>) -> Vec<Finding> {
    type Feature = (&'static str, fn(&FeatureRecord) -> f64);
    const FEATURES: [Feature; 2] = [("gap", |r| r.gap_mean), ("top", |r| r.top_mean)];
    each_model(evidence, |model| {
        let found = tasks(evidence.tables, &model.name);
        FEATURES
            .map(|(name, feature)| {
                let correlations = found.iter().filter_map(|task| {
                    let records = evidence.tables.of::<FeatureRecord>().iter();
                    let pairs: Vec<(f64, f64)> = records
                        .filter(|r| r.model == model.name && r.task == *task)
                        .filter(|r| 2 * r.blocks_run >= model.layers)
                        .map(|r| (r.blocks_run as f64, feature(r)))
                        .collect();
                    Some((correlation::spearman(&pairs)?, *task, pairs.len()))
                });
                let mut all: Vec<(f64, &str, usize)> = correlations.collect();
                all.sort_by(|a, b| a.0.total_cmp(&b.0));
                let outcome = all.first().ok_or_else(|| needs("early-exit"));
                Finding::of(
                    &model.name,
                    format!(
                        "least rank correlation of depth and mean {name} among tasks, from L/2 on"
                    ),
                    Threshold::AtLeast(0.8),
                    outcome.map(|(least, task, depths)| {
                        let range = interval_of_ranks(*least, *depths);
                        Measured::of(*least).within(range).noting(format!(
                            "{task}, the least of {} tasks; range that {depths} depths leave open",
                            all.len()
                        ))
                    }),
                )
            })
            .to_vec()
    })
}

fn a2(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_model(evidence, |model| {
        let found = tasks(evidence.tables, &model.name).into_iter();
        let depths =
            found.filter_map(|task| at(evidence.tables, &model.name, task, "oracle-stable", 0.5));
        let depths: Vec<&Record> = depths.collect();
        let each = depths.iter();
        let least = each.min_by(|a, b| a.exit_blocks_mean.total_cmp(&b.exit_blocks_mean));
        let outcome = least.ok_or_else(|| needs("early-exit")).map(|r| {
            let layers = model.layers as f64;
            let error = r.exit_blocks_se.map(|error| error / layers);
            // Positions of one text are not independent units.
            let units = (r.task != NEXT_TOKEN).then_some(r.instances);
            Measured::of(r.exit_blocks_mean / layers)
                .with_error_of(error, units)
                .chosen_from(depths.len())
                .noting(format!("{}, the least of {} tasks", r.task, depths.len()))
        });
        vec![Finding::of(
            &model.name,
            "mean depth from which the answer stays, as part of all blocks, best task",
            Threshold::AtMost(0.9),
            outcome,
        )]
    })
}

fn a3(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_model(evidence, |model| {
        let usual = |task| at(evidence.tables, &model.name, task, "svm", 0.0);
        let outcome = usual("sst2").zip(usual("mmlu")).map(|(easy, hard)| {
            let error = together(easy.exit_blocks_se, hard.exit_blocks_se);
            Measured::of(hard.exit_blocks_mean - easy.exit_blocks_mean)
                .with_error_of(error, Some(easy.instances.min(hard.instances)))
                .noting(format!(
                    "{:.2} and {:.2} blocks",
                    easy.exit_blocks_mean, hard.exit_blocks_mean
                ))
        });
        let missing = || NotTested::because("needs the results of early-exit on SST-2 and MMLU");
        vec![Finding::of(
            &model.name,
            "blocks of MMLU less those of SST-2, linear machine at 0",
            Threshold::Above(0.0),
            outcome.ok_or_else(missing),
        )]
    })
}

fn a4(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_model(evidence, |model| {
        let found = questions(evidence.tables, &model.name).into_iter();
        let records: Vec<&Record> = found
            .filter_map(|task| at(evidence.tables, &model.name, task, "svm", 0.0))
            .collect();
        let mean = |value: &dyn Fn(&Record) -> Option<(f64, f64)>| {
            let values: Vec<(f64, f64)> = records.iter().filter_map(|r| value(r)).collect();
            over_with_items(&values)
        };
        // Accuracy can only be lost where the token differs.
        let of_changes = |r: &Record| error_of_changes(1.0 - r.agreement, r.instances as f64);
        let layers = model.layers as f64;
        vec![
            Finding::of(
                &model.name,
                "accuracy lost, points, mean over tasks, linear machine at 0",
                Threshold::AtMost(1.0),
                mean(&|r| {
                    let lost = 100.0 * (r.acc_full? - r.acc_exit?);
                    Some((lost, 100.0 * of_changes(r)))
                }),
            ),
            Finding::of(
                &model.name,
                "part of the blocks left out, mean over tasks, linear machine at 0",
                Threshold::AtLeast(0.1),
                mean(&|r| Some((r.pruning_ratio, r.exit_blocks_se? / layers))),
            ),
        ]
    })
}

/// Agreement at a fraction of the blocks left out, on the line through a rule's points and the full model.
fn agreement_at(records: &[&Record], pruning: f64) -> Option<f64> {
    let mut points: Vec<(f64, f64)> = records
        .iter()
        .map(|r| (r.pruning_ratio, r.agreement))
        .collect();
    if points.is_empty() {
        return None;
    }
    points.push((0.0, 1.0));
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let above = points.iter().position(|point| point.0 >= pruning)?;
    let (x1, y1) = points[above];
    let Some((x0, y0)) = above.checked_sub(1).map(|at| points[at]) else {
        return Some(y1);
    };
    let share = if x1 > x0 {
        (pruning - x0) / (x1 - x0)
    } else {
        1.0
    };
    Some(y0 + share * (y1 - y0))
}

/// The fractions of blocks at which agreements are compared.
const PRUNINGS: [f64; 11] = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5];

/// Mean difference of two rules' agreements, over the range that both cover.
fn difference(one: &[&Record], other: &[&Record]) -> Option<f64> {
    let differences: Vec<f64> = PRUNINGS
        .iter()
        .filter_map(|pruning| Some(agreement_at(one, *pruning)? - agreement_at(other, *pruning)?))
        .collect();
    (!differences.is_empty()).then(|| differences.iter().sum::<f64>() / differences.len() as f64)
}

fn a5(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_model(evidence, |model| {
        let found = questions(evidence.tables, &model.name);
        [
            ("gap", Threshold::AtLeast(-0.01)),
            ("fixed", Threshold::Above(0.02)),
        ]
        .map(|(rule, threshold)| {
            let each: Vec<f64> = found
                .iter()
                .filter_map(|task| {
                    let of = |rule| own(evidence.tables, &model.name, task, rule);
                    difference(&of("svm"), &of(rule))
                })
                .collect();
            Finding::of(
                &model.name,
                format!(
                    "mean agreement at 0 to 50 % of the blocks left out, linear machine less {rule}"
                ),
                threshold,
                over(&each, "tasks, where both reach"),
            )
        })
        .to_vec()
    })
}

fn a6(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_model(evidence, |model| {
        let found = questions(evidence.tables, &model.name);
        // Comparisons on one task share its answers, so the task is the unit.
        let mut losses = Vec::new();
        for task in &found {
            let trained_here = own(evidence.tables, &model.name, task, "svm");
            let others = found.iter().filter(|other| *other != task);
            let of_task: Vec<f64> = others
                .filter_map(|other| {
                    let records = evidence.tables.of::<Record>().iter();
                    let elsewhere: Vec<&Record> = records
                        .filter(|r| r.model == model.name && r.task == *task && r.rule == "svm")
                        .filter(|r| r.vocab == "full" && r.train_task == *other)
                        .collect();
                    difference(&trained_here, &elsewhere)
                })
                .collect();
            if !of_task.is_empty() {
                losses.push(of_task.iter().sum::<f64>() / of_task.len() as f64);
            }
        }
        vec![Finding::of(
            &model.name,
            "agreement lost by training on another task, at equal parts left out",
            Threshold::AtMost(0.03),
            over(&losses, "tasks"),
        )]
    })
}

fn a7(evidence: &Evidence<'_>) -> Vec<Finding> {
    let missing = || {
        NotTested::because(
            "needs measured times, which depend on the machine: reproduce --times takes them",
        )
    };
    each_model(evidence, |model| {
        let own = || {
            let records = evidence.tables.of::<TimeRecord>().iter();
            records.filter(|r| r.model == model.name)
        };
        let mut findings: Vec<Finding> = ["prompt", "decode"]
            .map(|setting| {
                let all: Vec<(f64, &TimeRecord)> = own()
                    .filter(|r| r.setting == setting)
                    .filter_map(|r| Some(((r.time_ratio? / r.predicted_ratio - 1.0).abs(), r)))
                    .collect();
                let off = all.iter().max_by(|a, b| a.0.total_cmp(&b.0));
                let outcome = off.ok_or_else(missing).map(|&(off, r)| {
                    let error = r.time_ratio_se.map(|error| error / r.predicted_ratio);
                    let repetitions = r.repetitions.map(|count| count as u64);
                    let head = if r.reads_head { "with" } else { "without" };
                    let note = format!("{} blocks, {head} the head after each", r.blocks_run);
                    let off = Measured::of(off).with_error_of(error, repetitions);
                    off.chosen_from(all.len()).noting(note)
                });
                Finding::of(
                    &model.name,
                    format!(
                        "greatest relative difference of measured time and cost model, {setting}"
                    ),
                    Threshold::AtMost(0.15),
                    outcome,
                )
            })
            .to_vec();
        // By bytes read, reading the head after each of k blocks costs more than it saves if k(1 + r) > L + r.
        let slower =
            own().filter(|r| r.setting == "decode" && r.reads_head && r.predicted_ratio > 1.0);
        let all: Vec<(f64, &TimeRecord)> =
            slower.filter_map(|r| Some((r.time_ratio?, r))).collect();
        let least = all.iter().min_by(|a, b| a.0.total_cmp(&b.0));
        let outcome = least.ok_or_else(missing).map(|&(ratio, r)| {
            let note = format!(
                "{} of {} blocks, predicted {:.2}",
                r.blocks_run, model.layers, r.predicted_ratio
            );
            let repetitions = r.repetitions.map(|count| count as u64);
            let ratio = Measured::of(ratio).with_error_of(r.time_ratio_se, repetitions);
            ratio.chosen_from(all.len()).noting(note)
        });
        findings.push(Finding::of(
            &model.name,
            "least time of decoding with the whole head after every block over no exit, where the bytes foresee a loss",
            Threshold::Above(1.0),
            outcome,
        ));
        findings
    })
}

fn a8(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_model(evidence, |model| {
        let records = evidence.tables.of::<LossRecord>().iter();
        let pruned =
            records.filter(|r| r.model == model.name && r.rule == "svm" && r.pruning_ratio >= 0.2);
        let least = pruned.min_by(|a, b| a.pruning_ratio.total_cmp(&b.pruning_ratio));
        let missing = || {
            NotTested::because(
                "needs a threshold at which the linear machine leaves out 20 % on running text",
            )
        };
        let outcome = least.ok_or_else(missing).map(|r| {
            Measured::of(r.loss_increase_nats)
                .with_error_of(r.loss_increase_se, Some(r.sequences))
                .noting(format!(
                    "{:.1} % of the blocks left out",
                    100.0 * r.pruning_ratio
                ))
        });
        vec![Finding::of(
            &model.name,
            "increase of the next-token loss where 20 % or more is left out, nats, linear machine",
            Threshold::AtLeast(0.5),
            outcome,
        )]
    })
}

fn a9(evidence: &Evidence<'_>) -> Vec<Finding> {
    const LAWS: [(Law, &str); 3] = [
        (
            Law::Full,
            "share of runs of all blocks whose end is not the full model's to the bit",
        ),
        (
            Law::Keep,
            "share of runs of k blocks whose end is not that of keep(0..k) to the bit",
        ),
        (
            Law::Threshold,
            "share of instances that stop earlier where a threshold rises",
        ),
    ];
    each_model(evidence, |model| {
        LAWS.map(|(law, part)| {
            let records = evidence.tables.of::<LawRecord>().iter();
            let own = records.filter(|r| r.model == model.name && r.law == law);
            let [checked, broken] = own.fold([0, 0], |[checked, broken], r| {
                [checked + r.checked, broken + r.broken]
            });
            let outcome = match checked {
                0 => Err(needs("early-exit")),
                _ => {
                    let share = Measured::counted(broken as f64 / checked as f64);
                    Ok(share.noting(format!("{broken} of {checked}")))
                }
            };
            Finding::of(&model.name, part, Threshold::AtMost(0.0), outcome)
        })
        .to_vec()
    })
}

/// The most that can be saved at 99 % agreement: for each task, the rule and threshold that leaves out most.
pub(super) fn savings(tables: &Tables) -> Option<String> {
    let records = tables.of::<Record>();
    let subjects = distinct(records.iter().map(|r| r.model.as_str()));
    let mut told = Vec::new();
    for model in subjects {
        for task in tasks(tables, model) {
            let mut best: Option<&Record> = None;
            for rule in [
                "svm", "svm-rbf", "crf", "gap", "top", "state", "patience", "fixed",
            ] {
                for record in own(tables, model, task, rule) {
                    let is_better =
                        best.is_none_or(|best| record.pruning_ratio > best.pruning_ratio);
                    if record.agreement >= 0.99 && is_better {
                        best = Some(record);
                    }
                }
            }
            if let Some(best) = best {
                told.push(format!(
                    "{model} on {task}: {:.0} % of the blocks ({} at {}; operations including the head: {:.2} of the full model's)",
                    100.0 * best.pruning_ratio,
                    best.rule,
                    best.threshold,
                    best.ops_ratio_with_head
                ));
            }
        }
    }
    (!told.is_empty()).then(|| {
        format!(
            "At 99 % agreement a run can leave out: {}.",
            told.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;
    use crate::core::testing::{Judged, MODELS};

    #[track_caller]
    fn check(id: &str, lines: usize, contradict: impl Fn(&mut Tables), contradicted: usize) {
        let (lines, failing) = (lines * MODELS, contradicted * MODELS);
        Judged::of(CLAIMS, id, &[synthetic::add]).check_all(
            lines,
            contradict,
            [lines - failing, failing, 0, 0],
        );
    }

    fn change(tables: &mut Tables, change: impl Fn(&mut Record)) {
        tables.of_mut::<Record>().iter_mut().for_each(change);
    }

    #[test]
    fn each_claim_can_hold_and_fail() {
        let flat = |t: &mut Tables| {
            t.of_mut::<FeatureRecord>()
                .iter_mut()
                .for_each(|r| r.gap_mean = -r.top_mean)
        };
        check("A1", 2, flat, 1);
        // One task is enough.
        let flat_on_one = |t: &mut Tables| {
            let own = t.of_mut::<FeatureRecord>().iter_mut();
            own.filter(|r| r.task == "mmlu")
                .for_each(|r| r.gap_mean = -r.top_mean);
        };
        check("A1", 2, flat_on_one, 1);
        check("A2", 1, |t| change(t, |r| r.exit_blocks_mean = 1e3), 1);
        check(
            "A3",
            1,
            |t| {
                change(t, |r| {
                    if r.task == "mmlu" {
                        r.exit_blocks_mean = 1.0
                    }
                })
            },
            1,
        );
        check("A4", 2, |t| change(t, |r| r.acc_exit = Some(0.0)), 1);
        check(
            "A5",
            2,
            |t| {
                change(t, |r| {
                    if r.rule == "fixed" {
                        r.agreement = 1.0
                    }
                })
            },
            1,
        );
        check(
            "A6",
            1,
            |t| {
                change(t, |r| {
                    if r.train_task != r.task {
                        r.agreement = 0.0
                    }
                })
            },
            1,
        );
        let slow = |t: &mut Tables| {
            t.of_mut::<TimeRecord>()
                .iter_mut()
                .for_each(|r| r.time_ratio = Some(9.0))
        };
        check("A7", 3, slow, 2);
        check(
            "A8",
            1,
            |t| {
                t.of_mut::<LossRecord>()
                    .iter_mut()
                    .for_each(|r| r.loss_increase_nats = 0.1)
            },
            1,
        );
        for law in [Law::Full, Law::Keep, Law::Threshold] {
            let breaks = |t: &mut Tables| {
                let own = t.of_mut::<LawRecord>().iter_mut();
                own.filter(|r| r.law == law).for_each(|r| r.broken = 1);
            };
            check("A9", 3, breaks, 1);
        }
    }

    #[test]
    fn what_can_be_saved_is_told() {
        let models = crate::core::testing::models();
        let tables = crate::core::testing::tables(&models[..1], &[synthetic::add]);
        let told = savings(&tables).unwrap();
        assert!(
            told.starts_with("At 99 % agreement a run can leave out: gpt2 on mmlu: "),
            "{told}"
        );
        assert_eq!(savings(&Tables::default()), None);
    }
}
