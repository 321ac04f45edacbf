//! Many numbers of a model, stored exactly.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Numbers that a journal keeps as one string: base64 of their little-endian bytes, about five characters a number. This
/// includes NaN and infinities, for which JSON has no number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Floats(pub Vec<f32>);

impl Serialize for Floats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self
            .0
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        STANDARD.encode(bytes).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Floats {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        let (numbers, rest) = bytes.as_chunks();
        match rest {
            [] => Ok(Self(
                numbers.iter().copied().map(f32::from_le_bytes).collect(),
            )),
            _ => Err(D::Error::custom("expected four bytes a number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_down_to_the_bit() {
        let check = |numbers: &[f32]| {
            let written = serde_json::to_string(&Floats(numbers.to_vec())).unwrap();
            let read: Floats = serde_json::from_str(&written).unwrap();
            let bits = |numbers: &[f32]| numbers.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&read.0), bits(numbers), "{written}");
        };
        check(&[]);
        check(&[0.1, -0.0, f32::MIN_POSITIVE / 8.0]);
        check(&[f32::INFINITY, -f32::NAN, f32::MAX]);
        for bad in ["\"AAA=\"", "\"AAAAAAA=\"", "\"?\"", "[1.0]"] {
            serde_json::from_str::<Floats>(bad).unwrap_err();
        }
    }
}
