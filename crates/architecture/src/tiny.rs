//! A small architecture for examples and tests.

use crate::config::{
    Activation, Attention, Bos, LearnedPositions, Mlp, ModelConfig, Norm, NormGain, NormPlace,
    Residual,
};
use crate::family::Family;
use crate::per_layer::PerLayer;

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
            embedding: None,
            embedding_scale: 1.0,
            embedding_norm: false,
            learned_positions: Some(LearnedPositions::new()),
            norm: Norm::LayerNorm,
            norm_epsilon: 1e-5,
            norm_gain: NormGain::Stored,
            norm_bias: true,
            norm_place: NormPlace::Before,
            final_norm: true,
            residual: Residual::Sequential,
            residual_scale: 1.0,
            attention: PerLayer::same(Attention::default()),
            query_key_norm: None,
            qkv_clip: None,
            score_cap: None,
            alibi: None,
            mlp: Mlp::Plain,
            activation: Activation::GeluTanh,
            qkv_bias: true,
            attention_out_bias: true,
            mlp_bias: true,
            unembedding_bias: false,
            logit_scale: 1.0,
            logit_cap: None,
            tied: true,
            bos: Bos::Token(0),
        }
    }

    /// The architecture with some fields changed, as `config.with(|c| c.layers = 3)`.
    ///
    /// ```
    /// use layerwise_architecture::{Mlp, ModelConfig};
    ///
    /// let config = ModelConfig::tiny().with(|c| (c.layers, c.mlp) = (6, Mlp::Gated));
    /// assert!(config.has_gated_mlp() && config.parameters() > ModelConfig::tiny().parameters());
    /// ```
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}
