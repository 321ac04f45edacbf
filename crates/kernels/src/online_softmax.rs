//! The online softmax: what softmax(z) amounts to, from a row of logits z that is seen in pieces.
//!
//! Sums are kept relative to the largest logit so far, and rescaled when a larger one comes (Milakov and Gimelshein 2018,
//! "Online normalizer calculation for softmax").

/// How many of the most probable tokens are kept.
pub const TOP: usize = 5;

/// One distribution q = softmax(z), in sums over its logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// log Σ_v e^{z_v}, nats.
    pub log_sum_exp: f64,
    /// Σ_v q_v·z_v, nats. The entropy is `log_sum_exp − mean_logit`.
    pub mean_logit: f64,
    /// The token with the largest logit, the first of `top`.
    pub argmax: u32,
    /// The tokens with the largest logits, in their order; of equal ones the lowest ids. `u32::MAX` where there are fewer tokens.
    pub top: [u32; TOP],
    /// The logit of the target token, for positions that have one.
    pub target_logit: Option<f32>,
}

/// The largest logits so far, in their order, with their tokens.
#[derive(Clone, Copy)]
struct Largest {
    logits: [f32; TOP],
    tokens: [u32; TOP],
}

impl Largest {
    /// Puts a logit in its place, behind those that are as large.
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

    /// Takes up those of some logits that are among the largest so far; the largest of them is `top`, and the first has the
    /// index `first`.
    pub(crate) fn rank(&mut self, top: f32, logits: &[f32], first: usize) {
        // Few pieces of a row have one of its largest logits.
        if top > self.largest.logits[TOP - 1] {
            for (index, logit) in logits.iter().enumerate() {
                self.largest.insert(*logit, (first + index) as u32);
            }
        }
    }

    /// Raises the maximum to `top`, and rescales the sums.
    ///
    /// Gives e^{old maximum − top}, by which the caller rescales sums of its own that are relative to the maximum; `None` if
    /// there are no logits before these.
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

    /// Adds sums that are relative to `top`, and gives e^{top − maximum}, the factor between the two.
    pub(crate) fn add_relative_to(&mut self, top: f32, sum: f64, weighted: f64) -> f64 {
        let d = f64::from(top) - f64::from(self.maximum);
        self.add(d.exp() * sum, d.exp() * (weighted + d * sum));
        d.exp()
    }

    /// The distribution, if these were all logits. NaN logits make its sums NaN.
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
