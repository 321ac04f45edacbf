//! How a family names and stores the tensors of the block equation.

use crate::config::ModelConfig;
use crate::tensors::{Fused, Layout, Role};

/// One line of a family's tensor table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TensorTemplate {
    pub(crate) role: Role,
    /// The name without the family's prefix, `{}` standing for the index of the block.
    pub(crate) name: &'static str,
    pub(crate) layout: Layout,
    /// For the fused roles, how their outputs are stacked.
    pub(crate) fused: Option<Fused>,
    /// Whether the family's prefix may precede the name.
    pub(crate) prefixed: bool,
}

/// A matrix stored outputs first.
pub(super) const fn out_in(role: Role, name: &'static str) -> TensorTemplate {
    TensorTemplate {
        role,
        name,
        layout: Layout::OutIn,
        fused: None,
        prefixed: true,
    }
}

/// A matrix stored inputs first.
pub(super) const fn in_out(role: Role, name: &'static str) -> TensorTemplate {
    TensorTemplate {
        layout: Layout::InOut,
        ..out_in(role, name)
    }
}

/// A vector.
pub(super) const fn vector(role: Role, name: &'static str) -> TensorTemplate {
    out_in(role, name)
}

impl TensorTemplate {
    pub(super) const fn fused(self, fused: Fused) -> Self {
        Self {
            fused: Some(fused),
            ..self
        }
    }

    pub(super) const fn without_prefix(self) -> Self {
        Self {
            prefixed: false,
            ..self
        }
    }

    /// The shape as stored.
    pub(crate) fn shape(&self, config: &ModelConfig) -> Vec<usize> {
        let mut shape = self.role.shape(config);
        if self.layout == Layout::InOut {
            shape.reverse();
        }
        shape
    }
}

/// Whether `name` is an instance of `pattern`: `Some(None)` for a pattern without a block, `Some(Some(index))` with.
pub(crate) fn instance(pattern: &str, name: &str) -> Option<Option<usize>> {
    let Some((before, after)) = pattern.split_once("{}") else {
        return (pattern == name).then_some(None);
    };
    let index = name.strip_prefix(before)?.strip_suffix(after)?;
    let is_canonical = index.bytes().all(|byte| byte.is_ascii_digit())
        && (index == "0" || !index.starts_with('0'));
    if is_canonical {
        index.parse().ok().map(Some)
    } else {
        None
    }
}

/// The name of the instance of `pattern` in block `layer`.
pub(crate) fn instantiate(pattern: &str, layer: Option<usize>) -> String {
    match layer {
        None => pattern.to_owned(),
        Some(layer) => pattern.replace("{}", &layer.to_string()),
    }
}
