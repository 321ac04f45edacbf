//! Remedies for errors of crates that do not know the command line.

use crate::program;
use layerwise::architecture::ConfigError;
use layerwise::arrays::ArrayError;
use layerwise::chat::ChatError;
use layerwise::corpus::CorpusError;
use layerwise::exits::ExitError;
use layerwise::experiments::core::table::TableError;
use layerwise::files::FileError;
use layerwise::journal::{JournalError, Shard};
use layerwise::recordings::RecordingError;
use layerwise::schedule::{ScheduleError, Source};
use layerwise::sweep::SweepError;
use layerwise::tasks::TaskError;
use layerwise::transformer::{MissingValues, TransformerError};
use layerwise::weights::WeightsError;

/// What the user can do, if an error or one of its causes has a remedy.
pub fn of(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let journal = cause.downcast_ref().and_then(of_journal);
        let transformer: Option<&TransformerError> = cause.downcast_ref();
        let weights = match transformer {
            Some(TransformerError::Weights(weights)) => Some(weights),
            _ => cause.downcast_ref(),
        };
        let corpus: Option<&CorpusError> = match cause.downcast_ref() {
            Some(TaskError::Corpus(corpus)) => Some(corpus),
            _ => cause.downcast_ref(),
        };
        let chat = match cause.downcast_ref() {
            Some(ChatError::File(file)) => Some(file),
            _ => None,
        };
        let exit = match cause.downcast_ref() {
            Some(ExitError::File(file)) => Some(file),
            _ => None,
        };
        let file = match (weights, corpus) {
            (Some(WeightsError::File(file)), _) | (_, Some(CorpusError::File(file))) => Some(file),
            _ => chat.or(exit).or_else(|| cause.downcast_ref()),
        };
        let text = corpus.and_then(of_text);
        let config = match transformer {
            Some(TransformerError::Config(config)) => Some(config),
            _ => cause.downcast_ref(),
        };
        if let Some(remedy) = config.and_then(of_config) {
            return Some(remedy);
        }
        // A sweep wraps this error, and finds values on its command line.
        let values = match transformer {
            Some(TransformerError::MissingValues { .. }) => {
                Some("use zero or scale, or `sweep`, which takes such values")
            }
            _ => None,
        };
        let remedy = journal
            .or_else(|| file.and_then(of_file))
            .or(text)
            .or(values);
        let of_sweep = || cause.downcast_ref().and_then(of_sweep);
        let of_table = || cause.downcast_ref().and_then(of_table);
        let of_recording = || cause.downcast_ref().and_then(of_recording);
        let of_array = || cause.downcast_ref().and_then(of_array);
        remedy
            .map(str::to_owned)
            .or_else(of_sweep)
            .or_else(of_table)
            .or_else(of_array)
            .or_else(of_recording)
    })
}

fn of_config(error: &ConfigError) -> Option<String> {
    match error {
        ConfigError::Inside { error, .. } => of_config(error),
        ConfigError::Unsupported { .. } => Some(format!(
            "give another checkpoint; if you know that the key has no effect in this one, change it in a copy of the folder and \
             compare the copy with transformers by `{} diff-sites`",
            program::name()
        )),
        _ => None,
    }
}

fn of_text(error: &CorpusError) -> Option<&'static str> {
    match error {
        CorpusError::Field { .. } => Some("give --field NAME, if another field has the text"),
        CorpusError::Bos { .. } => Some("give --bos ID, or --bos none"),
        CorpusError::UnknownExtension { found: None, .. } => Some(
            "give a file with one of these, or a data set in the Hugging Face cache as NAME:CONFIG:SPLIT:FIELD",
        ),
        _ => None,
    }
}

fn of_sweep(error: &SweepError) -> Option<String> {
    match error {
        SweepError::Memory { needed, .. } => Some(format!(
            "give a smaller model, context or number of threads, or --max-memory {}M at your own risk",
            needed.div_ceil(1 << 20)
        )),
        SweepError::Unfinished { .. } => Some(
            "give the folders of all shards, run those that are missing, or give the command of reproduce without --shard"
                .to_owned(),
        ),
        SweepError::NoSource {
            source_of_values: Source::Donor,
            ..
        } => Some("give `sweep` pairs of prompts with --pairs FILE.jsonl".to_owned()),
        SweepError::Schedule { source, .. } => of_family(source).map(str::to_owned),
        SweepError::Values { source, .. } => of_values(source).map(str::to_owned),
        SweepError::Interrupted { kept: true, .. } => {
            Some("the same command resumes there".to_owned())
        }
        _ => None,
    }
}

fn of_values(error: &TransformerError) -> Option<&'static str> {
    match error {
        TransformerError::MissingValues {
            what: MissingValues::Tensor(_),
            ..
        } => Some("give a file that contains it with --vectors FILE.safetensors"),
        _ => None,
    }
}

fn of_family(error: &ScheduleError) -> Option<&'static str> {
    match error {
        ScheduleError::TooManyMembers { .. } => {
            Some("give a higher --max-members, or fewer variables")
        }
        _ => None,
    }
}

fn of_table(error: &TableError) -> Option<String> {
    match error {
        TableError::Columns { .. } => Some(
            "if another version wrote it, run the command of `reproduce` in its manifest again"
                .to_owned(),
        ),
        _ => None,
    }
}

fn of_array(error: &ArrayError) -> Option<String> {
    match error {
        ArrayError::OtherArray { .. } => Some("give another --out, or remove it".to_owned()),
        _ => None,
    }
}

fn of_recording(error: &RecordingError) -> Option<String> {
    match error {
        RecordingError::Unkept { .. } => {
            Some("give --fresh to run it again, or another --out".to_owned())
        }
        _ => None,
    }
}

fn of_file(error: &FileError) -> Option<&'static str> {
    match error {
        FileError::LinkLeaves { .. } => Some(
            "give --follow-links if it is a model's and you trust the folder, or copy the file with `cp -L`",
        ),
        _ => None,
    }
}

fn of_journal(error: &JournalError) -> Option<&'static str> {
    match error {
        JournalError::Locked { .. } => Some("wait for it, or give another output"),
        JournalError::NoLocks { .. } => Some("give an output on a file system that supports locks"),
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
        JournalError::MergeUnfinished { shard, .. } if *shard == Shard::WHOLE => Some(
            "run its command again; if it is finished because --until-se ended it, nothing is missing, and its own command \
             writes the table, also with --baseline",
        ),
        JournalError::MergeUnfinished { .. } => Some("run the command of this shard again"),
        JournalError::MergeMissing { .. } => {
            Some("give the run folders of all shards, or run those that are missing")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_cause_has_its_remedy_however_deep_it_lies() {
        let damaged = JournalError::Damaged {
            path: PathBuf::from("a.journal"),
            line: 3,
        };
        let error = anyhow::Error::from(SweepError::from(damaged)).context("gpt2");
        assert_eq!(of(&error).as_deref(), Some("start over with --fresh"));
        assert_eq!(of(&anyhow::anyhow!("damaged")), None);
    }
}
