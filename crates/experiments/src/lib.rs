//! The paper's experiments, one folder each, and the code they share.
//!
//! An experiment's folder contains its records (`table.rs`), its measurement (`measure.rs`), its drawings (`figure.rs`), its
//! claims (`claims.rs`), and its description and needs (`mod.rs`). It gets a model, texts and a runner as a
//! [`Subject`](core::subject::Subject), and returns records. Drawings and claims are pure functions of tables, so a figure can
//! be redrawn from its CSV files without a model. A [`session`] runs experiments.

pub mod contents;
pub mod core;
pub mod foreword;
pub mod known_values;
pub mod results;
pub mod session;

pub mod ablation_kinds;
pub mod asr_correction;
pub mod attention_locality;
pub mod benchmarks;
pub mod block_pruning;
pub mod cka;
pub mod depth_scores;
pub mod early_exit;
pub mod heads;
pub mod lens_entropy;
pub mod lens_kl;
pub mod lexical_semantics;
pub mod locality_causal;
pub mod mlp_norm;
pub mod neurons;
pub mod painters;
pub mod patching;
pub mod repeats;
pub mod robustness;
pub mod scale;
pub mod shift;
pub mod stages;
pub mod sublayer_ratio;
pub mod sublayer_skip;
pub mod subword_heads;
pub mod suffix_neurons;
pub mod suffix_probe;
pub mod swap_distance;
pub mod translated_lens;
pub mod wic;

#[doc(hidden)]
pub use inventory;

mod registry;
pub use registry::{EXPERIMENTS, claims, experiment, judge, text_tables, with_needed};
