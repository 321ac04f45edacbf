//! The claims judged from this experiment: F1 to F10, on accuracies with removal within batches at the states of the published
//! curves.

use super::measure::curve_name;
use super::table::{Compared, Comparison, Part, Record, Removal, Setting, percent};
use crate::core::claim::{Claim, Evidence, Judge, Version};
use crate::core::curve::{Point, against_depth, depth_of_peak, needs, peak};
use crate::core::finding::{
    Finding, Measured, NotTested, Outcome, Threshold, difference, newcombe,
};
use crate::core::models::state_depth;
use crate::core::sample::{Sampled, chosen_by_halves, over_places, statistic};
use crate::wic::claims::NEEDS_WIC;
use std::collections::BTreeSet;

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[
    claim(
        "F1",
        "a word's own sense is read best low, and worse at the end",
        f1,
    ),
    claim("F2", "context on both sides of a word helps", f2),
    claim(
        "F3",
        "the meaning that a prompt asks for gets better with depth",
        f3,
    ),
    claim("F4", "the prediction of a word gets better with depth", f4),
    claim(
        "F5",
        "understanding leads prediction low, and the gap closes high",
        f5,
    ),
    claim("F6", "a word's own sense declines after its peak", f6),
    claim("F7", "removing what all words share helps", f7),
    claim(
        "F8",
        "senses of nouns are easier to tell than those of verbs",
        f8,
    ),
    claim(
        "F9",
        "a word's own sense peaks before the meaning that a prompt asks for",
        f9,
    ),
    claim("F10", "there is signal", f10),
];

const fn claim(id: &'static str, statement: &'static str, judge: Judge) -> Claim {
    Claim::of(
        &["lexical-semantics"],
        Version::SEMANTICS,
        id,
        statement,
        judge,
    )
}

/// One model's results on one set of pairs.
struct Own<'a> {
    evidence: &'a Evidence<'a>,
    model: &'a str,
    layers: usize,
    pairs_of: String,
}

impl Own<'_> {
    /// Accuracies by state over the test pairs, as shares.
    fn sampled(&self, setting: Setting) -> Result<Sampled, NotTested> {
        let curve = curve_name(&self.pairs_of, setting);
        let depth = |state| state_depth(state, self.layers);
        self.evidence
            .sampled(self.model, "lexical-semantics", &curve, depth)
    }

    /// A statistic of one curve with its interval.
    fn number(&self, setting: Setting, of: fn(&[Point]) -> Outcome) -> Outcome {
        statistic([&self.sampled(setting)?], |[curve]| of(curve))
    }

    /// The state of the best accuracy in per cent, with removal within batches, and the number of test pairs.
    fn best(&self, setting: Setting, pos: Part) -> Result<(Point, f64), NotTested> {
        let of = (setting, Removal::Batch, pos);
        let record = |of: (Setting, Removal, Part)| {
            let mut records = self.evidence.tables.of::<Record>().iter();
            records.find(|r| {
                let (model, pairs_of) = (r.model == self.model, r.pairs_of == self.pairs_of);
                model && pairs_of && (r.setting, r.aniso, r.pos) == of
            })
        };
        let missing = || match record((setting, Removal::Batch, Part::All)) {
            Some(_) => {
                NotTested::because("needs nouns and verbs in the development and the test pairs")
            }
            None => needs("lexical-semantics"),
        };
        let items = record(of).ok_or_else(missing)?.items as f64;
        let curve = percent(self.evidence.tables, self.model, &self.pairs_of, of)?;
        let best = peak(&curve).ok_or_else(|| needs("lexical-semantics"))?;
        Ok((best, items))
    }

    fn compared(
        &self,
        comparison: Comparison,
        setting: Setting,
    ) -> Result<(f64, Option<f64>), NotTested> {
        let mut records = self.evidence.tables.of::<Compared>().iter();
        let own = records.find(|r| {
            let (model, pairs_of) = (r.model == self.model, r.pairs_of == self.pairs_of);
            model && pairs_of && (r.comparison, r.setting) == (comparison, setting)
        });
        let own = own.ok_or_else(|| needs("lexical-semantics"))?;
        Ok((
            100.0 * own.difference,
            own.difference_se.map(|error| 100.0 * error),
        ))
    }

    fn finding(&self, part: &str, threshold: Threshold, outcome: Outcome) -> Finding {
        Finding::of(
            self.model,
            format!("{part}, {}", self.pairs_of),
            threshold,
            outcome,
        )
    }
}

/// The findings of `judge` for each model on each set of pairs; on the stand-in nothing is judged.
fn each(evidence: &Evidence<'_>, judge: impl Fn(&Own<'_>) -> Vec<Finding>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for facts in evidence.models {
        let own = evidence
            .tables
            .of::<Record>()
            .iter()
            .filter(|r| r.model == facts.name);
        let mut sets: BTreeSet<&str> = own.map(|r| r.pairs_of.as_str()).collect();
        if sets.is_empty() {
            sets.insert("wic");
        }
        for set in sets {
            let own = judge(&Own {
                evidence,
                model: &facts.name,
                layers: facts.layers,
                pairs_of: set.to_owned(),
            });
            findings.extend(own.into_iter().map(|finding| match set {
                "wic" => finding,
                _ => Finding {
                    outcome: Err(NotTested::because(NEEDS_WIC)),
                    ..finding
                },
            }));
        }
    }
    findings
}

/// A difference of two accuracies on other pairs, in points.
fn less(first: (Point, f64), second: (Point, f64)) -> Measured {
    let [(a, _), (b, _)] = [first, second];
    let shares = [first, second].map(|(point, items)| (point.value / 100.0, items));
    Measured::of(a.value - b.value)
        .within(newcombe(shares).map(|end| 100.0 * end))
        .noting(format!(
            "points; {:.2} at state {}, {:.2} at state {}; interval as of independent accuracies",
            a.value, a.index, b.value, b.index
        ))
}

/// The rank correlation with depth over the states above the embedding.
fn rising(curve: &[Point]) -> Outcome {
    against_depth(curve.get(1..).unwrap_or_default())
}

fn best_depth(curve: &[Point]) -> Outcome {
    depth_of_peak(curve, "lexical-semantics")
}

/// The last state's accuracy minus the best one's, in points; the best state is chosen on the other half of the pairs.
fn last_less_best(own: &Own<'_>, setting: Setting) -> Outcome {
    chosen_by_halves(&[own.sampled(setting)?], |chosen, judged| {
        let less = || {
            let best = peak(&chosen[0])?;
            let there = judged[0].iter().find(|point| point.index == best.index)?;
            Some(100.0 * (judged[0].last()?.value - there.value))
        };
        Ok(Measured::of(
            less().ok_or_else(|| needs("lexical-semantics"))?,
        ))
    })
}

/// base: argmax ≤ 0.5·L, and peak − last ≥ 2.6 points.
pub fn f1(evidence: &Evidence<'_>) -> Vec<Finding> {
    each(evidence, |own| {
        let fall = last_less_best(own, Setting::Base);
        vec![
            own.finding(
                "depth of the best state, base",
                Threshold::AtMost(0.5),
                own.number(Setting::Base, best_depth),
            ),
            own.finding(
                "last less best in points, base",
                Threshold::AtMost(-2.6),
                fall,
            ),
        ]
    })
}

/// The mean of repeat − base over depths above 0.15 is above 0.
pub fn f2(evidence: &Evidence<'_>) -> Vec<Finding> {
    each(evidence, |own| {
        let helps = own
            .compared(Comparison::Deep, Setting::Repeat)
            .and_then(|(value, error)| difference(value, error, None));
        vec![own.finding(
            "repeat less base over depths above 0.15, points, paired by item",
            Threshold::Above(0.0),
            helps,
        )]
    })
}

/// prompt2: Spearman ≥ 0.7, argmax ≥ 0.5·L, last ≥ max − 2 points.
pub fn f3(evidence: &Evidence<'_>) -> Vec<Finding> {
    each(evidence, |own| {
        vec![
            own.finding(
                "rank correlation with depth, prompt2",
                Threshold::AtLeast(0.7),
                own.number(Setting::Prompt2, rising),
            ),
            own.finding(
                "depth of the best state, prompt2",
                Threshold::AtLeast(0.5),
                own.number(Setting::Prompt2, best_depth),
            ),
            own.finding(
                "last less best in points, prompt2",
                Threshold::AtLeast(-2.0),
                last_less_best(own, Setting::Prompt2),
            ),
        ]
    })
}

/// How many states later the second setting is best than the first.
fn later(own: &Own<'_>, first: Setting, second: Setting) -> Outcome {
    let (first, second) = (own.sampled(first)?, own.sampled(second)?);
    statistic([&first, &second], |[first, second]| {
        let both = peak(first).zip(peak(second));
        let (first, second) = both.ok_or_else(|| needs("lexical-semantics"))?;
        let note = format!(
            "states {} and {} of {}",
            first.index, second.index, own.layers
        );
        Ok(Measured::of(first.index as f64 - second.index as f64).noting(note))
    })
}

/// repeat_prev: Spearman ≥ 0.6, and argmax later than repeat's.
pub fn f4(evidence: &Evidence<'_>) -> Vec<Finding> {
    each(evidence, |own| {
        vec![
            own.finding(
                "rank correlation with depth, repeat_prev",
                Threshold::AtLeast(0.6),
                own.number(Setting::RepeatPrev, rising),
            ),
            own.finding(
                "states from the best of repeat to the best of repeat_prev",
                Threshold::Above(0.0),
                later(own, Setting::RepeatPrev, Setting::Repeat),
            ),
        ]
    })
}

/// The mean of repeat − repeat_prev is larger in the first half than in the second.
pub fn f5(evidence: &Evidence<'_>) -> Vec<Finding> {
    each(evidence, |own| {
        let halves = || {
            let (fall, error) = own.compared(Comparison::Halves, Setting::Repeat)?;
            let (first, _) = own.compared(Comparison::FirstHalf, Setting::Repeat)?;
            let (second, _) = own.compared(Comparison::SecondHalf, Setting::Repeat)?;
            let note = format!(
                "points; {first:.2} in the first half, {second:.2} in the second; paired by item"
            );
            Ok(difference(fall, error, None)?.noting(note))
        };
        vec![own.finding(
            "repeat less repeat_prev, first half less second",
            Threshold::Above(0.0),
            halves(),
        )]
    })
}

/// base and repeat: Spearman from the peak on < 0. One half of the pairs chooses the peak, and the other half's accuracies are
/// ranked: after a peak that is highest by chance, accuracies fall anyway.
pub fn f6(evidence: &Evidence<'_>) -> Vec<Finding> {
    each(evidence, |own| {
        let falling = |setting: Setting| {
            let sampled = own.sampled(setting)?;
            let from_best = |chosen: &[Point], judged: &[Point]| -> Result<Vec<Point>, NotTested> {
                let best = peak(chosen).ok_or_else(|| needs("lexical-semantics"))?;
                let from = judged.iter().filter(|point| point.index >= best.index);
                Ok(from.copied().collect())
            };
            let all = sampled.curve();
            let places = from_best(&all, &all)?.len();
            let rank = chosen_by_halves(&[sampled], |chosen, judged| {
                match from_best(&chosen[0], &judged[0])?.as_slice() {
                    // It does not decline.
                    [_] => Ok(Measured::of(0.0)),
                    from => against_depth(from),
                }
            });
            // Two states always have some order.
            match places {
                0..=2 => rank,
                _ => over_places(rank, places),
            }
        };
        let settings = [Setting::Base, Setting::Repeat].into_iter();
        let finding = |setting: Setting| {
            let part = format!(
                "rank correlation with depth from the best state on, {}",
                setting.name()
            );
            own.finding(&part, Threshold::Below(0.0), falling(setting))
        };
        settings.map(finding).collect()
    })
}

const THREE: [Setting; 3] = [Setting::Base, Setting::Repeat, Setting::Prompt2];

/// Best accuracy with removal minus best without, above 0 for base, repeat and prompt2.
pub fn f7(evidence: &Evidence<'_>) -> Vec<Finding> {
    each(evidence, |own| {
        let gain = |setting: Setting| {
            let (gain, error) = own.compared(Comparison::Removal, setting)?;
            Ok(difference(gain, error, None)?
                .noting("points; paired by item, best states taken as given"))
        };
        let finding = |setting: Setting| {
            let part = format!("best with removal less best without, {}", setting.name());
            own.finding(&part, Threshold::Above(0.0), gain(setting))
        };
        THREE.into_iter().map(finding).collect()
    })
}

/// Nouns minus verbs, each at its best state, above 0 in three settings.
pub fn f8(evidence: &Evidence<'_>) -> Vec<Finding> {
    each(evidence, |own| {
        let gap = |setting: Setting| {
            let noun = own.best(setting, Part::Noun)?;
            Ok(less(noun, own.best(setting, Part::Verb)?))
        };
        let finding = |setting: Setting| {
            let part = format!("nouns less verbs at their best states, {}", setting.name());
            own.finding(&part, Threshold::Above(0.0), gap(setting))
        };
        THREE.into_iter().map(finding).collect()
    })
}

/// argmax of base and of repeat < argmax of prompt2.
pub fn f9(evidence: &Evidence<'_>) -> Vec<Finding> {
    each(evidence, |own| {
        let finding = |setting: Setting| {
            let part = format!(
                "states from the best of {} to the best of prompt2",
                setting.name()
            );
            own.finding(
                &part,
                Threshold::Above(0.0),
                later(own, Setting::Prompt2, setting),
            )
        };
        [Setting::Base, Setting::Repeat]
            .into_iter()
            .map(finding)
            .collect()
    })
}

/// The best test accuracy of any setting ≥ 55.5 %; the other half of the pairs chooses what is best.
pub fn f10(evidence: &Evidence<'_>) -> Vec<Finding> {
    each(evidence, |own| {
        let best = || {
            let settings = Setting::ALL.into_iter();
            let sampled: Vec<Sampled> = settings
                .filter_map(|setting| own.sampled(setting).ok())
                .collect();
            if sampled.is_empty() {
                return Err(needs("lexical-semantics"));
            }
            chosen_by_halves(&sampled, |chosen, judged| {
                let bests = chosen.iter().zip(judged).filter_map(|(chosen, judged)| {
                    let best = peak(chosen)?;
                    let there = judged.iter().find(|point| point.index == best.index)?;
                    Some((best.value, there.value))
                });
                let best = bests.reduce(|best, next| if next.0 > best.0 { next } else { best });
                let (_, value) = best.ok_or_else(|| needs("lexical-semantics"))?;
                Ok(Measured::of(100.0 * value))
            })
        };
        vec![own.finding(
            "best test accuracy in per cent",
            Threshold::AtLeast(55.5),
            best(),
        )]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::models::Facts;
    use crate::core::sample::Units;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, Simulated, change, models, small};
    use crate::lexical_semantics::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    /// Every accuracy is the same function of its record.
    fn accuracy(of: impl Fn(&Record) -> f64) -> impl Fn(&mut Tables) {
        move |tables| {
            for record in tables.of_mut::<Record>() {
                record.test_accuracy = of(record);
            }
            let records: Vec<Record> = tables.of::<Record>().to_vec();
            change(tables, |model, curve, state| {
                let mut own = records
                    .iter()
                    .filter(|r| r.model == model && r.state == state);
                let own = own.find(|r| curve == curve_name(&r.pairs_of, r.setting));
                own.map(&of)
            });
        }
    }

    fn difference(comparison: Comparison, value: f64) -> impl Fn(&mut Tables) {
        move |tables| {
            for compared in tables.of_mut::<Compared>() {
                if compared.comparison == comparison {
                    compared.difference = value;
                }
            }
        }
    }

    /// Runs with these accuracies, as shares, plus the noise of single pairs; comparisons differ by `difference`.
    fn simulated(
        accuracy: impl Fn(Setting, Part, usize) -> f64,
        difference: f64,
    ) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
        move |simulated, facts, tables| {
            synthetic::add(facts, tables);
            tables.of_mut::<Units>().clear();
            for setting in Setting::ALL {
                let states = 0..=facts.layers;
                let values = states.map(|state| (state, accuracy(setting, Part::All, state)));
                let values: Vec<(usize, f64)> = values.collect();
                let curve = curve_name("wic", setting);
                simulated.curve(tables, facts, &curve, &values, [0.3, 0.4]);
            }
            let error = 0.5 / (simulated.units as f64).sqrt();
            for r in tables.of_mut::<Record>() {
                let value = accuracy(r.setting, r.pos, r.state);
                r.test_accuracy = (value + error * simulated.gaussian()).clamp(0.0, 1.0);
                r.test_accuracy_se = error;
                r.items = simulated.units as u64;
            }
            for compared in tables.of_mut::<Compared>() {
                compared.difference = difference + error * simulated.gaussian();
                compared.difference_se = Some(error);
            }
        }
    }

    /// No claim holds if no state tells more than another; with enough pairs, all hold if accuracies are as published.
    #[test]
    fn where_there_is_nothing_to_find_nothing_holds() {
        for claim in CLAIMS {
            // Accuracies at chance contain no signal.
            judged(claim.id).check_null(&[small()], simulated(|_, _, _| 0.5, 0.0));
        }
    }

    #[test]
    fn what_is_there_is_found() {
        let steep = |setting: Setting, pos: Part, state: usize| {
            let depth = state as f64 / 8.0;
            let own = match setting {
                Setting::Base | Setting::Repeat => 0.95 - 0.5 * (depth - 0.25).abs(),
                Setting::Prompt1 | Setting::Prompt2 => 0.5 + 0.45 * depth,
                Setting::RepeatPrev | Setting::RepeatPrevToken => 0.45 + 0.4 * depth,
            };
            let of_part = match pos {
                Part::All => 0.0,
                Part::Noun => 0.04,
                Part::Verb => -0.3,
            };
            own + of_part
        };
        for claim in CLAIMS {
            // Ranks of few states, and small steps of 78 pairs, rarely decide.
            let is_large_enough = matches!(claim.id, "F2" | "F5" | "F7" | "F8" | "F9" | "F10");
            judged(claim.id).check_effect(&[small()], is_large_enough, simulated(steep, 0.3));
        }
    }

    /// On the published curves themselves the claims find the published numbers.
    #[test]
    fn the_published_curves_give_the_published_numbers() {
        let mut models = models();
        models.retain(|facts| facts.layers == 32);
        let tables = judged("F1").tables(&models);
        let check = |claim: &str, expected: &[f64]| {
            let rows = judged(claim).rows(&tables, &models);
            let found: Vec<f64> = rows.iter().filter_map(|row| row.measured).collect();
            assert_eq!(found.len(), expected.len(), "{claim}: {found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 0.05,
                    "{claim}: {found} for {expected}"
                );
            }
        };
        check("F1", &[0.375, -4.21]);
        check("F3", &[0.92, 0.66, -0.64]);
        check("F4", &[0.88, 20.0]);
        check("F6", &[-0.48, -0.60]);
        check("F9", &[9.0, 13.0]);
        check("F10", &[72.71]);
    }

    #[test]
    fn f1_own_sense_peaks_low() {
        judged("F1").check_all(
            2 * MODELS,
            accuracy(|r| 0.5 + 0.1 * r.relative_depth),
            [0, 2 * MODELS, 0, 0],
        );
    }

    #[test]
    fn f2_context_helps() {
        judged("F2").check_all(
            MODELS,
            difference(Comparison::Deep, -0.05),
            [0, MODELS, 0, 0],
        );
        let lone = |tables: &mut Tables| {
            for compared in tables.of_mut::<Compared>() {
                compared.difference_se = None;
            }
        };
        judged("F2").check(lone, [0, 0, MODELS, 0]);
    }

    #[test]
    fn f3_prompted_meaning_rises() {
        judged("F3").check(
            accuracy(|r| 0.7 - 0.1 * r.relative_depth),
            [0, 3 * MODELS, 0, 0],
        );
        judged("F3").check(
            accuracy(|r| 0.5 + 0.1 * r.relative_depth),
            [3 * MODELS, 0, 0, 0],
        );
    }

    #[test]
    fn f4_prediction_rises() {
        let late = |r: &Record| match r.setting {
            Setting::RepeatPrev => 0.5 + 0.1 * r.relative_depth,
            _ => 0.7 - 0.1 * r.relative_depth,
        };
        judged("F4").check(accuracy(late), [2 * MODELS, 0, 0, 0]);
        judged("F4").check(accuracy(|r| 1.0 - late(r)), [0, 2 * MODELS, 0, 0]);
    }

    #[test]
    fn f5_the_gap_closes() {
        judged("F5").check_all(
            MODELS,
            difference(Comparison::Halves, -0.05),
            [0, MODELS, 0, 0],
        );
    }

    #[test]
    fn f6_decline_after_the_peak() {
        judged("F6").check(
            accuracy(|r| 0.7 - 0.1 * r.relative_depth),
            [2 * MODELS, 0, 0, 0],
        );
        judged("F6").check(
            accuracy(|r| 0.5 + 0.1 * r.relative_depth),
            [0, 2 * MODELS, 0, 0],
        );
    }

    #[test]
    fn f7_removal_helps() {
        judged("F7").check_all(
            3 * MODELS,
            difference(Comparison::Removal, -0.05),
            [0, 3 * MODELS, 0, 0],
        );
    }

    #[test]
    fn f8_nouns_are_easier() {
        judged("F8").check_all(
            3 * MODELS,
            accuracy(|r| if r.pos == Part::Noun { 0.4 } else { 0.6 }),
            [0, 3 * MODELS, 0, 0],
        );
    }

    #[test]
    fn pairs_without_nouns_and_verbs_do_not_tell_them_apart() {
        let untagged = |tables: &mut Tables| {
            let records = tables.of_mut::<Record>();
            records.retain(|r| r.pos == Part::All);
        };
        let mut tables = judged("F8").tables(&models());
        untagged(&mut tables);
        for row in judged("F8").rows(&tables, &models()) {
            assert!(row.reason.contains("needs nouns and verbs"), "{row:?}");
        }
        judged("F8").check(untagged, [0, 0, 0, 3 * MODELS]);
    }

    #[test]
    fn the_standin_has_no_senses() {
        let mut tables = judged("F1").tables(&models());
        for record in tables.of_mut::<Record>() {
            record.pairs_of = "standin-senses".to_owned();
        }
        for compared in tables.of_mut::<Compared>() {
            compared.pairs_of = "standin-senses".to_owned();
        }
        for units in tables.of_mut::<Units>() {
            units.curve = units.curve.replace("wic", "standin-senses");
        }
        for claim in CLAIMS {
            for row in judged(claim.id).rows(&tables, &models()) {
                assert_eq!(row.reason, NEEDS_WIC, "{row:?}");
            }
        }
    }

    #[test]
    fn f9_order_of_peaks() {
        judged("F9").check_all(
            2 * MODELS,
            accuracy(|r| match r.setting {
                Setting::Prompt2 => 0.7 - 0.1 * r.relative_depth,
                _ => 0.5 + 0.1 * r.relative_depth,
            }),
            [0, 2 * MODELS, 0, 0],
        );
    }

    #[test]
    fn f10_there_is_signal() {
        judged("F10").check_all(MODELS, accuracy(|_| 0.55), [0, MODELS, 0, 0]);
    }
}
