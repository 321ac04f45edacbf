//! Models as lines of a drawing: their order, their looks, their legend, and the depth that they share as an axis.

use crate::plot::{LegendEntry, Style, legend_order, styles_of_models};
use std::collections::BTreeSet;

/// What is known of a model before anything is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its name.
    pub name: String,
    /// Its family, the `model_type` of its config.
    pub family: String,
    /// Blocks, L.
    pub layers: usize,
    /// Numbers in its weights.
    pub parameters: u64,
}

/// A model with the look of its lines, the same in every figure.
pub struct Model<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its family, the `model_type` of its config.
    pub family: &'a str,
    /// The look of its lines.
    pub style: Style,
}

/// The models among (name, family) pairs, each once, in the order of a legend.
pub fn of<'a>(named: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Model<'a>> {
    let mut named: Vec<(&str, &str)> = named.collect::<BTreeSet<_>>().into_iter().collect();
    named.sort_by(|a, b| legend_order(a.0, a.1).cmp(&legend_order(b.0, b.1)));
    let styles = styles_of_models(&named);
    named
        .into_iter()
        .zip(styles)
        .map(|((name, family), style)| Model {
            name,
            family,
            style,
        })
        .collect()
}

/// A legend of one entry for each model.
pub fn legend(models: &[Model<'_>]) -> Vec<LegendEntry> {
    models
        .iter()
        .map(|model| LegendEntry {
            label: model.name.to_owned(),
            group: model.family.to_owned(),
            style: model.style,
        })
        .collect()
}

/// ℓ/(L−1), the depth of block ℓ of L from 0 to 1; 0 in a model of one block.
pub fn relative_depth(layer: usize, layers: usize) -> f64 {
    layer as f64 / layers.saturating_sub(1).max(1) as f64
}

/// s/L, the depth of residual stream s of a model of L blocks, where 0 is the embedding and L the last block's output.
pub fn state_depth(state: usize, layers: usize) -> f64 {
    state as f64 / layers.max(1) as f64
}
