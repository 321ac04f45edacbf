use layerwise_transformer::TransformerError;
use std::error::Error;

/// Why a continuation cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The prompt or the schedule does not fit the model.
    #[error(transparent)]
    Model(#[from] TransformerError),
    /// A setting is out of its range.
    #[error("{setting} is {found}; it must be {expected}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// Its value.
        found: f64,
        /// The values that it may have.
        expected: &'static str,
    },
    /// A setting has no effect, because at temperature 0 the most likely token is always chosen.
    #[error("{setting} has no effect at temperature 0; raise the temperature or leave it out")]
    NoEffect {
        /// The setting's name.
        setting: &'static str,
    },
    /// A logit is NaN or infinite.
    #[error(
        "after {tokens} tokens the logit of token {token} is {found}; the weights or the schedule make the model overflow"
    )]
    NotFinite {
        /// The number of tokens that the model had read.
        tokens: usize,
        /// The token.
        token: usize,
        /// Its logit.
        found: f32,
    },
    /// Beam search was combined with early exit.
    #[error("beam search cannot stop tokens early; leave out either the beams or the exit rule")]
    ExitingBeams,
    /// The constraint allows no token, but is not finished.
    #[error("after {tokens} tokens the constraint allows no token of the vocabulary")]
    DeadEnd {
        /// The number of tokens of the continuation.
        tokens: usize,
    },
    /// A way of continuing a prompt fails.
    #[error("{way}: {source}")]
    Way {
        /// The way's name.
        way: String,
        /// The reason.
        source: Box<GenerateError>,
    },
    /// Tokens cannot be turned into text.
    #[error("{0}")]
    Decode(#[source] Box<dyn Error + Send + Sync>),
}
