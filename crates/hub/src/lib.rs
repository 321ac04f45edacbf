//! Models and data sets by their names on the Hugging Face hub, in the cache that its tools keep.
//!
//! The cache is only read: what is not there is an error that says which command of the tool `hf` fetches it, and nothing
//! here opens a network connection.
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
