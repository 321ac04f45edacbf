//! The two matrices behind a neuron's effect on the vocabulary: what neurons write, and how the unembedding reads it (paper B.1,
//! B.9 and section E, "Universal neurons").
//!
//! Both are the matrices of the model after [`Model::fold_norms`], [`Model::center_writing_weights`] (under LayerNorm) and
//! [`Model::center_unembedding`]. They are computed one at a time, so no second copy of the whole model is needed.

use crate::folding::{centred, fold};
use crate::linear::Linear;
use crate::model::Model;
use layerwise_architecture::Norm;
use ndarray::{Array2, Axis};

impl Model {
    /// From the final norm's output to logits before the scale and soft cap, \[model, vocab\].
    fn whole_unembedding(&self) -> Linear {
        match &self.embedding_out {
            None => self.unembedding.clone(),
            Some(projection) => {
                let projection = projection.weight.unpack();
                let weight = projection.dot(&self.unembedding.weight.unpack());
                Linear::new(
                    weight.view(),
                    self.unembedding.bias.clone(),
                    self.precision(),
                )
            }
        }
    }

    /// W_U \[model, vocab\] as applied to a normalised state: the final norm's gain is folded in, under LayerNorm it is centred
    /// over the residual width, and it is centred over the vocabulary.
    ///
    /// The product of a column and a neuron's output is what the neuron adds to the token's logit, before the final norm's scale.
    pub fn folded_unembedding(&self) -> Array2<f32> {
        let mut unembedding = self.whole_unembedding();
        fold(
            &mut unembedding,
            &self.final_norm,
            self.config.norm == Norm::LayerNorm,
        );
        centred(unembedding.weight.unpack(), Axis(1))
    }

    /// What each neuron of a block writes to the residual stream per unit of activation, \[neurons, model\]: the rows of the
    /// MLP's output projection (in a gated MLP, the down projection), centred over the residual width under LayerNorm. If a norm
    /// follows the MLP, the rows are multiplied by its gain; the model also divides them by the size of the MLP's output.
    ///
    /// # Panics
    /// If the model has no such block.
    ///
    /// ```
    /// use layerwise_transformer::{Model, ModelConfig};
    ///
    /// let model = Model::random(ModelConfig::tiny(), 0); // 64 neurons, 50 tokens
    /// // What each neuron of block 3 adds to each logit, per unit of activation and before the final norm's scale.
    /// let effects = model.neuron_outputs(3).dot(&model.folded_unembedding());
    /// assert_eq!(effects.dim(), (64, 50));
    /// ```
    pub fn neuron_outputs(&self, block: usize) -> Array2<f32> {
        let block = self.blocks.get(block);
        let mut outputs = block.mlp_out.weight.unpack();
        if let Some([_, norm]) = &block.after_norms
            && let Some(gain) = &norm.gain
        {
            for mut row in outputs.outer_iter_mut() {
                row.iter_mut()
                    .zip(gain)
                    .for_each(|(value, gain)| *value *= gain);
            }
        }
        match self.config.norm {
            Norm::LayerNorm => centred(outputs, Axis(1)),
            Norm::RmsNorm => outputs,
        }
    }
}
