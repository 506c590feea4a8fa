//! Figures of several rounds, as medians and as ratios within each round.

use std::fmt;

/// One column for each thing compared, one row a round.
pub(crate) struct Table {
    unit: &'static str,
    names: Vec<&'static str>,
    rounds: Vec<Vec<f64>>,
}

impl Table {
    pub(crate) fn new(unit: &'static str, names: impl IntoIterator<Item = &'static str>) -> Self {
        Self { unit, names: names.into_iter().collect(), rounds: Vec::new() }
    }

    pub(crate) fn add(&mut self, round: Vec<f64>) {
        self.rounds.push(round);
    }

    /// What the rates are compared with: the first, and the last where that is not all there is.
    fn bases(&self) -> Vec<usize> {
        let last = self.names.len() - 1;
        if last > 1 { vec![0, last] } else { vec![0] }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bases = self.bases();
        write!(f, "| | {} |", self.unit)?;
        for base in &bases {
            write!(f, " × {} |", self.names[*base])?;
        }
        writeln!(f, "\n|---|---|{}", "---|".repeat(bases.len()))?;
        for (i, name) in self.names.iter().enumerate() {
            let figures = Spread::of(self.rounds.iter().map(|round| round[i]));
            write!(f, "| {name} | {} |", figures.with_digits(if figures.median < 1000.0 { 1 } else { 0 }))?;
            for base in &bases {
                let ratios = Spread::of(self.rounds.iter().map(|round| round[i] / round[*base]));
                write!(f, " {} |", ratios.with_digits(2))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The median and the two ends.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        Self { median: values[values.len() / 2], least: values[0], most: values[values.len() - 1] }
    }

    fn with_digits(&self, digits: usize) -> String {
        format!("{:.digits$} [{:.digits$}–{:.digits$}]", self.median, self.least, self.most)
    }
}
