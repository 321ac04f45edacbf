//! The folders whose finished work a run of `reproduce` reuses (`--take-up`).

use crate::output;
use anyhow::ensure;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Refuses a folder that is not there.
///
/// # Errors
/// One of them does not exist, or is a file.
pub(crate) fn check(folders: &[PathBuf]) -> anyhow::Result<()> {
    for folder in folders {
        ensure!(
            folder.is_dir(),
            "--take-up {}: there is no such folder; give the --out of shards of this run",
            folder.display()
        );
    }
    Ok(())
}

/// Before the run: reports folders that hold no work on any of the models.
pub(crate) fn tell_empty(folders: &[PathBuf], models: &[&str]) {
    for folder in folders {
        if runs_in(folder, models).is_empty() {
            output::say(format_args!(
                "note: --take-up {}: holds no finished work on {}, so nothing is taken from it; give the --out of shards of this run",
                folder.display(),
                models.join(", ")
            ));
        }
    }
}

/// After the run, whose journals are in `out`: reports folders that hold only the work of other runs.
pub(crate) fn tell_foreign(folders: &[PathBuf], models: &[&str], out: &Path) {
    let own = runs_in(out, models);
    for folder in folders {
        let found = runs_in(folder, models);
        if !found.is_empty() && found.is_disjoint(&own) {
            output::say(format_args!(
                "note: --take-up {}: holds only work of other runs, so nothing was taken from it; work is reused if experiments, \
                 models, text and options are the same",
                folder.display()
            ));
        }
    }
}

/// The runs with journals in a folder of results: model, folder of the measure, and the part of the key in the journal's name.
fn runs_in(folder: &Path, models: &[&str]) -> BTreeSet<(String, OsString, String)> {
    let mut found = BTreeSet::new();
    for model in models {
        for measure in names_in(&folder.join(model)) {
            for journal in names_in(&folder.join(model).join(&measure)) {
                let journal = journal.to_string_lossy();
                // KEY.journal, or KEY.K-of-N.journal
                if let (true, Some((key, _))) =
                    (journal.ends_with(".journal"), journal.split_once('.'))
                {
                    found.insert(((*model).to_owned(), measure.clone(), key.to_owned()));
                }
            }
        }
    }
    found
}

/// The names in a folder; none if it cannot be read.
fn names_in(folder: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).collect()
}
