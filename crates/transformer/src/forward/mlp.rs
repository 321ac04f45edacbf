//! The MLP of a block.

use super::Workspace;
use crate::model::Model;
use crate::reading::Reading;
use layerwise_architecture::{Activation, Mlp};
use layerwise_kernels::activation;
use layerwise_schedule::Site;
use ndarray::{ArrayView2, Axis};

impl Model {
    /// Computes the MLP's update into `workspace.mlp_update`.
    pub(super) fn mlp(
        &self,
        index: usize,
        residual: ArrayView2<'_, f32>,
        workspace: &mut Workspace,
        reading: &mut Reading<'_>,
    ) {
        let block = self.blocks.get(index);
        let w = workspace;
        let norm = block.mlp_norm.as_ref().unwrap_or(&block.attn_norm);
        self.read_stream(
            norm,
            &block.mlp_in,
            residual,
            Site::MlpNorm,
            (&mut w.normed, w.neurons.view_mut()),
            &mut w.crew,
            reading,
        );
        let (mut neurons, mut up) = w.neurons.view_mut().split_at(Axis(1), self.config.neurons);
        reading.offer(Site::MlpPre, || neurons.view_mut().into_dyn());
        let activate = match self.config.activation {
            Activation::GeluTanh => activation::gelu_tanh,
            Activation::Gelu => activation::gelu,
            Activation::Silu => activation::silu,
            Activation::Relu => activation::relu,
        };
        let gated = self.config.mlp == Mlp::Gated;
        if gated {
            reading.offer(Site::MlpUp, || up.view_mut().into_dyn());
        }
        for (mut row, up) in neurons.outer_iter_mut().zip(up.outer_iter()) {
            let row = row.as_slice_mut().expect("rows of neurons are contiguous");
            activate(row);
            if gated {
                let up = up.to_slice();
                activation::multiply(row, up.expect("rows of up projections are contiguous"));
            }
        }
        reading.offer(Site::MlpPost, || neurons.view_mut().into_dyn());
        block
            .mlp_out
            .apply_shared(neurons.view(), w.mlp_update.view_mut(), &mut w.crew);
        let after = block.after_norms.as_ref().map(|[_, norm]| norm);
        self.finish(after, &mut w.mlp_update, &mut w.normed);
        reading.offer(Site::MlpOut, || w.mlp_update.view_mut().into_dyn());
        self.norm_the_sum(norm, residual, &mut w.mlp_update, &mut w.normed);
    }
}
