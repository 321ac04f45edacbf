//! Decoder-only transformers as data: the sizes and switches of the block equation and, for each model family, its config keys
//! and tensor names.
//!
//! There are three layers, each of which knows only those before it:
//!
//! 1. plain types: [`ModelConfig`] with its enums, [`Rotary`], [`Role`];
//! 2. one table per family: its config keys with their defaults, and its tensors' names;
//! 3. the readers: [`ModelConfig::from_json`] of a `config.json`, and [`plan`] of a checkpoint's tensors.
//!
//! Nothing here computes with tensors or opens a file.

mod config;
mod error;
mod family;
mod per_layer;
mod plan;
mod reader;
mod rotary;
mod tables;
mod tensors;
mod tiny;

pub use config::{
    Activation, Alibi, Attention, Bos, LearnedPositions, Mlp, ModelConfig, Norm, NormGain,
    NormPlace, QueryKeyNorm, QueryKeyWidth, Residual,
};
pub use error::ConfigError;
pub use family::Family;
pub use per_layer::PerLayer;
pub use plan::{Note, PlannedTensor, TensorPlan, plan, unfused};
pub use reader::unread_keys;
pub use rotary::{Pairs, RopeScaling, Rotary};
pub use tables::{covers, left_out};
pub use tensors::{Fused, Layout, Role};
