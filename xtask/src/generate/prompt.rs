//! The prompts: token ids, texts, or conversations in the checkpoint's chat template.

use super::Arguments;
use crate::conversation::Conversation;
use crate::inputs::{self, OpenedModel};
use anyhow::{Context, anyhow, bail, ensure};
use layerwise::chat::Message;
use layerwise::corpus::{self, Tokenizer};
use serde_json::Value;
use std::path::Path;

/// Makes prompts of what the user gives.
pub(super) struct Prompter<'a> {
    opened: &'a OpenedModel,
    tokenizer: Option<&'a Tokenizer>,
    /// The token before a text that is not a conversation.
    bos: corpus::Bos,
    chat: Option<Chat>,
}

struct Chat {
    conversation: Conversation,
    system: Option<String>,
}

impl<'a> Prompter<'a> {
    pub(super) fn new(
        arguments: &Arguments,
        opened: &'a OpenedModel,
        tokenizer: Option<&'a Tokenizer>,
    ) -> anyhow::Result<Self> {
        let chat = match arguments.chat {
            true => Some(Chat {
                conversation: Conversation::new(
                    opened,
                    arguments.chat_template.as_deref(),
                    arguments.date,
                )?,
                system: arguments.system.clone(),
            }),
            false => None,
        };
        // A template writes the beginning of a conversation itself, and ids are used as they are.
        let bos = match (&chat, &arguments.ids, tokenizer) {
            (None, None, Some(_)) => {
                inputs::beginning(arguments.bos, "the prompt", opened, tokenizer)?.0
            }
            _ => corpus::Bos::None,
        };
        Ok(Self {
            opened,
            tokenizer,
            bos,
            chat,
        })
    }

    fn tokenizer(&self) -> anyhow::Result<&'a Tokenizer> {
        match self.tokenizer {
            Some(tokenizer) => Ok(tokenizer),
            None => bail!(
                "{} has no tokenizer.json to read the prompt with; give --ids",
                self.opened.name
            ),
        }
    }

    /// Token ids of a text, or of a conversation in which the text is a user's message.
    pub(super) fn text(&self, text: &str) -> anyhow::Result<Vec<u32>> {
        if let Some(chat) = &self.chat {
            let system = chat.system.iter().map(|text| Message::new("system", text));
            let messages: Vec<Message> = system.chain([Message::new("user", text)]).collect();
            return self.conversation(chat, &messages);
        }
        inputs::prompt_after(self.bos, text, self.tokenizer()?)
    }

    /// The token ids of the prompts of a file, one JSON object a line, each with the number of its line.
    pub(super) fn file(&self, path: &Path) -> anyhow::Result<Vec<(usize, Vec<u32>)>> {
        let text = corpus::read_text(path)?;
        let lines = (1..)
            .zip(text.lines())
            .filter(|(_, line)| !line.trim().is_empty());
        let prompts: Vec<(usize, Vec<u32>)> = lines
            .map(|(line, text)| {
                let ids = self.line(text).and_then(|ids| {
                    // Refuse this here, before any output is written.
                    self.opened.model.embed(&ids)?;
                    Ok(ids)
                });
                let ids = ids.with_context(|| format!("{}: line {line}", path.display()))?;
                Ok((line, ids))
            })
            .collect::<anyhow::Result<_>>()?;
        ensure!(
            !prompts.is_empty(),
            "{}: no prompts; expected one JSON object a line, with `prompt`, `messages` or `ids`",
            path.display()
        );
        Ok(prompts)
    }

    fn line(&self, line: &str) -> anyhow::Result<Vec<u32>> {
        let line: Value = corpus::json_line(line)
            .map_err(|error| anyhow!("{}", corpus::error_in_line(&error)))?;
        let found =
            ["prompt", "messages", "ids"].map(|key| line.get(key).filter(|it| !it.is_null()));
        match found {
            [Some(prompt), None, None] => match prompt.as_str() {
                Some(text) => self.text(text),
                None => bail!(
                    "expected `prompt` to be a text, found {}",
                    shortened(prompt)
                ),
            },
            [None, Some(messages), None] => {
                let chat = self
                    .chat
                    .as_ref()
                    .context("`messages` need a chat template; give --chat")?;
                let system = chat.system.iter().map(|text| Message::new("system", text));
                let given = messages.as_array().filter(|given| !given.is_empty());
                let given: Option<Vec<Message>> =
                    given.and_then(|given| given.iter().map(Message::from_json).collect());
                let given = given.with_context(|| {
                    format!(
                        "expected `messages` to be a list of objects with a text as `role`, at least one, found {}",
                        shortened(messages)
                    )
                })?;
                let messages: Vec<Message> = system.chain(given).collect();
                self.conversation(chat, &messages)
            }
            [None, None, Some(ids)] => {
                let ids: Result<Vec<u32>, _> = serde_json::from_value(ids.clone());
                match ids {
                    Ok(ids) if !ids.is_empty() => Ok(ids),
                    _ => bail!(
                        "expected `ids` to be token ids, at least one, found {}",
                        shortened(&line["ids"])
                    ),
                }
            }
            _ => bail!(
                "expected an object with one of `prompt`, `messages` and `ids`, found {}",
                shortened(&line)
            ),
        }
    }

    fn conversation(&self, chat: &Chat, messages: &[Message]) -> anyhow::Result<Vec<u32>> {
        chat.conversation.ids(messages, self.tokenizer()?)
    }
}

/// A value, cut to 80 characters.
fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(79) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
