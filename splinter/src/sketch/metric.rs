//! The measures of similarity.

/// What a search takes for similar. Scores are higher for nearer vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Metric {
    /// The cosine of the angle between the vectors, from −1 to 1; 0 if one of them is all zeroes.
    #[default]
    Cosine,
    /// The sum of the products of their components.
    Dot,
    /// The Euclidean distance between them, negated.
    L2,
}
