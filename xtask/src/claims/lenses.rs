//! Claims about what can be read from the residual stream: D12 to D14, D21 and D27.

use super::evidence::{self, Evidence, Point, curve, needs, point, slope};
use super::outcome::{Finding, Measured, Outcome, Threshold, Unjudged, name};
use crate::figures::lens_entropy::Lens;
use crate::figures::wic::{Method, Record};
use std::collections::BTreeSet;

const LENSES: [Lens; 2] = [Lens::Standard, Lens::Legacy];

/// The accuracy of the probe on each residual stream, for each set of pairs; one without name where there is none.
fn probes(evidence: &Evidence<'_>, model: &str) -> Vec<(String, Result<Vec<Point>, Unjudged>)> {
    let own = |r: &&Record| r.model == model && r.method == Method::Probe;
    let records = || evidence.results.wic.iter().filter(own);
    let mut sets: BTreeSet<&str> = records().map(|r| r.pairs_of.as_str()).collect();
    if sets.is_empty() {
        sets.insert("wic");
    }
    let accuracy = |set: &str| {
        let own = |r: &Record| r.model == model && r.method == Method::Probe && r.pairs_of == set;
        curve(&evidence.results.wic, "wic", own, |r| {
            point(r.state, r.relative_depth, r.accuracy, r.accuracy_se)
        })
    };
    sets.into_iter()
        .map(|set| (set.to_owned(), accuracy(set)))
        .collect()
}

/// The probe is best at a depth of 0.3 to 0.7, and worse at both ends.
pub(super) fn d12(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for (set, accuracy) in probes(evidence, &model.name) {
            let ends = |accuracy: Vec<Point>| {
                let best = evidence::peak(&accuracy).ok_or_else(|| needs("wic"))?;
                let ends = [accuracy[0], accuracy[accuracy.len() - 1]];
                let end = evidence::peak(&ends).ok_or_else(|| needs("wic"))?;
                Ok(Measured::of(best.value - end.value)
                    .with_error(evidence::together(best.error, end.error))
                    .noting("standard error as of independent accuracies"))
            };
            findings.push(Finding::of(
                &model.name,
                format!("depth of the best probe, {set}"),
                Threshold::Between(0.3, 0.7),
                accuracy
                    .clone()
                    .and_then(|accuracy| super::attention::depth_of_peak(&accuracy, "wic")),
            ));
            findings.push(Finding::of(
                &model.name,
                format!("accuracy of the best probe less that at the better end, {set}"),
                Threshold::Above(0.0),
                accuracy.and_then(ends),
            ));
        }
    }
    findings
}

/// Where the probe is best, the lens has more than half of the entropy that it begins with.
pub(super) fn d13(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for (set, accuracy) in probes(evidence, &model.name) {
            for lens in LENSES {
                let share = |accuracy: &[Point]| {
                    let best = evidence::peak(accuracy).ok_or_else(|| needs("wic"))?;
                    let entropy = evidence.lens_entropy(&model.name, lens)?;
                    let at = |index| entropy.iter().find(|point| point.index == index);
                    let (Some(early), Some(there)) = (at(0), at(best.index)) else {
                        return Err(needs("lens-entropy"));
                    };
                    Ok(Measured::of(there.value / early.value)
                        .with_error(there.error.map(|error| error / early.value))
                        .noting(format!("residual stream {}; standard error with the entropy at the embedding taken as given", best.index)))
                };
                let share = accuracy.as_deref().map_err(Clone::clone).and_then(share);
                let part = format!(
                    "share of the lens's first entropy that is left where the probe is best, {set}"
                );
                let finding = Finding::of(&model.name, part, Threshold::Above(0.5), share);
                findings.push(finding.through(lens));
            }
        }
    }
    findings
}

/// The slope after half of the depth is below 0 and below the slope before.
pub(super) fn d14(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for lens in LENSES {
            for (quantity, unit, curve) in [
                ("KL", "nats", evidence.lens_kl(&model.name, lens)),
                ("entropy", "bits", evidence.lens_entropy(&model.name, lens)),
            ] {
                let half = |low: f64, high: f64| {
                    let curve = curve.as_ref().map_err(Clone::clone)?;
                    let points: Vec<Point> = curve
                        .iter()
                        .filter(|p| evidence::lies_between(p.depth, low, high))
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

/// The slope of the lens's entropy over the outputs of the last three blocks: positive in some models.
pub(super) fn d21(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut greatest: [Option<(f64, &str)>; 2] = [None, None];
    for model in evidence.models {
        for (lens, greatest) in LENSES.into_iter().zip(&mut greatest) {
            let last = evidence.lens_entropy(&model.name, lens).and_then(|curve| {
                let last = curve
                    .len()
                    .checked_sub(3)
                    .and_then(|from| slope(&curve[from..]));
                last.ok_or_else(|| Unjudged::NotTested("needs three residual streams".to_owned()))
            });
            if let Ok(slope) = last
                && greatest.is_none_or(|(before, _)| slope > before)
            {
                *greatest = Some((slope, &model.name));
            }
            let note = "models differ; the line on all models judges whether some rise";
            let finding = Finding::of(
                &model.name,
                "slope of the lens's entropy over the outputs of the last three blocks, bits over the whole depth",
                Threshold::Above(0.0),
                last.map(|slope| Measured::of(slope).noting(note)),
            );
            findings.push(finding.through(lens));
        }
    }
    for (lens, greatest) in LENSES.into_iter().zip(greatest) {
        let outcome = greatest
            .map(|(slope, model)| Measured::of(slope).noting(format!("of {model}")))
            .ok_or_else(|| needs("lens-entropy"));
        let part = "greatest of the models' slopes over the outputs of the last three blocks";
        let finding = Finding::of("*", part, Threshold::Above(0.0), outcome);
        findings.push(finding.through(lens));
    }
    findings
}

/// Both lenses side by side on each line of D13, D14 and D21 on one model: how many verdicts differ.
pub(super) fn d27(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for (claim, judged) in [
            ("D13", d13(evidence)),
            ("D14", d14(evidence)),
            ("D21", d21(evidence)),
        ] {
            let own = |lens: Lens| {
                let judged = judged.iter();
                judged.filter(move |f| f.model == model.name && f.lens == Some(lens))
            };
            // Lenses take turns over the same parts, so that both lists are in one order.
            let pairs: Vec<(&Finding, &Finding)> =
                own(Lens::Standard).zip(own(Lens::Legacy)).collect();
            findings.push(Finding::of(
                &model.name,
                format!("verdicts of {claim} that differ between the standard and the legacy lens"),
                Threshold::Above(0.0),
                side_by_side(&pairs),
            ));
        }
    }
    findings
}

fn side_by_side(pairs: &[(&Finding, &Finding)]) -> Outcome {
    let mut differing = 0;
    let mut notes = Vec::new();
    for (standard, legacy) in pairs {
        let [one, other] = [standard, legacy].map(|finding| match &finding.outcome {
            Ok(measured) => Ok(format!(
                "{} {:.4} {}",
                finding.lens.map_or("", name),
                measured.value,
                finding.verdict().name()
            )),
            Err(why) => Err(why.clone()),
        });
        notes.push(format!("{}: {}, {}", standard.part, one?, other?));
        differing += usize::from(standard.verdict() != legacy.verdict());
    }
    Ok(Measured::of(differing as f64).noting(notes.join("; ")))
}
