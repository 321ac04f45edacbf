//! What a path within the cache says about a folder or file.

use layerwise_files::{Folder, Links};
use std::path::{Path, PathBuf};

/// The longest accepted file of `refs`, in bytes; a commit has 40.
pub(crate) const LONGEST_REF: u64 = 100;

/// The name of a folder that is a snapshot by its place, which is a commit's.
fn commit_named(folder: &Path) -> Option<&str> {
    let commit = folder.file_name()?.to_str()?;
    let is_snapshot = folder.parent()?.file_name()? == "snapshots";
    (is_snapshot && is_commit(commit)).then_some(commit)
}

/// The commit of a folder that is a snapshot in the cache.
pub fn commit_of(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    commit_named(&folder).map(str::to_owned)
}

/// The commit of a file whose path, as named, is in a snapshot of the cache.
pub fn commit_of_file(file: &Path) -> Option<String> {
    let mut folders = file.ancestors().skip(1);
    folders.find_map(commit_named).map(str::to_owned)
}

/// A checkpoint folder's name; for a snapshot in the cache, the repository's.
pub fn model_name(folder: &Path) -> String {
    let folder = resolved(folder);
    let hub = folder
        .components()
        .filter_map(|part| part.as_os_str().to_str()?.strip_prefix("models--"))
        .next_back()
        .and_then(|name| name.rsplit("--").next())
        // Results go into a folder of this name, so it must not equal another model's.
        .filter(|name| !matches!(*name, "" | "." | ".."))
        .map(str::to_owned);
    let own = || {
        folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    hub.or_else(own).unwrap_or_else(|| "model".to_owned())
}

/// The revision of a snapshot in the cache: its name in `refs`, such as `step1000`, or the first digits of its commit. `None` for
/// another folder.
pub fn revision_of(folder: &Path) -> Option<String> {
    /// As many digits as hosting sites show.
    const DIGITS: usize = 8;
    let folder = resolved(folder);
    let commit = commit_named(&folder)?;
    let refs = folder.parent()?.parent()?.join("refs");
    let refs = Folder::open(&refs, Links::Refuse);
    let refers = |refs: &Folder, name: &str| {
        let bytes = refs
            .file(name, "a commit")
            .and_then(|file| file.read_all(LONGEST_REF));
        bytes.is_ok_and(|bytes| bytes.trim_ascii() == commit.as_bytes())
    };
    let found = refs.ok().and_then(|refs| {
        let names = refs.names().ok()?;
        names.into_iter().find(|name| refers(&refs, name))
    });
    Some(found.unwrap_or_else(|| commit.chars().take(DIGITS).collect()))
}

fn resolved(folder: &Path) -> PathBuf {
    folder
        .canonicalize()
        .unwrap_or_else(|_| folder.to_path_buf())
}

pub(crate) fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_by_one_folder() {
        let check = |folder: &str, expected: &str| {
            assert_eq!(model_name(Path::new(folder)), expected, "{folder}");
        };
        check("nowhere/gpt2", "gpt2");
        check("hub/models--gpt2/snapshots/0123abcd", "gpt2");
        check(
            "hub/models--EleutherAI--pythia-70m/snapshots/01",
            "pythia-70m",
        );
        check("hub/models--a--../snapshots/01", "01");
        check("hub/models--a--./snapshots/01", "01");
        check("hub/models--", "models--");
        check("nowhere/..", "model");
    }
}
