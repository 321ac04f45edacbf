//! A model of one's own shape, with random weights, under every schedule that drops a block.
//!
//!     cargo run --release --package layerwise --example own_model

use layerwise::sweep::{Divergence, Plan, Runner, collect};
use layerwise::transformer::{Model, ModelConfig};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    run()
}

pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let config = ModelConfig::tiny().with(|it| {
        it.layers = 6;
        it.context = 128;
    });
    let model = Model::random(config, 7);
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
