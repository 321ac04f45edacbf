//! Prompts for another program, and the corrections that it made.

use super::Set;
use super::arguments::{Arguments, Repair};
use super::reading::{Reader, bytes, parsed};
use crate::output;
use anyhow::{Context, bail};
use layerwise::transcripts::{
    DistinctList, Gate, Lattice, Limits, NBestLists, Template, Violations, Vocabulary, WordId,
    read_corrections, violations,
};
use std::collections::HashMap;
use std::path::Path;

/// Corrections of a set, in its order.
pub(super) struct Corrections {
    /// The rules that each correction breaks.
    pub(super) violations: Vec<Violations>,
    words: Vec<(Vec<WordId>, bool)>,
}

impl Corrections {
    /// The words of each utterance, repaired, and whether there was a correction.
    pub(super) fn outputs(&self) -> Vec<(&[WordId], bool)> {
        let words = self.words.iter();
        words
            .map(|(words, is_sent)| (words.as_slice(), *is_sent))
            .collect()
    }
}

/// Reads corrections; what breaks the rules is repaired, and an utterance without one keeps its best hypothesis.
///
/// # Errors
/// A file that breaks its form, or an id that is not in the lists.
pub(super) fn read(
    arguments: &Arguments,
    reader: &mut Reader<'_>,
    lists: &NBestLists,
    distinct: &[DistinctList],
    file: &Path,
) -> anyhow::Result<Corrections> {
    let limits = Limits::default();
    let found = parsed(file, &limits, |bytes| read_corrections(bytes, &limits))?;
    let mut found: HashMap<String, String> = found.into_iter().collect();
    let mut corrections = Corrections {
        violations: Vec::new(),
        words: Vec::new(),
    };
    let count = arguments.count.rule();
    for (utterance, list) in lists.utterances.iter().zip(distinct) {
        let best = &list.hypotheses[0];
        let Some(text) = found.remove(&utterance.id) else {
            corrections.violations.push(Violations::default());
            corrections.words.push((best.clone(), false));
            continue;
        };
        let words = reader.vocabulary.add_all(reader.normaliser.words(&text));
        let broken = violations(list, count, &text, &words);
        let words = match (broken.any(), arguments.repair) {
            (false, _) => words,
            (true, Repair::Best) => best.clone(),
            (true, Repair::Nearest) => {
                let weights = vec![1.0; list.hypotheses.len()];
                let lattice = Lattice::rover(&list.hypotheses, &weights)?;
                lattice.under(count).nearest(&words).0
            }
        };
        corrections.violations.push(broken);
        corrections.words.push((words, true));
    }
    match found.keys().min() {
        None => Ok(corrections),
        Some(id) => bail!(
            "{}: no utterance of {} has the id `{id}`",
            file.display(),
            arguments.file.display()
        ),
    }
}

/// Writes a prompt for each list that the gate sends.
///
/// # Errors
/// A template that cannot be used, or a file that cannot be written.
pub(super) fn write_prompts(
    arguments: &Arguments,
    vocabulary: &Vocabulary,
    set: &Set,
    gate: &Gate,
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
    let mut gate = *gate;
    if arguments.tau.is_none() {
        gate.tau = 1.0;
    }
    let mut lines = String::new();
    let mut count = 0;
    let lists = set.distinct.iter().zip(&set.language);
    for ((list, language), utterance) in lists.zip(&set.lists.utterances) {
        let scores = gate.scores(list, set.lists.scale, language);
        if gate.judge(list, &scores).is_sent {
            let texts: Vec<String> = list
                .hypotheses
                .iter()
                .map(|words| vocabulary.text(words))
                .collect();
            let line = serde_json::json!({"id": utterance.id, "prompt": template.prompt(&texts)});
            lines += &format!("{line}\n");
            count += 1;
        }
    }
    output::write(file, lines.as_bytes())?;
    output::say(format_args!("{}: {count} prompts", file.display()));
    Ok(())
}
