//! `layerwise::open` returns a model with its tokenizer; `Opening` decides where its weights stay.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use layerwise::sweep::Budget;
use layerwise::transformer::{Model, Packing, Precision, TransformerError};
use layerwise::weights::{Checkpoint, PackCache, StableFiles};
use layerwise::{OpenError, Opening, WeightBytes};
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

fn bits(model: &Model) -> Vec<u32> {
    let logits = model.logits(&[3, 1, 4, 1, 5], &model.plain()).unwrap();
    logits.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn a_model_that_does_not_fit_is_streamed_and_gives_the_same_bits() {
    let folder = fixtures("models/gpt2-8x160");
    let expected = bits(&layerwise::open(&folder).unwrap().model);
    let needed = WeightBytes::of(&Checkpoint::open(&folder).unwrap(), Precision::F32);
    let check = |limit: u64, asked: bool, is_streamed: bool| {
        let budget = Budget::new(Some(limit));
        let opening = Opening::new().within(&budget).streamed(asked);
        let loaded = opening.model("own", &folder).unwrap();
        let case = format!("{limit}, {asked}");
        assert_eq!(loaded.model.is_streamed(), is_streamed, "{case}");
        assert!(bits(&loaded.model) == expected, "{case}");
        let held = limit - budget.left().unwrap();
        assert_eq!(held == needed.kept, !is_streamed, "{case}");
        assert!(0 < held && held <= needed.kept, "{case}: {held}");
        // Whoever drops the model has its memory again.
        drop(loaded);
        assert_eq!(budget.left(), Some(limit), "{case}");
    };
    check(needed.while_made(), false, false);
    check(needed.while_made() - 1, false, true);
    check(needed.while_made(), true, true);

    let open = |limit: u64, asked: bool| {
        let budget = Budget::new(Some(limit));
        let opening = Opening::new().within(&budget).streamed(asked);
        let outcome = opening
            .open(&folder)
            .map(|opened| opened.model.is_streamed());
        (outcome, budget.left())
    };
    let (refused, left) = open(1000, false);
    let refused = refused.unwrap_err();
    let told = refused.to_string();
    let begins = format!("{}: the weights: needs ", folder.display());
    assert!(told.starts_with(&begins), "{told}");
    assert!(
        told.contains("; streamed from its files it needs "),
        "{told}"
    );
    assert_eq!(left, Some(1000));
    let OpenError::Memory {
        streamed: Some(least),
        ..
    } = refused
    else {
        panic!("{told}");
    };
    // What the error says suffices, and not one byte less.
    assert!(open(least, false).0.unwrap());
    open(least - 1, false).0.unwrap_err();
    // Who asks for streaming reads about streaming alone.
    let told = open(1000, true).0.unwrap_err().to_string();
    assert!(told.contains(": the weights, streamed: needs "), "{told}");
    assert!(!told.contains("from its files"), "{told}");
}

#[test]
fn weights_are_in_the_number_format_that_was_asked_for() {
    let folder = fixtures("parity/gpt2");
    let loaded = Opening::new()
        .precision(Precision::Bf16)
        .model("own", &folder);
    match loaded {
        Ok(loaded) => assert_eq!(loaded.model.precision(), Precision::Bf16),
        Err(error) => assert!(
            matches!(
                error,
                OpenError::Transformer(TransformerError::MissingInstructions { .. })
            ),
            "{error}"
        ),
    }
}

#[test]
#[allow(unsafe_code, reason = "promises that mapped files do not change")]
fn weights_that_were_packed_once_are_found() {
    let folder = fixtures("parity/llama-gqa-tied");
    let cached = tempfile::tempdir().unwrap();
    // SAFETY: nobody else knows of the folder.
    let cache = PackCache::new(cached.path(), unsafe { StableFiles::promise() });
    let opening = Opening::new().packs(Some(cache));
    let plain = layerwise::open(&folder).unwrap();
    assert!(plain.packing.is_none());
    let first = opening.open(&folder).unwrap();
    let packing = first.packing.unwrap();
    assert!(
        matches!(packing, Packing::Made { damage: None, .. }),
        "{packing:?}"
    );
    let second = opening.open(&folder).unwrap();
    assert!(matches!(second.packing, Some(Packing::Found)));
    let expected = bits(&plain.model);
    assert!(bits(&first.model) == expected && bits(&second.model) == expected);
    // Blocks that are read each time they run are not those of a cache.
    let streamed = opening.clone().streamed(true).open(&folder).unwrap();
    assert!(streamed.packing.is_none() && bits(&streamed.model) == expected);
}
