//! No bytes make a reader panic: whatever does not load is an error.

use layerwise_corpus::{CorpusError, Options, Tokenizer};
use proptest::prelude::*;

use crate::fixtures::{Folder, VOCAB, npy_u16, tokenizer_json};

/// Positions at which a file is changed, and the bytes put there.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)
}

fn changed(mut file: Vec<u8>, changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    for (index, byte) in changes {
        let index = index.index(file.len());
        file[index] = *byte;
    }
    file
}

/// Reads a file; if it loads, checks the guarantees of a corpus.
fn check(name: &str, content: &[u8]) {
    let folder = Folder::new();
    if let Ok(corpus) = folder.read(name, content, &Options::new(8, VOCAB)) {
        assert!(!corpus.sequences().is_empty());
        for sequence in corpus.sequences() {
            assert!((3..=8).contains(&sequence.len()));
            assert!(sequence.iter().all(|&id| (id as usize) < VOCAB));
        }
    }
}

proptest! {
    #[test]
    fn bytes_never_panic(content in prop::collection::vec(any::<u8>(), 0..200)) {
        for name in ["a.txt", "a.jsonl", "a.npy"] {
            check(name, &content);
        }
        let folder = Folder::new();
        let path = folder.write("t.json", &content);
        prop_assert!(Tokenizer::open(&path, VOCAB).is_err());
    }

    #[test]
    fn changed_token_ids_never_panic(changes in changes(), end in any::<prop::sample::Index>()) {
        let file = changed(npy_u16(&[&[1, 2, 3, 4], &[5, 6, 7, 8]]), &changes);
        check("a.npy", &file);
        check("a.npy", &file[..end.index(file.len())]);
    }

    #[test]
    fn header_text_never_panics(header in "[{}()',:\"a-z0-9<| TF-]{0,60}") {
        check("a.npy", &crate::fixtures::npy(&header, &[0; 6]));
    }

    #[test]
    fn changed_lines_never_panic(changes in changes()) {
        check("a.jsonl", &changed(b"{\"text\": \"cdefgh\"}\n{\"text\": \"ijk\"}\n".to_vec(), &changes));
    }

    #[test]
    fn changed_tokenizers_never_panic(changes in changes(), text in "[ab<end>\\PC]{0,20}") {
        let folder = Folder::new();
        let path = folder.write("t.json", changed(tokenizer_json().to_string().into_bytes(), &changes));
        match Tokenizer::open(&path, VOCAB) {
            Ok(tokenizer) => {
                if let Ok(ids) = tokenizer.encode(&text) {
                    prop_assert!(ids.iter().all(|&id| (id as usize) < VOCAB));
                }
            }
            // A contained panic would mean that a check is missing.
            Err(CorpusError::TokenizerLoad { reason, .. }) => prop_assert!(!reason.contains("panicked")),
            Err(_) => {}
        }
    }
}
