//! The names of models: each model's results go into a folder of its name, and tables distinguish models by name.

use crate::{embedded, fetch};
use anyhow::{Context, bail, ensure};
use layerwise::hub::{Cache, HubName, model_name, revision_of};
use std::path::{Path, PathBuf};

/// A model named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name in results.
    pub name: String,
    /// The checkpoint folder.
    pub folder: PathBuf,
}

/// Names and folders of models that are given as an embedded model's name, as `DIR`, as a name on the Hugging Face hub, or
/// with `LABEL=` before any of these. With `--fetch`, downloads models of the hub that are not in its cache. Messages write
/// `option` before the argument.
///
/// Revisions of one repository in the Hugging Face cache are named `NAME@REVISION` if two would otherwise share a name.
///
/// # Errors
/// An argument is no model, a label is an embedded model's name or cannot be a folder's, or two models have one name.
pub fn all(given: &[String], option: &str, fetch: bool) -> anyhow::Result<Vec<Named>> {
    let mut named = given
        .iter()
        .map(|given| one(given, option, fetch))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let clashes = |named: &[Named], at: usize| {
        let is_same = |(other, model): (usize, &Named)| other != at && model.name == named[at].name;
        named.iter().enumerate().position(is_same)
    };
    let with_revisions: Vec<Named> = (0..named.len())
        .map(|at| match clashes(&named, at) {
            Some(_) => with_revision(&named[at], given[at].contains('=')),
            None => named[at].clone(),
        })
        .collect();
    named = with_revisions;
    if let Some((at, other)) = (0..named.len()).find_map(|at| Some((at, clashes(&named, at)?))) {
        bail!(
            "two models are named {}: {} and {}; results are kept by name, so give one of them a label with --model LABEL=DIR",
            named[at].name,
            named[at].folder.display(),
            named[other].folder.display()
        );
    }
    Ok(named)
}

fn one(given: &str, option: &str, fetch: bool) -> anyhow::Result<Named> {
    if let Some(folder) = embedded::model(given)? {
        let name = given.to_owned();
        return Ok(Named { name, folder });
    }
    let path = PathBuf::from(given);
    if path.is_dir() {
        let name = model_name(&path);
        return Ok(Named { name, folder: path });
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    ensure!(
        !path.is_file(),
        "{option}{given}: expected a checkpoint folder, found a file; give its folder, {}",
        folder.unwrap_or(Path::new(".")).display()
    );
    let embedded: Vec<&str> = embedded::model_names().collect();
    let Some((label, folder)) = given.split_once('=') else {
        if let Some(name) = of_hub(given) {
            let folder = fetch::model(&name, fetch).with_context(|| format!("{option}{given}"))?;
            let name = model_name(&folder);
            return Ok(Named { name, folder });
        }
        bail!(
            "{option}{given}: there is no such folder and no embedded model of this name; give a checkpoint folder, ORG/NAME for a model of the Hugging Face hub, or one of {}",
            embedded.join(", ")
        );
    };
    let is_name = !matches!(label, "" | "." | "..")
        && !label.contains(|c: char| c.is_control() || matches!(c, '/' | '\\' | ':'));
    ensure!(
        is_name,
        "{option}{given}: expected before `=` a name that a folder of results can have, found {label:?}"
    );
    ensure!(
        !embedded.contains(&label),
        "{option}{given}: {label} is an embedded model; give another label"
    );
    let folder = match embedded::model(folder)? {
        Some(embedded) => embedded,
        None if Path::new(folder).is_dir() => PathBuf::from(folder),
        None => match of_hub(folder) {
            Some(name) => fetch::model(&name, fetch).with_context(|| format!("{option}{given}"))?,
            None => PathBuf::from(folder),
        },
    };
    ensure!(
        folder.is_dir(),
        "{option}{given}: expected after `=` a folder or an embedded model ({}), found neither",
        embedded.join(", ")
    );
    let name = label.to_owned();
    Ok(Named { name, folder })
}

/// A name on the hub: one with an organisation or a revision, or one that the cache contains.
fn of_hub(given: &str) -> Option<HubName<'_>> {
    let is_cached = |name: &HubName<'_>| Cache::of_user().is_ok_and(|cache| cache.has_model(name));
    HubName::parse(given).filter(|name| name.is_plain() || is_cached(name))
}

/// The same model with its revision in its name, unless the user gave a label.
fn with_revision(model: &Named, is_label: bool) -> Named {
    match revision_of(&model.folder).filter(|_| !is_label) {
        Some(revision) => Named {
            name: format!("{}@{revision}", model.name),
            folder: model.folder.clone(),
        },
        None => model.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn revisions_and_labels_tell_models_apart() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let pythia = root.join("models--EleutherAI--pythia-14m");
        let commits = ["a".repeat(40), "b".repeat(40), "c".repeat(40)];
        for commit in &commits {
            fs::create_dir_all(pythia.join("snapshots").join(commit)).unwrap();
        }
        fs::create_dir_all(pythia.join("refs")).unwrap();
        for (name, commit) in ["step1000", "step2000"].iter().zip(&commits) {
            fs::write(pythia.join("refs").join(name), commit).unwrap();
        }
        for run in ["one/step1000", "two/step1000"] {
            fs::create_dir_all(root.join(run)).unwrap();
        }
        let snapshot = |at: usize| {
            pythia
                .join("snapshots")
                .join(&commits[at])
                .display()
                .to_string()
        };
        let run = |name: &str| root.join(name).join("step1000").display().to_string();
        let check = |given: &[String], expected: Result<&[&str], &str>| match (
            all(given, "--model ", false),
            expected,
        ) {
            (Ok(named), Ok(expected)) => {
                let names: Vec<&str> = named.iter().map(|model| model.name.as_str()).collect();
                assert_eq!(names, expected);
            }
            (Err(error), Err(expected)) => {
                let message = error.to_string();
                assert!(message.contains(expected), "{message}");
            }
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        };
        check(&[snapshot(0)], Ok(&["pythia-14m"]));
        check(
            &[
                snapshot(0),
                snapshot(1),
                snapshot(2),
                "gpt2-8x160".to_owned(),
            ],
            Ok(&[
                "pythia-14m@step1000",
                "pythia-14m@step2000",
                "pythia-14m@cccccccc",
                "gpt2-8x160",
            ]),
        );
        check(&[run("one")], Ok(&["step1000"]));
        check(
            &[run("one"), run("two")],
            Err("two models are named step1000"),
        );
        check(&[run("one"), run("two")], Err("--model LABEL=DIR"));
        check(
            &[run("one"), format!("second={}", run("two"))],
            Ok(&["step1000", "second"]),
        );
        check(
            &["again=gpt2-8x160".to_owned(), "gpt2-8x160".to_owned()],
            Ok(&["again", "gpt2-8x160"]),
        );
        check(
            &[format!("x={}", run("one")), format!("x={}", run("two"))],
            Err("two models are named x"),
        );
        check(
            &[snapshot(0), snapshot(0)],
            Err("two models are named pythia-14m@step1000"),
        );
        check(
            &[format!("gpt2-8x160={}", run("one"))],
            Err("is an embedded model"),
        );
        for label in ["", ".", "..", "a/b", "a\\b", "C:"] {
            check(
                &[format!("{label}={}", run("one"))],
                Err("a name that a folder of results can have"),
            );
        }
        check(
            &["x=nowhere".to_owned()],
            Err("expected after `=` a folder"),
        );
        check(
            &["nowhere".to_owned()],
            Err("there is no such folder and no embedded model"),
        );
        let file = folder.path().join("config.json");
        fs::write(&file, "{}").unwrap();
        check(
            &[file.display().to_string()],
            Err("found a file; give its folder"),
        );
    }

    /// A folder with `=` in its name is a folder.
    #[test]
    fn a_folder_may_have_an_equals_sign_in_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lr=1e-3");
        fs::create_dir(&path).unwrap();
        let named = all(&[path.display().to_string()], "--model ", false).unwrap();
        assert_eq!(named[0].name, "lr=1e-3");
    }
}
