//! One table, measured.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sensorium_engine::calibrate::poisson;

use super::measure::{
    AT_RECALL, AtDepth, Class, Curves, FalseAlarms, FewShot, Group, Map, Measures, Number, Options,
    Point, Retrieval, ZeroShot,
};
use super::sum::{Arithmetic, Side, arithmetic};
use crate::metrics::arithmetic::Gallery;
use crate::metrics::interval::{Interval, Spread, bootstrap, wilson};
use crate::metrics::naming::share;
use crate::metrics::projection::Projection;
use crate::metrics::ranking::{Curve, thinned};
use crate::metrics::retrieval::{DEPTHS, chance_at, ranks, recall_at};
use crate::metrics::shots::{Labelled, SHOTS, draws, halves};
use crate::metrics::{Naming, Ranked, Rows, Scores, mean_of_defined};
use crate::table::Table;

/// Samples on the map at most.
const MAP_POINTS: usize = 1200;
/// Corners of a curve at most.
const CURVE_POINTS: usize = 120;
/// Draws of one prompt a class.
const PROMPT_DRAWS: usize = 20;

/// A table made ready.
pub struct Prepared<'a> {
    /// The table.
    pub table: &'a Table,
    /// Its embeddings.
    pub rows: Rows,
    /// Its class vectors.
    pub class_rows: Rows,
    /// Names of the groups, in order of appearance.
    pub group_names: Vec<&'a str>,
    /// The group of each sample.
    pub groups: Vec<usize>,
    /// Samples that are of a class.
    pub known: Vec<usize>,
}

impl<'a> Prepared<'a> {
    /// Prepares a table.
    pub fn new(table: &'a Table) -> Self {
        let mut group_names: Vec<&str> = Vec::new();
        let mut group = |name: &'a String| {
            let place = group_names.iter().position(|known| known == name);
            place.unwrap_or_else(|| {
                group_names.push(name);
                group_names.len() - 1
            })
        };
        let groups = table.groups.iter().map(&mut group).collect();
        let vectors: Vec<f32> = table
            .classes
            .iter()
            .flat_map(|c| c.vector.clone())
            .collect();
        Self {
            table,
            rows: Rows::from_f32(table.dim, &table.embeddings),
            class_rows: Rows::from_f32(table.dim, &vectors),
            group_names,
            groups,
            known: (0..table.len())
                .filter(|&i| table.labels[i].is_some())
                .collect(),
        }
    }

    /// What tells the table from others: its groups, if they are few.
    pub fn part(&self) -> String {
        match &self.group_names[..] {
            [first @ .., _, _] if first.len() > 3 => {
                let more = self.group_names.len() - 3;
                format!("{} and {more} more", first[..3].join(", "))
            }
            few => few.join(", "),
        }
    }

    /// Samples that may be asked with or searched, divided by group.
    pub fn halves(&self, seed: u64) -> (Vec<usize>, Vec<usize>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        halves(self.known.clone(), &self.groups, &mut rng)
    }

    /// The classes of some samples.
    pub fn labels(&self, samples: &[usize]) -> Vec<Vec<usize>> {
        samples.iter().map(|&i| self.table.classes_of(i)).collect()
    }

    /// Measures the table.
    pub fn measure(&self, options: &Options) -> Measures {
        let table = self.table;
        Measures {
            part: self.part(),
            sense: table.sense,
            dim: table.dim,
            samples: table.len(),
            labelled: self.known.len(),
            provenance: table.provenance.clone(),
            zero_shot: self.zero_shot(options),
            groups: self.groups(),
            retrieval: self.retrieval(),
            few_shot: self.few_shot(options),
            arithmetic: self.arithmetic(options),
            training: table.training.clone(),
            map: self.map(),
        }
    }

    fn names_words(&self) -> bool {
        !self.table.classes.is_empty() && !self.known.is_empty()
    }

    /// The cosines of the samples that are of a class to all classes.
    fn scores(&self) -> Scores {
        self.rows.select(&self.known).cosines(&self.class_rows)
    }

    fn label(&self, known: usize) -> usize {
        self.table.labels[self.known[known]].unwrap_or_default()
    }

    fn naming(&self, scores: &Scores, places: &[usize]) -> Naming {
        let truth = places.iter().map(|&i| self.label(i)).collect();
        let named = places.iter().filter_map(|&i| scores.best(i)).collect();
        Naming::new(self.table.classes.len(), truth, named)
    }

    fn zero_shot(&self, options: &Options) -> Option<ZeroShot> {
        if !self.names_words() {
            return None;
        }
        let scores = self.scores();
        let (n, classes) = (scores.len(), scores.columns());
        let ones = vec![1.0; n];
        let truths = self.labels(&self.known);
        let hits = |k| -> Vec<bool> {
            (0..n)
                .map(|i| scores.is_among_top(i, k, &truths[i]))
                .collect()
        };
        let (top_1, top_5) = (hits(1), hits(5));
        let naming = self.naming(&scores, &(0..n).collect::<Vec<_>>());
        let is_class = |class| -> Vec<bool> { truths.iter().map(|t| t.contains(&class)).collect() };
        let ranked: Vec<(Ranked, Vec<bool>)> = (0..classes)
            .map(|class| (Ranked::new(&scores.column(class)), is_class(class)))
            .collect();
        let statistics = |weights: &[f64]| -> [Option<f64>; 5] {
            let thresholds = ranked.iter().map(|(r, truth)| r.thresholds(truth, weights));
            let (precision, auc): (Vec<_>, Vec<_>) =
                thresholds.map(|t| (t.average_precision(), t.auc())).unzip();
            [
                share(&top_1, weights),
                share(&top_5, weights),
                naming.class_recall(weights),
                mean_of_defined(precision),
                mean_of_defined(auc),
            ]
        };
        let groups: Vec<usize> = self.known.iter().map(|&i| self.groups[i]).collect();
        let (groups, group_count) = renumbered(&groups);
        let intervals = bootstrap(
            &groups,
            group_count,
            options.resamples,
            options.seed,
            statistics,
        );
        let mean = |of: &dyn Fn(&Vec<usize>) -> f64| truths.iter().map(of).sum::<f64>() / n as f64;
        let prevalence = ranked.iter().map(|(_, truth)| share(truth, &ones));
        let chances = [
            mean(&|t| chance_at(classes, t.len(), 1)),
            mean(&|t| chance_at(classes, t.len(), 5)),
            1.0 / classes as f64,
            mean_of_defined(prevalence.filter(|share| *share > Some(0.0))).unwrap_or(0.0),
            0.5,
        ];
        let names = ["top-1", "top-5", "mean class recall", "mAP", "AUC"];
        let values = statistics(&ones);
        let numbers = (0..names.len()).filter_map(|i| {
            let value = values[i]?;
            // The formula is for shares of samples; the others have none without groups.
            let by_samples = (i < 2)
                .then(|| wilson(value * n as f64, n as f64))
                .flatten();
            Some(Number::new(
                names[i],
                value,
                chances[i],
                intervals[i],
                by_samples,
            ))
        });
        // With five classes or fewer, all are among the top five.
        let numbers = numbers.filter(|number| number.name != "top-5" || classes > 5);
        let confusion = naming.confusion();
        let recalls = naming.recalls(&ones);
        let all_scores = self.rows.cosines(&self.class_rows);
        let class = |(i, (ranked, truth)): (usize, &(Ranked, Vec<bool>))| {
            let thresholds = ranked.thresholds(truth, &ones);
            let samples: usize = confusion[i].iter().sum();
            Class {
                name: self.table.classes[i].name.clone(),
                prompts: self.table.classes[i].prompts.clone(),
                samples,
                recall: recalls[i],
                interval: wilson(confusion[i][i] as f64, samples as f64),
                average_precision: thresholds.average_precision(),
                auc: thresholds.auc(),
                false_alarms: self.false_alarms(i, &all_scores.column(i)),
                curves: curves(ranked, truth),
            }
        };
        let pooled_truth: Vec<bool> = (0..n)
            .flat_map(|i| (0..classes).map(move |class| (i, class)))
            .map(|(i, class)| truths[i].contains(&class))
            .collect();
        let pooled_scores: Vec<f64> = (0..n).flat_map(|i| scores.row(i).to_vec()).collect();
        let counts = confusion.iter().map(|row| row.iter().sum::<usize>());
        Some(ZeroShot {
            numbers: numbers.collect(),
            commonest: counts.max().unwrap_or(0) as f64 / n as f64,
            same_vectors: self.same_vectors(),
            one_prompt: self.one_prompt(options),
            classes: ranked.iter().enumerate().map(class).collect(),
            pooled: curves(&Ranked::new(&pooled_scores), &pooled_truth),
            confusion,
        })
    }

    /// How often samples of something else, those of no class among them, are taken for a class; `scores` are
    /// all samples' with it.
    fn false_alarms(&self, class: usize, scores: &[f64]) -> Option<FalseAlarms> {
        let table = self.table;
        if table.seconds.is_empty() {
            return None;
        }
        let (own, others): (Vec<usize>, Vec<usize>) =
            (0..table.len()).partition(|&i| table.classes_of(i).contains(&class));
        let mut own: Vec<f64> = own.iter().map(|&i| scores[i]).collect();
        own.sort_by(|a, b| b.total_cmp(a));
        let found = (own.len() as f64 * AT_RECALL).ceil() as usize;
        let threshold = *own.get(found.checked_sub(1)?)?;
        let count = others.iter().filter(|&&i| scores[i] >= threshold).count();
        let hours = others.iter().map(|&i| table.seconds[i]).sum::<f64>() / 3600.0;
        let (low, high) = poisson::interval(count as u64);
        (hours > 0.0).then(|| FalseAlarms {
            count,
            hours,
            per_hour: count as f64 / hours,
            interval: Interval {
                low: low / hours,
                high: high / hours,
            },
        })
    }

    fn same_vectors(&self) -> Vec<[usize; 2]> {
        let cosines = self.class_rows.cosines(&self.class_rows);
        let pairs = (0..cosines.len()).flat_map(|a| (0..a).map(move |b| [b, a]));
        // Equal but for the rounding of 32 bits.
        pairs
            .filter(|&[a, b]| cosines.row(a)[b] > 1.0 - 1e-6)
            .collect()
    }

    /// Top-1 with one prompt a class instead of the mean over all, several times.
    fn one_prompt(&self, options: &Options) -> Option<Spread> {
        let (table, dim) = (self.table, self.table.dim);
        let is_known = |class: &crate::table::Class| !class.prompt_vectors.is_empty();
        if !table.classes.iter().all(is_known) || table.classes.iter().all(|c| c.prompts.len() < 2)
        {
            return None;
        }
        let samples = self.rows.select(&self.known);
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let mut draw = |_| {
            let drawn: Vec<f32> = table
                .classes
                .iter()
                .flat_map(|class| {
                    let prompt = rng.random_range(0..class.prompts.len());
                    class.prompt_vectors[prompt * dim..][..dim].to_vec()
                })
                .collect();
            let scores = samples.cosines(&Rows::from_f32(dim, &drawn));
            let truths = self.labels(&self.known);
            let hits: Vec<bool> = (0..scores.len())
                .map(|i| scores.is_among_top(i, 1, &truths[i]))
                .collect();
            share(&hits, &vec![1.0; hits.len()])
        };
        let shares: Vec<f64> = (0..PROMPT_DRAWS).filter_map(&mut draw).collect();
        Spread::of(&shares)
    }

    fn groups(&self) -> Vec<Group> {
        if !self.names_words() {
            return Vec::new();
        }
        let scores = self.scores();
        let group = |(number, name): (usize, &&str)| {
            let places: Vec<usize> = (0..self.known.len())
                .filter(|&i| self.groups[self.known[i]] == number)
                .collect();
            let hit =
                |&&i: &&usize| scores.is_among_top(i, 1, &self.table.classes_of(self.known[i]));
            let (right, all) = (places.iter().filter(hit).count(), places.len());
            let naming = self.naming(&scores, &places);
            (all > 0).then(|| Group {
                name: (*name).to_owned(),
                samples: all,
                top_1: right as f64 / all as f64,
                interval: wilson(right as f64, all as f64),
                class_recall: naming.class_recall(&vec![1.0; all]),
            })
        };
        self.group_names
            .iter()
            .enumerate()
            .filter_map(group)
            .collect()
    }

    fn retrieval(&self) -> Vec<Retrieval> {
        let table = self.table;
        let samples = format!("{} samples", table.sense);
        let mut found = Vec::new();
        if let Some(anchors) = &table.anchors {
            let items = format!("{} anchors", anchors.sense);
            let rows = Rows::from_f32(table.dim, &anchors.rows);
            let scores = self.rows.cosines(&rows);
            let mut add = |truth, is_true: &dyn Fn(usize, usize) -> bool| {
                found.extend(both_ways(&samples, &items, truth, &scores, is_true));
            };
            add("the paired one", &|i, anchor| anchors.of[i] == anchor);
            let same_class = |i: usize, anchor: usize| {
                let class = anchors.labels[anchor];
                class.is_some_and(|class| table.classes_of(i).contains(&class))
            };
            add("one of the same class", &same_class);
        }
        if self.names_words() {
            let is_class =
                |i: usize, class: usize| table.classes_of(self.known[i]).contains(&class);
            let truth = "one of the same class";
            found.extend(both_ways(
                &samples,
                "class words",
                truth,
                &self.scores(),
                &is_class,
            ));
        }
        found
    }

    fn few_shot(&self, options: &Options) -> Vec<FewShot> {
        let labelled = Labelled {
            rows: &self.rows,
            classes: &self.table.labels,
            groups: &self.groups,
        };
        let classes = self.table.classes.len();
        let row = |&shots: &usize| {
            let draws = draws(&labelled, classes, shots, options.draws, options.seed);
            let mean = |of: &dyn Fn(usize) -> usize| {
                (0..draws.len()).map(of).sum::<usize>() as f64 / draws.len() as f64
            };
            let shares: Vec<f64> = draws.iter().map(|draw| draw.accuracy).collect();
            Some(FewShot {
                shots,
                accuracy: Spread::of(&shares)?,
                taught: mean(&|i| draws[i].taught),
                tested: mean(&|i| draws[i].tested),
            })
        };
        let mut rows: Vec<FewShot> = SHOTS.iter().filter_map(row).collect();
        // More shots than any class has are the same shots again.
        rows.dedup_by(|later, earlier| later.taught == earlier.taught);
        rows
    }

    fn arithmetic(&self, options: &Options) -> Option<Arithmetic> {
        let table = self.table;
        let (asking, searched) = self.halves(options.seed);
        let a = self.side(&asking);
        let rows = self.rows.select(&searched);
        let labels = self.labels(&searched);
        let gallery = Gallery {
            rows: &rows,
            labels: &labels,
        };
        let anchor_rows;
        let b = match &table.anchors {
            Some(anchors) if anchors.labels.iter().any(Option::is_some) => {
                anchor_rows = Rows::from_f32(table.dim, &anchors.rows);
                // None that is paired with a sample of the gallery: it would find its own.
                let mut is_free = vec![true; anchors.labels.len()];
                searched
                    .iter()
                    .for_each(|&sample| is_free[anchors.of[sample]] = false);
                let labels = anchors.labels.iter().enumerate();
                let free = labels.filter(|(row, _)| is_free[*row]);
                Side {
                    name: format!("{} anchor", anchors.sense),
                    rows: &anchor_rows,
                    labels: free
                        .filter_map(|(row, label)| Some((row, (*label)?)))
                        .collect(),
                }
            }
            _ => Side {
                name: "class words".to_owned(),
                rows: &self.class_rows,
                labels: (0..table.classes.len())
                    .map(|class| (class, class))
                    .collect(),
            },
        };
        let items = format!("{} samples", table.sense);
        arithmetic(&a, &b, gallery, &items, options.seed)
    }

    /// Some samples as parts of sums: those of one class only.
    pub fn side(&self, samples: &[usize]) -> Side<'_> {
        let one = |&sample: &usize| match self.table.classes_of(sample)[..] {
            [class] => Some((sample, class)),
            _ => None,
        };
        Side {
            name: format!("{} sample", self.table.sense),
            rows: &self.rows,
            labels: samples.iter().filter_map(one).collect(),
        }
    }

    fn map(&self) -> Option<Map> {
        let table = self.table;
        let shown = spaced(table.len(), MAP_POINTS);
        let rows: Vec<&[f64]> = shown.iter().map(|&i| self.rows.row(i)).collect();
        let projection = Projection::fit(&rows)?;
        let point = |&i: &usize| Point {
            name: table.names[i].clone(),
            class: table.labels[i],
            place: projection.place(self.rows.row(i)),
        };
        let anchors = table.anchors.iter().flat_map(|anchors| {
            let rows = Rows::from_f32(table.dim, &anchors.rows);
            projection.places(&rows.select(&spaced(rows.len(), MAP_POINTS / 4)))
        });
        Some(Map {
            variance_shares: projection.variance_shares,
            samples: shown.iter().map(point).collect(),
            classes: projection.places(&self.class_rows),
            anchors: anchors.collect(),
        })
    }
}

/// At most `most` of `count` places, evenly spaced.
fn spaced(count: usize, most: usize) -> Vec<usize> {
    let shown = count.min(most);
    (0..shown).map(|i| i * count / shown).collect()
}

/// Groups numbered without gaps, and how many there are.
fn renumbered(groups: &[usize]) -> (Vec<usize>, usize) {
    let mut present = groups.to_vec();
    present.sort_unstable();
    present.dedup();
    let place = |group| present.binary_search(group).unwrap_or_default();
    (groups.iter().map(place).collect(), present.len())
}

fn curves(ranked: &Ranked, truth: &[bool]) -> Curves {
    let thresholds = ranked.thresholds(truth, &vec![1.0; truth.len()]);
    let thin = |curve: Option<Curve>| thinned(&curve.unwrap_or_default(), CURVE_POINTS);
    Curves {
        roc: thin(thresholds.roc()),
        precision_recall: thin(thresholds.precision_recall()),
    }
}

fn both_ways(
    queries: &str,
    items: &str,
    truth: &'static str,
    scores: &Scores,
    is_true: &dyn Fn(usize, usize) -> bool,
) -> Vec<Retrieval> {
    let one_way =
        |query: &str, item: &str, scores: &Scores, is_true: &dyn Fn(usize, usize) -> bool| {
            let ranks = ranks(scores, is_true);
            let (asked, items) = (ranks.iter().flatten().count(), scores.columns());
            let truths: Vec<usize> = (0..scores.len())
                .map(|query| (0..items).filter(|&item| is_true(query, item)).count())
                .filter(|&truths| truths > 0)
                .collect();
            let at = |&k: &usize| {
                let recall = recall_at(&ranks, k)?;
                let chance: f64 = truths.iter().map(|&t| chance_at(items, t, k)).sum();
                Some(AtDepth {
                    k,
                    recall,
                    chance: chance / asked as f64,
                    interval: wilson(recall * asked as f64, asked as f64),
                })
            };
            let at = DEPTHS.iter().map(at).collect::<Option<Vec<_>>>()?;
            Some(Retrieval {
                query: query.to_owned(),
                item: item.to_owned(),
                truth,
                queries: asked,
                items,
                at,
            })
        };
    let there = one_way(queries, items, scores, is_true);
    let back = one_way(items, queries, &scores.transposed(), &|item, query| {
        is_true(query, item)
    });
    there.into_iter().chain(back).collect()
}
