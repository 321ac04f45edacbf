//! Corrections that the model writes itself, freely and along word lattices, of the first utterances of each set.
//!
//! The prompt is the default one of `rescore`, as plain text; every utterance of more than one distinct hypothesis is sent.
//! Free texts are judged as they are written, whatever rules they break.

use super::table::{About, Record};
use crate::core::error::{ExperimentError, OfShare, Place};
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_rescoring::Writer;
use layerwise_sweep::{MeasureId, WorkBytes};
use layerwise_transcripts::{
    CountRule, DistinctList, Gate, Lattice, NBestLists, NoLanguageModel, Normaliser, Repair,
    ScoredLists, System, Template, Vocabulary,
};
use layerwise_transformer::{Model, Precision, State};
use std::collections::BTreeMap;

/// Utterances of a set, from its beginning: a prompt is some twenty times as long as the utterance.
const UTTERANCES: usize = 40;
/// Tokens of a free text, besides twice those of the longest hypothesis.
const MORE_TOKENS: usize = 16;

/// Bytes of a token's text, as a rule at most.
const TOKEN_BYTES: usize = 16;

/// What is to be written.
struct Asked {
    id: String,
    prompt: Vec<u32>,
    slots: Vec<Vec<Option<String>>>,
    most: usize,
}

/// Stands after the bytes of a word; no byte has this value, nor those of the next two.
const WORD_ENDS: u32 = 256;
/// Stands for no word.
const NO_WORD: u32 = 257;
/// Stands after the words of a slot.
const SLOT_ENDS: u32 = 258;

impl Asked {
    /// What decides the correction; no two that differ have the same numbers.
    fn numbers(&self) -> Vec<u32> {
        let mut numbers = vec![self.most as u32, self.prompt.len() as u32];
        numbers.extend(&self.prompt);
        for slot in &self.slots {
            for word in slot {
                match word {
                    Some(word) => {
                        numbers.extend(word.bytes().map(u32::from));
                        numbers.push(WORD_ENDS);
                    }
                    None => numbers.push(NO_WORD),
                }
            }
            numbers.push(SLOT_ENDS);
        }
        numbers
    }
}

/// Adds a line for each of both modes, and tells why there are none; of a share [`ExperimentError::ShareFinished`].
pub(super) fn measure(
    subject: &Subject<'_>,
    about: [&str; 3],
    (lists, distinct): (&NBestLists, &[DistinctList]),
    vocabulary: &mut Vocabulary,
    [replicates, seed]: [usize; 2],
    tables: &mut Tables,
) -> Result<Option<String>, ExperimentError> {
    let Some(tokenizer) = subject.tokenizer else {
        return Ok(None);
    };
    let mut lists = lists.clone();
    lists.utterances.truncate(UTTERANCES);
    let distinct = distinct.iter().take(UTTERANCES).cloned().collect();
    let set = match ScoredLists::new(lists, distinct, vocabulary, &mut NoLanguageModel) {
        Ok(set) => set,
        Err(never) => match never {},
    };
    let template = Template::default();
    let mut gate = Gate::new(set.lists.scale);
    gate.tau = 1.0;
    let mut asked = Vec::new();
    let judged = set.distinct.iter().zip(set.judgements(&gate));
    for ((list, judgement), utterance) in judged.zip(&set.lists.utterances) {
        if !judgement.is_sent {
            continue;
        }
        let texts: Vec<String> = list
            .hypotheses
            .iter()
            .map(|words| vocabulary.text(words))
            .collect();
        let mut longest = 0;
        for text in &texts {
            longest = longest.max(tokenizer.encode(text)?.len());
        }
        let mut prompt: Vec<u32> = subject.text.bos.into_iter().collect();
        prompt.extend(tokenizer.encode(&template.prompt(&texts))?);
        asked.push(Asked {
            id: utterance.id.clone(),
            prompt,
            slots: Lattice::of(list)?.texts(vocabulary),
            most: 2 * longest + MORE_TOKENS,
        });
    }
    let context = subject.model.config().context;
    let longest = asked
        .iter()
        .map(|asked| asked.prompt.len() + asked.most)
        .max();
    if let Some(longest) = longest.filter(|longest| *longest > context) {
        return Ok(Some(format!(
            "{}: nothing was generated: a prompt and its answer take {longest} tokens, and the model has a context of {context}",
            about[1]
        )));
    }
    let Some(about) = About::new(about, &set, CountRule::Free)? else {
        return Ok(None);
    };
    // A text's end is a token of the checkpoint, which is not known here: BOS ends texts in models that have one token for
    // both, and a line break ends those along lattices.
    let writer = Writer::new(
        subject.model,
        tokenizer,
        subject.text.bos.into_iter().collect(),
    )?;
    let mut is_share = false;
    for mode in [System::GENERATE, System::CONSTRAINED] {
        let write = |_: usize, asked: &Asked| {
            let written = match mode == System::CONSTRAINED {
                false => writer.free(&asked.prompt, asked.most),
                true => {
                    let slots = asked.slots.iter();
                    let slots: Vec<Vec<Option<&str>>> = slots
                        .map(|slot| slot.iter().map(Option::as_deref).collect())
                        .collect();
                    writer.constrained(&asked.prompt, &slots)
                }
            };
            let written = written.at(|| asked.id.clone())?;
            Ok((written.text, written.tokens))
        };
        let id = MeasureId::new("asr-corrections", 1).with_settings(mode.to_owned());
        let bytes = bytes(subject.model, &asked);
        let fits = |_: &(String, usize)| true;
        let written = subject
            .runs
            .kept(id, &asked, bytes, Asked::numbers, fits, write);
        let Some(written) = written.if_whole()? else {
            // Of a share, the other mode has its own too.
            is_share = true;
            continue;
        };
        let mut tokens = 0;
        let mut corrections = BTreeMap::new();
        for (asked, (text, own)) in asked.iter().zip(written.iter()) {
            tokens += (asked.prompt.len() + own) as u64;
            corrections.insert(asked.id.clone(), text.clone());
        }
        let free = CountRule::Free;
        let (repair, normaliser) = (Repair::Never, Normaliser::Norm);
        let system = System::external(&set, &corrections, free, repair, &normaliser, vocabulary)?;
        let system = system.generated(mode, None, tokens);
        if let Some(found) = system.compare(&set, replicates, seed as u64)? {
            tables.push(Record::new(&about, &system, &found, None));
        }
    }
    match is_share {
        true => Err(ExperimentError::ShareFinished),
        false => Ok(None),
    }
}

/// What a correction takes: keys and values of the prompt and of all that may be written after it, and the text twice, as a
/// result and among the corrections.
fn bytes(model: &Model, asked: &[Asked]) -> WorkBytes {
    let config = model.config();
    let of_words = |asked: &Asked| -> usize {
        let words = asked.slots.iter().flatten().flatten();
        words.map(String::len).sum()
    };
    let room = |asked: &Asked| {
        let tokens = asked.prompt.len() + asked.most + of_words(asked);
        tokens.min(config.context)
    };
    let room = asked.iter().map(room).max().unwrap_or(0);
    let prompt = asked.iter().map(|asked| asked.prompt.len()).max();
    let plain = model.plain();
    WorkBytes {
        reading: State::most_bytes(config, &plain, room, Precision::F32)
            + State::most_step_bytes(config, prompt.unwrap_or(0).max(1), room, 1),
        result: 2 * TOKEN_BYTES * room,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lattices_that_differ_have_other_numbers() {
        let asked = |slots: &[&[Option<&str>]]| {
            let slot = |slot: &&[Option<&str>]| slot.iter().map(|w| w.map(str::to_owned)).collect();
            Asked {
                id: "a".to_owned(),
                prompt: vec![1, 2],
                slots: slots.iter().map(slot).collect(),
                most: 9,
            }
        };
        let all = [
            asked(&[&[Some("ab"), Some("c")]]),
            asked(&[&[Some("a"), Some("bc")]]),
            asked(&[&[Some("ab")], &[Some("c")]]),
            asked(&[&[Some("ab"), None], &[Some("c")]]),
            asked(&[&[Some("ab"), Some("c"), None]]),
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(
                    one.numbers(),
                    other.numbers(),
                    "{:?} {:?}",
                    one.slots,
                    other.slots
                );
            }
        }
    }
}
