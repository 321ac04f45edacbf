//! Every kind of tokenizer, compared with transformers' `AutoTokenizer` by the goldens of `fixtures/tokenizers`.

use std::path::{Path, PathBuf};

use layerwise_corpus::{BosSource, Habit, Tokenizer};
use layerwise_files::{Folder, Links};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tokenizers")
}

fn opened(kind: &str, vocab: usize) -> Tokenizer {
    let folder = Folder::open(&folder().join(kind), Links::Refuse).expect("a fixture");
    let tokenizer = Tokenizer::of_folder(&folder, vocab).expect("the tokenizer loads");
    tokenizer.expect("the folder holds one")
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).expect("token ids")
}

#[test]
fn ids_and_what_stands_before_a_text_are_those_of_transformers() {
    let text = std::fs::read_to_string(folder().join("goldens.json")).unwrap();
    let goldens: Value = serde_json::from_str(&text).unwrap();
    let texts = goldens["texts"].as_array().unwrap();
    let kinds = goldens["kinds"].as_object().unwrap();
    assert!(texts.len() == 17 && kinds.len() >= 17, "{}", kinds.len());
    let mut wrong = Vec::new();
    for (kind, golden) in kinds {
        let vocab = golden["vocab"].as_u64().unwrap() as usize;
        let tokenizer = opened(kind, vocab);
        for (text, expected) in texts.iter().zip(golden["ids"].as_array().unwrap()) {
            let text = text.as_str().unwrap();
            let (found, expected) = (tokenizer.encode(text).unwrap(), ids(expected));
            if found != expected {
                wrong.push(format!(
                    "{kind}: {text:?}: {found:?}, expected {expected:?}"
                ));
            }
        }
        let beginning = tokenizer.beginning(Habit::Nothing).unwrap();
        let before: Vec<u32> = beginning.bos.into_iter().collect();
        if before != ids(&golden["before"]) {
            wrong.push(format!(
                "{kind}: {beginning:?}, expected {}",
                golden["before"]
            ));
        }
        let ending = tokenizer.ending().unwrap();
        if ending != ids(&golden["after"]) {
            wrong.push(format!(
                "{kind}: {ending:?} after a text, expected {}",
                golden["after"]
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A folder with a tokenizer, and the post-processor and settings of a row of the goldens.
#[allow(clippy::unwrap_used, reason = "a test may panic")]
fn with_ends(row: &Value) -> tempfile::TempDir {
    let kind = folder().join(row["kind"].as_str().unwrap());
    let read = |path: &Path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let made = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(made.path().join(name), text).unwrap();
    write("tokenizer_config.json", row["settings"].to_string());
    let mut file: Value = read(&kind.join("tokenizer.json"));
    if row["files"] == "two" {
        write("vocab.json", file["model"]["vocab"].to_string());
        let merges = file["model"]["merges"].as_array().unwrap().iter();
        let merges = merges.map(|pair| {
            let pair: [String; 2] = serde_json::from_value(pair.clone()).unwrap();
            pair.join(" ")
        });
        write("merges.txt", merges.collect::<Vec<_>>().join("\n"));
        return made;
    }
    let post = row["post_processor"].as_str().unwrap();
    let token = |token: &str| serde_json::json!({"SpecialToken": {"id": token, "type_id": 0}});
    let mut single = vec![serde_json::json!({"Sequence": {"id": "A", "type_id": 0}})];
    let mut special = serde_json::Map::new();
    for name in post.split_whitespace() {
        let at = if name == "<s>" { 0 } else { single.len() };
        single.insert(at, token(name));
        let id = file["model"]["vocab"][name].clone();
        let about = serde_json::json!({"id": name, "ids": [id], "tokens": [name]});
        special.insert(name.to_owned(), about);
    }
    file["post_processor"] = match special.is_empty() {
        true => Value::Null,
        false => serde_json::json!({
            "type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": special,
        }),
    };
    write("tokenizer.json", file.to_string());
    made
}

#[test]
fn what_stands_around_a_text_follows_class_and_settings_as_in_transformers() {
    let text = std::fs::read_to_string(folder().join("goldens.json")).unwrap();
    let goldens: Value = serde_json::from_str(&text).unwrap();
    let rows = goldens["ends"].as_array().unwrap();
    assert!(rows.len() >= 200, "{}", rows.len());
    let mut wrong = Vec::new();
    for row in rows {
        let made = with_ends(row);
        let folder = Folder::open(made.path(), Links::Refuse).unwrap();
        let tokenizer = Tokenizer::of_folder(&folder, 700).unwrap().unwrap();
        let beginning = tokenizer.beginning(Habit::Nothing).unwrap();
        let found: Vec<u32> = beginning.bos.into_iter().collect();
        let found = (found, tokenizer.ending().unwrap());
        if found != (ids(&row["before"]), ids(&row["after"])) {
            wrong.push(format!("{row}: {found:?}, {:?}", beginning.source));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn classes_of_transformers_bring_their_own_parts() {
    let text = std::fs::read_to_string(folder().join("goldens.json")).unwrap();
    let goldens: Value = serde_json::from_str(&text).unwrap();
    let rows = goldens["rebuilt"].as_array().unwrap();
    assert!(rows.len() >= 120, "{}", rows.len());
    let mut wrong = Vec::new();
    for row in rows {
        let kind = row["kind"].as_str().unwrap();
        let made = tempfile::tempdir().unwrap();
        let file = folder().join(kind).join("tokenizer.json");
        std::fs::copy(file, made.path().join("tokenizer.json")).unwrap();
        let settings = row["settings"].to_string();
        std::fs::write(made.path().join("tokenizer_config.json"), settings).unwrap();
        let folder = Folder::open(made.path(), Links::Refuse).unwrap();
        // Room for tokens added by settings and classes.
        let tokenizer = Tokenizer::of_folder(&folder, 800).unwrap().unwrap();
        for (at, text) in goldens["texts"].as_array().unwrap().iter().enumerate() {
            let expected = row["ids"].get(at.to_string());
            let expected = ids(expected.unwrap_or(&goldens["kinds"][kind]["ids"][at]));
            let found = tokenizer.encode(text.as_str().unwrap()).unwrap();
            if found != expected {
                let settings = &row["settings"];
                wrong.push(format!(
                    "{kind} {settings}: {text}: {found:?}, expected {expected:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn parts_that_a_class_replaces_are_named() {
    let check = |kind, class: &str, expected: Option<&[&str]>| {
        let made = tempfile::tempdir().unwrap();
        let file = folder().join(kind).join("tokenizer.json");
        std::fs::copy(&file, made.path().join("tokenizer.json")).unwrap();
        let settings = serde_json::json!({"tokenizer_class": class});
        let settings_file = made.path().join("tokenizer_config.json");
        std::fs::write(settings_file, settings.to_string()).unwrap();
        let folder = Folder::open(made.path(), Links::Refuse).unwrap();
        let tokenizer = Tokenizer::of_folder(&folder, 700).unwrap().unwrap();
        let found = tokenizer.replaced().map(|it| (it.class, &it.parts[..]));
        assert_eq!(
            found,
            expected.map(|parts| (class, parts)),
            "{kind} as {class}"
        );
        let is_file = tokenizer.sha256() == layerwise_corpus::sha256(&file).unwrap();
        assert_eq!(is_file, expected.is_none(), "{kind} as {class}");
    };
    check("llama-2", "PreTrainedTokenizerFast", None);
    let own: &[_] = &["normalizer", "pre_tokenizer", "decoder", "model"];
    check("llama-2", "LlamaTokenizer", Some(own));
    check("deepseek", "LlamaTokenizer", None);
    check("deepseek", "GPT2Tokenizer", Some(&["pre_tokenizer"]));
}

/// The token that each tokenizer puts before a text, if its family would use token 7, and the file that decides it.
#[test]
fn a_habit_counts_only_where_the_tokenizer_says_nothing() {
    let check = |kind, habit, bos: Option<u32>, source: BosSource| {
        let beginning = opened(kind, 700).beginning(habit).unwrap();
        assert_eq!((beginning.bos, beginning.source), (bos, source), "{kind}");
    };
    let token = |id, ends_text| Habit::Token { id, ends_text };
    let seven = token(7, true);
    for kind in ["gpt2", "gpt2-files", "gpt-neox", "smollm"] {
        check(kind, seven, Some(7), BosSource::Habit);
        check(kind, Habit::Nothing, None, BosSource::Habit);
    }
    check("gpt2", Habit::EndOfText, Some(0), BosSource::Habit);
    for (kind, bos) in [
        ("llama-3", 0),
        ("llama-2", 1),
        ("gemma", 1),
        ("deepseek", 1),
        ("both-ends", 0),
    ] {
        check(kind, seven, Some(bos), BosSource::PostProcessor);
    }
    check("opt-files", seven, Some(2), BosSource::Settings);
    check("add-bos-false", seven, None, BosSource::Settings);
    // Its BOS marks turns, and nothing adds it.
    let marker = BosSource::OtherUse("<|im_start|>".to_owned());
    check("chat-marker", seven, None, marker);
    // Without settings, the checkpoint says whether the token also ends a text.
    let alone = Tokenizer::open(&folder().join("chat-marker/tokenizer.json"), 700).unwrap();
    let check = |habit, bos, source| {
        let beginning = alone.beginning(habit).unwrap();
        assert_eq!(
            (beginning.bos, beginning.source),
            (bos, source),
            "{habit:?}"
        );
    };
    check(seven, Some(7), BosSource::Habit);
    let other = BosSource::OtherUse(alone.decode(&[7]).unwrap());
    check(token(7, false), None, other);
    check(token(5000, true), None, BosSource::NoToken(5000));
    let end_of_text = alone.encode("<|endoftext|>").unwrap()[0];
    check(
        token(end_of_text, false),
        Some(end_of_text),
        BosSource::Habit,
    );
    // No token has that name.
    let text = std::fs::read_to_string(folder().join("gpt2/tokenizer.json")).unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let own = temporary.path().join("tokenizer.json");
    std::fs::write(&own, text.replace("<|endoftext|>", "<|separator|>")).unwrap();
    let without = Tokenizer::open(&own, 700).unwrap();
    assert!(without.encode("<|endoftext|>").unwrap().len() > 1);
    let nothing = without.beginning(Habit::EndOfText).unwrap();
    assert_eq!((nothing.bos, nothing.source), (None, BosSource::Habit));
}

/// `"bos_token": null` says that there is none.
#[test]
fn a_tokenizer_may_say_that_it_has_no_bos() {
    let own = tempfile::tempdir().unwrap();
    let tokenizer = folder().join("chat-marker/tokenizer.json");
    std::fs::copy(tokenizer, own.path().join("tokenizer.json")).unwrap();
    let settings = own.path().join("tokenizer_config.json");
    std::fs::write(
        settings,
        r#"{"bos_token": null, "eos_token": "<|endoftext|>"}"#,
    )
    .unwrap();
    let opened = Folder::open(own.path(), Links::Refuse).unwrap();
    let opened = Tokenizer::of_folder(&opened, 700).unwrap().unwrap();
    let habit = Habit::Token {
        id: 0,
        ends_text: true,
    };
    let beginning = opened.beginning(habit).unwrap();
    assert_eq!((beginning.bos, beginning.source), (None, BosSource::NoBos));
}

#[test]
fn what_stands_after_a_text_is_known() {
    assert_eq!(opened("both-ends", 700).ending().unwrap(), [1]);
    assert_eq!(opened("add-eos-files", 700).ending().unwrap(), [2]);
    assert!(opened("llama-2", 700).ending().unwrap().is_empty());
}

#[test]
fn tokens_beyond_the_vocabulary_are_named_and_harmless() {
    let tokenizer = opened("pad-beyond", 700);
    assert_eq!(tokenizer.beyond_vocabulary(), ["<pad>"]);
    assert!(
        tokenizer
            .encode("no padding")
            .unwrap()
            .iter()
            .all(|id| *id < 700)
    );
    assert_eq!(tokenizer.encode("<pad>").unwrap(), [700]);
    assert!(opened("pad-beyond", 701).beyond_vocabulary().is_empty());
    // Only added tokens may be beyond the model's vocabulary.
    let folder = Folder::open(&folder().join("pad-beyond"), Links::Refuse).unwrap();
    let error = Tokenizer::of_folder(&folder, 600).unwrap_err().to_string();
    assert!(error.contains("expected an id below 600"), "{error}");
}
