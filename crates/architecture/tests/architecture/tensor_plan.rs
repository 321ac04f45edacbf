//! The tensor names of published checkpoints resolve to their roles; wrong sets of tensors are refused with a reason.
//! Numbers in brackets are those of the catalogue of bad inputs.

use std::path::Path;

use layerwise_architecture::{Family, Fused, Layout, ModelConfig, Note, Role, TensorPlan, plan};
use proptest::prelude::*;
use serde_json::json;

type Tensors = Vec<(String, Vec<usize>)>;

/// The families with tensors written out below. Their tables, and those of the others, are also run by the parity tests.
const SAMPLED: [Family; 5] = [
    Family::Gpt2,
    Family::GptNeoX,
    Family::Phi,
    Family::Llama,
    Family::Qwen2,
];

fn config(family: Family) -> ModelConfig {
    let json = match family {
        Family::Gpt2 => {
            json!({"n_layer": 2, "n_embd": 12, "n_head": 3, "n_positions": 7, "vocab_size": 11})
        }
        Family::GptNeoX | Family::Phi => json!({
            "num_hidden_layers": 2, "hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 32,
            "max_position_embeddings": 7, "vocab_size": 11,
        }),
        Family::Llama | Family::Qwen2 => json!({
            "num_hidden_layers": 2, "hidden_size": 24, "num_attention_heads": 4, "num_key_value_heads": 2,
            "head_dim": 8, "intermediate_size": 36, "max_position_embeddings": 7, "vocab_size": 11,
        }),
        other => unreachable!("{other} is not among the sampled families"),
    };
    let mut map = json.as_object().expect("an object").clone();
    map.insert("model_type".into(), family.model_type().into());
    ModelConfig::from_json(&map, Path::new("config.json")).expect("a sound config")
}

/// The names of a published checkpoint of the family, cut to two blocks, with the shapes of [`config`].
fn checkpoint(family: Family) -> Tensors {
    let text = match family {
        // Like openai-community/gpt2: no prefix, and the causal masks.
        Family::Gpt2 => {
            "wte.weight 11 12, wpe.weight 7 12, h.*.attn.bias 1 1 7 7, h.*.ln_1.weight 12, h.*.ln_1.bias 12,
            h.*.attn.c_attn.weight 12 36, h.*.attn.c_attn.bias 36, h.*.attn.c_proj.weight 12 12,
            h.*.attn.c_proj.bias 12, h.*.ln_2.weight 12, h.*.ln_2.bias 12, h.*.mlp.c_fc.weight 12 48,
            h.*.mlp.c_fc.bias 48, h.*.mlp.c_proj.weight 48 12, h.*.mlp.c_proj.bias 12, ln_f.weight 12, ln_f.bias 12"
        }
        // Like EleutherAI/pythia-410m-deduped.
        Family::GptNeoX => {
            "gpt_neox.embed_in.weight 11 24, embed_out.weight 11 24, gpt_neox.layers.*.attention.bias 1 1 7 7,
            gpt_neox.layers.*.attention.masked_bias, gpt_neox.layers.*.attention.rotary_emb.inv_freq 1,
            gpt_neox.layers.*.input_layernorm.weight 24, gpt_neox.layers.*.input_layernorm.bias 24,
            gpt_neox.layers.*.post_attention_layernorm.weight 24, gpt_neox.layers.*.post_attention_layernorm.bias 24,
            gpt_neox.layers.*.attention.query_key_value.weight 72 24,
            gpt_neox.layers.*.attention.query_key_value.bias 72, gpt_neox.layers.*.attention.dense.weight 24 24,
            gpt_neox.layers.*.attention.dense.bias 24, gpt_neox.layers.*.mlp.dense_h_to_4h.weight 32 24,
            gpt_neox.layers.*.mlp.dense_h_to_4h.bias 32, gpt_neox.layers.*.mlp.dense_4h_to_h.weight 24 32,
            gpt_neox.layers.*.mlp.dense_4h_to_h.bias 24, gpt_neox.final_layer_norm.weight 24,
            gpt_neox.final_layer_norm.bias 24"
        }
        // Like microsoft/phi-2.
        Family::Phi => {
            "model.embed_tokens.weight 11 24, lm_head.weight 11 24, lm_head.bias 11,
            model.layers.*.input_layernorm.weight 24, model.layers.*.input_layernorm.bias 24,
            model.layers.*.self_attn.q_proj.weight 24 24, model.layers.*.self_attn.q_proj.bias 24,
            model.layers.*.self_attn.k_proj.weight 24 24, model.layers.*.self_attn.k_proj.bias 24,
            model.layers.*.self_attn.v_proj.weight 24 24, model.layers.*.self_attn.v_proj.bias 24,
            model.layers.*.self_attn.dense.weight 24 24, model.layers.*.self_attn.dense.bias 24,
            model.layers.*.mlp.fc1.weight 32 24, model.layers.*.mlp.fc1.bias 32,
            model.layers.*.mlp.fc2.weight 24 32, model.layers.*.mlp.fc2.bias 24,
            model.final_layernorm.weight 24, model.final_layernorm.bias 24"
        }
        // Like meta-llama/Llama-2-7b-hf.
        Family::Llama => {
            "model.embed_tokens.weight 11 24, lm_head.weight 11 24, model.layers.*.input_layernorm.weight 24,
            model.layers.*.self_attn.q_proj.weight 32 24, model.layers.*.self_attn.k_proj.weight 16 24,
            model.layers.*.self_attn.v_proj.weight 16 24, model.layers.*.self_attn.o_proj.weight 24 32,
            model.layers.*.self_attn.rotary_emb.inv_freq 4, model.layers.*.post_attention_layernorm.weight 24,
            model.layers.*.mlp.gate_proj.weight 36 24, model.layers.*.mlp.up_proj.weight 36 24,
            model.layers.*.mlp.down_proj.weight 24 36, model.norm.weight 24"
        }
        // Like Qwen/Qwen2.5-14B.
        Family::Qwen2 => {
            "model.embed_tokens.weight 11 24, lm_head.weight 11 24, model.layers.*.input_layernorm.weight 24,
            model.layers.*.self_attn.q_proj.weight 32 24, model.layers.*.self_attn.q_proj.bias 32,
            model.layers.*.self_attn.k_proj.weight 16 24, model.layers.*.self_attn.k_proj.bias 16,
            model.layers.*.self_attn.v_proj.weight 16 24, model.layers.*.self_attn.v_proj.bias 16,
            model.layers.*.self_attn.o_proj.weight 24 32, model.layers.*.post_attention_layernorm.weight 24,
            model.layers.*.mlp.gate_proj.weight 36 24, model.layers.*.mlp.up_proj.weight 36 24,
            model.layers.*.mlp.down_proj.weight 24 36, model.norm.weight 24"
        }
        other => unreachable!("{other} is not among the sampled families"),
    };
    let mut tensors = Vec::new();
    for line in text.split(',') {
        let mut words = line.split_whitespace();
        let name = words.next().expect("a name");
        let shape: Vec<usize> = words.map(|word| word.parse().expect("a size")).collect();
        if name.contains('*') {
            tensors
                .extend((0..2).map(|layer| (name.replace('*', &layer.to_string()), shape.clone())));
        } else {
            tensors.push((name.to_owned(), shape));
        }
    }
    tensors
}

fn planned(config: &ModelConfig, tensors: &Tensors) -> Result<TensorPlan, String> {
    let tensors = tensors
        .iter()
        .map(|(name, shape)| (name.as_str(), shape.as_slice()));
    plan(config, tensors, Path::new("folder")).map_err(|error| error.to_string())
}

/// The checkpoint with the shape of one tensor replaced.
fn reshaped(family: Family, name: &str, shape: &[usize]) -> Tensors {
    let mut tensors = checkpoint(family);
    tensors
        .iter_mut()
        .find(|(tensor, _)| tensor == name)
        .expect("a tensor of that name")
        .1 = shape.to_vec();
    tensors
}

/// The checkpoint with further tensors.
fn extended(family: Family, names: &[(&str, &[usize])]) -> Tensors {
    let added = names
        .iter()
        .map(|(name, shape)| ((*name).to_owned(), shape.to_vec()));
    checkpoint(family).into_iter().chain(added).collect()
}

/// The checkpoint without the tensors whose names contain `part`.
fn reduced(family: Family, part: &str) -> Tensors {
    checkpoint(family)
        .into_iter()
        .filter(|(name, _)| !name.contains(part))
        .collect()
}

#[test]
fn published_names_resolve_to_roles() {
    for family in SAMPLED {
        let tensors = checkpoint(family);
        let plan = planned(&config(family), &tensors).unwrap();
        assert_eq!(plan.notes, [], "{family}");
        // Everything except the buffers is used once, with its stored shape.
        let mut used: Tensors = plan
            .tensors
            .iter()
            .map(|tensor| (tensor.name.clone(), tensor.shape.clone()))
            .collect();
        let is_buffer = |name: &str| {
            name.ends_with("inv_freq")
                || name.ends_with("masked_bias")
                || name.contains(".attn.bias")
                || name.contains("attention.bias")
        };
        let mut expected: Tensors = tensors
            .into_iter()
            .filter(|(name, _)| !is_buffer(name))
            .collect();
        used.sort();
        expected.sort();
        assert_eq!(used, expected, "{family}");
    }
}

#[test]
fn roles_carry_layers_and_layouts() {
    let check = |family, role, layer, name, layout, fused| {
        let plan = planned(&config(family), &checkpoint(family)).unwrap();
        let is_it = |role_found, layer_found| (role_found, layer_found) == (role, layer);
        let found: Vec<_> = plan
            .tensors
            .iter()
            .filter(|tensor| is_it(tensor.role, tensor.layer))
            .collect();
        assert_eq!(found.len(), 1, "{family} {role:?}");
        assert_eq!(
            (found[0].name.as_str(), found[0].layout, found[0].fused),
            (name, layout, fused)
        );
    };
    use Layout::{InOut, OutIn};
    check(
        Family::Gpt2,
        Role::Qkv,
        Some(1),
        "h.1.attn.c_attn.weight",
        InOut,
        Some(Fused::Stacked),
    );
    check(
        Family::Gpt2,
        Role::MlpOut,
        Some(0),
        "h.0.mlp.c_proj.weight",
        InOut,
        None,
    );
    check(
        Family::Gpt2,
        Role::PositionEmbedding,
        None,
        "wpe.weight",
        OutIn,
        None,
    );
    let name = "gpt_neox.layers.1.attention.query_key_value.bias";
    check(
        Family::GptNeoX,
        Role::QkvBias,
        Some(1),
        name,
        OutIn,
        Some(Fused::ByGroup),
    );
    check(
        Family::GptNeoX,
        Role::Unembedding,
        None,
        "embed_out.weight",
        OutIn,
        None,
    );
    check(
        Family::Phi,
        Role::AttnOutBias,
        Some(0),
        "model.layers.0.self_attn.dense.bias",
        OutIn,
        None,
    );
    check(
        Family::Phi,
        Role::UnembeddingBias,
        None,
        "lm_head.bias",
        OutIn,
        None,
    );
    check(
        Family::Llama,
        Role::MlpGate,
        Some(1),
        "model.layers.1.mlp.gate_proj.weight",
        OutIn,
        None,
    );
    check(
        Family::Llama,
        Role::MlpIn,
        Some(1),
        "model.layers.1.mlp.up_proj.weight",
        OutIn,
        None,
    );
    check(
        Family::Qwen2,
        Role::KBias,
        Some(0),
        "model.layers.0.self_attn.k_proj.bias",
        OutIn,
        None,
    );
}

#[test]
fn the_prefix_is_optional() {
    for (family, prefix) in [
        (Family::Gpt2, "transformer."),
        (Family::GptNeoX, "gpt_neox."),
        (Family::Llama, "model."),
    ] {
        let config = config(family);
        let bare = |name: &str| name.strip_prefix(prefix).unwrap_or(name).to_owned();
        let is_head = |name: &str| name.starts_with("lm_head") || name.starts_with("embed_out");
        let without: Tensors = checkpoint(family)
            .into_iter()
            .map(|(name, shape)| (bare(&name), shape))
            .collect();
        let with = |(name, shape): &(String, Vec<usize>)| {
            (
                if is_head(name) {
                    name.clone()
                } else {
                    format!("{prefix}{name}")
                },
                shape.clone(),
            )
        };
        let with: Tensors = without.iter().map(with).collect();
        let (with, without) = (
            planned(&config, &with).unwrap(),
            planned(&config, &without).unwrap(),
        );
        let parts = |plan: &TensorPlan| -> Vec<_> {
            plan.tensors
                .iter()
                .map(|tensor| (tensor.role, tensor.layer, bare(&tensor.name)))
                .collect()
        };
        assert_eq!(parts(&with), parts(&without), "{family}");
    }
}

#[test]
fn padded_rows_and_a_stored_tied_head_are_said() {
    let check = |tied, tensors: &Tensors, expected: &[Note]| {
        let config = config(Family::Llama).with(|c| {
            c.tied = tied;
        });
        assert_eq!(planned(&config, tensors).unwrap().notes, expected);
    };
    let name = String::from("model.embed_tokens.weight");
    let padded = reshaped(Family::Llama, &name, &[16, 24]);
    check(
        false,
        &padded,
        &[Note::PaddedRows {
            name,
            rows: 16,
            vocab: 11,
        }],
    );
    check(true, &reduced(Family::Llama, "lm_head"), &[]);
    check(
        true,
        &checkpoint(Family::Llama),
        &[Note::TiedHeadPresent {
            name: "lm_head.weight".into(),
        }],
    );
}

/// Buffers of rotary positions follow from the config, and a head for another task only reads the unembedding's input. Neither
/// affects a logit.
#[test]
fn buffers_and_other_heads_are_left_out() {
    let rotary: Vec<Family> = SAMPLED
        .into_iter()
        .filter(|family| config(*family).attention.of(0).rotary.is_some())
        .collect();
    assert_eq!(rotary.len(), 4, "all but GPT-2");
    let buffers = [
        "model.rotary_emb.inv_freq",
        "rotary_emb.inv_freq",
        "model.rotary_emb.original_inv_freq",
        "model.layers.0.self_attn.rotary_emb.cos_cached",
        "model.layers.1.self_attn.rotary_emb.sin_cached",
        "gpt_neox.layers.1.attention.rotary_emb.cos_cached",
    ];
    for family in SAMPLED {
        for name in buffers {
            let planned = planned(&config(family), &extended(family, &[(name, &[4])]));
            match rotary.contains(&family) {
                true => assert!(planned.unwrap().notes.is_empty(), "{family}: {name}"),
                false => assert!(
                    planned.unwrap_err().contains("unexpected"),
                    "{family}: {name}"
                ),
            }
        }
        for name in [
            "model.rotary_emb.weight",
            "rotary_emb.cos",
            "xrotary_emb.inv_freq",
        ] {
            let refused = planned(&config(family), &extended(family, &[(name, &[4])])).unwrap_err();
            assert!(refused.contains("1 unexpected tensors"), "{refused}");
        }
        let head: [(&str, &[usize]); 3] = [
            ("v_head.summary.weight", &[1, 24]),
            ("score.weight", &[2, 24]),
            ("qa_outputs.bias", &[2]),
        ];
        let planned = planned(&config(family), &extended(family, &head)).unwrap();
        let [note] = planned.notes.as_slice() else {
            panic!("{:?}", planned.notes);
        };
        let said = note.to_string();
        assert!(
            said.ends_with(": qa_outputs.bias, score.weight, v_head.summary.weight"),
            "{said}"
        );
    }
}

/// The names of a block with a gated MLP after a prefix, with norms of the given names.
fn gated_block(prefix: &str, width: usize, norms: &[(&str, usize)]) -> Tensors {
    let matrices = [
        ("self_attn.q_proj", 2, 2),
        ("self_attn.k_proj", 1, 2),
        ("self_attn.v_proj", 1, 2),
        ("self_attn.o_proj", 2, 2),
        ("mlp.gate_proj", 1, 2),
        ("mlp.up_proj", 1, 2),
        ("mlp.down_proj", 2, 1),
    ];
    let half = width / 2;
    let matrices = matrices.iter().map(|(name, rows, columns)| {
        let name = format!("{prefix}layers.0.{name}.weight");
        (name, vec![rows * half, columns * half])
    });
    let norms = norms.iter().map(|(name, width)| {
        let name = format!("{prefix}layers.0.{name}");
        (name, vec![*width])
    });
    let ends = [
        ("embed_tokens.weight", vec![11, width]),
        ("norm.weight", vec![width]),
    ];
    let ends = ends.map(|(name, shape)| (format!("{prefix}{name}"), shape));
    matrices.chain(norms).chain(ends).collect()
}

#[test]
fn norms_of_heads_may_be_tensors_of_their_own() {
    let json = json!({
        "model_type": "stablelm", "num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2,
        "num_key_value_heads": 1, "intermediate_size": 8, "vocab_size": 11, "qk_layernorm": true,
        "use_parallel_residual": true, "tie_word_embeddings": true,
    });
    let config = ModelConfig::from_json(json.as_object().unwrap(), Path::new("c")).unwrap();
    let mut tensors = gated_block(
        "model.",
        16,
        &[
            ("input_layernorm.weight", 16),
            ("input_layernorm.bias", 16),
            ("self_attn.k_layernorm.norms.0.weight", 8),
            ("self_attn.q_layernorm.norms.1.weight", 8),
            ("self_attn.q_layernorm.norms.0.weight", 8),
        ],
    );
    tensors.push(("model.norm.bias".into(), vec![16]));
    let plan = planned(&config, &tensors).unwrap();
    let rows = plan.tensors.iter().filter(|t| t.role == Role::QNormGain);
    let rows: Vec<(Option<usize>, &str)> = rows.map(|t| (t.row, t.name.as_str())).collect();
    let name = |row| format!("model.layers.0.self_attn.q_layernorm.norms.{row}.weight");
    assert_eq!(rows, [(Some(0), &*name(0)), (Some(1), &*name(1))]);

    let without = tensors.iter().filter(|(tensor, _)| *tensor != name(1));
    let refused = planned(&config, &without.cloned().collect()).unwrap_err();
    assert!(
        refused.contains(&format!("missing: {}", name(1))),
        "{refused}"
    );
    tensors.push((name(2), vec![8]));
    let refused = planned(&config, &tensors).unwrap_err();
    assert!(
        refused.ends_with(&name(2)) && refused.contains("1 unexpected"),
        "{refused}"
    );
}

#[test]
fn other_parts_of_a_larger_model_are_told() {
    let json = json!({"model_type": "gemma3", "text_config": {
        "num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1,
        "head_dim": 8, "intermediate_size": 8, "vocab_size": 11,
    }});
    let config = ModelConfig::from_json(json.as_object().unwrap(), Path::new("c")).unwrap();
    for (prefix, outer) in [
        ("language_model.model.", ""),
        ("model.language_model.", "model."),
    ] {
        let mut tensors = gated_block(
            prefix,
            16,
            &[
                ("input_layernorm.weight", 16),
                ("post_attention_layernorm.weight", 16),
                ("pre_feedforward_layernorm.weight", 16),
                ("post_feedforward_layernorm.weight", 16),
                ("self_attn.q_norm.weight", 8),
                ("self_attn.k_norm.weight", 8),
            ],
        );
        let projector = format!("{outer}multi_modal_projector.mm_soft_emb_norm.weight");
        let tower = format!("{outer}vision_tower.x");
        tensors.extend([projector, tower].map(|name| (name, vec![3, 4])));
        let plan = planned(&config, &tensors).unwrap();
        let [note] = plan.notes.as_slice() else {
            panic!("{:?}", plan.notes);
        };
        assert_eq!(
            note.to_string(),
            format!(
                "only the text part of the model runs; left out: 1 tensors of `{outer}multi_modal_projector.`, \
                 1 tensors of `{outer}vision_tower.`"
            )
        );
        tensors.push(("audio_tower.x".into(), vec![1]));
        let refused = planned(&config, &tensors).unwrap_err();
        assert!(refused.ends_with(": audio_tower.x"), "{refused}");
    }
}

#[test]
fn names_of_a_wrapped_model_are_explained() {
    for (prefix, program) in [
        ("_orig_mod.", "torch.compile"),
        ("module.", "DDP"),
        ("module._orig_mod.", "torch.compile"),
        ("base_model.model.", "PEFT"),
        ("pretrained_model.", "TRL"),
        ("language_model.", "multimodal"),
    ] {
        for family in SAMPLED {
            let wrapped: Tensors = checkpoint(family)
                .into_iter()
                .map(|(name, shape)| (format!("{prefix}{name}"), shape))
                .collect();
            let refused = planned(&config(family), &wrapped).unwrap_err();
            for part in [&format!("begin with `{prefix}`, as in"), program] {
                assert!(refused.contains(part), "{part}: {refused}");
            }
        }
    }
    // A prefix that no known wrapper adds is reported as missing tensors.
    let foreign: Tensors = checkpoint(Family::Llama)
        .into_iter()
        .map(|(name, shape)| (format!("own.{name}"), shape))
        .collect();
    let refused = planned(&config(Family::Llama), &foreign).unwrap_err();
    assert!(refused.contains("missing"), "{refused}");
}

#[test]
fn bad_tensor_sets_are_refused_with_a_reason() {
    use Family::{Gpt2, GptNeoX, Llama, Phi, Qwen2};
    let with_bias = config(Llama).with(|c| {
        c.qkv_bias = true;
    });
    let deeper = config(Gpt2).with(|c| {
        c.layers = 3;
    });
    let shallower = config(Gpt2).with(|c| {
        c.layers = 1;
    });
    let table: Vec<(u32, ModelConfig, Tensors, &str)> = vec![
        (
            67,
            deeper,
            checkpoint(Gpt2),
            "the config declares 3 layers, the weights have 2",
        ),
        (
            67,
            shallower,
            checkpoint(Gpt2),
            "the config declares 1 layers, the weights have 2",
        ),
        (
            68,
            config(Llama),
            reshaped(Llama, "lm_head.weight", &[10, 24]),
            "tensor `lm_head.weight`: expected at least 11 rows (the vocabulary), found 10",
        ),
        (
            69,
            config(Llama),
            reduced(Llama, "lm_head"),
            "`tie_word_embeddings` is false, but the unembedding `lm_head.weight` is missing",
        ),
        (
            72,
            config(Phi),
            reduced(Phi, "fc1"),
            "4 tensors of a phi model are missing: model.layers.0.mlp.fc1.weight, model.layers.0.mlp.fc1.bias, \
             model.layers.1.mlp.fc1.weight, model.layers.1.mlp.fc1.bias",
        ),
        (
            72,
            with_bias,
            checkpoint(Llama),
            "6 tensors of a llama model are missing: model.layers.0.self_attn.q_proj.bias, \
             model.layers.0.self_attn.k_proj.bias, model.layers.0.self_attn.v_proj.bias, \
             model.layers.1.self_attn.q_proj.bias, model.layers.1.self_attn.k_proj.bias, \
             model.layers.1.self_attn.v_proj.bias",
        ),
        (
            73,
            config(Qwen2),
            extended(
                Qwen2,
                &[
                    ("scale.weight", &[2, 24]),
                    ("model.layers.1.self_attn.q_norm.weight", &[8]),
                ],
            ),
            "2 unexpected tensors for this qwen2 config: model.layers.1.self_attn.q_norm.weight, scale.weight",
        ),
        (
            73,
            config(Llama),
            extended(Llama, &[("model.layers.0.self_attn.q_proj.bias", &[32])]),
            "1 unexpected tensors for this llama config: model.layers.0.self_attn.q_proj.bias",
        ),
        (
            74,
            config(Gpt2),
            reshaped(Gpt2, "h.1.mlp.c_fc.weight", &[48, 12]),
            "tensor `h.1.mlp.c_fc.weight` is transposed: expected shape [12, 48], found [48, 12]",
        ),
        (
            74,
            config(Llama),
            reshaped(Llama, "model.layers.0.self_attn.k_proj.weight", &[24, 16]),
            "tensor `model.layers.0.self_attn.k_proj.weight` is transposed: expected shape [16, 24], found [24, 16]",
        ),
        (
            75,
            config(GptNeoX),
            reshaped(
                GptNeoX,
                "gpt_neox.layers.1.attention.query_key_value.weight",
                &[48, 24],
            ),
            "fused query-key-value tensor `gpt_neox.layers.1.attention.query_key_value.weight`: \
             expected 72 outputs, found 48",
        ),
        (
            75,
            config(Gpt2),
            reshaped(Gpt2, "h.0.attn.c_attn.weight", &[12, 24]),
            "fused query-key-value tensor `h.0.attn.c_attn.weight`: expected 36 outputs, found 24",
        ),
        (
            75,
            config(Gpt2),
            reshaped(Gpt2, "h.0.attn.c_attn.bias", &[24]),
            "fused query-key-value tensor `h.0.attn.c_attn.bias`: expected 36 outputs, found 24",
        ),
        (
            30,
            config(Gpt2),
            reshaped(Gpt2, "ln_f.weight", &[]),
            "tensor `ln_f.weight`: expected shape [12], found []",
        ),
        (
            77,
            config(Gpt2),
            extended(Gpt2, &[("transformer.h.0.ln_1.weight", &[12])]),
            "both `transformer.h.0.ln_1.weight` and `wte.weight` are present; \
             expected all names with the prefix, or none",
        ),
    ];
    let mut failures = Vec::new();
    for (number, config, tensors, expected) in table {
        let found = planned(&config, &tensors)
            .err()
            .unwrap_or_else(|| "accepted".into());
        if found != format!("folder: {expected}") {
            failures.push(format!(
                "[{number}]\n  expected folder: {expected}\n  found    {found}"
            ));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

proptest! {
    #[test]
    fn changed_checkpoints_never_panic(
        family in prop::sample::select(SAMPLED.to_vec()),
        layers in 1..5_usize,
        changes in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::option::of(prop::collection::vec(0..100_usize, 0..4)), "[.0-9a-z]{0,6}"),
            0..3,
        ),
    ) {
        let config = config(family).with(|c| {c.layers = layers;});
        let original = checkpoint(family);
        let mut tensors = original.clone();
        for (index, shape, name) in changes {
            let place = index.index(tensors.len());
            match shape {
                Some(shape) => tensors[place].1 = shape,
                None => tensors[place].0 += &name,
            }
        }
        if let Ok(plan) = planned(&config, &tensors) {
            prop_assert_eq!(layers, 2);
            prop_assert!(plan.tensors.iter().all(|tensor| original.iter().any(|(name, _)| *name == tensor.name)));
        }
    }
}
