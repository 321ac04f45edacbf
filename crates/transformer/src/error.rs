use layerwise_architecture::{ConfigError, Role};
use layerwise_kernels::gemm::Precision;
use layerwise_kernels::{bf16_features, cpu_features};
use layerwise_schedule::{ScheduleError, Source, Stack};
use layerwise_weights::WeightsError;
use std::path::PathBuf;

fn of_block(block: Option<usize>) -> String {
    block.map_or(String::new(), |block| format!(" of block {block}"))
}

/// Why a model cannot be built or run.
///
/// Once a model is built, running it fails only with the variants about sequences, schedules and sites.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransformerError {
    /// The checkpoint's files cannot be read or are malformed.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// `config.json`, or the tensors that it promises, are refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The config says that the unembedding is the token embedding, but the file holds a different matrix.
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
    /// A weight given in code is missing or has another shape.
    #[error("weight {role:?}{}: expected an array of shape {expected:?}, found {}", of_block(*block), match found {
        Some(found) => format!("{found:?}"),
        None => "none".to_owned(),
    })]
    Weight {
        /// The weight's role.
        role: Role,
        /// Its block, if it belongs to one.
        block: Option<usize>,
        /// The shape that the config gives.
        expected: Vec<usize>,
        /// The shape given; `None` if the weight is missing.
        found: Option<Vec<usize>>,
    },
    /// The config has no place for a weight given in code.
    #[error("weight {role:?}{}: expected none in a model of this config", of_block(*block))]
    NoPlace {
        /// The weight's role.
        role: Role,
        /// Its block, if it belongs to one.
        block: Option<usize>,
    },
    /// The CPU lacks the instructions that make products in a number format fast.
    #[error(
        "precision {}: expected a CPU with the instructions {expected}, found {found}; use f32",
        precision.name()
    )]
    MissingInstructions {
        /// The requested number format.
        precision: Precision,
        /// The instructions it needs.
        expected: &'static str,
        /// The instructions on which this CPU computes products in f32.
        found: &'static str,
    },
    /// A sequence without tokens.
    #[error("the sequence is empty; expected at least one token")]
    EmptySequence,
    /// A sequence is longer than the model's context.
    #[error("the sequence has {found} tokens; expected at most {context}, the model's context")]
    SequenceTooLong {
        /// Tokens in the sequence.
        found: usize,
        /// The model's context.
        context: usize,
    },
    /// A state under an altered schedule was given, but the plain schedule is required.
    #[error("expected a state of the plain schedule, found one of {found}")]
    NotPlain {
        /// The state's schedule.
        found: String,
    },
    /// A state of the whole model was requested, but tokens of the sequence have stopped early for good.
    #[error(
        "{stopped} tokens stopped early, so later blocks lack their exact keys and values; use Missing::Recompute to get a state of the whole model"
    )]
    NotWhole {
        /// The number of tokens that have stopped and are not recomputed.
        stopped: usize,
    },
    /// A state has no room for so many tokens.
    #[error(
        "the sequence would have {found} tokens; its state was made for at most {capacity}; make it larger"
    )]
    StateFull {
        /// The number of tokens that it would hold.
        found: usize,
        /// The number of tokens that it can hold.
        capacity: usize,
    },
    /// A state cannot be cut to more tokens than it has.
    #[error("a state of {len} tokens cannot be cut to {found}")]
    CutBeyondEnd {
        /// The number of tokens asked for.
        found: usize,
        /// The number of tokens that it holds.
        len: usize,
    },
    /// A state cannot be cut so far back that the next token's window reaches positions that it has dropped.
    #[error(
        "the state no longer holds the keys before its attention windows, so it cannot be cut to {found} tokens; cut it to {least} or more, or to none"
    )]
    CutBeforeWindow {
        /// The number of tokens asked for.
        found: usize,
        /// The smallest number of tokens, besides none, that the state can continue from.
        least: usize,
    },
    /// States cannot be extended in one product.
    #[error("the states belong to different models; extend them one by one")]
    StatesDiffer,
    /// A batch mixes short and long sequences, but the model's rotary frequencies depend on the length.
    #[error(
        "sequences of {short} and of {long} tokens cannot share a run: this model uses other rotary frequencies beyond {limit} tokens; run them separately"
    )]
    MixedLengths {
        /// The length of the shortest sequence, in tokens.
        short: usize,
        /// The length of the longest sequence, in tokens.
        long: usize,
        /// The longest sequence that uses the frequencies of short ones, in tokens.
        limit: usize,
    },
    /// A token id is outside the vocabulary.
    #[error("token {token} at position {position}; expected an id below {vocab}")]
    TokenOutOfRange {
        /// The id.
        token: u32,
        /// Its index in the sequence.
        position: usize,
        /// The model's vocabulary.
        vocab: usize,
    },
    /// The schedule was made for another model.
    #[error(
        "the schedule is for {found:?}, but the model is {expected:?}; make the schedule for the model's stack"
    )]
    ScheduleMismatch {
        /// The schedule's stack.
        found: Stack,
        /// The model's stack.
        expected: Stack,
    },
    /// The model's blocks lack the site.
    #[error("site `{site}` does not exist in this model: {reason}")]
    NoSuchSite {
        /// The site.
        site: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// An edit of values does not fit the sequence.
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
    /// Values that an edit takes have the wrong shape.
    #[error("`{edit}`: expected values of shape {expected:?}{}, found {found:?}", or.as_ref().map_or(String::new(), |or| format!(" or {or:?}")))]
    ValuesShape {
        /// The edit.
        edit: String,
        /// The shape that fits.
        expected: Vec<usize>,
        /// Another accepted shape, if any.
        or: Option<Vec<usize>>,
        /// The shape that they have.
        found: Vec<usize>,
    },
    /// A tensor holds a value that is not finite.
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
    /// A schedule counts positions from the end of sequences whose end is unknown.
    #[error("the schedule edits values at positions counted from the end, but {reason}")]
    EndUnknown {
        /// Why the end is unknown.
        reason: &'static str,
    },
    /// A weight transformation would change the function of this model.
    #[error(
        "{transformation} needs LayerNorm; this model has RMSNorm, whose output changes when the residual stream is shifted"
    )]
    NeedsLayerNorm {
        /// The transformation.
        transformation: &'static str,
    },
    /// A weight transformation is not exact for this model.
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

/// Values that a run was not given.
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
    /// Refuses a number format for which the CPU lacks instructions.
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
