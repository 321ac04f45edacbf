use layerwise_files::FileError;
use std::path::PathBuf;

/// What can go wrong with a template or a conversation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// A file cannot be opened or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Something in a file of a checkpoint, or in a message, is not what it must be.
    #[error("{}: {item}: expected {expected}, found {found}", path.display())]
    Item {
        /// The file.
        path: PathBuf,
        /// What of it.
        item: String,
        /// What was expected.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// A template that cannot be read as Jinja, or that uses what templates may not.
    #[error("{}: the chat template cannot be read: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Why, and in which line.
        reason: String,
    },
    /// A template that refuses the conversation by `raise_exception`.
    #[error("{}: the chat template refuses the conversation: {message}", path.display())]
    Raised {
        /// The file.
        path: PathBuf,
        /// What the template says.
        message: String,
    },
    /// A template that fails on the conversation.
    #[error("{}: the chat template fails: {reason}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// Why, and in which line.
        reason: String,
    },
    /// A conversation without a message.
    #[error("the conversation has no message")]
    NoMessages,
    /// A template that works too long or makes too much on the way.
    #[error(
        "{}: the chat template takes more than {limit} steps, a step being an instruction or 64 bytes of text; it loops, or \
         the conversation is too long for it",
        path.display()
    )]
    TooMuchWork {
        /// The file.
        path: PathBuf,
        /// Steps that it may take.
        limit: u64,
    },
    /// A template that takes too long.
    #[error("{}: the chat template takes more than {seconds} seconds", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Seconds that it may take.
        seconds: u64,
    },
    /// A template that writes too much.
    #[error("{}: the chat template writes more than {limit} bytes", path.display())]
    TooMuchOutput {
        /// The file.
        path: PathBuf,
        /// Bytes that it may write.
        limit: usize,
    },
}
