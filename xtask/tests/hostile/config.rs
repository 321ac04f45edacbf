//! C, 54 to 71: `config.json`.

use crate::checkpoint::{Checkpoint, Tensor, VOCAB, data, entry, header};
use crate::sandbox::Sandbox;
use crate::{Case, check};
use serde_json::{Map, Value, json};

const FILE: &str = "model/config.json";

/// The good Llama with a changed config.
fn config(
    name: (u8, &'static str),
    change: impl Fn(&mut Map<String, Value>) + 'static,
    says: &[&str],
) -> Case {
    let make = move |sandbox: &Sandbox| {
        let mut checkpoint = Checkpoint::llama();
        change(&mut checkpoint.config);
        sandbox.write_checkpoint(&checkpoint);
    };
    Case::refused(name, make, &[&[FILE], says].concat())
}

/// The good Llama with one key of its config set.
fn set(name: (u8, &'static str), key: &'static str, value: Value, says: &[&str]) -> Case {
    let quoted = format!("`{key}`");
    config(
        name,
        move |config| {
            config.insert(key.to_owned(), value.clone());
        },
        &[&[quoted.as_str()], says].concat(),
    )
}

/// Writes the good Llama with NaN, as Python writes it, for a key of its config.
fn with_nan(sandbox: &Sandbox, key: &str) {
    let mut checkpoint = Checkpoint::llama();
    checkpoint.config.insert(key.to_owned(), json!("NaN"));
    sandbox.write_checkpoint(&checkpoint);
    let config = String::from_utf8(sandbox.read(FILE)).unwrap();
    sandbox.write(FILE, config.replace("\"NaN\"", "NaN").as_bytes());
}

/// A `config.json` with these bytes.
fn text(name: (u8, &'static str), text: &'static [u8], says: &[&str]) -> Case {
    let make = move |sandbox: &Sandbox| sandbox.write(FILE, text);
    Case::refused(name, make, &[&[FILE], says].concat())
}

fn checkpoint(name: (u8, &'static str), checkpoint: Checkpoint, says: &[&str]) -> Case {
    Case::refused(name, move |s| s.write_checkpoint(&checkpoint), says)
}

/// Cases 54 to 66, 70 and 71: faults visible in the file alone.
pub(crate) fn configs() -> Vec<Case> {
    let unsupported = |number, what, key, value| {
        set(
            (number, what),
            key,
            value,
            &["which is not implemented", "expected", "found"],
        )
    };
    vec![
        Case::refused(
            (54, "missing"),
            |sandbox| std::fs::remove_file(sandbox.path(FILE)).unwrap(),
            &[FILE, "not found", "expected the config"],
        ),
        text((54, "empty"), b"", &["expected", "found an empty file"]),
        text(
            (54, "a byte order mark"),
            b"\xef\xbb\xbf{\"model_type\": \"llama\"}",
            &["found a byte order mark"],
        ),
        text((54, "an array"), b"[]", &["config: expected", "found"]),
        Case::refused(
            (54, "above 1 MB"),
            |sandbox| {
                sandbox.write(
                    FILE,
                    format!("{{\"a\":\"{}\"}}", "x".repeat(1_000_000)).as_bytes(),
                )
            },
            &[FILE, "expected at most 1000000 bytes", "found 1000008"],
        ),
        set(
            (55, "unknown `model_type`"),
            "model_type",
            json!("mixtral"),
            &[
                "\"mixtral\"",
                "a mixture of experts",
                "supported: gpt2, gpt_neox, phi, llama, qwen2",
            ],
        ),
        config(
            (57, "required key absent"),
            |config| {
                config.shift_remove("num_hidden_layers");
            },
            &["required key `num_hidden_layers` is missing"],
        ),
        set(
            (58, "wrong type"),
            "hidden_size",
            json!("8"),
            &["expected a whole number", "found \"8\""],
        ),
        set(
            (59, "no layer"),
            "num_hidden_layers",
            json!(0),
            &["expected a whole number from 1", "found 0"],
        ),
        set(
            (59, "negative heads"),
            "num_attention_heads",
            json!(-2),
            &["from 1", "found -2"],
        ),
        set(
            (59, "no width"),
            "hidden_size",
            json!(0),
            &["from 1", "found 0"],
        ),
        set(
            (59, "no vocabulary"),
            "vocab_size",
            json!(0),
            &["from 1", "found 0"],
        ),
        set(
            (60, "a billion layers"),
            "num_hidden_layers",
            json!(1_000_000_000),
            &["to 4096", "found 1000000000"],
        ),
        set(
            (60, "vocabulary of 2^64 - 1"),
            "vocab_size",
            json!(u64::MAX),
            &["to 16777216", "found 18446744073709551615"],
        ),
        set(
            (61, "heads that do not divide the width"),
            "num_attention_heads",
            json!(3),
            &["`hidden_size` = 8 is not a multiple of", "= 3"],
        ),
        config(
            (62, "key and value heads that do not divide the heads"),
            |config| {
                config.insert("num_attention_heads".to_owned(), json!(4));
                config.insert("num_key_value_heads".to_owned(), json!(3));
            },
            &["`num_attention_heads` = 4 is not a multiple of `num_key_value_heads` = 3"],
        ),
        config(
            (63, "odd rotary size"),
            |config| {
                config.insert("head_dim".to_owned(), json!(3));
            },
            &[
                "rotates 3 dimensions of heads of width 3",
                "expected an even number",
            ],
        ),
        set(
            (63, "rotary fraction below 0"),
            "partial_rotary_factor",
            json!(-0.5),
            &["a number from 0 to 1", "found -0.5"],
        ),
        set(
            (63, "rotary fraction above 1"),
            "partial_rotary_factor",
            json!(1.5),
            &["a number from 0 to 1", "found 1.5"],
        ),
        set(
            (64, "epsilon 0"),
            "rms_norm_eps",
            json!(0),
            &["expected a number from 1e-30 to below 1", "found 0"],
        ),
        set(
            (64, "negative epsilon"),
            "rms_norm_eps",
            json!(-1e-5),
            &["expected", "found -0.00001"],
        ),
        set(
            (64, "epsilon 1.0"),
            "rms_norm_eps",
            json!(1.0),
            &["expected", "found 1.0"],
        ),
        Case::refused(
            (64, "epsilon NaN, which JSON does not have"),
            |sandbox| with_nan(sandbox, "rms_norm_eps"),
            &[FILE, "`rms_norm_eps`", "expected a number", "found \"NaN\""],
        ),
        set(
            (65, "theta 0"),
            "rope_theta",
            json!(0),
            &["from 1 to 1e15", "found 0"],
        ),
        config(
            (65, "unknown kind of rotary scaling"),
            |config| {
                config.insert(
                    "rope_scaling".to_owned(),
                    json!({"rope_type": "proportional", "factor": 4.0}),
                );
            },
            &[
                "`rope_scaling.rope_type` is \"proportional\"",
                "supported: default, linear, dynamic, yarn, longrope, llama3",
            ],
        ),
        config(
            (65, "a dynamic scaling of a partial rotation"),
            |config| {
                config.insert("partial_rotary_factor".to_owned(), json!(0.5));
                config.insert(
                    "rope_scaling".to_owned(),
                    json!({"type": "dynamic", "factor": 2.0}),
                );
            },
            &["`partial_rotary_factor`", "a scaling of partial rotations"],
        ),
        config(
            (65, "two spellings that disagree"),
            |config| {
                for (key, theta) in [("rope_scaling", 10000.0), ("rope_parameters", 500.0)] {
                    let object = json!({"rope_type": "default", "rope_theta": theta});
                    config.insert(key.to_owned(), object);
                }
            },
            &[
                "`rope_scaling.rope_theta` = 10000.0 and `rope_parameters.rope_theta` = 500.0 disagree",
            ],
        ),
        set(
            (66, "unknown activation"),
            "hidden_act",
            json!("quick_gelu"),
            &["\"quick_gelu\"", "supported: gelu_new"],
        ),
        unsupported(
            70,
            "code of its own",
            "auto_map",
            json!({"AutoModelForCausalLM": "modeling_own.Own"}),
        ),
        unsupported(70, "attention to later tokens", "is_causal", json!(false)),
        unsupported(
            70,
            "quantisation by MLX",
            "quantization",
            json!({"group_size": 64, "bits": 4}),
        ),
        unsupported(
            70,
            "quantisation",
            "quantization_config",
            json!({"quant_method": "gptq", "bits": 4}),
        ),
    ]
}

/// Cases 56, 61, 65, 68, 70, 71: configs that look wrong but are valid.
pub(crate) fn valid() -> Vec<Case> {
    let accepted = |name, change: fn(&mut Checkpoint), says: &[&str]| {
        let make = move |sandbox: &Sandbox| {
            let mut checkpoint = Checkpoint::llama();
            change(&mut checkpoint);
            sandbox.write_checkpoint(&checkpoint);
        };
        Case::accepted(name, make, says)
    };
    let unread = |number, what, change: fn(&mut Checkpoint), key| {
        accepted(
            (number, what),
            change,
            &["note: model", "without effect", key],
        )
    };
    vec![
        unread(
            56,
            "a key of another family, which transformers does not read",
            |checkpoint| {
                checkpoint.config.insert("n_embd".to_owned(), json!(9));
            },
            "`n_embd`",
        ),
        unread(
            70,
            "a window in a Llama, which transformers does not read",
            |checkpoint| {
                checkpoint
                    .config
                    .insert("sliding_window".to_owned(), json!(4));
            },
            "`sliding_window`",
        ),
        Case::accepted(
            (64, "NaN for a key without effect"),
            |sandbox| with_nan(sandbox, "attention_dropout"),
            &["model: 3 schedules"],
        ),
        Case::accepted(
            (64, "NaN for a key without effect, on a text"),
            |sandbox| with_nan(sandbox, "attention_dropout"),
            &["model: 3 schedules"],
        )
        .on("text.txt", &[]),
        unread(
            71,
            "a key that nothing reads",
            |checkpoint| {
                checkpoint
                    .config
                    .insert("attention_sinks".to_owned(), json!(4));
            },
            "`attention_sinks`",
        ),
        accepted(
            (61, "an explicit `head_dim`"),
            |checkpoint| {
                checkpoint.config.insert("head_dim".to_owned(), json!(2));
                for block in 0..2 {
                    for (name, shape) in
                        [("q", [4, 8]), ("k", [2, 8]), ("v", [2, 8]), ("o", [8, 4])]
                    {
                        let name = format!("model.layers.{block}.self_attn.{name}_proj.weight");
                        *checkpoint.tensor(&name) = Tensor::random(&name, &shape);
                    }
                }
            },
            &["model: 3 schedules"],
        ),
        unread(
            65,
            "a base of rotations next to `rope_parameters` with another base",
            |checkpoint| {
                checkpoint.config.insert(
                    "rope_parameters".to_owned(),
                    json!({"rope_type": "default", "rope_theta": 500.0}),
                );
            },
            "`rope_theta`",
        ),
        unread(
            65,
            "an older name of a scaling next to the newer one",
            |checkpoint| {
                checkpoint.config.insert(
                    "rope_scaling".to_owned(),
                    json!({"rope_type": "default", "type": "mrope"}),
                );
            },
            "`rope_scaling.type`",
        ),
        accepted(
            (65, "both spellings of the rotary keys, which agree"),
            |checkpoint| {
                checkpoint.config.insert(
                    "rope_parameters".to_owned(),
                    json!({"rope_type": "default", "rope_theta": 10000.0}),
                );
            },
            &["model: 3 schedules"],
        ),
        accepted(
            (68, "padded rows of the embedding"),
            |checkpoint| {
                for name in ["model.embed_tokens.weight", "lm_head.weight"] {
                    *checkpoint.tensor(name) = Tensor::random(name, &[VOCAB + 4, 8]);
                }
            },
            &["note: model", "260", "264"],
        ),
    ]
}

/// Cases 67 to 69: the config against the weights.
pub(crate) fn against_weights() -> Vec<Case> {
    let with = |key: &str, value: Value| {
        let mut checkpoint = Checkpoint::llama();
        checkpoint.config.insert(key.to_owned(), value);
        checkpoint
    };
    let mut largest = with("num_hidden_layers", json!(4096));
    for key in ["hidden_size", "intermediate_size"] {
        largest.config.insert(key.to_owned(), json!(1 << 20));
    }
    let tied = Checkpoint::llama().without(|name| name == "lm_head.weight");
    vec![
        checkpoint(
            (
                60,
                "the largest values that a config may have, without weights for them",
            ),
            largest,
            &[
                "model",
                "the config declares 4096 layers, the weights have 2",
            ],
        ),
        checkpoint(
            (60, "the largest width, without weights for it"),
            with("hidden_size", json!(1 << 20)),
            &["model", "expected shape", "1048576", "found"],
        ),
        Case::refused(
            (60, "an embedding of two terabytes in a sparse file"),
            |sandbox| {
                let mut checkpoint = Checkpoint::llama();
                let table = checkpoint
                    .tensors
                    .iter()
                    .position(|t| t.name == "model.embed_tokens.weight");
                let table = checkpoint.tensors.remove(table.unwrap());
                let file = "model/model.safetensors";
                let (own, rows) = (data(&checkpoint.tensors), 1_u64 << 36);
                let end = own.len() as u64;
                let last = entry(
                    &table.name,
                    "F32",
                    &format!("[{rows},8]"),
                    end,
                    end + rows * 32,
                );
                let text = header(&checkpoint.tensors);
                let text = format!("{},{last}}}", &text[..text.len() - 1]);
                let bytes = crate::checkpoint::file(text, &own);
                sandbox.write(file, &bytes);
                let file = std::fs::OpenOptions::new()
                    .write(true)
                    .open(sandbox.path(file))
                    .unwrap();
                file.set_len(bytes.len() as u64 + rows * 32).unwrap();
            },
            &[
                "model: the weights: needs 6291457 MiB of memory, but only",
                "is available",
            ],
        )
        // Not every system reports its free memory.
        .on(
            "ids.npy",
            match cfg!(target_os = "linux") {
                true => &[],
                false => &["--max-memory", "8G"],
            },
        ),
        checkpoint(
            (67, "more layers than the weights have"),
            with("num_hidden_layers", json!(3)),
            &["model", "the config declares 3 layers, the weights have 2"],
        ),
        checkpoint(
            (67, "fewer layers than the weights have"),
            with("num_hidden_layers", json!(1)),
            &["model", "the config declares 1 layers, the weights have 2"],
        ),
        checkpoint(
            (68, "vocabulary larger than the embedding"),
            with("vocab_size", json!(VOCAB + 1)),
            &[
                "model",
                "embed_tokens.weight",
                "expected at least 261 rows",
                "found 260",
            ],
        ),
        checkpoint(
            (69, "tied, with an unembedding of its own"),
            with("tie_word_embeddings", json!(true)),
            &[
                "model",
                "`tie_word_embeddings` is true",
                "lm_head.weight",
                "expected the same values",
            ],
        ),
        checkpoint(
            (69, "not tied, without an unembedding"),
            tied,
            &[
                "model",
                "`tie_word_embeddings` is false",
                "lm_head.weight",
                "missing",
            ],
        ),
    ]
}

#[test]
fn configs_alone() {
    check(configs());
}

#[test]
fn unusual_configs_that_are_valid() {
    check(valid());
}

#[test]
fn configs_against_weights() {
    check(against_weights());
}
