//! What a report says of the models of a run.

use crate::embedded;
use crate::inputs::{OpenedCorpus, OpenedModel};
use crate::rounding::Rounding;
use crate::version;
use layerwise::report::ModelFacts;
use layerwise::transformer::Precision;
use std::path::Path;

/// What a reader of the report wants to know of a model.
pub fn subject_facts(
    opened: &OpenedModel,
    corpus: &OpenedCorpus,
    rounding: Option<&Rounding>,
) -> ModelFacts {
    let config = opened.model.config();
    let precision = opened.model.precision();
    let difference = match rounding {
        _ if precision == Precision::F32 => None,
        Some(rounding) => Some(rounding.told(precision)),
        None => Some("not measured: no altered schedules were run".to_owned()),
    };
    let difference = difference.map(|told| ("Difference from f32", told));
    let facts = [
        ("Family", config.family.model_type().to_owned()),
        ("Blocks", config.layers.to_string()),
        ("Width", config.model.to_string()),
        ("Vocabulary", config.vocab.to_string()),
        ("Parameters", config.parameters().to_string()),
        ("Precision", precision.name().to_owned()),
        ("Text", file_name(&corpus.path)),
        ("Sequences", corpus.corpus.sequences().len().to_string()),
        ("Tokens", corpus.corpus.tokens().to_string()),
    ];
    let facts = facts.into_iter().chain(difference);
    let is_toy = embedded::is_own(&opened.name, &opened.files);
    let about = format!(
        "{}{} blocks, {:.1} million parameters, on {} tokens of {}.",
        if is_toy { embedded::ABOUT } else { "" },
        config.layers,
        config.parameters() as f64 / 1e6,
        corpus.corpus.tokens(),
        file_name(&corpus.path),
    );
    ModelFacts {
        name: opened.name.clone(),
        kind: if is_toy { "toy" } else { "" }.to_owned(),
        about,
        facts: facts
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    }
}

/// What captions say of models: the facts without differences from f32.
pub fn captioned(models: &[OpenedModel], corpora: &[OpenedCorpus]) -> Vec<ModelFacts> {
    let subjects = models.iter().zip(corpora);
    let facts = subjects.map(|(opened, corpus)| subject_facts(opened, corpus, None));
    facts.collect()
}

/// The origin of a run's numbers: the program, and notes about data sets.
pub fn provenance<'a>(labelled: impl Iterator<Item = (&'a str, String)>) -> Vec<(String, String)> {
    let own = [("layerwise", version::described().to_owned())];
    let files = [(
        "Files and their hashes",
        "manifest.json, next to this page".to_owned(),
    )];
    let facts = own.into_iter().chain(labelled).chain(files);
    facts
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().display().to_string()
}
