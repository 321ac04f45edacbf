//! What attention and MLP write to the residual stream (paper E, Csordás et al.).

use crate::readings::notebook::Sum;
use layerwise::transformer::Site;
use ndarray::{Array2, ArrayView1, ArrayView2, s};
use serde::{Deserialize, Serialize};

/// One block's updates on one sequence, over positions 1..T−1.
#[derive(Clone, Serialize, Deserialize)]
pub struct Sizes {
    /// ‖attn.out‖.
    pub attention: Sum,
    /// ‖mlp.out‖.
    pub mlp: Sum,
    /// ‖attn.out‖/‖mlp.out‖.
    pub ratio: Sum,
    /// ‖attn.out + mlp.out‖/‖resid.pre‖.
    pub relative: Sum,
    /// Cosine of attn.out + mlp.out with resid.pre.
    pub cosine: Sum,
}

/// The updates of one sequence, block by block.
#[derive(Default)]
pub struct Updates {
    before: Array2<f32>,
    attention: Array2<f32>,
    pub(super) blocks: Vec<Sizes>,
}

impl Updates {
    /// Takes `resid.pre`, `attn.out` and `mlp.out` of one block after another, each \[seq, model\].
    pub fn observe(&mut self, site: Site, activation: ArrayView2<'_, f32>) {
        let activation = activation.slice(s![1.., ..]);
        match site {
            Site::ResidPre => self.before = activation.to_owned(),
            Site::AttnOut => self.attention = activation.to_owned(),
            _ => self.blocks.push(self.sizes(activation)),
        }
    }

    /// The sizes of the block whose MLP wrote `mlp`.
    fn sizes(&self, mlp: ArrayView2<'_, f32>) -> Sizes {
        let mut sums = [0.0; 5];
        for ((before, attention), mlp) in self
            .before
            .outer_iter()
            .zip(self.attention.outer_iter())
            .zip(mlp.outer_iter())
        {
            let (attention_norm, mlp_norm) =
                (dot(attention, attention).sqrt(), dot(mlp, mlp).sqrt());
            // ‖a + m‖² and (a + m)·h from products of pairs: the sum is never rounded to f32.
            let update = (dot(attention, attention) + 2.0 * dot(attention, mlp) + dot(mlp, mlp))
                .max(0.0)
                .sqrt();
            let before_norm = dot(before, before).sqrt();
            let along = dot(attention, before) + dot(mlp, before);
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
        Sizes {
            attention,
            mlp,
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
