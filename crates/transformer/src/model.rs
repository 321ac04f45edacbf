//! A model: a config and weights that fit it.

use crate::blocks::{Blocks, NormWeights};
use crate::linear::{Linear, Table};
use layerwise_architecture::{
    self as architecture, ModelConfig, Norm, Note, QueryKeyNorm, QueryKeyWidth,
};
use layerwise_kernels::activation;
use layerwise_kernels::gemm::{Precision, Scratch};
use layerwise_kernels::normalization::{self, Affine};
use layerwise_kernels::vocabulary::Unembedding;
use layerwise_schedule::{Residual, Schedule, Stack, Units};
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

/// A decoder-only transformer, ready to run under any [`Schedule`](layerwise_schedule::Schedule) of its [`stack`](Model::stack).
///
/// Cloning is cheap if the weights are mapped or shared.
///
/// ```
/// use layerwise_transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 0); // or Model::open("path/to/checkpoint")?
/// let logits = model.logits(&[0, 5, 3], &model.plain())?; // [seq, vocab]
/// assert_eq!(logits.dim(), (3, model.config().vocab));
/// # Ok::<(), layerwise_transformer::TransformerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) config: ModelConfig,
    /// Token vectors, \[vocab, embedding\].
    pub(crate) embedding: Table,
    /// From the embedding to the residual stream, \[embedding, model\].
    pub(crate) embedding_in: Option<Linear>,
    pub(crate) embedding_norm: Option<NormWeights>,
    /// Learned position vectors, \[offset + context, model\].
    pub(crate) positions: Option<Table>,
    pub(crate) blocks: Blocks,
    pub(crate) final_norm: NormWeights,
    /// From the final norm to the input of the unembedding, \[model, embedding\].
    pub(crate) embedding_out: Option<Linear>,
    pub(crate) unembedding: Linear,
    pub(crate) notes: Vec<Note>,
}

impl Model {
    /// The architecture.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Notes about the checkpoint that a user should read; empty for models made in code.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The shape of the block stack; schedules are made for it.
    pub fn stack(&self) -> Stack {
        let residual = match self.config.residual {
            architecture::Residual::Sequential => Residual::Sequential,
            architecture::Residual::ParallelOneNorm | architecture::Residual::ParallelTwoNorms => {
                Residual::Parallel
            }
        };
        let c = &self.config;
        let units = Units::new(c.heads, c.kv_heads, c.neurons, c.model);
        Stack::new(c.layers, residual).with_units(units.gated(c.mlp == architecture::Mlp::Gated))
    }

    /// Whether blocks are read from their files when they run, one in memory at a time.
    ///
    /// If so, run each block on all schedules and sequences before the next.
    pub fn is_streamed(&self) -> bool {
        matches!(self.blocks, Blocks::Streamed(_))
    }

    /// How many times a block was read from its file to run; 0 for a model in memory.
    pub fn blocks_read(&self) -> u64 {
        match &self.blocks {
            Blocks::Held(_) => 0,
            Blocks::Streamed(streamed) => streamed.read(),
        }
    }

    /// The plain schedule: every block once, in order.
    pub fn plain(&self) -> Schedule {
        Schedule::plain(self.stack()).expect("a model has blocks")
    }

    /// The number format of the weight matrices, and of the values multiplied with them.
    ///
    /// In both formats, the residual stream, norms, biases, attention scores and all sums are in f32.
    pub fn precision(&self) -> Precision {
        self.unembedding.weight.precision()
    }

    /// The unembedding W_U \[model, vocab\] and its bias, packed for the vocabulary pass.
    ///
    /// It applies to outputs of [`Model::final_norm`].
    pub fn unembedding(&self) -> Unembedding<'_> {
        Unembedding {
            weight: &self.unembedding.weight,
            bias: self.unembedding.bias.as_deref(),
            cap: self.config.logit_cap.map(|cap| cap as f32),
        }
    }

    /// The input of the unembedding for a residual stream \[seq, model\]: its final norm, projected to the width of the embedding
    /// and scaled if the model does so, in the number format of the unembedding; \[seq, embedding\].
    ///
    /// Rounding happens here and not inside the unembedding, so that logits are linear in the returned state.
    ///
    /// # Panics
    /// If the width is not the model's.
    pub fn final_norm(&self, residual: ArrayView2<'_, f32>) -> Array2<f32> {
        self.read_out(self.normed_last(residual))
    }

    /// The final norm's output, \[seq, model\]; if the model has no final norm, the residual stream itself.
    pub(crate) fn normed_last(&self, residual: ArrayView2<'_, f32>) -> Array2<f32> {
        if !self.config.final_norm {
            return residual.as_standard_layout().into_owned();
        }
        let mut out = Array2::zeros(residual.dim());
        self.normalize(&self.final_norm, residual, out.view_mut());
        out
    }

    /// The input of the unembedding, \[seq, embedding\], from the final norm's output: projected if the model does so, times the
    /// scale of the logits.
    pub(crate) fn read_out(&self, normed: Array2<f32>) -> Array2<f32> {
        let mut out = match &self.embedding_out {
            None => normed,
            Some(projection) => {
                let mut out = Array2::zeros((normed.nrows(), self.config.embedding_width()));
                projection.apply(normed.view(), out.view_mut(), &mut Scratch::default());
                out
            }
        };
        if self.config.logit_scale != 1.0 {
            let scale = self.config.logit_scale as f32;
            out.mapv_inplace(|value| value * scale);
        }
        if self.precision() != Precision::F32 {
            out.mapv_inplace(|value| self.precision().round(value));
        }
        out
    }

    /// Whether the unembedding reads the final norm's output directly.
    pub(crate) fn reads_norm(&self) -> bool {
        self.embedding_out.is_none() && self.config.logit_scale == 1.0
    }

    /// Logits \[seq, vocab\] from outputs of [`Model::final_norm`].
    ///
    /// # Panics
    /// If the width is not the model's.
    pub fn unembed(&self, normed: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut logits = self.uncapped_logits(normed);
        self.cap_logits(&mut logits);
        logits
    }

    /// Logits before the soft cap, \[seq, vocab\].
    pub(crate) fn uncapped_logits(&self, normed: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut logits = Array2::zeros((normed.nrows(), self.config.vocab));
        self.unembedding
            .apply(normed, logits.view_mut(), &mut Scratch::default());
        logits
    }

    /// Applies the soft cap to logits \[seq, vocab\], if the model has one.
    pub(crate) fn cap_logits(&self, logits: &mut Array2<f32>) {
        if let Some(most) = self.config.logit_cap {
            for mut row in logits.outer_iter_mut() {
                activation::cap(
                    row.as_slice_mut().expect("rows of logits are contiguous"),
                    most as f32,
                );
            }
        }
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

    /// Normalises queries or keys \[rows, heads · head\] in place.
    pub(crate) fn normalize_heads(
        &self,
        kind: QueryKeyNorm,
        weights: &NormWeights,
        mut x: ArrayViewMut2<'_, f32>,
    ) {
        let norm = match kind.norm {
            Norm::LayerNorm => normalization::layer_norm,
            Norm::RmsNorm => normalization::rms_norm,
        };
        let width = match kind.over {
            QueryKeyWidth::AllHeads => x.ncols(),
            QueryKeyWidth::Head | QueryKeyWidth::OwnHead => self.config.head,
        };
        let mut before = Array2::zeros((1, width));
        for mut row in x.outer_iter_mut() {
            let parts = row.as_slice_mut().expect("rows of heads are contiguous");
            for (h, part) in parts.chunks_exact_mut(width).enumerate() {
                let own = match kind.over {
                    QueryKeyWidth::OwnHead => h * width..(h + 1) * width,
                    QueryKeyWidth::Head | QueryKeyWidth::AllHeads => 0..width,
                };
                let affine = Affine {
                    gain: weights.gain.as_ref().map(|gain| &gain[own.clone()]),
                    bias: weights.bias.as_ref().map(|bias| &bias[own]),
                };
                before.row_mut(0).assign(&ArrayView1::from(&*part));
                let out = ArrayViewMut2::from_shape((1, width), part).expect("one row");
                norm(before.view(), affine, self.config.norm_epsilon, out);
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
