//! Conversations formatted by the chat template of a checkpoint.

use crate::inputs::{self, OpenedModel};
use anyhow::{Context, ensure};
use layerwise::chat::{DateTime, Message, Template};
use layerwise::corpus::Tokenizer;
use layerwise::files::{self, Links};
use std::path::Path;
use std::time::SystemTime;

/// A template, and the date it may ask for.
pub(crate) struct Conversation {
    template: Template,
    now: DateTime,
}

impl Conversation {
    /// The checkpoint's template, or the given one, with the given date or else today's in UTC.
    ///
    /// # Errors
    /// The template is missing or invalid.
    pub(crate) fn new(
        opened: &OpenedModel,
        given: Option<&Path>,
        date: Option<DateTime>,
    ) -> anyhow::Result<Self> {
        let found = Self::found(opened, given, date)?;
        found.with_context(|| {
            format!(
                "{}: no chat_template.jinja, and no `chat_template` in tokenizer_config.json; give its template as \
                 --chat-template FILE, if the model is one for conversations",
                opened.folder.display()
            )
        })
    }

    /// Like [`Self::new`], but `None` if there is no template.
    ///
    /// # Errors
    /// The template is invalid.
    pub(crate) fn found(
        opened: &OpenedModel,
        given: Option<&Path>,
        date: Option<DateTime>,
    ) -> anyhow::Result<Option<Self>> {
        let template = match given {
            Some(path) => {
                let file = files::open(path, Links::Follow)?;
                let folder = opened.options.folder(&opened.folder)?;
                Some(Template::of_file(&file)?.with_tokens_of(&folder)?)
            }
            None => inputs::chat_template(opened)?,
        };
        let Some(template) = template else {
            return Ok(None);
        };
        let now = match date {
            Some(date) => date,
            None => now()?,
        };
        Ok(Some(Self { template, now }))
    }

    /// Token ids of messages, up to the point where the model answers.
    ///
    /// # Errors
    /// The template fails or writes nothing.
    pub(crate) fn ids(
        &self,
        messages: &[Message],
        tokenizer: &Tokenizer,
    ) -> anyhow::Result<Vec<u32>> {
        let text = self.template.render(messages, self.now)?;
        let ids = tokenizer.encode(&text)?;
        ensure!(
            !ids.is_empty(),
            "{}: the chat template writes nothing for these messages",
            self.template.path().display()
        );
        Ok(ids)
    }
}

/// The clock's time, in UTC.
fn now() -> anyhow::Result<DateTime> {
    let now = jiff::Timestamp::try_from(SystemTime::now()).context(
        "the system clock shows a year that cannot be represented; set it, or give --date",
    )?;
    Ok(jiff::tz::Offset::UTC.to_datetime(now))
}
