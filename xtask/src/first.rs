//! The first figures of a run: those of the plain model's pass, drawn before anything else runs.

use crate::experiments::core::experiment::{Experiment, Passes};
use crate::experiments::core::models::Facts;
use crate::experiments::core::subject::Subject;
use crate::experiments::core::tables::Tables;
use crate::experiments::results::derive;
use crate::{output, results};
use layerwise::report::ModelFacts;
use std::path::Path;

/// Where the first figures of a model go, which experiments draw them, and their captions.
pub struct First<'a> {
    /// The model's folder of results.
    pub folder: &'a Path,
    /// All experiments of the run.
    pub experiments: &'a [&'static dyn Experiment],
    /// What captions say of the model.
    pub captioned: &'a [ModelFacts],
    /// Where the numbers of the run come from.
    pub provenance: &'a [(String, String)],
}

impl First<'_> {
    /// Draws the experiments that read only the plain model's pass. The end of the run writes the same files again.
    ///
    /// # Errors
    /// Results cannot be drawn, or files cannot be written.
    pub fn draw(
        &self,
        subject: &Subject<'_>,
        passes: &Passes,
        facts: &Facts,
    ) -> anyhow::Result<()> {
        let layers = subject.model.config().layers;
        let is_done = |it: &&dyn Experiment| {
            let needs = it.needs();
            let runs_nothing = it.edits(layers).is_empty() && !it.has_items();
            let alone = needs.tables.is_empty() && !needs.tokenizer && !needs.other_text;
            !it.observations().is_empty() && runs_nothing && alone
        };
        let done: Vec<&dyn Experiment> = self
            .experiments
            .iter()
            .map(|it| *it as &dyn Experiment)
            .filter(is_done)
            .collect();
        // If the run has no other experiments, it is about to end and draw them anyway.
        if done.is_empty() || done.len() == self.experiments.len() {
            return Ok(());
        }
        let mut tables = Tables::default();
        for experiment in &done {
            experiment.measure(subject, passes, &mut tables)?;
        }
        derive(&done, &mut tables, std::slice::from_ref(facts));
        let tables = results::write_tables(self.folder, &done, &tables, &mut Vec::new())?;
        results::draw(
            self.folder,
            &done,
            &tables,
            self.captioned,
            self.provenance,
            &mut Vec::new(),
        )?;
        output::say(format_args!(
            "{}: the first figures are in {}",
            subject.name,
            self.folder.display()
        ));
        Ok(())
    }
}
