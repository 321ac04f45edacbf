//! Python reads the outputs of the commands with the script of `fixtures/python`.

use crate::{Outcome, Sandbox, fixtures};
use std::process::Command;

/// Needs Python with the packages that `fixtures/python/README.md` names; if they are absent, the test says so.
#[test]
fn results_are_read_by_pandas_polars_and_safetensors() {
    let imports = ["-c", "import pandas, polars, safetensors.numpy"];
    let has_them = |program: &&str| {
        let outcome = Command::new(program).args(imports).output();
        outcome.is_ok_and(|outcome| outcome.status.success())
    };
    let given = std::env::var("PYTHON").unwrap_or_default();
    let Some(python) = [given.as_str(), "python3", "python"]
        .into_iter()
        .find(has_them)
    else {
        eprintln!("skipped: python3 with pandas, polars, safetensors and numpy is needed");
        return;
    };
    let sandbox = Sandbox::new();
    let on = ["--model", "gpt2-8x160", "--rows", "2", "--context", "32"];
    let reproduce = ["reproduce", "robustness", "--out", "out"];
    sandbox
        .xtask(&[&reproduce, on.as_slice()].concat())
        .succeeded();
    let sites = [
        "activations",
        "--sites",
        "resid.post",
        "--out",
        "a.safetensors",
    ];
    sandbox.xtask(&[&sites, on.as_slice()].concat()).succeeded();
    let mut command = Command::new(python);
    command.arg(fixtures().join("python/read.py")).args(
        [
            "out/gpt2-8x160/robustness.csv",
            "out/claims.csv",
            "a.safetensors",
        ]
        .map(|it| sandbox.path(it)),
    );
    let said = Outcome::of(&mut command).succeeded().stdout;
    assert!(
        said.contains(" of gpt2-8x160: ") && said.contains("2 sequences; norm"),
        "{said}"
    );
}
