//! From a checkpoint folder to a model.

use crate::blocks::{Block, Blocks, NormWeights, Source, Streamed};
use crate::error::TransformerError;
use crate::linear::{Linear, Table, as_input_output};
use crate::model::Model;
use layerwise_architecture::{
    self as architecture, Fused, Layout, Mlp, ModelConfig, NormGain, Note, PlannedTensor, Role,
};
use layerwise_kernels::gemm::{Arena, Packed, Precision};
use layerwise_weights::{Checkpoint, Tensor};
use ndarray::ArrayView2;
use std::cell::RefCell;
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
        TransformerError::check_instructions(precision)?;
        let planned = Planned::new(checkpoint)?;
        let bytes = packed_bytes(&planned.config, precision);
        let read = |tensor: &PlannedTensor| Ok(checkpoint.tensor(&tensor.name)?);
        let tensors = Tensors::new(&read, &planned.config, &planned.tensors, precision, bytes);
        Self::around(&tensors, tensors.held()?, &planned.notes)
    }

    /// Builds a model in f32 of tensors that a function reads.
    pub(crate) fn of_planned(
        config: &ModelConfig,
        planned: &[PlannedTensor],
        read: &Read<'_>,
    ) -> Result<Self, TransformerError> {
        let bytes = packed_bytes(config, Precision::F32);
        let tensors = Tensors::new(read, config, planned, Precision::F32, bytes);
        Self::around(&tensors, tensors.held()?, &[])
    }

    /// Builds the model of an opened checkpoint whose blocks stay in their files: one is in memory at a time, read and packed
    /// when it is run. All of them are read once here, so that what cannot be accepted is found.
    ///
    /// The checkpoint is best opened without mapping its files, as the pages of a mapping count as memory of the program.
    /// Running a block reads it; whoever runs many sequences or schedules does well to run a block on all of them. A file that
    /// is changed in the meantime ends the program.
    ///
    /// # Errors
    /// As [`Model::from_checkpoint_in`].
    pub fn streamed(
        checkpoint: &Arc<Checkpoint>,
        precision: Precision,
    ) -> Result<Self, TransformerError> {
        TransformerError::check_instructions(precision)?;
        let planned = Arc::new(Planned::new(checkpoint)?);
        for tensor in planned.tensors.iter().filter(|t| t.layer.is_some()) {
            checkpoint.tensor(&tensor.name)?;
        }
        let ends = bytes_of_ends(&planned.config, precision);
        let read = |tensor: &PlannedTensor| Ok(checkpoint.tensor(&tensor.name)?);
        let tensors = Tensors::new(&read, &planned.config, &planned.tensors, precision, ends);
        let source = Files {
            checkpoint: Arc::clone(checkpoint),
            planned: Arc::clone(&planned),
            precision,
        };
        let blocks = Blocks::Streamed(Arc::new(Streamed::new(Box::new(source))));
        Self::around(&tensors, blocks, &planned.notes)
    }

    /// The bytes that the weights take of a model whose blocks are streamed: one block, the unembedding and the tables.
    pub fn streamed_bytes(config: &ModelConfig, precision: Precision) -> u64 {
        let tables = match config.tied {
            true => 0,
            false => config.vocab * config.embedding_width() * size_of::<f32>(),
        };
        let positions = config.learned_positions.map_or(0, |learned| {
            (learned.offset + config.context) * config.model * size_of::<f32>()
        });
        let packed = bytes_of_block(config, precision) + bytes_of_ends(config, precision);
        (packed + tables + positions) as u64
    }

    /// What stands before the blocks and after them, and the blocks.
    fn around(
        tensors: &Tensors<'_>,
        blocks: Blocks,
        notes: &[Note],
    ) -> Result<Self, TransformerError> {
        let config = tensors.config.clone();
        let positions = tensors
            .planned
            .get(&(Role::PositionEmbedding, None, None))
            .map(|planned| tensors.read(planned))
            .transpose()?
            .map(Table::Checkpoint);
        let embedding_in = tensors.projection(Role::EmbeddingIn)?;
        let embedding_out = tensors.projection(Role::EmbeddingOut)?;
        let embedding_norm = config
            .embedding_norm
            .then(|| tensors.norm(Role::EmbeddingNormGain, Role::EmbeddingNormBias, None))
            .transpose()?;
        let final_norm = tensors.norm(Role::FinalNormGain, Role::FinalNormBias, None)?;
        let (embedding, unembedding) = tensors.ends()?;
        Ok(Self {
            embedding,
            embedding_in,
            embedding_norm,
            positions,
            blocks,
            final_norm,
            embedding_out,
            unembedding,
            notes: notes.to_vec(),
            config,
        })
    }
}

/// A checkpoint's config, and what part its tensors play.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) config: ModelConfig,
    pub(crate) tensors: Vec<PlannedTensor>,
    notes: Vec<Note>,
}

impl Planned {
    pub(crate) fn new(checkpoint: &Checkpoint) -> Result<Self, TransformerError> {
        let path = checkpoint.folder();
        let config = ModelConfig::from_json(checkpoint.config(), &path.join("config.json"))?;
        let stored: Vec<(&str, &[usize])> = checkpoint
            .names()
            .filter_map(|name| Some((name, checkpoint.info(name)?.shape)))
            .collect();
        let mut plan = architecture::plan(&config, stored, path)?;
        plan.notes.extend(mixed_dtypes(checkpoint, &plan.tensors));
        let unread = architecture::unread_keys(checkpoint.config(), &path.join("config.json"))?;
        if !unread.is_empty() {
            plan.notes.push(Note::UnreadKeys { keys: unread });
        }
        for note in &plan.notes {
            if let Note::TiedHeadPresent { name } = note {
                same_as_embedding(checkpoint, &plan.tensors, name)?;
            }
        }
        Ok(Self {
            config,
            tensors: plan.tensors,
            notes: plan.notes,
        })
    }
}

/// The blocks of a checkpoint whose files stay open.
#[derive(Debug)]
struct Files {
    checkpoint: Arc<Checkpoint>,
    planned: Arc<Planned>,
    precision: Precision,
}

impl Source for Files {
    fn layers(&self) -> usize {
        self.planned.config.layers
    }

    fn block(&self, index: usize) -> Result<Block, TransformerError> {
        let Planned {
            config, tensors, ..
        } = &*self.planned;
        let bytes = bytes_of_block(config, self.precision);
        let read = |tensor: &PlannedTensor| Ok(self.checkpoint.tensor(&tensor.name)?);
        Tensors::new(&read, config, tensors, self.precision, bytes).block(index)
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

/// The bytes of the blocks' packed matrices and the unembedding: all that a token's products read.
fn packed_bytes(config: &ModelConfig, precision: Precision) -> usize {
    config.layers * bytes_of_block(config, precision) + bytes_of_ends(config, precision)
}

/// The bytes of the packed unembedding.
fn bytes_of_ends(config: &ModelConfig, precision: Precision) -> usize {
    Packed::bytes_in(config.embedding_width(), config.vocab, precision)
}

/// The bytes of one block's packed matrices.
fn bytes_of_block(config: &ModelConfig, precision: Precision) -> usize {
    let c = config;
    let bytes = |inputs, outputs| Packed::bytes_in(inputs, outputs, precision);
    let inner = match c.mlp {
        Mlp::Plain => c.neurons,
        Mlp::Gated => 2 * c.neurons,
    };
    bytes(c.model, (c.heads + 2 * c.kv_heads) * c.head)
        + bytes(c.heads * c.head, c.model)
        + bytes(c.model, inner)
        + bytes(c.neurons, c.model)
}

/// Reads a tensor, of the shape that is planned.
pub(crate) type Read<'a> = dyn Fn(&PlannedTensor) -> Result<Tensor, TransformerError> + 'a;

/// The tensors of a model by the part they play.
struct Tensors<'a> {
    read: &'a Read<'a>,
    config: &'a ModelConfig,
    precision: Precision,
    /// Of all packed matrices.
    arena: RefCell<Arena>,
    /// By role, block and row.
    planned: BTreeMap<(Role, Option<usize>, Option<usize>), &'a PlannedTensor>,
}

impl<'a> Tensors<'a> {
    /// With room for so many bytes of packed matrices.
    fn new(
        read: &'a Read<'a>,
        config: &'a ModelConfig,
        planned: &'a [PlannedTensor],
        precision: Precision,
        bytes: usize,
    ) -> Self {
        Self {
            read,
            config,
            precision,
            arena: RefCell::new(Arena::with_capacity(bytes)),
            planned: planned
                .iter()
                .map(|t| ((t.role, t.layer, t.row), t))
                .collect(),
        }
    }

    fn read(&self, planned: &PlannedTensor) -> Result<Tensor, TransformerError> {
        (self.read)(planned)
    }

    fn packed(&self, weight: ArrayView2<'_, f32>, bias: Option<Vec<f32>>) -> Linear {
        Linear::new_in(&mut self.arena.borrow_mut(), weight, bias, self.precision)
    }

    fn vector(
        &self,
        role: Role,
        layer: Option<usize>,
    ) -> Result<Option<Vec<f32>>, TransformerError> {
        let rows = (role, layer, None)..=(role, layer, Some(usize::MAX));
        let mut rows = self.planned.range(rows).peekable();
        if rows.peek().is_none() {
            return Ok(None);
        }
        let mut vector = Vec::new();
        for (_, planned) in rows {
            vector.extend_from_slice(self.read(planned)?.as_slice());
        }
        Ok(Some(vector))
    }

    /// The token embedding and the unembedding, which may be one; of padded rows only those of the vocabulary are used.
    fn ends(&self) -> Result<(Table, Linear), TransformerError> {
        let c = self.config;
        let embedding = self.read(self.planned[&(Role::TokenEmbedding, None, None)])?;
        let bias = self.vector(Role::UnembeddingBias, None)?.map(|mut bias| {
            bias.truncate(c.vocab);
            bias
        });
        let packed = |table: &Tensor| {
            let width = c.embedding_width();
            let rows = &table.as_slice()[..c.vocab * width];
            let weight = as_input_output(rows, Layout::OutIn, width, c.vocab);
            self.packed(weight, bias)
        };
        if c.tied {
            return Ok((Table::Unembedding, packed(&embedding)));
        }
        let unembedding = self.read(self.planned[&(Role::Unembedding, None, None)])?;
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
        let mut arena = self.arena.borrow_mut();
        let mut packed = Packed::zeros_in(&mut arena, inputs, outputs, self.precision);
        let mut biases = Vec::new();
        let mut first = 0;
        for &(weight, bias, outputs) in roles {
            let planned = self.planned[&(weight, Some(layer), None)];
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
        let mut gain = self.vector(gain, layer)?;
        if self.config.norm_gain == NormGain::OnePlusStored {
            gain.iter_mut().flatten().for_each(|gain| *gain += 1.0);
        }
        Ok(NormWeights {
            gain,
            bias: self.vector(bias, layer)?,
        })
    }

    /// A projection outside the blocks, if the model has it.
    fn projection(&self, role: Role) -> Result<Option<Linear>, TransformerError> {
        let Some(planned) = self.planned.get(&(role, None, None)) else {
            return Ok(None);
        };
        let tensor = self.read(planned)?;
        let [outputs, inputs] = *planned.shape.as_slice() else {
            unreachable!("the plan checked the shape");
        };
        let weight = as_input_output(tensor.as_slice(), planned.layout, inputs, outputs);
        Ok(Some(self.packed(weight, None)))
    }

    /// All blocks, in memory.
    fn held(&self) -> Result<Blocks, TransformerError> {
        let blocks = (0..self.config.layers).map(|layer| self.block(layer));
        Ok(Blocks::Held(blocks.collect::<Result<_, _>>()?))
    }

    fn block(&self, layer: usize) -> Result<Block, TransformerError> {
        let c = self.config;
        let (query_width, key_width) = (c.heads * c.head, c.kv_heads * c.head);
        let qkv = match self.planned.get(&(Role::Qkv, Some(layer), None)) {
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
        let gate_up = self.planned.get(&(Role::MlpGateUp, Some(layer), None));
        let mlp_in = match (c.mlp, gate_up) {
            (Mlp::Plain, _) => self.linear(&[up], c.model, layer)?,
            (Mlp::Gated, Some(planned)) => {
                let tensor = self.read(planned)?;
                let outputs = 2 * c.neurons;
                let weight = as_input_output(tensor.as_slice(), planned.layout, c.model, outputs);
                self.packed(weight, None)
            }
            (Mlp::Gated, None) => self.linear(
                &[(Role::MlpGate, Role::MlpGateBias, c.neurons), up],
                c.model,
                layer,
            )?,
        };
        let two_norms = c.residual != architecture::Residual::ParallelOneNorm;
        let norm = |gain, bias| self.norm(gain, bias, Some(layer));
        Ok(Block {
            attn_norm: norm(Role::AttnNormGain, Role::AttnNormBias)?,
            mlp_norm: two_norms
                .then(|| norm(Role::MlpNormGain, Role::MlpNormBias))
                .transpose()?,
            after_norms: match c.norm_place.is_after() {
                false => None,
                true => Some([
                    norm(Role::AttnAfterNormGain, Role::AttnAfterNormBias)?,
                    norm(Role::MlpAfterNormGain, Role::MlpAfterNormBias)?,
                ]),
            },
            query_key_norms: match c.query_key_norm {
                None => None,
                Some(_) => Some([
                    norm(Role::QNormGain, Role::QNormBias)?,
                    norm(Role::KNormGain, Role::KNormBias)?,
                ]),
            },
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
        if planned.fused == Some(Fused::ByGroup) {
            // Outputs come by key head, as its queries, key and value; they are put part by part.
            let sharing = c.heads / c.kv_heads;
            let weight = by_part(tensor.as_slice(), c.kv_heads, sharing, c.head * c.model);
            let bias = bias.map(|bias| by_part(&bias, c.kv_heads, sharing, c.head));
            return Ok(self.packed(
                as_input_output(&weight, Layout::OutIn, c.model, outputs),
                bias,
            ));
        }
        Ok(self.packed(
            as_input_output(tensor.as_slice(), planned.layout, c.model, outputs),
            bias,
        ))
    }
}

/// Checks that an unembedding stored beside a tied embedding holds the same values.
fn same_as_embedding(
    checkpoint: &Checkpoint,
    tensors: &[PlannedTensor],
    unembedding: &str,
) -> Result<(), TransformerError> {
    let embedding = tensors.iter().find(|it| it.role == Role::TokenEmbedding);
    let embedding = &embedding.expect("every model has one").name;
    let first = checkpoint.tensor(embedding)?;
    let second = checkpoint.tensor(unembedding)?;
    let pairs = first.as_slice().iter().zip(second.as_slice());
    match pairs.enumerate().find(|(_, (a, b))| a != b) {
        None => Ok(()),
        Some((index, _)) => Err(TransformerError::UntiedHead {
            path: checkpoint.folder().to_path_buf(),
            unembedding: unembedding.to_owned(),
            embedding: embedding.clone(),
            index,
        }),
    }
}

/// \[groups, sharing + 2, size\] to \[groups · sharing + 2 · groups, size\]: all queries, then all keys, then all values.
pub(crate) fn by_part(values: &[f32], groups: usize, sharing: usize, size: usize) -> Vec<f32> {
    let queries = (0..groups).flat_map(|group| (0..sharing).map(move |query| (group, query)));
    let keys = (0..groups).map(|group| (group, sharing));
    let values_of = (0..groups).map(|group| (group, sharing + 1));
    queries
        .chain(keys)
        .chain(values_of)
        .map(|(group, part)| (group * (sharing + 2) + part) * size)
        .flat_map(|start| values[start..start + size].iter().copied())
        .collect()
}
