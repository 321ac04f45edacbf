//! The published numbers that are known, beside what a run measured of the same models.
//!
//! They are data, `xtask/data/known-values.csv`: most were read off pictures, with the error of that; points that were
//! interpolated between others, and numbers that were stated without one, have no error and are not judged.
//! The texts that they were measured on are the first documents of the Pile (B.2); a run on others may differ by more.

use crate::claims::Evidence;
use crate::claims::evidence::{Point, is_middle, mean, peak, point};
use crate::figures::ResultsError;
use crate::figures::attention_locality::Measure;
use crate::figures::models::Facts;
use crate::figures::subword_heads::Selection;
use crate::figures::suffix_neurons::Kind;
use crate::figures::table::{self, record};
use crate::readings::Lens;
use crate::results::Results;
use crate::tables::published_name;
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
    key(quantity, model, index) fault(|_| None)
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
    key(quantity, model, index) fault(|_| None)
}

/// The published numbers.
///
/// # Errors
/// None: the data are part of the program, and a test reads them.
pub fn published() -> Result<Vec<Published>, ResultsError> {
    let data = include_str!("../data/known-values.csv");
    table::parse(data.as_bytes(), Path::new("known-values.csv"))
}

/// The published numbers of the models that a run has, beside what it measured.
///
/// # Errors
/// As [`published`].
pub fn compare(results: &Results, models: &[Facts]) -> Result<Vec<Compared>, ResultsError> {
    let evidence = Evidence { results, models };
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
                let measured = of_model(results, &model.name, known.quantity, index);
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

fn of_model(results: &Results, model: &str, quantity: Quantity, index: usize) -> Option<f64> {
    let neurons = || {
        let mut records = results.neurons.iter();
        records.find(|r| r.model == model && r.layer == index)
    };
    let entropy = || {
        let mut records = results.lens_entropy.iter();
        records.find(|r| r.model == model && r.lens == Lens::Legacy && r.state == index)
    };
    let suffix = || {
        let mut records = results.suffix_neurons.iter();
        records.find(|r| r.model == model && r.rank == index)
    };
    match quantity {
        Quantity::PreviousFive => {
            let mut records = results.attention_locality.iter();
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
            let own = results.subword_heads.iter();
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
        let own = evidence.results.robustness.iter();
        let own = own.filter(|r| is_own(&r.model) && is_middle(r.relative_depth));
        own.map(|r| r.top1_agreement)
    };
    let peaks = |percent: fn(&crate::figures::neurons::Record) -> f64| -> Vec<Point> {
        let densities = models.iter().filter_map(|m| evidence.density(&m.name, percent).ok());
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
