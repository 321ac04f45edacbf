//! The model families: for each, one table of its config keys and tensor names.
//!
//! A family is data. Adding one means one file with a `FamilyTable`, one variant of [`Family`], and their pairing
//! in `Family::table`; the tests of this module fail while a table leaves a part of the block equation without a
//! key or a tensor.

mod gpt2;
mod gpt_neox;
pub(crate) mod keys;
mod llama;
mod phi;
mod plan;
mod qwen2;
mod rotary;
mod tensors;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use serde_json::{Map, Value};

pub use self::plan::{Note, PlannedTensor, TensorPlan, plan};
pub use self::tensors::{Fused, Layout, Role};

use self::keys::KeyTable;
use self::rotary::RotaryDefaults;
use self::tensors::TensorTemplate;
use crate::config::{Activation, ConfigError, Family, Mlp, Norm, Residual};

/// Everything that is particular to one family.
pub(crate) struct FamilyTable {
    /// The value of `model_type`.
    pub(crate) model_type: &'static str,
    /// The keys of the config: read, refused unless at a given value, ignored.
    pub(crate) keys: KeyTable,
    /// The block where the config says nothing else.
    pub(crate) block: Block,
    /// Rotary settings where the config says nothing; `None` for learned positions.
    pub(crate) rotary: Option<RotaryDefaults>,
    /// Whether the unembedding is tied where the config says nothing.
    pub(crate) tied: bool,
    /// The BOS id where the config has no key for it; `None` if the family prepends nothing.
    pub(crate) bos: Option<u32>,
    /// What precedes the names of all tensors but the unembedding, in all of them or in none.
    pub(crate) prefix: &'static str,
    /// The tensors, `{}` standing for the index of the block.
    pub(crate) tensors: &'static [TensorTemplate],
    /// Names of buffers that hold no weights, with the prefix where the tensors have it.
    pub(crate) ignored_tensors: &'static [&'static str],
}

/// The switches of the block equation that a family fixes, or sets where its config is silent.
pub(crate) struct Block {
    pub(crate) norm: Norm,
    pub(crate) norm_epsilon: f64,
    pub(crate) residual: Residual,
    pub(crate) mlp: Mlp,
    pub(crate) activation: Activation,
    pub(crate) qkv_bias: bool,
    pub(crate) attention_out_bias: bool,
    pub(crate) mlp_bias: bool,
    pub(crate) unembedding_bias: bool,
}

impl Family {
    /// Every supported family.
    pub const ALL: [Self; 5] = [
        Self::Gpt2,
        Self::GptNeoX,
        Self::Phi,
        Self::Llama,
        Self::Qwen2,
    ];

    /// The name of the family, as `model_type` in a config writes it.
    pub fn model_type(self) -> &'static str {
        self.table().model_type
    }

    pub(crate) fn table(self) -> &'static FamilyTable {
        match self {
            Self::Gpt2 => &gpt2::TABLE,
            Self::GptNeoX => &gpt_neox::TABLE,
            Self::Phi => &phi::TABLE,
            Self::Llama => &llama::TABLE,
            Self::Qwen2 => &qwen2::TABLE,
        }
    }

    /// The family that the config's `model_type` names.
    pub(crate) fn of(map: &Map<String, Value>, path: &Path) -> Result<Self, ConfigError> {
        let value = map
            .get("model_type")
            .ok_or_else(|| ConfigError::MissingKey {
                path: path.into(),
                key: "model_type".into(),
            })?;
        let name = keys::text("model_type", value, path)?;
        Self::ALL
            .into_iter()
            .find(|family| family.model_type() == name)
            .ok_or_else(|| ConfigError::UnknownFamily {
                path: path.into(),
                found: keys::excerpt(value),
                supported: Self::ALL.map(Self::model_type).to_vec(),
            })
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.model_type())
    }
}
