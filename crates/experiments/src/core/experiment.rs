//! What an experiment is.

use super::claim::{Claim, Evidence};
use super::data::Source;
use super::error::ExperimentError;
use super::known::Quantity;
use super::models::Facts;
use super::plain::{Observation, Observed};
use super::published::TextTable;
use super::subject::Subject;
use super::sweep::{Edits, Swept};
use super::tables::{TableId, Tables};
use layerwise_plot::Figure;
use std::fmt;

/// An experiment in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// A one-line summary, with the names of the published figures.
    pub summary: &'static str,
    /// A title of a few words.
    pub title: &'static str,
    /// The published figures and tables that it reproduces, by version.
    pub stands_for: &'static str,
    /// What is drawn, with units and the positions that means are taken over.
    pub caption: &'static str,
    /// What the paper states about it.
    pub paper_says: &'static str,
}

/// Where the report shows an experiment: next to a figure of the NeurIPS version and its panel, or after all of them.
///
/// ```
/// use layerwise_experiments::core::experiment::Place;
///
/// assert!(Place::beside(5, "b") < Place::beside(12, "a"));
/// assert!(Place::beside(12, "a") < Place::beside(12, "a, single neurons"));
/// assert!(Place::beside(26, "") < Place::AFTER_THE_PAPER);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    figure: u32,
    panel: &'static str,
}

impl Place {
    /// The place of experiments that the paper does not have.
    pub const AFTER_THE_PAPER: Self = Self {
        figure: u32::MAX,
        panel: "",
    };

    /// A figure and its panel. A longer panel text comes after its beginning: `a, single neurons` after `a`.
    pub const fn beside(figure: u32, panel: &'static str) -> Self {
        Self { figure, panel }
    }
}

/// What an experiment needs besides a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// Whether it reads the corpus.
    pub corpus: bool,
    /// Whether it reads a second text, of another kind.
    pub other_text: bool,
    /// The data set that it reads, and the stand-in for it.
    pub data: Option<&'static str>,
    /// Whether it reads text rather than only token ids: without a tokenizer its tables stay empty.
    pub tokenizer: bool,
    /// Whether it prompts the model through the checkpoint's chat template, if there is one.
    pub template: bool,
    /// The tables of other experiments that it measures, derives or draws from. Their experiments run first.
    pub tables: &'static [TableId],
}

impl fmt::Display for Needs {
    /// What the user has to supply.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a model")?;
        if self.tokenizer {
            f.write_str(" with its tokenizer.json")?;
        }
        if self.corpus {
            f.write_str(", a text")?;
        }
        match self.data {
            Some(data) => write!(f, ", {data}"),
            None => Ok(()),
        }
    }
}

/// The results of the passes that experiments share.
#[derive(Default)]
pub struct Passes {
    /// The sweep, if an experiment requested one.
    pub swept: Option<Swept>,
    /// The observed plain pass; empty if no experiment requested one.
    pub observed: Observed,
}

/// One experiment: what it needs, the tables it fills, what it draws from them, and the claims that they decide.
pub trait Experiment: Sync {
    /// Its name on the command line and in the names of its files.
    fn id(&self) -> &'static str;

    /// The experiment in words.
    fn about(&self) -> About;

    /// Its place in the report; experiments with the same place are sorted by name.
    fn place(&self) -> Place {
        Place::AFTER_THE_PAPER
    }

    /// What it needs.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// The source of its data set.
    fn source(&self) -> Option<&'static Source> {
        None
    }

    /// The tables that it fills; the report shows the first.
    fn tables(&self) -> &'static [TableId];

    /// Describes what will run on a model, in lines for the user. Refuses whatever does not fit the model before any model
    /// runs.
    ///
    /// # Errors
    /// The model cannot read the data, or the user interrupts.
    fn announce(&self, subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
        let _ = subject;
        Ok(Vec::new())
    }

    /// The approximate multiply-adds of its own runs, as [`cost`](layerwise_sweep::cost) counts them; 0 if they are not known in
    /// advance.
    /// # Errors
    /// As for [`announce`](Self::announce).
    fn work(&self, subject: &Subject<'_>) -> Result<f64, ExperimentError> {
        let _ = subject;
        Ok(0.0)
    }

    /// The families of edits to include in the sweep of a model with this many blocks.
    fn edits(&self, layers: usize) -> Vec<Edits> {
        let _ = layers;
        Vec::new()
    }

    /// The observations to make while the plain model runs on the text.
    fn observations(&self) -> &'static [&'static dyn Observation] {
        &[]
    }

    /// Whether it measures items of its own, besides the passes that experiments share. A process that runs a share runs a
    /// share of
    /// those items, too.
    fn has_items(&self) -> bool {
        false
    }

    /// Measures a model, or takes its part of the passes that experiments share, and fills its tables; `tables` contains the
    /// tables
    /// it needs. Returns notes for the user, such as why a table stays empty.
    ///
    /// # Errors
    /// A measurement is impossible, a journal cannot be used, or the user interrupts.
    fn measure(
        &self,
        subject: &Subject<'_>,
        passes: &Passes,
        tables: &mut Tables,
    ) -> Result<Vec<String>, ExperimentError> {
        let _ = (subject, passes, tables);
        Ok(Vec::new())
    }

    /// Fills its tables from those of other experiments, if nothing has to be measured for them.
    fn derive(&self, tables: &mut Tables, models: &[Facts]) {
        let _ = (tables, models);
    }

    /// The drawings with their file names, from the tables of one model or of several.
    fn drawings(&self, tables: &Tables) -> Vec<(String, Figure)>;

    /// The claims that its tables decide.
    fn claims(&self) -> &'static [Claim] {
        &[]
    }

    /// The quantities with published numbers.
    fn known(&self) -> &'static [Quantity] {
        &[]
    }

    /// The finding in a sentence, if claims do not state it.
    fn finding(&self, tables: &Tables) -> Option<String> {
        let _ = tables;
        None
    }

    /// The paper's tables that it supplies numbers for.
    fn text_tables(&self, evidence: &Evidence<'_>) -> Vec<TextTable> {
        let _ = evidence;
        Vec::new()
    }
}

/// An experiment that has been [registered](crate::register).
#[derive(Clone, Copy)]
pub struct Registered(pub &'static dyn Experiment);

inventory::collect!(Registered);

/// Adds an experiment to [`EXPERIMENTS`](crate::EXPERIMENTS): a line in its own module, in this crate or in any other that is
/// linked into the program.
///
/// ```
/// use layerwise_experiments::core::experiment::{About, Experiment};
/// use layerwise_experiments::core::tables::{TableId, Tables};
/// use layerwise_experiments::{experiment, register};
///
/// struct Toy;
///
/// register!(Toy);
///
/// impl Experiment for Toy {
///     fn id(&self) -> &'static str {
///         "toy"
///     }
///     fn about(&self) -> About {
///         About {
///             summary: "A toy",
///             title: "A toy",
///             stands_for: "nothing",
///             caption: "Nothing.",
///             paper_says: "Nothing.",
///         }
///     }
///     fn tables(&self) -> &'static [TableId] {
///         &[]
///     }
///     fn drawings(&self, _: &Tables) -> Vec<(String, layerwise_plot::Figure)> {
///         Vec::new()
///     }
/// }
///
/// assert!(experiment("toy").is_some());
/// ```
#[macro_export]
macro_rules! register {
    ($experiment:expr) => {
        $crate::inventory::submit!($crate::core::experiment::Registered(&$experiment));
    };
}
