//! The claims that are judged from this experiment.

use super::measure::elsewhere;
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::finding::{Finding, Measured, NotTested, Outcome, Threshold, Verdict};
use crate::core::lens::Lens;
use crate::core::models::Facts;
use crate::core::sample::statistic;
use crate::{attention_locality, lens_entropy, lens_kl, mlp_norm, neurons};
use layerwise_metrics::correlation;

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

/// Models with more parameters than this have the size that the claim is about.
const LARGE: u64 = 10_000_000_000;

/// The least rank correlation between two curves of the same shape.
const ALIKE: f64 = 0.8;

/// D10, D14, D15, D16 and D22 do not fail above 10B parameters; on text of another kind the curves of D10, D14 and D22 keep
/// their order, and none of their lines changes from one verdict to the opposite.
pub fn d25(evidence: &Evidence<'_>) -> Vec<Finding> {
    let large: Vec<&Facts> = evidence
        .models
        .iter()
        .filter(|model| model.parameters > LARGE)
        .collect();
    let mut findings: Vec<Finding> = large
        .iter()
        .map(|model| {
            let alone = of_one(evidence, model);
            let mut lines = on_text(&alone);
            lines.extend([
                ("D15", neurons::claims::prediction_peaks(&alone, model)),
                ("D16", neurons::claims::suppression_overtakes(&alone, model)),
            ]);
            Finding::of(
                &model.name,
                "lines of D10, D14, D15, D16 and D22 that fail, above 10B parameters",
                Threshold::AtMost(0.0),
                failing(&lines),
            )
        })
        .collect();
    if large.is_empty() {
        let missing = NotTested::because("needs a model above 10B parameters");
        let part = "the pattern above 10B parameters";
        findings.push(Finding::of("*", part, Threshold::AtMost(0.0), Err(missing)));
    }
    for model in evidence.models {
        for (quantity, experiment, curve) in curves() {
            findings.push(Finding::of(
                &model.name,
                format!("rank correlation of {quantity} on both texts, over depth"),
                Threshold::AtLeast(ALIKE),
                alike(evidence, model, experiment, &curve),
            ));
        }
        let alone = of_one(evidence, model);
        findings.push(Finding::of(
            &model.name,
            "lines of D10, D14 and D22 that hold on one text and fail on the other",
            Threshold::AtMost(0.0),
            turned(&on_text(&alone), &on_other_text(&alone)),
        ));
    }
    findings
}

fn of_one<'e>(evidence: &Evidence<'e>, model: &'e Facts) -> Evidence<'e> {
    Evidence {
        models: std::slice::from_ref(model),
        ..*evidence
    }
}

/// The curves to compare: quantity, experiment and names. Curves of lenses begin at block 0's output.
fn curves() -> [(&'static str, &'static str, String); 4] {
    [
        (
            "attention to the previous five",
            "attention-locality",
            attention_locality::measure::CURVE.to_owned(),
        ),
        (
            "the lens's divergence",
            "lens-kl",
            lens_kl::measure::curve_name(Lens::Standard),
        ),
        (
            "the lens's entropy",
            "lens-entropy",
            lens_entropy::measure::curve_name(Lens::Standard),
        ),
        (
            "the MLP's output norm",
            "mlp-norm",
            mlp_norm::measure::MEAN.to_owned(),
        ),
    ]
}

fn alike(evidence: &Evidence<'_>, model: &Facts, experiment: &str, curve: &str) -> Outcome {
    let is_lens = experiment.starts_with("lens");
    let of = |curve: &str, experiment| {
        let sampled = evidence.by_block(model, experiment, curve)?;
        Ok(sampled.retaining(|index, _| index > 0 || !is_lens))
    };
    let (own, other) = (of(curve, experiment)?, of(&elsewhere(curve), "shift")?);
    statistic([&own, &other], |[own, other]| {
        let pairs: Vec<(f64, f64)> = own
            .iter()
            .zip(other)
            .map(|(a, b)| (a.value, b.value))
            .collect();
        let squares: f64 = pairs.iter().map(|(a, b)| (a - b).powi(2)).sum();
        let rms = (squares / pairs.len() as f64).sqrt();
        let correlation = correlation::spearman(&pairs)
            .ok_or_else(|| NotTested::because("the rank correlation is not defined"))?;
        Ok(Measured::of(correlation).noting(format!("RMS difference {rms:.4}")))
    })
}

type Lines = Vec<(&'static str, Vec<Finding>)>;

/// The lines on one model, for the lens of the NeurIPS version.
fn on_text(alone: &Evidence<'_>) -> Lines {
    lines(
        alone,
        attention_locality::measure::CURVE,
        [mlp_norm::measure::MEAN, mlp_norm::measure::MEDIAN].map(str::to_owned),
        [
            lens_kl::measure::curve_name,
            lens_entropy::measure::curve_name,
        ]
        .map(|of| of(Lens::Standard)),
    )
}

fn on_other_text(alone: &Evidence<'_>) -> Lines {
    lines(
        alone,
        &elsewhere(attention_locality::measure::CURVE),
        [mlp_norm::measure::MEAN, mlp_norm::measure::MEDIAN].map(elsewhere),
        [
            lens_kl::measure::curve_name,
            lens_entropy::measure::curve_name,
        ]
        .map(|of| elsewhere(&of(Lens::Standard))),
    )
}

fn lines(
    alone: &Evidence<'_>,
    attention: &str,
    [mean, median]: [String; 2],
    lens: [String; 2],
) -> Lines {
    vec![
        (
            "D10",
            attention_locality::claims::of_curve(alone, attention),
        ),
        (
            "D14",
            lens_kl::claims::of_curves(alone, &[(Lens::Standard, lens)]),
        ),
        ("D22", mlp_norm::claims::of_curves(alone, &mean, &median)),
    ]
}

/// How many lines fail, and how many might.
fn failing(lines: &Lines) -> Outcome {
    let (mut failing, mut undecided) = (Vec::new(), 0);
    for (claim, finding) in lines
        .iter()
        .flat_map(|(claim, own)| own.iter().map(move |f| (claim, f)))
    {
        if let Err(NotTested(reason)) = &finding.outcome {
            return Err(NotTested(format!("{claim}: {reason}")));
        }
        match finding.verdict() {
            Verdict::Fails => failing.push(format!("{claim}: {}", finding.part)),
            Verdict::Undecided => undecided += 1,
            _ => {}
        }
    }
    let fail = failing.len() as f64;
    let range = [fail, fail + f64::from(undecided)];
    Ok(Measured::of(fail).within(range).noting(failing.join("; ")))
}

/// How many lines have opposite verdicts, and how many might.
fn turned(own: &Lines, other: &Lines) -> Outcome {
    let (mut turned, mut undecided) = (Vec::new(), 0);
    for ((claim, own), (_, other)) in own.iter().zip(other) {
        for (own, other) in own.iter().zip(other) {
            for finding in [own, other] {
                if let Err(NotTested(reason)) = &finding.outcome {
                    return Err(NotTested(format!("{claim}: {reason}")));
                }
            }
            match (own.verdict(), other.verdict()) {
                (Verdict::Undecided, _) | (_, Verdict::Undecided) => undecided += 1,
                (one, another) if one != another => {
                    turned.push(format!("{claim}: {}", own.part));
                }
                _ => {}
            }
        }
    }
    let count = turned.len() as f64;
    let range = [count, count + f64::from(undecided)];
    Ok(Measured::of(count).within(range).noting(turned.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::sample::Units;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, Simulated, change, small};
    use crate::shift::synthetic;

    fn judged(claim: &str) -> Judged {
        Judged::of(CLAIMS, claim, &[synthetic::add])
    }

    #[test]
    fn d25_the_pattern_is_the_same_elsewhere() {
        let otherwise = |tables: &mut Tables| {
            change(tables, |model, curve, index| {
                let is_own = model == "gpt2" && curve.starts_with("other text");
                is_own.then_some(
                    1.0 + if curve.contains("attention") {
                        1.0
                    } else {
                        -1.0
                    } * index as f64,
                )
            });
        };
        judged("D25").check(|_| {}, [1 + 5 * MODELS, 0, 0, 0]);
        judged("D25").check(otherwise, [1 + 5 * MODELS - 3, 3, 0, 0]);
        let only_the_plain_text = |tables: &mut Tables| {
            tables
                .of_mut::<Units>()
                .retain(|units| !units.curve.starts_with("other"));
        };
        judged("D25").check(only_the_plain_text, [1, 0, 0, 5 * MODELS]);
        // Two texts with unrelated curves.
        judged("D25").check_null(&[small()], |simulated, facts, tables| {
            each_curve(simulated, facts, tables, |simulated, _, _| {
                simulated.gaussian()
            });
        });
        let same = |_: &mut Simulated, curve: usize, at: usize| match curve {
            0 => 0.2 - 0.05 * at as f64,
            _ => at as f64,
        };
        judged("D25").check_effect(&[small()], false, |simulated, facts, tables| {
            each_curve(simulated, facts, tables, same);
        });
    }

    fn each_curve(
        simulated: &mut Simulated,
        facts: &Facts,
        tables: &mut Tables,
        value: impl Fn(&mut Simulated, usize, usize) -> f64,
    ) {
        let medians = ("", "", mlp_norm::measure::MEDIAN.to_owned());
        let all = curves().into_iter().chain([medians]).enumerate();
        for (at, (_, experiment, curve)) in all {
            let places = facts.layers + usize::from(experiment.starts_with("lens"));
            for curve in [curve.clone(), elsewhere(&curve)] {
                let values: Vec<(usize, f64)> = (0..places)
                    .map(|place| (place, value(simulated, at, place)))
                    .collect();
                simulated.curve(tables, facts, &curve, &values, [0.01, 0.01]);
            }
        }
    }
}
