//! The header of a safetensors file: read strictly here, then validated by the safetensors crate.
//!
//! A file is eight bytes of header length (little-endian), the header (a JSON object, padded with spaces), and the
//! data of the tensors without gaps.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::de::{Error as _, IntoDeserializer};

use crate::error::{WeightsError, excerpt};
use crate::json::{Faults, utf8};
use crate::{MAX_HEADER_BYTES, MAX_NAME_BYTES, MAX_RANK};
use layerwise_files::OpenedFile;

/// Bytes of the header's length.
const LENGTH_BYTES: usize = 8;
/// The key of free-form text in a header.
const METADATA_KEY: &str = "__metadata__";

/// A validated header.
#[derive(Debug)]
pub(crate) struct Header {
    /// Offset in bytes of the data from the start of the file.
    pub(crate) data_start: usize,
    /// The tensors; their offsets count from `data_start` and lie within the file.
    pub(crate) tensors: Metadata,
}

impl Header {
    /// Reads and checks the header of `file`.
    pub(crate) fn read(file: &OpenedFile) -> Result<Self, WeightsError> {
        let path = file.path();
        let file_size = file.size_in_memory()?;
        let length = header_length(file)?;
        let mut bytes = vec![0; length];
        file.read_at(LENGTH_BYTES as u64, &mut bytes)?;
        let entries = parse(path, &bytes)?;
        drop(bytes);
        let data_start = LENGTH_BYTES + length;
        check_layout(path, &entries, file_size - data_start)?;
        let tensors = Metadata::new(None, entries).map_err(|source| WeightsError::Safetensors {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            data_start,
            tensors,
        })
    }
}

/// The header's length, checked against the file's size and the limit before anything is allocated.
fn header_length(file: &OpenedFile) -> Result<usize, WeightsError> {
    let path = file.path().to_owned();
    if file.size() == 0 {
        return Err(WeightsError::Empty {
            path,
            expected: "a safetensors file",
        });
    }
    let Some(rest) = file.size().checked_sub(LENGTH_BYTES as u64) else {
        return Err(WeightsError::TooShort {
            path,
            found: file.size(),
        });
    };
    let mut length = [0; LENGTH_BYTES];
    file.read_at(0, &mut length)?;
    let found = u64::from_le_bytes(length);
    let (limit, reason) = if rest < MAX_HEADER_BYTES {
        (rest, "the rest of the file")
    } else {
        (MAX_HEADER_BYTES, "the limit on headers")
    };
    match usize::try_from(found) {
        Ok(length) if (1..=limit).contains(&found) => Ok(length),
        _ if length
            .iter()
            .all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t')) =>
        {
            Err(WeightsError::Text {
                path,
                found: String::from_utf8_lossy(&length).into_owned(),
            })
        }
        _ => Err(WeightsError::HeaderLength {
            path,
            limit,
            reason,
            found,
        }),
    }
}

/// The tensors of a header, in the order of their data.
fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<(String, TensorInfo)>, WeightsError> {
    let frame = |place, expected, found| WeightsError::HeaderFrame {
        path: path.to_owned(),
        place,
        expected,
        found,
    };
    let unpadded = bytes.trim_ascii_end();
    match (
        bytes.first(),
        unpadded.last(),
        bytes[unpadded.len()..].iter().find(|b| **b != b' '),
    ) {
        (Some(b'{'), Some(b'}'), None) => {}
        (Some(b'{'), Some(&found), None) | (Some(b'{'), Some(_), Some(&found)) => {
            return Err(frame("last", '}', found));
        }
        (found, ..) => return Err(frame("first", '{', found.copied().unwrap_or_default())),
    }
    let text = utf8(path, "header", unpadded)?;
    let faults = Faults::new(path);
    let mut parser = serde_json::Deserializer::from_str(text);
    let tensors = parser
        .deserialize_map(HeaderVisitor(&faults))
        .and_then(|tensors| parser.end().map(|()| tensors))
        .map_err(|error| faults.into_error("header", error))?;
    let mut entries: Vec<_> = tensors.into_iter().collect();
    entries.sort_by(|(left_name, left), (right_name, right)| {
        left.data_offsets
            .cmp(&right.data_offsets)
            .then_with(|| left_name.cmp(right_name))
    });
    Ok(entries)
}

/// Checks that the tensors, in the order of their data, cover `data_size` bytes exactly.
fn check_layout(
    path: &Path,
    entries: &[(String, TensorInfo)],
    data_size: usize,
) -> Result<(), WeightsError> {
    let mut covered = 0;
    for (name, info) in entries {
        let (begin, end) = info.data_offsets;
        let (path, tensor, dtype) = (|| path.to_owned(), || name.clone(), info.dtype);
        if end < begin {
            return Err(WeightsError::OffsetsReversed {
                path: path(),
                tensor: tensor(),
                begin,
                end,
            });
        }
        let shape = || info.shape.clone();
        let Some(expected) = byte_size(info) else {
            return Err(WeightsError::ShapeSize {
                path: path(),
                tensor: tensor(),
                dtype,
                shape: shape(),
            });
        };
        if end > data_size {
            return Err(WeightsError::OffsetsOutside {
                path: path(),
                tensor: tensor(),
                limit: data_size,
                found: end,
            });
        }
        let found = end - begin;
        if found != expected {
            return Err(WeightsError::ShapeMismatch {
                path: path(),
                tensor: tensor(),
                dtype,
                shape: shape(),
                expected,
                found,
            });
        }
        if begin < covered {
            return Err(WeightsError::Overlap {
                path: path(),
                tensor: tensor(),
                expected: covered,
                found: begin,
            });
        }
        if begin > covered {
            return Err(WeightsError::Hole {
                path: path(),
                tensor: tensor(),
                expected: covered,
                found: begin,
            });
        }
        covered = end;
    }
    if covered != data_size {
        return Err(WeightsError::TrailingBytes {
            path: path.to_owned(),
            expected: covered,
            found: data_size,
        });
    }
    Ok(())
}

/// Size of a tensor in bytes, unless it overflows or is not whole (elements of 4 or 6 bits).
fn byte_size(info: &TensorInfo) -> Option<usize> {
    let elements = info
        .shape
        .iter()
        .try_fold(1_usize, |product, &dim| product.checked_mul(dim))?;
    let bits = elements.checked_mul(info.dtype.bitsize())?;
    bits.is_multiple_of(8).then_some(bits / 8)
}

/// Refuses a tensor name that is empty, too long, or has control characters.
pub(crate) fn check_name(path: &Path, name: &str) -> Result<(), WeightsError> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
        return Err(WeightsError::TensorName {
            path: path.to_owned(),
            found: excerpt(name),
        });
    }
    Ok(())
}

/// The whole header.
struct HeaderVisitor<'f, 'a>(&'f Faults<'a>);

impl<'de> Visitor<'de> for HeaderVisitor<'_, '_> {
    type Value = HashMap<String, TensorInfo>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self(faults) = self;
        let duplicate = |item, key: &str| {
            let path = faults.path().to_owned();
            faults.refuse(WeightsError::DuplicateKey {
                path,
                item,
                key: key.to_owned(),
            })
        };
        let mut tensors = HashMap::new();
        let mut has_metadata = false;
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA_KEY {
                if has_metadata {
                    return Err(duplicate("key", &name));
                }
                has_metadata = true;
                map.next_value_seed(MetadataText(faults))
                    .map_err(|e| faults.inside("metadata".to_owned(), e))?;
                continue;
            }
            check_name(faults.path(), &name).map_err(|e| faults.refuse(e))?;
            let tensor = Entity {
                faults,
                tensor: &name,
            };
            let info = map
                .next_value_seed(EntrySeed(tensor))
                .map_err(|e| faults.inside(format!("tensor {name:?}"), e))?;
            match tensors.entry(name) {
                Entry::Vacant(entry) => entry.insert(info),
                Entry::Occupied(entry) => return Err(duplicate("tensor", entry.key())),
            };
        }
        Ok(tensors)
    }
}

/// The free-form text of a header: checked but not kept, because nothing depends on it.
struct MetadataText<'f, 'a>(&'f Faults<'a>);

impl<'de> DeserializeSeed<'de> for MetadataText<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MetadataText<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self(faults) = self;
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<String>()
                .map_err(|e| faults.inside(format!("metadata key {:?}", excerpt(&key)), e))?;
            if keys.contains(&key) {
                let path = faults.path().to_owned();
                let key = excerpt(&key);
                return Err(faults.refuse(WeightsError::DuplicateKey {
                    path,
                    item: "metadata key",
                    key,
                }));
            }
            keys.insert(key);
        }
        Ok(())
    }
}

/// The tensor whose entry is being read.
#[derive(Clone, Copy)]
struct Entity<'f, 'a> {
    faults: &'f Faults<'a>,
    tensor: &'f str,
}

/// One tensor's entry: dtype, shape and data_offsets, each once and nothing else.
struct EntrySeed<'f, 'a>(Entity<'f, 'a>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum EntryKey {
    Dtype,
    Shape,
    DataOffsets,
}

impl<'de> DeserializeSeed<'de> for EntrySeed<'_, '_> {
    type Value = TensorInfo;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<TensorInfo, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EntrySeed<'_, '_> {
    type Value = TensorInfo;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with dtype, shape and data_offsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TensorInfo, A::Error> {
        let Self(entity) = self;
        let (mut dtype, mut shape, mut data_offsets) = (None, None, None);
        while let Some(key) = map.next_key()? {
            let earlier = match key {
                EntryKey::Dtype => dtype
                    .replace(map.next_value_seed(DtypeSeed(entity))?)
                    .map(|_| "dtype"),
                EntryKey::Shape => shape
                    .replace(map.next_value_seed(ShapeSeed(entity))?)
                    .map(|_| "shape"),
                EntryKey::DataOffsets => data_offsets
                    .replace(map.next_value_seed(OffsetsSeed)?)
                    .map(|_| "data_offsets"),
            };
            if let Some(key) = earlier {
                return Err(A::Error::duplicate_field(key));
            }
        }
        Ok(TensorInfo {
            dtype: dtype.ok_or_else(|| A::Error::missing_field("dtype"))?,
            shape: shape.ok_or_else(|| A::Error::missing_field("shape"))?,
            data_offsets: data_offsets.ok_or_else(|| A::Error::missing_field("data_offsets"))?,
        })
    }
}

/// An element type by its name.
struct DtypeSeed<'f, 'a>(Entity<'f, 'a>);

impl<'de> DeserializeSeed<'de> for DtypeSeed<'_, '_> {
    type Value = Dtype;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Dtype, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for DtypeSeed<'_, '_> {
    type Value = Dtype;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a dtype")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Dtype, E> {
        let Self(Entity { faults, tensor }) = self;
        let deserializer: StrDeserializer<'_, serde::de::value::Error> = name.into_deserializer();
        Dtype::deserialize(deserializer).map_err(|_| {
            faults.refuse(WeightsError::UnknownDtype {
                path: faults.path().to_owned(),
                tensor: tensor.to_owned(),
                found: excerpt(name),
            })
        })
    }
}

/// A shape of at most [`MAX_RANK`] dimensions.
struct ShapeSeed<'f, 'a>(Entity<'f, 'a>);

impl<'de> DeserializeSeed<'de> for ShapeSeed<'_, '_> {
    type Value = Vec<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<usize>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ShapeSeed<'_, '_> {
    type Value = Vec<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of dimensions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<usize>, A::Error> {
        let Self(Entity { faults, tensor }) = self;
        let mut shape = Vec::new();
        while shape.len() < MAX_RANK {
            match seq.next_element_seed(Count)? {
                Some(dim) => shape.push(dim),
                None => return Ok(shape),
            }
        }
        let mut rank = MAX_RANK;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            rank += 1;
        }
        if rank > MAX_RANK {
            return Err(faults.refuse(WeightsError::Rank {
                path: faults.path().to_owned(),
                tensor: tensor.to_owned(),
                expected: "at most 4",
                found: rank,
            }));
        }
        Ok(shape)
    }
}

/// The first byte of a tensor's data and one past the last.
struct OffsetsSeed;

impl<'de> DeserializeSeed<'de> for OffsetsSeed {
    type Value = (usize, usize);

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<(usize, usize), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for OffsetsSeed {
    type Value = (usize, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of two offsets")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(usize, usize), A::Error> {
        let begin = seq
            .next_element_seed(Count)?
            .ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let end = seq
            .next_element_seed(Count)?
            .ok_or_else(|| A::Error::invalid_length(1, &self))?;
        match seq.next_element::<IgnoredAny>()? {
            None => Ok((begin, end)),
            Some(_) => Err(A::Error::invalid_length(3, &self)),
        }
    }
}

/// A dimension or an offset.
struct Count;

impl<'de> DeserializeSeed<'de> for Count {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_u64(self)
    }
}

impl Visitor<'_> for Count {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an integer from 0 to {}", usize::MAX)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<usize, E> {
        usize::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }
}
