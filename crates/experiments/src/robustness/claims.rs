//! The claims that are judged from this experiment.

use super::table::Intervention::{self, Drop, Swap};
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, mean, median, middle, needs, point, trough};
use crate::core::finding::{Finding, Measured, NotTested, Outcome, Threshold};
use crate::core::models::Facts;
use crate::core::permutation;
use crate::core::published::published_name;
use crate::core::sample::{Sampled, statistic};
use layerwise_metrics::rescale;
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
        models: "the paper's GPT-2 and Pythia models",
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
        models: "the paper's GPT-2 and Pythia models",
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

/// The entropy of the mean prediction of a sequence, and by how much it differs from the plain model's.
const MEAN_PREDICTION: [&str; 2] = [
    "every_4th_mean_prediction_entropy_bits",
    "every_4th_mean_prediction_entropy_difference_bits",
];

/// A quantity of the sweep against the block that is changed.
fn sampled(
    evidence: &Evidence<'_>,
    model: &Facts,
    intervention: Intervention,
    quantity: &str,
) -> Result<Sampled, NotTested> {
    let curve = format!("{} {quantity}", intervention.family());
    evidence.by_block(model, "robustness", &curve)
}

/// The median over depths 0.2 to 0.9.
fn usual(curve: &[Point]) -> Result<f64, NotTested> {
    median(&middle(curve)?).ok_or_else(|| needs("robustness"))
}

fn first(curve: &[Point]) -> Result<Point, NotTested> {
    let first = curve.first().filter(|point| point.index == 0);
    first.copied().ok_or_else(|| needs("robustness"))
}

/// The findings of `outcome` for each model and intervention, as one part.
fn each(
    evidence: &Evidence<'_>,
    part: &str,
    threshold: Threshold,
    outcome: impl Fn(&Facts, Intervention) -> Outcome,
) -> Vec<Finding> {
    let models = evidence.models.iter();
    let each = models.flat_map(|model| BOTH.map(|both| (model, both)));
    each.map(|(model, (intervention, name))| {
        let part = format!("{part}, {name}");
        Finding::of(&model.name, part, threshold, outcome(model, intervention))
    })
    .collect()
}

/// Median relative accuracy over depths 0.2 to 0.9 at least 0.72, for swap and drop.
pub fn d1(evidence: &Evidence<'_>) -> Vec<Finding> {
    let part = "median relative accuracy at depths 0.2 to 0.9";
    each(
        evidence,
        part,
        Threshold::AtLeast(0.72),
        |model, intervention| {
            let agreement = sampled(evidence, model, intervention, "top1_agreement")?;
            let inside = middle(&agreement.curve())?;
            let robust = inside.iter().filter(|point| point.value >= 0.72).count();
            let note = format!("{robust} of {} blocks have 0.72", inside.len());
            statistic([&agreement], |[curve]| {
                Ok(Measured::of(usual(curve)?).noting(&note))
            })
        },
    )
}

/// KL at block 0 at least 5 times the median in the middle; relative accuracy lowest at block 0.
pub fn d2(evidence: &Evidence<'_>) -> Vec<Finding> {
    let part = "KL at block 0 over its median at depths 0.2 to 0.9";
    let mut findings = each(
        evidence,
        part,
        Threshold::AtLeast(5.0),
        |model, intervention| {
            let divergence = sampled(evidence, model, intervention, "kl_nats")?;
            statistic([&divergence], |[curve]| {
                Ok(Measured::of(first(curve)?.value / usual(curve)?))
            })
        },
    );
    let part = "relative accuracy at block 0 less the least of the other blocks";
    findings.extend(each(
        evidence,
        part,
        Threshold::AtMost(0.0),
        |model, intervention| {
            let agreement = sampled(evidence, model, intervention, "top1_agreement")?;
            statistic([&agreement], |[curve]| {
                let other = trough(curve.get(1..).unwrap_or_default());
                let other = other.ok_or_else(|| NotTested::because("there is no other block"))?;
                let note = format!("the least of the others is at block {}", other.index);
                Ok(Measured::of(first(curve)?.value - other.value).noting(note))
            })
        },
    ));
    findings
}

/// With block 0 changed, the entropy is above the plain model's, and no token is predicted at more than half of the positions. The
/// entropy of a sequence's mean prediction, which a collapse onto a few tokens lowers, is reported and not judged.
pub fn d3(evidence: &Evidence<'_>) -> Vec<Finding> {
    let at_first = |quantity: &'static str| {
        move |model: &Facts, intervention: Intervention| {
            let curve = sampled(evidence, model, intervention, quantity)?;
            let curve = curve.retaining(|layer, _| layer == 0);
            statistic([&curve], |[curve]| Ok(Measured::of(first(curve)?.value)))
        }
    };
    let part = "change of the output's entropy in bits at block 0";
    let entropy = at_first("entropy_difference_bits");
    let mut findings = each(evidence, part, Threshold::Above(0.0), entropy);
    let part = "share of positions at which the modal token is predicted at block 0";
    let share = at_first("modal_share");
    let share = |model: &Facts, intervention: Intervention| {
        let mut numbers = [String::new(), String::new()];
        for (number, quantity) in numbers.iter_mut().zip(MEAN_PREDICTION) {
            let measured = at_first(quantity)(model, intervention)?;
            *number = match measured.interval() {
                Some([low, high]) => format!("{:.3} [{low:.3}, {high:.3}]", measured.value),
                None => format!("{:.3}", measured.value),
            };
        }
        let [entropy, change] = numbers;
        Ok(share(model, intervention)?.noting(format!(
            "the mean prediction of a sequence, at every fourth position, has {entropy} bits of entropy; less the plain model's, {change}"
        )))
    };
    findings.extend(each(evidence, part, Threshold::AtMost(0.5), share));
    findings
}

/// The paper's GPT-2 models against its Pythia models, with one number for each model.
fn gpt2_less_pythia(
    evidence: &Evidence<'_>,
    number: impl Fn(&Facts) -> Result<f64, NotTested>,
) -> Outcome {
    let family = |name: &str| {
        let own = evidence.models.iter();
        let own = own.filter(|model| {
            published_name(&model.name).is_some_and(|published| published.starts_with(name))
        });
        own.map(&number).collect::<Result<Vec<f64>, _>>()
    };
    let (gpt2, pythia) = (family("gpt2")?, family("pythia")?);
    if gpt2.is_empty() || pythia.is_empty() {
        return Err(NotTested::because(
            "needs the paper's GPT-2 and Pythia models",
        ));
    }
    Ok(permutation::difference(&gpt2, &pythia))
}

/// Relative accuracy after swapping the last pair: GPT-2 above Pythia.
pub fn d4(evidence: &Evidence<'_>) -> Vec<Finding> {
    let last = |model: &Facts| {
        let curve = sampled(evidence, model, Swap, "top1_agreement")?.curve();
        let last = curve.last().ok_or_else(|| needs("robustness"))?;
        Ok(last.value)
    };
    vec![Finding::of(
        "*",
        "relative accuracy after the swap of the last pair, mean of GPT-2 less mean of Pythia",
        Threshold::Above(0.0),
        gpt2_less_pythia(evidence, last),
    )]
}

/// KL after a swap minus KL after a drop, mean over depths 0.2 to 0.9: below 0. The drop is that of the pair's first block, and
/// the milder of the drops of its two blocks.
pub fn d5(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let difference = |of: fn(&Point, &Point) -> f64| {
            let swap = sampled(evidence, model, Swap, "kl_nats")?;
            let drop = sampled(evidence, model, Drop, "kl_nats")?;
            statistic([&swap, &drop], |[swap, drop]| {
                let at = |layer| drop.iter().find(|point| point.index == layer);
                let paired = middle(swap)?;
                let paired = paired.iter().filter_map(|swap| {
                    let value = swap.value - of(at(swap.index)?, at(swap.index + 1)?);
                    Some(point(swap.index, swap.depth, value, None))
                });
                let mean = mean(&paired.collect::<Vec<_>>());
                Ok(Measured::of(mean.ok_or_else(|| needs("robustness"))?))
            })
        };
        for (part, outcome) in [
            (
                "of the drop of its first block",
                difference(|first, _| first.value),
            ),
            (
                "of the milder drop of its two",
                difference(|first, second| first.value.min(second.value)),
            ),
        ] {
            findings.push(Finding::of(
                &model.name,
                format!("KL of the swap less KL {part} in nats, mean over depths 0.2 to 0.9"),
                Threshold::Below(0.0),
                outcome,
            ));
        }
    }
    findings
}

/// Mean KL at comparable depth: GPT-2 below Pythia.
pub fn d6(evidence: &Evidence<'_>) -> Vec<Finding> {
    let each = BOTH.iter().map(|&(intervention, name)| {
        let average = |model: &Facts| {
            let curve = sampled(evidence, model, intervention, "kl_nats")?.curve();
            // On the common grid, so that models of different depth weight each relative depth equally.
            let points: Vec<(f64, f64)> = curve.iter().map(|p| (p.depth, p.value)).collect();
            let values =
                rescale::interpolate(&points).map_err(|error| NotTested(error.to_string()))?;
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
            gpt2_less_pythia(evidence, average),
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
                let curve = sampled(evidence, model, intervention, "top1_agreement")?.curve();
                pairs.push((model.layers as f64, usual(&curve)?));
            }
            let lengths: BTreeSet<usize> = evidence.models.iter().map(|m| m.layers).collect();
            if lengths.len() < 3 {
                let reason = "needs models of at least three different numbers of blocks";
                return Err(NotTested::because(reason));
            }
            permutation::correlation(&pairs)
                .ok_or_else(|| NotTested::because("the rank correlation is not defined"))
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
    use crate::core::testing::{Judged, MODELS, Simulated, change, models, small};
    use crate::robustness::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    /// The sweep of a model in which all blocks have one effect, or each block has values of its own.
    fn sweep(
        agreement: impl Fn(Intervention, usize) -> f64,
        divergence: impl Fn(Intervention, usize) -> f64,
        entropy: f64,
        modal: f64,
    ) -> impl Fn(&mut Simulated, &Facts, &mut Tables) {
        move |simulated, facts, tables| {
            for (intervention, last) in [(Drop, 1), (Swap, 2)] {
                let of = |value: &dyn Fn(Intervention, usize) -> f64| -> Vec<(usize, f64)> {
                    let layers = 0..=facts.layers - last;
                    layers
                        .map(|layer| (layer, value(intervention, layer)))
                        .collect()
                };
                let family = intervention.family();
                for (quantity, values, noise) in [
                    ("top1_agreement", of(&agreement), [0.05, 0.05]),
                    ("kl_nats", of(&divergence), [0.1, 0.1]),
                    ("entropy_difference_bits", of(&|_, _| entropy), [0.3, 0.3]),
                    ("modal_share", vec![(0, modal)], [0.1, 0.1]),
                ] {
                    let curve = format!("{family} {quantity}");
                    simulated.curve(tables, facts, &curve, &values, noise);
                }
            }
        }
    }

    #[test]
    fn d1_middle_layers_are_robust() {
        let fragile = |tables: &mut Tables| {
            change(tables, |model, curve, _| {
                (curve == "drop(l) top1_agreement" && model.starts_with("phi")).then_some(0.71)
            });
        };
        judged("D1").check_all(2 * MODELS, fragile, [2 * MODELS - 3, 3, 0, 0]);
        let few = |tables: &mut Tables| {
            for units in tables.of_mut::<crate::core::sample::Units>() {
                units.sums.0.truncate(4);
            }
        };
        judged("D1").check(few, [0, 0, 2 * MODELS, 0]);
        judged("D1").check_null(&[small()], sweep(|_, _| 0.72, |_, _| 1.0, 0.0, 0.5));
        judged("D1").check_effect(&[small()], true, sweep(|_, _| 0.8, |_, _| 1.0, 0.0, 0.5));
    }

    #[test]
    fn d2_the_first_layer_is_catastrophic() {
        let mild = |tables: &mut Tables| {
            change(tables, |model, curve, layer| {
                let is_first = layer == 0 && model == "gpt2";
                // Five times the median is 1 and 0.5, and the other blocks agree less.
                match curve {
                    "drop(l) kl_nats" => is_first.then_some(0.8),
                    "swap(l,l+1) kl_nats" => is_first.then_some(0.4),
                    _ => (is_first && curve.ends_with("top1_agreement")).then_some(0.9),
                }
            });
        };
        judged("D2").check_all(4 * MODELS, mild, [4 * MODELS - 4, 4, 0, 0]);
        judged("D2").check_null(&[small()], sweep(|_, _| 0.8, |_, _| 1.0, 0.0, 0.5));
        let first = |_, layer| if layer == 0 { 8.0 } else { 1.0 };
        let worst = |_, layer| if layer == 0 { 0.2 } else { 0.8 };
        judged("D2").check_effect(&[small()], true, sweep(worst, first, 0.0, 0.5));
    }

    #[test]
    fn d3_failure_is_no_collapse() {
        let collapse = |tables: &mut Tables| {
            change(tables, |model, curve, layer| match curve.split_once(' ') {
                Some((_, "modal_share")) => Some(if model == "gpt2" { 0.51 } else { 0.49 }),
                Some((_, "entropy_difference_bits")) if layer == 0 => {
                    Some(if model == "gpt2" { -1.0 } else { 1.0 })
                }
                _ => None,
            });
        };
        judged("D3").check_all(4 * MODELS, collapse, [4 * MODELS - 4, 4, 0, 0]);
        let with_means = |entropy, modal| {
            let sweep = sweep(|_, _| 0.8, |_, _| 1.0, entropy, modal);
            move |simulated: &mut Simulated, facts: &Facts, tables: &mut Tables| {
                sweep(simulated, facts, tables);
                for (intervention, _) in BOTH {
                    for quantity in MEAN_PREDICTION {
                        let curve = format!("{} {quantity}", intervention.family());
                        simulated.curve(tables, facts, &curve, &[(0, 9.0)], [0.3, 0.3]);
                    }
                }
            }
        };
        judged("D3").check_null(&[small()], with_means(0.0, 0.5));
        judged("D3").check_effect(&[small()], true, with_means(0.5, 0.3));
    }

    #[test]
    fn d3_tells_how_spread_out_the_mean_prediction_is() {
        let models = [small()];
        let mut tables = judged("D3").tables(&models);
        change(&mut tables, |_, curve, _| match curve {
            "swap(l,l+1) every_4th_mean_prediction_entropy_bits" => Some(7.25),
            "swap(l,l+1) every_4th_mean_prediction_entropy_difference_bits" => Some(-1.5),
            _ => None,
        });
        let rows = judged("D3").rows(&tables, &models);
        let told: Vec<&str> = rows.iter().map(|row| row.reason.as_str()).collect();
        assert!(told[0].is_empty() && told[1].is_empty(), "{told:?}");
        for (told, numbers) in [
            (told[2], ["10.000 [", "1.500 ["]),
            (told[3], ["7.250 [", "-1.500 ["]),
        ] {
            assert!(numbers.iter().all(|number| told.contains(number)), "{told}");
        }
    }

    #[test]
    fn d4_the_last_swap_separates_the_families() {
        let reversed = |tables: &mut Tables| {
            change(tables, |model, curve, _| {
                let is_agreement = curve.ends_with("top1_agreement");
                is_agreement.then_some(if model.starts_with("gpt2") { 0.1 } else { 0.8 })
            });
        };
        // Two models a side have six arrangements, and four models decide nothing.
        judged("D4").check(|_| {}, [0, 0, 1, 0]);
        judged("D4").check(reversed, [0, 0, 1, 0]);
        let families = [
            ["gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"],
            ["pythia-410m", "pythia-1.4b", "pythia-2.8b", "pythia-6.9b"],
        ];
        let many: Vec<Facts> = families
            .iter()
            .zip(["gpt2", "gpt_neox"])
            .flat_map(|(names, family)| {
                names.map(|name| Facts {
                    name: name.to_owned(),
                    family: family.to_owned(),
                    ..small()
                })
            })
            .collect();
        for claim in ["D4", "D6"] {
            let judged = judged(claim);
            let mut tables = judged.tables(&many);
            let rows = judged.rows(&tables, &many);
            assert!(
                rows.iter().all(|row| row.verdict == Verdict::Holds),
                "{rows:?}"
            );
            change(&mut tables, |model, curve, _| {
                let gpt2 = f64::from(u8::from(model.starts_with("gpt2")));
                match curve.ends_with("top1_agreement") {
                    true => Some(0.8 - 0.5 * gpt2),
                    false => Some(1.0 + gpt2),
                }
            });
            let rows = judged.rows(&tables, &many);
            assert!(
                rows.iter().all(|row| row.verdict == Verdict::Fails),
                "{rows:?}"
            );
            judged.check_null(&many, |simulated, facts, tables| {
                // Models differ, whatever their family.
                let (a, b) = (0.05 * simulated.gaussian(), 0.3 * simulated.gaussian());
                sweep(|_, _| 0.7 + a, |_, _| 2.0 + b, 0.0, 0.5)(simulated, facts, tables);
            });
            judged.check_effect(&many, true, |simulated, facts, tables| {
                let gpt2 = f64::from(u8::from(facts.name.starts_with("gpt2")));
                let a = 0.05 * simulated.gaussian() + 0.2 * gpt2;
                let b = 0.3 * simulated.gaussian() - gpt2;
                sweep(|_, _| 0.6 + a, |_, _| 2.5 + b, 0.0, 0.5)(simulated, facts, tables);
            });
        }
        let own = [Facts {
            name: "gpt2-8x160".to_owned(),
            ..small()
        }];
        let rows = judged("D4").rows(&judged("D4").tables(&own), &own);
        assert_eq!(
            rows[0].verdict,
            Verdict::NotTested,
            "models of one's own are no GPT-2"
        );
    }

    #[test]
    fn d5_swaps_are_milder() {
        let harsher = |tables: &mut Tables| {
            change(tables, |model, curve, _| {
                (curve == "swap(l,l+1) kl_nats" && model == "phi-2").then_some(9.0)
            });
        };
        judged("D5").check_all(2 * MODELS, harsher, [2 * MODELS - 2, 2, 0, 0]);
        judged("D5").check_null(&[small()], sweep(|_, _| 0.8, |_, _| 1.0, 0.0, 0.5));
        let milder = |intervention, _| if intervention == Swap { 0.8 } else { 1.0 };
        judged("D5").check_effect(&[small()], true, sweep(|_, _| 0.8, milder, 0.0, 0.5));
    }

    #[test]
    fn d6_needs_both_families() {
        judged("D6").check(|_| {}, [0, 0, 2, 0]);
        let rows = judged("D6").rows(&Tables::default(), &models()[..2]);
        assert!(rows.iter().all(|row| row.verdict == Verdict::NotTested));
    }

    #[test]
    fn d7_deeper_models_are_more_robust() {
        let reversed = |tables: &mut Tables| {
            let layers: std::collections::BTreeMap<String, usize> =
                models().into_iter().map(|m| (m.name, m.layers)).collect();
            change(tables, |model, curve, _| {
                let is_agreement = curve.ends_with("top1_agreement");
                is_agreement.then(|| 1.0 / layers[model] as f64)
            });
        };
        judged("D7").check_all(2, reversed, [0, 2, 0, 0]);
        let models = &models()[..2];
        let rows = judged("D7").rows(&judged("D7").tables(models), models);
        assert!(rows.iter().all(|row| row.verdict == Verdict::NotTested));
        let lengths: Vec<Facts> = (0..6)
            .map(|at| Facts {
                name: format!("model {at}"),
                layers: 8 + 4 * at,
                ..small()
            })
            .collect();
        judged("D7").check_null(&lengths, |simulated, facts, tables| {
            let own = 0.05 * simulated.gaussian();
            sweep(|_, _| 0.7 + own, |_, _| 1.0, 0.0, 0.5)(simulated, facts, tables);
        });
        judged("D7").check_effect(&lengths, true, |simulated, facts, tables| {
            let own = 0.02 * simulated.gaussian() + 0.01 * facts.layers as f64;
            sweep(|_, _| 0.5 + own, |_, _| 1.0, 0.0, 0.5)(simulated, facts, tables);
        });
    }
}
