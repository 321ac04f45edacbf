//! Models and corpora of the Hugging Face hub. If asked to, the tool `hf` downloads what the cache lacks.

use crate::output;
use anyhow::{Context, bail, ensure};
use layerwise::hub::{Cache, Download, HubCorpus, HubError, HubName};
use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The folder of a model's revision in the Hugging Face cache.
///
/// # Errors
/// The cache is damaged or lacks the repository, revision or file, or the download fails or is refused.
pub fn model(name: &HubName<'_>, fetch: bool) -> anyhow::Result<PathBuf> {
    find(|cache| cache.model(name), "folder", fetch)
}

/// The file of a corpus in the Hugging Face cache. If there are several, takes the first and says so.
///
/// # Errors
/// As [`model`].
pub fn corpus(corpus: &HubCorpus<'_>, fetch: bool) -> anyhow::Result<PathBuf> {
    let found = find(|cache| cache.split(corpus), "file", fetch)?;
    if found.files() > 1 {
        output::say(format_args!(
            "note: reading {}, the first of {} files of {}; --corpus FILE reads another",
            found.first(),
            found.files(),
            corpus.part()
        ));
    }
    Ok(found.path()?)
}

/// Looks into the cache, after a download if `--fetch` was given. A failure also says that no such file is on the disk,
/// since the user may have meant a path.
fn find<T>(
    look: impl Fn(&Cache) -> Result<T, HubError>,
    on_disk: &str,
    fetch: bool,
) -> anyhow::Result<T> {
    let cache = Cache::of_user()?;
    match look(&cache) {
        Err(HubError::Missing { download, .. }) if fetch => run(&download)?,
        Err(missing @ HubError::Missing { .. }) => {
            bail!("there is no such {on_disk}, and {missing}, as does the option --fetch")
        }
        found => return Ok(found?),
    }
    match look(&cache) {
        Err(HubError::Missing {
            cache,
            what,
            download,
        }) => bail!(
            "after `{download}`, in the Hugging Face cache {} {what}",
            cache.display()
        ),
        found => Ok(found?),
    }
}

fn run(download: &Download) -> anyhow::Result<()> {
    for variable in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
        let value = env::var(variable).unwrap_or_default();
        let is_set = ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str());
        ensure!(!is_set, "--fetch: refused, because {variable} is {value}");
    }
    let mut command = Command::new("hf");
    command.args(download.arguments());
    // The tool shows its progress on standard error, and prints the folder on standard output.
    let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let ended = ended.with_context(|| {
        format!(
            "--fetch: `{download}` cannot be run; the tool comes with the Python package huggingface_hub"
        )
    })?;
    ensure!(ended.success(), "--fetch: `{download}` failed, {ended}");
    Ok(())
}
