//! Assigns the tensors of a checkpoint to the parts of the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use crate::config::ModelConfig;
use crate::error::ConfigError;
use crate::tables::templates::{Place, TensorTemplate, instance, instantiate};
use crate::tables::{FamilyTable, table};
use crate::tensors::{Fused, Layout, Role};

/// The tensors of one checkpoint, resolved against its config.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TensorPlan {
    /// One entry for each tensor that the model uses: those outside the blocks first, then block by block in the order of
    /// [`Role::all`].
    pub tensors: Vec<PlannedTensor>,
    /// Notes on a checkpoint that is accepted.
    pub notes: Vec<Note>,
}

/// One tensor to load.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PlannedTensor {
    /// Its role.
    pub role: Role,
    /// The block it belongs to, if any.
    pub layer: Option<usize>,
    /// The row of the part that it holds, if each row is a separate tensor.
    pub row: Option<usize>,
    /// Its name in the checkpoint.
    pub name: String,
    /// The order of its axes.
    pub layout: Layout,
    /// For [`Role::Qkv`] and [`Role::QkvBias`], how the outputs are stacked.
    pub fused: Option<Fused>,
    /// Its shape as stored; the first axis of a vocabulary tensor may exceed `vocab`.
    pub shape: Vec<usize>,
}

/// Something about an accepted checkpoint that its user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A vocabulary tensor has more rows than the config has tokens; rows from `vocab` on are left out.
    PaddedRows {
        /// The tensor.
        name: String,
        /// The number of stored rows.
        rows: usize,
        /// The size of the vocabulary in the config.
        vocab: usize,
    },
    /// The config ties the unembedding to the embedding, but the checkpoint stores both; they must be equal.
    TiedHeadPresent {
        /// The unembedding.
        name: String,
    },
    /// The config has keys that transformers does not read for this family, so they have no effect.
    UnreadKeys {
        /// The keys.
        keys: Vec<String>,
    },
    /// The weights are stored in more than one element type; all are widened to f32.
    MixedDtypes {
        /// The number of weights stored in each type.
        counts: BTreeMap<String, usize>,
    },
    /// Tensors of another head, which reads the same states as the unembedding: a value head, or a classifier.
    HeadLeftOut {
        /// The tensors.
        names: Vec<String>,
    },
    /// Tensors of other parts of a larger model, of which only the text model runs.
    PartsLeftOut {
        /// The prefixes of their names, each with the number of tensors.
        counts: BTreeMap<String, usize>,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PaddedRows { name, rows, vocab } => {
                write!(
                    f,
                    "tensor `{name}` has {rows} rows for {vocab} token ids; the other rows are left out"
                )
            }
            Self::TiedHeadPresent { name } => {
                write!(
                    f,
                    "the embedding is tied and stored twice; `{name}` holds the same values"
                )
            }
            Self::UnreadKeys { keys } => {
                let keys: Vec<String> = keys
                    .iter()
                    .map(|key| format!("`{}`", key.escape_debug()))
                    .collect();
                write!(
                    f,
                    "config keys without effect, because transformers does not read them for this family: {}",
                    keys.join(", ")
                )
            }
            Self::MixedDtypes { counts } => {
                let counts = counts
                    .iter()
                    .map(|(dtype, count)| format!("{count} in {dtype}"));
                let counts: Vec<String> = counts.collect();
                write!(f, "the weights have mixed dtypes: {}", counts.join(", "))
            }
            Self::HeadLeftOut { names } => {
                write!(
                    f,
                    "a head for another task is left out, because it does not affect next-token logits: {}",
                    names.join(", ")
                )
            }
            Self::PartsLeftOut { counts } => {
                let counts = counts
                    .iter()
                    .map(|(part, count)| format!("{count} tensors of `{part}`"));
                let counts: Vec<String> = counts.collect();
                write!(
                    f,
                    "only the text part of the model runs; left out: {}",
                    counts.join(", ")
                )
            }
        }
    }
}

/// The name and shape of a stored tensor.
struct Stored<'a> {
    name: &'a str,
    shape: &'a [usize],
}

/// Resolves the names and shapes of a checkpoint's tensors against its config.
///
/// `path` is the checkpoint folder, for messages. Either all names have the family's prefix or none.
/// If a square matrix is stored transposed, this cannot be detected.
///
/// # Errors
///
/// The tensor variants of [`ConfigError`], checked in this order: two prefixes, another number of blocks, missing tensors,
/// unexpected tensors, shapes.
pub fn plan<'a>(
    config: &ModelConfig,
    tensors: impl IntoIterator<Item = (&'a str, &'a [usize])>,
    path: &Path,
) -> Result<TensorPlan, ConfigError> {
    let table = table(config.family);
    let stored: Vec<Stored<'a>> = tensors
        .into_iter()
        .map(|(name, shape)| Stored { name, shape })
        .collect();
    let prefix = prefix(table, &stored, path)?;

    let mut found: BTreeMap<(Role, Place), &Stored<'a>> = BTreeMap::new();
    let (mut unexpected, mut heads) = (Vec::new(), Vec::new());
    let mut parts: BTreeMap<String, usize> = BTreeMap::new();
    for tensor in &stored {
        match classify(table, prefix, tensor.name) {
            // If a part has several possible names, a checkpoint uses one of them.
            Some(Kind::Weight(template, place))
                if template.role.is_used(config)
                    && template.rows_hold(config, place)
                    && !found.contains_key(&(template.role, place)) =>
            {
                found.insert((template.role, place), tensor);
            }
            Some(Kind::Ignored) => {}
            None if is_rotary_buffer(config, tensor.name) => {}
            None if OTHER_HEADS.iter().any(|head| tensor.name.starts_with(head)) => {
                heads.push(tensor.name.escape_debug().to_string());
            }
            Some(Kind::OtherPart(part)) => {
                *parts.entry(part.to_owned()).or_default() += 1;
            }
            Some(Kind::Weight(..)) | None => unexpected.push(tensor.name),
        }
    }
    if found.is_empty()
        && let Some(wrapped) = wrapped(table, &stored, path)
    {
        return Err(wrapped);
    }

    let found_layers = found
        .keys()
        .filter_map(|(_, place)| place.layer)
        .max()
        .map_or(0, |last| last.saturating_add(1));
    if found_layers != config.layers && found_layers != 0 {
        return Err(ConfigError::LayerCount {
            path: path.into(),
            expected: config.layers,
            found: found_layers,
        });
    }

    let mut missing = Vec::new();
    let mut resolved = Vec::new();
    let blocks = std::iter::once(None).chain((0..config.layers).map(Some));
    for layer in blocks {
        let mut settled = BTreeSet::new();
        for template in table
            .templates()
            .filter(|template| template.role.is_used(config))
        {
            if template.role.is_per_layer() != layer.is_some() || !settled.insert(template.role) {
                continue;
            }
            for row in template.rows(config) {
                let place = Place { layer, row };
                match found.get(&(template.role, place)) {
                    Some(tensor) => resolved.push((template, place, *tensor)),
                    None if template.role == Role::Unembedding && config.tied => {}
                    None => {
                        let prefix = if template.prefixed { prefix } else { "" };
                        let name = instantiate(template.name, place);
                        missing.push((template.role, format!("{prefix}{name}")));
                        // A config may require any number of rows; the message names the first that is missing.
                        break;
                    }
                }
            }
        }
    }
    if let [(Role::Unembedding, name)] = missing.as_slice() {
        return Err(ConfigError::NoUnembedding {
            path: path.into(),
            name: name.clone(),
        });
    }
    let family = config.family;
    if !missing.is_empty() {
        let names = missing.into_iter().map(|(_, name)| name).collect();
        return Err(ConfigError::MissingTensors {
            path: path.into(),
            family,
            names,
        });
    }
    if !unexpected.is_empty() {
        unexpected.sort_unstable();
        let names = unexpected
            .into_iter()
            .map(|name| name.escape_debug().to_string())
            .collect();
        return Err(ConfigError::UnexpectedTensors {
            path: path.into(),
            family,
            names,
        });
    }

    let mut plan = TensorPlan {
        tensors: Vec::with_capacity(resolved.len()),
        notes: Vec::new(),
    };
    if !heads.is_empty() {
        heads.sort_unstable();
        plan.notes.push(Note::HeadLeftOut { names: heads });
    }
    if !parts.is_empty() {
        plan.notes.push(Note::PartsLeftOut { counts: parts });
    }
    for (template, place, tensor) in resolved {
        if let Some(rows) = checked_rows(template, config, tensor, path)? {
            plan.notes.push(Note::PaddedRows {
                name: tensor.name.into(),
                rows,
                vocab: config.vocab,
            });
        }
        if template.role == Role::Unembedding && config.tied {
            plan.notes.push(Note::TiedHeadPresent {
                name: tensor.name.into(),
            });
        }
        plan.tensors.push(PlannedTensor {
            role: template.role,
            layer: place.layer,
            row: place.row,
            name: tensor.name.into(),
            layout: template.layout,
            fused: template.fused,
            shape: tensor.shape.to_vec(),
        });
    }
    Ok(plan)
}

/// The tensors of a model whose weights are given by role: not fused, outputs first, named by role and block.
pub fn unfused(config: &ModelConfig) -> Vec<PlannedTensor> {
    let is_own = |role: &Role| {
        let is_tied = config.tied && *role == Role::Unembedding;
        role.is_used(config) && role.parts().is_empty() && !is_tied
    };
    let blocks = std::iter::once(None).chain((0..config.layers).map(Some));
    let of = |layer: Option<usize>| {
        let roles = Role::all().iter().copied().filter(is_own);
        let roles = roles.filter(move |role| role.is_per_layer() == layer.is_some());
        roles.map(move |role| PlannedTensor {
            role,
            layer,
            row: None,
            name: layer.map_or(format!("{role:?}"), |layer| format!("{role:?}[{layer}]")),
            layout: Layout::OutIn,
            fused: None,
            shape: role.shape(config),
        })
    };
    blocks.flat_map(of).collect()
}

/// Name prefixes of heads for other tasks: value heads of TRL and of reward models, and transformers' heads for classifying texts
/// or tokens, answering questions, and multiple choice.
const OTHER_HEADS: &[&str] = &[
    "v_head.",
    "value_head.",
    "score.",
    "classifier.",
    "qa_outputs.",
    "multiple_choice_head.",
];

/// Prefixes that programs add to every name of a model that they wrap, each with the program.
const WRAPPERS: &[(&str, &str)] = &[
    ("_orig_mod.", "torch.compile"),
    ("_forward_module.", "Lightning Fabric"),
    ("_fsdp_wrapped_module.", "FSDP"),
    ("module.", "DataParallel, DDP or DeepSpeed"),
    ("base_model.model.", "PEFT"),
    ("pretrained_model.", "TRL"),
    ("llm.", "a larger model"),
    ("language_model.", "a multimodal model"),
    ("text_model.", "a multimodal model"),
];

/// Whether a tensor is a buffer of rotary frequencies, which follow from the config.
fn is_rotary_buffer(config: &ModelConfig, name: &str) -> bool {
    let buffers = ["inv_freq", "original_inv_freq", "cos_cached", "sin_cached"];
    config
        .attention
        .kinds()
        .iter()
        .any(|kind| kind.rotary.is_some())
        && name
            .rsplit_once("rotary_emb.")
            .is_some_and(|(block, buffer)| {
                (block.is_empty() || block.ends_with('.')) && buffers.contains(&buffer)
            })
}

/// The error for names that are the family's after a wrapper's prefix.
fn wrapped(table: &'static FamilyTable, stored: &[Stored<'_>], path: &Path) -> Option<ConfigError> {
    stored.iter().find_map(|tensor| {
        let mut inner = tensor.name;
        while let Some((rest, program)) = WRAPPERS
            .iter()
            .find_map(|(prefix, program)| Some((inner.strip_prefix(prefix)?, *program)))
        {
            inner = rest;
            let is_weight =
                |prefix| matches!(classify(table, prefix, inner), Some(Kind::Weight(..)));
            if is_weight("") || table.prefixes.iter().any(|prefix| is_weight(prefix)) {
                return Some(ConfigError::WrappedNames {
                    path: path.into(),
                    prefix: tensor.name[..tensor.name.len() - inner.len()].to_owned(),
                    program,
                    name: tensor.name.escape_debug().to_string(),
                });
            }
        }
        None
    })
}

enum Kind {
    Weight(&'static TensorTemplate, Place),
    Ignored,
    /// A tensor of another part of a model whose text part runs; the prefix of its name.
    OtherPart(&'static str),
}

/// What a table says about a tensor's name, under the checkpoint's prefix.
fn classify(table: &'static FamilyTable, prefix: &str, name: &str) -> Option<Kind> {
    let inner = name.strip_prefix(prefix);
    for template in table.templates() {
        let candidate = if template.prefixed { inner } else { Some(name) };
        if let Some(place) = candidate.and_then(|candidate| instance(template.name, candidate)) {
            return Some(Kind::Weight(template, place));
        }
    }
    let is_ignored = table
        .ignored_tensors
        .iter()
        .any(|pattern| inner.is_some_and(|name| instance(pattern, name).is_some()));
    if is_ignored {
        return Some(Kind::Ignored);
    }
    let mut parts = table.whole.iter().flat_map(|whole| whole.parts);
    let part = parts.find(|part| name.starts_with(**part))?;
    Some(Kind::OtherPart(part))
}

/// The prefix of the checkpoint's names: one of the family's, or none.
fn prefix(
    table: &'static FamilyTable,
    stored: &[Stored<'_>],
    path: &Path,
) -> Result<&'static str, ConfigError> {
    let is_inner = |name: &str| {
        let weights = table
            .templates()
            .filter(|template| template.prefixed)
            .map(|template| template.name);
        weights
            .chain(table.ignored_tensors.iter().copied())
            .any(|pattern| instance(pattern, name).is_some())
    };
    let names = || stored.iter().map(|tensor| tensor.name);
    let with = |prefix: &str| names().find(|name| name.strip_prefix(prefix).is_some_and(is_inner));
    let mut used = table
        .prefixes
        .iter()
        .copied()
        .chain([""])
        .filter_map(|prefix| Some((prefix, with(prefix)?)));
    match (used.next(), used.next()) {
        (Some((_, first)), Some((_, second))) => Err(ConfigError::TwoPrefixes {
            path: path.into(),
            prefixed: first.into(),
            bare: second.into(),
        }),
        (Some((prefix, _)), None) => Ok(prefix),
        (None, _) => Ok(table.prefixes[0]),
    }
}

/// Checks a tensor's shape; returns the number of stored rows if a vocabulary is padded.
fn checked_rows(
    template: &TensorTemplate,
    config: &ModelConfig,
    tensor: &Stored<'_>,
    path: &Path,
) -> Result<Option<usize>, ConfigError> {
    let expected = template.shape(config);
    let found = tensor.shape;
    if found == expected {
        return Ok(None);
    }
    let path = path.to_path_buf();
    let name = tensor.name.to_owned();
    if found.iter().rev().eq(&expected) {
        return Err(ConfigError::Transposed {
            path,
            name,
            expected,
            found: found.to_vec(),
        });
    }
    if template.role.is_vocabulary() && found.len() == expected.len() && found[1..] == expected[1..]
    {
        if found[0] > expected[0] {
            return Ok(Some(found[0]));
        }
        return Err(ConfigError::VocabularyRows {
            path,
            name,
            expected: expected[0],
            found: found[0],
        });
    }
    if template.fused.is_some() && found.len() == expected.len() {
        let outputs = if template.layout == Layout::InOut {
            expected.len() - 1
        } else {
            0
        };
        let is_other_axis = |axis: &usize| *axis != outputs;
        if (0..found.len())
            .filter(is_other_axis)
            .all(|axis| found[axis] == expected[axis])
        {
            return Err(ConfigError::FusedRows {
                path,
                name,
                expected: expected[outputs],
                found: found[outputs],
            });
        }
    }
    Err(ConfigError::TensorShape {
        path,
        name,
        expected,
        found: found.to_vec(),
    })
}
