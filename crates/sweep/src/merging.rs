//! Puts the shards of a run together, from their journals.

use crate::measure::KeptMeasure;
use crate::runner::Described;
use layerwise_journal::{JournalError, Merged, Recorded};
use std::path::PathBuf;

/// A run that was put together: for each item the result of each schedule.
pub type WholeRun<S> = Merged<Described, Vec<S>>;

/// Merges the journals of one or more runs of a measure, as [`layerwise_journal::merge`] does: journals with one name belong to
/// one run, whose results are those of an undivided run, bit for bit.
///
/// The caller must know that the journals are of this measure; [`Described::measure`] is its name.
///
/// ```
/// use layerwise_journal::Shard;
/// use layerwise_sweep::{Divergence, Journals, Plan, Runner, merge};
/// use layerwise_transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 0);
/// let plan = Plan::new(model.stack(), &["drop(l)".parse()?], 4096)?;
/// let sequences = [vec![1, 2, 3], vec![4, 5, 6], vec![7, 8, 9]];
/// let folder = tempfile::tempdir()?;
/// let half: Shard = "1/2".parse()?;
/// let mut journals = Vec::new();
/// for shard in half.all() {
///     let journal = folder.path().join(format!("{}.journal", shard.index()));
///     let runner = Runner::new().shard(shard).journals(Journals::File(journal.clone()));
///     runner.measure(&model, &plan, &Divergence::new(), &sequences)?;
///     journals.push(journal);
/// }
/// let runs = merge::<Divergence>(&journals)?;
/// let whole = Runner::new().measure(&model, &plan, &Divergence::new(), &sequences)?;
/// assert!(runs[0].finished.values().eq(&whole.results));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A journal cannot be read, or has a line without a result for each schedule, which counts as damage; or as
/// [`layerwise_journal::merge`].
pub fn merge<M: KeptMeasure>(journals: &[PathBuf]) -> Result<Vec<WholeRun<M::Sums>>, JournalError> {
    let fits =
        |run: &Described, parts: Option<&[usize]>, sums: &Vec<M::Sums>| run.fits(parts, sums.len());
    let journals = journals.iter().map(|path| Recorded::read(path, fits));
    layerwise_journal::merge(journals.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::divergence::Divergence;
    use crate::plan::Label;
    use crate::sums::Sums;
    use layerwise_journal::{Journal, Part, RunDescription, RunKey};

    #[test]
    fn a_line_has_a_result_for_each_schedule() {
        let check = |schedules: usize, parts: Option<&[usize]>, results: usize, is_sound: bool| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.journal");
            let label = Label {
                family: "id".to_owned(),
                edit: "id".to_owned(),
                l: None,
                m: None,
                h: None,
                p: None,
            };
            let about = Described {
                measure: "divergence".to_owned(),
                schedules: vec![label; schedules],
            };
            let key = RunKey::of([b"inputs".as_slice()]);
            let run = RunDescription::new(key, "a".to_owned(), 1, about);
            let mut journal = Journal::open(&path, &run, false, |_, _| true).unwrap();
            let results = vec![Sums::default(); results];
            match parts {
                None => journal.record(0, results).unwrap(),
                Some(at) => {
                    let at = at.to_vec();
                    journal.record_parts([(0, Part { at, results })]).unwrap();
                }
            }
            drop(journal);
            let found = merge::<Divergence>(&[path]);
            let told = format!("{schedules} schedules, {parts:?}: {found:?}");
            match (found, parts) {
                (Ok(runs), None) => assert!(is_sound && runs[0].finished.len() == 1, "{told}"),
                // Sound parts do not make up the unit.
                (Err(JournalError::MergeUnfinished { .. }), Some(_)) => assert!(is_sound, "{told}"),
                (Err(JournalError::Damaged { line: 2, .. }), _) => assert!(!is_sound, "{told}"),
                _ => panic!("{told}"),
            }
        };
        check(2, None, 2, true);
        check(2, None, 1, false);
        check(2, None, 3, false);
        check(0, None, 0, false);
        check(2, Some(&[1]), 1, true);
        check(2, Some(&[1]), 2, false);
        check(2, Some(&[2]), 1, false);
    }
}
