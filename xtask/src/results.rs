//! The results of all figures: one table for each kind of line.

use crate::figures::table::{self, Record};
use crate::figures::{FigureId, ResultsError};
use crate::figures::{
    attention_locality, benchmarks, cka, lens_entropy, lens_kl, mlp_norm, neurons, repeats,
    robustness, scale, shift, stages, sublayer_ratio, subword_heads, suffix_neurons, suffix_probe,
    wic,
};
use std::path::Path;

macro_rules! results {
    ($($(#[$about:meta])* $field:ident: $record:ty, $file:literal, $figure:ident;)*) => {
        /// The recorded results of one model, or of several.
        #[derive(Clone, Debug, Default)]
        pub struct Results {
            $($(#[$about])* pub $field: Vec<$record>,)*
        }

        impl Results {
            /// Adds the results of another model.
            pub fn extend(&mut self, other: Self) {
                $(self.$field.extend(other.$field);)*
            }

            /// The tables of a figure as CSV, each with the name of its file.
            ///
            /// # Errors
            /// None that memory gives; the type is that of the writer.
            pub fn tables(&self, figure: FigureId) -> std::io::Result<Vec<(&'static str, Vec<u8>)>> {
                let mut tables = Vec::new();
                $(if figure == FigureId::$figure {
                    let mut bytes = Vec::new();
                    table::write(&self.$field, &mut bytes)?;
                    tables.push((concat!($file, ".csv"), bytes));
                })*
                Ok(tables)
            }

            /// Reads the tables of a figure from the folder that they were written to, in place of what is here.
            ///
            /// # Errors
            /// As [`table::read`].
            pub fn read(&mut self, figure: FigureId, folder: &Path) -> Result<(), ResultsError> {
                $(if figure == FigureId::$figure {
                    self.$field = table::read(&folder.join(concat!($file, ".csv")))?;
                })*
                Ok(())
            }

            /// The results of one model alone.
            pub fn of_model(&self, model: &str) -> Self {
                Self {
                    $($field: self.$field.iter().filter(|r| Record::model(*r) == model).cloned().collect(),)*
                }
            }
        }
    };
}

results! {
    /// See [`robustness`].
    robustness: robustness::Record, "robustness", Robustness;
    /// See [`robustness`].
    robustness_collapse: robustness::Collapse, "robustness-collapse", Robustness;
    /// See [`cka`].
    cka: cka::Record, "cka", Cka;
    /// See [`attention_locality`].
    attention_locality: attention_locality::Record, "attention-locality", AttentionLocality;
    /// See [`subword_heads`].
    subword_heads: subword_heads::Record, "subword-heads", SubwordHeads;
    /// See [`subword_heads`].
    subword_heads_map: subword_heads::Cell, "subword-heads-map", SubwordHeads;
    /// See [`wic`].
    wic: wic::Record, "wic", Wic;
    /// See [`lens_entropy`].
    lens_entropy: lens_entropy::Record, "lens-entropy", LensEntropy;
    /// See [`lens_kl`].
    lens_kl: lens_kl::Record, "lens-kl", LensKl;
    /// See [`neurons`].
    neurons: neurons::Record, "neurons", Neurons;
    /// See [`suffix_probe`].
    suffix_probe: suffix_probe::Record, "suffix-probe", SuffixProbe;
    /// See [`suffix_neurons`].
    suffix_neurons: suffix_neurons::Record, "suffix-neurons", SuffixNeurons;
    /// See [`suffix_neurons`].
    suffix_neurons_histogram: suffix_neurons::Bin, "suffix-neurons-histogram", SuffixNeurons;
    /// See [`mlp_norm`].
    mlp_norm: mlp_norm::Record, "mlp-norm", MlpNorm;
    /// See [`sublayer_ratio`].
    sublayer_ratio: sublayer_ratio::Record, "sublayer-ratio", SublayerRatio;
    /// See [`repeats`].
    repeats: repeats::Record, "repeats", Repeats;
    /// See [`benchmarks`].
    benchmarks: benchmarks::Record, "benchmarks", Benchmarks;
    /// See [`shift`].
    shift: shift::Record, "shift", Shift;
    /// See [`stages`].
    stages: stages::Record, "stages", Stages;
    /// See [`scale`].
    scale: scale::Record, "scale", Scale;
}
