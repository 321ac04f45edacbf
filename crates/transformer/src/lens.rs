//! Logit lenses: the output distribution that an intermediate residual stream would give.

use crate::config::Norm;
use crate::model::Model;
use layerwise_kernels::Write;
use layerwise_kernels::normalization::{layer_norm_scale, rms_norm_scale};
use layerwise_kernels::packed::{Scratch, multiply};
use ndarray::{Array2, ArrayView2};

impl Model {
    /// The standard lens: the final norm recomputed on the state, then the unembedding; \[seq, vocab\] (paper B.8).
    ///
    /// At the last residual stream it equals the logits, bit for bit.
    ///
    /// # Panics
    /// If the width is not the model's.
    pub fn standard_lens(&self, residual: ArrayView2<'_, f32>) -> Array2<f32> {
        self.unembed(self.final_norm(residual).view())
    }

    /// The lens of the paper's first versions: the state divided by the scale that the final norm has at the *last* residual
    /// stream, position by position, then the unembedding with the norm's gain folded in, without any bias; \[seq, vocab\].
    ///
    /// Early states are much smaller than the last, so it makes early distributions look almost uniform (paper 0.3 and B.8).
    ///
    /// # Panics
    /// If the shapes differ or the width is not the model's.
    pub fn legacy_lens(
        &self,
        residual: ArrayView2<'_, f32>,
        last: ArrayView2<'_, f32>,
    ) -> Array2<f32> {
        assert_eq!(
            residual.dim(),
            last.dim(),
            "the state and the last state of one sequence"
        );
        let scale_of = match self.config.norm {
            Norm::LayerNorm => layer_norm_scale,
            Norm::RmsNorm => rms_norm_scale,
        };
        let epsilon = self.config.norm_epsilon;
        let mut states = residual.as_standard_layout().into_owned();
        for (mut row, last) in states.outer_iter_mut().zip(last.outer_iter()) {
            let (centre, _) = scale_of(&row.to_vec(), epsilon);
            let (_, scale) = scale_of(&last.to_vec(), epsilon);
            row.mapv_inplace(|value| ((f64::from(value) - centre) / scale) as f32);
            if let Some(gain) = &self.final_norm.gain {
                row.iter_mut()
                    .zip(gain)
                    .for_each(|(value, gain)| *value *= gain);
            }
        }
        let mut logits = Array2::zeros((states.nrows(), self.config.vocab));
        let weight = &self.unembedding.weight;
        multiply(
            states.view(),
            weight,
            0..weight.outputs(),
            logits.view_mut(),
            Write::Replace,
            &mut Scratch::default(),
        );
        logits
    }
}
