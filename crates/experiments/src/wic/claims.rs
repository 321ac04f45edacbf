//! The claims that are judged from this experiment.

use super::measure::curve_name;
use super::table::{Method, Record};
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, depth_of_peak, lies_between, mean, needs, peak};
use crate::core::finding::{Finding, Measured, NotTested, Outcome, Threshold};
use crate::core::lens::Lens;
use crate::core::models::Facts;
use crate::core::sample::{Sampled, statistic};
use crate::{lens_entropy, lens_kl};
use std::collections::BTreeSet;

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "D12",
        versions: Version::V3_ON,
        statement: "word senses are best read in the middle of the model",
        needs: &["wic"],
        models: "",
        judge: d12,
    },
    Claim {
        id: "D13",
        versions: Version::V3_ON,
        statement: "word senses are read best while the lens is still uncertain",
        needs: &["wic", "lens-entropy"],
        models: "",
        judge: d13,
    },
    Claim {
        id: "D27",
        versions: &[],
        statement: "the wrong lens of the first versions changes D13, D14 and D21 (fails only if both lenses agree to the bit)",
        needs: &["wic", "lens-kl", "lens-entropy"],
        models: "",
        judge: d27,
    },
];

/// Why nothing about senses is judged on pairs of the stand-in.
pub(crate) const NEEDS_WIC: &str = "needs WiC: pairs of the stand-in ask whether a word fits its context, and not which sense it has";

/// The accuracy of the probe on each residual stream, for each set of pairs; an error for the published set if there is none.
fn probes(evidence: &Evidence<'_>, model: &Facts) -> Vec<(String, Result<Sampled, NotTested>)> {
    let records = evidence.tables.of::<Record>().iter();
    let own = records.filter(|r| r.model == model.name && r.method == Method::Probe);
    let mut sets: BTreeSet<&str> = own.map(|r| r.pairs_of.as_str()).collect();
    if sets.is_empty() {
        sets.insert("wic");
    }
    let accuracy = |set: &str| match set {
        "wic" => evidence.by_state(model, "wic", &curve_name(set)),
        _ => Err(NotTested::because(NEEDS_WIC)),
    };
    sets.into_iter()
        .map(|set| (set.to_owned(), accuracy(set)))
        .collect()
}

/// The probe is best at depths 0.3 to 0.7, and better in the middle third than at the better end.
pub fn d12(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for (set, accuracy) in probes(evidence, model) {
            let of = |number: fn(&[Point]) -> Outcome| {
                let accuracy = accuracy.as_ref().map_err(Clone::clone)?;
                statistic([accuracy], |[curve]| number(curve))
            };
            findings.push(Finding::of(
                &model.name,
                format!("depth of the best probe, {set}"),
                Threshold::Between(0.3, 0.7),
                of(|curve| depth_of_peak(curve, "wic")),
            ));
            findings.push(Finding::of(
                &model.name,
                format!("mean accuracy in the middle third of the depth less that at the better end, {set}"),
                Threshold::Above(0.0),
                of(middle_less_ends),
            ));
        }
    }
    findings
}

fn middle_less_ends(curve: &[Point]) -> Outcome {
    let third = 1.0 / 3.0;
    let inside = curve
        .iter()
        .filter(|p| lies_between(p.depth, third, 2.0 * third));
    let inside = mean(&inside.copied().collect::<Vec<_>>());
    let (Some(inside), [first, .., last]) = (inside, curve) else {
        return Err(NotTested::because(
            "needs residual streams in the middle third",
        ));
    };
    Ok(Measured::of(inside - first.value.max(last.value)))
}

/// At the depth where the probe is best, which is before the end, the lens has more than half of the greatest entropy that it
/// has on any block's output.
pub fn d13(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for (set, accuracy) in probes(evidence, model) {
            for lens in Lens::BOTH {
                let left = || {
                    let accuracy = accuracy.as_ref().map_err(Clone::clone)?;
                    let entropy = lens_entropy::measure::curve_name(lens);
                    let entropy = evidence.by_state(model, "lens-entropy", &entropy)?;
                    statistic([accuracy, &entropy], |[accuracy, entropy]| {
                        share(accuracy, entropy)
                    })
                };
                let part = format!(
                    "share of the lens's greatest entropy that is left where the probe is best, {set}"
                );
                let finding = Finding::of(&model.name, part, Threshold::Above(0.5), left());
                findings.push(finding.through(lens));
            }
        }
    }
    findings
}

/// A probe that is best deeper than this reads the output.
const LATEST: f64 = 0.8;

/// The entropy where the probe is best, divided by the greatest of any block's output.
fn share(accuracy: &[Point], entropy: &[Point]) -> Outcome {
    let best = peak(accuracy).ok_or_else(|| needs("wic"))?;
    if best.depth > LATEST {
        return Ok(
            Measured::of(0.0).noting("the probe is best at the end, where nothing has to be left")
        );
    }
    let greatest = peak(entropy.get(1..).unwrap_or_default());
    let there = entropy.iter().find(|point| point.index == best.index);
    let (greatest, there) = greatest.zip(there).ok_or_else(|| needs("lens-entropy"))?;
    let note = format!("residual stream {}", best.index);
    Ok(Measured::of(there.value / greatest.value).noting(note))
}

/// The differences of the lenses in the numbers of D13, D14 and D21, on the same positions.
pub fn d27(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let curves = |experiment: &'static str, name: fn(Lens) -> String| {
            let [standard, legacy] = Lens::BOTH;
            let of = |lens| evidence.by_state(model, experiment, &name(lens));
            Ok((of(standard)?, of(legacy)?))
        };
        let between =
            |curves: Result<(Sampled, Sampled), NotTested>,
             number: &dyn Fn(&[Point]) -> Outcome| {
                let (standard, legacy) = curves?;
                statistic([&standard, &legacy], |[standard, legacy]| {
                    let (standard, legacy) = (number(standard)?.value, number(legacy)?.value);
                    Ok(Measured::of(standard - legacy)
                        .noting(format!("{standard:.4} and {legacy:.4}")))
                })
            };
        let entropy = || curves("lens-entropy", lens_entropy::measure::curve_name);
        let divergence = || curves("lens-kl", lens_kl::measure::curve_name);
        let mut lines: Vec<(String, Outcome)> = Vec::new();
        for (set, accuracy) in probes(evidence, model) {
            let left = || {
                let (accuracy, (standard, legacy)) = (accuracy?, entropy()?);
                statistic(
                    [&accuracy, &standard, &legacy],
                    |[accuracy, standard, legacy]| {
                        let of = |entropy| Ok(share(accuracy, entropy)?.value);
                        let (standard, legacy) = (of(standard)?, of(legacy)?);
                        Ok(Measured::of(standard - legacy)
                            .noting(format!("{standard:.4} and {legacy:.4}")))
                    },
                )
            };
            lines.push((format!("D13, share of the greatest entropy, {set}"), left()));
        }
        let after = |curve: &[Point]| Ok(Measured::of(lens_kl::claims::after(curve)?));
        let bend = |curve: &[Point]| lens_kl::claims::bend(curve);
        let end = |curve: &[Point]| lens_entropy::claims::slope_at_end(curve);
        lines.extend([
            (
                "D14, slope of KL after depth 0.5".to_owned(),
                between(divergence(), &after),
            ),
            ("D14, bend of KL".to_owned(), between(divergence(), &bend)),
            (
                "D14, slope of the entropy after depth 0.5".to_owned(),
                between(entropy(), &after),
            ),
            (
                "D14, bend of the entropy".to_owned(),
                between(entropy(), &bend),
            ),
            (
                "D21, slope of the entropy at the end".to_owned(),
                between(entropy(), &end),
            ),
        ]);
        findings.extend(lines.into_iter().map(|(part, outcome)| {
            let part = format!("standard less legacy lens, {part}");
            Finding::of(&model.name, part, Threshold::Not(0.0), outcome)
        }));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, Simulated, change, models, small};
    use crate::wic::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(
            CLAIMS,
            claim,
            &[
                synthetic::add,
                lens_entropy::synthetic::add,
                lens_kl::synthetic::add,
            ],
        )
    }

    fn simulated(
        accuracy: impl Fn(usize) -> f64,
        entropy: impl Fn(Lens, usize) -> f64,
    ) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
        move |simulated, facts, tables| {
            let of = |value: &dyn Fn(usize) -> f64| -> Vec<(usize, f64)> {
                (0..=facts.layers)
                    .map(|state| (state, value(state)))
                    .collect()
            };
            simulated.units = 78;
            for lens in Lens::BOTH {
                for curve in [
                    lens_entropy::measure::curve_name(lens),
                    lens_kl::measure::curve_name(lens),
                ] {
                    let values = of(&|state| entropy(lens, state));
                    simulated.curve(tables, facts, &curve, &values, [0.5, 0.2]);
                }
            }
            simulated.units = 400;
            let values = of(&accuracy);
            simulated.curve(tables, facts, &curve_name("wic"), &values, [0.3, 0.4]);
        }
    }

    #[test]
    fn d12_senses_are_read_in_the_middle() {
        let late = |tables: &mut Tables| {
            change(tables, |_, curve, state| {
                curve
                    .starts_with("probe")
                    .then_some(0.5 + 0.01 * state as f64)
            });
        };
        judged("D12").check_all(2 * MODELS, late, [0, 2 * MODELS, 0, 0]);
        let stand_in = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.pairs_of = "standin-senses".to_owned();
            }
        };
        judged("D12").check(stand_in, [0, 0, 0, 2 * MODELS]);
        judged("D12").check_null(&[small()], simulated(|_| 0.6, |_, _| 5.0));
        let middle = |state: usize| 0.75 - 0.05 * (state as f64 - 4.0).abs();
        judged("D12").check_effect(&[small()], true, simulated(middle, |_, _| 5.0));
    }

    #[test]
    fn d13_the_lens_is_uncertain_where_the_probe_is_best() {
        let early = |tables: &mut Tables| {
            let standard = lens_entropy::measure::curve_name(Lens::Standard);
            change(tables, |_, curve, state| {
                (curve == standard).then_some(if state < 3 { 14.0 } else { 6.9 })
            });
        };
        judged("D13").check_all(2 * MODELS, early, [MODELS, MODELS, 0, 0]);
        let versions: Vec<String> = judged("D13")
            .rows(&Tables::default(), &models())
            .into_iter()
            .take(2)
            .map(|row| row.version)
            .collect();
        assert_eq!(versions, ["nips", "v3"]);
        // Wherever the probe is best by chance, a lens with half of its entropy is no less and no more certain; an embedding
        // of little entropy changes nothing.
        let half = |_, state: usize| match state {
            0 => 0.01,
            1 => 10.0,
            _ => 5.0,
        };
        judged("D13").check_null(
            &[small()],
            simulated(|state| if state > 1 { 0.6 } else { 0.2 }, half),
        );
        let middle = |state: usize| 0.75 - 0.05 * (state as f64 - 4.0).abs();
        let falling = |_, state: usize| if state < 7 { 10.0 } else { 3.0 };
        judged("D13").check_effect(&[small()], true, simulated(middle, falling));
    }

    #[test]
    fn d27_lenses_stand_side_by_side() {
        judged("D27").check(|_| {}, [0, 6 * MODELS, 0, 0]);
        let flat = |tables: &mut Tables| {
            change(tables, |_, curve, state| {
                curve.starts_with("legacy").then_some(match state {
                    0..=2 => 15.0,
                    _ => 5.0 + 0.1 * state as f64,
                })
            });
        };
        judged("D27").check(flat, [6 * MODELS, 0, 0, 0]);
        judged("D27").check_null(
            &[small()],
            simulated(|_| 0.6, |_, state| 8.0 - state as f64),
        );
        let middle = |state: usize| 0.75 - 0.05 * (state as f64 - 4.0).abs();
        let apart = |lens, state: usize| match (lens, state) {
            (Lens::Standard, _) => 8.0 - state as f64,
            (_, 0..=2) => 15.0,
            _ => 5.0 + 0.1 * state as f64,
        };
        judged("D27").check_effect(&[small()], true, simulated(middle, apart));
    }
}
