//! Forms of a family that are rare, read as in transformers; forms that transformers lacks are refused.

use layerwise_architecture::Residual;
use serde_json::{Value, json};

use crate::config::{edited, read};

/// GPT-NeoX and Phi-3 complete the last pair; where a part of a head has no dimension, nothing rotates.
#[test]
fn odd_and_empty_parts_of_heads_rotate_as_in_transformers() {
    let check = |base: &str, edits: Value, expected: Option<(usize, usize)>| {
        let config = read(&edited(base, edits.clone())).unwrap();
        let rotary = &config.attention.of(0).rotary;
        let found = rotary
            .as_ref()
            .map(|rotary| (rotary.size, rotary.rotated()));
        assert_eq!(found, expected, "{base} with {edits}");
    };
    check("pythia-70m", json!({"hidden_size": 160}), Some((5, 6)));
    check("pythia-70m", json!({"rotary_pct": 0.24}), Some((15, 16)));
    check("pythia-70m", json!({"head_dim": 20}), Some((5, 6)));
    let linear = json!({"type": "linear", "factor": 2.0});
    check(
        "pythia-70m",
        json!({"rotary_pct": 0.24, "rope_scaling": linear}),
        Some((15, 16)),
    );
    let factors = vec![1.0; 8];
    let long = json!({"type": "longrope", "short_factor": factors, "long_factor": factors});
    check(
        "pythia-70m",
        json!({"rotary_pct": 0.24, "rope_scaling": long}),
        Some((15, 16)),
    );
    let phi3 = json!({"model_type": "phi3", "head_dim": 20, "partial_rotary_factor": 0.75});
    check("Llama-2-7b-hf", phi3, Some((15, 16)));
    check("pythia-70m", json!({"rotary_pct": 0.0}), None);
    check("pythia-70m", json!({"hidden_size": 16}), None);
    check("phi-2", json!({"partial_rotary_factor": 0.0}), None);
    check("phi-2", json!({"partial_rotary_factor": 0.01}), None);
    check(
        "stablelm-2-12b",
        json!({"partial_rotary_factor": 0.0}),
        None,
    );
}

/// ALiBi has no longest text, and transformers does not read `seq_length`.
#[test]
fn a_bloom_has_at_least_the_usual_context() {
    let context = |edits: Value| {
        let mut map = edited("gpt2", json!({"model_type": "bloom", "hidden_size": 768}));
        map.extend(edits.as_object().unwrap().clone());
        read(&map).unwrap().context
    };
    assert_eq!(context(json!({})), 2048);
    assert_eq!(context(json!({"seq_length": null})), 2048);
    assert_eq!(context(json!({"seq_length": 7})), 2048);
    assert_eq!(context(json!({"seq_length": 4096})), 4096);
    // Either of the two keys alone changes nothing.
    assert_eq!(context(json!({"slow_but_exact": true})), 2048);
    assert_eq!(context(json!({"pretraining_tp": 4})), 2048);
    assert_eq!(
        context(json!({"slow_but_exact": true, "pretraining_tp": 1})),
        2048
    );
}

#[test]
fn a_bos_of_minus_one_is_none() {
    let bos = |value: Value| {
        let map = edited("Llama-2-7b-hf", json!({"bos_token_id": value}));
        read(&map).unwrap().bos
    };
    assert_eq!(bos(json!(-1)), bos(json!(null)));
    assert_ne!(bos(json!(-1)), bos(json!(1)));
}

/// A window belongs to the blocks that `layer_types` gives one, where the family has it on.
#[test]
fn a_windowed_block_needs_a_window() {
    let windows = |family: &str, edits: Value| {
        let keys = json!({"model_type": family, "num_hidden_layers": 2, "sliding_window": 8});
        let mut map = edited("Llama-2-7b-hf", keys);
        map.extend(edits.as_object().unwrap().clone());
        let config = read(&map)?;
        Ok::<_, String>([0, 1].map(|layer| config.attention.of(layer).window))
    };
    let types = ["sliding_attention", "full_attention"];
    let full = ["full_attention", "full_attention"];
    for family in ["qwen2", "qwen3"] {
        let on = json!({"layer_types": types, "use_sliding_window": true});
        assert_eq!(windows(family, on), Ok([Some(8), None]), "{family}");
        assert!(
            windows(family, json!({"layer_types": types})).is_err(),
            "{family}"
        );
        let none = json!({"layer_types": full, "sliding_window": null});
        assert_eq!(windows(family, none), Ok([None, None]), "{family}");
    }
    // SmolLM3 has the window wherever its types say so.
    assert_eq!(
        windows("smollm3", json!({"layer_types": types})),
        Ok([Some(8), None])
    );
    assert!(
        windows(
            "smollm3",
            json!({"layer_types": types, "sliding_window": null})
        )
        .is_err()
    );
    for family in ["gemma2", "gemma3_text"] {
        assert!(windows(family, json!({})).is_ok(), "{family}");
        let none = json!({"layer_types": full, "sliding_window": null});
        assert!(windows(family, none).is_err(), "{family}");
    }
}

/// The forms of Falcon that transformers has; the others are in the table of refusals.
#[test]
fn forms_of_falcon_are_read() {
    let form = |edits: Value| {
        let mut map = edited("Llama-2-7b-hf", json!({"model_type": "falcon"}));
        map.extend(edits.as_object().unwrap().clone());
        let config = read(&map).unwrap();
        (config.kv_heads, config.residual)
    };
    use Residual::{ParallelOneNorm, ParallelTwoNorms, Sequential};
    assert_eq!(form(json!({"num_kv_heads": 2})), (1, ParallelOneNorm));
    assert_eq!(form(json!({"multi_query": false})), (32, ParallelOneNorm));
    assert_eq!(
        form(json!({"multi_query": false, "num_kv_heads": 32, "parallel_attn": false})),
        (32, Sequential)
    );
    assert_eq!(
        form(json!({"parallel_attn": false, "num_ln_in_parallel_attn": 2})),
        (1, Sequential)
    );
    assert_eq!(
        form(json!({"new_decoder_architecture": true, "num_kv_heads": 2})),
        (2, ParallelTwoNorms)
    );
    assert_eq!(
        form(
            json!({"new_decoder_architecture": true, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1})
        ),
        (2, ParallelOneNorm)
    );
}
