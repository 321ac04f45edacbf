//! Cross-validation by groups.

use crate::reference::{numbers, part};
use layerwise_metrics::{MetricsError, group_folds};
use proptest::prelude::*;

fn sizes(folds: &[usize], number: usize) -> Vec<usize> {
    let size = |fold| folds.iter().filter(|&&found| found == fold).count();
    (0..number).map(size).collect()
}

#[test]
fn folds_are_those_of_scikit_learn() {
    let part = part("folds");
    let groups: Vec<u64> = numbers(&part["groups"])
        .iter()
        .map(|&group| group as u64)
        .collect();
    let expected: Vec<usize> = numbers(&part["folds"])
        .iter()
        .map(|&fold| fold as usize)
        .collect();
    assert_eq!(group_folds(&groups, 3).unwrap(), expected);
}

#[test]
fn known_folds() {
    let check = |groups: &str, folds: usize, expected: &[usize]| {
        let groups: Vec<char> = groups.chars().collect();
        assert_eq!(group_folds(&groups, folds).unwrap(), expected, "{groups:?}");
    };
    check("zyxw", 2, &[0, 1, 0, 1]);
    check("zyxw", 4, &[0, 1, 2, 3]);
    check("abbcc", 2, &[0, 0, 0, 1, 1]);
    check("abbccc", 2, &[1, 1, 1, 0, 0, 0]);
}

#[test]
fn impossible_numbers_of_folds_are_refused() {
    let check = |groups: &[u8], folds: usize, number: usize| {
        let expected = MetricsError::Folds {
            folds,
            groups: number,
        };
        assert_eq!(group_folds(groups, folds), Err(expected));
    };
    check(&[], 2, 0);
    check(&[1, 1, 1], 2, 1);
    check(&[1, 2, 1], 0, 2);
    check(&[1, 2, 1], 1, 2);
    check(&[1, 2, 1], 3, 2);
    check(&[1, 2, 1], usize::MAX, 2);
}

proptest! {
    #[test]
    fn groups_stay_whole_and_folds_balanced(
        groups in prop::collection::vec(0..12_u8, 2..60),
        number in 2..6_usize,
    ) {
        let Ok(folds) = group_folds(&groups, number) else {
            let distinct: std::collections::BTreeSet<_> = groups.iter().collect();
            prop_assert!(distinct.len() < number);
            return Ok(());
        };
        for (left, fold) in groups.iter().zip(&folds) {
            for (right, other) in groups.iter().zip(&folds) {
                prop_assert!(left != right || fold == other);
            }
        }
        let sizes = sizes(&folds, number);
        let (least, greatest) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
        let largest_group = (0..12).map(|group| groups.iter().filter(|&&g| g == group).count()).max();
        prop_assert!(*least > 0);
        prop_assert!(greatest - least <= largest_group.unwrap());
    }
}
