//! Rows of Parquet files as a corpus.

use super::checkpoint::{self, VOCAB};
use super::{folder, message};
use layerwise::corpus::{self, Options, Tokenizer};
use std::sync::LazyLock;

/// A file of rows with one column of text.
pub fn parquet(bytes: &[u8]) {
    static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
        let file = checkpoint::tokenizer().to_string();
        let folder = folder(&[("tokenizer.json", file.as_bytes())]);
        Tokenizer::open(&folder.path().join("tokenizer.json"), VOCAB).unwrap()
    });
    let folder = folder(&[("rows.parquet", bytes)]);
    let path = folder.path().join("rows.parquet");
    let options = Options {
        memory: Some(64 << 20),
        ..Options::new(8, VOCAB)
    };
    match corpus::read(&path, Some(&*TOKENIZER), &options) {
        Err(error) => drop(message(error)),
        Ok(corpus) => {
            let columns = corpus::text_columns(&path).unwrap();
            assert!(columns.iter().any(|column| column == "text"));
            for sequence in corpus.sequences() {
                assert!((3..=8).contains(&sequence.len()));
            }
        }
    }
}

pub(super) fn parquet_seeds() -> Vec<Vec<u8>> {
    vec![
        include_bytes!("../../fixtures/parquet/snappy.parquet").to_vec(),
        include_bytes!("../../fixtures/parquet/zstd.parquet").to_vec(),
        include_bytes!("../../fixtures/parquet/gzip.parquet").to_vec(),
        include_bytes!("../../fixtures/parquet/second-pages.parquet").to_vec(),
    ]
}
