//! The law of batches: a row's bits are those of running its path alone.

use crate::parity_models::{EDITS, models, room, schedule};
use layerwise_schedule::Schedule;
use layerwise_transformer::{Batch, Model, Recording, Site, TransformerError};
use ndarray::{Array2, Axis, s};
use proptest::prelude::*;

/// Segments as (the earlier one that it continues, tokens), cut to the context and the vocabulary.
fn batch(model: &Model, drawn: &[(Option<prop::sample::Index>, Vec<u32>)]) -> Batch {
    let (context, vocab) = (room(model), model.config().vocab as u32);
    let mut batch = Batch::default();
    for (parent, tokens) in drawn {
        let parent = match (parent, batch.segments()) {
            (Some(parent), 1..) => Some(parent.index(batch.segments())),
            _ => None,
        };
        let before = parent.map_or(0, |parent| batch.path_to(parent).len());
        let mut tokens: Vec<u32> = tokens.iter().map(|token| token % vocab).collect();
        tokens.truncate(context - before);
        match parent {
            _ if tokens.is_empty() => continue,
            Some(parent) => batch.add_child(parent, &tokens),
            None => batch.add(&tokens),
        };
    }
    batch
}

fn any_segments() -> impl Strategy<Value = Vec<(Option<prop::sample::Index>, Vec<u32>)>> {
    // Some are longer than a tile of queries.
    let length = prop_oneof![4 => 1..9_usize, 1 => 40..64_usize];
    let tokens = length.prop_flat_map(|length| proptest::collection::vec(any::<u32>(), length));
    proptest::collection::vec((any::<Option<prop::sample::Index>>(), tokens), 1..9)
}

fn check(name: &str, model: &Model, schedule: &Schedule, batch: &Batch) {
    let together = model.logits(batch, schedule).unwrap();
    assert_eq!(together.nrows(), batch.rows());
    for segment in 0..batch.segments() {
        let path = batch.path_to(segment);
        let tokens: Vec<u32> = path.iter().map(|row| batch.tokens()[*row]).collect();
        let alone = model.logits(&tokens, schedule).unwrap();
        let bits = |rows: Array2<f32>| rows.mapv(f32::to_bits);
        let of_path = together.select(Axis(0), &path);
        assert_eq!(bits(of_path), bits(alone), "{name}: segment {segment}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_row_is_the_same_to_the_bit_alone_and_in_any_batch(
        at: prop::sample::Index,
        edit in prop::sample::select(&EDITS),
        drawn in any_segments(),
    ) {
        let (name, model) = at.get(models());
        let batch = batch(model, &drawn);
        prop_assume!(batch.rows() > 0);
        check(&format!("{name}, {edit}"), model, &schedule(model, edit), &batch);
    }
}

#[test]
fn every_family_and_edit_runs_a_question_with_its_choices() {
    for (name, model) in models() {
        let mut batch = Batch::default();
        batch.add(&[7, 1]);
        let question = batch.add(&[2, 9, 4, 4, 0]);
        let choice = batch.add_child(question, &[3]);
        batch.add_child(question, &[5, 1, 6]);
        batch.add_child(choice, &[8, 2]);
        for edit in EDITS {
            let schedule = schedule(model, edit);
            check(&format!("{name}, {edit}"), model, &schedule, &batch);
        }
    }
}

#[test]
fn an_observer_sees_the_rows_of_the_batch() {
    for (name, model) in models() {
        let schedule = schedule(model, "id");
        let mut batch = Batch::default();
        let question = batch.add(&[2, 9, 4]);
        let last = [
            batch.add_child(question, &[3]),
            batch.add_child(question, &[5, 1]),
        ];
        let seen = |batch: &Batch| {
            let sites = [
                Site::AttnPattern,
                Site::AttnK,
                Site::ResidPost,
                Site::Logits,
            ];
            let mut recording = Recording::of(model.config(), &sites).unwrap();
            model
                .observed_logits(batch, &schedule, &mut recording)
                .unwrap();
            recording.activations().clone()
        };
        let together = seen(&batch);
        for segment in last {
            let path = batch.path_to(segment);
            let tokens: Vec<u32> = path.iter().map(|row| batch.tokens()[*row]).collect();
            for (address, alone) in seen(&Batch::from(&tokens)) {
                let all = &together[&address];
                let rows = match address.site {
                    Site::AttnPattern => {
                        let (own, rest) = all
                            .select(Axis(1), &path)
                            .into_dimensionality()
                            .map(|pattern: ndarray::Array3<f32>| {
                                let own = pattern.slice(s![.., .., ..path.len()]).to_owned();
                                (own, pattern.slice(s![.., .., path.len()..]).to_owned())
                            })
                            .unwrap();
                        assert!(rest.iter().all(|weight| *weight == 0.0));
                        own.into_dyn()
                    }
                    _ => all.select(Axis(0), &path),
                };
                assert_eq!(rows, alone, "{name}: {address:?}");
            }
        }
    }
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let (_, model) = &models()[0];
    let plain = schedule(model, "id");
    let context = model.config().context;
    let vocab = model.config().vocab as u32;
    let mut batch = Batch::default();
    assert!(matches!(
        model.logits(&batch, &plain),
        Err(TransformerError::EmptySequence)
    ));
    let whole = batch.add(&vec![1; context]);
    assert!(model.logits(&batch, &plain).is_ok());
    let mut longer = batch.clone();
    longer.add_child(whole, &[1]);
    assert!(matches!(
        model.logits(&longer, &plain),
        Err(TransformerError::SequenceTooLong { found, .. }) if found == context + 1
    ));
    let mut outside = Batch::default();
    let parent = outside.add(&[1, 2]);
    outside.add_child(parent, &[0, vocab]);
    assert!(matches!(
        model.logits(&outside, &plain),
        Err(TransformerError::TokenOutOfRange { token, position: 3, .. }) if token == vocab
    ));
    batch.add(&[]);
    assert!(matches!(
        model.logits(&batch, &plain),
        Err(TransformerError::EmptySequence)
    ));
}

#[test]
fn short_and_long_sequences_at_other_frequencies_are_refused() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/parity/phi3-longrope"
    );
    let model = Model::open(folder).unwrap();
    let mut batch = Batch::from(&[1; 17]);
    batch.add(&[1; 16]);
    let error = model.logits(&batch, &schedule(&model, "id")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "sequences of 16 and of 17 tokens cannot share a run: this model uses other rotary frequencies beyond 16 \
         tokens; run them separately"
    );
    let mut whole = Batch::from(&[1; 9]);
    whole.add_child(0, &[1; 8]);
    assert!(
        model.logits(&whole, &schedule(&model, "id")).is_ok(),
        "only whole paths count"
    );
}
