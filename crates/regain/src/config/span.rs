//! Times in the configuration: a number of seconds, or a number with its unit (`"90d"`, `"1h"`).

use std::time::Duration;

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// What to write for a time.
pub(super) const EXPECTED: &str = "a number of seconds, or text such as \"90d\", \"1h\", \"15m\" or \"30s\"";

/// Reads `"90d"`, `"1h"`, `"15m"`, `"30s"`, or digits alone as seconds. `None` for anything else.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let unit = UNITS.iter().find(|(letter, _)| text.ends_with(*letter));
    let (digits, seconds) = unit.map_or((text, 1), |(_, seconds)| (&text[..text.len() - 1], *seconds));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

/// Writes a time in the largest unit that divides it, such as `1h`; parts of a second are not shown.
pub(super) fn show(time: Duration) -> String {
    let seconds = time.as_secs();
    let (letter, size) = UNITS.iter().find(|(_, size)| seconds.is_multiple_of(*size)).unwrap_or(&('s', 1));
    format!("{}{letter}", seconds / size)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_in_each_unit() {
        let seconds = |text| parse(text).map(|time| time.as_secs());
        assert_eq!(seconds("90d"), Some(7_776_000));
        assert_eq!(seconds("1h"), Some(3_600));
        assert_eq!(seconds("15m"), Some(900));
        assert_eq!(seconds("30s"), Some(30));
        assert_eq!(seconds("45"), Some(45));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "h", "1 h", " 1h", "+1h", "-1h", "1.5h", "1w", "1H", "1h30m", "1ms", "١h", "é"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("18446744073709551615d"), None);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(seconds in 0..10_000_000_000_u64) {
            let time = Duration::from_secs(seconds);
            prop_assert_eq!(parse(&show(time)), Some(time));
        }

        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,12}") {
            let _ = parse(&text);
        }
    }
}
