//! A small trained model for tests.

use layerwise_corpus::Tokenizer;
use layerwise_transformer::Model;
use std::env;
use std::path::PathBuf;

/// An embedded model of `models` in the repository's fixtures with its tokenizer. If this source is elsewhere,
/// `LAYERWISE_FIXTURES` names the fixtures.
pub(crate) fn embedded() -> (Model, Tokenizer) {
    let of_repository = || concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures").into();
    let fixtures = env::var_os("LAYERWISE_FIXTURES").map_or_else(of_repository, PathBuf::from);
    let folder = fixtures.join("models/gpt2-8x160");
    let model = Model::open(&folder).unwrap();
    let tokenizer = Tokenizer::open(&folder.join("tokenizer.json"), model.config().vocab).unwrap();
    (model, tokenizer)
}
