//! From a checkpoint folder to a model.

use crate::config::{Mlp, ModelConfig, Position, Residual};
use crate::error::TransformerError;
use crate::family::{self, Fused, Layout, Note, PlannedTensor, Role};
use crate::linear::{Linear, Matrix, Storage};
use crate::model::{Block, Model, NormWeights};
use layerwise_weights::{Checkpoint, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

impl Model {
    /// Opens a checkpoint folder in the Hugging Face layout and builds its model.
    ///
    /// # Errors
    /// Files, config or tensors that cannot be accepted; the message names file, item, expected and found.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, TransformerError> {
        Self::from_checkpoint(&Checkpoint::open(folder.as_ref())?)
    }

    /// Builds the model of an opened checkpoint.
    ///
    /// Weights stored as aligned F32 stay in the mapping; others are widened, exactly, one tensor at a time.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Self, TransformerError> {
        let path = checkpoint.folder();
        let config = ModelConfig::from_json(checkpoint.config(), &path.join("config.json"))?;
        let stored: Vec<(&str, &[usize])> = checkpoint
            .names()
            .filter_map(|name| Some((name, checkpoint.info(name)?.shape)))
            .collect();
        let plan = family::plan(&config, stored, path)?;
        let tensors = Tensors {
            checkpoint,
            config: &config,
            planned: plan
                .tensors
                .iter()
                .map(|t| ((t.role, t.layer), t))
                .collect(),
        };

        let embedding = tensors.matrix(Role::TokenEmbedding, None)?;
        let positions = match config.position {
            Position::Learned => Some(tensors.matrix(Role::PositionEmbedding, None)?),
            Position::Rotary(_) => None,
        };
        let blocks = (0..config.layers)
            .map(|layer| tensors.block(layer))
            .collect::<Result<_, _>>()?;
        let final_norm = tensors.norm(Role::FinalNormGain, Role::FinalNormBias, None)?;
        for note in &plan.notes {
            if let Note::TiedHeadPresent { name } = note {
                tensors.same_as_embedding(name)?;
            }
        }
        let weight = if config.tied {
            embedding.clone()
        } else {
            tensors.matrix(Role::Unembedding, None)?
        };
        let bias = tensors
            .vector(Role::UnembeddingBias, None)?
            .map(|mut bias| {
                bias.truncate(config.vocab);
                bias
            });
        Ok(Self {
            embedding,
            positions,
            blocks,
            final_norm,
            unembedding: Linear { weight, bias },
            notes: plan.notes,
            config,
        })
    }
}

/// The tensors of a checkpoint by the part they play.
struct Tensors<'a> {
    checkpoint: &'a Checkpoint,
    config: &'a ModelConfig,
    planned: BTreeMap<(Role, Option<usize>), &'a PlannedTensor>,
}

impl Tensors<'_> {
    fn read(&self, planned: &PlannedTensor) -> Result<Tensor, TransformerError> {
        Ok(self.checkpoint.tensor(&planned.name)?)
    }

    fn vector(
        &self,
        role: Role,
        layer: Option<usize>,
    ) -> Result<Option<Vec<f32>>, TransformerError> {
        let planned = self.planned.get(&(role, layer));
        planned
            .map(|planned| Ok(self.read(planned)?.as_slice().to_vec()))
            .transpose()
    }

    /// The matrix of a role that every model with such a config has; a padded vocabulary is cut to `vocab`.
    fn matrix(&self, role: Role, layer: Option<usize>) -> Result<Matrix, TransformerError> {
        let planned = self.planned[&(role, layer)];
        let storage = Storage::Checkpoint(self.read(planned)?);
        let (stored_outputs, inputs) = match (planned.layout, planned.shape.as_slice()) {
            (Layout::OutIn, &[outputs, inputs]) => (outputs, inputs),
            (Layout::InOut, &[inputs, outputs]) => (outputs, inputs),
            (_, shape) => unreachable!("the plan gives matrices two dimensions, not {shape:?}"),
        };
        let outputs = match role {
            Role::TokenEmbedding | Role::Unembedding => self.config.vocab,
            _ => stored_outputs,
        };
        Ok(Matrix::window(
            storage,
            planned.layout,
            inputs,
            stored_outputs,
            0,
            outputs,
        ))
    }

    fn linear(&self, weight: Role, bias: Role, layer: usize) -> Result<Linear, TransformerError> {
        Ok(Linear {
            weight: self.matrix(weight, Some(layer))?,
            bias: self.vector(bias, Some(layer))?,
        })
    }

    fn norm(
        &self,
        gain: Role,
        bias: Role,
        layer: Option<usize>,
    ) -> Result<NormWeights, TransformerError> {
        Ok(NormWeights {
            gain: self.vector(gain, layer)?,
            bias: self.vector(bias, layer)?,
        })
    }

    fn block(&self, layer: usize) -> Result<Block, TransformerError> {
        let [q, k, v] = match self.planned.get(&(Role::Qkv, Some(layer))) {
            Some(planned) => self.split_qkv(planned, layer)?,
            None => [
                self.linear(Role::Q, Role::QBias, layer)?,
                self.linear(Role::K, Role::KBias, layer)?,
                self.linear(Role::V, Role::VBias, layer)?,
            ],
        };
        let gated = self.config.mlp == Mlp::Gated;
        let two_norms = self.config.residual != Residual::ParallelOneNorm;
        Ok(Block {
            attn_norm: self.norm(Role::AttnNormGain, Role::AttnNormBias, Some(layer))?,
            mlp_norm: two_norms
                .then(|| self.norm(Role::MlpNormGain, Role::MlpNormBias, Some(layer)))
                .transpose()?,
            q,
            k,
            v,
            attn_out: self.linear(Role::AttnOut, Role::AttnOutBias, layer)?,
            gate: gated
                .then(|| self.linear(Role::MlpGate, Role::MlpGateBias, layer))
                .transpose()?,
            up: self.linear(Role::MlpIn, Role::MlpInBias, layer)?,
            down: self.linear(Role::MlpOut, Role::MlpOutBias, layer)?,
        })
    }

    /// Queries, keys and values out of one fused tensor.
    fn split_qkv(
        &self,
        planned: &PlannedTensor,
        layer: usize,
    ) -> Result<[Linear; 3], TransformerError> {
        let c = self.config;
        let widths = [c.heads * c.head, c.kv_heads * c.head, c.kv_heads * c.head];
        let all = widths.iter().sum();
        let mut storage = Storage::Checkpoint(self.read(planned)?);
        let mut bias = self.vector(Role::QkvBias, Some(layer))?;
        if planned.fused == Some(Fused::PerHead) {
            // Rows come head by head, as query, key, value of each; they are put in the order of `Stacked`.
            storage = by_part(storage.as_slice(), c.heads, c.head * c.model).into();
            bias = bias.map(|bias| by_part(&bias, c.heads, c.head));
        }
        let mut first = 0;
        Ok(widths.map(|width| {
            let linear = Linear {
                weight: Matrix::window(storage.clone(), planned.layout, c.model, all, first, width),
                bias: bias
                    .as_ref()
                    .map(|bias| bias[first..first + width].to_vec()),
            };
            first += width;
            linear
        }))
    }

    /// Checks that an unembedding stored beside a tied embedding holds the same values.
    fn same_as_embedding(&self, unembedding: &str) -> Result<(), TransformerError> {
        let embedding = &self.planned[&(Role::TokenEmbedding, None)].name;
        let first = self.checkpoint.tensor(embedding)?;
        let second = self.checkpoint.tensor(unembedding)?;
        let pairs = first.as_slice().iter().zip(second.as_slice());
        match pairs.enumerate().find(|(_, (a, b))| a != b) {
            None => Ok(()),
            Some((index, _)) => Err(TransformerError::UntiedHead {
                path: self.checkpoint.folder().to_path_buf(),
                unembedding: unembedding.to_owned(),
                embedding: embedding.clone(),
                index,
            }),
        }
    }
}

/// \[heads, 3, size\] to \[3, heads, size\].
fn by_part(values: &[f32], heads: usize, size: usize) -> Vec<f32> {
    (0..3)
        .flat_map(|part| (0..heads).map(move |head| (head * 3 + part) * size))
        .flat_map(|start| values[start..start + size].iter().copied())
        .collect()
}
