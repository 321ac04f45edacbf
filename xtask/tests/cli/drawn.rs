//! `draw`: redraws what an earlier `reproduce` wrote, from its tables.

use crate::{Sandbox, tiny, token_ids};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// A sandbox with the results of two models on two experiments, one of which draws from the tables of others.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_ids(&token_ids(3, 12, 29));
    let models = [tiny("gpt2"), tiny("llama")];
    let on = ["--model", &models[0], "--model", &models[1], "--corpus"];
    let to = ["ids.npy", "--out", "out"];
    let run = [
        &["reproduce", "mlp-norm", "lens-kl", "stages"],
        &on[..],
        &to,
    ]
    .concat();
    sandbox.xtask(&run).succeeded();
    sandbox
}

/// The files of a sandbox, with their bytes.
fn files(sandbox: &Sandbox) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = sandbox.contents().into_iter();
    let files = paths.filter(|path| sandbox.folder.path().join(path).is_file());
    files
        .map(|path| (path.clone(), sandbox.read(path.to_str().unwrap())))
        .collect()
}

#[test]
fn everything_but_tables_is_made_again_byte_for_byte() {
    let sandbox = sandbox();
    let expected = files(&sandbox);
    let is_drawn = |path: &PathBuf| {
        let name = path.to_str().unwrap();
        let judged = ["out/claims.csv", "out/known-values.csv", "out/table-1.csv"];
        judged.contains(&name)
            || [".svg", ".png", ".html"]
                .iter()
                .any(|end| name.ends_with(end))
    };
    let drawn: Vec<&PathBuf> = expected.keys().filter(|path| is_drawn(path)).collect();
    assert!(drawn.len() > 20, "{drawn:?}");
    for path in &drawn {
        fs::remove_file(sandbox.folder.path().join(path)).unwrap();
    }
    let outcome = sandbox.xtask(&["draw", "out", "--list-files"]).succeeded();
    let found = files(&sandbox);
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    for (path, bytes) in &expected {
        assert!(found[path] == *bytes, "{}", path.display());
    }
    for path in drawn {
        let told = outcome
            .stdout
            .lines()
            .any(|line| line == path.to_str().unwrap());
        assert!(told, "{}: {}", path.display(), outcome.stdout);
    }
    // Without the list: a line for each claim that could be judged, and the report's path last.
    let said = sandbox.xtask(&["draw", "out"]).succeeded().stdout;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.last(), Some(&"out/report.html"), "{said}");
    assert!(lines[0].starts_with("claim"), "{said}");
    let claims = String::from_utf8(sandbox.read("out/claims.csv")).unwrap();
    let ids = claims.lines().skip(1).map(|line| line.split(',').next());
    let ids: std::collections::BTreeSet<_> = ids.flatten().collect();
    let shown = lines
        .iter()
        .filter_map(|line| line.split_whitespace().next());
    let shown: Vec<&str> = shown.filter(|id| ids.contains(id)).collect();
    assert!(shown.contains(&"D22"), "{said}");
    // Claims of experiments that did not run are only in the file.
    assert!(!shown.contains(&"T1") && ids.contains("T1"), "{said}");
    // The drawing follows the tables.
    let table = String::from_utf8(sandbox.read("out/gpt2/mlp-norm.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    let cut = [lines[0], lines[1], ""].join("\n");
    sandbox.write("out/gpt2/mlp-norm.csv", cut.as_bytes());
    sandbox.xtask(&["draw", "out"]).succeeded();
    let redrawn = files(&sandbox);
    let differ: Vec<&PathBuf> = expected
        .keys()
        .filter(|path| redrawn[*path] != expected[*path])
        .collect();
    let names = [
        "out/gpt2/mlp-norm.csv",
        "out/gpt2/mlp-norm.png",
        "out/gpt2/mlp-norm.svg",
    ];
    let of_model = differ.iter().filter(|path| path.starts_with("out/gpt2"));
    let of_model: Vec<&str> = of_model.map(|path| path.to_str().unwrap()).collect();
    assert_eq!(of_model, names);
}

#[test]
fn one_model_has_no_tables_across_models() {
    let sandbox = Sandbox::with_ids(&token_ids(2, 12, 29));
    let on = [
        "--model",
        &tiny("gpt2"),
        "--corpus",
        "ids.npy",
        "--out",
        "out",
    ];
    let run = [&["reproduce", "sublayer-ratio"], &on[..]].concat();
    sandbox.xtask(&run).succeeded();
    let expected = files(&sandbox);
    sandbox.xtask(&["draw", "out"]).succeeded();
    assert!(files(&sandbox) == expected);
}

/// The numbers are of the version that measured, the drawings of the one that draws.
#[test]
fn a_later_version_is_named_beside_the_one_that_measured() {
    let sandbox = sandbox();
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&sandbox.read("out/manifest.json")).unwrap();
    let entry = &mut manifest["report"]["provenance"][0];
    assert_eq!(entry[0], "layerwise");
    let own = entry[1].as_str().unwrap().to_owned();
    entry[1] = "0.1.9 (of old)".into();
    sandbox.write("out/manifest.json", manifest.to_string().as_bytes());
    sandbox.xtask(&["draw", "out"]).succeeded();
    let page = String::from_utf8(sandbox.read("out/report.html")).unwrap();
    assert!(page.contains("as layerwise 0.1.9 measured them"));
    assert!(page.contains("Drawn by") && page.contains(&own), "{own}");
    let svg = String::from_utf8(sandbox.read("out/lens-kl.svg")).unwrap();
    // Each line of the text below the figure has a label of its own.
    let labels = svg.split("aria-label=\"").skip(1);
    let labels: Vec<&str> = labels.filter_map(|rest| rest.split('"').next()).collect();
    let said = labels.join(" ");
    assert!(
        said.contains(&format!("layerwise 0.1.9 (of old), drawn by {own}.")),
        "{said}"
    );
}

#[test]
fn what_holds_no_results_is_refused_and_nothing_is_touched() {
    let sandbox = sandbox();
    sandbox.write("text.txt", b"");
    fs::create_dir(sandbox.path("empty")).unwrap();
    fs::create_dir(sandbox.path("swept")).unwrap();
    sandbox.write("swept/manifest.json", br#"{"runs": []}"#);
    let check = |folder: &str, mentioned: &[&str]| {
        let before = files(&sandbox);
        sandbox.xtask(&["draw", folder]).refused(mentioned);
        assert!(files(&sandbox) == before, "{folder}");
    };
    check("missing", &["missing"]);
    check("text.txt", &["text.txt", "expected a folder"]);
    check(
        "empty",
        &["empty", "manifest.json", "the manifest of `reproduce`"],
    );
    check("swept", &["manifest.json", "has no entry for a report"]);

    let whole = sandbox.read("out/manifest.json");
    let manifest: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    let with = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut changed = manifest.clone();
        change(&mut changed["report"]);
        sandbox.write("out/manifest.json", changed.to_string().as_bytes());
    };
    for name in ["..", "../out/gpt2", "a/b", "/gpt2", "", ".", "gpt2/"] {
        with(&|report| report["models"][0]["name"] = name.into());
        check(
            "out",
            &["manifest.json: model", "expected the name of a folder"],
        );
    }
    with(&|report| report["models"][0]["name"] = "gpt3".into());
    check("out", &["gpt3"]);
    with(&|report| report["experiments"][0] = "astrology".into());
    check("out", &["unknown experiment \"astrology\""]);
    with(&|report| report["experiments"] = 7.into());
    check("out", &["manifest.json: not a manifest"]);
    sandbox.write("out/manifest.json", &whole);

    // Whichever table is wrong, no drawing is replaced.
    let table = sandbox.read("out/llama/mlp-norm.csv");
    sandbox.write("out/llama/mlp-norm.csv", b"model,layer\n");
    check(
        "out",
        &["out/llama/mlp-norm.csv: line 1: expected the columns"],
    );
    fs::remove_file(sandbox.path("out/llama/mlp-norm.csv")).unwrap();
    check("out", &["mlp-norm.csv", "a table of results"]);
    sandbox.write("out/llama/mlp-norm.csv", &table);
    sandbox.xtask(&["draw", "out"]).succeeded();
}
