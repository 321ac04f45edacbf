//! A small tokenizer, and files in a temporary folder.

use std::fs;
use std::path::PathBuf;

use layerwise_corpus::{Corpus, CorpusError, Options, Tokenizer, read};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Tokens of the small tokenizer: the bytes, `ab` (256) and the added token `<end>` (257).
pub(crate) const VOCAB: usize = 258;

/// The character that stands for a byte in byte-level vocabularies.
fn byte_character(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return char::from(byte);
    }
    let others = (0..byte).filter(|&byte| !printable(byte)).count() as u32;
    char::from_u32(256 + others).expect("a character below 512")
}

/// A byte-level tokenizer in which each byte is the token of its number and `ab` is merged.
pub(crate) fn tokenizer_json() -> Value {
    let mut vocab = serde_json::Map::new();
    for byte in 0..=255 {
        vocab.insert(byte_character(byte).to_string(), json!(byte));
    }
    vocab.insert("ab".to_owned(), json!(256));
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [{
            "id": 257, "content": "<end>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true
        }],
        "normalizer": null,
        "pre_tokenizer": {
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true
        },
        "post_processor": null,
        "decoder": {
            "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true
        },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": false, "vocab": vocab, "merges": [["a", "b"]]
        }
    })
}

/// A temporary folder with the small tokenizer.
pub(crate) struct Folder {
    folder: TempDir,
    pub(crate) tokenizer: Tokenizer,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("tokenizer.json");
        fs::write(&path, tokenizer_json().to_string()).expect("a file is written");
        let tokenizer = Tokenizer::open(&path, VOCAB).expect("the tokenizer loads");
        Self { folder, tokenizer }
    }

    /// Path of a file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a file is written");
        path
    }

    /// Writes a file and reads it.
    pub(crate) fn read(
        &self,
        name: &str,
        content: impl AsRef<[u8]>,
        options: &Options,
    ) -> Result<Corpus, CorpusError> {
        read(&self.write(name, content), Some(&self.tokenizer), options)
    }

    /// An error's message without the folder's path.
    pub(crate) fn message(&self, error: &CorpusError) -> String {
        let folder = format!("{}/", self.folder.path().display());
        error.to_string().replace(&folder, "")
    }
}

/// An `.npy` file of a header's dictionary and its data.
pub(crate) fn npy(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    let length = (10 + dictionary.len() + 1).next_multiple_of(64) - 10;
    file.extend((length as u16).to_le_bytes());
    file.extend(dictionary.as_bytes());
    file.resize(10 + length - 1, b' ');
    file.push(b'\n');
    file.extend(data);
    file
}

/// An `.npy` file of rows of `u16`, as NumPy writes it.
pub(crate) fn npy_u16(rows: &[&[u16]]) -> Vec<u8> {
    let columns = rows.first().map_or(0, |row| row.len());
    let dictionary = format!(
        "{{'descr': '<u2', 'fortran_order': False, 'shape': ({}, {columns}), }}",
        rows.len()
    );
    let data: Vec<u8> = rows
        .concat()
        .into_iter()
        .flat_map(u16::to_le_bytes)
        .collect();
    npy(&dictionary, &data)
}
