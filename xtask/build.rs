//! Lists what is embedded in the program: the models of `fixtures/models`, and the source code of the library crates, which is
//! the second text of the figure `shift`. Records the commit that the program is built from.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let workspace = Path::new("..").canonicalize()?;
    let (models, crates) = (workspace.join("fixtures/models"), workspace.join("crates"));
    for folder in [&models, &crates] {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    let carried = format!(
        "/// Each model's name, with its files.\n\
         const MODELS: &[(&str, &[File])] = &[\n{}];\n\
         /// Paths and texts.\n\
         const SOURCES: &[(&str, &str)] = &[\n{}];\n",
        list_models(&models)?,
        list_sources(&crates)?
    );
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    fs::write(out.join("carried.rs"), carried)?;
    name_commit();
    Ok(())
}

/// Passes the commit to the program, with a `+` if files were changed since. A debug build has none, so that it is not rebuilt
/// after every commit; a build outside a checkout has none either.
fn name_commit() {
    let is_release = env::var_os("PROFILE").is_some_and(|profile| profile == "release");
    let commit = is_release
        .then(|| git(&["rev-parse", "--short=12", "HEAD"]))
        .flatten();
    let Some(commit) = commit else {
        return;
    };
    // Git writes this file whenever another commit is checked out; the folders of the code reveal changed files.
    if let Some(log) = git(&[
        "rev-parse",
        "--path-format=absolute",
        "--git-path",
        "logs/HEAD",
    ]) {
        println!("cargo::rerun-if-changed={log}");
    }
    println!("cargo::rerun-if-changed=src");
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    let mark = if changed.is_some_and(|files| files.is_empty()) {
        ""
    } else {
        "+"
    };
    println!("cargo::rustc-env=LAYERWISE_COMMIT={commit}{mark}");
}

/// The output of a git command, if git is there and prints anything.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| said.trim().to_owned())
}

fn list_models(folder: &Path) -> io::Result<String> {
    let mut list = String::new();
    for model in entries(folder)? {
        if !model.join("config.json").is_file() {
            continue;
        }
        list += &format!("    ({:?}, &[\n", name(&model));
        let files = entries(&model)?.into_iter();
        for file in files.filter(|path| ["json", "safetensors"].contains(&extension(path))) {
            list += &format!("        ({:?}, include_bytes!({file:?})),\n", name(&file));
        }
        list += "    ]),\n";
    }
    Ok(list)
}

/// The Rust files of every crate's `src`, sorted by path.
fn list_sources(crates: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for folder in entries(crates)? {
        find_sources(&folder.join("src"), &mut files)?;
    }
    files.sort();
    let mut list = String::new();
    for file in files {
        let path = file.strip_prefix(crates).unwrap_or(&file);
        writeln!(list, "    ({path:?}, include_str!({file:?})),").map_err(io::Error::other)?;
    }
    Ok(list)
}

fn find_sources(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for path in entries(folder)? {
        if path.is_dir() {
            find_sources(&path, found)?;
        } else if extension(&path) == "rs" {
            found.push(path);
        }
    }
    Ok(())
}

/// The entries of a folder, sorted.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

fn extension(path: &Path) -> &str {
    path.extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
}
