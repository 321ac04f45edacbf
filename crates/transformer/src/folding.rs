//! Changes of weights that leave the model's function unchanged (paper B.1 and section E).
//!
//! They matter for quantities read off weights (the effect of a neuron on the vocabulary), for norms, and for lenses.
//! Sums are in f64. The results are new matrices, so changed weights no longer share the checkpoint's mapping.
//! Matrices keep their number format: in bf16 the changes are exact except for rounding the results.

use crate::blocks::NormWeights;
use crate::error::TransformerError;
use crate::linear::{Linear, Table};
use crate::model::Model;
use layerwise_architecture::{Norm, NormPlace};
use ndarray::{Array2, Axis};
use std::sync::Arc;

impl Model {
    /// Moves the gain and bias of every norm whose output enters a product into that product: W_eff = diag(γ)·W, b_eff = b + Wᵀβ.
    ///
    /// Under LayerNorm the effective weights are then centred over the residual width. This changes nothing, because a normalised
    /// state has mean zero. A tied unembedding becomes a separate matrix. Logits do not change.
    /// The norms of sublayer outputs, of queries and keys and of the embedding stay as they are, because no product follows them.
    ///
    /// ```
    /// use layerwise_transformer::{Model, ModelConfig};
    ///
    /// let model = Model::random(ModelConfig::tiny(), 0);
    /// let logits = model.logits(&[0, 5, 3], &model.plain())?;
    /// let folded = model.fold_norms().logits(&[0, 5, 3], &model.plain())?;
    /// assert!((folded - logits).iter().all(|off| off.abs() < 1e-3));
    /// # Ok::<(), layerwise_transformer::TransformerError>(())
    /// ```
    pub fn fold_norms(&self) -> Self {
        let mut model = self.clone();
        let centre = self.config.norm == Norm::LayerNorm;
        model.embedding = self.untied_embedding();
        if self.config.norm_place.is_before() {
            for block in model.blocks.held() {
                fold(&mut block.qkv, &block.attn_norm, centre);
                let mlp_norm = block.mlp_norm.as_ref().unwrap_or(&block.attn_norm);
                fold(&mut block.mlp_in, mlp_norm, centre);
                block.attn_norm = NormWeights::default();
                block
                    .mlp_norm
                    .iter_mut()
                    .for_each(|norm| *norm = NormWeights::default());
            }
        }
        if self.config.final_norm {
            let mut norm = std::mem::take(&mut model.final_norm);
            match &mut model.embedding_out {
                Some(projection) => fold(projection, &norm, centre),
                None => {
                    // Logits are scaled before the unembedding's bias is added, so the norm bias's share of it needs the same
                    // scale.
                    let scale = self.config.logit_scale as f32;
                    norm.bias.iter_mut().flatten().for_each(|b| *b *= scale);
                    fold(&mut model.unembedding, &norm, centre);
                }
            }
        }
        model
    }

    /// Removes its mean over the residual width from everything that writes to the residual stream.
    ///
    /// LayerNorm subtracts that mean anyway, so logits do not change.
    ///
    /// # Errors
    /// The model has RMSNorm, which does not subtract the mean, or something other than a LayerNorm reads the stream.
    pub fn center_writing_weights(&self) -> Result<Self, TransformerError> {
        let transformation = "centring the writing weights";
        let refused = |reason| {
            Err(TransformerError::NotExact {
                transformation,
                reason,
            })
        };
        if self.config.norm_place != NormPlace::Before || !self.config.final_norm {
            return refused("its sublayers read the residual stream itself");
        }
        if self.config.embedding_norm {
            return refused("a norm with a gain writes its embedding");
        }
        if self.config.norm != Norm::LayerNorm {
            return Err(TransformerError::NeedsLayerNorm { transformation });
        }
        let mut model = self.clone();
        match &mut model.embedding_in {
            Some(projection) => {
                *projection = Linear::new(
                    centred(projection.weight.unpack(), Axis(1)).view(),
                    None,
                    projection.weight.precision(),
                );
            }
            None => model.embedding = self.centred_table(&self.embedding, self.config.vocab),
        }
        model.positions = self
            .positions
            .as_ref()
            .map(|table| self.centred_table(table, self.position_rows()));
        for block in model.blocks.held() {
            for linear in [&mut block.attn_out, &mut block.mlp_out] {
                *linear = Linear::new(
                    centred(linear.weight.unpack(), Axis(1)).view(),
                    linear.bias.clone().map(centred_bias),
                    linear.weight.precision(),
                );
            }
        }
        Ok(model)
    }

    /// Removes from each row of W_U, which belongs to a residual direction, its mean over the vocabulary; likewise from the bias.
    ///
    /// All logits of a position shift by the same amount, so probabilities do not change.
    ///
    /// # Errors
    /// The model caps its logits: a soft cap is not invariant under a shift.
    ///
    /// ```
    /// use layerwise_transformer::{Model, ModelConfig};
    ///
    /// let model = Model::random(ModelConfig::tiny(), 0).center_unembedding()?;
    /// let logits = model.logits(&[0, 5, 3], &model.plain())?;
    /// assert!(logits.outer_iter().all(|row| row.sum().abs() < 1e-3)); // the mean logit is 0
    /// # Ok::<(), layerwise_transformer::TransformerError>(())
    /// ```
    pub fn center_unembedding(&self) -> Result<Self, TransformerError> {
        if self.config.logit_cap.is_some() {
            return Err(TransformerError::NotExact {
                transformation: "centring the unembedding",
                reason: "a soft cap follows its logits, and is not invariant under a shift",
            });
        }
        let mut model = self.clone();
        model.embedding = self.untied_embedding();
        model.unembedding = Linear::new(
            centred(self.unembedding.weight.unpack(), Axis(1)).view(),
            self.unembedding.bias.clone().map(centred_bias),
            self.precision(),
        );
        Ok(model)
    }

    /// The number of rows of the table of learned positions.
    fn position_rows(&self) -> usize {
        let offset = self
            .config
            .learned_positions
            .map_or(0, |learned| learned.offset);
        offset + self.config.context
    }

    /// The embedding as a separate table, for when the unembedding is about to change.
    fn untied_embedding(&self) -> Table {
        match &self.embedding {
            Table::Unembedding => {
                Table::Made(Arc::new(self.table(&self.embedding, self.config.vocab)))
            }
            own => own.clone(),
        }
    }

    fn centred_table(&self, table: &Table, entries: usize) -> Table {
        Table::Made(Arc::new(centred(self.table(table, entries), Axis(1))))
    }

    /// A table's values, \[entries, model\].
    fn table(&self, table: &Table, entries: usize) -> Array2<f32> {
        let width = match table {
            Table::Checkpoint(tensor) => tensor.shape()[1],
            Table::Made(values) => values.ncols(),
            Table::Unembedding => self.config.embedding_width(),
        };
        let mut values = Array2::zeros((entries, width));
        for (entry, row) in values.outer_iter_mut().enumerate() {
            self.add_entry(table, entry, row);
        }
        values
    }
}

/// The matrix minus its mean along an axis.
pub(crate) fn centred(matrix: Array2<f32>, axis: Axis) -> Array2<f32> {
    let values = matrix.mapv(f64::from);
    let means = values
        .mean_axis(axis)
        .expect("weight matrices are not empty")
        .insert_axis(axis);
    (&values - &means).mapv(|value| value as f32)
}

fn centred_bias(bias: Vec<f32>) -> Vec<f32> {
    let mean = bias.iter().copied().map(f64::from).sum::<f64>() / bias.len() as f64;
    bias.into_iter()
        .map(|b| (f64::from(b) - mean) as f32)
        .collect()
}

pub(crate) fn fold(linear: &mut Linear, norm: &NormWeights, centre: bool) {
    let mut weight = linear.weight.unpack().mapv(f64::from);
    if let Some(beta) = &norm.bias {
        let bias = linear.bias.get_or_insert_with(|| vec![0.0; weight.ncols()]);
        for (bias, column) in bias.iter_mut().zip(weight.columns()) {
            let moved: f64 = column
                .iter()
                .zip(beta)
                .map(|(w, beta)| w * f64::from(*beta))
                .sum();
            *bias = (f64::from(*bias) + moved) as f32;
        }
    }
    if let Some(gain) = &norm.gain {
        for (mut row, gain) in weight.outer_iter_mut().zip(gain) {
            row *= f64::from(*gain);
        }
    }
    if centre {
        let means = weight
            .mean_axis(Axis(0))
            .expect("weight matrices are not empty");
        weight -= &means;
    }
    *linear = Linear::new(
        weight.mapv(|value| value as f32).view(),
        linear.bias.take(),
        linear.weight.precision(),
    );
}
