//! The files contain the values of the runs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use layerwise_recordings::{Activations, PerToken, Place, RecordingError, occurrences, tensors};
use layerwise_schedule::{Edit, Selection, Site};
use layerwise_sweep::{Divergence, Plan, Positions, Runner, Subject, collect};
use layerwise_transformer::{Model, ModelConfig, Precision, Recording};
use layerwise_weights::TensorFile;
use std::path::Path;
use std::sync::Arc;

const SEQUENCES: [&[u32]; 2] = [&[1, 2, 3], &[4, 5, 6, 7, 8]];

fn sequences() -> Vec<Vec<u32>> {
    SEQUENCES.map(<[u32]>::to_vec).to_vec()
}

fn read<T: layerwise_weights::Element>(file: &Path, name: &str) -> Vec<T> {
    let file = TensorFile::open(file).unwrap();
    file.read(name).unwrap().unwrap().into_iter().collect()
}

#[test]
fn rows_are_those_of_the_sequences_one_after_another() {
    let model = Model::random(ModelConfig::tiny(), 3);
    let (schedule, sequences) = (model.plain(), sequences());
    let plan = Plan::plain(model.stack()).unwrap();
    let selections = Selection::read_all("resid.post", model.stack()).unwrap();
    let counts = occurrences(&model, &plan, &schedule, &sequences[0]).unwrap();
    let tensors = tensors(model.config(), &counts, &selections).unwrap();
    let subject = Subject::from(&model);
    let file = Activations::new(tensors, &sequences, Precision::F32, "id", &subject).unwrap();
    assert_eq!(file.tensors(), model.config().layers);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("activations.safetensors");
    assert!(!file.is_begun(&path).unwrap());
    let journal = folder.path().join("model.journal");
    let target = file.begin(&path, &journal, false, &sequences).unwrap();
    let runner = Runner::new();
    let recorded = file.record(target, &runner, subject, (&plan, &schedule), &sequences);
    drop(recorded.unwrap());
    assert!(file.is_begun(&path).unwrap());
    assert_eq!(std::fs::metadata(&path).unwrap().len(), file.bytes());
    assert_eq!(read::<i64>(&path, "tokens"), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(read::<i64>(&path, "sequence_offsets"), [0, 3, 8]);
    for block in 0..model.config().layers {
        let mut expected = Vec::new();
        for tokens in &sequences {
            let mut recording = Recording::of(model.config(), &[Site::ResidPost]).unwrap();
            model.run(tokens, &schedule, &mut recording).unwrap();
            let own = recording.get(Some(block), Site::ResidPost).unwrap();
            expected.extend(own.iter().copied());
        }
        assert_eq!(
            read::<f32>(&path, &format!("resid.post[{block}]")),
            expected
        );
    }
}

#[test]
fn values_of_tokens_have_the_means_of_the_sweep() {
    let model = Model::random(ModelConfig::tiny(), 3);
    let sequences = sequences();
    let plan = Plan::new(model.stack(), &["drop(l)".parse().unwrap()], 64).unwrap();
    let labels = plan.labels();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.safetensors");
    let place = Place {
        path: &path,
        folder: &folder.path().join("run"),
        journal: &folder.path().join("run/model.journal"),
        fresh: false,
    };
    let file = PerToken::begin(place, &Subject::from(&model), &labels, &sequences).unwrap();
    let file = Arc::new(file);
    let divergence = Divergence::new().per_position(Arc::clone(&file) as _, file.hash());
    let measured = Runner::new().measure(&model, &plan, &divergence, &sequences);
    let measured = measured.unwrap();
    file.finish(&path).unwrap();
    let results = measured.results.iter().map(Vec::as_slice);
    let statistics = collect(labels.len(), results);
    let tokens: usize = sequences.iter().map(Vec::len).sum();
    let kl = read::<f32>(&path, "kl_nats");
    assert_eq!(kl.len(), labels.len() * tokens);
    for (own, statistics) in kl.chunks(tokens).zip(&statistics) {
        // The first position of a sequence predicts nothing that is measured.
        assert!(own[0].is_nan() && own[3].is_nan());
        let found: Vec<f64> = own
            .iter()
            .filter(|kl| !kl.is_nan())
            .map(|kl| f64::from(*kl))
            .collect();
        let mean = found.iter().sum::<f64>() / found.len() as f64;
        let expected = statistics.kl_nats.mean().unwrap();
        assert_eq!(found.len() as u64, statistics.kl_nats.count());
        assert!(
            (mean - expected).abs() <= 1e-6 * expected.max(1e-3),
            "{mean} {expected}"
        );
    }
    let classes = file.classes(&sequences, None, None).unwrap();
    let table = file.class_table("tiny", &labels, &classes).unwrap();
    let table = String::from_utf8(table).unwrap();
    assert!(table.starts_with("model,family,schedule,l,m,classes,class,positions"));
    let rows = table
        .lines()
        .filter(|row| row.starts_with("tiny,drop(l),drop(0),0,,position,"));
    let mut counts = [0, 0];
    for row in rows {
        let counted = row.split(',').skip(7);
        for (all, own) in counts.iter_mut().zip(counted) {
            *all += own.parse::<u64>().unwrap();
        }
    }
    let at = labels.iter().position(|label| label.edit == "drop(0)");
    let dropped = &statistics[at.unwrap()];
    assert_eq!(
        counts,
        [dropped.kl_nats.count(), dropped.loss_nats.count()],
        "{table}"
    );
    assert_ne!(counts[0], counts[1]);
}

#[test]
fn a_finished_file_stays_at_its_place_until_values_are_added() {
    let model = Model::random(ModelConfig::tiny(), 3);
    let (subject, sequences) = (Subject::from(&model), sequences());
    let plan = Plan::new(model.stack(), &["drop(l)".parse().unwrap()], 64).unwrap();
    let labels = plan.labels();
    let folder = tempfile::tempdir().unwrap();
    let [path, run, journal, partial] = [
        "tokens.safetensors",
        "run",
        "run/model.journal",
        "run/per-token.partial",
    ]
    .map(|name| folder.path().join(name));
    let begin = |sequences: &[Vec<u32>]| {
        let place = Place {
            path: &path,
            folder: &run,
            journal: &journal,
            fresh: false,
        };
        PerToken::begin(place, &subject, &labels, sequences)
    };
    begin(&sequences).unwrap().finish(&path).unwrap();
    std::fs::write(&journal, "rows").unwrap();
    let first = std::fs::read(&path).unwrap();

    // A run that is refused has added nothing.
    drop(begin(&sequences).unwrap());
    let mut others = sequences.clone();
    others[0][0] += 1;
    let error = begin(&others).unwrap_err();
    assert!(matches!(error, RecordingError::Unkept { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), first);
    assert!(!partial.exists());
    assert_eq!(std::fs::read(&journal).unwrap(), b"rows");

    let file = begin(&sequences).unwrap();
    file.take(0, &[1], &[]).unwrap();
    assert!(!path.exists() && partial.exists());
    file.finish(&path).unwrap();
    assert!(path.exists() && !partial.exists());
    let kl = read::<f32>(&path, "kl_nats");
    let tokens: usize = sequences.iter().map(Vec::len).sum();
    assert!(kl[tokens].is_nan() && kl[0] == 0.0);
    // Nothing is missing, so nothing is added.
    begin(&sequences).unwrap().finish(&path).unwrap();
    assert_eq!(read::<i64>(&path, "sequence_offsets"), [0, 3, 8]);
}

/// The columns are in ascending order, whatever the order of writing.
#[test]
fn names_show_units_in_the_order_of_the_columns() {
    let model = Model::random(ModelConfig::tiny(), 3);
    let plan = Plan::plain(model.stack()).unwrap();
    let counts = occurrences(&model, &plan, &model.plain(), &[1, 2]).unwrap();
    let check = |written: &str, names: &[&str]| {
        let selections = Selection::read_all(written, model.stack()).unwrap();
        let found = tensors(model.config(), &counts, &selections).unwrap();
        let found: Vec<String> = found.iter().map(|own| own.name().to_owned()).collect();
        assert_eq!(found, names, "{written}");
    };
    check("mlp.out[0,[2,0]]", &["mlp.out[0,[0,2]]"]);
    check("mlp.out[0,[2,2]]", &["mlp.out[0,2]"]);
    check(
        "mlp.out[0,[3,1,0]],mlp.out[0,[0..2,3]]",
        &["mlp.out[0,[0..2,3]]"],
    );
}

#[test]
fn sites_that_do_not_occur_are_refused() {
    let check = |edit: &str, site: Site, expected: &str| {
        let model = Model::random(ModelConfig::tiny(), 3);
        let plan = Plan::plain(model.stack()).unwrap();
        let schedule = edit.parse::<Edit>().unwrap().apply(&model.plain()).unwrap();
        let counts = occurrences(&model, &plan, &schedule, &[1, 2]).unwrap();
        let error = tensors(model.config(), &counts, &[Selection::of(site)]).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    let absent = "`attn.out` does not occur under this edit";
    check("drop_attn(0..L)", Site::AttnOut, absent);
    let after = "`final.norm` is not recorded, because the run ends with the last block";
    check("id", Site::FinalNorm, after);
}

#[test]
fn units_of_a_site_in_no_block_are_refused() {
    let model = Model::random(ModelConfig::tiny(), 3);
    let plan = Plan::plain(model.stack()).unwrap();
    let counts = occurrences(&model, &plan, &model.plain(), &[1, 2]).unwrap();
    let embed = Selection::of(Site::Embed);
    let all = tensors(model.config(), &counts, std::slice::from_ref(&embed));
    assert_eq!(all.unwrap().len(), 1);
    let error = tensors(model.config(), &counts, &[embed.units(0..2)]).unwrap_err();
    assert!(matches!(error, RecordingError::Units { .. }), "{error}");
}
