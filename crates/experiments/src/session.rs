//! Runs experiments on a model: the passes that they share, then each experiment, after those whose tables it needs.
//!
//! ```
//! use layerwise_corpus::{Options, of_ids};
//! use layerwise_experiments::core::subject::{Subject, Text};
//! use layerwise_experiments::robustness::{Record, Robustness};
//! use layerwise_experiments::session::Session;
//! use layerwise_transformer::{Model, ModelConfig};
//!
//! let model = Model::random(ModelConfig::tiny(), 7);
//! let options = Options::new(64, 50);
//! let corpus = of_ids(&[vec![0, 5, 3, 8], vec![9, 2, 6]], &options)?;
//! let subject = Subject::new(&model, "tiny", Text::new("ids", &corpus, &options));
//! let (tables, notes) = Session::new(subject, &[&Robustness])?.measure()?;
//! assert_eq!(tables.of::<Record>().len(), 4 + 3); // blocks left out, and pairs swapped
//! assert!(notes.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Subject`] has fields for what the example leaves out: a tokenizer, data sets, a runner with threads and journals.
//! [`EXPERIMENTS`](crate::EXPERIMENTS) lists the experiments, and [`results`](crate::results) makes figures, verdicts and the
//! report from their tables.
//!
//! A program that tells its progress, or runs a share, goes through the [steps](Session::steps) itself.

use crate::core::error::ExperimentError;
use crate::core::experiment::{Experiment, Passes};
use crate::core::plain::{self, Observation, Observed};
use crate::core::subject::Subject;
use crate::core::sweep::Sweep;
use crate::core::tables::Tables;
use crate::registry::with_needed;
use crate::results::derive;
use layerwise_sweep::cost;

/// Experiments to run on a model.
pub struct Session<'a> {
    /// The model with its inputs.
    pub subject: Subject<'a>,
    /// The sweep that experiments share, if one of them needs it.
    pub sweep: Option<Sweep>,
    /// The experiments, each after those it needs.
    experiments: Vec<&'static dyn Experiment>,
}

/// A step of a session.
#[derive(Clone, Copy)]
pub enum Step<'s> {
    /// The plain model's pass over the text, with the observations of all experiments: [`Session::observe`].
    Observe,
    /// The sweep of all experiments' edits: [`Sweep::run`].
    Sweep(&'s Sweep),
    /// One experiment: [`Experiment::measure`].
    Experiment(&'static dyn Experiment),
}

impl Step<'_> {
    /// Whether the model runs on a text or on items, for as long as [`Session::passes`] foresees.
    pub fn is_pass(&self) -> bool {
        match self {
            Self::Observe | Self::Sweep(_) => true,
            Self::Experiment(own) => own.has_items(),
        }
    }
}

/// A step that takes long.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    /// The names of the experiments that need it.
    pub experiments: Vec<&'static str>,
    /// Its approximate multiply-adds; 0 if they are not known in advance.
    pub work: f64,
}

impl<'a> Session<'a> {
    /// Some experiments on a model, with those whose tables they need.
    ///
    /// # Errors
    /// As [`Sweep::new`].
    pub fn new(
        subject: Subject<'a>,
        chosen: &[&'static dyn Experiment],
    ) -> Result<Self, ExperimentError> {
        let experiments = with_needed(chosen);
        let layers = subject.model.config().layers;
        let edits = experiments.iter().flat_map(|own| own.edits(layers));
        Ok(Self {
            sweep: Sweep::new(subject.model, edits)?,
            subject,
            experiments,
        })
    }

    /// Describes what will run besides the sweep, line by line, and refuses whatever does not fit the model.
    ///
    /// # Errors
    /// As [`Experiment::announce`].
    pub fn announce(&self, say: &mut dyn FnMut(String)) -> Result<(), ExperimentError> {
        if !self.observations().is_empty() {
            say(format!("plain: {}", self.subject.text));
        }
        for experiment in &self.experiments {
            if self.can_read(*experiment) {
                let told = experiment.announce(&self.subject)?;
                told.into_iter().for_each(&mut *say);
            } else {
                let id = experiment.id();
                say(format!(
                    "{id} stays empty, because there is no tokenizer.json to read text with"
                ));
            }
        }
        Ok(())
    }

    /// The steps, in order. The plain model runs first: it is quick, and gives the first figures.
    pub fn steps(&self) -> Vec<Step<'_>> {
        let shared = [self.observing(), self.sweeping()];
        self.steps_of(shared, &self.experiments)
    }

    /// The steps of a share of the items: those with items, and the experiments whose tables say which items there are.
    ///
    /// Each ends with [`ExperimentError::ShareFinished`], or fills tables that are not complete.
    pub fn steps_of_share(&self) -> Vec<Step<'_>> {
        let shared = [self.sweeping(), self.observing()];
        let with_items = self.experiments.iter().filter(|own| own.has_items());
        let with_items: Vec<&'static dyn Experiment> = with_items.copied().collect();
        self.steps_of(shared, &with_needed(&with_items))
    }

    fn steps_of<'s>(
        &self,
        shared: [Option<Step<'s>>; 2],
        experiments: &[&'static dyn Experiment],
    ) -> Vec<Step<'s>> {
        let own = experiments.iter().filter(|own| self.can_read(**own));
        let own = own.map(|own| Step::Experiment(*own));
        shared.into_iter().flatten().chain(own).collect()
    }

    fn observing(&self) -> Option<Step<'_>> {
        (!self.observations().is_empty()).then_some(Step::Observe)
    }

    fn sweeping(&self) -> Option<Step<'_>> {
        self.sweep.as_ref().map(Step::Sweep)
    }

    /// The steps that take long, in order.
    ///
    /// # Errors
    /// As [`Experiment::work`].
    ///
    /// ```
    /// use layerwise_corpus::{Options, of_ids};
    /// use layerwise_experiments::core::subject::{Subject, Text};
    /// use layerwise_experiments::robustness::Robustness;
    /// use layerwise_experiments::session::Session;
    /// use layerwise_transformer::{Model, ModelConfig};
    ///
    /// let model = Model::random(ModelConfig::tiny(), 7);
    /// let options = Options::new(64, 50);
    /// let corpus = of_ids(&[vec![0, 5, 3, 8], vec![9, 2, 6]], &options)?;
    /// let subject = Subject::new(&model, "tiny", Text::new("ids", &corpus, &options));
    /// for pass in Session::new(subject, &[&Robustness])?.passes()? {
    ///     println!("{}: {:.1e} multiply-adds", pass.experiments.join(", "), pass.work);
    ///     assert!(pass.work > 0.0);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn passes(&self) -> Result<Vec<Pass>, ExperimentError> {
        let (model, text) = (self.subject.model, self.subject.text);
        let layers = model.config().layers;
        let named = |needs: &dyn Fn(&dyn Experiment) -> bool| -> Vec<&'static str> {
            let own = self.experiments.iter().filter(|own| needs(**own));
            own.map(|own| own.id()).collect()
        };
        let pass = |step: Step<'_>| {
            Ok(match step {
                Step::Observe => Pass {
                    experiments: named(&|own| !own.observations().is_empty()),
                    work: plain::work(model, text.corpus.tokens(), &self.observations()),
                },
                Step::Sweep(sweep) => Pass {
                    experiments: named(&|own| !own.edits(layers).is_empty()),
                    work: cost::of_plan(model, &sweep.plan, text.corpus.tokens()),
                },
                Step::Experiment(own) => Pass {
                    experiments: vec![own.id()],
                    work: own.work(&self.subject)?,
                },
            })
        };
        let steps = self.steps().into_iter();
        steps.filter(Step::is_pass).map(pass).collect()
    }

    /// Runs the plain model on the text, with the observations of all experiments.
    ///
    /// # Errors
    /// As [`plain::observe`].
    pub fn observe(&self) -> Result<Observed, ExperimentError> {
        let Subject { runs, text, .. } = &self.subject;
        plain::observe(runs, text.sequences(), &self.observations())
    }

    /// Takes every step, then fills the tables that need no measurement. Returns notes for the user, such as why a table stays
    /// empty, too.
    ///
    /// # Errors
    /// A measurement is impossible, a journal cannot be used, or the user interrupts; with a runner of a share,
    /// [`ExperimentError::ShareFinished`] after the first step.
    pub fn measure(&self) -> Result<(Tables, Vec<String>), ExperimentError> {
        let (mut passes, mut tables) = (Passes::default(), Tables::default());
        let mut notes = Vec::new();
        for step in self.steps() {
            match step {
                Step::Observe => passes.observed = self.observe()?,
                Step::Sweep(sweep) => passes.swept = Some(sweep.run(&self.subject)?),
                Step::Experiment(own) => {
                    notes.extend(own.measure(&self.subject, &passes, &mut tables)?);
                }
            }
        }
        derive(&self.experiments, &mut tables, &[self.subject.facts()]);
        Ok((tables, notes))
    }

    fn observations(&self) -> Vec<&'static dyn Observation> {
        let each = self.experiments.iter();
        each.flat_map(|own| own.observations()).copied().collect()
    }

    /// Whether an experiment has a tokenizer, if it needs one.
    fn can_read(&self, experiment: &dyn Experiment) -> bool {
        self.subject.tokenizer.is_some() || !experiment.needs().tokenizer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::subject::Text;
    use crate::core::testing;
    use crate::{experiment, mlp_norm, robustness};
    use layerwise_corpus::{Corpus, Options, Tokenizer, of_ids};
    use layerwise_sweep::Runner;
    use layerwise_transformer::{Model, ModelConfig};

    fn text() -> (Corpus, Options) {
        let options = Options::new(8, 50);
        let rows = [vec![0, 5, 3, 8], vec![9, 2, 6], vec![1, 4, 7, 7, 30]];
        (of_ids(&rows, &options).unwrap(), options)
    }

    fn chosen(ids: &[&str]) -> Vec<&'static dyn Experiment> {
        ids.iter().map(|id| experiment(id).unwrap()).collect()
    }

    fn names(steps: &[Step<'_>]) -> Vec<&'static str> {
        let name = |step: &Step<'_>| match step {
            Step::Observe => "(observe)",
            Step::Sweep(_) => "(sweep)",
            Step::Experiment(own) => own.id(),
        };
        steps.iter().map(name).collect()
    }

    #[test]
    fn a_share_takes_the_steps_with_items() {
        let model = Model::random(ModelConfig::tiny(), 1);
        let (corpus, options) = text();
        let tokenizer = testing::tokenizer();
        let check = |tokenizer: Option<&Tokenizer>, ids: &[&str], all: &[&str], share: &[&str]| {
            let subject = Subject {
                tokenizer,
                ..Subject::new(&model, "m", Text::new("ids", &corpus, &options))
            };
            let session = Session::new(subject, &chosen(ids)).unwrap();
            assert_eq!(names(&session.steps()), all, "{ids:?}");
            assert_eq!(names(&session.steps_of_share()), share, "{ids:?}");
        };
        check(None, &[], &[], &[]);
        check(
            None,
            &["robustness", "heads", "lens-entropy"],
            &[
                "(observe)",
                "(sweep)",
                "robustness",
                "heads",
                "lens-entropy",
            ],
            &["(sweep)", "(observe)", "heads"],
        );
        // An experiment that chooses its items by another's table.
        let both = &["suffix-neurons", "suffix-probe"];
        check(Some(&tokenizer), &["suffix-probe"], both, both);
        check(None, &["suffix-probe", "wic"], &[], &[]);
    }

    #[test]
    fn passes_name_the_experiments_that_need_them() {
        let model = Model::random(ModelConfig::tiny(), 1);
        let (corpus, options) = text();
        let subject = Subject::new(&model, "m", Text::new("ids", &corpus, &options));
        let ids = ["robustness", "cka", "heads", "mlp-norm", "wic"];
        let session = Session::new(subject, &chosen(&ids)).unwrap();
        let passes = session.passes().unwrap();
        let named: Vec<&[&str]> = passes.iter().map(|pass| &*pass.experiments).collect();
        let expected: [&[&str]; 3] = [&["cka", "mlp-norm"], &["robustness"], &["heads"]];
        assert_eq!(named, expected);
        assert!(passes.iter().all(|pass| pass.work > 0.0), "{passes:?}");
        let mut told = Vec::new();
        session.announce(&mut |line| told.push(line)).unwrap();
        let begins: Vec<&str> = told
            .iter()
            .filter_map(|it| it.split([':', ' ']).next())
            .collect();
        assert_eq!(begins, ["plain", "heads", "wic"], "{told:?}");
    }

    #[test]
    fn a_session_measures_every_experiment_or_finishes_its_share() {
        let model = Model::random(ModelConfig::tiny(), 1);
        let (corpus, options) = text();
        let measured = |runner: Runner<'_>| {
            let mut subject = Subject::new(&model, "m", Text::new("ids", &corpus, &options));
            subject.runs.runner = runner;
            let session = Session::new(subject, &chosen(&["robustness", "mlp-norm"])).unwrap();
            let (tables, _) = session.measure()?;
            let swept = tables.of::<robustness::Record>().len();
            Ok::<_, ExperimentError>((swept, tables.of::<mlp_norm::Record>().len()))
        };
        // Blocks left out and pairs swapped, and every block observed.
        assert_eq!(measured(Runner::new()).unwrap(), (4 + 3, 4));
        let share = measured(Runner::new().shard("1/2".parse().unwrap()));
        assert!(matches!(share, Err(ExperimentError::ShareFinished)));
    }
}
