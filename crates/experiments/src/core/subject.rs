//! A model with its inputs and the way to run it.

use super::clock::Clock;
use super::data::{Data, Shared};
use super::error::ExperimentError;
use super::models::Facts;
use layerwise_chat::Template;
use layerwise_corpus::{Corpus, Options, Tokenizer};
use layerwise_sweep::{
    Counted, Failure, Held, KeptMeasure, MeasureId, Measured, Plan, Runner, Work, WorkBytes,
};
use layerwise_transformer::Model;
use ndarray::Array2;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::path::Path;

/// A model with its inputs and the way to run it.
pub struct Subject<'a> {
    /// The model.
    pub model: &'a Model,
    /// Its name.
    pub name: &'a str,
    /// Its tokenizer, if it has one.
    pub tokenizer: Option<&'a Tokenizer>,
    /// The text.
    pub text: Text<'a>,
    /// A text of another kind.
    pub other_text: Option<Text<'a>>,
    /// The token before texts other than [`Subject::text`], such as those of data sets.
    pub bos: Option<u32>,
    /// Whether the user named this token, or asked for none.
    pub is_bos_asked: bool,
    /// The tokens that end a text written by the model.
    pub end_tokens: Vec<u32>,
    /// The chat template of the checkpoint, if it has one and an experiment needs it.
    pub template: Option<&'a Template>,
    /// Data sets.
    pub data: &'a Data,
    /// The way to run it.
    pub runs: Runs<'a>,
    /// The clock, if times are measured.
    pub clock: Option<&'a dyn Clock>,
    /// Values that experiments on this model share.
    pub shared: Shared,
}

/// A text as one model reads it.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    /// The file.
    pub path: &'a Path,
    /// The options it was read with.
    pub options: &'a Options,
    /// Its sequences.
    pub corpus: &'a Corpus,
    /// The token before each sequence.
    pub bos: Option<u32>,
    /// The most tokens that the user wants to run.
    pub most_tokens: Option<usize>,
}

impl fmt::Display for Text<'_> {
    /// The size of the text, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sequences, tokens) = (self.sequences().len(), self.corpus.tokens());
        write!(f, "on {sequences} sequences, {tokens} tokens")
    }
}

impl<'a> Text<'a> {
    /// A text that was read with these options, whatever their limits. An experiment that encodes the text in another way reads
    /// the file again.
    pub fn new(
        path: &'a (impl AsRef<Path> + ?Sized),
        corpus: &'a Corpus,
        options: &'a Options,
    ) -> Self {
        Self {
            path: path.as_ref(),
            options,
            corpus,
            bos: options.bos.id(),
            most_tokens: options.tokens,
        }
    }

    /// The name of its file.
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Its sequences.
    pub fn sequences(&self) -> &'a [Vec<u32>] {
        self.corpus.sequences()
    }
}

impl<'a> Subject<'a> {
    /// A model and a text, without anything that only some experiments need. It runs on one thread, and keeps no journal.
    pub fn new(model: &'a Model, name: &'a str, text: Text<'a>) -> Self {
        Self {
            model,
            name,
            tokenizer: None,
            text,
            other_text: None,
            bos: text.bos,
            is_bos_asked: false,
            end_tokens: Vec::new(),
            template: None,
            data: Data::none(),
            runs: Runs {
                model: layerwise_sweep::Subject::new(model, name, Vec::new()),
                runner: Runner::new(),
            },
            clock: None,
            shared: Shared::default(),
        }
    }

    /// What is known of the model before anything is measured.
    pub fn facts(&self) -> Facts {
        let config = self.model.config();
        Facts {
            name: self.name.to_owned(),
            family: self.model_type().to_owned(),
            layers: config.layers,
            parameters: config.parameters(),
        }
    }

    /// The unembedding with the final norm folded into it ([`Model::folded_unembedding`]), \[model, vocab\].
    ///
    /// # Errors
    /// Memory is insufficient.
    pub fn folded_unembedding(&self) -> Result<Counted<Array2<f32>>, ExperimentError> {
        /// Bytes of an element, folded in f64 and kept in f32.
        const FOLDED: usize = 12;
        let config = self.model.config();
        let elements = config.vocab.saturating_mul(config.model);
        let bytes = elements.saturating_mul(FOLDED);
        let mut memory = self.runs.hold("the folded unembedding", bytes)?;
        let folded = self.model.folded_unembedding();
        memory.shrink_to((elements * size_of::<f32>()) as u64);
        Ok(Counted::new(folded, memory))
    }

    /// The `model_type` of the model's config.
    pub fn model_type(&self) -> &'static str {
        self.model.config().family.model_type()
    }
}

/// How a model runs.
#[derive(Clone)]
pub struct Runs<'a> {
    /// The identity of the model in keys.
    pub model: layerwise_sweep::Subject<'a>,
    /// How runs are carried out; with journals, if they take long.
    pub runner: Runner<'a>,
}

impl Runs<'_> {
    /// The same for all items, whatever the share: every share runs completely whatever decides which items there are.
    pub fn of_all_items(&self) -> Self {
        Self {
            model: self.model.clone(),
            runner: self.runner.clone().all_items(),
        }
    }

    /// Runs `read` on every item and returns the results in order. Keeps nothing in a journal.
    ///
    /// `bytes` is the most memory that `read` takes for one item.
    ///
    /// # Errors
    /// Memory is insufficient, an item fails (the first error is returned), or the user interrupts.
    pub fn over<T: Sync, R: Clone + Send>(
        &self,
        items: &[T],
        bytes: WorkBytes,
        read: impl Fn(usize, &T) -> Result<R, ExperimentError> + Sync,
    ) -> Result<Counted<Vec<R>>, ExperimentError> {
        let work = Work::new(MeasureId::new("work", 1), bytes, |index, item| {
            read(index, item).map_err(Failure::other)
        });
        let plan = Plan::plain(self.model.model.stack())?;
        let runner = self.runner.clone().without_journals();
        let measured = runner.measure_unkept(self.model.clone(), &plan, &work, items)?;
        Ok(measured.into_plain())
    }

    /// Runs `read` on every item that no earlier run has finished, and returns the results of all in their order.
    ///
    /// `bytes` is the most memory that `read` and its result take for one item.
    /// `input` identifies an item by numbers, about as many as it has tokens: they go into the key, and their count into the
    /// time estimate. `fits` says whether a kept result has the form of `read`'s results.
    ///
    /// # Errors
    /// Memory is insufficient, a journal cannot be used, an item fails (the first error is returned), or the user interrupts;
    /// in a
    /// share, [`ExperimentError::ShareFinished`].
    pub fn kept<T: Sync, R: Serialize + DeserializeOwned + Clone + Send>(
        &self,
        id: MeasureId,
        items: &[T],
        bytes: WorkBytes,
        input: impl Fn(&T) -> Vec<u32> + Sync,
        fits: impl Fn(&R) -> bool + Sync,
        read: impl Fn(usize, &T) -> Result<R, ExperimentError> + Sync,
    ) -> Result<Counted<Vec<R>>, ExperimentError> {
        let read = |index: usize, item: &T| read(index, item).map_err(Failure::other);
        let work = Work::new(id, bytes, read).depending_on(input).fitting(fits);
        self.plain(&work, items)
    }

    /// Measures every item under the plain schedule; resumes where an earlier run stopped.
    ///
    /// # Errors
    /// Memory is insufficient, a journal cannot be used, an item fails (the first error is returned), or the user interrupts;
    /// in a
    /// share, [`ExperimentError::ShareFinished`].
    pub fn plain<M>(
        &self,
        measure: &M,
        items: &[M::Item],
    ) -> Result<Counted<Vec<M::Sums>>, ExperimentError>
    where
        M: KeptMeasure,
    {
        let plan = Plan::plain(self.model.model.stack())?;
        Ok(self.measure(&plan, measure, items)?.into_plain())
    }

    /// Measures every item under the schedules of a plan, or the runner's share of the items; resumes where an earlier run
    /// stopped.
    ///
    /// # Errors
    /// As [`Runs::plain`]; in a share, [`ExperimentError::ShareFinished`] when the share is finished.
    pub fn measure<M>(
        &self,
        plan: &Plan,
        measure: &M,
        items: &[M::Item],
    ) -> Result<Measured<M::Sums>, ExperimentError>
    where
        M: KeptMeasure,
    {
        let measured = self
            .runner
            .measure(self.model.clone(), plan, measure, items)?;
        match self.runner.is_whole() {
            true => Ok(measured),
            false => Err(ExperimentError::ShareFinished),
        }
    }

    /// Called now and then by work that takes seconds, within an item or between runs: whether it goes on.
    ///
    /// # Errors
    /// The user interrupted a while ago ([`Runner::go_on`]).
    pub fn go_on(&self) -> Result<(), ExperimentError> {
        Ok(self.runner.go_on()?)
    }

    /// Takes memory until the returned value is dropped.
    ///
    /// # Errors
    /// Memory is insufficient.
    pub fn hold(&self, what: &str, bytes: usize) -> Result<Held, ExperimentError> {
        let what = format!("{}: {what}", self.model.name);
        Ok(self.runner.budget().hold(&what, bytes as u64)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::error::Place;
    use crate::core::testing::runs;
    use layerwise_sweep::SweepError;
    use layerwise_transformer::ModelConfig;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn an_item_that_is_given_up_is_no_failure() {
        let model = Model::random(ModelConfig::tiny(), 1);
        let give_up = AtomicBool::new(false);
        let mut runs = runs(&model, 1);
        runs.runner = runs.runner.give_up(&give_up);
        let outcome = runs.over(&[0; 3], WorkBytes::default(), |at, _| {
            give_up.store(at == 1, Ordering::Relaxed);
            runs.go_on().at(|| format!("item {at}"))
        });
        match outcome.map(drop) {
            Err(ExperimentError::Sweep(SweepError::Interrupted { finished, all, .. })) => {
                assert_eq!((finished, all), (1, 3));
            }
            other => panic!("{other:?}"),
        }
    }
}
