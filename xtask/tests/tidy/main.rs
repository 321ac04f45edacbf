//! The statements of ARCHITECTURE.md and README.md about the source tree, checked against it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod arrows;

use arrows::Modules;
use layerwise::corpus::sha256;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The most lines that a source file may have.
const MAX_LINES: usize = 700;

/// Makes the list that [`the_files_of_embedded_models_are_those_listed`] reads.
const MAKE_SUMS: &str =
    "cd fixtures/models && LC_ALL=C sha256sum */*.json */*.safetensors > SHA256SUMS";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Entries of a folder, relative to the root, sorted; none if it is absent.
fn entries(folder: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root().join(folder)) else {
        return Vec::new();
    };
    let mut paths: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| match folder {
            "." => name,
            _ => format!("{folder}/{name}"),
        })
        .collect();
    paths.sort();
    paths
}

fn is_folder(path: &str) -> bool {
    root().join(path).is_dir()
}

/// Files of the repository below a folder, without build outputs, virtual environments and hidden folders.
fn files(folder: &str, extensions: &[&str]) -> Vec<String> {
    let own = |path: &String| {
        let name = path.rsplit('/').next().unwrap();
        !name.starts_with('.') && !["target", "venv"].contains(&name)
    };
    let mut found = Vec::new();
    for path in entries(folder).into_iter().filter(own) {
        if is_folder(&path) {
            found.extend(files(&path, extensions));
        } else if extensions
            .iter()
            .any(|extension| path.ends_with(&format!(".{extension}")))
        {
            found.push(path);
        }
    }
    found
}

/// Rust files, except these tests, which contain the words that they search for.
fn sources() -> Vec<String> {
    let mut sources = files(".", &["rs"]);
    assert!(sources.len() > 50, "the source tree is not found");
    sources.retain(|path| !path.starts_with("xtask/tests/tidy/"));
    sources
}

fn is_test(path: &str) -> bool {
    let names = ["/tests.rs", "/testing.rs", "/synthetic.rs"];
    path.contains("/tests/") || names.iter().any(|name| path.ends_with(name))
}

/// Numbered lines of a source file, from 1, without comments and without the test module at its end.
fn code(path: &str) -> Vec<(usize, String)> {
    let text = read(path);
    let (text, _) = text
        .split_once("#[cfg(test)]\nmod tests {")
        .unwrap_or((text.as_str(), ""));
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(number, line)| (number, line.to_owned()))
        .collect()
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .any(|found| found == word)
}

/// Texts between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Addresses under which files of the repository are found.
const HERE: [&str; 3] = [
    "https://github.com/layerwise-rs/layerwise/blob/main/",
    "https://github.com/layerwise-rs/layerwise/tree/main/",
    "https://raw.githubusercontent.com/layerwise-rs/layerwise/main/",
];

/// The targets of links in a Markdown text.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let links = text.split("](").skip(1);
    links.filter_map(|rest| rest.split(')').next())
}

/// The rows of the first table after a line, cell by cell.
fn table<'a>(page: &'a str, line: &str) -> Vec<Vec<&'a str>> {
    let rows: Vec<Vec<&str>> = page
        .lines()
        .skip_while(|found| *found != line)
        .skip_while(|found| !found.starts_with('|'))
        .take_while(|found| found.starts_with('|'))
        .skip(2)
        .map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(!rows.is_empty(), "no table after the line {line:?}");
    rows
}

fn check(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The crates by their short names, each with the keys of its manifest's `[dependencies]` tables.
fn crates() -> BTreeMap<String, BTreeSet<String>> {
    let mut folders: Vec<String> = entries("crates");
    folders.retain(|folder| is_folder(folder));
    folders.push("xtask".to_owned());
    let dependencies = |folder: &String| {
        let manifest = read(&format!("{folder}/Cargo.toml"));
        let mut inside = false;
        let mut found = BTreeSet::new();
        for line in manifest.lines() {
            if line.starts_with('[') {
                let is_split = line.contains("dependencies.");
                assert!(
                    !is_split,
                    "{folder}/Cargo.toml: {line}: write a dependency in one line"
                );
                inside = line.ends_with("dependencies]") && !line.ends_with("dev-dependencies]");
            } else if inside && line.starts_with(|c: char| c.is_ascii_alphabetic()) {
                let end = line.find(['.', ' ', '=']).unwrap();
                found.insert(line[..end].to_owned());
            }
        }
        found
    };
    folders
        .iter()
        .map(|folder| (short(folder).to_owned(), dependencies(folder)))
        .collect()
}

/// `kernels` for `crates/kernels` and for `layerwise-kernels`.
fn short(name: &str) -> &str {
    let name = name.strip_prefix("crates/").unwrap_or(name);
    name.strip_prefix("layerwise-").unwrap_or(name)
}

#[test]
fn the_arrows_between_crates_are_those_of_the_architecture() {
    let page = read("ARCHITECTURE.md");
    let documented: BTreeMap<String, BTreeSet<String>> = table(&page, "## Crates")
        .iter()
        .map(|row| {
            let depends_on = quoted(row[1]).into_iter().map(str::to_owned).collect();
            (quoted(row[0])[0].to_owned(), depends_on)
        })
        .collect();
    let found: BTreeMap<String, BTreeSet<String>> = crates()
        .into_iter()
        .map(|(name, dependencies)| {
            let own = dependencies
                .iter()
                .filter(|dependency| dependency.starts_with("layerwise"))
                .map(|dependency| short(dependency).to_owned())
                .collect();
            (name, own)
        })
        .collect();
    assert_eq!(
        documented, found,
        "ARCHITECTURE.md (left), Cargo.toml files (right)"
    );
}

#[test]
fn no_circle_of_files_is_larger_than_a_module_with_its_children() {
    let mut folders = entries("crates");
    folders.retain(|folder| is_folder(folder));
    folders.push("xtask".to_owned());
    let mut faults = Vec::new();
    for folder in folders {
        let root = format!("{folder}/src/");
        let own = files(&root[..root.len() - 1], &["rs"]);
        let own = own.into_iter().filter(|path| !is_test(path)).map(|path| {
            let lines: Vec<String> = code(&path).into_iter().map(|(_, line)| line).collect();
            (path[root.len()..].to_owned(), lines.join("\n"))
        });
        for circle in Modules::new(own).circles() {
            faults.push(format!("{root}: {}", circle.join(", ")));
        }
    }
    check(&faults);
}

#[test]
fn the_readme_names_every_library_crate() {
    let page = read("README.md");
    let documented: BTreeSet<String> = table(&page, "## As a library")
        .iter()
        .map(|row| quoted(row[0])[0].to_owned())
        .collect();
    let found: BTreeSet<String> = crates()
        .into_keys()
        .filter(|name| name != "xtask")
        .collect();
    assert_eq!(documented, found, "README.md (left), crates/ (right)");
}

#[test]
fn no_library_crate_depends_on_what_serves_the_command_line() {
    let mut faults = Vec::new();
    for (name, dependencies) in crates() {
        for harness in ["anyhow", "clap", "ctrlc", "indicatif"] {
            if name != "xtask" && dependencies.contains(harness) {
                faults.push(format!("{name} depends on {harness}"));
            }
        }
    }
    check(&faults);
}

/// The default build, including build scripts and tests, contains nothing that uses a network.
#[test]
fn no_crate_of_the_default_build_is_a_network_client() {
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(["tree", "--workspace", "--offline", "--locked"])
        .args([
            "--edges",
            "normal,build,dev",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .output()
        .unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let crates: BTreeSet<&str> = listed
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(crates.len() > 100, "{crates:?}");
    let clients = [
        "attohttpc",
        "curl",
        "curl-sys",
        "git2",
        "hf-hub",
        "hyper",
        "isahc",
        "minreq",
        "native-tls",
        "openblas-build",
        "openssl",
        "reqwest",
        "rustls",
        "socket2",
        "tokio",
        "ureq",
    ];
    let mut faults: Vec<String> = Vec::new();
    for client in clients {
        if crates.contains(client) {
            faults.push(format!("the default build has {client}"));
        }
    }
    check(&faults);
}

#[test]
fn every_crate_has_the_lints_of_the_workspace_and_documentation() {
    let mut faults = Vec::new();
    for folder in entries("crates").into_iter().chain(["xtask".to_owned()]) {
        let manifest = read(&format!("{folder}/Cargo.toml"));
        if !manifest.contains("[lints]\nworkspace = true\n") {
            faults.push(format!("{folder}/Cargo.toml: no workspace lints"));
        }
        if !read(&format!("{folder}/src/lib.rs")).starts_with("//! ") {
            faults.push(format!("{folder}/src/lib.rs: line 1: no documentation"));
        }
    }
    check(&faults);
}

#[test]
fn every_published_crate_has_a_front_page_and_licences() {
    let mut faults = Vec::new();
    for folder in entries("crates") {
        let manifest = read(&format!("{folder}/Cargo.toml"));
        let name = format!("layerwise-{}", folder.trim_start_matches("crates/"));
        let name = name.strip_suffix("-layerwise").unwrap_or(&name);
        for line in [
            "repository.workspace = true".to_owned(),
            "readme = \"README.md\"".to_owned(),
            format!("documentation = \"https://docs.rs/{name}\""),
        ] {
            if !manifest.lines().any(|own| own == line) {
                faults.push(format!("{folder}/Cargo.toml: no {line}"));
            }
        }
        // The description is the text that crates.io shows next to the name.
        let description = manifest
            .lines()
            .find_map(|line| line.strip_prefix("description = "))
            .unwrap_or_default()
            .trim_matches('"');
        if name != "layerwise" && !read(&format!("{folder}/README.md")).contains(description) {
            faults.push(format!(
                "{folder}/README.md: not the description of Cargo.toml"
            ));
        }
        for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
            if !root().join(&folder).join(file).exists() {
                faults.push(format!("{folder}: no {file}"));
            }
        }
    }
    check(&faults);
}

#[test]
fn the_citation_and_the_fuzz_targets_name_the_version() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        read("CITATION.cff").contains(&format!("\nversion: {version}\n")),
        "CITATION.cff"
    );
    let wanted = format!("path = \"../crates/layerwise\", version = {version:?}");
    assert!(
        read("fuzz/Cargo.toml").contains(&wanted),
        "fuzz/Cargo.toml: {wanted}"
    );
}

#[test]
fn unsafe_code_is_where_the_architecture_says_and_nowhere_else() {
    let page = read("ARCHITECTURE.md");
    let documented: BTreeSet<String> = table(&page, "## Unsafe code")
        .iter()
        .flat_map(|row| {
            quoted(row[0])
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    let has_unsafe = |path: &String| {
        let text = read(path);
        text.lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .any(|line| has_word(line, "unsafe") || has_word(line, "unsafe_code"))
    };
    let found: BTreeSet<String> = sources()
        .into_iter()
        .filter(|path| !is_test(path) && has_unsafe(path))
        .collect();
    assert_eq!(documented, found, "ARCHITECTURE.md (left), sources (right)");
}

#[test]
fn input_and_output_are_where_the_architecture_says() {
    let page = read("ARCHITECTURE.md");
    let mut files: Vec<String> = table(&page, "## Where input and output happen")
        .iter()
        .map(|row| quoted(row[0])[0].to_owned())
        .collect();
    files.push("benches".to_owned());
    // Benches compare with programs of their own, and examples are programs, too.
    let programs = [
        "xtask/src",
        "xtask/build.rs",
        "benches",
        "crates/layerwise/examples",
    ];
    let harness = programs.map(str::to_owned);
    // The clock limits a template from a stranger, which might run for ever.
    let clock = [&harness[..], &["crates/chat/src/template.rs".to_owned()]].concat();
    // Environment variables say where a user's cache is.
    let environment = [&harness[..], &["crates/hub/src/cache.rs".to_owned()]].concat();
    let rules: [(&str, &[String]); 10] = [
        ("fs::", &files),
        ("net::", &[]),
        ("process::", &harness),
        ("env::", &environment),
        ("time::", &clock),
        ("stdin(", &harness),
        ("stdout(", &harness),
        ("stderr(", &harness),
        // Includes `eprint!` and the forms that end a line.
        ("print!(", &harness),
        ("println!(", &harness),
    ];
    let mut faults = Vec::new();
    for path in sources().iter().filter(|path| !is_test(path)) {
        for (number, line) in code(path) {
            for (pattern, allowed) in rules {
                let is_allowed = allowed.iter().any(|place| path.starts_with(place.as_str()));
                if line.contains(pattern) && !is_allowed {
                    faults.push(format!("{path}:{number}: {pattern}"));
                }
            }
        }
    }
    check(&faults);
}

#[test]
fn only_journal_manifest_and_records_are_serialised() {
    let page = read("ARCHITECTURE.md");
    let line = page
        .lines()
        .find(|line| line.contains("only serialised types"))
        .unwrap();
    let allowed = quoted(line);
    let mut faults = Vec::new();
    for path in sources().iter().filter(|path| !is_test(path)) {
        let is_allowed = allowed.iter().any(|place| path.starts_with(place));
        for (number, line) in code(path) {
            if has_word(&line, "Serialize") && !is_allowed {
                faults.push(format!("{path}:{number}: Serialize"));
            }
        }
    }
    check(&faults);
}

#[test]
fn no_library_crate_knows_the_fixtures() {
    let mut faults = Vec::new();
    for path in sources() {
        if !path.starts_with("crates/") || is_test(&path) {
            continue;
        }
        for (number, line) in code(&path) {
            let front_page = line.contains("README.md");
            // A crate may include a font or a style sheet of its own, but nothing from outside its folder.
            let reaches_out = line.contains("include_") && line.contains("../../");
            if line.contains("fixtures") || (reaches_out && !front_page) {
                faults.push(format!("{path}:{number}: {}", line.trim()));
            }
        }
    }
    check(&faults);
}

/// The archive of a crate is tested away from the repository, where `LAYERWISE_FIXTURES` names the fixtures.
#[test]
fn tests_that_are_packed_find_the_fixtures() {
    let mut faults = Vec::new();
    for folder in entries("crates") {
        let manifest = read(&format!("{folder}/Cargo.toml"));
        let line = manifest.lines().find(|line| line.starts_with("exclude = "));
        let left_out = line.unwrap_or_default().split('"').skip(1).step_by(2);
        for path in files(&folder, &["rs"]) {
            let text = read(&path);
            let is_left_out = |own: &str| path[folder.len() + 1..].starts_with(own);
            let is_packed = !left_out.clone().any(is_left_out);
            let finds = text.contains("\"LAYERWISE_FIXTURES\"");
            if is_packed && text.contains("../../fixtures") && !finds {
                faults.push(format!("{path}: reads fixtures, and is in the archive"));
            }
        }
    }
    check(&faults);
}

#[test]
fn nothing_unfinished_and_no_path_of_one_machine_is_left() {
    let unfinished = ["todo!", "unimplemented!", "dbg!", "TODO", "FIXME", "XXX"];
    let of_one_machine = ["/home/", "/root/", "/tmp/", "/Users/", "C:\\"];
    let mut faults = Vec::new();
    let documents = files(".", &["md", "toml"]);
    for path in sources().iter().chain(&documents) {
        for (number, line) in (1..).zip(read(path).lines()) {
            let patterns = unfinished
                .iter()
                .chain(of_one_machine.iter().filter(|_| !is_test(path)));
            for pattern in patterns {
                if line.contains(pattern) {
                    faults.push(format!("{path}:{number}: {pattern}"));
                }
            }
        }
    }
    check(&faults);
}

#[test]
fn files_are_of_readable_size_and_cleanly_spaced() {
    let mut faults = Vec::new();
    for path in files(".", &["rs", "md"]) {
        let text = read(&path);
        let lines = text.lines().count();
        if path.ends_with(".rs") && lines > MAX_LINES {
            faults.push(format!("{path}: {lines} lines, at most {MAX_LINES}"));
        }
        if !text.ends_with('\n') || text.ends_with("\n\n") {
            faults.push(format!("{path}: does not end with one newline"));
        }
        for (number, line) in (1..).zip(text.split('\n')) {
            if line.contains('\t') {
                faults.push(format!("{path}:{number}: tab"));
            }
            if line.ends_with([' ', '\r']) {
                faults.push(format!("{path}:{number}: space at the end"));
            }
        }
    }
    check(&faults);
}

#[test]
fn what_the_documents_point_to_is_there() {
    let tops = [
        "crates/",
        "xtask/",
        "fixtures/",
        "benches/",
        ".ci/",
        ".github/",
    ];
    let mut faults = Vec::new();
    for page in [
        "README.md",
        "ARCHITECTURE.md",
        "SECURITY.md",
        "CHANGELOG.md",
    ] {
        let text = read(page);
        // Links, then paths between backticks.
        let links = links(&text)
            .map(|target| {
                HERE.iter()
                    .find_map(|own| target.strip_prefix(own))
                    .unwrap_or(target)
            })
            .filter(|target| !target.contains("://"))
            .filter_map(|target| target.split('#').next());
        let paths = quoted(&text)
            .into_iter()
            .filter(|path| tops.iter().any(|top| path.starts_with(top)) && !path.contains('<'));
        for path in links.chain(paths) {
            if !root().join(path).exists() {
                faults.push(format!("{page}: {path}"));
            }
        }
    }
    check(&faults);
}

/// crates.io reads a relative link from the folder of the crate, whose page may be a link to the root's.
#[test]
fn relative_links_of_published_pages_stay_in_their_crate() {
    let mut faults = Vec::new();
    for page in files("crates", &["md"]) {
        let Some(folder) = page.strip_suffix("/README.md") else {
            continue;
        };
        for target in links(&read(&page)) {
            let is_address = target.contains("://") || target.starts_with('#');
            if !is_address && !root().join(folder).join(target).exists() {
                faults.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(root().join("crates/layerwise/README.md").is_file());
    check(&faults);
}

/// A picture of models that are no longer there shows other numbers than the command below it.
#[test]
fn the_picture_of_the_front_page_is_of_the_models_that_come_with_the_program() {
    let picture = read(".github/robustness.svg");
    assert!(read("README.md").contains(".github/robustness.svg)"));
    let is_size = |end: &str| {
        let parts = end.split_once('x');
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        parts.is_some_and(|(blocks, width)| is_number(blocks) && is_number(width))
    };
    let labels = picture.split("aria-label=\"").skip(1);
    let labels = labels.filter_map(|rest| rest.split('"').next());
    let named: BTreeSet<&str> = labels
        .filter(|label| label.rsplit_once('-').is_some_and(|(_, end)| is_size(end)))
        .collect();
    assert!(named.len() > 1, "{named:?}");
    for model in named {
        let folder = root().join("fixtures/models").join(model);
        assert!(folder.is_dir(), "{model}: no folder of fixtures/models");
    }
}

/// crates.io takes no crate twice and few new ones at once, which must not hold back binaries that are built.
#[test]
fn the_release_page_does_not_wait_for_crates_io() {
    let workflow = read(".github/workflows/release.yml");
    let (_, release) = workflow.split_once("\n  release:\n").unwrap();
    let needs = release.lines().find(|line| line.starts_with("    needs:"));
    assert_eq!(needs, Some("    needs: binaries"));
}

#[test]
fn what_the_front_page_promises_is_what_the_checks_run() {
    let (readme, checks) = (read("README.md"), read(".ci/run"));
    for command in ["cargo xtask reproduce", "cargo test --workspace"] {
        assert!(
            readme.contains(&format!("```sh\n{command}\n```")),
            "README.md: {command}"
        );
        let runs = |line: &str| line.starts_with("part ") && line.ends_with(command);
        assert!(checks.lines().any(runs), ".ci/run: {command}");
    }
    let workspace = read("Cargo.toml");
    let version = workspace
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .unwrap()
        .trim_matches('"');
    assert!(readme.contains(&format!("oldest supported Rust is {version}.")));
    assert!(read(".github/workflows/ci.yml").contains(&format!("cargo +{version} check")));
}

#[test]
fn every_fixture_folder_says_what_it_is() {
    let mut faults = Vec::new();
    let models = entries("fixtures/models").into_iter();
    let models = models.filter(|path| root().join(path).join("config.json").exists());
    for folder in entries("fixtures").into_iter().chain(models) {
        if is_folder(&folder) && !root().join(&folder).join("README.md").is_file() {
            faults.push(format!("{folder}: no README.md"));
        }
    }
    check(&faults);
}

#[test]
fn the_files_of_embedded_models_are_those_listed() {
    let mut models = entries("fixtures/models");
    models.retain(|path| root().join(path).join("config.json").exists());
    if models.is_empty() {
        return;
    }
    let sums =
        fs::read_to_string(root().join("fixtures/models/SHA256SUMS")).unwrap_or_else(|error| {
            panic!("fixtures/models/SHA256SUMS: {error}; make it with: {MAKE_SUMS}")
        });
    let listed: BTreeMap<String, String> = sums
        .lines()
        .map(|line| {
            let (sum, path) = line
                .split_once("  ")
                .unwrap_or_else(|| panic!("fixtures/models/SHA256SUMS: {line:?}"));
            (format!("fixtures/models/{path}"), sum.to_owned())
        })
        .collect();
    let found: BTreeMap<String, String> = models
        .iter()
        .flat_map(|model| entries(model))
        .filter(|path| !path.ends_with(".md"))
        .map(|path| {
            let sum = sha256(&root().join(&path)).unwrap();
            (path, sum)
        })
        .collect();
    assert_eq!(
        listed, found,
        "SHA256SUMS (left), files (right); if the files are meant to differ: {MAKE_SUMS}"
    );
}
