//! Early exit: stops a model where a rule says that its answer is already final (AdaInfer, arXiv 2403.02181).
//!
//! After every block the unembedding reads the last position ([`Reading`]): the gap between the two most probable tokens, and the
//! probability of the first. A [`Rule`] gives each depth a score and stops at the first score above its threshold; rules whose
//! scores count blocks stop on reaching it. Some rules are trained ([`Trained`]): a support vector machine, linear or with a
//! Gaussian kernel, and a conditional random field along the depths. A [`Classifier`] is a trained rule in a file, a [`Criterion`]
//! any rule with its settings, and a [`Stop`] applies it to a generation.
//!
//! "Exit at k" means that k blocks are run, 1 to L.
//!
//! ```
//! use layerwise_exits::{Rule, Stop, Vocab};
//! use layerwise_transformer::{ExitingState, Missing, Model, ModelConfig};
//!
//! let model = Model::random(ModelConfig::tiny(), 7);
//! let mut state = ExitingState::new(&model, 10, Missing::Recompute)?;
//! let mut stop = Stop::new(Rule::Fixed, 2.0, Vocab::Full);
//! let (last, blocks) = state.extend(&[0, 5, 3], &mut stop)?;
//! assert_eq!((last.len(), blocks), (model.config().model, 2));
//! # Ok::<(), layerwise_transformer::TransformerError>(())
//! ```

mod criterion;
mod error;
mod file;
mod reading;
mod rule;
mod stop;
#[cfg(test)]
mod testing;
mod trained;

pub use criterion::Criterion;
pub use error::ExitError;
pub use file::{Classifier, MOST_BYTES};
pub use reading::{Reading, Sharpness, Vocab};
pub use rule::{RULES, Rule, exit};
pub use stop::Stop;
pub use trained::{LEAST_INSTANCES, Trained};
