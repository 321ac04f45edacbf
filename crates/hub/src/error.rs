//! Why the cache cannot provide a model or a data set.

use crate::name::MAIN;
use layerwise_files::FileError;
use std::fmt;
use std::path::PathBuf;

/// Why the cache cannot provide a model or a data set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// No environment variable says where the cache is.
    #[error(
        "the Hugging Face cache cannot be found: set HF_HUB_CACHE, HF_HOME or XDG_CACHE_HOME, or HOME"
    )]
    NoCache,
    /// The cache lacks something.
    #[error("in the Hugging Face cache {} {what}; `{download}` fetches it", cache.display())]
    Missing {
        /// The folder of the cache.
        cache: PathBuf,
        /// What is missing.
        what: Box<Missing>,
        /// The command that fetches it.
        download: Box<Download>,
    },
    /// The cache's file for a revision does not hold a commit.
    #[error(
        "{}: expected a commit in hexadecimal digits, found {found:?}",
        path.display()
    )]
    NotACommit {
        /// The file of the revision.
        path: PathBuf,
        /// Its contents.
        found: String,
    },
    /// A file or folder of the cache cannot be used.
    #[error("{0}")]
    File(#[from] FileError),
}

/// What the cache lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// The repository.
    Repository {
        /// Its name.
        repository: String,
    },
    /// A revision of a repository.
    Revision {
        /// The name of the repository.
        repository: String,
        /// The given branch, tag or commit.
        revision: String,
        /// Its commit, if the cache knows it.
        commit: Option<String>,
    },
    /// A file of a model.
    File {
        /// The name of the repository.
        repository: String,
        /// The given branch, tag or commit.
        revision: String,
        /// The name of the file.
        file: &'static str,
    },
    /// A part of a data set.
    Split {
        /// The name of the repository, with its revision unless that is the main one.
        name: String,
        /// The configuration.
        config: String,
        /// The split.
        split: String,
        /// The configurations and splits that are present, as `CONFIG:SPLIT`.
        there: Vec<String>,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository { repository } => {
                write!(f, "every revision of {repository} is missing")
            }
            Self::Revision {
                repository,
                revision,
                commit,
            } => {
                write!(f, "the revision {revision}")?;
                if let Some(commit) = commit {
                    write!(f, " ({commit})")?;
                }
                write!(f, " of {repository} is missing")
            }
            Self::File {
                repository,
                revision,
                file,
            } => write!(
                f,
                "the file {file} of the revision {revision} of {repository} is missing"
            ),
            Self::Split {
                name,
                config,
                split,
                there,
            } => {
                /// As many as fit on a line.
                const SHOWN: usize = 12;
                write!(
                    f,
                    "the configuration {config} with the split {split} (there is "
                )?;
                match there.as_slice() {
                    [] => f.write_str("no file of texts (.parquet, .jsonl, .txt)")?,
                    places => {
                        let shown = &places[..places.len().min(SHOWN)];
                        f.write_str(&shown.join(", "))?;
                    }
                }
                if there.len() > SHOWN {
                    write!(f, " and {} more", there.len() - SHOWN)?;
                }
                write!(f, ") of {name} is missing")
            }
        }
    }
}

/// The files of a model's repository that are fetched: `.safetensors`, `.json`, `.jinja` and `.txt`. It may hold the same weights
/// in other forms too. It is one pattern, because `hf` before version 1.0 takes only the last of several.
const FILES: &str = "*.[sjt][aisx][font]*";

/// A call of the tool `hf` that fetches a model, or a part of a data set, into the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    pub(crate) repository: String,
    pub(crate) revision: String,
    /// The part of a data set; `None` for a model.
    pub(crate) split: Option<String>,
}

impl Download {
    /// The arguments of `hf`.
    pub fn arguments(&self) -> Vec<String> {
        let first = ["download", &self.repository, "--revision", &self.revision];
        let mut arguments: Vec<String> = first.map(str::to_owned).to_vec();
        match &self.split {
            None => arguments.extend(["--include", FILES].map(str::to_owned)),
            Some(split) => {
                arguments.extend(["--repo-type", "dataset", "--include"].map(str::to_owned));
                arguments.push(format!("*{split}*"));
            }
        }
        arguments
    }
}

/// As a user would type it.
impl fmt::Display for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hf download {}", self.repository)?;
        if self.revision != MAIN {
            write!(f, " --revision {}", self.revision)?;
        }
        match &self.split {
            None => Ok(()),
            Some(split) => write!(f, " --repo-type dataset --include '*{split}*'"),
        }
    }
}
