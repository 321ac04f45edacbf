//! Items 78 to 83 of the list of bad inputs: the contents of a `tokenizer.json`.

use layerwise_corpus::{CorpusError, FileError, TokenBytes, Tokenizer};
use serde_json::{Value, json};

use crate::fixtures::{Folder, VOCAB, tokenizer_json};

#[test]
fn text_is_encoded_into_ids() {
    let folder = Folder::new();
    let check = |text: &str, expected: &[u32]| {
        assert_eq!(folder.tokenizer.encode(text).unwrap(), expected, "{text:?}");
    };
    check("", &[]);
    check("cd", &[99, 100]);
    check("abab", &[256, 256]);
    check("a b", &[97, 32, 98]);
    check("\0é", &[0, 0xc3, 0xa9]);
    check("<end>", &[257]);
}

#[test]
fn tokens_know_their_bytes() {
    let folder = Folder::new();
    let check = |text: &str, expected: &[(u32, std::ops::Range<usize>)]| {
        let found = folder.tokenizer.encode_with_spans(text).unwrap();
        assert_eq!(found, expected, "{text:?}");
        let ids: Vec<u32> = found.into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, folder.tokenizer.encode(text).unwrap(), "{text:?}");
    };
    check("", &[]);
    check("cabd", &[(99, 0..1), (256, 1..3), (100, 3..4)]);
    check("éa", &[(0xc3, 0..2), (0xa9, 0..2), (97, 2..3)]);

    let bytes = TokenBytes::of(&folder.tokenizer, VOCAB);
    let check = |id: usize, expected: Option<&[u8]>| {
        assert_eq!(bytes.of[id].as_deref(), expected, "{id}");
        let length = expected.map_or(0, <[u8]>::len);
        assert_eq!(bytes.lengths[id] as usize, length, "{id}");
    };
    check(0xc3, Some(b"\xc3"));
    check(256, Some(b"ab"));
    check(257, None);
    assert_eq!(bytes.tokenizer, folder.tokenizer.sha256());
}

#[test]
fn ids_are_decoded_into_text() {
    let folder = Folder::new();
    let check = |ids: &[u32], expected: &str| {
        assert_eq!(folder.tokenizer.decode(ids).unwrap(), expected, "{ids:?}");
    };
    check(&[], "");
    check(&[256, 99, 32, 97], "abc a");
    check(&[32], " ");
    check(&[0xc3, 0xa9], "é");
    check(&[97, 0xc3], "a\u{fffd}");
    check(&[257, 97], "<end>a");
    check(&[9999], "");
}

#[test]
fn a_token_adds_the_space_that_the_beginning_of_a_text_loses() {
    let folder = Folder::new();
    let mut file = tokenizer_json();
    let decoder = file["decoder"].take();
    let strip = json!({"type": "Strip", "content": " ", "start": 1, "stop": 0});
    file["decoder"] = json!({"type": "Sequence", "decoders": [decoder, strip]});
    let path = folder.write("strip.json", file.to_string());
    let tokenizer = Tokenizer::open(&path, VOCAB).unwrap();
    assert_eq!(tokenizer.decode(&[32]).unwrap(), "");
    let check = |before: u32, token: u32, expected: &str| {
        let found = tokenizer.added(before, token).unwrap();
        assert_eq!(found, expected, "{token} after {before}");
    };
    check(97, 32, " ");
    check(97, 256, "ab");
    check(257, 97, "a");
    check(97, 257, "<end>");
    check(97, 9999, "");
    // The second part of a character.
    check(0xc3, 0xa9, "\u{fffd}");
}

#[test]
fn equivalent_files_load() {
    let folder = Folder::new();
    let check = |name: &str, change: fn(&mut Value)| {
        let mut file = tokenizer_json();
        change(&mut file);
        let path = folder.write("equivalent.json", file.to_string());
        let tokenizer = Tokenizer::open(&path, VOCAB).expect(name);
        assert_eq!(tokenizer.encode("abc").unwrap(), [256, 99], "{name}");
    };
    check("model type left out", |file| {
        file["model"].as_object_mut().unwrap().remove("type");
    });
    check("merges as lines", |file| {
        file["model"]["merges"] = json!(["#version: 0.2", "a b"]);
    });
    check("dropout of zero", |file| {
        file["model"]["dropout"] = json!(0.0)
    });
    check("empty affixes", |file| {
        file["model"]["continuing_subword_prefix"] = json!("");
        file["model"]["end_of_word_suffix"] = json!("");
    });
    check("added token that the vocabulary holds", |file| {
        file["model"]["vocab"]["<end>"] = json!(257);
    });
    check("no added tokens", |file| file["added_tokens"] = json!([]));
}

#[test]
fn bad_tokenizers_are_refused() {
    let folder = Folder::new();
    let mut failures = Vec::new();
    let mut check = |name: &str, change: &dyn Fn(&mut Value), expected: &str| {
        let mut file = tokenizer_json();
        change(&mut file);
        let path = folder.write("t.json", file.to_string());
        let found = match Tokenizer::open(&path, VOCAB) {
            Ok(_) => "it loads".to_owned(),
            Err(error) => folder.message(&error),
        };
        if !found.starts_with(&format!("t.json: {expected}")) {
            failures.push(format!(
                "{name}:\n  expected {expected}\n  found    {found}"
            ));
        }
    };
    let long = "x".repeat(200);
    for merge in [
        json!(["a", long]),
        json!(["a", "c"]),
        json!(["ab", "\u{3b1}"]),
        json!(["", "a"]),
    ] {
        let text = merge.to_string();
        let shown: String = match text.chars().count() {
            0..80 => text.clone(),
            _ => text.chars().take(79).chain(['…']).collect(),
        };
        check(
            "79 merge of or into an unknown token",
            &|file| file["model"]["merges"] = json!([["a", "b"], merge]),
            &format!(
                "model.merges[1]: expected two tokens of the vocabulary that together are a third, \
                 found {shown}"
            ),
        );
    }
    for merge in [
        json!("ab"),
        json!(["a"]),
        json!(["a", "b", "c"]),
        json!([1, 2]),
        json!(7),
    ] {
        check(
            "79 merge of another form",
            &|file| file["model"]["merges"] = json!([merge]),
            &format!(
                "model.merges[0]: expected two tokens of the vocabulary that together are a third, \
                 found {merge}"
            ),
        );
    }
    check(
        "79 prefix longer than the second token",
        &|file| file["model"]["continuing_subword_prefix"] = json!("####"),
        "model.merges[0]: expected two tokens",
    );
    check(
        "80 two tokens of one id",
        &|file| file["model"]["vocab"]["cd"] = json!(99),
        "model.vocab, token \"cd\": expected a unique id, found id 99, which is that of token \"c\"",
    );
    check(
        "80 added token with the id of another",
        &|file| file["added_tokens"][0]["id"] = json!(256),
        "added_tokens[0], token \"<end>\": expected a unique id, found id 256, which is that of \
         token \"ab\"",
    );
    for id in [
        json!(258),
        json!(4_294_967_295_u64),
        json!(u64::MAX),
        json!(-1),
        json!(1.5),
        json!("1"),
    ] {
        check(
            "81 id of a token",
            &|file| file["model"]["vocab"]["cd"] = id.clone(),
            &format!(
                "model.vocab, token \"cd\": expected an id below 258, the size of the model's vocabulary, \
                 found {id}"
            ),
        );
        // Added tokens may lie beyond the vocabulary, as a padding token does, but only with the id that the library assigns.
        let expected = match id.as_u64().is_some_and(|id| u32::try_from(id).is_ok()) {
            true => format!("expected id {id}, found that it would be given id 257"),
            false => format!("expected an id below 2^32, found {id}"),
        };
        check(
            "81 id of an added token",
            &|file| file["added_tokens"][0]["id"] = id.clone(),
            &format!("added_tokens[0], token \"<end>\": {expected}"),
        );
    }
    check(
        "81 added token that would get another id",
        &|file| {
            file["model"]["vocab"].as_object_mut().unwrap().remove("ab");
            file["model"]["merges"] = json!([]);
        },
        "added_tokens[0], token \"<end>\": expected id 257, found that it would be given id 256",
    );
    check(
        "81 added token of no characters",
        &|file| file["added_tokens"][0]["content"] = json!(""),
        "added_tokens[0], token \"\": expected id 257, found that it would be ignored",
    );
    check(
        "82 truncation",
        &|file| {
            file["truncation"] = json!({
                "direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0
            });
        },
        "truncation: expected null, found an object",
    );
    check(
        "82 padding",
        &|file| {
            file["padding"] = json!({
                "strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": null,
                "pad_id": 0, "pad_type_id": 0, "pad_token": "a"
            });
        },
        "padding: expected null, found an object",
    );
    check(
        "83 unknown model type",
        &|file| file["model"]["type"] = json!("Unigram"),
        "model.type: expected \"BPE\", found \"Unigram\"",
    );
    check(
        "83 bad regular expression",
        &|file| {
            file["pre_tokenizer"] = json!({
                "type": "Split", "pattern": {"Regex": "(unclosed"}, "behavior": "Isolated", "invert": false
            });
        },
        "the tokenizers library cannot load it: ",
    );
    check(
        "83 unknown normalizer",
        &|file| file["normalizer"] = json!({"type": "Rot13"}),
        "the tokenizers library cannot load it: ",
    );
    check(
        "random merges",
        &|file| file["model"]["dropout"] = json!(0.1),
        "model.dropout: expected null, found 0.1",
    );
    check(
        "no model",
        &|file| file["model"] = json!(null),
        "model: expected a JSON object, found null",
    );
    check(
        "no vocabulary",
        &|file| file["model"]["vocab"] = json!([["a", 0]]),
        "model.vocab: expected a JSON object, found an array",
    );
    check(
        "no merges",
        &|file| file["model"]["merges"] = json!(null),
        "model.merges: expected an array, found null",
    );
    check(
        "added tokens of another form",
        &|file| file["added_tokens"] = json!([{"id": 257}]),
        "added_tokens[0].content: expected a string, found nothing",
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Item 78.
#[test]
fn missing_cut_and_huge_files_are_refused() {
    let folder = Folder::new();
    let missing = Tokenizer::open(&folder.path("missing.json"), VOCAB);
    assert!(
        matches!(missing, Err(CorpusError::File(FileError::Missing { .. }))),
        "{missing:?}"
    );

    let directory = Tokenizer::open(folder.path("x").parent().unwrap(), VOCAB);
    assert!(
        matches!(
            directory,
            Err(CorpusError::File(FileError::NotRegular { .. }))
        ),
        "{directory:?}"
    );

    let text = tokenizer_json().to_string();
    for (content, expected) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        (
            &text[..text.len() - 1],
            "EOF while parsing an object at line 1 column",
        ),
        ("version 1", "expected value at line 1 column 1"),
        (
            &format!("\u{feff}{text}"),
            "a byte order mark before it: save the file as UTF-8 without one",
        ),
    ] {
        let path = folder.write("cut.json", content);
        let message = folder.message(&Tokenizer::open(&path, VOCAB).unwrap_err());
        let expected = format!("cut.json: file: expected a JSON object, found {expected}");
        assert!(message.starts_with(&expected), "{message}");
    }

    let path = folder.write(
        "pointer.json",
        "version https://git-lfs.github.com/spec/v1\n",
    );
    let message = folder.message(&Tokenizer::open(&path, VOCAB).unwrap_err());
    assert!(message.contains("Git LFS pointer"), "{message}");

    // Sparse: no bytes of this length are written or read.
    let path = folder.write("huge.json", "{");
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len((64 << 20) + 1).unwrap();
    assert_eq!(
        folder.message(&Tokenizer::open(&path, VOCAB).unwrap_err()),
        "huge.json: expected at most 67108864 bytes, found 67108865"
    );
}
