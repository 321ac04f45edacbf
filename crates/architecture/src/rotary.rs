//! Rotary positions: which dimensions of a head rotate, and how fast.

/// Rotary positions: which dimensions of a head rotate, and how fast.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Rotary {
    /// The number of leading dimensions of each head that are rotated, from 1 to `head`. If it is odd, one more is rotated, at the
    /// frequencies of the odd number, as in GPT-NeoX; then it is below `head`.
    pub size: usize,
    /// The base of the geometric series of wavelengths.
    pub theta: f64,
    /// Which dimensions form pairs.
    pub pairs: Pairs,
    /// The change of the frequencies for a longer context.
    pub scaling: RopeScaling,
}

/// Which dimensions form pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    /// `i` and `i + rotated / 2`.
    Halves,
    /// `2i` and `2i + 1`.
    Neighbours,
}

/// A change of the rotary frequencies that extends a model to a longer context.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RopeScaling {
    /// The frequencies as trained.
    None,
    /// Every frequency divided by `factor`.
    Linear {
        /// At least 1.
        factor: f64,
    },
    /// Llama 3.1: low frequencies are divided by `factor`, high ones kept, and those in between interpolated.
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
    /// YaRN: like Llama 3.1, with a ramp over pairs instead of wavelengths, and with scaled queries and keys.
    Yarn {
        /// At least 1.
        factor: f64,
        /// Pairs with more rotations than this over the original context are kept.
        beta_fast: f64,
        /// Pairs with fewer rotations than this over the original context are stretched in full.
        beta_slow: f64,
        /// Context length before the stretch, in tokens.
        original_context: usize,
        /// Whether the ends of the ramp are rounded to whole pairs.
        truncate: bool,
        /// The factor of queries and keys.
        amplitude: f64,
    },
    /// LongRoPE: each frequency is divided by its own factor, from one list for short sequences and another for long ones.
    LongRope {
        /// For sequences of at most `original_context` tokens, `[rotated / 2]`.
        short: Vec<f64>,
        /// For longer sequences, `[rotated / 2]`.
        long: Vec<f64>,
        /// Context length before the stretch, in tokens.
        original_context: usize,
        /// The factor of queries and keys.
        amplitude: f64,
    },
}

impl Rotary {
    /// Rotates the first `size` dimensions of each head, at the frequencies of training.
    pub fn new(size: usize, theta: f64) -> Self {
        Self {
            size,
            theta,
            pairs: Pairs::Halves,
            scaling: RopeScaling::None,
        }
    }

    /// Sets a change of the frequencies.
    #[must_use]
    pub fn scaled(self, scaling: RopeScaling) -> Self {
        Self { scaling, ..self }
    }

    /// Sets which dimensions form pairs.
    #[must_use]
    pub fn pairing(self, pairs: Pairs) -> Self {
        Self { pairs, ..self }
    }

    /// The number of leading dimensions of each head that change: `size`, or one more if it is odd.
    pub fn rotated(&self) -> usize {
        self.size.next_multiple_of(2)
    }

    /// The angle per token of each rotated pair in sequences of `seq` tokens, `[rotated / 2]`, in radians.
    ///
    /// `theta^(-2i / size)` for pair `i`, changed by the [`RopeScaling`].
    /// The formulas are those of `modeling_rope_utils.py` in Hugging Face transformers, in `f64`.
    ///
    /// ```
    /// use layerwise_architecture::{RopeScaling, Rotary};
    ///
    /// let trained = Rotary::new(4, 10_000.0).inverse_frequencies(512); // two pairs, radians per token
    /// assert!((trained[0] - 1.0).abs() < 1e-12 && (trained[1] - 0.01).abs() < 1e-12);
    /// let stretched = Rotary::new(4, 10_000.0).scaled(RopeScaling::Linear { factor: 2.0 });
    /// assert!((stretched.inverse_frequencies(512)[0] - 0.5).abs() < 1e-12);
    /// ```
    pub fn inverse_frequencies(&self, seq: usize) -> Vec<f64> {
        (0..self.rotated() / 2)
            .map(|pair| {
                let frequency = self.theta.powf(-2.0 * pair as f64 / self.size as f64);
                match &self.scaling {
                    RopeScaling::None => frequency,
                    RopeScaling::Linear { factor } => frequency / factor,
                    RopeScaling::Llama3 {
                        factor,
                        low_freq_factor,
                        high_freq_factor,
                        original_context,
                    } => {
                        let turns = *original_context as f64 * frequency / std::f64::consts::TAU;
                        // The weight of the unscaled frequency: 0 for long wavelengths, 1 for short ones.
                        let kept = ((turns - low_freq_factor)
                            / (high_freq_factor - low_freq_factor))
                            .clamp(0.0, 1.0);
                        (1.0 - kept) * frequency / factor + kept * frequency
                    }
                    RopeScaling::Yarn {
                        factor,
                        beta_fast,
                        beta_slow,
                        original_context,
                        truncate,
                        ..
                    } => {
                        let context = *original_context as f64;
                        let mut first = self.pair_that_turns(*beta_fast, context);
                        let mut last = self.pair_that_turns(*beta_slow, context);
                        if *truncate {
                            (first, last) = (first.floor(), last.ceil());
                        }
                        let first = first.max(0.0);
                        let mut last = last.min(self.size as f64 - 1.0);
                        if first == last {
                            last += 0.001;
                        }
                        let stretched = ((pair as f64 - first) / (last - first)).clamp(0.0, 1.0);
                        frequency / factor * stretched + frequency * (1.0 - stretched)
                    }
                    RopeScaling::LongRope {
                        short,
                        long,
                        original_context,
                        ..
                    } => {
                        let factors = if seq > *original_context { long } else { short };
                        frequency / factors[pair]
                    }
                }
            })
            .collect()
    }

    /// The pair, as a real number, with `turns` rotations over `context` tokens.
    fn pair_that_turns(&self, turns: f64, context: f64) -> f64 {
        self.size as f64 * (context / (turns * std::f64::consts::TAU)).ln()
            / (2.0 * self.theta.ln())
    }

    /// The factor of rotated queries and keys.
    pub fn amplitude(&self) -> f64 {
        match self.scaling {
            RopeScaling::Yarn { amplitude, .. } | RopeScaling::LongRope { amplitude, .. } => {
                amplitude
            }
            _ => 1.0,
        }
    }

    /// The longest sequence that uses the frequencies of short sequences, if they depend on the length.
    pub fn changes_beyond(&self) -> Option<usize> {
        match self.scaling {
            RopeScaling::LongRope {
                original_context, ..
            } => Some(original_context),
            _ => None,
        }
    }
}
