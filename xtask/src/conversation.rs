//! Conversations by the chat template of a checkpoint.

use crate::inputs::{self, OpenedModel};
use anyhow::{Context, ensure};
use layerwise::chat::{DateTime, Message, Template};
use layerwise::corpus::Tokenizer;
use layerwise::files::{self, Links};
use std::path::Path;
use std::time::SystemTime;

/// A template, and the date that it is told.
pub(crate) struct Conversation {
    template: Template,
    now: DateTime,
}

impl Conversation {
    /// The checkpoint's template, or the one that is given, told a date or else today's in UTC.
    ///
    /// # Errors
    /// No template, or one that cannot be accepted.
    pub(crate) fn new(
        opened: &OpenedModel,
        given: Option<&Path>,
        date: Option<DateTime>,
    ) -> anyhow::Result<Self> {
        let found = Self::found(opened, given, date)?;
        found.with_context(|| {
            format!(
                "{}: no chat_template.jinja, and no `chat_template` in tokenizer_config.json; the model may be none for \
                 conversations, or give its template as --chat-template FILE",
                opened.folder.display()
            )
        })
    }

    /// The same, where there is a template.
    ///
    /// # Errors
    /// A template that cannot be accepted.
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

    /// Token ids of messages, up to where the model answers.
    ///
    /// # Errors
    /// A template that fails or writes nothing.
    pub(crate) fn ids(
        &self,
        messages: &[Message],
        tokenizer: &Tokenizer,
    ) -> anyhow::Result<Vec<u32>> {
        let text = self.template.render(messages, self.now)?;
        let ids = tokenizer.encode(&text)?;
        ensure!(
            !ids.is_empty(),
            "{}: the chat template writes nothing",
            self.template.path().display()
        );
        Ok(ids)
    }
}

/// What the clock says, in UTC.
fn now() -> anyhow::Result<DateTime> {
    let now = jiff::Timestamp::try_from(SystemTime::now())
        .context("the clock is outside the years that there are")?;
    Ok(jiff::tz::Offset::UTC.to_datetime(now))
}
