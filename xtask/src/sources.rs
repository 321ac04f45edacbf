//! What edits of values take from elsewhere: means, partners and named tensors.

use crate::arguments::{Inputs, Run};
use crate::inputs::{self, OpenedCorpus, OpenedModel};
use crate::interrupt::STOP;
use crate::output;
use anyhow::{Context, bail, ensure};
use layerwise::schedule::{Source, TensorName};
use layerwise::sweep::{self, Plan, Sources};
use layerwise::transformer::Constants;
use layerwise::weights::TensorFile;
use std::path::{Path, PathBuf};

/// Options for edits of values.
#[derive(clap::Args, Clone, Debug)]
pub struct Values {
    /// Named tensors for put and add, in f32
    #[arg(long, value_name = "FILE.safetensors")]
    vectors: Option<PathBuf>,
    /// The text that mean and resample take values of [default: the corpus itself]
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
}

/// The seed by which sequences find the ones that they are resampled from.
const SEED: u64 = 0;

impl Values {
    /// The plan with what its edits take.
    ///
    /// # Errors
    /// A file that cannot be accepted, a reference text that does not fit the model, or an interrupt.
    pub fn of(
        &self,
        plan: Plan,
        opened: &OpenedModel,
        corpus: &OpenedCorpus,
        inputs: &Inputs,
        run: &Run,
    ) -> anyhow::Result<Plan> {
        let mut constants = match &self.vectors {
            Some(path) => vectors(path)?,
            None => Constants::default(),
        };
        let means = plan.taken_from(Source::Mean);
        let resamples = !plan.taken_from(Source::Resample).is_empty();
        let mut partners = Vec::new();
        if !means.is_empty() || resamples {
            let other = match &self.reference {
                None => None,
                Some(path) => {
                    let inputs = Inputs {
                        corpus: Some(path.clone()),
                        ..inputs.clone()
                    };
                    Some(inputs::open_corpus(&inputs, None, opened)?)
                }
            };
            let reference = other.as_ref().unwrap_or(corpus);
            let (own, sequences) = (corpus.corpus.sequences(), reference.corpus.sequences());
            if !means.is_empty() {
                output::say(format_args!(
                    "{}: means over {} sequences, {} tokens of {}",
                    opened.name,
                    sequences.len(),
                    reference.corpus.tokens(),
                    reference.path.display()
                ));
                let threads = run.threads();
                sweep::add_means(
                    &mut constants,
                    &opened.model,
                    sequences,
                    &means,
                    threads,
                    &STOP,
                )?;
            }
            if resamples {
                partners = match &other {
                    None => within(own),
                    Some(_) => among(own, sequences),
                }
                .with_context(|| format!("{}: resample", reference.path.display()))?;
            }
        }
        Ok(plan.with_sources(Sources::default().constants(constants).partners(partners)))
    }
}

/// For each sequence another one of the same text.
fn within(own: &[Vec<u32>]) -> anyhow::Result<Vec<Vec<u32>>> {
    let found = sweep::partners(own, SEED);
    let partner = |(at, partner): (usize, &Option<usize>)| match partner {
        Some(partner) => Ok(own[*partner].clone()),
        None => bail!(
            "sequence {at} has {} tokens, and no other has: give --context, so that sequences are cut to one length, or another text with --reference",
            own[at].len()
        ),
    };
    found.iter().enumerate().map(partner).collect()
}

/// For each sequence one of another text, in a seeded order within its length.
fn among(own: &[Vec<u32>], others: &[Vec<u32>]) -> anyhow::Result<Vec<Vec<u32>>> {
    let order = sweep::partners(others, SEED);
    let partner = |(at, sequence): (usize, &Vec<u32>)| {
        let alike: Vec<usize> = (0..others.len())
            .filter(|other| others[*other].len() == sequence.len())
            .collect();
        ensure!(
            !alike.is_empty(),
            "sequence {at} has {} tokens, and none of the reference text has",
            sequence.len()
        );
        let found = alike[at % alike.len()];
        Ok(others[order[found].unwrap_or(found)].clone())
    };
    own.iter().enumerate().map(partner).collect()
}

/// The tensors of a file.
fn vectors(path: &Path) -> anyhow::Result<Constants> {
    let file = TensorFile::open(path)?;
    let mut constants = Constants::default();
    for name in file.names() {
        // A tensor that no edit can name is not read.
        let Ok(own) = name.parse::<TensorName>() else {
            continue;
        };
        if let Some(array) = file.read(&name)? {
            constants
                .set_tensor(own, array)
                .with_context(|| path.display().to_string())?;
        }
    }
    Ok(constants)
}
