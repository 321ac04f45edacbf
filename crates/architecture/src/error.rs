//! What can be wrong with a config, and with the tensors beside it.

use std::path::PathBuf;

use crate::family::Family;

/// Why a `config.json`, or the tensors beside it, cannot be used.
///
/// `path` is the config file in the first group and the checkpoint folder in the second; `found` values are the
/// JSON text as written, cut to a readable length.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// `model_type` names no supported family.
    #[error(
        "{}: `model_type` is {found}{}; supported: {}",
        path.display(), reason.map(|reason| format!(" ({reason})")).unwrap_or_default(), supported.join(", ")
    )]
    UnknownFamily {
        /// The config file.
        path: PathBuf,
        /// What it holds, as JSON text.
        found: String,
        /// Why it is left out, if it is a known family.
        reason: Option<&'static str>,
        /// What it may be.
        supported: Vec<&'static str>,
    },
    /// A key that the family needs is absent.
    #[error("{}: required key `{key}` is absent", path.display())]
    MissingKey {
        /// The config file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// A value is not of the key's JSON type.
    #[error("{}: `{key}`: expected {expected}, found {found}", path.display())]
    WrongType {
        /// The config file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What it may hold.
        expected: String,
        /// What it holds, as JSON text.
        found: String,
    },
    /// A number is outside its range.
    #[error("{}: `{key}`: expected {expected}, found {found} (out of range)", path.display())]
    OutOfRange {
        /// The config file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What it may hold.
        expected: String,
        /// What it holds, as JSON text.
        found: String,
    },
    /// A text names nothing that is implemented.
    #[error("{}: `{key}` is {found}; supported: {}", path.display(), supported.join(", "))]
    UnknownName {
        /// The config file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What it holds, as JSON text.
        found: String,
        /// What it may be.
        supported: Vec<&'static str>,
    },
    /// A key asks for what is not implemented.
    #[error("{}: `{key}` asks for {meaning}, which is not implemented: expected {expected}, found {found}", path.display())]
    Unsupported {
        /// The config file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What the model would do.
        meaning: &'static str,
        /// What it may hold.
        expected: &'static str,
        /// What it holds, as JSON text.
        found: String,
    },
    /// A count does not divide another.
    #[error("{}: `{key}` = {value} is not a multiple of `{divisor_key}` = {divisor}", path.display())]
    Indivisible {
        /// The config file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value.
        value: usize,
        /// The key of the divisor.
        divisor_key: String,
        /// The value of the divisor.
        divisor: usize,
    },
    /// The rotated part of a head is empty or odd.
    #[error("{}: `{key}` = {fraction} of heads of width {head} rotates {size} dimensions; expected an even number from 2 to {head}", path.display())]
    RotarySize {
        /// The config file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The rotated part of a head.
        fraction: f64,
        /// The width of a head.
        head: usize,
        /// The dimensions that this rotates.
        size: usize,
    },
    /// Something is wrong in the config of the part that is run, inside that of the whole model.
    #[error("{error} (in `{key}`)")]
    Inside {
        /// The key of the part's config.
        key: &'static str,
        /// What is wrong with it.
        error: Box<ConfigError>,
    },
    /// Two spellings of one setting differ.
    #[error("{}: `{key}` = {value} and `{other_key}` = {other_value} disagree", path.display())]
    Disagreement {
        /// The config file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value, as JSON text.
        value: String,
        /// The other key.
        other_key: String,
        /// Its value, as JSON text.
        other_value: String,
    },

    /// Tensors that the config needs are absent.
    #[error("{}: {} tensors of a {family} model are missing: {}", path.display(), names.len(), listed(names))]
    MissingTensors {
        /// The checkpoint folder.
        path: PathBuf,
        /// The family of the config.
        family: Family,
        /// The tensors, in order.
        names: Vec<String>,
    },
    /// All names begin with what a program adds that wraps models.
    #[error(
        "{}: the names of the tensors begin with `{prefix}`, as in `{name}`, which {program} adds; save the model inside \
         it, or rename the tensors without it",
        path.display()
    )]
    WrappedNames {
        /// The checkpoint folder.
        path: PathBuf,
        /// What stands before the family's names.
        prefix: String,
        /// The program that adds the last part of it.
        program: &'static str,
        /// A tensor's name.
        name: String,
    },
    /// Tensors that no table knows, or that the config has no place for.
    #[error("{}: {} unexpected tensors for this {family} config: {}", path.display(), names.len(), listed(names))]
    UnexpectedTensors {
        /// The checkpoint folder.
        path: PathBuf,
        /// The family of the config.
        family: Family,
        /// The tensors, in order.
        names: Vec<String>,
    },
    /// Some tensors carry the family's prefix and some do not.
    #[error("{}: both `{prefixed}` and `{bare}` are present; expected all names with the prefix, or none", path.display())]
    TwoPrefixes {
        /// The checkpoint folder.
        path: PathBuf,
        /// A name with the prefix.
        prefixed: String,
        /// A name without it.
        bare: String,
    },
    /// The weights have another number of blocks than the config.
    #[error("{}: the config declares {expected} layers, the weights have {found}", path.display())]
    LayerCount {
        /// The checkpoint folder.
        path: PathBuf,
        /// Blocks of the config.
        expected: usize,
        /// One more than the highest block of the weights.
        found: usize,
    },
    /// An embedding has fewer rows than the vocabulary has ids.
    #[error("{}: tensor `{name}`: expected at least {expected} rows (the vocabulary), found {found}", path.display())]
    VocabularyRows {
        /// The checkpoint folder.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Ids of the config.
        expected: usize,
        /// Rows stored.
        found: usize,
    },
    /// A matrix is stored with its axes exchanged.
    #[error("{}: tensor `{name}` is transposed: expected shape {expected:?}, found {found:?}", path.display())]
    Transposed {
        /// The checkpoint folder.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The shape that the config gives.
        expected: Vec<usize>,
        /// The shape stored.
        found: Vec<usize>,
    },
    /// A fused query-key-value tensor has the wrong number of outputs.
    #[error("{}: fused query-key-value tensor `{name}`: expected {expected} outputs, found {found}", path.display())]
    FusedRows {
        /// The checkpoint folder.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Outputs that the heads of the config make.
        expected: usize,
        /// Outputs stored.
        found: usize,
    },
    /// A tensor has another shape than the config asks for.
    #[error("{}: tensor `{name}`: expected shape {expected:?}, found {found:?}", path.display())]
    TensorShape {
        /// The checkpoint folder.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The shape that the config gives.
        expected: Vec<usize>,
        /// The shape stored.
        found: Vec<usize>,
    },
    /// The config unties the unembedding from the embedding, but there is no unembedding.
    #[error("{}: `tie_word_embeddings` is false, but the unembedding `{name}` is absent", path.display())]
    NoUnembedding {
        /// The checkpoint folder.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
}

/// Names in as many bytes as a message may reasonably have, and how many more there are.
fn listed(names: &[String]) -> String {
    const MOST: usize = 8000;
    let mut listed = String::new();
    for (at, name) in names.iter().enumerate() {
        if listed.len() + name.len() > MOST {
            return format!("{listed} and {} more", names.len() - at);
        }
        if at > 0 {
            listed.push_str(", ");
        }
        listed.push_str(name);
    }
    listed
}
