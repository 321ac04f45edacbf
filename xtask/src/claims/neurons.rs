//! Claims about prediction and suppression neurons: D15 to D20.

use super::evidence::{self, Evidence, Point, needs, point, slope};
use super::outcome::{Finding, Measured, Outcome, Threshold, Unjudged};
use crate::figures::lens_entropy::Lens;
use crate::figures::neurons::Record;
use crate::figures::suffix_neurons::Kind;
use crate::figures::suffix_probe;
use crate::tables::published_name;
use layerwise::metrics::correlation;

fn prediction(record: &Record) -> f64 {
    record.prediction_percent
}

fn suppression(record: &Record) -> f64 {
    record.suppression_percent
}

/// The block with the highest density; the claims have no meaning where no block has such a neuron.
fn densest(curve: &[Point], kind: &str) -> Result<Point, Unjudged> {
    let peak = evidence::peak(curve).filter(|peak| peak.value > 0.0);
    peak.ok_or_else(|| Unjudged::Absent(format!("there are no {kind} neurons")))
}

/// Prediction neurons are densest at a depth of 0.75 to 0.95, and less dense in the last block.
pub(super) fn d15(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let density = evidence.density(&model.name, prediction);
        let peak = density
            .clone()
            .and_then(|density| densest(&density, "prediction"));
        let fall = density.and_then(|density| {
            let peak = densest(&density, "prediction")?;
            Ok(Measured::of(density[density.len() - 1].value - peak.value))
        });
        findings.push(Finding::of(
            &model.name,
            "depth of the block with the most prediction neurons",
            Threshold::Between(0.75, 0.95),
            peak.map(|peak| Measured::of(peak.depth).noting(format!("block {}", peak.index))),
        ));
        findings.push(Finding::of(
            &model.name,
            "prediction neurons of the last block less those of the densest, percent",
            Threshold::Below(0.0),
            fall,
        ));
    }
    findings
}

/// Suppression neurons are densest in one of the last two blocks, and denser than prediction neurons in the last.
pub(super) fn d16(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let density = evidence.density(&model.name, suppression);
        let from_end = density.clone().and_then(|density| {
            let peak = densest(&density, "suppression")?;
            let last = density[density.len() - 1].index;
            Ok(Measured::of((last - peak.index) as f64).noting(format!("block {}", peak.index)))
        });
        let overtaken = density.and_then(|suppressing| {
            let predicting = evidence.density(&model.name, prediction)?;
            let last = |curve: &[Point]| curve[curve.len() - 1].value;
            Ok(Measured::of(last(&suppressing) - last(&predicting)))
        });
        findings.push(Finding::of(
            &model.name,
            "blocks after the one with the most suppression neurons",
            Threshold::AtMost(1.0),
            from_end,
        ));
        findings.push(Finding::of(
            &model.name,
            "suppression less prediction neurons of the last block, percent",
            Threshold::Above(0.0),
            overtaken,
        ));
    }
    findings
}

/// Over blocks, the fall of the lens's KL correlates with the density of prediction neurons.
pub(super) fn d17(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for lens in [Lens::Standard, Lens::Legacy] {
            let together = || {
                let divergence = evidence.lens_kl(&model.name, lens)?;
                let density = evidence.density(&model.name, prediction)?;
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
pub(super) fn d18(evidence: &Evidence<'_>) -> Vec<Finding> {
    let named = |published: &str| {
        let mut models = evidence.models.iter();
        let found = models.find(|model| published_name(&model.name) == Some(published));
        found.ok_or_else(|| Unjudged::NotTested(format!("needs {published}")))
    };
    let peak = |model: &str, percent: fn(&Record) -> f64| -> Result<f64, Unjudged> {
        let density = evidence.density(model, percent)?;
        Ok(evidence::peak(&density).map_or(0.0, |peak| peak.value))
    };
    let steepness = |model: &str, lens: Lens| -> Result<f64, Unjudged> {
        let curve = evidence.lens_kl(model, lens)?;
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
                peak(&small.name, prediction)?,
                peak(&other.name, prediction)?,
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
    type Percent = fn(&Record) -> f64;
    let kinds: [(&str, Percent); 2] = [("prediction", prediction), ("suppression", suppression)];
    for (family, name, threshold) in [
        ("gpt2", "GPT-2", Threshold::Between(5.0, 8.0)),
        ("gpt_neox", "Pythia", Threshold::Between(3.0, 7.0)),
    ] {
        for (kind, percent) in kinds {
            let peaks = |family: &str| -> Result<Vec<Point>, Unjudged> {
                let own = evidence.models.iter().filter(|m| m.family == family);
                own.map(|model| Ok(point(0, 0.0, peak(&model.name, percent)?, None)))
                    .collect()
            };
            let several = || {
                let missing = || {
                    Unjudged::NotTested(format!(
                        "needs Phi and {name} models (families phi and {family})"
                    ))
                };
                let best = evidence::peak(&peaks("phi")?).ok_or_else(missing)?;
                let mean = evidence::mean(&peaks(family)?).ok_or_else(missing)?;
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

/// The probes of a model by rank.
fn probes<'a>(
    evidence: &Evidence<'a>,
    model: &str,
) -> Result<Vec<&'a suffix_probe::Record>, Unjudged> {
    let own = |r: &&suffix_probe::Record| r.model == model;
    let mut probes: Vec<_> = evidence.results.suffix_probe.iter().filter(own).collect();
    probes.sort_by_key(|probe| probe.rank);
    if probes.is_empty() {
        return Err(needs("suffix-probe"));
    }
    Ok(probes)
}

/// The best of the probes on single neurons that `counts`.
fn best_single(probes: &[&suffix_probe::Record], counts: impl Fn(Kind) -> bool) -> Option<Point> {
    let singles: Vec<Point> = probes
        .iter()
        .filter(|probe| counts(probe.kind))
        .map(|probe| {
            point(
                probe.rank,
                0.0,
                probe.single_accuracy,
                probe.single_accuracy_se,
            )
        })
        .collect();
    evidence::peak(&singles)
}

/// One accuracy less another.
fn less(one: Point, other: Point) -> Measured {
    Measured::of(one.value - other.value)
        .with_error(evidence::together(one.error, other.error))
        .noting(format!(
            "{:.4} against {:.4}; standard error as of independent accuracies",
            one.value, other.value
        ))
}

fn model_line(probes: &[&suffix_probe::Record]) -> Point {
    point(
        0,
        0.0,
        probes[0].model_accuracy,
        probes[0].model_accuracy_se,
    )
}

/// The best single probe is of a suppression neuron, and within two standard errors of the model.
pub(super) fn d19(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let kind = || -> Outcome {
            let probes = probes(evidence, &model.name)?;
            let suppressing = best_single(&probes, |kind| kind == Kind::Suppression)
                .ok_or_else(|| Unjudged::Absent("no suppression neuron is probed".to_owned()))?;
            let other =
                best_single(&probes, |kind| kind != Kind::Suppression).ok_or_else(|| {
                    Unjudged::NotTested("only suppression neurons are probed".to_owned())
                })?;
            Ok(less(suppressing, other))
        };
        let near = || -> Outcome {
            let probes = probes(evidence, &model.name)?;
            let best = best_single(&probes, |_| true).ok_or_else(|| needs("suffix-probe"))?;
            let difference = less(best, model_line(&probes));
            let error = difference.standard_error.filter(|error| *error > 0.0);
            let error = error.ok_or_else(|| {
                Unjudged::NotTested(
                    "needs standard errors: test examples of two documents".to_owned(),
                )
            })?;
            Ok(Measured::of(difference.value.abs() / error).noting(difference.note))
        };
        findings.push(Finding::of(
            &model.name,
            "best single probe on a suppression neuron less the best on another, accuracy",
            Threshold::Above(0.0),
            kind(),
        ));
        findings.push(Finding::of(
            &model.name,
            "distance of the best single probe from the model's accuracy, in standard errors",
            Threshold::AtMost(2.0),
            near(),
        ));
    }
    findings
}

/// The best ensemble beats the best single probe, and the model.
pub(super) fn d20(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        let beats = |other: fn(&[&suffix_probe::Record]) -> Option<Point>| {
            let probes = probes(evidence, &model.name)?;
            let ensembles: Vec<Point> = probes
                .iter()
                .map(|r| point(r.rank, 0.0, r.ensemble_accuracy, r.ensemble_accuracy_se))
                .collect();
            let best = evidence::peak(&ensembles).zip(other(&probes));
            let (best, other) = best.ok_or_else(|| needs("suffix-probe"))?;
            let difference = less(best, other);
            let note = format!("{} neurons; {}", best.index, difference.note);
            Ok(difference.noting(note))
        };
        findings.push(Finding::of(
            &model.name,
            "best ensemble less best single probe, accuracy",
            Threshold::Above(0.0),
            beats(|probes| best_single(probes, |_| true)),
        ));
        findings.push(Finding::of(
            &model.name,
            "best ensemble less the model, accuracy",
            Threshold::Above(0.0),
            beats(|probes| Some(model_line(probes))),
        ));
    }
    findings
}
