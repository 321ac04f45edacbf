//! Prompts for another program.

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
    mut gate: Gate,
    file: &Path,
) -> anyhow::Result<()> {
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
    let mut lines = String::new();
    let mut count = 0;
    let judged = set.distinct.iter().zip(set.judgements(&gate));
    for ((list, judgement), utterance) in judged.zip(&set.lists.utterances) {
        if judgement.is_sent {
            let words = list.hypotheses.iter();
            let texts: Vec<String> = words.map(|words| vocabulary.text(words)).collect();
            let line = serde_json::json!({"id": utterance.id, "prompt": template.prompt(&texts)});
            lines += &format!("{line}\n");
            count += 1;
        }
    }
    output::write(file, lines.as_bytes())?;
    output::say(format_args!("{}: {count} prompts", file.display()));
    Ok(())
}
