//! Why a checkpoint folder is refused.

use std::fmt;
use std::path::PathBuf;

use layerwise_files::FileError;
use safetensors::{Dtype, SafeTensorError};

/// Why a checkpoint folder cannot be used.
///
/// Messages quote and escape names that come from a file, and cut long ones.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The folder, or a file of it, cannot be opened or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The folder holds weights only in a pickle or another foreign format.
    #[error(
        "{folder}: expected model.safetensors or model.safetensors.index.json, found {found:?}; \
         convert it to safetensors, the only format of weights that is opened"
    )]
    NeedsConversion {
        /// The checkpoint folder.
        folder: PathBuf,
        /// The first such file, by name.
        found: String,
    },
    /// The folder holds an adapter without its model.
    #[error(
        "{folder}: expected model.safetensors or model.safetensors.index.json, found the adapter {found:?}; \
         merge it into its model, and save the whole model"
    )]
    Adapter {
        /// The checkpoint folder.
        folder: PathBuf,
        /// The file of the adapter.
        found: String,
    },
    /// The folder holds safetensors files, but their names do not say that they are the model.
    #[error(
        "{folder}: expected model.safetensors or model.safetensors.index.json, found {found}; \
         if it holds the whole model, rename it to model.safetensors"
    )]
    OtherName {
        /// The checkpoint folder.
        folder: PathBuf,
        /// The safetensors files, quoted, at most three of them.
        found: String,
    },
    /// The folder is not a checkpoint folder, but holds some.
    #[error(
        "{folder}: expected config.json, found it in the folder {found:?} instead; name that folder"
    )]
    Nested {
        /// The folder.
        folder: PathBuf,
        /// The subfolder that is a checkpoint folder, last by name.
        found: String,
    },
    /// The head of a file of packed weights is damaged.
    #[error("{path}: expected packed weights, found a damaged head")]
    PackHead {
        /// The file.
        path: PathBuf,
    },
    /// A file of packed weights belongs to another model or format.
    #[error("{path}: expected packed weights of {expected}, found those of {found:?}")]
    PackOther {
        /// The file.
        path: PathBuf,
        /// The hash of the inputs that the weights should depend on.
        expected: String,
        /// The hash in the file.
        found: String,
    },
    /// A file of packed weights is longer or shorter than its parts.
    #[error("{path}: expected packed weights of {expected} bytes, found {found}")]
    PackLength {
        /// The file.
        path: PathBuf,
        /// Where the last part ends, in bytes.
        expected: u64,
        /// The file's size in bytes.
        found: u64,
    },
    /// A part of a file of packed weights is damaged.
    #[error("{path}: expected the checksum {expected:08x} of part {part}, found {found:08x}")]
    PackSum {
        /// The file.
        path: PathBuf,
        /// Index of the part.
        part: usize,
        /// The checksum in the file's head.
        expected: u32,
        /// The checksum of the part's bytes.
        found: u32,
    },
    /// A file of packed weights does not hold the model's matrices.
    #[error("{path}: part {part} of the packed weights is not the model's matrix")]
    PackShape {
        /// The file.
        path: PathBuf,
        /// Index of the first part that is not as expected.
        part: usize,
    },
    /// A file has no bytes.
    #[error("{path}: expected {expected}, found an empty file")]
    Empty {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// A safetensors file is too short to hold its header's length.
    #[error("{path}: expected at least 8 bytes for the header's length, found {found}")]
    TooShort {
        /// The file.
        path: PathBuf,
        /// The file's size in bytes.
        found: u64,
    },
    /// A file begins with text, such as a page in the place of a download.
    #[error(
        "{path}: expected a safetensors file, found text that begins with {found:?}; \
         if a page was saved in its place, download the file itself"
    )]
    Text {
        /// The file.
        path: PathBuf,
        /// Its first bytes, where the header's length should be.
        found: String,
    },
    /// The header's length does not fit the file or the limit.
    #[error("{path}: header length: expected 1 to {limit} bytes ({reason}), found {found}")]
    HeaderLength {
        /// The file.
        path: PathBuf,
        /// The largest length accepted here, in bytes.
        limit: u64,
        /// Where the limit comes from.
        reason: &'static str,
        /// The length declared, in bytes.
        found: u64,
    },
    /// The header is not a JSON object followed by nothing but spaces.
    #[error("{path}: header: expected {expected:?} as its {place} byte, found {:?}", char::from(*.found))]
    HeaderFrame {
        /// The file.
        path: PathBuf,
        /// Which byte: `first`, or `last` (before the padding of spaces).
        place: &'static str,
        /// The byte expected.
        expected: char,
        /// The byte found.
        found: u8,
    },
    /// Text is not UTF-8.
    #[error("{path}: {item}: expected UTF-8, but the byte at offset {offset} of it is not")]
    Utf8 {
        /// The file.
        path: PathBuf,
        /// The part of the file.
        item: String,
        /// Offset in bytes of the first wrong byte from the start of the item.
        offset: usize,
    },
    /// JSON does not parse, or a value is of the wrong kind.
    #[error("{path}: {item}: {reason}")]
    Json {
        /// The file.
        path: PathBuf,
        /// The part of the file.
        item: String,
        /// The parser's reason: what it expected and found, and where.
        reason: String,
    },
    /// A key occurs twice in one JSON object.
    #[error("{path}: {item} {key:?}: expected once, found twice")]
    DuplicateKey {
        /// The file.
        path: PathBuf,
        /// What the key stands for.
        item: &'static str,
        /// The key.
        key: String,
    },
    /// A tensor name is empty, too long, or has control characters.
    #[error(
        "{path}: tensor name: expected 1 to 512 bytes without control characters, found {found:?}"
    )]
    TensorName {
        /// The file.
        path: PathBuf,
        /// The name, cut if long.
        found: String,
    },
    /// The format has no such element type.
    #[error(
        "{path}: tensor {tensor:?}: dtype: expected one of the format's (F32, F16, BF16 …), found {found:?}"
    )]
    UnknownDtype {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The dtype found.
        found: String,
    },
    /// A tensor has a rank that cannot be used here.
    #[error("{path}: tensor {tensor:?}: rank: expected {expected}, found {found}")]
    Rank {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The rank or ranks accepted.
        expected: &'static str,
        /// The rank found.
        found: usize,
    },
    /// A tensor's shape has more elements than can be counted.
    #[error(
        "{path}: tensor {tensor:?}: expected a size in whole bytes below 2^64, found {dtype} {shape:?}"
    )]
    ShapeSize {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The element type.
        dtype: Dtype,
        /// The shape.
        shape: Vec<usize>,
    },
    /// A tensor's data ends before it begins.
    #[error(
        "{path}: tensor {tensor:?}: data_offsets: expected begin <= end, found [{begin}, {end}]"
    )]
    OffsetsReversed {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// First byte, from the start of the data.
        begin: usize,
        /// One past the last byte.
        end: usize,
    },
    /// A tensor's data reaches past the end of the file.
    #[error(
        "{path}: tensor {tensor:?}: data_offsets: expected an end of at most {limit} (the bytes of data in the file), found {found}"
    )]
    OffsetsOutside {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Bytes of data in the file.
        limit: usize,
        /// One past the tensor's last byte.
        found: usize,
    },
    /// A tensor's offsets do not fit its shape and dtype.
    #[error(
        "{path}: tensor {tensor:?}: expected {expected} bytes for {dtype} {shape:?}, found data_offsets that span {found}"
    )]
    ShapeMismatch {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The element type.
        dtype: Dtype,
        /// The shape.
        shape: Vec<usize>,
        /// Bytes that shape and dtype need.
        expected: usize,
        /// Bytes that the offsets span.
        found: usize,
    },
    /// Two tensors share bytes.
    #[error(
        "{path}: tensor {tensor:?} overlaps the one before it: expected it to begin at byte {expected}, found {found}"
    )]
    Overlap {
        /// The file.
        path: PathBuf,
        /// The second tensor's name.
        tensor: String,
        /// Where the one before it ends.
        expected: usize,
        /// Where it begins.
        found: usize,
    },
    /// Bytes between two tensors belong to no tensor.
    #[error(
        "{path}: a hole lies before tensor {tensor:?}: expected it to begin at byte {expected}, found {found}"
    )]
    Hole {
        /// The file.
        path: PathBuf,
        /// The tensor after the hole.
        tensor: String,
        /// Where the data before it ends.
        expected: usize,
        /// Where it begins.
        found: usize,
    },
    /// Bytes after the last tensor belong to no tensor.
    #[error(
        "{path}: expected {expected} bytes of data (the end of the last tensor), found {found}"
    )]
    TrailingBytes {
        /// The file.
        path: PathBuf,
        /// Where the last tensor ends.
        expected: usize,
        /// Bytes of data in the file.
        found: usize,
    },
    /// The safetensors crate refused a header that passed the checks here.
    #[error("{path}: header: {source}")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// The crate's reason.
        source: SafeTensorError,
    },
    /// The checkpoint has no tensor of this name.
    #[error("{folder}: expected a tensor {tensor:?}, found none")]
    NoSuchTensor {
        /// The checkpoint folder.
        folder: PathBuf,
        /// The name asked for.
        tensor: String,
    },
    /// A weight has an element type that weights cannot have.
    #[error(
        "{path}: tensor {tensor:?}: dtype: expected F32, F16 or BF16 for a weight, found {found}"
    )]
    UnsupportedDtype {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The dtype found.
        found: Dtype,
    },
    /// A tensor of a named file has another element type than the requested one.
    #[error("{path}: tensor {tensor:?}: expected {expected}, found {found}")]
    OtherDtype {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The requested type.
        expected: Dtype,
        /// Its type.
        found: Dtype,
    },
    /// A tensor has a dimension of length zero.
    #[error("{path}: tensor {tensor:?}: shape: expected dimensions of at least 1, found {shape:?}")]
    ZeroSize {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The shape found.
        shape: Vec<usize>,
    },
    /// A weight holds NaN or an infinity.
    #[error("{path}: tensor {tensor:?}: expected finite values, found {found} first at {index:?}")]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Index of the first such element, one number for each dimension.
        index: Vec<usize>,
        /// Its value.
        found: f32,
    },
    /// The memory for a tensor cannot be allocated.
    #[error("{path}: tensor {tensor:?}: cannot allocate {bytes} bytes")]
    OutOfMemory {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// Bytes needed as `f32`.
        bytes: usize,
    },
    /// The index names a shard by something other than a plain file name.
    #[error(
        "{path}: weight_map of tensor {tensor:?}: expected a plain file name ending in .safetensors \
         (no separator, drive, URL or control character), found {found:?}"
    )]
    ShardName {
        /// The index.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The shard's name, cut if long.
        found: String,
    },
    /// Two shard names differ only in case, and are one file on some systems.
    #[error("{path}: shards {first:?} and {second:?} differ only in case, expected distinct names")]
    NameClash {
        /// The index.
        path: PathBuf,
        /// One name.
        first: String,
        /// The other.
        second: String,
    },
    /// The index lists a tensor that its shard lacks.
    #[error(
        "{path}: expected tensor {tensor:?}, which the index assigns to this shard, found no such tensor"
    )]
    TensorNotInShard {
        /// The shard.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
    },
    /// A shard holds a tensor that the index does not assign to it.
    #[error("{path}: found tensor {tensor:?}, which the index expects in {}", AssignedTo(.assigned.as_deref()))]
    TensorElsewhere {
        /// The shard.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
        /// The shard the index names, if any.
        assigned: Option<String>,
    },
    /// Two shards hold a tensor of one name.
    #[error("{second}: tensor {tensor:?}: expected in one shard, found in {first} too")]
    TensorTwice {
        /// The tensor's name.
        tensor: String,
        /// The first shard.
        first: PathBuf,
        /// The second shard.
        second: PathBuf,
    },
    /// The index declares a size that differs from the size of its shards.
    #[error(
        "{path}: total_size: expected {expected} bytes, the sum over the tensors (or that over the files), found {found}"
    )]
    TotalSize {
        /// The index.
        path: PathBuf,
        /// Sum of the tensors' sizes in bytes.
        expected: u64,
        /// The size declared.
        found: u64,
    },
    /// The folder holds a single file and an index, and they differ.
    #[error(
        "{folder}: tensor {tensor:?} is {single} in model.safetensors and {sharded} in the shards; expected the same in both, or only one of the two"
    )]
    TwoSources {
        /// The checkpoint folder.
        folder: PathBuf,
        /// The first tensor that differs, by name.
        tensor: String,
        /// Its dtype and shape in the single file, or `absent`.
        single: String,
        /// Its dtype and shape in the shards, or `absent`.
        sharded: String,
    },
}

impl WeightsError {
    /// Whether a file of packed weights is damaged or of something else, rather than unreadable.
    pub fn is_of_packs(&self) -> bool {
        matches!(
            self,
            Self::PackHead { .. }
                | Self::PackOther { .. }
                | Self::PackLength { .. }
                | Self::PackSum { .. }
                | Self::PackShape { .. }
        )
    }
}

/// Something about a checkpoint that is valid but probably a mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// Every value of a `…weight` tensor (a norm's weight, an embedding, a matrix) is zero.
    #[error("{path}: tensor {tensor:?}: every value is zero")]
    AllZero {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        tensor: String,
    },
}

/// Text from a file, cut to a length that fits into a message.
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 160;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

struct AssignedTo<'a>(Option<&'a str>);

impl fmt::Display for AssignedTo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(shard) => write!(f, "{shard:?}"),
            None => f.write_str("no shard"),
        }
    }
}
