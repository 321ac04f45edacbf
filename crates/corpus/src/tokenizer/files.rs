//! The files of a folder that make up a tokenizer.

use std::collections::HashMap;

use layerwise_files::{Folder, OpenedFile, with_null_for_nan};
use serde_json::{Map, Value, json};

use super::Tokenizer;
use super::beginning::{Settings, content};
use super::check::Check;
use super::class::{Class, FURTHER, Replaced};
use crate::CorpusError;
use crate::file::document_text;

/// The largest accepted file of a tokenizer, in bytes; those of large vocabularies have about 20 MiB.
pub(super) const MAX_FILE: u64 = 64 << 20;

const WHOLE: &str = "tokenizer.json";
const VOCABULARY: &str = "vocab.json";
const MERGES: &str = "merges.txt";
const SETTINGS: &str = "tokenizer_config.json";
const SPECIAL: &str = "special_tokens_map.json";
const ADDED: &str = "added_tokens.json";
/// The key of the settings that lists added tokens by their ids.
const DECODER: &str = "added_tokens_decoder";
/// Files of tokenizers that this crate cannot read.
const FOREIGN: &[&str] = &[
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.txt",
    "tiktoken.model",
];

const CONFIG: &str = "config.json";
/// Keys of special tokens with a designated use, in the order in which transformers adds them.
const NAMED: &[&str] = &[
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];
impl Tokenizer {
    /// The tokenizer of a checkpoint's folder, for a model of `vocab` tokens; `None` if the folder has none.
    ///
    /// It is `tokenizer.json`, or else `vocab.json` and `merges.txt`, read as `AutoTokenizer` of transformers 5 does. The class
    /// that `tokenizer_config.json` or the model type in `config.json` implies may bring a normalizer, a pre-tokenizer and a
    /// decoder of its own ([`Tokenizer::replaced`]), and tokens named in the settings are found in a text before it is split.
    /// `tokenizer_config.json` also decides the token before a text ([`Tokenizer::beginning`]).
    ///
    /// # Errors
    ///
    /// Those of [`Tokenizer::open`], and [`CorpusError::TokenizerForm`] if the folder's tokenizer has an unsupported form, such
    /// as SentencePiece's.
    pub fn of_folder(folder: &Folder, vocab: usize) -> Result<Option<Self>, CorpusError> {
        let is_whole = folder.has(WHOLE)?;
        let is_read = is_whole || (folder.has(VOCABULARY)? && folder.has(MERGES)?);
        if !is_read {
            for name in FOREIGN.iter().chain(&[VOCABULARY]) {
                if folder.has(name)? {
                    return Err(other_form(folder, name));
                }
            }
            return Ok(None);
        }
        let given = Given::of(folder)?;
        let mut tokenizer = match is_whole {
            true => of_whole_file(folder, vocab, &given)?,
            false => of_two_files(folder, vocab, &given)?,
        };
        if given.has_settings {
            tokenizer.settings = Some(Settings::new(&given.settings, is_whole));
        }
        Ok(Some(tokenizer))
    }

    /// Whether a folder has a tokenizer, even one that would be refused.
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

/// The JSON object in a file of the folder, if the file exists.
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
    let bytes = file.read_all(MAX_FILE)?;
    // Python reads NaN and infinities, too.
    match std::str::from_utf8(&bytes).map(with_null_for_nan) {
        Ok(json) => check.parse(json.as_bytes()),
        Err(_) => check.parse(&bytes),
    }
}

fn other_form(folder: &Folder, name: &str) -> CorpusError {
    CorpusError::TokenizerForm {
        path: folder.path().join(name),
        folder: folder.path().to_owned(),
    }
}

/// What the files next to the tokenizer say about it.
struct Given {
    /// Whether there is a `tokenizer_config.json`.
    has_settings: bool,
    /// `tokenizer_config.json`; if it lists no added tokens, entries of `special_tokens_map.json` override it.
    settings: Map<String, Value>,
    /// `added_tokens.json`, if `tokenizer_config.json` lists no added tokens.
    added: Map<String, Value>,
    /// The class that the checkpoint names.
    class: Option<String>,
    model_type: Option<String>,
}

impl Given {
    fn of(folder: &Folder) -> Result<Self, CorpusError> {
        let config = object(folder, CONFIG)?.unwrap_or_default();
        let settings = object(folder, SETTINGS)?;
        let has_settings = settings.is_some();
        let mut settings = settings.unwrap_or_default();
        let mut added = Map::new();
        if !settings.contains_key(DECODER) {
            settings.extend(object(folder, SPECIAL)?.unwrap_or_default());
            added = object(folder, ADDED)?.unwrap_or_default();
        }
        let text = |file: &Map<String, Value>, key| {
            file.get(key).and_then(Value::as_str).map(str::to_owned)
        };
        let class = |file| text(file, "tokenizer_class");
        Ok(Self {
            has_settings,
            added,
            class: class(&settings).or_else(|| class(&config)),
            model_type: text(&config, "model_type"),
            settings,
        })
    }

    fn class(&self, is_byte_level: bool) -> Option<Class> {
        Class::of(
            self.class.as_deref(),
            self.model_type.as_deref(),
            is_byte_level,
        )
    }
}

/// Builds the tokenizer from a `tokenizer.json`.
fn of_whole_file(folder: &Folder, vocab: usize, given: &Given) -> Result<Tokenizer, CorpusError> {
    let opened = folder.file(WHOLE, "the tokenizer of the model")?;
    let bytes = opened.read_all(MAX_FILE)?;
    let mut file = Check {
        path: opened.path(),
        vocab,
    }
    .parse(&bytes)?;
    let is_byte_level = std::str::from_utf8(&bytes).is_ok_and(|it| it.contains("\"ByteLevel\""));
    let class = given.class(is_byte_level);
    let mut parts = match class {
        Some(class) => class.replace(&mut file, &given.settings),
        None => Vec::new(),
    };
    if add_tokens(&mut file, given, class, vocab) {
        parts.push("added_tokens");
    }
    if parts.is_empty() {
        return Tokenizer::from_json(opened.path(), &file, &bytes, vocab);
    }
    let bytes = serde_json::to_vec(&file).unwrap_or_default();
    let mut tokenizer = Tokenizer::from_json(opened.path(), &file, &bytes, vocab)?;
    tokenizer.replaced = class.map(|class| Replaced {
        class: class.name(),
        parts,
    });
    Ok(tokenizer)
}

/// Builds the tokenizer from a `vocab.json` and a `merges.txt`.
fn of_two_files(folder: &Folder, vocab: usize, given: &Given) -> Result<Tokenizer, CorpusError> {
    let class = match given.class(true) {
        None if given.class.is_none() => Class::Gpt2,
        Some(class) if class.is_of_two_files() => class,
        _ => return Err(other_form(folder, VOCABULARY)),
    };
    let vocabulary = folder.file(VOCABULARY, "the vocabulary of the tokenizer")?;
    let merges = folder.file(MERGES, "the merges of the tokenizer")?;
    let text = merges.read_all(MAX_FILE)?;
    let text = document_text(merges.path(), &text)?;
    let merges: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with("#version"))
        .collect();
    let mut file = Map::new();
    let model = json!({"type": "BPE", "vocab": read_object(&vocabulary)?, "merges": merges});
    file.insert("version".to_owned(), json!("1.0"));
    file.insert("model".to_owned(), model);
    class.replace(&mut file, &given.settings);
    add_tokens(&mut file, given, Some(class), vocab);
    let bytes = serde_json::to_vec(&file).unwrap_or_default();
    Tokenizer::from_json(vocabulary.path(), &file, &bytes, vocab)
}

/// Adds the tokens that are found in a text before it is split, as transformers does; returns whether the list changed.
///
/// A token that only the class names is left out if the model has no row for it.
fn add_tokens(
    file: &mut Map<String, Value>,
    given: &Given,
    class: Option<Class>,
    vocab: usize,
) -> bool {
    let ids: HashMap<String, u64> = match file.get("model").and_then(|it| it.get("vocab")) {
        Some(Value::Object(vocabulary)) => {
            let ids = vocabulary.iter();
            ids.filter_map(|(token, id)| Some((token.clone(), id.as_u64()?)))
                .collect()
        }
        _ => return false,
    };
    let listed = match file.get_mut("added_tokens") {
        Some(Value::Array(listed)) => std::mem::take(listed),
        None | Some(Value::Null) => Vec::new(),
        Some(_) => return false,
    };
    let mut tokens = Added {
        beyond: ids.len() as u64,
        ids,
        tokens: Vec::new(),
        places: HashMap::new(),
    };
    let decoder = given.settings.get(DECODER).and_then(Value::as_object);
    // A class with parts of its own uses the tokens of the settings instead of those of the file.
    if decoder.is_none() || class.is_none() {
        for token in &listed {
            tokens.keep(token.clone());
        }
    }
    let mut by_id: Vec<_> = decoder
        .into_iter()
        .flatten()
        .filter_map(|(id, token)| Some((id.parse::<u64>().ok()?, token)))
        .collect();
    by_id.sort_by_key(|(id, _)| *id);
    for (_, token) in by_id {
        tokens.add(token, false);
    }
    let special = |text: &str| {
        let named = NAMED.iter().filter_map(|key| given.settings.get(*key));
        named
            .chain(further(&given.settings))
            .any(|token| content(token).as_deref() == Some(text))
    };
    let mut by_id: Vec<_> = given.added.iter().collect();
    by_id.sort_by_key(|(_, id)| id.as_u64());
    for (text, _) in by_id {
        tokens.add(&json!({"content": text, "special": special(text)}), false);
    }
    let defaults = class.map_or(&[][..], Class::tokens);
    for key in NAMED.iter().chain(&[FURTHER]) {
        let is_further = *key == FURTHER;
        let anew = class.is_some_and(|class| class.adds_anew(is_further));
        let given: Vec<&Value> = match is_further {
            true => further(&given.settings).collect(),
            false => given.settings.get(*key).into_iter().collect(),
        };
        if is_further || given.is_empty() {
            let default = defaults.iter().filter(|(named, _)| named == key);
            for (_, token) in default {
                if tokens.id(token) < vocab as u64 {
                    tokens.name(&json!(token), anew);
                }
            }
        }
        for token in given {
            tokens.name(token, anew);
        }
    }
    let is_changed = tokens.tokens != listed;
    file.insert("added_tokens".to_owned(), Value::Array(tokens.tokens));
    is_changed
}

/// The tokens that the settings list without a designated use; the second key is the one in older files.
fn further(settings: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    let lists = [FURTHER, "additional_special_tokens"].into_iter();
    let mut lists = lists.filter_map(|key| settings.get(key)?.as_array());
    lists.find(|list| !list.is_empty()).into_iter().flatten()
}

/// The list of added tokens, as it grows.
struct Added {
    /// The ids of the vocabulary.
    ids: HashMap<String, u64>,
    /// The id of the next token outside the vocabulary.
    beyond: u64,
    tokens: Vec<Value>,
    /// The index of each text in the list.
    places: HashMap<String, usize>,
}

impl Added {
    /// Adds a token as the file lists it.
    fn keep(&mut self, token: Value) {
        if let Some(text) = content(&token) {
            if !self.ids.contains_key(&text) && !self.places.contains_key(&text) {
                self.beyond += 1;
            }
            self.places.entry(text).or_insert(self.tokens.len());
        }
        self.tokens.push(token);
    }

    /// The id that the library assigns to a text.
    fn id(&self, text: &str) -> u64 {
        let listed = self.places.get(text).map(|place| &self.tokens[*place]);
        let listed = listed.and_then(|token| token.get("id")?.as_u64());
        listed.unwrap_or_else(|| self.ids.get(text).copied().unwrap_or(self.beyond))
    }

    /// Adds a token, or changes the properties of the one with the same text.
    fn add(&mut self, token: &Value, is_special: bool) {
        let Some(text) = content(token).filter(|text| !text.is_empty()) else {
            return;
        };
        let flag = |key, or| token.get(key).and_then(Value::as_bool).unwrap_or(or);
        let is_special = is_special || flag("special", false);
        let made = json!({
            "id": self.id(&text),
            "content": text,
            "single_word": flag("single_word", false),
            "lstrip": flag("lstrip", false),
            "rstrip": flag("rstrip", false),
            "normalized": flag("normalized", !is_special),
            "special": is_special,
        });
        match self.places.get(&text) {
            Some(place) => self.tokens[*place] = made,
            None => self.keep(made),
        }
    }

    /// Adds a token that the settings name, unless it is listed. With `anew` it is added in any case, without its former
    /// properties.
    fn name(&mut self, token: &Value, anew: bool) {
        match content(token) {
            Some(text) if anew => self.add(&json!(text), true),
            Some(text) if !self.places.contains_key(&text) => self.add(token, true),
            _ => {}
        }
    }
}
