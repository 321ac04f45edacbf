//! Finds models and data sets in the Hugging Face cache, by their names on the hub.
//!
//! The cache is only read. Anything missing is an error with the `hf` command that fetches it. Nothing here opens a network
//! connection.
//!
//! ```no_run
//! use layerwise_hub::{Cache, HubName};
//!
//! let name = HubName::parse("HuggingFaceTB/SmolLM2-135M").expect("a name");
//! let folder = Cache::of_user()?.model(&name)?; // a checkpoint folder
//! # Ok::<(), layerwise_hub::HubError>(())
//! ```

mod cache;
mod error;
mod name;
mod snapshot;
mod split;

pub use cache::{Cache, CachedCorpus};
pub use error::{Download, HubError, Missing};
pub use name::{HubCorpus, HubName};
pub use snapshot::{commit_of, commit_of_file, model_name, revision_of};
pub use split::Split;
