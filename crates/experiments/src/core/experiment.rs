//! What an experiment is.

use super::claim::{Claim, Evidence};
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
    /// What it shows, in a line, with the names of the published figures.
    pub summary: &'static str,
    /// A title of a few words.
    pub title: &'static str,
    /// The published figures and tables that it stands for, by version.
    pub stands_for: &'static str,
    /// What is drawn, with units and the positions that means go over.
    pub caption: &'static str,
    /// What the paper states about it.
    pub paper_says: &'static str,
}

/// What an experiment needs besides a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// Whether it reads the corpus.
    pub corpus: bool,
    /// The data set that it reads, and what stands in for it.
    pub data: Option<&'static str>,
    /// Whether it reads text, and not only token ids: without a tokenizer its tables stay empty.
    pub tokenizer: bool,
    /// The tables of other experiments that it measures, derives or draws from. Their experiments run before it.
    pub tables: &'static [TableId],
}

impl fmt::Display for Needs {
    /// What the user has to give.
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

/// What the passes gave that experiments share.
#[derive(Default)]
pub struct Passes {
    /// The sweep, where an experiment wanted one.
    pub swept: Option<Swept>,
    /// The observed plain pass; empty where no experiment wanted one.
    pub observed: Observed,
}

/// One experiment: what it needs, the tables that it fills, what it draws from them, and the claims that they decide.
pub trait Experiment: Sync {
    /// Its name on the command line and in the names of its files.
    fn id(&self) -> &'static str;

    /// The experiment in words.
    fn about(&self) -> About;

    /// What it needs.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// The tables that it fills; the report shows the first.
    fn tables(&self) -> &'static [TableId];

    /// What is going to be run of a model, in lines for the user; what does not fit the model is refused here, before any
    /// model runs.
    ///
    /// # Errors
    /// Data that the model cannot read, or an interrupt.
    fn announce(&self, subject: &Subject<'_>) -> Result<Vec<String>, ExperimentError> {
        let _ = subject;
        Ok(Vec::new())
    }

    /// The families of edits that it wants in the sweep of a model of so many blocks.
    fn edits(&self, layers: usize) -> Vec<Edits> {
        let _ = layers;
        Vec::new()
    }

    /// What it wants summed up while the plain model runs on the text.
    fn observations(&self) -> &'static [&'static dyn Observation] {
        &[]
    }

    /// Measures a model, or takes what it wants from the passes that experiments share, and fills its tables; `tables` holds
    /// those that it needs. Returns what the user should know, as why a table stays empty.
    ///
    /// # Errors
    /// What cannot be measured, a journal that cannot be used, or an interrupt.
    fn measure(
        &self,
        subject: &Subject<'_>,
        passes: &Passes,
        tables: &mut Tables,
    ) -> Result<Vec<String>, ExperimentError> {
        let _ = (subject, passes, tables);
        Ok(Vec::new())
    }

    /// Fills its tables from those of other experiments, where nothing has to be measured for them.
    fn derive(&self, tables: &mut Tables, models: &[Facts]) {
        let _ = (tables, models);
    }

    /// The drawings with the names of their files, from the tables of one model or of several.
    fn drawings(&self, tables: &Tables) -> Vec<(String, Figure)>;

    /// The claims that are decided by its tables.
    fn claims(&self) -> &'static [Claim] {
        &[]
    }

    /// The quantities that published numbers are known of.
    fn known(&self) -> &'static [Quantity] {
        &[]
    }

    /// What was found, in a sentence, where claims do not say it.
    fn finding(&self, tables: &Tables) -> Option<String> {
        let _ = tables;
        None
    }

    /// The paper's tables that it gives numbers to.
    fn text_tables(&self, evidence: &Evidence<'_>) -> Vec<TextTable> {
        let _ = evidence;
        Vec::new()
    }
}
