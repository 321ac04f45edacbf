//! Parquet files written by pyarrow, and bytes that break the format.

use crate::fixtures::{Folder, VOCAB, tokenizer_json};
use layerwise_corpus::{Options, Skipped, Tokenizer, read, text_columns};
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/parquet/{name}.parquet"))
}

/// The texts that `fixtures/parquet/make.py` writes, without the rows that have no word.
fn texts() -> Vec<String> {
    let text = |row: usize| match row {
        7 | 11 => None,
        13 => Some("Überall \u{1f600}\n".to_owned()),
        20..40 => Some("The same words, many times.".to_owned()),
        _ => Some(format!(
            "Row {row} says {}something.",
            "again and ".repeat(row % 7)
        )),
    };
    (0..60).filter_map(text).collect()
}

fn tokenizer(folder: &Folder) -> Tokenizer {
    let path = folder.write("tokenizer.json", tokenizer_json().to_string());
    Tokenizer::open(&path, VOCAB).expect("the tokenizer of the fixtures is valid")
}

#[test]
fn the_rows_of_a_column_are_documents() {
    let folder = Folder::new();
    let tokenizer = tokenizer(&folder);
    for name in ["snappy", "zstd", "gzip", "plain", "second-pages"] {
        let path = fixture(name);
        let corpus = read(&path, Some(&tokenizer), &Options::new(500, VOCAB)).unwrap();
        let decoded = corpus
            .sequences()
            .iter()
            .map(|ids| tokenizer.decode(ids).unwrap());
        assert_eq!(decoded.collect::<Vec<_>>(), texts(), "{name}");
        assert_eq!((corpus.documents(), corpus.cut()), (60, 0), "{name}");
        assert_eq!(corpus.skipped(), Skipped { empty: 2, short: 0 }, "{name}");

        let few = Options {
            rows: Some(9),
            ..Options::new(8, VOCAB)
        };
        let first = read(&path, Some(&tokenizer), &few).unwrap();
        assert_eq!(
            (first.sequences().len(), first.documents()),
            (9, 10),
            "{name}"
        );
        assert_eq!(first.sequences()[8], corpus.sequences()[8][..8], "{name}");
        let expected: &[&str] = if name == "gzip" {
            &["text"]
        } else {
            &["text", "other"]
        };
        assert_eq!(text_columns(&path).unwrap(), expected, "{name}");
    }
    let other = Options {
        field: "other".to_owned(),
        ..Options::new(500, VOCAB)
    };
    let corpus = read(&fixture("zstd"), Some(&tokenizer), &other).unwrap_err();
    assert!(
        corpus
            .to_string()
            .contains("60 document(s): 0 empty, 60 too short"),
        "{corpus}"
    );
}

#[test]
fn what_is_not_read_is_named() {
    let folder = Folder::new();
    let tokenizer = tokenizer(&folder);
    let check = |path: &Path, field: &str, mentioned: &[&str]| {
        let options = Options {
            field: field.to_owned(),
            ..Options::new(500, VOCAB)
        };
        let error = read(path, Some(&tokenizer), &options)
            .unwrap_err()
            .to_string();
        for part in mentioned {
            assert!(error.contains(part), "no {part:?} in {error}");
        }
    };
    check(
        &fixture("brotli"),
        "text",
        &[
            "row group 0, page at byte 4",
            "Snappy, gzip or Zstandard",
            "found Brotli",
        ],
    );
    check(
        &fixture("delta"),
        "text",
        &[
            "the plain or dictionary encoding",
            "found DELTA_LENGTH_BYTE_ARRAY",
        ],
    );
    for column in ["body", "id", "meta", "tags"] {
        check(
            &fixture("snappy"),
            column,
            &[
                &format!("a column {column:?} of texts"),
                r#"texts in "text", "other""#,
            ],
        );
    }

    let good = fs::read(fixture("snappy")).unwrap();
    let changed = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        folder.write(name, bytes)
    };
    let ends = "footer: expected PAR1 at both ends";
    check(
        &changed("empty.parquet", &Vec::clear),
        "text",
        &[ends, "a file of 0 bytes"],
    );
    check(
        &changed("cut.parquet", &|bytes| bytes.truncate(bytes.len() - 1)),
        "text",
        &[ends],
    );
    check(
        &changed("start.parquet", &|bytes| bytes[0] = b'p'),
        "text",
        &[ends, "pAR1"],
    );
    let length = |length: u32| {
        move |bytes: &mut Vec<u8>| {
            let at = bytes.len() - 8;
            bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
        }
    };
    check(
        &changed("long.parquet", &length(u32::MAX)),
        "text",
        &["footer: expected at most", "4294967295"],
    );
    check(
        &changed("none.parquet", &length(0)),
        "text",
        &["footer: expected Parquet's description of columns"],
    );
    let small = Options {
        memory: Some(2000),
        ..Options::new(500, VOCAB)
    };
    let error = read(&fixture("snappy"), Some(&tokenizer), &small).unwrap_err();
    assert!(
        error.to_string().contains("only 2000 are available"),
        "{error}"
    );
}

/// Every byte of a file, changed or missing, gives an error or a corpus, but never a panic.
#[test]
fn damage_is_an_error_or_another_text() {
    let folder = Folder::new();
    let tokenizer = tokenizer(&folder);
    let options = Options::new(8, VOCAB);
    for name in ["gzip", "second-pages"] {
        let good = fs::read(fixture(name)).unwrap();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            let path = folder.write("damaged.parquet", bytes);
            if let Err(error) = read(&path, Some(&tokenizer), &options) {
                assert!(error.to_string().contains("damaged.parquet: "), "{error}");
            }
        }
    }
}
