//! The model families.

use std::fmt;

macro_rules! families {
    ($($(#[doc = $doc:literal])+ $family:ident = $model_type:literal,)+) => {
        /// A family of checkpoints that share config keys, tensor names and a block equation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Family {
            $($(#[doc = $doc])+ $family,)+
        }

        impl Family {
            /// Every supported family.
            pub fn all() -> &'static [Self] {
                &[$(Self::$family),+]
            }

            /// The name of the family, as `model_type` in a config.
            pub fn model_type(self) -> &'static str {
                match self {
                    $(Self::$family => $model_type,)+
                }
            }
        }
    };
}

families! {
    /// GPT-2: sequential blocks, learned positions.
    Gpt2 = "gpt2",
    /// GPT-NeoX and Pythia: parallel blocks with two norms, partly rotary heads.
    GptNeoX = "gpt_neox",
    /// Phi-1, Phi-1.5 and Phi-2: parallel blocks with one norm, partly rotary heads.
    Phi = "phi",
    /// Llama and models of the same shape: RMSNorm, gated MLP, rotary positions.
    Llama = "llama",
    /// Qwen2 and Qwen2.5: as Llama, with biases on queries, keys and values.
    Qwen2 = "qwen2",
    /// Qwen3: as Qwen2, with a norm of queries and keys instead of biases.
    Qwen3 = "qwen3",
    /// Mistral: as Llama, with a window.
    Mistral = "mistral",
    /// Gemma: like Llama, with scaled embeddings.
    Gemma = "gemma",
    /// Gemma 2: norms around the sublayers, capped scores and logits.
    Gemma2 = "gemma2",
    /// Gemma 3, its text model: norms around the sublayers, two rotations.
    Gemma3 = "gemma3_text",
    /// Gemma 3 with images, of which the text part runs.
    Gemma3Images = "gemma3",
    /// Phi-3 and Phi-4-mini: as Llama, with LongRoPE.
    Phi3 = "phi3",
    /// OLMo: as Llama, with norms that have no parameters.
    Olmo = "olmo",
    /// OLMo 2: norms after the sublayers.
    Olmo2 = "olmo2",
    /// OPT: learned positions, norms before the sublayers or of their sums.
    Opt = "opt",
    /// GPT-Neo: as GPT-2, with a window in every other block.
    GptNeo = "gpt_neo",
    /// GPT-J: parallel blocks with one norm, partly rotary heads.
    GptJ = "gptj",
    /// Bloom: ALiBi.
    Bloom = "bloom",
    /// Falcon: parallel or sequential blocks, rotary positions or ALiBi.
    Falcon = "falcon",
    /// StableLM 2: LayerNorm, gated MLP, partly rotary heads.
    StableLm = "stablelm",
    /// StarCoder2: LayerNorm, plain MLP, rotary positions.
    Starcoder2 = "starcoder2",
    /// Cohere: parallel blocks with one norm, scaled logits.
    Cohere = "cohere",
    /// Granite: as Llama, with scaled embeddings, scores, updates and logits.
    Granite = "granite",
    /// SmolLM3: as Llama, with no rotation in some blocks.
    SmolLm3 = "smollm3",
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.model_type())
    }
}
