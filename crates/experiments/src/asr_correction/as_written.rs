//! The best hypotheses as the recogniser wrote them: how much of an error rate is punctuation and the spelling of abbreviations.

use super::table::{About, Record};
use layerwise_transcripts::{
    Comparison, CorrectionError, CountRule, Counted, Decoder, Gate, Grid, Method, Mode, NBestLists,
    NoLanguageModel, Normaliser, ScoredLists, System, TranscriptError, Tuning, Vocabulary,
};

/// The line about the best hypotheses of lists in words separated by blanks, and the comparison behind it; `None` without
/// references. `names` are those of the model and the set.
///
/// # Errors
/// A lattice has too many slots, or there are no replicates.
pub(super) fn as_written(
    [model, set]: [&str; 2],
    lists: &NBestLists,
    (replicates, seed): (usize, u64),
) -> Result<Option<(Record, Comparison)>, TranscriptError> {
    let normaliser = Normaliser::None;
    let mut vocabulary = Vocabulary::new();
    let utterances = lists.utterances.iter();
    let distinct = utterances.map(|utterance| utterance.distinct(&normaliser, &mut vocabulary));
    let distinct = distinct.collect();
    let mut model_of_words = Counted::new(NoLanguageModel);
    let lists = ScoredLists::new(lists.clone(), distinct, &vocabulary, &mut model_of_words);
    let lists = match lists {
        Ok(lists) => lists,
        Err(never) => match never {},
    };
    let names = [model, set, normaliser.name()];
    let Some(about) = About::new(names, &lists, CountRule::Free)? else {
        return Ok(None);
    };
    let gate = Gate::new(lists.lists.scale);
    let grid = Grid::fixed(gate.kappa, 0.0, 0.0);
    let method = Method::new(Mode::Best, CountRule::Free, gate, Decoder::default(), grid);
    let tuning = Tuning::Fixed;
    let systems = System::of_method(
        &method,
        &lists,
        tuning,
        false,
        0,
        &vocabulary,
        &mut model_of_words,
    );
    let systems = systems.map_err(|error| match error {
        CorrectionError::Transcript { source, .. } => source,
        CorrectionError::LanguageModel(never) => match never {},
        _ => unreachable!("there are no other errors"),
    })?;
    let [best] = systems.as_slice() else {
        unreachable!("one system without a gate");
    };
    let found = best.compare(&lists, replicates, seed)?;
    Ok(found.map(|found| (Record::new(&about, best, &found, None), found)))
}
