//! Points in time as operators write them: `2026-11-20`, `2026-11-20T08:00:00Z`, or `1h` for an hour ago.

use std::time::Duration;

use regain_core::Timestamp;

const UNITS: [(char, u64); 5] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400), ('w', 604_800)];

/// What was written; what it means depends on when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Then.
    At(Timestamp),
    /// So long ago.
    Ago(Duration),
}

impl When {
    /// Reads it; the error reads on after the value.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        ago(text).map(Self::Ago).or_else(|| at(text).map(Self::At)).ok_or(
            "is no time: write 30m, 1h, 7d or 2w for so long ago, 2026-11-20 (in UTC) or 2026-11-20T08:00:00Z",
        )
    }

    /// The point in time that it means now.
    pub(super) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(time) => now.minus(time),
        }
    }
}

fn ago(text: &str) -> Option<Duration> {
    let (_, seconds) = UNITS.iter().find(|(unit, _)| text.ends_with(*unit))?;
    let digits = &text[..text.len() - 1];
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse::<u64>().ok()?.checked_mul(*seconds).map(Duration::from_secs)).flatten()
}

fn at(text: &str) -> Option<Timestamp> {
    let whole = if text.len() == "2026-11-20".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let time: jiff::Timestamp = whole.parse().ok()?;
    Some(Timestamp::from_millis(time.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_point_or_so_long_ago() {
        let now = Timestamp::from_millis(1_795_000_000_000);
        let means = |text| When::parse(text).map(|when| when.before(now).as_millis());
        assert_eq!(means("1h"), Ok(1_795_000_000_000 - 3_600_000));
        assert_eq!(means("2w"), Ok(1_795_000_000_000 - 14 * 86_400_000));
        assert_eq!(means("2026-11-18"), Ok(1_794_960_000_000));
        assert_eq!(means("2026-11-18T11:06:40Z"), Ok(1_795_000_000_000));
        assert_eq!(means("2026-11-18T12:06:40.5+01:00"), Ok(1_795_000_000_500));
        for text in
            ["", "h", "1", "-1h", "1.5h", "1 h", "é", "yesterday", "2026-13-01", "2026-11-18T11:06:40", "1y"]
        {
            assert!(When::parse(text).is_err(), "{text}");
        }
    }
}
