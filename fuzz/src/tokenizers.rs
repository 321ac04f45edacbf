//! Tokenizers and their settings.

use layerwise::corpus::{CorpusError, Habit, Tokenizer};
use layerwise::weights::OpenOptions;

use super::checkpoint::{self, VOCAB};
use super::{folder, message};

/// A `tokenizer.json`, and texts for it.
pub fn tokenizer(bytes: &[u8]) {
    let folder = folder(&[("tokenizer.json", bytes)]);
    match Tokenizer::open(&folder.path().join("tokenizer.json"), VOCAB) {
        // A caught panic means that a check is missing.
        Err(CorpusError::TokenizerLoad { reason, .. }) => {
            assert!(!reason.contains("panicked"), "{reason}");
        }
        Err(error) => drop(message(error)),
        Ok(tokenizer) => {
            for text in [
                "",
                "ab abc",
                "An é\u{301} \u{1f600}\0\n\n  x",
                "<|endoftext|>ab",
            ] {
                match tokenizer.encode(text) {
                    Ok(ids) => {
                        assert!(ids.iter().all(|id| (*id as usize) < VOCAB));
                        let decoded = tokenizer.decode(&ids).map_err(message);
                        assert!(!decoded.is_err_and(|said| said.contains("panicked")));
                    }
                    Err(error) => assert!(!message(error).contains("panicked")),
                }
                match tokenizer.encode_with_spans(text) {
                    Ok(tokens) => {
                        for (_, span) in tokens {
                            assert!(text.get(span.clone()).is_some(), "{text:?}: {span:?}");
                        }
                    }
                    Err(error) => assert!(!message(error).contains("panicked")),
                }
            }
        }
    }
}

pub(super) fn tokenizer_seeds() -> Vec<Vec<u8>> {
    let byte_level = checkpoint::tokenizer();
    // A small vocabulary leaves more of the mutations to the rest of the file.
    let mut small = byte_level.clone();
    small["model"]["vocab"] = serde_json::json!({"a": 0, "b": 1, "ab": 2, "Ġ": 3, "c": 4});
    small["added_tokens"][0]["id"] = 5.into();
    let mut prefixed = small.clone();
    prefixed["normalizer"] = serde_json::json!({"type": "Sequence", "normalizers": [
        {"type": "NFC"}, {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    ]});
    prefixed["pre_tokenizer"] = serde_json::json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}|\\s+(?!\\S)"}, "behavior": "Isolated", "invert": false},
        {"type": "Digits", "individual_digits": true}
    ]});
    prefixed["model"]["byte_fallback"] = true.into();
    prefixed["model"]["unk_token"] = "a".into();
    [byte_level, small, prefixed]
        .map(|file| file.to_string().into_bytes())
        .to_vec()
}

/// A `tokenizer_config.json` next to a `tokenizer.json`, and texts for the tokenizer that both define.
pub fn tokenizer_settings(bytes: &[u8]) {
    let file = checkpoint::tokenizer().to_string();
    let folder = folder(&[
        ("tokenizer.json", file.as_bytes()),
        ("tokenizer_config.json", bytes),
    ]);
    let opened = OpenOptions::new().folder(folder.path()).unwrap();
    let tokenizer = match Tokenizer::of_folder(&opened, VOCAB) {
        Ok(tokenizer) => tokenizer.unwrap(),
        Err(error) => return assert!(!message(error).contains("panicked")),
    };
    let most = VOCAB + tokenizer.beyond_vocabulary().len();
    for text in ["", "ab  abc", "An é\u{301}\n<|endoftext|>ab<s>"] {
        match tokenizer.encode(text) {
            Ok(ids) => assert!(ids.iter().all(|id| (*id as usize) < most)),
            Err(error) => assert!(!message(error).contains("panicked")),
        }
    }
    let _ = tokenizer.beginning(Habit::Nothing).map_err(message);
    let _ = tokenizer.ending().map_err(message);
}

pub(super) fn tokenizer_settings_seeds() -> Vec<Vec<u8>> {
    [
        r#"{"tokenizer_class":"GemmaTokenizer","bos_token":"a","eos_token":{"content":"</s>","lstrip":true},"unk_token":"b"}"#,
        r#"{"tokenizer_class":"Qwen2TokenizerFast","add_prefix_space":true,"bos_token":null,"extra_special_tokens":["ab","x"]}"#,
        r#"{"tokenizer_class":"CodeLlamaTokenizer","legacy":true,"added_tokens_decoder":{"0":{"content":"a","special":true,"normalized":false,"lstrip":true},"999":{"content":"né"}}}"#,
        r#"{"tokenizer_class":"GPTNeoXTokenizer","add_bos_token":true,"add_eos_token":true,"pad_token":"<pad>"}"#,
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}
