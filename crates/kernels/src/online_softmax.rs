//! The online softmax: statistics of softmax(z) from a row of logits z that arrives in pieces.
//!
//! Sums are relative to the largest logit so far, and are rescaled when a larger one arrives (Milakov and Gimelshein 2018,
//! "Online normalizer calculation for softmax").

/// The number of most probable tokens that are kept.
pub const TOP: usize = 5;

/// Sums over the logits of one distribution q = softmax(z).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// log Σ_v e^{z_v}, nats.
    pub log_sum_exp: f64,
    /// Σ_v q_v·z_v, nats. The entropy is `log_sum_exp − mean_logit`.
    pub mean_logit: f64,
    /// The token with the largest logit, the first of `top`.
    pub argmax: u32,
    /// The tokens with the largest logits, in descending order; equal logits are ordered by id. `u32::MAX` fills up a smaller
    /// vocabulary.
    pub top: [u32; TOP],
    /// The logit of the target token, for positions that have one.
    pub target_logit: Option<f32>,
}

/// The largest logits so far in descending order, with their tokens.
#[derive(Clone, Copy)]
struct Largest {
    logits: [f32; TOP],
    tokens: [u32; TOP],
}

impl Largest {
    /// Inserts a logit at its place, after equal ones.
    fn insert(&mut self, logit: f32, token: u32) {
        let place = self.logits.iter().position(|own| logit > *own);
        let Some(place) = place else { return };
        self.logits.copy_within(place..TOP - 1, place + 1);
        self.tokens.copy_within(place..TOP - 1, place + 1);
        (self.logits[place], self.tokens[place]) = (logit, token);
    }
}

/// The sums over the logits seen so far.
#[derive(Clone, Copy)]
pub(crate) struct OnlineSoftmax {
    maximum: f32,
    largest: Largest,
    /// Σ e^{z − maximum}.
    sum: f64,
    /// Σ (z − maximum)·e^{z − maximum}.
    weighted: f64,
}

impl Default for OnlineSoftmax {
    fn default() -> Self {
        Self {
            maximum: f32::NEG_INFINITY,
            largest: Largest {
                logits: [f32::NEG_INFINITY; TOP],
                tokens: [u32::MAX; TOP],
            },
            sum: 0.0,
            weighted: 0.0,
        }
    }
}

impl OnlineSoftmax {
    /// The largest logit so far; −∞ before the first.
    pub(crate) fn maximum(&self) -> f32 {
        self.maximum
    }

    /// Σ e^{z − maximum} so far.
    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }

    /// Adds the logits that are among the largest so far; `top` is the largest of them, and `first` is the index of the first.
    pub(crate) fn rank(&mut self, top: f32, logits: &[f32], first: usize) {
        // Few pieces of a row contain one of its largest logits.
        if top > self.largest.logits[TOP - 1] {
            for (index, logit) in logits.iter().enumerate() {
                self.largest.insert(*logit, (first + index) as u32);
            }
        }
    }

    /// Raises the maximum to `top`, and rescales the sums.
    ///
    /// Returns e^{old maximum − top}, by which the caller rescales its own sums relative to the maximum; `None` if there were no
    /// logits before.
    pub(crate) fn raise(&mut self, top: f32) -> Option<f64> {
        // With d = maximum − top, Σ(z − m)e^{z − m} becomes e^d·(Σ(z − m)e^{z − m} + d·Σe^{z − m}).
        let factor = (self.sum > 0.0).then(|| {
            let d = f64::from(self.maximum) - f64::from(top);
            self.weighted = d.exp() * (self.weighted + d * self.sum);
            self.sum *= d.exp();
            d.exp()
        });
        self.maximum = top;
        factor
    }

    /// Adds sums that are relative to the maximum.
    pub(crate) fn add(&mut self, sum: f64, weighted: f64) {
        self.sum += sum;
        self.weighted += weighted;
    }

    /// Adds sums that are relative to `top`, and returns e^{top − maximum}, the factor between the two.
    pub(crate) fn add_relative_to(&mut self, top: f32, sum: f64, weighted: f64) -> f64 {
        let d = f64::from(top) - f64::from(self.maximum);
        self.add(d.exp() * sum, d.exp() * (weighted + d * sum));
        d.exp()
    }

    /// The distribution, once all logits have been added. NaN logits make its sums NaN.
    pub(crate) fn summary(&self, target_logit: Option<f32>) -> Summary {
        let maximum = f64::from(self.maximum);
        Summary {
            log_sum_exp: maximum + self.sum.ln(),
            mean_logit: maximum + self.weighted / self.sum,
            argmax: self.largest.tokens[0],
            top: self.largest.tokens,
            target_logit,
        }
    }
}
