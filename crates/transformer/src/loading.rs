//! From a checkpoint folder to a model.

use crate::config::{
    self, Fused, Layout, Mlp, ModelConfig, Note, PlannedTensor, Position, Residual, Role,
};
use crate::error::TransformerError;
use crate::linear::{Linear, Table, as_input_output};
use crate::model::{Block, Model, NormWeights};
use layerwise_kernels::gemm::{Packed, Precision};
use layerwise_kernels::{bf16_features, cpu_features};
use layerwise_weights::{Checkpoint, Tensor};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

impl Model {
    /// Opens a checkpoint folder in the Hugging Face layout and builds its model.
    ///
    /// # Errors
    /// Files, config or tensors that cannot be accepted; the message names file, item, expected and found.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, TransformerError> {
        Self::from_checkpoint(&Checkpoint::open(folder.as_ref())?)
    }

    /// Builds the model of an opened checkpoint, in f32.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Self, TransformerError> {
        Self::from_checkpoint_in(checkpoint, Precision::F32)
    }

    /// Builds the model of an opened checkpoint, its weight matrices in a number format.
    ///
    /// Tensors are widened, exactly, and packed for products one at a time, so that the peak is the packed model plus one
    /// tensor in f32; an embedding that is not tied is kept in f32, in the mapping where it is stored as aligned F32.
    ///
    /// # Errors
    /// As [`Model::open`], and [`TransformerError::MissingInstructions`] for bf16 on a CPU without AVX512-BF16.
    pub fn from_checkpoint_in(
        checkpoint: &Checkpoint,
        precision: Precision,
    ) -> Result<Self, TransformerError> {
        if precision == Precision::Bf16 && bf16_features().is_none() {
            return Err(TransformerError::MissingInstructions {
                precision,
                expected: "avx512bf16",
                found: cpu_features(),
            });
        }
        let path = checkpoint.folder();
        let config = ModelConfig::from_json(checkpoint.config(), &path.join("config.json"))?;
        let stored: Vec<(&str, &[usize])> = checkpoint
            .names()
            .filter_map(|name| Some((name, checkpoint.info(name)?.shape)))
            .collect();
        let mut plan = config::plan(&config, stored, path)?;
        plan.notes.extend(mixed_dtypes(checkpoint, &plan.tensors));
        let tensors = Tensors {
            checkpoint,
            config: &config,
            precision,
            planned: plan
                .tensors
                .iter()
                .map(|t| ((t.role, t.layer), t))
                .collect(),
        };

        for note in &plan.notes {
            if let Note::TiedHeadPresent { name } = note {
                tensors.same_as_embedding(name)?;
            }
        }
        let positions = match config.position {
            Position::Learned => Some(Table::Checkpoint(
                tensors.read(tensors.planned[&(Role::PositionEmbedding, None)])?,
            )),
            Position::Rotary(_) => None,
        };
        let blocks = (0..config.layers)
            .map(|layer| tensors.block(layer))
            .collect::<Result<_, _>>()?;
        let final_norm = tensors.norm(Role::FinalNormGain, Role::FinalNormBias, None)?;
        let (embedding, unembedding) = tensors.ends()?;
        Ok(Self {
            embedding,
            positions,
            blocks,
            final_norm,
            unembedding,
            notes: plan.notes,
            config,
        })
    }
}

/// A note where the weights are stored in more than one element type.
fn mixed_dtypes(checkpoint: &Checkpoint, tensors: &[PlannedTensor]) -> Option<Note> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for info in tensors.iter().filter_map(|t| checkpoint.info(&t.name)) {
        *counts.entry(info.dtype.to_string()).or_default() += 1;
    }
    (counts.len() > 1).then_some(Note::MixedDtypes { counts })
}

/// The tensors of a checkpoint by the part they play.
struct Tensors<'a> {
    checkpoint: &'a Checkpoint,
    config: &'a ModelConfig,
    precision: Precision,
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

    /// The token embedding and the unembedding, which may be one; of padded rows only those of the vocabulary are used.
    fn ends(&self) -> Result<(Table, Linear), TransformerError> {
        let c = self.config;
        let embedding = self.read(self.planned[&(Role::TokenEmbedding, None)])?;
        let bias = self.vector(Role::UnembeddingBias, None)?.map(|mut bias| {
            bias.truncate(c.vocab);
            bias
        });
        let packed = |table: &Tensor| {
            let rows = &table.as_slice()[..c.vocab * c.model];
            let weight = as_input_output(rows, Layout::OutIn, c.model, c.vocab);
            Linear::new(weight, bias, self.precision)
        };
        if c.tied {
            return Ok((Table::Unembedding, packed(&embedding)));
        }
        let unembedding = self.read(self.planned[&(Role::Unembedding, None)])?;
        Ok((Table::Checkpoint(embedding), packed(&unembedding)))
    }

    /// Maps of one input, packed side by side.
    fn linear(
        &self,
        roles: &[(Role, Role, usize)],
        inputs: usize,
        layer: usize,
    ) -> Result<Linear, TransformerError> {
        let outputs = roles.iter().map(|(_, _, outputs)| outputs).sum();
        let mut packed = Packed::zeros(inputs, outputs, self.precision);
        let mut biases = Vec::new();
        let mut first = 0;
        for &(weight, bias, outputs) in roles {
            let planned = self.planned[&(weight, Some(layer))];
            let tensor = self.read(planned)?;
            let weight = as_input_output(tensor.as_slice(), planned.layout, inputs, outputs);
            packed.put(first, weight);
            first += outputs;
            biases.push(self.vector(bias, Some(layer))?);
        }
        // All maps have a bias, or none.
        let biases: Option<Vec<Vec<f32>>> = biases.into_iter().collect();
        Ok(Linear {
            weight: Arc::new(packed),
            bias: biases.map(|biases| biases.concat()),
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
        let c = self.config;
        let (query_width, key_width) = (c.heads * c.head, c.kv_heads * c.head);
        let qkv = match self.planned.get(&(Role::Qkv, Some(layer))) {
            Some(planned) => self.fused_qkv(planned, layer)?,
            None => {
                let q = (Role::Q, Role::QBias, query_width);
                let [k, v] = [
                    (Role::K, Role::KBias, key_width),
                    (Role::V, Role::VBias, key_width),
                ];
                self.linear(&[q, k, v], c.model, layer)?
            }
        };
        let up = (Role::MlpIn, Role::MlpInBias, c.neurons);
        let mlp_in = match c.mlp {
            Mlp::Plain => self.linear(&[up], c.model, layer)?,
            Mlp::Gated => self.linear(
                &[(Role::MlpGate, Role::MlpGateBias, c.neurons), up],
                c.model,
                layer,
            )?,
        };
        let two_norms = c.residual != Residual::ParallelOneNorm;
        Ok(Block {
            attn_norm: self.norm(Role::AttnNormGain, Role::AttnNormBias, Some(layer))?,
            mlp_norm: two_norms
                .then(|| self.norm(Role::MlpNormGain, Role::MlpNormBias, Some(layer)))
                .transpose()?,
            qkv,
            attn_out: self.linear(
                &[(Role::AttnOut, Role::AttnOutBias, c.model)],
                query_width,
                layer,
            )?,
            mlp_in,
            mlp_out: self.linear(
                &[(Role::MlpOut, Role::MlpOutBias, c.model)],
                c.neurons,
                layer,
            )?,
        })
    }

    /// Queries, keys and values that are stored as one tensor.
    fn fused_qkv(&self, planned: &PlannedTensor, layer: usize) -> Result<Linear, TransformerError> {
        let c = self.config;
        let outputs = (c.heads + 2 * c.kv_heads) * c.head;
        let tensor = self.read(planned)?;
        let bias = self.vector(Role::QkvBias, Some(layer))?;
        if planned.fused == Some(Fused::PerHead) {
            // Outputs come head by head, as query, key, value of each; they are put part by part.
            let weight = by_part(tensor.as_slice(), c.heads, c.head * c.model);
            let bias = bias.map(|bias| by_part(&bias, c.heads, c.head));
            return Ok(Linear::new(
                as_input_output(&weight, Layout::OutIn, c.model, outputs),
                bias,
                self.precision,
            ));
        }
        Ok(Linear::new(
            as_input_output(tensor.as_slice(), planned.layout, c.model, outputs),
            bias,
            self.precision,
        ))
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
