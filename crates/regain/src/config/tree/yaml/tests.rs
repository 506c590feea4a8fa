use super::super::tests::{entry, errors as errors_in, read as read_in};
use super::super::{Format, Node, SyntaxError, Value};

fn read(text: &str) -> Node {
    read_in(Format::Yaml, text)
}

fn errors(text: &str) -> Vec<SyntaxError> {
    errors_in(Format::Yaml, text)
}

#[test]
fn yaml_values_know_their_line() {
    let tree = read(
        "---\nport: 9080\n\nlimits:\n  perAddress: false # ë\nlist:\n- true\n-\n  a: ë\n- null\n- |\n  x\n",
    );
    assert_eq!((entry(&tree, "port").line, entry(&tree, "port").node.line), (2, 2));
    let limits = entry(&tree, "limits");
    assert_eq!((limits.line, entry(&limits.node, "perAddress").line), (4, 5));
    let Value::Array(items) = &entry(&tree, "list").node.value else { panic!("not a list") };
    assert_eq!(items.iter().map(|item| item.line).collect::<Vec<_>>(), [7, 9, 10, 12]);
    let kinds: Vec<_> = items.iter().map(|item| item.value.kind()).collect();
    assert_eq!(kinds, ["true or false", "a table", "null", "text"]);
}

#[test]
fn plain_yaml_values_mean_what_the_core_schema_says() {
    let kind = |text: &str| {
        let tree = read(&format!("key: {text}\n"));
        match &entry(&tree, "key").node.value {
            Value::Text(text) => format!("text {text}"),
            Value::Integer(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            other => other.kind().to_owned(),
        }
    };
    for text in [
        "no",
        "Yes",
        "on",
        "OFF",
        "y",
        "n",
        "1_000",
        "1:30:00",
        "2001-12-14",
        "127.0.0.1",
        "::1",
        "1h",
        "0x",
        "0b1",
        "0o8",
        "+",
        ".",
        "e5",
        "1e",
        "1e+",
        "TRUe",
        "nULL",
        "=",
        "<<",
        "NaN",
        "inf",
    ] {
        assert_eq!(kind(text), format!("text {text}"));
    }
    for (text, number) in [("0", "0"), ("-5", "-5"), ("+5", "5"), ("0x1F", "31"), ("0o17", "15")] {
        assert_eq!(kind(text), number);
    }
    for (yes, no) in [("true", "false"), ("True", "False"), ("TRUE", "FALSE")] {
        assert_eq!((kind(yes).as_str(), kind(no).as_str()), ("true", "false"));
    }
    for (text, other) in [
        ("", "empty"),
        ("# a comment", "empty"),
        ("~", "null"),
        ("Null", "null"),
        ("010", "a number with a leading zero"),
        ("99999999999999999999", "a number that large"),
        ("0xffffffffffffffff", "a number that large"),
        ("1.5", "a number with a fraction or exponent"),
        (".5", "a number with a fraction or exponent"),
        ("-1.", "a number with a fraction or exponent"),
        ("1e5", "a number with a fraction or exponent"),
        ("1.5E-3", "a number with a fraction or exponent"),
        ("-.inf", "infinity"),
        (".nan", "no number"),
    ] {
        assert_eq!(kind(text), other, "{text}");
    }
    for quoted in ["\"true\"", "'true'"] {
        assert_eq!(kind(quoted), "text true");
    }
}

#[test]
fn yaml_that_is_no_configuration_is_refused_where_it_stands() {
    for (text, line, reason) in [
        ("a: 1\nb: &x 2\n", 2, "anchors"),
        ("a: &x 1\nb: *x\n", 1, "anchors"),
        ("a: 1\n\nb: *hunter2\n", 3, "aliases"),
        ("a: 1\nb: !!str 2\n", 2, "tags"),
        ("!x\na: 1\n", 1, "tags"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: 1\n...\n---\n", 3, "second document"),
        ("a: 1\nb: 2\na: 3\n", 3, "stands twice"),
        ("x:\n  a: 1\n  \"a\": 2\n", 3, "stands twice"),
        ("{a: 1,\n a: 2}", 2, "stands twice"),
        ("a: 1\n? [b]\n: 2\n", 2, "a key must be"),
        ("- a\n", 1, "must hold keys"),
        ("\nhunter2\n", 2, "must hold keys"),
        ("null\n", 1, "must hold keys"),
        ("a: \"Sender Name\" hunter2\n", 1, "single quotes"),
        ("a: 1\nb: %TOKEN%\n", 2, "needs quotes"),
        ("a: 1\nb: `hunter2`\n", 2, "needs quotes"),
        ("a:\n\tb: hunter2\n", 2, "tabs"),
        ("a: 'hunter2", 1, "quoted scalar"),
        ("a: hunter2: 1", 1, "mapping values"),
    ] {
        let error = errors(text).remove(0);
        assert_eq!(error.line, line, "{text:?}: {}", error.reason);
        assert!(error.reason.contains(reason), "{text:?}: {}", error.reason);
        assert!(!error.reason.contains("hunter2"), "{}", error.reason);
    }
}

#[test]
fn all_that_is_refused_in_a_yaml_file_is_reported() {
    let text = "a: &x 1\nb: *x\nc: !y 2\na: 3\n? {}\n: 4\n";
    let lines: Vec<_> = errors(text).iter().map(|error| error.line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5]);
}

#[test]
fn a_yaml_file_without_content_is_empty() {
    for text in ["", "\n", "# nothing yet\n", "---\n", "---\n# nothing yet\n...\n", "%YAML 1.2\n---\n"] {
        assert!(matches!(read(text).value, Value::Table(entries) if entries.is_empty()), "{text:?}");
    }
}

#[test]
fn text_in_yaml_blocks_keeps_its_lines() {
    let tree = read("a: |\n  <p>\n    %TOKEN%\n\n  # x\nb: >-\n  one\n  two\nc: |-\r\n  x\r\n  y\r\n");
    let text = |key| match &entry(&tree, key).node.value {
        Value::Text(text) => text.as_str(),
        other => panic!("{}", other.kind()),
    };
    assert_eq!((text("a"), text("b"), text("c")), ("<p>\n  %TOKEN%\n\n# x\n", "one two", "x\ny"));
}

#[test]
fn a_billion_laughs_are_refused_at_once() {
    let mut text = "a0: &a0 [lol, lol]\n".to_owned();
    for level in 1..40 {
        text.push_str(&format!("a{level}: &a{level} [{}]\n", format!("*a{},", level - 1).repeat(9)));
    }
    assert_eq!(errors(&text).len(), 40 + 39 * 9);
}
