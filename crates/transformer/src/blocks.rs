//! The blocks of a model: packed in memory, or in their files and read one at a time.

use crate::error::TransformerError;
use crate::linear::Linear;
use layerwise_kernels::normalization::Affine;
use std::fmt::Debug;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The weights of one block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) attn_norm: NormWeights,
    /// `None` if attention and MLP share a norm.
    pub(crate) mlp_norm: Option<NormWeights>,
    /// The norms of the sublayers' outputs.
    pub(crate) after_norms: Option<[NormWeights; 2]>,
    /// The norms of queries and of keys, \[head\], \[heads · head\].
    pub(crate) query_key_norms: Option<[NormWeights; 2]>,
    /// Queries, keys and values side by side, \[model, (heads + 2 · kv_heads) · head\].
    pub(crate) qkv: Linear,
    pub(crate) attn_out: Linear,
    /// The MLP's input projection, \[model, neurons\]; gate and up projection side by side in a gated MLP.
    pub(crate) mlp_in: Linear,
    pub(crate) mlp_out: Linear,
}

/// Gain and bias of a norm, each \[model\]; both `None` after folding.
#[derive(Clone, Debug, Default)]
pub(crate) struct NormWeights {
    pub(crate) gain: Option<Vec<f32>>,
    pub(crate) bias: Option<Vec<f32>>,
}

impl NormWeights {
    pub(crate) fn affine(&self) -> Affine<'_> {
        Affine {
            gain: self.gain.as_deref(),
            bias: self.bias.as_deref(),
        }
    }
}

/// A source of blocks.
pub(crate) trait Source: Debug + Send + Sync {
    /// The number of blocks.
    fn layers(&self) -> usize;

    /// Reads and packs a block.
    fn block(&self, index: usize) -> Result<Block, TransformerError>;
}

/// The blocks of a model.
#[derive(Clone, Debug)]
pub(crate) enum Blocks {
    Held(Vec<Block>),
    Streamed(Arc<Streamed>),
}

/// Blocks that are read and packed on request.
#[derive(Debug)]
pub(crate) struct Streamed {
    source: Box<dyn Source>,
    /// The block requested last, and its index.
    last: Mutex<Option<(usize, Arc<Block>)>>,
    /// How many times a block was read.
    read: AtomicU64,
}

impl Streamed {
    pub(crate) fn new(source: Box<dyn Source>) -> Self {
        Self {
            source,
            last: Mutex::new(None),
            read: AtomicU64::new(0),
        }
    }

    /// How many times a block was read.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// A block. It stays in memory while it is used, or until another is requested.
    ///
    /// # Panics
    /// If the files cannot be read a second time: somebody changed them, or the disk failed.
    fn get(&self, index: usize) -> Arc<Block> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((found, block)) = &*last
            && *found == index
        {
            return Arc::clone(block);
        }
        // Frees the old block's memory before the next block takes its own.
        *last = None;
        self.read.fetch_add(1, Ordering::Relaxed);
        let block = self.source.block(index).unwrap_or_else(|error| {
            panic!("the weights of a streamed block cannot be read again: {error}")
        });
        let block = Arc::new(block);
        *last = Some((index, Arc::clone(&block)));
        block
    }
}

/// A block that is in use.
pub(crate) enum InUse<'a> {
    Held(&'a Block),
    Streamed(Arc<Block>),
}

impl Deref for InUse<'_> {
    type Target = Block;

    fn deref(&self) -> &Block {
        match self {
            Self::Held(block) => block,
            Self::Streamed(block) => block,
        }
    }
}

impl Blocks {
    /// A block, read into memory if necessary.
    pub(crate) fn get(&self, index: usize) -> InUse<'_> {
        match self {
            Self::Held(blocks) => InUse::Held(&blocks[index]),
            Self::Streamed(streamed) => InUse::Streamed(streamed.get(index)),
        }
    }

    /// All blocks, which are in memory, for changing.
    pub(crate) fn held(&mut self) -> &mut Vec<Block> {
        if let Self::Streamed(streamed) = self {
            let blocks = 0..streamed.source.layers();
            let blocks = blocks.map(|index| Block::clone(&streamed.get(index)));
            *self = Self::Held(blocks.collect());
        }
        match self {
            Self::Held(blocks) => blocks,
            Self::Streamed(_) => unreachable!("they were brought into memory"),
        }
    }
}
