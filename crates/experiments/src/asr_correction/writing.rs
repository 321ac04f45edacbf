//! Corrections that the model writes itself, freely and along word lattices, for the first utterances of each set.
//!
//! The prompt is the default one of `rescore`: a user's message if the checkpoint has a chat template, else plain text. Every
//! utterance with more than one distinct hypothesis is sent.
//! Free texts are judged as they are written, whatever rules they break; the prompt itself states the rule on the number of
//! words. They end at an end token of the checkpoint, or at BOS.

use super::Written;
use super::errors::of_written;
use super::table::{About, Record};
use crate::core::error::{ExperimentError, OfShare, Place};
use crate::core::subject::Subject;
use crate::core::tables::Tables;
use layerwise_chat::{DateTime, Message};
use layerwise_corpus::Tokenizer;
use layerwise_rescoring::{Asked, Writer};
use layerwise_transcripts::{
    CountRule, DistinctList, Gate, NBestLists, NoLanguageModel, Normaliser, Repair, ScoredLists,
    System, Template, Vocabulary,
};

/// The date given to a chat template, fixed so that prompts do not depend on the day.
const DATE: DateTime = DateTime::constant(2025, 1, 1, 0, 0, 0, 0);

/// Ways of writing, with the rule on the number of words along a lattice.
const MODES: [(&str, Option<CountRule>); 2] = [
    (System::GENERATE, None),
    (System::CONSTRAINED, Some(CountRule::Free)),
];

/// Adds a line for each of both modes, or says why there are none; in a share, [`ExperimentError::ShareFinished`].
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
    let Written(most) = subject.data.get().copied().unwrap_or_default();
    let mut lists = lists.clone();
    lists.utterances.truncate(most);
    let distinct = distinct.iter().take(most).cloned().collect();
    let set = match ScoredLists::new(lists, distinct, vocabulary, &mut NoLanguageModel) {
        Ok(set) => set,
        Err(never) => match never {},
    };
    let mut gate = Gate::new(set.lists.scale);
    gate.tau = 1.0;
    let prompts = set.prompts(&gate, &Template::default(), vocabulary);
    let asked = |along: Option<CountRule>| -> Result<Vec<Asked>, ExperimentError> {
        let prompts = prompts.iter();
        let asked = prompts.map(|(place, text)| {
            let id = &set.lists.utterances[*place].id;
            let prompt = prompt(subject, tokenizer, text).at(|| id.clone())?;
            let list = &set.distinct[*place];
            Ok(Asked::new(id, prompt, list, along, vocabulary, tokenizer)?)
        });
        asked.collect()
    };
    let [free, path] = MODES.map(|(_, along)| asked(along));
    let asked = [free?, path?];
    let context = subject.model.config().context;
    let longest = asked[0].iter().map(Asked::most_tokens).max();
    if let Some(longest) = longest.filter(|longest| *longest > context) {
        return Ok(Some(format!(
            "{}: nothing was generated: a prompt and its answer take {longest} tokens, but the context of the model is {context}",
            about[1]
        )));
    }
    let Some(about) = About::new(about, &set, CountRule::Free)? else {
        return Ok(None);
    };
    let mut end_tokens = subject.end_tokens.clone();
    end_tokens.extend(subject.bos);
    let writer = Writer::new(subject.model, tokenizer, end_tokens)?;
    let mut is_share = false;
    for ((mode, along), asked) in MODES.iter().zip(&asked) {
        let work = writer.work("asr-corrections", mode, asked);
        let written = subject.runs.plain(&work, asked);
        let Some(written) = written.if_whole()? else {
            // A share has items of the other mode too.
            is_share = true;
            continue;
        };
        let (corrections, tokens) = Asked::corrections(asked, &written);
        let count = along.unwrap_or(CountRule::Keep);
        let (repair, normaliser) = (Repair::Never, Normaliser::Norm);
        let system = System::external(&set, &corrections, count, repair, &normaliser, vocabulary)?;
        let system = system.generated(mode, None, tokens);
        if let Some(found) = system.compare(&set, replicates, seed as u64)? {
            let [own, best] = of_written(&about, &system, &set);
            tables.push(own);
            // Both modes are compared with the same hypotheses.
            if *mode == System::GENERATE {
                tables.push(best);
            }
            tables.push(Record::new(&about, &system, &found, None));
        }
    }
    match is_share {
        true => Err(ExperimentError::ShareFinished),
        false => Ok(None),
    }
}

/// A text as a user's message, or unchanged.
fn prompt(
    subject: &Subject<'_>,
    tokenizer: &Tokenizer,
    text: &str,
) -> Result<Vec<u32>, ExperimentError> {
    let Some(template) = subject.template else {
        let mut prompt: Vec<u32> = subject.bos.into_iter().collect();
        prompt.extend(tokenizer.encode(text)?);
        return Ok(prompt);
    };
    // A template writes the beginning of a conversation itself.
    let said = template.render(&[Message::new("user", text)], DATE)?;
    Ok(tokenizer.encode(&said)?)
}
