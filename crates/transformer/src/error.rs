use layerwise_architecture::{ConfigError, Role};
use layerwise_kernels::gemm::Precision;
use layerwise_kernels::{bf16_features, cpu_features};
use layerwise_schedule::{ScheduleError, Source, Stack};
use layerwise_weights::WeightsError;
use std::path::PathBuf;

fn of_block(block: Option<usize>) -> String {
    block.map_or(String::new(), |block| format!(" of block {block}"))
}

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
    /// A weight that is given in code is missing, or has another shape.
    #[error("weight {role:?}{}: expected an array of shape {expected:?}, found {}", of_block(*block), match found {
        Some(found) => format!("{found:?}"),
        None => "none".to_owned(),
    })]
    Weight {
        /// The part that it plays.
        role: Role,
        /// Its block, if it belongs to one.
        block: Option<usize>,
        /// The shape that the config gives.
        expected: Vec<usize>,
        /// The shape given; `None` where the weight is missing.
        found: Option<Vec<usize>>,
    },
    /// A weight is given in code that the config has no place for.
    #[error("weight {role:?}{}: expected none in a model of this config", of_block(*block))]
    NoPlace {
        /// The part that it plays.
        role: Role,
        /// Its block, if it belongs to one.
        block: Option<usize>,
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
    /// A state under an altered schedule, where one of the plain model was expected.
    #[error("expected a state of the plain schedule, found one of {found}")]
    NotPlain {
        /// Its schedule.
        found: String,
    },
    /// A state of the whole model was asked of a sequence in which tokens have stopped for good.
    #[error(
        "{stopped} tokens have stopped and left in later blocks nothing, or what they would not have left there; only what is recomputed gives a state of the whole model"
    )]
    NotWhole {
        /// The tokens that have stopped and are not recomputed.
        stopped: usize,
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
    /// A state that is cut so that the window of what comes next reaches back to what it has forgotten.
    #[error(
        "a state that has forgotten what lies before its windows cannot be cut to {found} tokens; cut it to {least} or more, or to none"
    )]
    CutBeforeWindow {
        /// Tokens asked for.
        found: usize,
        /// The fewest tokens that can be gone on from, besides none.
        least: usize,
    },
    /// States that cannot be extended in one product.
    #[error("the states belong to different models; extend them one by one")]
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
    /// An edit of values that does not fit the sequence.
    #[error(transparent)]
    Schedule(Box<ScheduleError>),
    /// An edit takes values that the run was not given.
    #[error("`{edit}` takes {what}, which this run was not given")]
    MissingValues {
        /// The edit.
        edit: String,
        /// What it takes.
        what: MissingValues,
    },
    /// Values that an edit takes have another shape.
    #[error("`{edit}`: expected values of shape {expected:?}{}, found {found:?}", or.as_ref().map_or(String::new(), |or| format!(" or {or:?}")))]
    ValuesShape {
        /// The edit.
        edit: String,
        /// The shape that fits.
        expected: Vec<usize>,
        /// Another shape that fits.
        or: Option<Vec<usize>>,
        /// The shape that they have.
        found: Vec<usize>,
    },
    /// A tensor with a value that is not finite.
    #[error(
        "tensor `{name}`: expected finite values, found {value} at index {index} in row-major order"
    )]
    TensorNotFinite {
        /// The tensor.
        name: String,
        /// The first such index.
        index: usize,
        /// The value.
        value: f32,
    },
    /// Positions counted from the end of sequences whose end is not known.
    #[error("the schedule edits values at positions counted from the end, but {reason}")]
    EndUnknown {
        /// Why the end is not known.
        reason: &'static str,
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

impl From<ScheduleError> for TransformerError {
    fn from(error: ScheduleError) -> Self {
        Self::Schedule(Box::new(error))
    }
}

/// What a run was not given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissingValues {
    /// Values of a plain run.
    Source(Source),
    /// A named tensor.
    Tensor(String),
}

impl std::fmt::Display for MissingValues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Source(Source::Mean) => f.write_str("means of a reference text"),
            Self::Source(Source::Resample) => f.write_str("values of another sequence"),
            Self::Source(Source::Donor) => f.write_str("values of a paired sequence"),
            Self::Source(_) => f.write_str("values of the plain run"),
            Self::Tensor(name) => write!(f, "a tensor `{name}`"),
        }
    }
}

impl TransformerError {
    /// Refuses a number format that the processor has no instructions for.
    pub(crate) fn check_instructions(precision: Precision) -> Result<(), Self> {
        match precision {
            Precision::Bf16 if bf16_features().is_none() => Err(Self::MissingInstructions {
                precision,
                expected: "avx512bf16",
                found: cpu_features(),
            }),
            _ => Ok(()),
        }
    }
}
