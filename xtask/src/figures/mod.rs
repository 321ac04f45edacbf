//! Figures: pure functions from recorded results to drawings.
//!
//! A figure's module holds the form of its results, one or more [`table::Record`]s, and the drawings made from them.
//! Nothing here knows a model, so every figure can be redrawn from its CSV files alone.

mod about;
pub mod attention_locality;
pub mod benchmarks;
pub mod cka;
pub mod lens_entropy;
pub mod lens_kl;
pub mod mlp_norm;
pub mod models;
pub mod neurons;
pub mod repeats;
pub mod robustness;
pub mod scale;
pub mod shift;
pub mod stages;
pub mod styles;
pub mod sublayer_ratio;
pub mod subword_heads;
pub mod suffix_neurons;
pub mod suffix_probe;
pub mod table;
pub mod wic;

pub use about::About;

use crate::plot::Figure;
use crate::results::Results;
use clap::ValueEnum;
use std::io;
use std::path::PathBuf;

/// The figures, by the names that the command line knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum FigureId {
    /// The four stages in one picture (nips-fig1, table 1)
    Stages,
    /// Dropping a block and swapping two: KL, agreement, entropy (nips-fig5a, nips-fig13, v3-fig-robust, v1-fig2, v1-fig3)
    Robustness,
    /// Similarity of the residual streams after each pair of blocks (nips-fig5bc, nips-fig14)
    Cka,
    /// Attention to the tokens just before (nips-fig6a, v1-fig-attn)
    AttentionLocality,
    /// Heads that merge the pieces of a word (nips-fig6b, v1-fig-head)
    SubwordHeads,
    /// Word senses, probed at each depth (nips-fig7a, nips-fig18)
    Wic,
    /// Entropy of the logit lens, both lenses (nips-fig7b, nips-fig19, v1-fig-entropy)
    LensEntropy,
    /// Divergence of the logit lens from the output, both lenses, with neuron densities (nips-fig8, v1-fig-kl-neurons)
    LensKl,
    /// Prediction, suppression and partition neurons (nips-fig17)
    Neurons,
    /// Probes for the ending "-ing" of the next token (nips-fig12a, v1-fig-ing)
    SuffixProbe,
    /// The neurons that move the ending "-ing" most (nips-fig21, v1-fig-top36)
    SuffixNeurons,
    /// Size of what each MLP writes (nips-fig12b, nips-fig20)
    MlpNorm,
    /// Attention in comparison with the MLP (v1-fig-ratio)
    SublayerRatio,
    /// Repeating runs of three and five blocks (nips-fig12c, nips-fig22, nips-fig23)
    Repeats,
    /// Accuracy under swaps, drops and repeats (nips-fig15, nips-fig16, nips-fig24)
    Benchmarks,
    /// The shape against the number of blocks and parameters (nips-fig25)
    Scale,
    /// The shape on text of another kind (nips-fig26)
    Shift,
}

/// What a model is put through; figures share passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pass {
    /// Altered schedules on the corpus.
    Sweep,
    /// The plain model on the corpus, observed.
    Plain,
    /// The weights alone.
    Weights,
    /// The plain model on windows of words.
    Words,
    /// The plain model on word-in-context pairs.
    Pairs,
    /// The plain model on contexts of the ending "-ing".
    Suffix,
    /// Altered schedules on benchmark items.
    Benchmarks,
    /// The plain model on text of another kind, observed.
    Shift,
}

impl FigureId {
    /// The passes that yield the figure's results.
    pub fn passes(self) -> &'static [Pass] {
        match self {
            Self::Stages => &[Pass::Sweep, Pass::Plain, Pass::Weights],
            Self::Robustness => &[Pass::Sweep],
            Self::Cka => &[Pass::Plain],
            Self::AttentionLocality => &[Pass::Plain],
            Self::SubwordHeads => &[Pass::Words],
            Self::Wic => &[Pass::Pairs],
            Self::LensEntropy => &[Pass::Plain],
            Self::LensKl => &[Pass::Plain, Pass::Weights],
            Self::Neurons => &[Pass::Weights],
            Self::SuffixProbe => &[Pass::Weights, Pass::Suffix],
            Self::SuffixNeurons => &[Pass::Weights],
            Self::MlpNorm => &[Pass::Plain],
            Self::SublayerRatio => &[Pass::Plain],
            Self::Repeats => &[Pass::Sweep],
            Self::Benchmarks => &[Pass::Benchmarks],
            Self::Scale => &[Pass::Sweep, Pass::Plain, Pass::Weights],
            Self::Shift => &[Pass::Plain, Pass::Shift],
        }
    }

    /// Whether its results are read from text, and not from token ids: without a tokenizer it stays empty.
    pub fn needs_tokenizer(self) -> bool {
        matches!(
            self,
            Self::SubwordHeads
                | Self::Wic
                | Self::SuffixProbe
                | Self::SuffixNeurons
                | Self::Benchmarks
        )
    }

    /// Its name on the command line and in the names of its files.
    pub fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The figure's drawings with the names of their files, from the results of one model or of several.
    pub fn drawings(self, results: &Results) -> Vec<(String, Figure)> {
        match self {
            Self::AttentionLocality => attention_locality::drawings(&results.attention_locality),
            Self::Cka => cka::drawings(&results.cka),
            Self::LensEntropy => lens_entropy::drawings(&results.lens_entropy),
            Self::LensKl => lens_kl::drawings(&results.lens_kl, &results.neurons),
            Self::MlpNorm => mlp_norm::drawings(&results.mlp_norm),
            Self::Repeats => repeats::drawings(&results.repeats),
            Self::Robustness => robustness::drawings(&results.robustness),
            Self::Shift => shift::drawings(&results.shift),
            Self::SublayerRatio => sublayer_ratio::drawings(&results.sublayer_ratio),
            Self::Stages => stages::drawings(&results.stages),
            Self::Scale => scale::drawings(&results.scale),
            Self::Benchmarks => benchmarks::drawings(&results.benchmarks),
            Self::SubwordHeads => {
                subword_heads::drawings(&results.subword_heads, &results.subword_heads_map)
            }
            Self::Wic => wic::drawings(&results.wic),
            Self::SuffixProbe => suffix_probe::drawings(&results.suffix_probe),
            Self::Neurons => neurons::drawings(&results.neurons),
            Self::SuffixNeurons => {
                suffix_neurons::drawings(&results.suffix_neurons, &results.suffix_neurons_histogram)
            }
        }
    }
}

/// Why the results of a figure could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// The file could not be opened, read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system or the CSV reader says.
        source: io::Error,
    },
    /// The first line does not name the columns of this figure's results.
    #[error("{}: line 1: expected the columns {expected}, found {found}", path.display())]
    Columns {
        /// The file.
        path: PathBuf,
        /// Columns, joined by commas.
        expected: String,
        /// Columns, joined by commas.
        found: String,
    },
    /// A field does not hold what its column is for.
    #[error("{}: line {line}: {column}: expected {expected}, found {found:?}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Line in the file, from 1.
        line: u64,
        /// Name of the column.
        column: String,
        /// What the column holds.
        expected: String,
        /// What the field holds.
        found: String,
    },
}
