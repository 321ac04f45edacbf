//! The claims that are judged from this experiment.

use super::table;
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, lies_between, mean, needs, peak, point, slope};
use crate::core::finding::{Finding, Measured, Threshold, Unjudged};
use crate::core::lens::Lens;
use crate::core::published::published_name;
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
        models: "Phi, GPT-2 and Pythia models",
        judge: d18,
    },
];

/// The slope after half of the depth is below 0 and below the slope before.
pub fn d14(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for lens in Lens::BOTH {
            for (quantity, unit, curve) in [
                (
                    "KL",
                    "nats",
                    table::curve(evidence.tables, &model.name, lens),
                ),
                (
                    "entropy",
                    "bits",
                    lens_entropy::curve(evidence.tables, &model.name, lens),
                ),
            ] {
                let half = |low: f64, high: f64| {
                    let curve = curve.as_ref().map_err(Clone::clone)?;
                    let points: Vec<Point> = curve
                        .iter()
                        .filter(|p| lies_between(p.depth, low, high))
                        .copied()
                        .collect();
                    slope(&points).ok_or_else(|| {
                        Unjudged::NotTested("needs two residual streams in each half".to_owned())
                    })
                };
                let after = half(0.5, 1.0);
                let change = half(0.5, 1.0).and_then(|after| Ok(after - half(0.0, 0.5)?));
                for (part, number) in [
                    ("slope after depth 0.5", after),
                    ("slope after depth 0.5 less slope before it", change),
                ] {
                    let finding = Finding::of(
                        &model.name,
                        format!("{part} of the lens's {quantity}, {unit} over the whole depth"),
                        Threshold::Below(0.0),
                        number.map(Measured::of),
                    );
                    findings.push(finding.through(lens));
                }
            }
        }
    }
    findings
}

/// Over blocks, the fall of the lens's KL correlates with the density of prediction neurons.
pub fn d17(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for lens in [Lens::Standard, Lens::Legacy] {
            let together = || {
                let divergence = table::curve(evidence.tables, &model.name, lens)?;
                let density = neurons::density(evidence.tables, &model.name, neurons::prediction)?;
                let falls = divergence.windows(2).map(|pair| {
                    let block = density.iter().find(|block| block.index == pair[0].index)?;
                    Some((pair[0].value - pair[1].value, block.value))
                });
                let pairs: Vec<(f64, f64)> = falls.flatten().collect();
                let correlation = correlation::pearson(&pairs).ok_or_else(|| {
                    Unjudged::NotTested("the correlation is not defined".to_owned())
                })?;
                Ok(Measured::of(correlation).noting(format!("{} blocks", pairs.len())))
            };
            let finding = Finding::of(
                &model.name,
                "correlation over blocks of the fall of the lens's KL and the density of prediction neurons",
                Threshold::Above(0.0),
                together(),
            );
            findings.push(finding.through(lens));
        }
    }
    findings
}

/// Phi-1 against Phi-1.5 and Phi-2, and the best Phi model against the means of GPT-2 and of Pythia.
pub fn d18(evidence: &Evidence<'_>) -> Vec<Finding> {
    type Percent = fn(&neurons::Record) -> f64;
    let named = |published: &str| {
        let mut models = evidence.models.iter();
        let found = models.find(|model| published_name(&model.name) == Some(published));
        found.ok_or_else(|| Unjudged::NotTested(format!("needs {published}")))
    };
    let highest = |model: &str, percent: Percent| -> Result<f64, Unjudged> {
        let density = neurons::density(evidence.tables, model, percent)?;
        Ok(peak(&density).map_or(0.0, |peak| peak.value))
    };
    let steepness = |model: &str, lens: Lens| -> Result<f64, Unjudged> {
        let curve = table::curve(evidence.tables, model, lens)?;
        let half: Vec<Point> = curve.into_iter().filter(|p| p.depth >= 0.5).collect();
        let slope = slope(&half).ok_or_else(|| needs("lens-kl"))?;
        Ok(slope.abs())
    };
    let ratio = |a: f64, b: f64| Measured::of(a / b).noting(format!("{a:.4} over {b:.4}"));
    let mut findings = Vec::new();
    for other in ["phi-1_5", "phi-2"] {
        let densities = || {
            let (small, other) = (named("phi-1")?, named(other)?);
            Ok(ratio(
                highest(&small.name, neurons::prediction)?,
                highest(&other.name, neurons::prediction)?,
            ))
        };
        findings.push(Finding::of(
            "*",
            format!("highest density of prediction neurons of phi-1 over that of {other}"),
            Threshold::Below(1.0),
            densities(),
        ));
        for lens in [Lens::Standard, Lens::Legacy] {
            let slopes = || {
                let (small, other) = (named("phi-1")?, named(other)?);
                Ok(ratio(
                    steepness(&small.name, lens)?,
                    steepness(&other.name, lens)?,
                ))
            };
            let part = format!(
                "slope of KL after depth 0.5 of phi-1 over that of {other}, signs left out"
            );
            let finding = Finding::of("*", part, Threshold::Below(1.0), slopes());
            findings.push(finding.through(lens));
        }
    }
    let kinds: [(&str, Percent); 2] = [
        ("prediction", neurons::prediction),
        ("suppression", neurons::suppression),
    ];
    for (family, name, threshold) in [
        ("gpt2", "GPT-2", Threshold::Between(5.0, 8.0)),
        ("gpt_neox", "Pythia", Threshold::Between(3.0, 7.0)),
    ] {
        for (kind, percent) in kinds {
            let peaks = |family: &str| -> Result<Vec<Point>, Unjudged> {
                let own = evidence.models.iter().filter(|m| m.family == family);
                own.map(|model| Ok(point(0, 0.0, highest(&model.name, percent)?, None)))
                    .collect()
            };
            let several = || {
                let missing = || {
                    Unjudged::NotTested(format!(
                        "needs Phi and {name} models (families phi and {family})"
                    ))
                };
                let best = peak(&peaks("phi")?).ok_or_else(missing)?;
                let mean = mean(&peaks(family)?).ok_or_else(missing)?;
                Ok(ratio(best.value, mean.value))
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
    use crate::core::models::Facts;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, models};
    use crate::lens_kl::Record;
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

    #[test]
    fn d14_lenses_fall_from_the_middle() {
        let steady = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                // A straight fall is below 0 and not below itself.
                r.kl_nats = 8.0 - 8.0 * r.relative_depth * r.relative_depth.signum();
                if r.relative_depth < 0.5 {
                    r.kl_nats = 20.0 - 32.0 * r.relative_depth;
                }
            }
        };
        judged("D14").check_all(8 * MODELS, steady, [6 * MODELS, 2 * MODELS, 0]);
    }

    #[test]
    fn d17_divergence_falls_with_prediction_neurons() {
        let opposed = |tables: &mut Tables| {
            for r in tables.of_mut::<neurons::Record>() {
                r.prediction_percent = 3.0 - 3.0 * r.relative_depth;
            }
        };
        judged("D17").check_all(2 * MODELS, opposed, [0, 2 * MODELS, 0]);
    }

    #[test]
    fn d18_phi_has_more_neurons() {
        let alike = |tables: &mut Tables| {
            for r in tables.of_mut::<neurons::Record>() {
                (r.prediction_percent, r.suppression_percent) = (2.0, 2.0);
            }
            for r in tables.of_mut::<Record>() {
                r.kl_nats = 1.0 - r.relative_depth;
            }
        };
        judged("D18").check_all(10, alike, [0, 10, 0]);
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
