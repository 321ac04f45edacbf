//! `reproduce`: the files of a figure.

use crate::statistics::embedded_model;
use crate::{Sandbox, Table, narrow, tiny, token_ids};
use std::fs;
use std::path::PathBuf;

/// The files of the figure in one folder.
const FIGURE: [&str; 7] = [
    "units.csv",
    "robustness.csv",
    "robustness-collapse.csv",
    "robustness.svg",
    "robustness.png",
    "robustness-v1.svg",
    "robustness-v1.png",
];

/// The diagram of the interventions, which shows no model.
const DIAGRAM: [&str; 2] = ["robustness-diagram.svg", "robustness-diagram.png"];

/// The files about the paper, next to the models' folders.
const JUDGEMENTS: [&str; 7] = [
    "claims.csv",
    "known-values.csv",
    "report.html",
    "table-1.csv",
    "table-2.csv",
    "table-3.csv",
    "verdicts.csv",
];

/// Checks that the files of the figure exist and contain pictures, and returns the table.
fn check(sandbox: &Sandbox, folder: &str, models: &[(&str, usize)]) {
    for file in FIGURE {
        let bytes = sandbox.read(&format!("{folder}/{file}"));
        if file.ends_with(".png") {
            assert_eq!(bytes[..8], *b"\x89PNG\r\n\x1a\n", "{file}");
            // Width and height stand first in the first chunk, in pixels.
            for size in [&bytes[16..20], &bytes[20..24]] {
                let pixels = u32::from_be_bytes(size.try_into().unwrap());
                assert!((100..20_000).contains(&pixels), "{file}: {pixels} pixels");
            }
        } else if file.ends_with(".svg") {
            let svg = String::from_utf8(bytes).unwrap();
            assert!(svg.contains("<svg") && svg.trim_end().ends_with("</svg>"));
            assert!(!svg.contains("NaN"), "{file}");
            for (model, _) in models {
                assert!(svg.contains(model), "{file} does not name {model}");
            }
        }
    }
    let table = Table::new(&sandbox.read(&format!("{folder}/robustness.csv")));
    let found: Vec<[&str; 4]> = (0..table.rows.len())
        .map(|row| ["model", "intervention", "layer", "layers"].map(|name| table.text(row, name)))
        .collect();
    let mut expected = Vec::new();
    for (model, layers) in models {
        for (intervention, count) in [("drop", *layers), ("swap", layers - 1)] {
            for layer in 0..count {
                expected.push(
                    [
                        *model,
                        intervention,
                        &layer.to_string(),
                        &layers.to_string(),
                    ]
                    .map(str::to_owned),
                );
            }
        }
    }
    assert_eq!(found, expected);
}

fn listed(folder: &str) -> Vec<PathBuf> {
    FIGURE
        .iter()
        .chain(&DIAGRAM)
        .map(|file| PathBuf::from(folder).join(file))
        .collect()
}

#[test]
fn a_model_has_a_folder_of_figures_the_same_each_time() {
    let sandbox = Sandbox::with_ids(&token_ids(3, 16, 29));
    let model = tiny("gpt2");
    for (out, options) in [
        ("first", ["robustness", "--threads=1", "--list-files"]),
        ("second", ["robustness", "--threads=4", "--list-files"]),
    ] {
        let fixed = [
            "reproduce",
            "--model",
            &model,
            "--corpus",
            "ids.npy",
            "--out",
            out,
        ];
        let said = sandbox
            .xtask(&[fixed.as_slice(), &options].concat())
            .succeeded();
        let mut printed: Vec<PathBuf> = said.stdout.lines().map(PathBuf::from).collect();
        let mut expected = listed(&format!("{out}/gpt2"));
        expected.extend(JUDGEMENTS.map(|file| PathBuf::from(out).join(file)));
        printed.sort();
        expected.sort();
        assert_eq!(printed, expected);
        check(&sandbox, &format!("{out}/gpt2"), &[("gpt2", 3)]);
        let manifest = sandbox.json(&format!("{out}/manifest.json"));
        assert_eq!(manifest["runs"].as_array().unwrap().len(), 1);
        assert_eq!(manifest["runs"][0]["schedules"], 1 + 3 + 2);
    }
    for file in FIGURE {
        let [first, second] =
            ["first", "second"].map(|out| sandbox.read(&format!("{out}/gpt2/{file}")));
        assert!(first == second, "{file} differs");
    }
    for file in JUDGEMENTS {
        let [first, second] = ["first", "second"].map(|out| sandbox.read(&format!("{out}/{file}")));
        assert!(first == second, "{file} differs");
    }
    assert!(
        !sandbox.path("first/robustness.csv").exists(),
        "one model needs no joint figure"
    );
}

#[test]
fn several_models_have_a_figure_together() {
    let sandbox = Sandbox::with_ids(&token_ids(2, 16, 29));
    let folders = ["phi", "llama"].map(tiny);
    let arguments = [
        "reproduce",
        "robustness",
        "--corpus",
        "ids.npy",
        "--out",
        "out",
        "--model",
        &folders[0],
    ];
    sandbox
        .xtask(&[arguments.as_slice(), &["--model", &folders[1]]].concat())
        .succeeded();
    check(&sandbox, "out/phi", &[("phi", 3)]);
    check(&sandbox, "out/llama", &[("llama", 2)]);
    check(&sandbox, "out", &[("phi", 3), ("llama", 2)]);
    let joint = Table::new(&sandbox.read("out/robustness.csv"));
    let apart = ["out/phi", "out/llama"]
        .map(|folder| Table::new(&sandbox.read(&format!("{folder}/robustness.csv"))).rows);
    assert_eq!(joint.rows, apart.concat());
    let runs = &sandbox.json("out/manifest.json")["runs"];
    assert_eq!([&runs[0]["model"], &runs[1]["model"]], ["phi", "llama"]);
}

/// The most frequent prediction without block 0 and with blocks 0 and 1 exchanged, counted from whole rows of logits, and the
/// entropy of the mean of their distributions at every fourth position.
#[test]
fn the_modal_token_and_the_mean_prediction_are_those_of_the_logits() {
    let ids = token_ids(5, 16, 29);
    let sandbox = Sandbox::with_ids(&ids);
    let folder = tiny("llama");
    let arguments = [
        "reproduce",
        "robustness",
        "--corpus",
        "ids.npy",
        "--out",
        "out",
        "--model",
    ];
    sandbox
        .xtask(&[arguments.as_slice(), &[&folder]].concat())
        .succeeded();
    let found = Table::new(&sandbox.read("out/llama/robustness-collapse.csv"));
    let model = layerwise::transformer::Model::open(&folder).unwrap();
    let plain = layerwise::schedule::Schedule::plain(model.stack()).unwrap();
    let logits = |tokens: &[u16], schedule: &layerwise::schedule::Schedule| {
        let tokens: Vec<u32> = tokens.iter().map(|&id| u32::from(id)).collect();
        let residual = model.run(&tokens, schedule, &mut ()).unwrap();
        model.standard_lens(residual.slice(ndarray::s![1.., ..]))
    };
    let entropy_of_mean = |logits: &ndarray::Array2<f32>| {
        let mut mean = vec![0.0; logits.ncols()];
        let spread: Vec<_> = logits.outer_iter().step_by(4).collect();
        for row in &spread {
            let exponentials: Vec<f64> = row.iter().map(|z| f64::from(*z).exp()).collect();
            let sum = exponentials.iter().sum::<f64>() * spread.len() as f64;
            let each = mean.iter_mut().zip(exponentials);
            each.for_each(|(mean, own)| *mean += own / sum);
        }
        -mean.iter().map(|m: &f64| m * m.log2()).sum::<f64>()
    };
    for (row, edit) in ["drop(0)", "swap(0,1)"].into_iter().enumerate() {
        let edit: layerwise::schedule::Edit = edit.parse().unwrap();
        let schedule = edit.apply(&plain).unwrap();
        let mut counts = vec![0; model.config().vocab];
        let (mut entropy, mut change) = (0.0, 0.0);
        for tokens in &ids {
            let own = entropy_of_mean(&logits(tokens, &schedule));
            entropy += own / 5.0;
            change += (own - entropy_of_mean(&logits(tokens, &plain))) / 5.0;
            for logits in logits(tokens, &schedule).outer_iter() {
                let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                counts[logits.iter().position(|&logit| logit == best).unwrap()] += 1;
            }
        }
        let most = *counts.iter().max().unwrap();
        let token = counts.iter().position(|&count| count == most).unwrap();
        assert_eq!(found.number(row, "modal_token"), token as f64);
        assert_eq!(found.number(row, "modal_share"), f64::from(most) / 75.0);
        for (column, expected) in [
            ("every_4th_mean_prediction_entropy_bits", entropy),
            ("every_4th_mean_prediction_entropy_difference_bits", change),
        ] {
            let found = found.number(row, column);
            assert!(
                (found - expected).abs() < 1e-6,
                "{column}: {found} {expected}"
            );
        }
        assert_eq!(found.number(row, "positions"), 75.0);
        assert_eq!(found.number(row, "sequences"), 5.0);
    }
}

/// The figure's numbers equal those of the sweep.
#[test]
fn the_figures_table_agrees_with_sweep() {
    let sandbox = Sandbox::with_ids(&token_ids(3, 16, 29));
    let model = tiny("gpt_neox");
    let on = ["--model", &model, "--corpus", "ids.npy", "--out"];
    sandbox
        .xtask(&[&["reproduce", "robustness"], on.as_slice(), &["out"]].concat())
        .succeeded();
    sandbox
        .sweep(&["--model", &model, "drop(l)", "swap(l,l+1)"])
        .succeeded();
    let figure = Table::new(&sandbox.read("out/gpt_neox/robustness.csv"));
    let sweep = Table::new(&sandbox.read("out.csv"));
    assert_eq!(figure.rows.len() + 1, sweep.rows.len());
    let plain = sweep.number(0, "entropy_bits");
    for row in 0..figure.rows.len() {
        for column in [
            "kl_nats",
            "kl_nats_se",
            "top1_agreement",
            "top1_agreement_se",
            "entropy_bits",
            "loss_nats",
            "positions",
        ] {
            assert_eq!(
                figure.number(row, column),
                sweep.number(row + 1, column),
                "row {row}, {column}"
            );
        }
        let change = sweep.number(row + 1, "entropy_bits") - plain;
        assert!((figure.number(row, "entropy_difference_bits") - change).abs() < 1e-12);
    }
}

#[test]
fn what_is_embedded_is_the_default() {
    let sandbox = Sandbox::new();
    sandbox
        .xtask(&["reproduce", "robustness", "--rows", "2", "--context", "32"])
        .succeeded();
    let [name, folder] = embedded_model();
    let model = layerwise::transformer::Model::open(folder).unwrap();
    let layers = model.config().layers;
    check(
        &sandbox,
        &format!("layerwise-out/{name}"),
        &[(&name, layers)],
    );
    let manifest = sandbox.json("layerwise-out/manifest.json");
    let corpus = &manifest["runs"][0]["corpus"];
    assert_eq!(corpus["sequences"], 2);
    assert!(
        corpus["file"]
            .as_str()
            .unwrap()
            .ends_with("fixtures/text/sample.jsonl")
    );
    assert!(corpus["tokenizer_sha256"].is_string());
}

/// The figures of the plain pass, with text of another kind from a file.
#[test]
fn figures_of_the_plain_pass_have_their_files() {
    let sandbox = Sandbox::with_ids(&token_ids(5, 16, 29));
    sandbox.write("other.npy", &crate::npy(&token_ids(3, 12, 23)));
    let model = tiny("gpt2");
    let fixed = ["--model", &model, "--corpus", "ids.npy"];
    for (out, threads) in [("first", "--threads=1"), ("second", "--threads=3")] {
        let options = ["--shift-corpus", "other.npy", "--out", out, threads];
        let figures = [
            "reproduce",
            "attention-locality",
            "cka",
            "lens-entropy",
            "lens-kl",
            "mlp-norm",
            "repeats",
            "shift",
            "sublayer-ratio",
        ];
        sandbox
            .xtask(&[figures.as_slice(), &fixed, &options].concat())
            .succeeded();
    }
    // Three blocks: a run of three fits once, a run of five does not. 16 positions: none is 16 after another.
    let rows = [
        ("attention-locality", 3 * (4 + 4 + 1)),
        ("cka", 2 * 3 * 3),
        ("lens-entropy", 2 * 4),
        ("lens-kl", 2 * 4),
        ("mlp-norm", 3),
        ("repeats", 1),
        ("shift", 2 * (4 + 4 + 3 + 3)),
        ("sublayer-ratio", 3),
    ];
    for (figure, count) in rows {
        let file = |out: &str, end: &str| sandbox.read(&format!("{out}/gpt2/{figure}.{end}"));
        let text = file("first", "csv");
        assert!(!String::from_utf8_lossy(&text).contains("NaN"), "{figure}");
        let table = Table::new(&text);
        assert_eq!(table.rows.len(), count, "{figure}");
        for end in ["csv", "svg", "png"] {
            let [first, second] = ["first", "second"].map(|out| file(out, end));
            assert!(first == second, "{figure}.{end} differs");
        }
    }
    let shift = Table::new(&sandbox.read("first/gpt2/shift.csv"));
    let kl = Table::new(&sandbox.read("first/gpt2/lens-kl.csv"));
    for (row, (text, value)) in [
        (0, ("ids.npy", kl.text(0, "kl_nats"))),
        (1, ("ids.npy", kl.text(1, "kl_nats"))),
    ] {
        assert_eq!(shift.text(row, "text"), text);
        assert_eq!(shift.text(row, "value"), value);
    }
    assert_eq!(shift.text(14, "text"), "other.npy");
    assert_eq!(shift.text(14, "sequences"), "3");
}

#[test]
fn text_of_another_kind_is_source_code_where_it_can_be_read() {
    let sandbox = Sandbox::with_ids(&token_ids(3, 16, 29));
    let model = tiny("gpt2");
    let given = [
        "reproduce",
        "shift",
        "--model",
        &model,
        "--corpus",
        "ids.npy",
        "--out",
        "out",
    ];
    let said = sandbox.xtask(&given).succeeded().stderr;
    assert!(said.contains("gpt2: shift is left out"), "{said}");
    assert!(said.contains("experiments: "), "{said}");
    assert!(!sandbox.path("out/source-code.jsonl").exists());
    let narrow = narrow(&sandbox);
    let on_text = [
        "reproduce",
        "shift",
        "--model",
        narrow,
        "--rows",
        "2",
        "--context",
        "24",
        "--out",
        "own",
    ];
    sandbox.xtask(&on_text).succeeded();
    // It lies with the other embedded files, not among the results.
    assert!(!sandbox.path("own/source-code.jsonl").exists());
    let manifest = sandbox.json("own/manifest.json");
    let file = manifest["runs"][0]["shifted_corpus"]["file"].as_str();
    let lines = fs::read_to_string(file.unwrap()).unwrap();
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert!(first["text"].as_str().unwrap().starts_with("//!"));
    let table = Table::new(&sandbox.read("own/narrow/shift.csv"));
    let shifted = (0..table.rows.len()).filter(|row| table.text(*row, "shifted") == "true");
    assert_eq!(shifted.count() * 2, table.rows.len());
    sandbox
        .xtask(&[
            "reproduce",
            "shift",
            "--shift-corpus",
            "absent.txt",
            "--out",
            "none",
        ])
        .refused(&["absent.txt"]);
    assert!(!sandbox.path("none").exists());
}

/// Claims are judged from measured values, and claims about other figures say what they need.
#[test]
fn every_claim_is_judged() {
    let sandbox = Sandbox::with_ids(&token_ids(3, 16, 29));
    let folders = ["gpt2", "gpt_neox"].map(tiny);
    let on = [
        "reproduce",
        "robustness",
        "stages",
        "scale",
        "--corpus",
        "ids.npy",
        "--out",
        "out",
    ];
    let models = ["--model", &folders[0], "--model", &folders[1]];
    sandbox
        .xtask(&[on.as_slice(), &models].concat())
        .succeeded();
    let claims = Table::new(&sandbox.read("out/claims.csv"));
    let mut found: Vec<&str> = (0..claims.rows.len())
        .map(|row| claims.text(row, "claim"))
        .collect();
    let verdict = |claim: &str, model: &str| {
        let row = (0..claims.rows.len())
            .find(|&row| claims.text(row, "claim") == claim && claims.text(row, "model") == model);
        claims.text(row.unwrap(), "verdict")
    };
    // With few sequences there is no interval, and a Pythia model is missing.
    assert_eq!(verdict("D2", "gpt2"), "undecided");
    assert_eq!(verdict("D6", "*"), "not tested");
    assert_eq!(verdict("D7", "*"), "not tested");
    assert_eq!(verdict("D8", "gpt_neox"), "not tested");
    found.dedup();
    assert_eq!(
        found.len(),
        layerwise::experiments::claims().len(),
        "{found:?}"
    );
    let stages = Table::new(&sandbox.read("out/stages.csv"));
    let of = |model: &str| {
        let rows = 0..stages.rows.len();
        rows.filter(|&row| stages.text(row, "model") == model)
            .count()
    };
    // Other curves join this one when results of their figures exist.
    assert!(of("gpt2") % 101 == 0 && of("gpt2") > 0);
    assert_eq!(of("*"), of("gpt2"));
    let scale = Table::new(&sandbox.read("out/scale.csv"));
    assert_eq!(scale.text(0, "layers"), "3");
    assert!(scale.number(1, "median_drop_kl_nats") > 0.0);
    // Models with one number of blocks have nothing to plot against it.
    assert!(!sandbox.path("out/scale.png").exists());
    assert!(sandbox.path("out/stages-models.svg").is_file());
}

/// A model of one block has no block to drop or swap; everything that needs no second block is measured all the same.
#[test]
fn a_model_of_one_block_runs_what_needs_no_second() {
    use safetensors::SafeTensors;
    let sandbox = Sandbox::with_ids(&token_ids(4, 12, 29));
    std::fs::create_dir(sandbox.path("one")).unwrap();
    let whole = PathBuf::from(tiny("gpt2"));
    let bytes = std::fs::read(whole.join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let of_first = |name: &str| match name.split_once("h.") {
        Some((_, inner)) => inner.starts_with("0."),
        None => true,
    };
    let kept = tensors.iter().filter(|(name, _)| of_first(name));
    let file = sandbox.path("one/model.safetensors");
    safetensors::serialize_to_file(kept, None, &file).unwrap();
    let config = std::fs::read(whole.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    config["n_layer"] = 1.into();
    sandbox.write("one/config.json", config.to_string().as_bytes());

    let arguments = [
        "reproduce",
        "--model",
        "one",
        "--corpus",
        "ids.npy",
        "--out",
        "out",
    ];
    sandbox.xtask(&arguments).succeeded();
    for table in ["attention-locality", "mlp-norm", "lens-entropy"] {
        let rows = Table::new(&sandbox.read(&format!("out/one/{table}.csv"))).rows;
        assert!(!rows.is_empty(), "{table}");
    }
}

/// Copies made for readings of the weights come out of the one memory budget.
#[test]
fn a_folded_unembedding_that_does_not_fit_is_refused() {
    let sandbox = Sandbox::with_ids(&token_ids(4, 12, 2000));
    let run = |memory: &str| {
        let model = [
            "reproduce",
            "neurons",
            "--model",
            "gpt2-8x160",
            "--corpus",
            "ids.npy",
        ];
        let more = ["--out", memory, "--threads", "1", "--max-memory", memory];
        sandbox.xtask(&[&model[..], &more].concat())
    };
    // 2.8 million weights are 10.9 MiB; the unembedding's 2048 x 160 elements take 12 bytes each while they are folded.
    run("14M").refused(&[
        "gpt2-8x160: the folded unembedding",
        "14 MiB",
        "--max-memory",
    ]);
    run("64M").succeeded();
}
