//! The classifiers of the test examples, and the names of their accuracy curves.

/// A classifier of the test examples, chosen on each fold's training part.
#[derive(Clone, Copy, Debug)]
pub(super) enum Chosen {
    /// The best single neuron.
    Single,
    /// The best suppression neuron.
    Suppression,
    /// The best other neuron.
    Other,
    /// The best ensemble.
    Ensemble,
    /// The model, which is not trained on the examples.
    Model,
}

impl Chosen {
    /// The curve of its accuracy, which has one point.
    pub(super) fn curve(self) -> &'static str {
        match self {
            Self::Single => "suffix accuracy of the best neuron",
            Self::Suppression => "suffix accuracy of the best suppression neuron",
            Self::Other => "suffix accuracy of the best other neuron",
            Self::Ensemble => "suffix accuracy of the best ensemble",
            Self::Model => "suffix accuracy of the model",
        }
    }
}
