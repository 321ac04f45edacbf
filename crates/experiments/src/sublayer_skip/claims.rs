//! The claims that are judged from this experiment.

use super::table::{PairRecord, Record, SimilarityRecord, SpeedRecord, TaskRecord};
use super::variants::{FRACTIONS, Family, Kind};
use crate::core::claim::{Claim, Evidence, Judge, Version, each_model};
use crate::core::curve::needs;
use crate::core::finding::{
    Finding, Measured, NotTested, Outcome, Threshold, difference, error_of_changes, wilson,
};
use crate::core::published::related_name;
use layerwise_metrics::errors_in_interval;

const fn claim(id: &'static str, statement: &'static str, judge: Judge) -> Claim {
    Claim::of(&["sublayer-skip"], Version::SKIPPING, id, statement, judge)
}

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[
    claim(
        "T1",
        "attention is more dispensable than MLPs and blocks",
        t1,
    ),
    claim(
        "T2",
        "late attention is more dispensable than early attention",
        t2,
    ),
    claim("T3", "a third of the attention costs little", t3),
    claim("T4", "speed follows the bytes that are read", t4),
    claim(
        "T5",
        "the gain from attention grows with context, that from MLPs falls",
        t5,
    ),
    claim("T6", "keeping the last one helps", t6),
    claim("T7", "choosing survives, writing does not", t7),
    claim("T8", "the most similar attention sublayers are late", t8),
    claim("T9", "some benchmark improves", t9),
    claim(
        "T10",
        "ranking by similarity is no worse than the last ones",
        t10,
    ),
];

/// The published fraction.
const THIRD: f64 = 0.33;

type Side = (Kind, Family);

/// How far the second side's loss is above the first side's, nats, paired by sequence.
fn loss_apart(
    evidence: &Evidence<'_>,
    model: &str,
    fraction: f64,
    one: Side,
    other: Side,
) -> Outcome {
    let pairs = evidence.tables.of::<PairRecord>().iter();
    let pair = pairs
        .filter(|r| r.model == model && r.fraction == fraction)
        .find(|r| (r.kind, r.family) == one && (r.other_kind, r.other_family) == other);
    let pair = pair.ok_or_else(|| needs("sublayer-skip"))?;
    let sequences = Some(pair.sequences);
    difference(pair.nll_difference, pair.nll_difference_se, sequences)
}

fn t1(evidence: &Evidence<'_>) -> Vec<Finding> {
    let own = (Kind::DropAttn, Family::LatterLastKept);
    each_model(evidence, |model| {
        [(Kind::DropMlp, "MLPs"), (Kind::Drop, "blocks")]
            .map(|(kind, name)| {
                let other = (kind, Family::LatterLastKept);
                Finding::of(
                    model,
                    format!("loss of {name} above that of attention in nats, 33 %, last kept"),
                    Threshold::Above(0.0),
                    loss_apart(evidence, model, THIRD, own, other),
                )
            })
            .to_vec()
    })
}

fn t2(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_model(evidence, |model| {
        FRACTIONS
            .map(|fraction| {
                let one = (Kind::DropAttn, Family::Latter);
                let other = (Kind::DropAttn, Family::FirstBlockZeroKept);
                Finding::of(
                    model,
                    format!(
                        "loss of the first (block 0 kept) above that of the last in nats, {:.0} %",
                        100.0 * fraction
                    ),
                    Threshold::Above(0.0),
                    loss_apart(evidence, model, fraction, one, other),
                )
            })
            .to_vec()
    })
}

fn record<'a>(
    evidence: &Evidence<'a>,
    model: &str,
    side: Side,
    fraction: f64,
) -> Result<&'a Record, NotTested> {
    let mut records = evidence.tables.of::<Record>().iter();
    records
        .find(|r| r.model == model && (r.kind, r.family) == side && r.fraction == fraction)
        .ok_or_else(|| needs("sublayer-skip"))
}

/// The results for the last third of the attention; an error if no such tasks ran.
fn late_third<'a>(
    evidence: &Evidence<'a>,
    model: &str,
    tasks: &str,
    value: impl Fn(&Record) -> Option<f64>,
) -> Result<(f64, &'a Record), NotTested> {
    let record = record(evidence, model, (Kind::DropAttn, Family::Latter), THIRD)?;
    let missing = || NotTested(format!("needs {tasks} that the model can read and answer"));
    Ok((value(record).ok_or_else(missing)?, record))
}

/// The share of identical continuations under the last third of the attention, with Wilson's interval.
fn identical(evidence: &Evidence<'_>, model: &str) -> Outcome {
    let (share, record) = late_third(evidence, model, "tasks", |r| r.identical_share)?;
    let range = wilson(share, record.continuations as f64);
    Ok(Measured::of(share).within(range))
}

/// The share of items with the plain model's choice, over the tasks with several options, with Wilson's interval.
fn agreement(evidence: &Evidence<'_>, model: &str) -> Outcome {
    let (share, record) = late_third(evidence, model, "tasks with several options", |r| {
        r.agreement
    })?;
    let tasks = tasks_of(evidence, record).into_iter();
    let with_options = tasks.filter(|r| r.agreement.is_some());
    let items: u64 = with_options.map(|r| r.items).sum();
    Ok(Measured::of(share).within(wilson(share, items as f64)))
}

/// The tasks under a schedule.
fn tasks_of<'a>(evidence: &Evidence<'a>, record: &Record) -> Vec<&'a TaskRecord> {
    let tasks = evidence.tables.of::<TaskRecord>().iter();
    let own = tasks.filter(|r| (&r.model, &r.schedule) == (&record.model, &record.schedule));
    own.collect()
}

fn t3(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_model(evidence, |model| {
        let lost = late_third(evidence, model, "tasks", |r| r.relative_drop);
        let lost = lost.map(|(lost, record)| {
            let tasks = tasks_of(evidence, record);
            let items = tasks.iter().map(|r| r.items).min();
            Measured::of(lost).with_error_of(error_of_drop(&tasks), items)
        });
        vec![Finding::of(
            model,
            "part of the mean accuracy that is lost, last 33 % of the attention",
            Threshold::AtMost(0.05),
            lost,
        )]
    })
}

/// The standard error of the lost fraction, from the changes of the tasks, paired by item; the plain model's mean counts as
/// exact.
fn error_of_drop(tasks: &[&TaskRecord]) -> Option<f64> {
    let error = |r: &TaskRecord| {
        let items = r.items as f64;
        // An item changes by 1 or not at all.
        let changed = r.change_se?.powi(2) * (items - 1.0) + r.change.powi(2);
        Some(error_of_changes(changed, items))
    };
    let squares: Option<f64> = tasks.iter().map(|r| Some(error(r)?.powi(2))).sum();
    let plain: f64 = tasks.iter().map(|r| r.accuracy - r.change).sum();
    (plain > 0.0).then_some(squares?.sqrt() / plain)
}

/// The speeds of a kind at one fraction, by the length of the cache.
fn speed<'a>(
    evidence: &Evidence<'a>,
    model: &str,
    kind: Kind,
    cached: usize,
) -> Result<&'a SpeedRecord, NotTested> {
    let mut records = evidence.tables.of::<SpeedRecord>().iter();
    records
        .find(|r| {
            (r.model.as_str(), r.kind, r.fraction, r.cached_tokens) == (model, kind, 0.5, cached)
        })
        .ok_or_else(|| needs("sublayer-skip"))
}

fn no_times() -> NotTested {
    NotTested(
        "needs measured times, which depend on the machine: reproduce --times takes them where they fit into the context"
            .to_owned(),
    )
}

/// The most by which a ratio may miss the prediction from bytes.
pub(super) const MISSED: f64 = 0.05;

/// A ratio of times meets that of bytes. If the predicted ratio is so close to 1 that 1 would meet it too, nothing is tested.
fn t4(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_model(evidence, |model| {
        let mut findings = Vec::new();
        for cached in [32, 512, 2048] {
            let measured = |value: fn(&SpeedRecord, f64) -> f64| -> Outcome {
                let r = speed(evidence, model, Kind::DropAttn, cached)?;
                let ratio = r.decode_ratio.ok_or_else(no_times)?;
                let repetitions = r.repetitions.map(|count| count as u64);
                Ok(Measured::of(value(r, ratio)).with_error_of(r.decode_ratio_se, repetitions))
            };
            let missed = measured(|r, ratio| (ratio - r.predicted_ratio).abs());
            let missed = missed.and_then(|missed| {
                let foreseen = speed(evidence, model, Kind::DropAttn, cached)?.predicted_ratio;
                match (foreseen - 1.0).abs() > MISSED {
                    true => Ok(missed),
                    false => Err(NotTested(format!(
                        "not tested on models of this kind: the bytes foresee a ratio of {foreseen:.3}, which none at all would meet too"
                    ))),
                }
            });
            findings.push(Finding::of(
                model,
                format!("measured less predicted decode ratio, last 50 % of the attention, {cached} tokens cached"),
                Threshold::AtMost(MISSED),
                missed,
            ));
            if related_name(model) == Some("Llama-2-7B") {
                findings.push(Finding::of(
                    model,
                    format!("decode ratio, last 50 % of the attention, {cached} tokens cached"),
                    Threshold::AtLeast(1.15),
                    measured(|_, ratio| ratio),
                ));
            }
        }
        findings
    })
}

fn t5(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_model(evidence, |model| {
        [(Kind::DropAttn, 1.0, "rise"), (Kind::DropMlp, -1.0, "fall")]
            .map(|(kind, sign, name)| {
                let outcome = speed(evidence, model, kind, 32).and_then(|short| {
                    let long = speed(evidence, model, kind, 2048)?;
                    let of = |r: &SpeedRecord| r.decode_ratio.zip(r.decode_ratio_se);
                    let repetitions = short.repetitions.map(|count| count as u64);
                    let ((short, a), (long, b)) = of(short).zip(of(long)).ok_or_else(no_times)?;
                    let rise = Measured::of(sign * (long - short));
                    Ok(rise.with_error_of(Some(a.hypot(b)), repetitions))
                });
                Finding::of(
                    model,
                    format!(
                        "{name} of the decode ratio from 32 to 2048 tokens cached, last 50 % by {}",
                        kind.name()
                    ),
                    Threshold::Above(0.0),
                    outcome,
                )
            })
            .to_vec()
    })
}

fn t6(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_model(evidence, |model| {
        [Kind::DropMlp, Kind::Drop]
            .map(|kind| {
                Finding::of(
                    model,
                    format!(
                        "loss with the last one gone above that with it kept in nats, 33 %, {}",
                        kind.name()
                    ),
                    Threshold::Above(0.0),
                    loss_apart(
                        evidence,
                        model,
                        THIRD,
                        (kind, Family::LatterLastKept),
                        (kind, Family::Latter),
                    ),
                )
            })
            .to_vec()
    })
}

fn t7(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_model(evidence, |model| {
        vec![
            Finding::of(
                model,
                "agreement on choices, last 33 % of the attention",
                Threshold::AtLeast(0.8),
                agreement(evidence, model),
            ),
            Finding::of(
                model,
                "share of identical continuations, last 33 % of the attention",
                Threshold::AtMost(0.5),
                identical(evidence, model),
            ),
        ]
    })
}

fn t8(evidence: &Evidence<'_>) -> Vec<Finding> {
    let judge = |name: &str, layers: usize| {
        let own = evidence.tables.of::<SimilarityRecord>().iter();
        let own: Vec<_> = own
            .filter(|r| r.model == name && r.kind == Kind::DropAttn)
            .collect();
        if own.is_empty() {
            return Err(needs("sublayer-skip"));
        }
        let most = (layers / 3).max(1);
        // Late ones are among the most similar if their similarity is this many errors greater and that of early ones less.
        let late = |errors: f64| {
            let mut ranked: Vec<(f64, bool)> = own
                .iter()
                .map(|r| {
                    let is_late = 2 * r.source >= layers;
                    let side = if is_late { errors } else { -errors };
                    (
                        r.similarity_mean + side * r.similarity_se.unwrap_or(0.0),
                        is_late,
                    )
                })
                .collect();
            ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
            let late = ranked
                .iter()
                .take(most)
                .filter(|(_, is_late)| *is_late)
                .count();
            late as f64 / most as f64
        };
        let share = late(0.0);
        // The uncertainty of so few drawn from all: blocks are few, and their order may be arbitrary.
        let all = own.len() as f64;
        let rest = (all - most as f64) / (all - 1.0).max(1.0);
        let errors = errors_in_interval(None);
        let half = errors * (0.25 / most as f64 * rest).sqrt();
        let range = [
            late(-errors).min(share - half),
            late(errors).max(share + half),
        ];
        Ok(Measured::of(share).within(range).noting(format!(
            "of {most}; range over similarities within their errors, and over what so few of {all} leave open"
        )))
    };
    let findings = evidence.models.iter().map(|model| {
        Finding::of(
            &model.name,
            "share of the most similar third that stands in the second half",
            Threshold::AtLeast(0.7),
            judge(&model.name, model.layers),
        )
    });
    findings.collect()
}

/// An accuracy that rises on some task under some schedule.
fn t9(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let records = evidence.tables.of::<Record>().iter();
        let schedules: Vec<&str> = records
            .filter(|r| r.model == model.name && r.kind == Kind::DropAttn)
            .filter(|r| (f64::MIN_POSITIVE..=THIRD).contains(&r.fraction))
            .map(|r| r.schedule.as_str())
            .collect();
        let tasks = evidence.tables.of::<TaskRecord>().iter();
        let own =
            tasks.filter(|r| r.model == model.name && schedules.contains(&r.schedule.as_str()));
        let own: Vec<&TaskRecord> = own.collect();
        let rises = own
            .iter()
            .filter(|r| r.change_se.is_some_and(|e| r.change > e));
        let note = format!(
            "{} of {} changes lie above one standard error",
            rises.count(),
            own.len()
        );
        let before = findings.len();
        for r in own {
            let outcome = difference(r.change, r.change_se, Some(r.items));
            let outcome = outcome.map(|change| change.noting(note.as_str()));
            let part = format!("change of accuracy, {}, {}", r.task, r.schedule);
            let finding = Finding::of(&model.name, part, Threshold::Above(0.0), outcome);
            findings.push(finding.of_some());
        }
        if findings.len() == before {
            let part = "change of accuracy, at most 33 % of the attention";
            let missing = Err(needs("sublayer-skip"));
            findings.push(Finding::of(&model.name, part, Threshold::Above(0.0), missing).of_some());
        }
    }
    findings
}

fn t10(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_model(evidence, |model| {
        let (ranked, last) = (
            (Kind::DropAttn, Family::Similarity),
            (Kind::DropAttn, Family::Latter),
        );
        let schedule = |side| Some(&record(evidence, model, side, THIRD).ok()?.schedule);
        let apart = match schedule(ranked).zip(schedule(last)) {
            Some((ranked, last)) if ranked == last => {
                Ok(Measured::counted(0.0).noting("both leave out the same"))
            }
            // The table has the loss of the last ones minus that of the ranked ones.
            _ => loss_apart(evidence, model, THIRD, ranked, last).map(|measured| Measured {
                value: -measured.value,
                ..measured
            }),
        };
        vec![Finding::of(
            model,
            "loss of the ranked ones above that of the last ones in nats, 33 % of the attention",
            Threshold::AtMost(0.0),
            apart,
        )]
    })
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS};

    #[track_caller]
    fn check(id: &str, lines: usize, contradict: impl Fn(&mut Tables), contradicted: usize) {
        let lines = lines * MODELS;
        let failing = contradicted * MODELS;
        Judged::of(CLAIMS, id, &[synthetic::add]).check_all(
            lines,
            contradict,
            [lines - failing, failing, 0, 0],
        );
    }

    fn pairs_of(tables: &mut Tables, change: impl Fn(&mut PairRecord)) {
        tables.of_mut::<PairRecord>().iter_mut().for_each(change);
    }

    #[test]
    fn each_claim_can_hold_and_fail() {
        check(
            "T1",
            2,
            |t| {
                pairs_of(t, |r| {
                    if r.other_kind == Kind::DropMlp {
                        r.nll_difference = -1.0
                    }
                })
            },
            1,
        );
        check(
            "T2",
            3,
            |t| {
                pairs_of(t, |r| {
                    if r.fraction == 0.5 {
                        r.nll_difference = -1.0
                    }
                })
            },
            1,
        );
        let records = |t: &mut Tables, change: fn(&mut Record)| {
            t.of_mut::<Record>().iter_mut().for_each(change)
        };
        check("T3", 1, |t| records(t, |r| r.relative_drop = Some(0.15)), 1);
        let speeds = |t: &mut Tables, change: fn(&mut SpeedRecord)| {
            t.of_mut::<SpeedRecord>().iter_mut().for_each(change)
        };
        check(
            "T4",
            3,
            |t| speeds(t, |r| r.decode_ratio = Some(r.predicted_ratio - 0.1)),
            3,
        );
        check(
            "T5",
            2,
            |t| {
                speeds(t, |r| {
                    r.decode_ratio = Some(1.0 + r.cached_tokens as f64 / 1e4)
                })
            },
            1,
        );
        check(
            "T6",
            2,
            |t| {
                pairs_of(t, |r| {
                    if r.kind == Kind::Drop {
                        r.nll_difference = -1.0
                    }
                })
            },
            1,
        );
        check(
            "T7",
            2,
            |t| records(t, |r| r.identical_share = Some(0.8)),
            1,
        );
        // Two continuations, neither equal to the plain one, tell little.
        let few = |t: &mut Tables| {
            records(t, |r| {
                r.identical_share = Some(0.0);
                r.continuations = 2;
            })
        };
        Judged::of(CLAIMS, "T7", &[synthetic::add]).check_all(
            2 * MODELS,
            few,
            [MODELS, 0, MODELS, 0],
        );
        let ranks = |t: &mut Tables| {
            for r in t.of_mut::<SimilarityRecord>() {
                r.similarity_mean = 1.0 - 0.01 * r.source as f64;
            }
        };
        // A third of twelve or sixteen blocks is too few to differ from chance.
        let ranked = Judged::of(CLAIMS, "T8", &[synthetic::add]);
        ranked.check(|_| {}, [MODELS - 2, 0, 2, 0]);
        ranked.check(ranks, [0, MODELS, 0, 0]);
        let changes = |t: &mut Tables| {
            for r in t.of_mut::<TaskRecord>() {
                r.change = -3.0 * r.change_se.unwrap_or(1.0);
            }
        };
        check("T9", 2, changes, 2);
        check(
            "T10",
            1,
            |t| {
                pairs_of(t, |r| {
                    if r.family == Family::Similarity {
                        r.nll_difference = -1.0
                    }
                })
            },
            1,
        );
    }

    #[test]
    fn a_ranking_that_names_the_last_ones_is_no_worse() {
        let same = |tables: &mut Tables| {
            let records = tables.of_mut::<Record>().iter_mut();
            let ranked = records.filter(|r| {
                r.kind == Kind::DropAttn && matches!(r.family, Family::Latter | Family::Similarity)
            });
            for r in ranked {
                r.schedule = format!("the last {}", r.k);
            }
            pairs_of(tables, |r| {
                if r.family == Family::Similarity {
                    (r.nll_difference, r.nll_difference_se) = (0.0, Some(0.0));
                }
            });
        };
        Judged::of(CLAIMS, "T10", &[synthetic::add]).check(same, [MODELS, 0, 0, 0]);
    }

    /// A task with one continuation to write has no choices, and its items are none of the agreement's.
    #[test]
    fn only_items_with_options_count_for_the_agreement() {
        let with_words = |options: u64| {
            move |tables: &mut Tables| {
                for r in tables.of_mut::<TaskRecord>() {
                    r.items = options;
                }
                let words: Vec<TaskRecord> = tables.of::<TaskRecord>().to_vec();
                tables
                    .of_mut()
                    .extend(words.into_iter().map(|r| TaskRecord {
                        task: "lambada_openai".to_owned(),
                        items: 5000,
                        agreement: None,
                        ..r
                    }));
            }
        };
        let judged = Judged::of(CLAIMS, "T7", &[synthetic::add]);
        judged.check(with_words(500), [2 * MODELS, 0, 0, 0]);
        // 0.9 of 10 items may be 0.8 of all.
        judged.check(with_words(10), [MODELS, 0, MODELS, 0]);
    }

    #[test]
    fn without_times_speed_is_not_tested() {
        let without = |tables: &mut Tables| {
            for r in tables.of_mut::<SpeedRecord>() {
                r.decode_ratio = None;
            }
        };
        for (claim, lines) in [("T4", 3), ("T5", 2)] {
            Judged::of(CLAIMS, claim, &[synthetic::add]).check(without, [0, 0, 0, lines * MODELS]);
        }
    }
}
