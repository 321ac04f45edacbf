//! How a divided run was started, for merging its shares.

use crate::JournalError;
use layerwise_files::{Links, open};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The command that started a share of several runs, so that it can be repeated once all shares are done.
///
/// ```
/// use layerwise_journal::Divided;
///
/// let folder = tempfile::tempdir()?;
/// let command = ["sweep", "drop(l)", "--shard", "1/2"].map(str::to_owned);
/// let divided = Divided::new("1.2.3", folder.path().to_owned(), command.to_vec());
/// std::fs::write(folder.path().join(Divided::FILE), divided.json()?)?;
/// assert_eq!(Divided::read(folder.path())?, divided);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Divided {
    /// The version of the program.
    layerwise: String,
    /// The folder that the command was given in.
    folder: PathBuf,
    /// The command's name and arguments.
    command: Vec<String>,
}

impl Divided {
    /// The file's name, in the output folder.
    pub const FILE: &str = "shard.json";

    /// The largest number of bytes that are read.
    const MOST_BYTES: u64 = 1 << 20;

    /// Describes a share: the version of the program, the folder, and the command that started it.
    pub fn new(version: &str, folder: PathBuf, command: Vec<String>) -> Self {
        Self {
            layerwise: version.to_owned(),
            folder,
            command,
        }
    }

    /// Reads the file from the output folder of a share.
    ///
    /// # Errors
    /// The file cannot be opened, or holds something else.
    pub fn read(outputs: &Path) -> Result<Self, JournalError> {
        let file = open(&outputs.join(Self::FILE), Links::Refuse)?;
        let bytes = file.read_all(Self::MOST_BYTES)?;
        let not_divided = |found: String| JournalError::NotDivided {
            path: file.path().to_owned(),
            found,
        };
        let divided: Self =
            serde_json::from_slice(&bytes).map_err(|error| not_divided(error.to_string()))?;
        match divided.command.is_empty() || !divided.folder.is_absolute() {
            true => Err(not_divided(
                "no command, or a folder that is not absolute".to_owned(),
            )),
            false => Ok(divided),
        }
    }

    /// The version of the program that started the share.
    pub fn version(&self) -> &str {
        &self.layerwise
    }

    /// The folder that the command was given in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The command's name and arguments.
    pub fn command(&self) -> &[String] {
        &self.command
    }

    /// The description as indented JSON, with a final newline.
    ///
    /// # Errors
    /// The folder's path is not UTF-8.
    pub fn json(&self) -> Result<String, JournalError> {
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|_| JournalError::NotUtf8 {
                path: self.folder.clone(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(Divided::FILE);
        let command = ["reproduce", "wic", "--shard", "1/2"].map(str::to_owned);
        let divided = Divided::new("1.2.3", folder.path().to_owned(), command.to_vec());
        fs::write(&path, divided.json().unwrap()).unwrap();
        assert_eq!(Divided::read(folder.path()).unwrap(), divided);
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStringExt;
            let odd = std::ffi::OsString::from_vec(vec![b'a', 0xff]);
            let error = Divided::new("1.2.3", odd.into(), Vec::new()).json();
            let said = error.unwrap_err().to_string();
            assert!(said.contains("run the share in another folder"), "{said}");
        }

        let check = |text: &str, says: &str| {
            fs::write(&path, text).unwrap();
            let error = Divided::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains("shard.json"), "{error}");
            assert!(error.contains(says), "{text}: {error}");
        };
        check("", "EOF");
        check("[]", "invalid length");
        check(r#"{"layerwise": "1", "folder": "/"}"#, "command");
        let with = |folder: &str, command: &str, more: &str| {
            format!(r#"{{"layerwise": "1", "folder": {folder}, "command": {command}{more}}}"#)
        };
        check(&with("\"/\"", "[]", ""), "no command");
        check(&with("\"a\"", "[\"reproduce\"]", ""), "not absolute");
        check(&with("\"/\"", "[\"reproduce\", 1]", ""), "integer `1`");
        check(&with("\"/\"", "[\"a\"]", ", \"b\": 1"), "unknown field `b`");
        check(&" ".repeat((1 << 20) + 1), "at most 1048576 bytes");
    }
}
