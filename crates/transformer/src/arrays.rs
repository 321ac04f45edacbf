//! Weights as arrays, by role.

use crate::error::TransformerError;
use crate::linear::by_part;
use crate::loading::Planned;
use crate::model::Model;
use layerwise_architecture::{
    self as architecture, Fused, Layout, ModelConfig, PlannedTensor, Role,
};
use layerwise_weights::{Checkpoint, Tensor};
use ndarray::{ArrayD, Axis, Slice};
use std::collections::{BTreeMap, btree_map::Entry};

/// A model's config and its weights by role and block. They can be read from a checkpoint, changed or made in code, and built
/// into a model.
///
/// Matrices have their outputs first, as in PyTorch's `Linear`. Queries, keys, values, gates and ups are separate arrays, however
/// a checkpoint stores them. A tied unembedding is not a weight of its own. Gains are as stored: in Gemma, the norm multiplies by
/// 1 plus the stored gain.
///
/// ```
/// use layerwise_architecture::Role;
/// use layerwise_transformer::{Arrays, ModelConfig};
/// use ndarray::ArrayD;
///
/// let config = ModelConfig::tiny();
/// let shapes = Arrays::shapes(&config);
/// assert_eq!(shapes[&(Role::Q, Some(3))], [32, 32]); // [heads · head, model]
/// let mut arrays = Arrays {
///     weights: shapes.into_iter().map(|(at, shape)| (at, ArrayD::from_elem(shape, 0.1))).collect(),
///     config,
/// };
/// arrays.weights.insert((Role::AttnOut, Some(1)), ArrayD::zeros(vec![32, 32]));
/// let model = arrays.model()?;
/// assert_eq!(model.logits(&[0, 5], &model.plain())?.dim(), (2, 50));
/// # Ok::<(), layerwise_transformer::TransformerError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Arrays {
    /// The architecture.
    pub config: ModelConfig,
    /// By role, and by block for roles that every block has.
    pub weights: BTreeMap<(Role, Option<usize>), ArrayD<f32>>,
}

impl Arrays {
    /// The weights that a model of this config needs, with their shapes.
    pub fn shapes(config: &ModelConfig) -> BTreeMap<(Role, Option<usize>), Vec<usize>> {
        let planned = architecture::unfused(config).into_iter();
        planned.map(|it| ((it.role, it.layer), it.shape)).collect()
    }

    /// Reads all weights of a checkpoint, widened exactly to f32.
    ///
    /// # Errors
    /// As [`Model::from_checkpoint`].
    pub fn of(checkpoint: &Checkpoint) -> Result<Self, TransformerError> {
        let Planned {
            config, tensors, ..
        } = Planned::new(checkpoint)?;
        let shapes = Self::shapes(&config);
        let mut weights: BTreeMap<_, ArrayD<f32>> = BTreeMap::new();
        for planned in &tensors {
            if planned.role == Role::Unembedding && config.tied {
                continue;
            }
            let array = checkpoint.tensor(&planned.name)?.view().to_owned();
            for (role, array) in parts(planned, array, &config) {
                let at = (role, planned.layer);
                match weights.entry(at) {
                    Entry::Vacant(free) => {
                        free.insert(array);
                    }
                    // Rows stored as separate tensors come in order.
                    Entry::Occupied(mut rows) => rows
                        .get_mut()
                        .append(Axis(0), array.view())
                        .expect("the plan checked the shape"),
                }
            }
        }
        // Rows beyond the vocabulary are padding.
        for (at, array) in &mut weights {
            if let Some(shape) = shapes
                .get(at)
                .filter(|shape| shape[0] < array.len_of(Axis(0)))
            {
                array.slice_axis_inplace(Axis(0), Slice::from(..shape[0]));
            }
        }
        Ok(Self { config, weights })
    }

    /// Builds the model of these weights, in f32.
    ///
    /// # Errors
    /// A weight is missing, has another shape or holds a value that is not finite, or the config has no place for it.
    pub fn model(&self) -> Result<Model, TransformerError> {
        let planned = architecture::unfused(&self.config);
        let known = |at: &(Role, Option<usize>)| {
            planned
                .iter()
                .any(|planned| (planned.role, planned.layer) == *at)
        };
        if let Some(&(role, block)) = self.weights.keys().find(|at| !known(at)) {
            return Err(TransformerError::NoPlace { role, block });
        }
        let read = |planned: &PlannedTensor| {
            let array = self.weights.get(&(planned.role, planned.layer));
            let array = array.filter(|array| array.shape() == planned.shape);
            let Some(array) = array else {
                let found = self.weights.get(&(planned.role, planned.layer));
                return Err(TransformerError::Weight {
                    role: planned.role,
                    block: planned.layer,
                    expected: planned.shape.clone(),
                    found: found.map(|array| array.shape().to_vec()),
                });
            };
            Ok(Tensor::of_array(&planned.name, array.view())?)
        };
        Model::of_planned(&self.config, &planned, &read)
    }
}

/// The contents of a tensor, outputs first: itself, or the parts that it fuses.
fn parts(
    planned: &PlannedTensor,
    array: ArrayD<f32>,
    config: &ModelConfig,
) -> Vec<(Role, ArrayD<f32>)> {
    let array = match planned.layout {
        Layout::OutIn => array,
        Layout::InOut => array.reversed_axes().as_standard_layout().into_owned(),
    };
    // The rows of a table are not transposed.
    let array = match planned.row {
        Some(_) => array.insert_axis(Axis(0)),
        None => array,
    };
    let (queries, keys) = (config.heads * config.head, config.kv_heads * config.head);
    let fused: &[(Role, usize)] = match planned.role {
        Role::Qkv => &[(Role::Q, queries), (Role::K, keys), (Role::V, keys)],
        Role::QkvBias => &[
            (Role::QBias, queries),
            (Role::KBias, keys),
            (Role::VBias, keys),
        ],
        Role::MlpGateUp => &[
            (Role::MlpGate, config.neurons),
            (Role::MlpIn, config.neurons),
        ],
        role => return vec![(role, array)],
    };
    let array = match planned.fused {
        Some(Fused::ByGroup) => {
            let size = config.head * array.len() / array.len_of(Axis(0));
            let values: Vec<f32> = array.iter().copied().collect();
            let sharing = config.heads / config.kv_heads;
            let values = by_part(&values, config.kv_heads, sharing, size);
            ArrayD::from_shape_vec(array.shape(), values).expect("as many values in another order")
        }
        _ => array,
    };
    let mut first = 0;
    let part = |(role, outputs): &(Role, usize)| {
        let rows = Slice::from(first..first + outputs);
        first += outputs;
        (*role, array.slice_axis(Axis(0), rows).to_owned())
    };
    fused.iter().map(part).collect()
}
