//! How near a small tower is to its teacher, on texts that it never saw.

use sensorium_core::bank::normalize;
use sensorium_kernels::dot_f32;
use serde::{Deserialize, Serialize};

/// Names that are chosen among.
pub const CHOICES: usize = 1000;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Nearness {
    /// Texts.
    pub texts: usize,
    /// Mean cosine to the teacher's embedding of the same text.
    pub cosine: f64,
    /// Of ten texts, nine have at least this cosine.
    pub cosine_of_nine_in_ten: f64,
    /// Mean cosine when the mean over these texts is subtracted on either side.
    pub cosine_centred: f64,
    /// Names that are chosen among.
    pub choices: usize,
    /// Share of phrases for which both choose the same name, each by its own embeddings,
    /// centred.
    pub same_choice: f64,
    /// Share of phrases, as the teacher embeds them, for which the small tower's names lead
    /// to the same choice as the teacher's: a frozen encoder bound to the teacher meets typed names.
    pub same_choice_of_names: f64,
    /// Share of names whose own embedding by the teacher is nearest to the small tower's.
    pub same_name: f64,
}

/// Embeddings of texts by both towers, in the same order, each of length 1.
#[derive(Debug, Clone, Copy)]
pub struct Both<'a> {
    /// The small tower's.
    pub student: &'a [Vec<f32>],
    /// The large one's.
    pub teacher: &'a [Vec<f32>],
}

impl<'a> Both<'a> {
    /// The small tower's, then the large one's.
    pub fn of((student, teacher): &'a (Vec<Vec<f32>>, Vec<Vec<f32>>)) -> Self {
        Self { student, teacher }
    }

    fn cosines(&self) -> Vec<f64> {
        let pairs = self.student.iter().zip(self.teacher);
        pairs.map(|(a, b)| f64::from(dot_f32(a, b))).collect()
    }
}

/// Compares two towers by phrases and names.
///
/// # Panics
///
/// If either list is empty.
pub fn nearness(phrases: Both<'_>, names: Both<'_>) -> Nearness {
    let mut cosines = phrases.cosines();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let cosine = mean(&cosines);
    cosines.sort_by(f64::total_cmp);
    let centres = [phrases.student, phrases.teacher].map(centre);
    let [student, teacher] = [
        centred(phrases.student, &centres[0]),
        centred(phrases.teacher, &centres[1]),
    ];
    let choices = names.student.len().min(CHOICES);
    // Names are centred as classes are in a pack: by what the teacher says texts have in common.
    let [typed, known] =
        [names.student, names.teacher].map(|rows| centred(&rows[..choices], &centres[1]));
    let by_teacher = chosen(&teacher, &known);
    let share = |chosen: &[usize], expected: &[usize]| {
        let same = chosen.iter().zip(expected).filter(|(a, b)| a == b).count();
        same as f64 / expected.len() as f64
    };
    let own: Vec<usize> = (0..choices).collect();
    Nearness {
        texts: phrases.student.len(),
        cosine,
        cosine_of_nine_in_ten: cosines[cosines.len() / 10],
        cosine_centred: mean(
            &Both {
                student: &student,
                teacher: &teacher,
            }
            .cosines(),
        ),
        choices,
        same_choice: share(&chosen(&student, &typed), &by_teacher),
        same_choice_of_names: share(&chosen(&teacher, &typed), &by_teacher),
        same_name: share(&chosen(&typed, &known), &own),
    }
}

fn centre(rows: &[Vec<f32>]) -> Vec<f32> {
    let mut sums = vec![0.0f64; rows[0].len()];
    for row in rows {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += f64::from(*value);
        }
    }
    sums.iter()
        .map(|sum| (sum / rows.len() as f64) as f32)
        .collect()
}

fn centred(rows: &[Vec<f32>], centre: &[f32]) -> Vec<Vec<f32>> {
    let centred = rows.iter().map(|row| {
        let mut row: Vec<f32> = row
            .iter()
            .zip(centre)
            .map(|(value, mean)| value - mean)
            .collect();
        normalize(&mut row);
        row
    });
    centred.collect()
}

/// The nearest of `names` to each row.
fn chosen(rows: &[Vec<f32>], names: &[Vec<f32>]) -> Vec<usize> {
    let nearest = |row: &Vec<f32>| {
        let cosines = names.iter().map(|name| dot_f32(row, name)).enumerate();
        cosines
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map_or(0, |(at, _)| at)
    };
    rows.iter().map(nearest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: &[[f32; 3]]) -> Vec<Vec<f32>> {
        let unit = of.iter().map(|row| {
            let mut row = row.to_vec();
            normalize(&mut row);
            row
        });
        unit.collect()
    }

    #[test]
    fn a_copy_is_its_teacher_and_another_is_not() {
        let teacher = rows(&[
            [1.0, 0.1, 0.3],
            [0.0, 1.0, 0.2],
            [0.1, 0.2, 1.0],
            [-0.5, 0.4, 0.1],
        ]);
        let both = Both {
            student: &teacher,
            teacher: &teacher,
        };
        let copy = nearness(both, both);
        assert!((copy.cosine - 1.0).abs() < 1e-6 && (copy.cosine_centred - 1.0).abs() < 1e-6);
        assert_eq!((copy.texts, copy.choices), (4, 4));
        assert_eq!(
            [copy.same_choice, copy.same_choice_of_names, copy.same_name],
            [1.0; 3]
        );
        // Two rows changed places: both are wrong, the other two right.
        let mut student = teacher.clone();
        student.swap(0, 1);
        let swapped = Both {
            student: &student,
            teacher: &teacher,
        };
        let other = nearness(both, swapped);
        assert_eq!([other.same_choice_of_names, other.same_name], [0.5, 0.5]);
        assert!((other.cosine - 1.0).abs() < 1e-6);
        assert!(nearness(swapped, both).cosine < 0.8);
    }
}
