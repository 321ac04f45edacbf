//! `speed` and `growth`. No test looks at a time.

use crate::{Sandbox, tiny};
use layerwise::schedule::{Edit, Schedule};
use layerwise::transformer::{Cost, Model};
use std::fs;

/// The table's first line, word for word as promised to other programs.
const HEADER: &str = "model,schedule,precision,threads,prompt_tokens,decoded_tokens,repetitions,prefill_tokens_per_s,prefill_se,\
first_token_ms,first_token_se,decode_ms_per_token,decode_se,ratio_to_plain,ratio_se,predicted_ratio,cache_bytes";

/// Without `--prompt-tokens`, lengths that do not fit are left out; lengths that were asked for are refused.
#[test]
fn usual_lengths_are_those_that_fit_the_model() {
    let sandbox = Sandbox::new();
    let on = [
        "speed",
        "--model",
        "gpt2-8x160",
        "--threads",
        "2",
        "--out",
        "speed.csv",
    ];
    let few = ["--decoded-tokens", "1", "--repetitions", "2"];
    sandbox.xtask(&[&on[..], &few].concat()).succeeded();
    let table = fs::read_to_string(sandbox.path("speed.csv")).unwrap();
    let lengths = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').nth(4));
    assert_eq!(lengths.collect::<Vec<_>>(), ["32", "128"]);
    let asked = [&on[..], &few, &["--prompt-tokens", "512"]].concat();
    sandbox
        .xtask(&asked)
        .refused(&["--prompt-tokens 512", "a context of 256 tokens"]);
}

#[test]
fn growth_times_a_model_and_tells_of_the_papers() {
    let sandbox = Sandbox::new();
    let sizes = ["--width", "64", "--context", "8", "--units", "2"];
    let layers = |layers| {
        [
            &["growth", "--layers", layers, "--threads", "1"],
            &sizes[..],
        ]
        .concat()
    };
    let said = sandbox.xtask(&layers("2")).succeeded();
    assert!(
        said.stderr.contains("under 4 schedules of 2 blocks"),
        "{}",
        said.stderr
    );
    assert_eq!(said.stdout.matches("| Qwen2.5-14B |").count(), 1);
    assert!(said.stdout.contains("| drop and swap |"), "{}", said.stdout);
    sandbox.xtask(&layers("1")).refused(&["--layers", "2.."]);
}

/// A row for each edit and length, next to what the number of bytes predicts.
#[test]
fn each_edit_and_length_has_a_row_with_the_ratio_that_bytes_predict() {
    let folder = tiny("llama-gqa-tied");
    let sandbox = Sandbox::new();
    let edits = ["id", "drop_attn(0..2)", "repeat(1)"];
    let arguments = [
        "speed",
        edits[1],
        edits[2],
        "--model",
        &folder,
        "--threads",
        "2",
    ];
    let sizes = [
        "--prompt-tokens",
        "3,6",
        "--decoded-tokens",
        "4",
        "--repetitions",
        "2",
    ];
    sandbox
        .xtask(&[&arguments[..], &sizes, &["--out", "speed.csv"]].concat())
        .succeeded();
    let table = fs::read_to_string(sandbox.path("speed.csv")).unwrap();
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some(HEADER));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.len(), 6);
    let model = Model::open(&folder).unwrap();
    let cost = Cost::new(model.config());
    let plain = Schedule::plain(model.stack()).unwrap();
    for (at, row) in rows.iter().enumerate() {
        let (prompt, edit) = ([3, 6][at / 3], edits[at % 3]);
        assert_eq!(row[1..7], [edit, "f32", "2", &prompt.to_string(), "4", "2"]);
        let numbers: Vec<f64> = row[7..]
            .iter()
            .map(|field| field.parse().unwrap())
            .collect();
        for positive in [0, 2, 4, 6] {
            assert!(numbers[positive] > 0.0, "{row:?}");
        }
        let schedule = edit.parse::<Edit>().unwrap().apply(&plain).unwrap();
        let bytes = |schedule| -> usize {
            (prompt..prompt + 4)
                .map(|cached| cost.bytes_of_token(schedule, cached, 4, 4))
                .sum()
        };
        let predicted = bytes(&plain) as f64 / bytes(&schedule) as f64;
        assert!((numbers[8] - predicted).abs() < 1e-12, "{row:?}");
        let config = model.config();
        let occurrences = [config.layers, config.layers - 2, config.layers + 1][at % 3];
        let kept = occurrences * (prompt + 4) * 2 * config.kv_heads * config.head * 4;
        assert_eq!(numbers[9], kept as f64);
        if edit == "id" {
            assert_eq!(numbers[6..8], [1.0, 0.0], "a ratio to itself");
        }
    }
    let manifest = fs::read_to_string(sandbox.path("speed.csv.run/manifest.json")).unwrap();
    for said in [
        "load_average",
        "\"threads\": 2",
        "model.safetensors",
        "cpu_features",
    ] {
        assert!(manifest.contains(said), "no {said} in {manifest}");
    }
}

#[test]
fn what_cannot_be_timed_is_refused() {
    let folder = tiny("llama-gqa-tied");
    let check = |arguments: &[&str], mentioned: &[&str]| {
        let sandbox = Sandbox::new();
        let fixed = ["speed", "--model", &folder];
        sandbox
            .xtask(&[&fixed, arguments].concat())
            .refused(mentioned);
        assert!(!sandbox.path("generation-speed.csv").exists());
    };
    check(
        &["--prompt-tokens", "4000"],
        &["--prompt-tokens 4000", "has a context of"],
    );
    check(&["--prompt-tokens", "0"], &["--prompt-tokens"]);
    check(&["drop(99)"], &["drop(99)"]);
    check(&["--out", "missing/../"], &["missing"]);
}

/// Sizes that no machine has are refused before anything is computed or allocated.
#[test]
fn sizes_beyond_all_measure_are_refused() {
    let check = |arguments: &[&str], mentioned: &[&str]| {
        Sandbox::new().xtask(arguments).refused(mentioned);
    };
    let huge = usize::MAX.to_string();
    for (option, mentioned) in [
        (
            "--prompt-tokens",
            "decoded tokens: gpt2-8x160 has a context of 256",
        ),
        (
            "--decoded-tokens",
            "decoded tokens: gpt2-8x160 has a context of 256",
        ),
    ] {
        let on = ["speed", "--model", "gpt2-8x160", "--out", "speed.csv"];
        check(&[&on[..], &[option, &huge]].concat(), &[mentioned]);
    }
    for option in ["--width", "--context", "--units"] {
        check(&["growth", option, "2000000"], &[option, "1..=1048576"]);
    }
    let small = ["growth", "--layers", "2", "--width", "64"];
    check(
        &[&small[..], &["--max-memory", "1M"]].concat(),
        &["the weights and units to time", "--max-memory"],
    );
    check(&["growth", "--width", "1000000"], &["--max-memory"]);
}
