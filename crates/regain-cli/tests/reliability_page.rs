//! `docs/reliability.md` names the test of each fault; here it is held against the files.
#![expect(clippy::expect_used, reason = "a panic is a failed test")]

use std::fs;
use std::path::Path;

/// The links of a line, each with what is named behind it: words of a test in quotes, functions in backticks.
fn named(line: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    line.split("](").skip(1).map(|part| {
        let (path, rest) = part.split_once(')').expect("a link ends");
        let rest = rest.split('[').next().expect("a first part");
        let quoted = rest.split('"').skip(1).step_by(2);
        let functions = rest.split('`').skip(1).step_by(2);
        (path, quoted.chain(functions).collect())
    })
}

#[test]
fn every_test_that_the_page_on_reliability_names_is_there() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let page = fs::read_to_string(docs.join("reliability.md")).expect("the page");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| R-")).collect();
    assert_eq!(rows.len(), 40);
    let mut missing = Vec::new();
    for (number, row) in (1..).zip(&rows) {
        assert!(row.starts_with(&format!("| R-{number:02} |")), "{row}");
        let has_test = named(row).any(|(_, names)| !names.is_empty());
        assert!(has_test, "nobody plays {row}");
    }
    for (path, names) in page.lines().filter(|line| line.contains("](../")).flat_map(named) {
        let text = fs::read_to_string(docs.join(path)).unwrap_or_default();
        if text.is_empty() {
            missing.push(path.to_owned());
        }
        missing
            .extend(names.iter().filter(|name| !text.contains(**name)).map(|name| format!("{path}: {name}")));
    }
    assert_eq!(missing, Vec::<String>::new());
}
