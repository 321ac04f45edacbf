//! Continuations of a prompt, token by token, under any layer schedule.
//!
//! Each token runs once: keys and values are cached ([`layerwise_transformer::State`]), and the logits have the bits of running
//! the whole text again. If the model uses other rotary frequencies for longer texts, as Phi-3 does, the text does run again at
//! the length where they change.
//!
//! ```
//! use layerwise_generate::{Generation, Settings};
//! use layerwise_schedule::Schedule;
//! use layerwise_transformer::{Model, ModelConfig};
//!
//! let model = Model::random(ModelConfig::tiny(), 7); // or Model::open("path/to/checkpoint")?
//! let plain = Schedule::plain(model.stack())?;
//! let settings = Settings::default().with(|it| it.max_tokens = 5);
//! let generation = Generation::new(&model, &plain, &[0, 5, 3], settings)?;
//! let tokens = generation.map(|choice| Ok(choice?.token)).collect::<Result<Vec<u32>, layerwise_generate::GenerateError>>()?;
//! assert_eq!(tokens.len(), 5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Sampling`] says how a token is chosen, a [`Constraint`] which tokens are allowed, and [`TextStream`] turns tokens into text
//! as they come. [`BeamSearch`] searches for the likeliest continuations instead. [`Spells`] makes a constraint from an automaton
//! that reads text, such as a set of texts or a word lattice ([`TextLattice`]). A [`Writer`] continues many prompts in several
//! ways, all together, and [`Continuations`] are its work as a measure that resumes.

mod beams;
mod choosing;
mod constraint;
mod continuations;
mod error;
mod generation;
mod text;
mod texts;
mod token_texts;
mod writer;

pub use beams::{BeamSearch, Beams, Hypothesis, Stopping};
pub use choosing::{Choice, Sampling};
pub use constraint::{Constraint, Free, OneOf};
pub use continuations::Continuations;
pub use error::GenerateError;
pub use generation::{End, Generation, Settings};
pub use text::TextStream;
pub use texts::{Places, Spells, TextAutomaton, TextLattice};
pub use token_texts::TokenTexts;
pub use writer::{Continuation, Failed, Reader, Run, Way, Writer};
