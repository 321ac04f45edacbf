//! The transformer's scores, kept as they are finished, and how far the work is.

use super::arguments::Arguments;
use crate::inputs::OpenedModel;
use crate::output;
use crate::progress;
use crate::version;
use indicatif::ProgressBar;
use layerwise::journal::{Journal, RunDescription, RunKey};
use layerwise::kernels::cpu_features;
use layerwise::rescoring::{Scored, Watcher};
use layerwise::transcripts::LanguageScore;
use std::error::Error;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The journal of scores, in the folder of outputs.
pub(super) const SCORES: &str = "scores.journal";

/// Batches that a journal may hold.
const MOST_BATCHES: usize = 1 << 40;

/// Sentences of a batch; of each and of its end the bits of the log-probability, and the tokens.
type Batch = Vec<(String, [(u64, usize); 2])>;

/// Keeps scores in a journal, where there is one, and shows how far the work is.
pub(super) struct Keeper {
    name: String,
    inner: Mutex<Inner>,
}

struct Inner {
    journal: Option<Journal<Batch>>,
    bar: Option<ProgressBar>,
}

impl Keeper {
    /// With the journal in a folder, where one is given: that of an earlier run goes on if the model and what stands around
    /// sentences are the same, whatever the lists, modes and settings.
    ///
    /// # Errors
    /// A journal that cannot be used.
    pub(super) fn new(
        arguments: &Arguments,
        opened: &OpenedModel,
        tokenizer_sha256: &str,
        bos: Option<u32>,
    ) -> anyhow::Result<Self> {
        let around = format!("{bos:?} {:?} {:?}", arguments.prefix, arguments.end_token);
        let mut parts = vec![
            "rescore scores 1",
            version::VERSION,
            cpu_features(),
            arguments.precision.name(),
            tokenizer_sha256,
            &around,
        ];
        parts.extend(opened.files.iter().map(|(_, _, sha256)| sha256.as_str()));
        let key = RunKey::of(parts);
        let open = |folder: &Path| -> anyhow::Result<Journal<Batch>> {
            let about = "scores of sentences".to_owned();
            let run = RunDescription::new(key, opened.name.clone(), MOST_BATCHES, about);
            let path = folder.join(SCORES);
            let journal = Journal::open(&path, &run, arguments.fresh, |batch: &Batch| {
                let mut bits = batch.iter().flat_map(|(_, scores)| scores);
                bits.all(|(bits, _)| f64::from_bits(*bits).is_finite())
            })?;
            if journal.was_torn() {
                output::say(format_args!(
                    "{}: the last line was cut off and is computed again",
                    path.display()
                ));
            }
            let known: usize = journal.finished().values().map(Vec::len).sum();
            if known > 0 {
                output::say(format_args!(
                    "{}: {known} sentences were scored by an earlier run",
                    opened.name
                ));
            }
            Ok(journal)
        };
        let journal = arguments.out.as_deref().map(open).transpose()?;
        Ok(Self {
            name: opened.name.clone(),
            inner: Mutex::new(Inner { journal, bar: None }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an earlier run has scored.
    pub(super) fn known(&self) -> Vec<(String, [LanguageScore; 2])> {
        let inner = self.lock();
        let batches = inner.journal.iter().flat_map(Journal::finished);
        let score = |(bits, tokens): (u64, usize)| LanguageScore::new(f64::from_bits(bits), tokens);
        let known = batches.flat_map(|(_, batch)| batch);
        known
            .map(|(text, scores)| (text.clone(), scores.map(score)))
            .collect()
    }

    /// Ends what is shown.
    pub(super) fn end(&self) {
        if let Some(bar) = self.lock().bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Watcher for Keeper {
    fn begin(&self, batches: usize) {
        self.end();
        let bar = progress::bar(&self.name, "batches of sentences", batches as u64);
        self.lock().bar = Some(bar);
    }

    fn finished(&self, scored: &[Scored<'_>]) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut inner = self.lock();
        if let Some(bar) = inner.bar.as_ref().filter(|bar| !bar.is_finished()) {
            bar.inc(1);
        }
        let Some(journal) = &mut inner.journal else {
            return Ok(());
        };
        let kept = |score: LanguageScore| (score.log_probability.to_bits(), score.tokens);
        let batch = scored
            .iter()
            .map(|(text, scores)| ((*text).to_owned(), scores.map(kept)));
        Ok(journal.record(journal.finished().len(), batch.collect())?)
    }
}
