//! 33 and 88, as far as numbers go: overflow on the way, and statistics of too few values.

use crate::checkpoint::Checkpoint;
use crate::runs::SWEEP;
use crate::sandbox::Sandbox;
use crate::{Case, Expected, check};

fn overflowing(name: (u8, &'static str), checkpoint: Checkpoint, says: &[&str]) -> Case {
    let says = [
        &[
            "schedule `id`, sequence 0, position",
            "expected finite logits",
            "the first is",
        ],
        says,
    ]
    .concat();
    Case::refused(name, move |s| s.write_checkpoint(&checkpoint), &says)
}

/// Case 88, as far as a model can cause it.
pub(crate) fn overflows() -> Vec<Case> {
    let filled = |names: &[&str], value: f32| {
        let mut checkpoint = Checkpoint::llama();
        for name in names {
            checkpoint.tensor(name).fill(value);
        }
        checkpoint
    };
    vec![
        overflowing(
            (88, "logits that are NaN after an overflow in an MLP"),
            filled(
                &[
                    "model.layers.1.mlp.gate_proj.weight",
                    "model.layers.1.mlp.up_proj.weight",
                ],
                1e30,
            ),
            &["inf at step 3, block 1, site mlp.post, position"],
        ),
        Case::new(
            (
                88,
                "activations that overflow under a figure of the plain model",
            ),
            Expected::Stopped,
            {
                let checkpoint = filled(
                    &[
                        "model.layers.1.mlp.gate_proj.weight",
                        "model.layers.1.mlp.up_proj.weight",
                    ],
                    1e30,
                );
                move |s: &Sandbox| s.write_checkpoint(&checkpoint)
            },
            &[
                "model: schedule `id`, sequence 0, position",
                "expected finite logits",
                "the first is inf at step 3, block 1, site mlp.post, position",
            ],
        )
        .exactly(&[
            "reproduce",
            "mlp-norm",
            "attention-locality",
            "--model",
            "model",
            "--corpus",
            "ids.npy",
            "--out",
            "out",
        ]),
        overflowing(
            (88, "logits that overflow"),
            filled(&["lm_head.weight"], 3e38),
            &["site logits, position"],
        ),
        overflowing(
            (88, "attention scores that overflow"),
            filled(
                &[
                    "model.layers.0.self_attn.q_proj.weight",
                    "model.layers.0.self_attn.k_proj.weight",
                ],
                1e25,
            ),
            &["NaN at step 0, block 0, site attn.pattern, position"],
        ),
        Case::new(
            (88, "logits of an altered schedule that overflow"),
            Expected::Stopped,
            |_| (),
            &[
                "schedule `scale(0,",
                "sequence",
                "expected finite logits",
                "the first is",
                "block 0, site resid",
            ],
        )
        .exactly(&[
            "sweep",
            "--model",
            "model",
            "--corpus",
            "ids.npy",
            "--out",
            "out.csv",
            "scale(0,3e38);scale(0,3e38)",
        ]),
    ]
}

#[test]
fn numbers_that_overflow() {
    check(overflows());
}

/// The fields of a table, line by line.
fn fields(sandbox: &Sandbox) -> Vec<Vec<String>> {
    let table = String::from_utf8(sandbox.read("out.csv")).unwrap();
    let fields = |line: &str| line.split(',').map(str::to_owned).collect();
    table.lines().map(fields).collect()
}

/// The numbers of a column, without the header; `None` for an empty field.
#[track_caller]
fn column(table: &[Vec<String>], name: &str) -> Vec<Option<f64>> {
    let at = table[0].iter().position(|column| column == name).unwrap();
    let field = |line: &Vec<String>| line[at].parse().ok().filter(|x: &f64| x.is_finite());
    table[1..]
        .iter()
        .map(|line| {
            let number = field(line);
            assert_eq!(
                number.is_none(),
                line[at].is_empty(),
                "{name}: {}",
                line[at]
            );
            number
        })
        .collect()
}

fn run(sandbox: &Sandbox, arguments: &[&str]) -> Vec<Vec<String>> {
    let outcome = sandbox.run(&[&SWEEP, arguments].concat());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    fields(sandbox)
}

const MEANS: [&str; 4] = ["kl_nats", "top1_agreement", "entropy_bits", "loss_nats"];

#[test]
fn one_sequence_has_no_standard_error() {
    let sandbox = Sandbox::new();
    for arguments in [["--rows", "1"].as_slice(), &["--tokens", "8"]] {
        let table = run(&sandbox, &[arguments, &["--fresh"]].concat());
        for mean in MEANS {
            assert!(column(&table, mean).iter().all(Option::is_some), "{mean}");
            let errors = column(&table, &format!("{mean}_se"));
            assert!(errors.iter().all(Option::is_none), "{mean}: {errors:?}");
        }
    }
}

/// Three tokens give two positions, one of them with a loss.
#[test]
fn the_shortest_sequences_have_statistics() {
    let sandbox = Sandbox::new();
    let table = run(&sandbox, &["--context", "3"]);
    assert_eq!(column(&table, "positions"), [Some(6.0); 3]);
    assert_eq!(column(&table, "loss_positions"), [Some(3.0); 3]);
    for mean in MEANS {
        assert!(column(&table, mean).iter().all(Option::is_some), "{mean}");
        let errors = column(&table, &format!("{mean}_se"));
        assert!(
            errors
                .iter()
                .all(|error| error.is_some_and(|error| error >= 0.0))
        );
    }
}

/// An unembedding of zeros gives every token the same probability: all statistics are defined, and the warning names it.
#[test]
fn predictions_that_are_constant_have_statistics() {
    let sandbox = Sandbox::new();
    let mut checkpoint = Checkpoint::llama();
    checkpoint.tensor("lm_head.weight").fill(0.0);
    sandbox.write_checkpoint(&checkpoint);
    let outcome = sandbox.run(&SWEEP);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stderr.contains("warning"), "{outcome:?}");
    let table = fields(&sandbox);
    let close = |name: &str, expected: f64| {
        for number in column(&table, name) {
            assert!(
                (number.unwrap() - expected).abs() < 1e-6,
                "{name}: {number:?}"
            );
        }
    };
    let vocab = crate::checkpoint::VOCAB as f64;
    close("kl_nats", 0.0);
    close("top1_agreement", 1.0);
    close("entropy_bits", vocab.log2());
    close("loss_nats", vocab.ln());
    for mean in MEANS {
        close(&format!("{mean}_se"), 0.0);
    }
}
