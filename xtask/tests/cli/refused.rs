//! Bad inputs: an error that names the item and what was expected, and no files left behind.

use crate::{Sandbox, npy, tiny, token_ids};
use std::fs;

/// A sandbox with one of each thing that a bad command line may name.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_ids(&token_ids(2, 16, 29));
    sandbox.write("high.npy", &npy(&[vec![1, 2, 28], vec![3, 29, 4]]));
    sandbox.write("empty.npy", b"");
    sandbox.write("none.npy", &npy(&[]));
    sandbox.write("short.npy", &npy(&token_ids(3, 2, 29)));
    sandbox.write("text.txt", b"A text of some words.");
    sandbox.write("text.md", b"A text of some words.");
    for folder in ["folder", "elsewhere", "elsewhere/gpt2"] {
        fs::create_dir(sandbox.path(folder)).unwrap();
    }
    for file in ["config.json", "model.safetensors"] {
        let copy = sandbox.path("elsewhere/gpt2").join(file);
        fs::copy(format!("{}/{file}", tiny("gpt2")), copy).unwrap();
    }
    sandbox
}

/// Runs a command line that must be refused, with every one of `mentioned` in the message.
#[track_caller]
fn check(arguments: &[&str], mentioned: &[&str]) {
    let sandbox = sandbox();
    let before = sandbox.contents();
    sandbox.xtask(arguments).refused(mentioned);
    assert_eq!(sandbox.contents(), before, "{arguments:?} left something");
}

/// A `sweep` of the tiny GPT-2 (3 blocks, 29 tokens, context 16) that is valid except for `arguments`.
#[track_caller]
fn check_sweep(arguments: &[&str], mentioned: &[&str]) {
    let model = tiny("gpt2");
    let fixed = ["sweep", "--model", &model, "--out", "out.csv"];
    check(&[&fixed, arguments].concat(), mentioned);
}

#[test]
fn edits_that_do_not_fit() {
    for (edit, mentioned) in [
        (
            "drop_mpl(1)",
            ["edit `drop_mpl(1)`", "unknown edit `drop_mpl`", "drop_mlp"],
        ),
        ("drop(3)", ["drop(3)", "3 is out of range", "3 blocks"]),
        (
            "drop(-4)",
            ["drop(-4)", "-4 is out of range", "stack of 3 blocks"],
        ),
        (
            "swap(l,l+3)",
            ["edit `swap(l,l+3)`", "has no member", "stack of 3 blocks"],
        ),
        ("drop(0..3)", ["drop(0..3)", "empty", "at least one step"]),
        ("drop(1..1)", ["drop(1..1)", "range 1..1", "empty"]),
        ("drop(", ["edit `drop(`", "expected", "found"]),
        ("", ["edit ``", "expected", "found"]),
        ("repeat(0,0)", ["repeat(0,0)", "count 0", "1..="]),
    ] {
        check_sweep(&["--corpus", "ids.npy", edit], &mentioned);
        // A good edit before the bad one does not help.
        check_sweep(&["--corpus", "ids.npy", "drop(0)", edit], &mentioned);
    }
    check_sweep(
        &["--corpus", "ids.npy", "--max-members", "2", "drop(l)"],
        &[
            "family `drop(l)` has more than 2 members",
            "give a higher --max-members",
        ],
    );
}

#[test]
fn arguments_that_are_missing_or_mean_nothing() {
    let model = tiny("gpt2");
    let on = ["--model", &model, "--corpus", "ids.npy"];
    let sweep = |rest: &[&str], mentioned: &[&str]| {
        check(&[&["sweep"], on.as_slice(), rest].concat(), mentioned);
    };
    sweep(&["--out", "out.csv"], &["<EDIT>...", "required"]);
    for count in ["0", "99999", "-1", "many"] {
        let threads = format!("--threads={count}");
        let expected = "expected a number from 1 to 1024";
        sweep(
            &["--out", "out.csv", "drop(l)", &threads],
            &[count, "--threads", expected],
        );
    }
    sweep(
        &["--out", "out.csv", "drop(l)", "--bos", "maybe"],
        &["maybe", "--bos", "expected auto, none or a token id"],
    );
    check(
        &[&["reproduce", "robustnes"], on.as_slice()].concat(),
        &["robustnes", "possible values: stages, robustness"],
    );
    for timed in ["--timed-tokens", "--timed-repetitions"] {
        check(
            &[&["reproduce", "early-exit", timed, "8"], on.as_slice()].concat(),
            &["required", "--times"],
        );
    }
    check(&["swep"], &["unrecognized subcommand 'swep'", "sweep"]);
    check(&[], &["reproduce", "sweep", "diff-sites", "list"]);
}

/// clap drops what an option requires if that conflicts with another argument; the option would be ignored.
#[test]
fn options_that_would_have_no_effect() {
    let sandbox = sandbox();
    let before = sandbox.contents();
    let check = |line: &str, mentioned: &[&str]| {
        let words: Vec<&str> = line.split(' ').collect();
        let outcome = sandbox.xtask(&words);
        assert_eq!(outcome.code, Some(2), "{line}: {}", outcome.stderr);
        outcome.refused(mentioned);
        assert_eq!(sandbox.contents(), before, "{line}");
    };
    for (line, option, needed, bar) in [
        (
            "sweep drop(l) --tasks t --classes c --out o",
            "classes",
            "per-token",
            "--tasks",
        ),
        (
            "sweep drop(l) --pairs p --classes c --out o",
            "classes",
            "per-token",
            "--pairs",
        ),
        (
            "sweep drop(l) --shard 1/2 --classes c --out o",
            "classes",
            "per-token",
            "--shard",
        ),
        (
            "sweep drop(l) --until-se kl_nats=1 --classes c --out o",
            "classes",
            "per-token",
            "--until-se",
        ),
        (
            "sweep drop(l) --sort kl_nats --per-token t",
            "per-token",
            "out",
            "--sort",
        ),
        (
            "sweep drop(l) --sort kl_nats --shard 1/2",
            "shard",
            "out",
            "--sort",
        ),
        (
            "sweep drop(l) --baseline id --items 1",
            "items",
            "tasks",
            "--baseline",
        ),
        (
            "sweep drop(l) --pairs p --items 1",
            "items",
            "tasks",
            "--pairs",
        ),
        (
            "sweep drop(l) --sort kl_nats --items 1",
            "items",
            "tasks",
            "--sort",
        ),
        (
            "sweep drop(l) --baseline id --per-item i --out o",
            "per-item",
            "tasks",
            "--baseline",
        ),
        (
            "sweep drop(l) --both-ways --per-item i --out o",
            "per-item",
            "tasks",
            "--both-ways",
        ),
        (
            "sweep drop(l) --sort kl_nats --per-item i",
            "per-item",
            "",
            "--sort",
        ),
        ("generate x --model m --out o", "out", "prompts", "[PROMPT]"),
        (
            "generate x --model m --out o --fresh",
            "out",
            "prompts",
            "[PROMPT]",
        ),
        (
            "generate x --model m --beams 2 --min-depth 1",
            "min-depth",
            "exit",
            "--beams",
        ),
        (
            "generate x --model m --beams 2 --exit-vocab full",
            "exit-vocab",
            "exit",
            "--beams",
        ),
        (
            "generate x --model m --beams 2 --every 2",
            "every",
            "exit",
            "--beams",
        ),
        (
            "generate x --model m --beams 2 --missing absent",
            "missing",
            "exit",
            "--beams",
        ),
        (
            "generate x --model m --exit fixed:3 --length-penalty 2",
            "length-penalty",
            "beams",
            "--exit",
        ),
        (
            "generate --model m --ids 1 --system s",
            "system",
            "chat",
            "--ids",
        ),
        (
            "generate --model m --ids 1 --date 2025-07-01",
            "date",
            "chat",
            "--ids",
        ),
        (
            "generate --model m --ids 1 --chat-template t",
            "chat-template",
            "chat",
            "--ids",
        ),
        (
            "rescore l --trigrams t --prefix p",
            "prefix",
            "model",
            "--trigrams",
        ),
        (
            "rescore l --trigrams t --end-token 1",
            "end-token",
            "model",
            "--trigrams",
        ),
        (
            "rescore l --trigrams t --no-mmap",
            "no-mmap",
            "model",
            "--trigrams",
        ),
        (
            "rescore l --trigrams t --max-memory 1G",
            "max-memory",
            "model",
            "--trigrams",
        ),
        (
            "rescore l --compare a b --fresh",
            "fresh",
            "out",
            "--compare",
        ),
        (
            "rescore l --compare a b --prefix p",
            "prefix",
            "model",
            "--compare",
        ),
    ] {
        let option = format!("the argument '--{option}");
        let needed = format!("' needs '--{needed}");
        let bar = format!("which cannot be used with '{bar}");
        check(line, &[&option, &needed, &bar, "leave out"]);
    }
    for (line, one, other) in [
        ("rescore l --compare a b --out o", "--compare", "--out"),
        ("rescore l --compare a b --mode vote", "--compare", "--mode"),
        ("rescore l --compare a b --costs c", "--compare", "--costs"),
        ("rescore l --compare a b --model m", "--compare", "--model"),
        (
            "rescore l --compare a b --trigrams t",
            "--compare",
            "--trigrams",
        ),
        (
            "rescore l --compare a b --tune halves",
            "--compare",
            "--tune",
        ),
        (
            "early-exit eval t --exit gap:1 --all --timed 2",
            "--all",
            "--timed",
        ),
        (
            "early-exit eval t --exit gap:1 --all --agreement 0.9",
            "--all",
            "--agreement",
        ),
        ("reproduce --shard 1/2 --open", "--shard", "--open"),
        (
            "reproduce --dry-run --list-files",
            "--dry-run",
            "--list-files",
        ),
    ] {
        check(line, &[one, other, "cannot be used with"]);
    }
}

#[test]
fn options_that_no_chosen_experiment_reads() {
    for (given, reader) in [
        (&["--benchmarks", "folder"][..], "benchmarks"),
        (&["--exit-tasks", "folder"], "early-exit"),
        (&["--wic", "folder"], "wic"),
        (&["--shift-corpus", "folder"], "shift"),
        (&["--items", "500"], "benchmarks"),
        (&["--pairs", "500"], "wic"),
        (&["--wic-items", "500"], "lexical-semantics"),
        (&["--asr-items", "500"], "asr-correction"),
        (&["--exit-items", "500"], "early-exit"),
        (&["--task-items", "500"], "sublayer-skip"),
        (&["--same-template"], "lexical-semantics"),
        (&["--asr-written", "3"], "asr-correction"),
        (&["--times"], "sublayer-skip or early-exit"),
        (&["--times", "--timed-tokens", "9"], "early-exit"),
    ] {
        let fixed = ["reproduce", "stages", "--out", "out"];
        check(
            &[&fixed[..], given].concat(),
            &[given[0], reader, "leave the option out"],
        );
    }
    let until = ["reproduce", "neurons", "--until-se", "kl_nats=0.1"];
    check(
        &[&until[..], &["--model", "gpt2-8x160", "--out", "out"]].concat(),
        &["--until-se", "such as robustness", "leave the option out"],
    );
}

#[test]
fn a_folder_to_take_work_from_that_is_not_there() {
    for folder in ["misspelt", "text.txt"] {
        check(
            &["reproduce", "stages", "--take-up", folder, "--out", "out"],
            &[
                &format!("--take-up {folder}: there is no such folder"),
                "give the --out",
            ],
        );
    }
}

#[test]
fn options_without_effect() {
    let model = tiny("gpt2");
    let on = |command: &[&str], mentioned: &[&str]| {
        check(&[command, &["--model", &model]].concat(), mentioned);
    };
    on(
        &[
            "sweep",
            "drop(0)",
            "--corpus",
            "ids.npy",
            "--reference",
            "nofile",
        ],
        &["--reference nofile: no edit takes values from this text"],
    );
    on(
        &["generate", "--ids", "1", "--stop-id", "29"],
        &["--stop-id 29: expected a token id below 29"],
    );
    on(
        &["early-exit", "train", "folder", "--out", "exit.json"],
        &[
            "folder: a folder of data sets",
            "give --set NAME, with one of",
        ],
    );
    check(
        &["generate", "The", "--model", "gpt2-8x160", "--stop", ""],
        &["--stop: expected a text to stop before, found an empty one"],
    );
    check(&["rescore", "text.txt", "--rows", "0"], &["--rows", "'0'"]);
    for command in ["next", "lens"] {
        check(
            &[command, "nowhere", "A text"],
            &["error: nowhere: there is no such folder"],
        );
        check(
            &[command, "text.txt", "A text"],
            &["error: text.txt: expected a checkpoint folder, found a file"],
        );
    }
}

/// Among all figures these stay empty; requested by name, or with data of their own, they are refused.
#[test]
fn figures_of_text_without_a_tokenizer() {
    let model = tiny("gpt2");
    for figure in [
        "benchmarks",
        "subword-heads",
        "suffix-neurons",
        "suffix-probe",
        "wic",
    ] {
        let on = ["--model", &model, "--corpus", "ids.npy", "--out", "out"];
        check(
            &[["reproduce", figure].as_slice(), &on].concat(),
            &["gpt2", figure, "needs a tokenizer.json", "has none"],
        );
    }
}

#[test]
fn a_pair_alone_in_its_batch() {
    let figure = ["reproduce", "lexical-semantics", "--model", "gpt2-8x160"];
    check(
        &[&figure[..], &["--wic-items", "31", "--out", "out"]].concat(),
        &[
            "development pairs",
            "at least 2 pairs in each batch of 30",
            "1 in the last batch of 31 pairs",
        ],
    );
}

#[test]
fn models_that_are_not_there() {
    let model = tiny("gpt2");
    let on = [
        "sweep", "drop(l)", "--corpus", "ids.npy", "--out", "out.csv",
    ];
    let models = |models: &[&str], mentioned: &[&str]| {
        let named = models.iter().flat_map(|model| ["--model", model]);
        check(&on.into_iter().chain(named).collect::<Vec<_>>(), mentioned);
    };
    models(
        &["no-such-model"],
        &[
            "--model no-such-model",
            "no such folder and no embedded model of this name",
            "give a checkpoint folder, ORG/NAME for a model of the Hugging Face hub, or one of ",
        ],
    );
    models(
        &["text.txt"],
        &[
            "--model text.txt",
            "expected a checkpoint folder, found a file",
        ],
    );
    models(&[""], &["--model : there is no such folder"]);
    models(&["folder"], &["folder", "config.json", "expected"]);
    models(&[&model, &model], &["two models are named gpt2", &model]);
    models(
        &[&model, "elsewhere/gpt2"],
        &["two models are named gpt2", &model, "elsewhere/gpt2"],
    );
    models(&[&model, "folder"], &["folder", "config.json", "expected"]);
}

#[test]
fn corpora_that_cannot_be_read() {
    let on = |corpus: &str, rest: &[&str], mentioned: &[&str]| {
        check_sweep(
            &[&["drop(l)", "--corpus", corpus], rest].concat(),
            mentioned,
        );
    };
    on("missing.npy", &[], &["missing.npy", "not found"]);
    on("folder", &[], &["folder", "expected"]);
    on(
        "text.md",
        &[],
        &[
            "text.md",
            "expected the extension .txt, .raw, .jsonl or .json, one of them with .gz, .parquet or .npy",
            "md",
        ],
    );
    on(
        "high.npy",
        &[],
        &["high.npy: row 1, token 1", "from 0 to below 29, found 29"],
    );
    on(
        "empty.npy",
        &[],
        &["empty.npy", "expected an .npy header", "0 bytes"],
    );
    on(
        "none.npy",
        &[],
        &["none.npy", "expected at least one row", "0 x 0"],
    );
    on(
        "short.npy",
        &[],
        &[
            "short.npy",
            "at least one sequence of 3 tokens",
            "3 too short",
        ],
    );
    on(
        "ids.npy",
        &["--context", "2"],
        &["context", "at least 3 tokens", "found 2"],
    );
    on(
        "ids.npy",
        &["--context", "17"],
        &["--context 17", "gpt2", "give at most 16"],
    );
    on(
        "ids.npy",
        &["--rows", "0"],
        &["rows", "at least 1", "found 0"],
    );
    on(
        "ids.npy",
        &["--tokens", "2"],
        &["ids.npy", "within the limit of 2 tokens"],
    );
    on(
        "ids.npy",
        &["--bos", "5"],
        &["ids.npy", "expected no BOS", "found id 5"],
    );
    on("text.txt", &[], &["tokenizer.json", "not found"]);
}

#[test]
fn the_journal_of_another_run_until_fresh() {
    let sandbox = sandbox();
    let model = tiny("gpt2");
    let run = |arguments: &[&str]| sandbox.sweep(&[&["--model", &model], arguments].concat());
    run(&["drop(l)"]).succeeded();
    let journal = sandbox.read("out.csv.run/gpt2.journal");
    let table = sandbox.read("out.csv");
    sandbox.write("ids.npy", &npy(&token_ids(3, 16, 28)));
    for other in [
        ["drop(l)"].as_slice(),
        &["drop(l)", "--rows", "1"],
        &["swap(l,l+1)"],
    ] {
        run(other).refused(&["gpt2.journal", "another run", "expected", "--fresh"]);
        assert!(
            sandbox.read("out.csv.run/gpt2.journal") == journal,
            "nothing is lost"
        );
        assert!(sandbox.read("out.csv") == table, "nothing is lost");
    }
    run(&["--fresh", "swap(l,l+1)"]).succeeded();
    assert!(sandbox.read("out.csv") != table);
}

/// Whatever fits the first model but not the second is refused before the first has run.
#[test]
fn several_models_of_which_one_does_not_fit() {
    for (models, arguments, mentioned) in [
        (
            ["gpt2", "llama"],
            ["drop(2)", "--rows", "1"],
            ["llama: edit `drop(2)`", "stack of 2 blocks"],
        ),
        (
            ["llama", "gpt2"],
            ["drop(1)", "--context", "17"],
            ["--context 17 is more than gpt2", "give at most 16"],
        ),
    ] {
        let models = models.map(tiny);
        let on = ["--model", &models[0], "--model", &models[1], "--corpus"];
        let fixed = [&["sweep"], &on[..], &["ids.npy", "--out", "out.csv"]].concat();
        check(&[&fixed[..], &arguments].concat(), &mentioned);
    }
}

#[test]
fn a_field_of_a_text_that_has_none() {
    for corpus in ["ids.npy", "text.txt", "org/set:default:train:text"] {
        let told = format!("'--field' has no effect on {corpus}");
        let field = ["drop(0)", "--corpus", corpus, "--field", "other"];
        check_sweep(&field, &[&told]);
    }
}

#[test]
fn a_cause_is_told_once() {
    let sandbox = sandbox();
    let model = tiny("gpt2");
    for (arguments, told) in [
        (["drop(3)", "ids.npy"], "out of range"),
        (["drop(0)", "missing.npy"], "not found"),
        (["drop(0)", "high.npy"], "found 29"),
    ] {
        let [edit, corpus] = arguments;
        let on = ["sweep", "--model", &model, "--out", "out.csv", "--corpus"];
        let said = sandbox.xtask(&[&on[..], &[corpus, edit]].concat()).stderr;
        assert_eq!(said.matches(told).count(), 1, "{said}");
    }
}

/// Other weights under the same name are another run.
#[test]
fn the_journal_of_other_weights() {
    let sandbox = sandbox();
    let run = || sandbox.sweep(&["--model", "elsewhere/gpt2", "drop(l)"]);
    run().succeeded();
    let path = sandbox.path("elsewhere/gpt2/model.safetensors");
    let mut weights = fs::read(&path).unwrap();
    let low_bits = weights.len() - 4;
    weights[low_bits] ^= 1;
    fs::write(&path, weights).unwrap();
    run().refused(&["gpt2.journal", "another run", "--fresh"]);
}
