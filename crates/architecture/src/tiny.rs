//! A small architecture for examples and tests.

use crate::config::{Activation, Bos, Mlp, ModelConfig, Norm, Position, Residual};
use crate::family::Family;

impl ModelConfig {
    /// A GPT-2-like architecture of 4 blocks, small enough for an example: width 32, 4 heads, 50 tokens, context 64.
    pub fn tiny() -> Self {
        Self {
            family: Family::Gpt2,
            layers: 4,
            model: 32,
            heads: 4,
            kv_heads: 4,
            head: 8,
            neurons: 64,
            vocab: 50,
            context: 64,
            norm: Norm::LayerNorm,
            norm_epsilon: 1e-5,
            residual: Residual::Sequential,
            position: Position::Learned,
            mlp: Mlp::Plain,
            activation: Activation::GeluTanh,
            qkv_bias: true,
            attention_out_bias: true,
            mlp_bias: true,
            unembedding_bias: false,
            tied: true,
            bos: Bos::Token(0),
        }
    }

    /// The architecture with some fields changed, as `config.with(|c| c.layers = 3)`.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}
