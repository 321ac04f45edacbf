//! Published numbers next to what a run measured on the same models.
//!
//! The numbers are in `data/known-values.csv`. Most of the paper's were read off pictures, and carry the reading error. Points
//! that were interpolated between others, and numbers that were stated without an error, are not judged.
//! The paper's texts are the first documents of the Pile (B.2); a run on other texts may differ by more.
//! Numbers of related papers come from abstracts, or from papers that quote them.

use crate::EXPERIMENTS;
use crate::core::known::{Compared, Published};
use crate::core::models::Facts;
use crate::core::published::{published_name, related_name};
use crate::core::table::{self, TableError};
use crate::core::tables::Tables;
use std::path::Path;

/// The published numbers.
///
/// # Errors
/// None: the data are part of the program, and a test reads them.
pub fn published() -> Result<Vec<Published>, TableError> {
    let data = include_str!("../data/known-values.csv");
    table::parse(data.as_bytes(), Path::new("known-values.csv"))
}

/// The published numbers of a run's models, next to its measurements.
///
/// # Errors
/// As [`published`].
pub fn compare(tables: &Tables, models: &[Facts]) -> Result<Vec<Compared>, TableError> {
    let mut compared = Vec::new();
    for known in published()? {
        if let Some(families) = known.model.strip_prefix("families ") {
            let own: Vec<&Facts> = models
                .iter()
                .filter(|m| families.split(' ').any(|family| family == m.family))
                .filter(|m| published_name(&m.name).is_some())
                .collect();
            if !own.is_empty() {
                let measured = measured(tables, &own, &known);
                compared.push(side_by_side(&known, &known.model, measured));
            }
            continue;
        }
        for model in models {
            if name_of(&model.name) == Some(known.model.as_str()) {
                let measured = measured(tables, &[model], &known);
                compared.push(side_by_side(&known, &model.name, measured));
            }
        }
    }
    Ok(compared)
}

/// The name of a paper's model that a folder's name refers to.
fn name_of(model: &str) -> Option<&'static str> {
    published_name(model).or_else(|| related_name(model))
}

fn side_by_side(known: &Published, model: &str, measured: Option<f64>) -> Compared {
    let measured = measured.filter(|value| value.is_finite());
    // Both are decimal numbers, so a difference equal to the error counts as within it, despite rounding.
    let within = measured
        .zip(known.read_off_error)
        .map(|(value, error)| (value - known.published).abs() <= error + 1e-12);
    Compared {
        quantity: known.quantity.clone(),
        model: model.to_owned(),
        index: known.index,
        published: known.published,
        read_off_error: known.read_off_error,
        measured,
        within,
        source: known.source.clone(),
    }
}

/// A run's number for a published one.
fn measured(tables: &Tables, models: &[&Facts], known: &Published) -> Option<f64> {
    let mut quantities = EXPERIMENTS.iter().flat_map(|experiment| experiment.known());
    let quantity = quantities.find(|quantity| quantity.name == known.quantity)?;
    (quantity.of)(tables, models, known.index.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing;
    use crate::{attention_locality, lens_entropy, neurons, robustness};

    use std::collections::BTreeMap;

    #[test]
    fn the_data_are_whole() {
        let published = published().unwrap();
        let mut counts: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for known in &published {
            if !known.model.starts_with("families ") {
                assert_eq!(name_of(&known.model), Some(known.model.as_str()));
            }
            let mut quantities = EXPERIMENTS.iter().flat_map(|experiment| experiment.known());
            assert!(
                quantities.any(|quantity| quantity.name == known.quantity),
                "{known:?}"
            );
            let indices = counts.entry((&known.quantity, &known.model)).or_default();
            indices.extend(known.index);
        }
        let check = |quantity: &str, model: &str, expected: std::ops::Range<usize>| {
            let expected: Vec<usize> = expected.collect();
            assert_eq!(
                counts[&(quantity, model)],
                expected,
                "{quantity:?} of {model}"
            );
        };
        check("previous-five", "gpt2", 0..12);
        check("previous-five", "gpt2-xl", 0..48);
        check("previous-five", "pythia-6.9b", 0..32);
        check("previous-five", "phi-1_5", 0..24);
        check("prediction-neurons", "gpt2", 0..12);
        check("legacy-lens-entropy-bits", "gpt2", 0..13);
        check("suffix-neuron-layer", "gpt2-xl", 1..37);
        let first_32 = published.iter().filter(|known| {
            known.quantity == "suffix-neuron-sign" && known.index.is_some_and(|at| at <= 32)
        });
        let suppressing = first_32.filter(|known| known.published < 0.0).count();
        assert_eq!(suppressing, 9);
    }

    #[test]
    fn measured_stands_beside_published() {
        let mut models = testing::models();
        models[2].name = "pythia-410m-deduped".to_owned();
        models[3].name = "unpublished".to_owned();
        let parts: &[testing::Synthetic] = &[
            attention_locality::synthetic::add,
            lens_entropy::synthetic::add,
            neurons::synthetic::add,
            robustness::synthetic::add,
        ];
        let mut tables = testing::tables(&models, parts);
        for r in tables.of_mut::<attention_locality::Record>() {
            if r.model == "gpt2" {
                r.attention = if r.layer == 0 { 0.042 } else { 0.5 };
            }
        }
        tables
            .of_mut::<neurons::Record>()
            .retain(|r| r.model != "gpt2");
        let compared = compare(&tables, &models).unwrap();
        let check = |quantity: &str, model: &str, index, measured, within| {
            let mut own = compared.iter();
            let found = own
                .find(|c| c.quantity == quantity && c.model == model && c.index == index)
                .unwrap_or_else(|| panic!("{quantity:?} of {model}"));
            assert_eq!(
                (found.measured, found.within),
                (measured, within),
                "{found:?}"
            );
        };
        check("previous-five", "gpt2", Some(0), Some(0.042), Some(true));
        check("previous-five", "gpt2", Some(1), Some(0.5), Some(false));
        check("prediction-neurons", "gpt2", Some(11), None, None);
        check(
            "legacy-lens-entropy-bits",
            "gpt2",
            Some(0),
            Some(14.0),
            Some(false),
        );
        // An interpolated point has no error to be within.
        let depth = 1.0 / 23.0;
        let measured = Some(0.1 - 0.08 * depth);
        check(
            "previous-five",
            "pythia-410m-deduped",
            Some(1),
            measured,
            None,
        );
        check(
            "least-retained-share",
            "families gpt2 gpt_neox",
            None,
            Some(0.75 + 0.024 + 0.01 * 3.0 / 11.0),
            None,
        );
        assert!(compared.iter().all(|c| c.model != "unpublished"));
        assert!(compared.iter().all(|c| c.quantity != "merging-windows"));
        assert_eq!(compare(&tables, &[]).unwrap(), []);
    }
}
