//! What is measured of one table: what the page draws and the JSON holds.

use sensorium_pack::Modality;
use serde::Serialize;

use super::sum::Arithmetic;
use crate::metrics::interval::{Interval, Spread};
use crate::metrics::ranking::Curve;
use crate::table::Epoch;

/// What is random, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Options {
    /// The seed of all that is random.
    pub seed: u64,
    /// Draws of examples for each number of shots.
    pub draws: usize,
    /// Resamples of the groups for an interval.
    pub resamples: usize,
}

/// What one table says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measures {
    /// What tells the table from others of its experiment: its groups.
    pub part: String,
    /// What the encoder senses.
    pub sense: Modality,
    /// Numbers in an embedding.
    pub dim: usize,
    /// Samples.
    pub samples: usize,
    /// Samples of a class.
    pub labelled: usize,
    /// Where the table comes from.
    pub provenance: String,
    /// Naming by words alone; none if there are no classes or no labels.
    pub zero_shot: Option<ZeroShot>,
    /// Group by group.
    pub groups: Vec<Group>,
    /// Retrieval, both ways.
    pub retrieval: Vec<Retrieval>,
    /// The linear probe.
    pub few_shot: Vec<FewShot>,
    /// Sums of two embeddings.
    pub arithmetic: Option<Arithmetic>,
    /// How training went.
    pub training: Vec<Epoch>,
    /// The space in two dimensions.
    pub map: Option<Map>,
}

/// Naming samples by the class whose words are nearest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ZeroShot {
    /// Top-1, top-5, mean class recall, mean average precision, AUC.
    pub numbers: Vec<Number>,
    /// The share of the commonest class: what always saying it would get right.
    pub commonest: f64,
    /// Pairs of classes whose vectors are the same, so that nothing can tell them apart.
    pub same_vectors: Vec<[usize; 2]>,
    /// Top-1 with one prompt a class, drawn at random; none if no class has several.
    pub one_prompt: Option<Spread>,
    /// Class by class.
    pub classes: Vec<Class>,
    /// Counts; row: what it was, column: what it was named.
    pub confusion: Vec<Vec<usize>>,
    /// All pairs of a sample and a class as one ranking.
    pub pooled: Curves,
}

/// A number beside what chance would give.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Number {
    /// What it is.
    pub name: &'static str,
    /// The number.
    pub value: f64,
    /// What random answers would give.
    pub chance: f64,
    /// Where the truth probably is (95 %).
    pub interval: Option<Interval>,
    /// How the interval was found.
    pub basis: Option<Basis>,
}

impl Number {
    /// A number with the interval over groups, if there is one, or else that over samples.
    pub fn new(
        name: &'static str,
        value: f64,
        chance: f64,
        by_groups: Option<Interval>,
        by_samples: Option<Interval>,
    ) -> Self {
        Self {
            name,
            value,
            chance,
            interval: by_groups.or(by_samples),
            basis: match (by_groups, by_samples) {
                (Some(_), _) => Some(Basis::Groups),
                (None, Some(_)) => Some(Basis::Samples),
                (None, None) => None,
            },
        }
    }
}

/// How an interval was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Groups were drawn with replacement.
    Groups,
    /// Wilson's formula, samples taken for independent.
    Samples,
}

/// Some of the classes, over all tables of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassGroup {
    /// Its name.
    pub name: String,
    /// Classes in it.
    pub classes: usize,
    /// Samples of its classes.
    pub samples: usize,
    /// Samples of other classes, of the same data.
    pub others: usize,
    /// People, speakers, places or sequences that its samples are of.
    pub groups: usize,
    /// Top-1 among all classes and among its own; if there are other samples, the sensitivity and the
    /// specificity of all its classes as one.
    pub numbers: Vec<Number>,
}

/// A class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// What it was called in words.
    pub prompts: Vec<String>,
    /// Samples of which it is the class.
    pub samples: usize,
    /// Share of them that were named rightly.
    pub recall: Option<f64>,
    /// Wilson's interval of that share.
    pub interval: Option<Interval>,
    /// Average precision, against all other classes.
    pub average_precision: Option<f64>,
    /// Area under the ROC curve, against all other classes.
    pub auc: Option<f64>,
    /// False alarms, if samples have a duration and there are enough of the class.
    pub false_alarms: Option<FalseAlarms>,
    /// Its curves.
    pub curves: Curves,
}

/// How often something else is taken for a class whose threshold finds [`AT_RECALL`] of its samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FalseAlarms {
    /// Samples of something else that score as high.
    pub count: usize,
    /// All of them, in hours.
    pub hours: f64,
    /// An hour.
    pub per_hour: f64,
    /// Where that probably is (95 %), alarms taken for independent (Poisson).
    pub interval: Interval,
}

/// The share of a class's samples that its threshold finds, where false alarms are counted.
pub const AT_RECALL: f64 = 0.8;

/// How a ranking divides true from false.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Curves {
    /// Share of the false ones and of the true ones above each threshold.
    pub roc: Curve,
    /// Recall and precision at each threshold.
    pub precision_recall: Curve,
}

/// A person, speaker, place or sequence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its samples that are of a class.
    pub samples: usize,
    /// Share of them that were named rightly.
    pub top_1: f64,
    /// Wilson's interval of that share.
    pub interval: Option<Interval>,
    /// Mean over the classes it has samples of.
    pub class_recall: Option<f64>,
}

/// Finding items of one kind with one of another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Retrieval {
    /// What is asked with.
    pub query: String,
    /// What is searched.
    pub item: String,
    /// What counts as found.
    pub truth: &'static str,
    /// Queries that have something to find.
    pub queries: usize,
    /// Items that are searched.
    pub items: usize,
    /// The share of queries that find it, by depth.
    pub at: Vec<AtDepth>,
}

/// Recall at a depth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AtDepth {
    /// Items that are looked at.
    pub k: usize,
    /// Share of the queries with a true one among them.
    pub recall: f64,
    /// The same with items in random order.
    pub chance: f64,
    /// Wilson's interval.
    pub interval: Option<Interval>,
}

/// The probe with some examples a class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FewShot {
    /// Examples a class.
    pub shots: usize,
    /// Share named rightly, over draws.
    pub accuracy: Spread,
    /// Mean number of examples given, of all classes.
    pub taught: f64,
    /// Mean number of samples tested.
    pub tested: f64,
}

/// The space in two dimensions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Map {
    /// Share of the variance along each axis.
    pub variance_shares: [f64; 2],
    /// Samples, of which there may be more than are drawn.
    pub samples: Vec<Point>,
    /// The class vectors, in the order of the classes.
    pub classes: Vec<[f64; 2]>,
    /// Anchors, of which there may be more than are drawn.
    pub anchors: Vec<[f64; 2]>,
}

/// A sample on the map.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// Its name.
    pub name: String,
    /// Its class.
    pub class: Option<usize>,
    /// Where it is.
    pub place: [f64; 2],
}
