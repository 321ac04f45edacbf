//! What the targets do with bytes from strangers: no panic, no endless message, and no accepted input that breaks a property.
//!
//! Each kind of input has a function. `fuzz_targets` passes these to libFuzzer, and `xtask/tests/mutations.rs`, which
//! includes this file, passes them mutated seeds on the stable toolchain.

#![allow(clippy::unwrap_used, reason = "a target may panic")]

#[path = "../../xtask/tests/hostile/checkpoint.rs"]
#[allow(dead_code, reason = "the targets need a part of what the tests build")]
mod checkpoint;
mod exits;
mod labels;
mod packs;
mod parquet;
mod tokenizers;

use checkpoint::{Checkpoint, VOCAB};
pub use exits::classifier;
use exits::classifier_seeds;
pub use labels::labels;
use labels::labels_seeds;
use layerwise::chat::{self, Message, Template};
use layerwise::corpus::{self, Options};
use layerwise::journal::{Divided, Journal, Part, Recorded, RunDescription, RunKey};
use layerwise::schedule::{
    Bounds, Edit, EditFamily, MAX_TEXT_BYTES, Residual, Schedule, Selection, Stack, Units,
};
use layerwise::sweep::{Label, Sums};
use layerwise::tasks::{self, DATA_SETS, Task, Wanted};
use layerwise::transcripts::{self, Limits, NBestLists, Normaliser, Vocabulary};
use layerwise::transformer::{Constants, Model, ModelConfig, Values};
use layerwise::weights::{Folder, Links, OpenOptions, StableFiles, TensorFile, end_tokens};
pub use packs::packs;
use packs::packs_seeds;
pub use parquet::parquet;
use parquet::parquet_seeds;
use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;
pub use tokenizers::{tokenizer, tokenizer_settings};
use tokenizers::{tokenizer_seeds, tokenizer_settings_seeds};

/// The longest message that an error may have, in bytes.
const LONGEST_MESSAGE: usize = 50_000;

/// A target: its name, its function, and good inputs to start from.
pub type Target = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>);

/// Every target.
pub const TARGETS: &[Target] = &[
    ("chat", chat, chat_seeds),
    ("safetensors", safetensors, safetensors_seeds),
    ("index", index, index_seeds),
    ("config", config, config_seeds),
    ("tokenizer", tokenizer, tokenizer_seeds),
    (
        "tokenizer_settings",
        tokenizer_settings,
        tokenizer_settings_seeds,
    ),
    ("npy", npy, npy_seeds),
    ("parquet", parquet, parquet_seeds),
    ("schedule", schedule, schedule_seeds),
    ("journal", journal, journal_seeds),
    ("divided", divided, divided_seeds),
    ("classifier", classifier, classifier_seeds),
    ("nbest", nbest, nbest_seeds),
    ("tasks", tasks, tasks_seeds),
    ("vectors", vectors, vectors_seeds),
    ("packs", packs, packs_seeds),
    ("labels", labels, labels_seeds),
];

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

/// An error's message, which must be of readable size.
fn message(error: impl Display) -> String {
    let message = error.to_string();
    assert!(
        message.len() < LONGEST_MESSAGE,
        "{} bytes: {message:.200}",
        message.len()
    );
    message
}

/// The promise that files of a target's own folder do not change while they are mapped.
#[allow(unsafe_code, reason = "promises that mapped files do not change")]
fn stable() -> StableFiles {
    // SAFETY: a target writes its files before it opens them, and nobody else knows of its folder.
    unsafe { StableFiles::promise() }
}

/// Opens a checkpoint and reads every tensor, mapped and not, which must agree.
fn read_tensors(folder: &Path) {
    let read = |mmap: bool| -> Result<Vec<(String, Vec<u32>)>, String> {
        let checkpoint = OpenOptions::new()
            .map(mmap.then(stable))
            .open(folder)
            .map_err(message)?;
        let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
        let tensor = |name: String| {
            let tensor = checkpoint.tensor(&name).map_err(message)?;
            let values = tensor.as_slice();
            assert_eq!(values.len(), tensor.shape().iter().product::<usize>());
            assert!(values.iter().all(|value| value.is_finite()));
            Ok((name, values.iter().map(|value| value.to_bits()).collect()))
        };
        names.into_iter().map(tensor).collect()
    };
    assert_eq!(read(true), read(false));
}

/// A file of weights.
pub fn safetensors(bytes: &[u8]) {
    let folder = folder(&[("config.json", b"{}"), ("model.safetensors", bytes)]);
    read_tensors(folder.path());
}

fn safetensors_seeds() -> Vec<Vec<u8>> {
    let tensors = Checkpoint::llama().tensors;
    let mut half = tensors[1].clone();
    half.dtype = "BF16";
    half.data.truncate(16);
    let mut more = checkpoint::header(&tensors[1..3]);
    more.insert_str(1, r#""__metadata__":{"format":"pt"},"#);
    vec![
        checkpoint::safetensors(&tensors[1..2]),
        checkpoint::safetensors(&[half, tensors[10].clone()]),
        checkpoint::file(more, &checkpoint::data(&tensors[1..3])),
        checkpoint::file("{}", &[]),
    ]
}

/// A file of named tensors, and edits that take one of them.
pub fn vectors(bytes: &[u8]) {
    let folder = folder(&[("v.safetensors", bytes)]);
    let tensors = match TensorFile::open(&folder.path().join("v.safetensors")) {
        Ok(tensors) => tensors,
        Err(error) => return drop(message(error)),
    };
    let mut constants = Constants::default();
    for name in &tensors.names() {
        let tensor = match tensors.tensor(name) {
            Ok(tensor) => tensor.unwrap(),
            Err(error) => return drop(message(error)),
        };
        let size = tensor.as_slice().len() as u64 * 4;
        assert!(tensors.bytes(name).is_some_and(|bytes| bytes == size));
        assert!(tensor.as_slice().iter().all(|value| value.is_finite()));
        if let Ok(name) = name.parse() {
            constants
                .set_tensor(name, tensor.view().to_owned())
                .unwrap();
        }
    }
    let model = Model::random(ModelConfig::tiny(), 1);
    let plain = Schedule::plain(model.stack()).unwrap();
    let constants = Arc::new(constants);
    for edit in ["put(resid.post[1],v)", "add(attn.head_out[1,2],v,0.5)"] {
        let schedule = edit.parse::<Edit>().unwrap().apply(&plain).unwrap();
        match constants.check(model.config(), &schedule) {
            Err(error) => drop(message(error)),
            // An accepted model must run.
            Ok(()) => {
                let values = Values::of(Arc::clone(&constants));
                model
                    .run(&[1, 2, 3], (&schedule, &values), &mut ())
                    .unwrap();
            }
        }
    }
}

fn vectors_seeds() -> Vec<Vec<u8>> {
    let tensor = |name: &str, shape: &[usize]| checkpoint::Tensor::random(name, shape);
    let mut half = tensor("v", &[8]);
    half.dtype = "BF16";
    half.data.truncate(16);
    vec![
        checkpoint::safetensors(&[tensor("v", &[32])]),
        checkpoint::safetensors(&[tensor("v", &[4, 8]), tensor("a/b.c:1", &[32])]),
        checkpoint::safetensors(&[half]),
    ]
}

/// An index, next to two shards.
pub fn index(bytes: &[u8]) {
    let tensors = Checkpoint::llama().tensors;
    let (first, second) = (
        checkpoint::safetensors(&tensors[1..3]),
        checkpoint::safetensors(&tensors[3..4]),
    );
    let folder = folder(&[
        ("config.json", b"{}"),
        ("model.safetensors.index.json", bytes),
        ("a.safetensors", &first),
        ("b.safetensors", &second),
    ]);
    read_tensors(folder.path());
}

fn index_seeds() -> Vec<Vec<u8>> {
    let tensors = Checkpoint::llama().tensors;
    let shards = ["a", "a", "b"].iter().zip(&tensors[1..4]);
    let entries: Vec<String> = shards
        .map(|(shard, tensor)| format!("{:?}:\"{shard}.safetensors\"", tensor.name))
        .collect();
    let map = format!("\"weight_map\":{{{}}}", entries.join(","));
    let size: usize = tensors[1..4].iter().map(|tensor| tensor.data.len()).sum();
    vec![
        format!("{{{map}}}").into_bytes(),
        format!("{{\"metadata\":{{\"total_size\":{size}}},{map}}}").into_bytes(),
    ]
}

/// A config, next to the weights of a tiny model.
pub fn config(bytes: &[u8]) {
    static WEIGHTS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
        [Checkpoint::llama(), Checkpoint::gpt2()]
            .map(|model| checkpoint::safetensors(&model.tensors))
    });
    for weights in &*WEIGHTS {
        let folder = folder(&[("config.json", bytes), ("model.safetensors", weights)]);
        let opened = Folder::open(folder.path(), Links::Refuse).unwrap();
        if let Err(error) = end_tokens(&opened) {
            message(error);
        }
        match OpenOptions::default().open(folder.path()) {
            Err(error) => drop(message(error)),
            Ok(checkpoint) => match Model::from_checkpoint(&checkpoint) {
                Err(error) => drop(message(error)),
                Ok(model) => {
                    let tokens: Vec<u32> = (0..3).collect();
                    let plain = layerwise::schedule::Schedule::plain(model.stack()).unwrap();
                    if model.config().vocab >= 3 && model.config().context >= 3 {
                        assert_eq!(model.logits(&tokens, &plain).unwrap().nrows(), 3);
                    }
                }
            },
        }
    }
}

fn config_seeds() -> Vec<Vec<u8>> {
    let mut llama = Checkpoint::llama().config;
    let plain = serde_json::to_vec(&llama).unwrap();
    let scaling = r#"{"rope_type":"llama3","factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":16}"#;
    llama.insert(
        "rope_scaling".to_owned(),
        serde_json::from_str(scaling).unwrap(),
    );
    vec![
        plain,
        serde_json::to_vec(&llama).unwrap(),
        serde_json::to_vec(&Checkpoint::gpt2().config).unwrap(),
        br#"{"model_type":"gpt_neox","num_hidden_layers":2,"hidden_size":8,"num_attention_heads":2,"intermediate_size":32,"vocab_size":260,"max_position_embeddings":16,"rotary_pct":0.5,"rotary_emb_base":10000,"use_parallel_residual":true,"hidden_act":"gelu","layer_norm_eps":1e-5,"tie_word_embeddings":false}"#.to_vec(),
        br#"{"model_type":"phi","num_hidden_layers":2,"hidden_size":8,"num_attention_heads":2,"intermediate_size":32,"vocab_size":260,"max_position_embeddings":16,"partial_rotary_factor":0.5,"hidden_act":"gelu_new"}"#.to_vec(),
        br#"{"model_type":"qwen2","num_hidden_layers":2,"hidden_size":8,"num_attention_heads":2,"num_key_value_heads":1,"intermediate_size":12,"vocab_size":260,"max_position_embeddings":16,"rms_norm_eps":1e-6,"use_sliding_window":false}"#.to_vec(),
    ]
}

/// A chat template, on two conversations: no panic, and a text or a message of readable size.
pub fn chat(bytes: &[u8]) {
    let folder = folder(&[
        ("chat_template.jinja", bytes),
        (
            "tokenizer_config.json",
            br#"{"bos_token": "<s>", "eos_token": {"content": "</s>"}}"#,
        ),
    ]);
    let opened = OpenOptions::new().folder(folder.path()).unwrap();
    let template = match Template::of_folder(&opened) {
        Ok(template) => template.unwrap(),
        Err(error) => return assert!(!message(error).contains("panicked")),
    };
    let user = Message::new("user", "Who wrote \u{1f600}?\n");
    let conversations = [
        vec![user.clone()],
        vec![
            Message::new("system", ""),
            user.clone(),
            Message::new("assistant", "a {{ b }}"),
            user,
        ],
    ];
    for messages in conversations {
        match template.render(&messages, chat::DateTime::default()) {
            Ok(text) => assert!(text.len() <= chat::MAX_OUTPUT),
            Err(error) => assert!(!message(error).contains("panicked")),
        }
    }
}

fn chat_seeds() -> Vec<Vec<u8>> {
    [
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] | trim + '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
        "{{- bos_token }}\n{%- set ns = namespace(n=0) %}\n{%- for m in messages if m.role != 'system' %}\n  {%- set ns.n = ns.n + 1 %}{{ m.content.split(' ')[-1][::-1] ~ ns.n }}\n{%- else %}{{ raise_exception('no') }}{%- endfor %}",
        "{% macro f(x, y='!') %}{{ x | upper }}{{ y }}{% endmacro %}{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}{{ rest | tojson(indent=2) }}{{ f(strftime_now('%d %b %Y')) }}{{ rest | map(attribute='role') | join(', ') }}{% generation %}{{ [1, 2] * 3 }}{% endgeneration %}",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .to_vec()
}

/// An array of token ids.
pub fn npy(bytes: &[u8]) {
    let folder = folder(&[("ids.npy", bytes)]);
    match corpus::read(
        &folder.path().join("ids.npy"),
        None,
        &Options::new(8, VOCAB),
    ) {
        Err(error) => drop(message(error)),
        Ok(corpus) => {
            for sequence in corpus.sequences() {
                assert!((3..=8).contains(&sequence.len()));
                assert!(sequence.iter().all(|id| (*id as usize) < VOCAB));
            }
        }
    }
}

fn npy_seeds() -> Vec<Vec<u8>> {
    let array = |descr: &str, shape: &str, data: &[u8]| {
        let mut header =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        while (header.len() + 11) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [
            b"\x93NUMPY\x01\x00".as_slice(),
            &length,
            header.as_bytes(),
            data,
        ]
        .concat()
    };
    let words: Vec<u8> = (0..12_u16).flat_map(|id| (id * 17).to_le_bytes()).collect();
    let longs: Vec<u8> = (0..12_i64).flat_map(|id| (id * 17).to_le_bytes()).collect();
    vec![
        array("<u2", "(3, 4)", &words),
        array("<i8", "(1, 12)", &longs),
        array("|u1", "(2, 3)", &[7; 6]),
    ]
}

/// The text of an edit or family.
pub fn schedule(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let stack = Stack::new(4, Residual::Sequential).with_units(Units::new(2, 1, 5, 6));
    match Selection::read_all(text, stack) {
        Err(error) => drop(message(error)),
        Ok(selections) => {
            let printed: Vec<String> = selections.iter().map(Selection::to_string).collect();
            let again = Selection::read_all(&printed.join(","), stack);
            assert_eq!(again.as_ref(), Ok(&selections), "{text}");
        }
    }
    match text.parse::<EditFamily>() {
        Err(error) => drop(message(error)),
        Ok(family) => {
            let printed = family.to_string();
            assert_eq!(
                printed.parse::<EditFamily>().as_ref(),
                Ok(&family),
                "{printed}"
            );
            for residual in [Residual::Sequential, Residual::Parallel] {
                let stack = Stack::new(4, residual).with_units(Units::new(2, 1, 5, 6));
                let bounds = Bounds::from(16).positions(Some(5));
                match family.expand(stack, bounds) {
                    Err(error) => drop(message(error)),
                    Ok(members) => {
                        assert!((1..=16).contains(&members.len()));
                        for member in members {
                            assert!(member.schedule.step_count() > 0);
                            assert_eq!(member.edit.to_string().parse().as_ref(), Ok(&member.edit));
                            let overlay = member.schedule.overlay();
                            _ = overlay.check_positions(5, &|_, _| 0);
                            let text = overlay.to_string();
                            if text.len() <= MAX_TEXT_BYTES {
                                let plain = Schedule::plain(stack).unwrap();
                                let again = text.parse::<Edit>().unwrap().apply(&plain).unwrap();
                                assert_eq!(again.overlay(), overlay);
                            }
                        }
                    }
                }
            }
        }
    }
}

fn schedule_seeds() -> Vec<Vec<u8>> {
    [
        "id",
        "drop(l)",
        "swap(l,l+1)",
        "repeat(l..l+3,2)",
        "loop(0..2,3);drop_attn(-1)",
        "keep([0,2..4])",
        "parallel(1..3,sum);scale_mlp(0,-1.5e-3)",
        "shuffle(0..4,7);reverse(1..L)",
        "permute(1..4,[3,1,2])",
        "replace(l,m);drop_mlp((l*2-1)..L)",
        "zero(attn.head_out[l,h]);mean(mlp.out[1]@[0,-2..-1])",
        "resample(attn.v[0..2,1..]);plain(attn.pattern[3]);donor(embed@p)",
        "put(resid.pre[2],a/b.c:1-2);add(resid.post[l]@-1,v,-0.5);scale(attn.q[1],2)",
        "window(l,8,strict);window(0..4,1);cut(3,0..,-1,[0,2..4])",
        "resid.post,attn.head_out[3,-1],mlp.norm[0..2]@-1,attn.pattern[2,[0..1]]",
        "swap(0,1);zero(resid.mid);plain(attn.k[l,0]@p);repeat(1);scale(embed@1..,1e-3)",
        "mean(mlp.pre[0..L,[0,3..]]);mean(mlp.pre[2,1]);put(mlp.up[(l+1)*1],v/1);donor(resid.post@-1)",
        "zero(attn.q[l,h]);cut(l,h,p,0..p);add(attn.out[-1,0..3]@[0,2],x,0)",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// A run of two schedules on four sequences.
fn described_run() -> RunDescription<Vec<Label>> {
    let label = |edit: &str| Label {
        family: edit.to_owned(),
        edit: edit.to_owned(),
        l: None,
        m: None,
        h: None,
        p: None,
    };
    let key = RunKey::of([b"a".as_slice()]);
    RunDescription::new(key, "a".to_owned(), 4, vec![label("id"), label("drop(0)")])
}

/// A journal, as it is and with corrected checksums of its lines.
pub fn journal(bytes: &[u8]) {
    let run = described_run();
    for bytes in [bytes.to_vec(), with_checksums(bytes)] {
        let folder = folder(&[("journal", &bytes)]);
        let path = folder.path().join("journal");
        let fit = |parts: Option<&[usize]>, sums: &Vec<Sums>| match parts {
            None => sums.len() == 2,
            Some(at) => sums.len() == at.len() && at.iter().all(|at| *at < 2),
        };
        let open = || Journal::open(&path, &run, false, fit);
        if let Err(error) = Recorded::read(&path, |_: &Vec<Label>, parts, sums| fit(parts, sums)) {
            message(error);
        }
        match open() {
            Err(error) => {
                message(error);
                assert_eq!(fs::read(&path).unwrap(), bytes, "nothing is lost");
            }
            // Work that was reused once is reused again.
            Ok(mut journal) => {
                let (finished, parts) = (journal.finished().clone(), journal.take_parts());
                drop(journal);
                let mut again = open().unwrap();
                assert_eq!(again.finished(), &finished);
                assert_eq!(again.take_parts(), parts);
            }
        }
    }
}

/// Lines whose first 16 bytes become the checksum of everything from the 18th byte on.
fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let folder = folder(&[]);
    let line = |line: &[u8]| match line.get(17..) {
        None => line.to_vec(),
        Some(json) => {
            let json = json.strip_suffix(b"\n").unwrap_or(json);
            let path = folder.path().join("line");
            fs::write(&path, json).unwrap();
            let sum = corpus::sha256(&path).unwrap();
            [&sum.as_bytes()[..16], b" ", json, &line[17 + json.len()..]].concat()
        }
    };
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .flat_map(line)
        .collect()
}

fn journal_seeds() -> Vec<Vec<u8>> {
    let folder = folder(&[]);
    let path = folder.path().join("journal");
    let mut journal = Journal::open(&path, &described_run(), false, |_, _| true).unwrap();
    let begun = fs::read(&path).unwrap();
    let part = Part {
        at: vec![1],
        results: vec![Sums::default()],
    };
    journal
        .record_parts([(0, part.clone()), (2, part)])
        .unwrap();
    for sequence in [3, 0] {
        journal.record(sequence, vec![Sums::default(); 2]).unwrap();
    }
    vec![begun, fs::read(&path).unwrap()]
}

/// The command of a share: an accepted one is written back as it was read.
pub fn divided(bytes: &[u8]) {
    let folder = folder(&[(Divided::FILE, bytes)]);
    match Divided::read(folder.path()) {
        Err(error) => drop(message(error)),
        Ok(divided) => {
            assert!(divided.folder().is_absolute() && !divided.command().is_empty());
            let written = divided.json().unwrap();
            fs::write(folder.path().join(Divided::FILE), written).unwrap();
            assert_eq!(Divided::read(folder.path()).unwrap(), divided);
        }
    }
}

fn divided_seeds() -> Vec<Vec<u8>> {
    let divided = |command: &[&str]| {
        let command = command.iter().map(|part| (*part).to_owned());
        let divided = Divided::new("0.1.0", "/a/b".into(), command.collect());
        divided.json().unwrap().into_bytes()
    };
    vec![
        divided(&["reproduce"]),
        divided(&["reproduce", "wic", "--shard", "1/2", "--out", "\u{e9}\"\n"]),
    ]
}

/// Lists of hypotheses in every form with the lattices of those that are accepted, tables, and corrections.
pub fn nbest(bytes: &[u8]) {
    let limits = Limits::default();
    let none: [&[u8]; 0] = [];
    for read in [
        transcripts::read_hyporadise(bytes, &limits),
        transcripts::read_columns(bytes, &limits),
        transcripts::read_kaldi(bytes, none, &limits),
        transcripts::read_kaldi(&b"x-1 a\nx-2 b\n"[..], [bytes], &limits),
    ] {
        match read {
            Err(error) => drop(message(error)),
            Ok(lists) => correct(&lists),
        }
    }
    if let Err(error) = transcripts::read_corrections(bytes, &limits) {
        drop(message(error));
    }
    match transcripts::read_table(bytes, &limits) {
        Err(error) => drop(message(error)),
        Ok(table) => {
            let ids: std::collections::HashSet<_> = table.iter().map(|row| &row.id).collect();
            assert_eq!(ids.len(), table.len());
        }
    }
}

/// The lattice of each list contains its hypotheses, whatever they are.
fn correct(lists: &NBestLists) {
    let gate = transcripts::Gate::new(lists.scale);
    for utterance in &lists.utterances {
        assert!(!utterance.hypotheses.is_empty());
        for normaliser in [
            Normaliser::None,
            Normaliser::Norm,
            Normaliser::WhisperEn(Default::default()),
        ] {
            let mut vocabulary = Vocabulary::new();
            let list = utterance.distinct(&normaliser, &mut vocabulary);
            let scores = gate.scores(&list, lists.scale, &[]);
            assert!(scores.iter().all(|score| score.is_finite()));
            let posteriors = gate.judge(&list, &scores).posteriors;
            match transcripts::Lattice::rover(&list.hypotheses, &posteriors) {
                Err(error) => drop(message(error)),
                Ok(lattice) => {
                    for hypothesis in &list.hypotheses {
                        assert!(lattice.automaton().allows(hypothesis));
                    }
                }
            }
        }
    }
}

fn nbest_seeds() -> Vec<Vec<u8>> {
    [
        r#"[{"id": "x", "input": ["a b", "a", "a b"], "output": "a c", "am_score": [-0.1, -0.2, -0.3]}]"#,
        r#"[{"input": ["u s a", "(laughs) it isn't 1,000"], "input1": {"more": [null]}}, {"input": [" "]}]"#,
        "x a b\nx a\ny\n",
        "x-1 a b\nx-2 a\ny-z-1 c d e\n",
        "x-1 1.5\nx-2 -2e3\n",
        "{\"id\": \"x\", \"correction\": \"a b\"}\n\n{\"correction\": \"\", \"more\": [1], \"id\": \"y\"}\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// A file of every data set of tasks, and the user's own.
pub fn tasks(bytes: &[u8]) {
    let names = [
        "lambada_openai.jsonl",
        "arc_easy.jsonl",
        "arc_challenge.jsonl",
        "hellaswag.jsonl",
        "piqa.jsonl",
        "winogrande.jsonl",
        "boolq.jsonl",
        "sst2.jsonl",
    ];
    let folder = folder(&names.map(|name| (name, bytes)));
    for (file, path) in [("x_test.csv", "mmlu/test"), ("x_dev.csv", "mmlu/dev")] {
        let path = folder.path().join(path);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join(file), bytes).unwrap();
    }
    let columns = tempfile::tempdir().unwrap();
    fs::create_dir(columns.path().join("sst2")).unwrap();
    for name in ["dev.tsv", "train.tsv"] {
        fs::write(columns.path().join("sst2").join(name), bytes).unwrap();
    }
    let own = folder.path().join("boolq.jsonl");
    let mut read: Vec<_> = vec![tasks::read_own(&own, 5)];
    for set in DATA_SETS {
        for wanted in [Wanted::new(5), Wanted::new(5).of_one_token().training(2)] {
            read.push(set.read(folder.path(), wanted));
            if set.name == "sst2" {
                read.push(set.read(columns.path(), wanted));
            }
        }
    }
    for task in read {
        match task {
            Err(error) => drop(message(error)),
            Ok(task) => check_task(&task),
        }
    }
}

/// The properties of every task's items.
fn check_task(task: &Task) {
    assert!(task.items.len() <= 5);
    for (index, item) in task.items.iter().enumerate() {
        assert!(!item.options.is_empty());
        assert!(item.answer.is_none_or(|answer| answer < item.options.len()));
        for (at, option) in item.options.iter().enumerate() {
            assert!(!option.scored.trim().is_empty());
            assert!(task.context(index, at).ends_with(&option.given));
        }
    }
}

fn tasks_seeds() -> Vec<Vec<u8>> {
    [
        r#"{"context": "Some say", "continuation": "so"}"#,
        r#"{"query": "Question: Why? he", "choices": ["a", "b c"], "gold": 1}"#,
        r#"{"question": "Why?", "choices": {"text": ["a", "b c"], "label": ["1", "2"]}, "answerKey": "2"}"#,
        r#"{"activity_label": "Roof", "ctx_a": "A [x] roof.", "ctx_b": "he", "endings": ["is up.", "falls [title] Off"], "label": "1"}"#,
        r#"{"sentence": "So _ won.", "option1": "Sarah", "option2": "Maria", "answer": "1"}"#,
        r#"{"passage": "A passage.", "question": "is it", "answer": true}"#,
        r#"{"prompt": "1+1=", "options": ["2", "3"], "gold": null, "subject": "sums"}"#,
        "question,choice0,choice1,choice2,choice3,answer\n\"Who, \"\"me\"\"?\",1,2,3,4,2\nWhat?,1,2,3,4,B\n",
        "a \"fine film\t1\nbad\t0\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
