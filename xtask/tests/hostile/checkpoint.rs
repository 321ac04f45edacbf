//! Tiny random checkpoints, built by code.

use serde_json::{Map, Value, json};

/// Tokens of the models: the 256 bytes, two for padding, `ab` and the end-of-text token.
pub(crate) const VOCAB: usize = 260;

/// A checkpoint's config and tensors, for cases to damage.
pub(crate) struct Checkpoint {
    pub(crate) config: Map<String, Value>,
    pub(crate) tensors: Vec<Tensor>,
}

/// A tensor as stored in a file.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dtype: &'static str,
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<u8>,
}

impl Tensor {
    /// A tensor of small random numbers; a norm's gain is around one.
    pub(crate) fn random(name: &str, shape: &[usize]) -> Self {
        let mut state = name.bytes().fold(1_u64, |state, byte| {
            state.wrapping_mul(257) + u64::from(byte)
        });
        let centre = if name.contains("norm") || name.contains("ln_") {
            1.0
        } else {
            0.0
        };
        let mut number = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5 + centre
        };
        let count = shape.iter().product();
        Self {
            name: name.to_owned(),
            dtype: "F32",
            shape: shape.to_vec(),
            data: (0..count).flat_map(|_| number().to_le_bytes()).collect(),
        }
    }

    /// Sets every value to this one.
    pub(crate) fn fill(&mut self, value: f32) {
        self.data = value.to_le_bytes().repeat(self.data.len() / 4);
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("no object: {other}"),
    }
}

impl Checkpoint {
    /// 2 blocks, width 8, 2 heads of one key and value head, context 16.
    pub(crate) fn llama() -> Self {
        let config = object(json!({
            "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 8, "num_attention_heads": 2,
            "num_key_value_heads": 1, "intermediate_size": 12, "vocab_size": VOCAB,
            "max_position_embeddings": 16, "rms_norm_eps": 1e-5, "hidden_act": "silu",
            "tie_word_embeddings": false, "bos_token_id": 259, "rope_theta": 10000.0
        }));
        let mut tensors = vec![Tensor::random("model.embed_tokens.weight", &[VOCAB, 8])];
        for block in 0..2 {
            for (name, shape) in [
                ("input_layernorm", [8].as_slice()),
                ("self_attn.q_proj", &[8, 8]),
                ("self_attn.k_proj", &[4, 8]),
                ("self_attn.v_proj", &[4, 8]),
                ("self_attn.o_proj", &[8, 8]),
                ("post_attention_layernorm", &[8]),
                ("mlp.gate_proj", &[12, 8]),
                ("mlp.up_proj", &[12, 8]),
                ("mlp.down_proj", &[8, 12]),
            ] {
                let name = format!("model.layers.{block}.{name}.weight");
                tensors.push(Tensor::random(&name, shape));
            }
        }
        tensors.push(Tensor::random("model.norm.weight", &[8]));
        tensors.push(Tensor::random("lm_head.weight", &[VOCAB, 8]));
        Self { config, tensors }
    }

    /// 2 blocks, width 8, 2 heads, context 16, tied; the names without prefix.
    pub(crate) fn gpt2() -> Self {
        let config = object(json!({
            "model_type": "gpt2", "n_layer": 2, "n_embd": 8, "n_head": 2, "n_positions": 16,
            "vocab_size": VOCAB, "bos_token_id": 259
        }));
        let mut tensors = vec![
            Tensor::random("wte.weight", &[VOCAB, 8]),
            Tensor::random("wpe.weight", &[16, 8]),
        ];
        for block in 0..2 {
            for (name, shape) in [
                ("ln_1.weight", [8].as_slice()),
                ("ln_1.bias", &[8]),
                ("attn.c_attn.weight", &[8, 24]),
                ("attn.c_attn.bias", &[24]),
                ("attn.c_proj.weight", &[8, 8]),
                ("attn.c_proj.bias", &[8]),
                ("ln_2.weight", &[8]),
                ("ln_2.bias", &[8]),
                ("mlp.c_fc.weight", &[8, 32]),
                ("mlp.c_fc.bias", &[32]),
                ("mlp.c_proj.weight", &[32, 8]),
                ("mlp.c_proj.bias", &[8]),
            ] {
                tensors.push(Tensor::random(&format!("h.{block}.{name}"), shape));
            }
        }
        tensors.push(Tensor::random("ln_f.weight", &[8]));
        tensors.push(Tensor::random("ln_f.bias", &[8]));
        Self { config, tensors }
    }

    /// The tensor of this name.
    #[track_caller]
    pub(crate) fn tensor(&mut self, name: &str) -> &mut Tensor {
        let found = self.tensors.iter_mut().find(|tensor| tensor.name == name);
        found.unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// The same checkpoint without some tensors.
    pub(crate) fn without(mut self, is_gone: impl Fn(&str) -> bool) -> Self {
        self.tensors.retain(|tensor| !is_gone(&tensor.name));
        self
    }

    /// The same checkpoint with one more tensor.
    pub(crate) fn with(mut self, tensor: Tensor) -> Self {
        self.tensors.push(tensor);
        self
    }
}

/// A safetensors file with any header and data.
pub(crate) fn file(header: impl AsRef<[u8]>, data: &[u8]) -> Vec<u8> {
    let header = header.as_ref();
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}

/// One tensor's entry in a header.
pub(crate) fn entry(name: &str, dtype: &str, shape: &str, begin: u64, end: u64) -> String {
    let name = Value::from(name);
    format!(r#"{name}:{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}"#)
}

/// The header of a file with these tensors in order.
pub(crate) fn header(tensors: &[Tensor]) -> String {
    let mut begin = 0;
    let entries: Vec<String> = tensors
        .iter()
        .map(|tensor| {
            let end = begin + tensor.data.len() as u64;
            let shape = format!("{:?}", tensor.shape);
            let entry = entry(&tensor.name, tensor.dtype, &shape, begin, end);
            begin = end;
            entry
        })
        .collect();
    format!("{{{}}}", entries.join(","))
}

/// Bytes of all tensors, one after another.
pub(crate) fn data(tensors: &[Tensor]) -> Vec<u8> {
    tensors
        .iter()
        .flat_map(|tensor| tensor.data.clone())
        .collect()
}

/// A safetensors file.
pub(crate) fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    file(header(tensors), &data(tensors))
}

/// The character that represents a byte in byte-level vocabularies.
fn byte_character(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return char::from(byte);
    }
    let others = (0..byte).filter(|byte| !printable(*byte)).count();
    char::from_u32(256 + u32::try_from(others).unwrap()).unwrap()
}

/// A byte-level tokenizer in which each byte is the token with its number, and `ab` is 256.
pub(crate) fn tokenizer() -> Value {
    let mut vocab: Map<String, Value> = (0..=255_u8)
        .map(|byte| (byte_character(byte).to_string(), json!(byte)))
        .collect();
    vocab.insert("ab".to_owned(), json!(256));
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{
            "id": 257, "content": "<|endoftext|>", "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true
        }],
        "normalizer": null,
        "pre_tokenizer": {
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true
        },
        "post_processor": null, "decoder": null,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": false, "vocab": vocab, "merges": [["a", "b"]]
        }
    })
}
