//! Hashes of a run's inputs and of lines.

use layerwise_files::hexadecimal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A hash of everything a run's results depend on: input files, settings, code version.
///
/// It does not depend on shards: all shards of a run have its key.
///
/// ```
/// use layerwise_journal::RunKey;
///
/// assert_eq!(RunKey::of(["model", "text"]), RunKey::of(["model", "text"]));
/// assert_ne!(RunKey::of(["ab", "c"]), RunKey::of(["a", "bc"]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunKey(String);

impl RunKey {
    /// The hash of parts, in order. Each part is preceded by its length, so that no two lists of parts hash alike.
    pub fn of(parts: impl IntoIterator<Item: AsRef<[u8]>>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            let part = part.as_ref();
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hexadecimal(&hash.finalize()))
    }

    /// The key as hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Length of a line's checksum, in hexadecimal digits.
pub(crate) const CHECKSUM: usize = 16;

/// The checksum of a line: the first digits of its SHA-256.
pub(crate) fn checksum(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes)[..CHECKSUM / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_key_do_not_run_together() {
        assert_ne!(
            RunKey::of([b"ab".as_slice(), b"c"]),
            RunKey::of([b"a".as_slice(), b"bc"])
        );
    }
}
