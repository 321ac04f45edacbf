use layerwise_files::FileError;
use std::path::PathBuf;

/// Why a template or a conversation fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// A file cannot be opened or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Something in a checkpoint's file or in a message is not as required.
    #[error("{}: {item}: expected {expected}, found {found}", path.display())]
    Item {
        /// The file.
        path: PathBuf,
        /// The item.
        item: String,
        /// What was expected.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// The template is not valid Jinja, or uses something that templates may not use.
    #[error("{}: the chat template cannot be read: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The reason, with the line.
        reason: String,
    },
    /// The template refuses the conversation with `raise_exception`.
    #[error("{}: the chat template refuses the conversation: {message}", path.display())]
    Raised {
        /// The file.
        path: PathBuf,
        /// The template's message.
        message: String,
    },
    /// The template fails on the conversation.
    #[error("{}: the chat template fails: {reason}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// The reason, with the line.
        reason: String,
    },
    /// The conversation has no message.
    #[error("the conversation has no message")]
    NoMessages,
    /// The template takes too many steps, or creates too much temporary text.
    #[error(
        "{}: the chat template takes more than {limit} steps, a step being an instruction or 64 bytes of text; it loops, or \
         the conversation is too long for it",
        path.display()
    )]
    TooMuchWork {
        /// The file.
        path: PathBuf,
        /// The largest number of steps.
        limit: u64,
    },
    /// The template takes too long.
    #[error("{}: the chat template takes more than {seconds} seconds", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The time limit in seconds.
        seconds: u64,
    },
    /// The template writes too much.
    #[error("{}: the chat template writes more than {limit} bytes", path.display())]
    TooMuchOutput {
        /// The file.
        path: PathBuf,
        /// The largest output in bytes.
        limit: usize,
    },
}
