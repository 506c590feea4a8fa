use super::*;

fn status(bytes: impl AsRef<[u8]>) -> u16 {
    parse(bytes.as_ref()).map_or_else(|problem| problem.status().as_u16(), |_| 200)
}

#[test]
fn objects_arrays_and_nothing_are_taken() {
    for text in
        ["", "{}", "[]", " {} \r\n", "[1,2.5e3,-1,null,\"x\",[{}]]", "{\"a\":{\"b\":[{\"c\":1},{\"c\":2}]}}"]
    {
        assert_eq!(status(text), 200, "{text}");
    }
}

#[test]
fn what_is_no_json_object_is_refused() {
    let deep = "[".repeat(100_000);
    for text in [
        "{",
        "{\"a\":1",
        "\"x\"",
        "1",
        "null",
        "true",
        " ",
        "{}x",
        "{} {}",
        "\u{feff}{}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\\ud800\"}",
        "{'a':1}",
        "{\"a\":NaN}",
        "{\"a\":01}",
        "{\"a\":1,}",
        "{\"a\":1e999}",
        "{\"a\":\"\n\"}",
        "// x\n{}",
        &deep,
    ] {
        assert_eq!(status(text), 400, "{:.40}", text);
    }
    assert_eq!(status(b"{\"a\":\"\xff\"}"), 400);
    assert_eq!(status(b"\xff\xfe{\0}\0"), 400);
    let balanced = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(status(balanced), 400);
}

#[test]
fn a_key_given_twice_is_named_wherever_it_is() {
    for text in [
        "{\"mail\":1,\"mail\":1}",
        "{\"x\":[1,{\"y\":{\"mail\":1,\"z\":2,\"mail\":\"\"}}]}",
        "{\"mail\":1,\"\\u006dail\":2}",
    ] {
        let problem = parse(text.as_bytes()).err().unwrap();
        assert_eq!(
            (problem.status().as_u16(), problem.sentence()),
            (400, "The parameter is given more than once.")
        );
        assert!(format!("{problem:?}").contains("\"mail\""));
    }
}

#[test]
fn a_refusal_never_quotes_what_was_sent() {
    let problem = parse(b"{\"password\":\"hunter2\"x}").err().unwrap();
    assert_eq!(problem.sentence(), "The request body is not valid JSON (line 1, column 22)");
}

#[test]
fn many_keys_are_read_in_no_time() {
    // The shortest of several times: a machine may be busy with others.
    let time_of = |count: usize| {
        let keys: Vec<String> = (0..count).map(|i| format!("\"k{i}\":0")).collect();
        let body = format!("{{{}}}", keys.join(","));
        let times = (0..5).map(|_| {
            let begun = std::time::Instant::now();
            assert_eq!(status(body.clone()), 200);
            begun.elapsed()
        });
        times.min().unwrap()
    };
    let (few, many) = (time_of(1_000), time_of(8_000));
    assert!(many < few * 24, "eight times as many took {many:?} instead of {few:?}");
}

#[test]
fn values_of_another_type_are_refused_by_name() {
    let object = || parse(b"{\"a\":1,\"b\":\"x\",\"c\":null,\"d\":{},\"e\":true}").unwrap();
    assert_eq!(object().text("a", "name").unwrap_err().sentence(), "Parameter 'name' must be a string.");
    assert_eq!(object().text("b", "b").unwrap().as_deref(), Some("x"));
    assert_eq!(object().text("c", "c").unwrap(), None);
    assert_eq!(object().text("z", "z").unwrap(), None);
    assert!(object().object("d").unwrap().is_some());
    assert!(object().object("b").is_err());
    assert_eq!(object().flag("e").unwrap(), Some(Some(true)));
    assert_eq!(object().flag("c").unwrap(), Some(None));
    assert_eq!(object().flag("z").unwrap(), None);
    assert_eq!(object().flag("b").unwrap_err().sentence(), "Parameter 'b' must be true or false.");
}
