//! The files of a folder that make up a tokenizer.

use layerwise_files::{Folder, OpenedFile};
use serde_json::{Map, Value, json};

use super::Tokenizer;
use super::beginning::{Settings, content};
use super::check::Check;
use crate::CorpusError;
use crate::file::document_text;

/// The largest file of a tokenizer that is read, in bytes; those of large vocabularies have about 20 MiB.
pub(super) const MAX_FILE: u64 = 64 << 20;

const WHOLE: &str = "tokenizer.json";
const VOCABULARY: &str = "vocab.json";
const MERGES: &str = "merges.txt";
const SETTINGS: &str = "tokenizer_config.json";
const SPECIAL: &str = "special_tokens_map.json";
const ADDED: &str = "added_tokens.json";
/// Files of tokenizers that only other programs read.
const FOREIGN: &[&str] = &[
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.txt",
    "tiktoken.model",
];

/// Classes of tokenizers that are a byte-level BPE as GPT-2's, of nothing but a vocabulary and merges.
const BYTE_LEVEL: &[&str] = &["GPT2Tokenizer", "GPT2TokenizerFast"];
/// Keys of the tokens that have a use.
const NAMED: &[&str] = &["unk_token", "bos_token", "eos_token", "pad_token"];

impl Tokenizer {
    /// The tokenizer of a checkpoint's folder, for a model of `vocab` tokens; `None` where the folder holds none.
    ///
    /// That is `tokenizer.json`, or else `vocab.json` and `merges.txt` read as GPT-2's, which is what a
    /// `tokenizer_config.json` must call them if it names a class. What stands before a text is read from
    /// `tokenizer_config.json` as well ([`Tokenizer::beginning`]).
    ///
    /// # Errors
    ///
    /// Those of [`Tokenizer::open`], and [`CorpusError::TokenizerForm`] where the folder's tokenizer is in a form that is not
    /// read, such as SentencePiece's.
    pub fn of_folder(folder: &Folder, vocab: usize) -> Result<Option<Self>, CorpusError> {
        let settings = object(folder, SETTINGS)?;
        let special = object(folder, SPECIAL)?;
        let is_whole = folder.has(WHOLE)?;
        let mut tokenizer = if is_whole {
            Self::from_file(&folder.file(WHOLE, "the tokenizer of the model")?, vocab)?
        } else if folder.has(VOCABULARY)? && folder.has(MERGES)? {
            let class = settings
                .as_ref()
                .and_then(|it| it.get("tokenizer_class")?.as_str());
            if class.is_some_and(|class| !BYTE_LEVEL.contains(&class)) {
                return Err(other_form(folder, VOCABULARY));
            }
            let vocabulary = folder.file(VOCABULARY, "the vocabulary of the tokenizer")?;
            let none = Map::new();
            let (settings, special) = (
                settings.as_ref().unwrap_or(&none),
                special.as_ref().unwrap_or(&none),
            );
            let whole = byte_level(folder, &vocabulary, settings, special)?;
            Self::from_json(vocabulary.path(), whole.to_string().as_bytes(), vocab)?
        } else {
            for name in FOREIGN.iter().chain(&[VOCABULARY]) {
                if folder.has(name)? {
                    return Err(other_form(folder, name));
                }
            }
            return Ok(None);
        };
        if let Some(settings) = settings {
            tokenizer.settings = Some(Settings::new(
                &settings,
                &special.unwrap_or_default(),
                is_whole,
            ));
        }
        Ok(Some(tokenizer))
    }

    /// Whether a folder holds a tokenizer, be it one that cannot be accepted.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn is_in(folder: &Folder) -> Result<bool, CorpusError> {
        for name in FOREIGN.iter().chain(&[WHOLE, VOCABULARY]) {
            if folder.has(name)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The JSON object in a file of the folder, if it is there.
fn object(folder: &Folder, name: &str) -> Result<Option<Map<String, Value>>, CorpusError> {
    if !folder.has(name)? {
        return Ok(None);
    }
    read_object(&folder.file(name, "settings of the tokenizer")?).map(Some)
}

fn read_object(file: &OpenedFile) -> Result<Map<String, Value>, CorpusError> {
    let check = Check {
        path: file.path(),
        vocab: 0,
    };
    let value: Value = serde_json::from_slice(&file.read_all(MAX_FILE)?)
        .map_err(|error| check.refuse("file", "a JSON object", error.to_string()))?;
    check.object("file", &value).cloned()
}

fn other_form(folder: &Folder, name: &str) -> CorpusError {
    CorpusError::TokenizerForm {
        path: folder.path().join(name),
        folder: folder.path().to_owned(),
    }
}

/// What `tokenizer.json` would hold of GPT-2's kind of tokenizer.
fn byte_level(
    folder: &Folder,
    vocabulary: &OpenedFile,
    settings: &Map<String, Value>,
    special: &Map<String, Value>,
) -> Result<Value, CorpusError> {
    let vocab = read_object(vocabulary)?;
    let file = folder.file(MERGES, "the merges of the tokenizer")?;
    let merges = file.read_all(MAX_FILE)?;
    let merges = document_text(file.path(), &merges)?;
    let merges: Vec<&str> = merges
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with("#version"))
        .collect();
    let added = added_tokens(folder, &vocab, settings, special)?;
    let prefix = settings.get("add_prefix_space").and_then(Value::as_bool);
    let byte_level = |prefix| json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true});
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": byte_level(prefix.unwrap_or(false)),
        "post_processor": null,
        "decoder": byte_level(true),
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": false,
            "vocab": vocab,
            "merges": merges,
        },
    }))
}

/// The tokens that are found in a text before it is split, each with its id, in the order of their ids.
fn added_tokens(
    folder: &Folder,
    vocab: &Map<String, Value>,
    settings: &Map<String, Value>,
    special: &Map<String, Value>,
) -> Result<Vec<Value>, CorpusError> {
    let mut added: std::collections::BTreeMap<u64, Value> = std::collections::BTreeMap::new();
    let mut add = |id: Option<u64>, content: &str, token: &Value, is_special: bool| {
        let flag = |key, or| token.get(key).and_then(Value::as_bool).unwrap_or(or);
        let Some(id) = id else { return };
        added.entry(id).or_insert_with(|| {
            json!({
                "id": id,
                "content": content,
                "single_word": flag("single_word", false),
                "lstrip": flag("lstrip", false),
                "rstrip": flag("rstrip", false),
                "normalized": flag("normalized", !is_special),
                "special": flag("special", is_special),
            })
        });
    };
    if let Some(decoder) = settings
        .get("added_tokens_decoder")
        .and_then(Value::as_object)
    {
        for (id, token) in decoder {
            if let Some(text) = content(token) {
                add(id.parse().ok(), &text, token, true);
            }
        }
    }
    for file in [settings, special] {
        for token in NAMED.iter().filter_map(|key| file.get(*key)) {
            if let Some(text) = content(token) {
                add(vocab.get(&text).and_then(Value::as_u64), &text, token, true);
            }
        }
    }
    // GPT-2's own, where nothing is said.
    add(
        vocab.get("<|endoftext|>").and_then(Value::as_u64),
        "<|endoftext|>",
        &Value::Null,
        true,
    );
    for (text, id) in object(folder, ADDED)?.unwrap_or_default() {
        add(id.as_u64(), &text, &Value::Null, false);
    }
    Ok(added.into_values().collect())
}
