//! The cost of a token: matrix parameters, and the bytes that decoding reads.

use layerwise_architecture::{Mlp, ModelConfig};
use layerwise_schedule::{Part, Schedule, Step, Sublayer};

/// Matrix parameters of a model's parts, and the bytes that decoding a token reads under a schedule.
///
/// At batch 1, memory bandwidth limits decoding, so decoding times under two schedules should be in the ratio of these bytes.
///
/// ```
/// use layerwise_schedule::Schedule;
/// use layerwise_transformer::{Cost, Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 7);
/// let (config, cost) = (model.config(), Cost::new(model.config()));
/// let plain = Schedule::plain(model.stack())?;
/// let halved = "drop_attn(2..4)".parse::<layerwise_schedule::Edit>()?.apply(&plain)?;
/// let dropped = cost.bytes_of_token(&plain, 100, 4, 4) - cost.bytes_of_token(&halved, 100, 4, 4);
/// let kept = 2 * config.kv_heads * config.head * 101;
/// assert_eq!(dropped, 2 * 4 * (cost.attention + kept));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Cost {
    /// Matrix parameters of an attention sublayer.
    pub attention: usize,
    /// Matrix parameters of an MLP.
    pub mlp: usize,
    /// Matrix parameters of the unembedding.
    pub unembedding: usize,
    /// Numbers that an attention sublayer keeps for a position.
    kept: usize,
    /// For each block, the largest number of positions that its attention sees, if it has a window.
    windows: Vec<Option<usize>>,
}

impl Cost {
    /// The costs of a model's parts.
    pub fn new(config: &ModelConfig) -> Self {
        let c = config;
        let inner = match c.mlp {
            Mlp::Plain => 2,
            Mlp::Gated => 3,
        };
        let projection = match c.embedding_width() {
            width if width == c.model => 0,
            width => width * c.model,
        };
        Self {
            attention: 2 * c.model * c.head * (c.heads + c.kv_heads),
            mlp: inner * c.model * c.neurons,
            unembedding: c.embedding_width() * c.vocab + projection,
            kept: 2 * c.kv_heads * c.head,
            windows: (0..c.layers)
                .map(|block| c.attention.of(block).window)
                .collect(),
        }
    }

    /// Bytes that decoding a token reads after `cached` earlier tokens, given the bytes of a weight and of a kept number.
    pub fn bytes_of_token(
        &self,
        schedule: &Schedule,
        cached: usize,
        weight: usize,
        number: usize,
    ) -> usize {
        let of = |part: &Part| match part.sublayer() {
            Sublayer::Mlp => weight * self.mlp,
            Sublayer::Attn => {
                let window = self.windows[part.block()].unwrap_or(usize::MAX);
                weight * self.attention + number * self.kept * (cached + 1).min(window)
            }
        };
        weight * self.unembedding
            + parts(schedule.steps())
                .iter()
                .map(|part| of(part))
                .sum::<usize>()
    }

    /// Bytes of the keys and values of `tokens` tokens, given the bytes of a number.
    pub fn bytes_kept(&self, schedule: &Schedule, tokens: usize, number: usize) -> usize {
        let of = |part: &&Part| {
            let window = self.windows[part.block()].unwrap_or(usize::MAX);
            number * self.kept * tokens.min(window)
        };
        let parts = parts(schedule.steps());
        parts
            .iter()
            .filter(|part| part.sublayer() == Sublayer::Attn)
            .map(of)
            .sum()
    }
}

/// The parts that steps run, including those inside branches.
fn parts(steps: &[Step]) -> Vec<&Part> {
    let each = steps.iter().flat_map(|step| match step {
        Step::Update(own) => own.iter().collect::<Vec<_>>(),
        Step::Branches(branches) => {
            let own = branches.iter().flat_map(|branch| parts(branch.steps()));
            own.collect()
        }
    });
    each.collect()
}

/// The blocks of the attention sublayers that steps run, in order. A state keeps keys and values for each of them.
pub(crate) fn attentions(steps: &[Step]) -> impl Iterator<Item = usize> {
    let parts = parts(steps).into_iter();
    parts
        .filter(|part| part.sublayer() == Sublayer::Attn)
        .map(Part::block)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the published sizes, in millions of parameters, and the gains from skipping half of the attention sublayers.
    #[test]
    fn published_shapes_have_their_known_costs() {
        let shape = |model, heads, kv_heads, head, neurons, vocab, layers| {
            ModelConfig::tiny().with(|c| {
                (c.model, c.heads, c.kv_heads, c.head) = (model, heads, kv_heads, head);
                (c.neurons, c.vocab, c.layers, c.mlp) = (neurons, vocab, layers, Mlp::Gated);
            })
        };
        let check = |config: ModelConfig, expected: [f64; 3], gains: [f64; 3]| {
            let cost = Cost::new(&config);
            let found = [cost.attention, cost.mlp, cost.unembedding];
            for (found, expected) in found.into_iter().zip(expected) {
                assert!(
                    (found as f64 / 1e6 - expected).abs() < 0.051,
                    "{found} {expected}"
                );
            }
            let residual = layerwise_schedule::Residual::Sequential;
            let layers = config.layers;
            let plain = Schedule::plain(layerwise_schedule::Stack::new(layers, residual)).unwrap();
            let half = format!("drop_attn({}..{})", config.layers / 2, config.layers);
            let half = half.parse::<layerwise_schedule::Edit>().unwrap();
            let half = half.apply(&plain).unwrap();
            for (cached, expected) in [0, 512, 2048].into_iter().zip(gains) {
                let bytes = |schedule| cost.bytes_of_token(schedule, cached, 4, 4) as f64;
                let gain = 100.0 * (bytes(&plain) / bytes(&half) - 1.0);
                assert!((gain - expected).abs() < 0.06, "{gain} {expected}");
            }
        };
        check(
            shape(576, 9, 3, 64, 1536, 49_152, 30),
            [0.88, 2.65, 28.3],
            [10.9, 13.1, 18.8],
        );
        check(
            shape(896, 14, 2, 64, 4864, 151_936, 24),
            [1.84, 13.07, 136.1],
            [4.7, 5.0, 5.9],
        );
        check(
            shape(4096, 32, 32, 128, 11_008, 32_000, 32),
            [67.1, 135.3, 131.1],
            [19.4, 20.4, 23.1],
        );
    }
}
