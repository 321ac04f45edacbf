//! Neurons that promote or suppress one ending, "-ing", from the weights alone.
//!
//! - **Stands for** Figure 21 of the NeurIPS version and v1's figure of the 36 neurons, and the histograms of v1's "-ing" figure.
//! - **Needs** any models and their tokenizers, no text.
//! - **Computes** for every neuron with kurtosis above 10 or variance above 0.005 (B.9) the mean of its output weights'
//!   products with the columns of W_U over the tokens whose stripped, lower-cased text has the ending, less the mean over
//!   the other tokens; the 36 of largest size, with histograms of 100 bins.
//!   Of them the first suppression and the first prediction neuron, those of v1's histograms in GPT-2 XL, are also drawn
//!   side by side.
//! - **Feeds** `suffix-probe`, which probes the first 32.

use super::models;
use super::table::record;
use crate::plot::{
    Axis, Colour, Dash, Figure, Histogram, LegendEntry, Mark, Marker, Panel, Scale, Style,
};
use serde::{Deserialize, Serialize};

/// What a neuron does to the vocabulary (B.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Kurtosis above 10, positive skewness.
    Prediction,
    /// Kurtosis above 10, negative skewness.
    Suppression,
    /// Neither; it is here for its variance.
    Other,
}

record! {
    /// One line of `suffix-neurons.csv`: one neuron, by rank.
    pub struct Record {
        /// Name of the model.
        pub model: String,
        /// Its family, the `model_type` of its config.
        pub family: String,
        /// Rank by the size of the effect, from 1.
        pub rank: usize,
        /// Its block, from 0.
        pub layer: usize,
        /// Blocks of the model, L.
        pub layers: usize,
        /// Its index in the block, from 0.
        pub neuron: usize,
        /// What it does to the vocabulary.
        pub kind: Kind,
        /// Mean of its output weights' product with W_U over tokens with the ending, less the mean over the others (logits a unit of activation).
        pub effect: f64,
        /// Variance of its cosines with W_U over the vocabulary.
        pub variance: f64,
        /// Their skewness.
        pub skewness: f64,
        /// Their kurtosis, not excess.
        pub kurtosis: f64,
    }
    key(model, rank) fault(|_| None)
}

record! {
    /// One line of `suffix-neurons-histogram.csv`: how many tokens a neuron moves by so much.
    pub struct Bin {
        /// Name of the model.
        pub model: String,
        /// Its family, the `model_type` of its config.
        pub family: String,
        /// The neuron's rank, from 1.
        pub rank: usize,
        /// Index of the bin, from 0.
        pub bin: usize,
        /// Lower end, in logits a unit of activation.
        pub low: f64,
        /// Upper end.
        pub high: f64,
        /// Tokens with the ending.
        pub ending: u64,
        /// Other tokens.
        pub others: u64,
    }
    key(model, rank, bin) fault(|_| None)
}

/// Histograms of one row of the drawing.
const COLUMNS: usize = 6;

const OTHERS: Style = Style {
    colour: Colour(0x56, 0xb4, 0xe9),
    dash: Dash::Solid,
    marker: Marker::Circle,
};
const ENDING: Style = Style {
    colour: Colour(0xd5, 0x5e, 0x00),
    dash: Dash::Solid,
    marker: Marker::Circle,
};

/// The drawings with the names of their files: a grid of histograms and the pair of v1, of one model only. Several models
/// have none together.
pub fn drawings(records: &[Record], bins: &[Bin]) -> Vec<(String, Figure)> {
    let models = models::of(
        records
            .iter()
            .map(|r| (r.model.as_str(), r.family.as_str())),
    );
    let [model] = models.as_slice() else {
        return Vec::new();
    };
    let mut ranked: Vec<&Record> = records.iter().collect();
    ranked.sort_by_key(|record| record.rank);
    let first = |kind: Kind| ranked.iter().copied().find(|record| record.kind == kind);
    let pair = first(Kind::Suppression).zip(first(Kind::Prediction));
    let mut drawings = vec![(
        "suffix-neurons".to_owned(),
        grid(
            format!(
                "Neurons of {} that move the ending \"-ing\" most",
                model.name
            ),
            &ranked.chunks(COLUMNS).collect::<Vec<_>>(),
            bins,
        ),
    )];
    if let Some((suppression, prediction)) = pair {
        let title = format!(
            "The suppression and the prediction neuron of {} that move the ending \"-ing\" most",
            model.name
        );
        let figure = grid(title, &[&[suppression, prediction]], bins);
        drawings.push(("suffix-neurons-pair".to_owned(), figure));
    }
    drawings
}

fn grid(title: String, rows: &[&[&Record]], bins: &[Bin]) -> Figure {
    Figure {
        title,
        description: "Each histogram is one neuron, titled block.neuron with − for suppression and + for prediction: over \
                      the vocabulary, what the neuron adds to a token's logit for a unit of activation, tokens with the \
                      ending apart from the others. Vertical axis: tokens, logarithmic."
            .to_owned(),
        rows: rows
            .iter()
            .enumerate()
            .map(|(at, row)| {
                let last = at + 1 == rows.len();
                row.iter()
                    .enumerate()
                    .map(|(column, record)| histogram(record, bins, column == 0, last))
                    .collect()
            })
            .collect(),
        legend: [("tokens ending in -ing", ENDING), ("other tokens", OTHERS)]
            .map(|(label, style)| LegendEntry {
                label: label.to_owned(),
                group: String::new(),
                style,
            })
            .to_vec(),
    }
}

fn histogram(record: &Record, bins: &[Bin], first: bool, last: bool) -> Panel {
    let mut own: Vec<&Bin> = bins
        .iter()
        .filter(|bin| bin.model == record.model && bin.rank == record.rank)
        .collect();
    own.sort_by_key(|bin| bin.bin);
    let lows = own.iter().map(|bin| bin.low);
    let edges: Vec<f64> = lows.chain(own.last().map(|bin| bin.high)).collect();
    let steps = |style: Style, count: fn(&Bin) -> u64| {
        Mark::Histogram(Histogram {
            style,
            edges: edges.clone(),
            counts: own.iter().map(|bin| count(bin) as f64).collect(),
        })
    };
    // Neurons differ much in size: each has its own axis.
    let x = Axis::new(if last { "W_U·w_out" } else { "" }, Scale::Linear);
    let x = match (edges.first(), edges.last()) {
        (Some(&low), Some(&high)) => x.between(low, high),
        _ => x,
    };
    let sign = match record.kind {
        Kind::Prediction => " +",
        Kind::Suppression => " −",
        Kind::Other => "",
    };
    Panel {
        title: format!("{}.{}{sign}", record.layer, record.neuron),
        x,
        y: Axis::new(if first { "Tokens" } else { "" }, Scale::Log10),
        y2: None,
        marks: vec![
            steps(OTHERS, |bin| bin.others),
            steps(ENDING, |bin| bin.ending),
        ],
    }
}
