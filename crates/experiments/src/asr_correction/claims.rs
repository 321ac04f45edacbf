//! The claims judged from this experiment: M1 to M9. Rates are in per cent, differences in points.

use super::data::STANDIN;
use super::errors::{KEPT, ORACLE, SENT, WRITTEN, curve_name};
use super::table::{ConfidenceRecord, GateRecord, Record};
use crate::core::claim::{Claim, Evidence, Judge, Version, each_model};
use crate::core::curve::needs;
use crate::core::finding::{Finding, Measured, NotTested, Outcome, Spread, Threshold};
use crate::core::sample::statistic;
use crate::core::table::distinct;
use layerwise_metrics::threshold::auc_interval;
use layerwise_transcripts::Normaliser;

/// The claims judged from this experiment.
pub const CLAIMS: &[Claim] = &[
    claim("M1", "the gate finds the utterances with errors", m1),
    claim("M2", "correction behind a gate and under rules helps", m2),
    claim("M3", "the gate loses nothing", m3),
    claim("M4", "free generation for all utterances hurts", m4),
    claim("M5", "rules that hold by construction are never broken", m5),
    claim("M6", "votes of one recogniser are not independent", m6),
    claim("M7", "the lattice is worth it", m7),
    claim("M8", "the rule on the number of words costs", m8),
    claim("M9", "oracles and systems are in order", m9),
];

const fn claim(id: &'static str, statement: &'static str, judge: Judge) -> Claim {
    Claim::of(
        &["asr-correction"],
        Version::CORRECTION,
        id,
        statement,
        judge,
    )
}

const ID: &str = "asr-correction";

/// One model's lines about one set.
struct Own<'a> {
    evidence: &'a Evidence<'a>,
    model: &'a str,
    set: &'a str,
    records: Vec<&'a Record>,
    gate: Vec<&'a GateRecord>,
}

impl Own<'_> {
    fn system(&self, mode: &str, count: &str, is_gated: bool) -> Result<&Record, NotTested> {
        let mut records = self.records.iter();
        let own = records
            .find(|r| r.mode == mode && r.count_rule == count && r.tau.is_empty() != is_gated);
        own.copied().ok_or_else(|| needs(ID))
    }

    fn lattice(&self) -> Result<&Record, NotTested> {
        self.system("lattice", "free", false)
    }

    /// The gate by posterior, when it sends half of the lists.
    fn half(&self) -> Result<&GateRecord, NotTested> {
        let mut gate = self.gate.iter();
        let own = gate.find(|r| r.score == "posterior" && r.tau.is_none());
        own.copied().ok_or_else(|| needs(ID))
    }

    /// Refuses sets whose recogniser gave no scores.
    fn with_scores(&self) -> Result<(), NotTested> {
        match self.half()?.recogniser_scores {
            true => Ok(()),
            false => Err(NotTested(format!(
                "needs scores of the recogniser, which {} has not",
                self.set
            ))),
        }
    }

    fn finding(&self, part: &str, threshold: Threshold, outcome: Outcome) -> Finding {
        Finding::of(
            self.model,
            format!("{part}, {}", self.set),
            threshold,
            outcome,
        )
    }
}

/// The lines about words of the normaliser, not about texts as they are written.
fn normalised<'a>(evidence: &Evidence<'a>) -> impl Iterator<Item = &'a Record> {
    let records = evidence.tables.of::<Record>().iter();
    records.filter(|r| r.normaliser != Normaliser::None.name())
}

/// The findings of `judge` for each model on each of its sets.
fn each(evidence: &Evidence<'_>, judge: impl Fn(&Own<'_>) -> Vec<Finding>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for facts in evidence.models {
        let records = normalised(evidence);
        let records: Vec<&Record> = records.filter(|r| r.model == facts.name).collect();
        let mut sets = distinct(records.iter().map(|r| r.set.as_str()));
        if sets.is_empty() {
            sets.push("any set");
        }
        for set in sets {
            let gate = evidence.tables.of::<GateRecord>().iter();
            findings.extend(judge(&Own {
                evidence,
                model: &facts.name,
                set,
                records: records.iter().copied().filter(|r| r.set == set).collect(),
                gate: gate
                    .filter(|r| r.model == facts.name && r.set == set)
                    .collect(),
            }));
        }
    }
    findings
}

/// Why nothing about a recogniser is judged on the stand-in.
const NEEDS_RECOGNISER: &str = "needs N-best lists of a recogniser: in the stand-in, errors of hypotheses are drawn independently";

/// The findings of `judge` for each model on each of its sets, of which the stand-in is not judged.
fn each_recognised(
    evidence: &Evidence<'_>,
    judge: impl Fn(&Own<'_>) -> Vec<Finding>,
) -> Vec<Finding> {
    each(evidence, |own| {
        let findings = judge(own).into_iter();
        let findings = findings.map(|finding| match own.set {
            STANDIN => Finding {
                outcome: Err(NotTested::because(NEEDS_RECOGNISER)),
                ..finding
            },
            _ => finding,
        });
        findings.collect()
    })
}

/// A system: its mode, its rule on the number of words, and whether it is behind the gate.
type System = (&'static str, &'static str, bool);

const BEST: System = ("best", "free", false);
const LATTICE: System = ("lattice", "free", false);

/// A function of the rates of two systems on the same utterances.
fn of_both(
    own: &Own<'_>,
    [first, second]: [System; 2],
    of: impl Fn(f64, f64) -> Outcome,
) -> Outcome {
    let rate = |(mode, count, is_gated): System| {
        let curve = curve_name(own.set, mode, count, is_gated);
        own.evidence.sampled(own.model, ID, &curve, |_| 0.0)
    };
    let (first, second) = (rate(first)?, rate(second)?);
    statistic([&first, &second], |[first, second]| match (first, second) {
        ([first], [second]) => {
            let note = format!("{:.2} against {:.2}", first.value, second.value);
            Ok(of(first.value, second.value)?.noting(note))
        }
        _ => Err(needs(ID)),
    })
}

/// The rate of the first system minus that of the second, on the same utterances.
fn less(own: &Own<'_>, first: System, second: System) -> Outcome {
    of_both(own, [first, second], |first, second| {
        Ok(Measured::of(first - second))
    })
}

/// AUC of the posterior ≥ 0.70, and WER sent > 2 × WER kept when half is sent; sets with scores.
pub fn m1(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_recognised(evidence, |own| {
        let area = || {
            own.with_scores()?;
            let reason = "all best hypotheses are wrong, or none is";
            let area = own.half()?.auc.ok_or_else(|| NotTested::because(reason))?;
            let records = own.evidence.tables.of::<ConfidenceRecord>().iter();
            let bins = records.filter(|r| r.model == own.model && r.set == own.set);
            let (right, wrong) = bins.fold((0, 0), |(right, wrong), bin| {
                (right + bin.right, wrong + bin.wrong)
            });
            let measured = Measured::of(area);
            Ok(match right > 0 && wrong > 0 {
                true => measured.within(auc_interval(area, wrong as u64, right as u64)),
                false => measured,
            })
        };
        let ratio = || {
            own.with_scores()?;
            let halves = [(SENT, "free", false), (KEPT, "free", false)];
            of_both(own, halves, |sent, kept| match kept > 0.0 {
                true => Ok(Measured::of(sent / kept)),
                false => Err(NotTested::because("no error is in what is kept")),
            })
        };
        vec![
            own.finding(
                "area under the curve of the posterior",
                Threshold::AtLeast(0.7),
                area(),
            ),
            own.finding(
                "rate of the half that is sent by that of the half that is kept",
                Threshold::Above(2.0),
                ratio(),
            ),
        ]
    })
}

/// p_improvement ≥ 0.975 of the gated lattice on at least half of the sets.
pub fn m2(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_model(evidence, |model| {
        let own = normalised(evidence);
        let own = own.filter(|r| r.model == model && r.mode == "lattice" && r.count_rule == "free");
        let (standin, own): (Vec<&Record>, Vec<&Record>) = own.partition(|r| r.set == STANDIN);
        let gated = own.iter().filter(|r| !r.tau.is_empty());
        let gated: Vec<(f64, f64)> = gated
            .filter_map(|r| Some((r.p_improvement?, r.p_worsening?)))
            .collect();
        // In a replicate with as many errors as before, nothing is improved and nothing worsened.
        let improved = gated.iter().filter(|(better, _)| *better >= 0.975);
        let worsened = gated.iter().filter(|(_, worse)| *worse >= 0.975);
        let improved = improved.count();
        let open = gated.len() - improved - worsened.count();
        let outcome = match gated.len() {
            0 if !standin.is_empty() => Err(NotTested::because(NEEDS_RECOGNISER)),
            0 => Err(needs(ID)),
            sets => {
                let share = |count: usize| count as f64 / sets as f64;
                Ok(Measured::of(share(improved))
                    .within([share(improved), share(improved + open)])
                    .noting(format!("{improved} of {sets} sets, and {open} open")))
            }
        };
        let part = "share of the sets with fewer errors in at least 0.975 of replicates";
        vec![Finding::of(model, part, Threshold::AtLeast(0.5), outcome)]
    })
}

/// Gated minus ungated lattice ≤ 0.1 while ≤ 60 % are sent; sets with scores.
pub fn m3(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_recognised(evidence, |own| {
        let gated = || {
            own.with_scores()?;
            own.system("lattice", "free", true)
        };
        let lost = || {
            gated()?;
            less(own, ("lattice", "free", true), LATTICE)
        };
        let sent = || Ok(Measured::counted(gated()?.sent_share));
        vec![
            own.finding(
                "lattice with the gate less without",
                Threshold::AtMost(0.1),
                lost(),
            ),
            own.finding(
                "utterances that are sent, in per cent",
                Threshold::AtMost(60.0),
                sent(),
            ),
        ]
    })
}

/// Free generation for all utterances has more errors; LibriSpeech only.
pub fn m4(evidence: &Evidence<'_>) -> Vec<Finding> {
    each(evidence, |own| {
        vec![own.finding(
            "what is written freely less best",
            Threshold::Above(0.0),
            worsened(own),
        )]
    })
}

/// Why what is written freely tells nothing.
const NOTHING_GENERATED: &str = "no list has two hypotheses that differ: nothing was generated";

/// The sets that M4 is about.
const LIBRISPEECH: [&str; 2] = ["test_ls_clean", "test_ls_other"];

fn worsened(own: &Own<'_>) -> Outcome {
    let not_tested = |reason: &str| Err(NotTested::because(reason));
    if own.records.is_empty() {
        return Err(needs(ID));
    }
    if !LIBRISPEECH.contains(&own.set) {
        return not_tested("the claim is about LibriSpeech");
    }
    let Ok(generated) = own.system("generate", "keep", false) else {
        return not_tested(
            "needs transcripts that the model writes, for which its context is too short",
        );
    };
    if generated.sent == 0 {
        return not_tested(NOTHING_GENERATED);
    }
    less(own, ("generate", "keep", false), (WRITTEN, "free", false))
}

/// No violation in any lattice or in text written along one; some in text written freely.
pub fn m5(evidence: &Evidence<'_>) -> Vec<Finding> {
    each(evidence, |own| {
        let broken = |modes: &[&str]| {
            let records = own
                .records
                .iter()
                .filter(|r| modes.contains(&r.mode.as_str()));
            let broken =
                records.map(|r| r.violations_words + r.violations_count + r.violations_form);
            let broken: Vec<usize> = broken.collect();
            match broken.len() {
                0 => Err(needs(ID)),
                _ => Ok(Measured::counted(broken.iter().sum::<usize>() as f64)),
            }
        };
        let mut findings = vec![own.finding(
            "violations along lattices",
            Threshold::AtMost(0.0),
            broken(&["lattice", "constrained"]),
        )];
        let mut written = own.records.iter().filter(|r| r.mode == "generate");
        if let Some(generated) = written.next() {
            findings.push(own.finding(
                "violations in what is written freely",
                Threshold::Above(0.0),
                match generated.sent {
                    0 => Err(NotTested::because(NOTHING_GENERATED)),
                    _ => broken(&["generate"]),
                },
            ));
        }
        findings
    })
}

/// WER(vote) ≥ WER(best) − 0.1.
pub fn m6(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_recognised(evidence, |own| {
        let gain = less(own, ("vote", "free", false), BEST);
        vec![own.finding("vote less best", Threshold::AtLeast(-0.1), gain)]
    })
}

/// WER(lattice) ≤ WER(select) + 0.05; the note says how often the lattice has fewer errors.
pub fn m7(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_recognised(evidence, |own| {
        let gain = less(own, LATTICE, ("select", "free", false)).map(|measured| {
            let Spread::Drawn { draws, .. } = &measured.spread else {
                return measured;
            };
            let improvement = 1.0 - draws.at_least(0.0);
            let note = format!("{}; p_improvement {improvement:.3}", measured.note);
            measured.noting(note)
        });
        vec![own.finding("lattice less select", Threshold::AtMost(0.05), gain)]
    })
}

/// WER(lattice, count kept) − WER(lattice), and the same for the oracles, whose paths are a part of the others: it cannot be
/// below 0.
pub fn m8(evidence: &Evidence<'_>) -> Vec<Finding> {
    each_recognised(evidence, |own| {
        let changed = |measured: Measured| match measured.interval() {
            Some([0.0, 0.0]) => Err(NotTested::because(
                "the rule changes the number of errors in no utterance",
            )),
            _ => Ok(measured),
        };
        let cost = less(own, ("lattice", "keep", false), LATTICE).and_then(changed);
        let oracles = less(own, (ORACLE, "keep", false), (ORACLE, "free", false)).and_then(changed);
        vec![
            own.finding(
                "lattice of the same number of words less lattice",
                Threshold::Above(0.0),
                cost,
            ),
            own.finding(
                "its best path by the reference less the lattice's",
                Threshold::Above(0.0),
                oracles,
            ),
        ]
    })
}

/// Lattice oracle ≤ list oracle ≤ select. That the best hypothesis stays with α = 0 and τ = 0 is tested where lists are corrected.
pub fn m9(evidence: &Evidence<'_>) -> Vec<Finding> {
    each(evidence, |own| {
        let oracles = || {
            let lattice = own.lattice()?;
            Ok(Measured::counted(
                lattice.list_oracle - lattice.lattice_oracle,
            ))
        };
        let selected = || {
            let select = own.system("select", "free", false)?;
            Ok(Measured::counted(select.wer - select.list_oracle))
        };
        vec![
            own.finding(
                "best hypothesis less best path, by the reference",
                Threshold::AtLeast(0.0),
                oracles(),
            ),
            own.finding(
                "select less the best hypothesis by the reference",
                Threshold::AtLeast(0.0),
                selected(),
            ),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asr_correction::synthetic;
    use crate::core::sample::Units;
    use crate::core::tables::Tables;
    use crate::core::testing::{self, Judged, MODELS, models};

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    /// Changes the lines of one system.
    fn changed(
        mode: &'static str,
        count: &'static str,
        is_gated: bool,
        change: fn(&mut Record),
    ) -> impl Fn(&mut Tables) {
        move |tables| {
            let records = tables.of_mut::<Record>().iter_mut();
            records
                .filter(|r| r.mode == mode && r.count_rule == count && r.tau.is_empty() != is_gated)
                .for_each(change);
            let rates: Vec<Record> = tables.of::<Record>().to_vec();
            testing::change(tables, |model, curve, _| {
                let own = rates.iter().filter(|r| r.model == model);
                let mut own = own.filter(|r| {
                    curve == curve_name(&r.set, &r.mode, &r.count_rule, !r.tau.is_empty())
                });
                own.next().map(|r| r.wer)
            });
        }
    }

    /// Changes the rate of a curve that does not belong to a system.
    fn rate(mode: &'static str, count: &'static str, rate: f64) -> impl Fn(&mut Tables) {
        move |tables| {
            let curve = curve_name("test_atis", mode, count, false);
            testing::change(tables, |_, own, _| (own == curve).then_some(rate));
        }
    }

    fn gate(change: fn(&mut GateRecord)) -> impl Fn(&mut Tables) {
        move |tables| tables.of_mut::<GateRecord>().iter_mut().for_each(change)
    }

    #[test]
    fn m1_the_gate_finds_errors() {
        let blind = |tables: &mut Tables| {
            gate(|r| r.auc = Some(0.5))(tables);
            rate(SENT, "free", 3.0)(tables);
        };
        judged("M1").check_all(2 * MODELS, blind, [0, 2 * MODELS, 0, 0]);
        judged("M1").check(gate(|r| r.recogniser_scores = false), [0, 0, 0, 2 * MODELS]);
    }

    #[test]
    fn m2_correction_helps() {
        let worse = changed("lattice", "free", true, |r| {
            (r.p_improvement, r.p_worsening) = (Some(0.0), Some(0.99));
        });
        judged("M2").check_all(MODELS, worse, [0, MODELS, 0, 0]);
        // A gate that changes nothing leaves every replicate as it is.
        let unchanged = changed("lattice", "free", true, |r| {
            (r.p_improvement, r.p_worsening) = (Some(0.0), Some(0.0));
        });
        judged("M2").check(unchanged, [0, 0, MODELS, 0]);
    }

    #[test]
    fn m3_the_gate_loses_nothing() {
        let lost = changed("lattice", "free", true, |r| {
            r.wer = 4.5;
            r.sent_share = 70.0;
        });
        judged("M3").check_all(2 * MODELS, lost, [0, 2 * MODELS, 0, 0]);
    }

    #[test]
    fn m4_generation_for_all_is_judged_on_librispeech() {
        let reason = |tables: &Tables| {
            let rows = judged("M4").rows(tables, &models());
            rows[0].reason.clone()
        };
        assert!(reason(&Tables::default()).starts_with("needs the results of asr-correction"));
        let mut tables = judged("M4").tables(&models());
        assert_eq!(reason(&tables), "the claim is about LibriSpeech");
        for r in tables.of_mut::<Record>() {
            r.set = "test_ls_clean".to_owned();
        }
        assert!(reason(&tables).contains("context"));
        judged("M4").check(|_| {}, [0, 0, 0, MODELS]);
        let generated = |set: &'static str, rate: f64, sent: usize| {
            move |tables: &mut Tables| {
                let vote = tables.of::<Record>().iter().filter(|r| r.mode == "vote");
                let vote: Vec<Record> = vote.cloned().collect();
                let best = curve_name("test_atis", "best", "free", false);
                let best: Vec<Units> = tables
                    .of::<Units>()
                    .iter()
                    .filter(|u| u.curve == best)
                    .cloned()
                    .collect();
                tables.of_mut::<Record>().clear();
                for r in vote {
                    tables.push(Record {
                        set: set.to_owned(),
                        mode: "generate".to_owned(),
                        count_rule: "keep".to_owned(),
                        sent,
                        ..r
                    });
                }
                for (mode, count) in [(WRITTEN, "free"), ("generate", "keep")] {
                    let curve = curve_name(set, mode, count, false);
                    tables
                        .of_mut()
                        .extend(best.iter().cloned().map(|units| Units {
                            curve: curve.clone(),
                            ..units
                        }));
                }
                testing::change(tables, |_, curve, _| {
                    curve.contains("generate").then_some(rate)
                });
            }
        };
        for set in LIBRISPEECH {
            judged("M4").check(generated(set, 9.0, 9), [MODELS, 0, 0, 0]);
            judged("M4").check(generated(set, 2.0, 9), [0, MODELS, 0, 0]);
            judged("M4").check(generated(set, 9.0, 0), [0, 0, 0, MODELS]);
        }
        judged("M4").check(generated("test_wsj_score", 9.0, 9), [0, 0, 0, MODELS]);
    }

    #[test]
    fn m5_rules_hold() {
        let broken = changed("lattice", "keep", false, |r| r.violations_count = 1);
        judged("M5").check_all(MODELS, broken, [0, MODELS, 0, 0]);
        // What is written freely breaks rules, or none, where something is written.
        let written = |sent: usize, violations: usize| {
            move |tables: &mut Tables| {
                let vote = tables.of::<Record>().iter().filter(|r| r.mode == "vote");
                let generated = vote.map(|r| Record {
                    mode: "generate".to_owned(),
                    count_rule: "keep".to_owned(),
                    sent,
                    violations_words: violations,
                    ..r.clone()
                });
                let generated: Vec<Record> = generated.collect();
                tables.of_mut::<Record>().extend(generated);
            }
        };
        judged("M5").check(written(9, 3), [2 * MODELS, 0, 0, 0]);
        judged("M5").check(written(9, 0), [MODELS, MODELS, 0, 0]);
        judged("M5").check(written(0, 0), [MODELS, 0, 0, MODELS]);
    }

    #[test]
    fn the_standin_is_not_a_recogniser() {
        let on_standin = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.set = STANDIN.to_owned();
            }
            for r in tables.of_mut::<GateRecord>() {
                r.set = STANDIN.to_owned();
            }
            for units in tables.of_mut::<Units>() {
                units.curve = units.curve.replace("test_atis", STANDIN);
            }
        };
        for (claim, lines) in [
            ("M1", 2),
            ("M2", 1),
            ("M3", 2),
            ("M6", 1),
            ("M7", 1),
            ("M8", 2),
        ] {
            judged(claim).check(on_standin, [0, 0, 0, lines * MODELS]);
        }
        // Laws of the program hold on any lists.
        judged("M5").check(on_standin, [MODELS, 0, 0, 0]);
        judged("M9").check(on_standin, [2 * MODELS, 0, 0, 0]);
    }

    #[test]
    fn m6_votes_do_not_help() {
        judged("M6").check_all(
            MODELS,
            changed("vote", "free", false, |r| r.wer = 5.0),
            [0, MODELS, 0, 0],
        );
    }

    #[test]
    fn m7_lattices_are_worth_it() {
        judged("M7").check_all(
            MODELS,
            changed("lattice", "free", false, |r| r.wer = 4.5),
            [0, MODELS, 0, 0],
        );
    }

    #[test]
    fn m8_the_count_rule_costs() {
        let free = |tables: &mut Tables| {
            changed("lattice", "keep", false, |r| r.wer = 3.0)(tables);
            rate(ORACLE, "keep", 2.0)(tables);
        };
        judged("M8").check_all(2 * MODELS, free, [0, 2 * MODELS, 0, 0]);
        // Both lattices are equal if all hypotheses of a list have the same number of words.
        let equal = |tables: &mut Tables| {
            for [free, keep] in ["lattice", ORACLE].map(|mode| {
                ["free", "keep"].map(|count| curve_name("test_atis", mode, count, false))
            }) {
                let units = tables.of::<Units>().iter();
                let own: Vec<Units> = units.filter(|u| u.curve == free).cloned().collect();
                tables.of_mut::<Units>().retain(|u| u.curve != keep);
                tables
                    .of_mut::<Units>()
                    .extend(own.into_iter().map(|u| Units {
                        curve: keep.clone(),
                        ..u
                    }));
            }
        };
        judged("M8").check(equal, [0, 0, 0, 2 * MODELS]);
    }

    #[test]
    fn m9_oracles_are_in_order() {
        let wrong = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.list_oracle = if r.mode == "lattice" { 2.0 } else { 9.0 };
            }
        };
        judged("M9").check_all(2 * MODELS, wrong, [0, 2 * MODELS, 0, 0]);
    }
}
