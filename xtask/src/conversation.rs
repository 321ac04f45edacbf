//! Conversations by the chat template of a checkpoint.

use crate::inputs::OpenedModel;
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
        let folder = opened.options.folder(&opened.folder)?;
        let template = match given {
            Some(path) => {
                let file = files::open(path, Links::Follow)?;
                Some(Template::of_file(&file)?.with_tokens_of(&folder)?)
            }
            None => Template::of_folder(&folder)?,
        };
        let template = template.with_context(|| {
            format!(
                "{}: no chat_template.jinja, and no `chat_template` in tokenizer_config.json; the model may be none for \
                 conversations, or give its template as --chat-template FILE",
                opened.folder.display()
            )
        })?;
        let now = match date {
            Some(date) => date,
            None => now()?,
        };
        Ok(Self { template, now })
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
