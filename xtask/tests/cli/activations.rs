//! `activations`: writes the activations of a model's sites on a text to a file.

use crate::{Sandbox, tiny, token_ids};
use layerwise::schedule::{Edit, Schedule, Site};
use layerwise::transformer::{Model, Recording};
use safetensors::{Dtype, SafeTensors};
use std::fs;

const ROWS: usize = 5;
const LENGTH: usize = 7;

fn run(sandbox: &Sandbox, more: &[&str]) -> crate::Outcome {
    let model = tiny("llama-gqa-tied");
    let fixed = ["activations", "--model", &model, "--corpus", "ids.npy"];
    sandbox.xtask(&[&fixed, more].concat())
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let words = bytes.as_chunks::<4>().0.iter();
    words.map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn a_file_holds_what_an_observer_sees_under_any_program() {
    let rows = token_ids(ROWS, LENGTH, 37);
    let sandbox = Sandbox::with_ids(&rows);
    let model = Model::open(tiny("llama-gqa-tied")).unwrap();
    for edit in [
        "id",
        "scale(resid.post[0],0.5);repeat(1)",
        "plain(attn.out[1]);zero(mlp.out[0])",
    ] {
        let sites = "resid.post,attn.head_out[1,2],attn.k[2],embed,mlp.norm[0..2]";
        run(
            &sandbox,
            &[edit, "--sites", sites, "--fresh", "--out", "a.safetensors"],
        )
        .succeeded();
        let bytes = sandbox.read("a.safetensors");
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let ids = file.tensor("tokens").unwrap();
        assert_eq!(
            (ids.dtype(), ids.shape()),
            (Dtype::I64, &[ROWS * LENGTH][..])
        );
        let offsets = file.tensor("sequence_offsets").unwrap().data().to_vec();
        let offsets: Vec<i64> = offsets
            .as_chunks::<8>()
            .0
            .iter()
            .map(|b| i64::from_le_bytes(*b))
            .collect();
        assert_eq!(
            offsets,
            (0..=ROWS)
                .map(|at| (at * LENGTH) as i64)
                .collect::<Vec<_>>()
        );
        let plain = Schedule::plain(model.stack()).unwrap();
        let schedule = edit.parse::<Edit>().unwrap().apply(&plain).unwrap();
        for (name, block, site, shape) in [
            ("resid.post[2]", Some(2), Site::ResidPost, vec![16]),
            ("attn.k[2]", Some(2), Site::AttnK, vec![2, 4]),
            ("embed", None, Site::Embed, vec![16]),
            ("mlp.norm[1]", Some(1), Site::MlpNorm, vec![16]),
            ("attn.head_out[1,2]", Some(1), Site::AttnHeadOut, vec![1, 4]),
        ] {
            let tensor = file
                .tensor(name)
                .unwrap_or_else(|_| panic!("{edit}: {name}"));
            assert_eq!(
                tensor.shape(),
                [&[ROWS * LENGTH][..], &shape].concat(),
                "{name}"
            );
            if edit.contains("plain") {
                continue;
            }
            let mut expected = Vec::new();
            for row in &rows {
                let tokens: Vec<u32> = row.iter().map(|id| u32::from(*id)).collect();
                let mut recording = Recording::of(model.config(), &[site]).unwrap();
                model.run(&tokens, &schedule, &mut recording).unwrap();
                let found = recording.get(block, site).unwrap();
                match name {
                    "attn.head_out[1,2]" => {
                        let head = found.view().into_dimensionality::<ndarray::Ix3>().unwrap();
                        expected.extend(head.slice(ndarray::s![.., 2, ..]).iter().copied());
                    }
                    _ => expected.extend(found.iter().copied()),
                }
            }
            assert_eq!(floats(tensor.data()), expected, "{edit}: {name}");
        }
        // A block that runs twice has two rows of each.
        assert_eq!(
            file.tensor("resid.post[1]#2").is_ok(),
            edit.contains("repeat")
        );
    }
    let manifest = sandbox.json("a.safetensors.run/manifest.json");
    assert_eq!(manifest["runs"][0]["corpus"]["sequences"], ROWS);
}

#[test]
fn half_the_bytes_hold_rounded_values() {
    let sandbox = Sandbox::with_ids(&token_ids(2, LENGTH, 37));
    let write = |dtype: &str, out: &str| {
        run(
            &sandbox,
            &["--sites", "mlp.post[1]", "--dtype", dtype, "--out", out],
        )
        .succeeded();
        sandbox.read(out)
    };
    let (wide, half) = (
        write("f32", "a.safetensors"),
        write("bf16", "b.safetensors"),
    );
    let (wide, half) = (
        SafeTensors::deserialize(&wide).unwrap(),
        SafeTensors::deserialize(&half).unwrap(),
    );
    let half = half.tensor("mlp.post[1]").unwrap();
    assert_eq!(half.dtype(), Dtype::BF16);
    let halves = half.data().as_chunks::<2>().0.iter();
    for (half, wide) in halves.zip(floats(wide.tensor("mlp.post[1]").unwrap().data())) {
        let half = f32::from_bits(u32::from(u16::from_le_bytes(*half)) << 16);
        assert!((half - wide).abs() <= wide.abs() / 256.0, "{half} {wide}");
    }
}

#[test]
fn what_is_finished_is_taken_up() {
    let sandbox = Sandbox::with_ids(&token_ids(ROWS, LENGTH, 37));
    let arguments = [
        "--sites",
        "resid.post,attn.v",
        "--threads",
        "1",
        "--out",
        "a.safetensors",
    ];
    run(&sandbox, &arguments).succeeded();
    let bytes = sandbox.read("a.safetensors");
    // As if the process had been killed while it wrote the last sequence.
    let mut partial = bytes.clone();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let torn: Vec<(usize, usize)> = file
        .tensors()
        .iter()
        .filter(|(_, tensor)| tensor.dtype() == Dtype::F32)
        .map(|(_, tensor)| {
            let end = tensor.data().as_ptr().addr() - bytes.as_ptr().addr() + tensor.data().len();
            (end - tensor.data().len() / ROWS, end)
        })
        .collect();
    for (start, end) in torn {
        partial[start..end].fill(0xff);
    }
    fs::remove_file(sandbox.path("a.safetensors")).unwrap();
    sandbox.write("a.safetensors.run/activations.partial", &partial);
    let journal = "a.safetensors.run/llama-gqa-tied.journal";
    let lines = sandbox.read(journal);
    sandbox.write(journal, &lines[..lines.len() - 3]);
    let told = run(&sandbox, &arguments).succeeded().stderr;
    assert!(
        told.contains("4 items of activations were finished by an earlier run"),
        "{told}"
    );
    assert_eq!(sandbox.read("a.safetensors"), bytes);
    // Another file starts from the beginning.
    sandbox.write(
        "a.safetensors.run/activations.partial",
        &partial[..partial.len() - 1],
    );
    run(&sandbox, &arguments).succeeded();
    assert_eq!(sandbox.read("a.safetensors"), bytes);
}

#[test]
fn what_cannot_be_written_is_refused() {
    let sandbox = Sandbox::with_ids(&token_ids(2, LENGTH, 37));
    let before = sandbox.contents();
    for (arguments, expected) in [
        (
            &["--sites", "attn.pattern[0]"][..],
            "`attn.pattern` does not have one row per token",
        ),
        (&["--sites", "resid.post@3"], "choose all positions"),
        (&["--sites", "resid.pots"], "unknown site `resid.pots`"),
        (&["--sites", "resid.post[3]"], "3 is out of range"),
        (
            &["drop(1)", "--sites", "attn.out[1]"],
            "`attn.out[1]` does not occur under this edit",
        ),
        (
            &["drop_attn(0..L)", "--sites", "resid.post,attn.out"],
            "`attn.out` does not occur under this edit",
        ),
        (
            &["drop_attn(1)", "--sites", "resid.mid[0..2]"],
            "`resid.mid[1]` does not occur under this edit",
        ),
        (&["--sites", "final.norm"], "`final.norm` is not recorded"),
        (&["drop(l)", "--sites", "attn.out"], "`l`"),
        (&["donor(embed)", "--sites", "attn.out"], "pairs"),
        (&["add(embed,v,1)", "--sites", "attn.out"], "a tensor `v`"),
    ] {
        let arguments = [arguments, &["--out", "a.safetensors"]].concat();
        run(&sandbox, &arguments).refused(&[expected]);
        assert_eq!(sandbox.contents(), before, "{arguments:?}");
    }
}

/// A site that the model lacks is refused with the reason, whether or not blocks are chosen.
#[test]
fn sites_that_the_model_lacks_are_refused() {
    let sandbox = Sandbox::with_ids(&token_ids(2, LENGTH, 29));
    let model = tiny("olmo2");
    for sites in ["attn.norm", "attn.norm[1]", "resid.post,mlp.norm"] {
        let fixed = ["activations", "--model", &model, "--corpus", "ids.npy"];
        let on = ["--sites", sites, "--out", "a.safetensors"];
        let expected = "its sublayers read the residual stream itself";
        sandbox
            .xtask(&[&fixed[..], &on].concat())
            .refused(&[expected]);
    }
}

/// What is in the way of the manifest is found before anything runs, not after it.
#[test]
fn a_manifest_that_cannot_be_written_is_found_at_once() {
    let sandbox = Sandbox::with_ids(&token_ids(2, LENGTH, 37));
    fs::create_dir_all(sandbox.path("a.safetensors.run/manifest.json")).unwrap();
    let before = sandbox.contents();
    let arguments = ["--sites", "attn.out", "--out", "a.safetensors"];
    run(&sandbox, &arguments).refused(&["manifest.json: expected a file, found a folder"]);
    assert_eq!(sandbox.contents(), before);
}
