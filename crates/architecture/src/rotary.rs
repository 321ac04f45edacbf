//! Rotary positions: which dimensions of a head turn, and how fast.

/// Rotary positions: which dimensions of a head turn, and how fast.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Rotary {
    /// Number of leading dimensions of each head that are rotated; even, from 2 to `head`.
    pub size: usize,
    /// The base of the geometric series of wavelengths.
    pub theta: f64,
    /// The change of the frequencies for a longer context.
    pub scaling: RopeScaling,
}

/// A change of the rotary frequencies that stretches a model to a longer context.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum RopeScaling {
    /// The frequencies as trained.
    None,
    /// Every frequency divided by `factor`.
    Linear {
        /// At least 1.
        factor: f64,
    },
    /// Llama 3.1: low frequencies divided by `factor`, high ones kept, those between interpolated.
    Llama3 {
        /// At least 1.
        factor: f64,
        /// Wavelengths above `original_context / low_freq_factor` tokens are stretched in full.
        low_freq_factor: f64,
        /// Wavelengths below `original_context / high_freq_factor` tokens are kept; above `low_freq_factor`.
        high_freq_factor: f64,
        /// Context length before the stretch, in tokens.
        original_context: usize,
    },
}

impl Rotary {
    /// Turns the first `size` dimensions of each head, at the frequencies as trained.
    pub fn new(size: usize, theta: f64) -> Self {
        Self {
            size,
            theta,
            scaling: RopeScaling::None,
        }
    }

    /// With a change of the frequencies.
    #[must_use]
    pub fn scaled(self, scaling: RopeScaling) -> Self {
        Self { scaling, ..self }
    }

    /// The angle per token of each rotated pair, `[size / 2]`, in radians.
    ///
    /// `theta^(-2i / size)` for pair `i`, changed as [`RopeScaling`] says.
    /// The formulas are those of `modeling_rope_utils.py` in Hugging Face transformers, in `f64`.
    pub fn inverse_frequencies(&self) -> Vec<f64> {
        (0..self.size / 2)
            .map(|pair| {
                let frequency = self.theta.powf(-2.0 * pair as f64 / self.size as f64);
                match self.scaling {
                    RopeScaling::None => frequency,
                    RopeScaling::Linear { factor } => frequency / factor,
                    RopeScaling::Llama3 {
                        factor,
                        low_freq_factor,
                        high_freq_factor,
                        original_context,
                    } => {
                        let turns = original_context as f64 * frequency / std::f64::consts::TAU;
                        // The weight of the unscaled frequency: 0 for long wavelengths, 1 for short ones.
                        let kept = ((turns - low_freq_factor)
                            / (high_freq_factor - low_freq_factor))
                            .clamp(0.0, 1.0);
                        (1.0 - kept) * frequency / factor + kept * frequency
                    }
                }
            })
            .collect()
    }
}
