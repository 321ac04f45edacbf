//! Builds a model from a checkpoint folder.

use crate::blocks::{Block, Blocks, NormWeights, Source, Streamed};
use crate::error::TransformerError;
use crate::linear::{Linear, Table, as_input_output, by_part};
use crate::model::Model;
use layerwise_architecture::{
    self as architecture, Fused, Layout, Mlp, ModelConfig, NormGain, Note, PlannedTensor, Role,
};
use layerwise_kernels::cpu_features;
use layerwise_kernels::gemm::{Arena, Bytes, LAYOUT, Packed, Precision};
use layerwise_weights::{Checkpoint, PackCache, Packs, Tensor, WeightsError};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

impl Model {
    /// Opens a checkpoint folder in the Hugging Face layout and builds its model.
    ///
    /// # Errors
    /// Files, config or tensors are refused; the message names the file, the item, and what was expected and found.
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

    /// Builds the model of an opened checkpoint, with its weight matrices in a number format.
    ///
    /// Tensors are widened exactly and packed for products one at a time, so the peak memory is the packed model plus one tensor
    /// in f32. An embedding that is not tied stays in f32; if it is stored as aligned F32, it stays in the mapping.
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

    /// As [`Model::from_checkpoint_in`], but with a cache of packed weights, whose files are named by the hashes of the
    /// checkpoint's files. Weights found there are mapped: they are not read from the checkpoint, checked or packed again.
    /// Weights not found there are added.
    ///
    /// Both ways give a model with the same bits. Tables of vectors that enter no product, norms and biases always come from the
    /// checkpoint. Weights that cause a warning are not cached, so that the warning appears each time.
    ///
    /// # Errors
    /// As [`Model::from_checkpoint_in`]. A cache that cannot be used is ignored.
    pub fn from_checkpoint_or_packs(
        checkpoint: &Checkpoint,
        precision: Precision,
        cache: &PackCache,
    ) -> Result<(Self, Packing), TransformerError> {
        TransformerError::check_instructions(precision)?;
        let fixed = [
            "1",
            env!("CARGO_PKG_VERSION"),
            LAYOUT,
            precision.name(),
            cpu_features(),
            match cfg!(target_endian = "little") {
                true => "little-endian",
                false => "big-endian",
            },
        ];
        let hashed = || -> Result<Vec<String>, WeightsError> {
            let hashes = checkpoint.files().map(|file| cache.sha256(file));
            hashes.map(|hash| Ok(hash?)).collect()
        };
        let hashes = hashed()?;
        let of: Vec<&str> = fixed
            .into_iter()
            .chain(hashes.iter().map(String::as_str))
            .collect();
        let planned = Planned::new(checkpoint)?;
        let read = |tensor: &PlannedTensor| Ok(checkpoint.tensor(&tensor.name)?);
        let mut unusable = None;
        let damage = match cache.open(&of) {
            Ok(None) => None,
            Err(damage) if damage.is_of_packs() => Some(damage),
            Err(error) => {
                unusable = Some(error);
                None
            }
            Ok(Some(packs)) => {
                let packs = Matrices::kept(packs);
                let tensors =
                    Tensors::of(&read, &planned.config, &planned.tensors, precision, packs);
                match tensors
                    .held()
                    .and_then(|held| Self::around(&tensors, held, &planned.notes))
                {
                    Ok(model) => return Ok((model, Packing::Found)),
                    Err(TransformerError::Weights(damage @ WeightsError::PackShape { .. })) => {
                        Some(damage)
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let bytes = packed_bytes(&planned.config, precision);
        let tensors = Tensors::new(&read, &planned.config, &planned.tensors, precision, bytes);
        let model = Self::around(&tensors, tensors.held()?, &planned.notes)?;
        if !checkpoint.warnings().is_empty() {
            return Ok((model, Packing::Doubtful));
        }
        if let Some(error) = unusable {
            return Ok((model, Packing::Unkept { error }));
        }
        // If somebody wrote the files meanwhile, the weights do not belong to the hashes.
        if hashed()? != hashes {
            return Ok((model, Packing::Changed));
        }
        let made = tensors.made.into_inner();
        let parts: Vec<&[u8]> = made.iter().map(|packed| packed.as_bytes()).collect();
        let packing = match cache.keep(&of, &parts) {
            Ok(path) => Packing::Made { path, damage },
            Err(error) => Packing::Unkept { error },
        };
        Ok((model, packing))
    }

    /// Builds a model in f32 from tensors that a function reads.
    pub(crate) fn of_planned(
        config: &ModelConfig,
        planned: &[PlannedTensor],
        read: &Read<'_>,
    ) -> Result<Self, TransformerError> {
        let bytes = packed_bytes(config, Precision::F32);
        let tensors = Tensors::new(read, config, planned, Precision::F32, bytes);
        Self::around(&tensors, tensors.held()?, &[])
    }

    /// Builds the model of an opened checkpoint whose blocks stay in their files. One block is in memory at a time; it is read
    /// and packed when it runs. All blocks are read once here, so that errors in them are found before a run.
    ///
    /// Open the checkpoint without mapping its files, because the pages of a mapping count as memory of the program. Each run of
    /// a block reads it, so run a block on all sequences and schedules before the next. If a file changes in the meantime, the
    /// program panics.
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
            room: Arc::new(Mutex::new(Arena::with_capacity(bytes_of_block(
                &planned.config,
                precision,
            )))),
        };
        let blocks = Blocks::Streamed(Arc::new(Streamed::new(Box::new(source))));
        Self::around(&tensors, blocks, &planned.notes)
    }

    /// The bytes of the weights of a streamed model: one block, the unembedding and the tables.
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

    /// The weights before and after the blocks, and the blocks.
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

/// What happened to a cache of packed weights.
#[derive(Debug)]
#[non_exhaustive]
pub enum Packing {
    /// The weights were found in it.
    Found,
    /// The weights were added to it.
    Made {
        /// The file.
        path: PathBuf,
        /// What was wrong with an existing file that was replaced, if anything.
        damage: Option<WeightsError>,
    },
    /// The weights caused a warning, so they were not added.
    Doubtful,
    /// A file of the checkpoint was written while it was read, so the weights were not added.
    Changed,
    /// The weights could not be added.
    Unkept {
        /// Why not.
        error: WeightsError,
    },
}

/// A checkpoint's config, and the roles of its tensors.
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
    /// The room for one block's packed matrices, which blocks take in turn: a system takes longer to provide memory than to read
    /// a block that it has in its page cache.
    room: Arc<Mutex<Arena>>,
}

impl Source for Files {
    fn layers(&self) -> usize {
        self.planned.config.layers
    }

    fn block(&self, index: usize) -> Result<Block, TransformerError> {
        let Planned {
            config, tensors, ..
        } = &*self.planned;
        lock(&self.room).restart();
        let matrices = Matrices::Packing(Arc::clone(&self.room));
        let read = |tensor: &PlannedTensor| Ok(self.checkpoint.tensor(&tensor.name)?);
        Tensors::of(&read, config, tensors, self.precision, matrices).block(index)
    }
}

/// A note if the weights are stored in more than one element type.
fn mixed_dtypes(checkpoint: &Checkpoint, tensors: &[PlannedTensor]) -> Option<Note> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for info in tensors.iter().filter_map(|t| checkpoint.info(&t.name)) {
        *counts.entry(info.dtype.to_string()).or_default() += 1;
    }
    (counts.len() > 1).then_some(Note::MixedDtypes { counts })
}

/// The bytes of the blocks' packed matrices and the unembedding: everything that the products of one token read.
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

/// Reads a tensor of the planned shape.
pub(crate) type Read<'a> = dyn Fn(&PlannedTensor) -> Result<Tensor, TransformerError> + 'a;

/// The tensors of a model by role.
struct Tensors<'a> {
    read: &'a Read<'a>,
    config: &'a ModelConfig,
    precision: Precision,
    matrices: Matrices,
    /// All packed matrices so far, in the order of the cache.
    made: RefCell<Vec<Arc<Packed>>>,
    /// By role, block and row.
    planned: BTreeMap<(Role, Option<usize>, Option<usize>), &'a PlannedTensor>,
}

fn lock(room: &Mutex<Arena>) -> MutexGuard<'_, Arena> {
    room.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The source of packed matrices.
enum Matrices {
    /// They are packed here, into one allocation.
    Packing(Arc<Mutex<Arena>>),
    /// They were packed earlier, and are taken in order.
    Kept {
        path: PathBuf,
        bytes: Bytes,
        parts: Vec<Range<usize>>,
        next: Cell<usize>,
    },
}

impl Matrices {
    fn kept(packs: Packs) -> Self {
        Self::Kept {
            path: packs.path().to_owned(),
            parts: packs.parts().to_vec(),
            bytes: Arc::new(packs),
            next: Cell::new(0),
        }
    }
}

impl<'a> Tensors<'a> {
    /// Reserves room for `bytes` bytes of packed matrices.
    fn new(
        read: &'a Read<'a>,
        config: &'a ModelConfig,
        planned: &'a [PlannedTensor],
        precision: Precision,
        bytes: usize,
    ) -> Self {
        let arena = Arc::new(Mutex::new(Arena::with_capacity(bytes)));
        Self::of(read, config, planned, precision, Matrices::Packing(arena))
    }

    fn of(
        read: &'a Read<'a>,
        config: &'a ModelConfig,
        planned: &'a [PlannedTensor],
        precision: Precision,
        matrices: Matrices,
    ) -> Self {
        Self {
            read,
            config,
            precision,
            matrices,
            made: RefCell::default(),
            planned: planned
                .iter()
                .map(|t| ((t.role, t.layer, t.row), t))
                .collect(),
        }
    }

    fn read(&self, planned: &PlannedTensor) -> Result<Tensor, TransformerError> {
        (self.read)(planned)
    }

    /// A packed matrix \[inputs, outputs\]; `fill` fills it unless it is cached.
    fn matrix(
        &self,
        [inputs, outputs]: [usize; 2],
        fill: impl FnOnce(&mut Packed) -> Result<(), TransformerError>,
    ) -> Result<Arc<Packed>, TransformerError> {
        let packed = match &self.matrices {
            Matrices::Packing(arena) => {
                let mut packed =
                    Packed::zeros_in(&mut lock(arena), inputs, outputs, self.precision);
                fill(&mut packed)?;
                packed
            }
            Matrices::Kept {
                path,
                bytes,
                parts,
                next,
            } => {
                let part = next.replace(next.get() + 1);
                let range = parts.get(part).cloned();
                let shape = [inputs, outputs];
                range
                    .and_then(|range| Packed::of_bytes(bytes, range, shape, self.precision))
                    .ok_or_else(|| WeightsError::PackShape {
                        path: path.clone(),
                        part,
                    })?
            }
        };
        let packed = Arc::new(packed);
        self.made.borrow_mut().push(Arc::clone(&packed));
        Ok(packed)
    }

    /// A tensor as a packed matrix.
    fn stored(
        &self,
        planned: &PlannedTensor,
        [inputs, outputs]: [usize; 2],
    ) -> Result<Arc<Packed>, TransformerError> {
        self.matrix([inputs, outputs], |packed| {
            let tensor = self.read(planned)?;
            // Of padded rows, only those of the vocabulary are used.
            let values = &tensor.as_slice()[..inputs * outputs];
            packed.put(0, as_input_output(values, planned.layout, inputs, outputs));
            Ok(())
        })
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

    /// The token embedding and the unembedding, which may be tied; of padded rows, only those of the vocabulary are used.
    fn ends(&self) -> Result<(Table, Linear), TransformerError> {
        let c = self.config;
        let embedding = self.planned[&(Role::TokenEmbedding, None, None)];
        let bias = self.vector(Role::UnembeddingBias, None)?.map(|mut bias| {
            bias.truncate(c.vocab);
            bias
        });
        let shape = [c.embedding_width(), c.vocab];
        let (table, weight) = match c.tied {
            true => (Table::Unembedding, self.stored(embedding, shape)?),
            false => {
                let unembedding = self.planned[&(Role::Unembedding, None, None)];
                let table = Table::Checkpoint(self.read(embedding)?);
                (table, self.stored(unembedding, shape)?)
            }
        };
        Ok((table, Linear { weight, bias }))
    }

    /// Several linear maps of the same input, packed side by side.
    fn linear(
        &self,
        roles: &[(Role, Role, usize)],
        inputs: usize,
        layer: usize,
    ) -> Result<Linear, TransformerError> {
        let outputs = roles.iter().map(|(_, _, outputs)| outputs).sum();
        let weight = self.matrix([inputs, outputs], |packed| {
            let mut first = 0;
            for &(weight, _, outputs) in roles {
                let planned = self.planned[&(weight, Some(layer), None)];
                let tensor = self.read(planned)?;
                let weight = as_input_output(tensor.as_slice(), planned.layout, inputs, outputs);
                packed.put(first, weight);
                first += outputs;
            }
            Ok(())
        })?;
        let biases = roles
            .iter()
            .map(|(_, bias, _)| self.vector(*bias, Some(layer)));
        // Either all of the maps have a bias, or none.
        let biases: Option<Vec<Vec<f32>>> = biases.collect::<Result<_, _>>()?;
        Ok(Linear {
            weight,
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
        let [outputs, inputs] = *planned.shape.as_slice() else {
            unreachable!("the plan checked the shape");
        };
        let weight = self.stored(planned, [inputs, outputs])?;
        Ok(Some(Linear { weight, bias: None }))
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
                let weight = self.stored(planned, [c.model, 2 * c.neurons])?;
                Linear { weight, bias: None }
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

    /// Queries, keys and values stored as one tensor.
    fn fused_qkv(&self, planned: &PlannedTensor, layer: usize) -> Result<Linear, TransformerError> {
        let c = self.config;
        let shape = [c.model, (c.heads + 2 * c.kv_heads) * c.head];
        let bias = self.vector(Role::QkvBias, Some(layer))?;
        if planned.fused != Some(Fused::ByGroup) {
            let weight = self.stored(planned, shape)?;
            return Ok(Linear { weight, bias });
        }
        // Outputs are grouped by KV head, each group with its queries, key and value; each part is stored where it belongs.
        let sharing = c.heads / c.kv_heads;
        let weight = self.matrix(shape, |packed| {
            let tensor = self.read(planned)?;
            let weight = by_part(tensor.as_slice(), c.kv_heads, sharing, c.head * c.model);
            let [inputs, outputs] = shape;
            packed.put(0, as_input_output(&weight, Layout::OutIn, inputs, outputs));
            Ok(())
        })?;
        let bias = bias.map(|bias| by_part(&bias, c.kv_heads, sharing, c.head));
        Ok(Linear { weight, bias })
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
