//! The published numbers that are known, beside what a run measured of the same models.
//!
//! They are data, `data/known-values.csv`: most were read off pictures, with the error of that; points that were
//! interpolated between others, and numbers that were stated without one, have no error and are not judged.
//! The texts that they were measured on are the first documents of the Pile (B.2); a run on others may differ by more.

use crate::attention_locality::{self, Measure};
use crate::core::claim::Evidence;
use crate::core::curve::{Point, is_middle, mean, peak, point};
use crate::core::lens::Lens;
use crate::core::models::Facts;
use crate::core::published::published_name;
use crate::core::table::{self, TableError, record};
use crate::core::tables::Tables;
use crate::subword_heads::{self, Selection};
use crate::suffix_neurons::{self, Kind};
use crate::{lens_entropy, neurons, robustness};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Mean attention to the previous five, per pair, at block `index`.
    PreviousFive,
    /// Prediction neurons of block `index`.
    PredictionNeurons,
    /// Suppression neurons of block `index`.
    SuppressionNeurons,
    /// Entropy of the legacy lens on residual stream `index`, bits.
    LegacyLensEntropyBits,
    /// Its standard deviation over sequences, bits.
    LegacyLensEntropySdBits,
    /// Block of the neuron of rank `index` by its effect on the ending "-ing".
    SuffixNeuronLayer,
    /// Index of that neuron in its block.
    SuffixNeuronIndex,
    /// −1 for a suppression neuron, 1 for a prediction neuron.
    SuffixNeuronSign,
    /// Windows that end in a word of four tokens.
    MergingWindows,
    /// Highest density of prediction neurons of any block and model, percent.
    BestPredictionPercent,
    /// Highest density of suppression neurons of any block and model, percent.
    BestSuppressionPercent,
    /// Least share of top-1 tokens that a drop or swap at depths 0.2 to 0.9 retains.
    LeastRetainedShare,
    /// Greatest share of top-1 tokens that a drop or swap at depths 0.2 to 0.9 retains.
    MostRetainedShare,
    /// Depth of the block with the most prediction neurons, mean over models.
    PredictionPeakDepth,
}

record! {
    /// One line of the data: a published number.
    pub struct Published {
        /// What it is.
        pub quantity: Quantity,
        /// The model, or `families` and names of families.
        pub model: String,
        /// Block, residual stream or rank.
        pub index: Option<usize>,
        /// The number.
        pub published: f64,
        /// How far it may be from what was drawn.
        pub read_off_error: Option<f64>,
        /// The section of the specification that has it.
        pub source: String,
    }
    table("published-values") key(quantity, model, index) fault(|_| None)
}

record! {
    /// One line of `known-values.csv`: a published number beside a measured one.
    pub struct Compared {
        /// What it is.
        pub quantity: Quantity,
        /// The model as it is named in the run, or `families` and names of families.
        pub model: String,
        /// Block, residual stream or rank.
        pub index: Option<usize>,
        /// The published number.
        pub published: f64,
        /// How far it may be from what was drawn.
        pub read_off_error: Option<f64>,
        /// The number of this run; empty where it was not measured.
        pub measured: Option<f64>,
        /// Whether the two differ by no more than that error; empty where either is missing.
        pub within: Option<bool>,
        /// The section of the specification that has it.
        pub source: String,
    }
    table("known-values") key(quantity, model, index) fault(|_| None)
}

/// The published numbers.
///
/// # Errors
/// None: the data are part of the program, and a test reads them.
pub fn published() -> Result<Vec<Published>, TableError> {
    let data = include_str!("../data/known-values.csv");
    table::parse(data.as_bytes(), Path::new("known-values.csv"))
}

/// The published numbers of the models that a run has, beside what it measured.
///
/// # Errors
/// As [`published`].
pub fn compare(tables: &Tables, models: &[Facts]) -> Result<Vec<Compared>, TableError> {
    let evidence = Evidence { tables, models };
    let mut compared = Vec::new();
    for known in published()? {
        if let Some(families) = known.model.strip_prefix("families ") {
            let own: Vec<&Facts> = models
                .iter()
                .filter(|m| families.split(' ').any(|family| family == m.family))
                .filter(|m| published_name(&m.name).is_some())
                .collect();
            if !own.is_empty() {
                let measured = of_families(&evidence, &own, known.quantity);
                compared.push(side_by_side(&known, &known.model, measured));
            }
            continue;
        }
        for model in models {
            if published_name(&model.name) == Some(known.model.as_str()) {
                let index = known.index.unwrap_or(0);
                let measured = of_model(tables, &model.name, known.quantity, index);
                compared.push(side_by_side(&known, &model.name, measured));
            }
        }
    }
    Ok(compared)
}

fn side_by_side(known: &Published, model: &str, measured: Option<f64>) -> Compared {
    let measured = measured.filter(|value| value.is_finite());
    // Both are decimal numbers, so that a difference at the very end of the error counts as within.
    let within = measured
        .zip(known.read_off_error)
        .map(|(value, error)| (value - known.published).abs() <= error + 1e-12);
    Compared {
        quantity: known.quantity,
        model: model.to_owned(),
        index: known.index,
        published: known.published,
        read_off_error: known.read_off_error,
        measured,
        within,
        source: known.source.clone(),
    }
}

fn of_model(tables: &Tables, model: &str, quantity: Quantity, index: usize) -> Option<f64> {
    let neurons = || {
        let mut records = tables.of::<neurons::Record>().iter();
        records.find(|r| r.model == model && r.layer == index)
    };
    let entropy = || {
        let mut records = tables.of::<lens_entropy::Record>().iter();
        records.find(|r| r.model == model && r.lens == Lens::Legacy && r.state == index)
    };
    let suffix = || {
        let mut records = tables.of::<suffix_neurons::Record>().iter();
        records.find(|r| r.model == model && r.rank == index)
    };
    match quantity {
        Quantity::PreviousFive => {
            let mut records = tables.of::<attention_locality::Record>().iter();
            let record = records.find(|r| {
                r.model == model && r.measure == Measure::PreviousFive && r.layer == index
            });
            Some(record?.attention)
        }
        Quantity::PredictionNeurons => Some(neurons()?.prediction as f64),
        Quantity::SuppressionNeurons => Some(neurons()?.suppression as f64),
        Quantity::LegacyLensEntropyBits => Some(entropy()?.entropy_bits),
        Quantity::LegacyLensEntropySdBits => entropy()?.entropy_bits_sd,
        Quantity::SuffixNeuronLayer => Some(suffix()?.layer as f64),
        Quantity::SuffixNeuronIndex => Some(suffix()?.neuron as f64),
        Quantity::SuffixNeuronSign => match suffix()?.kind {
            Kind::Prediction => Some(1.0),
            Kind::Suppression => Some(-1.0),
            Kind::Other => Some(0.0),
        },
        Quantity::MergingWindows => {
            let own = tables.of::<subword_heads::Record>().iter();
            let own = own.filter(|r| r.model == model && r.selection == Selection::Multi);
            own.map(|r| r.windows).max().map(|windows| windows as f64)
        }
        Quantity::BestPredictionPercent
        | Quantity::BestSuppressionPercent
        | Quantity::LeastRetainedShare
        | Quantity::MostRetainedShare
        | Quantity::PredictionPeakDepth => None,
    }
}

fn of_families(evidence: &Evidence<'_>, models: &[&Facts], quantity: Quantity) -> Option<f64> {
    let is_own = |name: &str| models.iter().any(|model| model.name == name);
    let retained = || {
        let own = evidence.tables.of::<robustness::Record>().iter();
        let own = own.filter(|r| is_own(&r.model) && is_middle(r.relative_depth));
        own.map(|r| r.top1_agreement)
    };
    let peaks = |percent: fn(&neurons::Record) -> f64| -> Vec<Point> {
        let densities = models
            .iter()
            .filter_map(|m| neurons::density(evidence.tables, &m.name, percent).ok());
        densities.filter_map(|density| peak(&density)).collect()
    };
    match quantity {
        Quantity::BestPredictionPercent => Some(peak(&peaks(|r| r.prediction_percent))?.value),
        Quantity::BestSuppressionPercent => Some(peak(&peaks(|r| r.suppression_percent))?.value),
        Quantity::LeastRetainedShare => retained().reduce(f64::min),
        Quantity::MostRetainedShare => retained().reduce(f64::max),
        Quantity::PredictionPeakDepth => {
            let depths: Vec<Point> = peaks(|r| r.prediction_percent)
                .iter()
                .map(|peak| point(peak.index, 0.0, peak.depth, None))
                .collect();
            Some(mean(&depths)?.value)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing;

    use std::collections::BTreeMap;

    #[test]
    fn the_data_are_whole() {
        let published = published().unwrap();
        let mut counts: BTreeMap<(Quantity, &str), Vec<usize>> = BTreeMap::new();
        for known in &published {
            if !known.model.starts_with("families ") {
                assert_eq!(published_name(&known.model), Some(known.model.as_str()));
            }
            let indices = counts.entry((known.quantity, &known.model)).or_default();
            indices.extend(known.index);
        }
        let check = |quantity, model: &str, expected: std::ops::Range<usize>| {
            let expected: Vec<usize> = expected.collect();
            assert_eq!(
                counts[&(quantity, model)],
                expected,
                "{quantity:?} of {model}"
            );
        };
        check(Quantity::PreviousFive, "gpt2", 0..12);
        check(Quantity::PreviousFive, "gpt2-xl", 0..48);
        check(Quantity::PreviousFive, "pythia-6.9b", 0..32);
        check(Quantity::PreviousFive, "phi-1_5", 0..24);
        check(Quantity::PredictionNeurons, "gpt2", 0..12);
        check(Quantity::LegacyLensEntropyBits, "gpt2", 0..13);
        check(Quantity::SuffixNeuronLayer, "gpt2-xl", 1..37);
        let first_32 = published.iter().filter(|known| {
            known.quantity == Quantity::SuffixNeuronSign && known.index.is_some_and(|at| at <= 32)
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
        let check = |quantity, model: &str, index, measured, within| {
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
        check(
            Quantity::PreviousFive,
            "gpt2",
            Some(0),
            Some(0.042),
            Some(true),
        );
        check(
            Quantity::PreviousFive,
            "gpt2",
            Some(1),
            Some(0.5),
            Some(false),
        );
        check(Quantity::PredictionNeurons, "gpt2", Some(11), None, None);
        check(
            Quantity::LegacyLensEntropyBits,
            "gpt2",
            Some(0),
            Some(14.0),
            Some(false),
        );
        // An interpolated point has no error to be within.
        let depth = 1.0 / 23.0;
        let measured = Some(0.1 - 0.08 * depth);
        check(
            Quantity::PreviousFive,
            "pythia-410m-deduped",
            Some(1),
            measured,
            None,
        );
        check(
            Quantity::LeastRetainedShare,
            "families gpt2 gpt_neox",
            None,
            Some(0.75 + 0.024 + 0.01 * 3.0 / 11.0),
            None,
        );
        assert!(compared.iter().all(|c| c.model != "unpublished"));
        assert!(
            compared
                .iter()
                .all(|c| c.quantity != Quantity::MergingWindows)
        );
        assert_eq!(compare(&tables, &[]).unwrap(), []);
    }
}
