//! E, 78 to 86: tokenizer and text.

use crate::checkpoint::tokenizer;
use crate::folder::make_fifo;
use crate::sandbox::{Sandbox, ids, npy};
use crate::{Case, check};
use serde_json::{Value, json};
use std::fs::{self, OpenOptions};

const FILE: &str = "model/tokenizer.json";

/// A changed `tokenizer.json`.
fn changed(name: (u8, &'static str), change: impl Fn(&mut Value) + 'static, says: &[&str]) -> Case {
    let make = move |sandbox: &Sandbox| {
        let mut file = tokenizer();
        change(&mut file);
        sandbox.write(FILE, file.to_string().as_bytes());
    };
    Case::refused(name, make, &[&[FILE], says].concat()).on("text.txt", &[])
}

/// A `tokenizer.json` with one value set.
fn set(name: (u8, &'static str), pointer: &'static str, value: Value, says: &[&str]) -> Case {
    let change = move |file: &mut Value| {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        file.pointer_mut(parent).unwrap()[key] = value.clone();
    };
    changed(name, change, says)
}

/// Cases 78 to 83.
pub(crate) fn tokenizers() -> Vec<Case> {
    let merges = "expected two tokens of the vocabulary that together are a third";
    let below = "expected an id below 260, the size of the model's vocabulary";
    let put = |name, put: fn(&Sandbox), says: &[&str]| {
        Case::refused(name, put, &[&[FILE], says].concat()).on("text.txt", &[])
    };
    vec![
        put(
            (78, "missing"),
            |s| fs::remove_file(s.path(FILE)).unwrap(),
            &["not found"],
        ),
        put(
            (78, "huge"),
            |s| {
                let file = OpenOptions::new().write(true).open(s.path(FILE)).unwrap();
                file.set_len(5_000_000_000).unwrap();
            },
            &["expected at most 67108864 bytes", "found 5000000000"],
        ),
        put(
            (78, "cut"),
            |s| {
                let text = tokenizer().to_string();
                s.write(FILE, &text.as_bytes()[..text.len() / 2]);
            },
            &["expected a JSON object", "EOF while parsing"],
        ),
        put(
            (78, "a FIFO"),
            |s| make_fifo(s, FILE),
            &["expected a regular file", "found a FIFO"],
        ),
        set(
            (79, "merge longer than any token"),
            "/model/merges",
            json!([["a", "b"], ["a", "x".repeat(200)]]),
            &["model.merges[1]", merges, "found"],
        ),
        set(
            (79, "merge into an unknown token"),
            "/model/merges",
            json!([["a", "c"]]),
            &["model.merges[0]", merges],
        ),
        set(
            (80, "two tokens of one id"),
            "/model/vocab/cd",
            json!(99),
            &[
                "token \"cd\"",
                "expected a unique id",
                "found id 99",
                "token \"c\"",
            ],
        ),
        set(
            (81, "id beyond the embedding"),
            "/model/vocab/cd",
            json!(260),
            &["token \"cd\"", below, "found 260"],
        ),
        set(
            (81, "id of 2^32 - 1"),
            "/model/vocab/cd",
            json!(u32::MAX),
            &["token \"cd\"", below, "found 4294967295"],
        ),
        set(
            (82, "truncation set in the file"),
            "/truncation",
            json!({"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}),
            &["truncation: expected null, found an object"],
        ),
        set(
            (82, "padding set in the file"),
            "/padding",
            json!({"strategy": "BatchLongest"}),
            &["padding: expected null, found an object"],
        ),
        set(
            (83, "unknown type of model"),
            "/model/type",
            json!("Unigram"),
            &["model.type: expected \"BPE\", found \"Unigram\""],
        ),
        set(
            (83, "bad regular expression"),
            "/pre_tokenizer",
            json!({"type": "Split", "pattern": {"Regex": "(unclosed"}, "behavior": "Isolated", "invert": false}),
            &["the tokenizers library cannot load it"],
        ),
    ]
}

/// A corpus with these bytes.
fn corpus(name: (u8, &'static str), file: &'static str, bytes: Vec<u8>, says: &[&str]) -> Case {
    let make = move |sandbox: &Sandbox| sandbox.write(file, &bytes);
    Case::refused(name, make, &[&[file], says].concat()).on(file, &[])
}

/// Cases 84 to 86.
pub(crate) fn corpora() -> Vec<Case> {
    let of = |descr, shape, data: &[u8]| npy(descr, shape, data);
    vec![
        corpus(
            (84, "document not UTF-8"),
            "bad.txt",
            b"cde\nf\xffg\n".to_vec(),
            &["line 2", "expected UTF-8", "found byte 0xff at byte 1"],
        ),
        corpus(
            (84, "line not UTF-8"),
            "bad.jsonl",
            b"{\"text\": \"cde\"}\n{\"text\": \"\xe9\"}\n".to_vec(),
            &["line 2", "expected UTF-8", "found byte 0xe9"],
        ),
        Case::accepted(
            (
                84,
                "lines that are empty, short, or longer than the context",
            ),
            |s| {
                let long = "long ".repeat(100);
                let lines =
                    format!("\n{{\"text\":\"{long}\"}}\n{{\"text\":\"\"}}\n{{\"text\":\"a\"}}\n");
                s.write("some.jsonl", lines.as_bytes());
            },
            &[
                "some.jsonl: skipped 1 short and 2 empty sequences",
                "on 1 sequence, 16 tokens",
            ],
        )
        .on("some.jsonl", &[]),
        Case::accepted(
            (
                84,
                "a field that is not read, with an array of 2^25 numbers",
            ),
            |s| {
                let numbers = ",0".repeat(1 << 25);
                let line = format!("{{\"text\": \"A few words.\", \"x\": [0{numbers}]}}\n");
                s.write("wide.jsonl", line.as_bytes());
            },
            &["model: 3 schedules"],
        )
        .on("wide.jsonl", &[]),
        corpus(
            (85, "token id beyond the vocabulary"),
            "bad.npy",
            of("<u2", "(1, 3)", &[1, 0, 4, 1, 3, 0]),
            &["row 0, token 1", "from 0 to below 260, found 260"],
        ),
        corpus(
            (85, "negative token id"),
            "bad.npy",
            of(
                "<i4",
                "(1, 3)",
                &[1, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0],
            ),
            &["row 0, token 1", "from 0 to below 260, found -1"],
        ),
        corpus(
            (85, "array of floating-point numbers"),
            "bad.npy",
            of("<f4", "(1, 3)", &[0; 12]),
            &[
                "dtype: expected integers of 1, 2, 4 or 8 bytes",
                "found <f4",
            ],
        ),
        corpus(
            (85, "array of one dimension"),
            "bad.npy",
            of("<u2", "(3,)", &[0; 6]),
            &["shape: expected 2 dimensions", "found 1 dimension(s)"],
        ),
        corpus(
            (85, "array that claims to be huge"),
            "bad.npy",
            of("<u2", "(4294967296, 2147483648)", &[0; 6]),
            &[
                "file length: expected the bytes of 4294967296 x 2147483648",
                "found 6 bytes",
            ],
        ),
        Case::refused(
            (85, "a FIFO for the token ids"),
            |s| make_fifo(s, "pipe.npy"),
            &["pipe.npy", "expected a regular file", "found a FIFO"],
        )
        .on("pipe.npy", &[]),
        Case::refused(
            (85, "a FIFO for the text"),
            |s| make_fifo(s, "pipe.txt"),
            &["pipe.txt", "expected a regular file", "found a FIFO"],
        )
        .on("pipe.txt", &[]),
        corpus(
            (86, "no usable sequence in a text"),
            "bad.txt",
            b"a".to_vec(),
            &["expected at least one sequence of 3 tokens", "1 too short"],
        ),
        corpus(
            (86, "no usable sequence among token ids"),
            "bad.npy",
            of("<u2", "(12, 2)", &ids(24)),
            &["expected at least one sequence of 3 tokens", "12 too short"],
        ),
        corpus(
            (86, "an empty array"),
            "bad.npy",
            of("<u2", "(0, 3)", &[]),
            &["expected at least one row"],
        ),
    ]
}

#[test]
fn tokenizers_of_models() {
    check(tokenizers());
}

#[test]
fn texts_and_token_ids() {
    check(corpora());
}
