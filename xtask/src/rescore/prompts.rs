//! Prompts, for another program or for the transformer.

use super::arguments::Arguments;
use super::reading::bytes;
use crate::output;
use anyhow::Context;
use layerwise::transcripts::{Gate, Limits, ScoredLists, Template, Vocabulary};
use std::path::Path;

/// Writes a prompt for each list that the gate sends.
///
/// # Errors
/// A template that cannot be used, or a file that cannot be written.
pub(super) fn write_prompts(
    arguments: &Arguments,
    vocabulary: &Vocabulary,
    set: &ScoredLists,
    gate: Gate,
    file: &Path,
) -> anyhow::Result<()> {
    let prompts = prompts(arguments, vocabulary, set, gate)?;
    let line = |prompt: &Prompt| {
        let id = &set.lists.utterances[prompt.place].id;
        format!("{}\n", serde_json::json!({"id": id, "prompt": prompt.text}))
    };
    let lines: String = prompts.iter().map(line).collect();
    output::write(file, lines.as_bytes())?;
    output::say(format_args!(
        "{}: {} prompts",
        file.display(),
        prompts.len()
    ));
    Ok(())
}

/// A prompt, and the place of its list.
pub(super) struct Prompt {
    pub(super) place: usize,
    pub(super) text: String,
}

/// The prompt of each list that the gate sends.
///
/// # Errors
/// A template that cannot be used.
pub(super) fn prompts(
    arguments: &Arguments,
    vocabulary: &Vocabulary,
    set: &ScoredLists,
    mut gate: Gate,
) -> anyhow::Result<Vec<Prompt>> {
    let template = match &arguments.template {
        None => Template::default(),
        Some(file) => {
            let text = String::from_utf8(bytes(file, &Limits::default())?)
                .with_context(|| format!("{}: expected UTF-8", file.display()))?;
            Template::new(&text).with_context(|| file.display().to_string())?
        }
    };
    if arguments.tau.is_none() {
        gate.tau = 1.0;
    }
    let mut prompts = Vec::new();
    let judged = set.distinct.iter().zip(set.judgements(&gate));
    for (place, (list, judgement)) in judged.enumerate() {
        if judgement.is_sent {
            let words = list.hypotheses.iter();
            let texts: Vec<String> = words.map(|words| vocabulary.text(words)).collect();
            let text = template.prompt(&texts);
            prompts.push(Prompt { place, text });
        }
    }
    Ok(prompts)
}
