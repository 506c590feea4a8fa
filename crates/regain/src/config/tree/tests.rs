use proptest::prelude::*;

use super::{Entry, Format, Node, SyntaxError, Value};

pub(super) fn read(format: Format, text: &str) -> Node {
    match format.read(text) {
        Ok(node) => node,
        Err(errors) => panic!("{}", errors.iter().map(|e| e.reason.as_str()).collect::<Vec<_>>().join("; ")),
    }
}

pub(super) fn errors(format: Format, text: &str) -> Vec<SyntaxError> {
    match format.read(text) {
        Ok(_) => panic!("this was accepted: {text:?}"),
        Err(errors) => errors,
    }
}

pub(super) fn entry<'n>(node: &'n Node, key: &str) -> &'n Entry {
    let Value::Table(entries) = &node.value else { panic!("not a table") };
    entries.iter().find(|entry| entry.key == key).unwrap_or_else(|| panic!("no key {key}"))
}

#[test]
fn toml_values_know_their_line() {
    let tree = read(Format::Toml, "port = 9080\n\n[limits]\n  perAddress = false\nname = \"Zoë\" # ë\n");
    assert_eq!(entry(&tree, "port").line, 1);
    let limits = entry(&tree, "limits");
    assert_eq!(limits.line, 3);
    let per_address = entry(&limits.node, "perAddress");
    assert_eq!((per_address.line, per_address.node.line), (4, 4));
    assert!(matches!(per_address.node.value, Value::Bool(false)));
    assert!(matches!(&entry(&limits.node, "name").node.value, Value::Text(text) if text == "Zoë"));
}

#[test]
fn json_values_know_their_line() {
    let tree = read(Format::Json, "{\n  \"port\": 9080,\n  \"list\": [true,\n \"ë\", null, 1.5]\n}");
    assert_eq!((entry(&tree, "port").line, entry(&tree, "port").node.line), (2, 2));
    let Value::Array(items) = &entry(&tree, "list").node.value else { panic!("not a list") };
    assert!(matches!(items[0].value, Value::Bool(true)));
    assert_eq!((items[0].line, items[2].line), (3, 4));
    let kinds: Vec<_> = items.iter().map(|item| item.value.kind()).collect();
    assert_eq!(kinds, ["true or false", "text", "null", "a number with a fraction or exponent"]);
}

#[test]
fn keys_of_a_toml_file_come_in_the_order_of_the_file() {
    let tree = read(Format::Toml, "b = 1\na = 2\n[d]\n[c]\n");
    let Value::Table(entries) = tree.value else { panic!("not a table") };
    assert_eq!(entries.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["b", "a", "d", "c"]);
}

#[test]
fn a_syntax_error_has_its_line_and_column_and_quotes_nothing() {
    for (format, text, line) in [
        (Format::Toml, "port = 1\nsecret = hunter2\n", 2),
        (Format::Toml, "port = 1\nport = 2\n", 2),
        (Format::Toml, "secret = \"hunter2\n", 1),
        (Format::Json, "{\n \"secret\": hunter2 }", 2),
        (Format::Json, "{ \"a\": 1, }", 1),
        (Format::Json, "{ \"a\": 1 } // hunter2", 1),
        (Format::Json, "{ \"a\": 1,\n \"a\": 2 }", 2),
        (Format::Json, "{ \"x\": { \"a\": 1,\n\n \"a\": 2 } }", 3),
        (Format::Json, "{ \"a\": 'hunter2' }", 1),
        (Format::Json, "", 1),
        (Format::Json, "[]", 1),
    ] {
        let errors = errors(format, text);
        assert_eq!(errors[0].line, line, "{text:?}: {}", errors[0].reason);
        assert!(errors[0].column >= 1);
        assert!(
            !errors[0].reason.is_empty() && !errors[0].reason.contains("hunter2"),
            "{}",
            errors[0].reason
        );
    }
}

#[test]
fn all_syntax_errors_of_a_toml_file_are_reported() {
    let lines: Vec<_> = errors(Format::Toml, "a = \nb = 1\nc = ]\n").iter().map(|error| error.line).collect();
    assert!(lines.contains(&1) && lines.contains(&3), "{lines:?}");
}

#[test]
fn deep_nesting_is_an_error_and_no_overflow() {
    assert!(!errors(Format::Json, &format!("{{\"a\":{}", "[".repeat(100_000))).is_empty());
    assert!(!errors(Format::Toml, &format!("a = {}", "[".repeat(100_000))).is_empty());
    for deep in ["[", "{a: ", "- ", "? ", "{? "] {
        assert!(!errors(Format::Yaml, &format!("a:\n  {}", deep.repeat(100_000))).is_empty());
    }
    let nested = |levels: usize| format!("a: {}{}", "[".repeat(levels), "]".repeat(levels));
    read(Format::Yaml, &nested(63));
    assert!(errors(Format::Yaml, &nested(64))[0].reason.contains("deeper than 64"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,60}|[\\[\\]{}\",:=.\\n a0é#'&*!|>?%-]{0,60}") {
        for format in [Format::Toml, Format::Yaml, Format::Json] {
            if let Err(errors) = format.read(&text) {
                prop_assert!(errors.iter().all(|error| error.line >= 1 && error.column >= 1));
            }
        }
    }

    #[test]
    fn text_in_every_format_is_the_same_text(text in "\\PC{0,40}") {
        let json = format!("{{\"key\": {}}}", serde_json::Value::from(text.as_str()));
        let toml = format!("key = {}", toml::Value::from(text.as_str()));
        // Text in double quotes is written the same way in YAML.
        for tree in [read(Format::Json, &json), read(Format::Toml, &toml), read(Format::Yaml, &json)] {
            let Value::Text(back) = &entry(&tree, "key").node.value else { panic!("not text") };
            prop_assert_eq!(back, &text);
        }
    }
}

#[test]
fn a_column_counts_characters_and_not_bytes() {
    let error = errors(Format::Toml, "a = 1\nb = \"\u{e9}\u{e9}\" x\n").remove(0);
    assert_eq!((error.line, error.column), (2, 10));
}
