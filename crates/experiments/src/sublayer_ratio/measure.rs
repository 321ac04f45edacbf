//! The outputs that attention and MLP add to the residual stream (paper E, Csordás et al.).

use super::table::Record;
use crate::core::error::ExperimentError;
use crate::core::models::relative_depth;
use crate::core::plain::{GoOn, Observation, Observed, Watch};
use crate::core::sample::{TEXT, Units};
use crate::core::subject::Subject;
use crate::core::sum::{Sum, mean};
use crate::core::tables::Tables;
use layerwise_metrics::median;
use layerwise_transformer::{Address, Model, Observer, Site};
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewD, Ix2, s};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One block's updates on one sequence, over positions 1..T−1.
#[derive(Clone, Serialize, Deserialize)]
pub struct Sizes {
    /// ‖attn.out‖.
    pub attention: Sum,
    /// ‖mlp.out‖.
    pub mlp: Sum,
    /// The median of ‖mlp.out‖ over the positions.
    pub mlp_median: Sum,
    /// ‖attn.out‖/‖mlp.out‖.
    pub ratio: Sum,
    /// ‖attn.out + mlp.out‖/‖resid.pre‖.
    pub relative: Sum,
    /// Cosine of attn.out + mlp.out with resid.pre.
    pub cosine: Sum,
}

/// The updates of one sequence, block by block.
#[derive(Default)]
struct Updates {
    before: Array2<f32>,
    attention: Array2<f32>,
    blocks: Vec<Sizes>,
}

impl Observer for Updates {
    fn wants(&self, address: Address) -> bool {
        matches!(address.site, Site::ResidPre | Site::AttnOut | Site::MlpOut)
    }

    /// Takes `resid.pre`, `attn.out` and `mlp.out` of one block after another, each \[seq, model\].
    fn observe(&mut self, address: Address, activation: ArrayViewD<'_, f32>) {
        let activation = activation.into_dimensionality::<Ix2>();
        let activation = activation.expect("these sites are [seq, model]");
        let activation = activation.slice(s![1.., ..]);
        match address.site {
            Site::ResidPre => self.before = activation.to_owned(),
            Site::AttnOut => self.attention = activation.to_owned(),
            _ => self.blocks.push(self.sizes(activation)),
        }
    }
}

impl Watch for Updates {
    fn finish(self: Box<Self>, _: GoOn<'_>) -> Result<Value, ExperimentError> {
        Ok(serde_json::to_value(self.blocks)?)
    }
}

impl Updates {
    /// The sizes of the block whose MLP output is `mlp`.
    fn sizes(&self, mlp: ArrayView2<'_, f32>) -> Sizes {
        let mut sums = [0.0; 5];
        let mut norms = Vec::with_capacity(mlp.nrows());
        for ((before, attention), mlp) in self
            .before
            .outer_iter()
            .zip(self.attention.outer_iter())
            .zip(mlp.outer_iter())
        {
            let (attention_norm, mlp_norm) =
                (dot(attention, attention).sqrt(), dot(mlp, mlp).sqrt());
            // ‖a + m‖² and (a + m)·h are computed from products of pairs, so that the sum is never rounded to f32.
            let update = (dot(attention, attention) + 2.0 * dot(attention, mlp) + dot(mlp, mlp))
                .max(0.0)
                .sqrt();
            let before_norm = dot(before, before).sqrt();
            let along = dot(attention, before) + dot(mlp, before);
            norms.push(mlp_norm);
            let values = [
                attention_norm,
                mlp_norm,
                attention_norm / mlp_norm,
                update / before_norm,
                along / (update * before_norm),
            ];
            sums.iter_mut()
                .zip(values)
                .for_each(|(sum, value)| *sum += value);
        }
        let count = mlp.nrows() as u64;
        let [attention, mlp, ratio, relative, cosine] = sums.map(|sum| Sum { sum, count });
        let mlp_median = match median(norms) {
            None => Sum { sum: 0.0, count: 0 },
            Some(sum) => Sum { sum, count: 1 },
        };
        Sizes {
            attention,
            mlp,
            mlp_median,
            ratio,
            relative,
            cosine,
        }
    }
}

fn dot(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}

/// [`Sizes`] of every block.
pub const SIZES: Written = Written;

/// See [`SIZES`].
pub struct Written;

impl Observation for Written {
    fn id(&self) -> &'static str {
        "sizes of updates"
    }

    fn begin<'m>(&self, _: &'m Model, _: usize) -> Box<dyn Watch + 'm> {
        Box::new(Updates::default())
    }

    fn fits(&self, left: &Value, layers: usize) -> bool {
        Vec::<Sizes>::deserialize(left).is_ok_and(|blocks| blocks.len() == layers)
    }
}

/// The curve of ‖attn.out‖/‖mlp.out‖ by block.
pub(super) const CURVE: &str = "attn_out_norm over mlp_out_norm";

/// Records the means over a text.
///
/// # Errors
/// None: the form of sums was checked when they were read.
pub(super) fn record(
    subject: &Subject<'_>,
    observed: &Observed,
    tables: &mut Tables,
) -> Result<(), ExperimentError> {
    let sequences: Vec<Vec<Sizes>> = observed.of(&SIZES)?;
    let layers = subject.model.config().layers;
    for layer in 0..sequences.first().map_or(0, Vec::len) {
        let mean = |of: fn(&Sizes) -> Sum| mean(sequences.iter().map(|blocks| of(&blocks[layer])));
        let (.., ratios) = mean(|block| block.ratio);
        tables.push(Units::of(subject.name, CURVE, TEXT, layer, &ratios));
        let (attn_out_norm, attn_out_norm_se, _) = mean(|block| block.attention);
        let (mlp_out_norm, mlp_out_norm_se, sums) = mean(|block| block.mlp);
        let (ratio, ratio_se, _) = mean(|block| block.ratio);
        let (relative_update, relative_update_se, _) = mean(|block| block.relative);
        let (update_cosine, update_cosine_se, _) = mean(|block| block.cosine);
        tables.push(Record {
            model: subject.name.to_owned(),
            model_type: subject.model_type().to_owned(),
            layer,
            layers,
            relative_depth: relative_depth(layer, layers),
            attn_out_norm,
            attn_out_norm_se,
            mlp_out_norm,
            mlp_out_norm_se,
            ratio,
            ratio_se,
            relative_update,
            relative_update_se,
            update_cosine,
            update_cosine_se,
            sequences: observed.sequences(),
            positions: sums.count(),
        });
    }
    Ok(())
}
