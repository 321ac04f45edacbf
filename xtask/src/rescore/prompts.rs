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
/// The template cannot be used, or a file cannot be written.
pub(super) fn write_prompts(
    arguments: &Arguments,
    vocabulary: &Vocabulary,
    set: &ScoredLists,
    gate: Gate,
    file: &Path,
) -> anyhow::Result<()> {
    let prompts = prompts(arguments, vocabulary, set, gate)?;
    let line = |(place, prompt): &(usize, String)| {
        let id = &set.lists.utterances[*place].id;
        format!("{}\n", serde_json::json!({"id": id, "prompt": prompt}))
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

/// The text of prompts.
///
/// # Errors
/// The file cannot be read, or is no template.
pub(super) fn template(arguments: &Arguments) -> anyhow::Result<Template> {
    match &arguments.template {
        None => Ok(Template::default()),
        Some(file) => {
            let text = String::from_utf8(bytes(file, &Limits::default())?)
                .with_context(|| format!("{}: expected UTF-8", file.display()))?;
            Template::new(&text).with_context(|| file.display().to_string())
        }
    }
}

/// The prompt of each list that the gate sends, with the list's index.
///
/// # Errors
/// The template cannot be used.
pub(super) fn prompts(
    arguments: &Arguments,
    vocabulary: &Vocabulary,
    set: &ScoredLists,
    mut gate: Gate,
) -> anyhow::Result<Vec<(usize, String)>> {
    let template = template(arguments)?;
    if arguments.tau.is_none() {
        gate.tau = 1.0;
    }
    Ok(set.prompts(&gate, &template, vocabulary))
}
