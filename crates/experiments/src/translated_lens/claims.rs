//! The claim that is judged from this experiment: what the tuned lens is said to be, of its linear case in closed form.

use super::measure::curve_name;
use super::table::Reading;
use crate::core::claim::{Claim, Evidence, Version};
use crate::core::curve::{Point, mean, needs, peak, point};
use crate::core::finding::{Finding, Measured, NotTested, Outcome, Threshold};
use crate::core::models::Facts;
use crate::core::sample::statistic;

/// The claim that is judged from this experiment.
pub const CLAIMS: &[Claim] = &[Claim {
    id: "L1",
    versions: Version::TUNED,
    statement: "a translated residual stream predicts the output better than the stream itself",
    needs: &["translated-lens"],
    models: "",
    judge: l1,
}];

/// The divergence of the translated lens from the output is less than that of the standard one, in the mean over streams above
/// the embedding and at each of them.
pub fn l1(evidence: &Evidence<'_>) -> Vec<Finding> {
    type Of = fn(&[Point]) -> Option<(f64, String)>;
    let mean_of: Of = |curve| Some((mean(curve)?, format!("{} streams", curve.len())));
    let greatest: Of = |curve| {
        let greatest = peak(curve)?;
        Some((greatest.value, format!("stream {}", greatest.index)))
    };
    let parts = [
        (
            "KL of the translated lens less KL of the standard one in nats, mean over streams above the embedding",
            mean_of,
        ),
        ("the greatest of these differences", greatest),
    ];
    let models = evidence.models.iter();
    let each = models.flat_map(|model| parts.map(|(part, of)| (model, part, of)));
    each.map(|(model, part, of)| {
        let outcome = difference(evidence, model, of);
        Finding::of(&model.name, part, Threshold::Below(0.0), outcome)
    })
    .collect()
}

fn difference(
    evidence: &Evidence<'_>,
    model: &Facts,
    of: fn(&[Point]) -> Option<(f64, String)>,
) -> Outcome {
    let read = |reading| {
        let curve = evidence.by_state(model, "translated-lens", &curve_name(reading))?;
        Ok(curve.retaining(|state, _| state > 0))
    };
    let (standard, translated) = (read(Reading::Standard)?, read(Reading::Translated)?);
    if standard.curve().is_empty() {
        return Err(NotTested::because(
            "there is no stream between the embedding and the last",
        ));
    }
    statistic([&standard, &translated], |[standard, translated]| {
        let same = |a: &Point| translated.iter().find(|b| b.index == a.index);
        let pairs = standard.iter().filter_map(|a| Some((a, same(a)?)));
        let less = pairs.map(|(a, b)| point(a.index, a.depth, b.value - a.value, None));
        let found = of(&less.collect::<Vec<Point>>());
        let (value, note) = found.ok_or_else(|| needs("translated-lens"))?;
        Ok(Measured::of(value).noting(note))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::tables::Tables;
    use crate::core::testing::{Judged, MODELS, Simulated, change, small, states, units};

    /// Divergences of both readings; the translated one has less.
    fn add(facts: &Facts, tables: &mut Tables) {
        for (state, depth) in states(facts).take(facts.layers) {
            let standard = 10.0 * (1.0 - depth) + 1.0;
            for (reading, value) in Reading::BOTH.into_iter().zip([standard, 0.5 * standard]) {
                units(tables, facts, &curve_name(reading), state, value, 0.1);
            }
        }
    }

    #[test]
    fn l1_translation_helps() {
        let judged = Judged::of(CLAIMS, "L1", &[add]);
        // At the last stream that is translated it does harm.
        let harmful = |tables: &mut Tables| {
            change(tables, |model, curve, state| {
                let is_own = model == "gpt2" && state == 11;
                (is_own && curve == curve_name(Reading::Translated)).then_some(9.0)
            });
        };
        judged.check_all(2 * MODELS, harmful, [2 * MODELS - 1, 1, 0, 0]);
        let reading = |less: f64| {
            move |simulated: &mut Simulated, facts: &Facts, tables: &mut Tables| {
                simulated.units = 16;
                for (reading, value) in Reading::BOTH.into_iter().zip([5.0, 5.0 - less]) {
                    let values: Vec<(usize, f64)> =
                        (0..facts.layers).map(|state| (state, value)).collect();
                    let curve = curve_name(reading);
                    simulated.curve(tables, facts, &curve, &values, [0.5, 0.3]);
                }
            }
        };
        judged.check_null(&[small()], reading(0.0));
        judged.check_effect(&[small()], true, reading(2.0));
    }

    #[test]
    fn a_model_of_one_block_has_nothing_to_translate() {
        let facts = Facts {
            layers: 1,
            ..small()
        };
        let judged = Judged::of(CLAIMS, "L1", &[add]);
        let models = [facts];
        for row in judged.rows(&judged.tables(&models), &models) {
            assert!(
                row.reason.contains("between the embedding and the last"),
                "{}",
                row.reason
            );
        }
    }
}
