//! Builds a model from your own shape and weights, and runs it under every schedule that drops one block.
//!
//!     cargo run --release --package layerwise --example own_model

use layerwise::ndarray::ArrayD;
use layerwise::sweep::{Divergence, Plan, Runner, collect};
use layerwise::transformer::{Arrays, ModelConfig};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let config = ModelConfig::tiny().with(|it| {
        it.layers = 6;
        it.context = 128;
    });
    let mut state = 1_u32;
    // Matrices get values from −0.1 to 0.1; vectors, which are gains and biases, are 1.
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8.4e7 - 0.1
    };
    let weights = Arrays::shapes(&config).into_iter().map(|(at, shape)| {
        let drawn = match shape.len() {
            1 => ArrayD::ones(shape),
            _ => ArrayD::from_shape_simple_fn(shape, &mut draw),
        };
        (at, drawn)
    });
    let model = Arrays {
        weights: weights.collect(),
        config,
    }
    .model()?;
    let plan = Plan::new(model.stack(), &["drop(l)".parse()?], 4096)?;
    let tokens: Vec<u32> = (0..100).map(|at| at * 31 % 50).collect();
    let measured = Runner::new().measure(&model, &plan, &Divergence::new(), &[tokens])?;
    let statistics = collect(
        plan.entries().len(),
        measured.results.iter().map(Vec::as_slice),
    );
    for (label, found) in plan.labels().iter().zip(statistics) {
        println!(
            "{:8} {:.4} nats",
            label.edit,
            found.kl_nats.mean().unwrap_or(0.0)
        );
    }
    Ok(())
}
