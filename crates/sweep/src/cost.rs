//! The amount of work in a run, for estimating its time in advance.

use crate::plan::Plan;
use layerwise_transformer::Model;

/// Multiply-adds of all schedules of a plan on `tokens` tokens; shared steps count once.
///
/// ```
/// use layerwise_sweep::{Plan, cost};
/// use layerwise_transformer::{Model, ModelConfig};
///
/// let model = Model::random(ModelConfig::tiny(), 0); // 4 blocks
/// let plan = Plan::new(model.stack(), &["drop(l)".parse()?], 4096)?;
/// let plain = Plan::plain(model.stack())?;
/// assert!(cost::of_plan(&model, &plan, 1000) < 5.0 * cost::of_plan(&model, &plain, 1000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn of_plan(model: &Model, plan: &Plan, tokens: usize) -> f64 {
    of_steps(model, plan.planned_steps(), plan.entries().len(), tokens)
}

/// Multiply-adds of the plain model on `tokens` tokens, without the unembedding.
pub fn of_plain(model: &Model, tokens: usize) -> f64 {
    of_steps(model, model.plain().steps().len(), 0, tokens)
}

/// Multiply-adds of `schedules` schedules that together take `steps` steps. Only products with weights count; each step
/// multiplies a token with its weights once.
pub fn of_steps(model: &Model, steps: usize, schedules: usize, tokens: usize) -> f64 {
    let config = model.config();
    let vocabulary = config.vocab as f64 * config.model as f64;
    let matrices = if config.tied { 1.0 } else { 2.0 };
    let blocks = (config.parameters() as f64 - matrices * vocabulary).max(0.0);
    let step = blocks / model.plain().steps().len() as f64;
    tokens as f64 * (steps as f64 * step + schedules as f64 * vocabulary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use layerwise_transformer::ModelConfig;

    #[test]
    fn work_grows_with_steps_schedules_and_tokens() {
        let model = Model::random(ModelConfig::tiny(), 0);
        let plan = |families: &[&str]| {
            let families: Result<Vec<_>, _> = families.iter().map(|it| it.parse()).collect();
            Plan::new(model.stack(), &families.expect("families"), 4096).expect("a plan")
        };
        let plain = of_plan(&model, &plan(&[]), 10);
        assert!(of_plain(&model, 10) > 0.0 && of_plain(&model, 10) < plain);
        assert_eq!(of_plan(&model, &plan(&[]), 20), 2.0 * plain);
        let layers = model.config().layers as f64;
        let dropped = of_plan(&model, &plan(&["drop(l)"]), 10);
        assert!(dropped > plain && dropped < (1.0 + layers) * plain);
    }
}
