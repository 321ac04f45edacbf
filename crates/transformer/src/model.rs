//! A model: config and weights, checked against each other.

use crate::config::{self, ModelConfig, Norm, Note};
use crate::linear::{Linear, Table};
use layerwise_kernels::gemm::{Precision, Scratch};
use layerwise_kernels::normalization::{self, Affine};
use layerwise_kernels::vocabulary::Unembedding;
use layerwise_schedule::{Residual, Stack};
use ndarray::{Array2, ArrayView2, ArrayViewMut1, ArrayViewMut2};

/// A decoder-only transformer, ready to run under any [`Schedule`](layerwise_schedule::Schedule) of its [`stack`](Model::stack).
///
/// Cloning is cheap where weights are mapped or shared.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) config: ModelConfig,
    /// Vectors of tokens, \[vocab, model\].
    pub(crate) embedding: Table,
    /// Learned vectors of positions, \[context, model\].
    pub(crate) positions: Option<Table>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) final_norm: NormWeights,
    pub(crate) unembedding: Linear,
    pub(crate) notes: Vec<Note>,
}

/// The weights of one block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) attn_norm: NormWeights,
    /// `None` where attention and MLP share a norm.
    pub(crate) mlp_norm: Option<NormWeights>,
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
    fn affine(&self) -> Affine<'_> {
        Affine {
            gain: self.gain.as_deref(),
            bias: self.bias.as_deref(),
        }
    }
}

impl Model {
    /// The architecture.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// What was worth saying about the checkpoint; empty for models made in code.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The shape of the block stack, which schedules are made for.
    pub fn stack(&self) -> Stack {
        let residual = match self.config.residual {
            config::Residual::Sequential => Residual::Sequential,
            config::Residual::ParallelOneNorm | config::Residual::ParallelTwoNorms => {
                Residual::Parallel
            }
        };
        Stack {
            layers: self.config.layers,
            residual,
        }
    }

    /// The number format of the weight matrices, and of what is multiplied with them.
    ///
    /// The residual stream, norms, biases, attention scores and all sums are in f32 in either.
    pub fn precision(&self) -> Precision {
        self.unembedding.weight.precision()
    }

    /// The unembedding W_U \[model, vocab\] and its bias, as the vocabulary pass reads them.
    ///
    /// It applies to outputs of [`Model::final_norm`].
    pub fn unembedding(&self) -> Unembedding<'_> {
        Unembedding {
            weight: &self.unembedding.weight,
            bias: self.unembedding.bias.as_deref(),
        }
    }

    /// The final norm of a residual stream, \[seq, model\], in the number format that the unembedding reads.
    ///
    /// Rounding here, and not as the unembedding reads, makes logits linear in what is returned.
    ///
    /// # Panics
    /// If the width is not the model's.
    pub fn final_norm(&self, residual: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut out = Array2::zeros(residual.dim());
        self.normalize(&self.final_norm, residual, out.view_mut());
        if self.precision() != Precision::F32 {
            out.mapv_inplace(|value| self.precision().round(value));
        }
        out
    }

    /// Logits \[seq, vocab\] of final-norm outputs \[seq, model\].
    ///
    /// # Panics
    /// If the width is not the model's.
    pub fn unembed(&self, normed: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut logits = Array2::zeros((normed.nrows(), self.config.vocab));
        self.unembedding
            .apply(normed, logits.view_mut(), &mut Scratch::default());
        logits
    }

    /// Adds an entry of a table to a row of the residual stream, \[model\].
    pub(crate) fn add_entry(&self, table: &Table, entry: usize, mut row: ArrayViewMut1<'_, f32>) {
        let width = row.len();
        match table {
            Table::Checkpoint(tensor) => {
                let values = &tensor.as_slice()[entry * width..(entry + 1) * width];
                row.iter_mut()
                    .zip(values)
                    .for_each(|(row, value)| *row += value);
            }
            Table::Made(array) => row += &array.row(entry),
            Table::Unembedding => {
                let column = self.unembedding.weight.column(entry);
                row.iter_mut()
                    .zip(column)
                    .for_each(|(row, value)| *row += value);
            }
        }
    }

    pub(crate) fn normalize(
        &self,
        weights: &NormWeights,
        x: ArrayView2<'_, f32>,
        out: ArrayViewMut2<'_, f32>,
    ) {
        let norm = match self.config.norm {
            Norm::LayerNorm => normalization::layer_norm,
            Norm::RmsNorm => normalization::rms_norm,
        };
        norm(x, weights.affine(), self.config.norm_epsilon, out);
    }
}
