//! Templates of chat models, compared with transformers' `apply_chat_template` by the goldens of `fixtures/chat`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use layerwise_chat::{ChatError, DateTime, Message, Template};
use layerwise_files::{Folder, Links};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/chat")
}

#[test]
fn texts_are_those_of_transformers() {
    let goldens = std::fs::read_to_string(fixtures().join("goldens.json")).unwrap();
    let goldens: Value = serde_json::from_str(&goldens).unwrap();
    let now: DateTime = goldens["now"].as_str().unwrap().parse().unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (name, golden) in goldens["templates"].as_object().unwrap() {
        let folder = Folder::open(&fixtures().join(name), Links::Refuse).unwrap();
        let template = Template::of_folder(&folder).unwrap().unwrap();
        for (conversation, golden) in golden.as_object().unwrap() {
            let messages = goldens["conversations"][conversation].as_array().unwrap();
            let messages: Vec<Message> = messages
                .iter()
                .map(|message| Message::from_json(message).unwrap())
                .collect();
            for prompt in [true, false] {
                let expected = &golden[prompt.to_string()];
                let found = template.render_conversation(&messages, now, prompt);
                let is_same = match (&found, &expected["text"], &expected["raises"]) {
                    (Ok(found), Value::String(text), _) => found == text,
                    (Err(ChatError::Raised { message, .. }), _, Value::String(raised)) => {
                        message == raised
                    }
                    (Err(ChatError::Failed { .. }), _, _) => expected["fails"] == true,
                    _ => false,
                };
                count += 1;
                if !is_same {
                    wrong.push(format!(
                        "{name}, {conversation}, {prompt}:\n{found:?}\n{expected}"
                    ));
                }
            }
        }
    }
    assert!(count >= 180, "{count}");
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// A `tokenizer_config.json` given as a template stands for its `chat_template`.
#[test]
fn settings_of_a_tokenizer_stand_for_their_template() {
    let folder = Folder::open(&fixtures().join("smollm2"), Links::Refuse).unwrap();
    let of_folder = Template::of_folder(&folder).unwrap().unwrap();
    let open = |name: &str| folder.file(name, "a template").unwrap();
    let given = Template::of_file(&open("tokenizer_config.json")).unwrap();
    let given = given.with_tokens_of(&folder).unwrap();
    let (messages, now) = ([Message::new("user", "Hello")], DateTime::default());
    let expected = of_folder.render(&messages, now).unwrap();
    assert_eq!(given.render(&messages, now).unwrap(), expected);

    let folder = Folder::open(&fixtures(), Links::Refuse).unwrap();
    let goldens = folder.file("goldens.json", "no template").unwrap();
    let error = Template::of_file(&goldens).unwrap_err().to_string();
    assert!(
        error.contains("goldens.json") && error.contains("chat_template"),
        "{error}"
    );
}
