//! The tokenizer classes of transformers, and the parts of a `tokenizer.json` that they replace.
//!
//! `AutoTokenizer` of transformers 5 takes the vocabulary, the merges, the added tokens and the post-processor from a
//! `tokenizer.json`. The class that the checkpoint names, or that its model type implies, supplies the rest. A class without
//! parts of its own uses the file as it is.

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokenizers::{DecoderWrapper, NormalizerWrapper, PreTokenizerWrapper};

/// A class with parts of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    CodeGen,
    CodeLlama,
    Cohere,
    Gemma,
    Gpt2,
    GptNeoX,
    Llama,
    Qwen2,
}

/// The parts of a `tokenizer.json` that a class replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replaced {
    /// The class of transformers.
    pub class: &'static str,
    /// The keys of the file whose values are ignored, such as `normalizer`.
    pub parts: Vec<&'static str>,
}

/// The class for each model type in transformers' `TOKENIZER_MAPPING_NAMES`; `None` uses the file as it is.
const REGISTERED: &[(&str, Option<Class>)] = &[
    ("cohere", Some(Class::Cohere)),
    ("gemma", Some(Class::Gemma)),
    ("gemma2", Some(Class::Gemma)),
    ("gemma3", Some(Class::Gemma)),
    ("gemma3_text", Some(Class::Gemma)),
    ("gpt2", Some(Class::Gpt2)),
    ("gpt_neo", Some(Class::Gpt2)),
    ("gpt_neox", Some(Class::GptNeoX)),
    ("gptj", Some(Class::Gpt2)),
    ("granite", None),
    ("mistral", None),
    ("olmo", Some(Class::GptNeoX)),
    ("olmo2", None),
    ("opt", Some(Class::Gpt2)),
    ("phi", Some(Class::Gpt2)),
    ("phi3", None),
    ("qwen2", Some(Class::Qwen2)),
    ("qwen3", Some(Class::Qwen2)),
    ("stablelm", None),
    ("starcoder2", Some(Class::Gpt2)),
];

/// The key of special tokens without a designated use.
pub(super) const FURTHER: &str = "extra_special_tokens";

/// Model types whose registered class is used, whatever class the checkpoint names (`MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS`).
const OVERRULED: &[&str] = &["phi3", "qwen2"];

impl Class {
    const ALL: [Self; 8] = [
        Self::CodeGen,
        Self::CodeLlama,
        Self::Cohere,
        Self::Gemma,
        Self::Gpt2,
        Self::GptNeoX,
        Self::Llama,
        Self::Qwen2,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CodeGen => "CodeGenTokenizer",
            Self::CodeLlama => "CodeLlamaTokenizer",
            Self::Cohere => "CohereTokenizer",
            Self::Gemma => "GemmaTokenizer",
            Self::Gpt2 => "GPT2Tokenizer",
            Self::GptNeoX => "GPTNeoXTokenizer",
            Self::Llama => "LlamaTokenizer",
            Self::Qwen2 => "Qwen2Tokenizer",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// The class for a checkpoint with a model type that may name a class; `None` uses the file as it is.
    pub(super) fn of(
        named: Option<&str>,
        model_type: Option<&str>,
        is_byte_level: bool,
    ) -> Option<Self> {
        let known = |row: &&(&str, _)| Some(row.0) == model_type;
        let registered = REGISTERED.iter().find(known).map(|row| row.1);
        let named = named.map(|name| name.strip_suffix("Fast").unwrap_or(name));
        match (named.map(Self::named), registered) {
            (None, None) => None,
            (None, Some(class)) => class,
            (Some(_), Some(class)) if OVERRULED.contains(&model_type.unwrap_or_default()) => class,
            (Some(Some(Self::Llama)), _) if is_byte_level => None,
            (Some(_), Some(None)) => None,
            (Some(class), _) => class,
        }
    }

    /// Whether transformers builds this class from `vocab.json` and `merges.txt`.
    pub(super) fn is_of_two_files(self) -> bool {
        match self {
            Self::CodeGen | Self::Gpt2 | Self::GptNeoX | Self::Qwen2 => true,
            Self::CodeLlama | Self::Cohere | Self::Gemma | Self::Llama => false,
        }
    }

    /// The class's default tokens, each with its key.
    pub(super) fn tokens(self) -> &'static [(&'static str, &'static str)] {
        const END: &str = "<|endoftext|>";
        match self {
            Self::CodeGen | Self::Gpt2 => {
                &[("bos_token", END), ("eos_token", END), ("unk_token", END)]
            }
            Self::GptNeoX => &[
                ("bos_token", END),
                ("eos_token", END),
                ("unk_token", END),
                ("pad_token", "<|padding|>"),
            ],
            Self::Qwen2 => &[("eos_token", END), ("unk_token", END), ("pad_token", END)],
            Self::CodeLlama => &[
                ("bos_token", "<s>"),
                ("eos_token", "</s>"),
                ("unk_token", "<unk>"),
                (FURTHER, "▁<PRE>"),
                (FURTHER, "▁<MID>"),
                (FURTHER, "▁<SUF>"),
                (FURTHER, "▁<EOT>"),
                (FURTHER, "<FILL_ME>"),
            ],
            Self::Llama => &[
                ("bos_token", "<s>"),
                ("eos_token", "</s>"),
                ("unk_token", "<unk>"),
            ],
            Self::Gemma => &[
                ("bos_token", "<bos>"),
                ("eos_token", "<eos>"),
                ("unk_token", "<unk>"),
                ("pad_token", "<pad>"),
                ("mask_token", "<mask>"),
            ],
            Self::Cohere => &[
                ("bos_token", "<BOS_TOKEN>"),
                ("eos_token", "<|END_OF_TURN_TOKEN|>"),
                ("unk_token", "<UNK>"),
                ("sep_token", "<SEP>"),
                ("pad_token", "<PAD>"),
                ("cls_token", "<CLS>"),
                ("mask_token", "<MASK_TOKEN>"),
            ],
        }
    }

    /// Whether a token that the settings name, or list as a [further](FURTHER) one, loses the properties given in the list of
    /// added tokens.
    pub(super) fn adds_anew(self, is_further: bool) -> bool {
        self == Self::Qwen2 || (self == Self::Cohere && is_further)
    }

    /// Replaces the class's parts in the contents of a `tokenizer.json`; returns the keys whose values differed.
    ///
    /// `settings` are the checkpoint's, with the names of its tokens.
    pub(super) fn replace(
        self,
        file: &mut Map<String, Value>,
        settings: &Map<String, Value>,
    ) -> Vec<&'static str> {
        let parts = self.parts(settings);
        let mut replaced = Vec::new();
        for (key, part, is_same) in [
            (
                "normalizer",
                parts.normalizer,
                is_same::<Option<NormalizerWrapper>> as fn(&Value, &Value) -> bool,
            ),
            (
                "pre_tokenizer",
                parts.pre_tokenizer,
                is_same::<Option<PreTokenizerWrapper>>,
            ),
            ("decoder", parts.decoder, is_same::<Option<DecoderWrapper>>),
        ] {
            let found = file.entry(key).or_insert(Value::Null);
            if !is_same(found, &part) {
                *found = part;
                replaced.push(key);
            }
        }
        // This class rebuilds the post-processor, from settings that do not reach it.
        let found = file.entry("post_processor").or_insert(Value::Null);
        if self == Self::GptNeoX && !found.is_null() {
            let adds = found.to_string().contains("SpecialToken");
            *found = Value::Null;
            if adds {
                replaced.push("post_processor");
            }
        }
        if let Some(Value::Object(model)) = file.get_mut("model") {
            let mut is_same = true;
            for (key, value) in [
                ("unk_token", json!(parts.unknown)),
                ("fuse_unk", json!(parts.is_spm)),
                ("byte_fallback", json!(parts.is_spm)),
                ("ignore_merges", json!(false)),
                ("continuing_subword_prefix", Value::Null),
                ("end_of_word_suffix", Value::Null),
            ] {
                let nothing = |value: &Value| {
                    matches!(value, Value::Null | Value::Bool(false)) || value == ""
                };
                let found = model.entry(key).or_insert(Value::Null);
                if *found != value && !(nothing(found) && nothing(&value)) {
                    *found = value;
                    is_same = false;
                }
            }
            if !is_same {
                replaced.push("model");
            }
        }
        replaced
    }

    fn parts(self, settings: &Map<String, Value>) -> Parts {
        let flag = |key| settings.get(key).and_then(Value::as_bool);
        let prefix = flag("add_prefix_space");
        let byte_level = |prefix: bool, use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": use_regex});
        let sequence = |key: &str, parts: &[Value]| json!({"type": "Sequence", key: parts});
        let of_bytes = |normalizer, pre_tokenizer| Parts {
            normalizer,
            pre_tokenizer,
            decoder: byte_level(true, true),
            unknown: None,
            is_spm: false,
        };
        let nfc = json!({"type": "NFC"});
        let split_bytes = byte_level(prefix.unwrap_or(false), true);
        let from_bytes = |strips: bool| {
            let mut steps = vec![
                json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
                json!({"type": "ByteFallback"}),
                json!({"type": "Fuse"}),
            ];
            if strips {
                steps.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
            }
            sequence("decoders", &steps)
        };
        let unknown = match settings.get("unk_token") {
            None => Some("<unk>".to_owned()),
            Some(token) => super::beginning::content(token),
        };
        match self {
            Self::CodeGen | Self::Gpt2 => of_bytes(Value::Null, split_bytes),
            Self::GptNeoX => of_bytes(nfc, split_bytes),
            Self::Cohere => {
                let digits = json!({"type": "Digits", "individual_digits": true});
                Parts {
                    decoder: split_bytes.clone(),
                    ..of_bytes(nfc, sequence("pretokenizers", &[digits, split_bytes]))
                }
            }
            Self::Qwen2 => {
                let split = json!({"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": false});
                let bytes = byte_level(prefix.unwrap_or(false), false);
                of_bytes(nfc, sequence("pretokenizers", &[split, bytes]))
            }
            Self::CodeLlama | Self::Llama => {
                let has_prefix = prefix.unwrap_or(true);
                let scheme = match flag("legacy") {
                    _ if !has_prefix => "never",
                    Some(true) if self == Self::Llama => "always",
                    _ => "first",
                };
                Parts {
                    normalizer: Value::Null,
                    pre_tokenizer: json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false}),
                    decoder: from_bytes(has_prefix || self == Self::CodeLlama),
                    unknown: unknown.filter(|_| self == Self::CodeLlama),
                    is_spm: true,
                }
            }
            Self::Gemma => Parts {
                normalizer: json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"}),
                pre_tokenizer: json!({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false}),
                decoder: from_bytes(false),
                unknown,
                is_spm: true,
            },
        }
    }
}

/// The parts that a class supplies.
struct Parts {
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    unknown: Option<String>,
    /// Whether unknown characters become bytes, and a run of what is still unknown one token, as in SentencePiece.
    is_spm: bool,
}

/// Whether the library reads two values as the same part; either may omit defaults.
fn is_same<T: Debug + DeserializeOwned>(found: &Value, part: &Value) -> bool {
    let read = |value: &Value| {
        let part = serde_json::from_value::<T>(value.clone()).ok()?;
        Some(format!("{part:?}"))
    };
    found == part || read(found).is_some_and(|found| Some(found) == read(part))
}

/// The pre-tokenisation pattern of Qwen 2.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn transformers_chooses_the_same_class() {
        // If this source is elsewhere, `LAYERWISE_FIXTURES` names the repository's fixtures.
        let of_repository = || concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures").into();
        let fixtures =
            std::env::var_os("LAYERWISE_FIXTURES").map_or_else(of_repository, PathBuf::from);
        let path = fixtures.join("tokenizers/goldens.json");
        let goldens: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let rows = goldens["choices"].as_array().unwrap();
        assert!(rows.len() >= 400, "{}", rows.len());
        let mut wrong = Vec::new();
        for row in rows {
            let text = |key| row[key].as_str();
            let is_byte_level = row["is_byte_level"] == true;
            let found = Class::of(text("named"), text("model_type"), is_byte_level);
            if found != Class::named(text("class").unwrap()) {
                wrong.push(format!("{row}: {found:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
    }
}
