//! Weights as arrays: those read from a checkpoint of any family make the same model again.

use layerwise_architecture::Role;
use layerwise_transformer::{Arrays, Model, ModelConfig, TransformerError};
use layerwise_weights::Checkpoint;
use ndarray::ArrayD;
use std::path::Path;

/// The checkpoints of `fixtures/parity`, one or more of each family.
fn checkpoints() -> Vec<Checkpoint> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity");
    let folders = std::fs::read_dir(root).unwrap();
    let folders = folders.map(|folder| folder.unwrap().path());
    let folders = folders.filter(|folder| folder.join("model.safetensors").is_file());
    folders
        .map(|folder| Checkpoint::open(&folder).unwrap())
        .collect()
}

#[test]
fn arrays_of_a_checkpoint_make_its_model() {
    let checkpoints = checkpoints();
    assert!(checkpoints.len() > 20, "{}", checkpoints.len());
    for checkpoint in &checkpoints {
        let folder = checkpoint.folder().display();
        let model = Model::from_checkpoint(checkpoint).unwrap();
        let arrays = Arrays::of(checkpoint).unwrap();
        let shapes = arrays
            .weights
            .iter()
            .map(|(at, array)| (*at, array.shape().to_vec()));
        assert!(
            Arrays::shapes(&arrays.config).into_iter().eq(shapes),
            "{folder}"
        );
        let again = arrays.model().unwrap();
        let logits = |model: &Model| model.logits(&[1, 2, 0, 3], &model.plain()).unwrap();
        assert_eq!(logits(&model), logits(&again), "{folder}");
    }
}

#[test]
fn a_changed_weight_changes_the_model() {
    let config = ModelConfig::tiny();
    let arrays = |value: f32| Arrays {
        weights: Arrays::shapes(&config)
            .into_iter()
            .map(|(at, shape)| {
                let size: usize = shape.iter().product();
                let values = (0..size).map(|at| (at as f32 * value).sin()).collect();
                (at, ArrayD::from_shape_vec(shape, values).unwrap())
            })
            .collect(),
        config: config.clone(),
    };
    let logits = |arrays: &Arrays| {
        let model = arrays.model().unwrap();
        model.logits(&[0, 5], &model.plain()).unwrap()
    };
    let mut changed = arrays(0.3);
    let at = (Role::MlpOut, Some(2));
    *changed.weights.get_mut(&at).unwrap() *= 2.0;
    assert_ne!(logits(&arrays(0.3)), logits(&changed));
    assert_eq!(logits(&arrays(0.3)), logits(&arrays(0.3)));
}

#[test]
fn weights_that_do_not_fit_are_named() {
    let config = ModelConfig::tiny();
    let whole = || Arrays {
        weights: Arrays::shapes(&config)
            .into_iter()
            .map(|(at, shape)| (at, ArrayD::zeros(shape)))
            .collect(),
        config: config.clone(),
    };
    let check = |change: &dyn Fn(&mut Arrays), expected: &str| {
        let mut arrays = whole();
        change(&mut arrays);
        let error: TransformerError = arrays.model().unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(
        &|it| drop(it.weights.remove(&(Role::Q, Some(3)))),
        "weight Q of block 3: expected an array of shape [32, 32], found none",
    );
    check(
        &|it| {
            drop(
                it.weights
                    .insert((Role::AttnOut, Some(0)), ArrayD::zeros(vec![32, 31])),
            )
        },
        "weight AttnOut of block 0: expected an array of shape [32, 32], found [32, 31]",
    );
    check(
        &|it| {
            drop(
                it.weights
                    .insert((Role::Q, Some(9)), ArrayD::zeros(vec![32, 32])),
            )
        },
        "weight Q of block 9: expected none in a model of this config",
    );
    check(
        &|it| {
            it.weights
                .get_mut(&(Role::V, Some(1)))
                .unwrap()
                .fill(f32::NAN)
        },
        "memory: tensor \"V[1]\": expected finite values, found NaN first at [0, 0]",
    );
}
