//! Files of lists, references and sentences.

use super::arguments::{Arguments, Format, NormaliserName};
use crate::output;
use anyhow::{Context, ensure};
use layerwise::files::{Links, open};
use layerwise::transcripts::{
    DistinctList, Limits, NBestLists, Normaliser, Row, TranscriptError, Vocabulary, read_columns,
    read_corrections, read_hyporadise, read_kaldi, read_table,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Reads lists in one format, with one normaliser, into words of one vocabulary.
pub(super) struct Reader<'a> {
    arguments: &'a Arguments,
    limits: Limits,
    /// The normaliser that turns texts into words.
    pub(super) normaliser: Normaliser,
    /// The vocabulary.
    pub(super) vocabulary: Vocabulary,
    /// The ids of the main file's utterances that `--rows` leaves out.
    left_out: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    /// A reader with an empty vocabulary.
    ///
    /// # Errors
    /// A table of spellings cannot be read.
    pub(super) fn new(arguments: &'a Arguments) -> anyhow::Result<Self> {
        let limits = Limits::default();
        ensure!(
            arguments.spellings.is_none()
                || matches!(arguments.normaliser, NormaliserName::WhisperEn),
            "--spellings works only with --normaliser whisper-en"
        );
        ensure!(
            arguments.costs.is_empty() || matches!(arguments.format, Some(Format::Kaldi)),
            "--costs are those of Kaldi's hypotheses; give --format kaldi"
        );
        let normaliser = match arguments.normaliser {
            NormaliserName::None => Normaliser::None,
            NormaliserName::Norm => Normaliser::Norm,
            NormaliserName::WhisperEn => {
                let spellings = arguments.spellings.as_deref();
                let table = spellings.map(|file| table(file, &limits)).transpose()?;
                let rows = table.unwrap_or_default().into_iter();
                Normaliser::WhisperEn(rows.map(|row| (row.id, row.text)).collect())
            }
        };
        Ok(Self {
            arguments,
            limits,
            normaliser,
            vocabulary: Vocabulary::new(),
            left_out: BTreeSet::new(),
        })
    }

    /// Reads lists, with the references that were given for the main file, and reports oddities.
    ///
    /// # Errors
    /// A file breaks its format.
    pub(super) fn lists(&mut self, file: &Path) -> anyhow::Result<(NBestLists, Vec<DistinctList>)> {
        let limits = &self.limits;
        let mut lists = match self.arguments.format.unwrap_or(form_of(file)) {
            Format::Json => parsed(file, limits, |bytes| read_hyporadise(bytes, limits))?,
            Format::Columns => parsed(file, limits, |bytes| read_columns(bytes, limits))?,
            Format::Kaldi => {
                // Costs have the keys of the main file.
                let costs = match file == self.arguments.file {
                    true => self.arguments.costs.as_slice(),
                    false => &[],
                };
                let costs = costs.iter().map(|file| bytes(file, limits));
                let costs = costs.collect::<anyhow::Result<Vec<_>>>()?;
                let costs = costs.iter().map(Vec::as_slice);
                parsed(file, limits, |bytes| read_kaldi(bytes, costs, limits))?
            }
        };
        if let (true, Some(table_file)) = (file == self.arguments.file, &self.arguments.reference) {
            lists
                .set_references(table(table_file, limits)?)
                .with_context(|| table_file.display().to_string())?;
        }
        if let Some(rows) = self.arguments.rows {
            let end = rows.get().min(lists.utterances.len());
            let beyond = lists.utterances.drain(end..);
            let ids: BTreeSet<String> = beyond.map(|utterance| utterance.id).collect();
            if file == self.arguments.file {
                self.left_out = ids;
            }
        }
        let odd = &lists.oddities;
        let said = [
            (
                odd.positive_scores,
                "scores above 0, so that they are not log-probabilities",
            ),
            (odd.empty_hypotheses, "hypotheses without words"),
        ];
        for (count, what) in said.into_iter().filter(|(count, _)| *count > 0) {
            output::say(format_args!("warning: {}: {count} {what}", file.display()));
        }
        if !odd.unread_keys.is_empty() {
            let keys: Vec<&str> = odd.unread_keys.iter().map(String::as_str).collect();
            output::say(format_args!(
                "note: {}: keys that were not read: {}",
                file.display(),
                keys.join(", ")
            ));
        }
        let distinct: Vec<DistinctList> = lists
            .utterances
            .iter()
            .map(|utterance| utterance.distinct(&self.normaliser, &mut self.vocabulary))
            .collect();
        let single = distinct
            .iter()
            .filter(|list| list.hypotheses.len() == 1)
            .count();
        output::say(format_args!(
            "{}: {} utterances, {single} of them with one distinct hypothesis",
            file.display(),
            distinct.len()
        ));
        Ok((lists, distinct))
    }

    /// Drops what belongs to utterances that `--rows` leaves out.
    pub(super) fn keep_rows<T>(&self, by_id: &mut BTreeMap<String, T>) {
        by_id.retain(|id, _| !self.left_out.contains(id));
    }

    /// Corrections by the ids of utterances.
    ///
    /// # Errors
    /// A file breaks its format.
    pub(super) fn corrections(&self, file: &Path) -> anyhow::Result<BTreeMap<String, String>> {
        let found = parsed(file, &self.limits, |bytes| {
            read_corrections(bytes, &self.limits)
        })?;
        let mut found = found.into_iter().collect();
        self.keep_rows(&mut found);
        Ok(found)
    }

    /// The words of sentences: a text's lines, or the references of lists.
    ///
    /// # Errors
    /// A file breaks its format, or lists have no references.
    pub(super) fn sentences(&self, file: &Path) -> anyhow::Result<Vec<Vec<String>>> {
        let limits = &self.limits;
        let texts: Vec<String> = match form_of(file) {
            Format::Json => {
                let lists = parsed(file, limits, |bytes| read_hyporadise(bytes, limits))?;
                let references = lists.utterances.into_iter();
                references
                    .filter_map(|utterance| utterance.reference)
                    .collect()
            }
            Format::Columns | Format::Kaldi => {
                let text = String::from_utf8(bytes(file, limits)?)
                    .with_context(|| format!("{}: expected UTF-8", file.display()))?;
                text.lines().map(str::to_owned).collect()
            }
        };
        let words = texts.iter().map(|text| self.normaliser.words(text));
        let sentences: Vec<Vec<String>> = words.filter(|words| !words.is_empty()).collect();
        ensure!(
            !sentences.is_empty(),
            "{}: contains no sentences to learn from",
            file.display()
        );
        Ok(sentences)
    }
}

fn form_of(file: &Path) -> Format {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("json") => Format::Json,
        _ => Format::Columns,
    }
}

/// The bytes of a file that the user named.
pub(super) fn bytes(file: &Path, limits: &Limits) -> anyhow::Result<Vec<u8>> {
    Ok(open(file, Links::Follow)?.read_all(limits.bytes)?)
}

/// What a parser makes of the bytes of a file.
fn parsed<T>(
    file: &Path,
    limits: &Limits,
    read: impl FnOnce(&[u8]) -> Result<T, TranscriptError>,
) -> anyhow::Result<T> {
    read(&bytes(file, limits)?).with_context(|| file.display().to_string())
}

/// A table in two columns.
pub(super) fn table(file: &Path, limits: &Limits) -> anyhow::Result<Vec<Row>> {
    parsed(file, limits, |bytes| read_table(bytes, limits))
}
