//! Corrections that the transformer writes, kept as they are finished.

use super::arguments::Arguments;
use super::prompts::prompts;
use super::reading::Reader;
use crate::arguments::Run;
use crate::conversation::Conversation;
use crate::inputs::{self, OpenedModel};
use anyhow::Context;
use layerwise::chat::Message;
use layerwise::corpus::{Bos, Tokenizer};
use layerwise::rescoring::Writer;
use layerwise::schedule::Schedule;
use layerwise::sweep::{Failure, Journals, MeasureId, Plan, Work, WorkBytes};
use layerwise::transcripts::{Gate, Lattice, ScoredLists, System};
use layerwise::transformer::{Precision, State};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Tokens of a text that is written freely, besides twice those of the longest hypothesis.
const MORE_TOKENS: usize = 16;

/// Where a mode's corrections are kept.
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

/// What is to be written.
struct Asked {
    /// The utterance.
    id: String,
    prompt: Vec<u32>,
    /// The slots of its lattice; none where the text is free.
    slots: Option<Vec<Vec<Option<String>>>>,
    /// The most tokens of a free text.
    most: usize,
}

impl Asked {
    /// What the text depends on.
    fn numbers(&self) -> Vec<u32> {
        let mut numbers = self.prompt.clone();
        numbers.push(self.most as u32);
        for slot in self.slots.iter().flatten() {
            for word in slot {
                let bytes = word.iter().flat_map(|word| word.bytes());
                numbers.extend(bytes.map(u32::from));
                numbers.push(u32::MAX);
            }
            numbers.push(u32::MAX);
        }
        numbers
    }

    /// Tokens that there must be room for.
    fn room(&self) -> usize {
        let words = self.slots.iter().flatten().flatten().flatten();
        self.prompt.len() + self.most + words.map(String::len).sum::<usize>()
    }
}

impl<'a> Author<'a> {
    /// The model with its prompts' form.
    ///
    /// # Errors
    /// No chat template where one is asked for, or end tokens that cannot be read.
    pub(super) fn new(
        arguments: &'a Arguments,
        opened: &'a OpenedModel,
        tokenizer: &'a Tokenizer,
    ) -> anyhow::Result<Self> {
        let (conversation, bos) = match arguments.chat {
            true => {
                let given = arguments.chat_template.as_deref();
                let own = Conversation::new(opened, given, arguments.date)?;
                // A template writes what stands before the conversation.
                (Some(own), Bos::None)
            }
            false => {
                let found =
                    inputs::beginning(arguments.bos, "each prompt", opened, Some(tokenizer));
                (None, found?.0)
            }
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
    /// A prompt that the model cannot take, a journal that cannot be used, or an interrupt.
    pub(super) fn system(
        &self,
        mode: &'static str,
        set: &ScoredLists,
        gate: Gate,
        reader: &mut Reader<'_>,
    ) -> anyhow::Result<System> {
        let arguments = self.arguments;
        let asked = self.asked(mode, set, gate, reader)?;
        let config = self.opened.model.config();
        let plain = Schedule::plain(self.opened.model.stack())?;
        let bytes = |asked: &Asked| {
            let room = asked.room().min(config.context);
            State::most_bytes(config, &plain, room, Precision::F32)
                + State::most_step_bytes(config, asked.prompt.len(), room, 1)
        };
        let bytes = WorkBytes {
            reading: asked.iter().map(bytes).max().unwrap_or(0),
            result: 0,
        };
        let write = |_: usize, asked: &Asked| {
            let written = match &asked.slots {
                None => self.writer.free(&asked.prompt, asked.most),
                Some(slots) => {
                    let slots: Vec<Vec<Option<&str>>> = slots
                        .iter()
                        .map(|slot| slot.iter().map(Option::as_deref).collect())
                        .collect();
                    self.writer.constrained(&asked.prompt, &slots)
                }
            };
            let written = written.map_err(Failure::other)?;
            Ok((written.text, written.tokens))
        };
        let id = MeasureId::new("corrections", 1)
            .with_settings(format!("{mode} {:?}", self.writer.end_tokens()));
        let work: Work<'_, Asked, (String, usize)> =
            Work::new(id, bytes, write).depending_on(Asked::numbers);
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
        let mut tokens = 0;
        let mut corrections: BTreeMap<String, String> = BTreeMap::new();
        for (asked, (text, written)) in asked.iter().zip(found.into_plain().iter()) {
            tokens += (asked.prompt.len() + written) as u64;
            corrections.insert(asked.id.clone(), text.clone());
        }
        let (count, repair) = (arguments.count.rule(), arguments.repair.repair());
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
        let mut asked = Vec::new();
        for prompt in prompts(self.arguments, vocabulary, set, gate)? {
            let list = &set.distinct[prompt.place];
            let id = set.lists.utterances[prompt.place].id.clone();
            let slots = match mode == System::CONSTRAINED {
                false => None,
                true => {
                    let lattice = Lattice::of(list)?.under(self.arguments.count.rule());
                    Some(lattice.texts(vocabulary))
                }
            };
            let mut most = 0;
            if slots.is_none() {
                for words in &list.hypotheses {
                    most = most.max(self.tokenizer.encode(&vocabulary.text(words))?.len());
                }
                most = 2 * most + MORE_TOKENS;
            }
            let tokens = match &self.conversation {
                Some(conversation) => {
                    let said = [Message::new("user", &prompt.text)];
                    conversation.ids(&said, self.tokenizer)
                }
                None => inputs::prompt_after(self.bos, &prompt.text, self.tokenizer),
            };
            asked.push(Asked {
                prompt: tokens.with_context(|| format!("utterance `{id}`"))?,
                id,
                slots,
                most,
            });
        }
        Ok(asked)
    }
}
