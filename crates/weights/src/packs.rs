//! Packed weights kept on disk for the next start.
//!
//! A file of packed weights is named by a hash of everything that the weights depend on, and holds that hash. Its contents are
//!
//! - 16 bytes that identify the format, and a CRC-32 of the rest of its head, in 8 bytes;
//! - the hash, 64 hexadecimal digits; the number of parts, in 8 bytes; for each part its length and its CRC-32, in 8 bytes each;
//! - zeros up to a multiple of 4096 bytes, and then the parts in order, each a multiple of 128 bytes.
//!
//! Numbers are little-endian, and parts are stored as they lie in memory. Opening a file checks all of this.

use crate::error::WeightsError;
use crate::mapping::{Mapping, StableFiles};
use layerwise_files::{FileError, Links, OpenedFile, open, sha256};
use std::fs;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The first bytes of every such file.
const MAGIC: &[u8; 16] = b"layerwise packs\n";
/// Bytes of the hash.
const HASH: usize = 64;
/// Bytes before the list of parts.
const FIXED: usize = MAGIC.len() + 8 + HASH + 8;
/// Bytes of a part's entry in the list.
const ENTRY: usize = 16;
/// The largest number of parts; a model has a few for each block.
const MOST_PARTS: u64 = 1 << 20;
/// Parts begin at a multiple of this: a page.
const PAGE: usize = 4096;
/// The length of a part is a multiple of this: a row of a panel.
const ROW: u64 = 128;
/// Files of fewer bytes are hashed each time, which takes almost no time.
const LEAST_REMEMBERED: u64 = 16 << 20;
/// Bytes of a remembered hash with its stamp.
const MOST_STAMP: u64 = 4096;

/// A folder of packed weights.
///
/// Files are written under a unique name and then renamed, so that a file is whole or absent, whatever other process writes the
/// same; after a loss of power its checksums show damage. The folder is created for the user alone. Checksums detect damage but
/// not tampering, so only the user should be able to write to the folder.
///
/// ```
/// use layerwise_weights::{PackCache, StableFiles};
///
/// let folder = tempfile::tempdir()?;
/// // SAFETY: nobody else writes to the folder.
/// let stable = unsafe { StableFiles::promise() };
/// let cache = PackCache::new(folder.path(), stable);
/// assert!(cache.open(&["a model", "f32"])?.is_none());
/// cache.keep(&["a model", "f32"], &[&[1; 128], &[2; 256]])?;
/// let packs = cache.open(&["a model", "f32"])?.expect("kept before");
/// assert_eq!(packs.as_ref()[packs.parts()[1].clone()], [2; 256]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackCache {
    folder: PathBuf,
    stable: StableFiles,
}

/// A file of packed weights, mapped into memory and checked.
#[derive(Debug)]
pub struct Packs {
    path: PathBuf,
    mapping: Mapping,
    parts: Vec<Range<usize>>,
}

impl Packs {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The byte ranges of its parts.
    pub fn parts(&self) -> &[Range<usize>] {
        &self.parts
    }
}

/// The bytes of the file.
impl AsRef<[u8]> for Packs {
    fn as_ref(&self) -> &[u8] {
        &self.mapping
    }
}

impl PackCache {
    /// A cache in a folder, which is created when the first weights are kept. Its files are mapped, on the caller's promise that
    /// nobody writes to them; the cache itself replaces them by renaming.
    pub fn new(folder: impl Into<PathBuf>, stable: StableFiles) -> Self {
        Self {
            folder: folder.into(),
            stable,
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The packed weights kept for these texts; `None` if there are none.
    ///
    /// # Errors
    /// The file cannot be opened, is damaged, or belongs to other inputs; [`PackCache::keep`] replaces it.
    pub fn open(&self, of: &[&str]) -> Result<Option<Packs>, WeightsError> {
        let key = key(of);
        let path = self.path(&key);
        let file = match open(&path, Links::Refuse) {
            Err(FileError::Missing { .. }) => return Ok(None),
            file => file?,
        };
        let parts = head(&file, &key)?;
        let mapping = Mapping::new(&file.handle(), file.size_in_memory()?, self.stable);
        let mapping = mapping.map_err(|source| FileError::io(&path, "map", source))?;
        for (index, (part, sum)) in parts.iter().enumerate() {
            let found = crc32fast::hash(&mapping[part.clone()]);
            if found != *sum {
                return Err(WeightsError::PackSum {
                    path,
                    part: index,
                    expected: *sum,
                    found,
                });
            }
        }
        Ok(Some(Packs {
            path,
            mapping,
            parts: parts.into_iter().map(|(part, _)| part).collect(),
        }))
    }

    /// Keeps packed weights for these texts, replacing earlier ones, and returns the file.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    ///
    /// # Panics
    /// If the length of a part is not a multiple of 128 bytes.
    pub fn keep(&self, of: &[&str], parts: &[&[u8]]) -> Result<PathBuf, WeightsError> {
        let key = key(of);
        let path = self.path(&key);
        let mut rest = key.as_bytes().to_vec();
        rest.extend((parts.len() as u64).to_le_bytes());
        for part in parts {
            assert!(
                (part.len() as u64).is_multiple_of(ROW),
                "parts are whole rows"
            );
            rest.extend((part.len() as u64).to_le_bytes());
            rest.extend(u64::from(crc32fast::hash(part)).to_le_bytes());
        }
        let start = MAGIC.len() + 8;
        rest.resize((start + rest.len()).next_multiple_of(PAGE) - start, 0);
        let sum = u64::from(crc32fast::hash(&rest)).to_le_bytes();
        let head: [&[u8]; 3] = [MAGIC, &sum, &rest];
        self.replace(&path, head.into_iter().chain(parts.iter().copied()))?;
        Ok(path)
    }

    /// A file's SHA-256. For a large file it is remembered together with the file's stamp ([`OpenedFile::stamp`]), so that a file
    /// that has not been written since is not read again. A remembered hash is trusted only if it was written at least two
    /// seconds after the file ([`OpenedFile::is_older_than`]); before that, the file could be written again under the same stamp.
    ///
    /// # Errors
    /// The file cannot be read. A hash that cannot be remembered is computed again the next time.
    pub fn sha256(&self, file: &OpenedFile) -> Result<String, FileError> {
        let stamp = match file.size() >= LEAST_REMEMBERED {
            true => file.stamp()?,
            false => None,
        };
        let Some(stamp) = stamp else {
            return file.sha256();
        };
        let path = self
            .folder
            .join(format!("{}.sha256", &key(&[&stamp])[..32]));
        if let Some(known) = remembered(&path, &stamp, file) {
            return Ok(known);
        }
        let hash = file.sha256()?;
        if file.stamp()?.as_ref() == Some(&stamp) {
            let text = format!("{stamp}\n{hash}\n");
            let _ = self.replace(&path, [text.as_bytes()]);
        }
        Ok(hash)
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{}.packed", &key[..32]))
    }

    /// Writes a file under a unique name, and renames it to its place.
    fn replace<'b>(
        &self,
        path: &Path,
        parts: impl IntoIterator<Item = &'b [u8]>,
    ) -> Result<(), FileError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| FileError::io(&path, "write", source)
        };
        own_folder(&self.folder).map_err(failed(&self.folder))?;
        let mut parts = parts.into_iter();
        layerwise_files::replace(path, |file| parts.try_for_each(|part| file.write_all(part)))
            .map_err(failed(path))
    }
}

/// Creates a folder that only the user may read and write, unless it exists.
fn own_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// A hash of texts.
fn key(of: &[&str]) -> String {
    let mut bytes = Vec::new();
    for text in of {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    sha256(&bytes)
}

/// The hash remembered for a file with this stamp, if it was written long enough after the file.
fn remembered(path: &Path, stamp: &str, of: &OpenedFile) -> Option<String> {
    let kept = open(path, Links::Refuse).ok()?;
    if !of.is_older_than(&kept).ok()? {
        return None;
    }
    let bytes = kept.read_all(MOST_STAMP).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let hash = text
        .strip_prefix(stamp)?
        .strip_prefix('\n')?
        .strip_suffix('\n')?;
    let is_hash =
        hash.len() == HASH && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_hash.then(|| hash.to_owned())
}

/// The parts of a file with their checksums, after its size, head and hash are checked.
fn head(file: &OpenedFile, key: &str) -> Result<Vec<(Range<usize>, u32)>, WeightsError> {
    let damaged = || WeightsError::PackHead {
        path: file.path().to_owned(),
    };
    let size = file.size();
    let mut fixed = [0; FIXED];
    if size < FIXED as u64 {
        return Err(damaged());
    }
    file.read_at(0, &mut fixed)?;
    let number = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).unwrap_or(u64::MAX);
    let count = number(&fixed[FIXED - 8..]);
    let start = MAGIC.len() + 8;
    let length = count
        .checked_mul(ENTRY as u64)
        .map(|list| (FIXED as u64 + list).next_multiple_of(PAGE as u64))
        .filter(|length| count <= MOST_PARTS && *length <= size && fixed.starts_with(MAGIC))
        .ok_or_else(damaged)?;
    let mut head = vec![0; length as usize];
    file.read_at(0, &mut head)?;
    let sum = number(&head[MAGIC.len()..start]);
    if sum != u64::from(crc32fast::hash(&head[start..])) {
        return Err(damaged());
    }
    if head[FIXED + count as usize * ENTRY..]
        .iter()
        .any(|byte| *byte != 0)
    {
        return Err(damaged());
    }
    let found = &head[start..start + HASH];
    if found != key.as_bytes() {
        return Err(WeightsError::PackOther {
            path: file.path().to_owned(),
            expected: key.to_owned(),
            found: String::from_utf8_lossy(found).into_owned(),
        });
    }
    let mut end = length;
    let mut parts = Vec::with_capacity(count as usize);
    for entry in head[FIXED..FIXED + count as usize * ENTRY].chunks_exact(ENTRY) {
        let (bytes, sum) = (number(&entry[..8]), number(&entry[8..]));
        let first = end;
        end = end
            .checked_add(bytes)
            .filter(|end| *end <= size && bytes.is_multiple_of(ROW))
            .ok_or_else(damaged)?;
        let sum = u32::try_from(sum).map_err(|_| damaged())?;
        parts.push((first as usize..end as usize, sum));
    }
    match end == size {
        true => Ok(parts),
        false => Err(WeightsError::PackLength {
            path: file.path().to_owned(),
            expected: end,
            found: size,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::stable;
    use proptest::prelude::*;
    use std::fs::File;

    const OF: [&str; 2] = ["a model", "f32"];

    fn kept() -> (tempfile::TempDir, PackCache, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let cache = PackCache::new(folder.path().join("packs"), stable());
        let path = cache.keep(&OF, &[&[1; 256], &[], &[2; 128]]).unwrap();
        (folder, cache, path)
    }

    #[test]
    fn what_is_kept_is_found_by_all_that_it_depends_on() {
        let (_folder, cache, path) = kept();
        let packs = cache.open(&OF).unwrap().unwrap();
        let parts: Vec<&[u8]> = packs
            .parts()
            .iter()
            .map(|own| &packs.as_ref()[own.clone()])
            .collect();
        assert_eq!(parts, [&[1; 256][..], &[], &[2; 128]]);
        assert_eq!((packs.path(), packs.parts()[0].start % PAGE), (&*path, 0));
        for other in [&["a model", "bf16"][..], &["a modelf32"], &["a model"], &[]] {
            assert!(cache.open(other).unwrap().is_none(), "{other:?}");
        }
        // A file may be replaced while it is in use.
        cache.keep(&OF, &[&[3; 128]]).unwrap();
        assert_eq!(packs.as_ref()[packs.parts()[2].clone()], [2; 128]);
        assert_eq!(cache.open(&OF).unwrap().unwrap().parts().len(), 1);
        let names = fs::read_dir(cache.folder()).unwrap();
        assert_eq!(names.count(), 1, "nothing is left beside it");
    }

    #[test]
    fn every_changed_byte_is_found_and_what_was_damaged_is_made_again() {
        let (_folder, cache, path) = kept();
        let whole = fs::read(&path).unwrap();
        // Samples the zeros of the head instead of changing each.
        let step = |at: usize| match (200..PAGE - 1).contains(&at) {
            true => 97,
            false => 1,
        };
        let mut at = 0;
        while at < whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, bytes).unwrap();
            let error = cache.open(&OF).map(drop).unwrap_err().to_string();
            assert!(error.contains(".packed: expected"), "byte {at}: {error}");
            at += step(at);
        }
        for length in [
            0,
            1,
            15,
            95,
            96,
            200,
            PAGE - 1,
            PAGE,
            PAGE + 128,
            whole.len() - 1,
        ] {
            fs::write(&path, &whole[..length]).unwrap();
            cache.open(&OF).map(drop).unwrap_err();
        }
        fs::write(&path, [&whole[..], &[0; 128]].concat()).unwrap();
        let error = cache.open(&OF).map(drop).unwrap_err();
        assert!(matches!(error, WeightsError::PackLength { .. }), "{error}");
        cache.keep(&OF, &[&[1; 256], &[], &[2; 128]]).unwrap();
        assert!(cache.open(&OF).unwrap().is_some());
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn a_file_of_something_else_is_told_apart_from_damage() {
        let (_folder, cache, path) = kept();
        let other = cache.keep(&["another"], &[&[1; 128]]).unwrap();
        fs::rename(other, path).unwrap();
        let error = cache.open(&OF).map(drop).unwrap_err();
        assert!(matches!(error, WeightsError::PackOther { .. }), "{error}");
    }

    #[test]
    fn a_folder_that_cannot_be_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let cache = PackCache::new(file.path(), stable());
        cache.keep(&OF, &[&[1; 128]]).unwrap_err();
    }

    #[test]
    fn threads_that_keep_the_same_leave_one_file() {
        let (_folder, cache, path) = kept();
        let whole = fs::read(&path).unwrap();
        let parts: [&[u8]; 3] = [&[1; 256], &[], &[2; 128]];
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        cache.keep(&OF, &parts).unwrap();
                        cache.open(&OF).unwrap().unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[cfg(unix)]
    #[test]
    fn a_large_file_is_hashed_once_until_it_is_written() {
        let (folder, cache, _) = kept();
        let large = folder.path().join("large");
        let hash = |bytes: &[u8]| {
            fs::write(&large, bytes).unwrap();
            let file = open(&large, Links::Refuse).unwrap();
            (cache.sha256(&file).unwrap(), file)
        };
        let mut bytes = vec![7; LEAST_REMEMBERED as usize];
        let (first, file) = hash(&bytes);
        assert_eq!(first, sha256(&bytes));
        let stamp = file.stamp().unwrap().unwrap();
        let kept = cache
            .folder()
            .join(format!("{}.sha256", &key(&[&stamp])[..32]));
        let told = "0".repeat(HASH);
        let tell = |seconds: u64, text: &str| {
            fs::write(&kept, text).unwrap();
            let written = File::open(&large)
                .unwrap()
                .metadata()
                .unwrap()
                .modified()
                .unwrap();
            let kept = File::options().write(true).open(&kept).unwrap();
            kept.set_modified(written + std::time::Duration::from_secs(seconds))
                .unwrap();
        };
        // A hash remembered right after the file was written is not trusted: the file could be written again in the same moment.
        assert_eq!(remembered(&kept, &stamp, &file), None);
        tell(1, &format!("{stamp}\n{told}\n"));
        assert_eq!(cache.sha256(&file).unwrap(), first);
        // A later one is trusted, so the file is not read.
        tell(60, &format!("{stamp}\n{told}\n"));
        assert_eq!(cache.sha256(&file).unwrap(), told);
        // A text that is not a hash with this stamp is not trusted.
        for text in [
            String::new(),
            format!("{stamp}\n"),
            format!("{stamp}\n{}\n", "g".repeat(HASH)),
            format!("{stamp}\n{told}"),
            format!("{stamp}\n{told}\n\n"),
            format!("another\n{told}\n"),
            "x".repeat(MOST_STAMP as usize + 1),
        ] {
            tell(60, &text);
            assert_eq!(cache.sha256(&file).unwrap(), first);
        }
        bytes[5] = 8;
        let (second, _) = hash(&bytes);
        assert_eq!(second, sha256(&bytes));
        // Small files are not remembered.
        let before = fs::read_dir(cache.folder()).unwrap().count();
        hash(&bytes[..1000]);
        assert_eq!(fs::read_dir(cache.folder()).unwrap().count(), before);
    }

    proptest! {
        #[test]
        fn any_bytes_give_packs_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (_folder, cache, path) = kept();
            let with_magic = [&MAGIC[..], &bytes].concat();
            for bytes in [bytes, with_magic] {
                fs::write(&path, bytes).unwrap();
                prop_assert!(cache.open(&OF).is_err());
            }
        }
    }
}
