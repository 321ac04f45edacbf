//! Small models with random weights, for examples and tests. Their numbers say nothing about language.

use crate::blocks::{Block, Blocks, NormWeights};
use crate::linear::{Linear, Table};
use crate::model::Model;
use layerwise_architecture::{Mlp, ModelConfig, NormGain, QueryKeyWidth, Residual};
use layerwise_kernels::gemm::Precision;
use ndarray::Array2;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::sync::Arc;

impl Model {
    /// A model of any architecture with random weights, which depend only on the seed.
    ///
    /// # Panics
    /// If the config is not one that [`ModelConfig::from_json`] could have returned (KV heads that do not divide heads, say).
    pub fn random(config: ModelConfig, seed: u64) -> Self {
        assert_eq!(config.heads % config.kv_heads, 0, "KV heads divide heads");
        let mut draw = Draw(ChaCha8Rng::seed_from_u64(seed));
        let c = &config;
        let embedding = draw.matrix(c.vocab, c.embedding_width(), 1.0);
        let positions = c.learned_positions.map(|learned| {
            let rows = learned.offset + c.context;
            Table::Made(Arc::new(draw.matrix(rows, c.model, 0.5)))
        });
        let (query_width, key_width) = (c.heads * c.head, c.kv_heads * c.head);
        let mlp_inputs = if c.mlp == Mlp::Gated {
            2 * c.neurons
        } else {
            c.neurons
        };
        let blocks = (0..c.layers)
            .map(|_| Block {
                attn_norm: draw.norm(c),
                mlp_norm: (c.residual != Residual::ParallelOneNorm).then(|| draw.norm(c)),
                qkv: draw.linear(c.model, query_width + 2 * key_width, c.qkv_bias),
                attn_out: draw.linear(query_width, c.model, c.attention_out_bias),
                mlp_in: draw.linear(c.model, mlp_inputs, c.mlp_bias),
                mlp_out: draw.linear(c.neurons, c.model, c.mlp_bias),
                after_norms: match c.norm_place.is_after() {
                    true => Some([draw.norm(c), draw.norm(c)]),
                    false => None,
                },
                query_key_norms: c.query_key_norm.map(|kind| {
                    let width = |heads: usize| match kind.over {
                        QueryKeyWidth::Head => c.head,
                        QueryKeyWidth::OwnHead | QueryKeyWidth::AllHeads => heads * c.head,
                    };
                    [c.heads, c.kv_heads].map(|heads| NormWeights {
                        gain: Some(draw.vector(width(heads), 1.0)),
                        bias: kind.bias.then(|| draw.vector(width(heads), 0.0)),
                    })
                }),
            })
            .collect();
        let final_norm = match c.final_norm {
            true => draw.norm(c),
            false => NormWeights::default(),
        };
        let own = (!c.tied).then(|| draw.matrix(c.embedding_width(), c.vocab, 1.0));
        let weight = own.as_ref().map_or(embedding.t(), |own| own.view());
        let bias = c.unembedding_bias.then(|| draw.vector(c.vocab, 0.0));
        let unembedding = Linear::new(weight, bias, Precision::F32);
        let embedding = if c.tied {
            Table::Unembedding
        } else {
            Table::Made(Arc::new(embedding))
        };
        let embedding_norm = c.embedding_norm.then(|| draw.norm(c));
        let mut projection = |inputs, outputs| draw.linear(inputs, outputs, false);
        let embedding_in = c.embedding.map(|width| projection(width, c.model));
        let embedding_out = c.embedding.map(|width| projection(c.model, width));
        Self {
            embedding,
            embedding_in,
            embedding_norm,
            positions,
            blocks: Blocks::Held(blocks),
            final_norm,
            embedding_out,
            unembedding,
            notes: Vec::new(),
            config,
        }
    }
}

struct Draw(ChaCha8Rng);

impl Draw {
    /// Uniform in −1..1.
    fn number(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0
    }

    fn vector(&mut self, length: usize, centre: f32) -> Vec<f32> {
        (0..length).map(|_| centre + 0.3 * self.number()).collect()
    }

    fn matrix(&mut self, inputs: usize, outputs: usize, size: f32) -> Array2<f32> {
        Array2::from_shape_simple_fn((inputs, outputs), || size * self.number())
    }

    fn linear(&mut self, inputs: usize, outputs: usize, bias: bool) -> Linear {
        let size = 1.7 / (inputs as f32).sqrt();
        let weight = self.matrix(inputs, outputs, size);
        let bias = bias.then(|| self.vector(outputs, 0.0));
        Linear::new(weight.view(), bias, Precision::F32)
    }

    fn norm(&mut self, config: &ModelConfig) -> NormWeights {
        NormWeights {
            gain: (config.norm_gain != NormGain::None).then(|| self.vector(config.model, 1.0)),
            bias: config
                .has_norm_bias()
                .then(|| self.vector(config.model, 0.0)),
        }
    }
}
