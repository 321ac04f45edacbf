//! The experiments that a command line names: by their own names, or by the names of figures and claims that need them.

use crate::experiments::core::experiment::Experiment;
use crate::experiments::{EXPERIMENTS, claims};
use crate::inputs::OpenedModel;
use anyhow::ensure;
use clap::builder::PossibleValue;
use layerwise::corpus::Tokenizer;

/// The names that the command line knows, with what each experiment shows. Names of figures and claims are not listed.
pub fn names() -> Vec<PossibleValue> {
    let claims = claims();
    let value = |experiment: &&'static dyn Experiment| {
        let id = experiment.id();
        // A claim that needs several experiments names the first of them.
        let own = claims
            .iter()
            .filter(|claim| claim.needs.first() == Some(&id));
        PossibleValue::new(id)
            .help(experiment.about().summary)
            .aliases(figures(*experiment))
            .aliases(own.map(|claim| claim.id))
    };
    EXPERIMENTS.iter().map(value).collect()
}

/// The named experiments, in their own order; all experiments if none is named.
pub fn experiments(named: &[String]) -> Vec<&'static dyn Experiment> {
    let all = EXPERIMENTS.iter().copied();
    all.filter(|it| named.is_empty() || is_named(*it, named))
        .collect()
}

/// Whether one of the names is an experiment's: its own name, a figure's, or that of a claim judged from the experiment.
pub fn is_named(experiment: &dyn Experiment, named: &[String]) -> bool {
    let (id, claims) = (experiment.id(), claims());
    let is = |name: &String| {
        let mut judged = claims.iter().filter(|claim| claim.id == name);
        name == id
            || figures(experiment).any(|figure| figure == name)
            || judged.any(|claim| claim.needs.contains(&id))
    };
    named.iter().any(is)
}

/// Refuses experiments that need a tokenizer of a model that has none, if the user asked for them by name or by their data.
///
/// # Errors
/// Such an experiment exists.
pub fn check_tokenizers(
    mut experiments: impl Iterator<Item = &'static dyn Experiment>,
    models: &[OpenedModel],
    tokenizers: &[Option<Tokenizer>],
) -> anyhow::Result<()> {
    let Some(experiment) = experiments.find(|experiment| experiment.needs().tokenizer) else {
        return Ok(());
    };
    for (opened, tokenizer) in models.iter().zip(tokenizers) {
        ensure!(
            tokenizer.is_some(),
            "{}: {} needs a tokenizer.json to read text, but {} has none",
            opened.name,
            experiment.id(),
            opened.folder.display()
        );
    }
    Ok(())
}

/// The names of published figures in an experiment's description of itself.
fn figures(experiment: &dyn Experiment) -> impl Iterator<Item = &'static str> {
    let words = experiment
        .about()
        .summary
        .split([' ', ',', '(', ')'].as_slice());
    words.filter(|word| word.contains("-fig"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_claims_name_what_they_stand_on() {
        let check = |name: &str, expected: &[&str]| {
            let found = experiments(&[name.to_owned()]);
            let found: Vec<&str> = found.iter().map(|experiment| experiment.id()).collect();
            assert_eq!(found, expected, "{name}");
        };
        check("robustness", &["robustness"]);
        check("nips-fig5a", &["robustness"]);
        check("D5", &["robustness"]);
        check("D13", &["wic", "lens-entropy"]);
        check("D", &[]);
        assert_eq!(experiments(&[]).len(), EXPERIMENTS.len());
    }

    /// Otherwise one name would hide the other.
    #[test]
    fn no_name_means_two_things() {
        let mut names: Vec<String> = Vec::new();
        for experiment in EXPERIMENTS.iter() {
            names.push(experiment.id().to_owned());
            names.extend(figures(*experiment).map(str::to_owned));
        }
        names.extend(claims().iter().map(|claim| claim.id.to_owned()));
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
