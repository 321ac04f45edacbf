//! The first figures of a run: what the plain model's pass gives, drawn before anything else is run.

use crate::experiments::core::experiment::{Experiment, Passes};
use crate::experiments::core::models::Facts;
use crate::experiments::core::subject::Subject;
use crate::experiments::core::tables::Tables;
use crate::experiments::results::derive;
use crate::{output, results};
use layerwise::report::ModelFacts;
use std::path::Path;

/// Where the figures of a model go, of which experiments, and what stands below them.
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
    /// Draws what experiments read from the plain model's pass alone; at the run's end the same files are written again.
    ///
    /// # Errors
    /// Results that cannot be drawn, or files that cannot be written.
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
        // A run of nothing else is at its end.
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
            "{}: its first figures are in {}",
            subject.name,
            self.folder.display()
        ));
        Ok(())
    }
}
