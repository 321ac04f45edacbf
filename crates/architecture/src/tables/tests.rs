//! Every table is complete: each part of the block equation has its key and its tensor.

use std::collections::BTreeSet;
use std::path::Path;

use super::keys::{COMMON_IGNORED, COMMON_REFUSED, Field, Presence};
use super::table as table_of;
use super::templates::{instance, instantiate};
use crate::config::{ModelConfig, Position, Residual};
use crate::family::Family;
use crate::tensors::{Layout, Role};

/// A config of `family` with one value for each key it requires, and `extra` besides.
fn config(family: Family, extra: &[(&str, bool)]) -> ModelConfig {
    let mut map = serde_json::Map::new();
    map.insert("model_type".into(), family.model_type().into());
    for (key, _, presence) in table_of(family).keys.read {
        if *presence == Presence::Required {
            map.insert((*key).into(), 8.into());
        }
    }
    // Heads wide enough for the smallest rotated quarter.
    let model = table_of(family)
        .keys
        .read
        .iter()
        .find(|(_, field, _)| *field == Field::Model)
        .unwrap();
    map.insert(model.0.into(), 128.into());
    for (key, on) in extra {
        map.insert((*key).into(), (*on).into());
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
    ];
    let keys = table_of(family)
        .keys
        .read
        .iter()
        .filter(|(_, field, _)| switches.contains(field));
    let keys: Vec<&str> = keys.map(|(key, ..)| *key).collect();
    let settings = |bits: usize| -> Vec<(&str, bool)> {
        keys.iter()
            .enumerate()
            .map(|(place, key)| (*key, bits >> place & 1 == 1))
            .collect()
    };
    (0..1 << keys.len())
        .map(|bits| config(family, &settings(bits)))
        .collect()
}

#[test]
fn every_table_reads_what_a_config_must_give() {
    for family in Family::all().iter().copied() {
        let table = table_of(family);
        let keys = |field| {
            table
                .keys
                .read
                .iter()
                .filter(move |(_, of, _)| *of == field)
        };
        for field in [
            Field::Layers,
            Field::Model,
            Field::Heads,
            Field::Vocab,
            Field::Context,
        ] {
            let is_required = keys(field).any(|(.., presence)| *presence == Presence::Required);
            assert!(is_required, "{family}: no required key for {field:?}");
        }
        for field in [
            Field::Neurons,
            Field::Epsilon,
            Field::Activation,
            Field::Tied,
        ] {
            assert!(keys(field).count() > 0, "{family}: no key for {field:?}");
        }
        let rotary = [
            Field::RotaryTheta,
            Field::RotaryFraction,
            Field::RotaryScaling,
            Field::RotaryParameters,
        ];
        for field in rotary {
            assert_eq!(
                keys(field).count() > 0,
                table.rotary.is_some(),
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
        let own = keys.read.iter().map(|(key, ..)| *key);
        let own = own
            .chain(keys.refused.iter().map(|(key, _)| *key))
            .chain(keys.ignored.iter().copied());
        let own: Vec<&str> = own.collect();
        let distinct: BTreeSet<&str> = own.iter().copied().collect();
        assert_eq!(distinct.len(), own.len(), "{family} lists a key twice");
        assert!(
            own.iter().all(|key| !COMMON_IGNORED.contains(key)),
            "{family} repeats a common key"
        );
    }
    let refused = COMMON_REFUSED.iter().map(|(key, _)| *key);
    let common: Vec<&str> = COMMON_IGNORED.iter().copied().chain(refused).collect();
    assert_eq!(common.iter().collect::<BTreeSet<_>>().len(), common.len());
}

#[test]
fn every_role_of_the_block_equation_has_a_tensor() {
    for family in Family::all().iter().copied() {
        let templates = table_of(family).tensors;
        let has = |role| templates.iter().any(|template| template.role == role);
        let fused = has(Role::Qkv);
        for config in variants(family) {
            for role in Role::all()
                .iter()
                .copied()
                .filter(|role| role.is_used(&config))
            {
                let needed = match role {
                    Role::Qkv | Role::QkvBias => fused,
                    Role::Q | Role::K | Role::V | Role::QBias | Role::KBias | Role::VBias => !fused,
                    _ => true,
                };
                assert_eq!(has(role), needed, "{family}: {role:?}");
            }
        }
    }
}

#[test]
fn every_tensor_line_is_used_by_some_config_and_well_formed() {
    for family in Family::all().iter().copied() {
        let table = table_of(family);
        let variants = variants(family);
        let mut roles = BTreeSet::new();
        for template in table.tensors {
            let (role, name) = (template.role, template.name);
            assert!(roles.insert(role), "{family}: {role:?} twice");
            assert!(
                variants.iter().any(|config| role.is_used(config)),
                "{family}: {role:?} is never used"
            );
            assert_eq!(name.contains("{}"), role.is_per_layer(), "{family}: {name}");
            assert_eq!(
                template.fused.is_some(),
                matches!(role, Role::Qkv | Role::QkvBias),
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
            let instance_name = instantiate(name, role.is_per_layer().then_some(3));
            let hits = |pattern: &&str| instance(pattern, &instance_name).is_some();
            assert_eq!(
                table
                    .tensors
                    .iter()
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
    assert_eq!(config(Family::Gpt2, &[]).position, Position::Learned);
}

#[test]
fn names_match_only_their_own_block() {
    let check = |name, expected| assert_eq!(instance("h.{}.ln_1.bias", name), expected, "{name}");
    check("h.0.ln_1.bias", Some(Some(0)));
    check("h.11.ln_1.bias", Some(Some(11)));
    check("h.01.ln_1.bias", None);
    check("h..ln_1.bias", None);
    check("h.+1.ln_1.bias", None);
    check("h.1.ln_1.bias.x", None);
    check("h.99999999999999999999.ln_1.bias", None);
    assert_eq!(instance("wte.weight", "wte.weight"), Some(None));
    assert_eq!(instance("wte.weight", "wte.weight2"), None);
}
