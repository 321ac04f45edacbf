//! Logit lenses: the output distribution that the unembedding reads from an intermediate residual stream.

use crate::model::Model;
use layerwise_architecture::Norm;
use layerwise_kernels::activation;
use layerwise_kernels::comparison::{Comparison, Rescaling, compare};
use layerwise_kernels::gemm::{Scratch, Write, multiply};
use layerwise_kernels::normalization::{layer_norm_scale, rms_norm_scale};
use layerwise_kernels::vocabulary::{Summary, Unembedding};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

/// A residual stream, prepared for both lenses.
#[derive(Clone, Debug)]
pub struct LensState {
    /// The final norm's output, \[seq, model\].
    normed: Array2<f32>,
    /// The divisor of the final norm, \[seq\].
    scales: Vec<f64>,
}

/// What both lenses read from several residual streams of one sequence, \[states\]\[seq\], beside the output distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct LensComparisons {
    /// The distributions of [`Model::standard_lens`].
    pub standard: Vec<Vec<Comparison>>,
    /// The distributions of [`Model::legacy_lens`].
    pub legacy: Vec<Vec<Comparison>>,
    /// The output distributions, \[seq\].
    pub output: Vec<Summary>,
}

impl Model {
    /// The standard lens: the final norm recomputed on the state, then the unembedding; \[seq, vocab\] (paper B.8).
    ///
    /// At the last residual stream it equals the logits, bit for bit.
    ///
    /// # Panics
    /// If the width is not the model's.
    ///
    /// ```
    /// use layerwise_transformer::{Model, ModelConfig, Recording, Site};
    ///
    /// let model = Model::random(ModelConfig::tiny(), 0); // 4 blocks
    /// let mut streams = Recording::of(model.config(), &[Site::ResidPost])?;
    /// let logits = model.observed_logits(&[0, 5, 3], &model.plain(), &mut streams)?;
    /// let lens = |block| model.standard_lens(streams.matrix(Some(block), Site::ResidPost).expect("a block"));
    /// assert_ne!(lens(0), logits); // what the model would say after its first block
    /// assert_eq!(lens(3), logits);
    /// # Ok::<(), layerwise_transformer::TransformerError>(())
    /// ```
    pub fn standard_lens(&self, residual: ArrayView2<'_, f32>) -> Array2<f32> {
        self.unembed(self.final_norm(residual).view())
    }

    /// The standard lens of one position's residual stream \[model\], restricted to some tokens: their logits, which agree with
    /// [`Model::standard_lens`] within rounding. Only the columns of these tokens are read from the unembedding.
    ///
    /// # Panics
    /// If the width is not the model's, or a token is outside the vocabulary.
    pub fn lens_of_tokens(&self, stream: ArrayView1<'_, f32>, tokens: &[u32]) -> Vec<f32> {
        let read = self.final_norm(stream.insert_axis(Axis(0)));
        let Unembedding { weight, bias, cap } = self.unembedding();
        let logit = |token: &u32| {
            let token = *token as usize;
            let products = read.iter().zip(weight.column(token));
            let sum: f64 = products.map(|(x, w)| f64::from(*x) * f64::from(w)).sum();
            sum as f32 + bias.map_or(0.0, |bias| bias[token])
        };
        let mut logits: Vec<f32> = tokens.iter().map(logit).collect();
        if let Some(most) = cap {
            activation::cap(&mut logits, most);
        }
        logits
    }

    /// The lens of the paper's first versions. At each position it divides the state by the final norm's scale at the *last*
    /// residual stream, and applies the unembedding with the norm's gain folded in and without any bias; \[seq, vocab\].
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
        let mut states = residual.as_standard_layout().into_owned();
        for (mut row, last) in states.outer_iter_mut().zip(last.outer_iter()) {
            let (centre, _) = self.final_centre_and_scale(&row.to_vec());
            let (_, scale) = self.final_centre_and_scale(&last.to_vec());
            row.mapv_inplace(|value| ((f64::from(value) - centre) / scale) as f32);
            if let Some(gain) = &self.final_norm.gain {
                row.iter_mut()
                    .zip(gain)
                    .for_each(|(value, gain)| *value *= gain);
            }
        }
        let states = self.read_out(states);
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
        self.cap_logits(&mut logits);
        logits
    }

    /// Prepares a residual stream \[seq, model\] for [`Model::compare_lenses`].
    ///
    /// # Panics
    /// If the width is not the model's.
    pub fn lens_state(&self, residual: ArrayView2<'_, f32>) -> LensState {
        let scale = |row: ArrayView1<'_, f32>| self.final_centre_and_scale(&row.to_vec()).1;
        LensState {
            normed: self.final_norm(residual),
            scales: residual.outer_iter().map(scale).collect(),
        }
    }

    /// Reads residual streams of one sequence with both lenses, and compares each with the output, which is the last stream,
    /// position by position (paper B.8).
    ///
    /// Only tiles of the logits are held, and each product serves both lenses. With s(h) the divisor of the final norm at h, β
    /// its bias and b the unembedding's bias,
    ///
    /// z_legacy(h) = s(h)/s(last)·(z_standard(h) − c), where c = W_Uᵀβ + b, and a soft cap of the logits is applied last.
    ///
    /// This holds because the centred state times the gain, before β is added, differs only by its scale.
    ///
    /// `go_on` is called again and again, because many states of a long sequence take long.
    ///
    /// # Errors
    /// That of `go_on`, which ends the comparison.
    ///
    /// # Panics
    /// If there is no state, or the states differ in shape.
    ///
    /// ```
    /// use layerwise_transformer::{Model, ModelConfig, Recording, Site};
    /// use std::convert::Infallible;
    ///
    /// let model = Model::random(ModelConfig::tiny(), 0); // 4 blocks
    /// let mut streams = Recording::of(model.config(), &[Site::ResidPost])?;
    /// model.run(&[0, 5, 3], &model.plain(), &mut streams)?;
    /// let stream = |block| streams.matrix(Some(block), Site::ResidPost).expect("a block");
    /// let states = [model.lens_state(stream(0)), model.lens_state(stream(3))];
    /// let Ok(found) = model.compare_lenses(&states, || Ok::<(), Infallible>(()));
    /// // KL(output ‖ lens) at the last position, in nats.
    /// let kl = |state: usize| {
    ///     let lens = &found.standard[state][2];
    ///     lens.summary.log_sum_exp - found.output[2].log_sum_exp - lens.change_under_reference
    /// };
    /// assert!(kl(0) > 0.0 && kl(1).abs() < 1e-4);
    /// # Ok::<(), layerwise_transformer::TransformerError>(())
    /// ```
    pub fn compare_lenses<E>(
        &self,
        states: &[LensState],
        go_on: impl FnMut() -> Result<(), E>,
    ) -> Result<LensComparisons, E> {
        let last = states.last().expect("there is at least one state");
        let scales =
            Array2::from_shape_fn((states.len(), last.scales.len()), |(state, position)| {
                (states[state].scales[position] / last.scales[position]) as f32
            });
        let bias = self.final_norm.bias.as_ref().map(|bias| {
            let bias = ArrayView2::from_shape((1, bias.len()), bias).expect("one row");
            self.uncapped_logits(self.read_out(bias.to_owned()).view())
                .into_raw_vec_and_offset()
                .0
        });
        let rescaling = Rescaling {
            scales: scales.view(),
            // If the norm has no bias, c is the unembedding's bias alone.
            shift: bias.as_deref().or(self.unembedding.bias.as_deref()),
        };
        let normed: Vec<ArrayView2<'_, f32>> =
            states.iter().map(|state| state.normed.view()).collect();
        let reference = last.normed.view();
        let found = compare(reference, &normed, self.unembedding(), rescaling, go_on)?;
        Ok(LensComparisons {
            standard: found.plain,
            legacy: found.rescaled,
            output: found.reference,
        })
    }

    /// The mean that the final norm subtracts from a row \[model\] of the residual stream, and its divisor.
    fn final_centre_and_scale(&self, row: &[f32]) -> (f64, f64) {
        if !self.config.final_norm {
            return (0.0, 1.0);
        }
        let scale_of = match self.config.norm {
            Norm::LayerNorm => layer_norm_scale,
            Norm::RmsNorm => rms_norm_scale,
        };
        scale_of(row, self.config.norm_epsilon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise_architecture::ModelConfig;

    /// The logits of some tokens equal those in the whole vocabulary, including the unembedding's bias and soft cap.
    #[test]
    fn the_lens_of_tokens_is_the_standard_lens_at_them() {
        let biased = ModelConfig::tiny().with(|c| c.unembedding_bias = true);
        let capped = ModelConfig::tiny().with(|c| c.logit_cap = Some(1.5));
        for (config, seed) in [(biased, 4), (capped, 5)] {
            let model = Model::random(config, seed);
            let stream = model.run(&[3, 1, 4], &model.plain(), &mut ()).unwrap();
            let tokens = [7, 0, 31, 7];
            let found = model.lens_of_tokens(stream.row(2), &tokens);
            let whole = model.standard_lens(stream.view());
            assert_eq!(found.len(), tokens.len());
            for (token, found) in tokens.into_iter().zip(found) {
                let expected = whole[(2, token as usize)];
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{token}: {found} {expected}"
                );
            }
        }
    }
}
