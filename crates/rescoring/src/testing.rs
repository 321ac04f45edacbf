//! A small trained model for tests.

use layerwise_corpus::Tokenizer;
use layerwise_transformer::Model;
use std::path::Path;

/// A model of `fixtures/models`, and its tokenizer.
pub(crate) fn embedded() -> (Model, Tokenizer) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/gpt2-8x160");
    let model = Model::open(&folder).unwrap();
    let tokenizer = Tokenizer::open(&folder.join("tokenizer.json"), model.config().vocab).unwrap();
    (model, tokenizer)
}
