//! A checkpoint's model: in which number format, within how much memory, and where its weights stay.

use layerwise_files::FileError;
use layerwise_hub::HubError;
use layerwise_sweep::{Budget, Held, SweepError};
use layerwise_transformer::{Model, ModelConfig, Packing, Precision, TransformerError};
use layerwise_weights::{Checkpoint, OpenOptions, PackCache, WeightsError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How to open models; one value opens any number of them.
///
/// ```
/// use layerwise::Opening;
/// use layerwise::sweep::Budget;
/// # use safetensors::{Dtype, tensor::TensorView};
/// # let folder = tempfile::tempdir()?;
/// # let config = r#"{"model_type": "gpt2", "n_layer": 1, "n_embd": 8, "n_head": 2, "n_positions": 16, "vocab_size": 50}"#;
/// # std::fs::write(folder.path().join("config.json"), config)?;
/// # let shapes: [(&str, &[usize]); 16] = [
/// #     ("wte.weight", &[50, 8]), ("wpe.weight", &[16, 8]), ("ln_f.weight", &[8]), ("ln_f.bias", &[8]),
/// #     ("h.0.ln_1.weight", &[8]), ("h.0.ln_1.bias", &[8]), ("h.0.ln_2.weight", &[8]), ("h.0.ln_2.bias", &[8]),
/// #     ("h.0.attn.c_attn.weight", &[8, 24]), ("h.0.attn.c_attn.bias", &[24]),
/// #     ("h.0.attn.c_proj.weight", &[8, 8]), ("h.0.attn.c_proj.bias", &[8]),
/// #     ("h.0.mlp.c_fc.weight", &[8, 32]), ("h.0.mlp.c_fc.bias", &[32]),
/// #     ("h.0.mlp.c_proj.weight", &[32, 8]), ("h.0.mlp.c_proj.bias", &[8]),
/// # ];
/// # let bytes: Vec<u8> = (0..400).flat_map(|at| ((at * 37 % 101) as f32 / 101.0 - 0.5).to_le_bytes()).collect();
/// # let tensors = shapes.map(|(name, shape)| {
/// #     let bytes = &bytes[..4 * shape.iter().product::<usize>()];
/// #     (name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap())
/// # });
/// # safetensors::serialize_to_file(tensors, None, &folder.path().join("model.safetensors"))?;
/// # let folder = folder.path();
///
/// let budget = Budget::new(Some(1 << 20)); // a mebibyte, for all models together
/// let held = Opening::new().within(&budget).model("tiny", folder)?;
/// assert!(budget.left() < Some(1 << 20));
///
/// // A streamed model reads a block from its file each time it runs. It gives the same bits.
/// let streamed = Opening::new().streamed(true).model("tiny", folder)?;
/// let [held, streamed] = [&held.model, &streamed.model];
/// assert!(streamed.is_streamed() && !held.is_streamed());
/// assert_eq!(streamed.logits(&[0, 5], &streamed.plain())?, held.logits(&[0, 5], &held.plain())?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Opening {
    pub(crate) options: OpenOptions,
    precision: Precision,
    streamed: bool,
    packs: Option<PackCache>,
    budget: Budget,
}

/// A model, and what became known while it was opened.
#[derive(Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The model. Its [`notes`](Model::notes) say what its config and tensors leave in doubt.
    pub model: Model,
    /// The checkpoint that it was read from, with its [files](Checkpoint::files) and [warnings](Checkpoint::warnings).
    pub checkpoint: Arc<Checkpoint>,
    /// What happened to the cache of packed weights; `None` if none was used.
    pub packing: Option<Packing>,
    /// The memory of the weights. The budget counts it until this is dropped, so keep it as long as the model.
    pub memory: Held,
}

/// Why a checkpoint folder cannot be opened or its text cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder or its weights cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The config or weights do not make a model.
    #[error(transparent)]
    Transformer(#[from] TransformerError),
    /// The weights need more memory than the budget has left.
    #[error("{source}{}", or_streamed(*streamed))]
    Memory {
        /// What does not fit, and what it needs.
        source: Box<SweepError>,
        /// If the model fits neither as a whole nor streamed, the bytes that it would need streamed, including those already
        /// in use.
        streamed: Option<u64>,
    },
    /// A file of the tokenizer cannot be opened.
    #[error(transparent)]
    File(#[from] FileError),
    /// The tokenizer is refused, or it refuses a text.
    #[cfg(feature = "text")]
    #[error(transparent)]
    Corpus(#[from] layerwise_corpus::CorpusError),
    /// The path is no folder and not the name of a model in the Hugging Face cache.
    #[error("{}: no such folder, and {source}", name.display())]
    Hub {
        /// The path or name that was given.
        name: PathBuf,
        /// What the cache lacks, and the command that fetches it.
        source: HubError,
    },
    /// A text was given to a model without a tokenizer.
    #[error(
        "{}: no tokenizer.json, so text cannot be read; give token ids instead",
        folder.display()
    )]
    NoTokenizer {
        /// The checkpoint folder.
        folder: PathBuf,
    },
}

fn or_streamed(bytes: Option<u64>) -> String {
    bytes.map_or(String::new(), |bytes| {
        let needed = bytes.div_ceil(1 << 20);
        format!("; streamed from its files it needs {needed} MiB")
    })
}

impl From<SweepError> for OpenError {
    fn from(source: SweepError) -> Self {
        Self::Memory {
            source: Box::new(source),
            streamed: None,
        }
    }
}

impl Opening {
    /// Opens models in f32, as a whole, without a limit on their memory; files are read, not mapped.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how the files of a folder are opened: whether files of weights are mapped, and which links are followed.
    pub fn options(mut self, options: OpenOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets the number format of weight matrices and of what is multiplied with them.
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Takes the memory of weights from a budget, before they are read. A model whose weights do not fit is streamed.
    pub fn within(mut self, budget: &Budget) -> Self {
        self.budget = budget.clone();
        self
    }

    /// Sets whether blocks stay in their files even if all would fit into memory ([`Model::streamed`]).
    pub fn streamed(mut self, streamed: bool) -> Self {
        self.streamed = streamed;
        self
    }

    /// Takes packed weights from a cache, and adds those that it lacks ([`Model::from_checkpoint_or_packs`]). A streamed model
    /// makes no use of it.
    pub fn packs(mut self, cache: Option<PackCache>) -> Self {
        self.packs = cache;
        self
    }

    /// Opens the model of a checkpoint folder, without its tokenizer. Messages about memory call it `name`.
    ///
    /// # Errors
    /// The folder, config or weights are refused; the weights fit into the budget neither as a whole nor streamed; or the CPU
    /// lacks the instructions for the number format.
    pub fn model(&self, name: &str, folder: &Path) -> Result<Loaded, OpenError> {
        let mut checkpoint = Arc::new(self.options.open(folder)?);
        let whole = match self.streamed {
            true => None,
            false => Some(self.hold(name, &checkpoint)),
        };
        let (model, packing, memory) = match whole {
            Some(Ok(memory)) => match &self.packs {
                None => {
                    let model = Model::from_checkpoint_in(&checkpoint, self.precision)?;
                    (model, None, memory)
                }
                Some(cache) => {
                    let (model, packing) =
                        Model::from_checkpoint_or_packs(&checkpoint, self.precision, cache)?;
                    (model, Some(packing), memory)
                }
            },
            too_large => {
                let streamed = self.hold_streamed(name, &checkpoint);
                let memory = match too_large {
                    Some(Err(whole)) => {
                        streamed.map_err(|streamed| too_little(whole, &streamed))?
                    }
                    _ => streamed?,
                };
                // Mapped pages would count as memory of the program.
                checkpoint = Arc::new(self.options.clone().map(None).open(folder)?);
                (Model::streamed(&checkpoint, self.precision)?, None, memory)
            }
        };
        Ok(Loaded {
            model,
            checkpoint,
            packing,
            memory,
        })
    }

    /// Checks that a checkpoint's weights fit, and takes the memory of the finished model.
    fn hold(&self, name: &str, checkpoint: &Checkpoint) -> Result<Held, SweepError> {
        let needed = WeightBytes::of(checkpoint, self.precision);
        let what = format!("{name}: the weights");
        self.budget.check(&what, needed.while_made())?;
        self.budget.hold(&what, needed.kept)
    }

    /// Like [`Opening::hold`], for a model whose blocks stay in their files.
    fn hold_streamed(&self, name: &str, checkpoint: &Checkpoint) -> Result<Held, OpenError> {
        let path = checkpoint.folder().join("config.json");
        let config =
            ModelConfig::from_json(checkpoint.config(), &path).map_err(TransformerError::from)?;
        // A tensor in f32, and its bytes as stored in the file.
        let largest = WeightBytes::of(checkpoint, Precision::F32).largest;
        let largest = largest.saturating_mul(2);
        let what = format!("{name}: the weights, streamed");
        let bytes = Model::streamed_bytes(&config, self.precision).saturating_add(largest);
        Ok(self.budget.hold(&what, bytes)?)
    }
}

/// The error for a model that fits into memory neither as a whole nor streamed, with the least that it needs.
fn too_little(whole: SweepError, streamed: &OpenError) -> OpenError {
    let needed = |error: &SweepError| match error {
        SweepError::Memory { needed, .. } => Some(*needed),
        _ => None,
    };
    let least = match streamed {
        OpenError::Memory { source, .. } => needed(source),
        _ => None,
    };
    OpenError::Memory {
        streamed: least.filter(|least| Some(*least) < needed(&whole)),
        source: Box::new(whole),
    }
}

/// The memory that a checkpoint's weights need in a number format, in bytes; as many as a number can say if it cannot say how
/// many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WeightBytes {
    /// Of the finished model.
    pub kept: u64,
    /// Of the largest weight.
    pub largest: u64,
}

impl WeightBytes {
    /// What the weights of an opened checkpoint need, by their shapes alone.
    pub fn of(checkpoint: &Checkpoint, precision: Precision) -> Self {
        let bytes = |name: &str| {
            let shape = checkpoint.info(name).map_or(&[][..], |info| info.shape);
            let element = precision.bytes() as u64;
            let mut dims = shape.iter().map(|dim| *dim as u64);
            dims.try_fold(element, u64::checked_mul).unwrap_or(u64::MAX)
        };
        let sizes = || checkpoint.names().map(bytes);
        Self {
            kept: sizes().fold(0, u64::saturating_add),
            largest: sizes().max().unwrap_or(0),
        }
    }

    /// Until the model is finished: weights are packed one at a time, and while a weight is packed it is in memory twice, and
    /// three times if it is joined from parts.
    pub fn while_made(&self) -> u64 {
        self.kept.saturating_add(self.largest.saturating_mul(2))
    }
}
