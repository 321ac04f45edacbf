//! Corrections that the transformer writes, kept in a journal.

use super::arguments::Arguments;
use super::prompts::prompts;
use super::reading::Reader;
use crate::arguments::Run;
use crate::conversation::Conversation;
use crate::inputs::{self, OpenedModel};
use anyhow::Context;
use layerwise::chat::Message;
use layerwise::corpus::{Bos, Tokenizer};
use layerwise::rescoring::{Asked, Writer};
use layerwise::sweep::{Journals, Plan};
use layerwise::transcripts::{Gate, ScoredLists, System};
use std::path::{Path, PathBuf};

/// The journal of a mode's corrections.
pub(super) fn journal(folder: &Path, mode: &str) -> PathBuf {
    folder.join(format!("{mode}.journal"))
}

/// The model that writes.
pub(super) struct Author<'a> {
    arguments: &'a Arguments,
    opened: &'a OpenedModel,
    tokenizer: &'a Tokenizer,
    bos: Bos,
    conversation: Option<Conversation>,
    writer: Writer<'a>,
}

impl<'a> Author<'a> {
    /// The model, with the format of its prompts.
    ///
    /// # Errors
    /// A chat template is invalid, or end tokens cannot be read.
    pub(super) fn new(
        arguments: &'a Arguments,
        opened: &'a OpenedModel,
        tokenizer: &'a Tokenizer,
    ) -> anyhow::Result<Self> {
        let given = arguments.chat_template.as_deref();
        let conversation = match arguments.plain {
            true => None,
            false => Conversation::found(opened, given, arguments.date)?,
        };
        let bos = match &conversation {
            // A template writes the beginning of the conversation itself.
            Some(_) => Bos::None,
            None => inputs::beginning(arguments.bos, "each prompt", opened, Some(tokenizer))?.0,
        };
        let mut end_tokens = inputs::end_tokens(opened)?;
        end_tokens.extend(arguments.end_token);
        Ok(Self {
            arguments,
            opened,
            tokenizer,
            bos,
            conversation,
            writer: Writer::new(&opened.model, tokenizer, end_tokens)?,
        })
    }

    /// Writes a correction of each list that the gate sends, and checks it against the rules.
    ///
    /// # Errors
    /// A prompt does not fit the model, a journal cannot be used, or the user interrupts.
    pub(super) fn system(
        &self,
        mode: &'static str,
        set: &ScoredLists,
        gate: Gate,
        reader: &mut Reader<'_>,
    ) -> anyhow::Result<System> {
        let arguments = self.arguments;
        let asked = self.asked(mode, set, gate, reader)?;
        let work = self.writer.work("corrections", mode, &asked);
        let work = work.called("utterance", "the corrections");
        let mut runner = self.opened.runner(&Run {
            threads: arguments.threads,
            fresh: arguments.fresh,
            trial: None,
        });
        if let Some(folder) = &arguments.out {
            runner = runner.journals(Journals::File(journal(folder, mode)));
        }
        let plan = Plan::plain(self.opened.model.stack())?;
        let found = runner.measure(self.opened.subject(), &plan, &work, &asked)?;
        let (corrections, tokens) = Asked::corrections(&asked, &found.into_plain());
        let (count, repair) = (arguments.count.rule(), arguments.repair());
        let vocabulary = &mut reader.vocabulary;
        let normaliser = &reader.normaliser;
        let system = System::external(set, &corrections, count, repair, normaliser, vocabulary)?;
        Ok(system.generated(mode, arguments.tau, tokens))
    }

    fn asked(
        &self,
        mode: &str,
        set: &ScoredLists,
        gate: Gate,
        reader: &Reader<'_>,
    ) -> anyhow::Result<Vec<Asked>> {
        let vocabulary = &reader.vocabulary;
        let along = (mode == System::CONSTRAINED).then(|| self.arguments.count.rule());
        let mut asked = Vec::new();
        for (place, text) in prompts(self.arguments, vocabulary, set, gate)? {
            let id = &set.lists.utterances[place].id;
            let prompt = match &self.conversation {
                Some(conversation) => {
                    conversation.ids(&[Message::new("user", &text)], self.tokenizer)
                }
                None => inputs::prompt_after(self.bos, &text, self.tokenizer),
            };
            let prompt = prompt.and_then(|ids| {
                // Refuse this here, before any correction is written.
                self.opened.model.embed(&ids)?;
                Ok(ids)
            });
            let prompt = prompt.with_context(|| format!("utterance `{id}`"))?;
            let list = &set.distinct[place];
            asked.push(Asked::new(
                id,
                prompt,
                list,
                along,
                vocabulary,
                self.tokenizer,
            )?);
        }
        Ok(asked)
    }
}
