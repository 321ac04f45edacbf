//! The program away from its checkout: its name, and the models and text inside it.

use crate::{Outcome, Sandbox, program};
use std::fs;
use std::path::{Path, PathBuf};

const MODEL: &str = "gpt2-8x160";

/// Paths of the files below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn help_has_the_name_that_the_user_called() {
    let sandbox = Sandbox::new();
    let check = |manifest: Option<&str>, name: &str| {
        for arguments in [
            ["--help"].as_slice(),
            &["sweep", "--help"],
            &["merge", "--help"],
            &["reproduce", "--help"],
            &["draw", "--help"],
            &["rescore", "--help"],
        ] {
            let mut command = sandbox.command(arguments);
            command.envs(manifest.map(|folder| ("CARGO_MANIFEST_DIR", folder)));
            let said = Outcome::of(&mut command).succeeded().stdout;
            assert!(said.contains(&format!("Usage: {name} ")), "{said}");
            let others = ["cargo xtask", "layerwise"].map(|any| format!("{any} sweep "));
            for example in others {
                let own = example.starts_with(name);
                assert!(own || !said.contains(&example), "{arguments:?}: {said}");
            }
        }
    };
    check(None, "layerwise");
    check(Some(env!("CARGO_MANIFEST_DIR")), "cargo xtask");
    // A program that Cargo runs for another package, as a build script may do.
    check(Some("elsewhere"), "layerwise");
}

#[test]
fn the_version_names_system_and_instructions() {
    let said = Sandbox::new().xtask(&["--version"]).succeeded().stdout;
    let of_this_machine = format!(
        "{}-{}, {})\n",
        std::env::consts::ARCH,
        std::env::consts::OS,
        layerwise::kernels::cpu_features()
    );
    assert!(
        said.starts_with(concat!("layerwise ", env!("CARGO_PKG_VERSION"), " (")),
        "{said}"
    );
    assert!(said.ends_with(&of_this_machine), "{said}");
}

#[test]
fn the_environment_limits_the_instructions() {
    let narrowest = match cfg!(target_arch = "aarch64") {
        true => "neon",
        false => "portable",
    };
    let run = |set: &str, arguments: &[&str]| {
        let mut program = assert_cmd::Command::new(program());
        program.env("LAYERWISE_INSTRUCTIONS", set).args(arguments);
        program.assert()
    };
    let version = run(narrowest, &["--version"]).success();
    let said = String::from_utf8_lossy(&version.get_output().stdout);
    assert!(said.ends_with(&format!("{narrowest})\n")), "{said}");
    let refused = run("avx9", &["next", "A city"]).failure();
    let said = String::from_utf8_lossy(&refused.get_output().stderr);
    assert!(
        said.contains("LAYERWISE_INSTRUCTIONS: expected an instruction set of this processor")
            && said.contains("`avx9`"),
        "{said}"
    );
}

#[test]
fn shells_complete_every_command_and_each_has_a_manual_page() {
    let sandbox = Sandbox::new();
    let commands = ["reproduce", "sweep", "generate", "lens", "next", "draw"];
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let said = sandbox.xtask(&["completions", shell]).succeeded().stdout;
        for command in commands {
            assert!(said.contains(command), "{shell}: {command}");
        }
    }
    let written = sandbox.xtask(&["man", "pages"]).succeeded().stdout;
    let pages = files(&sandbox.path("pages"));
    assert_eq!(written.lines().count(), pages.len());
    let read = |name: &str| fs::read_to_string(sandbox.path("pages").join(name)).unwrap();
    let whole = read("layerwise.1");
    for command in commands {
        // A page writes its hyphens as `\-`.
        assert!(
            whole.contains(&format!("layerwise\\-{command}(1)")),
            "{whole}"
        );
        assert!(
            read(&format!("layerwise-{command}.1")).contains(".SH OPTIONS"),
            "{command}"
        );
    }
}

#[test]
fn embedded_models_and_text_need_no_checkout() {
    let sandbox = Sandbox::new();
    let sweep = |out: &str, cache: Option<&str>| {
        let on = ["--model", MODEL, "--rows", "2", "--context", "16"];
        let arguments = [&["sweep", "drop(3)", "--out", out], &on[..]].concat();
        let mut command = sandbox.command(&arguments);
        command.envs(cache.map(|folder| ("LAYERWISE_CACHE", folder)));
        Outcome::of(&mut command)
    };
    sweep("checkout.csv", None).succeeded();
    assert!(!sandbox.path("cache").exists());
    sweep("unpacked.csv", Some("cache")).succeeded();
    let table = sandbox.read("checkout.csv");
    assert!(sandbox.read("unpacked.csv") == table);
    let unpacked = files(&sandbox.path("cache"));
    let names: Vec<_> = unpacked
        .iter()
        .map(|path| path.file_name().unwrap())
        .collect();
    let of_model = ["config.json", "model.safetensors", "tokenizer.json"];
    assert_eq!(
        names,
        [&of_model[..], &["training.json", "sample.jsonl"]].concat()
    );

    // A file that differs from the program's copy is written again; an equal file is left alone.
    let before = fs::metadata(&unpacked[0]).unwrap().modified().unwrap();
    let mut damaged = fs::read(&unpacked[1]).unwrap();
    let whole = damaged.clone();
    damaged[3000] ^= 1;
    fs::write(&unpacked[1], damaged).unwrap();
    sweep("mended.csv", Some("cache")).succeeded();
    assert!(sandbox.read("mended.csv") == table);
    assert!(fs::read(&unpacked[1]).unwrap() == whole);
    assert_eq!(files(&sandbox.path("cache")), unpacked);
    let after = fs::metadata(&unpacked[0]).unwrap().modified().unwrap();
    assert_eq!(after, before);

    sandbox.write("taken", b"");
    sweep("refused.csv", Some("taken"))
        .refused(&["taken", "name a writable folder in LAYERWISE_CACHE"]);
    assert!(!sandbox.path("refused.csv.run").exists());
}

#[test]
fn what_is_embedded_is_listed_without_being_written() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["list"]);
    command.env("LAYERWISE_CACHE", sandbox.path("cache"));
    let said = Outcome::of(&mut command).succeeded().stdout;
    assert!(said.contains(MODEL), "{said}");
    assert!(said.contains("(layerwise reproduce EXPERIMENT, "), "{said}");
    assert!(!sandbox.path("cache").exists());
}
