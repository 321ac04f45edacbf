//! `rescore --compare`: the significance of the difference between two transcripts.

use super::arguments::Arguments;
use super::reading::{Reader, table};
use crate::experiments::asr_correction::outputs::rate;
use anyhow::{Context, bail};
use layerwise::transcripts::{Limits, Row, WordId, compare};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// Compares two files of transcripts, with the references of the lists.
///
/// # Errors
/// Files cannot be read, or contain different utterances.
pub(super) fn compare_outputs(
    arguments: &Arguments,
    first: &Path,
    second: &Path,
) -> anyhow::Result<()> {
    let mut reader = Reader::new(arguments)?;
    let (lists, distinct) = reader.lists(&arguments.file)?;
    let limits = Limits::default();
    let mut read = |file: &Path| -> anyhow::Result<BTreeMap<String, Vec<WordId>>> {
        let words = |row: Row| {
            let words = reader
                .vocabulary
                .add_all(reader.normaliser.words(&row.text));
            (row.id, words)
        };
        let mut found = table(file, &limits)?.into_iter().map(words).collect();
        reader.keep_rows(&mut found);
        Ok(found)
    };
    let systems = [read(first)?, read(second)?];
    for (file, system) in [first, second].into_iter().zip(&systems) {
        let known = lists.check_ids(system.keys());
        known.with_context(|| file.display().to_string())?;
    }
    let mut utterances: Vec<[&[WordId]; 3]> = Vec::new();
    for (utterance, list) in lists.utterances.iter().zip(&distinct) {
        match [systems[0].get(&utterance.id), systems[1].get(&utterance.id)] {
            [Some(first), Some(second)] => {
                if let Some(reference) = &list.reference {
                    utterances.push([reference, first, second]);
                }
            }
            [None, None] => {}
            [first_words, _] => {
                let lacking = if first_words.is_none() { first } else { second };
                bail!(
                    "{}: lacks the utterance `{}`, which the other transcript has",
                    lacking.display(),
                    utterance.id
                );
            }
        }
    }
    let found = compare(&utterances, arguments.replicates as usize, arguments.seed)
        .with_context(|| format!("{} and {}", first.display(), second.display()))?;
    let mut out = std::io::stdout().lock();
    let named = [
        (first, found.first, found.bootstrap.first),
        (second, found.second, found.bootstrap.second),
    ];
    for (file, counts, interval) in named {
        writeln!(out, "{}: WER {}", file.display(), rate(counts, interval))?;
    }
    let difference = found.bootstrap.difference;
    let change = found.second.rate().unwrap_or(0.0) - found.first.rate().unwrap_or(0.0);
    writeln!(
        out,
        "second minus first: {:+.2} points [{:+.2}, {:+.2}]; the second has fewer errors in {:.1} % of {} replicates",
        100.0 * change,
        100.0 * difference.low,
        100.0 * difference.high,
        100.0 * found.bootstrap.improvement,
        arguments.replicates
    )?;
    match found.matched_pairs {
        Some(test) => writeln!(
            out,
            "matched pairs: {} segments, Z = {:.2}, p = {:.4}",
            test.segments, test.z, test.p
        )?,
        None => writeln!(out, "matched pairs: too few segments differ")?,
    }
    Ok(())
}
