//! The transformer's scores, kept in a journal, and the progress of the work.

use super::arguments::Arguments;
use crate::inputs::OpenedModel;
use crate::output;
use crate::progress;
use crate::version;
use indicatif::ProgressBar;
use layerwise::journal::RunKey;
use layerwise::kernels::cpu_features;
use layerwise::rescoring::{KeptScores, Scored, Watcher};
use layerwise::transcripts::LanguageScore;
use std::error::Error;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The journal of scores, in the output folder.
pub(super) const SCORES: &str = "scores.journal";

/// Keeps scores in a journal, if there is one, and shows progress.
pub(super) struct Keeper {
    name: String,
    inner: Mutex<Inner>,
}

struct Inner {
    kept: Option<KeptScores>,
    bar: Option<ProgressBar>,
}

impl Keeper {
    /// Opens the journal in a folder, if one is given. The journal of an earlier run is reused if the model and the text around
    /// sentences are the same, whatever the lists, modes and settings.
    ///
    /// # Errors
    /// The journal cannot be used.
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
            arguments.opening.precision.name(),
            tokenizer_sha256,
            &around,
        ];
        parts.extend(opened.files.iter().map(|(_, _, sha256)| sha256.as_str()));
        let key = RunKey::of(parts);
        let open = |folder: &Path| -> anyhow::Result<KeptScores> {
            let path = folder.join(SCORES);
            let kept = KeptScores::open(&path, key, &opened.name, arguments.fresh)?;
            if kept.was_torn() {
                output::say(format_args!(
                    "{}: the last line was cut off; it is computed again",
                    path.display()
                ));
            }
            let known = kept.known().count();
            if known > 0 {
                output::say(format_args!(
                    "{}: {known} sentences were scored by an earlier run",
                    opened.name
                ));
            }
            Ok(kept)
        };
        let kept = arguments.out.as_deref().map(open).transpose()?;
        Ok(Self {
            name: opened.name.clone(),
            inner: Mutex::new(Inner { kept, bar: None }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scores of an earlier run.
    pub(super) fn known(&self) -> Vec<(String, [LanguageScore; 2])> {
        let inner = self.lock();
        let known = inner.kept.iter().flat_map(KeptScores::known);
        known
            .map(|(text, scores)| (text.to_owned(), scores))
            .collect()
    }

    /// Ends the progress bar.
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
        match &mut inner.kept {
            Some(kept) => Ok(kept.keep(scored)?),
            None => Ok(()),
        }
    }
}
