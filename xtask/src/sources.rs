//! What edits of values take from elsewhere: means, other sequences of the text, and named tensors.

use crate::arguments::{Inputs, Run};
use crate::inputs::{self, OpenedCorpus, OpenedModel};
use crate::manifest::{self, FileHash};
use crate::output::{self, Named};
use anyhow::{Context, bail, ensure};
use layerwise::schedule::{Source, TensorName};
use layerwise::sweep::{self, Held, Journals, Measure, Plan, Resampling, Sources};
use layerwise::transformer::{Constants, Place, shape_at_one_position};
use layerwise::weights::TensorFile;
use ndarray::ArrayD;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Options for edits of values.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Values {
    /// Named tensors for put and add
    #[arg(long, value_name = "FILE.safetensors")]
    vectors: Option<PathBuf>,
    /// The text that mean and resample take their values from [default: the corpus itself]; all of it is
    /// read, whatever --rows and --tokens are
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
}

/// The seed that chooses, for each sequence, the one it is resampled from.
const SEED: u64 = 0;

/// What to do if no sequence of a text has another of its length.
pub const CUT: &str =
    "give --context to cut sequences to one length, or another text with --reference";

/// A plan with the inputs of its edits; means are computed last.
pub struct Sourced {
    /// The plan, with zeros for means.
    plan: Plan,
    /// Only the named tensors.
    tensors: Constants,
    means: BTreeSet<Place>,
    /// The text that means are taken over, if it is not the run's own text.
    reference: Option<OpenedCorpus>,
    record: manifest::Sources,
    /// The memory of the sequences that values are resampled from.
    _memory: Option<Arc<Held>>,
}

impl Values {
    /// The files that the options name, which no output may replace.
    pub fn named_files(&self) -> [Named; 2] {
        [
            ("--vectors", self.vectors.clone()),
            ("--reference", self.reference.clone()),
        ]
    }

    /// Whether a text of their own is named for means and resampling.
    pub fn has_reference(&self) -> bool {
        self.reference.is_some()
    }

    /// The plan with all inputs of its edits that need no run of the model; and, for each of the run's sequences, whether it can
    /// run. A sequence cannot run if resampling finds no other of its length; if none can, the error ends with `remedy`.
    ///
    /// # Errors
    /// A file is invalid, or a reference text does not fit the model.
    pub fn open(
        &self,
        plan: Plan,
        opened: &OpenedModel,
        own: &[Vec<u32>],
        inputs: &Inputs,
        remedy: &str,
    ) -> anyhow::Result<(Sourced, Vec<bool>)> {
        let mut record = manifest::Sources::default();
        let mut tensors = Constants::default();
        if let Some(path) = &self.vectors {
            record.vectors = Some(FileHash::of_file(path)?);
            record.tensors = read_tensors(path, &plan, opened, &mut tensors)?;
        }
        let means = plan.taken_from(Source::Mean);
        let resamples = !plan.taken_from(Source::Resample).is_empty();
        let reference = match &self.reference {
            Some(path) => {
                ensure!(
                    !means.is_empty() || resamples,
                    "--reference {}: no edit takes values from this text; leave it out, or give an edit with mean or resample",
                    path.display()
                );
                let inputs = Inputs {
                    corpus: Some(path.clone()),
                    rows: None,
                    tokens: None,
                    ..inputs.clone()
                };
                Some(inputs::open_corpus(&inputs, None, opened)?)
            }
            None => None,
        };
        record.reference = reference.as_ref().map(manifest::CorpusFile::new);
        let (mut kept, mut partners, mut memory) = (vec![true; own.len()], Vec::new(), None);
        if resamples {
            let others = reference.as_ref().map(|other| other.corpus.sequences());
            let what = format!("{}: the sequences that are resampled from", opened.name);
            let found = Resampling::new(own, others, SEED, &opened.budget, &what)?;
            let left_out = found.left_out();
            if left_out == own.len() {
                bail!("no sequence has another of its length to be resampled from; {remedy}");
            }
            if left_out > 0 {
                output::say(format_args!(
                    "{}: {left_out} of {} sequences are left out: no other has their length to be resampled from",
                    opened.name,
                    own.len()
                ));
            }
            record.partners_seed = Some(SEED);
            record.sequences_without_partner = Some(left_out);
            let (sequences, held) = found.partners.into_parts();
            (kept, partners, memory) = (found.kept, sequences, Some(held));
        }
        record.mean_places = (!means.is_empty()).then_some(means.len());
        // Check shapes before anything runs.
        let mut constants = tensors.clone();
        for place in &means {
            let shape = shape_at_one_position(opened.model.config(), place.1);
            constants.set_mean(*place, ArrayD::zeros(shape));
        }
        let sources = Sources::default().constants(constants);
        let sourced = Sourced {
            plan: plan.with_sources(sources.partners(partners)),
            tensors,
            means,
            reference,
            record,
            _memory: memory,
        };
        Ok((sourced, kept))
    }
}

impl Sourced {
    /// The plan to run, except the values of means.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The manifest's entry; `None` if no edit takes values from elsewhere.
    pub fn record(&self) -> Option<&manifest::Sources> {
        self.record.says_something().then_some(&self.record)
    }

    /// Refuses edits that do not fit the items of a run.
    ///
    /// # Errors
    /// The same errors as the run itself.
    pub fn check<M: Measure>(
        &self,
        opened: &OpenedModel,
        measure: &M,
        items: &[M::Item],
    ) -> anyhow::Result<()> {
        let fits = sweep::check_edits(&opened.model, &self.plan, measure, items.iter());
        fits.with_context(|| opened.name.clone())
    }

    /// Announces what will be computed before the run.
    pub fn announce(&self, opened: &OpenedModel, own: &[Vec<u32>]) {
        if self.means.is_empty() {
            return;
        }
        let (sequences, named) = self.reference_or(own);
        let tokens: usize = sequences.iter().map(Vec::len).sum();
        output::say(format_args!(
            "{}: one plain pass for means at {} places, over {} sequences, {tokens} tokens of {named}",
            opened.name,
            self.means.len(),
            sequences.len(),
        ));
    }

    fn reference_or<'a>(&'a self, own: &'a [Vec<u32>]) -> (&'a [Vec<u32>], String) {
        match &self.reference {
            Some(other) => (other.corpus.sequences(), other.path.display().to_string()),
            None => (own, "the run itself".to_owned()),
        }
    }

    /// The plan with its means, over the reference text or the run's own sequences. Keeps sums in the run's folder, if there is
    /// one.
    ///
    /// # Errors
    /// As [`sweep::add_means`].
    pub fn with_means(
        &self,
        opened: &OpenedModel,
        own: &[Vec<u32>],
        run: &Run,
        kept: Option<&Path>,
    ) -> anyhow::Result<Plan> {
        if self.means.is_empty() {
            return Ok(self.plan.clone());
        }
        let mut constants = self.tensors.clone();
        let mut runner = opened.runner(run);
        if let Some(folder) = kept {
            runner = runner.journals(Journals::Folder(folder.to_owned()));
        }
        let (sequences, _) = self.reference_or(own);
        let subject = opened.subject();
        sweep::add_means(&mut constants, &runner, subject, sequences, &self.means)
            .with_context(|| opened.name.clone())?;
        let sources = self.plan.sources().clone().constants(constants);
        Ok(self.plan.clone().with_sources(sources))
    }
}

/// Reads the tensors of a file that edits name. Also returns the names of all tensors in the file that edits can use.
fn read_tensors(
    path: &Path,
    plan: &Plan,
    opened: &OpenedModel,
    constants: &mut Constants,
) -> anyhow::Result<Vec<String>> {
    let file = TensorFile::open(path)?;
    let schedules = plan.entries().iter().map(|entry| &entry.member.schedule);
    let named: BTreeSet<&TensorName> = schedules
        .flat_map(|schedule| schedule.overlay().tensors())
        .map(|(name, ..)| name)
        .collect();
    ensure!(
        !named.is_empty(),
        "--vectors {}: no edit takes a tensor from this file; leave it out, or give an edit with put or add",
        path.display()
    );
    for name in named {
        // The error for a missing name comes later, with the edit that uses it.
        let Some(bytes) = file.bytes(name.as_str()) else {
            continue;
        };
        let what = format!("{}: tensor `{name}`", path.display());
        // Copying holds the bytes twice.
        opened.budget.check(&what, bytes.saturating_mul(2))?;
        if let Some(tensor) = file.tensor(name.as_str())? {
            constants
                .set_tensor(name.clone(), tensor.view().to_owned())
                .with_context(|| path.display().to_string())?;
        }
    }
    let mut names = file.names();
    names.sort_unstable();
    Ok(names)
}
