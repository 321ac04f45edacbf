//! The claims that are judged from this experiment.

use super::measure::curve_name;
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, lies_between, slope};
use crate::core::finding::{Finding, Measured, NotTested, Outcome, Threshold};
use crate::core::lens::Lens;
use crate::core::models::Facts;
use crate::core::published::published_name;
use crate::core::sample::{Sampled, over_places, statistic};
use crate::{lens_entropy, neurons};
use layerwise_metrics::correlation;

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[
    Claim {
        id: "D14",
        versions: Version::ALL,
        statement: "divergence and entropy of the lens fall from about mid-depth",
        needs: &["lens-kl", "lens-entropy"],
        models: "",
        judge: d14,
    },
    Claim {
        id: "D17",
        versions: Version::ALL,
        statement: "the divergence falls fastest where prediction neurons are dense",
        needs: &["lens-kl", "neurons"],
        models: "",
        judge: d17,
    },
    Claim {
        id: "D18",
        versions: Version::V1_AND_NIPS,
        statement: "Phi-1 has fewer prediction neurons and a flatter divergence than Phi-1.5 and Phi-2; Phi has several times the densities of GPT-2 and Pythia",
        needs: &["neurons", "lens-kl"],
        models: "the paper's Phi, GPT-2 and Pythia models",
        judge: d18,
    },
];

/// The slope after half of the depth is below 0 and below the slope before it. The earlier half begins with the first block's
/// output, since a lens on the embedding reads the input token.
pub fn d14(evidence: &Evidence<'_>) -> Vec<Finding> {
    let lenses = Lens::BOTH.map(|lens| {
        let names = [curve_name(lens), lens_entropy::measure::curve_name(lens)];
        (lens, names)
    });
    of_curves(evidence, &lenses)
}

/// The same test for lenses whose divergence and entropy have these curve names.
pub fn of_curves(evidence: &Evidence<'_>, lenses: &[(Lens, [String; 2])]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for (lens, [divergence, entropy]) in lenses {
            for (quantity, unit, experiment, curve) in [
                ("KL", "nats", "lens-kl", divergence),
                ("entropy", "bits", "lens-entropy", entropy),
            ] {
                let sampled = evidence.by_state(model, experiment, curve);
                let of = |statistic_of: fn(&[Point]) -> Outcome| {
                    let sampled = sampled.as_ref().map_err(Clone::clone)?;
                    statistic([sampled], |[curve]| statistic_of(curve))
                };
                for (part, number) in [
                    (
                        "slope after depth 0.5",
                        of(|curve| Ok(Measured::of(after(curve)?))),
                    ),
                    ("slope after depth 0.5 less slope before it", of(bend)),
                ] {
                    let finding = Finding::of(
                        &model.name,
                        format!("{part} of the lens's {quantity}, {unit} over the whole depth"),
                        Threshold::Below(0.0),
                        number,
                    );
                    findings.push(finding.through(*lens));
                }
            }
        }
    }
    findings
}

fn slope_between(curve: &[Point], low: f64, high: f64) -> Result<f64, NotTested> {
    let inside = curve
        .iter()
        .filter(|point| point.index > 0 && lies_between(point.depth, low, high));
    let inside: Vec<Point> = inside.copied().collect();
    slope(&inside).ok_or_else(|| {
        NotTested::because("needs two residual streams above the embedding in each half")
    })
}

/// The slope over the second half of the depth.
pub fn after(curve: &[Point]) -> Result<f64, NotTested> {
    slope_between(curve, 0.5, 1.0)
}

/// The slope of the second half minus that of the first.
pub fn bend(curve: &[Point]) -> Outcome {
    Ok(Measured::of(
        after(curve)? - slope_between(curve, 0.0, 0.5)?,
    ))
}

/// Over all blocks except the first, the fall of the lens's KL follows the density of prediction neurons.
pub fn d17(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for lens in Lens::BOTH {
            let finding = Finding::of(
                &model.name,
                "rank correlation over blocks from the second on of the fall of the lens's KL and the density of prediction neurons",
                Threshold::Above(0.0),
                together(evidence, model, lens),
            );
            findings.push(finding.through(lens));
        }
    }
    findings
}

fn together(evidence: &Evidence<'_>, model: &Facts, lens: Lens) -> Outcome {
    let divergence = evidence.by_state(model, "lens-kl", &curve_name(lens))?;
    let density = neurons::density(evidence.tables, &model.name, neurons::prediction)?;
    neurons::claims::densest(&density, "prediction")?;
    let blocks = model.layers.saturating_sub(1);
    let rank = statistic([&divergence], |[curve]| {
        let falls = curve
            .windows(2)
            .filter(|pair| pair[0].index > 0)
            .map(|pair| {
                let block = density.iter().find(|block| block.index == pair[0].index)?;
                Some((pair[0].value - pair[1].value, block.value))
            });
        let pairs: Vec<(f64, f64)> = falls.flatten().collect();
        let correlation = correlation::spearman(&pairs)
            .ok_or_else(|| NotTested::because("the correlation is not defined"))?;
        Ok(Measured::of(correlation).noting(format!("{} blocks", pairs.len())))
    });
    over_places(rank, blocks)
}

/// Phi-1 against Phi-1.5 and Phi-2, and the best Phi model against the means of GPT-2 and of Pythia; only the paper's models.
pub fn d18(evidence: &Evidence<'_>) -> Vec<Finding> {
    let named = |published: &str| {
        let mut models = evidence.models.iter();
        let found = models.find(|model| published_name(&model.name) == Some(published));
        found.ok_or_else(|| NotTested(format!("needs {published}")))
    };
    let mut findings = Vec::new();
    for other in ["phi-1_5", "phi-2"] {
        let densities = || {
            let (small, other) = (named("phi-1")?, named(other)?);
            let both = [small.name.as_str(), other.name.as_str()];
            let ways = neurons::PREDICTION.map(|way| both.map(|name| (name, way)).to_vec());
            neurons::over_thresholds(evidence.tables, ways, |curves| {
                Ok(neurons::highest(&curves[0]) / neurons::highest(&curves[1]))
            })
        };
        findings.push(Finding::of(
            "*",
            format!("highest density of prediction neurons of phi-1 over that of {other}"),
            Threshold::Below(1.0),
            densities(),
        ));
        for lens in Lens::BOTH {
            let slopes = || {
                let divergence = |model| -> Result<Sampled, NotTested> {
                    evidence.by_state(model, "lens-kl", &curve_name(lens))
                };
                let (small, other) = (divergence(named("phi-1")?)?, divergence(named(other)?)?);
                statistic([&small, &other], |[small, other]| {
                    Ok(Measured::of((after(small)? / after(other)?).abs()))
                })
            };
            let part = format!(
                "slope of KL after depth 0.5 of phi-1 over that of {other}, signs left out"
            );
            let finding = Finding::of("*", part, Threshold::Below(1.0), slopes());
            findings.push(finding.through(lens));
        }
    }
    let kinds = [
        ("prediction", &neurons::PREDICTION),
        ("suppression", &neurons::SUPPRESSION),
    ];
    for (family, name, threshold) in [
        ("gpt2", "GPT-2", Threshold::Between(5.0, 8.0)),
        ("pythia", "Pythia", Threshold::Between(3.0, 7.0)),
    ] {
        for (kind, readings) in kinds {
            let several = || {
                let named = |family: &'static str| {
                    let own = move |model: &&Facts| {
                        published_name(&model.name).is_some_and(|name| name.starts_with(family))
                    };
                    let own = evidence.models.iter().filter(own);
                    own.map(|model| model.name.as_str()).collect::<Vec<_>>()
                };
                let (phi, others) = (named("phi"), named(family));
                let ways = readings.iter().map(|way| {
                    let both = phi.iter().chain(&others);
                    both.map(|name| (*name, *way)).collect()
                });
                neurons::over_thresholds(evidence.tables, ways, |curves| {
                    let highest = curves.iter().map(|curve| neurons::highest(curve));
                    let highest: Vec<f64> = highest.collect();
                    let (phi, others) = highest.split_at(phi.len());
                    if phi.is_empty() || others.is_empty() {
                        let reason = format!("needs the paper's Phi and {name} models");
                        return Err(NotTested(reason));
                    }
                    let best = phi.iter().copied().fold(f64::MIN, f64::max);
                    Ok(best / (others.iter().sum::<f64>() / others.len() as f64))
                })
            };
            findings.push(Finding::of(
                "*",
                format!("highest density of {kind} neurons of the best Phi model over the mean of {name} models"),
                threshold,
                several(),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::finding::Verdict;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, Simulated, change, models, small};
    use crate::lens_kl::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(
            CLAIMS,
            claim,
            &[
                synthetic::add,
                lens_entropy::synthetic::add,
                neurons::synthetic::add,
            ],
        )
    }

    fn lenses(
        value: impl Fn(&mut Simulated, usize) -> f64,
    ) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
        move |simulated, facts, tables| {
            let states = 0..=facts.layers;
            let values: Vec<(usize, f64)> = states.map(|at| (at, value(simulated, at))).collect();
            for lens in Lens::BOTH {
                for curve in [curve_name(lens), lens_entropy::measure::curve_name(lens)] {
                    simulated.curve(tables, facts, &curve, &values, [0.5, 0.3]);
                }
            }
        }
    }

    #[test]
    fn d14_lenses_fall_from_the_middle() {
        let layers: std::collections::BTreeMap<String, usize> =
            models().into_iter().map(|m| (m.name, m.layers)).collect();
        let steady = |tables: &mut Tables| {
            change(tables, |model, curve, state| {
                let depth = state as f64 / layers[model] as f64;
                let early = if depth < 0.5 {
                    24.0 * (0.5 - depth)
                } else {
                    0.0
                };
                // Curves that fall faster before than after.
                curve
                    .ends_with("kl_nats")
                    .then_some(8.0 - 8.0 * depth + early)
            });
        };
        judged("D14").check_all(8 * MODELS, steady, [6 * MODELS, 2 * MODELS, 0, 0]);
        // Whatever a lens reads off the embedding.
        let tied = |_: &mut Simulated, state: usize| if state == 0 { 80.0 } else { 8.0 };
        judged("D14").check_null(&[small()], lenses(tied));
        let late = |_: &mut Simulated, state: usize| match state {
            0 => 80.0,
            1..=4 => 8.0,
            _ => 8.0 - 1.5 * (state - 4) as f64,
        };
        judged("D14").check_effect(&[small()], true, lenses(late));
    }

    #[test]
    fn d17_divergence_falls_with_prediction_neurons() {
        let opposed = |tables: &mut Tables| {
            for r in tables.of_mut::<neurons::Record>() {
                r.prediction_percent = 3.0 - 3.0 * (r.relative_depth - 0.85).abs().min(0.9);
            }
            let layers: std::collections::BTreeMap<String, usize> =
                models().into_iter().map(|m| (m.name, m.layers)).collect();
            change(tables, |model, curve, state| {
                // Curves that fall where neurons are few.
                let depth = state as f64 / layers[model] as f64;
                curve
                    .ends_with("kl_nats")
                    .then_some(9.0 * (1.0 - depth).powi(4))
            });
        };
        judged("D17").check(opposed, [0, 2 * MODELS, 0, 0]);
        judged("D17").check(|_| {}, [2 * MODELS, 0, 0, 0]);
        let none = |tables: &mut Tables| {
            for r in tables.of_mut::<neurons::Record>() {
                r.prediction_percent = 0.0;
            }
        };
        judged("D17").check(none, [0, 0, 0, 2 * MODELS]);
        let with_neurons = |facts: &Facts, tables: &mut Tables| {
            neurons::synthetic::add(facts, tables);
        };
        judged("D17").check_null(&[small()], |simulated, facts, tables| {
            with_neurons(facts, tables);
            let walk = |simulated: &mut Simulated, _| 3.0 * simulated.gaussian();
            lenses(walk)(simulated, facts, tables);
        });
        let deep = Facts {
            layers: 24,
            ..small()
        };
        judged("D17").check_effect(&[deep], true, |simulated, facts, tables| {
            with_neurons(facts, tables);
            let density = neurons::density(tables, &facts.name, neurons::prediction).unwrap();
            let fall = |_: &mut Simulated, state: usize| {
                let before = density.iter().take(state);
                20.0 - before.map(|block| block.value).sum::<f64>()
            };
            lenses(fall)(simulated, facts, tables);
        });
    }

    /// Models with neurons of both kinds, depending on the model and rising with depth; divergences have this slope in the second
    /// half.
    fn families(
        about: impl Fn(&str) -> [f64; 2],
        steepness: impl Fn(&str) -> f64,
    ) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
        move |simulated, facts, tables| {
            let about = about(&facts.name);
            let of_block = |depth: f64| about.map(|about| about * depth);
            neurons::synthetic::add_counts(simulated, facts, tables, &of_block);
            let steepness = steepness(&facts.name);
            let fall = |_: &mut Simulated, state: usize| {
                12.0 - steepness * (2.0 * state as f64 - facts.layers as f64).max(0.0) / 2.0
            };
            lenses(fall)(simulated, facts, tables);
        }
    }

    #[test]
    fn d18_phi_has_more_neurons() {
        let alike = |tables: &mut Tables| {
            for r in tables.of_mut::<neurons::Record>() {
                for percent in r.percents_mut() {
                    *percent = 2.0;
                }
            }
            change(tables, |model, _, state| {
                Some(if model == "phi-1" { -2.0 } else { -1.0 } * state as f64)
            });
        };
        // Equal counts do not decide which is greater.
        judged("D18").check_all(10, alike, [0, 8, 2, 0]);
        // Models without any difference, and models like the paper's, where the range of GPT-2's counts leaves their ratio open.
        let named = ["phi-1", "phi-1_5", "phi-2", "gpt2", "pythia-410m"];
        let few = named.map(|name| Facts {
            name: name.to_owned(),
            ..small()
        });
        judged("D18").check_null(&few, families(|_| [40.0, 60.0], |_| 0.5));
        let several = |name: &str| match name {
            "phi-1" => [90.0, 150.0],
            name if name.starts_with("phi") => [260.0, 325.0],
            name if name.starts_with("gpt2") => [40.0, 50.0],
            _ => [52.0, 65.0],
        };
        let flat = |name: &str| if name == "phi-1" { 0.3 } else { 0.9 };
        judged("D18").check_effect(&few, false, families(several, flat));
        let models: Vec<Facts> = models()
            .into_iter()
            .filter(|model| model.name != "phi-1")
            .collect();
        let rows = judged("D18").rows(&judged("D18").tables(&models), &models);
        let held = rows
            .iter()
            .filter(|row| row.verdict == Verdict::Holds)
            .count();
        assert_eq!((rows.len(), held), (10, 4), "phi-1 is missing");
    }
}
