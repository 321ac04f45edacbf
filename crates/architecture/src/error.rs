//! Why a config, or the tensors of its checkpoint, are refused.

use std::path::PathBuf;

use crate::family::Family;

/// Why a `config.json`, or the tensors of its checkpoint, cannot be used.
///
/// In the first group of variants `path` is the config file, in the second the checkpoint folder. `found` values are the JSON
/// text as written, cut to a readable length.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// `model_type` is not a supported family.
    #[error(
        "{}: `model_type` is {found}{}; supported: {}",
        path.display(), reason.map(|reason| format!(" ({reason})")).unwrap_or_default(), supported.join(", ")
    )]
    UnknownFamily {
        /// The config file.
        path: PathBuf,
        /// The value found, as JSON text.
        found: String,
        /// Why it is not supported, if it is a known family.
        reason: Option<&'static str>,
        /// The supported values.
        supported: Vec<&'static str>,
    },
    /// A required key is missing.
    #[error("{}: required key `{key}` is missing", path.display())]
    MissingKey {
        /// The config file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// A value has the wrong JSON type.
    #[error("{}: `{key}`: expected {expected}, found {found}", path.display())]
    WrongType {
        /// The config file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The accepted values.
        expected: String,
        /// The value found, as JSON text.
        found: String,
    },
    /// A number is outside its range.
    #[error("{}: `{key}`: expected {expected}, found {found} (out of range)", path.display())]
    OutOfRange {
        /// The config file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The accepted values.
        expected: String,
        /// The value found, as JSON text.
        found: String,
    },
    /// A name is unknown or not implemented.
    #[error("{}: `{key}` is {found}; supported: {}", path.display(), supported.join(", "))]
    UnknownName {
        /// The config file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The value found, as JSON text.
        found: String,
        /// The supported values.
        supported: Vec<&'static str>,
    },
    /// A key asks for a feature that is not implemented.
    #[error("{}: `{key}` asks for {meaning}, which is not implemented: expected {expected}, found {found}", path.display())]
    Unsupported {
        /// The config file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The feature.
        meaning: &'static str,
        /// The accepted values.
        expected: &'static str,
        /// The value found, as JSON text.
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
    /// The rotated part of a head is wider than the head, or has an odd number of dimensions.
    #[error("{}: `{key}` = {value} rotates {size} dimensions of heads of width {head}; expected an even number of at most {head}", path.display())]
    RotarySize {
        /// The config file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value: a part of each head, or a number of dimensions.
        value: f64,
        /// The width of a head.
        head: usize,
        /// The number of dimensions that this rotates.
        size: usize,
    },
    /// An error in the config of the part that runs, inside the config of the whole model.
    #[error("{error} (in `{key}`)")]
    Inside {
        /// The key of the part's config.
        key: &'static str,
        /// The error.
        error: Box<ConfigError>,
    },
    /// Two spellings of one setting have different values.
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

    /// Tensors that the config needs are missing.
    #[error("{}: {} tensors of a {family} model are missing: {}", path.display(), names.len(), listed(names))]
    MissingTensors {
        /// The checkpoint folder.
        path: PathBuf,
        /// The family of the config.
        family: Family,
        /// The tensors, in order.
        names: Vec<String>,
    },
    /// All names begin with a prefix that a program adds to a wrapped model.
    #[error(
        "{}: the names of the tensors begin with `{prefix}`, as in `{name}`, which {program} adds; save the model inside \
         it, or rename the tensors without it",
        path.display()
    )]
    WrappedNames {
        /// The checkpoint folder.
        path: PathBuf,
        /// The prefix before the family's names.
        prefix: String,
        /// The program that adds the last part of the prefix.
        program: &'static str,
        /// The name of a tensor.
        name: String,
    },
    /// Tensors are unknown to the family's table, or have no place in this config.
    #[error("{}: {} unexpected tensors for this {family} config: {}", path.display(), names.len(), listed(names))]
    UnexpectedTensors {
        /// The checkpoint folder.
        path: PathBuf,
        /// The family of the config.
        family: Family,
        /// The tensors, in order.
        names: Vec<String>,
    },
    /// Some tensors have the family's prefix and some do not.
    #[error("{}: both `{prefixed}` and `{bare}` are present; expected all names with the prefix, or none", path.display())]
    TwoPrefixes {
        /// The checkpoint folder.
        path: PathBuf,
        /// A name with the prefix.
        prefixed: String,
        /// A name without it.
        bare: String,
    },
    /// The numbers of blocks of the config and the weights differ.
    #[error("{}: the config declares {expected} layers, the weights have {found}", path.display())]
    LayerCount {
        /// The checkpoint folder.
        path: PathBuf,
        /// The number of blocks in the config.
        expected: usize,
        /// One more than the highest block index in the weights.
        found: usize,
    },
    /// An embedding has fewer rows than the vocabulary has tokens.
    #[error("{}: tensor `{name}`: expected at least {expected} rows (the vocabulary), found {found}", path.display())]
    VocabularyRows {
        /// The checkpoint folder.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The size of the vocabulary in the config.
        expected: usize,
        /// The number of stored rows.
        found: usize,
    },
    /// A matrix is stored with its axes exchanged.
    #[error("{}: tensor `{name}` is transposed: expected shape {expected:?}, found {found:?}", path.display())]
    Transposed {
        /// The checkpoint folder.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The shape that the config requires.
        expected: Vec<usize>,
        /// The stored shape.
        found: Vec<usize>,
    },
    /// A fused query-key-value tensor has the wrong number of outputs.
    #[error("{}: fused query-key-value tensor `{name}`: expected {expected} outputs, found {found}", path.display())]
    FusedRows {
        /// The checkpoint folder.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The number of outputs that the config's heads require.
        expected: usize,
        /// The number of stored outputs.
        found: usize,
    },
    /// The shape of a tensor does not fit the config.
    #[error("{}: tensor `{name}`: expected shape {expected:?}, found {found:?}", path.display())]
    TensorShape {
        /// The checkpoint folder.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// The shape that the config requires.
        expected: Vec<usize>,
        /// The stored shape.
        found: Vec<usize>,
    },
    /// The config says that the unembedding is not tied, but there is no unembedding.
    #[error("{}: `tie_word_embeddings` is false, but the unembedding `{name}` is missing", path.display())]
    NoUnembedding {
        /// The checkpoint folder.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
}

/// As many names as a message can hold, and the number of the others.
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
