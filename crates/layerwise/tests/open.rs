//! `layerwise::open` returns a model with its tokenizer.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use layerwise::OpenError;
use std::path::PathBuf;

fn fixtures(folder: &str) -> PathBuf {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
    PathBuf::from(fixtures).join(folder)
}

#[test]
fn a_text_begins_with_the_token_that_the_checkpoint_puts_there() {
    let opened = layerwise::open(fixtures("models/gpt2-8x160")).unwrap();
    let bos = opened.bos.unwrap();
    let tokens = opened.tokens("The city of London").unwrap();
    assert_eq!(tokens[0], bos);
    assert_eq!(opened.text(&tokens[1..]).unwrap(), "The city of London");
    // A text that spells BOS begins with one BOS, not two.
    let spelled = opened.text(&[bos]).unwrap() + "The";
    assert_eq!(opened.tokens(&spelled).unwrap()[1..], tokens[1..2]);
    let logits = opened.model.logits(&tokens, &opened.model.plain()).unwrap();
    assert_eq!(logits.nrows(), tokens.len());
}

#[test]
fn without_a_tokenizer_there_are_token_ids_alone() {
    let opened = layerwise::open(fixtures("parity/gpt2")).unwrap();
    assert!(opened.tokenizer.is_none());
    assert_eq!(opened.bos, None);
    let error = opened.tokens("text").unwrap_err();
    assert!(matches!(error, OpenError::NoTokenizer { .. }), "{error}");
    assert!(matches!(
        layerwise::open(fixtures("none")).unwrap_err(),
        OpenError::Weights(_)
    ));
}
