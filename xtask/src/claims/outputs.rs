//! Claims about what blocks write and about repeating them, and about the pattern elsewhere: D22 to D25.

use super::evidence::{self, Evidence, Point, lies_between, needs, point};
use super::outcome::{Finding, Measured, Outcome, Threshold, Unjudged, Verdict};
use super::{attention, lenses, neurons};
use crate::figures::benchmarks::Intervention;
use crate::figures::lens_entropy::Lens;
use crate::figures::models::Facts;
use crate::figures::shift::{Measure, Record};
use crate::figures::{attention_locality, lens_entropy, lens_kl, mlp_norm};
use crate::results::Results;

/// The MLP's output norm is greatest at a depth of 0.85 or more.
pub(super) fn d22(evidence: &Evidence<'_>) -> Vec<Finding> {
    let each = evidence.models.iter().map(|model| {
        let norm = evidence.mlp_norm(&model.name);
        Finding::of(
            &model.name,
            "depth of the block whose MLP writes most",
            Threshold::AtLeast(0.85),
            norm.and_then(|norm| attention::depth_of_peak(&norm, "mlp-norm")),
        )
    });
    each.collect()
}

/// Mean change of entropy over the runs in each half: below 0 in the second, not below 0 in the first.
pub(super) fn d23(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for model in evidence.models {
        for blocks in [3, 5] {
            for (half, threshold) in [
                ("second", Threshold::Below(0.0)),
                ("first", Threshold::AtLeast(0.0)),
            ] {
                let own = |r: &&crate::figures::repeats::Record| {
                    r.model == model.name
                        && r.blocks == blocks
                        && (r.relative_depth > 0.5) == (half == "second")
                };
                let points: Vec<Point> = evidence
                    .results
                    .repeats
                    .iter()
                    .filter(own)
                    .map(|r| {
                        let error = r.entropy_difference_bits_se;
                        point(r.start, r.relative_depth, r.entropy_difference_bits, error)
                    })
                    .collect();
                let change = evidence::mean(&points).ok_or_else(|| {
                    if evidence
                        .results
                        .repeats
                        .iter()
                        .any(|r| r.model == model.name)
                    {
                        let reason = format!("no run of {blocks} blocks has its middle there");
                        return Unjudged::NotTested(reason);
                    }
                    needs("repeats")
                });
                let note = "standard error is an upper bound";
                findings.push(Finding::of(
                    &model.name,
                    format!(
                        "mean change of entropy in bits, runs of {blocks} blocks in the {half} half"
                    ),
                    threshold,
                    change.map(|change| change.noting(note)),
                ));
            }
        }
    }
    findings
}

/// On HellaSwag, the greatest gain of a repeat at depths 0.8 to 0.9 is above one standard error; Qwen models.
pub(super) fn d24(evidence: &Evidence<'_>) -> Vec<Finding> {
    let qwen: Vec<&Facts> = evidence
        .models
        .iter()
        .filter(|m| m.family == "qwen2")
        .collect();
    if qwen.is_empty() {
        let missing =
            Unjudged::NotTested("needs Qwen2.5 models (family qwen2) and HellaSwag".to_owned());
        let part = "greatest gain of accuracy at depths 0.8 to 0.9, hellaswag";
        return vec![Finding::of("*", part, Threshold::Above(1.0), Err(missing))];
    }
    let each = qwen.into_iter().map(|model| {
        let gains = evidence.results.benchmarks.iter().filter(|r| {
            r.model == model.name
                && r.task == "hellaswag"
                && r.intervention == Intervention::RepeatFive
                && r.relative_depth.is_some_and(|depth| lies_between(depth, 0.8, 0.9))
        });
        let gains: Vec<Point> = gains
            .filter_map(|r| {
                // A gain is compared with its own standard error.
                let error = r.difference_se.filter(|error| *error > 0.0)?;
                Some(point(r.layer.unwrap_or(0), 0.0, r.difference / error, None))
            })
            .collect();
        let gain = evidence::peak(&gains)
            .map(|gain| Measured::of(gain.value).noting(format!("repeats from block {}", gain.index)))
            .ok_or_else(|| {
                Unjudged::NotTested("needs the results of benchmarks on HellaSwag with repeats at depths 0.8 to 0.9".to_owned())
            });
        Finding::of(
            &model.name,
            "greatest gain of accuracy at depths 0.8 to 0.9 in standard errors of the paired difference, hellaswag",
            Threshold::Above(1.0),
            gain,
        )
    });
    each.collect()
}

/// Models with more parameters than this are of the size that the claim is about.
const LARGE: u64 = 10_000_000_000;

/// D10, D14, D15, D16 and D22 hold above 10B parameters; D10, D14 and D22 hold on text of another kind.
pub(super) fn d25(evidence: &Evidence<'_>) -> Vec<Finding> {
    let large: Vec<Facts> = evidence
        .models
        .iter()
        .filter(|model| model.parameters > LARGE)
        .cloned()
        .collect();
    let mut findings: Vec<Finding> = large
        .iter()
        .map(|model| {
            let alone = Evidence {
                models: std::slice::from_ref(model),
                ..*evidence
            };
            let parts = [
                ("D10", attention::d10(&alone)),
                ("D14", lenses::d14(&alone)),
                ("D15", neurons::d15(&alone)),
                ("D16", neurons::d16(&alone)),
                ("D22", d22(&alone)),
            ];
            Finding::of(
                &model.name,
                "lines of D10, D14, D15, D16 and D22 that fail, above 10B parameters",
                Threshold::AtMost(0.0),
                failing(&parts),
            )
        })
        .collect();
    if large.is_empty() {
        let missing = Unjudged::NotTested("needs a model above 10B parameters".to_owned());
        let part = "the pattern above 10B parameters";
        findings.push(Finding::of("*", part, Threshold::AtMost(0.0), Err(missing)));
    }
    let shifted = on_shifted_text(&evidence.results.shift);
    let elsewhere = Evidence {
        results: &shifted,
        models: evidence.models,
    };
    findings.extend(evidence.models.iter().map(|model| {
        let alone = Evidence {
            models: std::slice::from_ref(model),
            ..elsewhere
        };
        let parts = [
            ("D10", attention::d10(&alone)),
            ("D14", lenses::d14(&alone)),
            ("D22", d22(&alone)),
        ];
        Finding::of(
            &model.name,
            "lines of D10, D14 and D22 that fail, on text of another kind (those of D15 and D16 depend on no text)",
            Threshold::AtMost(0.0),
            failing(&parts),
        )
    }));
    findings
}

/// How many lines on one model fail, those of the legacy lens left out, which the NeurIPS version has not.
fn failing(parts: &[(&str, Vec<Finding>)]) -> Outcome {
    let mut failing = Vec::new();
    for (claim, findings) in parts {
        let counted = findings
            .iter()
            .filter(|finding| finding.model != "*" && finding.lens != Some(Lens::Legacy));
        for finding in counted {
            match (&finding.outcome, finding.verdict()) {
                (Err(Unjudged::NotTested(reason)), _) => {
                    return Err(Unjudged::NotTested(format!("{claim}: {reason}")));
                }
                (_, Verdict::Fails) => failing.push(format!("{claim}: {}", finding.part)),
                _ => {}
            }
        }
    }
    Ok(Measured::of(failing.len() as f64).noting(failing.join("; ")))
}

/// The measures on the second text, as the results of the figures that they repeat.
fn on_shifted_text(records: &[Record]) -> Results {
    let mut results = Results::default();
    for r in records.iter().filter(|r| r.shifted).cloned() {
        match r.measure {
            Measure::LensKl => results.lens_kl.push(lens_kl::Record {
                model: r.model,
                family: r.family,
                lens: Lens::Standard,
                state: r.index,
                layers: r.layers,
                relative_depth: r.relative_depth,
                kl_nats: r.value,
                kl_nats_se: r.value_se,
                reverse_kl_nats: f64::NAN,
                reverse_kl_nats_se: None,
                top1_agreement: f64::NAN,
                top1_agreement_se: None,
                sequences: r.sequences,
                positions: r.positions,
            }),
            Measure::LensEntropy => results.lens_entropy.push(lens_entropy::Record {
                model: r.model,
                family: r.family,
                lens: Lens::Standard,
                state: r.index,
                layers: r.layers,
                relative_depth: r.relative_depth,
                entropy_bits: r.value,
                entropy_bits_se: r.value_se,
                entropy_bits_sd: None,
                sequences: r.sequences,
                positions: r.positions,
            }),
            Measure::MlpOutNorm => results.mlp_norm.push(mlp_norm::Record {
                model: r.model,
                family: r.family,
                layer: r.index,
                layers: r.layers,
                relative_depth: r.relative_depth,
                mlp_out_norm: r.value,
                mlp_out_norm_se: r.value_se,
                sequences: r.sequences,
                positions: r.positions,
            }),
            Measure::PreviousFive => {
                results.attention_locality.push(attention_locality::Record {
                    model: r.model,
                    family: r.family,
                    layer: r.index,
                    layers: r.layers,
                    relative_depth: r.relative_depth,
                    measure: attention_locality::Measure::PreviousFive,
                    tokens: 5,
                    attention: r.value,
                    attention_se: r.value_se,
                    sequences: r.sequences,
                    positions: r.positions,
                });
            }
        }
    }
    results
}
