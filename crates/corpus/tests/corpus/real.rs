//! Real tokenizers and texts, if they are available in `data` and `models` next to the repository; otherwise skipped.

use std::path::{Path, PathBuf};

use layerwise_corpus::{Options, Tokenizer, read};

/// A file of the measured data; if it is absent, prints that and returns `None`.
fn file(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let path = root.join(name);
    if !path.exists() {
        println!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

/// Ids and hashes come from the tokenizers library's Python package 0.23, which uses another regular expression engine.
#[test]
fn tokenizers_of_the_families_give_known_ids() {
    let check = |name: &str, vocab: usize, expected: &[u32], tokens: usize, hash: &str| {
        let [Some(path), Some(text)] = [name, "data/wikitext-2-raw/wiki.test.raw"].map(file) else {
            return;
        };
        let tokenizer = Tokenizer::open(&path, vocab).unwrap();
        let ids = tokenizer
            .encode("Hello, world!\n\n  It's 2024<|endoftext|>")
            .unwrap();
        assert_eq!(ids, expected, "{name}");

        let corpus = read(&text, Some(&tokenizer), &Options::new(512, vocab)).unwrap();
        let ids = corpus.sequences().concat();
        assert_eq!(ids.len(), tokens, "{name}");
        let bytes: Vec<u8> = ids.into_iter().flat_map(u32::to_le_bytes).collect();
        assert_eq!(layerwise_files::sha256(&bytes), hash, "{name}");

        // A model with one token fewer than the tokenizer; in GPT-NeoX the last is an added token.
        match Tokenizer::open(&path, vocab - 1) {
            Ok(tokenizer) => assert_eq!(tokenizer.beyond_vocabulary().len(), 1, "{name}"),
            Err(error) => assert!(
                error.to_string().contains("expected an id below"),
                "{error}"
            ),
        }
    };
    check(
        "data/tokenizers/gpt2/tokenizer.json",
        50257,
        &[15496, 11, 995, 0, 628, 220, 632, 338, 48609, 50256],
        286_178,
        "ddd093643c5f56ab3009eebef199bbf7c9b8fd52ad750129ac7f6b3f268fb0ee",
    );
    check(
        "data/tokenizers/gpt-neox/tokenizer.json",
        50277,
        &[12092, 13, 1533, 2, 535, 50276, 1147, 434, 1384, 1348, 0],
        288_722,
        "0ad126adec22833a84c830177f5eac6595594fa433ac6995a694534c38770098",
    );
    check(
        "models/smollm2-135m/tokenizer.json",
        49152,
        &[19556, 28, 905, 17, 8866, 657, 506, 216, 34, 32, 34, 36, 0],
        304_839,
        "226892d5830b1c47e5133f73cf57c1aaf97344d23076ee0ca83ae5897b3893dd",
    );
}

/// The rows of token ids and the lines of text give the same sequences.
#[test]
fn token_ids_are_those_of_the_text() {
    let names = [
        "data/pile/pile-15000x200.gpt2-ids.u16.npy",
        "data/pile/pile-15000.jsonl",
        "data/tokenizers/gpt2/tokenizer.json",
    ];
    let [Some(ids), Some(text), Some(tokenizer)] = names.map(file) else {
        return;
    };
    let tokenizer = Tokenizer::open(&tokenizer, 50257).unwrap();
    let options = Options {
        rows: Some(200),
        ..Options::new(64, 50257)
    };
    let rows = read(&ids, None, &options).unwrap();
    let lines = read(&text, Some(&tokenizer), &options).unwrap();
    let pairs = rows.sequences().iter().zip(lines.sequences());
    let equal = pairs.filter(|(row, line)| row == line).count();
    assert_eq!(
        (rows.sequences().len(), lines.sequences().len()),
        (200, 200)
    );
    // Decoding and encoding again does not restore every row of ids.
    assert!(equal >= 190, "{equal} of 200 are equal");
}
