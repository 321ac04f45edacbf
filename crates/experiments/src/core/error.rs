//! Why an experiment cannot be measured, or its results cannot be reported.

use super::table::TableError;
use layerwise_chat::ChatError;
use layerwise_corpus::CorpusError;
use layerwise_exits::ExitError;
use layerwise_generate::GenerateError;
use layerwise_metrics::MetricsError;
use layerwise_rescoring::RescoringError;
use layerwise_schedule::ScheduleError;
use layerwise_sweep::SweepError;
use layerwise_tasks::TaskError;
use layerwise_transcripts::TranscriptError;
use layerwise_transformer::TransformerError;
use std::io;

/// Why an experiment cannot be measured, or its results cannot be reported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// A run fails or is interrupted.
    #[error("{0}")]
    Sweep(#[from] SweepError),
    /// Text cannot be read or encoded.
    #[error("{0}")]
    Corpus(#[from] CorpusError),
    /// A chat template cannot be used.
    #[error("{0}")]
    Chat(#[from] ChatError),
    /// A prompt cannot be continued.
    #[error("{0}")]
    Generate(#[from] GenerateError),
    /// A task cannot be read or encoded.
    #[error("{0}")]
    Task(#[from] TaskError),
    /// A rule of early exit cannot be trained.
    #[error("{0}")]
    Exit(#[source] Box<ExitError>),
    /// A number is not defined.
    #[error("{0}")]
    Metrics(#[from] MetricsError),
    /// An edit does not fit a model.
    #[error("{0}")]
    Schedule(#[from] ScheduleError),
    /// Tokens do not fit a model.
    #[error("{0}")]
    Transformer(#[from] TransformerError),
    /// Lists of transcripts cannot be read or corrected.
    #[error("{0}")]
    Transcripts(#[from] TranscriptError),
    /// A model cannot score transcripts.
    #[error("{0}")]
    Rescoring(#[source] Box<RescoringError>),
    /// A line of a data set is not JSON of the expected form.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A table cannot be read.
    #[error("{0}")]
    Table(#[from] TableError),
    /// A table cannot be written.
    #[error("{0}")]
    Write(#[from] io::Error),
    /// Data or activations differ from what is expected.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What was expected.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A share of a measurement is finished, but the results need the other shares.
    #[error("this share is finished; tables need all shares")]
    ShareFinished,
    /// Another error, with its place.
    #[error("{place}: {source}")]
    In {
        /// A file and line, an item, or a part of a measurement.
        place: String,
        /// The error at that place.
        source: Box<ExperimentError>,
    },
}

impl From<ExitError> for ExperimentError {
    fn from(error: ExitError) -> Self {
        Self::Exit(Box::new(error))
    }
}

impl From<RescoringError> for ExperimentError {
    fn from(error: RescoringError) -> Self {
        Self::Rescoring(Box::new(error))
    }
}

impl ExperimentError {
    /// Data or activations differ from what is expected.
    pub fn unexpected(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Unexpected {
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// Distinguishes a finished share from errors.
pub trait OfShare<T> {
    /// The result from all items; `None` if only a share of them is finished.
    ///
    /// # Errors
    /// Any other error.
    fn if_whole(self) -> Result<Option<T>, ExperimentError>;
}

impl<T> OfShare<T> for Result<T, ExperimentError> {
    fn if_whole(self) -> Result<Option<T>, ExperimentError> {
        match self {
            Ok(whole) => Ok(Some(whole)),
            Err(ExperimentError::ShareFinished) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Adds the place of an error.
pub trait Place<T> {
    /// The error with its place.
    ///
    /// # Errors
    /// The original error, with its place.
    fn at(self, place: impl FnOnce() -> String) -> Result<T, ExperimentError>;
}

impl<T, E: Into<ExperimentError>> Place<T> for Result<T, E> {
    fn at(self, place: impl FnOnce() -> String) -> Result<T, ExperimentError> {
        self.map_err(|error| ExperimentError::In {
            place: place(),
            source: Box::new(error.into()),
        })
    }
}
