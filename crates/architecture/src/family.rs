//! The names of the model families.

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

            /// The name of the family, as `model_type` in a config writes it.
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
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.model_type())
    }
}
