//! `model.safetensors.index.json`: the shard of each tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::MAX_INDEX_BYTES;
use crate::error::{WeightsError, excerpt};
use crate::header::check_name;
use crate::json::{read_object, unexpected};
use crate::shard::Shard;
use layerwise_files::{Folder, OpenedFile};

/// Name of the index in a checkpoint folder.
pub(crate) const INDEX_NAME: &str = "model.safetensors.index.json";

/// A validated index; the shards themselves are not yet checked.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) file: OpenedFile,
    /// Tensor name to shard name.
    weight_map: BTreeMap<String, String>,
    /// Declared sum of the tensors' sizes, in bytes.
    total_size: Option<u64>,
}

impl Index {
    pub(crate) fn read(folder: &Folder) -> Result<Self, WeightsError> {
        let file = folder.file(INDEX_NAME, "the index of the shards")?;
        let path = file.path();
        let mut object = read_object(&file, "index", MAX_INDEX_BYTES)?;
        let total_size = object
            .get("metadata")
            .and_then(|metadata| metadata.get("total_size"))
            .map(|size| {
                byte_count(size)
                    .ok_or_else(|| unexpected(path, "total_size", "a number of bytes", size))
            })
            .transpose()?;
        let entries = match object.remove("weight_map") {
            Some(Value::Object(entries)) => entries,
            Some(other) => return Err(unexpected(path, "weight_map", "an object", &other)),
            None => {
                return Err(WeightsError::Json {
                    path: path.to_owned(),
                    item: "weight_map".to_owned(),
                    reason: "expected an object, found no such key".to_owned(),
                });
            }
        };
        let mut weight_map = BTreeMap::new();
        for (tensor, shard) in entries {
            check_name(path, &tensor)?;
            let Value::String(shard) = shard else {
                let item = format!("weight_map of tensor {tensor:?}");
                return Err(unexpected(path, &item, "the name of a shard", &shard));
            };
            if !is_shard_name(&shard) {
                return Err(WeightsError::ShardName {
                    path: path.to_owned(),
                    tensor,
                    found: excerpt(&shard),
                });
            }
            weight_map.insert(tensor, shard);
        }
        let index = Self {
            weight_map,
            total_size,
            file,
        };
        index.refuse_name_clash()?;
        Ok(index)
    }

    /// Names of the shards, sorted.
    pub(crate) fn shards(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }

    /// Checks that the shards hold the tensors that the index assigns to them; `owners` gives each tensor's position in `shards`.
    pub(crate) fn check(
        &self,
        shards: &[Shard],
        owners: &BTreeMap<String, usize>,
    ) -> Result<(), WeightsError> {
        for (tensor, &owner) in owners {
            let path = shards[owner].file.path();
            let assigned = self.weight_map.get(tensor);
            if assigned.is_none_or(|assigned| self.path_of(assigned) != path) {
                return Err(WeightsError::TensorElsewhere {
                    path: path.to_owned(),
                    tensor: tensor.clone(),
                    assigned: assigned.cloned(),
                });
            }
        }
        if let Some((tensor, shard)) = self
            .weight_map
            .iter()
            .find(|(tensor, _)| !owners.contains_key(*tensor))
        {
            return Err(WeightsError::TensorNotInShard {
                path: self.path_of(shard),
                tensor: tensor.clone(),
            });
        }
        let expected = shards.iter().map(Shard::data_bytes).sum();
        // Some programs sum the sizes of whole files, headers included.
        let files: u64 = shards.iter().map(|shard| shard.file.size()).sum();
        match self.total_size {
            Some(found) if found != expected && found != files => Err(WeightsError::TotalSize {
                path: self.file.path().to_owned(),
                expected,
                found,
            }),
            _ => Ok(()),
        }
    }

    fn path_of(&self, shard: &str) -> std::path::PathBuf {
        self.file.path().with_file_name(shard)
    }

    fn refuse_name_clash(&self) -> Result<(), WeightsError> {
        let mut by_lower_case = BTreeMap::new();
        for shard in self.shards() {
            if let Some(first) = by_lower_case.insert(shard.to_lowercase(), shard) {
                return Err(WeightsError::NameClash {
                    path: self.file.path().to_owned(),
                    first: first.to_owned(),
                    second: shard.to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// A whole number of bytes; some indices write it as a float or as text.
fn byte_count(value: &Value) -> Option<u64> {
    /// Floats up to 2^53 are exact integers.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let digits = value.as_str().and_then(|text| text.parse().ok());
    value.as_u64().or(digits).or_else(|| {
        let float = value.as_f64()?;
        (float.fract() == 0.0 && (0.0..=EXACT).contains(&float)).then_some(float as u64)
    })
}

/// Whether `name` is one plain file name on every system, ending in `.safetensors`.
fn is_shard_name(name: &str) -> bool {
    let ends_right = Path::new(name)
        .extension()
        .is_some_and(|ending| ending == "safetensors");
    ends_right
        && name.len() <= 255
        && !name.contains(|c: char| c.is_control() || matches!(c, '/' | '\\' | ':'))
}
