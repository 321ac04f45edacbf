//! Compares a model with a file of another program's activations.

use crate::differences::Differences;
use crate::error::TransformerError;
use crate::model::Model;
use crate::site::{Recording, check_site};
use layerwise_schedule::Site;
use layerwise_weights::{Dtype, TensorFile, WeightsError};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Why a model cannot be compared with a file of activations.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// A tensor cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The file has no token ids.
    #[error("{}: tensor `tokens`: not found", path.display())]
    NoTokens {
        /// The file.
        path: PathBuf,
    },
    /// A token id is negative.
    #[error("{}: tensor `tokens`: token {found}: expected an id of at least 0", path.display())]
    NegativeToken {
        /// The file.
        path: PathBuf,
        /// The id.
        found: i64,
    },
    /// The model cannot run on the tokens.
    #[error("{}: tensor `tokens`", path.display())]
    Tokens {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<TransformerError>,
    },
    /// A tensor has another type or shape.
    #[error("{}: tensor `{tensor}`: expected {expected}, found {found}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The type or shape that fits.
        expected: String,
        /// The type or shape that it has.
        found: String,
    },
    /// A tensor is named as an activation that the model lacks.
    #[error(
        "{}: tensor `{tensor}`: {model} has no such activation; the names are f32/SITE and f32/BLOCK/SITE",
        path.display()
    )]
    NoSuchActivation {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The model's name.
        model: String,
    },
    /// The file has nothing to compare.
    #[error("{}: contains no activation of any site of {model}", path.display())]
    NothingToCompare {
        /// The file.
        path: PathBuf,
        /// The model's name.
        model: String,
    },
}

impl Differences {
    /// Runs a model on the tokens of a file, and compares its activations with those in the file. Messages call the model `name`.
    ///
    /// The file contains `tokens` (I64 or I32, \[seq\]) and, for any sites, the activations of the plain schedule in F32, each in
    /// the shape that its [`Site`] names. Their names are `f32/` and [`Address::name`](crate::Address::name), such as
    /// `f32/3/mlp.out` and `f32/logits`. Tensors of F64 named `f64/…` are the same activations in f64. Other tensors are ignored.
    ///
    /// ```no_run
    /// use layerwise_transformer::{Differences, Model};
    /// use layerwise_weights::TensorFile;
    ///
    /// let model = Model::open("path/to/checkpoint")?;
    /// let reference = TensorFile::open("reference.safetensors".as_ref())?;
    /// let differences = Differences::from_reference(&model, "my model", &reference)?;
    /// if let Some((address, difference, _)) = differences.first() {
    ///     println!("{}: off by {} of its largest value", address.name(), difference.relative());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The file has no tokens that the model can run on, no activation of the model, or one that does not fit it.
    pub fn from_reference(
        model: &Model,
        name: &str,
        reference: &TensorFile,
    ) -> Result<Self, ReferenceError> {
        let path = || reference.path().to_owned();
        let recording = recorded(model, &tokens(reference)?);
        let recording = recording.map_err(|source| ReferenceError::Tokens {
            path: path(),
            source: Box::new(source),
        })?;
        let (mut found, mut known) = (Self::default(), BTreeSet::new());
        for (address, activation) in recording.activations() {
            let tensor = format!("f32/{}", address.name());
            if let Some(single) = reference.read::<f32>(&tensor)? {
                if single.shape() != activation.shape() {
                    return Err(ReferenceError::Tensor {
                        path: path(),
                        tensor,
                        expected: format!("the shape {:?}", activation.shape()),
                        found: format!("{:?}", single.shape()),
                    });
                }
                let double = || {
                    let double = format!("f64/{}", address.name());
                    match reference.info(&double) {
                        Some(info) if info.dtype == Dtype::F64 => reference.read(&double),
                        _ => Ok(None),
                    }
                };
                found.compare(*address, activation.view(), single.view(), double)?;
            }
            known.insert(tensor);
        }
        let names = reference.names().into_iter();
        let mut unknown = names.filter(|own| own.starts_with("f32/") && !known.contains(own));
        if let Some(tensor) = unknown.next() {
            return Err(ReferenceError::NoSuchActivation {
                path: path(),
                tensor,
                model: name.to_owned(),
            });
        }
        if found.compared() == 0 {
            return Err(ReferenceError::NothingToCompare {
                path: path(),
                model: name.to_owned(),
            });
        }
        Ok(found)
    }
}

/// The activations of the plain schedule at every site that the model has.
fn recorded(model: &Model, tokens: &[u32]) -> Result<Recording, TransformerError> {
    let config = model.config();
    let sites = Site::ALL.iter().copied();
    let sites: Vec<Site> = sites
        .filter(|site| check_site(config, *site).is_ok())
        .collect();
    let mut recording = Recording::of(config, &sites)?;
    model.observed_logits(tokens, &model.plain(), &mut recording)?;
    Ok(recording)
}

/// The token ids of a file.
fn tokens(reference: &TensorFile) -> Result<Vec<u32>, ReferenceError> {
    const TOKENS: &str = "tokens";
    let path = || reference.path().to_owned();
    let Some(info) = reference.info(TOKENS) else {
        return Err(ReferenceError::NoTokens { path: path() });
    };
    let refused = |expected: &str, found: String| ReferenceError::Tensor {
        path: path(),
        tensor: TOKENS.to_owned(),
        expected: expected.to_owned(),
        found,
    };
    if info.shape.len() != 1 {
        return Err(refused("the shape [seq]", format!("{:?}", info.shape)));
    }
    let ids: Vec<i64> = match info.dtype {
        Dtype::I64 => {
            let ids = reference.read::<i64>(TOKENS)?;
            ids.into_iter().flatten().collect()
        }
        Dtype::I32 => {
            let ids = reference.read::<i32>(TOKENS)?;
            ids.into_iter().flatten().map(i64::from).collect()
        }
        other => return Err(refused("I64 or I32", format!("{other:?}"))),
    };
    let id = |found: &i64| {
        u32::try_from(*found).map_err(|_| ReferenceError::NegativeToken {
            path: path(),
            found: *found,
        })
    };
    ids.iter().map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelConfig;
    use safetensors::tensor::TensorView;
    use tempfile::NamedTempFile;

    /// A tensor's name, type, shape and bytes.
    type Stored = (String, Dtype, Vec<usize>, Vec<u8>);

    fn differences(model: &Model, tensors: &[Stored]) -> Result<Differences, ReferenceError> {
        let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes).unwrap();
            (name, view)
        });
        let file = NamedTempFile::new().unwrap();
        safetensors::serialize_to_file(views, None, file.path()).unwrap();
        let reference = TensorFile::open(file.path()).unwrap();
        Differences::from_reference(model, "m", &reference)
    }

    #[test]
    fn a_model_agrees_with_its_own_activations_and_refuses_what_does_not_fit() {
        let model = Model::random(ModelConfig::tiny(), 7);
        let recording = recorded(&model, &[0, 5, 3]).unwrap();
        let of_blocks = recording.activations().iter();
        let of_blocks = of_blocks.filter(|(address, _)| address.site == Site::ResidPost);
        let mut own: Vec<Stored> = of_blocks
            .map(|(address, values)| {
                let name = format!("f32/{}", address.name());
                let bytes = values.iter().flat_map(|value| value.to_le_bytes());
                (name, Dtype::F32, values.shape().to_vec(), bytes.collect())
            })
            .collect();
        let ids = [0_i64, 5, 3].iter().flat_map(|id| id.to_le_bytes());
        own.insert(0, ("tokens".to_owned(), Dtype::I64, vec![3], ids.collect()));
        let found = differences(&model, &own).unwrap();
        assert_eq!(found.compared(), model.config().layers);
        assert_eq!(found.first(), None);

        let check = |expected: &str, change: &dyn Fn(&mut Vec<Stored>)| {
            let mut changed = own.clone();
            change(&mut changed);
            let found = differences(&model, &changed).unwrap_err().to_string();
            assert!(found.ends_with(expected), "{found}");
        };
        check(": tensor `tokens`: not found", &|tensors| {
            tensors.remove(0);
        });
        check("expected the shape [seq], found [1, 3]", &|tensors| {
            tensors[0].2 = vec![1, 3];
        });
        check("expected I64 or I32, found F64", &|tensors| {
            tensors[0].1 = Dtype::F64;
        });
        let first_token = |tensors: &mut Vec<Stored>, id: i64| {
            tensors[0].3[..8].copy_from_slice(&id.to_le_bytes());
        };
        check("token -1: expected an id of at least 0", &|tensors| {
            first_token(tensors, -1);
        });
        check(": tensor `tokens`", &|tensors| {
            first_token(tensors, 1 << 20);
        });
        let transposed = ": tensor `f32/0/resid.post`: expected the shape [3, 32], found [32, 3]";
        check(transposed, &|tensors| tensors[1].2.reverse());
        let unknown = ": m has no such activation; the names are f32/SITE and f32/BLOCK/SITE";
        check(unknown, &|tensors| {
            tensors[1].0 = "f32/0/resid_post".to_owned();
        });
        check(": contains no activation of any site of m", &|tensors| {
            tensors.truncate(1);
        });
    }
}
