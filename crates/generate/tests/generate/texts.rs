//! Constraints on text, and streamed text, with every kind of tokenizer.

use layerwise_corpus::Tokenizer;
use layerwise_files::{Folder, Links};
use layerwise_generate::{Constraint, Spells, TextAutomaton, TextLattice, TextStream, TokenTexts};
use layerwise_transcripts::{CountRule, Lattice, Vocabulary};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tokenizers")
}

/// Each kind of tokenizer: its name, the tokens of its vocabulary, and itself.
static TOKENIZERS: LazyLock<Vec<(String, usize, Tokenizer)>> = LazyLock::new(|| {
    let goldens = std::fs::read_to_string(fixtures().join("goldens.json")).unwrap();
    let goldens: Value = serde_json::from_str(&goldens).unwrap();
    let kinds = goldens["kinds"].as_object().unwrap();
    let open = |(kind, golden): (&String, &Value)| {
        let vocab = golden["vocab"].as_u64().unwrap() as usize;
        let path = with_decoder(&fixtures().join(kind));
        let folder = Folder::open(path.path(), Links::Refuse).unwrap();
        let tokenizer = Tokenizer::of_folder(&folder, vocab).unwrap().unwrap();
        (kind.clone(), vocab, tokenizer)
    };
    kinds.iter().map(open).collect()
});

/// A copy of a tokenizer's folder. A tokenizer that can only encode gets the decoder of Llama 2.
fn with_decoder(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let mut bytes = std::fs::read(entry.path()).unwrap();
        if entry.file_name() == "tokenizer.json" {
            let mut file: Value = serde_json::from_slice(&bytes).unwrap();
            if file["decoder"].is_null() {
                file["decoder"] = serde_json::json!({"type": "Sequence", "decoders": [
                    {"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "},
                    {"type": "ByteFallback"},
                    {"type": "Fuse"},
                    {"type": "Strip", "content": " ", "start": 1, "stop": 0},
                ]});
                bytes = file.to_string().into_bytes();
            }
        }
        std::fs::write(copy.path().join(entry.file_name()), bytes).unwrap();
    }
    copy
}

/// Texts of a constraint, by taking any token that it allows, again and again.
fn spelt(
    mut constraint: impl Constraint,
    vocab: usize,
    tokenizer: &Tokenizer,
    mut pick: u64,
) -> String {
    let mut ids = Vec::new();
    while !constraint.is_finished() {
        let allowed: Vec<u32> = (0..vocab as u32)
            .filter(|token| constraint.allows(*token))
            .collect();
        assert!(!allowed.is_empty(), "a dead end after {ids:?}");
        pick = pick.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let token = allowed[(pick >> 33) as usize % allowed.len()];
        constraint.advance(token);
        ids.push(token);
    }
    // As after other text, where no space is dropped.
    let before = tokenizer.encode("a").unwrap();
    let all = tokenizer.decode(&[&before[..], &ids].concat()).unwrap();
    let before = tokenizer.decode(&before).unwrap();
    all.strip_prefix(&before).unwrap().to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_spelt_is_one_of_the_texts(
        texts in proptest::collection::btree_set("[ abé你😀]{1,6}", 1..6),
        pick: u64,
    ) {
        // Without an end token, only a text that is not the beginning of another can come last.
        let ends = |text: &String| !texts.iter().any(|other| other != text && other.starts_with(text));
        let last: BTreeSet<&String> = texts.iter().filter(|text| ends(text)).collect();
        let lattice = Arc::new(TextLattice::one_of(&texts));
        for (kind, vocab, tokenizer) in &*TOKENIZERS {
            let tokens = TokenTexts::new(tokenizer.token_bytes(*vocab));
            let constraint = Spells::new(Arc::clone(&lattice), Arc::new(tokens), Vec::new());
            let found = spelt(constraint, *vocab, tokenizer, pick);
            prop_assert!(last.contains(&found), "{}: {:?} of {:?}", kind, found, texts);
        }
    }

    /// A lattice spells the transcripts of its word automaton, and no others.
    #[test]
    fn a_word_lattice_spells_what_its_automaton_allows(
        hypotheses in proptest::collection::vec(proptest::collection::vec(0usize..4, 0..5), 1..4),
        tried in proptest::collection::vec(0usize..4, 0..6),
        pick: u64,
        begins_with_space: bool,
    ) {
        let words = ["a", "an", "né", "ant"];
        let mut vocabulary = Vocabulary::new();
        let ids: Vec<_> = words.iter().map(|word| vocabulary.add(word)).collect();
        let of = |places: &[usize]| places.iter().map(|at| ids[*at]).collect::<Vec<_>>();
        let hypotheses: Vec<_> = hypotheses.iter().map(|it| of(it)).collect();
        let lattice = Lattice::rover(&hypotheses, &vec![1.0; hypotheses.len()]).unwrap().under(CountRule::Free);
        let automaton = lattice.automaton();
        let slots: Vec<Vec<Option<&str>>> = lattice
            .slots()
            .iter()
            .map(|slot| slot.arcs.iter().map(|arc| arc.word.map(|word| vocabulary.word(word))).collect())
            .collect();
        let texts = TextLattice::words(&slots, begins_with_space);
        let accepts = |text: &str| {
            let end = text.bytes().try_fold(texts.start(), |state, byte| texts.step(&state, byte));
            end.is_some_and(|end| texts.accepts(&end))
        };
        let text = |places: &[usize]| {
            let text: String = places.iter().map(|at| format!(" {}", words[*at])).collect();
            match begins_with_space {
                true => text,
                false => text.trim_start().to_owned(),
            }
        };
        prop_assert_eq!(accepts(&text(&tried)), automaton.allows(&of(&tried)));
        let longer = text(&tried) + "x";
        prop_assert!(!accepts(&longer));
        let (kind, vocab, tokenizer) = &TOKENIZERS[pick as usize % TOKENIZERS.len()];
        let tokens = TokenTexts::new(tokenizer.token_bytes(*vocab));
        let found = spelt(Spells::new(Arc::new(texts), Arc::new(tokens), Vec::new()), *vocab, tokenizer, pick);
        let found: Vec<_> = found.split_whitespace().map(|word| vocabulary.id(word).unwrap()).collect();
        prop_assert!(automaton.allows(&found), "{}: {:?}", kind, found);
    }

    /// Any tokens of a byte-level encoding, including parts of characters and invalid bytes.
    #[test]
    fn any_tokens_come_as_the_text_of_all(
        picks in proptest::collection::vec(any::<u32>(), 0..24),
        prompt in proptest::collection::vec(any::<u32>(), 0..6),
    ) {
        for (kind, vocab, tokenizer) in TOKENIZERS.iter().filter(|(kind, ..)| is_of_bytes(kind)) {
            let ids = |picks: &[u32]| picks.iter().map(|pick| pick % *vocab as u32).collect::<Vec<u32>>();
            same_as_at_once(kind, tokenizer, &ids(&prompt), &ids(&picks));
        }
    }

    /// A text whose tokens are split into a prompt and its continuation.
    #[test]
    fn a_text_comes_as_it_is(text in "[ abé你😀\n\u{FFFD}]{0,16}", at: usize) {
        for (kind, _, tokenizer) in &*TOKENIZERS {
            let ids = tokenizer.encode(&text).unwrap();
            let (prompt, rest) = ids.split_at(at % (ids.len() + 1));
            same_as_at_once(kind, tokenizer, prompt, rest);
        }
    }
}

fn is_of_bytes(kind: &str) -> bool {
    let file = std::fs::read(fixtures().join(kind).join("tokenizer.json"));
    // Without that file it is handled as GPT-2's kind.
    file.is_ok_and(|file| {
        serde_json::from_slice::<Value>(&file).unwrap()["decoder"]["type"] == "ByteLevel"
    })
}

/// Tokens that come one by one after a prompt give the text that decoding all of them at once adds to the prompt's text.
fn same_as_at_once(kind: &str, tokenizer: &Tokenizer, prompt: &[u32], ids: &[u32]) {
    let decode = |ids: &[u32]| tokenizer.decode(ids);
    let mut stream = TextStream::new(decode, Vec::new()).after(prompt);
    let mut text = String::new();
    for id in ids {
        text += &stream.push(*id).unwrap();
    }
    text += &stream.finish().unwrap();
    let before = tokenizer.decode(prompt).unwrap();
    let all = tokenizer.decode(&[prompt, ids].concat()).unwrap();
    // A prompt may end within a character.
    let whole = || all.strip_prefix(before.trim_end_matches('\u{FFFD}'));
    let expected = all.strip_prefix(&before).or_else(whole);
    assert_eq!(
        Some(&text[..]),
        expected,
        "{kind}: {ids:?} after {prompt:?}"
    );
}

/// The texts of the tokens concatenate to the decoded text, except for a space at its beginning.
#[test]
fn bytes_of_tokens_add_up_to_the_text() {
    let goldens = std::fs::read_to_string(fixtures().join("goldens.json")).unwrap();
    let goldens: Value = serde_json::from_str(&goldens).unwrap();
    let mut compared = 0;
    for (kind, vocab, tokenizer) in &*TOKENIZERS {
        let bytes = tokenizer.token_bytes(*vocab);
        assert_eq!(bytes.len(), *vocab);
        for ids in goldens["kinds"][kind]["ids"].as_array().unwrap() {
            let ids: Vec<u32> = serde_json::from_value(ids.clone()).unwrap();
            let of = |id: &u32| bytes.get(*id as usize)?.as_deref();
            // Special tokens have no text.
            let Some(bytes) = ids.iter().map(of).collect::<Option<Vec<&[u8]>>>() else {
                continue;
            };
            let joined = String::from_utf8(bytes.concat()).unwrap();
            let decoded = tokenizer.decode(&ids).unwrap();
            let is_same = joined == decoded || joined.strip_prefix(' ') == Some(&decoded[..]);
            assert!(is_same, "{kind}: {joined:?}, decoded {decoded:?}");
            compared += 1;
        }
    }
    assert!(compared > 200, "{compared}");
}

#[test]
fn the_space_of_a_first_word_stays() {
    let mut compared = 0;
    for (kind, _, tokenizer) in &*TOKENIZERS {
        let (prompt, all) = (
            tokenizer.encode("The city").unwrap(),
            tokenizer.encode("The city of London").unwrap(),
        );
        let Some(rest) = all.strip_prefix(&prompt[..]) else {
            continue;
        };
        let mut stream =
            TextStream::new(|ids: &[u32]| tokenizer.decode(ids), Vec::new()).after(&prompt);
        let mut text: String = rest.iter().map(|id| stream.push(*id).unwrap()).collect();
        text += &stream.finish().unwrap();
        assert_eq!(text, " of London", "{kind}");
        compared += 1;
    }
    assert!(compared >= 10, "{compared}");
}

#[test]
fn an_end_token_may_end_a_text_that_could_go_on() {
    let tokens = ["a", "b", "ab"].map(|text| Some(text.as_bytes().to_vec()));
    let tokens = Arc::new(TokenTexts::new(tokens.into_iter().chain([None])));
    let lattice = Arc::new(TextLattice::one_of(["a", "ab", ""]));
    let check = |read: &[u32], allowed: &[u32], finished: bool| {
        let mut constraint = Spells::new(Arc::clone(&lattice), Arc::clone(&tokens), vec![3]);
        read.iter().for_each(|token| constraint.advance(*token));
        let found: Vec<u32> = (0..9).filter(|token| constraint.allows(*token)).collect();
        assert_eq!(
            (&found[..], constraint.is_finished()),
            (allowed, finished),
            "{read:?}"
        );
    };
    check(&[], &[0, 2, 3], false);
    check(&[0], &[1, 3], false);
    check(&[2], &[3], false);
    check(&[0, 1], &[3], false);
    check(&[0, 3], &[], true);
    check(&[1], &[], true);
}

#[test]
fn an_end_token_with_a_text_is_not_allowed_before_the_text_is_whole() {
    let tokens = ["a", "b", "ab"].map(|text| Some(text.as_bytes().to_vec()));
    let lattice = Arc::new(TextLattice::one_of(["ab"]));
    let mut constraint = Spells::new(lattice, Arc::new(TokenTexts::new(tokens)), vec![2]);
    for token in 0..3 {
        let allowed: Vec<u32> = (0..3).filter(|token| constraint.allows(*token)).collect();
        assert_eq!(allowed, [token]);
        constraint.advance(token);
    }
    assert!(constraint.is_finished());
}
