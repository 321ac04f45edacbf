//! A decoder-only transformer in plain `ndarray`, on the CPU, that runs under any layer schedule.
//!
//! Unlike a general inference engine, it takes the order of the blocks as an *input*.
//! A [`Schedule`](layerwise_schedule::Schedule) says which sublayers run, in which order, on which state and with which weight.
//! The forward pass is one loop over its steps.
//! One block body serves every family; the differences between GPT-2 and Gemma 3 are data ([`ModelConfig`] and the tables in
//! [`layerwise_architecture`]).
//!
//! ```
//! use layerwise_schedule::{Edit, Schedule};
//! use layerwise_transformer::{Model, ModelConfig};
//!
//! let model = Model::random(ModelConfig::tiny(), 7);
//! let plain = Schedule::plain(model.stack())?;
//! let swapped = "swap(0,1)".parse::<Edit>()?.apply(&plain)?;
//! let tokens = [0, 5, 3, 8];
//! let before = model.logits(&tokens, &plain)?; // [seq, vocab]
//! let after = model.logits(&tokens, &swapped)?;
//! assert_eq!(before.dim(), (4, model.config().vocab));
//! assert_ne!(before, after);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Axes
//! `seq` positions, `model` residual width, `heads`, `kv_heads`, `head` (width of one), `neurons` MLP width, `vocab`, `layers`
//! blocks. The position fed to rotary or learned embeddings is the token's index in its sequence, whatever the schedule.
//! Several sequences run together as a [`Batch`]; its rows are then the axis `seq`.
//! A [`State`] keeps the keys and values of a sequence, so that further tokens run without the earlier ones. In an
//! [`ExitingState`] each token may stop after a different number of blocks.

mod arrays;
mod attending;
mod batch;
mod blocks;
mod cost;
mod crew;
mod differences;
mod error;
mod exiting;
mod folding;
mod forward;
mod kept;
pub mod lens;
mod linear;
mod loading;
mod model;
mod neurons;
mod padded;
mod random;
mod reading;
mod reference;
mod rotary;
mod scoring;
mod site;
mod state;
mod streams;
mod values;

pub use arrays::Arrays;
pub use batch::Batch;
pub use cost::Cost;
pub use differences::{Difference, Differences};
pub use error::{MissingValues, TransformerError};
pub use exiting::{Exit, ExitingState, Missing};
pub use forward::Workspace;
pub use layerwise_architecture::ModelConfig;
pub use layerwise_kernels::gemm::Precision;
pub use layerwise_kernels::team::Team;
pub use layerwise_schedule::Site;
pub use loading::Packing;
pub use model::Model;
pub use reference::ReferenceError;
pub use site::{Address, FirstNotFinite, NotFinite, Observer, Recording, check_site};
pub use state::State;
pub use streams::Stream;
pub use values::{Constants, Place, Program, Taken, Values, shape_at_one_position};
