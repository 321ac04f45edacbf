//! Configs of published checkpoints parse to their architectures; wrong ones are refused with a message that says why.
//! Numbers in brackets are those of the catalogue of bad inputs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use layerwise_architecture::{
    Activation, Family, Mlp, ModelConfig, Norm, Residual, RopeScaling, Rotary, unread_keys,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn cases() -> Vec<(String, Map<String, Value>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config_cases");
    let parse = |file: PathBuf| {
        let name = file
            .file_stem()
            .and_then(OsStr::to_str)
            .expect("a UTF-8 name")
            .to_owned();
        let Value::Object(map) =
            serde_json::from_slice(&std::fs::read(&file).expect("a readable case")).expect("JSON")
        else {
            panic!("{name} is not an object");
        };
        (name, map)
    };
    let files = std::fs::read_dir(folder)
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path());
    let mut cases: Vec<(String, Map<String, Value>)> = files.map(parse).collect();
    cases.sort_by(|(one, _), (other, _)| one.cmp(other));
    cases
}

fn case(name: &str) -> Map<String, Value> {
    cases()
        .into_iter()
        .find(|(case, _)| case == name)
        .expect("a case of that name")
        .1
}

pub(crate) fn read(map: &Map<String, Value>) -> Result<ModelConfig, String> {
    ModelConfig::from_json(map, Path::new("config.json")).map_err(|error| error.to_string())
}

/// `config` with the keys of `edits` set, or removed if the edit is the text `absent`.
pub(crate) fn edited(config: &str, edits: Value) -> Map<String, Value> {
    let mut map = case(config);
    for (key, value) in edits.as_object().expect("an object of edits") {
        if value == "absent" {
            map.remove(key);
        } else {
            map.insert(key.clone(), value.clone());
        }
    }
    map
}

/// The sizes of a config: layers, model, heads, kv_heads, head, neurons, vocab, context.
fn sizes(config: &ModelConfig) -> [usize; 8] {
    let ModelConfig {
        layers,
        model,
        heads,
        kv_heads,
        head,
        neurons,
        vocab,
        context,
        ..
    } = *config;
    [
        layers, model, heads, kv_heads, head, neurons, vocab, context,
    ]
}

#[test]
fn published_configs_have_their_published_sizes() {
    let expected = [
        "Llama-2-7b-hf llama [32, 4096, 32, 32, 128, 11008, 32000, 4096] untied Token(1)",
        "Llama-3.2-1B llama [16, 2048, 32, 8, 64, 8192, 128256, 131072] tied Token(128000)",
        "Llama-3.2-3B llama [28, 3072, 24, 8, 128, 8192, 128256, 131072] tied Token(128000)",
        "Qwen2.5-0.5B qwen2 [24, 896, 14, 2, 64, 4864, 151936, 32768] tied Nothing",
        "Qwen2.5-1.5B qwen2 [28, 1536, 12, 2, 128, 8960, 151936, 131072] tied Nothing",
        "Qwen2.5-14B qwen2 [48, 5120, 40, 8, 128, 13824, 152064, 131072] untied Nothing",
        "Qwen2.5-3B qwen2 [36, 2048, 16, 2, 128, 11008, 151936, 32768] tied Nothing",
        "SmolLM2-135M llama [30, 576, 9, 3, 64, 1536, 49152, 8192] tied Token(0)",
        "distilgpt2 gpt2 [6, 768, 12, 12, 64, 3072, 50257, 1024] tied Token(50256)",
        "gemma-3-4b-it gemma3 [34, 2560, 8, 4, 256, 10240, 262208, 131072] tied Token(2)",
        "gpt2 gpt2 [12, 768, 12, 12, 64, 3072, 50257, 1024] tied Token(50256)",
        "gpt2-large gpt2 [36, 1280, 20, 20, 64, 5120, 50257, 1024] tied Token(50256)",
        "gpt2-medium gpt2 [24, 1024, 16, 16, 64, 4096, 50257, 1024] tied Token(50256)",
        "gpt2-xl gpt2 [48, 1600, 25, 25, 64, 6400, 50257, 1024] tied Token(50256)",
        "phi-1 phi [24, 2048, 32, 32, 64, 8192, 51200, 2048] untied EndOfText",
        "phi-1_5 phi [24, 2048, 32, 32, 64, 8192, 51200, 2048] untied EndOfText",
        "phi-2 phi [32, 2560, 32, 32, 80, 10240, 51200, 2048] untied Token(50256)",
        "pythia-1.4b-deduped gpt_neox [24, 2048, 16, 16, 128, 8192, 50304, 2048] untied Token(0)",
        "pythia-12b-deduped gpt_neox [36, 5120, 40, 40, 128, 20480, 50688, 2048] untied Token(0)",
        "pythia-2.8b-deduped gpt_neox [32, 2560, 32, 32, 80, 10240, 50304, 2048] untied Token(0)",
        "pythia-410m-deduped gpt_neox [24, 1024, 16, 16, 64, 4096, 50304, 2048] untied Token(0)",
        "pythia-6.9b-deduped gpt_neox [32, 4096, 32, 32, 128, 16384, 50432, 2048] untied Token(0)",
        "pythia-70m gpt_neox [6, 512, 8, 8, 64, 2048, 50304, 2048] untied Token(0)",
        "stablelm-2-12b stablelm [40, 5120, 32, 8, 160, 13824, 100352, 4096] untied Nothing",
        "transformers-5-gpt2 gpt2 [3, 64, 4, 4, 16, 256, 11, 32] tied Token(50256)",
        "transformers-5-gpt_neox gpt_neox [3, 64, 4, 4, 16, 256, 11, 32] untied Token(0)",
        "transformers-5-llama llama [3, 64, 4, 2, 24, 192, 11, 131072] untied Token(1)",
        "transformers-5-phi phi [3, 64, 4, 2, 16, 256, 11, 32] untied EndOfText",
        "transformers-5-qwen2 qwen2 [3, 64, 4, 2, 16, 192, 11, 32] untied Nothing",
    ];
    let line = |(name, map): &(String, Map<String, Value>)| {
        let config = read(map).unwrap();
        let tied = if config.tied { "tied" } else { "untied" };
        format!(
            "{name} {} {:?} {tied} {:?}",
            config.family,
            sizes(&config),
            config.bos
        )
    };
    assert_eq!(cases().iter().map(line).collect::<Vec<_>>(), expected);
}

/// The parameter counts that Hugging Face's `num_parameters` gives for the published checkpoints.
#[test]
fn published_configs_have_their_published_parameters() {
    let check = |name: &str, parameters: u64| {
        let config = read(&case(name)).expect("a published config");
        assert_eq!(config.parameters(), parameters, "{name}");
    };
    check("gpt2", 124_439_808);
    check("gpt2-xl", 1_557_611_200);
    check("pythia-70m", 70_426_624);
    check("pythia-410m-deduped", 405_334_016);
    check("phi-2", 2_779_683_840);
    check("Llama-3.2-1B", 1_235_814_400);
    check("Qwen2.5-0.5B", 494_032_768);
    check("SmolLM2-135M", 134_515_008);
}

#[test]
fn published_configs_have_their_block_equations() {
    let rotary = |size, theta| Some(Rotary::new(size, theta));
    let llama3 = RopeScaling::Llama3 {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_context: 8192,
    };
    // Biases: queries, keys and values; attention output; MLP; unembedding.
    let check = |name, norm, epsilon, residual, position, mlp, activation, biases: [bool; 4]| {
        let config = read(&case(name)).unwrap();
        assert_eq!(
            (config.norm, config.norm_epsilon),
            (norm, epsilon),
            "{name}"
        );
        assert_eq!(
            (config.residual, config.attention.of(0).rotary.clone()),
            (residual, position),
            "{name}"
        );
        assert_eq!((config.mlp, config.activation), (mlp, activation), "{name}");
        let found = [
            config.qkv_bias,
            config.attention_out_bias,
            config.mlp_bias,
            config.unembedding_bias,
        ];
        assert_eq!(found, biases, "{name}");
    };
    use Activation::{Gelu, GeluTanh, Silu};
    use Mlp::{Gated, Plain};
    use Norm::{LayerNorm, RmsNorm};
    use Residual::{ParallelOneNorm, ParallelTwoNorms, Sequential};
    let all = [true, true, true, false];
    check(
        "gpt2-xl", LayerNorm, 1e-5, Sequential, None, Plain, GeluTanh, all,
    );
    check(
        "pythia-2.8b-deduped",
        LayerNorm,
        1e-5,
        ParallelTwoNorms,
        rotary(20, 1e4),
        Plain,
        Gelu,
        all,
    );
    check(
        "pythia-12b-deduped",
        LayerNorm,
        1e-5,
        ParallelTwoNorms,
        rotary(32, 1e4),
        Plain,
        Gelu,
        all,
    );
    check(
        "phi-1",
        LayerNorm,
        1e-5,
        ParallelOneNorm,
        rotary(32, 1e4),
        Plain,
        GeluTanh,
        [true; 4],
    );
    check(
        "phi-2",
        LayerNorm,
        1e-5,
        ParallelOneNorm,
        rotary(32, 1e4),
        Plain,
        GeluTanh,
        [true; 4],
    );
    check(
        "Llama-2-7b-hf",
        RmsNorm,
        1e-5,
        Sequential,
        rotary(128, 1e4),
        Gated,
        Silu,
        [false; 4],
    );
    check(
        "SmolLM2-135M",
        RmsNorm,
        1e-5,
        Sequential,
        rotary(64, 1e5),
        Gated,
        Silu,
        [false; 4],
    );
    let scaled = |size| Some(Rotary::new(size, 5e5).scaled(llama3.clone()));
    check(
        "Llama-3.2-1B",
        RmsNorm,
        1e-5,
        Sequential,
        scaled(64),
        Gated,
        Silu,
        [false; 4],
    );
    let qkv = [true, false, false, false];
    check(
        "Qwen2.5-0.5B",
        RmsNorm,
        1e-6,
        Sequential,
        rotary(64, 1e6),
        Gated,
        Silu,
        qkv,
    );
    check(
        "Qwen2.5-14B",
        RmsNorm,
        1e-5,
        Sequential,
        rotary(128, 1e6),
        Gated,
        Silu,
        qkv,
    );
    let mlp = [false, false, true, false];
    check(
        "transformers-5-gpt_neox",
        LayerNorm,
        1e-5,
        Sequential,
        rotary(4, 1e4),
        Plain,
        Gelu,
        mlp,
    );
    check(
        "transformers-5-llama",
        RmsNorm,
        1e-6,
        Sequential,
        scaled(24),
        Gated,
        Silu,
        all,
    );
}

#[test]
fn equal_spellings_parse_alike() {
    let check = |base: &str, edits: Value| {
        assert_eq!(
            read(&edited(base, edits.clone())),
            read(&case(base)),
            "{base} with {edits}"
        );
    };
    let llama3 = json!({
        "rope_theta": 500000.0, "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
    });
    // The newer spelling alone, and both together.
    check(
        "Llama-3.2-1B",
        json!({"rope_theta": "absent", "rope_scaling": "absent", "rope_parameters": llama3}),
    );
    check("Llama-3.2-1B", json!({"rope_parameters": llama3}));
    let older = json!({
        "type": "llama3", "factor": 32, "low_freq_factor": 1, "high_freq_factor": 4,
        "original_max_position_embeddings": 8192,
    });
    check("Llama-3.2-1B", json!({"rope_scaling": older}));
    check(
        "phi-2",
        json!({"partial_rotary_factor": "absent", "rope_parameters": {"partial_rotary_factor": 0.4}}),
    );
    check(
        "phi-2",
        json!({"rope_scaling": {}, "rope_parameters": {"rope_type": "default", "type": "default"}}),
    );
    check(
        "pythia-70m",
        json!({"rotary_pct": "absent", "rotary_emb_base": "absent"}),
    );
    check(
        "pythia-70m",
        json!({"rope_theta": 10000.0, "partial_rotary_factor": 0.25}),
    );
    // The newer name of a scaling counts.
    check(
        "phi-2",
        json!({"rope_scaling": {"rope_type": "default", "type": "mrope"}}),
    );
    check(
        "Llama-3.2-1B",
        json!({"rope_scaling": {
            "rope_type": "llama3", "type": "linear", "factor": 32.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192.0,
        }}),
    );
    // The width that GPT-NeoX rotates a part of.
    check("pythia-70m", json!({"head_dim": 64}));
    check("pythia-70m", json!({"head_dim": 32, "rotary_pct": 0.5}));
    // Whole heads rotate in a family without partial rotations, whatever the key says.
    check("Llama-2-7b-hf", json!({"partial_rotary_factor": 0.0}));
    // Defaults and nulls.
    check(
        "gpt2",
        json!({"n_inner": null, "layer_norm_epsilon": "absent", "activation_function": "absent"}),
    );
    check(
        "gpt2",
        json!({"n_inner": 3072, "bos_token_id": "absent", "tie_word_embeddings": true, "n_ctx": "absent"}),
    );
    check(
        "gpt2",
        json!({"activation_function": "gelu_pytorch_tanh", "scale_attn_weights": true}),
    );
    check(
        "Llama-2-7b-hf",
        json!({"num_key_value_heads": "absent", "hidden_act": "swish", "head_dim": null}),
    );
    check(
        "Llama-2-7b-hf",
        json!({"rope_theta": "absent", "attention_bias": "absent", "mlp_bias": "absent"}),
    );
    check(
        "Qwen2.5-0.5B",
        json!({"layer_types": vec!["full_attention"; 24], "sliding_window": null}),
    );
}

#[test]
fn an_explicit_head_width_need_not_divide_the_model_width() {
    let config = read(&edited(
        "Llama-2-7b-hf",
        json!({"hidden_size": 4095, "head_dim": 64}),
    ))
    .unwrap();
    assert_eq!(sizes(&config)[..5], [32, 4095, 32, 32, 64]);
}

#[test]
fn linear_scaling_is_read() {
    let config = read(&edited(
        "pythia-70m",
        json!({"rope_scaling": {"type": "linear", "factor": 2}}),
    ))
    .unwrap();
    let scaling = RopeScaling::Linear { factor: 2.0 };
    assert_eq!(
        config.attention.of(0).rotary,
        Some(Rotary::new(16, 1e4).scaled(scaling))
    );
}

/// The references are `ROPE_INIT_FUNCTIONS` of Hugging Face transformers 5.23, in f32.
#[test]
fn inverse_frequencies_are_those_of_the_reference() {
    let check = |rotary: Rotary, reference: &[(usize, f64)]| {
        let frequencies = rotary.inverse_frequencies(8);
        assert_eq!(frequencies.len(), rotary.size.div_ceil(2));
        for &(pair, expected) in reference {
            assert!(
                (frequencies[pair] / expected - 1.0).abs() < 1e-6,
                "{pair}: {} {expected}",
                frequencies[pair]
            );
        }
    };
    let scaling = RopeScaling::Llama3 {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_context: 8192,
    };
    // Pairs 0 and 14 are kept, 15 to 17 lie between, 18 and 31 are divided by the factor.
    check(
        Rotary::new(64, 5e5).scaled(scaling),
        &[
            (0, 1.0),
            (1, 0.663601279258728),
            (14, 0.0032114461064338684),
            (15, 0.0012905480107292533),
            (16, 0.000429556705057621),
            (17, 9.708286233944818e-05),
            (18, 1.9461638657958247e-05),
            (31, 9.418306490260875e-08),
        ],
    );
    check(
        Rotary::new(8, 1e4).scaled(RopeScaling::Linear { factor: 2.0 }),
        &[(0, 0.5), (1, 0.05), (2, 0.005), (3, 0.0005)],
    );
    check(Rotary::new(4, 1e4), &[(0, 1.0), (1, 0.01)]);
    // GPT-NeoX with a quarter of heads of width 20: exponents over 5, although 6 dimensions rotate.
    check(
        Rotary::new(5, 1e4),
        &[
            (0, 1.0),
            (1, 0.025118863210082054),
            (2, 0.0006309573072940111),
        ],
    );
}

/// A key that transformers does not read is reported and has no effect; no published config has an unknown one.
#[test]
fn unread_keys_are_named() {
    for (name, mut map) in cases() {
        let path = Path::new("config.json");
        let before = read(&map);
        let known = unread_keys(&map, path).unwrap();
        map.insert("no_such_key".into(), json!(false));
        let mut expected = known.clone();
        expected.push("no_such_key".into());
        assert_eq!(unread_keys(&map, path).unwrap(), expected, "{name}");
        assert_eq!(read(&map), before, "{name}");
    }
}

/// As in transformers, a setting inside the rotary object counts, and a different value next to it is not read.
#[test]
fn a_setting_inside_the_rotary_object_counts() {
    let check = |base: &str, edits: Value, counts: Value, not_read: &str| {
        let found = edited(base, edits);
        assert_eq!(read(&found), read(&edited(base, counts)), "{base}");
        let path = Path::new("config.json");
        assert!(
            unread_keys(&found, path)
                .unwrap()
                .contains(&not_read.to_owned()),
            "{base}"
        );
    };
    check(
        "Qwen2.5-0.5B",
        json!({"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}}),
        json!({"rope_theta": 500.0}),
        "rope_theta",
    );
    check(
        "pythia-70m",
        json!({"rope_parameters": {"rope_theta": 500.0, "partial_rotary_factor": 0.5}}),
        json!({"rotary_emb_base": 500.0, "rotary_pct": 0.5}),
        "rotary_emb_base",
    );
    check(
        "phi-2",
        json!({"rope_parameters": {"partial_rotary_factor": 0.5}}),
        json!({"partial_rotary_factor": 0.5}),
        "partial_rotary_factor",
    );
    // GPT-NeoX uses other names.
    check(
        "pythia-70m",
        json!({"rope_theta": 20000, "rotary_emb_base": "absent"}),
        json!({"rotary_emb_base": 10000}),
        "rope_theta",
    );
    check(
        "Qwen2.5-0.5B",
        json!({"rope_scaling": {"rope_type": "default", "type": "mrope"}}),
        json!({}),
        "rope_scaling.type",
    );
    // For the context before a stretch, the key next to the object counts.
    let yarn = |original: u64| json!({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": original});
    check(
        "Llama-2-7b-hf",
        json!({"rope_scaling": yarn(4096), "original_max_position_embeddings": 2048}),
        json!({"rope_scaling": yarn(2048)}),
        "rope_scaling.original_max_position_embeddings",
    );
}

/// In Gemma 3 the older object overrides the newer one for the blocks without a window.
#[test]
fn a_scaling_beside_rotations_of_two_kinds_is_that_of_blocks_without_a_window() {
    let gemma = |keys: Value| {
        let mut map = edited("Llama-2-7b-hf", json!({"model_type": "gemma3_text"}));
        map.extend(keys.as_object().unwrap().clone());
        read(&map)
    };
    let scaling = json!({"rope_type": "linear", "factor": 8.0});
    let kinds = |full: Value| json!({"full_attention": full, "sliding_attention": {"rope_type": "default", "rope_theta": 500.0}});
    let full = json!({"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6});
    let older = gemma(json!({"rope_scaling": scaling, "rope_local_base_freq": 500.0})).unwrap();
    assert_eq!(
        older.attention.of(5).rotary,
        Some(Rotary::new(256, 1e6).scaled(RopeScaling::Linear { factor: 8.0 }))
    );
    assert_eq!(older.attention.of(0).rotary, Some(Rotary::new(256, 500.0)));
    assert_eq!(
        gemma(json!({"rope_parameters": kinds(full.clone())})),
        Ok(older.clone())
    );
    let both = json!({"rope_scaling": scaling, "rope_parameters": kinds(full)});
    assert_eq!(gemma(both), Ok(older));
}

/// Each line of the table is a published config with some keys changed, and the message that must refuse it.
#[test]
fn bad_configs_are_refused_with_a_reason() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config_refusals.json");
    let table: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut failures = Vec::new();
    for row in table.as_array().unwrap() {
        let (base, edits) = (row["base"].as_str().unwrap(), &row["edits"]);
        let expected = format!("config.json: {}", row["error"].as_str().unwrap());
        let found = read(&edited(base, edits.clone())).err();
        if found.as_ref() != Some(&expected) {
            failures.push(format!(
                "[{}] {base} {edits}\n{expected:?}\n{found:?}",
                row["case"]
            ));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (0u64..70).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0.0..1.5).prop_map(Value::from),
        other_text().prop_map(Value::from),
        prop::sample::select(vec![
            "gpt2",
            "llama",
            "gelu",
            "linear",
            "llama3",
            "default",
            "full_attention"
        ])
        .prop_map(Value::from),
    ];
    let key = prop_oneof![known_key(), other_text().prop_map(String::from)].boxed();
    leaf.prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// A text that no config contains.
fn other_text() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "x", "n_layers", "\u{0}\u{1b}[2J", "été "])
}

/// A key of some published config, or of an object inside one.
fn known_key() -> impl Strategy<Value = String> {
    let mut keys: Vec<String> = Vec::new();
    for (_, map) in cases() {
        keys.extend(
            map.values()
                .filter_map(Value::as_object)
                .flat_map(|inner| inner.keys().cloned()),
        );
        keys.extend(map.keys().cloned());
    }
    keys.sort();
    keys.dedup();
    prop::sample::select(keys)
}

/// Properties of every accepted config.
fn assert_sound(config: &ModelConfig) {
    assert!(sizes(config).iter().all(|&size| size >= 1));
    assert!(config.layers <= 4096 && config.model <= 1 << 20 && config.vocab <= 1 << 24);
    assert!(config.heads * config.head <= 1 << 20 && config.neurons <= 1 << 22);
    assert!(config.heads.is_multiple_of(config.kv_heads));
    assert!(config.norm_epsilon > 0.0 && config.norm_epsilon < 1.0);
    if let Some(rotary) = &config.attention.of(0).rotary {
        assert!(rotary.size >= 1 && rotary.rotated() <= config.head);
        assert!(rotary.rotated().is_multiple_of(2));
        assert!(
            rotary
                .inverse_frequencies(8)
                .iter()
                .all(|frequency| (0.0..=1.0).contains(frequency))
        );
    }
}

proptest! {
    #[test]
    fn arbitrary_objects_never_panic(
        entries in prop::collection::vec((known_key(), any_value()), 0..12),
        family in prop::sample::select(Family::all().to_vec()),
    ) {
        let mut map: Map<String, Value> = entries.into_iter().collect();
        map.insert("model_type".into(), family.model_type().into());
        if let Ok(config) = read(&map) {
            assert_sound(&config);
        }
    }

    #[test]
    fn changed_configs_never_panic(
        base in prop::sample::select(cases()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(any_value())), 1..3),
    ) {
        let (_, mut map) = base;
        for (index, value) in changes {
            let key = index.get(&map.keys().cloned().collect::<Vec<_>>()).clone();
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        if let Ok(config) = read(&map) {
            assert_sound(&config);
        }
    }
}

#[test]
fn gelu_in_a_gemma_is_its_tanh_approximation() {
    let gemma = |activation: &str, family: &str| {
        let edits = json!({"model_type": family, "hidden_act": activation, "hidden_activation": activation});
        read(&edited("Llama-2-7b-hf", edits)).unwrap().activation
    };
    assert_eq!(gemma("gelu", "gemma"), Activation::GeluTanh);
    assert_eq!(gemma("gelu_pytorch_tanh", "gemma"), Activation::GeluTanh);
    assert_eq!(gemma("relu", "gemma"), Activation::Relu);
    assert_eq!(gemma("gelu", "gemma2"), Activation::Gelu);
}
