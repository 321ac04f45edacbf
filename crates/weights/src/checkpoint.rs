//! A whole checkpoint: its config and its tensors by name.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use safetensors::Dtype;
use serde_json::{Map, Value};

use crate::MAX_CONFIG_BYTES;
use crate::error::{Warning, WeightsError};
use crate::index::{INDEX_NAME, Index};
use crate::json::read_object;
use crate::mapping::StableFiles;
use crate::shard::Shard;
use crate::tensor::Tensor;
use layerwise_files::{FileError, Folder, Links, OpenedFile};

/// Name of the config in a checkpoint folder.
const CONFIG_NAME: &str = "config.json";
/// Name of the only file of weights in a checkpoint folder without an index.
const SINGLE_NAME: &str = "model.safetensors";

/// Name of the first of one shards; some programs write such a shard without an index.
const ONLY_SHARD_NAME: &str = "model-00001-of-00001.safetensors";
/// Endings of weight files that are not safetensors.
const FOREIGN_ENDINGS: [&str; 8] = ["bin", "ckpt", "gguf", "h5", "msgpack", "onnx", "pt", "pth"];
/// End of the name of an index of such files.
const FOREIGN_INDEX: &str = ".bin.index.json";
/// The folder of a model's snapshots in a hub cache.
const SNAPSHOTS: &str = "snapshots";
/// Beginning of the name of an adapter's weights.
const ADAPTER: &str = "adapter_model.";

/// How to open a checkpoint folder.
///
/// ```
/// use layerwise_weights::{Links, OpenOptions};
///
/// let options = OpenOptions::new().links(Links::Follow);
/// assert!(options.open("no/such/folder".as_ref()).is_err());
/// ```
#[derive(Debug, Clone)]
pub struct OpenOptions {
    map: Option<StableFiles>,
    links: Links,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            map: None,
            links: Links::Refuse,
        }
    }
}

/// The config of a checkpoint folder, as [`OpenOptions::open`] reads it.
///
/// # Errors
/// The file is missing or is no JSON object, or a key stands in it twice.
pub fn config(folder: &Folder) -> Result<Map<String, Value>, WeightsError> {
    Ok(read_config(folder)?.1)
}

fn read_config(folder: &Folder) -> Result<(OpenedFile, Map<String, Value>), WeightsError> {
    let file = folder.file(CONFIG_NAME, "the config of the model")?;
    let config = read_object(&file, "config", MAX_CONFIG_BYTES)?;
    Ok((file, config))
}

impl OpenOptions {
    /// Reads each tensor when it is requested, and refuses links that lead out of the folder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Maps files of weights into memory, on the caller's promise that they do not change. With `None`, the default, each tensor
    /// is read when it is requested.
    ///
    /// A mapping saves copying tensors that are used as they are stored: those in f32 that are not packed.
    pub fn map(mut self, stable: Option<StableFiles>) -> Self {
        self.map = stable;
        self
    }

    /// Sets what happens at a link that leads neither to a file of the folder nor to a blob of the same hub cache.
    pub fn links(mut self, links: Links) -> Self {
        self.links = links;
        self
    }

    /// Opens the folder alone, for files that are not part of the model, such as its tokenizer.
    ///
    /// # Errors
    ///
    /// Those of [`Folder::open`].
    pub fn folder(&self, folder: &Path) -> Result<Folder, FileError> {
        Folder::open(folder, self.links)
    }

    /// Opens and validates a checkpoint folder.
    ///
    /// # Errors
    ///
    /// Any [`WeightsError`] that can be detected without reading the tensors' values.
    pub fn open(&self, folder: &Path) -> Result<Checkpoint, WeightsError> {
        let folder = self.folder(folder)?;
        if !folder.has(CONFIG_NAME)? {
            if let Some(error) = lone_adapter(&folder, &folder.names()?) {
                return Err(error);
            }
            if let Some(found) = nested(&folder)? {
                return Err(WeightsError::Nested {
                    folder: folder.path().to_owned(),
                    found,
                });
            }
        }
        let (config_file, config) = read_config(&folder)?;
        let weights = match (folder.has(SINGLE_NAME)?, folder.has(INDEX_NAME)?) {
            (false, false) if folder.has(ONLY_SHARD_NAME)? => {
                self.single(&folder, ONLY_SHARD_NAME)?
            }
            (false, false) => return Err(no_weights(&folder)),
            (true, false) => self.single(&folder, SINGLE_NAME)?,
            (false, true) => self.sharded(&folder, Index::read(&folder)?)?,
            (true, true) => {
                let index = Index::read(&folder)?;
                let is_shard = index.shards().contains(SINGLE_NAME);
                let sharded = self.sharded(&folder, index)?;
                if is_shard {
                    sharded
                } else {
                    let single = self.single(&folder, SINGLE_NAME)?;
                    refuse_difference(&folder, &single, &sharded)?;
                    single
                }
            }
        };
        Ok(Checkpoint {
            folder,
            config,
            config_file,
            weights,
            warnings: Mutex::default(),
        })
    }

    fn single(&self, folder: &Folder, name: &str) -> Result<Weights, WeightsError> {
        let file = folder.file(name, "the weights")?;
        Weights::new(None, vec![Shard::open(file, self.map)?])
    }

    fn sharded(&self, folder: &Folder, index: Index) -> Result<Weights, WeightsError> {
        let shards = index
            .shards()
            .into_iter()
            .map(|name| Shard::open(folder.file(name, "a shard that the index names")?, self.map))
            .collect::<Result<_, _>>()?;
        let weights = Weights::new(Some(&index), shards)?;
        Ok(Weights {
            index_file: Some(index.file),
            ..weights
        })
    }
}

/// The error for a folder that holds neither `model.safetensors` nor an index.
fn no_weights(folder: &Folder) -> WeightsError {
    let names = match folder.names() {
        Ok(names) => names,
        Err(error) => return error.into(),
    };
    let ending = |name: &String| {
        let ending = Path::new(name).extension().and_then(OsStr::to_str);
        ending.unwrap_or_default().to_ascii_lowercase()
    };
    if let Some(error) = lone_adapter(folder, &names) {
        return error;
    }
    let found: Vec<String> = names
        .iter()
        .filter(|name| ending(name) == "safetensors")
        .take(3)
        .map(|name| format!("{name:?}"))
        .collect();
    if !found.is_empty() {
        return WeightsError::OtherName {
            folder: folder.path().to_owned(),
            found: found.join(", "),
        };
    }
    let foreign = names.into_iter().find(|name| {
        FOREIGN_ENDINGS.contains(&ending(name).as_str()) || name.ends_with(FOREIGN_INDEX)
    });
    match foreign {
        Some(found) => WeightsError::NeedsConversion {
            folder: folder.path().to_owned(),
            found,
        },
        None => {
            let expected = "the weights here or in the shards of model.safetensors.index.json";
            folder.missing(SINGLE_NAME, expected).into()
        }
    }
}

/// The error for a folder whose only weights are those of an adapter.
fn lone_adapter(folder: &Folder, names: &[String]) -> Option<WeightsError> {
    let adapter = names.iter().find(|name| name.starts_with(ADAPTER))?;
    let is_other = |name: &String| name.ends_with(".safetensors") && name != adapter;
    (!names.iter().any(is_other)).then(|| WeightsError::Adapter {
        folder: folder.path().to_owned(),
        found: adapter.clone(),
    })
}

/// The subfolder, last by name, that holds a config: a trainer writes its checkpoints below one root, and a hub cache its
/// snapshots.
fn nested(folder: &Folder) -> Result<Option<String>, FileError> {
    let mut names = folder.names()?;
    let snapshots = Folder::open(&folder.path().join(SNAPSHOTS), Links::Refuse);
    if let Ok(snapshots) = snapshots.and_then(|folder| folder.names()) {
        names.extend(snapshots.iter().map(|name| format!("{SNAPSHOTS}/{name}")));
    }
    for name in names.into_iter().rev() {
        if folder.has(&format!("{name}/{CONFIG_NAME}"))? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The files of weights, and the file that holds each tensor.
#[derive(Debug)]
struct Weights {
    index_file: Option<OpenedFile>,
    shards: Vec<Shard>,
    /// Tensor name to position in `shards`.
    owners: BTreeMap<String, usize>,
}

impl Weights {
    fn new(index: Option<&Index>, shards: Vec<Shard>) -> Result<Self, WeightsError> {
        let mut named: Vec<(String, usize)> = Vec::new();
        for (position, shard) in shards.iter().enumerate() {
            let names = shard.header.tensors.offset_keys();
            named.extend(names.into_iter().map(|name| (name, position)));
        }
        // Sorting once is faster than inserting a million names into a tree one by one.
        named.sort_unstable();
        if let Some([(tensor, first), (_, second)]) =
            named.windows(2).find(|pair| pair[0].0 == pair[1].0)
        {
            return Err(WeightsError::TensorTwice {
                tensor: tensor.clone(),
                first: shards[*first].file.path().to_owned(),
                second: shards[*second].file.path().to_owned(),
            });
        }
        let owners = BTreeMap::from_iter(named);
        if let Some(index) = index {
            index.check(&shards, &owners)?;
        }
        Ok(Self {
            index_file: None,
            shards,
            owners,
        })
    }

    fn find(&self, name: &str) -> Option<(&Shard, &safetensors::tensor::TensorInfo)> {
        let shard = &self.shards[*self.owners.get(name)?];
        Some((shard, shard.header.tensors.info(name)?))
    }

    /// Dtype and shape of a tensor, for a message.
    fn describe(&self, name: &str) -> String {
        match self.find(name) {
            Some((_, info)) => format!("{} {:?}", info.dtype, info.shape),
            None => "absent".to_owned(),
        }
    }
}

/// Refuses a folder whose single file and shards do not hold the same tensors.
fn refuse_difference(
    folder: &Folder,
    single: &Weights,
    sharded: &Weights,
) -> Result<(), WeightsError> {
    let names: BTreeSet<_> = single.owners.keys().chain(sharded.owners.keys()).collect();
    for name in names {
        let (in_single, in_shards) = (single.describe(name), sharded.describe(name));
        if in_single != in_shards {
            return Err(WeightsError::TwoSources {
                folder: folder.path().to_owned(),
                tensor: name.clone(),
                single: in_single,
                sharded: in_shards,
            });
        }
    }
    Ok(())
}

/// What is known about a tensor without reading its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorInfo<'a> {
    /// Element type in the file.
    pub dtype: Dtype,
    /// Length of each dimension; empty for a scalar.
    pub shape: &'a [usize],
    /// The file that holds it.
    pub path: &'a Path,
}

/// A checkpoint folder, opened and validated.
#[derive(Debug)]
pub struct Checkpoint {
    folder: Folder,
    config: Map<String, Value>,
    config_file: OpenedFile,
    weights: Weights,
    warnings: Mutex<BTreeSet<Warning>>,
}

impl Checkpoint {
    /// Opens and validates a checkpoint folder. Each tensor is read when it is requested.
    ///
    /// # Errors
    ///
    /// Any [`WeightsError`] that can be detected without reading the tensors' values.
    pub fn open(folder: &Path) -> Result<Self, WeightsError> {
        OpenOptions::default().open(folder)
    }

    /// The folder as given.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The contents of `config.json`, in the file's order; no key occurs twice at any depth.
    /// NaN and infinities, which Python writes although JSON lacks them, are strings.
    pub fn config(&self) -> &Map<String, Value> {
        &self.config
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.weights.owners.keys().map(String::as_str)
    }

    /// Dtype, shape and file of a tensor; `None` if there is none of this name.
    pub fn info(&self, name: &str) -> Option<TensorInfo<'_>> {
        let (shard, info) = self.weights.find(name)?;
        Some(TensorInfo {
            dtype: info.dtype,
            shape: &info.shape,
            path: shard.file.path(),
        })
    }

    /// Reads a tensor, widened exactly to `f32`.
    ///
    /// A tensor whose name ends in `weight` and whose values are all zero adds a [`Warning`].
    ///
    /// # Errors
    ///
    /// [`WeightsError::NoSuchTensor`], [`WeightsError::UnsupportedDtype`] if it is not F32, F16 or BF16,
    /// [`WeightsError::ZeroSize`], [`WeightsError::NotFinite`], [`WeightsError::OutOfMemory`],
    /// [`FileError::SizeChanged`] if the file's size has changed since it was opened, or [`FileError::Io`].
    pub fn tensor(&self, name: &str) -> Result<Tensor, WeightsError> {
        let Some((shard, info)) = self.weights.find(name) else {
            return Err(WeightsError::NoSuchTensor {
                folder: self.folder().to_owned(),
                tensor: name.to_owned(),
            });
        };
        let tensor = shard.tensor(name, info)?;
        if tensor.is_all_zero() && name.ends_with("weight") {
            self.warnings
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(Warning::AllZero {
                    path: shard.file.path().to_owned(),
                    tensor: name.to_owned(),
                });
        }
        Ok(tensor)
    }

    /// The files that the checkpoint was read from: `config.json`, the index if there is one, and the files of weights.
    ///
    /// If a folder holds the same tensors as a single file and as shards, only the single file is used.
    pub fn files(&self) -> impl Iterator<Item = &OpenedFile> {
        let weights = self.weights.shards.iter().map(|shard| &shard.file);
        std::iter::once(&self.config_file)
            .chain(&self.weights.index_file)
            .chain(weights)
    }

    /// Warnings about the tensors read so far, sorted and without repetition.
    pub fn warnings(&self) -> Vec<Warning> {
        self.warnings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}
