//! `lens` and `next`: show what a model predicts after a prompt.

use crate::Sandbox;
use crate::statistics::embedded_model;
use serde_json::Value;

fn lines(arguments: &[&str]) -> Vec<Value> {
    let said = Sandbox::new().xtask(arguments).succeeded().stdout;
    let line = |line: &str| serde_json::from_str(line).unwrap();
    said.lines().map(line).collect()
}

/// The first token of each edit's continuation.
fn continued(model: &str, edits: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["generate", "--json", "--max-tokens", "1", "--model", model];
    arguments.push("The city of");
    for edit in edits {
        arguments.extend(["--edit", edit]);
    }
    let lines = lines(&arguments);
    lines.iter().map(|line| line["ids"][0].clone()).collect()
}

#[test]
fn next_shows_the_tokens_that_generate_would_take() {
    let [model, _] = embedded_model();
    let edits = ["drop(0)", "swap(3,4)"];
    let mut arguments = vec!["next", "--json", &model, "The city of", "--top", "4"];
    for edit in edits {
        arguments.extend(["--edit", edit]);
    }
    let columns = lines(&arguments);
    let chosen = continued(&model, &edits);
    assert_eq!(columns.len(), 3);
    for ((column, chosen), edit) in columns
        .iter()
        .zip(&chosen)
        .zip(["id", "drop(0)", "swap(3,4)"])
    {
        let next = column["next"].as_array().unwrap();
        assert_eq!(column["edit"], edit);
        assert_eq!(next.len(), 4);
        assert_eq!(&next[0]["token"], chosen, "{edit}");
        let probabilities: Vec<f64> = next
            .iter()
            .map(|it| it["probability"].as_f64().unwrap())
            .collect();
        assert!(
            probabilities.is_sorted_by(|a, b| a >= b),
            "{probabilities:?}"
        );
        assert_eq!(column["kl_nats"].as_f64().unwrap() == 0.0, edit == "id");
    }
    let table = Sandbox::new()
        .xtask(&[
            "next",
            &model,
            "The city of",
            "--top",
            "2",
            "--edit",
            "drop(0)",
        ])
        .succeeded()
        .stdout;
    // Two rows between the edits and their divergences; no colours outside a terminal.
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.starts_with("id "), "{table}");
    assert!(!table.contains('\u{1b}'), "{table}");
}

#[test]
fn lens_ends_with_the_output() {
    let [model, folder] = embedded_model();
    let blocks = layerwise::transformer::Model::open(folder)
        .unwrap()
        .stack()
        .layers;
    let look = ["lens", "--json", &model, "The city of"];
    let arguments = [&look[..], &["--edit", "drop(2)", "--top", "5"]].concat();
    let rows = lines(&arguments);
    // The embedding and all blocks but one.
    assert_eq!(rows.len(), blocks);
    assert_eq!(rows[0]["step"], "embedding");
    let last = &rows[blocks - 1];
    assert_eq!(
        last["standard"][0]["token"],
        continued(&model, &["drop(2)"])[1]
    );
    let steps = [&arguments[..], &["--sublayers"]].concat();
    assert_eq!(lines(&steps).len(), 2 * blocks - 1);
    for row in &rows {
        for lens in ["standard", "legacy"] {
            assert_eq!(row[lens].as_array().unwrap().len(), 5);
        }
    }
    // At the last stream both lenses divide by the same scale; they differ at most by biases.
    let token = |lens: &str| &last[lens][0]["token"];
    assert_eq!(token("standard"), token("legacy"));
}

#[test]
fn what_cannot_be_looked_at_is_refused() {
    let [model, _] = embedded_model();
    let refused = |arguments: &[&str], said: &str| {
        Sandbox::new().xtask(arguments).refused(&[said]);
    };
    refused(
        &["next", &model, "", "--bos", "none"],
        "the prompt is empty",
    );
    refused(&["next", &model, "a", "--edit", "drop(99)"], "drop(99)");
    refused(&["lens", &model, "a", "--edit", "drop(l)"], "`l`");
    for (edit, said) in [
        ("mean(mlp.out[0])", "mean(mlp.out[0,"),
        ("plain(mlp.out[0])", "plain(mlp.out[0,"),
        ("add(mlp.out[0],v,1)", "use zero or scale, or `sweep`"),
        ("zero(resid.post[0]@50)", "50"),
    ] {
        for command in ["lens", "next"] {
            refused(&[command, &model, "a", "--edit", edit], said);
        }
    }
    refused(&["lens", "no-such-model", "a"], "no-such-model");
}

/// A table may be wider than a format can pad.
#[test]
fn a_lens_shows_every_token_of_the_vocabulary() {
    let [model, _] = embedded_model();
    let table = |top: &str| {
        let arguments = ["lens", &model, "a", "--edit", "keep(0)", "--top", top];
        Sandbox::new().xtask(&arguments).succeeded().stdout
    };
    let all = table("5000");
    assert_eq!(all.lines().count(), 3, "a title, the embedding and a block");
    let title = all.lines().next().unwrap();
    let row = all.lines().nth(1).unwrap();
    // Both lenses have as many columns.
    let legacy = title.find("legacy lens").unwrap();
    let first = "embedding".len();
    assert_eq!(row.chars().count(), first + 2 * (legacy - first - 2));
    assert_eq!(table("100000"), all);
}
