//! Gemma 3 with images: its text part, the model of `gemma3_text`.

use super::gemma3_text::{AROUND, BLOCK, IGNORED, KEYS, ROTATION};
use super::keys::{Accept, KeyTable};
use super::shared::*;
use super::table::{FamilyTable, Layers, Whole};
use super::templates::out_in;
use crate::tensors::Role;

pub(super) static TABLE: FamilyTable = FamilyTable {
    covers: "Gemma 3 with images, its text part: as gemma3_text; the parts for images are left out, with a note",
    keys: KeyTable {
        read: &[KEYS, ROTARIES, BOS, RMS_EPSILON],
        refused: &[
            (
                "attn_logit_softcapping",
                Accept::Off,
                "a cap on attention scores",
            ),
            // The model with images does not cap its logits.
            ("final_logit_softcapping", Accept::Off, "a cap on logits"),
            (
                "use_bidirectional_attention",
                Accept::Off,
                "attention to later tokens",
            ),
        ],
        ignored: IGNORED,
    },
    block: BLOCK,
    rotary: Some(ROTATION),
    layers: Layers::WindowedBut(6),
    tied: true,
    bos: Some(2),
    // As published, and as in transformers.
    prefixes: &["language_model.model.", "model.language_model."],
    tensors: &[
        ENDS,
        &[out_in(Role::Unembedding, "language_model.lm_head.weight").without_prefix()],
        FINAL_NORM,
        AROUND,
        ATTENTION,
        GATED_MLP,
        HEAD_NORMS,
        QKV_BIASES,
        OUT_BIAS,
    ],
    ignored_tensors: FREQUENCIES,
    whole: Some(Whole {
        key: "text_config",
        text: "gemma3_text",
        tied: true,
        ignored: &[
            "boi_token_id",
            "boi_token_index",
            "bos_token_id",
            "eoi_token_id",
            "eoi_token_index",
            "image_token_id",
            "image_token_index",
            "mm_tokens_per_image",
            "vision_config",
        ],
        parts: &[
            "vision_tower.",
            "multi_modal_projector.",
            "model.vision_tower.",
            "model.multi_modal_projector.",
        ],
    }),
};
