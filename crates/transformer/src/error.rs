use layerwise_architecture::ConfigError;
use layerwise_kernels::gemm::Precision;
use layerwise_schedule::Stack;
use layerwise_weights::WeightsError;
use std::path::PathBuf;

/// What can go wrong when a model is built or run.
///
/// Once a model is built, running it fails only on the variants about sequences, schedules and sites.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransformerError {
    /// The checkpoint's files cannot be read or are malformed.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// `config.json`, or the tensors it promises, cannot be accepted.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The config says that the unembedding is the token embedding, but the file holds a different one.
    #[error(
        "{}: `tie_word_embeddings` is true, but tensor `{unembedding}` differs from `{embedding}`; expected the same values, found a difference at index {index}",
        path.display()
    )]
    UntiedHead {
        /// The checkpoint folder.
        path: PathBuf,
        /// The unembedding's tensor.
        unembedding: String,
        /// The embedding's tensor.
        embedding: String,
        /// The first index, in row-major order, at which they differ.
        index: usize,
    },
    /// A number format whose products this machine could only compute slowly.
    #[error(
        "precision {}: expected a CPU with the instructions {expected}, found {found}; use f32",
        precision.name()
    )]
    MissingInstructions {
        /// The number format that was asked for.
        precision: Precision,
        /// The instructions it needs.
        expected: &'static str,
        /// The instructions that products in f32 run on here.
        found: &'static str,
    },
    /// A sequence without tokens.
    #[error("the sequence is empty; expected at least one token")]
    EmptySequence,
    /// A sequence longer than the model's positions.
    #[error("the sequence has {found} tokens; expected at most {context}, the model's context")]
    SequenceTooLong {
        /// Tokens in the sequence.
        found: usize,
        /// The model's context.
        context: usize,
    },
    /// More tokens than a state has room for.
    #[error(
        "the sequence would have {found} tokens; its state was made for at most {capacity}; make it larger"
    )]
    StateFull {
        /// Tokens that it would hold.
        found: usize,
        /// Tokens that it can hold.
        capacity: usize,
    },
    /// A state that is cut to more tokens than it has.
    #[error("a state of {len} tokens cannot be cut to {found}")]
    CutBeyondEnd {
        /// Tokens asked for.
        found: usize,
        /// Tokens that it holds.
        len: usize,
    },
    /// States that cannot be extended in one product.
    #[error("the states belong to different models or schedules; extend them one by one")]
    StatesDiffer,
    /// A batch of short and long sequences for a model whose rotary frequencies depend on the length.
    #[error(
        "sequences of {short} and of {long} tokens cannot share a run: this model rotates those of more than {limit} tokens at other frequencies; run them apart"
    )]
    MixedLengths {
        /// Tokens of the shortest sequence.
        short: usize,
        /// Tokens of the longest.
        long: usize,
        /// The longest sequence at the frequencies of short ones.
        limit: usize,
    },
    /// A token id outside the vocabulary.
    #[error("token {token} at position {position}; expected an id below {vocab}")]
    TokenOutOfRange {
        /// The id.
        token: u32,
        /// Its index in the sequence.
        position: usize,
        /// The model's vocabulary.
        vocab: usize,
    },
    /// A schedule made for another model.
    #[error("the schedule is for {found:?}; expected {expected:?}, the model's blocks")]
    ScheduleMismatch {
        /// The schedule's stack.
        found: Stack,
        /// The model's stack.
        expected: Stack,
    },
    /// A site that the model's blocks do not have.
    #[error("site `{site}` does not exist in this model: {reason}")]
    NoSuchSite {
        /// The site.
        site: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// A site name that is not one.
    #[error("unknown site `{name}`; the nearest are {nearest}")]
    UnknownSite {
        /// What was given.
        name: String,
        /// The nearest names, separated by commas.
        nearest: String,
    },
    /// A weight transformation that would change the function of this model.
    #[error(
        "{transformation} needs LayerNorm; this model has RMSNorm, which does not ignore a shift of the residual stream"
    )]
    NeedsLayerNorm {
        /// The transformation.
        transformation: &'static str,
    },
    /// A weight transformation that is not exact for this model.
    #[error("{transformation} would change what this model computes: {reason}")]
    NotExact {
        /// The transformation.
        transformation: &'static str,
        /// Why.
        reason: &'static str,
    },
}
