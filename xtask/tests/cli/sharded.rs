//! Runs in shards, and their merging.

use crate::{Outcome, Sandbox, narrow, npy, tiny, token_ids};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const SEQUENCES: usize = 11;

/// A run of two models, whole or in shards.
struct Sharded {
    sandbox: Sandbox,
}

impl Sharded {
    fn new() -> Self {
        let sandbox = Sandbox::with_ids(&token_ids(SEQUENCES, 16, 29));
        Self { sandbox }
    }

    /// `sweep` with further arguments, the first of which is the output.
    fn sweep(&self, arguments: &[&str]) -> Outcome {
        // The second model comes first by name.
        let models = [tiny("phi"), tiny("gpt2")];
        let fixed = ["sweep", "--corpus", "ids.npy", "drop(l)", "swap(l,m)"];
        let on = ["--model", &models[0], "--model", &models[1], "--out"];
        self.sandbox.xtask(&[&fixed, &on[..], arguments].concat())
    }

    /// Runs shard `k` of `n` to `part-k.csv`.
    fn shard(&self, k: usize, n: usize, arguments: &[&str]) -> Outcome {
        let (out, shard) = (format!("part-{k}.csv"), format!("{k}/{n}"));
        self.sweep(&[&[&out, "--shard", &shard], arguments].concat())
    }

    fn merge(&self, runs: &[&str], out: &str) -> Outcome {
        let arguments = [&["merge"], runs, &["--out", out]].concat();
        self.sandbox.xtask(&arguments)
    }

    fn whole(&self) -> Vec<u8> {
        self.sweep(&["whole.csv"]).succeeded();
        self.sandbox.read("whole.csv")
    }

    fn forget(&self, n: usize) {
        for k in 1..=n {
            let folder = self.sandbox.path(&format!("part-{k}.csv.run"));
            fs::remove_dir_all(folder).unwrap();
        }
    }
}

#[test]
fn merged_shards_have_the_bytes_of_the_whole_run() {
    let sharded = Sharded::new();
    let expected = sharded.whole();
    // With fourteen shards of eleven sequences some are empty.
    for n in [2, 3, 14] {
        for k in 1..=n {
            let threads = if k % 2 == 0 { "1" } else { "3" };
            let outcome = sharded.shard(k, n, &["--threads", threads]).succeeded();
            assert_eq!(outcome.stdout, format!("part-{k}.csv.run\n"));
            assert!(outcome.stderr.contains("layerwise merge"));
            let table = sharded.sandbox.path(&format!("part-{k}.csv"));
            assert!(!table.exists(), "a part has no table");
        }
        let mut runs: Vec<String> = (1..=n).map(|k| format!("part-{k}.csv.run")).collect();
        runs.reverse();
        let runs: Vec<&str> = runs.iter().map(String::as_str).collect();
        let outcome = sharded.merge(&runs, "merged.csv").succeeded();
        assert_eq!(outcome.stdout, "merged.csv\n");
        assert!(sharded.sandbox.read("merged.csv") == expected, "{n} shards");
        let manifest = sharded.sandbox.json("merged.csv.run/manifest.json");
        let run = &manifest["runs"][1];
        assert_eq!(run["model"], "gpt2");
        assert_eq!(run["shards"].as_array().unwrap().len(), n);
        let held = run["shards"].as_array().unwrap().iter();
        let held: u64 = held.map(|shard| shard["sequences"].as_u64().unwrap()).sum();
        assert_eq!(held, SEQUENCES as u64);
        let part = sharded.sandbox.json("part-2.csv.run/manifest.json");
        assert_eq!(part["runs"][0]["shard"], format!("2/{n}"));
        let whole = sharded.sandbox.json("whole.csv.run/manifest.json");
        assert_eq!(
            part["runs"][0]["key"], whole["runs"][0]["key"],
            "the key says nothing of shards"
        );
        sharded.forget(n);
    }
    // A whole run is the only shard of one.
    sharded.merge(&["whole.csv.run"], "again.csv").succeeded();
    assert!(sharded.sandbox.read("again.csv") == expected);
    sharded.shard(1, 1, &[]).succeeded();
    assert!(sharded.sandbox.read("part-1.csv") == expected);
}

#[test]
fn what_does_not_make_up_a_run_is_refused() {
    let sharded = Sharded::new();
    for k in 1..=3 {
        sharded.shard(k, 3, &[]).succeeded();
    }
    let check = |runs: &[&str], mentioned: &[&str]| {
        let before = sharded.sandbox.contents();
        sharded.merge(runs, "merged.csv").refused(mentioned);
        assert_eq!(sharded.sandbox.contents(), before);
    };
    check(
        &["part-1.csv.run", "part-3.csv.run"],
        &["phi: found no journal of 2/3; missing units "],
    );
    let all = ["part-1.csv.run", "part-2.csv.run", "part-3.csv.run"];
    check(&["part-4.csv.run"], &["part-4.csv.run", "not found"]);
    check(
        &["ids.npy"],
        &["ids.npy: expected a journal or a run folder, FILE.run"],
    );
    check(
        &["part-1.csv"],
        &["part-1.csv: expected a run folder; give part-1.csv.run"],
    );
    fs::create_dir(sharded.sandbox.path("empty")).unwrap();
    check(&["empty"], &["empty: the folder contains no journal"]);
    sharded
        .merge(&all, "part-1.csv")
        .refused(&["part-1.csv.run", "one of those to merge"]);
    sharded
        .merge(&all, "empty")
        .refused(&["empty: expected a file, found a folder"]);

    // An unfinished shard; a torn shard is unfinished, too.
    let journal = sharded.sandbox.read("part-2.csv.run/gpt2.journal");
    let torn = &journal[..journal.len() - 1];
    sharded.sandbox.write("part-2.csv.run/gpt2.journal", torn);
    check(
        &all,
        &[
            "part-2.csv.run/gpt2.journal",
            "shard 2/3 is not finished",
            "unit",
        ],
    );
    let mut damaged = journal.clone();
    damaged[journal.len() / 2] ^= 1;
    sharded
        .sandbox
        .write("part-2.csv.run/gpt2.journal", &damaged);
    check(&all, &["part-2.csv.run/gpt2.journal", "is damaged"]);
    sharded
        .sandbox
        .write("part-2.csv.run/gpt2.journal", &journal);

    // Another text makes another run.
    sharded
        .sandbox
        .write("ids.npy", &npy(&token_ids(SEQUENCES, 15, 29)));
    sharded.shard(2, 3, &["--fresh"]).succeeded();
    check(
        &all,
        &["different runs of phi", "part-1.csv.run/phi.journal"],
    );
}

#[test]
fn a_run_goes_on_as_the_shard_it_was() {
    let sharded = Sharded::new();
    sharded.shard(1, 2, &[]).succeeded();
    let journal = sharded.sandbox.read("part-1.csv.run/phi.journal");
    for other in ["2/2", "1/3", "1/1"] {
        sharded.sweep(&["part-1.csv", "--shard", other]).refused(&[
            "part-1.csv.run/phi.journal",
            "belongs to shard 1/2",
            &format!("expected shard {other}"),
        ]);
        assert!(sharded.sandbox.read("part-1.csv.run/phi.journal") == journal);
    }
    assert!(!sharded.sandbox.path("part-1.csv").exists());
    // Stopped halfway, it resumes, and the merged result is the same.
    sharded.shard(2, 2, &[]).succeeded();
    let half = &journal[..journal.len() / 2];
    sharded.sandbox.write("part-1.csv.run/phi.journal", half);
    let said = sharded.shard(1, 2, &[]).succeeded().stderr;
    assert!(said.contains("were finished by an earlier run"), "{said}");
    let runs = ["part-1.csv.run", "part-2.csv.run"];
    sharded.merge(&runs, "merged.csv").succeeded();
    assert!(sharded.whole() == sharded.sandbox.read("merged.csv"));
    for wrong in ["0/2", "3/2", "1", "a/b", "1/0"] {
        sharded.sweep(&["wrong.csv", "--shard", wrong]).refused(&[
            "--shard",
            wrong,
            "expected K/N",
        ]);
    }
    sharded
        .sweep(&["wrong.csv", "--shard", "1/2", "--until-se", "kl_nats=1"])
        .refused(&["--until-se", "cannot be used with", "--shard"]);
    assert!(!sharded.sandbox.path("wrong.csv.run").exists());
}

/// The table's rows are in the order of the models: a journal that was made for another place is not reused.
#[test]
fn models_keep_their_places() {
    let sharded = Sharded::new();
    sharded.whole();
    let models = [tiny("gpt2"), tiny("phi")];
    let fixed = ["sweep", "--corpus", "ids.npy", "drop(l)", "swap(l,m)"];
    let on = ["--model", &models[0], "--model", &models[1], "--out"];
    let arguments = [&fixed, &on[..], &["whole.csv"]].concat();
    sharded.sandbox.xtask(&arguments).refused(&[
        "whole.csv.run/gpt2.journal",
        "number 2",
        "expected number 1",
    ]);
}

#[cfg(unix)]
#[test]
fn a_pipe_in_a_journals_place_is_refused_at_once() {
    let sharded = Sharded::new();
    fs::create_dir(sharded.sandbox.path("whole.csv.run")).unwrap();
    let pipe = sharded.sandbox.path("whole.csv.run/phi.journal");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    sharded
        .sweep(&["whole.csv"])
        .refused(&["whole.csv.run/phi.journal", "expected a file, found a pipe"]);
    sharded
        .merge(&["whole.csv.run"], "merged.csv")
        .refused(&["whole.csv.run/phi.journal", "expected a regular file"]);
}

/// The bytes of every file of results below a folder, by its path.
fn results(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let is_result = |extension| ["csv", "svg", "png", "html"].contains(&extension);
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .and_then(|e| e.to_str())
                .is_some_and(is_result)
            {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Checks that merged shards of `reproduce` draw the bytes of the whole run, which are returned; the shards share a folder, or
/// each has one.
fn check_merged(
    sandbox: &Sandbox,
    name: &str,
    shards: usize,
    are_together: bool,
    arguments: &[&str],
) -> BTreeMap<PathBuf, Vec<u8>> {
    let model = narrow(sandbox);
    let run = |more: &[&str]| {
        let fixed = ["reproduce", "--model", model];
        sandbox.xtask(&[&fixed[..], arguments, more].concat())
    };
    let whole = format!("{name}-whole");
    run(&["--out", &whole]).succeeded();
    let out = |k: usize| match are_together {
        true => format!("{name}-shared"),
        false => format!("{name}-{k}"),
    };
    for k in 1..=shards {
        let (shard, threads) = (format!("{k}/{shards}"), k.to_string());
        let outcome = run(&["--out", &out(k), "--shard", &shard, "--threads", &threads]);
        let said = outcome.succeeded().stderr;
        assert!(
            said.contains(&format!("shard {shard} is finished")),
            "{said}"
        );
        assert!(results(&sandbox.path(&out(k))).is_empty(), "{name}");
        if k == 1 {
            let merged = sandbox.xtask(&["merge", &out(1), "--out", "early"]);
            merged.refused(&[model, "the shares are not finished: missing"]);
        }
    }
    let mut runs: Vec<String> = (1..=shards).map(out).collect();
    runs.dedup();
    let runs: Vec<&str> = runs.iter().map(String::as_str).collect();
    let merged = format!("{name}-merged");
    sandbox
        .xtask(&[&["merge"], &runs[..], &["--out", &merged]].concat())
        .succeeded();
    let expected = results(&sandbox.path(&whole));
    let found = results(&sandbox.path(&merged));
    assert!(expected.keys().eq(found.keys()), "{name}");
    for (path, bytes) in &expected {
        assert!(found[path] == *bytes, "{name}: {}", path.display());
    }
    expected
}

#[test]
fn merged_shards_of_reproduce_draw_the_bytes_of_the_whole_run() {
    let of_all = [
        "robustness",
        "attention-locality",
        "cka",
        "benchmarks",
        "subword-heads",
        "sublayer-skip",
        "early-exit",
        "lexical-semantics",
    ];
    let few = ["wic", "--tokens", "200", "--context", "48", "--items", "2"];
    let fewer = [
        "--wic-items",
        "32",
        "--task-items",
        "1",
        "--exit-items",
        "2",
    ];
    let arguments = [&of_all[..], &few, &fewer].concat();
    check_merged(&Sandbox::new(), "passes", 3, true, &arguments);
}

#[test]
fn merged_shards_of_contexts_draw_the_bytes_of_the_whole_run() {
    let sandbox = Sandbox::new();
    let many = ["suffix-probe", "--tokens", "12000", "--context", "128"];
    let found = check_merged(&sandbox, "contexts", 2, false, &many);
    let table = &found[Path::new("narrow/suffix-probe.csv")];
    assert!(
        table.iter().filter(|byte| **byte == b'\n').count() > 1,
        "there are contexts"
    );

    let divided = sandbox.read("contexts-1/shard.json");
    sandbox.write("contexts-1/shard.json", &divided[..divided.len() / 2]);
    sandbox
        .xtask(&["merge", "contexts-1", "contexts-2", "--out", "torn"])
        .refused(&["contexts-1/shard.json"]);
}

#[test]
fn a_folder_with_nothing_of_a_run_is_told() {
    let sandbox = Sandbox::new();
    let model = narrow(&sandbox);
    fs::create_dir(sandbox.path("empty")).unwrap();
    let run = |tokens: &str, out: &str, more: &[&str]| {
        let fixed = ["reproduce", "robustness", "--model", model];
        let of = ["--context", "48", "--tokens", tokens, "--out", out];
        let outcome = sandbox.xtask(&[&fixed[..], &of, more].concat());
        outcome.succeeded().stderr
    };
    let shard = ["--shard", "1/2"];
    let check = |tokens: &str, out: &str, folder: &str, mentioned: &str| {
        let said = run(tokens, out, &[&shard[..], &["--take-up", folder]].concat());
        assert!(said.contains(mentioned), "{said}");
        said
    };
    let said = run("200", "first", &shard);
    assert!(!said.contains("--take-up"), "{said}");
    let said = check("200", "same", "first", "were finished by an earlier run");
    assert!(!said.contains("note: --take-up"), "{said}");
    check(
        "150",
        "other",
        "first",
        "note: --take-up first: holds only work of other runs",
    );
    let told = "note: --take-up empty: holds no finished work on narrow";
    check("200", "same", "empty", told);
    let dry = run("200", "dry", &["--dry-run", "--take-up", "empty"]);
    assert!(dry.contains(told), "{dry}");
}

#[test]
fn what_a_merge_of_figures_cannot_write_is_refused() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("shards")).unwrap();
    sandbox.write("shards/shard.json", b"{}");
    let before = sandbox.contents();
    for (option, mentioned) in [
        (["--per-item", "items.csv"], "a sweep on tasks"),
        (["--baseline", "id"], "a sweep"),
    ] {
        let merge = ["merge", "shards", "--out", "all"];
        let outcome = sandbox.xtask(&[&merge[..], &option].concat());
        outcome.refused(&["shards: shards of reproduce", option[0], mentioned]);
    }
    assert_eq!(sandbox.contents(), before);
}

/// Shards may come from a stranger: their command does not make a merge read or write packed weights.
#[test]
fn a_merge_keeps_no_packed_weights() {
    let sandbox = Sandbox::new();
    let model = narrow(&sandbox);
    for (shard, out) in [("1/2", "a"), ("2/2", "b")] {
        let fixed = ["reproduce", "robustness", "--model", model];
        let of = ["--context", "48", "--tokens", "200"];
        let more = ["--pack-cache", "packs", "--shard", shard, "--out", out];
        sandbox
            .xtask(&[&fixed[..], &of, &more].concat())
            .succeeded();
    }
    fs::remove_dir_all(sandbox.path("packs")).unwrap();
    let merge = ["merge", "a", "b", "--out", "all"];
    sandbox.xtask(&merge).succeeded();
    assert!(sandbox.path("all/manifest.json").is_file());
    assert!(!sandbox.path("packs").exists());
}
