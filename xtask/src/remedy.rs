//! What to do about errors of crates that do not know the command line.

use layerwise::journal::JournalError;

/// What the user can do, where an error or one of its causes has a remedy.
pub fn of(error: &anyhow::Error) -> Option<&'static str> {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref());
    causes.find_map(of_journal)
}

fn of_journal(error: &JournalError) -> Option<&'static str> {
    match error {
        JournalError::Locked { .. } => Some("wait for it, or give another output"),
        JournalError::OtherFormat { .. }
        | JournalError::OtherKind { .. }
        | JournalError::OtherRun { .. }
        | JournalError::OtherShard { .. } => {
            Some("start over with --fresh, or give another output")
        }
        JournalError::OtherPlace { .. } => {
            Some("name the models in the same order, or give another output")
        }
        JournalError::Damaged { .. } => Some("start over with --fresh"),
        JournalError::Empty { .. } => Some("start its run again"),
        JournalError::MergeUnfinished { .. } => Some("give the command of this shard again"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise::sweep::SweepError;
    use std::path::PathBuf;

    #[test]
    fn a_cause_has_its_remedy_however_deep_it_lies() {
        let damaged = JournalError::Damaged {
            path: PathBuf::from("a.journal"),
            line: 3,
        };
        let error = anyhow::Error::from(SweepError::from(damaged)).context("gpt2");
        assert_eq!(of(&error), Some("start over with --fresh"));
        assert_eq!(of(&anyhow::anyhow!("damaged")), None);
    }
}
