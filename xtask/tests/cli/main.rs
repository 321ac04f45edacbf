//! The command line as a user sees it: the built program, on tiny models and on embedded files.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod activations;
mod beginnings;
mod bytes;
mod chosen;
mod diff_sites;
mod differences;
mod drawn;
mod early_exit;
mod fastest;
mod generated;
mod hub;
mod installed;
mod list;
mod looked;
mod outputs;
mod packed;
mod per_token;
mod planned;
mod precision;
mod printed;
mod python;
mod refused;
mod reproduce;
mod rescore;
mod resumed;
mod scored;
mod sharded;
mod statistics;
mod streamed;
mod submitted;
mod timed;
mod values;
mod vectors;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;

/// The CSV's first line, word for word as promised to other programs.
const HEADER: &str = "model,family,schedule,l,m,sequences,positions,kl_nats,kl_nats_se,top1_agreement,top1_agreement_se,\
entropy_bits,entropy_bits_se,loss_positions,loss_nats,loss_nats_se,h,p,top5_overlap,top5_overlap_se,bits_per_byte,bits_per_byte_se,\
reverse_kl_nats,reverse_kl_nats_se,js_nats,js_nats_se,reciprocal_rank,reciprocal_rank_se";

/// The repository's `fixtures` folder.
fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// The folder of a tiny model, as an argument.
fn tiny(case: &str) -> String {
    let folder = fixtures().join("parity").join(case);
    assert!(folder.join("config.json").is_file(), "no fixture {case}");
    folder.to_str().unwrap().to_owned()
}

/// Writes a GPT-2 of two narrow blocks with the tokenizer of an embedded model, for runs that need text but no good model.
/// Its name is that of its folder in the sandbox.
fn narrow(sandbox: &Sandbox) -> &'static str {
    use safetensors::tensor::{Dtype, TensorView};
    let [_, embedded] = statistics::embedded_model();
    let config = br#"{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "activation_function": "gelu_new", "n_embd": 16,
        "n_head": 2, "n_layer": 2, "n_positions": 256, "vocab_size": 2048, "bos_token_id": 0, "eos_token_id": 0}"#;
    let mut shapes = vec![
        ("wte.weight".to_owned(), vec![2048, 16]),
        ("wpe.weight".to_owned(), vec![256, 16]),
    ];
    let of_block: [(&str, &[usize]); 12] = [
        ("ln_1.weight", &[16]),
        ("ln_1.bias", &[16]),
        ("attn.c_attn.weight", &[16, 48]),
        ("attn.c_attn.bias", &[48]),
        ("attn.c_proj.weight", &[16, 16]),
        ("attn.c_proj.bias", &[16]),
        ("ln_2.weight", &[16]),
        ("ln_2.bias", &[16]),
        ("mlp.c_fc.weight", &[16, 64]),
        ("mlp.c_fc.bias", &[64]),
        ("mlp.c_proj.weight", &[64, 16]),
        ("mlp.c_proj.bias", &[16]),
    ];
    for block in 0..2 {
        shapes.extend(of_block.map(|(name, shape)| (format!("h.{block}.{name}"), shape.to_vec())));
    }
    shapes.extend(["ln_f.weight", "ln_f.bias"].map(|name| (name.to_owned(), vec![16])));
    let mut values = token_ids(1, 50_000, 2001).concat().into_iter();
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = shapes
        .into_iter()
        .map(|(name, shape)| {
            // Weights of norms are around 1, all others around 0.
            let middle = f32::from(u8::from(name.contains("ln_") && name.ends_with("weight")));
            let own = values.by_ref().take(shape.iter().product());
            let bytes =
                own.flat_map(|value| (middle + (f32::from(value) - 1000.0) / 2000.0).to_le_bytes());
            (name, shape, bytes.collect())
        })
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
        (name.as_str(), view)
    });
    fs::create_dir(sandbox.path("narrow")).unwrap();
    sandbox.write("narrow/config.json", config);
    sandbox.write(
        "narrow/model.safetensors",
        &safetensors::serialize(views, None).unwrap(),
    );
    fs::copy(
        Path::new(&embedded).join("tokenizer.json"),
        sandbox.path("narrow/tokenizer.json"),
    )
    .unwrap();
    "narrow"
}

/// Token ids below `vocab` that look random but are fixed, [count][length].
fn token_ids(count: usize, length: usize, vocab: u64) -> Vec<Vec<u16>> {
    let mut state = 7_u64;
    let mut id = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u16::try_from((state >> 33) % vocab).unwrap()
    };
    (0..count)
        .map(|_| (0..length).map(|_| id()).collect())
        .collect()
}

/// A two-dimensional array of u16 in NumPy's format, version 1.0.
fn npy(rows: &[Vec<u16>]) -> Vec<u8> {
    let columns = rows.first().map_or(0, Vec::len);
    let mut header = format!(
        "{{'descr': '<u2', 'fortran_order': False, 'shape': ({}, {columns}), }}",
        rows.len()
    );
    // Ten bytes precede the header; the data begins at a multiple of 64.
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(rows.iter().flatten().flat_map(|id| id.to_le_bytes()));
    bytes
}

/// Exit code and output of a finished process.
#[derive(Debug)]
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Outcome {
    /// Runs a program to its end.
    fn of(command: &mut std::process::Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.output().unwrap();
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The same outcome; it must be a success.
    #[track_caller]
    fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// The same outcome; it must be a failure, with an error that mentions all of `mentioned` and without a panic.
    #[track_caller]
    fn refused(&self, mentioned: &[&str]) {
        let Self {
            code,
            stdout,
            stderr,
        } = self;
        assert!(matches!(code, Some(1 | 2)), "exit code {code:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        for part in mentioned {
            assert!(stderr.contains(part), "no `{part}` in: {stderr}\n{stdout}");
        }
    }
}

/// A folder of its own, in which the program runs.
struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// A sandbox with a file `ids.npy`.
    fn with_ids(rows: &[Vec<u16>]) -> Self {
        let sandbox = Self::new();
        sandbox.write("ids.npy", &npy(rows));
        sandbox
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    #[track_caller]
    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    /// Runs the program to its end.
    fn xtask(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(&mut self.command(arguments))
    }

    /// The installed program, ready to start, without standard input and with its output captured.
    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(program());
        command
            .current_dir(self.folder.path())
            .args(arguments)
            .env_remove("CARGO_MANIFEST_DIR")
            .env_remove("LAYERWISE_CACHE")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// `sweep` of `ids.npy` to `out.csv`.
    fn sweep(&self, arguments: &[&str]) -> Outcome {
        let fixed = ["sweep", "--corpus", "ids.npy", "--out", "out.csv"];
        self.xtask(&[&fixed, arguments].concat())
    }

    /// Paths of all files and folders, relative and sorted.
    fn contents(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                found.push(path.strip_prefix(self.folder.path()).unwrap().to_path_buf());
                if path.is_dir() {
                    folders.push(path);
                }
            }
        }
        found.sort();
        found
    }
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_layerwise"))
}

/// A CSV file, taken apart.
struct Table {
    header: csv::StringRecord,
    rows: Vec<csv::StringRecord>,
}

impl Table {
    fn new(bytes: &[u8]) -> Self {
        let mut reader = csv::Reader::from_reader(bytes);
        Self {
            header: reader.headers().unwrap().clone(),
            rows: reader.records().map(Result::unwrap).collect(),
        }
    }

    /// The text in a row's column.
    #[track_caller]
    fn text(&self, row: usize, column: &str) -> &str {
        let at = self.header.iter().position(|name| name == column);
        &self.rows[row][at.unwrap_or_else(|| panic!("no column {column}"))]
    }

    /// The number in a row's column.
    #[track_caller]
    fn number(&self, row: usize, column: &str) -> f64 {
        let text = self.text(row, column);
        text.parse()
            .unwrap_or_else(|_| panic!("row {row}, {column}: `{text}` is no number"))
    }
}
