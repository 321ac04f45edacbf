//! Centred kernel alignment.

use crate::reference::{matrix, part};
use layerwise_metrics::{Cka, MetricsError};
use ndarray::{Array2, ArrayView2, array};
use proptest::prelude::*;

fn cka(batches: &[Vec<Array2<f32>>]) -> Result<Cka, MetricsError> {
    let mut cka = Cka::new(batches[0].len());
    for batch in batches {
        let views: Vec<ArrayView2<'_, f32>> = batch.iter().map(|layer| layer.view()).collect();
        cka.push(&views)?;
    }
    Ok(cka)
}

fn reference_batches() -> (Vec<Vec<Array2<f32>>>, Array2<f64>) {
    let part = part("cka");
    let batches = part["batches"].as_array().unwrap().iter();
    let batches = batches.map(|batch| {
        let layers = batch.as_array().unwrap().iter();
        layers
            .map(|layer| matrix(layer).mapv(|x| x as f32))
            .collect()
    });
    (batches.collect(), matrix(&part["cka"]))
}

#[track_caller]
fn assert_close(found: &Array2<f64>, expected: &Array2<f64>, tolerance: f64) {
    assert_eq!(found.dim(), expected.dim());
    let difference = (found - expected)
        .iter()
        .fold(0.0_f64, |most, d| most.max(d.abs()));
    assert!(
        difference <= tolerance,
        "{difference:e}: expected {expected}, found {found}"
    );
}

/// States without structure, `[samples, width]`, between −1 and 1: a hash of the place.
fn dense(samples: usize, width: usize, seed: usize) -> Array2<f32> {
    Array2::from_shape_fn((samples, width), |(row, column)| {
        let mut hash = ((seed * 1000 + row) * 1000 + column) as u64;
        for _ in 0..3 {
            hash = (hash ^ (hash >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        (hash >> 32) as f32 / 2.0_f32.powi(31) - 1.0
    })
}

#[test]
fn it_is_the_published_formula() {
    let (batches, expected) = reference_batches();
    assert_close(
        &cka(&batches).unwrap().similarity().unwrap(),
        &expected,
        1e-12,
    );
    // The reference is a useful test only if the layers are neither equal nor unrelated.
    assert!(
        expected.iter().any(|c| (0.2..0.9).contains(c)),
        "{expected}"
    );
}

#[test]
fn batches_may_be_merged() {
    let (batches, expected) = reference_batches();
    let mut merged = cka(&batches[..1]).unwrap();
    merged.merge(&cka(&batches[1..]).unwrap()).unwrap();
    assert_eq!(merged.batches(), 3);
    assert_close(&merged.similarity().unwrap(), &expected, 1e-12);
    assert_eq!(
        merged.merge(&Cka::new(3)),
        Err(MetricsError::LayerNumbers {
            expected: 4,
            found: 3
        })
    );
}

#[test]
fn shared_means_cost_no_digits() {
    // Residual streams have entries that are in the thousands at every position.
    let layers = [dense(20, 6, 0), dense(20, 6, 1)];
    // Eighths next to 4096 are exact in `f32`.
    let layers: Vec<_> = layers
        .iter()
        .map(|x| x.mapv(|x| (x * 8.0).round() / 8.0))
        .collect();
    let shifted: Vec<_> = layers.iter().map(|x| x + 4096.0).collect();
    let plain = cka(&[layers]).unwrap().similarity().unwrap();
    assert_close(
        &cka(&[shifted]).unwrap().similarity().unwrap(),
        &plain,
        1e-12,
    );
}

#[test]
fn unrelated_layers_are_about_zero() {
    // A biased estimate would be near 1 here, because the widths are far above the number of samples.
    let batches: Vec<_> = (0..4)
        .map(|seed| vec![dense(16, 400, seed), dense(16, 400, seed + 91)])
        .collect();
    let similarity = cka(&batches).unwrap().similarity().unwrap();
    assert!(similarity[[0, 1]].abs() < 0.2, "{similarity}");
}

#[test]
fn bad_batches_are_refused_and_leave_nothing() {
    let check = |states: &[Array2<f32>], expected: MetricsError| {
        let mut cka = Cka::new(2);
        let views: Vec<_> = states.iter().map(|layer| layer.view()).collect();
        assert_eq!(cka.push(&views), Err(expected));
        assert_eq!(cka, Cka::new(2));
    };
    let good = dense(5, 3, 0);
    check(
        std::slice::from_ref(&good),
        MetricsError::LayerNumbers {
            expected: 2,
            found: 1,
        },
    );
    for found in 0..4 {
        let few = dense(found, 3, 0);
        check(
            &[few.clone(), few],
            MetricsError::TooFewSamples { expected: 4, found },
        );
    }
    check(
        &[good.clone(), dense(6, 3, 0)],
        MetricsError::LayerSamples {
            layer: 1,
            expected: 5,
            found: 6,
        },
    );
    let mut infinite = good.clone();
    infinite[[4, 2]] = f32::INFINITY;
    check(
        &[good.clone(), infinite],
        MetricsError::StateNotFinite {
            layer: 1,
            row: 4,
            column: 2,
            found: f32::INFINITY,
        },
    );
    let mut nan = good.clone();
    nan[[1, 0]] = f32::NAN;
    let mut cka = Cka::new(2);
    let error = cka.push(&[nan.view(), good.view()]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the state of layer 0 has NaN in row 1, column 0"),
        "{error}"
    );
}

#[test]
fn layers_without_variance_are_refused() {
    let check = |layer: Array2<f32>| {
        let found = cka(&[vec![dense(5, 3, 0), layer]]).unwrap().similarity();
        assert_eq!(found, Err(MetricsError::NoVariance { layer: 1 }));
    };
    check(Array2::zeros((5, 3)));
    check(Array2::from_elem((5, 3), 0.1));
    check(Array2::zeros((5, 0)));
    // One differing sample is not enough for the unbiased estimate.
    check(array![[0.3], [0.3], [0.3], [0.7], [0.3]]);
    assert_eq!(Cka::new(2).similarity(), Err(MetricsError::NoBatches));
    // A batch without variance, next to one with some, is not an error.
    let batches = [vec![dense(5, 3, 0)], vec![Array2::zeros((4, 3))]];
    assert_eq!(cka(&batches).unwrap().similarity(), Ok(array![[1.0]]));
}

fn states(samples: usize) -> impl Strategy<Value = Array2<f32>> {
    (1..5_usize).prop_flat_map(move |width| {
        prop::collection::vec(-3.0..3.0_f32, samples * width)
            .prop_map(move |entries| Array2::from_shape_vec((samples, width), entries).unwrap())
    })
}

proptest! {
    #[test]
    fn similarity_is_symmetric_and_bounded(
        batches in prop::collection::vec(
            (4..9_usize).prop_flat_map(|samples| prop::collection::vec(states(samples), 3)),
            1..4,
        ),
    ) {
        let similarity = cka(&batches).unwrap().similarity().unwrap();
        prop_assert_eq!(&similarity, &similarity.t());
        prop_assert_eq!(similarity.diag().to_owned(), array![1.0, 1.0, 1.0]);
        prop_assert!(similarity.iter().all(|c| c.abs() <= 1.0 + 1e-9));
    }

    #[test]
    fn similarity_ignores_rotation_scale_and_shift(
        states in prop::collection::vec(-3.0..3.0_f64, 14),
        angle in 0.0..6.3_f64,
        scale in 0.5..4.0_f64,
        shift in -9.0..9.0_f64,
    ) {
        let states = Array2::from_shape_vec((7, 2), states).unwrap();
        let (sine, cosine) = angle.sin_cos();
        let turned = states.dot(&array![[cosine, sine], [-sine, cosine]]) * scale + shift;
        let (states, turned) = (states.mapv(|x| x as f32), turned.mapv(|x| x as f32));
        let other = dense(7, 3, 2);
        let similarity = cka(&[vec![states, turned, other]]).unwrap().similarity().unwrap();
        prop_assert!((similarity[[0, 1]] - 1.0).abs() <= 1e-4, "{similarity}");
        prop_assert!((similarity[[0, 2]] - similarity[[1, 2]]).abs() <= 1e-2, "{similarity}");
    }
}
