//! The model families: for each, one table of its config keys and tensor names.
//!
//! A family is data. Adding one takes a file with a `FamilyTable`, a line in [`Family`], and a line in [`table`] that pairs them.
//! The tests of this module fail if a table leaves a part of the block equation without a key or a tensor.

mod bloom;
mod cohere;
mod falcon;
mod gemma;
mod gemma2;
mod gemma3;
mod gemma3_text;
mod gpt2;
mod gpt_neo;
mod gpt_neox;
mod gptj;
mod granite;
pub(crate) mod keys;
mod llama;
mod mistral;
mod olmo;
mod olmo2;
mod opt;
mod phi;
mod phi3;
mod qwen2;
mod qwen3;
mod shared;
mod smollm3;
mod stablelm;
mod starcoder2;
mod table;
pub(crate) mod templates;
#[cfg(test)]
mod tests;

pub(crate) use self::table::{EmbeddingScale, FamilyTable, Layers, RotaryDefaults, Whole};

use crate::family::Family;

/// The table of a family.
pub(crate) fn table(family: Family) -> &'static FamilyTable {
    match family {
        Family::Gpt2 => &gpt2::TABLE,
        Family::GptNeoX => &gpt_neox::TABLE,
        Family::Phi => &phi::TABLE,
        Family::Llama => &llama::TABLE,
        Family::Qwen2 => &qwen2::TABLE,
        Family::Qwen3 => &qwen3::TABLE,
        Family::Mistral => &mistral::TABLE,
        Family::Gemma => &gemma::TABLE,
        Family::Gemma2 => &gemma2::TABLE,
        Family::Gemma3 => &gemma3_text::TABLE,
        Family::Gemma3Images => &gemma3::TABLE,
        Family::Phi3 => &phi3::TABLE,
        Family::Olmo => &olmo::TABLE,
        Family::Olmo2 => &olmo2::TABLE,
        Family::Opt => &opt::TABLE,
        Family::GptNeo => &gpt_neo::TABLE,
        Family::GptJ => &gptj::TABLE,
        Family::Bloom => &bloom::TABLE,
        Family::Falcon => &falcon::TABLE,
        Family::StableLm => &stablelm::TABLE,
        Family::Starcoder2 => &starcoder2::TABLE,
        Family::Cohere => &cohere::TABLE,
        Family::Granite => &granite::TABLE,
        Family::SmolLm3 => &smollm3::TABLE,
    }
}

/// What a family covers, in a few words: published models, and the particularities of their blocks.
pub fn covers(family: Family) -> &'static str {
    table(family).covers
}

/// Known families that are not supported, by `model_type`, each with the reason.
pub fn left_out() -> &'static [(&'static str, &'static str)] {
    const EXPERTS: &str = "a mixture of experts: its MLP is chosen token by token";
    const STATES: &str = "a state-space or recurrent model: it has no attention to edit";
    const ENCODER: &str = "an encoder, or an encoder and a decoder: not a plain decoder";
    &[
        ("bart", ENCODER),
        ("bert", ENCODER),
        (
            "codegen",
            "queries, keys and values in an order of their own",
        ),
        (
            "cohere2",
            "not implemented: windows beside blocks without rotation, in parallel",
        ),
        ("dbrx", EXPERTS),
        ("deepseek_v2", EXPERTS),
        ("deepseek_v3", EXPERTS),
        (
            "gemma3n",
            "embeddings for each block and several residual streams",
        ),
        (
            "gpt_bigcode",
            "one key head beside learned positions, in a layout of its own",
        ),
        ("gpt_oss", EXPERTS),
        ("granitemoe", EXPERTS),
        ("jamba", EXPERTS),
        ("llama4", EXPERTS),
        ("llama4_text", EXPERTS),
        ("mamba", STATES),
        ("mamba2", STATES),
        ("mixtral", EXPERTS),
        (
            "mpt",
            "norms without biases and ALiBi in a layout of its own",
        ),
        ("olmoe", EXPERTS),
        ("phimoe", EXPERTS),
        ("qwen2_moe", EXPERTS),
        ("qwen3_moe", EXPERTS),
        ("rwkv", STATES),
        ("t5", ENCODER),
    ]
}
