//! Models and corpora by their names on the Hugging Face hub, in the cache that its tools keep. The cache is only read; what
//! is not there is fetched, if asked for, by the tool `hf`.

use crate::output;
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
    fn folder(&self, cache: &Path, kind: &Kind<'_>) -> PathBuf {
        let repository = self.repository.replace('/', "--");
        cache.join(format!("{}{repository}", kind.prefix()))
    }

    /// Whether the cache holds the repository as a model, in any revision.
    pub fn is_cached(&self) -> bool {
        cache().is_some_and(|cache| self.folder(&cache, &Kind::Model).is_dir())
    }

    /// The folder of the model's revision in the cache. What is not there is fetched, where that is asked for.
    ///
    /// # Errors
    /// A repository, revision or file that is not in the cache, a fetch that fails or is refused, and a damaged cache.
    pub fn find(&self, fetch: bool) -> anyhow::Result<PathBuf> {
        self.find_as(&Kind::Model, fetch)
    }

    fn find_as(&self, kind: &Kind<'_>, fetch: bool) -> anyhow::Result<PathBuf> {
        let cache = cache().context(
            "the Hugging Face cache is nowhere: set HF_HUB_CACHE, HF_HOME or XDG_CACHE_HOME, or HOME",
        )?;
        match self.look_up(&cache, kind)? {
            Ok(found) => return Ok(found),
            Err(missing) if !fetch => bail!(
                "there is no such {}, and in the Hugging Face cache {} {missing}; `{}` fetches it, as does the option --fetch",
                kind.on_disk(),
                cache.display(),
                self.download(kind)
            ),
            Err(_) => {}
        }
        self.fetch(kind)?;
        match self.look_up(&cache, kind)? {
            Ok(found) => Ok(found),
            Err(missing) => bail!(
                "after `{}`, in the Hugging Face cache {} {missing}",
                self.download(kind),
                cache.display()
            ),
        }
    }

    /// The folder of the revision, or of a split the file, or what is missing.
    fn look_up(&self, cache: &Path, kind: &Kind<'_>) -> anyhow::Result<Result<PathBuf, String>> {
        let folder = self.folder(cache, kind);
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
        if let Kind::Split { config, split } = kind {
            return split_of(&snapshot, config, split)
                .map(|found| found.map_err(|missing| format!("{missing} of {self} is missing")));
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
    fn download(&self, kind: &Kind<'_>) -> String {
        let revision = match self.revision {
            MAIN => String::new(),
            revision => format!(" --revision {revision}"),
        };
        let of_kind = match kind {
            Kind::Model => String::new(),
            Kind::Split { split, .. } => format!(" --repo-type dataset --include '*{split}*'"),
        };
        format!("hf download {}{revision}{of_kind}", self.repository)
    }

    fn fetch(&self, kind: &Kind<'_>) -> anyhow::Result<()> {
        for variable in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
            let value = env::var(variable).unwrap_or_default();
            let is_set = ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str());
            ensure!(!is_set, "--fetch: refused, because {variable} is {value}");
        }
        let mut command = Command::new("hf");
        command.args(["download", self.repository, "--revision", self.revision]);
        match kind {
            Kind::Model => {
                for files in FILES {
                    command.args(["--include", files]);
                }
            }
            Kind::Split { split, .. } => {
                let files = format!("*{split}*");
                command.args(["--repo-type", "dataset", "--include", &files]);
            }
        }
        // The tool shows its progress on standard error, and prints the folder.
        let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
        let ended = ended.with_context(|| {
            format!(
                "--fetch: `{}` cannot be run; the tool comes with the Python package huggingface_hub",
                self.download(kind)
            )
        })?;
        ensure!(
            ended.success(),
            "--fetch: `{}` failed, {ended}",
            self.download(kind)
        );
        Ok(())
    }
}

/// What is looked for in a repository.
enum Kind<'a> {
    /// The folder of a model.
    Model,
    /// The file of a part of a data set.
    Split {
        /// The data set's configuration.
        config: &'a str,
        /// The part: train, validation, test.
        split: &'a str,
    },
}

impl Kind<'_> {
    /// What the names of the cache's folders begin with.
    fn prefix(&self) -> &'static str {
        match self {
            Self::Model => "models--",
            Self::Split { .. } => "datasets--",
        }
    }

    /// What else the name could have been.
    fn on_disk(&self) -> &'static str {
        match self {
            Self::Model => "folder",
            Self::Split { .. } => "file",
        }
    }
}

/// A corpus on the hub: `NAME:CONFIG:SPLIT:FIELD`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubCorpus<'a> {
    name: HubName<'a>,
    config: &'a str,
    split: &'a str,
    /// The field, or column, of the texts.
    pub field: &'a str,
}

impl<'a> HubCorpus<'a> {
    /// The corpus in a text; `None` where it cannot be one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(4, ':').collect();
        let [name, config, split, field] = parts[..] else {
            return None;
        };
        let is_part = |part: &str| {
            let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !part.is_empty() && part.len() <= 96 && part.chars().all(is_letter)
        };
        (is_part(config) && is_part(split) && !field.is_empty()).then_some(Self {
            name: HubName::parse(name)?,
            config,
            split,
            field,
        })
    }

    /// The file in the cache. What is not there is fetched, where that is asked for.
    ///
    /// # Errors
    /// As [`HubName::find`].
    pub fn find(&self, fetch: bool) -> anyhow::Result<PathBuf> {
        let kind = Kind::Split {
            config: self.config,
            split: self.split,
        };
        self.name.find_as(&kind, fetch)
    }
}

/// Ends of the names of files that corpora are read from.
const TEXTS: [&str; 4] = [".parquet", ".jsonl", ".jsonl.gz", ".txt"];
/// Folders of a data set that are no configuration.
const NO_CONFIGS: [&str; 2] = ["data", "default"];

/// The files of texts in a snapshot of a data set, as their paths in it, sorted.
fn texts_in(snapshot: &Path) -> anyhow::Result<Vec<String>> {
    /// As deep as data sets have folders, and as many files as are looked at.
    const DEPTH: usize = 4;
    const MOST: usize = 20_000;
    let mut found = Vec::new();
    let mut folders = vec![(String::new(), 0)];
    while let Some((below, depth)) = folders.pop() {
        for name in Folder::open(&snapshot.join(&below), Links::Refuse)?.names()? {
            let path = format!("{below}{name}");
            if name.starts_with('.') || found.len() + folders.len() > MOST {
                continue;
            }
            if snapshot.join(&path).is_dir() {
                if depth < DEPTH {
                    folders.push((format!("{path}/"), depth + 1));
                }
            } else if TEXTS.iter().any(|end| name.ends_with(end)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The configuration and the part that a file of a data set belongs to, by its path: `CONFIG/SPLIT-00000-of-00001.parquet`,
/// `CONFIG/SPLIT/0000.parquet`, `data/SPLIT.jsonl` and the like.
fn place_of(path: &str) -> (&str, &str) {
    let mut parts: Vec<&str> = path.split('/').collect();
    let file = parts.pop().unwrap_or_default();
    let stem = file.split('.').next().unwrap_or_default();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let words = stem.split('-').take_while(|word| !is_number(word));
    let length = words.map(|word| word.len() + 1).sum::<usize>();
    let split = match &stem[..length.saturating_sub(1).min(stem.len())] {
        "" => parts.pop().unwrap_or_default(),
        split => split,
    };
    let config = parts.into_iter().find(|part| !NO_CONFIGS.contains(part));
    (config.unwrap_or("default"), split)
}

/// The file of a part of a data set, or what is missing. Of several the first is taken, and told.
fn split_of(snapshot: &Path, config: &str, split: &str) -> anyhow::Result<Result<PathBuf, String>> {
    let all = texts_in(snapshot)?;
    let is_it = |path: &&String| place_of(path) == (config, split);
    let found: Vec<&String> = all.iter().filter(is_it).collect();
    let Some(first) = found.first() else {
        /// As many as a line holds.
        const SHOWN: usize = 12;
        let mut places: Vec<String> = all
            .iter()
            .map(|path| place_of(path))
            .map(|(config, split)| format!("{config}:{split}"))
            .collect();
        places.dedup();
        let rest = places.len().saturating_sub(SHOWN);
        places.truncate(SHOWN);
        let more = if rest > 0 {
            format!(" and {rest} more")
        } else {
            String::new()
        };
        let there = match places.is_empty() {
            true => "no file of texts (.parquet, .jsonl, .txt)".to_owned(),
            false => format!("{}{more}", places.join(", ")),
        };
        return Ok(Err(format!(
            "the configuration {config} with the split {split} (there is {there})"
        )));
    };
    if found.len() > 1 {
        output::say(format_args!(
            "note: {first} is the first of {} files of {config}:{split}, and the one that is read; --corpus FILE takes another",
            found.len()
        ));
    }
    // The file's blob may lie only in the same cache.
    Folder::open(snapshot, Links::Refuse)?.file(first, "texts of a data set")?;
    Ok(Ok(snapshot.join(first)))
}

/// A data set in the cache: its name, and the parts that can be read, each with one of its files.
pub type CachedCorpus = (String, Vec<(String, PathBuf)>);

/// The data sets in the cache, in their main revisions; sorted.
pub fn cached_corpora() -> Vec<CachedCorpus> {
    let kind = Kind::Split {
        config: "",
        split: "",
    };
    let Some(folder) = cache().and_then(|cache| Folder::open(&cache, Links::Refuse).ok()) else {
        return Vec::new();
    };
    let names = folder.names().unwrap_or_default();
    let sets = names
        .iter()
        .filter_map(|name| name.strip_prefix(kind.prefix()));
    sets.map(|name| {
        let name = name.replacen("--", "/", 1);
        let parts = HubName::parse(&name).and_then(|parsed| {
            let repository = parsed.folder(folder.path(), &kind);
            let commit = parsed.commit(&repository).ok()??;
            let snapshot = repository.join("snapshots").join(commit);
            let mut parts: Vec<(String, PathBuf)> = Vec::new();
            for path in texts_in(&snapshot).ok()? {
                let (config, split) = place_of(&path);
                let part = format!("{config}:{split}");
                if parts.iter().all(|(found, _)| *found != part) {
                    parts.push((part, snapshot.join(path)));
                }
            }
            Some(parts)
        });
        (name, parts.unwrap_or_default())
    })
    .collect()
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
                .and_then(|parsed| parsed.look_up(folder.path(), &Kind::Model).ok())
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

/// The commit of a file that lies in a snapshot of the cache, as it is named.
pub fn commit_of_file(file: &Path) -> Option<String> {
    let mut folders = file.ancestors().skip(1);
    folders.find_map(|folder| {
        let commit = folder.file_name()?.to_str()?;
        let is_snapshot = folder.parent()?.file_name()? == "snapshots";
        (is_snapshot && is_commit(commit)).then(|| commit.to_owned())
    })
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

    #[test]
    fn the_place_of_a_file_says_what_part_of_a_data_set_it_is() {
        let check = |path: &str, config: &str, split: &str| {
            assert_eq!(place_of(path), (config, split), "{path}");
        };
        check(
            "wikitext-2-raw-v1/test-00000-of-00001.parquet",
            "wikitext-2-raw-v1",
            "test",
        );
        check(
            "data/train-00003-of-00010-0123abcd.parquet",
            "default",
            "train",
        );
        check("data/validation.jsonl", "default", "validation");
        check("train.jsonl.gz", "default", "train");
        check("plain_text/train/0000.parquet", "plain_text", "train");
        check("default/train/0000.parquet", "default", "train");
        check(
            "en/c4-validation.00000-of-00008.jsonl",
            "en",
            "c4-validation",
        );
        check("test.txt", "default", "test");
        check("0000.parquet", "default", "");
        check("", "default", "");
    }

    #[test]
    fn a_corpus_is_named_by_four_parts() {
        let check = |text: &str, expected: Option<(&str, &str, &str, &str)>| {
            let found = HubCorpus::parse(text);
            let found = found.map(|it| (it.name.repository, it.config, it.split, it.field));
            assert_eq!(found, expected, "{text}");
        };
        check(
            "org/set:default:test:text",
            Some(("org/set", "default", "test", "text")),
        );
        check(
            "set@v1:a-b:train:a:b c",
            Some(("set", "a-b", "train", "a:b c")),
        );
        for other in [
            "text.txt",
            "a:b:c",
            "a:b:c:",
            "a::c:d",
            "a:b:*:d",
            "a:../b:c:d",
            "-a:b:c:d",
            ":b:c:d",
        ] {
            check(other, None);
        }
    }
}
