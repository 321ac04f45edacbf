//! The cache of the Hugging Face tools, and its contents.

use crate::error::{Download, HubError, Missing};
use crate::name::{HubCorpus, HubName};
use crate::snapshot::{LONGEST_REF, is_commit};
use crate::split::{Split, place_of, texts_in};
use layerwise_files::{Folder, Links};
use std::env;
use std::path::{Path, PathBuf};

/// Prefixes of the cache's folders: for models, and for data sets.
const MODELS: &str = "models--";
const DATA_SETS: &str = "datasets--";

/// A data set in the cache: its name and its readable parts, each with one of its files.
pub type CachedCorpus = (String, Vec<(String, PathBuf)>);

/// The cache of the Hugging Face tools. Nothing writes to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// The user's cache, where the Hugging Face tools look for it: given by `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `HF_HOME` or
    /// `XDG_CACHE_HOME`, or in the home folder.
    ///
    /// # Errors
    /// None of these is set.
    pub fn of_user() -> Result<Self, HubError> {
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
        let folder = own.or_else(of_home).or_else(of_caches);
        folder.map(Self::new).ok_or(HubError::NoCache)
    }

    /// The cache's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the cache has a repository as a model, in any revision.
    pub fn has_model(&self, name: &HubName<'_>) -> bool {
        self.repository(MODELS, name).is_dir()
    }

    /// The folder of a model's revision, with config and weights.
    ///
    /// # Errors
    /// The cache lacks the repository, revision or a file, or is damaged.
    pub fn model(&self, name: &HubName<'_>) -> Result<PathBuf, HubError> {
        let missing = |what| self.missing(what, name, None);
        let snapshot = match self.snapshot(MODELS, name)? {
            Ok(snapshot) => snapshot,
            Err(what) => return Err(missing(what)),
        };
        let names = Folder::open(&snapshot, Links::Refuse)?.names()?;
        for (end, file) in [
            ("config.json", "config.json"),
            (".safetensors", "model.safetensors"),
        ] {
            if !names.iter().any(|name| name.ends_with(end)) {
                return Err(missing(Missing::File {
                    repository: name.repository.to_owned(),
                    revision: name.revision.to_owned(),
                    file,
                }));
            }
        }
        Ok(snapshot)
    }

    /// The files of a corpus.
    ///
    /// # Errors
    /// The cache lacks the repository, revision or part, or is damaged.
    pub fn split(&self, corpus: &HubCorpus<'_>) -> Result<Split, HubError> {
        let name = &corpus.name;
        let missing = |what| self.missing(what, name, Some(corpus.split));
        let snapshot = match self.snapshot(DATA_SETS, name)? {
            Ok(snapshot) => snapshot,
            Err(what) => return Err(missing(what)),
        };
        let found = Split::find(&snapshot, corpus.config, corpus.split)?;
        found.map_err(|there| {
            missing(Missing::Split {
                name: name.to_string(),
                config: corpus.config.to_owned(),
                split: corpus.split.to_owned(),
                there,
            })
        })
    }

    /// Names of the cached models, sorted, each with the folder of its main revision if that is complete.
    pub fn models(&self) -> Vec<(String, Option<PathBuf>)> {
        let found = self.names_of(MODELS).into_iter().map(|name| {
            let parsed = HubName::parse(&name);
            let folder = parsed.and_then(|parsed| self.model(&parsed).ok());
            (name, folder)
        });
        found.collect()
    }

    /// The cached data sets, in their main revisions; sorted.
    pub fn corpora(&self) -> Vec<CachedCorpus> {
        let found = self.names_of(DATA_SETS).into_iter().map(|name| {
            let parsed = HubName::parse(&name);
            let parts = parsed.and_then(|parsed| self.parts(&parsed));
            (name, parts.unwrap_or_default())
        });
        found.collect()
    }

    /// The readable parts of a data set, each with one of its files.
    fn parts(&self, name: &HubName<'_>) -> Option<Vec<(String, PathBuf)>> {
        let repository = self.repository(DATA_SETS, name);
        let commit = commit(&repository, name.revision).ok()??;
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
    }

    /// Names of the repositories whose folders have this prefix, sorted.
    fn names_of(&self, prefix: &str) -> Vec<String> {
        let Ok(folder) = Folder::open(&self.folder, Links::Refuse) else {
            return Vec::new();
        };
        let names = folder.names().unwrap_or_default();
        let own = names.iter().filter_map(|name| name.strip_prefix(prefix));
        own.map(|name| name.replacen("--", "/", 1)).collect()
    }

    /// The folder of a repository.
    fn repository(&self, prefix: &str, name: &HubName<'_>) -> PathBuf {
        let repository = name.repository.replace('/', "--");
        self.folder.join(format!("{prefix}{repository}"))
    }

    /// The folder of a revision, or what is missing.
    fn snapshot(
        &self,
        prefix: &str,
        name: &HubName<'_>,
    ) -> Result<Result<PathBuf, Missing>, HubError> {
        let folder = self.repository(prefix, name);
        let repository = name.repository.to_owned();
        if !folder.is_dir() {
            return Ok(Err(Missing::Repository { repository }));
        }
        let revision = name.revision.to_owned();
        let commit = commit(&folder, name.revision)?;
        let snapshot = commit
            .as_ref()
            .map(|commit| folder.join("snapshots").join(commit));
        let found = snapshot.filter(|snapshot| snapshot.is_dir());
        Ok(found.ok_or(Missing::Revision {
            repository,
            revision,
            commit,
        }))
    }

    fn missing(&self, what: Missing, name: &HubName<'_>, split: Option<&str>) -> HubError {
        HubError::Missing {
            cache: self.folder.clone(),
            what: Box::new(what),
            download: Box::new(Download {
                repository: name.repository.to_owned(),
                revision: name.revision.to_owned(),
                split: split.map(str::to_owned),
            }),
        }
    }
}

/// The commit of a revision; `None` if the cache does not know the revision.
fn commit(repository: &Path, revision: &str) -> Result<Option<String>, HubError> {
    let refs = repository.join("refs");
    if refs.join(revision).is_file() {
        let file = Folder::open(&refs, Links::Refuse)?.file(revision, "a commit")?;
        let bytes = file.read_all(LONGEST_REF)?;
        let found = std::str::from_utf8(&bytes).unwrap_or_default().trim();
        return match is_commit(found) {
            true => Ok(Some(found.to_owned())),
            false => Err(HubError::NotACommit {
                path: file.path().to_owned(),
                found: found.to_owned(),
            }),
        };
    }
    Ok(is_commit(revision).then(|| revision.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    /// A cache with an empty file at each path.
    fn cache(paths: &[&str]) -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let cache = Cache::new(folder.path());
        (folder, cache)
    }

    fn refer(cache: &Cache, repository: &str, revision: &str, commit: &str) {
        let refs = cache.folder().join(repository).join("refs");
        fs::create_dir_all(&refs).unwrap();
        fs::write(refs.join(revision), commit).unwrap();
    }

    #[test]
    fn what_a_model_lacks_is_told_with_the_command_that_fetches_it() {
        let snapshot = format!("models--org--name/snapshots/{COMMIT}");
        let config = format!("{snapshot}/config.json");
        let (_folder, cache) = cache(&[&config]);
        let name = HubName::parse("org/name").unwrap();
        let check = |name: &HubName<'_>, expected: &str| {
            let told = cache.model(name).unwrap_err().to_string();
            let place = format!(
                "in the Hugging Face cache {} {expected}",
                cache.folder().display()
            );
            assert_eq!(told, place);
        };
        check(
            &HubName::parse("other").unwrap(),
            "every revision of other is missing; `hf download other` fetches it",
        );
        check(
            &name,
            "the revision main of org/name is missing; `hf download org/name` fetches it",
        );
        let other = "f".repeat(40);
        let named = format!("org/name@{other}");
        check(
            &HubName::parse(&named).unwrap(),
            &format!(
                "the revision {other} ({other}) of org/name is missing; `hf download org/name --revision {other}` fetches it"
            ),
        );
        refer(&cache, "models--org--name", "main", &format!("{COMMIT}\n"));
        check(
            &name,
            "the file model.safetensors of the revision main of org/name is missing; `hf download org/name` fetches it",
        );
        assert_eq!(cache.models(), [("org/name".to_owned(), None)]);
        let snapshot = cache.folder().join(snapshot);
        fs::write(snapshot.join("model.safetensors"), "").unwrap();
        assert_eq!(cache.model(&name).unwrap(), snapshot);
        assert_eq!(cache.models(), [("org/name".to_owned(), Some(snapshot))]);
        refer(&cache, "models--org--name", "main", "../..");
        assert!(matches!(
            cache.model(&name),
            Err(HubError::NotACommit { found, .. }) if found == "../.."
        ));
    }

    #[test]
    fn the_parts_of_a_data_set_are_found() {
        let set = format!("datasets--org--set/snapshots/{COMMIT}");
        let files = [
            "data/test-00000-of-00002.parquet",
            "data/test-00001-of-00002.parquet",
            "en/train.jsonl",
            "README.md",
        ];
        let paths = files.map(|file| format!("{set}/{file}"));
        let (_folder, cache) = cache(&paths.each_ref().map(String::as_str));
        refer(&cache, "datasets--org--set", "main", COMMIT);
        let find = |text: &str| cache.split(&HubCorpus::parse(text).unwrap());
        let test = find("org/set:default:test:text").unwrap();
        assert_eq!((test.first(), test.files()), (files[0], 2));
        assert_eq!(test.path().unwrap(), cache.folder().join(&paths[0]));
        let told = find("org/set:fr:train:text").unwrap_err().to_string();
        let expected = "the configuration fr with the split train (there is default:test, en:train) of org/set is missing; \
                        `hf download org/set --repo-type dataset --include '*train*'` fetches it";
        assert!(told.ends_with(expected), "{told}");
        let [(name, parts)] = &cache.corpora()[..] else {
            panic!("expected one data set");
        };
        let parts: Vec<&str> = parts.iter().map(|(part, _)| part.as_str()).collect();
        assert_eq!(
            (name.as_str(), &parts[..]),
            ("org/set", &["default:test", "en:train"][..])
        );
    }
}
