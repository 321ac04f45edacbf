//! A recording as matrices, and of the last position alone.

use layerwise_transformer::{Model, ModelConfig, Recording, Site, check_site};
use ndarray::{Axis, s};

#[test]
fn the_last_position_is_that_of_the_whole() {
    let model = Model::random(ModelConfig::tiny(), 7);
    let sites: Vec<Site> = Site::ALL
        .iter()
        .copied()
        .filter(|site| check_site(model.config(), *site).is_ok())
        .collect();
    let recorded = |at_last: bool| {
        let recording = Recording::of(model.config(), &sites).unwrap();
        let mut recording = match at_last {
            true => recording.at_last(),
            false => recording,
        };
        let tokens = [0, 5, 3, 8, 2];
        model
            .observed_logits(&tokens, &model.plain(), &mut recording)
            .unwrap();
        recording
    };
    let (whole, last) = (recorded(false), recorded(true));
    assert_eq!(whole.activations().len(), last.activations().len());
    for ((address, whole), last) in whole.activations().iter().zip(last.activations().values()) {
        let positions = Axis(usize::from(address.site == Site::AttnPattern));
        assert_eq!(last.len_of(positions), 1, "{address:?}");
        let expected = whole.index_axis(positions, whole.len_of(positions) - 1);
        assert_eq!(last.index_axis(positions, 0), expected, "{address:?}");
    }
}

#[test]
fn a_matrix_has_a_row_for_each_position() {
    let model = Model::random(ModelConfig::tiny(), 7);
    let sites = [Site::ResidPost, Site::AttnHeadOut];
    let mut recording = Recording::of(model.config(), &sites).unwrap();
    let end = model
        .run(&[0, 5, 3], &model.plain(), &mut recording)
        .unwrap();
    assert_eq!(recording.matrix(Some(3), Site::ResidPost).unwrap(), end);
    let heads = recording.get(Some(1), Site::AttnHeadOut).unwrap();
    let matrix = recording.matrix(Some(1), Site::AttnHeadOut).unwrap();
    let size = heads.shape()[2];
    assert_eq!(matrix.dim(), (3, heads.shape()[1] * size));
    let second = heads.index_axis(Axis(1), 1);
    let columns = matrix.slice(s![.., size..2 * size]);
    assert_eq!(columns.into_dyn(), second);
    assert!(recording.matrix(Some(9), Site::ResidPost).is_none());
}
