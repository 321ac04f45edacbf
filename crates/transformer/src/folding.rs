//! Exact changes of weights that leave the model's function alone (paper B.1 and section E).
//!
//! They matter for what is read off weights (the effect of a neuron on the vocabulary), for norms, and for lenses.
//! Sums are in f64; the results are new matrices, so the changed weights no longer share the checkpoint's mapping.

use crate::config::Norm;
use crate::error::TransformerError;
use crate::linear::{Linear, Matrix};
use crate::model::{Block, Model, NormWeights};
use ndarray::{Array2, Axis};

impl Model {
    /// Moves every norm's gain and bias into the weights that read it: W_eff = diag(γ)·W and b_eff = b + Wᵀβ.
    ///
    /// Under LayerNorm the effective weights are then centred over the residual width, which changes nothing because a
    /// normalised state has mean zero. A tied unembedding becomes a matrix of its own. Logits do not change.
    pub fn fold_norms(&self) -> Self {
        let mut model = self.clone();
        let centre = self.config.norm == Norm::LayerNorm;
        for block in &mut model.blocks {
            let Block {
                attn_norm,
                mlp_norm,
                q,
                k,
                v,
                gate,
                up,
                ..
            } = block;
            for linear in [q, k, v] {
                fold(linear, attn_norm, centre);
            }
            for linear in gate.iter_mut().chain([up]) {
                fold(linear, mlp_norm.as_ref().unwrap_or(attn_norm), centre);
            }
            *attn_norm = NormWeights::default();
            if let Some(norm) = mlp_norm {
                *norm = NormWeights::default();
            }
        }
        fold(&mut model.unembedding, &model.final_norm, centre);
        model.final_norm = NormWeights::default();
        model
    }

    /// Removes, from everything that writes to the residual stream, its mean over the residual width.
    ///
    /// LayerNorm subtracts that mean anyway, so logits do not change.
    ///
    /// # Errors
    /// A model with RMSNorm, which does not subtract it.
    pub fn center_writing_weights(&self) -> Result<Self, TransformerError> {
        if self.config.norm != Norm::LayerNorm {
            return Err(TransformerError::NeedsLayerNorm {
                transformation: "centring the writing weights",
            });
        }
        let mut model = self.clone();
        // Embeddings are stored as [model, vocab]: their residual axis is the input axis.
        model.embedding = Matrix::made(centred(&self.embedding, Axis(0)));
        model.positions = self
            .positions
            .as_ref()
            .map(|p| Matrix::made(centred(p, Axis(0))));
        for block in &mut model.blocks {
            for linear in [&mut block.attn_out, &mut block.down] {
                linear.weight = Matrix::made(centred(&linear.weight, Axis(1)));
                linear.bias.iter_mut().for_each(centre_bias);
            }
        }
        Ok(model)
    }

    /// Removes from each residual direction's row of W_U its mean over the vocabulary, and from the unembedding's bias its mean.
    ///
    /// Every logit of a position moves by the same amount, so probabilities do not change.
    pub fn center_unembedding(&self) -> Self {
        let mut model = self.clone();
        model.unembedding.weight = Matrix::made(centred(&self.unembedding.weight, Axis(1)));
        model.unembedding.bias.iter_mut().for_each(centre_bias);
        model
    }
}

/// The matrix less its mean along an axis.
fn centred(matrix: &Matrix, axis: Axis) -> Array2<f32> {
    let values = matrix.view().mapv(f64::from);
    let means = values
        .mean_axis(axis)
        .expect("weight matrices are not empty")
        .insert_axis(axis);
    (&values - &means).mapv(|value| value as f32)
}

fn centre_bias(bias: &mut Vec<f32>) {
    let mean = bias.iter().copied().map(f64::from).sum::<f64>() / bias.len() as f64;
    bias.iter_mut()
        .for_each(|b| *b = (f64::from(*b) - mean) as f32);
}

fn fold(linear: &mut Linear, norm: &NormWeights, centre: bool) {
    let mut weight = linear.weight.view().mapv(f64::from);
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
    linear.weight = Matrix::made(weight.mapv(|value| value as f32));
}
