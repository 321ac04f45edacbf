//! What answers, and the name of its accuracy's curve.

/// What answers the test examples, chosen on each fold's training part.
#[derive(Clone, Copy, Debug)]
pub(super) enum Chosen {
    /// The best single neuron.
    Single,
    /// The best suppression neuron.
    Suppression,
    /// The best of the others.
    Other,
    /// The best ensemble.
    Ensemble,
    /// The model, which is not trained.
    Model,
}

impl Chosen {
    /// The curve, of one point, of its accuracy.
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
