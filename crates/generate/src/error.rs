use layerwise_transformer::TransformerError;

/// What can go wrong when a continuation is made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The prompt or the schedule does not fit the model.
    #[error(transparent)]
    Model(#[from] TransformerError),
    /// A setting out of its range.
    #[error("{setting} is {found}; it must be {expected}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// Its value.
        found: f64,
        /// The values that it may have.
        expected: &'static str,
    },
    /// A setting that changes nothing, because the most likely token is always chosen.
    #[error("{setting} has no effect at temperature 0; raise the temperature or leave it out")]
    NoEffect {
        /// The setting's name.
        setting: &'static str,
    },
    /// A logit that is not a number, or is infinite.
    #[error(
        "after {tokens} tokens the logit of token {token} is {found}; the weights or the schedule make the model overflow"
    )]
    NotFinite {
        /// Tokens that the model had read.
        tokens: usize,
        /// The token.
        token: usize,
        /// Its logit.
        found: f32,
    },
    /// Beams of runs that stop early.
    #[error("beams are of whole runs; leave out the rule that stops some early")]
    ExitingBeams,
    /// A constraint under which nothing may follow, and which has not ended.
    #[error("after {tokens} tokens the constraint allows no token of the vocabulary")]
    DeadEnd {
        /// Tokens of the continuation.
        tokens: usize,
    },
}
