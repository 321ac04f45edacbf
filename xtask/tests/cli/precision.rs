//! Runs in bf16: what they record, and what they do not mix with.

use crate::{Sandbox, Table, tiny, token_ids};
use layerwise::kernels::bf16_features;

/// The copy in f32 takes its memory from `--max-memory`, as everything else does.
#[test]
fn a_copy_in_f32_that_does_not_fit_is_not_made() {
    if bf16_features().is_none() {
        return;
    }
    let sandbox = Sandbox::with_ids(&token_ids(3, 16, 29));
    let run = |memory: &str| {
        let arguments = ["--model", "gpt2-8x160", "drop(0)", "--precision", "bf16"];
        let more = ["--fresh", "--threads", "1", "--max-memory", memory];
        sandbox
            .sweep(&[&arguments[..], &more].concat())
            .succeeded()
            .stderr
    };
    // 2.8 million weights are 5.4 MiB in bf16 and twice that in f32.
    let little = run("12M");
    assert!(
        little.contains("NOT measured: the model takes 11 MiB in f32"),
        "{little}"
    );
    let enough = run("64M");
    assert!(
        enough.contains("bf16 against f32 on the first sequence"),
        "{enough}"
    );
}

#[test]
fn the_difference_from_f32_is_told_and_recorded() {
    let sandbox = Sandbox::with_ids(&token_ids(3, 16, 29));
    let model = tiny("gpt2");
    let question = ["--model", &model, "drop(l)", "swap(l,l+1)"];
    let in_bf16 = |rest: &[&str]| {
        sandbox.sweep(&[&question, ["--precision", "bf16"].as_slice(), rest].concat())
    };
    sandbox.sweep(&question).succeeded();
    let manifest = sandbox.json("out.csv.run/manifest.json");
    assert_eq!(manifest["runs"][0]["precision"], "f32");
    assert!(manifest["runs"][0].get("rounding").is_none());
    let exact = sandbox.read("out.csv");
    if bf16_features().is_none() {
        in_bf16(&[]).refused(&["bf16", "avx512bf16"]);
        return;
    }

    // A run begun in one format does not resume in another.
    in_bf16(&[]).refused(&["out.csv.run/gpt2.journal", "--fresh"]);
    assert!(sandbox.read("out.csv") == exact);

    let said = in_bf16(&["--fresh", "--threads", "1"]).succeeded().stderr;
    assert!(
        said.contains("bf16 against f32 on the first sequence"),
        "{said}"
    );
    let manifest = sandbox.json("out.csv.run/manifest.json");
    assert_eq!(manifest["runs"][0]["precision"], "bf16");
    let measured = &manifest["runs"][0]["rounding"]["measured"];
    assert_eq!(measured["positions"], 15);
    let mean = measured["plain_kl_nats_mean"].as_f64().unwrap();
    assert!(mean > 0.0 && mean < 1e-2, "{mean}");
    let schedules = measured["schedules"].as_array().unwrap();
    assert!(!schedules.is_empty());
    for compared in schedules {
        let [here, in_f32] = ["kl_nats", "kl_nats_f32"].map(|key| compared[key].as_f64().unwrap());
        assert!(
            here != in_f32 && (here - in_f32).abs() < 0.05 * in_f32,
            "{compared}"
        );
    }

    let rounded = sandbox.read("out.csv");
    assert!(rounded != exact, "nothing was rounded");
    let [rounded_table, exact_table] = [&rounded, &exact].map(|bytes| Table::new(bytes));
    assert_eq!(rounded_table.number(0, "kl_nats"), 0.0);
    for row in 1..exact_table.rows.len() {
        let [here, in_f32] =
            [&rounded_table, &exact_table].map(|table| table.number(row, "kl_nats"));
        assert!((here - in_f32).abs() < 0.05 * in_f32, "{here} for {in_f32}");
    }
    for options in [
        ["--fresh", "--threads", "4"].as_slice(),
        &["--fresh", "--no-mmap"],
    ] {
        in_bf16(options).succeeded();
        assert!(
            sandbox.read("out.csv") == rounded,
            "{options:?} changes the table"
        );
    }
}

#[test]
fn other_formats_are_refused() {
    let sandbox = Sandbox::with_ids(&token_ids(3, 16, 29));
    sandbox
        .sweep(&["--model", &tiny("gpt2"), "--precision", "f16", "drop(l)"])
        .refused(&["f16", "--precision", "expected f32 or bf16"]);
}

#[test]
fn the_report_tells_the_difference_from_f32() {
    if bf16_features().is_none() {
        return;
    }
    let sandbox = Sandbox::with_ids(&token_ids(3, 16, 29));
    let model = tiny("gpt2");
    let reproduce = |figure: &str, precision: &str| {
        let options = ["--model", &model, "--precision", precision, "--fresh"];
        let paths = ["--corpus", "ids.npy", "--out", "report"];
        sandbox
            .xtask(&[&["reproduce", figure], options.as_slice(), &paths].concat())
            .succeeded();
        String::from_utf8(sandbox.read("report/report.html")).unwrap()
    };
    for (figure, precision, told) in [
        (
            "robustness",
            "bf16",
            Some("bf16 against f32 on the first sequence, plain model"),
        ),
        (
            "attention-locality",
            "bf16",
            Some("not measured: no altered schedules were run"),
        ),
        ("attention-locality", "f32", None),
    ] {
        let page = reproduce(figure, precision);
        assert_eq!(
            page.contains("Difference from f32"),
            told.is_some(),
            "{figure}"
        );
        assert!(page.contains(told.unwrap_or_default()), "{figure}: {page}");
    }
}
