//! How a family names and stores the tensors of the block equation.

use crate::config::ModelConfig;
use crate::tensors::{Fused, Layout, Role};

/// One line of a family's tensor table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TensorTemplate {
    pub(crate) role: Role,
    /// The name without the family's prefix. `{}` stands for the index of the block; a second `{}` stands for the index of a row
    /// that is a separate tensor.
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

    /// The rows, if each is a separate tensor; otherwise the one tensor with all rows.
    pub(crate) fn rows(&self, config: &ModelConfig) -> impl Iterator<Item = Option<usize>> + use<> {
        let apart = self
            .is_by_row()
            .then(|| 0..self.role.shape(config)[0])
            .map(|rows| rows.map(Some));
        let whole = (!self.is_by_row()).then_some(None);
        apart.into_iter().flatten().chain(whole)
    }

    /// Whether the config has the row of a name.
    pub(crate) fn rows_hold(&self, config: &ModelConfig, place: Place) -> bool {
        place.row.is_none_or(|row| row < self.role.shape(config)[0])
    }

    /// Whether each row is a separate tensor.
    pub(crate) fn is_by_row(&self) -> bool {
        self.name.matches("{}").count() == 2
    }

    /// The shape as stored.
    pub(crate) fn shape(&self, config: &ModelConfig) -> Vec<usize> {
        let mut shape = self.role.shape(config);
        if self.layout == Layout::InOut {
            shape.reverse();
        }
        if self.is_by_row() {
            shape.remove(0);
        }
        shape
    }
}

/// The indices of a name within a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The block, if it belongs to one.
    pub(crate) layer: Option<usize>,
    /// The row, if each is a separate tensor.
    pub(crate) row: Option<usize>,
}

/// The indices of `name`, if it is an instance of `pattern`.
pub(crate) fn instance(pattern: &str, name: &str) -> Option<Place> {
    let mut indices = [None; 2];
    let mut pieces = pattern.split("{}");
    let mut rest = name.strip_prefix(pieces.next()?)?;
    for (index, piece) in indices.iter_mut().zip(pieces) {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        if number.len() > 1 && number.starts_with('0') {
            return None;
        }
        *index = Some(number.parse().ok()?);
        rest = after.strip_prefix(piece)?;
    }
    let [layer, row] = indices;
    rest.is_empty().then_some(Place { layer, row })
}

/// The instance of `pattern` with some indices.
pub(crate) fn instantiate(pattern: &str, place: Place) -> String {
    [place.layer, place.row]
        .into_iter()
        .flatten()
        .fold(pattern.to_owned(), |name, index| {
            name.replacen("{}", &index.to_string(), 1)
        })
}
