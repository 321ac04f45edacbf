//! Models by their names on the Hugging Face hub, in the cache that its tools keep. The cache is only read; what is not there
//! is fetched, if asked for, by the tool `hf`.

use anyhow::{Context, bail, ensure};
use layerwise::files::{Folder, Links};
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A name as the hub has it, and a revision: `ORG/NAME`, `NAME`, either with `@REVISION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubName<'a> {
    repository: &'a str,
    /// A branch, a tag or a commit.
    revision: &'a str,
}

/// The revision that is meant where none is named.
const MAIN: &str = "main";
/// The longest file of `refs` that is read, in bytes; a commit has 40.
const LONGEST_REF: u64 = 100;
/// What of a repository is a model: it may hold the same weights in other forms as well.
const FILES: [&str; 4] = ["*.safetensors", "*.json", "*.jinja", "*.txt"];

impl fmt::Display for HubName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.repository)?;
        match self.revision {
            MAIN => Ok(()),
            revision => write!(f, "@{revision}"),
        }
    }
}

impl<'a> HubName<'a> {
    /// The name in a text; `None` where it cannot be one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (repository, revision) = text.split_once('@').unwrap_or((text, MAIN));
        let is_part = |part: &str| {
            let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !part.is_empty()
                && part.len() <= 96
                && part.chars().all(is_letter)
                && !part.starts_with(['.', '-'])
                && !part.ends_with(['.', '-'])
                && !part.contains("--")
                && !part.contains("..")
        };
        let is_name = repository.split('/').count() <= 2 && repository.split('/').all(is_part);
        let is_revision = revision.len() <= 200 && revision.split('/').all(is_part);
        (is_name && is_revision).then_some(Self {
            repository,
            revision,
        })
    }

    /// Whether it cannot be taken for another name: it has an organisation or a revision.
    pub fn is_plain(&self) -> bool {
        self.repository.contains('/') || self.revision != MAIN
    }

    /// The repository's folder in the cache.
    fn folder(&self, cache: &Path) -> PathBuf {
        cache.join(format!("models--{}", self.repository.replace('/', "--")))
    }

    /// Whether the cache holds the repository, in any revision.
    pub fn is_cached(&self) -> bool {
        cache().is_some_and(|cache| self.folder(&cache).is_dir())
    }

    /// The folder of the revision in the cache. What is not there is fetched, where that is asked for.
    ///
    /// # Errors
    /// A repository, revision or file that is not in the cache, a fetch that fails or is refused, and a damaged cache.
    pub fn find(&self, fetch: bool) -> anyhow::Result<PathBuf> {
        let cache = cache().context(
            "the Hugging Face cache is nowhere: set HF_HUB_CACHE, HF_HOME or XDG_CACHE_HOME, or HOME",
        )?;
        match self.look_up(&cache)? {
            Ok(found) => return Ok(found),
            Err(missing) if !fetch => bail!(
                "there is no such folder, and in the Hugging Face cache {} {missing}; `{}` fetches it, as does the option \
                 --fetch",
                cache.display(),
                self.download()
            ),
            Err(_) => {}
        }
        self.fetch()?;
        match self.look_up(&cache)? {
            Ok(found) => Ok(found),
            Err(missing) => bail!(
                "after `{}`, in the Hugging Face cache {} {missing}",
                self.download(),
                cache.display()
            ),
        }
    }

    /// The folder of the revision, or what is missing.
    fn look_up(&self, cache: &Path) -> anyhow::Result<Result<PathBuf, String>> {
        let folder = self.folder(cache);
        let missing = |what: &str| Ok(Err(format!("{what} of {} is missing", self.repository)));
        if !folder.is_dir() {
            return missing("every revision");
        }
        let Some(commit) = self.commit(&folder)? else {
            return missing(&format!("the revision {}", self.revision));
        };
        let snapshot = folder.join("snapshots").join(&commit);
        if !snapshot.is_dir() {
            return missing(&format!("the revision {} ({commit})", self.revision));
        }
        let names = Folder::open(&snapshot, Links::Refuse)?.names()?;
        let has = |end: &str| names.iter().any(|name| name.ends_with(end));
        for (end, what) in [
            ("config.json", "config.json"),
            (".safetensors", "model.safetensors"),
        ] {
            if !has(end) {
                return missing(&format!(
                    "the file {what} of the revision {}",
                    self.revision
                ));
            }
        }
        Ok(Ok(snapshot))
    }

    /// The commit that the revision names; `None` where the cache does not know it.
    fn commit(&self, folder: &Path) -> anyhow::Result<Option<String>> {
        let refs = folder.join("refs");
        if refs.join(self.revision).is_file() {
            let file = Folder::open(&refs, Links::Refuse)?.file(self.revision, "a commit")?;
            let bytes = file.read_all(LONGEST_REF)?;
            let commit = std::str::from_utf8(&bytes).unwrap_or_default().trim();
            ensure!(
                is_commit(commit),
                "{}: expected a commit in hexadecimal digits, found {commit:?}",
                file.path().display()
            );
            return Ok(Some(commit.to_owned()));
        }
        Ok(is_commit(self.revision).then(|| self.revision.to_owned()))
    }

    /// The command that fetches it.
    fn download(&self) -> String {
        let revision = match self.revision {
            MAIN => String::new(),
            revision => format!(" --revision {revision}"),
        };
        format!("hf download {}{revision}", self.repository)
    }

    fn fetch(&self) -> anyhow::Result<()> {
        for variable in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
            let value = env::var(variable).unwrap_or_default();
            let is_set = ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str());
            ensure!(!is_set, "--fetch: refused, because {variable} is {value}");
        }
        let mut command = Command::new("hf");
        command.args(["download", self.repository, "--revision", self.revision]);
        for files in FILES {
            command.args(["--include", files]);
        }
        // The tool shows its progress on standard error, and prints the folder.
        let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
        let ended = ended.with_context(|| {
            format!(
                "--fetch: `{}` cannot be run; the tool comes with the Python package huggingface_hub",
                self.download()
            )
        })?;
        ensure!(
            ended.success(),
            "--fetch: `{}` failed, {ended}",
            self.download()
        );
        Ok(())
    }
}

/// The folder of the Hugging Face cache, as its tools look for it.
pub fn cache() -> Option<PathBuf> {
    let home = env::home_dir();
    let variable = |name: &str| {
        let value = PathBuf::from(env::var_os(name).filter(|value| !value.is_empty())?);
        match (value.strip_prefix("~"), &home) {
            (Ok(rest), Some(home)) => Some(home.join(rest)),
            _ => Some(value),
        }
    };
    let own = variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE"));
    let of_home = || variable("HF_HOME").map(|folder| folder.join("hub"));
    let of_caches = || {
        let caches = variable("XDG_CACHE_HOME").or_else(|| Some(home.clone()?.join(".cache")));
        caches.map(|folder| folder.join("huggingface").join("hub"))
    };
    own.or_else(of_home).or_else(of_caches)
}

/// Names of the models in the cache, each with the folder of its main revision, if that is whole; sorted.
pub fn cached() -> Vec<(String, Option<PathBuf>)> {
    let Some(folder) = cache().and_then(|cache| Folder::open(&cache, Links::Refuse).ok()) else {
        return Vec::new();
    };
    let names = folder.names().unwrap_or_default();
    let models = names
        .iter()
        .filter_map(|name| name.strip_prefix("models--"));
    models
        .map(|name| {
            let name = name.replacen("--", "/", 1);
            let found = HubName::parse(&name)
                .and_then(|parsed| parsed.look_up(folder.path()).ok())
                .and_then(Result::ok);
            (name, found)
        })
        .collect()
}

/// The commit of a folder that is a snapshot in the cache.
pub fn commit_of(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let commit = folder.file_name()?.to_str()?;
    let is_snapshot = folder.parent()?.file_name()? == "snapshots";
    (is_snapshot && is_commit(commit)).then(|| commit.to_owned())
}

fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_hub() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let found = HubName::parse(text);
            assert_eq!(
                found.map(|it| (it.repository, it.revision)),
                expected,
                "{text}"
            );
        };
        check("gpt2", Some(("gpt2", "main")));
        check(
            "HuggingFaceTB/SmolLM2-135M",
            Some(("HuggingFaceTB/SmolLM2-135M", "main")),
        );
        check(
            "EleutherAI/pythia-70m@step1000",
            Some(("EleutherAI/pythia-70m", "step1000")),
        );
        check("a/b@refs/pr/1", Some(("a/b", "refs/pr/1")));
        for text in [
            "", "/", "a/", "/a", "a/b/c", "./a", "../a", "a/..", "a--b", "a b", "a@", "a@../x",
            "a@b//c", "a\\b", "~/a",
        ] {
            check(text, None);
        }
    }
}
