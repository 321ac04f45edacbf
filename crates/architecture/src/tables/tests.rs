//! Every table is complete: each part of the block equation has its key and its tensor.

use std::collections::BTreeSet;
use std::path::Path;

use super::keys::{COMMON_IGNORED, COMMON_REFUSED, Field, Presence};
use super::table as table_of;
use super::templates::{Place, instance, instantiate};
use crate::config::{LearnedPositions, ModelConfig, Residual};
use crate::family::Family;
use crate::tensors::{Layout, Role};

/// A config of `family` with one value for each required key, and with `extra`.
fn config(family: Family, extra: &[(&str, bool)]) -> ModelConfig {
    let mut map = serde_json::Map::new();
    map.insert("model_type".into(), family.model_type().into());
    for (key, field, presence) in table_of(family).keys.lines() {
        let is_small = matches!(field, Field::KvHeads | Field::RotaryDims)
            && matches!(presence, Presence::Or(_));
        if *presence == Presence::Required || is_small {
            map.insert((*key).into(), 8.into());
        }
    }
    // Heads wide enough for the smallest rotated quarter.
    let model = table_of(family)
        .keys
        .lines()
        .find(|(_, field, _)| *field == Field::Model)
        .unwrap();
    map.insert(model.0.into(), 128.into());
    let projected = table_of(family).keys.lines();
    for (key, ..) in projected.filter(|(_, field, _)| *field == Field::EmbeddingWidth) {
        map.insert((*key).into(), 64.into());
    }
    for (key, on) in extra {
        map.insert((*key).into(), (*on).into());
    }
    if let Some(whole) = &table_of(family).whole {
        let mut outer = serde_json::Map::new();
        for key in ["model_type", "tie_word_embeddings"] {
            outer.extend(map.get(key).map(|value| (key.to_owned(), value.clone())));
        }
        map.insert("model_type".into(), whole.text.into());
        outer.insert(whole.key.into(), map.into());
        map = outer;
    }
    ModelConfig::from_json(&map, Path::new("config.json")).unwrap()
}

/// Every combination of the switches that the family's config may set.
fn variants(family: Family) -> Vec<ModelConfig> {
    let switches = [
        Field::ParallelResidual,
        Field::AttentionBias,
        Field::MlpBias,
        Field::Tied,
        Field::QkvBias,
        Field::Bias,
        Field::QueryKeyNorm,
        Field::NormAffine,
        Field::NormBefore,
        Field::NewDecoder,
    ];
    let keys = table_of(family)
        .keys
        .lines()
        .filter(|(_, field, _)| switches.contains(field));
    let keys: Vec<&str> = keys.map(|(key, ..)| *key).collect();
    let settings = |bits: usize| -> Vec<(&str, bool)> {
        keys.iter()
            .enumerate()
            .map(|(place, key)| (*key, bits >> place & 1 == 1))
            .collect()
    };
    // Falcon's newer form has no sequential blocks.
    let is_form = |settings: &[(&str, bool)]| {
        !settings.contains(&("new_decoder_architecture", true))
            || !settings.contains(&("parallel_attn", false))
    };
    (0..1 << keys.len())
        .map(settings)
        .filter(|settings| is_form(settings))
        .map(|settings| config(family, &settings))
        .collect()
}

#[test]
fn every_table_reads_what_a_config_must_give() {
    for family in Family::all().iter().copied() {
        let table = table_of(family);
        let keys = |field| table.keys.lines().filter(move |(_, of, _)| *of == field);
        for field in [
            Field::Layers,
            Field::Model,
            Field::Heads,
            Field::Vocab,
            Field::Context,
        ] {
            let is_settled = keys(field)
                .any(|(.., presence)| matches!(presence, Presence::Required | Presence::Or(_)));
            assert!(is_settled, "{family}: no size for {field:?}");
        }
        assert!(keys(Field::Tied).count() > 0, "{family}: no key for ties");
        // Bloom's MLP is always four times as wide as its stream.
        assert!(keys(Field::Neurons).count() > 0 || family == Family::Bloom);
        let rotary = [
            Field::RotaryTheta,
            Field::RotaryFraction,
            Field::RotaryScaling,
            Field::RotaryParameters,
        ];
        for field in rotary {
            assert_eq!(
                keys(field).count() > 0,
                table.rotary.is_some() && keys(Field::RotaryDims).count() == 0,
                "{family}: {field:?}"
            );
        }
        assert_eq!(
            keys(Field::Bos).count() > 0,
            table.bos.is_some(),
            "{family}: BOS"
        );
    }
}

#[test]
fn every_key_has_one_meaning() {
    for family in Family::all().iter().copied() {
        let keys = &table_of(family).keys;
        let own = keys.lines().map(|(key, ..)| *key);
        let own = own
            .chain(keys.refused.iter().map(|(key, ..)| *key))
            .chain(keys.ignored.iter().copied());
        let own: Vec<&str> = own.collect();
        let distinct: BTreeSet<&str> = own.iter().copied().collect();
        assert_eq!(distinct.len(), own.len(), "{family} lists a key twice");
        assert!(
            own.iter().all(|key| !COMMON_IGNORED.contains(key)),
            "{family} repeats a common key"
        );
    }
    let refused = COMMON_REFUSED.iter().map(|(key, ..)| *key);
    let common: Vec<&str> = COMMON_IGNORED.iter().copied().chain(refused).collect();
    assert_eq!(common.iter().collect::<BTreeSet<_>>().len(), common.len());
}

#[test]
fn every_role_of_the_block_equation_has_a_tensor() {
    for family in Family::all().iter().copied() {
        let has = |role| {
            table_of(family)
                .templates()
                .any(|template| template.role == role)
        };
        for config in variants(family) {
            for role in Role::all()
                .iter()
                .copied()
                .filter(|role| role.is_used(&config))
            {
                // A part is stored by itself, or together with others in one tensor, but never both.
                let whole = Role::all()
                    .iter()
                    .filter(|whole| whole.parts().contains(&role));
                let fused = whole.clone().any(|whole| has(*whole));
                let apart = !role.parts().is_empty() && role.parts().iter().all(|part| has(*part));
                assert_eq!(has(role), !fused && !apart, "{family}: {role:?}");
            }
        }
    }
}

#[test]
fn every_tensor_line_is_used_by_some_config_and_well_formed() {
    for family in Family::all().iter().copied() {
        let table = table_of(family);
        let variants = variants(family);
        let mut names = BTreeSet::new();
        for template in table.templates() {
            let (role, name) = (template.role, template.name);
            assert!(names.insert(name), "{family}: {name} twice");
            assert!(
                variants.iter().any(|config| role.is_used(config)),
                "{family}: {role:?} is never used"
            );
            assert_eq!(name.contains("{}"), role.is_per_layer(), "{family}: {name}");
            assert_eq!(
                template.fused.is_some(),
                matches!(role, Role::Qkv | Role::QkvBias | Role::MlpGateUp),
                "{family}: {name}"
            );
            let rank = role.shape(&variants[0]).len();
            assert!(
                rank == 2 || template.layout == Layout::OutIn,
                "{family}: {name}"
            );
            assert_eq!(
                template.prefixed,
                !matches!(role, Role::Unembedding | Role::UnembeddingBias),
                "{family}"
            );
            let place = Place {
                layer: role.is_per_layer().then_some(3),
                row: template.is_by_row().then_some(5),
            };
            let instance_name = instantiate(name, place);
            assert_eq!(instance(name, &instance_name), Some(place), "{family}");
            let hits = |pattern: &&str| instance(pattern, &instance_name).is_some();
            assert_eq!(
                table
                    .templates()
                    .filter(|template| hits(&template.name))
                    .count(),
                1,
                "{family}: {name}"
            );
            assert!(
                !table.ignored_tensors.iter().any(hits),
                "{family}: {name} is ignored"
            );
        }
    }
}

#[test]
fn the_switches_reach_the_config() {
    let neox = config(
        Family::GptNeoX,
        &[("use_parallel_residual", false), ("attention_bias", false)],
    );
    assert_eq!(
        (neox.residual, neox.qkv_bias, neox.attention_out_bias),
        (Residual::Sequential, false, false)
    );
    let llama = config(
        Family::Llama,
        &[("attention_bias", true), ("mlp_bias", true)],
    );
    assert!(llama.qkv_bias && llama.attention_out_bias && llama.mlp_bias);
    let gpt2 = config(Family::Gpt2, &[]);
    assert_eq!(gpt2.learned_positions, Some(LearnedPositions::new()));
}

#[test]
fn names_match_only_their_own_block() {
    let check = |name, layer: Option<usize>| {
        let expected = layer.map(|layer| Place {
            layer: Some(layer),
            row: None,
        });
        assert_eq!(instance("h.{}.ln_1.bias", name), expected, "{name}");
    };
    check("h.0.ln_1.bias", Some(0));
    check("h.11.ln_1.bias", Some(11));
    check("h.01.ln_1.bias", None);
    check("h..ln_1.bias", None);
    check("h.+1.ln_1.bias", None);
    check("h.1.ln_1.bias.x", None);
    check("h.99999999999999999999.ln_1.bias", None);
    let whole = Place {
        layer: None,
        row: None,
    };
    assert_eq!(instance("wte.weight", "wte.weight"), Some(whole));
    assert_eq!(instance("wte.weight", "wte.weight2"), None);
}

/// The keys that transformers reads of each family's config, as found by `fixtures/parity/keys.py`.
fn facts() -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The `model_type` of the config that a table's keys belong to.
fn text_type(family: Family) -> &'static str {
    let whole = &table_of(family).whole;
    whole
        .as_ref()
        .map_or(family.model_type(), |whole| whole.text)
}

#[test]
fn every_key_beside_the_config_of_a_part_is_known() {
    let facts = facts();
    for family in Family::all().iter().copied() {
        let Some(whole) = &table_of(family).whole else {
            continue;
        };
        let declared = &facts["families"][family.model_type()]["declared"];
        for (key, default) in declared.as_object().unwrap() {
            let is_known = key == whole.key
                || key == "tie_word_embeddings"
                || whole.ignored.contains(&key.as_str())
                || COMMON_IGNORED.contains(&key.as_str());
            assert!(is_known, "{family}: `{key}`");
            if key == "tie_word_embeddings" {
                assert_eq!(*default, serde_json::json!(whole.tied), "{family}");
            }
        }
    }
}

/// The key that names the kinds of blocks in a rotary object with one object for each, which families with one rotation refuse.
const KINDS: &str = "layer_types";

/// Keys that transformers moves before it reads them, or that its code does not read although a table does.
const MOVED: &[&str] = &[
    "rope_theta",
    "rope_scaling",
    "partial_rotary_factor",
    "rotary_emb_base",
    "rotary_pct",
    "rope_local_base_freq",
    "sliding_window_pattern",
    "attention_types",
    "n_embed",
    "use_sliding_window",
    "max_window_layers",
    "no_rope_layer_interval",
    // The context of Bloom, which has no limit of its own.
    "seq_length",
    // Older names.
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
    "hidden_size",
    "head_dim",
    "tie_word_embeddings",
    "bos_token_id",
    "rope_parameters",
];

#[test]
fn every_key_that_transformers_reads_is_in_the_table() {
    let facts = facts();
    let names = |value: &serde_json::Value| -> BTreeSet<String> {
        serde_json::from_value(value.clone()).unwrap()
    };
    let common = names(&facts["common"]);
    let mut faults = Vec::new();
    for family in Family::all().iter().copied() {
        let of = &facts["families"][text_type(family)];
        let declared = of["declared"].as_object().unwrap();
        let mut read = names(&of["read"]);
        let table = table_of(family);
        let keys = &table.keys;
        // Families share the code of rotary positions, except GPT-J.
        let rotates = table.rotary.is_some();
        if rotates
            && keys
                .lines()
                .all(|(_, field, _)| *field != Field::RotaryDims)
        {
            read.extend(common.iter().cloned());
        }
        // For objects by kind of block, keys next to them do not count.
        if keys
            .lines()
            .any(|(_, field, _)| *field == Field::LocalTheta)
        {
            read.remove("original_max_position_embeddings");
        }
        let own = |key: &str| {
            keys.lines().any(|(known, ..)| *known == key)
                || keys.refused.iter().any(|(known, ..)| *known == key)
                || keys.ignored.contains(&key)
        };
        let known = |key: &str| {
            own(key)
                || COMMON_IGNORED.contains(&key)
                || COMMON_REFUSED.iter().any(|(known, ..)| *known == key)
        };
        for key in &read {
            // An alternative name of a key in the table.
            let alias = declared.get(key).and_then(|value| value.as_str());
            let is_alias = alias
                .and_then(|text| text.strip_prefix("another name of "))
                .is_some_and(known);
            let is_elsewhere = MOVED.contains(&key.as_str()) || key == KINDS;
            if !known(key) && !is_alias && !is_elsewhere {
                faults.push(format!("{family}: `{key}` is read and in no column"));
            }
        }
        for (key, ..) in keys.lines() {
            if !read.contains(*key) && !declared.contains_key(*key) && !MOVED.contains(key) {
                faults.push(format!("{family}: `{key}` is read by nobody"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn absent_keys_stand_for_the_defaults_of_transformers() {
    let facts = facts();
    let mut faults = Vec::new();
    for family in Family::all().iter().copied() {
        let declared = &facts["families"][text_type(family)]["declared"];
        let table = table_of(family);
        for (key, field, presence) in table.keys.lines() {
            let Some(default) = declared.get(*key) else {
                continue;
            };
            let expected = match (field, presence) {
                (_, Presence::Or(size)) => serde_json::json!(size),
                (Field::Epsilon, _) => serde_json::json!(table.block.norm_epsilon),
                (Field::Tied, _) => serde_json::json!(table.tied),
                (Field::ScoreCap, _) => serde_json::json!(table.block.score_cap),
                (Field::LogitCap, _) => serde_json::json!(table.block.logit_cap),
                (Field::LogitScale, _) => serde_json::json!(table.block.logit_scale),
                (Field::QueryScalar, _) if default.is_i64() => {
                    serde_json::json!(table.block.query_scalar.unwrap() as i64)
                }
                (Field::AttentionBias | Field::Bias, _) => {
                    serde_json::json!(table.block.attention_out_bias)
                }
                (Field::QkvBias, _) => serde_json::json!(table.block.qkv_bias),
                (Field::MlpBias, _) => serde_json::json!(table.block.mlp_bias),
                _ => continue,
            };
            if *default != expected {
                faults.push(format!(
                    "{family}: `{key}` is {default} in transformers, {expected} here"
                ));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}
