//! The claims that are judged from this experiment.

use super::table::{Measure, Record};
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::finding::{Finding, Measured, Outcome, Threshold, Unjudged, Verdict};
use crate::core::lens::Lens;
use crate::core::models::Facts;
use crate::core::tables::Tables;
use crate::{attention_locality, lens_entropy, lens_kl, mlp_norm, neurons};

/// The claims that are judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "D25",
    versions: &[Version::Nips],
    statement: "the same pattern shows above 10B parameters and on text of another kind",
    needs: &[
        "shift",
        "attention-locality",
        "lens-kl",
        "lens-entropy",
        "neurons",
        "mlp-norm",
    ],
    models: "",
    judge: d25,
}];

/// Models with more parameters than this are of the size that the claim is about.
const LARGE: u64 = 10_000_000_000;

/// D10, D14, D15, D16 and D22 hold above 10B parameters; D10, D14 and D22 hold on text of another kind.
pub fn d25(evidence: &Evidence<'_>) -> Vec<Finding> {
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
                ("D10", attention_locality::claims::d10(&alone)),
                ("D14", lens_kl::claims::d14(&alone)),
                ("D15", neurons::claims::d15(&alone)),
                ("D16", neurons::claims::d16(&alone)),
                ("D22", mlp_norm::claims::d22(&alone)),
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
    let shifted = on_shifted_text(evidence.tables.of::<Record>());
    let elsewhere = Evidence {
        tables: &shifted,
        models: evidence.models,
    };
    findings.extend(evidence.models.iter().map(|model| {
        let alone = Evidence {
            models: std::slice::from_ref(model),
            ..elsewhere
        };
        let parts = [
            ("D10", attention_locality::claims::d10(&alone)),
            ("D14", lens_kl::claims::d14(&alone)),
            ("D22", mlp_norm::claims::d22(&alone)),
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
fn on_shifted_text(records: &[Record]) -> Tables {
    let mut tables = Tables::default();
    for r in records.iter().filter(|r| r.shifted).cloned() {
        match r.measure {
            Measure::LensKl => tables.push(lens_kl::Record {
                model: r.model,
                model_type: r.model_type,
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
            Measure::LensEntropy => tables.push(lens_entropy::Record {
                model: r.model,
                model_type: r.model_type,
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
            Measure::MlpOutNorm => tables.push(mlp_norm::Record {
                model: r.model,
                model_type: r.model_type,
                layer: r.index,
                layers: r.layers,
                relative_depth: r.relative_depth,
                mlp_out_norm: r.value,
                mlp_out_norm_se: r.value_se,
                sequences: r.sequences,
                positions: r.positions,
            }),
            Measure::PreviousFive => {
                tables.push(attention_locality::Record {
                    model: r.model,
                    model_type: r.model_type,
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
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::{Judged, MODELS};
    use crate::shift::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    #[test]
    fn d25_the_pattern_is_the_same_elsewhere() {
        let otherwise = |tables: &mut Tables| {
            for r in tables.of_mut::<mlp_norm::Record>() {
                r.mlp_out_norm = 2.0 - r.relative_depth;
            }
            for r in tables.of_mut::<Record>() {
                if r.model == "gpt2" {
                    r.value = 1.0 + r.relative_depth;
                }
            }
        };
        judged("D25").check_all(1 + MODELS, otherwise, [MODELS - 1, 2, 0]);
        let only_the_plain_text = |tables: &mut Tables| {
            for r in tables.of_mut::<Record>() {
                r.shifted = false;
            }
        };
        judged("D25").check(only_the_plain_text, [1, 0, MODELS]);
    }
}
