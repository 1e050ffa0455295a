//! How many labelled files were named right.

use std::io::{self, Write};

use sensorium_engine::bank::Bank;
use sensorium_engine::encode::Encoder;
use serde_json::json;

/// Names that are looked at beside the best.
const FEW: usize = 5;

/// Counts of one encoder's scores beside labels.
#[derive(Debug, Default)]
pub struct Named {
    /// Scored rows of each class, by its place in the bank, how many of them had it as the best, and how
    /// many among the best few.
    of_class: Vec<[u64; 3]>,
    /// Rows whose label is of no class.
    others: u64,
}

impl Named {
    /// Takes note of the scores of something that somebody labelled.
    pub fn compare(&mut self, label: &str, bank: &Bank, scores: &[f32]) {
        let classes = bank.classes();
        self.of_class.resize(classes.len(), [0; 3]);
        let Some(class) = classes.iter().position(|class| class.is_labelled(label)) else {
            self.others += 1;
            return;
        };
        // Of equals the first is the best, as where one class is named.
        let is_before = |(other, score): (usize, &f32)| {
            *score > scores[class] || (*score == scores[class] && other < class)
        };
        let before = scores[..classes.len()].iter().enumerate();
        let before = before.filter(|&scored| is_before(scored)).count();
        let [rows, best, few] = &mut self.of_class[class];
        *rows += 1;
        *best += u64::from(before == 0);
        *few += u64::from(before < FEW);
    }

    /// Says how many were right, as a line of JSON or for people.
    pub fn summarise(
        &self,
        encoder: &Encoder,
        bank: &Bank,
        as_json: bool,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let sum = |of: usize| self.of_class.iter().map(|counts| counts[of]).sum::<u64>();
        let [rows, best, few] = [sum(0), sum(1), sum(2)];
        let share = |count: u64| count as f64 / rows.max(1) as f64;
        let count = bank.classes().len();
        if as_json {
            let line = json!({
                "labelled": rows,
                "other_labels": self.others,
                "classes": count,
                "top_1": share(best),
                "top_5": share(few),
                "space": encoder.space(),
                "encoder": encoder.name(),
            });
            writeln!(out, "{line}")?;
            return Ok(());
        }
        self.write_classes(encoder, bank, out)?;
        write!(
            out,
            "{}: {best} of {rows} named right ({:.1} %), {few} among the best {FEW} ({:.1} %), by chance {:.1} %",
            encoder.name(),
            100.0 * share(best),
            100.0 * share(few),
            100.0 / count as f64
        )?;
        if self.others > 0 {
            write!(out, "; {} more have a label of no class", self.others)?;
        }
        writeln!(out)?;
        Ok(())
    }

    fn write_classes(
        &self,
        encoder: &Encoder,
        bank: &Bank,
        out: &mut impl Write,
    ) -> io::Result<()> {
        writeln!(out, "{}, by class:", encoder.name())?;
        for (class, [rows, best, _]) in bank.classes().iter().zip(&self.of_class) {
            if *rows > 0 {
                writeln!(out, "  {:18} {best:4} of {rows}", class.name)?;
            }
        }
        Ok(())
    }
}
