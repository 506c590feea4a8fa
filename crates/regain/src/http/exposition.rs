//! Numbers in the text format of Prometheus (version 0.0.4). What is written here is ours: no name and no label comes from
//! outside, so nothing is escaped.

use std::fmt::{Display, Write};

/// A text that grows metric by metric.
#[derive(Default)]
pub(super) struct Exposition {
    text: String,
}

/// One metric, to which samples are added.
pub(super) struct Metric<'e> {
    text: &'e mut String,
    name: &'static str,
}

impl Exposition {
    /// A value that goes up and down.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Metric<'_> {
        self.metric(name, "gauge", help)
    }

    /// A value that only grows, from the start of the process on. Its name ends in `_total`.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Metric<'_> {
        self.metric(name, "counter", help)
    }

    /// Observations by size: pairs of an upper bound and how many were within it but not within the one before; how many
    /// there were in all, and their sum.
    pub(super) fn histogram(
        &mut self,
        name: &'static str,
        help: &str,
        buckets: impl IntoIterator<Item = (f64, u64)>,
        count: u64,
        sum: f64,
    ) {
        let metric = self.metric(name, "histogram", help);
        let mut within = 0;
        for (bound, more) in buckets {
            within += more;
            line(metric.text, format_args!("{name}_bucket{{le=\"{bound}\"}}"), &within);
        }
        // Counted one after the other while letters go out: never less in all than within the last bound.
        let count = count.max(within);
        line(metric.text, format_args!("{name}_bucket{{le=\"+Inf\"}}"), &count);
        line(metric.text, format_args!("{name}_sum"), &sum);
        line(metric.text, format_args!("{name}_count"), &count);
    }

    /// All of it.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn metric(&mut self, name: &'static str, kind: &str, help: &str) -> Metric<'_> {
        // Writing into a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Metric { text: &mut self.text, name }
    }
}

impl Metric<'_> {
    /// Its only sample.
    pub(super) fn is(self, value: impl Display) {
        line(self.text, format_args!("{}", self.name), &value);
    }

    /// One of its samples, told apart by labels.
    pub(super) fn with<const N: usize>(self, labels: [(&str, &str); N], value: impl Display) -> Self {
        let labels = labels.map(|(name, value)| format!("{name}=\"{value}\"")).join(",");
        line(self.text, format_args!("{}{{{labels}}}", self.name), &value);
        self
    }
}

fn line(text: &mut String, name: impl Display, value: &dyn Display) {
    // As above.
    let _ = writeln!(text, "{name} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_help_type_and_samples() {
        let mut all = Exposition::default();
        all.gauge("a", "One.").is(7);
        all.counter("b_total", "Two.").with([("x", "y")], 1).with([("x", "z"), ("v", "w")], 2);
        all.histogram("c", "Three.", [(0.5, 1), (1.0, 2)], 4, 9.25);
        assert_eq!(
            all.finish(),
            "# HELP a One.\n# TYPE a gauge\na 7\n\
             # HELP b_total Two.\n# TYPE b_total counter\nb_total{x=\"y\"} 1\nb_total{x=\"z\",v=\"w\"} 2\n\
             # HELP c Three.\n# TYPE c histogram\nc_bucket{le=\"0.5\"} 1\nc_bucket{le=\"1\"} 3\nc_bucket{le=\"+Inf\"} 4\n\
             c_sum 9.25\nc_count 4\n"
        );
    }
}
